//! Evidence to findings, findings to incidents.
//!
//! Three rungs of content, the lowest that works wins: [`sigma`] rules (YAML), SQL [`hunts`], Rust [`analytics`].
//! [`base`] is what they share: result classes, service-side actors, places, habits. [`correlate`] alone makes incidents.
//! Pure: no clock, no I/O beyond the [`Scanner`], no log.

pub mod analytics;
pub mod base;
pub mod content;
pub mod correlate;
mod coverage;
pub mod hunts;
mod run;
pub mod sigma;
#[cfg(test)]
mod testing;

pub use analytics::{ALL, FOLLOWING};
pub use content::{Content, Refused};
pub use run::{DetectError, Detection, hunt, phrasebook};

use matagi_model::Analytic;

/// Every Rust analytic, in the order in which findings are told.
pub fn analytics() -> impl Iterator<Item = &'static dyn Analytic> {
    ALL.iter().chain(FOLLOWING).copied()
}

//! Labelled evidence: one fictional company in real export formats, with its truth.
//!
//! [`write`] streams the evidence of a [`Plan`] to disk: the ordinary life of a Japanese manufacturer, the takeovers
//! that the plan asks for, and honest look-alikes. [`Truth`] says what was planted; [`score`] holds the document that
//! `matagi hunt --format json` prints against it.

mod audit;
mod company;
mod dice;
mod entra;
mod event;
mod exchange;
mod habits;
mod pieces;
mod plan;
mod scenarios;
mod score;
mod sink;
mod truth;
mod world;
mod write;

pub use plan::{Plan, Summary, SynthError, TakeoverChoice, TakeoverKind, WrittenFile};
pub use score::{MissedStep, Score, TakeoverScore, score};
pub use truth::{Step, Takeover, Truth, Twin};
pub use write::write;

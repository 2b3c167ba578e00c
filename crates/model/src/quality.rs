//! Evidence quality: what the evidence cannot show is a result too.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A fact about one input that limits what can be concluded from it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Note {
    /// Stable code: `lossy-export`, `row-cap`, `result-count`, `truncated-records`, `recovered-records`, `partial-read`.
    pub code: String,
    /// Arguments of the sentence behind the code.
    pub args: BTreeMap<String, String>,
}

impl Note {
    /// A note with its arguments.
    pub fn new<const N: usize>(code: &str, args: [(&str, String); N]) -> Self {
        Self { code: code.to_owned(), args: args.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() }
    }
}

/// How well something is covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CoverageState {
    /// Present.
    Present,
    /// Present, but a lower bound.
    Partial,
    /// Absent: what depends on it is unknown, not zero.
    Absent,
}

/// One line of "what we can and cannot see".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Stable code of the thing covered or of the defect: `mail-items-accessed`, `sign-ins`, `row-cap`, `gap`.
    pub code: String,
    /// How well.
    pub state: CoverageState,
    /// Arguments of the sentence behind the code.
    pub args: BTreeMap<String, String>,
}

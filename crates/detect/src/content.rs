//! Everything that detects, in one value: the Sigma rules and SQL hunts that a hunt runs beside the Rust analytics.

use std::path::Path;

use matagi_model::Phrasebook;

use crate::hunts::HuntSet;
pub use crate::sigma::Refused;
use crate::sigma::RuleSet;

/// Rules and hunts to run. The Rust analytics are [`crate::ALL`].
#[derive(Debug, Default)]
pub struct Content {
    /// First rung.
    pub rules: RuleSet,
    /// Second rung.
    pub hunts: HuntSet,
}

impl Content {
    /// What comes with Matagi: the folder `content/`, embedded.
    pub fn builtin() -> Self {
        Self { rules: RuleSet::builtin(), hunts: HuntSet::builtin() }
    }

    /// What comes with Matagi and a folder of the user's Sigma rules. What cannot be used is said, the rest runs.
    pub fn with_rules(dir: &Path) -> (Self, Vec<Refused>) {
        let mut content = Self::builtin();
        let (rules, refused) = RuleSet::load(dir);
        content.rules.merge(rules);
        (content, refused)
    }

    /// Adds the sentences of all rules and hunts.
    pub fn texts(&self, book: &mut Phrasebook) {
        self.rules.texts(book);
        self.hunts.texts(book);
    }
}

//! How bad it is.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The ladder that every finding and incident stands on.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, nothing to do.
    #[default]
    Informational,
    /// Explains itself in most cases.
    Low,
    /// Somebody should look today.
    Medium,
    /// Somebody should look now.
    High,
    /// Act, then look.
    Critical,
}

impl Severity {
    /// All, mildest first.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// One step up, or the same at the top.
    #[must_use]
    pub const fn raised(self) -> Self {
        match self {
            Self::Informational => Self::Low,
            Self::Low => Self::Medium,
            Self::Medium => Self::High,
            Self::High | Self::Critical => Self::Critical,
        }
    }

    /// One step down, or the same at the bottom.
    #[must_use]
    pub const fn lowered(self) -> Self {
        match self {
            Self::Informational | Self::Low => Self::Informational,
            Self::Medium => Self::Low,
            Self::High => Self::Medium,
            Self::Critical => Self::High,
        }
    }

    /// The word that stands in JSON and on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// OCSF `severity_id`.
    pub const fn ocsf_id(self) -> u8 {
        self as u8 + 1
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl std::str::FromStr for Severity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.word() == text || (text == "info" && *severity == Self::Informational))
            .ok_or_else(|| format!("`{text}` is none of informational, low, medium, high, critical"))
    }
}

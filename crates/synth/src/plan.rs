//! What to write.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Everything that decides the output: the same plan gives byte-identical files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Seed of every random choice.
    pub seed: u64,
    /// People at the company, [`Plan::USERS_MIN`] to [`Plan::USERS_MAX`].
    pub users: u32,
    /// Days of evidence, [`Plan::DAYS_MIN`] to [`Plan::DAYS_MAX`].
    pub days: u32,
    /// First day, in the company's time zone (Japan).
    #[serde(with = "date_text")]
    pub start: Date,
    /// Takeovers to plant, one victim each.
    pub takeovers: Vec<TakeoverKind>,
    /// Approximate size of the whole export, bytes: more ordinary activity is written until it is reached.
    /// `None` writes what the company does and no more.
    pub pad_bytes: Option<u64>,
}

/// A date as `2026-09-01`.
mod date_text {
    use jiff::civil::Date;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde calls")]
    pub(super) fn serialize<S: Serializer>(date: &Date, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(date)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Date, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Plan {
    /// Fewer people could not be sprayed.
    pub const USERS_MIN: u32 = 8;
    /// More people than any tenant has; the company is kept in memory.
    pub const USERS_MAX: u32 = 200_000;
    /// Fewer days leave no habit to differ from.
    pub const DAYS_MIN: u32 = 3;
    /// Two years; audit logs are not kept longer.
    pub const DAYS_MAX: u32 = 731;
    /// Takeovers that find room beside each other.
    pub const TAKEOVERS_MAX: usize = 32;
}

impl Default for Plan {
    /// Forty people, three weeks, one takeover.
    fn default() -> Self {
        Self {
            seed: 1,
            users: 40,
            days: 21,
            start: jiff::civil::date(2026, 9, 1),
            takeovers: vec![TakeoverKind::SprayAndRules],
            pad_bytes: None,
        }
    }
}

/// How an account is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakeoverKind {
    /// Password spray, sign-in, rules, consent, mail read, delegation, fraud mail.
    SprayAndRules,
    /// A stolen session is used from elsewhere: no spray, no password.
    AitmToken,
    /// The user is talked into consenting to an app that then reads the mailbox.
    ConsentOnly,
    /// A code typed for somebody else lets a machine in, which then searches, reads and sends.
    DeviceCode,
    /// The request on the phone is approved at last; fraud goes on from inside, in the name of a superior.
    BecInside,
    /// A token taken from a machine is used from a rented one; files leave by links.
    TokenTheft,
    /// Spray, then so much reading that the audit log gives up, and the audit is weakened.
    ThrottledAudit,
}

impl TakeoverKind {
    /// All.
    pub const ALL: [Self; 7] = [
        Self::SprayAndRules,
        Self::AitmToken,
        Self::ConsentOnly,
        Self::DeviceCode,
        Self::BecInside,
        Self::TokenTheft,
        Self::ThrottledAudit,
    ];

    /// The word that stands in the truth file and on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::SprayAndRules => "spray-and-rules",
            Self::AitmToken => "aitm-token",
            Self::ConsentOnly => "consent-only",
            Self::DeviceCode => "device-code",
            Self::BecInside => "bec-inside",
            Self::TokenTheft => "token-theft",
            Self::ThrottledAudit => "throttled-audit",
        }
    }

    /// Whether it goes on on a second working day.
    pub(crate) const fn comes_back(self) -> bool {
        matches!(self, Self::DeviceCode | Self::BecInside | Self::TokenTheft)
    }
}

impl std::str::FromStr for TakeoverKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|kind| kind.word()).collect();
            format!("`{text}` is none of {}", known.join(", "))
        })
    }
}

/// Takeovers as the command line names them: one kind, or `all` for one of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeoverChoice(pub Vec<TakeoverKind>);

impl TakeoverChoice {
    /// The word for one takeover of each kind.
    pub const ALL: &str = "all";
}

impl std::str::FromStr for TakeoverChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == Self::ALL {
            return Ok(Self(TakeoverKind::ALL.to_vec()));
        }
        let kind = text.parse().map_err(|known: String| format!("{known}, {}", Self::ALL))?;
        Ok(Self(vec![kind]))
    }
}

/// Why the evidence could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SynthError {
    /// The plan asks for something that cannot be.
    #[error("{field} must be {min} to {max}, not {found}")]
    Plan {
        /// Which part of the plan.
        field: &'static str,
        /// Smallest.
        min: u64,
        /// Largest.
        max: u64,
        /// What the plan says.
        found: u64,
    },
    /// A file or folder cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The user asked to stop; what was written so far is incomplete.
    #[error("stopped")]
    Cancelled,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Folder of the evidence, to be given to `matagi hunt`.
    pub evidence: std::path::PathBuf,
    /// The truth file, beside that folder and not in it.
    pub truth: std::path::PathBuf,
    /// Every evidence file.
    pub files: Vec<WrittenFile>,
    /// Takeovers planted.
    pub takeovers: usize,
    /// Hostile steps planted.
    pub steps: usize,
    /// Benign twins planted.
    pub twins: usize,
}

impl Summary {
    /// Size of the evidence, bytes.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Records in the evidence, duplicates included.
    pub fn records(&self) -> u64 {
        self.files.iter().map(|file| file.records).sum()
    }
}

/// One evidence file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// Path below the evidence folder.
    pub name: &'static str,
    /// Size, bytes.
    pub bytes: u64,
    /// Records, duplicates included.
    pub records: u64,
}

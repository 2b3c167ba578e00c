//! Who and what a finding is about.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kind of an entity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// A person's or service's account.
    User,
    /// A mailbox.
    Mailbox,
    /// An internet address.
    Ip,
    /// A session.
    Session,
    /// An application or service principal.
    Application,
    /// An inbox or transport rule.
    Rule,
    /// An e-mail address outside of the organisation.
    EmailAddress,
    /// A domain.
    Domain,
    /// A device.
    Device,
    /// A user agent.
    UserAgent,
    /// An organisation-wide policy or setting.
    Policy,
}

impl EntityKind {
    /// The word that stands in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Mailbox => "mailbox",
            Self::Ip => "ip",
            Self::Session => "session",
            Self::Application => "application",
            Self::Rule => "rule",
            Self::EmailAddress => "email_address",
            Self::Domain => "domain",
            Self::Device => "device",
            Self::UserAgent => "user_agent",
            Self::Policy => "policy",
        }
    }

    /// The kind of this word.
    pub fn named(word: &str) -> Option<Self> {
        [
            Self::User,
            Self::Mailbox,
            Self::Ip,
            Self::Session,
            Self::Application,
            Self::Rule,
            Self::EmailAddress,
            Self::Domain,
            Self::Device,
            Self::UserAgent,
            Self::Policy,
        ]
        .into_iter()
        .find(|kind| kind.word() == word)
    }
}

/// What part an entity plays in a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Whose account, mailbox or organisation suffers.
    Victim,
    /// Account that acted; it may itself be a victim.
    Actor,
    /// Where the actor came from or what it used.
    Source,
    /// What was made, changed or aimed at.
    Target,
    /// Present, but proves nothing by itself.
    Context,
}

impl Role {
    /// The word that stands in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Victim => "victim",
            Self::Actor => "actor",
            Self::Source => "source",
            Self::Target => "target",
            Self::Context => "context",
        }
    }
}

/// An entity: kind and value, the value in its canonical spelling (addresses and names in lower case).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Entity {
    /// Kind.
    pub kind: EntityKind,
    /// Canonical value.
    pub value: String,
}

impl Entity {
    /// An entity of any kind.
    pub fn new(kind: EntityKind, value: impl Into<String>) -> Self {
        Self { kind, value: value.into() }
    }

    /// An account.
    pub fn user(name: &str) -> Self {
        Self::new(EntityKind::User, name.to_lowercase())
    }

    /// A mailbox.
    pub fn mailbox(address: &str) -> Self {
        Self::new(EntityKind::Mailbox, address.to_lowercase())
    }

    /// An address.
    pub fn ip(ip: crate::Ip) -> Self {
        Self::new(EntityKind::Ip, ip.to_string())
    }

    /// A session.
    pub fn session(uid: &str) -> Self {
        Self::new(EntityKind::Session, uid)
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.word(), self.value)
    }
}

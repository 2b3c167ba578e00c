//! The vocabulary and the seams of Matagi.
//!
//! Everything that two crates must agree on lives here and nowhere else: the OCSF tables as flat typed columns
//! ([`tables`]), entities, findings and incidents, and the traits through which evidence flows
//! ([`Source`] → [`EventBatch`] → [`Scanner`] → [`Analytic`] → [`Finding`] → [`Incident`]).
//! No I/O, no clock, no async runtime, no SQL.

pub mod address;
pub mod analytic;
pub mod columns;
pub mod entity;
pub mod estate;
pub mod finding;
pub mod incident;
pub mod quality;
pub mod severity;
pub mod source;
pub mod suspects;
pub mod tables;
pub mod text;
pub mod time;

pub use address::{AddressBook, AddressFacts, Ip, NoAddressBook};
pub use analytic::{Analytic, AnalyticMeta, Context, Fold, Parameter, Scan, ScanError, Scanner, Settings};
pub use columns::{Column, TextColumn, TextListColumn};
pub use entity::{Entity, EntityKind, Role};
pub use estate::{Estate, FeatureUse, LoggedPlace, UserProfile};
pub use finding::{Evidence, Finding, Origin, Reason};
pub use incident::{Exposure, ExposureQuality, Incident, NextStep, Sentence, Stage, StageStep};
pub use quality::{Coverage, CoverageState, Note};
pub use severity::Severity;
pub use source::{Emit, Progress, Reject, Source, SourceError, SourceMeta, Stop};
pub use suspects::{Suspects, Suspicion};
pub use tables::{EventBatch, Table};
pub use text::{Phrasebook, ReasonText, Text};
pub use time::{Time, Uid};

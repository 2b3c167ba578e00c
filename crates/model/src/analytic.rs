//! The seam through which evidence becomes findings.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::{AddressBook, Estate, EventBatch, Finding, NoAddressBook, ReasonText, Stage, Suspects, Table, Text};

/// What an analytic wants to read.
#[derive(Debug, Clone)]
pub struct Scan {
    /// Table.
    pub table: Table,
    /// Columns; nothing else is read from disk.
    pub columns: &'static [&'static str],
    /// Columns whose equal values must meet in one fold; the lake may shard on these.
    pub partition_by: &'static [&'static str],
}

/// A number that a user may change, with the reason for its default.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Name, with its unit at the end: `window_minutes`.
    pub name: &'static str,
    /// Default.
    pub default: f64,
    /// Why this default: hunters ask.
    pub reason: &'static str,
}

/// What an analytic says about itself.
#[derive(Debug, Clone)]
pub struct AnalyticMeta {
    /// Stable id: mission and file name, `mailbox/hiding-rule`.
    pub id: &'static str,
    /// Catalogue ids that it implements.
    pub catalogue: &'static [&'static str],
    /// What a finding says; `{name}` is filled from the finding.
    pub title: Text,
    /// The hunter's question that it answers.
    pub question: Text,
    /// Part of a takeover.
    pub stage: Stage,
    /// ATT&CK techniques.
    pub attack: &'static [&'static str],
    /// What it reads. Batches come table by table in the order of [`Table::ALL`], within a table in order of time.
    pub scans: &'static [Scan],
    /// Its numbers.
    pub parameters: &'static [Parameter],
    /// The sentences behind its reasons.
    pub reasons: &'static [ReasonText],
}

impl AnalyticMeta {
    /// A parameter's value: the user's, else its default.
    ///
    /// # Panics
    /// If the analytic asks for a parameter that it did not declare.
    pub fn parameter(&self, name: &str, settings: &Settings) -> f64 {
        let declared = self.parameters.iter().find(|parameter| parameter.name == name).expect("a declared parameter");
        settings.parameters.get(&format!("{}.{name}", self.id)).copied().unwrap_or(declared.default)
    }
}

/// What the user configured about the organisation and the analytics.
#[derive(Debug, Default, Clone)]
pub struct Settings {
    /// Domains of the organisation, beside those learnt.
    pub domains: Vec<String>,
    /// Users for whom everything weighs more (VIP, finance), lower case.
    pub important_users: Vec<String>,
    /// `analytic-id.parameter` → value.
    pub parameters: BTreeMap<String, f64>,
}

/// What every analytic may ask.
#[derive(Clone)]
pub struct Context {
    /// Habits and domains learnt from the evidence.
    pub estate: Arc<Estate>,
    /// Reference data on addresses.
    pub addresses: Arc<dyn AddressBook>,
    /// The user's configuration.
    pub settings: Arc<Settings>,
    /// What the first pass made suspicious; empty while that pass runs.
    pub suspects: Arc<Suspects>,
}

impl Default for Context {
    fn default() -> Self {
        Self {
            estate: Arc::default(),
            addresses: Arc::new(NoAddressBook),
            settings: Arc::default(),
            suspects: Arc::default(),
        }
    }
}

/// An analytic of the third rung: Rust. Pure: no clock, no I/O, no log.
pub trait Analytic: Sync {
    /// What it is.
    fn meta(&self) -> &'static AnalyticMeta;
    /// Begins a pass over a shard of keys.
    fn start(&self, context: &Context) -> Box<dyn Fold>;
}

/// A pass over rows. However the same rows are cut into batches, the findings are the same.
pub trait Fold: Send {
    /// Takes rows of one of the tables that the analytic named.
    fn batch(&mut self, batch: &EventBatch);
    /// Concludes; sorted, so that two runs are equal.
    fn finish(self: Box<Self>) -> Vec<Finding>;
}

/// Why a scan or query failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the evidence: {what}")]
pub struct ScanError {
    /// What was being read.
    pub what: String,
    /// Why.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// What detection needs of a lake. The lake implements it; tests use a `Vec`.
pub trait Scanner: Sync {
    /// Hands over the rows of a table in order of time (then of `event_uid`), only the named columns.
    ///
    /// # Errors
    /// When the evidence cannot be read, or `each` says stop.
    fn scan(
        &self,
        table: Table,
        columns: &[&str],
        each: &mut dyn FnMut(&EventBatch) -> Result<(), ScanError>,
    ) -> Result<(), ScanError>;

    /// Runs one SQL query and returns its rows, at most `rows_max` of them.
    ///
    /// # Errors
    /// When the query is wrong or the evidence cannot be read.
    fn query(&self, sql: &str, rows_max: usize) -> Result<Vec<RecordBatch>, ScanError>;
}

/// Evidence in memory, for tests and small inputs; it has no SQL.
impl Scanner for Vec<EventBatch> {
    fn scan(
        &self,
        table: Table,
        _columns: &[&str],
        each: &mut dyn FnMut(&EventBatch) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        self.iter().filter(|batch| batch.table == table).try_for_each(each)
    }

    fn query(&self, sql: &str, _rows_max: usize) -> Result<Vec<RecordBatch>, ScanError> {
        Err(ScanError { what: sql.to_owned(), source: "evidence in memory has no SQL".into() })
    }
}

//! A hunt file: `/*`, a head in TOML, `*/`, one SELECT.

use std::sync::Arc;

use matagi_model::{EntityKind, Role, ScanError, Settings, Severity, Stage, Text};
use serde::Deserialize;

use super::HuntError;

/// A hunt in SQL.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hunt {
    /// Stable id, `hunt/` and the file's name.
    pub id: String,
    /// Catalogue ids, such as `MBX-025`.
    pub catalogue: Vec<String>,
    /// What a finding says; `{name}` is filled from the column of that name.
    pub title: Text,
    /// The hunter's question that it answers.
    pub question: Text,
    /// What an intruder would have done if the hunt finds something.
    pub hypothesis: Text,
    /// How it looks for that.
    pub method: Text,
    /// How to read the result, and what else may look like this.
    pub reading: Text,
    /// ATT&CK techniques.
    pub attack: Vec<String>,
    /// Severity where the rows have no column `severity`.
    pub severity: Severity,
    /// Part of a takeover.
    pub stage: Stage,
    /// How sure its findings are, 0 to 1.
    #[serde(default = "confidence_default")]
    pub confidence: f64,
    /// Columns whose equal values make one finding.
    pub key: Vec<String>,
    /// Its numbers.
    #[serde(default)]
    pub parameters: Vec<HuntParameter>,
    /// Columns that hold entities.
    pub entities: Vec<EntityColumn>,
    /// Its reasons.
    pub reasons: Vec<HuntReason>,
    /// File.
    #[serde(skip)]
    pub path: String,
    /// The SQL, with `{{name}}` where parameters go.
    #[serde(skip)]
    pub template: String,
    /// Line of the file on which the SQL begins, from 1.
    #[serde(skip)]
    pub sql_line: usize,
}

/// A number that a user may change.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HuntParameter {
    /// Name, with its unit at the end.
    pub name: String,
    /// Default.
    pub default: f64,
    /// Why this default.
    pub reason: String,
}

/// A column that holds an entity.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntityColumn {
    /// Column.
    pub column: String,
    /// Kind.
    pub kind: EntityKind,
    /// Role.
    pub role: Role,
}

/// A reason of a hunt's findings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HuntReason {
    /// Code.
    pub code: String,
    /// The sentence; `{name}` is filled from the column of that name.
    #[serde(flatten)]
    pub text: Text,
    /// Points, or the column that holds them; a reason whose column is null or 0 does not apply.
    pub weight: Weight,
}

/// Points of a reason.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Weight {
    /// Always so many.
    Points(f64),
    /// As this column says.
    Column(String),
}

const fn confidence_default() -> f64 {
    0.8
}

impl Hunt {
    /// The SQL with the parameters filled in: the user's (`hunt/id.name`), else the defaults.
    pub fn sql(&self, settings: &Settings) -> String {
        self.parameters.iter().fold(self.template.clone(), |sql, parameter| {
            let user = settings.parameters.get(&format!("{}.{}", self.id, parameter.name)).copied();
            // Only numbers reach the text; what is none is the default.
            let value = user.filter(|value| value.is_finite()).unwrap_or(parameter.default);
            sql.replace(&format!("{{{{{}}}}}", parameter.name), &value.to_string())
        })
    }

    /// The error of a query, at the line that the engine names or where the SQL begins.
    pub(super) fn query_error(&self, error: ScanError) -> HuntError {
        let message = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source())
            .last()
            .map_or_else(String::new, ToString::to_string);
        let within = message.split_once("Line: ").and_then(|(_, rest)| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse::<usize>().ok()
        });
        let line = self.sql_line + within.unwrap_or(1).saturating_sub(1);
        HuntError::Query { path: self.path.clone(), line, id: self.id.clone(), message, source: Box::new(error) }
    }
}

/// Reads a hunt file.
///
/// # Errors
/// What is wrong, and where.
pub(super) fn read(path: &str, text: &str) -> Result<Hunt, HuntError> {
    let wrong = |offset: usize, message: String| {
        let offset = offset.min(text.len());
        let line = 1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
        HuntError::Head { path: path.to_owned(), line, offset, text: Arc::from(text), message }
    };
    let open = text.find("/*").filter(|&at| text.get(..at).is_some_and(|before| before.trim().is_empty()));
    let head_at = open.ok_or_else(|| wrong(0, "a hunt begins with `/*` and its head in TOML".to_owned()))? + 2;
    let after = text.get(head_at..).unwrap_or_default();
    let (head, sql) =
        after.split_once("*/").ok_or_else(|| wrong(head_at, "the head is not closed by `*/`".to_owned()))?;
    let mut hunt: Hunt = toml::from_str(head).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        wrong(head_at + offset, error.message().to_owned())
    })?;
    let sql_at = head_at + head.len() + 2 + (sql.len() - sql.trim_start().len());
    path.clone_into(&mut hunt.path);
    hunt.sql_line = 1 + text.bytes().take(sql_at).filter(|&byte| byte == b'\n').count();
    sql.trim().trim_end_matches(';').trim_end().clone_into(&mut hunt.template);
    check(&hunt).map_err(|(at_sql, message)| wrong(if at_sql { sql_at } else { head_at }, message))?;
    Ok(hunt)
}

/// What TOML cannot check; `true` if it is about the SQL.
fn check(hunt: &Hunt) -> Result<(), (bool, String)> {
    let head = |message: &str| Err((false, message.to_owned()));
    if !hunt.id.starts_with("hunt/") {
        return head("`id` begins with `hunt/`");
    }
    if hunt.key.is_empty() || hunt.entities.is_empty() || hunt.reasons.is_empty() {
        return head("`key`, `entities` and `reasons` need at least one entry each");
    }
    if !(0.0..=1.0).contains(&hunt.confidence) {
        return head("`confidence` is from 0 to 1");
    }
    let mut spoken = hunt.template.lines().filter(|line| !line.trim_start().starts_with("--"));
    let first = spoken.find_map(|line| line.split_whitespace().next()).unwrap_or_default().to_ascii_uppercase();
    if !matches!(first.as_str(), "SELECT" | "WITH") || hunt.template.contains(';') {
        return Err((true, "a hunt is one SELECT".to_owned()));
    }
    let mut rest = hunt.template.as_str();
    while let Some((_, after)) = rest.split_once("{{") {
        let (name, tail) = after.split_once("}}").ok_or((true, "a `{{` is not closed".to_owned()))?;
        if !hunt.parameters.iter().any(|parameter| parameter.name == name) {
            return Err((true, format!("parameter `{name}` is not declared")));
        }
        rest = tail;
    }
    let is_used = |name: &str| hunt.template.contains(&format!("{{{{{name}}}}}"));
    match hunt.parameters.iter().find(|parameter| !is_used(&parameter.name)) {
        Some(unused) => Err((false, format!("parameter `{}` is not used", unused.name))),
        None => Ok(()),
    }
}

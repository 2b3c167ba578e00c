//! First rung: Sigma rules for single events.
//!
//! YAML → [`rule`] → [`condition`] and [`pattern`] → [`compile`] against a table through [`mapping`] → [`pass`] over rows.
//! A rule that cannot be carried out exactly is refused alone, with path, id and reason; nothing is guessed.

mod compile;
mod condition;
mod load;
mod mapping;
mod pass;
mod pattern;
mod row;
mod rule;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use matagi_model::{Context, Phrasebook, Table, Text};
use serde::Serialize;

use compile::CompiledRule;
pub use pass::RulePass;
pub use rule::SigmaRule;

/// The files of `content/` as they were when this crate was built: path below `content/` and text.
pub mod embedded {
    #![allow(missing_docs, reason = "generated: lists of (path, text)")]
    include!(concat!(env!("OUT_DIR"), "/embedded.rs"));
}

/// A rule that cannot be used, and why. Every other rule runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Refused {
    /// File.
    pub path: String,
    /// Id of the rule, where it could be read.
    pub id: Option<String>,
    /// Why, in one sentence.
    pub reason: String,
}

/// Rules that are ready to run, by id.
#[derive(Debug, Default, Clone)]
pub struct RuleSet {
    rules: BTreeMap<String, Arc<CompiledRule>>,
}

impl RuleSet {
    /// The rules that come with Matagi.
    ///
    /// # Panics
    /// If one of them cannot be loaded; a test loads them all.
    pub fn builtin() -> Self {
        let mut set = Self::default();
        for (path, text) in embedded::RULES {
            let refused = set.add(path, text);
            assert!(refused.is_empty(), "built-in rule refused: {refused:?}");
        }
        set
    }

    /// Rules below a folder (`*.yml`, `*.yaml`), or of one file, and those refused, both in order of path.
    pub fn load(path: &Path) -> (Self, Vec<Refused>) {
        load::load(path)
    }

    /// Adds the rules of one YAML text (one or more documents) and returns those refused.
    pub fn add(&mut self, path: &str, text: &str) -> Vec<Refused> {
        load::add(self, path, text)
    }

    /// Adds another set; of two rules with one id the other's is kept, so that a user can replace a built-in rule.
    pub fn merge(&mut self, other: Self) {
        self.rules.extend(other.rules);
    }

    /// Rules in this set.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, by id.
    pub fn rules(&self) -> impl Iterator<Item = &SigmaRule> {
        self.rules.values().map(|compiled| &compiled.rule)
    }

    /// Per rule, the fields that no mapping knows and that are therefore looked up in the record as it was read.
    pub fn unmapped(&self) -> BTreeMap<&str, Vec<&str>> {
        let with_unmapped = self.rules.iter().filter(|(_, compiled)| !compiled.unmapped.is_empty());
        with_unmapped
            .map(|(id, compiled)| (id.as_str(), compiled.unmapped.iter().map(String::as_str).collect()))
            .collect()
    }

    /// What the rules read: tables in order and, of each, the columns.
    pub fn tables_and_columns(&self) -> Vec<(Table, BTreeSet<&'static str>)> {
        let tables = Table::ALL.into_iter().map(|table| (table, pass::columns_of(self.rules.values(), table)));
        tables.filter(|(_, columns)| !columns.is_empty()).collect()
    }

    /// Begins a pass over the evidence.
    pub fn start(&self, context: &Context) -> RulePass {
        RulePass::new(self.rules.values(), context)
    }

    /// Adds the sentences of every rule: `title`, `question` and the reason `matched`.
    pub fn texts(&self, book: &mut Phrasebook) {
        for compiled in self.rules.values() {
            let rule = &compiled.rule;
            let scope = rule.analytic();
            book.insert(scope.clone(), "title", rule.title.clone());
            book.insert(scope.clone(), "question", rule.question());
            let matched = rule.reason.clone().unwrap_or_else(|| {
                Text::new("The record matches the rule: {fields}", "記録がルールに一致しました：{fields}")
            });
            book.insert(scope, pass::MATCHED, matched);
        }
    }
}

#[cfg(test)]
mod tests;

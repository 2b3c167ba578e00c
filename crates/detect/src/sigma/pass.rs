//! Rules over rows: each matching row becomes evidence of the finding of its rule and main entity.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use matagi_model::{
    AnalyticMeta, Context, Entity, EntityKind, EventBatch, Evidence, Finding, Fold, Reason, Role, Severity, Stage,
    Table, Text, Time, Uid,
};

use super::compile::{CompiledRule, OPERATION, Target};
use super::pattern;
use super::row::{Row, Rows};

/// Code of the one reason of a rule's findings; its arguments: `fields`, `rule`.
pub(super) const MATCHED: &str = "matched";
/// Entities kept with a finding; the smallest, so that the order of rows does not matter.
const ENTITIES_MAX: usize = 64;
/// Entities that one field of one row may give.
const FIELD_ENTITIES_MAX: usize = 16;
/// Characters of a value as it is printed.
const VALUE_CHARS_MAX: usize = 160;
/// Findings of one rule; what comes after is counted on a last finding without main entity.
const GROUPS_MAX: usize = 5_000;

/// What [`Finding::new`] needs; everything in it is replaced by what the rule says.
static BLANK: AnalyticMeta = AnalyticMeta {
    id: "sigma",
    catalogue: &[],
    title: Text::new("Sigma rule", "Sigma ルール"),
    question: Text::new("Does a record match a Sigma rule?", "Sigma ルールに一致する記録はありますか。"),
    stage: Stage::InitialAccess,
    attack: &[],
    scans: &[],
    parameters: &[],
    reasons: &[],
};

/// A pass of a set of rules over the evidence. However the rows are cut into batches or ordered, the findings are the same.
pub struct RulePass {
    rules: Vec<Arc<CompiledRule>>,
    tables: BTreeMap<Table, TableRules>,
    groups: BTreeMap<(usize, String), Group>,
    groups_of: BTreeMap<usize, usize>,
}

/// The rules of one table, sorted by the operation that they demand.
#[derive(Default)]
struct TableRules {
    columns: BTreeSet<&'static str>,
    by_operation: BTreeMap<String, Vec<(usize, usize)>>,
    always: Vec<(usize, usize)>,
}

#[derive(Default)]
struct Group {
    entities: BTreeSet<(Entity, Role)>,
    /// The earliest.
    evidence: BTreeMap<(Time, Uid), (Evidence, String)>,
    records: u64,
}

/// The columns that rules read of a table.
pub(super) fn columns_of<'a>(
    rules: impl Iterator<Item = &'a Arc<CompiledRule>>,
    table: Table,
) -> BTreeSet<&'static str> {
    let targets = rules.flat_map(|compiled| &compiled.targets).filter(|target| target.table == table);
    targets.flat_map(|target| target.columns.iter().copied()).collect()
}

impl RulePass {
    pub(super) fn new<'a>(rules: impl Iterator<Item = &'a Arc<CompiledRule>>, _context: &Context) -> Self {
        let rules: Vec<_> = rules.cloned().collect();
        let mut tables: BTreeMap<Table, TableRules> = BTreeMap::new();
        for (rule, compiled) in rules.iter().enumerate() {
            for (index, target) in compiled.targets.iter().enumerate() {
                let table = tables.entry(target.table).or_default();
                table.columns.extend(&target.columns);
                match &target.operations {
                    None => table.always.push((rule, index)),
                    Some(operations) => operations.iter().for_each(|operation| {
                        table.by_operation.entry(operation.clone()).or_default().push((rule, index));
                    }),
                }
            }
        }
        Self { rules, tables, groups: BTreeMap::new(), groups_of: BTreeMap::new() }
    }

    /// Columns that this pass reads of a table; none if it does not read it.
    pub fn columns(&self, table: Table) -> BTreeSet<&'static str> {
        self.tables.get(&table).map(|rules| rules.columns.clone()).unwrap_or_default()
    }

    /// Takes rows of any table; tables that no rule reads are passed over.
    pub fn batch(&mut self, batch: &EventBatch) {
        let Some(table) = self.tables.remove(&batch.table) else { return };
        let rows = Rows::new(batch, table.columns.iter());
        for index in 0..batch.rows() {
            let operation = rows.text(OPERATION, index).map(pattern::fold).unwrap_or_default();
            let demanded = table.by_operation.get(operation.as_ref()).map(Vec::as_slice).unwrap_or_default();
            if demanded.is_empty() && table.always.is_empty() {
                continue;
            }
            let row = rows.row(index);
            for &(rule, target) in table.always.iter().chain(demanded) {
                let compiled = Arc::clone(&self.rules[rule]);
                let target = &compiled.targets[target];
                if target.matches(&row) {
                    self.record(rule, target, &row, batch, index);
                }
            }
        }
        self.tables.insert(batch.table, table);
    }

    fn record(&mut self, rule: usize, target: &Target, row: &Row<'_, '_>, batch: &EventBatch, index: usize) {
        let mut entities = BTreeSet::new();
        let mut main = String::new();
        for (sources, kind, role) in &target.entities {
            for value in row.values(sources).texts.iter().take(FIELD_ENTITIES_MAX) {
                if let Some(entity) = entity(*kind, value) {
                    if main.is_empty() {
                        main = entity.to_string();
                    }
                    entities.insert((entity, *role));
                }
            }
        }
        let count = self.groups_of.entry(rule).or_default();
        if !self.groups.contains_key(&(rule, main.clone())) {
            if *count >= GROUPS_MAX {
                main = String::new();
                entities.clear();
            }
            *count += 1;
        }
        let facts = facts(target, row);
        let common = batch.common();
        let evidence = Evidence::of(batch.table, &common, index, &facts);
        // A rule about nothing but the operation tells the operation.
        let facts = if facts.is_empty() { common.api_operation.get(index).unwrap_or("-").to_owned() } else { facts };
        let group = self.groups.entry((rule, main)).or_default();
        group.records += 1;
        group.entities.extend(entities);
        while group.entities.len() > ENTITIES_MAX {
            group.entities.pop_last();
        }
        group.evidence.insert((evidence.time, evidence.event_uid), (evidence, facts));
        if group.evidence.len() > Finding::EVIDENCE_MAX {
            group.evidence.pop_last();
        }
    }

    /// Concludes: one finding a rule and main entity, sorted by rule id and entity.
    pub fn finish(self) -> Vec<Finding> {
        let rules = self.rules;
        self.groups.into_iter().filter_map(|((rule, _), group)| finding(&rules[rule], group)).collect()
    }
}

impl std::fmt::Debug for RulePass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RulePass").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

impl Fold for RulePass {
    fn batch(&mut self, batch: &EventBatch) {
        Self::batch(self, batch);
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        Self::finish(*self)
    }
}

fn finding(compiled: &CompiledRule, group: Group) -> Option<Finding> {
    let rule = &compiled.rule;
    let kept = group.evidence.len() as u64;
    let mut evidence = group.evidence.into_values();
    let (first, fields) = evidence.next()?;
    let mut finding = Finding::new(&BLANK, rule.level, first);
    finding.analytic = rule.analytic();
    finding.catalogue.clone_from(&rule.catalogue);
    finding.title = rule.title.clone();
    finding.stage = rule.stage;
    finding.techniques.clone_from(&rule.techniques);
    finding = evidence.fold(finding, |finding, (evidence, _)| finding.proved_by(evidence));
    finding = group.entities.into_iter().fold(finding, |finding, (entity, role)| finding.about(entity, role));
    let args = [("fields", fields), ("rule", rule.id.clone())];
    let finding = finding.sure(confidence(&rule.status)).because(Reason::new(MATCHED, weight(rule.level), args));
    Some(finding.and_more(group.records.saturating_sub(kept)))
}

/// How far authors trust a rule.
fn confidence(status: &str) -> f64 {
    match status {
        "stable" => 0.9,
        "test" => 0.8,
        "deprecated" => 0.4,
        _ => 0.6,
    }
}

/// Points on the scale of the catalogue, where 4 is medium, 6 high and 9 critical.
fn weight(level: Severity) -> f64 {
    match level {
        Severity::Informational => 1.0,
        Severity::Low => 2.0,
        Severity::Medium => 4.0,
        Severity::High => 6.0,
        Severity::Critical => 9.0,
    }
}

/// The canonical spelling of a value as an entity of this kind; `None` if there is nothing in it.
fn entity(kind: EntityKind, value: &str) -> Option<Entity> {
    let value = value.trim().trim_matches('"').trim();
    let value = match kind {
        EntityKind::User | EntityKind::Mailbox | EntityKind::EmailAddress | EntityKind::Domain => {
            let lower = value.to_lowercase();
            lower.strip_prefix("smtp:").map_or(lower.clone(), str::to_owned)
        }
        _ => value.to_owned(),
    };
    let value: String = value.chars().take(VALUE_CHARS_MAX).collect();
    (!value.is_empty()).then(|| Entity::new(kind, value))
}

/// The telling fields as `name=value`, in the rule's order.
fn facts(target: &Target, row: &Row<'_, '_>) -> String {
    let mut told: Vec<String> = Vec::new();
    for (name, sources) in &target.facts {
        // The first value is the record's own; further ones are other words for it.
        let values = row.values(sources);
        let Some(value) = values.texts.first().filter(|value| !value.is_empty()) else { continue };
        if sources.iter().any(|source| source.column == OPERATION) {
            continue;
        }
        told.push(format!("{name}={}", shortened(value)));
    }
    told.join(", ")
}

fn shortened(value: &str) -> String {
    let words: String = value.split_whitespace().collect::<Vec<_>>().join(" ");
    if words.chars().count() <= VALUE_CHARS_MAX {
        return words;
    }
    let mut cut: String = words.chars().take(VALUE_CHARS_MAX).collect();
    cut.push('…');
    cut
}

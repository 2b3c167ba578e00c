//! A rule made ready for the tables that its log source means.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use matagi_model::{EntityKind, Evidence, Role, Table};
use regex::Regex;
use serde_json::{Map, Value};

use super::condition::{self, Condition};
use super::mapping::{self, Entry, Found};
use super::pattern::{self, Order, Pattern, Place};
use super::row::{self, Row, Source, Values};
use super::rule::SigmaRule;

/// Fields that are printed for a rule that does not say which.
const FACTS_MAX: usize = 6;
/// The column by which rows are sorted to rules before anything else is looked at.
pub(super) const OPERATION: &str = "api_operation";

/// A rule, ready for each of its tables.
#[derive(Debug)]
pub(super) struct CompiledRule {
    pub(super) rule: SigmaRule,
    pub(super) targets: Vec<Target>,
    /// Fields that nobody maps.
    pub(super) unmapped: BTreeSet<String>,
}

/// A rule, ready for one table.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) table: Table,
    gates: Vec<(&'static str, Vec<String>)>,
    expression: Expression,
    /// Folded operations of which a row must have one; `None` where the rule does not demand any.
    pub(super) operations: Option<BTreeSet<String>>,
    pub(super) entities: Vec<(Vec<Source>, EntityKind, Role)>,
    pub(super) facts: Vec<(String, Vec<Source>)>,
    /// Columns that must be read.
    pub(super) columns: BTreeSet<&'static str>,
}

#[derive(Debug)]
enum Expression {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Item(Item),
}

/// A field (or, without one, the whole record) compared with values.
#[derive(Debug)]
struct Item {
    /// `None`: every text of the record.
    sources: Option<Vec<Source>>,
    tests: Vec<Test>,
    /// Every test must hold, each for some value.
    needs_all: bool,
    /// None may hold.
    is_negated: bool,
}

#[derive(Debug)]
enum Test {
    Text(Pattern),
    Number(f64, Pattern),
    Empty,
    Null,
    Exists(bool),
    Expression(Regex),
    Network(IpNet),
    Compared(Order, f64),
}

impl Target {
    /// Whether a row matches.
    pub(super) fn matches(&self, row: &Row<'_, '_>) -> bool {
        self.passes_gates(row) && self.expression.holds(row)
    }

    fn passes_gates(&self, row: &Row<'_, '_>) -> bool {
        self.gates.iter().all(|(column, allowed)| {
            let source = Source { column, path: String::new(), words: BTreeMap::new() };
            let values = row.values(&[source]);
            values.texts.iter().all(|value| allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(value)))
        })
    }
}

impl Expression {
    fn holds(&self, row: &Row<'_, '_>) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(row)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(row)),
            Self::Not(inner) => !inner.holds(row),
            Self::Item(item) => item.holds(row),
        }
    }

    /// Operations of which a row must have one for this to hold.
    fn operations(&self) -> Option<BTreeSet<String>> {
        match self {
            Self::All(parts) => parts.iter().filter_map(Self::operations).min_by_key(BTreeSet::len),
            Self::Any(parts) => parts.iter().map(Self::operations).try_fold(BTreeSet::new(), |mut all, part| {
                all.extend(part?);
                Some(all)
            }),
            Self::Not(_) => None,
            Self::Item(item) => item.operations(),
        }
    }

    fn columns(&self, columns: &mut BTreeSet<&'static str>, every: &BTreeSet<&'static str>) {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().for_each(|part| part.columns(columns, every)),
            Self::Not(inner) => inner.columns(columns, every),
            Self::Item(Item { sources: Some(sources), .. }) => {
                columns.extend(sources.iter().map(|source| source.column));
            }
            Self::Item(Item { sources: None, .. }) => columns.extend(every),
        }
    }
}

impl Item {
    fn holds(&self, row: &Row<'_, '_>) -> bool {
        let values = match &self.sources {
            Some(sources) => row.values(sources),
            None => row.every_text(),
        };
        let folded: Vec<_> = values.texts.iter().map(|text| pattern::fold(text)).collect();
        let holds = |test: &Test| test.holds(&values, &folded);
        let is_met = if self.needs_all { self.tests.iter().all(holds) } else { self.tests.iter().any(holds) };
        is_met != self.is_negated
    }

    fn operations(&self) -> Option<BTreeSet<String>> {
        let [source] = self.sources.as_deref()? else { return None };
        if source.column != OPERATION || self.is_negated || !source.words.is_empty() {
            return None;
        }
        let exact = |test: &Test| match test {
            Test::Text(pattern) => pattern.exact().map(str::to_owned),
            _ => None,
        };
        self.tests.iter().map(exact).collect()
    }
}

impl Test {
    fn holds(&self, values: &Values<'_>, folded: &[std::borrow::Cow<'_, str>]) -> bool {
        let any = |holds: &dyn Fn(&str) -> bool| values.texts.iter().any(|text| holds(text));
        match self {
            Self::Text(pattern) => values.texts.iter().zip(folded).any(|(text, folded)| pattern.matches(text, folded)),
            Self::Number(number, pattern) => values.texts.iter().zip(folded).any(|(text, folded)| {
                pattern.matches(text, folded) || text.parse::<f64>().is_ok_and(|value| value.total_cmp(number).is_eq())
            }),
            Self::Empty => any(&str::is_empty) || (values.texts.is_empty() && values.is_blank),
            Self::Null => values.texts.is_empty() || values.has_null,
            Self::Exists(expected) => values.is_present == *expected,
            Self::Expression(regex) => any(&|text| regex.is_match(text)),
            Self::Network(network) => any(&|text| pattern::is_within(network, text)),
            Self::Compared(order, limit) => any(&|text| order.holds(text, *limit)),
        }
    }
}

/// Makes a rule ready.
///
/// # Errors
/// Why it cannot be carried out, in one sentence.
pub(super) fn compile(rule: SigmaRule) -> Result<CompiledRule, String> {
    if rule.status == "unsupported" {
        return Err("its status is `unsupported`".to_owned());
    }
    let entry = mapping::entry(&rule.logsource)?;
    let selections: Vec<&str> =
        rule.detection.keys().map(String::as_str).filter(|name| !matches!(*name, "condition" | "timeframe")).collect();
    if selections.is_empty() {
        return Err("its detection has no selection".to_owned());
    }
    if rule.detection.contains_key("timeframe") {
        return Err("aggregation of Sigma v1 (`timeframe`) is not supported".to_owned());
    }
    let condition = whole_condition(&rule.detection, &selections)?;
    let mut unmapped = BTreeSet::new();
    let mut targets = Vec::new();
    let is_wanted = |table: &Table| rule.tables.is_empty() || rule.tables.iter().any(|name| name == table.name());
    for table in entry.tables().filter(is_wanted) {
        targets.push(target(&rule, entry, table, &condition, &mut unmapped)?);
    }
    if targets.is_empty() {
        return Err("its log source has none of the tables that its `matagi` block names".to_owned());
    }
    Ok(CompiledRule { rule, targets, unmapped })
}

/// The condition; several are alternatives.
fn whole_condition(detection: &Map<String, Value>, selections: &[&str]) -> Result<Condition, String> {
    let one = |value: &Value| match value {
        Value::String(text) => condition::parse(text, selections),
        _ => Err("the condition is not text".to_owned()),
    };
    match detection.get("condition") {
        None | Some(Value::Null) => Err("its detection has no condition".to_owned()),
        Some(Value::Array(items)) if items.is_empty() => Err("its detection has no condition".to_owned()),
        Some(Value::Array(items)) => Ok(Condition::Or(items.iter().map(one).collect::<Result<_, _>>()?)),
        Some(value) => one(value),
    }
}

fn target(
    rule: &SigmaRule,
    entry: &Entry,
    table: Table,
    condition: &Condition,
    unmapped: &mut BTreeSet<String>,
) -> Result<Target, String> {
    let mut compiler = Compiler { detection: &rule.detection, entry, table, unmapped, fields: Vec::new() };
    let expression = compiler.condition(condition)?;
    let fields = std::mem::take(&mut compiler.fields);
    let mut known = |name: &str| match entry.field(table, name) {
        Found::Mapped(sources) => sources,
        Found::InRecord(source) => {
            compiler.unmapped.insert(name.to_owned());
            vec![source]
        }
    };
    // What another table calls an entity is none here; that is no reason to read the whole record.
    let is_elsewhere = |name: &str| Table::ALL.into_iter().any(|other| row::column_named(other, name).is_some());
    let mut entities = Vec::new();
    for entity in &rule.entities {
        let is_absent = row::column_named(table, &entity.field).is_none() && is_elsewhere(&entity.field);
        let sources = if is_absent { Vec::new() } else { known(&entity.field) };
        entities.push((sources, entity.kind, entity.role));
    }
    let fact_names = if rule.facts.is_empty() { fields } else { rule.facts.clone() };
    let facts: Vec<_> = fact_names.into_iter().map(|name| (name.clone(), known(&name))).collect();

    let gates = entry.gates(table);
    let mut columns: BTreeSet<&'static str> = Evidence::COLUMNS.into_iter().collect();
    expression.columns(&mut columns, row::columns(table));
    let told = entities.iter().map(|(sources, ..)| sources).chain(facts.iter().map(|(_, sources)| sources));
    columns.extend(told.flatten().map(|source| source.column));
    columns.extend(gates.iter().map(|(column, _)| *column));
    let operations = expression.operations();
    Ok(Target { table, gates, expression, operations, entities, facts, columns })
}

struct Compiler<'a> {
    detection: &'a Map<String, Value>,
    entry: &'a Entry,
    table: Table,
    unmapped: &'a mut BTreeSet<String>,
    /// Fields that were asked for, in order.
    fields: Vec<String>,
}

impl Compiler<'_> {
    fn condition(&mut self, condition: &Condition) -> Result<Expression, String> {
        let mut each = |names: &[String]| names.iter().map(|name| self.selection(name)).collect::<Result<Vec<_>, _>>();
        Ok(match condition {
            Condition::Named(name) => self.selection(name)?,
            Condition::One(names) => Expression::Any(each(names)?),
            Condition::All(names) => Expression::All(each(names)?),
            Condition::Not(inner) => Expression::Not(Box::new(self.condition(inner)?)),
            Condition::And(parts) => {
                Expression::All(parts.iter().map(|part| self.condition(part)).collect::<Result<_, _>>()?)
            }
            Condition::Or(parts) => {
                Expression::Any(parts.iter().map(|part| self.condition(part)).collect::<Result<_, _>>()?)
            }
        })
    }

    fn selection(&mut self, name: &str) -> Result<Expression, String> {
        let value = self.detection.get(name).ok_or_else(|| format!("there is no selection `{name}`"))?;
        self.block(value).map_err(|reason| format!("selection `{name}`: {reason}"))
    }

    /// A mapping is AND, a list of mappings is OR, a list of words is OR over the whole record.
    fn block(&mut self, value: &Value) -> Result<Expression, String> {
        match value {
            Value::Object(fields) if fields.is_empty() => Err("is empty".to_owned()),
            Value::Object(fields) => {
                let items = fields.iter().map(|(key, value)| self.item(key, value).map(Expression::Item));
                Ok(Expression::All(items.collect::<Result<_, _>>()?))
            }
            Value::Array(items) if items.is_empty() => Err("is empty".to_owned()),
            Value::Array(items) => {
                Ok(Expression::Any(items.iter().map(|item| self.block(item)).collect::<Result<_, _>>()?))
            }
            Value::Null => Err("is empty".to_owned()),
            word => Ok(Expression::Item(keywords(std::slice::from_ref(word), false)?)),
        }
    }

    fn item(&mut self, key: &str, value: &Value) -> Result<Item, String> {
        let (name, modifiers) = key.split_once('|').unwrap_or((key, ""));
        let modifiers = Modifiers::read(modifiers)?;
        let values = match value {
            Value::Array(items) if items.is_empty() => return Err(format!("`{key}` has no values")),
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        if name.is_empty() {
            return keywords(values, modifiers.all);
        }
        let sources = match self.entry.field(self.table, name) {
            Found::Mapped(sources) => sources,
            Found::InRecord(source) => {
                self.unmapped.insert(name.to_owned());
                vec![source]
            }
        };
        if self.fields.len() < FACTS_MAX && !self.fields.iter().any(|known| known == name) {
            self.fields.push(name.to_owned());
        }
        let is_operation = matches!(sources.as_slice(), [source] if source.column == OPERATION);
        let test = |value: &Value| modifiers.test(value, is_operation).map_err(|reason| format!("`{key}`: {reason}"));
        let tests = values.iter().map(test).collect::<Result<_, _>>()?;
        Ok(Item { sources: Some(sources), tests, needs_all: modifiers.all, is_negated: modifiers.neq })
    }
}

/// Words anywhere in the record.
fn keywords(words: &[Value], needs_all: bool) -> Result<Item, String> {
    let test = |value: &Value| match scalar(value) {
        Some(text) => Ok(Test::Text(Pattern::new(&text, Place::Inside, false))),
        None => Err("a keyword is not text".to_owned()),
    };
    let tests = words.iter().map(test).collect::<Result<_, _>>()?;
    Ok(Item { sources: None, tests, needs_all, is_negated: false })
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Regex,
    Cidr,
    Exists,
    Compared(Order),
}

#[derive(Debug)]
struct Modifiers {
    place: Place,
    kind: Kind,
    flags: String,
    all: bool,
    neq: bool,
    cased: bool,
}

impl Modifiers {
    fn read(chain: &str) -> Result<Self, String> {
        let mut read =
            Self { place: Place::Whole, kind: Kind::Plain, flags: String::new(), all: false, neq: false, cased: false };
        for word in chain.split('|').filter(|word| !word.is_empty()) {
            read.add(word)?;
        }
        let is_placed = read.place != Place::Whole || read.cased;
        if is_placed && read.kind != Kind::Plain {
            return Err(format!("modifiers `{chain}` do not go together"));
        }
        if !read.flags.is_empty() && read.kind != Kind::Regex {
            return Err(format!("modifiers `{chain}`: flags belong to `re`"));
        }
        Ok(read)
    }

    fn add(&mut self, word: &str) -> Result<(), String> {
        match word {
            "contains" => self.place = Place::Inside,
            "startswith" => self.place = Place::Start,
            "endswith" => self.place = Place::End,
            "all" => self.all = true,
            "cased" => self.cased = true,
            "neq" => self.neq = true,
            "re" => self.kind = Kind::Regex,
            "i" | "ignorecase" => self.flags.push('i'),
            "m" | "multiline" => self.flags.push('m'),
            "s" | "dotall" => self.flags.push('s'),
            "cidr" => self.kind = Kind::Cidr,
            "exists" => self.kind = Kind::Exists,
            "lt" => self.kind = Kind::Compared(Order::Less),
            "lte" => self.kind = Kind::Compared(Order::AtMost),
            "gt" => self.kind = Kind::Compared(Order::Greater),
            "gte" => self.kind = Kind::Compared(Order::AtLeast),
            "expand" => return Err("placeholders (`expand`) have no values here".to_owned()),
            "base64" | "base64offset" | "wide" | "utf16" | "utf16le" | "utf16be" | "windash" | "fieldref"
            | "minute" | "hour" | "day" | "week" | "month" | "year" => {
                return Err(format!("modifier `{word}` is not supported yet"));
            }
            _ => return Err(format!("unknown modifier `{word}`")),
        }
        Ok(())
    }

    fn test(&self, value: &Value, is_operation: bool) -> Result<Test, String> {
        match self.kind {
            Kind::Plain => self.plain(value, is_operation),
            Kind::Regex => match scalar(value) {
                Some(text) => Ok(Test::Expression(pattern::regex(&text, &self.flags)?)),
                None => Err("not a regular expression".to_owned()),
            },
            Kind::Cidr => match value.as_str() {
                Some(text) => Ok(Test::Network(pattern::network(text)?)),
                None => Err("not a network".to_owned()),
            },
            Kind::Exists => match scalar(value).map(|text| text.to_lowercase()).as_deref() {
                Some("true" | "yes") => Ok(Test::Exists(true)),
                Some("false" | "no") => Ok(Test::Exists(false)),
                _ => Err("`exists` takes true or false".to_owned()),
            },
            Kind::Compared(order) => match scalar(value).and_then(|text| text.trim().parse().ok()) {
                Some(limit) => Ok(Test::Compared(order, limit)),
                None => Err(format!("`{value}` is not a number")),
            },
        }
    }

    fn plain(&self, value: &Value, is_operation: bool) -> Result<Test, String> {
        let place = self.place;
        match value {
            Value::Null => Ok(Test::Null),
            Value::String(text) if text.is_empty() && place == Place::Whole => Ok(Test::Empty),
            Value::String(text) if is_operation => {
                Ok(Test::Text(Pattern::new(&operation(text, place), place, self.cased)))
            }
            Value::Number(number) if place == Place::Whole => {
                let limit = number.as_f64().ok_or_else(|| format!("`{number}` is too large"))?;
                Ok(Test::Number(limit, Pattern::new(&number.to_string(), place, self.cased)))
            }
            _ => {
                let text = scalar(value).ok_or("a value is neither text, number, boolean nor null")?;
                Ok(Test::Text(Pattern::new(&text, place, self.cased)))
            }
        }
    }
}

/// Operations are stored with dashes folded and without blank or period at the end; a rule may quote them as they are
/// recorded.
fn operation(text: &str, place: Place) -> String {
    let folded: String =
        text.chars().map(|letter| if matches!(letter, '\u{2010}'..='\u{2015}') { '-' } else { letter }).collect();
    let ends_there = matches!(place, Place::Whole | Place::End);
    if ends_there { folded.trim_end().trim_end_matches('.').trim_end().to_owned() } else { folded }
}

//! One record with named fields, whichever export it came from: the same field has another name in Graph JSON, in
//! Log Analytics and in the portal's CSV of five languages.
//!
//! A format declares its fields and their spellings with `vocabulary!`; a [`Resolver`] learns each column name of an
//! input once; a [`Record`] holds one record's values by field.

pub(crate) mod reading;
pub(crate) mod tables;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::marker::PhantomData;
use std::sync::Arc;

use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

/// Distinct column names that a resolver remembers. Real exports have fewer than 300; hostile JSON could bring a new
/// one in every record.
const NAMES_MAX: usize = 4096;
/// Longest column name that is looked up, in bytes.
const NAME_BYTES_MAX: usize = 256;

/// Declares the fields of a format and how exports spell them. Spellings are compared as [`fold`] leaves them.
macro_rules! vocabulary {
    ($(#[doc = $about:literal])* $name:ident { $($field:ident: [$($spelling:literal),+ $(,)?],)+ }) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $name { $($field),+ }

        impl $crate::fields::Vocabulary for $name {
            const SPELLINGS: &'static [&'static [&'static str]] = &[$(&[$($spelling),+]),+];

            fn slot(self) -> usize {
                self as usize
            }
        }
    };
}
pub(crate) use vocabulary;

/// The fields of a format; made by `vocabulary!`.
pub(crate) trait Vocabulary: Copy + 'static {
    /// Spellings of each field, in the order of the fields.
    const SPELLINGS: &'static [&'static [&'static str]];
    /// Place of this field in that order.
    fn slot(self) -> usize;
}

/// Reduces a column name to what all its spellings share: compatibility forms, case, blanks and punctuation are gone,
/// and with them ` [UTC]` and the `_dynamic` and `_string` of Log Analytics. Another zone in brackets stays, because
/// such a column means something else.
pub(crate) fn fold(name: &str) -> String {
    let name = match name.split_once(" [") {
        Some((before, zone)) if zone.eq_ignore_ascii_case("utc]") => before,
        _ => name,
    };
    let name = name.strip_suffix("_dynamic").or_else(|| name.strip_suffix("_string")).unwrap_or(name);
    name.nfkc().flat_map(char::to_lowercase).filter(|letter| letter.is_alphanumeric()).collect()
}

/// Every spelling of a vocabulary, folded.
pub(crate) fn spellings<V: Vocabulary>() -> HashMap<String, usize> {
    let mut table = HashMap::new();
    for (slot, spellings) in V::SPELLINGS.iter().enumerate() {
        for spelling in *spellings {
            table.insert(fold(spelling), slot);
        }
    }
    table
}

/// Fields that these column names would fill.
pub(crate) fn recognised<'a, V: Vocabulary>(names: impl IntoIterator<Item = &'a str>) -> Recognised<V> {
    let table = spellings::<V>();
    let mut present = vec![false; V::SPELLINGS.len()];
    for name in names.into_iter().filter(|name| name.len() <= NAME_BYTES_MAX) {
        if let Some(slot) = table.get(&fold(name)) {
            present[*slot] = true;
        }
    }
    Recognised { present, vocabulary: PhantomData }
}

/// Which fields an input has.
pub(crate) struct Recognised<V> {
    present: Vec<bool>,
    vocabulary: PhantomData<V>,
}

impl<V: Vocabulary> Recognised<V> {
    /// Whether this field is there.
    pub fn has(&self, field: V) -> bool {
        self.present[field.slot()]
    }

    /// Whether one of these fields is there.
    pub fn any(&self, fields: &[V]) -> bool {
        fields.iter().any(|field| self.has(*field))
    }

    /// How many of these fields are there.
    pub fn count(&self, fields: &[V]) -> usize {
        fields.iter().filter(|field| self.has(**field)).count()
    }
}

#[derive(Debug, Clone)]
enum Target {
    Field(usize),
    Other(Arc<str>),
}

/// Learns what the column names of one input mean.
#[derive(Debug)]
pub(crate) struct Resolver<V> {
    spellings: HashMap<String, usize>,
    known: HashMap<String, Target>,
    vocabulary: PhantomData<V>,
}

impl<V: Vocabulary> Default for Resolver<V> {
    fn default() -> Self {
        Self { spellings: spellings::<V>(), known: HashMap::new(), vocabulary: PhantomData }
    }
}

impl<V: Vocabulary> Resolver<V> {
    fn target(&mut self, name: &str) -> Target {
        if let Some(target) = self.known.get(name) {
            return target.clone();
        }
        let folded = if name.len() > NAME_BYTES_MAX { name.to_owned() } else { fold(name) };
        let target = match self.spellings.get(&folded) {
            Some(slot) => Target::Field(*slot),
            None => Target::Other(folded.into()),
        };
        if self.known.len() < NAMES_MAX {
            self.known.insert(name.to_owned(), target.clone());
        }
        target
    }

    /// Whether a column of this name means nothing yet.
    pub fn is_unknown(&mut self, name: &str) -> bool {
        matches!(self.target(name), Target::Other(_))
    }

    /// Whether a column of this input is known to mean this field.
    pub fn has(&self, field: V) -> bool {
        self.known.values().any(|target| matches!(target, Target::Field(slot) if *slot == field.slot()))
    }

    /// From now on the column of this name means this field.
    pub fn assign(&mut self, name: &str, field: V) {
        self.known.insert(name.to_owned(), Target::Field(field.slot()));
    }
}

/// The values of one record by field. Of several columns with one meaning the first that is not empty counts.
#[derive(Debug)]
pub(crate) struct Record<V> {
    cells: Vec<Value>,
    others: Vec<(Arc<str>, Value)>,
    vocabulary: PhantomData<V>,
}

impl<V: Vocabulary> Default for Record<V> {
    fn default() -> Self {
        Self { cells: vec![Value::Null; V::SPELLINGS.len()], others: Vec::new(), vocabulary: PhantomData }
    }
}

impl<V: Vocabulary> Record<V> {
    /// Takes the columns of a record.
    pub fn of<'a>(resolver: &mut Resolver<V>, columns: impl IntoIterator<Item = (Cow<'a, str>, Value)>) -> Self {
        let mut record = Self::default();
        record.fill(resolver, columns);
        record
    }

    /// Takes more columns; what is already there stays.
    pub fn fill<'a>(&mut self, resolver: &mut Resolver<V>, columns: impl IntoIterator<Item = (Cow<'a, str>, Value)>) {
        for (name, value) in columns {
            if is_blank(&value) {
                continue;
            }
            match resolver.target(&name) {
                Target::Field(slot) if is_blank(&self.cells[slot]) => self.cells[slot] = value,
                Target::Field(_) => {}
                Target::Other(folded) => self.others.push((folded, value)),
            }
        }
    }

    /// The value as it is; `Null` where there is none.
    pub fn value(&self, field: V) -> &Value {
        &self.cells[field.slot()]
    }

    /// The text of a scalar without white space around it; `None` where it is empty or no scalar.
    pub fn text(&self, field: V) -> Option<String> {
        scalar(self.value(field)).map(Cow::into_owned)
    }

    /// The first of these fields that has a text.
    pub fn first(&self, fields: &[V]) -> Option<String> {
        fields.iter().find_map(|field| self.text(*field))
    }

    /// The object or list in this field, whether it stands there as such or as JSON in a text.
    pub fn nested(&mut self, field: V) -> Value {
        nested(std::mem::take(&mut self.cells[field.slot()]))
    }

    /// A whole number, also when it is spelled as text.
    pub fn integer(&self, field: V) -> Option<i64> {
        integer(self.value(field))
    }

    /// A number, also when it is spelled as text.
    pub fn float(&self, field: V) -> Option<f64> {
        float(self.value(field))
    }

    /// Yes or no, in any of the spellings of [`truth`].
    pub fn flag(&self, field: V) -> Option<bool> {
        truth(self.value(field))
    }

    /// Columns that are not in the vocabulary, by folded name.
    pub fn others(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.others.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

/// No value, an empty text or nothing but white space.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// The text of a scalar; `None` for empty texts, `null` and nested values.
pub(crate) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => {
            let text = text.trim();
            (!text.is_empty() && text != "null" && text != "<null>").then_some(Cow::Borrowed(text))
        }
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(flag) => Some(Cow::Borrowed(if *flag { "True" } else { "False" })),
        _ => None,
    }
}

/// The text of a scalar, owned.
pub(crate) fn text(value: &Value) -> Option<String> {
    scalar(value).map(Cow::into_owned)
}

/// A whole number, also when it is spelled as text.
pub(crate) fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64().or_else(|| {
            // Spread-sheet round trips leave `50126.0`.
            let float = number.as_f64()?;
            #[expect(clippy::cast_possible_truncation, reason = "a whole number within the range of exact floats")]
            let whole = (float.fract() == 0.0 && float.abs() < 9e15).then_some(float as i64);
            whole
        }),
        Value::String(text) => text.trim().trim_end_matches(".0").parse().ok(),
        _ => None,
    }
}

/// A number, also when it is spelled as text.
pub(crate) fn float(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// Yes or no in English, Japanese, French, German and Spanish, or as a number.
pub(crate) fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => number.as_i64().map(|number| number != 0),
        Value::String(text) => match fold(text.trim()).as_str() {
            "true" | "yes" | "1" | "はい" | "oui" | "vrai" | "ja" | "wahr" | "sí" | "si" | "verdadero" => Some(true),
            "false" | "no" | "0" | "いいえ" | "non" | "faux" | "nein" | "falsch" | "falso" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The object or list that a value is, or that its text spells: as JSON, or as PowerShell prints a small object
/// (`@{city=Kyoto; state=; countryOrRegion=JP}`). `Null` where there is neither.
pub(crate) fn nested(value: Value) -> Value {
    let Value::String(text) = value else {
        return if value.is_object() || value.is_array() { value } else { Value::Null };
    };
    let text = text.trim();
    if text.starts_with(['{', '[']) {
        return serde_json::from_str(text).unwrap_or(Value::Null);
    }
    let Some(inside) = text.strip_prefix("@{").and_then(|rest| rest.strip_suffix('}')) else { return Value::Null };
    let pairs = inside.split(';').filter_map(|pair| pair.split_once('='));
    Value::Object(pairs.map(|(name, value)| (name.trim().to_owned(), Value::from(value.trim()))).collect())
}

/// Member of an object, whatever the case of its name; `Null` where there is none.
pub(crate) fn member<'a>(value: &'a Value, name: &str) -> &'a Value {
    let Some(object) = value.as_object() else { return &Value::Null };
    object
        .get(name)
        .or_else(|| object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value))
        .unwrap_or(&Value::Null)
}

/// The elements of a list; an object counts as a list of itself, as some exporters unwrap lists of one.
pub(crate) fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Array(list) => list,
        Value::Object(_) => std::slice::from_ref(value),
        _ => &[],
    }
}

/// Name and value of the elements of `[{"key":..,"value":..}]` (or `Name`, `Value`), texts only.
pub(crate) fn key_values(list: &Value) -> impl Iterator<Item = (String, String)> + '_ {
    elements(list).iter().filter_map(|element| {
        let name = text(member(element, "key")).or_else(|| text(member(element, "name")))?;
        let value = member(element, "value");
        let value = text(value).or_else(|| (value.is_object() || value.is_array()).then(|| value.to_string()))?;
        Some((name, value))
    })
}

/// A JSON object of texts, or `None` if there is nothing in it.
pub(crate) fn json_object(pairs: BTreeMap<String, String>) -> Option<String> {
    (!pairs.is_empty()).then(|| {
        Value::Object(pairs.into_iter().map(|(name, value)| (name, Value::String(value))).collect()).to_string()
    })
}

/// A globally unique identifier: 8-4-4-4-12 hexadecimal digits.
pub(crate) fn is_guid(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == 36
        && bytes.iter().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The tenant in a resource path such as `/tenants/<id>/providers/Microsoft.aadiam`.
pub(crate) fn tenant_of_path(path: &str) -> Option<String> {
    let mut parts = path.split('/').skip_while(|part| !part.eq_ignore_ascii_case("tenants"));
    parts.nth(1).filter(|tenant| !tenant.is_empty()).map(str::to_lowercase)
}

/// Whether a cell is only the name of the class that the exporter failed to write out.
pub(crate) fn is_lossy(cell: &str) -> bool {
    ["System.Object", "System.Collections.", "System.String[]", "Microsoft.Graph.PowerShell.Models.", "Microsoft.Open."]
        .iter()
        .any(|class| cell.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    vocabulary! {
        /// Two fields.
        Two { First: ["first", "Erste Spalte"], Second: ["second (UTC)"], }
    }

    #[test]
    fn names_are_folded_to_what_their_spellings_share() {
        for (name, folded) in [
            ("Autonomous system  number", "autonomoussystemnumber"),
            ("Nom d’utilisateur", "nomdutilisateur"),
            ("TimeGenerated [UTC]", "timegenerated"),
            ("TimeGenerated [Local Time]", "timegeneratedlocaltime"),
            ("DeviceDetail_dynamic", "devicedetail"),
            ("ｻｲﾝｲﾝ ｴﾗｰ", "サインインエラー"),
        ] {
            assert_eq!(fold(name), folded);
        }
    }

    #[test]
    fn the_first_column_that_is_not_empty_counts() {
        let mut resolver = Resolver::<Two>::default();
        let columns = [("first", ""), ("ERSTE  SPALTE", "a"), ("First", "b"), ("else", "c")];
        let record = Record::of(&mut resolver, columns.map(|(name, cell)| (Cow::Borrowed(name), Value::from(cell))));
        assert_eq!((record.text(Two::First).as_deref(), record.text(Two::Second)), (Some("a"), None));
        assert_eq!(record.others().map(|(name, _)| name).collect::<Vec<_>>(), ["else"]);
    }

    #[test]
    fn no_spelling_names_two_fields() {
        fn check<V: Vocabulary>(name: &str) {
            let mut seen: HashMap<String, usize> = HashMap::new();
            for (slot, spellings) in V::SPELLINGS.iter().enumerate() {
                for spelling in *spellings {
                    let before = seen.insert(fold(spelling), slot);
                    assert!(before.is_none_or(|before| before == slot), "{name}: {spelling}");
                }
            }
        }
        check::<crate::formats::entra_sign_in::SignIn>("sign-in");
        check::<crate::formats::entra_audit::Audit>("audit");
        check::<crate::formats::message_trace::Trace>("trace");
    }

    #[test]
    fn nested_values_are_found_in_objects_and_in_texts() {
        assert_eq!(nested(Value::from("{\"a\":1}"))["a"], 1);
        assert_eq!(nested(Value::from("@{city=Kyoto; state=}"))["city"], "Kyoto");
        assert!(nested(Value::from("{broken")).is_null() && nested(Value::from("word")).is_null());
        assert_eq!(integer(&Value::from("50126.0")), Some(50126));
        assert_eq!(truth(&Value::from("いいえ")), Some(false));
        assert_eq!(tenant_of_path("/tenants/AB/providers/x").as_deref(), Some("ab"));
    }
}

//! JSON whose shape depends on who wrote it: numbers as text, objects as text, lists of pairs as objects or as text.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Most items taken from one list inside a record.
const ITEMS_MAX: usize = 100_000;

/// Text, whatever JSON type it was written with: `15` and `"15"` are the same, `null` is empty, objects and arrays are
/// their JSON text.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Text<'_> {
    /// The text, unless it says nothing.
    pub fn get(&self) -> Option<&str> {
        super::text(&self.0)
    }

    /// The text as an owned string, unless it says nothing.
    pub fn owned(&self) -> Option<String> {
        self.get().map(str::to_owned)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text.to_owned())))
    }
    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(text)))
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Text(Cow::Borrowed(if flag { "True" } else { "False" })))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Text(Cow::Owned(number.to_string())))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Text::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Self::Value, A::Error> {
        let value = Value::deserialize(serde::de::value::SeqAccessDeserializer::new(items))?;
        Ok(Text(Cow::Owned(value.to_string())))
    }
    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        let value = Value::deserialize(serde::de::value::MapAccessDeserializer::new(entries))?;
        Ok(Text(Cow::Owned(value.to_string())))
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor)
    }
}

/// A value that may also have been written as text: `{"a":1}` and `"{\"a\":1}"` are the same.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Json(pub Value);

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(deserializer)? {
            Value::String(text) => json_text(&text).unwrap_or(Value::String(text)),
            value => value,
        }))
    }
}

/// The object or array that a text holds; `None` where it holds neither.
pub fn json_text(text: &str) -> Option<Value> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// Names with their values, in order, from any of: `[{"Name":...,"Value":...}]` (also `key`/`value`), an object,
/// either of these as text, or the arguments of a cmdlet as text (`-Name "foo" -Description ""`).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Pairs<'a>(pub Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Pairs<'a> {
    /// The value of a name, whatever its case; `None` where it says nothing.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).and_then(|(_, value)| super::text(value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an exporter lost the values: what is left is the name of a type.
    pub fn is_lost(&self) -> bool {
        self.0.iter().any(|(name, value)| name.is_empty() && super::is_lost(value))
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// From text: JSON of either shape, or the arguments of a cmdlet.
    pub fn from_text(text: &'a str) -> Self {
        if super::is_lost(text) {
            return Self(vec![(Cow::Borrowed(""), Cow::Borrowed(text))]);
        }
        match json_text(text) {
            Some(value) => Self::from_value(&value),
            None if text.trim_start().starts_with("@{") => Self(text.split("@{").filter_map(shown_pair).collect()),
            None => Self(parameters(text)),
        }
    }

    /// From a value of any shape.
    pub fn from_value(value: &Value) -> Pairs<'static> {
        let mut pairs = Vec::new();
        match value {
            Value::Array(items) => {
                for item in items.iter().filter_map(Value::as_object) {
                    let field = |names: [&str; 6]| names.iter().find_map(|name| item.get(*name));
                    if let Some(name) = field(["Name", "name", "Key", "key", "Type", "type"]) {
                        let value =
                            field(["Value", "value", "NewValue", "ID", "Id", "id"]).map(plain).unwrap_or_default();
                        pairs.push((plain(name).into(), value.into()));
                    }
                }
            }
            Value::Object(entries) => {
                pairs.extend(entries.iter().map(|(name, value)| (name.clone().into(), plain(value).into())));
            }
            Value::String(text) => {
                let owned = Pairs::from_text(text).0.into_iter();
                pairs.extend(owned.map(|(name, value)| (name.into_owned().into(), value.into_owned().into())));
            }
            _ => {}
        }
        Pairs(pairs)
    }
}

/// A value as text: strings without quotes, booleans as the cmdlets write them.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        Value::Bool(flag) => if *flag { "True" } else { "False" }.to_owned(),
        other => other.to_string(),
    }
}

struct PairsVisitor;

impl<'de> Visitor<'de> for PairsVisitor {
    type Value = Pairs<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names with values")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Pairs::from_text(text))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Pairs::from_value(&Value::String(text.to_owned())))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Pairs::default())
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Pairs::default())
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Pairs::default())
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Pairs::default())
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Pairs::default())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = items.next_element_seed(PairSeed)? {
            if let Some(pair) = pair
                && pairs.len() < ITEMS_MAX
            {
                pairs.push(pair);
            }
        }
        Ok(Pairs(pairs))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((name, value)) = entries.next_entry::<Text<'de>, Text<'de>>()? {
            pairs.push((name.0, value.0));
        }
        Ok(Pairs(pairs))
    }
}

impl<'de> Deserialize<'de> for Pairs<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PairsVisitor)
    }
}

/// What PowerShell shows of an object that it does not follow any deeper: `@{Name=Force; Value=False}`, here without the
/// opening.
fn shown_pair(text: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    let text = text.trim().strip_suffix('}')?;
    let (first, second) = text.split_once("; ")?;
    let (name, value) = (first.split_once('=')?, second.split_once('=')?);
    match (name, value) {
        (("Name" | "Key", name), ("Value", value)) | (("Value", value), ("Name" | "Key", name)) => {
            Some((Cow::Borrowed(name), Cow::Borrowed(value)))
        }
        (("ID", id), ("Type", kind)) | (("Type", kind), ("ID", id)) => Some((Cow::Borrowed(kind), Cow::Borrowed(id))),
        _ => None,
    }
}

/// One `{"Name":...,"Value":...}`; anything else in the list is passed over.
struct PairSeed;

impl<'de> DeserializeSeed<'de> for PairSeed {
    type Value = Option<(Cow<'de, str>, Cow<'de, str>)>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PairSeed {
    type Value = Option<(Cow<'de, str>, Cow<'de, str>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name with its value")
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        if super::is_lost(text) {
            return Ok(Some((Cow::Borrowed(""), Cow::Owned(text.to_owned()))));
        }
        let pair = text.trim_start().strip_prefix("@{").and_then(shown_pair);
        Ok(pair.map(|(name, value)| (name.into_owned().into(), value.into_owned().into())))
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<serde::de::IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut name, mut value, mut kind, mut id) = (None, None, None, None);
        while let Some(key) = entries.next_key::<Text<'de>>()? {
            match key.0.as_ref() {
                "Name" | "name" | "Key" | "key" => name = Some(entries.next_value::<Text<'de>>()?.0),
                "Value" | "value" => value = Some(entries.next_value::<Text<'de>>()?.0),
                // Actors and targets are ids by type.
                "Type" | "type" => kind = Some(entries.next_value::<Text<'de>>()?.0),
                "ID" | "Id" | "id" => id = Some(entries.next_value::<Text<'de>>()?.0),
                _ => {
                    entries.next_value::<serde::de::IgnoredAny>()?;
                }
            }
        }
        Ok(name.or(kind).map(|name| (name, value.or(id).unwrap_or_default())))
    }
}

/// The arguments of a cmdlet: `-Name "foo" -Enabled:$true -Force` gives Name=foo, Enabled=True, Force=True.
pub fn parameters(text: &str) -> Vec<(Cow<'_, str>, Cow<'_, str>)> {
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = Vec::new();
    let mut name: Option<&str> = None;
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (token, is_quoted, after) = token(rest);
        rest = after.trim_start();
        let is_name = !is_quoted
            && token.len() > 1
            && token.starts_with('-')
            && !token.starts_with("-0")
            && token.parse::<f64>().is_err();
        if is_name {
            if let Some(flag) = name.take() {
                pairs.push((flag.into(), "True".into()));
            }
            let bare = token.trim_start_matches('-');
            match bare.split_once(':') {
                Some((bare, "")) => name = Some(bare),
                Some((bare, value)) => pairs.push((bare.into(), argument(value))),
                None => name = Some(bare),
            }
        } else if let Some(name) = name.take() {
            pairs.push((name.into(), if is_quoted { unquote(token) } else { argument(token) }));
        }
        if pairs.len() >= ITEMS_MAX {
            break;
        }
    }
    if let Some(flag) = name {
        pairs.push((flag.into(), "True".into()));
    }
    pairs
}

/// The next argument, without its outer quotes, whether it had any, and what follows.
fn token(text: &str) -> (&str, bool, &str) {
    let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) else {
        let end = text.find(char::is_whitespace).unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return (token, false, rest);
    };
    let inner = text.split_at(1).1;
    let mut from = 0;
    while let Some(at) = inner.get(from..).and_then(|tail| tail.find(quote)).map(|at| at + from) {
        let (before, after) = inner.split_at(at);
        let after = after.split_at(1).1;
        if after.starts_with(quote) {
            from = at + 2;
        } else if quote == '"' && before.ends_with('`') {
            from = at + 1;
        } else {
            return (before, true, after);
        }
    }
    (inner, true, "")
}

fn unquote(token: &str) -> Cow<'_, str> {
    if token.contains("\"\"") || token.contains("''") || token.contains('`') {
        Cow::Owned(token.replace("\"\"", "\"").replace("''", "'").replace("`\"", "\""))
    } else {
        Cow::Borrowed(token)
    }
}

fn argument(token: &str) -> Cow<'_, str> {
    match token {
        "$true" | "$True" => Cow::Borrowed("True"),
        "$false" | "$False" => Cow::Borrowed("False"),
        "$null" => Cow::Borrowed(""),
        other => Cow::Borrowed(other.trim_matches(['"', '\''])),
    }
}

/// A JSON object of text from names and values, in their order; `None` without any. Of equal names the first stands.
pub fn json_object<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Option<String> {
    // The few names of most records are compared one by one; many need a set.
    const COMPARED_MAX: usize = 32;
    let mut json = Vec::new();
    let (mut names, mut seen): (Vec<N>, HashSet<String>) = (Vec::new(), HashSet::new());
    for (name, value) in pairs {
        let is_new = if names.len() < COMPARED_MAX {
            names.iter().all(|known| known.as_ref() != name.as_ref())
        } else {
            if seen.is_empty() {
                seen.extend(names.iter().map(|known| known.as_ref().to_owned()));
            }
            seen.insert(name.as_ref().to_owned())
        };
        if !is_new {
            continue;
        }
        json.push(if names.is_empty() { b'{' } else { b',' });
        // Writing text to memory cannot fail.
        let _written = serde_json::to_writer(&mut json, name.as_ref());
        json.push(b':');
        let _written = serde_json::to_writer(&mut json, value.as_ref());
        names.push(name);
    }
    if names.is_empty() {
        return None;
    }
    json.push(b'}');
    String::from_utf8(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(json: &str) -> Vec<(String, String)> {
        let pairs: Pairs<'_> = serde_json::from_str(json).unwrap();
        pairs.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn text_takes_every_type() {
        let texts: Vec<Text<'_>> =
            serde_json::from_str(r#"["15",15,-2,1.5,true,null,{"b":1,"a":[2]},[1,"x"],"a\\b"]"#).unwrap();
        let texts: Vec<_> = texts.iter().map(|text| text.0.as_ref()).collect();
        assert_eq!(texts, ["15", "15", "-2", "1.5", "True", "", r#"{"a":[2],"b":1}"#, r#"[1,"x"]"#, r"a\b"]);
    }

    #[test]
    fn pairs_come_in_every_shape() {
        let expected = owned(&[("Name", "a b"), ("Force", "False")]);
        assert_eq!(pairs(r#"[{"Name":"Name","Value":"a b"},{"Name":"Force","Value":"False"}]"#), expected);
        assert_eq!(pairs(r#"[{"Value":"a b","Name":"Name"},{"key":"Force","value":false}]"#), expected);
        assert_eq!(pairs(r#"{"Name":"a b","Force":false}"#), expected);
        assert_eq!(
            pairs(r#""[{\"Name\":\"Name\",\"Value\":\"a b\"},{\"Name\":\"Force\",\"Value\":\"False\"}]""#),
            expected
        );
        assert_eq!(pairs(r#""-Name \"a b\" -Force:$false""#), expected);
        assert_eq!(pairs(r#"["@{Name=Name; Value=a b}","@{Name=Force; Value=False}"]"#), expected);
        assert_eq!(
            pairs(r#"[{"ID":"User_1","Type":2},{"ID":"a@b","Type":5}]"#),
            owned(&[("2", "User_1"), ("5", "a@b")])
        );
        assert_eq!(pairs("[]"), []);
        assert_eq!(pairs("null"), []);
        assert_eq!(pairs("7"), []);
        assert_eq!(pairs(r#"["text",[1],{"x":1}]"#), []);
    }

    #[test]
    fn a_lost_value_is_seen() {
        for json in [r#""System.Object[]""#, r#"["System.Collections.Hashtable"]"#] {
            let pairs: Pairs<'_> = serde_json::from_str(json).unwrap();
            assert!(pairs.is_lost(), "{json}");
        }
        assert!(!Pairs::from_text("-Name System").is_lost());
    }

    #[test]
    fn arguments_of_cmdlets_are_read() {
        let read = |text| -> Vec<(String, String)> {
            parameters(text).into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
        };
        assert_eq!(
            read(r#"-Identity "a""b" -Force -Limit -5 -Days:30 -Users 'x y' -Empty """#),
            owned(&[
                ("Identity", "a\"b"),
                ("Force", "True"),
                ("Limit", "-5"),
                ("Days", "30"),
                ("Users", "x y"),
                ("Empty", ""),
            ])
        );
        assert_eq!(read(r#"-Name "never closed"#), owned(&[("Name", "never closed")]));
        assert_eq!(read(""), []);
    }

    #[test]
    fn an_object_of_text_keeps_the_first_of_equals() {
        assert_eq!(json_object([("b", "1"), ("a", "\"\u{1}"), ("b", "2")]).unwrap(), r#"{"b":"1","a":"\"\u0001"}"#);
        assert_eq!(json_object::<&str, &str>([]), None);
    }
}

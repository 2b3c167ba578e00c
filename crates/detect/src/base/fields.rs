//! The JSON objects of text inside a row: cmdlet parameters, modified properties.

use std::collections::BTreeMap;

/// Arguments by name. Look-ups ignore case, because exporters do.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, (String, String)>);

impl Fields {
    /// The argument of this name; empty text counts as absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.trim().is_empty())
    }

    /// The argument as recorded, empty or not.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.get(&name.to_lowercase()).map(|(_, value)| value.as_str())
    }

    /// Whether this switch is on.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(truthy)
    }

    /// Names as recorded and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.values().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of these names that are there, as `Name=value, ...` for a fact; long values are cut.
    pub fn told(&self, names: &[&str]) -> String {
        let told = names.iter().filter_map(|name| Some(format!("{name}={}", shortened(self.get(name)?))));
        told.collect::<Vec<_>>().join(", ")
    }
}

/// Characters of a value that a fact repeats: enough to recognise it, too few to drown the line.
const FACT_VALUE_CHARS_MAX: usize = 160;

fn shortened(value: &str) -> String {
    let mut short: String = value.chars().take(FACT_VALUE_CHARS_MAX).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    short
}

/// Reads a JSON object of text; anything else gives no fields.
pub fn fields(json: Option<&str>) -> Fields {
    let Some(Ok(serde_json::Value::Object(object))) = json.map(serde_json::from_str) else { return Fields::default() };
    Fields(object.into_iter().map(|(name, value)| (name.to_lowercase(), (name, text_of(value)))).collect())
}

/// Reads modified properties: name → (old, new), names as recorded.
pub fn modified(json: Option<&str>) -> BTreeMap<String, (String, String)> {
    let Some(Ok(serde_json::Value::Object(object))) = json.map(serde_json::from_str) else { return BTreeMap::new() };
    object
        .into_iter()
        .map(|(name, mut value)| {
            let mut take =
                |side: &str| value.get_mut(side).map(serde_json::Value::take).map(text_of).unwrap_or_default();
            let (old, new) = (take("old"), take("new"));
            (name, (old, new))
        })
        .collect()
}

fn text_of(value: serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text,
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `True`, `$true`, `1`, `yes`.
pub fn truthy(value: &str) -> bool {
    matches!(value.trim().trim_start_matches('$').to_lowercase().as_str(), "true" | "1" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ignore_case_and_empty_is_absent() {
        let fields = fields(Some(r#"{"DeleteMessage":"True","ForwardTo":"","Priority":1}"#));
        assert!(fields.is_on("deletemessage"));
        assert_eq!((fields.get("ForwardTo"), fields.raw("ForwardTo")), (None, Some("")));
        assert_eq!(fields.told(&["Priority", "ForwardTo"]), "Priority=1");
    }

    #[test]
    fn hostile_json_gives_nothing() {
        assert!(fields(Some("[1,2")).is_empty());
        assert!(modified(Some("7")).is_empty());
    }
}

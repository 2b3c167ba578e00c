//! What was changed: the target resources of a record, from JSON or from the portal's numbered columns.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fields::{elements, member, text};

/// Targets of a record that are looked at, and properties of a target. Real records stay below a hundred.
const TARGETS_MAX: usize = 1024;

/// One thing that was changed.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Target {
    /// `User`, `Application`, `ServicePrincipal`, `Role`.
    pub kind: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Directory object id.
    pub uid: Option<String>,
    /// User principal name.
    pub principal: Option<String>,
    /// Property, old and new value as the record has them.
    pub modified: Vec<(String, Value, Value)>,
}

impl Target {
    fn of(value: &Value) -> Self {
        let properties = elements(member(value, "modifiedProperties"));
        let modified = properties.iter().take(TARGETS_MAX).filter_map(|property| {
            let name = text(member(property, "displayName")).or_else(|| text(member(property, "name")))?;
            Some((name, member(property, "oldValue").clone(), member(property, "newValue").clone()))
        });
        Self {
            kind: text(member(value, "type")),
            name: text(member(value, "displayName")),
            uid: text(member(value, "id")),
            principal: text(member(value, "userPrincipalName")),
            modified: modified.collect(),
        }
    }

    /// How much this target tells: a name more than an identifier alone.
    fn tells(&self) -> u8 {
        match (self.principal.is_some() || self.name.is_some(), self.uid.is_some()) {
            (true, _) => 2,
            (false, true) => 1,
            (false, false) => 0,
        }
    }

    /// Its name: the principal name of a user, the display name of anything else.
    pub fn label(&self) -> Option<String> {
        self.principal.as_ref().map(|name| name.to_lowercase()).or_else(|| self.name.clone())
    }
}

/// The targets in a list of objects.
pub(super) fn of_json(list: &Value) -> Vec<Target> {
    elements(list).iter().take(TARGETS_MAX).map(Target::of).collect()
}

/// The first target that has a name, else the first that has an identifier.
pub(super) fn telling(targets: &[Target]) -> Option<&Target> {
    let best = targets.iter().map(Target::tells).max().filter(|best| *best > 0)?;
    targets.iter().find(|target| target.tells() == best)
}

/// Words that begin the numbered columns of the portal, folded.
const TARGET_WORDS: [&str; 7] = ["target", "objetivo", "destino", "cible", "ziel", "ターゲット", "対象"];
const PROPERTY_WORDS: [&str; 9] = [
    "modifiedproperty",
    "propiedadmodificada",
    "propriétémodifiée",
    "geänderteeigenschaft",
    "変更されたプロパティ",
    "変更プロパティ",
    "propiedad",
    "propriété",
    "eigenschaft",
];
const DETAIL_WORDS: [&str; 5] =
    ["additionaldetail", "detalleadicional", "détailsupplémentaire", "zusätzlichesdetail", "追加の詳細"];

/// What a column of a target holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Kind,
    Name,
    Uid,
    Principal,
    Property(usize, Side),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Name,
    Old,
    New,
}

/// A word, a number and the rest.
fn numbered<'a>(name: &'a str, words: &[&str]) -> Option<(usize, &'a str)> {
    let rest = words.iter().find_map(|word| name.strip_prefix(word))?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (digits, rest) = rest.split_at(end);
    let number: usize = digits.parse().ok()?;
    (1..=TARGETS_MAX).contains(&number).then_some((number, rest))
}

fn part(rest: &str) -> Option<Part> {
    if let Some((number, side)) = numbered(rest, &PROPERTY_WORDS) {
        let side =
            match side {
                "name" | "nombre" | "nom" | "名前" | "の名前" => Side::Name,
                "oldvalue" | "valorantiguo" | "valoranterior" | "anciennevaleur" | "alterwert" | "古い値"
                | "の古い値" => Side::Old,
                "newvalue" | "valornuevo" | "nuevovalor" | "nouvellevaleur" | "neuerwert" | "新しい値"
                | "の新しい値" => Side::New,
                _ => return None,
            };
        return Some(Part::Property(number, side));
    }
    Some(match rest {
        "type" | "tipo" | "typ" | "種類" | "の種類" => Part::Kind,
        "displayname" | "nombreparamostrar" | "nomdaffichage" | "nomcomplet" | "anzeigename" | "表示名"
        | "の表示名" => Part::Name,
        "objectid"
        | "id"
        | "iddeobjeto"
        | "iddobjet"
        | "idobjet"
        | "objektid"
        | "オブジェクトid"
        | "のオブジェクトid" => Part::Uid,
        "userprincipalname"
        | "nombreprincipaldeusuario"
        | "nomdutilisateurprincipal"
        | "nomprincipaldelutilisateur"
        | "benutzerprinzipalname"
        | "ユーザープリンシパル名"
        | "のユーザープリンシパル名" => Part::Principal,
        _ => return None,
    })
}

/// Whether this folded column name is one of the portal's numbered target columns.
pub(super) fn is_target_column(name: &str) -> bool {
    numbered(name, &TARGET_WORDS).is_some_and(|(_, rest)| part(rest).is_some())
}

/// The targets in the portal's numbered columns (folded names).
pub(super) fn of_columns<'a>(columns: impl Iterator<Item = (&'a str, &'a Value)>) -> Vec<Target> {
    let mut targets: BTreeMap<usize, Target> = BTreeMap::new();
    let mut properties: BTreeMap<(usize, usize), [Value; 3]> = BTreeMap::new();
    for (name, value) in columns {
        let Some((number, rest)) = numbered(name, &TARGET_WORDS) else { continue };
        let Some(part) = part(rest) else { continue };
        let target = targets.entry(number).or_default();
        match part {
            Part::Kind => target.kind = text(value),
            Part::Name => target.name = text(value),
            Part::Uid => target.uid = text(value),
            Part::Principal => target.principal = text(value),
            Part::Property(place, side) => {
                properties.entry((number, place)).or_default()[side as usize] = value.clone();
            }
        }
    }
    for ((number, _), [name, old, new]) in properties {
        if let (Some(target), Some(name)) = (targets.get_mut(&number), text(&name)) {
            target.modified.push((name, old, new));
        }
    }
    targets.into_values().collect()
}

/// The additional details in the portal's numbered columns (folded names).
pub(super) fn details_of_columns<'a>(columns: impl Iterator<Item = (&'a str, &'a Value)>) -> BTreeMap<String, String> {
    let mut pairs: BTreeMap<usize, (Option<String>, Option<String>)> = BTreeMap::new();
    for (name, value) in columns {
        let Some((number, rest)) = numbered(name, &DETAIL_WORDS) else { continue };
        let pair = pairs.entry(number).or_default();
        match rest {
            "key" | "name" | "clave" | "clé" | "schlüssel" | "キー" | "のキー" => pair.0 = text(value),
            "value" | "valor" | "valeur" | "wert" | "値" | "の値" => pair.1 = text(value),
            _ => {}
        }
    }
    pairs.into_values().filter_map(|(name, value)| name.zip(value)).collect()
}

/// The modified properties of all targets as `{"property":{"old":"...","new":"..."}}`. A property that another target
/// changed otherwise is numbered, so that neither hides the other.
pub(super) fn modified(targets: &[Target]) -> Option<String> {
    let mut all: BTreeMap<String, Value> = BTreeMap::new();
    for (name, old, new) in targets.iter().flat_map(|target| &target.modified).take(TARGETS_MAX) {
        let change = json!({ "old": unquoted(old), "new": unquoted(new) });
        let mut key = name.clone();
        let mut number = 1;
        while all.get(&key).is_some_and(|known| *known != change) {
            number += 1;
            key = format!("{name} ({number})");
        }
        all.insert(key, change);
    }
    (!all.is_empty()).then(|| Value::Object(all.into_iter().collect()).to_string())
}

/// The value of a property as text: the log writes `"\"Global Administrator\""` for a plain text, and JSON for lists.
fn unquoted(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(written) => {
            let written = written.trim();
            match serde_json::from_str::<Value>(written) {
                Ok(Value::String(plain)) => plain,
                Ok(Value::Null) => String::new(),
                // Numbers and booleans are spelled as they are; lists and objects stay JSON.
                Ok(_) | Err(_) => written.to_owned(),
            }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_in_json_texts_are_unquoted_and_lists_stay() {
        for (written, plain) in [
            (r#""\"Global Administrator\"""#, "Global Administrator"),
            (r#""[\"a\",\"b\"]""#, r#"["a","b"]"#),
            (r#""True""#, "True"),
            ("null", ""),
            (r#""null""#, ""),
            ("true", "true"),
        ] {
            assert_eq!(unquoted(&serde_json::from_str(written).unwrap()), plain, "{written}");
        }
    }

    #[test]
    fn properties_that_two_targets_change_differently_are_both_kept() {
        let target = |new: &str| Target {
            modified: vec![("Role".to_owned(), Value::Null, Value::from(new))],
            ..Target::default()
        };
        assert_eq!(
            modified(&[target("a"), target("a"), target("b")]).unwrap(),
            r#"{"Role":{"new":"a","old":""},"Role (2)":{"new":"b","old":""}}"#
        );
    }

    #[test]
    fn numbered_columns_are_understood_in_several_languages() {
        for name in
            ["target1displayname", "objetivo1nombreprincipaldeusuario", "ターゲット2の表示名", "ziel1anzeigename"]
        {
            assert!(is_target_column(name), "{name}");
        }
        for name in ["target", "target0type", "targetdisplayname", "target99999999999999999999type"] {
            assert!(!is_target_column(name), "{name}");
        }
    }
}

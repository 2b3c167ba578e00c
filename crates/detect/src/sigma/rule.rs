//! What a rule says about itself, and its detection as it was written.

use matagi_model::{EntityKind, Role, Severity, Stage, Text, Uid};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Entities that a rule without a `matagi` block is about.
const ENTITIES_DEFAULT: [(&str, EntityKind, Role); 3] = [
    ("user_name", EntityKind::User, Role::Actor),
    ("src_ip", EntityKind::Ip, Role::Source),
    ("mailbox", EntityKind::Mailbox, Role::Victim),
];
/// Characters of an id, a title and the like: what is longer is no title.
const WORDS_CHARS_MAX: usize = 500;

/// Where events come from, as the rule says it.
#[derive(Debug, Default, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogSource {
    /// `m365`, `azure`.
    pub product: Option<String>,
    /// `process_creation`.
    pub category: Option<String>,
    /// `audit`, `signinlogs`.
    pub service: Option<String>,
}

/// A field whose value is an entity of the finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityField {
    /// Field, in the rule's spelling or a column.
    pub field: String,
    /// Kind of the entity.
    pub kind: EntityKind,
    /// Its role.
    pub role: Role,
}

/// A rule for single events.
#[derive(Debug, Clone)]
pub struct SigmaRule {
    /// Its id; where the rule has none, one made of its content.
    pub id: String,
    /// File.
    pub path: String,
    /// Title; in English where the rule has no Japanese one.
    pub title: Text,
    /// Description in both languages.
    pub description: Text,
    /// `stable`, `test`, `experimental`, `deprecated`, `unsupported`.
    pub status: String,
    /// Severity of its findings.
    pub level: Severity,
    /// Where its events come from.
    pub logsource: LogSource,
    /// ATT&CK techniques of its tags, upper case.
    pub techniques: Vec<String>,
    /// What else may look like this.
    pub false_positives: Vec<String>,
    /// Catalogue ids, such as `MBX-061`.
    pub catalogue: Vec<String>,
    /// Part of a takeover.
    pub stage: Stage,
    /// What its findings are about; the first is what findings are gathered by.
    pub entities: Vec<EntityField>,
    /// Fields to print with the evidence.
    pub facts: Vec<String>,
    /// The only tables it runs on; all of its log source where there are none.
    pub tables: Vec<String>,
    /// The sentence behind its reason, with `{fields}`; a general one where the rule has none.
    pub reason: Option<Text>,
    /// Selections and condition, as written.
    pub(super) detection: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    title_ja: Option<String>,
    description_ja: Option<String>,
    #[serde(default)]
    catalogue: Vec<String>,
    stage: Option<Stage>,
    #[serde(default)]
    entities: Vec<OwnEntity>,
    #[serde(default)]
    facts: Vec<String>,
    #[serde(default)]
    tables: Vec<String>,
    reason: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnEntity {
    field: String,
    kind: EntityKind,
    role: Role,
}

impl SigmaRule {
    /// Id of the findings' analytic.
    pub fn analytic(&self) -> String {
        format!("sigma/{}", self.id)
    }

    /// What the rule looks for.
    pub fn question(&self) -> Text {
        if self.description.en.is_empty() { self.title.clone() } else { self.description.clone() }
    }

    /// Reads one document.
    ///
    /// # Errors
    /// Why it is no rule for single events that we can carry out.
    pub(super) fn read(path: &str, document: &Value) -> Result<Self, String> {
        let document = document.as_object().ok_or("not a mapping")?;
        refuse_other_documents(document)?;
        let title = words(document, "title")?.ok_or("has no title")?;
        let own: Own = match document.get("matagi") {
            Some(block) => Own::deserialize(block).map_err(|error| format!("`matagi` block: {error}"))?,
            None => Own::deserialize(Value::Object(Map::new())).expect("every part is optional"),
        };
        let detection = document.get("detection").and_then(Value::as_object).ok_or("has no detection")?.clone();
        let tags = strings(document, "tags")?;
        let description = words(document, "description")?.unwrap_or_default();
        let level = words(document, "level")?.unwrap_or_else(|| "medium".to_owned());
        Ok(Self {
            id: id_of(document, &title)?,
            path: path.to_owned(),
            title: both(&title, own.title_ja),
            description: both(&description, own.description_ja),
            status: words(document, "status")?.unwrap_or_else(|| "experimental".to_owned()),
            level: level.to_lowercase().parse().map_err(|error: String| format!("level: {error}"))?,
            logsource: logsource(document)?,
            techniques: techniques(&tags),
            false_positives: strings(document, "falsepositives")?,
            catalogue: own.catalogue,
            stage: own.stage.unwrap_or_else(|| stage_of(&tags)),
            entities: entities(own.entities),
            facts: own.facts,
            tables: own.tables,
            reason: own.reason,
            detection,
        })
    }
}

fn refuse_other_documents(document: &Map<String, Value>) -> Result<(), String> {
    if document.contains_key("correlation") {
        return Err("correlation rules are not supported yet".to_owned());
    }
    if document.contains_key("filter") {
        return Err("filters are not supported yet".to_owned());
    }
    if document.contains_key("action") {
        return Err("rule collections with `action` are not supported".to_owned());
    }
    if document.get("taxonomy").is_some_and(|taxonomy| taxonomy.as_str() != Some("sigma")) {
        return Err("its taxonomy is not `sigma`".to_owned());
    }
    Ok(())
}

fn both(english: &str, japanese: Option<String>) -> Text {
    let english = english.trim().to_owned();
    let japanese = japanese.map_or_else(|| english.clone(), |text| text.trim().to_owned());
    Text { en: english.into(), ja: japanese.into() }
}

/// A scalar as text.
fn words(document: &Map<String, Value>, key: &str) -> Result<Option<String>, String> {
    let text = match document.get(key) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) => return Err(format!("`{key}` is not text")),
    };
    // A description may be long; it is cut, not refused.
    let text: String = text.chars().take(WORDS_CHARS_MAX).collect();
    Ok((!text.trim().is_empty()).then_some(text))
}

/// A list of scalars, or one scalar, as texts.
fn strings(document: &Map<String, Value>, key: &str) -> Result<Vec<String>, String> {
    let of = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(format!("`{key}` is not a list of texts")),
    };
    match document.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items.iter().map(of).collect(),
        Some(value) => Ok(vec![of(value)?]),
    }
}

fn logsource(document: &Map<String, Value>) -> Result<LogSource, String> {
    let block = document.get("logsource").and_then(Value::as_object).ok_or("has no logsource")?;
    let part = |key| Ok::<_, String>(words(block, key)?.map(|text| text.trim().to_lowercase()));
    Ok(LogSource { product: part("product")?, category: part("category")?, service: part("service")? })
}

/// The rule's id where it has one; else its name, else one made of what it says.
fn id_of(document: &Map<String, Value>, title: &str) -> Result<String, String> {
    if let Some(id) = words(document, "id")? {
        return Ok(id.trim().to_lowercase());
    }
    if let Some(name) = words(document, "name")? {
        return Ok(name.trim().to_owned());
    }
    let detection = document.get("detection").map(Value::to_string).unwrap_or_default();
    Ok(Uid::of(&[b"sigma-rule", title.as_bytes(), detection.as_bytes()]).to_string())
}

fn techniques(tags: &[String]) -> Vec<String> {
    let technique = |tag: &String| {
        let id = tag.to_lowercase().strip_prefix("attack.")?.to_uppercase();
        let digits = id.strip_prefix('T')?;
        digits.starts_with(|first: char| first.is_ascii_digit()).then_some(id)
    };
    tags.iter().filter_map(technique).collect()
}

/// The part of a takeover that the tactic of a rule speaks of.
fn stage_of(tags: &[String]) -> Stage {
    let tactic = |tag: &String| match tag.to_lowercase().replace('_', "-").as_str() {
        "attack.persistence" | "attack.privilege-escalation" => Some(Stage::Persistence),
        "attack.credential-access" | "attack.reconnaissance" => Some(Stage::CredentialAcquisition),
        "attack.collection" | "attack.exfiltration" | "attack.discovery" => Some(Stage::Collection),
        "attack.defense-evasion" => Some(Stage::DefenseEvasion),
        "attack.lateral-movement" | "attack.impact" => Some(Stage::Fraud),
        _ => None,
    };
    tags.iter().find_map(tactic).unwrap_or(Stage::InitialAccess)
}

fn entities(own: Vec<OwnEntity>) -> Vec<EntityField> {
    if own.is_empty() {
        let default = |(field, kind, role): (&str, _, _)| EntityField { field: field.to_owned(), kind, role };
        return ENTITIES_DEFAULT.into_iter().map(default).collect();
    }
    own.into_iter().map(|OwnEntity { field, kind, role }| EntityField { field, kind, role }).collect()
}

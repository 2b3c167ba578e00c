//! One audit record, whatever the wrapper, as borrowed text: parsed once, only the parts that become columns.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::messages::{Messages, MessagesSeed};
use crate::records::CsvRow;
use crate::values::{self, Json, Pairs, Text};

macro_rules! fields {
    ($($field:ident = $($spelling:literal)|+,)*) => {
        /// A property that is read as text. The first spelling is the audit log's own; the others are those of wrappers.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Field { $($field,)* }

        impl Field {
            /// All, in the order of the declaration.
            pub(super) const ALL: &[Self] = &[$(Self::$field,)*];

            fn exact(key: &str) -> Option<Self> {
                match key {
                    $($($spelling)|+ => Some(Self::$field),)*
                    _ => None,
                }
            }

            /// The audit log's own spelling.
            pub(super) fn name(self) -> &'static str {
                const NAMES: &[&[&str]] = &[$(&[$($spelling),+],)*];
                NAMES[self as usize][0]
            }
        }

        const SPELLINGS: &[(&str, Field)] = &[$($(($spelling, Field::$field),)+)*];
    };
}

fields! {
    CreationTime = "CreationTime",
    Id = "Id" | "SourceRecordId" | "OfficeId" | "RecordId",
    Operation = "Operation" | "Operations",
    OrganizationId = "OrganizationId",
    RecordType = "RecordType" | "auditLogRecordType",
    ResultStatus = "ResultStatus",
    UserKey = "UserKey",
    UserType = "UserType",
    Workload = "Workload" | "OfficeWorkload" | "service",
    ObjectId = "ObjectId" | "OfficeObjectId",
    UserId = "UserId",
    UserIds = "UserIds" | "userPrincipalName",
    ClientIp = "ClientIP",
    ClientIpAddress = "ClientIPAddress",
    ActorIpAddress = "ActorIpAddress",
    // wrappers
    CreationDate = "CreationDate",
    CreatedDateTime = "createdDateTime" | "TimeGenerated",
    StartTime = "Start_Time" | "ElevationTime",
    Identity = "Identity",
    ResultIndex = "ResultIndex",
    ResultCount = "ResultCount",
    Raw = "_raw",
    SplunkTime = "_time",
    Kind = "Type",
    // sign-ins
    ApplicationId = "ApplicationId",
    ApplicationName = "ApplicationDisplayName",
    ErrorNumber = "ErrorNumber",
    LogonError = "LogonError",
    LoginStatus = "LoginStatus",
    InterSystemsId = "InterSystemsId",
    CorrelationId = "CorrelationID" | "CorrelationId",
    RequestId = "RequestId",
    UserAgent = "UserAgent",
    // Exchange
    AppId = "AppId",
    ClientAppId = "ClientAppId",
    ClientInfo = "ClientInfoString",
    ActorInfo = "ActorInfoString",
    ClientProcessName = "ClientProcessName",
    ClientVersion = "ClientVersion",
    LogonType = "LogonType" | "Logon_Type",
    InternalLogonType = "InternalLogonType",
    MailboxOwner = "MailboxOwnerUPN",
    SessionId = "SessionId",
    OperationCount = "OperationCount",
    SendAs = "SendAsUserSmtp",
    SendOnBehalfOf = "SendOnBehalfOfUserSmtp",
    ExternalAccess = "ExternalAccess",
    CrossMailbox = "CrossMailboxOperation" | "CrossMailboxOperations",
    DestMailboxOwner = "DestMailboxOwnerUPN",
    OrganizationName = "OrganizationName",
    PublicParameters = "NonPIIParameters",
    // SharePoint, OneDrive
    SiteUrl = "SiteUrl" | "Site_Url",
    SourceRelativeUrl = "SourceRelativeUrl",
    SourceFileName = "SourceFileName",
    SourceFileExtension = "SourceFileExtension",
    DestinationRelativeUrl = "DestinationRelativeUrl",
    DestinationFileName = "DestinationFileName",
    ItemType = "ItemType",
    EventSource = "EventSource",
    EventData = "EventData" | "Event_Data",
    SharingType = "SharingType",
    TargetName = "TargetUserOrGroupName",
    TargetType = "TargetUserOrGroupType",
    UserSharedWith = "UserSharedWith",
    IsManagedDevice = "IsManagedDevice",
    DeviceName = "DeviceDisplayName",
    Platform = "Platform",
    FileSizeBytes = "FileSizeBytes",
    // search, discovery
    QueryText = "QueryText" | "SearchQueryText",
    Query = "Query",
    SearchName = "Name",
    CaseName = "Case",
    ExchangeLocations = "ExchangeLocations",
    // Teams
    TeamName = "TeamName",
    ChannelName = "ChannelName",
    ChatThreadId = "ChatThreadId",
    CommunicationType = "CommunicationType",
    AddOnName = "AddOnName",
    ItemName = "ItemName",
    MessageId = "MessageId",
    Members = "Members",
    // alerts, forms, flows and the rest
    AlertId = "AlertId",
    Category = "Category",
    Severity = "Severity",
    Status = "Status",
    Data = "Data",
    FormName = "FormName",
    OldValue = "OldValue",
    NewValue = "NewValue",
}

/// A property that holds names with values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Extended,
    Device,
    Parameters,
    Properties,
    Access,
    Actor,
    Target,
    Extra,
}

const GROUPS: usize = 8;

/// What to do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Text(Field),
    Pairs(Group),
    /// Holds folders and messages.
    Messages,
    Modified,
    /// Holds the record itself, as an object or as text.
    Nested,
    Ignored,
}

/// Properties that are more than text, as the audit log spells them.
const STRUCTURED: [(&str, Key); 17] = [
    ("ExtendedProperties", Key::Pairs(Group::Extended)),
    ("DeviceProperties", Key::Pairs(Group::Device)),
    ("Parameters", Key::Pairs(Group::Parameters)),
    ("OperationProperties", Key::Pairs(Group::Properties)),
    ("AppAccessContext", Key::Pairs(Group::Access)),
    ("Actor", Key::Pairs(Group::Actor)),
    ("Target", Key::Pairs(Group::Target)),
    ("AADTarget", Key::Pairs(Group::Target)),
    ("ExtraProperties", Key::Pairs(Group::Extra)),
    ("Folders", Key::Messages),
    ("Folder", Key::Messages),
    ("Item", Key::Messages),
    ("AffectedItems", Key::Messages),
    ("Messages", Key::Messages),
    ("DestFolder", Key::Messages),
    ("ModifiedProperties", Key::Modified),
    ("AuditData", Key::Nested),
];

impl Key {
    fn exact(key: &str) -> Self {
        if let Some(field) = Field::exact(key) {
            return Self::Text(field);
        }
        match key {
            // Wrappers only: in another case or with a blank these words mean something else.
            "auditData" | "o365" | "o365audit" | "audit" | "_source" | "result" => Self::Nested,
            _ => STRUCTURED.iter().find(|(name, _)| *name == key).map_or(Self::Ignored, |(_, known)| *known),
        }
    }

    /// The key, in whatever case and with whatever a wrapper put around it (`Start_Time [UTC]`, `ClientIP_`).
    pub(super) fn loose(key: &str) -> Self {
        static FOLDED: LazyLock<HashMap<String, Key>> = LazyLock::new(|| {
            let texts = SPELLINGS.iter().map(|(spelling, field)| (fold(spelling), Key::Text(*field)));
            let structured = STRUCTURED.iter().map(|(name, key)| (fold(name), *key));
            texts.chain(structured).collect()
        });
        match Self::exact(key) {
            Self::Ignored => FOLDED.get(&fold(key)).copied().unwrap_or(Self::Ignored),
            known => known,
        }
    }

    /// Only keys that differ from the audit log's own spelling are worth folding.
    fn of(key: &str) -> Self {
        match Self::exact(key) {
            Self::Ignored if key.starts_with(|c: char| c.is_ascii_lowercase()) || key.contains('_') => Self::loose(key),
            known => known,
        }
    }
}

fn fold(key: &str) -> String {
    let key = key.to_lowercase();
    let key = key.trim_end_matches("[utc]").trim();
    // `_raw` and `_time` are Splunk's own and not a `raw` of the record.
    if key.starts_with('_') { key.to_owned() } else { key.replace(['_', ' '], "") }
}

/// A change of one property.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub name: String,
    pub old: String,
    pub new: String,
}

/// The record inside a wrapper.
#[derive(Debug)]
pub(super) enum Nested<'a> {
    Object(Box<Audit<'a>>),
    Text(Cow<'a, str>),
}

/// A record.
#[derive(Debug)]
pub(super) struct Audit<'a> {
    texts: Vec<Cow<'a, str>>,
    groups: [Pairs<'a>; GROUPS],
    pub messages: Messages,
    pub modified: Vec<Change>,
    pub nested: Option<Nested<'a>>,
    /// Properties whose values the exporter lost.
    pub lost: Vec<String>,
}

impl Default for Audit<'_> {
    fn default() -> Self {
        Self {
            texts: vec![Cow::Borrowed(""); Field::ALL.len()],
            groups: Default::default(),
            messages: Messages::default(),
            modified: Vec::new(),
            nested: None,
            lost: Vec::new(),
        }
    }
}

impl<'a> Audit<'a> {
    /// Parses one JSON object.
    pub(super) fn from_json(text: &'a str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// Reads a row whose columns are the properties.
    pub(super) fn from_row(row: &'a CsvRow<'_>, keys: &[Key]) -> Self {
        let mut audit = Self::default();
        for (index, key) in keys.iter().enumerate() {
            let Some(cell) = row.cell(index).filter(|cell| !cell.is_empty()) else { continue };
            if values::is_lost(cell) {
                audit.lost.push(row.headers()[index].clone());
                continue;
            }
            match *key {
                Key::Text(field) => audit.set(field, Cow::Borrowed(cell)),
                Key::Pairs(group) => audit.set_group(group, Pairs::from_text(cell)),
                Key::Messages => audit.messages.take_text(cell),
                Key::Modified => {
                    if let Some(value) = values::json_text(cell) {
                        audit.set_modified(&value);
                    }
                }
                Key::Nested => audit.nested = Some(Nested::Text(Cow::Borrowed(cell))),
                Key::Ignored => {}
            }
        }
        audit
    }

    /// The value of a property, unless it says nothing.
    pub(super) fn get(&self, field: Field) -> Option<&str> {
        let value = self.texts[field as usize].as_ref();
        if value.is_empty() { None } else { values::text(value) }
    }

    /// The same, as an owned string.
    pub(super) fn owned(&self, field: Field) -> Option<String> {
        self.get(field).map(str::to_owned)
    }

    /// The names with values of a property; empty where there are none.
    pub(super) fn group(&self, group: Group) -> &Pairs<'a> {
        &self.groups[group as usize]
    }

    /// Sets a property that has no value yet: wrappers repeat columns.
    pub(super) fn set(&mut self, field: Field, value: Cow<'a, str>) {
        let known = &mut self.texts[field as usize];
        if known.is_empty() {
            *known = value;
        }
    }

    fn set_group(&mut self, group: Group, pairs: Pairs<'a>) {
        let known = &mut self.groups[group as usize];
        if known.is_empty() {
            *known = pairs;
        }
    }

    fn set_modified(&mut self, value: &serde_json::Value) {
        self.modified.extend(changes(value));
    }

    /// Takes what this record lacks from the wrapper around it.
    pub(super) fn complete_from(&mut self, wrapper: &Audit<'_>) {
        for (known, more) in self.texts.iter_mut().zip(&wrapper.texts) {
            if known.is_empty() && !more.is_empty() {
                *known = Cow::Owned(more.clone().into_owned());
            }
        }
    }
}

impl<'de> Deserialize<'de> for Audit<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AuditVisitor)
    }
}

struct AuditVisitor;

impl<'de> Visitor<'de> for AuditVisitor {
    type Value = Audit<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an audit record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut audit = Audit::default();
        while let Some(Text(name)) = entries.next_key::<Text<'de>>()? {
            match Key::of(&name) {
                Key::Text(field) => {
                    let value = entries.next_value::<Text<'de>>()?.0;
                    audit.set(field, value);
                }
                Key::Pairs(group) => {
                    let pairs = entries.next_value::<Pairs<'de>>()?;
                    if pairs.is_lost() {
                        audit.lost.push(name.into_owned());
                    } else {
                        audit.set_group(group, pairs);
                    }
                }
                Key::Messages => {
                    if entries.next_value_seed(MessagesSeed(&mut audit.messages))? {
                        audit.lost.push(name.into_owned());
                    }
                }
                Key::Modified => audit.set_modified(&entries.next_value::<Json>()?.0),
                Key::Nested => {
                    if let Some(nested) = entries.next_value_seed(NestedSeed)? {
                        audit.nested = Some(nested);
                    }
                }
                Key::Ignored => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(audit)
    }
}

struct NestedSeed;

impl<'de> DeserializeSeed<'de> for NestedSeed {
    type Value = Option<Nested<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for NestedSeed {
    type Value = Option<Nested<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an audit record or its text")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(Nested::Text(Cow::Borrowed(text))))
    }
    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Some(Nested::Text(Cow::Owned(text.to_owned()))))
    }
    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
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
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Self::Value, A::Error> {
        AuditVisitor.visit_map(entries).map(|audit| Some(Nested::Object(Box::new(audit))))
    }
}

/// Changes in either shape: `[{Name,OldValue,NewValue}]`, `["Property"]`, `{"Property":{...}}`.
fn changes(value: &serde_json::Value) -> Vec<Change> {
    let text = |item: &serde_json::Value, names: [&str; 4]| {
        names.iter().find_map(|name| item.get(*name)).map(plain).unwrap_or_default()
    };
    let change = |name: String, item: &serde_json::Value| Change {
        name,
        old: text(item, ["OldValue", "oldValue", "Old_Value", "old"]),
        new: text(item, ["NewValue", "newValue", "New_Value", "new"]),
    };
    match value {
        serde_json::Value::Array(items) => items
            .iter()
            .map(|item| match item {
                serde_json::Value::String(name) => Change { name: name.clone(), ..Change::default() },
                item => change(text(item, ["Name", "name", "displayName", "DisplayName"]), item),
            })
            .filter(|change| !change.name.is_empty())
            .collect(),
        serde_json::Value::Object(entries) => entries.iter().map(|(name, item)| change(name.clone(), item)).collect(),
        _ => Vec::new(),
    }
}

/// A value as text; text that holds JSON loses its line breaks, so that every wrapper gives the same.
fn plain(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => {
            values::json_text(text).map_or_else(|| text.clone(), |inner| inner.to_string())
        }
        serde_json::Value::Null => String::new(),
        other => other.to_string(),
    }
}

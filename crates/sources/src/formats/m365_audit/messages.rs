//! Folders and messages that a record names, in whatever nesting.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::values::{self, Text};

/// Folders and messages of one record.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Messages {
    /// Paths of folders, each once, in order.
    pub folders: Vec<String>,
    /// InternetMessageIds, each once, in order.
    pub ids: Vec<String>,
    /// The first subject.
    pub subject: Option<String>,
    /// Messages named, with or without an InternetMessageId.
    pub items: u64,
    seen_folders: HashSet<String>,
    seen_ids: HashSet<String>,
}

impl Messages {
    /// From a cell that holds JSON.
    pub(super) fn take_text(&mut self, text: &str) {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        // Text that is no JSON names nothing.
        let _nothing = MessagesSeed(self).deserialize(&mut deserializer);
    }

    fn folder(&mut self, path: &str) {
        add(&mut self.folders, &mut self.seen_folders, path);
    }

    fn message(&mut self, id: &str) {
        add(&mut self.ids, &mut self.seen_ids, id);
    }
}

/// Adds a text that is not there yet. The few of most records are compared one by one; many need a set.
fn add(list: &mut Vec<String>, seen: &mut HashSet<String>, text: &str) {
    const COMPARED_MAX: usize = 32;
    if list.len() < COMPARED_MAX {
        if !list.iter().any(|known| known == text) {
            list.push(text.to_owned());
        }
        return;
    }
    if seen.is_empty() {
        seen.extend(list.iter().cloned());
    }
    if seen.insert(text.to_owned()) {
        list.push(text.to_owned());
    }
}

/// Walks any JSON and takes what it finds; `true` when an exporter lost the value.
pub(super) struct MessagesSeed<'m>(pub &'m mut Messages);

impl<'de> DeserializeSeed<'de> for MessagesSeed<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for MessagesSeed<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("folders and messages")
    }
    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        if text.trim_start().starts_with(['{', '[']) {
            self.0.take_text(text);
        }
        Ok(values::is_lost(text))
    }
    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        let mut is_lost = false;
        while let Some(lost) = items.next_element_seed(MessagesSeed(self.0))? {
            is_lost |= lost;
        }
        Ok(is_lost)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<bool, A::Error> {
        let (mut path, mut name, mut is_message, mut is_lost) = (None::<String>, None, false, false);
        while let Some(Text(key)) = entries.next_key::<Text<'de>>()? {
            match key.as_ref() {
                "Path" | "path" => path = entries.next_value::<Text<'de>>()?.owned(),
                "Name" | "name" => name = entries.next_value::<Text<'de>>()?.owned(),
                "InternetMessageId" | "internetMessageId" => {
                    is_message = true;
                    if let Some(id) = entries.next_value::<Text<'de>>()?.get() {
                        self.0.message(id);
                    }
                }
                "Subject" | "subject" => {
                    let subject = entries.next_value::<Text<'de>>()?.owned();
                    self.0.subject = self.0.subject.take().or(subject);
                }
                "ImmutableId" | "SizeInBytes" => {
                    is_message = true;
                    entries.next_value::<IgnoredAny>()?;
                }
                "FolderItems" | "MessageItems" | "ParentFolder" | "Item" | "Items" => {
                    is_lost |= entries.next_value_seed(MessagesSeed(self.0))?;
                }
                _ => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        self.0.items += u64::from(is_message);
        // A synchronisation names its folder, but not the path.
        let unknown = path.as_deref().is_some_and(|path| path == "Not Available");
        if let Some(folder) = if unknown { name } else { path } {
            self.0.folder(&folder);
        }
        Ok(is_lost)
    }
}

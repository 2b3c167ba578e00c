//! The word lists of `content/dictionaries/`, embedded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

/// All word lists.
#[derive(Debug)]
pub struct Dictionary {
    mailbox: Mailbox,
    applications: Applications,
    countries: Countries,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mailbox {
    free_mail: BTreeSet<String>,
    hidden_folders: BTreeSet<String>,
    hidden_folder_ids: BTreeSet<String>,
    security_words: Vec<String>,
    finance_words: Vec<String>,
    secret_words: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Applications {
    first_party: BTreeMap<String, String>,
    scopes: Scopes,
}

/// Permission names, lower case, by what they open.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scopes {
    /// Mail.
    pub mail: BTreeSet<String>,
    /// Files and sites.
    pub files: BTreeSet<String>,
    /// Contacts and chats.
    pub people: BTreeSet<String>,
    /// The directory itself.
    pub directory: BTreeSet<String>,
    /// Logs, and what every application asks for.
    pub logs: BTreeSet<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Countries {
    centroids: BTreeMap<String, (f64, f64)>,
}

impl Scopes {
    /// Every list.
    pub fn all(&self) -> impl Iterator<Item = &BTreeSet<String>> {
        [&self.mail, &self.files, &self.people, &self.directory, &self.logs].into_iter()
    }
}

static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(|| {
    const VALID: &str = "the embedded dictionaries are checked by a test";
    Dictionary {
        mailbox: toml::from_str(include_str!("../../../../content/dictionaries/mailbox.toml")).expect(VALID),
        applications: toml::from_str(include_str!("../../../../content/dictionaries/applications.toml")).expect(VALID),
        countries: toml::from_str(include_str!("../../../../content/dictionaries/countries.toml")).expect(VALID),
    }
});

/// The embedded word lists.
pub fn dictionary() -> &'static Dictionary {
    &DICTIONARY
}

impl Dictionary {
    /// Whether anybody can open a mailbox at this domain.
    pub fn is_free_mail(&self, domain: &str) -> bool {
        self.mailbox.free_mail.contains(&domain.trim_end_matches('.').to_lowercase())
    }

    /// Whether nobody looks into this folder, given as a path, a name or a well-known id.
    pub fn is_hidden_folder(&self, folder: &str) -> bool {
        let name = folder
            .rsplit(['\\', '/', ':'])
            .find(|part| !part.trim().is_empty())
            .unwrap_or_default()
            .trim()
            .to_lowercase();
        self.mailbox.hidden_folders.contains(&name) || self.mailbox.hidden_folder_ids.contains(&name)
    }

    /// The security words in this text.
    pub fn security_words(&self, text: &str) -> Vec<&str> {
        contained(&self.mailbox.security_words, text)
    }

    /// The finance words in this text.
    pub fn finance_words(&self, text: &str) -> Vec<&str> {
        contained(&self.mailbox.finance_words, text)
    }

    /// The words in this text that lead to passwords and keys.
    pub fn secret_words(&self, text: &str) -> Vec<&str> {
        contained(&self.mailbox.secret_words, text)
    }

    /// Name of a Microsoft application.
    pub fn first_party(&self, app_uid: &str) -> Option<&str> {
        self.applications.first_party.get(&app_uid.to_lowercase()).map(String::as_str)
    }

    /// Permission names by what they open.
    pub fn scopes(&self) -> &Scopes {
        &self.applications.scopes
    }

    /// The middle of a country, degrees.
    pub fn centroid(&self, country: &str) -> Option<(f64, f64)> {
        self.countries.centroids.get(country).copied()
    }
}

fn contained<'a>(words: &'a [String], text: &str) -> Vec<&'a str> {
    let text = text.to_lowercase();
    words.iter().filter(|word| text.contains(word.as_str())).map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_lists_are_valid_and_lower_case() {
        let lists = dictionary();
        for word in
            lists.mailbox.security_words.iter().chain(&lists.mailbox.finance_words).chain(&lists.mailbox.hidden_folders)
        {
            assert_eq!(word, &word.to_lowercase());
        }
        assert!(lists.is_hidden_folder("\\RSS Feeds") && lists.is_hidden_folder("user@x:\\削除済みアイテム"));
        assert!(!lists.is_hidden_folder("Inbox\\Archive projects"));
        assert_eq!(lists.finance_words("Re: 請求書の件 / Invoice"), ["invoice", "請求"]);
        assert!(lists.centroid("JP").is_some());
    }
}

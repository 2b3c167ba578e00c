//! This crate's sentences: `src/text/en.toml` and `src/text/ja.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use matagi_model::{Phrasebook, Severity, Text};

const EN: &str = include_str!("text/en.toml");
const JA: &str = include_str!("text/ja.toml");

type Scopes = BTreeMap<String, BTreeMap<String, String>>;

static OWN: LazyLock<Phrasebook> = LazyLock::new(|| {
    let (english, mut japanese) = (scopes(EN), scopes(JA));
    let mut book = Phrasebook::default();
    for (scope, texts) in english {
        for (code, en) in texts {
            // A test holds the two files together; a missing sentence is English rather than nothing.
            let ja = japanese.get_mut(&scope).and_then(|texts| texts.remove(&code)).unwrap_or_else(|| en.clone());
            book.insert(scope.clone(), code, Text { en: en.into(), ja: ja.into() });
        }
    }
    book
});

fn scopes(toml: &str) -> Scopes {
    toml::from_str(toml).expect("a file of this crate, read by a test")
}

/// The sentences that findings and incidents share, to which the analytics' own are added.
pub fn phrasebook() -> Phrasebook {
    OWN.clone()
}

/// A sentence of the scope `ui`, with its arguments filled in.
pub fn ui(lang: &str, key: &str, args: &[(&str, &str)]) -> String {
    debug_assert!(OWN.has("ui", key), "no sentence for {key}");
    render(lang, "ui", key, args)
}

/// A sentence of any scope of this crate.
pub(crate) fn render(lang: &str, scope: &str, key: &str, args: &[(&str, &str)]) -> String {
    let args = args.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    OWN.render(lang, scope, key, &args)
}

/// A word of any scope of this crate: a severity, a stage, a role.
pub(crate) fn word(lang: &str, scope: &str, key: &str) -> String {
    if OWN.has(scope, key) { render(lang, scope, key, &[]) } else { key.to_owned() }
}

/// The name of a severity.
pub(crate) fn severity(lang: &str, severity: Severity) -> String {
    word(lang, "severity", severity.word())
}

/// `en` or `ja`: any other language is English.
pub fn language(lang: &str) -> &'static str {
    if lang == "ja" || lang.starts_with("ja-") || lang.starts_with("ja_") { "ja" } else { "en" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|after| after.split_once('}')).map(|(name, _)| name).collect()
    }

    /// Values that are the same in both languages: placeholders and product words only.
    fn has_words(text: &str) -> bool {
        let mut rest = text.to_owned();
        for name in placeholders(text) {
            rest = rest.replace(&format!("{{{name}}}"), "");
        }
        rest.chars().any(char::is_lowercase)
    }

    fn is_japanese(character: char) -> bool {
        matches!(character, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}')
    }

    #[test]
    fn both_languages_have_the_same_keys_and_arguments() {
        let (english, japanese) = (scopes(EN), scopes(JA));
        let keys = |scopes: &Scopes| -> BTreeSet<(String, String)> {
            scopes.iter().flat_map(|(scope, texts)| texts.keys().map(|key| (scope.clone(), key.clone()))).collect()
        };
        assert_eq!(keys(&english), keys(&japanese));
        for (scope, texts) in &english {
            for (key, en) in texts {
                assert_eq!(placeholders(en), placeholders(&japanese[scope][key]), "{scope}.{key}");
            }
        }
    }

    #[test]
    fn japanese_is_japanese_and_english_is_not() {
        let (english, japanese) = (scopes(EN), scopes(JA));
        for (scope, texts) in &japanese {
            for (key, ja) in texts {
                assert!(!english[scope][key].chars().any(is_japanese), "{scope}.{key}");
                if has_words(&english[scope][key]) && !UNTRANSLATED.contains(&key.as_str()) {
                    assert!(ja.chars().any(is_japanese), "{scope}.{key}: {ja}");
                }
            }
        }
    }

    /// Names that Japanese writes in Latin letters too.
    const UNTRANSLATED: &[&str] = &["product", "id", "attack", "microsoft"];

    #[test]
    fn unknown_words_show_themselves() {
        assert_eq!(word("ja", "status", "odd"), "odd");
        assert_eq!(severity("ja", Severity::Critical), "緊急");
        assert_eq!(language("ja-JP"), "ja");
        assert_eq!(language("de"), "en");
    }
}

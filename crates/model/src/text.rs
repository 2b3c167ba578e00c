//! Text for people, in English and Japanese.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// English.
    pub en: Cow<'static, str>,
    /// Japanese.
    pub ja: Cow<'static, str>,
}

impl Text {
    /// Both languages, written beside what they describe.
    pub const fn new(en: &'static str, ja: &'static str) -> Self {
        Self { en: Cow::Borrowed(en), ja: Cow::Borrowed(ja) }
    }

    /// The sentence in one language; anything but `ja` is English.
    pub fn get(&self, lang: &str) -> &str {
        if lang == "ja" { &self.ja } else { &self.en }
    }
}

/// The sentence behind a reason code. `{name}` is replaced by the reason's argument of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReasonText {
    /// Stable code, unique within its analytic, such as `moves-to-hidden-folder`.
    pub code: &'static str,
    /// The sentence.
    pub text: Text,
}

impl ReasonText {
    /// Both languages of one reason.
    pub const fn new(code: &'static str, en: &'static str, ja: &'static str) -> Self {
        Self { code, text: Text::new(en, ja) }
    }
}

/// Every sentence that a finding or incident may need, by scope (the analytic's id) and code.
#[derive(Debug, Default, Clone)]
pub struct Phrasebook {
    texts: BTreeMap<(String, String), Text>,
}

impl Phrasebook {
    /// The scope of sentences that every analytic may use.
    pub const SHARED: &'static str = "*";

    /// Adds a sentence; the later one wins.
    pub fn insert(&mut self, scope: impl Into<String>, code: impl Into<String>, text: Text) {
        self.texts.insert((scope.into(), code.into()), text);
    }

    /// The sentence with its arguments filled in. An unknown code prints itself with its arguments: wrong, but not silent.
    pub fn render(&self, lang: &str, scope: &str, code: &str, args: &BTreeMap<String, String>) -> String {
        match self.text(scope, code) {
            Some(text) => fill(text.get(lang), args),
            None => format!("{code} {args:?}"),
        }
    }

    /// The sentence behind a code: of this scope, else of the scope `*` that all share.
    pub fn text(&self, scope: &str, code: &str) -> Option<&Text> {
        let of = |scope: &str| self.texts.get(&(scope.to_owned(), code.to_owned()));
        of(scope).or_else(|| of(Self::SHARED))
    }

    /// Whether this code has a sentence.
    pub fn has(&self, scope: &str, code: &str) -> bool {
        self.text(scope, code).is_some()
    }

    /// Takes over the sentences of another book; its sentences win.
    pub fn extend(&mut self, other: Self) {
        self.texts.extend(other.texts);
    }
}

/// Replaces `{name}` by its argument; an argument that is not there stays visible as `{name}`.
///
/// Arguments are never looked at again, so evidence that contains braces cannot reach other arguments.
pub fn fill(template: &str, args: &BTreeMap<String, String>) -> String {
    let mut filled = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        filled.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            filled.push('{');
            rest = after;
            continue;
        };
        if let Some(value) = args.get(name) {
            filled.push_str(value);
        } else {
            filled.push('{');
            filled.push_str(name);
            filled.push('}');
        }
        rest = tail;
    }
    filled.push_str(rest);
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_filled_once() {
        let args = BTreeMap::from([("who".into(), "{ip}".to_owned()), ("ip".into(), "192.0.2.1".to_owned())]);
        assert_eq!(fill("{who} from {ip}, {what}", &args), "{ip} from 192.0.2.1, {what}");
    }
}

//! `matagi.toml`: typed, unknown keys refused with their line.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::ops::Range;

use camino::{Utf8Path, Utf8PathBuf};
use matagi_detect::Content;
use matagi_model::Settings;
use serde::Deserialize;
use toml::Spanned;

use crate::error::CommandError;

/// The file's name, looked for in the current directory and its parents.
pub(crate) const FILE_NAME: &str = "matagi.toml";
/// A configuration is a page of text; more is a mistake (`--config evidence.csv`).
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What the user configured.
#[derive(Debug, Default)]
pub(crate) struct Config {
    /// The file that it came from, if there is one.
    pub(crate) file: Option<Utf8PathBuf>,
    /// Directory of the lake, relative ones taken from the file's directory.
    pub(crate) lake: Option<Utf8PathBuf>,
    /// `en` or `ja`.
    pub(crate) lang: Option<Lang>,
    /// What detection wants to know.
    pub(crate) settings: Settings,
}

/// Language of everything that people read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lang {
    /// English
    En,
    /// Japanese
    Ja,
}

impl Lang {
    /// All, in the order in which documents are saved.
    pub(crate) const ALL: [Self; 2] = [Self::En, Self::Ja];

    /// The code that reports and phrasebooks take.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ja => "ja",
        }
    }
}

/// Something whose numbers a user may change: an analytic or a SQL hunt.
#[derive(Debug)]
pub(crate) struct Tunable {
    id: String,
    question: String,
    numbers: Vec<(String, f64, String)>,
}

/// Everything that comes with Matagi and has numbers.
pub(crate) fn tunables(content: &Content) -> Vec<Tunable> {
    let of_analytics = matagi_detect::analytics().map(matagi_model::Analytic::meta).map(|meta| Tunable {
        id: meta.id.to_owned(),
        question: meta.question.en.to_string(),
        numbers: meta
            .parameters
            .iter()
            .map(|number| (number.name.to_owned(), number.default, number.reason.to_owned()))
            .collect(),
    });
    let of_hunts = content.hunts.hunts().map(|hunt| Tunable {
        id: hunt.id.clone(),
        question: hunt.question.en.to_string(),
        numbers: hunt
            .parameters
            .iter()
            .map(|number| (number.name.clone(), number.default, number.reason.clone()))
            .collect(),
    });
    of_analytics.chain(of_hunts).filter(|tunable| !tunable.numbers.is_empty()).collect()
}

type Numbers = BTreeMap<Spanned<String>, Spanned<f64>>;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    lake: Option<Utf8PathBuf>,
    lang: Option<Lang>,
    domains: Vec<String>,
    important_users: Vec<String>,
    parameters: BTreeMap<Spanned<String>, Numbers>,
}

impl Config {
    /// Reads the named file, else the nearest `matagi.toml`, else nothing.
    pub(crate) fn load(
        named: Option<&Utf8Path>,
        tunables: impl FnOnce() -> Vec<Tunable>,
    ) -> Result<Self, CommandError> {
        let found = match named {
            Some(path) => Some(path.to_owned()),
            None => nearest(),
        };
        let Some(path) = found else { return Ok(Self::default()) };
        let cannot_read = |source: std::io::Error| {
            CommandError::new(format!("cannot read {path}")).because(&source).or_hint("`matagi init` writes one")
        };
        let size_bytes = fs::metadata(&path).map_err(cannot_read)?.len();
        if size_bytes > FILE_BYTES_MAX {
            return Err(CommandError::new(format!("{path} is over the limit of {FILE_BYTES_MAX} bytes"))
                .hint("--config takes a matagi.toml; evidence goes behind the verb"));
        }
        let text = fs::read_to_string(&path).map_err(cannot_read)?;
        Self::parse(&path, &text, &tunables())
    }

    fn parse(path: &Utf8Path, text: &str, tunables: &[Tunable]) -> Result<Self, CommandError> {
        let refused = |message: &str, span: Option<Range<usize>>| {
            let span = span.unwrap_or(0..0);
            CommandError::new(format!("{path} is not a valid configuration: {message}"))
                .at(path.as_str(), text, span.start, span.len(), message)
                .hint("`matagi init` writes a file with every key, its default and its reason")
        };
        let file: File = toml::from_str(text).map_err(|error| refused(error.message(), error.span()))?;
        let mut parameters = BTreeMap::new();
        for (id, numbers) in &file.parameters {
            let Some(known) = tunables.iter().find(|known| known.id == *id.get_ref()) else {
                return Err(refused("nothing with numbers has this id", Some(id.span())));
            };
            for (name, value) in numbers {
                if !known.numbers.iter().any(|(known, ..)| known == name.get_ref()) {
                    let names: Vec<&str> = known.numbers.iter().map(|(known, ..)| known.as_str()).collect();
                    let message = format!("{} has no such number; it has: {}", known.id, names.join(", "));
                    return Err(refused(&message, Some(name.span())));
                }
                if !value.get_ref().is_finite() {
                    return Err(refused("not a finite number", Some(value.span())));
                }
                parameters.insert(format!("{}.{}", known.id, name.get_ref()), *value.get_ref());
            }
        }
        let lower = |texts: Vec<String>| texts.into_iter().map(|text| text.trim().to_lowercase()).collect();
        let directory = path.parent().unwrap_or(Utf8Path::new(""));
        Ok(Self {
            lake: file.lake.map(|lake| directory.join(lake)),
            lang: file.lang,
            settings: Settings {
                domains: lower(file.domains),
                important_users: lower(file.important_users),
                parameters,
            },
            file: Some(path.to_owned()),
        })
    }
}

/// `matagi.toml` in the current directory or the nearest parent that has one.
fn nearest() -> Option<Utf8PathBuf> {
    let here = Utf8PathBuf::from_path_buf(env::current_dir().ok()?).ok()?;
    here.ancestors().map(|directory| directory.join(FILE_NAME)).find(|path| path.is_file())
}

const HEAD: &str = "\
# Configuration of Matagi. Every key is here with its default; remove the `#` to change one.
# Unknown keys are refused, so that a misspelt one cannot be ignored in silence.

# Directory of the lake, seen from this file. `--lake` and MATAGI_LAKE come first.
lake = \"lake\"

# Language of reports and summaries: en or ja. Default: from LC_ALL and LANG.
# lang = \"en\"

# Domains of the organisation, beside those that the evidence teaches.
# domains = [\"example.co.jp\"]
domains = []

# Users for whom everything weighs one step more (board, finance, administrators).
# important_users = [\"cfo@example.co.jp\"]
important_users = []

# Numbers of the analytics and SQL hunts, with the reason for each default.
";

/// The commented file that `matagi init` writes.
pub(crate) fn template(tunables: &[Tunable]) -> String {
    let mut text = HEAD.to_owned();
    for tunable in tunables {
        let _infallible = write!(text, "\n# {}\n# [parameters.\"{}\"]\n", tunable.question, tunable.id);
        for (name, default, reason) in &tunable.numbers {
            let _infallible = writeln!(text, "# # {}", reason.replace('\n', " "));
            let _infallible = writeln!(text, "# {name} = {default}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock() -> [Tunable; 1] {
        [Tunable {
            id: "mailbox/clock".into(),
            question: "Who comes every minute?".into(),
            numbers: vec![("window_minutes".into(), 10.0, "ten is enough".into())],
        }]
    }

    fn parse(text: &str) -> Result<Config, String> {
        Config::parse(Utf8Path::new("dir/matagi.toml"), text, &clock()).map_err(|error| {
            let mut out = Vec::new();
            error.print(&mut out, false);
            String::from_utf8(out).unwrap()
        })
    }

    #[test]
    fn what_is_written_is_what_detection_gets() {
        let config = parse(
            "lake = \"l\"\nlang = \"ja\"\ndomains = [\"Example.ORG\"]\n[parameters.\"mailbox/clock\"]\nwindow_minutes = 5\n",
        )
        .unwrap();
        assert_eq!(config.lake.as_deref(), Some(Utf8Path::new("dir/l")));
        assert_eq!(config.lang, Some(Lang::Ja));
        assert_eq!(config.settings.domains, ["example.org"]);
        assert_eq!(config.settings.parameters["mailbox/clock.window_minutes"].to_string(), "5");
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        for (text, line) in [
            ("lang = \"en\"\nlakee = \"x\"\n", "dir/matagi.toml:2:1"),
            ("\n[parameters.\"mailbox/clok\"]\nwindow_minutes = 5\n", "dir/matagi.toml:2:13"),
            ("[parameters.\"mailbox/clock\"]\nwindow = 5\n", "dir/matagi.toml:2:1"),
            ("lang = \"fr\"\n", "dir/matagi.toml:1:8"),
            ("domains = [", "dir/matagi.toml:1:"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(line), "{error}");
        }
    }

    #[test]
    fn what_matagi_brings_can_be_tuned_as_written() {
        let tunables = tunables(&Content::builtin());
        let text = template(&tunables);
        let is_number = |line: &str| line.split_once(" = ").is_some_and(|(_, value)| value.parse::<f64>().is_ok());
        let opened = |line: &str| {
            let bare = line.strip_prefix("# ").filter(|bare| bare.starts_with("[parameters") || is_number(bare));
            bare.unwrap_or(line).to_owned() + "\n"
        };
        let open: String = text.lines().map(opened).collect();
        let config = Config::parse(Utf8Path::new("matagi.toml"), &open, &tunables).unwrap();
        assert_eq!(
            config.settings.parameters.len(),
            tunables.iter().map(|tunable| tunable.numbers.len()).sum::<usize>()
        );
    }

    #[test]
    fn the_template_is_valid_with_and_without_its_comments() {
        let text = template(&clock());
        assert!(parse(&text).unwrap().settings.parameters.is_empty());
        let open = text.replace("# [parameters", "[parameters").replace("# window_minutes", "window_minutes");
        assert_eq!(parse(&open).unwrap().settings.parameters["mailbox/clock.window_minutes"].to_string(), "10");
    }
}

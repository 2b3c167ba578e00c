//! What the user sees: data on stdout, everything else on stderr.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, IsTerminal, Write};

use matagi_model::text::fill;
use matagi_report::visible;

use crate::config::Lang;

use crate::progress::{Meter, Unit};

/// Width of text that goes to a pipe or file, columns.
const WIDTH_ELSEWHERE: usize = 100;

/// The two streams and how to speak on them.
#[derive(Debug)]
pub(crate) struct Ui {
    lang: Lang,
    quiet: bool,
    bars: bool,
    texts: BTreeMap<String, String>,
}

impl Ui {
    /// A user who reads this language.
    pub(crate) fn new(lang: Lang, quiet: bool, no_progress: bool) -> Self {
        Self { lang, quiet, bars: !quiet && !no_progress && io::stderr().is_terminal(), texts: texts(lang) }
    }

    /// Language of everything that people read.
    pub(crate) const fn lang(&self) -> Lang {
        self.lang
    }

    /// Standard output, buffered: data only.
    #[expect(clippy::unused_self, reason = "whoever writes data has been handed the Ui")]
    pub(crate) fn data(&self) -> BufWriter<io::Stdout> {
        BufWriter::new(io::stdout())
    }

    /// Whether standard output is a terminal, so that colour helps.
    pub(crate) fn is_colourful() -> bool {
        io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
    }

    /// Width of the terminal, columns; a fixed one elsewhere, so that output is the same wherever it goes.
    pub(crate) fn width() -> usize {
        let of_terminal = comfy_table::Table::new().width().map(usize::from);
        if io::stdout().is_terminal() { of_terminal.unwrap_or(WIDTH_ELSEWHERE) } else { WIDTH_ELSEWHERE }
    }

    /// A sentence of `text/{en,ja}.toml` with its arguments; evidence in them is made harmless.
    pub(crate) fn text<const N: usize>(&self, code: &str, args: [(&str, String); N]) -> String {
        let args = args.into_iter().map(|(name, value)| (name.to_owned(), visible::line(&value))).collect();
        fill(self.texts.get(code).map_or(code, String::as_str), &args)
    }

    /// Tells something on stderr, unless the user asked for quiet.
    pub(crate) fn say<const N: usize>(&self, code: &str, args: [(&str, String); N]) {
        if !self.quiet {
            self.warn(code, args);
        }
    }

    /// Tells on stderr what must not be missed: evidence that was not read.
    pub(crate) fn warn<const N: usize>(&self, code: &str, args: [(&str, String); N]) {
        let _ignored = writeln!(io::stderr(), "{}", self.text(code, args));
    }

    /// A progress bar, drawn only where somebody looks.
    pub(crate) fn meter(&self, unit: Unit) -> Meter {
        Meter::new(unit, self.bars)
    }
}

fn texts(lang: Lang) -> BTreeMap<String, String> {
    let file = match lang {
        Lang::En => include_str!("text/en.toml"),
        Lang::Ja => include_str!("text/ja.toml"),
    };
    toml::from_str(file).expect("the texts are tested")
}

/// `9412003` as `9,412,003`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|tail| tail.split_once('}')).map(|(name, _)| name).collect()
    }

    #[test]
    fn both_languages_say_the_same_things() {
        let (english, japanese) = (texts(Lang::En), texts(Lang::Ja));
        assert_eq!(english.keys().collect::<Vec<_>>(), japanese.keys().collect::<Vec<_>>());
        for (code, text) in &english {
            assert_eq!(placeholders(text), placeholders(&japanese[code]), "{code}");
        }
    }

    #[test]
    fn every_sentence_is_used_and_every_used_one_exists() {
        let sources: String =
            [concat!(env!("CARGO_MANIFEST_DIR"), "/src"), concat!(env!("CARGO_MANIFEST_DIR"), "/src/commands")]
                .iter()
                .flat_map(|directory| std::fs::read_dir(directory).unwrap())
                .map(|entry| entry.unwrap().path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
                .map(|path| std::fs::read_to_string(path).unwrap())
                .map(|text| text.split("#[cfg(test)]").next().unwrap().to_owned())
                .collect();
        let texts = texts(Lang::En);
        for code in texts.keys() {
            let is_check =
                code.strip_prefix("doctor-").is_some_and(|check| sources.contains(&format!("add(\"{check}\"")));
            assert!(is_check || sources.contains(&format!("\"{code}\"")), "{code} is never said");
        }
        for opening in ["ui.say(", "ui.warn(", "ui.text("] {
            for call in sources.split(opening).skip(1) {
                let Some(code) = call.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                    continue;
                };
                assert!(texts.contains_key(code), "{code} has no sentence");
            }
        }
    }

    #[test]
    fn large_numbers_are_grouped() {
        assert_eq!([0, 999, 1_000, 9_412_003].map(grouped), ["0", "999", "1,000", "9,412,003"]);
    }
}

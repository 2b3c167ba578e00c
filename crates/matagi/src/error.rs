//! What goes wrong, as the user reads it: what, why, and what to do about it.

use std::error::Error;
use std::io::{self, Write};

use matagi_report::visible::line as one_line;
use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource};

/// A command that could not do its work. Prints as `error:`, `cause:` and `hint:`.
#[derive(Debug, Default)]
pub(crate) struct CommandError {
    what: String,
    causes: Vec<String>,
    hint: Option<String>,
    excerpt: Option<Box<Excerpt>>,
    kind: Kind,
}

/// What kind of end this is; it decides the exit status.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[default]
    Failed,
    /// The reader of our output went away (`matagi query ... | head`): no error at all.
    BrokenPipe,
    /// Ctrl-C.
    Interrupted,
}

/// A place in a text that the user wrote: a rule, a query, the configuration.
#[derive(Debug)]
struct Excerpt {
    name: String,
    text: String,
    label: String,
    start: usize,
    length: usize,
}

impl CommandError {
    /// An error that is explained by its one sentence.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), ..Self::default() }
    }

    /// The user pressed Ctrl-C.
    pub(crate) fn interrupted(what: impl Into<String>) -> Self {
        Self { what: what.into(), kind: Kind::Interrupted, ..Self::default() }
    }

    /// Why, innermost last.
    #[must_use]
    pub(crate) fn because(mut self, source: &(dyn Error + 'static)) -> Self {
        self.add_chain(Some(source));
        self
    }

    /// What the user can do.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What the user can do, unless the cause has already said something better.
    #[must_use]
    pub(crate) fn or_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Where in the user's own text, bytes `start..start + length`.
    #[must_use]
    pub(crate) fn at(mut self, name: &str, text: &str, start: usize, length: usize, label: &str) -> Self {
        let (name, text, label) = (name.to_owned(), text.to_owned(), label.to_owned());
        self.excerpt = Some(Box::new(Excerpt { name, text, label, start, length }));
        self
    }

    /// What and why, for a cell of a table.
    pub(crate) fn in_one_line(&self) -> String {
        let parts: Vec<&str> = std::iter::once(&self.what).chain(&self.causes).map(String::as_str).collect();
        one_line(&parts.join(": "))
    }

    /// Exit status: 2, or 130 after Ctrl-C as shells expect; 0 when only the reader of our output went away.
    pub(crate) const fn status(&self) -> u8 {
        match self.kind {
            Kind::Failed => 2,
            Kind::BrokenPipe => 0,
            Kind::Interrupted => 130,
        }
    }

    fn add_chain(&mut self, mut next: Option<&(dyn Error + 'static)>) {
        while let Some(error) = next {
            let text = error.to_string();
            if self.what != text && self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            if is_disk_full(error) {
                self.hint = Some(DISK_FULL_HINT.to_owned());
            }
            next = error.source();
        }
    }

    /// The disk was full: whichever layer met it, the cure is the same.
    #[must_use]
    pub(crate) fn disk_full(self) -> Self {
        self.hint(DISK_FULL_HINT)
    }

    /// Writes it to stderr. Nothing can be done when that fails too.
    pub(crate) fn print(&self, to: &mut dyn Write, colour: bool) {
        if self.kind == Kind::BrokenPipe {
            return;
        }
        let word = if self.kind == Kind::Interrupted { "stopped" } else { "error" };
        let _ignored = writeln!(to, "{word}: {}", one_line(&self.what));
        if let Some(excerpt) = &self.excerpt {
            let _ignored = write!(to, "{}", excerpt.draw(colour));
        }
        for cause in &self.causes {
            let _ignored = writeln!(to, "  cause: {}", one_line(cause));
        }
        if let Some(hint) = &self.hint {
            let _ignored = writeln!(to, "  hint: {}", one_line(hint));
        }
    }
}

/// Said whenever a write met a full disk.
const DISK_FULL_HINT: &str = "free some space, or choose another place with --lake DIR (temporary files: TMPDIR); \
                              what was committed is kept, and running the same command again goes on from there";

/// Whether this error, without looking at its sources, says that the disk is full.
fn is_disk_full(error: &(dyn Error + 'static)) -> bool {
    if let Some(io) = error.downcast_ref::<io::Error>() {
        return matches!(io.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
    }
    // SQLite and the Parquet writer pass the operating system's words on as text.
    let text = error.to_string();
    text.contains("No space left on device") || text.contains("database or disk is full")
}

impl Excerpt {
    fn draw(&self, colour: bool) -> String {
        let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let diagnostic = miette::MietteDiagnostic::new(String::new()).with_label(LabeledSpan::new(
            Some(self.label.clone()),
            self.start,
            self.length,
        ));
        let source = NamedSource::new(&self.name, self.text.clone());
        let report = miette::Report::new(diagnostic).with_source_code(source);
        let mut drawn = String::new();
        let handler = GraphicalReportHandler::new_themed(theme).with_context_lines(1).with_width(100);
        if handler.render_report(&mut drawn, report.as_ref()).is_err() {
            return String::new();
        }
        // The handler heads its picture with the (empty) message; only the picture is wanted.
        drawn
            .lines()
            .filter(|line| !line.trim_matches(['×', ' ']).is_empty())
            .fold(String::new(), |all, line| all + line + "\n")
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        let kind = if error.kind() == io::ErrorKind::BrokenPipe { Kind::BrokenPipe } else { Kind::Failed };
        Self { kind, ..Self::new("cannot write the result") }.because(&error)
    }
}

/// Library errors need no words of ours in front: their variants say what failed.
macro_rules! from_library {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for CommandError {
            fn from(error: $error) -> Self {
                Self::new(error.to_string()).because(&error)
            }
        })*
    };
}
pub(crate) use from_library;

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(error: &CommandError) -> String {
        let mut out = Vec::new();
        error.print(&mut out, false);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_reads_as_error_cause_hint() {
        let source = io::Error::from(io::ErrorKind::NotFound);
        let error =
            CommandError::new("cannot open lake at ./lake").because(&source).hint("`matagi init` makes one here");
        assert_eq!(
            printed(&error),
            "error: cannot open lake at ./lake\n  cause: entity not found\n  hint: `matagi init` makes one here\n"
        );
        assert_eq!(error.status(), 2);
    }

    #[test]
    fn a_full_disk_has_its_own_hint() {
        let source = io::Error::from(io::ErrorKind::StorageFull);
        assert!(printed(&CommandError::new("cannot write").because(&source)).contains("hint: free some space"));
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let error = CommandError::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((error.status(), printed(&error).as_str()), (0, ""));
    }

    #[test]
    fn hostile_text_cannot_draw_on_the_terminal() {
        let error = CommandError::new(format!("cannot read \u{1b}[2Jx\n{}", "y".repeat(5_000)));
        let text = printed(&error);
        assert!(!text.contains('\u{1b}') && text.lines().count() == 1 && text.chars().count() < 1_300, "{text}");
    }

    #[test]
    fn a_place_in_the_users_text_is_shown() {
        let error = CommandError::new("matagi.toml is not valid").at(
            "matagi.toml",
            "lang = \"en\"\nlakee = \"x\"\n",
            12,
            5,
            "unknown key",
        );
        let text = printed(&error);
        assert!(text.contains("matagi.toml:2:1") && text.contains("lakee") && text.contains("unknown key"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }
}

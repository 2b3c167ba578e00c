//! `cargo xtask tidy`: the rules of the house that a compiler does not know.
//!
//! Each check is a function of texts, so that its test is a text. What a check complains about names the file and says
//! what to do.

mod budgets;
mod edges;
mod licences;
mod limits;
mod registered;
mod rust_text;
mod texts;
mod words;

use anyhow::Result;

use crate::docs;
use crate::workspace::{Workspace, has_extension};
use crate::{print, say};

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    file: String,
    /// Line from 1; 0 when it is about the whole file.
    line: usize,
    what: String,
}

impl Problem {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, what: what.into() }
    }
}

/// Runs every check and prints what each found.
pub fn run(workspace: &Workspace) -> Result<bool> {
    let manifests = workspace.texts(|file| file.starts_with("crates/") && file.ends_with("/Cargo.toml"))?;
    let sources = workspace.texts(|file| is_rust(file) && !file.starts_with("fuzz/"))?;
    let prose = workspace.texts(is_text)?;
    let phrases = workspace.texts(|file| has_extension(file, &["toml"]) && file.contains("/text/"))?;
    let checks: [(&str, Vec<Problem>); 9] = [
        ("crate edges", edges::check(&manifests)),
        ("budgets of lines", budgets::check(&sources)),
        ("lists and folders", registered::check(&sources)),
        ("limits", limits::check(&sources, &workspace.read("THREAT_MODEL.md")?)),
        ("licences", licences::check(&workspace.metadata()?, &workspace.read("deny.toml")?)?),
        ("words", words::check(&prose)),
        ("texts in both languages", texts::phrases(&phrases)?),
        ("documents in both languages", texts::documents(&prose)),
        ("generated pages", generated(workspace)),
    ];
    let mut total = 0;
    for (name, mut problems) in checks {
        problems.sort();
        total += problems.len();
        say(&format!("{name}: {}", if problems.is_empty() { "good".to_owned() } else { problems.len().to_string() }));
        for Problem { file, line, what } in problems {
            let place = if line == 0 { file } else { format!("{file}:{line}") };
            print(&format!("{place}: {what}\n"));
        }
    }
    Ok(total == 0)
}

fn is_rust(file: &str) -> bool {
    has_extension(file, &["rs"])
}

/// Files that people write: code, manuals, configuration. Evidence and snapshots may say what they like.
fn is_text(file: &str) -> bool {
    let is_ours =
        has_extension(file, &["rs", "md", "toml", "yml", "sql", "sh"]) || ["Makefile", ".ci/run"].contains(&file);
    is_ours && !file.starts_with("cases/")
}

fn generated(workspace: &Workspace) -> Vec<Problem> {
    let is_fresh = workspace.read(docs::SCHEMA_PAGE).is_ok_and(|page| page == docs::schema_page());
    if is_fresh {
        return Vec::new();
    }
    vec![Problem::new(docs::SCHEMA_PAGE, 0, "is out of date: run `cargo xtask docs`")]
}

//! Every limit has an entry in the threat model, and every limit and test that the threat model names is there.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use super::budgets::is_test;
use super::rust_text::RustText;

pub fn check(sources: &BTreeMap<String, String>, threat_model: &str) -> Vec<Problem> {
    let told = words(threat_model);
    let mut declared = BTreeSet::new();
    let mut problems = tests_gone(sources, threat_model);
    for (file, text) in sources.iter().filter(|(file, _)| file.starts_with("crates/") && !is_test(file)) {
        for (index, line) in RustText::new(text).code.iter().enumerate() {
            let Some((is_public, name)) = constant(line) else { continue };
            if is_public && !told.contains(name) {
                let what =
                    format!("`{name}` has no entry in THREAT_MODEL.md: what does it protect, and which test shows it?");
                problems.push(Problem::new(file, index + 1, what));
            }
            declared.insert(name.to_owned());
        }
    }
    let gone = told.difference(&declared).map(|name| format!("names `{name}`, which is nowhere in the code"));
    problems.extend(gone.map(|what| Problem::new("THREAT_MODEL.md", 0, what)));
    problems
}

/// Tests that the threat model calls as witnesses: words in back quotes that read like a sentence.
fn tests_gone(sources: &BTreeMap<String, String>, threat_model: &str) -> Vec<Problem> {
    let is_sentence = |word: &&str| {
        word.matches('_').count() >= 3
            && word.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_')
    };
    let named: BTreeSet<&str> = threat_model.split('`').skip(1).step_by(2).filter(is_sentence).collect();
    let is_there = |name: &str| sources.values().any(|text| text.contains(&format!("fn {name}(")));
    let gone = named.into_iter().filter(|name| !is_there(name));
    gone.map(|name| Problem::new("THREAT_MODEL.md", 0, format!("calls the test `{name}`, which is nowhere"))).collect()
}

/// A constant whose name ends in `_MAX`, and whether anybody outside of its module sees it.
fn constant(line: &str) -> Option<(bool, &str)> {
    let line = line.trim_start();
    let (is_public, rest) = match line.strip_prefix("pub") {
        Some(rest) => (true, rest.trim_start_matches("(crate)").trim_start_matches("(super)").trim_start()),
        None => (false, line),
    };
    let (name, _) = rest.strip_prefix("const ")?.split_once(':')?;
    name.trim().ends_with("_MAX").then_some((is_public, name.trim()))
}

fn words(text: &str) -> BTreeSet<String> {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    let is_limit = |word: &&str| {
        word.ends_with("_MAX")
            && word.chars().all(|char| char.is_ascii_uppercase() || char.is_ascii_digit() || char == '_')
    };
    words.filter(is_limit).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(code: &str, threat_model: &str) -> Vec<String> {
        let sources = BTreeMap::from([("crates/x/src/a.rs".to_owned(), code.to_owned())]);
        check(&sources, threat_model).into_iter().map(|problem| problem.what).collect()
    }

    #[test]
    fn a_public_limit_needs_its_entry() {
        let code = "pub const DEPTH_MAX: u32 = 3;\nimpl X {\n    pub(crate) const SIZE_MAX: u64 = 4;\n}\nconst OWN_MAX: u8 = 1;\n";
        assert!(problems(code, "| `DEPTH_MAX` | `SIZE_MAX` |").is_empty());
        let found = problems(code, "`DEPTH_MAX`");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("`SIZE_MAX` has no entry"), "{found:?}");
    }

    #[test]
    fn an_entry_needs_its_limit() {
        assert_eq!(problems("const OWN_MAX: u8 = 1;\n", "`OWN_MAX` and `GONE_MAX`").len(), 1);
    }

    #[test]
    fn a_witness_needs_its_test() {
        let code = "#[test]\nfn a_bomb_is_stopped() {}\n";
        assert!(problems(code, "`a_bomb_is_stopped` and `crates/x/tests.rs`").is_empty());
        assert_eq!(problems(code, "`a_bomb_is_not_stopped`").len(), 1);
    }

    #[test]
    fn uses_and_comments_are_no_declarations() {
        assert!(problems("// pub const OLD_MAX: u8 = 1;\nlet x = u8::MAX;\n", "").is_empty());
    }
}

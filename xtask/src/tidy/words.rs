//! Words that must not stand in what we hand over: unfinished work, and places that exist on one machine only.

use std::collections::BTreeMap;

use super::Problem;

/// Joined at run time, so that this file does not find itself.
fn forbidden() -> Vec<(String, &'static str)> {
    let unfinished = "unfinished work does not land: finish it, or write an issue";
    let path = "a path of one machine: take it from an argument, or write it relative to the repository";
    vec![
        (["todo", "!("].concat(), unfinished),
        (["unimpl", "emented!("].concat(), unfinished),
        (["FIX", "ME"].concat(), unfinished),
        (["XX", "X"].concat(), unfinished),
        (["db", "g!("].concat(), "left over from looking for a mistake"),
        (["/wo", "rk/"].concat(), path),
        (["/ro", "ot/"].concat(), path),
        (["/ho", "me/"].concat(), path),
    ]
}

pub fn check(texts: &BTreeMap<String, String>) -> Vec<Problem> {
    let forbidden = forbidden();
    let scratch = ["/tm", "p/"].concat();
    let mut problems = Vec::new();
    for (file, text) in texts {
        for (index, line) in text.lines().enumerate() {
            // A test may name a place that must not be reached; a program must ask for its scratch folder.
            if !super::budgets::is_test(file) && stands_alone(line, &scratch) {
                let what = format!("`{scratch}`: ask `tempfile` or the environment for a scratch folder");
                problems.push(Problem::new(file, index + 1, what));
            }
            for (word, why) in forbidden.iter().filter(|(word, _)| stands_alone(line, word)) {
                problems.push(Problem::new(file, index + 1, format!("`{word}`: {why}")));
            }
        }
    }
    problems
}

/// A word that ends another is not it: a relative path `src/work/x` is no path of a machine, `AXXX` no mark.
fn stands_alone(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|before| before.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|after| after.chars().next());
        let is_part = |char: Option<char>| {
            char.is_some_and(|char| char.is_alphanumeric() || ['_', '.', '}', '>', '-'].contains(&char))
        };
        let goes_on = word.ends_with(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric);
        !is_part(before) && !goes_on
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(line: &str) -> usize {
        check(&BTreeMap::from([("a.rs".to_owned(), format!("fine\n{line}\n"))])).len()
    }

    #[test]
    fn unfinished_work_is_found() {
        assert_eq!(found(&["    to", "do!(\"later\")"].concat()), 1);
        assert_eq!(found(&["// FI", "XME: later"].concat()), 1);
    }

    #[test]
    fn machine_paths_are_found_and_relative_ones_are_not() {
        assert_eq!(found(&["open(\"/ro", "ot/x\")"].concat()), 1);
        assert_eq!(found(&["see ../sha", "red/wo", "rk/x and src/wo", "rk/y"].concat()), 0);
    }

    #[test]
    fn scratch_folders_are_asked_for_except_in_tests() {
        let line = ["open(\"/tm", "p/x\")"].concat();
        let in_file = |file: &str| check(&BTreeMap::from([(file.to_owned(), line.clone())])).len();
        assert_eq!(in_file("crates/lake/src/a.rs"), 1);
        assert_eq!(in_file("crates/lake/tests/a.rs"), 0);
        assert_eq!(found(&["<dir>/tm", "p/x"].concat()), 0);
    }

    #[test]
    fn the_line_is_told() {
        let line = ["db", "g!(x)"].concat();
        assert_eq!(check(&BTreeMap::from([("a.rs".to_owned(), format!("\n\n{line}"))]))[0].line, 3);
    }
}

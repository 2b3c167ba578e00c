//! Functions of at most 70 lines, files of at most 700 without their tests.
//!
//! A long table is not complicated: `// tidy: table - reason` above an item takes it out of the count.

use std::collections::BTreeMap;
use std::ops::Range;

use super::Problem;
use super::rust_text::RustText;

/// Lines of code between the braces of a function; blank lines and comments are free.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of code in a file, without test modules; blank lines and comments count, because they are read too.
const FILE_LINES_MAX: usize = 700;

const MARK: &str = "// tidy: table";

pub fn check(sources: &BTreeMap<String, String>) -> Vec<Problem> {
    sources.iter().filter(|(file, _)| !is_test(file)).flat_map(|(file, text)| check_one(file, text)).collect()
}

/// Whole files of tests have no budget.
pub fn is_test(file: &str) -> bool {
    file.contains("/tests/") || file.ends_with("/tests.rs") || file.ends_with("_tests.rs") || file.contains("/benches/")
}

fn check_one(file: &str, text: &str) -> Vec<Problem> {
    let parsed = RustText::new(text);
    let mut problems = Vec::new();
    let mut free = parsed.test_modules();
    for (index, line) in parsed.lines.iter().enumerate() {
        if let Some(reason) = line.trim().strip_prefix(MARK) {
            if reason.trim_matches([' ', '-', ':']).is_empty() {
                problems.push(Problem::new(file, index + 1, format!("`{MARK}` needs a reason behind it")));
            }
            free.push(parsed.item(index));
        }
    }
    let is_free = |index: usize| free.iter().any(|range| range.contains(&index));
    let lines = (0..parsed.lines.len()).filter(|&index| !is_free(index)).count();
    if lines > FILE_LINES_MAX {
        let what =
            format!("has {lines} lines without its tests, at most {FILE_LINES_MAX}: part it by what it is about");
        problems.push(Problem::new(file, 0, what));
    }
    for (start, body) in functions(&parsed).into_iter().filter(|(start, _)| !is_free(*start)) {
        let lines = body.filter(|&index| parsed.is_code(index)).count();
        if lines > FUNCTION_LINES_MAX {
            let what =
                format!("this function has {lines} lines, at most {FUNCTION_LINES_MAX}: name the steps it takes");
            problems.push(Problem::new(file, start + 1, what));
        }
    }
    problems
}

/// The line of each `fn`, and the lines between its braces.
fn functions(parsed: &RustText) -> Vec<(usize, Range<usize>)> {
    let starts = parsed.code.iter().enumerate().filter(|(_, line)| is_function(line)).map(|(index, _)| index);
    starts.map(|start| (start, body(parsed, start))).collect()
}

fn body(parsed: &RustText, start: usize) -> Range<usize> {
    let item = parsed.item(start);
    let open = item.clone().find(|&index| parsed.code.get(index).is_some_and(|line| line.contains('{')));
    open.map_or(start..start, |open| open + 1..item.end.saturating_sub(1).max(open + 1))
}

/// `fn name` as an item: not `Fn(`, not a pointer type `fn(`.
fn is_function(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let before_is_item = |word: &&str| {
        ["pub", "const", "async", "unsafe", "extern"].contains(word) || word.starts_with("pub(") || *word == "\"\""
    };
    let first = words.by_ref().find(|word| !before_is_item(word));
    first == Some("fn") && words.next().is_some_and(|name| !name.starts_with('('))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let sources = BTreeMap::from([("crates/x/src/a.rs".to_owned(), text.to_owned())]);
        check(&sources).into_iter().map(|problem| format!("{}: {}", problem.line, problem.what)).collect()
    }

    fn function(lines: usize) -> String {
        format!("pub(crate) fn long(a: u8) -> u8 {{\n{}}}\n", "    work();\n".repeat(lines))
    }

    #[test]
    fn a_long_function_is_found() {
        assert!(problems(&function(70)).is_empty());
        let found = problems(&function(71));
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("1: this function has 71 lines"), "{found:?}");
    }

    #[test]
    fn comments_blanks_and_braces_in_texts_cost_nothing() {
        let body = "    // why\n\n    let a = \"}\";\n".repeat(70);
        assert!(problems(&format!("fn f() {{\n{body}}}\n")).is_empty());
    }

    #[test]
    fn tests_have_no_budget() {
        assert!(
            problems(&format!("#[cfg(test)]\nmod tests {{\n{}{}}}\n", function(100), "// x\n".repeat(900))).is_empty()
        );
    }

    #[test]
    fn a_long_file_is_found_and_a_table_with_a_reason_is_not() {
        let table = format!("static T: &[u8] = &[\n{}];\n", "    1,\n".repeat(800));
        assert_eq!(problems(&table).len(), 1);
        assert!(problems(&format!("// tidy: table - one line a format\n{table}")).is_empty());
        assert_eq!(problems(&format!("// tidy: table\n{table}")), ["1: `// tidy: table` needs a reason behind it"]);
        assert_eq!(problems(&format!("// tidy: table - short\nstatic A: u8 = 1;\n{table}")).len(), 1);
    }

    #[test]
    fn a_marked_function_is_free() {
        assert!(problems(&format!("// tidy: table - one arm a code\n{}", function(90))).is_empty());
    }

    #[test]
    fn types_and_traits_are_no_functions() {
        assert!(!is_function("    read: fn (u8) -> u8,") && !is_function("type F = fn(u8);"));
        assert!(is_function("    pub(super) const fn x() {") && is_function("async fn y<T>("));
    }
}

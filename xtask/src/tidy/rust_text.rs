//! Just enough of Rust's grammar to count lines: comments and literals are blanked, braces are matched.

use std::ops::Range;

/// A file with its comments and literals blanked out, line by line as it was.
pub struct RustText {
    /// The lines with comments and the insides of literals replaced by spaces.
    pub code: Vec<String>,
    /// The lines as they are.
    pub lines: Vec<String>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl RustText {
    pub fn new(source: &str) -> Self {
        let lines = source.lines().map(str::to_owned).collect();
        Self { code: blank(source).lines().map(str::to_owned).collect(), lines }
    }

    /// The lines from `start` to the end of the item that begins there: its closing brace or its semicolon.
    pub fn item(&self, start: usize) -> Range<usize> {
        let mut depth = 0_usize;
        let mut was_open = false;
        for (index, line) in self.code.iter().enumerate().skip(start) {
            for char in line.chars() {
                match char {
                    '{' | '[' | '(' => (depth, was_open) = (depth + 1, was_open || char == '{'),
                    '}' | ']' | ')' => depth = depth.saturating_sub(1),
                    ';' if depth == 0 => return start..index + 1,
                    _ => {}
                }
                if depth == 0 && was_open && char == '}' {
                    return start..index + 1;
                }
            }
        }
        start..self.code.len()
    }

    /// Modules that are compiled for tests only.
    pub fn test_modules(&self) -> Vec<Range<usize>> {
        let starts = self.code.iter().enumerate().filter(|(_, line)| line.trim().starts_with("#[cfg(test)]"));
        starts.map(|(index, _)| self.item(index)).collect()
    }

    /// Lines that hold code: neither blank nor only a comment.
    pub fn is_code(&self, index: usize) -> bool {
        self.code.get(index).is_some_and(|line| !line.trim().is_empty())
    }
}

/// The source with spaces for comments and quotes for literals: a line that holds only a literal is still a line of code.
fn blank(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while !rest.is_empty() {
        let in_word = out.chars().next_back().is_some_and(|char| char.is_alphanumeric() || char == '_');
        let (kind, bytes) = token(rest, in_word);
        let (taken, after) = rest.split_at_checked(bytes).unwrap_or((rest, ""));
        out.extend(taken.chars().map(|char| match kind {
            Kind::Comment if char != '\n' => ' ',
            Kind::Literal if char != '\n' => '"',
            _ => char,
        }));
        rest = after;
    }
    out
}

/// What begins here, and how many bytes it has.
fn token(rest: &str, in_word: bool) -> (Kind, usize) {
    if rest.starts_with("//") {
        return (Kind::Comment, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Kind::Comment, block_comment(rest));
    }
    if rest.starts_with('"') {
        return (Kind::Literal, quoted(rest));
    }
    if !in_word && let Some(bytes) = raw_text(rest) {
        return (Kind::Literal, bytes);
    }
    if let Some(bytes) = character(rest) {
        return (Kind::Literal, bytes);
    }
    (Kind::Code, rest.chars().next().map_or(1, char::len_utf8))
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(here) = rest.get(at..).filter(|here| !here.is_empty()) {
        if here.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if here.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

fn quoted(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, char) in rest.char_indices().skip(1) {
        match char {
            '"' if !is_escaped => return at + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    rest.len()
}

fn raw_text(rest: &str) -> Option<usize> {
    let prefix = if rest.starts_with("br") { 2 } else { usize::from(rest.starts_with('r')) };
    let inside = rest.get(prefix..).filter(|_| prefix > 0)?;
    let hashes = inside.len() - inside.trim_start_matches('#').len();
    inside.get(hashes..)?.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let start = prefix + hashes + 1;
    let end = rest.get(start..)?.find(&close).map_or(rest.len(), |at| start + at + close.len());
    Some(end)
}

/// A quote opens a character when another closes it; otherwise it is a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    if let Some(escape) = inside.strip_prefix('\\') {
        // What is escaped may itself be a quote.
        let skipped = escape.chars().next()?.len_utf8();
        return Some(2 + skipped + escape.get(skipped..)?.find('\'')? + 1);
    }
    let width = inside.chars().next()?.len_utf8();
    inside.get(width..)?.starts_with('\'').then_some(width + 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_hold_no_code() {
        let text = "let a = \"{ // \\\" }\"; // {\n/* { /* } */ { */ let b = '{'; let c = r#\"{\"#;\nfn x<'a>() {}\n";
        let blanked = RustText::new(text).code;
        assert!(!blanked[0].contains('{') && blanked[0].contains("let a"));
        assert!(!blanked[1].contains(['{', '}']) && blanked[1].contains("let b") && blanked[1].contains("let c"));
        assert_eq!(blanked[2], "fn x<'a>() {}");
        assert_eq!(RustText::new("let q = '\\''; let r = '\\u{1f}';\n").code[0].matches("let").count(), 2);
        assert!(!RustText::new("let r = '\\u{1f}';\n").code[0].contains('{'));
    }

    #[test]
    fn lines_stay_where_they_are() {
        let text = "a\n\"two\nlines\"\n// c\n日本\n";
        let parsed = RustText::new(text);
        assert_eq!(parsed.code.len(), parsed.lines.len());
        assert!(parsed.is_code(2) && !parsed.is_code(3) && parsed.is_code(4));
    }

    #[test]
    fn an_item_ends_at_its_brace_or_semicolon() {
        let parsed = RustText::new("fn a() {\n  if x { y }\n}\nstatic B: &[u8] = &[\n 1,\n];\nstruct C;\n");
        assert_eq!(parsed.item(0), 0..3);
        assert_eq!(parsed.item(3), 3..6);
        assert_eq!(parsed.item(6), 6..7);
    }

    #[test]
    fn test_modules_are_found_whole() {
        let parsed = RustText::new("fn a() {}\n#[cfg(test)]\nmod tests {\n  fn b() {}\n}\nfn c() {}\n");
        let found = parsed.test_modules();
        assert_eq!((found.len(), found[0].clone()), (1, 1..5));
    }
}

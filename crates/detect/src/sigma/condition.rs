//! The condition language: `x of` binds tighter than `not`, `not` than `and`, `and` than `or`.

/// Parentheses and `not`s within each other; people write three.
const DEPTH_MAX: usize = 64;
/// Words of one condition.
const TOKENS_MAX: usize = 4_096;

/// A condition over named selections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// The selection of this name.
    Named(String),
    /// At least one of the selections that the pattern names.
    One(Vec<String>),
    /// All of the selections that the pattern names.
    All(Vec<String>),
    /// Not.
    Not(Box<Self>),
    /// And.
    And(Vec<Self>),
    /// Or.
    Or(Vec<Self>),
}

/// Parses a condition over these selections.
///
/// # Errors
/// What is wrong with it, in one sentence.
pub(super) fn parse(text: &str, selections: &[&str]) -> Result<Condition, String> {
    if text.contains('|') {
        return Err("aggregation of Sigma v1 (`|` in the condition) is not supported".to_owned());
    }
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, selections, depth: 0 };
    let condition = parser.or()?;
    match parser.peek() {
        None => Ok(condition),
        Some(Token::Word(word)) if word.eq_ignore_ascii_case("near") => {
            Err("`near` of Sigma v1 is not supported".to_owned())
        }
        Some(token) => Err(format!("condition: unexpected {token}")),
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    Word(String),
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Open => f.write_str("`(`"),
            Self::Close => f.write_str("`)`"),
            Self::Word(word) => write!(f, "`{word}`"),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut word = String::new();
    for letter in text.chars().chain([' ']) {
        if letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.' | '*' | '?') {
            word.push(letter);
            continue;
        }
        if !word.is_empty() {
            tokens.push(Token::Word(std::mem::take(&mut word)));
        }
        match letter {
            '(' => tokens.push(Token::Open),
            ')' => tokens.push(Token::Close),
            _ if letter.is_whitespace() => {}
            _ => return Err(format!("condition: unexpected `{letter}`")),
        }
        if tokens.len() > TOKENS_MAX {
            return Err("condition: too long".to_owned());
        }
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    selections: &'a [&'a str],
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<&Token> {
        self.at += 1;
        self.tokens.get(self.at - 1)
    }

    fn takes(&mut self, keyword: &str) -> bool {
        let is_it = matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword));
        self.at += usize::from(is_it);
        is_it
    }

    fn or(&mut self) -> Result<Condition, String> {
        self.joined("or", Self::and, Condition::Or)
    }

    fn and(&mut self) -> Result<Condition, String> {
        self.joined("and", Self::not, Condition::And)
    }

    fn joined(
        &mut self,
        keyword: &str,
        part: fn(&mut Self) -> Result<Condition, String>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Condition, String> {
        let mut parts = vec![part(self)?];
        while self.takes(keyword) {
            parts.push(part(self)?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { join(parts) })
    }

    fn not(&mut self) -> Result<Condition, String> {
        if !self.takes("not") {
            return self.operand();
        }
        self.deeper()?;
        let inner = self.not()?;
        self.depth -= 1;
        Ok(Condition::Not(Box::new(inner)))
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { Err(format!("condition: more than {DEPTH_MAX} deep")) } else { Ok(()) }
    }

    fn operand(&mut self) -> Result<Condition, String> {
        match self.next().cloned() {
            None => Err("condition: ends too early".to_owned()),
            Some(Token::Close) => Err("condition: unexpected `)`".to_owned()),
            Some(Token::Open) => {
                self.deeper()?;
                let inner = self.or()?;
                self.depth -= 1;
                match self.next() {
                    Some(Token::Close) => Ok(inner),
                    _ => Err("condition: a `(` is not closed".to_owned()),
                }
            }
            Some(Token::Word(word)) => self.word(word),
        }
    }

    fn word(&mut self, word: String) -> Result<Condition, String> {
        let is_of = matches!(self.peek(), Some(Token::Word(next)) if next.eq_ignore_ascii_case("of"));
        if !is_of {
            return self.named(word);
        }
        self.at += 1;
        let Some(Token::Word(pattern)) = self.next().cloned() else {
            return Err(format!("condition: `{word} of` what?"));
        };
        let names = self.matching(&pattern)?;
        match word.to_ascii_lowercase().as_str() {
            "1" | "any" => Ok(Condition::One(names)),
            "all" => Ok(Condition::All(names)),
            _ => Err(format!("condition: `{word} of` is not in the specification")),
        }
    }

    fn named(&self, word: String) -> Result<Condition, String> {
        if self.selections.contains(&word.as_str()) {
            return Ok(Condition::Named(word));
        }
        match word.to_ascii_lowercase().as_str() {
            "them" => Err("condition: `them` without `1 of` or `all of`".to_owned()),
            "and" | "or" | "not" | "of" => Err(format!("condition: `{word}` where a selection should stand")),
            _ => Err(format!("condition: there is no selection `{word}`")),
        }
    }

    /// The selections that `them` or a pattern with `*` names; `them` leaves out those that begin with `_`.
    fn matching(&self, pattern: &str) -> Result<Vec<String>, String> {
        let is_them = pattern.eq_ignore_ascii_case("them");
        let is_meant = |name: &&&str| {
            if is_them { !name.starts_with('_') } else { glob(pattern.as_bytes(), name.as_bytes()) }
        };
        let names: Vec<String> = self.selections.iter().filter(is_meant).map(|&name| name.to_owned()).collect();
        if names.is_empty() { Err(format!("condition: `{pattern}` names no selection")) } else { Ok(names) }
    }
}

/// Whether `*` patterns cover a name, exactly and case-sensitively.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skip| name.get(skip..).is_some_and(|tail| glob(rest, tail))),
        Some((byte, rest)) => name.split_first().is_some_and(|(first, tail)| first == byte && glob(rest, tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 8] = ["selection", "sel", "sel_a", "sel_b", "filter_main_1", "filter-2", "_hidden", "keywords"];

    /// A condition written back with every pair of parentheses.
    fn shape(text: &str) -> String {
        fn show(condition: &Condition) -> String {
            let join = |parts: &[Condition], word: &str| parts.iter().map(show).collect::<Vec<_>>().join(word);
            match condition {
                Condition::Named(name) => name.clone(),
                Condition::One(names) => format!("1({})", names.join(",")),
                Condition::All(names) => format!("all({})", names.join(",")),
                Condition::Not(inner) => format!("!{}", show(inner)),
                Condition::And(parts) => format!("({})", join(parts, " & ")),
                Condition::Or(parts) => format!("({})", join(parts, " | ")),
            }
        }
        match parse(text, &NAMES) {
            Ok(condition) => show(&condition),
            Err(reason) => format!("error: {reason}"),
        }
    }

    #[test]
    fn conditions_bind_as_specified() {
        for (text, expected) in [
            ("selection", "selection"),
            ("sel_a or sel_b and selection", "(sel_a | (sel_b & selection))"),
            ("not sel_a and sel_b", "(!sel_a & sel_b)"),
            ("not 1 of sel_* and selection", "(!1(sel_a,sel_b) & selection)"),
            ("not (sel_a or sel_b)", "!(sel_a | sel_b)"),
            ("not not sel", "!!sel"),
            ("selection AND NOT 1 OF filter*", "(selection & !1(filter_main_1,filter-2))"),
            ("1 of them", "1(selection,sel,sel_a,sel_b,filter_main_1,filter-2,keywords)"),
            ("any of sel*", "1(selection,sel,sel_a,sel_b)"),
            ("all of _h*", "all(_hidden)"),
            ("all of sel_*", "all(sel_a,sel_b)"),
            ("1 of sel", "1(sel)"),
            ("filter-2 or filter_main_1", "(filter-2 | filter_main_1)"),
            ("(sel)", "sel"),
            ("sel_a and sel_b and sel", "(sel_a & sel_b & sel)"),
        ] {
            assert_eq!(shape(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            ("", "ends too early"),
            ("sel_a and", "ends too early"),
            ("(sel_a", "is not closed"),
            ("sel_a)", "unexpected `)`"),
            ("sel_a sel_b", "unexpected `sel_b`"),
            ("nowhere", "no selection `nowhere`"),
            ("1 of nowhere*", "names no selection"),
            ("2 of sel*", "not in the specification"),
            ("selection | count() by user > 5", "aggregation of Sigma v1"),
            ("sel_a near sel_b", "`near` of Sigma v1"),
            ("sel_a & sel_b", "unexpected `&`"),
            ("them", "without `1 of`"),
            ("and sel", "where a selection should stand"),
        ] {
            let found = shape(text);
            assert!(found.starts_with("error: ") && found.contains(expected), "{text}: {found}");
        }
    }

    #[test]
    fn hostile_nesting_is_refused() {
        let deep = format!("{}sel{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(shape(&deep).starts_with("error: "));
        assert!(shape(&format!("{}sel", "not ".repeat(3_000))).starts_with("error: "));
    }
}

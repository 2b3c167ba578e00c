//! Lines of styled characters, cut and padded by the columns that they take on a terminal.

use anstyle::{AnsiColor, Style};
use matagi_model::{CoverageState, Severity};
use unicode_width::UnicodeWidthChar;

/// How a character looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Look {
    #[default]
    Plain,
    Strong,
    Muted,
    Heading,
    Command,
    Severity(Severity),
    State(CoverageState),
}

impl Look {
    fn style(self) -> Style {
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match self {
            Self::Plain => Style::new(),
            Self::Strong => Style::new().bold(),
            Self::Muted | Self::Severity(Severity::Informational) => Style::new().dimmed(),
            Self::Heading => colour(AnsiColor::Green).bold(),
            Self::Command => colour(AnsiColor::Cyan),
            Self::Severity(Severity::Critical) => colour(AnsiColor::BrightRed).bold(),
            Self::Severity(Severity::High) | Self::State(CoverageState::Absent) => colour(AnsiColor::Red),
            Self::Severity(Severity::Medium) | Self::State(CoverageState::Partial) => colour(AnsiColor::Yellow),
            Self::Severity(Severity::Low) => colour(AnsiColor::Blue),
            Self::State(CoverageState::Present) => colour(AnsiColor::Green),
        }
    }
}

/// A character with its look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glyph {
    pub(super) character: char,
    pub(super) look: Look,
}

/// Characters side by side.
pub(super) type Glyphs = Vec<Glyph>;

/// Text in one look. The text must be clean (`crate::visible`).
pub(super) fn glyphs(text: &str, look: Look) -> Glyphs {
    text.chars().map(|character| Glyph { character, look }).collect()
}

fn columns(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// Columns that these characters take.
pub(super) fn width(glyphs: &[Glyph]) -> usize {
    glyphs.iter().map(|glyph| columns(glyph.character)).sum()
}

/// Characters that Japanese does not put at the beginning of a line.
const NOT_FIRST: &str = "、。，．・：；？！）」』】〕〉》ー々…‥ぁぃぅぇぉっゃゅょァィゥェォッャュョヵヶ,.:;?!)]}%";
/// Characters that it does not put at the end of one.
const NOT_LAST: &str = "（「『【〔〈《([{“";

fn may_break(before: char, after: char) -> bool {
    if NOT_FIRST.contains(after) || NOT_LAST.contains(before) {
        return false;
    }
    matches!(before, ' ' | '/' | '\\' | '!') || columns(before) == 2 || columns(after) == 2
}

/// Cuts into lines of at most `width` columns: between words, between Japanese characters where that is allowed, and
/// within a word only when it is longer than a line.
pub(super) fn wrap(text: &[Glyph], width: usize) -> Vec<Glyphs> {
    let width = width.max(2);
    let mut lines: Vec<Glyphs> = Vec::new();
    let mut line = Glyphs::new();
    let (mut taken, mut last_break) = (0, 0);
    for &glyph in text {
        if let Some(before) = line.last()
            && may_break(before.character, glyph.character)
        {
            last_break = line.len();
        }
        let own = columns(glyph.character);
        if taken + own > width && glyph.character != ' ' {
            let rest = if last_break > 0 { line.split_off(last_break) } else { Glyphs::new() };
            lines.push(trimmed(std::mem::replace(&mut line, rest)));
            taken = self::width(&line);
            last_break = 0;
        }
        if line.is_empty() && glyph.character == ' ' && !lines.is_empty() {
            continue;
        }
        line.push(glyph);
        taken += own;
    }
    lines.push(trimmed(line));
    lines
}

fn trimmed(mut line: Glyphs) -> Glyphs {
    while line.last().is_some_and(|glyph| glyph.character == ' ') {
        line.pop();
    }
    line
}

/// Adds spaces up to `width` columns, in front where `right` is asked for.
pub(super) fn padded(mut line: Glyphs, width: usize, right: bool) -> Glyphs {
    let mut spaces = glyphs(&" ".repeat(width.saturating_sub(self::width(&line))), Look::Plain);
    if right {
        spaces.append(&mut line);
        return spaces;
    }
    line.append(&mut spaces);
    line
}

/// Writes a line with its end, without spaces behind it.
pub(super) fn write(out: &mut String, line: &[Glyph], colour: bool) {
    let end = line.iter().rposition(|glyph| glyph.character != ' ').map_or(0, |last| last + 1);
    for run in line[..end].chunk_by(|a, b| a.look == b.look) {
        let style = run.first().map(|glyph| glyph.look.style()).filter(|style| colour && *style != Style::new());
        if let Some(style) = style {
            out.push_str(&style.render().to_string());
        }
        out.extend(run.iter().map(|glyph| glyph.character));
        if let Some(style) = style {
            out.push_str(&style.render_reset().to_string());
        }
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(text: &str, width: usize) -> Vec<String> {
        let lines = wrap(&glyphs(text, Look::Plain), width);
        lines.iter().map(|line| line.iter().map(|glyph| glyph.character).collect()).collect()
    }

    #[test]
    fn words_stay_whole_where_they_can() {
        assert_eq!(wrapped("one two three", 8), ["one two", "three"]);
        assert_eq!(wrapped("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrapped("", 4), [""]);
    }

    #[test]
    fn japanese_takes_two_columns_and_never_begins_a_line_with_a_stop() {
        assert_eq!(wrapped("乗っ取りです。", 8), ["乗っ取り", "です。"]);
        assert_eq!(wrapped("乗っ取りだ。次", 10), ["乗っ取り", "だ。次"]);
        for width in 2..20 {
            let lines = wrapped("「証拠」には、閲覧の記録がありません。Yes", width);
            assert!(lines.iter().all(|line| line.chars().map(columns).sum::<usize>() <= width), "{width}: {lines:?}");
            let text: String = lines.concat();
            assert_eq!(text, "「証拠」には、閲覧の記録がありません。Yes");
        }
    }

    #[test]
    fn padding_counts_columns_not_characters() {
        assert_eq!(width(&padded(glyphs("日本", Look::Plain), 6, false)), 6);
        let right: String = padded(glyphs("12", Look::Plain), 4, true).iter().map(|glyph| glyph.character).collect();
        assert_eq!(right, "  12");
    }

    #[test]
    fn colour_only_when_asked_for() {
        let line = [glyphs("a", Look::Plain), glyphs("b  ", Look::Strong)].concat();
        let (mut plain, mut coloured) = (String::new(), String::new());
        write(&mut plain, &line, false);
        write(&mut coloured, &line, true);
        assert_eq!(plain, "ab\n");
        assert_eq!(coloured, "a\u{1b}[1mb\u{1b}[0m\n");
    }
}

//! Evidence made safe to look at: whatever could act on a terminal, reorder text or hide in it becomes visible.

use std::fmt::Write as _;

/// Characters of one quoted field that are shown; the rest is counted.
pub const FIELD_CHARS_MAX: usize = 1_200;

/// Combining marks in a row that are shown; more of them only paint over other lines.
const MARKS_MAX: usize = 8;

/// Whether a character has no picture of its own but an effect: controls, bidirectional and invisible formatting,
/// line separators, tags, private use and characters that are none.
pub fn is_hidden(character: char) -> bool {
    matches!(character,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}'
        | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}'
        | '\u{ffff}' | '\u{e000}'..='\u{f8ff}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e00ff}'
        | '\u{e01f0}'..='\u{10ffff}')
}

/// One line of evidence, as it may be shown: hidden characters by their code, at most [`FIELD_CHARS_MAX`] of them.
pub fn line(text: &str) -> String {
    clean(text, FIELD_CHARS_MAX, false)
}

/// A command: always one line, because evidence within it must not become a second command when it is pasted.
pub fn command(text: &str) -> String {
    clean(text, FIELD_CHARS_MAX * 4, false)
}

/// Text of several lines, such as a raw record: line feeds and tabs stay, everything else as in [`line`].
pub fn lines(text: &str) -> String {
    clean(text, FIELD_CHARS_MAX * 4, true)
}

fn clean(text: &str, chars_max: usize, keep_lines: bool) -> String {
    let mut shown = String::with_capacity(text.len().min(chars_max * 4));
    let mut marks = 0;
    for (index, character) in text.chars().enumerate() {
        if index == chars_max {
            // Counting the rest is linear in the text, which the sources have already bounded.
            let _ = write!(shown, "… (+{})", text.chars().skip(index).count());
            break;
        }
        marks = if is_mark(character) { marks + 1 } else { 0 };
        match character {
            '\n' if keep_lines => shown.push('\n'),
            '\t' => shown.push_str(if keep_lines { "    " } else { " " }),
            '\u{0}'..='\u{1f}' => shown.push(char::from_u32(0x2400 + u32::from(character)).unwrap_or('\u{fffd}')),
            '\u{7f}' => shown.push('\u{2421}'),
            _ if is_hidden(character) => {
                let _ = write!(shown, "⟨U+{:04X}⟩", u32::from(character));
            }
            _ if marks > MARKS_MAX => {}
            _ => shown.push(character),
        }
    }
    shown
}

/// Combining: drawn on the character before it.
fn is_mark(character: char) -> bool {
    !character.is_ascii() && !is_hidden(character) && unicode_width::UnicodeWidthChar::width(character) == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_and_bidirectional_marks_are_shown_not_obeyed() {
        assert_eq!(line("a\u{0}b\u{1b}[31mc\u{7f}\u{9b}2J"), "a␀b␛[31mc␡⟨U+009B⟩2J");
        assert_eq!(line("gnp.\u{202e}exe\u{2066}x\u{2069}"), "gnp.⟨U+202E⟩exe⟨U+2066⟩x⟨U+2069⟩");
        assert_eq!(line("pay\u{200b}pal\u{feff}\u{ad}\u{e0041}"), "pay⟨U+200B⟩pal⟨U+FEFF⟩⟨U+00AD⟩⟨U+E0041⟩");
        assert_eq!(line("a\r\nb\tc"), "a␍␊b c");
        assert_eq!(command("Remove-InboxRule 'a\nRemove-Item b'"), "Remove-InboxRule 'a␊Remove-Item b'");
        assert_eq!(lines("a\n\tb\u{1b}"), "a\n    b␛");
        assert_eq!(line("日本語 café – ok"), "日本語 café – ok");
    }

    #[test]
    fn long_fields_are_cut_and_counted() {
        let shown = line(&"x".repeat(FIELD_CHARS_MAX + 5));
        assert!(shown.ends_with("x… (+5)"), "{shown}");
        assert_eq!(line(&"x".repeat(FIELD_CHARS_MAX)).len(), FIELD_CHARS_MAX);
    }

    #[test]
    fn stacked_marks_are_cut() {
        let zalgo = format!("a{}b", "\u{301}".repeat(500));
        assert_eq!(line(&zalgo).chars().count(), 2 + MARKS_MAX);
    }
}

//! Blocks as HTML.

use std::fmt::Write as _;

use matagi_model::{CoverageState, Severity, Time};

use super::{anchor, escape, escape_clean, picture};
use crate::block::{Block, Column, Fit, Inline, Item, Line, Tile, Tone};
use crate::texts::{severity, word};
use crate::{clock, visible};

pub(super) fn write(out: &mut String, blocks: &[Block], lang: &str) {
    for block in blocks {
        write_block(out, block, lang);
    }
}

// Writing to a String cannot fail: the results of `write!` are dropped throughout.
fn write_block(out: &mut String, block: &Block, lang: &str) {
    match block {
        Block::Heading { level, anchor: name, line } => {
            let level = (*level).clamp(2, 6);
            let id = name.as_deref().map(|name| format!(" id=\"{}\"", anchor(name))).unwrap_or_default();
            let _ = writeln!(out, "<h{level}{id}>{}</h{level}>", inline(line, lang));
        }
        Block::Paragraph(line) => {
            let _ = writeln!(out, "<p>{}</p>", inline(line, lang));
        }
        Block::Lead(line) => {
            let _ = writeln!(out, "<p class=\"lead\">{}</p>", inline(line, lang));
        }
        Block::List { ordered, items } => list(out, *ordered, items, lang),
        Block::Table { columns, rows } => table(out, columns, rows, lang),
        Block::KeyValues(pairs) => {
            out.push_str("<dl>");
            for (name, value) in pairs {
                let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), inline(value, lang));
            }
            out.push_str("</dl>\n");
        }
        Block::Tiles(tiles) => write_tiles(out, tiles),
        Block::Timeline(timeline) => picture::write(out, timeline, lang),
        Block::Code(code) => write_code(out, &visible::lines(code)),
        Block::Callout { tone, title, body } => callout(out, *tone, title, body, lang),
        Block::Fold { is_open, summary, blocks } => {
            let open = if *is_open { " open" } else { "" };
            let _ = writeln!(out, "<details{open}><summary>{}</summary>", inline(summary, lang));
            write(out, blocks, lang);
            out.push_str("</details>\n");
        }
        Block::Card { severity, anchor: name, blocks } => {
            let _ = writeln!(out, "<article id=\"{}\" class=\"card sev-{severity}\">", anchor(name));
            write(out, blocks, lang);
            out.push_str("</article>\n");
        }
    }
}

fn list(out: &mut String, ordered: bool, items: &[Item], lang: &str) {
    let tag = if ordered { "ol" } else { "ul" };
    let _ = writeln!(out, "<{tag}>");
    for item in items {
        let _ = write!(out, "<li>{}", inline(&item.line, lang));
        if let Some(code) = &item.code {
            write_code(out, &visible::command(code));
        }
        out.push_str("</li>\n");
    }
    let _ = writeln!(out, "</{tag}>");
}

fn write_code(out: &mut String, clean: &str) {
    let _ = writeln!(out, "<pre dir=\"ltr\"><code>{}</code></pre>", escape_clean(clean));
}

fn table(out: &mut String, columns: &[Column], rows: &[Vec<Line>], lang: &str) {
    out.push_str("<div class=\"scroll\"><table><thead><tr>");
    for column in columns {
        let _ = write!(out, "<th scope=\"col\" class=\"{}\">{}</th>", class_of(column.fit), escape(&column.title));
    }
    out.push_str("</tr></thead><tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (column, cell) in columns.iter().zip(row) {
            let _ = write!(out, "<td class=\"{}\">{}</td>", class_of(column.fit), cell_of(cell, lang));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
}

fn class_of(fit: Fit) -> &'static str {
    match fit {
        Fit::Words => "words",
        Fit::Whole => "whole",
        Fit::Number => "number",
    }
}

/// In a cell a time stands over its Japanese twin, and muted words have a line of their own.
fn cell_of(cell: &Line, lang: &str) -> String {
    let shown = cell.iter().map(|piece| match piece {
        Inline::Time(time) => stacked_time(*time),
        Inline::Muted(text) => format!("<small>{}</small>", escape(text)),
        _ => piece_of(piece, lang),
    });
    shown.collect::<Vec<_>>().join(" ")
}

fn stacked_time(time: Time) -> String {
    let Some(precise) = time.rfc3339() else { return "<span class=\"muted\">–</span>".to_owned() };
    let (utc, jst) = (clock::utc(time), clock::jst_beside_utc(time));
    format!("<time datetime=\"{}\">{utc}</time><small>{jst}</small>", escape(&precise))
}

fn inline(line: &Line, lang: &str) -> String {
    line.iter().map(|piece| piece_of(piece, lang)).collect::<Vec<_>>().join(" ")
}

fn piece_of(piece: &Inline, lang: &str) -> String {
    match piece {
        Inline::Text(text) => escape(text),
        Inline::Strong(text) => format!("<strong>{}</strong>", escape(text)),
        Inline::Muted(text) => format!("<span class=\"muted\">{}</span>", escape(text)),
        Inline::Mono(text) => format!("<code dir=\"ltr\">{}</code>", escape(text)),
        Inline::Severity(level) => badge(*level, lang),
        Inline::State(state) => state_of(*state, lang),
        Inline::Time(time) => format!("<time>{} UTC</time>", clock::utc(*time)),
        Inline::Link { anchor: name, text } => format!("<a href=\"#{}\">{}</a>", anchor(name), escape(text)),
        Inline::Bar { from, to, max } => bar(*from, *to, *max),
    }
}

/// A severity by shape, colour and word, so that none of the three is needed.
pub(super) fn badge(level: Severity, lang: &str) -> String {
    let shape = picture::shape(level, 8.0, 8.0, 6.0);
    format!(
        "<span class=\"badge sev-{level}\"><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\">{shape}</svg>{}</span>",
        escape(&severity(lang, level))
    )
}

fn state_of(state: CoverageState, lang: &str) -> String {
    let (name, picture) = match state {
        CoverageState::Present => ("present", "<path d=\"M3 8.5 6.5 12 13 4.5\"/>"),
        CoverageState::Partial => ("partial", "<circle cx=\"8\" cy=\"8\" r=\"5\"/><path d=\"M8 3a5 5 0 0 1 0 10z\"/>"),
        CoverageState::Absent => ("absent", "<path d=\"M4 4 12 12M12 4 4 12\"/>"),
    };
    format!(
        "<span class=\"state {name}\"><svg viewBox=\"0 0 16 16\" aria-hidden=\"true\">{picture}</svg>{}</span>",
        escape(&word(lang, "state", name))
    )
}

/// Width of a bar's scale in its own units.
const BAR_UNITS: f64 = 200.0;

fn bar(from: f64, to: f64, max: f64) -> String {
    let place = |value: f64| (value / max).clamp(0.0, 1.0) * BAR_UNITS;
    let (left, right) = (place(from.min(to)), place(from.max(to)));
    let class = if to < from { "down" } else { "up" };
    format!(
        "<svg class=\"bar\" viewBox=\"0 0 {BAR_UNITS} 12\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <rect class=\"track\" width=\"{BAR_UNITS}\" height=\"12\"/>\
         <rect class=\"{class}\" x=\"{left:.1}\" width=\"{:.1}\" height=\"12\"/></svg>",
        (right - left).max(1.0)
    )
}

fn write_tiles(out: &mut String, tiles: &[Tile]) {
    out.push_str("<div class=\"tiles\">");
    for tile in tiles {
        let class = tile.severity.map(|severity| format!(" sev-{severity}")).unwrap_or_default();
        let (value, label) = (escape(&tile.value), escape(&tile.label));
        let _ = write!(out, "<div class=\"tile{class}\"><b>{value}</b><span>{label}</span></div>");
    }
    out.push_str("</div>\n");
}

fn callout(out: &mut String, tone: Tone, title: &str, body: &[Line], lang: &str) {
    let class = match tone {
        Tone::Note => "note",
        Tone::Warning => "warning",
        Tone::Good => "good",
    };
    let _ = write!(out, "<aside class=\"callout {class}\"><p><strong>{}</strong></p><ul>", escape(title));
    for line in body {
        let _ = write!(out, "<li>{}</li>", inline(line, lang));
    }
    out.push_str("</ul></aside>\n");
}

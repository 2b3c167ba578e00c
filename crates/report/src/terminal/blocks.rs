//! Blocks as text.

use matagi_model::{CoverageState, Severity};

use super::layout::{self, Glyphs, Look, glyphs, padded, width, wrap};
use crate::block::{Block, Column, Fit, Inline, Item, Line, Tile, Tone};
use crate::clock;
use crate::picture::Picture;
use crate::texts::{self, ui};
use crate::visible;

/// Rows of one table that a terminal shows; `explain` and the document show all.
const ROWS_MAX: usize = 25;

/// Narrower than this a column of words is not readable any more.
const COLUMN_MIN: usize = 10;

/// Space between columns.
const GAP: usize = 2;

/// Columns that the bar of a waterfall takes.
const BAR_WIDTH: usize = 20;

/// Draws blocks. Everything that it prints has gone through `crate::visible`.
pub(super) struct Canvas<'a> {
    pub(super) out: String,
    pub(super) lang: &'a str,
    pub(super) width: usize,
    pub(super) colour: bool,
    /// Shows folded detail and whole tables.
    pub(super) whole: bool,
}

impl Canvas<'_> {
    pub(super) fn blank(&mut self) {
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
    }

    fn write(&mut self, line: &[layout::Glyph]) {
        layout::write(&mut self.out, line, self.colour);
    }

    fn write_wrapped(&mut self, text: &[layout::Glyph], indent: usize) {
        for line in wrap(text, self.width.saturating_sub(indent)) {
            self.write(&[glyphs(&" ".repeat(indent), Look::Plain), line].concat());
        }
    }

    /// The title of a section with a rule behind it.
    pub(super) fn section(&mut self, title: &str) {
        self.blank();
        let mut line = glyphs(&format!("{} ", visible::line(title)), Look::Heading);
        let rule = "─".repeat(self.width.saturating_sub(width(&line)));
        line.extend(glyphs(&rule, Look::Muted));
        self.write(&line);
    }

    pub(super) fn blocks(&mut self, blocks: &[Block]) {
        let mut before = None;
        for block in blocks {
            if before.is_some_and(|before| is_apart(before, block)) {
                self.blank();
            }
            self.block(block);
            before = Some(block);
        }
    }

    fn block(&mut self, block: &Block) {
        match block {
            Block::Heading { line, .. } => {
                self.blank();
                let heading = self.line(line).into_iter().map(|glyph| layout::Glyph { look: Look::Strong, ..glyph });
                self.write_wrapped(&heading.collect::<Glyphs>(), 0);
            }
            Block::Paragraph(line) | Block::Lead(line) => {
                let line = self.line(line);
                self.write_wrapped(&line, 0);
            }
            Block::List { ordered, items } => self.list(*ordered, items),
            Block::Table { columns, rows } => self.table(columns, rows),
            Block::KeyValues(pairs) => self.key_values(pairs),
            Block::Tiles(tiles) => self.tiles(tiles),
            Block::Timeline(picture) => self.picture(picture),
            Block::Code(code) => self.code(&visible::lines(code), 2),
            Block::Callout { tone, title, body } => self.callout(*tone, title, body),
            Block::Fold { summary, blocks, .. } if self.whole => {
                let line = self.line(summary);
                self.write_wrapped(&line, 0);
                self.blocks(blocks);
            }
            Block::Fold { summary, .. } => {
                let mut line = glyphs("… ", Look::Muted);
                line.extend(self.line(summary).into_iter().map(|glyph| layout::Glyph { look: Look::Muted, ..glyph }));
                self.write_wrapped(&line, 0);
            }
            Block::Card { blocks, .. } => {
                self.blank();
                self.blocks(blocks);
            }
        }
    }

    fn line(&self, line: &Line) -> Glyphs {
        let pieces: Vec<Glyphs> =
            line.iter().map(|piece| self.piece(piece)).filter(|piece| !piece.is_empty()).collect();
        pieces.join(&glyphs(" ", Look::Plain)[..])
    }

    fn piece(&self, piece: &Inline) -> Glyphs {
        match piece {
            Inline::Text(text) | Inline::Mono(text) | Inline::Link { text, .. } => {
                glyphs(&visible::line(text), Look::Plain)
            }
            Inline::Strong(text) => glyphs(&visible::line(text), Look::Strong),
            Inline::Muted(text) => glyphs(&visible::line(text), Look::Muted),
            Inline::Severity(severity) => {
                let word = texts::severity(self.lang, *severity);
                glyphs(&format!("{} {word}", shape(*severity)), Look::Severity(*severity))
            }
            Inline::State(state) => {
                let (shape, name) = match state {
                    CoverageState::Present => ('✓', "present"),
                    CoverageState::Partial => ('~', "partial"),
                    CoverageState::Absent => ('✗', "absent"),
                };
                glyphs(&format!("{shape} {}", texts::word(self.lang, "state", name)), Look::State(*state))
            }
            Inline::Time(time) => glyphs(&clock::utc(*time), Look::Plain),
            Inline::Bar { from, to, max } => bar(*from, *to, *max),
        }
    }

    fn list(&mut self, ordered: bool, items: &[Item]) {
        for (index, item) in items.iter().enumerate() {
            let mark = if ordered { format!("{:>2}. ", index + 1) } else { "  • ".to_owned() };
            let text = self.line(&item.line);
            for (number, line) in wrap(&text, self.width.saturating_sub(4)).into_iter().enumerate() {
                let indent = if number == 0 { glyphs(&mark, Look::Muted) } else { glyphs("    ", Look::Plain) };
                self.write(&[indent, line].concat());
            }
            if let Some(code) = &item.code {
                self.code(&visible::command(code), 6);
            }
        }
    }

    /// Commands are not wrapped: they are there to be copied.
    fn code(&mut self, clean: &str, indent: usize) {
        for line in clean.lines() {
            let line = [glyphs(&" ".repeat(indent), Look::Plain), glyphs(line, Look::Command)].concat();
            self.write(&line);
        }
    }

    fn key_values(&mut self, pairs: &[(String, Line)]) {
        let names: Vec<Glyphs> = pairs.iter().map(|(name, _)| glyphs(&visible::line(name), Look::Muted)).collect();
        let names_width = names.iter().map(|name| width(name)).max().unwrap_or(0);
        for (name, (_, value)) in names.into_iter().zip(pairs) {
            let value = self.line(value);
            let mut name = padded(name, names_width + GAP, false);
            for line in wrap(&value, self.width.saturating_sub(names_width + GAP)) {
                self.write(&[name, line].concat());
                name = glyphs(&" ".repeat(names_width + GAP), Look::Plain);
            }
        }
    }

    fn tiles(&mut self, tiles: &[Tile]) {
        let mut line = Glyphs::new();
        for tile in tiles {
            let look = tile.severity.map_or(Look::Strong, Look::Severity);
            let label = glyphs(&format!("{} ", visible::line(&tile.label)), Look::Muted);
            let own = [label, glyphs(&visible::line(&tile.value), look)].concat();
            let separator = glyphs("  ·  ", Look::Muted);
            if line.is_empty() {
                line = own;
            } else if width(&line) + width(&separator) + width(&own) <= self.width {
                line = [line, separator, own].concat();
            } else {
                self.write(&std::mem::replace(&mut line, own));
            }
        }
        self.write(&line);
    }

    fn callout(&mut self, tone: Tone, title: &str, body: &[Line]) {
        self.blank();
        let look = match tone {
            Tone::Note => Look::Muted,
            Tone::Warning => Look::State(CoverageState::Partial),
            Tone::Good => Look::State(CoverageState::Present),
        };
        let first = glyphs(&visible::line(title), Look::Strong);
        let lines = std::iter::once(first).chain(body.iter().map(|line| self.line(line))).collect::<Vec<_>>();
        for text in lines {
            for line in wrap(&text, self.width.saturating_sub(2)) {
                self.write(&[glyphs("▌ ", look), line].concat());
            }
        }
    }

    fn table(&mut self, columns: &[Column], rows: &[Vec<Line>]) {
        let shown = if self.whole { rows.len() } else { rows.len().min(ROWS_MAX) };
        let cells: Vec<Vec<Glyphs>> =
            rows.iter().take(shown).map(|row| row.iter().map(|cell| self.line(cell)).collect()).collect();
        let heads: Vec<Glyphs> =
            columns.iter().map(|column| glyphs(&visible::line(&column.title), Look::Muted)).collect();
        let widths = fit(columns, &heads, &cells, self.width);
        self.row(columns, &heads, &widths);
        for row in &cells {
            self.row(columns, row, &widths);
        }
        if shown < rows.len() {
            let note = ui(self.lang, "more-rows", &[("count", &(rows.len() - shown).to_string())]);
            self.write(&glyphs(&note, Look::Muted));
        }
    }

    fn row(&mut self, columns: &[Column], cells: &[Glyphs], widths: &[usize]) {
        let wrapped: Vec<Vec<Glyphs>> = cells.iter().zip(widths).map(|(cell, &width)| wrap(cell, width)).collect();
        let height = wrapped.iter().map(Vec::len).max().unwrap_or(0);
        for index in 0..height {
            let mut line = Glyphs::new();
            for ((column, cell), &width) in columns.iter().zip(&wrapped).zip(widths) {
                if !line.is_empty() {
                    line.extend(glyphs(&" ".repeat(GAP), Look::Plain));
                }
                let part = cell.get(index).cloned().unwrap_or_default();
                line.extend(padded(part, width, column.fit == Fit::Number));
            }
            self.write(&line);
        }
    }

    /// The lanes of a timeline in characters.
    fn picture(&mut self, picture: &Picture) {
        let titles: Vec<Glyphs> =
            picture.lanes.iter().map(|lane| glyphs(&visible::line(&lane.title), Look::Plain)).collect();
        let labels = titles.iter().map(|title| width(title)).max().unwrap_or(0) + GAP;
        let scale = self.width.saturating_sub(labels + 1);
        if scale < 20 {
            return;
        }
        for (title, lane) in titles.into_iter().zip(&picture.lanes) {
            let mut cells = glyphs(&"·".repeat(scale), Look::Muted);
            for mark in lane.spread(1.0 / scale as f64).iter().rev() {
                let (begin, end) = (cell_of(mark.place, scale), cell_of(mark.end, scale));
                for cell in &mut cells[begin..=end.max(begin)] {
                    *cell = layout::Glyph { character: '─', look: Look::Severity(mark.severity) };
                }
                cells[begin] = layout::Glyph { character: shape(mark.severity), look: Look::Severity(mark.severity) };
            }
            self.write(&[padded(title, labels, false), cells].concat());
        }
        self.axis(picture, labels, scale);
    }

    /// Times under the lanes, as many as fit.
    fn axis(&mut self, picture: &Picture, labels: usize, scale: usize) {
        let mut line = padded(glyphs("UTC", Look::Muted), labels, false);
        for tick in &picture.ticks {
            let begin = labels + cell_of(tick.place, scale);
            let label = glyphs(&format!("╵{}", tick.utc), Look::Muted);
            if begin >= width(&line) && begin + width(&label) <= self.width {
                line = padded(line, begin, false);
                line.extend(label);
                line.extend(glyphs(" ", Look::Plain));
            }
        }
        self.write(&line);
    }
}

/// Whether an empty line stands between two blocks.
fn is_apart(before: &Block, after: &Block) -> bool {
    let is_grid = |block: &Block| matches!(block, Block::Table { .. } | Block::Timeline(_) | Block::KeyValues(_));
    match (before, after) {
        (Block::Heading { .. }, _) | (_, Block::Fold { .. }) | (Block::Tiles(_), Block::KeyValues(_)) => false,
        _ => is_grid(before) || is_grid(after),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a terminal's width")]
fn cell_of(place: f64, cells: usize) -> usize {
    ((place.clamp(0.0, 1.0) * cells as f64) as usize).min(cells.saturating_sub(1))
}

/// The severities' shapes, the same as on the page.
fn shape(severity: Severity) -> char {
    match severity {
        Severity::Critical => '◆',
        Severity::High => '▲',
        Severity::Medium => '■',
        Severity::Low => '●',
        Severity::Informational => '○',
    }
}

fn bar(from: f64, to: f64, max: f64) -> Glyphs {
    let (begin, end) = (cell_of(from.min(to) / max, BAR_WIDTH), cell_of(from.max(to) / max, BAR_WIDTH));
    let cell = |index: usize| {
        let inside = index >= begin && index <= end;
        let character = if inside && to < from {
            '▒'
        } else if inside {
            '█'
        } else {
            '·'
        };
        layout::Glyph { character, look: if inside { Look::Heading } else { Look::Muted } }
    };
    (0..BAR_WIDTH).map(cell).collect()
}

/// Widths of the columns: as wide as their content, then words give way until the table fits.
fn fit(columns: &[Column], heads: &[Glyphs], rows: &[Vec<Glyphs>], width_max: usize) -> Vec<usize> {
    let mut widths: Vec<usize> = (0..columns.len())
        .map(|index| {
            let cells = rows.iter().filter_map(|row| row.get(index));
            cells.chain(heads.get(index)).map(|cell| width(cell)).max().unwrap_or(0)
        })
        .collect();
    let available = width_max.saturating_sub(GAP * columns.len().saturating_sub(1));
    for words_only in [true, false] {
        let least = if words_only { COLUMN_MIN } else { 2 };
        while widths.iter().sum::<usize>() > available {
            let widest = (0..widths.len())
                .filter(|&index| widths[index] > least && (!words_only || columns[index].fit == Fit::Words))
                .max_by_key(|&index| widths[index]);
            let Some(widest) = widest else { break };
            widths[widest] -= 1;
        }
    }
    widths
}

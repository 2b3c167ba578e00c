//! What a section is made of. Blocks say what a thing is, never how it looks; both renderers draw all of them.
//!
//! Every text in a block may be evidence: renderers clean all of them alike, so a section cannot forget to.

use matagi_model::{CoverageState, Severity, Time};

use crate::picture::Picture;

/// A piece of a line.
#[derive(Debug, Clone, PartialEq)]
pub enum Inline {
    /// Words.
    Text(String),
    /// Words that carry the meaning of the line.
    Strong(String),
    /// Words that may be skipped.
    Muted(String),
    /// Ids, addresses, names of fields: spelt out letter by letter.
    Mono(String),
    /// A severity, by shape, colour and word.
    Severity(Severity),
    /// A coverage state, by shape, colour and word.
    State(CoverageState),
    /// An instant.
    Time(Time),
    /// A place elsewhere on the page.
    Link {
        /// Its anchor.
        anchor: String,
        /// What it is called.
        text: String,
    },
    /// A step of a waterfall: a bar from one number to another on a scale from 0 to `max`.
    Bar {
        /// Where it begins.
        from: f64,
        /// Where it ends; less than `from` for what speaks against.
        to: f64,
        /// End of the scale, more than 0.
        max: f64,
    },
}

impl Inline {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Letter by letter.
    pub fn mono(text: impl Into<String>) -> Self {
        Self::Mono(text.into())
    }

    /// A line of words alone.
    pub fn line(text: impl Into<String>) -> Line {
        vec![Self::Text(text.into())]
    }
}

/// Pieces side by side, with a space between them.
pub type Line = Vec<Inline>;

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// Wraps.
    Words,
    /// Stays on one line as long as there is room: times, ids, severities.
    Whole,
    /// Figures, set to the right.
    Number,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its head.
    pub title: String,
    /// How it is set.
    pub fit: Fit,
}

impl Column {
    /// A column.
    pub fn new(title: impl Into<String>, fit: Fit) -> Self {
        Self { title: title.into(), fit }
    }
}

/// What a callout is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Worth knowing.
    Note,
    /// Limits what can be concluded.
    Warning,
    /// Nothing to do.
    Good,
}

/// An item of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// What it says.
    pub line: Line,
    /// A command that belongs to it.
    pub code: Option<String>,
}

impl From<Line> for Item {
    fn from(line: Line) -> Self {
        Self { line, code: None }
    }
}

/// A figure with its meaning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    /// The figure.
    pub value: String,
    /// What it counts.
    pub label: String,
    /// Colour of the worst thing it counts, if it counts bad things.
    pub severity: Option<Severity>,
}

/// A block.
#[derive(Debug, Clone, PartialEq)]
pub enum Block {
    /// A heading below the section's own.
    Heading {
        /// 3 below a section, 4 below that.
        level: u8,
        /// Name by which links find it.
        anchor: Option<String>,
        /// What it says.
        line: Line,
    },
    /// A paragraph.
    Paragraph(Line),
    /// The opening paragraph, set larger.
    Lead(Line),
    /// A list.
    List {
        /// Whether the order matters.
        ordered: bool,
        /// Its items.
        items: Vec<Item>,
    },
    /// A table; every row has as many cells as there are columns.
    Table {
        /// Heads.
        columns: Vec<Column>,
        /// Cells.
        rows: Vec<Vec<Line>>,
    },
    /// Names and values.
    KeyValues(Vec<(String, Line)>),
    /// Figures side by side.
    Tiles(Vec<Tile>),
    /// When what happened.
    Timeline(Picture),
    /// Text to be copied as it is.
    Code(String),
    /// Something that must not be overlooked.
    Callout {
        /// What it is for.
        tone: Tone,
        /// Its first words.
        title: String,
        /// Its lines.
        body: Vec<Line>,
    },
    /// Detail that a terminal leaves to `explain`; on a page it can be opened and closed.
    Fold {
        /// Whether a page shows it at first.
        is_open: bool,
        /// What is in it.
        summary: Line,
        /// The detail.
        blocks: Vec<Block>,
    },
    /// Blocks that belong together, such as one incident.
    Card {
        /// How bad the thing is.
        severity: Severity,
        /// Name by which links find it.
        anchor: String,
        /// The blocks.
        blocks: Vec<Block>,
    },
}

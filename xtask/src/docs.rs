//! `cargo xtask docs`: the pages of the book that are made from the code.

use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use arrow_schema::{DataType, TimeUnit};
use matagi_model::Table;

use crate::workspace::Workspace;
use crate::{Args, say};

/// The page that is made from the tables of the model.
pub const SCHEMA_PAGE: &str = "docs/book/src/schema.md";

pub fn run(workspace: &Workspace, mut args: Args) -> Result<bool> {
    let is_check = args.flag("--check");
    args.finish()?;
    let page = schema_page();
    if is_check {
        let is_fresh = workspace.read(SCHEMA_PAGE).is_ok_and(|old| old == page);
        if !is_fresh {
            say(&format!("{SCHEMA_PAGE} is out of date: run `cargo xtask docs`"));
        }
        return Ok(is_fresh);
    }
    let path = workspace.root.join(SCHEMA_PAGE);
    fs::write(&path, page).with_context(|| format!("cannot write {SCHEMA_PAGE}"))?;
    say(&format!("wrote {SCHEMA_PAGE}"));
    Ok(true)
}

/// The schema as a page of Markdown.
pub fn schema_page() -> String {
    let mut page = "# Tables and columns\n\n\
        <!-- Made by `cargo xtask docs` from crates/model/src/tables.rs. Edit that. -->\n\n\
        The lake has one table for each family of OCSF classes. Every table begins with the same columns; \
        what is different comes after them.\n\n\
        An address is 16 bytes, IPv4 as `::ffff:a.b.c.d`, so that a network is a range of bytes. An identity is 16 bytes. \
        A time is in microseconds, UTC; 1970-01-01 stands for \"the evidence does not say\".\n"
        .to_owned();
    let common: Vec<_> = matagi_model::tables::Common::docs();
    section(&mut page, "Columns of every table", "What every event has.", &common);
    for table in Table::ALL {
        let own: Vec<_> =
            table.docs().into_iter().filter(|column| common.iter().all(|other| other.name != column.name)).collect();
        section(&mut page, &format!("`{}`", table.name()), table.about(), &own);
    }
    page
}

fn section(page: &mut String, heading: &str, about: &str, columns: &[matagi_model::columns::ColumnDoc]) {
    let _ = write!(
        page,
        "\n## {heading}\n\n{about}\n\n| column | type | may be absent | what it means |\n|---|---|---|---|\n"
    );
    for column in columns {
        let absent = if column.nullable { "yes" } else { "no" };
        // A line break or a bar would end the row of the table.
        let about = column.about.replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ");
        let _ = writeln!(page, "| `{}` | {} | {absent} | {about} |", column.name, type_name(&column.data_type));
    }
}

/// The type in the words of SQL.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8View | DataType::Utf8 => "text".to_owned(),
        DataType::FixedSizeBinary(bytes) => format!("{bytes} bytes"),
        DataType::Timestamp(TimeUnit::Microsecond, _) => "time".to_owned(),
        DataType::List(item) => format!("list of {}", type_name(item.data_type())),
        DataType::UInt8 | DataType::UInt32 | DataType::UInt64 => "whole number".to_owned(),
        DataType::Float64 => "number".to_owned(),
        DataType::Boolean => "true or false".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_column_once_a_table() {
        let page = schema_page();
        for table in Table::ALL {
            assert!(page.contains(&format!("## `{}`", table.name())));
            for column in table.docs() {
                assert!(page.contains(&format!("| `{}` |", column.name)), "{}", column.name);
            }
        }
        assert_eq!(page.matches("| `event_uid` |").count(), 1);
        assert_eq!(page.matches("| `raw` |").count(), Table::ALL.len());
    }

    #[test]
    fn types_are_words() {
        assert!(schema_page().contains("| `message_uids` | list of text |"));
        assert!(!schema_page().contains("FixedSize"));
    }
}

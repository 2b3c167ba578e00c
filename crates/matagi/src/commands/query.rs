//! `matagi query`

use matagi_lake::{Lake, LakeError, QueryLimits};

use crate::Outcome;
use crate::app::App;
use crate::cli::{Format, Range};
use crate::error::CommandError;
use crate::output;
use crate::ui::{Ui, grouped};

/// Ask the lake in SQL
///
/// Tables: auth (sign-ins), iam (changes of accounts, permissions, rules), saas (use of cloud services), email (message
/// traces); `SHOW COLUMNS FROM auth` lists the columns of one. Queries only read. `--since` and `--until` leave the rows
/// whose column `time` lies between them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    matagi query \"SELECT user_name, count(*) AS sign_ins FROM auth GROUP BY user_name ORDER BY sign_ins DESC\"\n  \
    matagi query \"SELECT time, user_name, parameters FROM iam WHERE api_operation = 'New-InboxRule'\" --format csv")]
pub(crate) struct Query {
    /// One SELECT
    #[arg(value_name = "SQL")]
    sql: String,
    #[command(flatten)]
    range: Range,
}

/// Rows shown unless the user asks for more.
const ROWS_DEFAULT: usize = 10_000;

pub(crate) fn run(ui: &Ui, app: &App, args: &Query) -> Result<Outcome, CommandError> {
    let lake = Lake::open(app.need_lake_dir()?)?;
    let rows_max = args.range.limit.unwrap_or(ROWS_DEFAULT);
    let limits = QueryLimits { rows_max, ..QueryLimits::default() };
    let sql = bounded(&args.sql, &args.range, app);
    let result = lake.query(&sql, &limits).map_err(|error| explained(error, &args.sql))?;
    output::write(&result, app.format_or(Format::Table), &mut ui.data())?;
    if result.truncated {
        ui.warn("rows-capped", [("rows", grouped(result.rows() as u64))]);
    }
    Ok(Outcome::Ran)
}

/// The query, between the times that the user gave.
fn bounded(sql: &str, range: &Range, app: &App) -> String {
    let bounds: Vec<String> = [(">=", range.since), ("<=", range.until)]
        .into_iter()
        .filter_map(|(sign, when)| Some(format!("\"time\" {sign} TIMESTAMP '{}'", when?.at(app.now))))
        .collect();
    if bounds.is_empty() {
        return sql.to_owned();
    }
    format!("SELECT * FROM (\n{}\n) AS asked WHERE {}", sql.trim_end().trim_end_matches(';'), bounds.join(" AND "))
}

/// The engine names lines and columns; the user sees a caret.
fn explained(error: LakeError, sql: &str) -> CommandError {
    let message = error.to_string();
    let is_query = matches!(error, LakeError::Query { .. });
    let explained = CommandError::from(error);
    if !is_query {
        return explained;
    }
    let hinted = explained.or_hint("tables: auth, iam, saas, email; `SHOW COLUMNS FROM auth` lists the columns of one");
    match place(&message, sql) {
        Some((start, length)) => hinted.at("query", sql, start, length, "here"),
        None => hinted,
    }
}

/// Bytes of the query that `Line: 1, Column: 8` points at: a word, or one character.
fn place(message: &str, sql: &str) -> Option<(usize, usize)> {
    let number_behind = |label: &str| -> Option<usize> {
        let (_, rest) = message.split_once(label)?;
        rest.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
    };
    let (line, column) = (number_behind("Line: ")?, number_behind("Column: ")?);
    let line_start = sql.split_inclusive('\n').take(line.checked_sub(1)?).map(str::len).sum::<usize>();
    let text = sql.get(line_start..)?;
    let (offset, _) = text.char_indices().nth(column.checked_sub(1)?)?;
    let word = text.get(offset..)?.chars().take_while(|character| character.is_alphanumeric() || *character == '_');
    Some((line_start + offset, word.map(char::len_utf8).sum::<usize>().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_an_error_is_found_in_the_users_text() {
        let sql = "SELECT *\nFROM 表 WHERE\n";
        assert_eq!(
            place("Expected: x at Line: 2, Column: 8", sql)
                .map(|(start, length)| sql.get(start..start + length).unwrap()),
            Some("WHERE")
        );
        assert_eq!(place("Expected: x at Line: 9, Column: 8", sql), None);
        assert_eq!(place("no place", sql), None);
        assert_eq!(place("Line: 0, Column: 0", sql), None);
    }
}

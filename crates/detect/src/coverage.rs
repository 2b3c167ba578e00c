//! What the evidence can and cannot show: present, partial, absent. Absent is unknown, never zero.

use std::collections::BTreeMap;

use matagi_model::columns::Cell;
use matagi_model::{Context, Coverage, CoverageState, EventBatch, Table, Time};

/// Silence of a whole table that is longer than this, between busy days, is a gap worth telling.
const GAP_MIN_US: i64 = 36 * Time::HOUR_US;
/// Gaps told of one table.
const GAPS_TOLD_MAX: usize = 5;

/// Columns that every table is asked for, and those that only some have.
const COLUMNS: [&str; 3] = ["time", "src_country", "recovered"];
const SAAS_COLUMN: &str = "is_throttled";

/// What the evidence looks like, counted while it is read for the first time.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    tables: BTreeMap<Table, Seen>,
}

impl Survey {
    /// What it reads of a table.
    pub(crate) fn columns(table: Table) -> impl Iterator<Item = &'static str> {
        COLUMNS.into_iter().chain((table == Table::Saas).then_some(SAAS_COLUMN))
    }

    /// Counts the next rows of a table, which come in order of time.
    pub(crate) fn batch(&mut self, batch: &EventBatch) {
        let seen = self.tables.entry(batch.table).or_default();
        let row = batch.common();
        let throttled = <Option<bool> as Cell>::view(batch.columns.column_by_name(SAAS_COLUMN));
        for index in 0..batch.rows() {
            seen.row(row.time.get(index), row.src_country.get(index).is_some());
            seen.throttled += u64::from(throttled.get(index) == Some(true));
            seen.recovered += u64::from(row.recovered.get(index).is_some_and(|why| why != "time"));
        }
    }

    /// Judges what was seen.
    pub(crate) fn assess(&self, context: &Context) -> Vec<Coverage> {
        let nothing = Seen::default();
        let table = |table: Table| self.tables.get(&table).unwrap_or(&nothing);
        let mut coverage = logs(context, table(Table::Auth).rows, table(Table::Email).rows);
        located(table(Table::Auth), context, &mut coverage);
        for (table, seen) in &self.tables {
            seen.holes(*table, &mut coverage);
        }
        let days = context.estate.last_time.since_us(context.estate.first_time) / Time::DAY_US;
        if context.estate.last_time.is_known() && days < 7 {
            coverage.push(line("cold-start", CoverageState::Partial, [("days", days.to_string())]));
        }
        coverage
    }
}

/// The logs that a takeover is read from, by what only they record.
fn logs(context: &Context, sign_ins: u64, traced: u64) -> Vec<Coverage> {
    let operations = |names: &[&str]| names.iter().filter_map(|name| context.estate.operations.get(*name)).sum::<u64>();
    let directory = operations(&[
        "Add user",
        "Update user",
        "Add member to role",
        "Consent to application",
        "Add service principal",
        "Update application",
    ]);
    let mailbox = operations(&[
        "New-InboxRule",
        "Set-InboxRule",
        "Set-Mailbox",
        "UpdateInboxRules",
        "Send",
        "SoftDelete",
        "HardDelete",
        "MoveToDeletedItems",
        "Create",
        "Update",
    ]);
    let told = [
        ("sign-ins", sign_ins),
        ("directory-audit", directory),
        ("mailbox-audit", mailbox),
        ("mail-items-accessed", operations(&["MailItemsAccessed"])),
        ("message-trace", traced),
        ("inbox-rules", operations(&["Get-InboxRule"])),
    ];
    told.into_iter()
        .map(|(code, rows)| {
            let state = if rows > 0 { CoverageState::Present } else { CoverageState::Absent };
            line(code, state, [("rows", rows.to_string())])
        })
        .collect()
}

/// Sign-ins say where they came from, or reference data does, or nobody knows.
fn located(sign_ins: &Seen, context: &Context, coverage: &mut Vec<Coverage>) {
    if sign_ins.rows > 0 {
        let state = match (sign_ins.located * 2 > sign_ins.rows, context.addresses.is_empty()) {
            (true, _) => CoverageState::Present,
            (false, false) => CoverageState::Partial,
            (false, true) => CoverageState::Absent,
        };
        coverage.push(line("sign-in-location", state, [("rows", sign_ins.located.to_string())]));
    }
    if context.addresses.is_empty() {
        coverage.push(line("reference-data", CoverageState::Absent, []));
    }
}

fn line<const N: usize>(code: &str, state: CoverageState, args: [(&str, String); N]) -> Coverage {
    let args = args.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    Coverage { code: code.to_owned(), state, args }
}

#[derive(Debug, Default)]
struct Seen {
    rows: u64,
    located: u64,
    throttled: u64,
    recovered: u64,
    last: Time,
    gaps: Vec<(Time, Time)>,
}

impl Seen {
    fn row(&mut self, time: Time, is_located: bool) {
        self.rows += 1;
        self.located += u64::from(is_located);
        if !time.is_known() {
            return;
        }
        // A weekend is quiet; a table that speaks on most days and then not for a day and a half has a hole.
        let is_hole = self.last.is_known() && time.since_us(self.last) >= GAP_MIN_US && self.rows > 100;
        if is_hole && self.gaps.len() < GAPS_TOLD_MAX {
            self.gaps.push((self.last, time));
        }
        self.last = self.last.max(time);
    }

    /// What the table lacks.
    fn holes(&self, table: Table, coverage: &mut Vec<Coverage>) {
        let named = || ("table", table.name().to_owned());
        for (from, to) in &self.gaps {
            let args = [named(), ("from", from.to_string()), ("to", to.to_string())];
            coverage.push(line("gap", CoverageState::Partial, args));
        }
        if self.recovered > 0 {
            coverage.push(line("recovered", CoverageState::Partial, [named(), ("rows", self.recovered.to_string())]));
        }
        if self.throttled > 0 {
            coverage.push(line("throttled", CoverageState::Partial, [("rows", self.throttled.to_string())]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{batches, learnt, office_days};

    #[test]
    fn absent_reads_are_unknown_not_zero() {
        let evidence = batches(office_days("anna@c.example", "192.0.2.1", 0..3));
        let context = learnt(&evidence);
        let mut survey = Survey::default();
        for batch in &evidence {
            survey.batch(batch);
        }
        let coverage = survey.assess(&context);
        let state = |code: &str| coverage.iter().find(|line| line.code == code).map(|line| line.state);
        assert_eq!(state("sign-ins"), Some(CoverageState::Present));
        assert_eq!(state("mail-items-accessed"), Some(CoverageState::Absent));
        assert_eq!(state("cold-start"), Some(CoverageState::Partial));
    }
}

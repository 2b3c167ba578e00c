//! What the evidence can and cannot show: present, partial, absent. Absent is unknown, never zero.

use std::collections::BTreeMap;

use matagi_model::{Context, Coverage, CoverageState, ScanError, Scanner, Table, Time};

/// Silence of a whole table that is longer than this, between busy days, is a gap worth telling.
const GAP_MIN_US: i64 = 36 * Time::HOUR_US;
/// Gaps told of one table.
const GAPS_TOLD_MAX: usize = 5;

/// Judges the evidence.
///
/// # Errors
/// When the evidence cannot be read.
pub fn assess(scanner: &dyn Scanner, context: &Context) -> Result<Vec<Coverage>, ScanError> {
    let mut coverage = Vec::new();
    let mut counts: BTreeMap<Table, Seen> = BTreeMap::new();
    for table in Table::ALL {
        counts.insert(table, seen(scanner, table)?);
    }
    let rows = |table: Table| counts[&table].rows;
    let operations = |names: &[&str]| names.iter().filter_map(|name| context.estate.operations.get(*name)).sum::<u64>();
    let mut told = |code: &str, rows: u64| {
        let state = if rows > 0 { CoverageState::Present } else { CoverageState::Absent };
        coverage.push(line(code, state, [("rows", rows.to_string())]));
    };
    told("sign-ins", rows(Table::Auth));
    told(
        "directory-audit",
        operations(&[
            "Add user",
            "Update user",
            "Add member to role",
            "Consent to application",
            "Add service principal",
            "Update application",
        ]),
    );
    told(
        "mailbox-audit",
        operations(&[
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
        ]),
    );
    told("mail-items-accessed", operations(&["MailItemsAccessed"]));
    told("message-trace", rows(Table::Email));
    told("inbox-rules", operations(&["Get-InboxRule"]));
    located(&counts[&Table::Auth], context, &mut coverage);
    for table in Table::ALL {
        let seen = &counts[&table];
        for (from, to) in seen.gaps.iter().take(GAPS_TOLD_MAX) {
            let args = [("table", table.name().to_owned()), ("from", from.to_string()), ("to", to.to_string())];
            coverage.push(line("gap", CoverageState::Partial, args));
        }
        if seen.recovered > 0 {
            let args = [("table", table.name().to_owned()), ("rows", seen.recovered.to_string())];
            coverage.push(line("recovered", CoverageState::Partial, args));
        }
        if seen.throttled > 0 {
            coverage.push(line("throttled", CoverageState::Partial, [("rows", seen.throttled.to_string())]));
        }
    }
    let days = context.estate.last_time.since_us(context.estate.first_time) / Time::DAY_US;
    if context.estate.last_time.is_known() && days < 7 {
        coverage.push(line("cold-start", CoverageState::Partial, [("days", days.to_string())]));
    }
    Ok(coverage)
}

fn seen(scanner: &dyn Scanner, table: Table) -> Result<Seen, ScanError> {
    let mut seen = Seen::default();
    let mut columns = vec!["time", "src_country", "recovered"];
    columns.extend((table == Table::Saas).then_some("is_throttled"));
    scanner.scan(table, &columns, &mut |batch| {
        let row = batch.common();
        let throttled = batch.columns.column_by_name("is_throttled");
        let throttled = <Option<bool> as matagi_model::columns::Cell>::view(throttled);
        for index in 0..batch.rows() {
            seen.row(row.time.get(index), row.src_country.get(index).is_some());
            seen.throttled += u64::from(throttled.get(index) == Some(true));
            seen.recovered += u64::from(row.recovered.get(index).is_some_and(|why| why != "time"));
        }
        Ok(())
    })?;
    Ok(seen)
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
        if self.last.is_known() && time.since_us(self.last) >= GAP_MIN_US && self.rows > 100 {
            self.gaps.push((self.last, time));
        }
        self.last = self.last.max(time);
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
        let coverage = assess(&evidence, &context).unwrap();
        let state = |code: &str| coverage.iter().find(|line| line.code == code).map(|line| line.state);
        assert_eq!(state("sign-ins"), Some(CoverageState::Present));
        assert_eq!(state("mail-items-accessed"), Some(CoverageState::Absent));
        assert_eq!(state("cold-start"), Some(CoverageState::Partial));
    }
}

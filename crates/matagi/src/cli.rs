//! The command line: global options, and one variant a verb.

use std::str::FromStr;

use camino::Utf8PathBuf;
use clap::{Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use matagi_model::Time;

use crate::commands;
use crate::config::Lang;

/// Evidence in, explained incident out, a human decides
///
/// Matagi reads the exports that an organisation already has (Microsoft 365 audit logs, sign-ins, message traces), finds
/// accounts that somebody else uses, and explains every conclusion with the records that prove it.
#[derive(Debug, Parser)]
#[command(
    name = "matagi",
    version,
    infer_long_args = true,
    after_help = "Exit status: 0 ran, 1 findings at or above --fail-on, 2 error, 130 stopped by Ctrl-C (what was committed is kept).\n\
                  Standard output carries data only; everything else goes to standard error."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) globals: Globals,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options of every verb.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Configuration file [default: matagi.toml here or in the nearest parent folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<Utf8PathBuf>,
    /// Lake to work on [default: MATAGI_LAKE, then `lake` of the configuration]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) lake: Option<Utf8PathBuf>,
    /// How standard output is written [default: text; lists and queries: table]
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Take this as the present instant (RFC 3339 or a date) instead of the clock
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_instant)]
    pub(crate) now: Option<Time>,
    /// Language of reports and messages [default: the configuration, then LC_ALL and LANG]
    #[arg(long, global = true)]
    pub(crate) lang: Option<Lang>,
    /// Print data, warnings and errors only
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Draw no progress bar
    #[arg(long, global = true)]
    pub(crate) no_progress: bool,
}

/// How standard output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people
    Text,
    /// JSON
    Json,
    /// Comma-separated values with a header
    Csv,
    /// Aligned columns
    Table,
    /// Apache Parquet, for files and pipes
    Parquet,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Init(commands::init::Init),
    Ingest(commands::ingest::Ingest),
    Hunt(commands::hunt::Hunt),
    Incidents(commands::incidents::Incidents),
    Explain(commands::explain::Explain),
    Query(commands::query::Query),
    Rejects(commands::rejects::Rejects),
    Sources(commands::sources::Sources),
    Rules(commands::rules::Rules),
    Reference(commands::reference::ReferenceArgs),
    Report(commands::report::Report),
    Serve(commands::serve::Serve),
    Synth(commands::synth::Synth),
    Doctor(commands::doctor::Doctor),
}

/// Which part of a list.
#[derive(Debug, Default, Clone, Args)]
pub(crate) struct Range {
    /// At most so many rows
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Nothing that ended before: RFC 3339, a date, or an age such as 12h, 7d, 4w
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<When>,
    /// Nothing that began after: RFC 3339, a date, or an age such as 12h, 7d, 4w
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<When>,
}

impl Range {
    /// Whether something that lasted from `first` to `last` lies in the range. What has no time lies in every range.
    pub(crate) fn holds(&self, first: Time, last: Time, now: Time) -> bool {
        let late_enough = self.since.is_none_or(|since| !last.is_known() || last >= since.at(now));
        let early_enough = self.until.is_none_or(|until| !first.is_known() || first <= until.at(now));
        late_enough && early_enough
    }

    /// How many rows may still be told.
    pub(crate) fn limit(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

/// An instant, or an age counted back from the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    At(Time),
    AgoUs(i64),
}

impl When {
    pub(crate) fn at(self, now: Time) -> Time {
        match self {
            Self::At(time) => time,
            Self::AgoUs(age_us) => now.plus_us(-age_us),
        }
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
        let unit_us = match text.strip_prefix(digits).unwrap_or_default() {
            "m" => Time::MINUTE_US,
            "h" => Time::HOUR_US,
            "d" => Time::DAY_US,
            "w" => 7 * Time::DAY_US,
            _ => return parse_instant(text).map(Self::At),
        };
        let count: u32 = digits.parse().map_err(|_| format!("`{text}` is no age; write 90m, 12h, 7d or 4w"))?;
        Ok(Self::AgoUs(i64::from(count).saturating_mul(unit_us)))
    }
}

/// RFC 3339, or a date for its midnight in UTC.
fn parse_instant(text: &str) -> Result<Time, String> {
    let timestamp = text.parse::<Timestamp>().or_else(|_| {
        text.parse::<Date>().and_then(|date| date.to_zoned(TimeZone::UTC)).map(|midnight| midnight.timestamp())
    });
    timestamp.map(|timestamp| Time(timestamp.as_microsecond())).map_err(|_| {
        format!("`{text}` is no time; write 2024-05-01T08:30:00Z, 2024-05-01 or an age such as 7d where one is taken")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn no_verb_hides_a_global_option() {
        let command = Cli::command();
        let globals: Vec<String> = command.get_arguments().map(|argument| argument.get_id().to_string()).collect();
        let mut verbs: Vec<&clap::Command> = command.get_subcommands().collect();
        while let Some(verb) = verbs.pop() {
            verbs.extend(verb.get_subcommands());
            for argument in verb.get_arguments() {
                assert!(
                    !globals.contains(&argument.get_id().to_string()),
                    "{}: {}",
                    verb.get_name(),
                    argument.get_id()
                );
            }
        }
    }

    #[test]
    fn every_verb_shows_two_real_examples() {
        for verb in Cli::command().get_subcommands() {
            let help = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(help.starts_with("Examples:"), "{}", verb.get_name());
            let call = format!("matagi {}", verb.get_name());
            assert!(help.lines().filter(|line| line.contains(&call)).count() >= 2, "{call}");
        }
    }

    #[test]
    fn times_are_instants_dates_or_ages() {
        let now = Time(10 * Time::DAY_US);
        let at = |text: &str| text.parse::<When>().map(|when| when.at(now));
        assert_eq!(at("1970-01-02"), Ok(Time(Time::DAY_US)));
        assert_eq!(at("1970-01-02T00:00:00+09:00"), Ok(Time(15 * Time::HOUR_US)));
        assert_eq!(at("36h"), Ok(Time(10 * Time::DAY_US - 36 * Time::HOUR_US)));
        assert!(at("yesterday").is_err() && at("d").is_err() && at("-3d").is_err() && at("").is_err());
    }

    #[test]
    fn a_range_holds_what_overlaps_it_and_what_has_no_time() {
        let range = Range { since: Some(When::At(Time(10))), until: Some(When::At(Time(20))), limit: None };
        let holds = |first, last| range.holds(Time(first), Time(last), Time(0));
        assert!(holds(5, 10) && holds(20, 30) && holds(1, 50) && holds(0, 0));
        assert!(!holds(5, 9) && !holds(21, 30));
    }
}

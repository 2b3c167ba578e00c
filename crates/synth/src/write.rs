//! Plan → files.

use std::io::Write as _;
use std::path::Path;

use matagi_model::Progress;

use crate::company::{Company, DOMAIN};
use crate::dice::Dice;
use crate::event::Event;
use crate::habits;
use crate::plan::{Plan, Summary, SynthError};
use crate::scenarios::{self, Plot};
use crate::sink::{Sink, Window, hour};
use crate::truth::Truth;

/// Events that one padding window holds; small, so that the export stays near the size asked for.
const PAD_WINDOW: u64 = 200;

/// Writes the evidence of a plan below `out`: the folder `evidence` and, beside it, `truth.json`.
///
/// Streams: memory depends on the number of people, not on the size of the export. The same plan gives
/// byte-identical files.
///
/// # Errors
/// When the plan is out of bounds, the disk refuses, or the user asks to stop.
pub fn write(plan: &Plan, out: &Path, progress: &dyn Progress) -> Result<Summary, SynthError> {
    check(plan)?;
    progress.stage("synth");
    let mut company = Company::new(plan);
    let mut plot = scenarios::plant(plan, &mut company);
    let evidence = out.join("evidence");
    let mut sink = Sink::create(&company, &evidence, plan.pad_bytes.is_some())?;
    let mut planted = std::mem::take(&mut plot.events).into_iter().peekable();
    let mut days = Days { company: &company, pad_bytes: plan.pad_bytes, done_bytes: 0, progress };
    for day in 0..plan.days {
        let midnight = company.midnight(day + 1);
        let mut events: Vec<Event> = std::iter::from_fn(|| planted.next_if(|event| event.time < midnight)).collect();
        days.write(day, &mut events, &mut sink)?;
    }
    let files = sink.close(&plot.rules)?;
    let truth_path = out.join("truth.json");
    let truth = truth(plan, plot);
    let summary = Summary {
        evidence,
        truth: truth_path.clone(),
        files,
        takeovers: truth.takeovers.len(),
        steps: truth.steps.len(),
        twins: truth.twins.len(),
    };
    write_truth(&truth, &truth_path)?;
    Ok(summary)
}

fn check(plan: &Plan) -> Result<(), SynthError> {
    let bounds = [
        ("users", u64::from(Plan::USERS_MIN), u64::from(Plan::USERS_MAX), u64::from(plan.users)),
        ("days", u64::from(Plan::DAYS_MIN), u64::from(Plan::DAYS_MAX), u64::from(plan.days)),
        ("takeovers", 0, Plan::TAKEOVERS_MAX as u64, plan.takeovers.len() as u64),
        ("start (year)", 1980, 2099, u64::try_from(plan.start.year()).unwrap_or(0)),
    ];
    match bounds.into_iter().find(|(_, min, max, found)| found < min || found > max) {
        Some((field, min, max, found)) => Err(SynthError::Plan { field, min, max, found }),
        None => Ok(()),
    }
}

fn truth(plan: &Plan, plot: Plot) -> Truth {
    Truth {
        schema: Truth::SCHEMA.to_owned(),
        plan: plan.clone(),
        domains: [DOMAIN.to_owned()].into(),
        takeovers: plot.takeovers,
        steps: plot.steps,
        twins: plot.twins,
    }
}

fn write_truth(truth: &Truth, path: &Path) -> Result<(), SynthError> {
    let failed = |source| SynthError::Write { path: path.to_owned(), source };
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).map_err(failed)?);
    serde_json::to_writer_pretty(&mut file, truth).map_err(|error| failed(error.into()))?;
    file.write_all(b"\n").and_then(|()| file.flush()).map_err(failed)
}

/// The days, one after the other.
struct Days<'a> {
    company: &'a Company,
    pad_bytes: Option<u64>,
    done_bytes: u64,
    progress: &'a dyn Progress,
}

impl Days<'_> {
    /// One day: what was planted, what everybody does, and more where a size was asked for. `events` are its planted ones.
    fn write(&mut self, day: u32, events: &mut Vec<Event>, sink: &mut Sink<'_>) -> Result<(), SynthError> {
        let company = self.company;
        for person in &company.people {
            habits::day(company, person, day, events);
        }
        habits::system(company, day, events);
        events.sort_by_key(|event| (event.time, event.id));
        let mut rest = events.as_slice();
        for hour_of_day in 0..24 {
            let end = rest.partition_point(|event| hour(event.time) <= hour_of_day);
            let (now, later) = rest.split_at(end);
            rest = later;
            self.window(now, sink)?;
            self.pad(day, hour_of_day, sink)?;
        }
        self.window(rest, sink)
    }

    /// One window of the audit export: its rows know how many they are.
    fn window(&mut self, events: &[Event], sink: &mut Sink<'_>) -> Result<(), SynthError> {
        let count = events.iter().filter(|event| crate::audit::is_audited(self.company, event)).count() as u64;
        sink.window = Window { count, index: 0 };
        events.iter().try_for_each(|event| sink.event(event))?;
        if self.progress.is_cancelled() {
            return Err(SynthError::Cancelled);
        }
        let bytes = sink.bytes();
        self.progress.bytes(bytes - self.done_bytes);
        self.progress.rows(events.len() as u64);
        self.done_bytes = bytes;
        Ok(())
    }

    /// More ordinary activity, until the export is as large as it should be by this hour.
    fn pad(&mut self, day: u32, hour_of_day: i64, sink: &mut Sink<'_>) -> Result<(), SynthError> {
        let Some(wanted) = self.pad_bytes else { return Ok(()) };
        let hours = u64::from(day) * 24 + hour_of_day.unsigned_abs() + 1;
        let share = u128::from(wanted) * u128::from(hours) / (u128::from(self.company.days) * 24);
        let mut dice = Dice::of([self.company.seed, 11, hours, 0]);
        while u128::from(sink.bytes()) < share {
            let events: Vec<_> =
                (0..PAD_WINDOW).map(|_| habits::more(self.company, day, hour_of_day, &mut dice)).collect();
            self.window(&events, sink)?;
        }
        Ok(())
    }
}

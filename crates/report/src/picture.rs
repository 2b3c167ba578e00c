//! The picture of an incident: a lane a stage, a mark where records lie, on a scale of time.
//!
//! Computed once; the page draws it in vectors and the terminal in characters.

use matagi_model::{Severity, Stage, Time};

use crate::clock::{self, Zone};
use crate::document::IncidentDocument;
use crate::texts;

/// Records at one place of a lane.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Place on the scale, 0 to 1.
    pub place: f64,
    /// Place of the last record of a run, 0 to 1.
    pub end: f64,
    /// Worst severity here.
    pub severity: Severity,
    /// Records here.
    pub count: u64,
    /// What happened here first, for a tool tip.
    pub label: String,
}

/// Marks of one stage.
#[derive(Debug, Clone, PartialEq)]
pub struct Lane {
    /// Name of the stage.
    pub title: String,
    /// In order of time.
    pub marks: Vec<Mark>,
}

/// A place on the scale with its time on both clocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Tick {
    /// Place on the scale, 0 to 1.
    pub place: f64,
    /// In UTC.
    pub utc: String,
    /// In Japan.
    pub jst: String,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// What it shows, for those who do not see it.
    pub about: String,
    /// In the order of a takeover.
    pub lanes: Vec<Lane>,
    /// In order of time.
    pub ticks: Vec<Tick>,
    /// Records without a time, which have no place here.
    pub without_time: u64,
}

/// Distances between ticks: those that a clock or calendar has.
const STEPS_US: &[i64] = &[
    Time::SECOND_US,
    5 * Time::SECOND_US,
    15 * Time::SECOND_US,
    Time::MINUTE_US,
    5 * Time::MINUTE_US,
    15 * Time::MINUTE_US,
    30 * Time::MINUTE_US,
    Time::HOUR_US,
    2 * Time::HOUR_US,
    6 * Time::HOUR_US,
    12 * Time::HOUR_US,
    Time::DAY_US,
    2 * Time::DAY_US,
    7 * Time::DAY_US,
    14 * Time::DAY_US,
    30 * Time::DAY_US,
    90 * Time::DAY_US,
    365 * Time::DAY_US,
    3_650 * Time::DAY_US,
];

/// Labels that fit side by side.
const TICKS_MAX: i64 = 7;

/// Empty space at both ends, as a part of the span.
const MARGIN: f64 = 0.04;

/// A picture of less than this would have ticks closer than a second.
const SPAN_MIN_US: i64 = 10 * Time::SECOND_US;

struct Scale {
    begin_us: i64,
    span_us: i64,
}

impl Scale {
    fn around(first: Time, last: Time) -> Self {
        let span_us = last.since_us(first).max(SPAN_MIN_US);
        #[expect(clippy::cast_possible_truncation, reason = "a part of an i64")]
        let margin_us = (span_us as f64 * MARGIN) as i64;
        Self { begin_us: first.as_micros().saturating_sub(margin_us), span_us: span_us.saturating_add(2 * margin_us) }
    }

    fn place(&self, time: Time) -> f64 {
        (time.as_micros().saturating_sub(self.begin_us) as f64 / self.span_us as f64).clamp(0.0, 1.0)
    }

    fn ticks(&self) -> Vec<Tick> {
        let step_us = STEPS_US.iter().copied().find(|step| self.span_us / step <= TICKS_MAX);
        let Some(step_us) = step_us else { return Vec::new() };
        let format = match step_us {
            ..Time::MINUTE_US => "%H:%M:%S",
            Time::MINUTE_US..Time::DAY_US => "%m-%d %H:%M",
            _ => "%Y-%m-%d",
        };
        let jst_format = if step_us < Time::MINUTE_US { format } else { "%m-%d %H:%M" };
        let first_us = self.begin_us.div_euclid(step_us).saturating_add(1).saturating_mul(step_us);
        let ticks = (0..=TICKS_MAX).map(|index| Time(first_us.saturating_add(index.saturating_mul(step_us))));
        ticks
            .take_while(|time| time.since_us(Time(self.begin_us)) < self.span_us)
            .map(|time| Tick {
                place: self.place(time),
                utc: clock::show(time, Zone::Utc, format),
                jst: clock::show(time, Zone::Jst, jst_format),
            })
            .collect()
    }
}

/// The picture of an incident; none when no record of it has a time.
pub fn of_incident(incident: &IncidentDocument, lang: &str) -> Option<Picture> {
    let timed = || incident.timeline.iter().filter(|line| line.time.is_known());
    let first = timed().map(|line| line.time).min()?;
    let last = timed().map(|line| line.last_time).max()?;
    let scale = Scale::around(first, last);
    let of_stage = |stage: Stage| {
        let marks: Vec<Mark> = timed()
            .filter(|line| line.stage == stage)
            .map(|line| Mark {
                place: scale.place(line.time),
                end: scale.place(line.last_time),
                severity: line.severity,
                count: line.count,
                label: format!("{} UTC · {}", clock::utc(line.time), line.titles.join(" · ")),
            })
            .collect();
        (!marks.is_empty()).then(|| Lane { title: texts::word(lang, "stage", stage.word()), marks })
    };
    let period = clock::period(first, last, Zone::Utc);
    Some(Picture {
        about: texts::ui(lang, "picture-about", &[("title", &incident.title), ("period", &period)]),
        lanes: Stage::ALL.into_iter().filter_map(of_stage).collect(),
        ticks: scale.ticks(),
        without_time: incident.timeline.iter().filter(|line| !line.time.is_known()).map(|line| line.count).sum(),
    })
}

impl Lane {
    /// Marks closer than `distance` (a part of the scale) as one, so that no two are drawn over each other.
    pub fn spread(&self, distance: f64) -> Vec<Mark> {
        let mut spread: Vec<Mark> = Vec::new();
        for mark in &self.marks {
            match spread.last_mut() {
                Some(last) if mark.place - last.place < distance => {
                    last.count += mark.count;
                    last.end = last.end.max(mark.end);
                    if mark.severity > last.severity {
                        last.severity = mark.severity;
                        last.label.clone_from(&mark.label);
                    }
                }
                _ => spread.push(mark.clone()),
            }
        }
        spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_lie_on_the_clock_and_fit() {
        let begin = Time(1_618_834_399_000_000);
        for span_us in [0, 1, Time::MINUTE_US, 7 * Time::HOUR_US, 40 * Time::DAY_US, 9_000 * Time::DAY_US] {
            let scale = Scale::around(begin, begin.plus_us(span_us));
            let ticks = scale.ticks();
            assert!((1..=8).contains(&ticks.len()), "{span_us}: {ticks:?}");
            assert!(ticks.iter().all(|tick| (0.0..=1.0).contains(&tick.place)), "{span_us}: {ticks:?}");
            assert!(ticks.windows(2).all(|pair| pair[0].place < pair[1].place), "{span_us}: {ticks:?}");
        }
        let day = Scale::around(begin, begin.plus_us(Time::DAY_US)).ticks();
        assert_eq!((day[0].utc.as_str(), day[0].jst.as_str()), ("04-19 12:00", "04-19 21:00"));
    }

    #[test]
    fn absurd_spans_do_not_panic() {
        let scale = Scale::around(Time(i64::MIN), Time(i64::MAX));
        assert!(scale.ticks().len() <= 8);
        assert!((0.0..=1.0).contains(&scale.place(Time(0))));
    }

    #[test]
    fn close_marks_become_one_of_the_worst_severity() {
        let mark = |place, severity, count| Mark { place, end: place, severity, count, label: format!("{severity}") };
        let lane = Lane {
            title: String::new(),
            marks: vec![mark(0.1, Severity::Low, 2), mark(0.11, Severity::High, 3), mark(0.5, Severity::Low, 1)],
        };
        let spread = lane.spread(0.03);
        assert_eq!(spread.len(), 2);
        assert_eq!((spread[0].severity, spread[0].count, spread[0].label.as_str()), (Severity::High, 5, "high"));
    }
}

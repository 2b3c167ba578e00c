use std::sync::Arc;

use arrow_array::{
    ArrayRef, FixedSizeBinaryArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use matagi_model::{EntityKind, EventBatch, Severity, Table, Time};

use super::*;

const SMALL: &str = r#"
/*
id = "hunt/small"
catalogue = ["MBX-001"]
title.en = "{users} users"
title.ja = "{users} ユーザー"
question.en = "Who?"
question.ja = "誰ですか。"
hypothesis.en = "h"
hypothesis.ja = "仮説"
method.en = "m"
method.ja = "方法"
reading.en = "r"
reading.ja = "読み方"
attack = ["T1110.003"]
severity = "medium"
stage = "credential_acquisition"
key = ["who"]
entities = [{ column = "who", kind = "user", role = "victim" }, { column = "src_ip", kind = "ip", role = "source" }]

[[parameters]]
name = "users_min"
default = 4
reason = "because"

[[reasons]]
code = "many"
en = "{users} users"
ja = "{users} ユーザー"
weight = "points"

[[reasons]]
code = "always"
en = "always"
ja = "常に"
weight = 1.5
*/

SELECT who FROM auth
WHERE users >= {{users_min}};
"#;

fn hunt() -> Hunt {
    head::read("small.sql", SMALL).unwrap()
}

type Cells<'a> = (i64, &'a str, Option<&'a str>, i64, f64, u64);

/// Rows (second, who, severity, users, points, records).
fn rows(lines: &[Cells<'_>]) -> RecordBatch {
    let uid: Vec<[u8; 16]> = lines.iter().map(|(second, ..)| [u8::try_from(*second).unwrap(); 16]).collect();
    let ip = vec![[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 7]; lines.len()];
    let fixed = |values: Vec<[u8; 16]>| -> ArrayRef {
        Arc::new(FixedSizeBinaryArray::try_from_iter(values.into_iter()).unwrap())
    };
    let text = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let times: Vec<i64> = lines.iter().map(|(second, ..)| second * Time::SECOND_US).collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("event_uid", fixed(uid)),
        ("time", Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))),
        ("table", text(lines.iter().map(|_| Some("auth")).collect())),
        ("source_path", text(lines.iter().map(|_| Some("in.csv")).collect())),
        ("source_record", Arc::new(UInt64Array::from_iter_values(lines.iter().map(|_| 7)))),
        ("fact", text(lines.iter().map(|_| Some("failed")).collect())),
        ("who", text(lines.iter().map(|line| Some(line.1)).collect())),
        ("src_ip", fixed(ip)),
        ("severity", text(lines.iter().map(|line| line.2).collect())),
        ("users", Arc::new(Int64Array::from_iter_values(lines.iter().map(|line| line.3)))),
        ("points", Arc::new(Float64Array::from_iter_values(lines.iter().map(|line| line.4)))),
        ("records", Arc::new(UInt64Array::from_iter_values(lines.iter().map(|line| line.5)))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

#[test]
fn rows_of_one_key_are_one_finding() {
    let batch = rows(&[
        (30, "Bob@c.example", Some("high"), 5, 4.0, 9),
        (10, "bob@c.example", None, 5, 4.0, 9),
        (20, "Bob@c.example", Some("low"), 5, 4.0, 9),
        (20, "Bob@c.example", Some("low"), 5, 4.0, 9),
    ]);
    let findings = findings_of(&hunt(), &[batch]).unwrap();
    assert_eq!(findings.len(), 2);
    let bob = &findings[0];
    assert_eq!((bob.analytic.as_str(), bob.severity), ("hunt/small", Severity::High));
    assert_eq!((bob.evidence().len(), bob.evidence_count), (2, 9));
    assert_eq!(bob.first_time(), Time(20 * Time::SECOND_US));
    assert_eq!(bob.values(EntityKind::User).collect::<Vec<_>>(), ["bob@c.example"]);
    assert_eq!(bob.values(EntityKind::Ip).collect::<Vec<_>>(), ["192.0.2.7"]);
    assert_eq!(bob.title_args["users"], "5");
    assert_eq!(bob.score().to_string(), "5.5");
    assert_eq!((bob.evidence()[0].origin.record, bob.evidence()[0].table), (7, Table::Auth));
    assert_eq!(findings[1].severity, Severity::Medium);
}

#[test]
fn a_reason_without_points_is_not_told() {
    let findings = findings_of(&hunt(), &[rows(&[(1, "a", None, 2, 0.0, 1)])]).unwrap();
    let codes: Vec<_> = findings[0].reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["always"]);
}

#[test]
fn rows_that_break_the_promise_of_the_head_are_an_error() {
    let batch = rows(&[(1, "a", Some("dire"), 2, 0.0, 1)]);
    assert!(findings_of(&hunt(), std::slice::from_ref(&batch)).unwrap_err().to_string().contains("dire"));
    let columns: Vec<usize> = (0..batch.num_columns()).filter(|&column| column != 6).collect();
    let error = findings_of(&hunt(), &[batch.project(&columns).unwrap()]).unwrap_err();
    assert_eq!(error.to_string(), "small.sql: hunt/small: its rows have no column `who`");
}

#[test]
fn parameters_are_numbers_and_the_users_own() {
    let mut settings = Settings::default();
    assert!(hunt().sql(&settings).ends_with("users >= 4"));
    settings.parameters.insert("hunt/small.users_min".into(), 7.5);
    assert!(hunt().sql(&settings).ends_with("users >= 7.5"));
    settings.parameters.insert("hunt/small.users_min".into(), f64::NAN);
    assert!(hunt().sql(&settings).ends_with("users >= 4"));
}

#[test]
fn what_is_wrong_with_a_head_is_said_with_its_line() {
    // What is replaced by what, where the error is, and what it says.
    for (from, to, place, expected) in [
        ("stage = \"credential_acquisition\"", "stage = \"nowhere\"", "nowhere", "nowhere"),
        ("key = [\"who\"]", "key = []", "/*", "at least one entry"),
        ("id = \"hunt/small\"", "id = \"small\"", "/*", "begins with `hunt/`"),
        ("severity = \"medium\"", "severity = \"medium\"\ncolour = \"red\"", "colour", "colour"),
        ("SELECT who", "DELETE", "DELETE", "one SELECT"),
        ("FROM auth", "FROM auth; DROP TABLE auth", "SELECT", "one SELECT"),
        ("{{users_min}}", "{{other}}", "SELECT", "`other` is not declared"),
        ("{{users_min}}", "4", "/*", "`users_min` is not used"),
        ("*/", "", "/*", "not closed"),
    ] {
        let text = SMALL.replacen(from, to, 1);
        let error = head::read("small.sql", &text).unwrap_err();
        let HuntError::Head { line, message, .. } = &error else { panic!("{error}") };
        assert!(message.contains(expected), "{to}: {message}");
        let before = text.split_once(place).unwrap().0;
        assert_eq!(*line, 1 + before.matches('\n').count(), "{to}: {message}");
    }
    assert!(
        head::read("small.sql", "SELECT 1").unwrap_err().to_string().starts_with("small.sql:1: a hunt begins with")
    );
}

#[test]
fn every_builtin_hunt_reads_and_has_both_languages() {
    let set = HuntSet::builtin();
    assert!(set.hunts().count() >= 9);
    for hunt in set.hunts() {
        let texts = [&hunt.title, &hunt.question, &hunt.hypothesis, &hunt.method, &hunt.reading];
        let reasons = hunt.reasons.iter().map(|reason| &reason.text);
        for text in texts.into_iter().chain(reasons) {
            assert!(
                text.en != text.ja && text.ja.chars().any(|letter| letter > '\u{3000}'),
                "{}: {}",
                hunt.id,
                text.ja
            );
        }
        assert_eq!(hunt.path, format!("hunts/{}.sql", hunt.id.trim_start_matches("hunt/")));
        assert!(hunt.parameters.iter().all(|parameter| !parameter.reason.is_empty()), "{}", hunt.id);
        assert!(!hunt.sql(&Settings::default()).contains("{{"), "{}", hunt.id);
    }
    let mut book = Phrasebook::default();
    set.texts(&mut book);
    assert!(book.has("hunt/slow-password-spray", "many-users-fail") && book.has("hunt/mass-download", "question"));
}

/// A scanner whose SQL fails as an engine's does.
struct Broken;

impl Scanner for Broken {
    fn scan(
        &self,
        _: Table,
        _: &[&str],
        _: &mut dyn FnMut(&EventBatch) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        Ok(())
    }

    fn query(&self, _: &str, _: usize) -> Result<Vec<RecordBatch>, ScanError> {
        Err(ScanError { what: "the query".into(), source: "expected a name at Line: 2, Column: 7".into() })
    }
}

#[test]
fn a_hunt_that_fails_is_said_and_the_rest_go_on() {
    let mut set = HuntSet::default();
    set.add("small.sql", SMALL).unwrap();
    set.add("other.sql", &SMALL.replace("hunt/small", "hunt/other")).unwrap();
    assert!(set.add("again.sql", SMALL).unwrap_err().to_string().contains("already that of small.sql"));
    let (findings, errors) = set.run(&Broken, &Settings::default(), &|| false);
    assert!(findings.is_empty());
    let line = 2 + SMALL.split_once("SELECT").unwrap().0.matches('\n').count();
    assert_eq!(errors[1], format!("small.sql:{line}: hunt/small did not run: expected a name at Line: 2, Column: 7"));
    assert_eq!(errors.len(), 2);
    assert!(set.run(&Broken, &Settings::default(), &|| true).1.is_empty(), "nothing runs when the user wants no more");
}

#[test]
fn times_of_any_unit_are_read() {
    for (unit, expected) in
        [(TimeUnit::Second, 5), (TimeUnit::Millisecond, 5), (TimeUnit::Microsecond, 5), (TimeUnit::Nanosecond, 5)]
    {
        let batch = rows(&[(5, "a", None, 1, 1.0, 1)]);
        let divisor = match unit {
            TimeUnit::Second => Time::SECOND_US,
            TimeUnit::Millisecond => 1_000,
            _ => 1,
        };
        let micros = 5 * Time::SECOND_US;
        let time: ArrayRef = match unit {
            TimeUnit::Second => Arc::new(arrow_array::TimestampSecondArray::from(vec![micros / divisor])),
            TimeUnit::Millisecond => Arc::new(arrow_array::TimestampMillisecondArray::from(vec![micros / divisor])),
            TimeUnit::Microsecond => Arc::new(TimestampMicrosecondArray::from(vec![micros])),
            TimeUnit::Nanosecond => Arc::new(arrow_array::TimestampNanosecondArray::from(vec![micros * 1_000])),
        };
        let fields: Vec<_> = batch
            .schema()
            .fields()
            .iter()
            .map(|field| {
                if field.name() == "time" {
                    Arc::new(Field::new("time", DataType::Timestamp(unit, None), true))
                } else {
                    Arc::clone(field)
                }
            })
            .collect();
        let mut columns = batch.columns().to_vec();
        columns[1] = time;
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let findings = findings_of(&hunt(), &[batch]).unwrap();
        assert_eq!(findings[0].first_time(), Time(expected * Time::SECOND_US), "{unit:?}");
    }
}

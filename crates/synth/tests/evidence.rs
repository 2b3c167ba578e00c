//! The files that a plan makes: well-formed, the same every time, and true to their truth.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use matagi_synth::{Plan, Summary, SynthError, TakeoverKind, Truth, write};
use serde_json::Value;

const AUDIT_CSV: &str = "audit/UnifiedAuditLog.csv";
const AUDIT_JSON: &str = "audit/UAL-MicrosoftExtractorSuite.json";
const ENTRA: [&str; 3] = ["entra/SignInLogs.json", "entra/NonInteractiveSignInLogs.json", "entra/AuditLogs.json"];

struct Made {
    _folder: tempfile::TempDir,
    evidence: PathBuf,
    summary: Summary,
    truth: Truth,
}

fn make(plan: &Plan) -> Made {
    make_in(tempfile::tempdir().unwrap(), plan)
}

fn make_in(folder: tempfile::TempDir, plan: &Plan) -> Made {
    let summary = write(plan, folder.path(), &()).unwrap();
    let truth = serde_json::from_slice(&std::fs::read(&summary.truth).unwrap()).unwrap();
    Made { evidence: summary.evidence.clone(), _folder: folder, summary, truth }
}

fn plan() -> Plan {
    Plan { users: 30, days: 12, takeovers: TakeoverKind::ALL.to_vec(), ..Plan::default() }
}

/// All objects of a file of concatenated arrays.
fn objects(path: &Path) -> Vec<Value> {
    let bytes = std::fs::read(path).unwrap();
    let arrays = serde_json::Deserializer::from_slice(&bytes).into_iter::<Vec<Value>>();
    arrays.flat_map(Result::unwrap).collect()
}

/// The audit export's rows: columns by name.
fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let named = |record: csv::StringRecord| {
        columns.iter().map(str::to_owned).zip(record.iter().map(str::to_owned)).collect::<BTreeMap<_, _>>()
    };
    reader.records().map(|record| named(record.unwrap())).collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap().trim_start_matches('\u{feff}').to_owned()
}

fn utf16(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes[..2], [0xff, 0xfe], "a byte order mark");
    let units: Vec<_> = bytes[2..].chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    String::from_utf16(&units).unwrap()
}

#[test]
fn the_same_plan_gives_the_same_bytes() {
    let (one, two) = (make(&plan()), make(&plan()));
    for file in &one.summary.files {
        let (a, b) = (one.evidence.join(file.name), two.evidence.join(file.name));
        assert!(std::fs::read(a).unwrap() == std::fs::read(b).unwrap(), "{}", file.name);
    }
    assert_eq!(std::fs::read(&one.summary.truth).unwrap(), std::fs::read(&two.summary.truth).unwrap());
    let other = make(&Plan { seed: 2, ..plan() });
    assert_ne!(one.truth.steps[0].records, other.truth.steps[0].records);
}

#[test]
fn every_file_is_what_it_says() {
    let made = make(&plan());
    let of = |name: &str| made.summary.files.iter().find(|file| file.name == name).unwrap();
    for file in &made.summary.files {
        assert_eq!(std::fs::metadata(made.evidence.join(file.name)).unwrap().len(), file.bytes, "{}", file.name);
        assert!(file.records > 0, "{}", file.name);
    }
    for name in ENTRA.into_iter().chain([AUDIT_JSON]) {
        assert_eq!(objects(&made.evidence.join(name)).len() as u64, of(name).records, "{name}");
    }
    let audit = rows(&text(&made.evidence.join(AUDIT_CSV)));
    assert_eq!(audit.len() as u64, of(AUDIT_CSV).records);
    for row in &audit {
        let data: Value = serde_json::from_str(&row["AuditData"]).unwrap();
        assert_eq!(data["Id"], row["Identity"].as_str());
        assert_eq!(data["Operation"], row["Operations"].as_str());
        assert_eq!(data["UserId"], row["UserIds"].as_str());
        let shown = data["CreationTime"].as_str().unwrap().replace('-', "/").replace('T', " ");
        assert_eq!(shown, row["CreationDate"]);
    }
    for object in objects(&made.evidence.join(AUDIT_JSON)) {
        assert_eq!(object["AuditData"]["Id"], object["Identity"]);
        assert_eq!(object["AuditData"]["UserId"], object["UserIds"]);
    }
    let trace = rows(&utf16(&made.evidence.join("exchange/MessageTrace.csv")));
    assert!(trace.iter().all(|row| row["RecipientAddress"].contains('@') && row["MessageId"].starts_with('<')));
    let rules = rows(&text(&made.evidence.join("exchange/InboxRules.csv")));
    assert!(rules.iter().any(|row| row["RuleName"] == "." && row["MoveToFolder"] == "RSS Feeds"));
}

#[test]
fn rows_repeat_as_in_real_exports_and_windows_are_whole() {
    let made = make(&plan());
    let audit = rows(&text(&made.evidence.join(AUDIT_CSV)));
    let ids: BTreeSet<_> = audit.iter().map(|row| &row["Identity"]).collect();
    let repeated = 100 - ids.len() * 100 / audit.len();
    assert!((10..=40).contains(&repeated), "{repeated} % of the rows are repeated");
    // No window looks cut: somebody who compares index and count must find them whole.
    let mut last_index = 0;
    let mut seen = BTreeSet::new();
    for row in audit.iter().filter(|row| seen.insert(&row["Identity"])) {
        let (index, count): (u64, u64) = (row["ResultIndex"].parse().unwrap(), row["ResultCount"].parse().unwrap());
        assert!(index == last_index + 1 || index == 1, "{index} after {last_index}");
        last_index = index;
        assert!(index <= count);
    }
}

#[test]
fn what_the_truth_names_stands_in_the_files() {
    let made = make(&plan());
    assert_eq!(made.truth.takeovers.len(), TakeoverKind::ALL.len());
    let mut present: BTreeSet<String> =
        rows(&text(&made.evidence.join(AUDIT_CSV))).into_iter().map(|row| row["Identity"].clone()).collect();
    for name in ENTRA.into_iter().chain([AUDIT_JSON]) {
        for object in objects(&made.evidence.join(name)) {
            let id = object.get("Identity").or(object.get("id")).and_then(Value::as_str).unwrap();
            present.insert(id.to_owned());
        }
    }
    for step in &made.truth.steps {
        assert!(!step.records.is_empty() && !step.catalogue.is_empty(), "{}", step.id);
        assert!(step.records.iter().all(|record| present.contains(record)), "{} {}", step.id, step.what);
    }
    for twin in &made.truth.twins {
        assert!(twin.records.iter().all(|record| present.contains(record)), "{} {}", twin.id, twin.what);
        assert!(!twin.users.is_empty(), "{}", twin.what);
    }
    let victims: BTreeSet<_> = made.truth.takeovers.iter().map(|takeover| &takeover.victim).collect();
    assert_eq!(victims.len(), 3);
    assert!(made.truth.twins.iter().all(|twin| twin.users.iter().all(|user| !victims.contains(user))));
}

/// What the catalogue asks of a habit: seven days and ten successful interactive sign-ins before the act.
#[test]
fn victims_have_habits_before_they_are_taken_over() {
    let made = make(&Plan { takeovers: TakeoverKind::ALL.to_vec(), ..Plan::default() });
    let sign_ins = objects(&made.evidence.join(ENTRA[0]));
    for takeover in &made.truth.takeovers {
        let access = takeover.access_time.to_string();
        let before: Vec<_> = sign_ins
            .iter()
            .filter(|sign_in| sign_in["userPrincipalName"] == takeover.victim.as_str())
            .filter(|sign_in| sign_in["status"]["errorCode"] == 0)
            .filter(|sign_in| sign_in["createdDateTime"].as_str().unwrap() < access.as_str())
            .collect();
        assert!(before.len() >= 10, "{}: {} sign-ins before {access}", takeover.id, before.len());
        assert!(before.iter().all(|sign_in| sign_in["location"]["countryOrRegion"] == "JP"));
    }
}

/// A user in two far places at once would be an attack that the truth does not know.
#[test]
fn nobody_else_travels_impossibly() {
    let made = make(&Plan { takeovers: vec![], users: 60, ..Plan::default() });
    let mut last: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut moves = 0;
    for sign_in in objects(&made.evidence.join(ENTRA[0])) {
        let user = sign_in["userPrincipalName"].as_str().unwrap().to_owned();
        let country = sign_in["location"]["countryOrRegion"].as_str().unwrap().to_owned();
        let day = sign_in["createdDateTime"].as_str().unwrap().split('T').next().unwrap().to_owned();
        if let Some((before, day_before)) = last.insert(user.clone(), (country.clone(), day.clone()))
            && before != country
        {
            moves += 1;
            assert_ne!(day_before, day, "{user} went from {before} to {country} within {day}");
        }
    }
    assert!((1..=2).contains(&moves), "one business trip, {moves} moves");
    assert!(made.truth.steps.is_empty());
}

#[test]
fn padding_reaches_the_size_asked_for() {
    let wanted = 6_000_000;
    let small = Plan { users: 20, days: 4, takeovers: vec![], ..Plan::default() };
    let folder = tempfile::tempdir().unwrap();
    write(&small, folder.path(), &()).unwrap();
    let made = make_in(folder, &Plan { pad_bytes: Some(wanted), ..small });
    let bytes = made.summary.bytes();
    assert!(bytes >= wanted && bytes < wanted * 115 / 100, "{bytes} bytes");
    assert!(!made.evidence.join(AUDIT_JSON).exists(), "nothing is left of the plan before");
    let largest = made.summary.files.iter().max_by_key(|file| file.bytes).unwrap();
    assert_eq!(largest.name, AUDIT_CSV);
    let audit = rows(&text(&made.evidence.join(AUDIT_CSV)));
    assert!(audit.iter().all(|row| serde_json::from_str::<Value>(&row["AuditData"]).is_ok()));
}

#[test]
fn impossible_plans_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for plan in [
        Plan { users: 1, ..Plan::default() },
        Plan { days: 10_000, ..Plan::default() },
        Plan { takeovers: vec![TakeoverKind::AitmToken; 40], ..Plan::default() },
        Plan { start: jiff::civil::date(1900, 1, 1), ..Plan::default() },
    ] {
        assert!(matches!(write(&plan, folder.path(), &()), Err(SynthError::Plan { .. })), "{plan:?}");
    }
    let file = folder.path().join("in-the-way");
    std::fs::write(&file, "x").unwrap();
    assert!(matches!(write(&plan(), &file, &()), Err(SynthError::Write { .. })));
}

#[test]
fn the_smallest_company_works() {
    let small = Plan { users: Plan::USERS_MIN, days: Plan::DAYS_MIN, ..Plan::default() };
    let made = make(&small);
    assert_eq!(made.truth.takeovers.len(), 1);
    assert!(made.truth.steps.len() >= 10);
}

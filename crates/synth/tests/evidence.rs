//! The files that a plan makes: well-formed, the same every time, and true to their truth.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

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
    assert_eq!(victims.len(), TakeoverKind::ALL.len());
    assert!(made.truth.twins.iter().all(|twin| twin.users.iter().all(|user| !victims.contains(user))));
}

/// All records of the audit log, each once.
fn audit(made: &Made) -> Vec<Value> {
    let rows = rows(&text(&made.evidence.join(AUDIT_CSV)));
    let exported = rows.iter().map(|row| serde_json::from_str::<Value>(&row["AuditData"]).unwrap());
    let again = objects(&made.evidence.join(AUDIT_JSON)).into_iter().map(|mut object| object["AuditData"].take());
    let mut seen = BTreeSet::new();
    exported.chain(again).filter(|record| seen.insert(record["Id"].as_str().unwrap().to_owned())).collect()
}

/// The records of a step of a kind of takeover.
fn step<'a>(made: &Made, records: &'a [Value], kind: TakeoverKind, what: &str) -> Vec<&'a Value> {
    let takeover = &made.truth.takeovers.iter().find(|takeover| takeover.kind == kind).unwrap().id;
    let step = made.truth.steps.iter().find(|step| step.takeover == *takeover && step.what == what);
    let ids: BTreeSet<_> = step.unwrap_or_else(|| panic!("{kind:?} has no {what}")).records.iter().collect();
    let is_of = |record: &&Value| {
        let id = record.get("Id").or_else(|| record.get("id")).and_then(Value::as_str).unwrap();
        ids.contains(&id.to_owned())
    };
    records.iter().filter(is_of).collect()
}

/// One takeover of each kind; tests that run at the same time share the files.
fn everything() -> Arc<Made> {
    static LAST: Mutex<Weak<Made>> = Mutex::new(Weak::new());
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.upgrade().unwrap_or_else(|| {
        let plan = Plan { users: 60, days: 14, takeovers: TakeoverKind::ALL.to_vec(), ..Plan::default() };
        let made = Arc::new(make(&plan));
        *last = Arc::downgrade(&made);
        made
    })
}

#[test]
fn every_kind_is_planted_whole_and_in_order() {
    let made = everything();
    let present: BTreeSet<String> =
        audit(&made).iter().map(|record| record["Id"].as_str().unwrap().to_owned()).collect();
    let planted: Vec<_> = made.truth.takeovers.iter().map(|takeover| takeover.kind).collect();
    assert_eq!(planted, TakeoverKind::ALL);
    assert_eq!(made.truth.twins.len(), 18, "there are people for every twin");
    for takeover in &made.truth.takeovers {
        let steps: Vec<_> = made.truth.steps.iter().filter(|step| step.takeover == takeover.id).collect();
        let is_old = matches!(takeover.kind, TakeoverKind::AitmToken | TakeoverKind::ConsentOnly);
        assert!(is_old || (6..=14).contains(&steps.len()), "{:?}: {} steps", takeover.kind, steps.len());
        let mut ids: Vec<_> = steps.iter().map(|step| &step.id).collect();
        assert!(ids.is_sorted(), "{:?}: the steps follow each other", takeover.kind);
        ids.dedup();
        assert_eq!(ids.len(), steps.len());
        for step in steps {
            assert!(!step.records.is_empty(), "{} {}", step.id, step.what);
            assert!(step.records.iter().all(|record| present.contains(record)), "{} {}", step.id, step.what);
        }
    }
}

#[test]
fn a_device_code_is_in_the_sign_in_log_and_the_machine_in_the_directory() {
    let made = everything();
    let (interactive, renewed) = (objects(&made.evidence.join(ENTRA[0])), objects(&made.evidence.join(ENTRA[1])));
    let kind = TakeoverKind::DeviceCode;
    let typed = step(&made, &interactive, kind, "device-code-sign-in")[0];
    assert_eq!(typed["authenticationProtocol"], "deviceCode");
    assert_eq!(typed["appId"], "29d9ed98-a469-4536-ade2-f981bc1d605e");
    assert_eq!(typed["location"]["countryOrRegion"], "JP", "the page is opened at the victim's own machine");
    for fetched in step(&made, &renewed, kind, "token-fetched-abroad") {
        assert_eq!(fetched["originalTransferMethod"], "deviceCodeFlow");
        assert_eq!(fetched["sessionId"], typed["sessionId"]);
        assert_ne!(fetched["ipAddress"], typed["ipAddress"]);
    }
    let records = audit(&made);
    let request = &step(&made, &records, kind, "device-code-sign-in")[0]["ExtendedProperties"][2]["Value"];
    assert_eq!(request, "Cmsi:Cmsi");
    let added: Vec<_> = step(&made, &records, kind, "device-registered").into_iter().map(|r| &r["Operation"]).collect();
    assert_eq!(added, ["Add device.", "Add registered owner to device."]);
    let searched = step(&made, &records, kind, "money-search");
    assert!(searched.iter().all(|record| record["QueryText"].is_string() && record["RecordType"] == 156));
    let directory = objects(&made.evidence.join(ENTRA[2]));
    assert!(directory.iter().any(|change| change["activityDisplayName"] == "Add device"
        && change["targetResources"][0]["displayName"] == "DESKTOP-8F3K2QLA"));
}

#[test]
fn fatigue_and_the_mail_of_the_superior_read_as_in_real_logs() {
    let made = everything();
    let sign_ins = objects(&made.evidence.join(ENTRA[0]));
    let kind = TakeoverKind::BecInside;
    let blocked = step(&made, &sign_ins, kind, "password-right-but-blocked");
    let codes: Vec<_> = blocked.iter().map(|sign_in| &sign_in["status"]["errorCode"]).collect();
    assert_eq!(codes, [53003, 50074]);
    assert_eq!(blocked[0]["clientAppUsed"], "IMAP4");
    let asked = step(&made, &sign_ins, kind, "push-requests");
    assert_eq!(asked.len(), 9);
    for sign_in in asked {
        assert_eq!(sign_in["status"]["errorCode"], 500_121);
        let details = &sign_in["authenticationDetails"];
        assert_eq!(details[0]["succeeded"], true, "the password was right");
        let words = details[1]["authenticationStepResultDetail"].as_str().unwrap();
        assert!(words.starts_with("MFA denied; user"), "{words}");
    }
    let approved = step(&made, &sign_ins, kind, "push-approved")[0];
    assert_eq!(approved["authenticationDetails"][1]["authenticationStepResultDetail"], "MFA successfully completed");
    let records = audit(&made);
    let sent = step(&made, &records, kind, "sent-as-superior")[0];
    assert_eq!(sent["Operation"], "SendAs");
    assert_ne!(sent["SendAsUserSmtp"], sent["UserId"]);
    let trace = rows(&utf16(&made.evidence.join("exchange/MessageTrace.csv")));
    let traced = trace.iter().find(|row| sent["Item"]["InternetMessageId"] == row["MessageId"].as_str()).unwrap();
    assert_eq!(sent["SendAsUserSmtp"], traced["SenderAddress"].as_str());
    let fraud = step(&made, &records, kind, "fraud-mail");
    let deleted = &step(&made, &records, kind, "sent-mail-deleted")[0]["AffectedItems"];
    for (mail, gone) in fraud.iter().zip(deleted.as_array().unwrap()) {
        assert_eq!(mail["Item"]["InternetMessageId"], gone["InternetMessageId"]);
        assert_eq!(mail["Item"]["Subject"], gone["Subject"]);
    }
    let subject = fraud[0]["Item"]["Subject"].as_str().unwrap();
    let thread = subject.trim_start_matches("RE: ");
    let victim = fraud[0]["UserId"].as_str().unwrap();
    let is_received =
        |row: &BTreeMap<String, String>| row["RecipientAddress"] == victim && row["Subject"].ends_with(thread);
    assert!(trace.iter().any(is_received), "{subject} answers mail that came in");
}

#[test]
fn a_stolen_token_is_the_one_that_was_issued_in_the_office() {
    let made = everything();
    let (sign_ins, records) = (objects(&made.evidence.join(ENTRA[0])), audit(&made));
    let kind = TakeoverKind::TokenTheft;
    for record in step(&made, &records, kind, "token-replayed") {
        let token = &record["AppAccessContext"]["UniqueTokenId"];
        assert_eq!(token.as_str().unwrap().len(), 22);
        let issued = sign_ins.iter().find(|sign_in| sign_in["uniqueTokenIdentifier"] == *token).unwrap();
        assert_eq!(issued["sessionId"], record["AppAccessContext"]["AADSessionId"]);
        assert_eq!(issued["location"]["countryOrRegion"], "JP");
        assert_ne!(issued["ipAddress"], record["ClientIPAddress"]);
    }
    let added = step(&made, &records, kind, "method-added");
    let changed = added.iter().find(|record| record["Operation"] == "Update user.").unwrap();
    assert_eq!(changed["ModifiedProperties"][0]["Name"], "StrongAuthenticationMethod");
    let notice = &step(&made, &records, kind, "notice-deleted")[0]["AffectedItems"][0];
    assert!(notice["Subject"].as_str().unwrap().contains("多要素認証"));
    let files: BTreeSet<_> = step(&made, &records, kind, "files-downloaded")
        .into_iter()
        .map(|record| record["SourceFileName"].as_str().unwrap())
        .collect();
    assert_eq!(files.len(), 64, "every file once");
    let links = step(&made, &records, kind, "anonymous-links");
    assert!(links.iter().all(|record| record["Operation"] == "AnonymousLinkCreated" && record["RecordType"] == 14));
}

#[test]
fn a_throttled_mailbox_has_no_opened_messages_for_a_day() {
    let made = everything();
    let records = audit(&made);
    let kind = TakeoverKind::ThrottledAudit;
    let last = step(&made, &records, kind, "audit-throttled")[0];
    assert_eq!(last["OperationProperties"][1]["Value"], "True");
    assert_eq!(step(&made, &records, kind, "mail-read").len(), 999, "the thousandth record is the last");
    let synced = step(&made, &records, kind, "folders-synchronised");
    assert!(synced.iter().all(|record| record["OperationProperties"][0]["Value"] == "Sync"));
    let of_mailbox: Vec<_> = records
        .iter()
        .filter(|record| record["RecordType"] == 50 && record["MailboxOwnerUPN"] == last["MailboxOwnerUPN"])
        .map(|record| record["CreationTime"].as_str().unwrap())
        .collect();
    let from = last["CreationTime"].as_str().unwrap();
    let until = of_mailbox.iter().filter(|time| **time > from).min();
    let instant = |text: &str| serde_json::from_str::<matagi_model::Time>(&format!("\"{text}Z\"")).unwrap();
    let is_later = |until: &&str| instant(until).since_us(instant(from)) >= matagi_model::Time::DAY_US;
    assert!(until.is_none_or(is_later), "{from} {until:?}");
    assert!(of_mailbox.len() > 1_000, "the owner opened messages before");
}

#[test]
fn twins_are_honest_where_takeovers_are_not() {
    let made = everything();
    let records = audit(&made);
    let twin = |what: &str| made.truth.twins.iter().find(|twin| twin.what == what).unwrap();
    let of = |what: &str| {
        let ids: BTreeSet<_> = twin(what).records.iter().map(String::as_str).collect();
        records.iter().filter(move |record| ids.contains(record["Id"].as_str().unwrap()))
    };
    assert!(of("accountant-searches").count() >= 14 && of("accountant-searches").all(|r| r["QueryText"].is_string()));
    assert!(of("assistant-sends-as").count() >= 4 && of("assistant-sends-as").all(|r| r["Operation"] == "SendAs"));
    assert_eq!(of("shared-with-partner").filter(|r| r["TargetUserOrGroupType"] == "Guest").count(), 6);
    let moved: Vec<_> = of("laptop-moves").filter(|record| record["Operation"] == "MailItemsAccessed").collect();
    let mut places: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for record in moved {
        let token = record["AppAccessContext"]["UniqueTokenId"].as_str().unwrap();
        places.entry(token).or_default().insert(record["ClientIPAddress"].as_str().unwrap());
    }
    assert!(places.values().any(|ips| ips.len() == 2), "one token in two places");
    let sign_ins = objects(&made.evidence.join(ENTRA[0]));
    let codes: Vec<_> = sign_ins.iter().filter(|sign_in| sign_in["authenticationProtocol"] == "deviceCode").collect();
    let own = codes.iter().filter(|s| s["appDisplayName"] == "Microsoft Azure CLI").count();
    assert_eq!((own, codes.len()), (2, 3), "two weeks of the administrator, one takeover");
}

#[test]
fn a_choice_is_a_kind_or_all() {
    use matagi_synth::TakeoverChoice;

    assert_eq!("all".parse(), Ok(TakeoverChoice(TakeoverKind::ALL.to_vec())));
    assert_eq!("bec-inside".parse(), Ok(TakeoverChoice(vec![TakeoverKind::BecInside])));
    let refused = "bec".parse::<TakeoverChoice>().unwrap_err();
    assert!(refused.ends_with("throttled-audit, all"), "{refused}");
    for kind in TakeoverKind::ALL {
        assert_eq!(kind.word().parse(), Ok(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
    }
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
    let made = make(&Plan { takeovers: TakeoverKind::ALL.to_vec(), ..small });
    let present: BTreeSet<_> = audit(&made).iter().map(|record| record["Id"].as_str().unwrap().to_owned()).collect();
    let lost = made.truth.steps.iter().find(|step| !step.records.iter().all(|record| present.contains(record)));
    assert!(lost.is_none(), "outside of the evidence: {lost:?}");
}

//! A hunt made by hand: one takeover of a mailbox, told whole, and a single finding beside it.

#![allow(dead_code, reason = "not every test file needs everything")]

use std::collections::{BTreeMap, BTreeSet};

use matagi_model::{
    AddressFacts, AnalyticMeta, Coverage, CoverageState, Entity, EntityKind, Evidence, Exposure, ExposureQuality,
    Finding, Incident, NextStep, Note, Origin, Phrasebook, Reason, ReasonText, Role, Sentence, Severity, Stage,
    StageStep, Table, Text, Time, Uid,
};
use matagi_report::{Hunt, HuntDocument, HuntInput};

const VICTIM: &str = "anna.berg@aozora.example";
const SOURCE: &str = "203.0.113.77";

static SIGN_IN: AnalyticMeta = AnalyticMeta {
    id: "mailbox/new-place",
    catalogue: &["MBX-015"],
    title: Text::new(
        "Sign-in of {user} from a network that nobody here uses",
        "組織で利用のないネットワークからの {user} のサインイン",
    ),
    question: Text::new("Who signs in from a new place?", "新しい場所からサインインしたのは誰か"),
    stage: Stage::InitialAccess,
    attack: &["T1078.004"],
    scans: &[],
    parameters: &[],
    reasons: &[
        ReasonText::new("new-network", "{network} was never used before", "{network} はこれまで利用がありません"),
        ReasonText::new("usual-device", "The device is the usual one", "デバイスは普段のものです"),
    ],
};

static RULE: AnalyticMeta = AnalyticMeta {
    id: "mailbox/hiding-rule",
    catalogue: &["MBX-022", "MBX-023"],
    title: Text::new("Inbox rule hides mail about “{word}”", "「{word}」に関するメールを隠す受信トレイルール"),
    question: Text::new("Which rules hide mail?", "メールを隠すルールはどれか"),
    stage: Stage::Persistence,
    attack: &["T1564.008", "T1114.003"],
    scans: &[],
    parameters: &[],
    reasons: &[ReasonText::new("rarely-read-folder", "It moves mail to {folder}", "メールを {folder} に移動します")],
};

static READ: AnalyticMeta = AnalyticMeta {
    id: "mailbox/mail-read",
    catalogue: &["MBX-040"],
    title: Text::new("Mail read in the foreign session", "不審なセッションでのメール閲覧"),
    question: Text::new("What was read?", "何が閲覧されたか"),
    stage: Stage::Collection,
    attack: &["T1114.002"],
    scans: &[],
    parameters: &[],
    reasons: &[ReasonText::new("messages", "{count} messages were read", "メール {count} 通が閲覧されました")],
};

/// 2024-03-11T23:12:09Z.
const START: Time = Time(1_710_198_729_000_000);

/// So many minutes after the sign-in.
pub fn at(minutes: i64) -> Time {
    START.plus_us(minutes * Time::MINUTE_US)
}

/// A record at a time.
pub fn record(table: Table, time: Time, number: u64, fact: &str) -> Evidence {
    let path = if table == Table::Auth { "export.zip!signins.json" } else { "export.zip!audit.csv" };
    Evidence {
        event_uid: Uid::of(&[b"test", &number.to_le_bytes()]),
        table,
        time,
        origin: Origin { path: path.to_owned(), record: number },
        fact: fact.to_owned(),
    }
}

fn findings() -> Vec<Finding> {
    let signed_in = format!("UserLoggedIn · {VICTIM} · {SOURCE} · Chrome 120");
    let sign_in = Finding::new(&SIGN_IN, Severity::High, record(Table::Auth, at(0), 41, &signed_in))
        .titled("user", VICTIM)
        .about(Entity::user(VICTIM), Role::Victim)
        .about(Entity::new(EntityKind::Ip, SOURCE), Role::Source)
        .about(Entity::session("0b7d4c1e-6a51"), Role::Context)
        .because(Reason::new("new-network", 42.0, [("network", "AS64511 Example Hosting".to_owned())]))
        .because(Reason::new("usual-device", -4.5, []))
        .sure(0.9);
    let made = format!("New-InboxRule · {VICTIM} · {SOURCE} · Name=. SubjectContainsWords=invoice;請求書");
    let rule = Finding::new(&RULE, Severity::Critical, record(Table::Saas, at(17), 1_204, &made))
        .titled("word", "invoice; 請求書")
        .about(Entity::mailbox(VICTIM), Role::Victim)
        .about(Entity::new(EntityKind::Rule, "."), Role::Target)
        .about(Entity::new(EntityKind::Ip, SOURCE), Role::Source)
        .because(Reason::new("rarely-read-folder", 60.0, [("folder", "RSS Subscriptions".to_owned())]));
    let read = |number: u64| {
        let time = at(25 + i64::try_from(number).unwrap() * 3);
        record(Table::Saas, time, 2_000 + number, &format!("MailItemsAccessed · {VICTIM} · {SOURCE} · Bind"))
    };
    let reading = (2..9).fold(Finding::new(&READ, Severity::Medium, read(1)), |finding, n| finding.proved_by(read(n)));
    let reading = reading
        .about(Entity::mailbox(VICTIM), Role::Victim)
        .about(Entity::new(EntityKind::Ip, SOURCE), Role::Source)
        .because(Reason::new("messages", 18.0, [("count", "37".to_owned())]))
        .and_more(29);
    let other = "UserLoggedIn · ben@aozora.example · 198.51.100.9";
    let lone = Finding::new(&SIGN_IN, Severity::Low, record(Table::Auth, Time::UNKNOWN, 77, other))
        .titled("user", "ben@aozora.example")
        .about(Entity::user("ben@aozora.example"), Role::Victim)
        .because(Reason::new("new-network", 12.0, [("network", "AS64500".to_owned())]));
    vec![lone, reading, sign_in, rule]
}

fn incident(findings: &[Finding]) -> Incident {
    let members = || [&findings[2], &findings[3], &findings[1]].into_iter();
    let entities: BTreeSet<_> =
        members().flat_map(Finding::entities).map(|(entity, role)| (entity.clone(), role)).collect();
    let step = |finding: &Finding| StageStep {
        stage: finding.stage,
        first_time: finding.first_time(),
        findings: vec![finding.id()],
    };
    let titled = |finding: &Finding| Sentence {
        scope: finding.analytic.clone(),
        code: "title".to_owned(),
        args: finding.title_args.clone(),
    };
    let args = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    };
    let next = |code: &str, pairs: &[(&str, &str)], command: Option<&str>| NextStep {
        code: code.to_owned(),
        args: args(pairs),
        command: command.map(str::to_owned),
    };
    Incident {
        id: "I-1f0a9c33d2".to_owned(),
        title: Sentence::new("takeover", [("user", VICTIM.to_owned())]),
        severity: Severity::Critical,
        score: 86.5,
        reasons: vec![
            Reason::new("best-finding", 60.0, [("title", findings[3].id()), ("severity", "critical".to_owned())]),
            Reason::new("more-findings", 9.5, [("count", "2".to_owned())]),
            Reason::new(
                "stages",
                9.0,
                [("count", "3".to_owned()), ("stages", "initial_access, persistence, collection".to_owned())],
            ),
            Reason::new("in-order", 3.0, []),
            Reason::new("important-user", 5.0, [("user", VICTIM.to_owned())]),
        ],
        first_time: at(0),
        last_time: at(49),
        entities,
        findings: members().map(Finding::id).collect(),
        stages: members().map(step).collect(),
        left_behind: vec![Sentence::new("left-inbox-rule", [("rule", ".".to_owned()), ("mailbox", VICTIM.to_owned())])],
        exposure: vec![Exposure {
            mailbox: VICTIM.to_owned(),
            messages: 37,
            message_uids: vec!["<a1@aozora.example>".to_owned(), "<b2@partner.example>".to_owned()],
            folders: vec!["\\Inbox".to_owned()],
            readers: vec!["198.51.100.7".to_owned(), "5c0f0c1c-1111-4222-8333-444444444444".to_owned()],
            quality: ExposureQuality::LowerBound,
        }],
        narrative: members().map(titled).collect(),
        next_steps: vec![
            next("preserve-evidence", &[], None),
            next(
                "revoke-sessions",
                &[("user", VICTIM)],
                Some("Revoke-MgUserSignInSession -UserId 'anna.berg@aozora.example'"),
            ),
            next(
                "remove-inbox-rule",
                &[("rule", "."), ("mailbox", VICTIM)],
                Some("Remove-InboxRule -Mailbox 'anna.berg@aozora.example' -Identity '.'"),
            ),
        ],
    }
}

fn inputs() -> Vec<HuntInput> {
    let read = |path: &str, format: &str, rows, duplicates, rejected| HuntInput {
        path: path.to_owned(),
        format: Some(format.to_owned()),
        status: "read".to_owned(),
        rows,
        duplicates,
        rejected,
        first_time: at(-60 * 24 * 20),
        last_time: at(60 * 24),
        ..HuntInput::default()
    };
    vec![
        read("export.zip!signins.json", "entra-sign-in", 18_230, 0, 0),
        read("export.zip!audit.csv", "m365-audit", 41_007, 1_204, 3),
        HuntInput {
            path: "notes.docx".to_owned(),
            status: "not-recognised".to_owned(),
            detail: Some("no known format begins like this".to_owned()),
            ..HuntInput::default()
        },
    ]
}

/// The sentences of this crate and of the analytics of this hunt.
pub fn phrasebook() -> Phrasebook {
    let mut book = matagi_report::phrasebook();
    for meta in [&SIGN_IN, &RULE, &READ] {
        for reason in meta.reasons {
            book.insert(meta.id, reason.code, reason.text.clone());
        }
    }
    book
}

/// The hunt in one language, with `change` applied to its parts first.
pub fn hunt_with(
    lang: &str,
    change: impl FnOnce(&mut Vec<Finding>, &mut Vec<Incident>, &mut Vec<HuntInput>),
) -> HuntDocument {
    let mut findings = findings();
    let mut incidents = vec![incident(&findings)];
    let mut inputs = inputs();
    change(&mut findings, &mut incidents, &mut inputs);
    let line = |code: &str, state| Coverage { code: code.to_owned(), state, args: BTreeMap::new() };
    let coverage = [
        line("sign-ins", CoverageState::Present),
        line("mail-items-accessed", CoverageState::Partial),
        line("message-trace", CoverageState::Absent),
    ];
    let facts = AddressFacts {
        asn: Some(64_511),
        as_name: Some("Example Hosting B.V.".to_owned()),
        country: Some("NL".to_owned()),
        hosting: true,
        ..AddressFacts::default()
    };
    let hunt = Hunt {
        inputs,
        findings: &findings,
        incidents: &incidents,
        coverage: &coverage,
        notes: vec![("export.zip!audit.csv".to_owned(), Note::new("row-cap", [("rows", "50000".to_owned())]))],
        reference: vec!["IP to ASN: ip-location-db asn, 2024-03-01, CC-BY-4.0".to_owned()],
        address_facts: BTreeMap::from([(SOURCE.to_owned(), facts)]),
    };
    matagi_report::document(&hunt, &phrasebook(), lang)
}

/// The hunt in one language.
pub fn hunt(lang: &str) -> HuntDocument {
    hunt_with(lang, |_, _, _| {})
}

/// When the report was made.
pub const MADE: Time = Time(1_710_300_000_000_000);

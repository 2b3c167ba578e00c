//! How well a hunt did against the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use matagi_model::{Severity, Text, Time, text::fill};
use serde::{Deserialize, Serialize};

use crate::truth::{Step, Takeover, Truth, Twin};

/// A finding may begin or end this long before or after the step it found: windows of analytics are about so long.
const SLACK_US: i64 = Time::HOUR_US;

/// What a hunt found, held against what was planted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Score {
    /// Hostile steps planted.
    pub steps: usize,
    /// Steps that a finding of one of their catalogue ids named.
    pub steps_found: usize,
    /// The others.
    pub missed: Vec<MissedStep>,
    /// Findings at medium or above.
    pub findings: usize,
    /// Those about a planted takeover.
    pub findings_true: usize,
    /// Ids of the findings at medium or above that are not.
    pub false_findings: Vec<String>,
    /// Benign twins that alarmed, with the finding's id.
    pub twin_alarms: Vec<(String, String)>,
    /// Each takeover.
    pub takeovers: Vec<TakeoverScore>,
    /// Incidents at medium or above that mix several takeovers.
    pub merged_incidents: usize,
    /// Ids of the incidents at high or above without a finding about a takeover.
    pub false_incidents: Vec<String>,
    /// Findings and incidents that could not be read from the document.
    pub unreadable: usize,
}

/// A step that no finding named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MissedStep {
    /// `T1-04`.
    pub id: String,
    /// What it is.
    pub what: String,
    /// Whose account.
    pub user: String,
    /// What should have named it.
    pub catalogue: BTreeSet<String>,
}

/// How well one takeover was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TakeoverScore {
    /// `T1`.
    pub id: String,
    /// Incidents at medium or above about it; one is right.
    pub incidents: usize,
    /// From the actor's first access to the first finding at high or above, seconds; `None` if there is none,
    /// 0 if the finding came before the access.
    pub detected_after_s: Option<i64>,
}

impl Score {
    /// Part of the planted steps that was found, 0 to 1; `None` if none was planted.
    pub fn recall(&self) -> Option<f64> {
        ratio(self.steps_found, self.steps)
    }

    /// Part of the findings at medium or above that is about a takeover, 0 to 1; `None` if there is no finding.
    pub fn precision(&self) -> Option<f64> {
        ratio(self.findings_true, self.findings)
    }

    /// The score as text; `lang` is `en` or `ja`.
    pub fn text(&self, lang: &str) -> String {
        let mut out = String::new();
        line(&mut out, lang, &RECALL, &[&percent(self.recall()), &self.steps_found, &self.steps]);
        for step in &self.missed {
            let ids = step.catalogue.iter().cloned().collect::<Vec<_>>().join(", ");
            line(&mut out, lang, &MISSED, &[&step.id, &step.what, &step.user, &ids]);
        }
        line(&mut out, lang, &PRECISION, &[&percent(self.precision()), &self.findings_true, &self.findings]);
        for (twin, finding) in &self.twin_alarms {
            line(&mut out, lang, &TWIN, &[twin, finding]);
        }
        for takeover in &self.takeovers {
            let after =
                takeover.detected_after_s.map_or_else(|| NEVER.get(lang).to_owned(), |seconds| span(lang, seconds));
            line(&mut out, lang, &TAKEOVER, &[&takeover.id, &takeover.incidents, &after]);
        }
        line(&mut out, lang, &INCIDENTS, &[&self.false_incidents.len(), &self.merged_incidents]);
        if self.unreadable > 0 {
            line(&mut out, lang, &UNREADABLE, &[&self.unreadable]);
        }
        out
    }
}

const RECALL: Text = Text::new("steps found      {0} ({1} of {2})", "検出した攻撃手順      {0}（{2} 件中 {1} 件）");
const MISSED: Text = Text::new("  missed {0} {1}, {2} (expected {3})", "  見逃し {0} {1}、{2}（期待した検出: {3}）");
const PRECISION: Text = Text::new(
    "true findings    {0} ({1} of {2} at medium or above)",
    "正しい検出結果        {0}（重要度「中」以上 {2} 件中 {1} 件）",
);
const TWIN: Text = Text::new("  false alarm on benign twin {0}: finding {1}", "  正当な活動 {0} に対する誤検出: {1}");
const TAKEOVER: Text = Text::new(
    "takeover {0}      {1} incident(s), detected {2}",
    "乗っ取り {0}           インシデント {1} 件、検出まで {2}",
);
const NEVER: Text = Text::new("never", "検出なし");
const AFTER: Text = Text::new("after {0} min {1} s", "{0} 分 {1} 秒");
const INCIDENTS: Text = Text::new(
    "false incidents  {0} at high or above; {1} mixing several takeovers",
    "誤ったインシデント    重要度「高」以上 {0} 件、複数の乗っ取りを混同したもの {1} 件",
);
const UNREADABLE: Text = Text::new(
    "unreadable       {0} findings or incidents of the document",
    "読み取れない要素      検出結果・インシデント {0} 件",
);

fn line(out: &mut String, lang: &str, text: &Text, args: &[&dyn std::fmt::Display]) {
    let args: BTreeMap<_, _> =
        args.iter().enumerate().map(|(index, arg)| (index.to_string(), arg.to_string())).collect();
    writeln!(out, "{}", fill(text.get(lang), &args)).expect("writing to a string");
}

fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0))
}

fn span(lang: &str, seconds: i64) -> String {
    let args =
        BTreeMap::from([("0".to_owned(), (seconds / 60).to_string()), ("1".to_owned(), (seconds % 60).to_string())]);
    fill(AFTER.get(lang), &args)
}

/// What the score reads of a finding; the document may hold more.
#[derive(Debug, Deserialize)]
struct Found {
    id: String,
    #[serde(default)]
    catalogue: BTreeSet<String>,
    severity: Severity,
    #[serde(default)]
    first_time: Time,
    #[serde(default)]
    last_time: Time,
    #[serde(default)]
    entities: Vec<Named>,
}

#[derive(Debug, Deserialize)]
struct Named {
    kind: String,
    value: String,
    #[serde(default)]
    role: String,
}

#[derive(Debug, Deserialize)]
struct FoundIncident {
    id: String,
    severity: Severity,
    #[serde(default)]
    findings: BTreeSet<String>,
}

impl Found {
    fn is_about_user(&self, user: &str) -> bool {
        self.entities.iter().any(|entity| {
            matches!(entity.kind.as_str(), "user" | "mailbox" | "email_address")
                && entity.value.eq_ignore_ascii_case(user)
        })
    }

    /// As [`Self::is_about_user`], but not as one of many whom a spray tried in vain.
    fn is_about_victim(&self, user: &str) -> bool {
        let suffers = |entity: &&Named| entity.role != "target" && entity.value.eq_ignore_ascii_case(user);
        self.entities.iter().any(|entity| suffers(&entity) && matches!(entity.kind.as_str(), "user" | "mailbox"))
    }

    fn has(&self, kind: &str, wanted: impl Fn(&str) -> bool) -> bool {
        self.entities.iter().any(|entity| entity.kind == kind && wanted(&entity.value))
    }

    /// A finding without a time (from a rule export) may be of any time.
    fn overlaps(&self, from: Time, to: Time) -> bool {
        let first = if self.first_time.is_known() { self.first_time } else { self.last_time };
        let last = if self.last_time.is_known() { self.last_time } else { first };
        !first.is_known() || (first.plus_us(-SLACK_US) <= to && last.plus_us(SLACK_US) >= from)
    }

    fn finds(&self, step: &Step) -> bool {
        let about = self.is_about_user(&step.user)
            || step.actor_ip.as_deref().is_some_and(|ip| self.has("ip", |value| value == ip))
            || step.session.as_deref().is_some_and(|session| self.has("session", |value| value == session));
        about && !self.catalogue.is_disjoint(&step.catalogue) && self.overlaps(step.time, step.last_time)
    }

    fn is_of(&self, takeover: &Takeover) -> bool {
        self.has("ip", |value| takeover.actor_ips.contains(value))
            || self.has("session", |value| takeover.sessions.contains(value))
            || self.has("application", |value| takeover.apps.contains(value))
            || (self.is_about_victim(&takeover.victim) && self.overlaps(takeover.first_time, takeover.last_time))
    }

    fn alarms(&self, twin: &Twin) -> bool {
        self.severity >= twin.below
            && !self.catalogue.is_disjoint(&twin.forbid)
            && twin.users.iter().any(|user| self.is_about_user(user))
            && self.overlaps(twin.time, twin.last_time)
    }
}

fn read<T: for<'a> Deserialize<'a>>(hunt: &serde_json::Value, field: &str, unreadable: &mut usize) -> Vec<T> {
    let Some(items) = hunt.get(field).and_then(serde_json::Value::as_array) else {
        *unreadable += 1;
        return Vec::new();
    };
    let read: Vec<T> = items.iter().filter_map(|item| T::deserialize(item).ok()).collect();
    *unreadable += items.len() - read.len();
    read
}

/// Holds the document that `matagi hunt --format json` prints (schema `matagi.hunt/1`) against the truth.
pub fn score(truth: &Truth, hunt: &serde_json::Value) -> Score {
    let mut unreadable = 0;
    let found: Vec<Found> = read(hunt, "findings", &mut unreadable);
    let incidents: Vec<FoundIncident> = read(hunt, "incidents", &mut unreadable);

    let missed: Vec<_> = truth.steps.iter().filter(|step| !found.iter().any(|finding| finding.finds(step))).collect();
    let serious: Vec<_> = found.iter().filter(|finding| finding.severity >= Severity::Medium).collect();
    let of: BTreeMap<&str, BTreeSet<&str>> = found
        .iter()
        .map(|finding| {
            let takeovers = truth.takeovers.iter().filter(|takeover| finding.is_of(takeover));
            (finding.id.as_str(), takeovers.map(|takeover| takeover.id.as_str()).collect())
        })
        .collect();
    let is_true = |id: &str| of.get(id).is_some_and(|takeovers| !takeovers.is_empty());
    let false_ones: Vec<_> = serious.iter().filter(|finding| !is_true(&finding.id)).collect();
    let twin_alarms = false_ones.iter().flat_map(|finding| {
        let twins = truth.twins.iter().filter(|twin| finding.alarms(twin));
        twins.map(|twin| (twin.id.clone(), finding.id.clone()))
    });

    let touched: Vec<(&FoundIncident, BTreeSet<&str>)> = incidents
        .iter()
        .filter(|incident| incident.severity >= Severity::Medium)
        .map(|incident| {
            let takeovers = incident.findings.iter().filter_map(|id| of.get(id.as_str())).flatten().copied().collect();
            (incident, takeovers)
        })
        .collect();
    Score {
        steps: truth.steps.len(),
        steps_found: truth.steps.len() - missed.len(),
        missed: missed.into_iter().map(missed_step).collect(),
        findings: serious.len(),
        findings_true: serious.len() - false_ones.len(),
        false_findings: false_ones.iter().map(|finding| finding.id.clone()).collect(),
        twin_alarms: twin_alarms.collect(),
        takeovers: truth.takeovers.iter().map(|takeover| takeover_score(takeover, &serious, &touched)).collect(),
        merged_incidents: touched.iter().filter(|(_, takeovers)| takeovers.len() > 1).count(),
        false_incidents: touched
            .iter()
            .filter(|(incident, takeovers)| incident.severity >= Severity::High && takeovers.is_empty())
            .map(|(incident, _)| incident.id.clone())
            .collect(),
        unreadable,
    }
}

fn missed_step(step: &Step) -> MissedStep {
    MissedStep {
        id: step.id.clone(),
        what: step.what.clone(),
        user: step.user.clone(),
        catalogue: step.catalogue.clone(),
    }
}

fn takeover_score(
    takeover: &Takeover,
    serious: &[&Found],
    touched: &[(&FoundIncident, BTreeSet<&str>)],
) -> TakeoverScore {
    let seen = serious
        .iter()
        .filter(|finding| finding.severity >= Severity::High && finding.is_of(takeover))
        .map(|finding| finding.last_time)
        .filter(|time| time.is_known())
        .min();
    TakeoverScore {
        id: takeover.id.clone(),
        incidents: touched.iter().filter(|(_, takeovers)| takeovers.contains(takeover.id.as_str())).count(),
        detected_after_s: seen.map(|time| time.since_us(takeover.access_time).max(0) / Time::SECOND_US),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::{Plan, TakeoverKind};

    fn time(text: &str) -> Time {
        serde_json::from_value(json!(text)).unwrap()
    }

    fn set(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    fn step(id: &str, what: &str, catalogue: &[&str], at: &str) -> Step {
        Step {
            id: id.into(),
            takeover: "T1".into(),
            what: what.into(),
            catalogue: set(catalogue),
            user: "anna@example.org".into(),
            time: time(at),
            last_time: time(at),
            actor_ip: Some("192.0.2.7".into()),
            session: None,
            records: vec![],
        }
    }

    fn truth() -> Truth {
        Truth {
            schema: Truth::SCHEMA.into(),
            plan: Plan::default(),
            domains: set(&["example.org"]),
            takeovers: vec![Takeover {
                id: "T1".into(),
                kind: TakeoverKind::SprayAndRules,
                victim: "anna@example.org".into(),
                actor_ips: set(&["192.0.2.7"]),
                sessions: BTreeSet::new(),
                apps: BTreeSet::new(),
                first_time: time("2026-09-10T00:00:00Z"),
                access_time: time("2026-09-10T00:10:00Z"),
                last_time: time("2026-09-10T03:00:00Z"),
            }],
            steps: vec![
                step("T1-01", "spray", &["MBX-001", "MBX-002"], "2026-09-10T00:00:00Z"),
                step("T1-02", "hiding-rule", &["MBX-022"], "2026-09-10T02:00:00Z"),
            ],
            twins: vec![Twin {
                id: "B1".into(),
                what: "newsletter-rule".into(),
                forbid: set(&["MBX-022"]),
                below: Severity::Medium,
                users: set(&["ben@example.org"]),
                time: time("2026-09-05T00:00:00Z"),
                last_time: time("2026-09-05T00:00:00Z"),
                records: vec![],
            }],
        }
    }

    fn finding(id: &str, catalogue: &str, severity: &str, at: &str, kind: &str, value: &str) -> serde_json::Value {
        json!({"id": id, "catalogue": [catalogue], "severity": severity, "first_time": at, "last_time": at,
               "entities": [{"kind": kind, "value": value, "role": "victim"}]})
    }

    #[test]
    fn found_missed_and_false_are_told_apart() {
        let hunt = json!({
            "findings": [
                finding("F-1", "MBX-001", "high", "2026-09-10T00:20:00Z", "ip", "192.0.2.7"),
                finding("F-2", "MBX-022", "medium", "2026-09-05T00:00:00Z", "user", "Ben@example.org"),
                finding("F-3", "MBX-022", "low", "2026-09-05T00:00:00Z", "user", "ben@example.org"),
            ],
            "incidents": [
                {"id": "I-1", "severity": "high", "findings": ["F-1"]},
                {"id": "I-2", "severity": "high", "findings": ["F-2"]},
            ],
        });
        let score = score(&truth(), &hunt);
        assert_eq!((score.steps_found, score.steps), (1, 2));
        assert_eq!(score.missed[0].what, "hiding-rule");
        assert_eq!((score.findings_true, score.findings), (1, 2));
        assert_eq!(score.twin_alarms, [("B1".to_owned(), "F-2".to_owned())]);
        assert_eq!(score.false_incidents, ["I-2"]);
        assert_eq!(score.takeovers, [TakeoverScore { id: "T1".into(), incidents: 1, detected_after_s: Some(600) }]);
        assert_eq!((score.merged_incidents, score.unreadable), (0, 0));
        assert!(score.text("en").contains("steps found      50.0 % (1 of 2)"), "{}", score.text("en"));
        assert!(score.text("ja").contains("見逃し T1-02 hiding-rule"), "{}", score.text("ja"));
    }

    #[test]
    fn the_right_id_for_another_user_or_another_day_finds_nothing() {
        let hunt = json!({
            "findings": [
                finding("F-1", "MBX-022", "high", "2026-09-10T02:00:00Z", "user", "carol@example.org"),
                finding("F-2", "MBX-022", "high", "2026-09-01T02:00:00Z", "user", "anna@example.org"),
            ],
            "incidents": [],
        });
        let score = score(&truth(), &hunt);
        assert_eq!((score.steps_found, score.findings_true), (0, 0));
        assert_eq!(score.takeovers[0].detected_after_s, None);
    }

    #[test]
    fn a_document_of_another_kind_is_said() {
        let score = score(&truth(), &json!({"findings": [{"id": 7}]}));
        assert_eq!(score.unreadable, 2);
        assert!(score.text("en").contains("unreadable       2"));
    }
}

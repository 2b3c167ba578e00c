//! Searches for money and passwords by a suspect (MBX-044).

use std::collections::BTreeSet;

use matagi_model::tables::SaasView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, EventBatch, Finding, Fold, Parameter, Reason, ReasonText, Scan, Severity, Stage,
    Table, Text,
};

use crate::base::{DeedsBySuspect, dictionary, fields};

/// The analytic.
pub struct MoneySearches;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/money-searches",
    catalogue: &["MBX-044"],
    title: Text::new(
        "{user}: searches for money or secrets from a suspicious session",
        "不審なセッションから {user} の金銭・機密情報の検索",
    ),
    question: Text::new("What did an intruder look for in mail and files?", "侵入者はメールやファイルで何を探したか。"),
    stage: Stage::Collection,
    attack: &["T1213.002", "T1114.002"],
    scans: &[Scan {
        table: Table::Saas,
        columns: &["details", "session_uid", "user_type", "status_id"],
        partition_by: &["user_name"],
    }],
    parameters: &[Parameter {
        name: "searches_high",
        default: 2.0,
        reason: "the catalogue: one search may be chance, two are a purpose",
    }],
    reasons: &[
        ReasonText::new("money", "searched for money matters: {queries}", "金銭に関する検索: {queries}"),
        ReasonText::new(
            "secrets",
            "searched for passwords or keys: {queries}",
            "パスワードや鍵に関する検索: {queries}",
        ),
    ],
};

/// Different searches remembered of one suspect.
const QUERIES_MAX: usize = 1_000;
/// Searches told.
const TOLD_MAX: usize = 5;

impl Analytic for MoneySearches {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        Box::new(Searches { context: context.clone(), found: DeedsBySuspect::default() })
    }
}

#[derive(Debug, Default)]
struct Queries {
    money: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

struct Searches {
    context: Context,
    found: DeedsBySuspect<Queries>,
}

/// Where the records keep what was searched for.
const QUERY_FIELDS: [&str; 3] = ["QueryText", "SearchQueryText", "Query"];

impl Fold for Searches {
    fn batch(&mut self, batch: &EventBatch) {
        let row = SaasView::new(batch);
        for index in 0..batch.rows() {
            if !row.api_operation.get(index).is_some_and(|operation| operation.starts_with("SearchQuery")) {
                continue;
            }
            let details = fields(row.own.details.get(index));
            let Some(query) = QUERY_FIELDS.iter().find_map(|name| details.get(name)) else { continue };
            let is_money = !dictionary().finance_words(query).is_empty();
            let is_secret = !dictionary().secret_words(query).is_empty();
            if !is_money && !is_secret {
                continue;
            }
            let Some(deeds) = self.found.of(Table::Saas, &row, index, query, &self.context) else { continue };
            let list = if is_money { &mut deeds.notes.money } else { &mut deeds.notes.secrets };
            if list.len() < QUERIES_MAX {
                list.insert(query.to_owned());
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let high_min = META.parameter("searches_high", &self.context.settings);
        let findings = self.found.iter().map(|deeds| {
            let severity = if deeds.count as f64 >= high_min { Severity::High } else { Severity::Medium };
            let mut finding = deeds.finding(&META, severity);
            for (code, list) in [("money", &deeds.notes.money), ("secrets", &deeds.notes.secrets)] {
                if !list.is_empty() {
                    let told: Vec<&str> = list.iter().map(String::as_str).take(TOLD_MAX).collect();
                    finding = finding.because(Reason::new(code, 2.0, [("queries", told.join(", "))]));
                }
            }
            finding
        });
        findings.collect()
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::Time;
    use matagi_model::tables::SaasOwn;

    use super::*;
    use crate::testing::{Row, THIEF, break_in, follow, office_days, usage};

    fn evidence(ip: &str, queries: &[&str]) -> Vec<Row> {
        let mut rows = office_days("anna@c.example", "192.0.2.1", 0..12);
        rows.push(break_in(11 * Time::DAY_US, "anna@c.example"));
        for (query, minute) in queries.iter().zip(1..) {
            let details = Some(serde_json::json!({"QueryText": query}).to_string());
            let own = SaasOwn { details, ..SaasOwn::default() };
            let time = 11 * Time::DAY_US + minute * Time::MINUTE_US;
            rows.push(usage(time, "anna@c.example", ip, "SearchQueryInitiatedExchange", own));
        }
        rows
    }

    #[test]
    fn a_thief_who_looks_for_money_and_passwords_is_high() {
        let found = follow(&MoneySearches, evidence(THIEF, &["請求書 振込先", "vpn password"]));
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
        let codes: Vec<&str> = found[0].reasons.iter().map(|reason| reason.code.as_str()).collect();
        assert_eq!(codes, ["suspected", "money", "secrets"]);
    }

    #[test]
    fn one_search_is_medium_and_another_subject_nothing() {
        assert_eq!(follow(&MoneySearches, evidence(THIEF, &["iban"]))[0].severity, Severity::Medium);
        assert!(follow(&MoneySearches, evidence(THIEF, &["summer party"])).is_empty());
    }

    #[test]
    fn the_accountant_at_the_desk_is_nothing() {
        assert!(follow(&MoneySearches, evidence("192.0.2.1", &["invoice", "iban", "payment"])).is_empty());
    }
}

//! First mail in another's name (MBX-052): SendAs and SendOnBehalf by somebody who never did.

use std::collections::BTreeMap;

use matagi_model::tables::{IamView, SaasView};
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Parameter, Reason, ReasonText, Role,
    Scan, Severity, Stage, Table, Text, Time,
};

use crate::base::{by_actor, fields, suspected, suspicion};

/// The analytic.
pub struct FirstSendAs;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/first-send-as",
    catalogue: &["MBX-052"],
    title: Text::new(
        "{actor} sent mail as {mailbox} for the first time",
        "{actor} が初めて {mailbox} の名義でメールを送信",
    ),
    question: Text::new(
        "Who sent in somebody else's name, and since when may they?",
        "誰が他人の名義で送信したか。その権限はいつ付与されたか。",
    ),
    stage: Stage::Fraud,
    attack: &["T1656"],
    scans: &[
        Scan {
            table: Table::Iam,
            columns: &["mailbox", "entity_name", "parameters", "status_id", "user_type", "session_uid"],
            partition_by: &[],
        },
        Scan {
            table: Table::Saas,
            columns: &["mailbox", "send_as", "subject", "status_id", "user_type", "session_uid"],
            partition_by: &[],
        },
    ],
    parameters: &[
        Parameter {
            name: "grant_days",
            default: 7.0,
            reason: "the catalogue: a right taken for a fraud is used in days",
        },
        Parameter { name: "history_days", default: 7.0, reason: "before that, every sender is a first one" },
    ],
    reasons: &[
        ReasonText::new(
            "first",
            "{actor} never sent as {mailbox} before",
            "{actor} が {mailbox} 名義で送信した記録はこれまでにありません",
        ),
        ReasonText::new(
            "fresh-right",
            "the right was given {hours} hours before, by {giver}",
            "権限は {hours} 時間前に {giver} が付与しています",
        ),
    ],
};

/// Pairs of sender and mailbox remembered.
const PAIRS_MAX: usize = 100_000;

impl Analytic for FirstSendAs {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let parameter = |name| META.parameter(name, &context.settings);
        #[expect(clippy::cast_possible_truncation, reason = "small documented parameters")]
        let (grant_us, history_us) =
            ((parameter("grant_days") * 86.4e9) as i64, (parameter("history_days") * 86.4e9) as i64);
        Box::new(Pairs {
            context: context.clone(),
            grant_us,
            history_us,
            grants: BTreeMap::new(),
            pairs: BTreeMap::new(),
        })
    }
}

/// Who may, since when and by whom.
type Grant = (Time, String);

struct Pairs {
    context: Context,
    grant_us: i64,
    history_us: i64,
    grants: BTreeMap<(String, String), Grant>,
    /// The first use; `None` when it was ordinary.
    pairs: BTreeMap<(String, String), Option<Finding>>,
}

impl Fold for Pairs {
    fn batch(&mut self, batch: &EventBatch) {
        match batch.table {
            Table::Iam => self.granted(batch),
            Table::Saas => self.sent(batch),
            _ => {}
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        self.pairs.into_values().flatten().collect()
    }
}

impl Pairs {
    fn granted(&mut self, batch: &EventBatch) {
        let row = IamView::new(batch);
        for index in 0..batch.rows() {
            let names = match row.api_operation.get(index) {
                Some("Add-RecipientPermission" | "Add-MailboxPermission") => ["Trustee", "User"],
                Some("Set-Mailbox") => ["GrantSendOnBehalfTo", "GrantSendOnBehalfTo"],
                _ => continue,
            };
            let parameters = fields(row.own.parameters.get(index));
            let mailbox = row.own.mailbox.get(index).or_else(|| row.own.entity_name.get(index));
            let trustee = names.iter().find_map(|name| parameters.get(name));
            if let (Some(mailbox), Some(trustee)) = (mailbox, trustee)
                && self.grants.len() < PAIRS_MAX
            {
                let giver = row.user_name.get(index).unwrap_or("-").to_owned();
                let key = (trustee.to_lowercase(), mailbox.to_lowercase());
                self.grants.insert(key, (row.time.get(index), giver));
            }
        }
    }

    fn sent(&mut self, batch: &EventBatch) {
        let row = SaasView::new(batch);
        for index in 0..batch.rows() {
            if !matches!(row.api_operation.get(index), Some("SendAs" | "SendOnBehalf")) {
                continue;
            }
            let mailbox = row.own.send_as.get(index).or_else(|| row.own.mailbox.get(index)).map(str::to_lowercase);
            let Some((actor, mailbox)) = row.user_name.get(index).map(str::to_owned).zip(mailbox) else { continue };
            let key = (actor, mailbox);
            if key.0 == key.1 || row.status_id.get(index) == Some(2) {
                continue;
            }
            let evidence = Evidence::of(Table::Saas, &row, index, row.own.subject.get(index).unwrap_or_default());
            if let Some(known) = self.pairs.get_mut(&key) {
                *known = known.take().map(|finding| finding.proved_by(evidence));
            } else if self.pairs.len() < PAIRS_MAX {
                let finding = self.judge(&row, index, &key, evidence);
                self.pairs.insert(key, finding);
            }
        }
    }

    fn judge(&self, row: &SaasView<'_>, index: usize, key: &(String, String), evidence: Evidence) -> Option<Finding> {
        let (actor, mailbox) = key;
        let time = row.time.get(index);
        let grant = self.grants.get(key).filter(|(given, _)| (0..=self.grant_us).contains(&time.since_us(*given)));
        let suspicion = suspicion(row, index, &self.context);
        let has_history = time.since_us(self.context.estate.first_time) >= self.history_us;
        let severity = match (suspicion.is_some(), grant.is_some(), has_history) {
            (true, true, _) => Severity::Critical,
            (true, false, _) => Severity::High,
            // Rights are given so that they are used: on its own no more than a look.
            (false, true, _) | (false, false, true) => Severity::Low,
            (false, false, false) => return None,
        };
        let pair = || [("actor", actor.clone()), ("mailbox", mailbox.clone())];
        let finding = Finding::new(&META, severity, evidence)
            .titled("actor", actor)
            .titled("mailbox", mailbox)
            .about(Entity::mailbox(mailbox), Role::Victim)
            .because(Reason::new("first", 1.0, pair()));
        let mut finding = by_actor(finding, row, index);
        if let Some((given, giver)) = grant {
            let hours = time.since_us(*given) / Time::HOUR_US;
            let args = [("hours", hours.to_string()), ("giver", giver.clone())];
            finding = finding.because(Reason::new("fresh-right", 2.0, args));
        }
        Some(suspicion.into_iter().map(suspected).fold(finding, Finding::because))
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::{IamOwn, SaasOwn};

    use super::*;
    use crate::testing::{Row, THIEF, break_in, change, follow, office_days, usage};

    const DAY: i64 = Time::DAY_US;

    fn sent(offset: i64, ip: &str) -> Row {
        let own = SaasOwn { send_as: Some("boss@c.example".into()), ..SaasOwn::default() };
        usage(offset, "anna@c.example", ip, "SendAs", own)
    }

    fn granted(offset: i64) -> Row {
        let own = IamOwn {
            mailbox: Some("boss@c.example".into()),
            parameters: Some(r#"{"Trustee":"anna@c.example","AccessRights":"SendAs"}"#.into()),
            ..IamOwn::default()
        };
        change(offset, "admin@c.example", "192.0.2.1", "Add-RecipientPermission", own)
    }

    fn found(rows: Vec<Row>) -> Vec<Severity> {
        let mut all = office_days("anna@c.example", "192.0.2.1", 0..14);
        all.push(break_in(11 * DAY, "anna@c.example"));
        all.extend(rows);
        follow(&FirstSendAs, all).iter().map(|finding| finding.severity).collect()
    }

    #[test]
    fn a_thief_in_the_boss_s_name_is_high_and_with_a_fresh_right_critical() {
        assert_eq!(found(vec![sent(11 * DAY + 9, THIEF)]), [Severity::High]);
        assert_eq!(found(vec![granted(11 * DAY + 1), sent(11 * DAY + 9, THIEF)]), [Severity::Critical]);
    }

    #[test]
    fn an_assistant_of_old_is_nothing_and_a_new_one_low() {
        assert!(found((2..12).map(|day| sent(day * DAY + 9 * Time::HOUR_US, "192.0.2.1")).collect()).is_empty());
        assert_eq!(found(vec![granted(9 * DAY), sent(10 * DAY + 9 * Time::HOUR_US, "192.0.2.1")]), [Severity::Low]);
    }
}

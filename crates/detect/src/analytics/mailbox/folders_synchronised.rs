//! Whole folders synchronised to a new client (MBX-041): what lies in them is read, message by message or not.

use std::collections::{BTreeMap, BTreeSet};

use matagi_model::tables::SaasView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Parameter, Reason, ReasonText, Role,
    Scan, Severity, Stage, Table, Text,
};

use crate::base::{Surroundings, by_actor, fields, surroundings};

/// The analytic.
pub struct FoldersSynchronised;

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/folders-synchronised",
    catalogue: &["MBX-041"],
    title: Text::new(
        "{count} folders of {mailbox} were synchronised to {from}",
        "{mailbox} のフォルダー {count} 個が {from} に同期された",
    ),
    question: Text::new(
        "Whose mailbox was copied folder by folder to a place that is not its owner's?",
        "誰のメールボックスが、本人のものではない場所にフォルダーごと複製されたか。",
    ),
    stage: Stage::Collection,
    attack: &["T1114.002"],
    scans: &[Scan {
        table: Table::Saas,
        columns: &[
            "mailbox",
            "access_type",
            "folders",
            "details",
            "client_info",
            "status_id",
            "user_type",
            "src_country",
            "src_asn",
            "src_latitude",
            "src_longitude",
            "user_agent",
            "session_uid",
        ],
        partition_by: &["mailbox"],
    }],
    parameters: &[Parameter {
        name: "folders_high",
        default: 5.0,
        reason: "the catalogue: a phone asks for the inbox first, a copy for everything",
    }],
    reasons: &[
        ReasonText::new(
            "folders",
            "everything in these folders counts as read: {folders}",
            "次のフォルダーの内容はすべて閲覧されたとみなされます: {folders}",
        ),
        ReasonText::new(
            "copying-program",
            "{program} is a program that intruders copy mailboxes with",
            "{program} は攻撃者がメールボックスの複製に使うプログラムです",
        ),
    ],
};

/// Mail programs known from intrusions, as parts of the client's name, lower case.
const PROGRAMS: [(&str, &str); 4] = [
    ("em client", "eM Client"),
    ("emclient", "eM Client"),
    ("perfectdata", "PerfectData Software"),
    ("fastmail", "Fastmail import"),
];
/// Copies watched at once.
const COPIES_MAX: usize = 100_000;
/// Folders remembered of one copy.
const FOLDERS_MAX: usize = 1_000;
/// Folders told.
const TOLD_MAX: usize = 8;

impl Analytic for FoldersSynchronised {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let folders_high = META.parameter("folders_high", &context.settings);
        Box::new(Copies { context: context.clone(), folders_high, copies: BTreeMap::new() })
    }
}

struct Copy {
    finding: Finding,
    folders: BTreeSet<String>,
    around: Surroundings,
    program: Option<&'static str>,
}

struct Copies {
    context: Context,
    folders_high: f64,
    /// By mailbox and address.
    copies: BTreeMap<(String, String), Copy>,
}

impl Fold for Copies {
    fn batch(&mut self, batch: &EventBatch) {
        let row = SaasView::new(batch);
        for index in 0..batch.rows() {
            let is_sync = row.api_operation.get(index) == Some("MailItemsAccessed")
                && row.own.access_type.get(index) == Some("Sync")
                && row.status_id.get(index) != Some(2);
            let mailbox = row.own.mailbox.get(index).or_else(|| row.user_name.get(index));
            if let Some(mailbox) = mailbox.filter(|_| is_sync) {
                self.synchronised(&row, index, mailbox);
            }
        }
    }

    fn finish(self: Box<Self>) -> Vec<Finding> {
        let folders_high = self.folders_high;
        self.copies.into_values().map(|copy| copy.judge(folders_high)).collect()
    }
}

impl Copies {
    fn synchronised(&mut self, row: &SaasView<'_>, index: usize, mailbox: &str) {
        let Some(around) = surroundings(row, index, &self.context) else { return };
        let program = copying_program(row, index);
        if !around.is_new_place() && !around.is_tool() && program.is_none() {
            return;
        }
        let key = (mailbox.to_lowercase(), around.place.ip.to_string());
        if self.copies.len() >= COPIES_MAX && !self.copies.contains_key(&key) {
            return;
        }
        let folders = row.own.folders.get(index);
        let evidence = Evidence::of(Table::Saas, row, index, &format!("Sync {}", folders.join(", ")));
        let copy = match self.copies.entry(key) {
            std::collections::btree_map::Entry::Occupied(known) => {
                let copy = known.into_mut();
                copy.finding = copy.finding.clone().proved_by(evidence);
                copy
            }
            std::collections::btree_map::Entry::Vacant(place) => {
                let finding = Finding::new(&META, Severity::Medium, evidence)
                    .titled("mailbox", mailbox)
                    .titled("from", around.place.ip.to_string())
                    .about(Entity::mailbox(mailbox), Role::Victim);
                let finding = by_actor(finding, row, index);
                place.insert(Copy { finding, folders: BTreeSet::new(), around, program })
            }
        };
        copy.program = copy.program.or(program);
        if copy.folders.len() < FOLDERS_MAX {
            copy.folders.extend(folders);
        }
    }
}

fn copying_program(row: &SaasView<'_>, index: usize) -> Option<&'static str> {
    let details = fields(row.own.details.get(index));
    let names = [row.own.client_info.get(index), row.user_agent.get(index), details.get("ClientProcessName")];
    let names = names.into_iter().flatten().collect::<Vec<_>>().join(" ").to_lowercase();
    PROGRAMS.iter().find(|(mark, _)| names.contains(mark)).map(|(_, name)| *name)
}

impl Copy {
    fn judge(self, folders_high: f64) -> Finding {
        let folders: Vec<&str> = self.folders.iter().map(String::as_str).take(TOLD_MAX).collect();
        let mut severity = if self.folders.len() as f64 >= folders_high { Severity::High } else { Severity::Medium };
        let mut finding = self.finding.titled("count", self.folders.len().to_string()).because(Reason::new(
            "folders",
            3.0,
            [("folders", folders.join(", "))],
        ));
        if let Some(program) = self.program {
            severity = Severity::High;
            finding = finding.because(Reason::new("copying-program", 3.0, [("program", program.to_owned())]));
        }
        finding = self.around.reasons().into_iter().fold(finding, Finding::because);
        if let Some(reason) = self.around.owner_reason().filter(|_| self.program.is_none()) {
            severity = severity.lowered().lowered();
            finding = finding.because(reason);
        }
        if self.around.is_cold() {
            severity = severity.lowered();
            finding = finding.because(Reason::new("cold", -1.0, [("user", self.around.user.clone())]));
        }
        finding.severity = severity;
        finding
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::Time;
    use matagi_model::tables::SaasOwn;

    use super::*;
    use crate::testing::{Row, office_days, run, usage};

    fn sync(minute: i64, ip: &str, folder: &str, client: &str) -> Row {
        let own = SaasOwn {
            mailbox: Some("anna@c.example".into()),
            access_type: Some("Sync".into()),
            folders: vec![folder.to_owned()],
            client_info: Some(client.to_owned()),
            ..SaasOwn::default()
        };
        usage(11 * Time::DAY_US + minute * Time::MINUTE_US, "anna@c.example", ip, "MailItemsAccessed", own)
    }

    fn found(syncs: impl IntoIterator<Item = Row>) -> Vec<(Severity, String)> {
        let mut rows = office_days("anna@c.example", "192.0.2.1", 0..12);
        rows.extend(syncs);
        run(&FoldersSynchronised, rows).iter().map(|one| (one.severity, one.title_args["count"].clone())).collect()
    }

    #[test]
    fn the_whole_mailbox_to_a_new_place_is_high() {
        let syncs = (0..6).map(|n| sync(n, "198.51.100.7", &format!("\\Folder {n}"), "Client=MSExchangeRPC"));
        assert_eq!(found(syncs), [(Severity::High, "6".to_owned())]);
        assert_eq!(found([sync(1, "198.51.100.7", "\\Inbox", "Client=MSExchangeRPC")])[0].0, Severity::Medium);
    }

    #[test]
    fn at_the_desk_it_is_nothing_but_a_known_program_is_told() {
        assert!(found([sync(1, "192.0.2.1", "\\Inbox", "Client=MSExchangeRPC")]).is_empty());
        let known = found([sync(1, "192.0.2.1", "\\Inbox", "Client=REST;Client=RESTSystem;eM Client/9.2")]);
        assert_eq!(known[0].0, Severity::High);
    }
}

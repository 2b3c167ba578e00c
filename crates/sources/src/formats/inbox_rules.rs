//! Rules as they are now: inbox rules from `Get-InboxRule`, collectors and Graph, and transport rules.
//!
//! Such an export is a state, not an event: it has no time. `parameters` is spelt as the cmdlet spells it, whatever the
//! export, so that a rule reads the same here and in the audit record of its creation.

mod names;
mod pages;
mod rule;

use std::io::{self, BufRead, Read};

use matagi_model::tables::{Common, Iam, IamOwn};
use matagi_model::{Emit, Source, SourceError, SourceMeta, Table, Text, Time, Uid};

use crate::fields::reading::{Mapping, Origin, Raw, Rows};
use crate::fields::{fold, json_object, reading};
use crate::records::{csv_headers, first_json_object};
use crate::values::CultureDates;
use pages::Pages;
use rule::{Kind, Rule};

/// Bytes of an input in which the mailbox of each Graph page is looked for. Exports of rules stay far below.
const PAGES_BYTES_MAX: u64 = 32 << 20;
/// OCSF Entity Management.
const CLASS: u32 = 3004;
/// OCSF activity Read.
const READ: u8 = 2;

/// Exports of inbox and transport rules.
#[derive(Debug)]
pub struct InboxRules;

static META: SourceMeta = SourceMeta {
    name: "inbox-rules",
    title: Text::new("Inbox and transport rules", "受信トレイ ルールとトランスポート ルール"),
    obtained_with: "Get-InboxRule or Get-TransportRule with Export-Csv or ConvertTo-Json, Get-MailboxRules and other \
                    collectors, Graph mailFolders/inbox/messageRules",
    tables: &[Table::Iam],
};

impl Source for InboxRules {
    fn meta(&self) -> &'static SourceMeta {
        &META
    }

    fn sniff(&self, head: &[u8]) -> bool {
        if let Some(object) = first_json_object(head) {
            let names: Vec<String> = object.keys.iter().map(|key| fold(key)).collect();
            return names::is_rule(&names)
                || (names.iter().any(|name| names::is_list_of_rules(name)) && names::speaks_of_rules(&object.text));
        }
        csv_headers(head)
            .is_some_and(|headers| names::is_rule(&headers.iter().map(|header| fold(header)).collect::<Vec<_>>()))
    }

    fn read(&self, input: &mut dyn BufRead, out: &mut dyn Emit) -> Result<(), SourceError> {
        if !reading::is_json(input)? {
            return reading::read(&mut Mailboxes::default(), input, out);
        }
        let mut head = Vec::new();
        let mut left = PAGES_BYTES_MAX;
        while left > 0 {
            let chunk = match input.fill_buf() {
                Ok([]) => break,
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let taken = chunk.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            head.extend_from_slice(&chunk[..taken]);
            input.consume(taken);
            left -= taken as u64;
        }
        let pages = Pages::new(&head);
        let mut mailboxes = Mailboxes { page: pages.mailbox() };
        reading::read(&mut mailboxes, &mut pages.chain(input), out)
    }
}

/// Makes rows of rules.
#[derive(Debug, Default)]
struct Mailboxes {
    page: pages::Mailbox,
}

impl Mapping for Mailboxes {
    type Parsed = Vec<Rule>;

    fn parse(&mut self, raw: Raw<'_>) -> Result<Vec<Rule>, String> {
        let page = self.page.borrow().clone();
        let rules = rule::of(raw.columns, page.as_deref());
        if rules.is_empty() { Err("neither a name nor an action: not a rule".to_owned()) } else { Ok(rules) }
    }

    fn culture_date<'p>(&self, _: &'p Vec<Rule>) -> Option<&'p str> {
        None
    }

    fn rows(&mut self, rules: Vec<Rule>, origin: Origin, _: &mut CultureDates, rows: &mut Rows) -> Result<(), String> {
        let is_one = rules.len() == 1;
        for rule in rules {
            let raw = match (is_one, &rule.raw) {
                (false, Some(raw)) => raw.clone(),
                _ => origin.json.clone(),
            };
            rows.iam(row(rule, raw, &origin));
        }
        Ok(())
    }
}

fn row(rule: Rule, raw: String, origin: &Origin) -> Iam {
    let (entity_type, operation) = match rule.kind {
        Kind::Inbox => ("Inbox Rule", "Get-InboxRule"),
        Kind::Transport => ("Transport Rule", "Get-TransportRule"),
    };
    let parameters = json_object(rule.parameters);
    // The state of a rule, not the rule: one that was changed between two exports is there twice.
    let identity = [rule.mailbox.as_deref(), rule.uid.as_deref(), rule.name.as_deref(), parameters.as_deref()]
        .map(Option::unwrap_or_default);
    let common = Common {
        time: Time::UNKNOWN,
        event_uid: Uid::of(&[
            b"inbox-rules",
            entity_type.as_bytes(),
            identity[0].as_bytes(),
            identity[1].as_bytes(),
            identity[2].as_bytes(),
            identity[3].as_bytes(),
        ]),
        class_uid: CLASS,
        activity_id: READ,
        status_id: 1,
        api_operation: Some(operation.to_owned()),
        metadata_product_name: Some("Exchange".to_owned()),
        recovered: origin.is_lossy.then(|| "lossy".to_owned()),
        source_record: origin.number,
        ..Common::default()
    };
    let own = IamOwn {
        entity_type: Some(entity_type.to_owned()),
        entity_name: rule.name,
        entity_uid: rule.uid,
        mailbox: rule.mailbox,
        parameters,
        ..IamOwn::default()
    };
    Iam { common, own, raw: Some(raw) }
}

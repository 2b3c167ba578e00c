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

#[cfg(test)]
mod tests {
    use matagi_model::tables::IamView;

    use super::*;
    use crate::fields::reading::testing::{Taken, read};

    type Row = (Option<String>, Option<String>, serde_json::Value);

    fn rows(taken: &Taken) -> Vec<Row> {
        let batch = taken.table(Table::Iam);
        let view = IamView::new(&batch);
        (0..batch.rows())
            .map(|row| {
                assert_eq!((view.class_uid.get(row), view.activity_id.get(row)), (Some(3004), Some(2)));
                assert_eq!(view.time.get(row), Time::UNKNOWN);
                let parameters = serde_json::from_str(view.own.parameters.get(row).unwrap()).unwrap();
                (
                    view.own.mailbox.get(row).map(str::to_owned),
                    view.own.entity_name.get(row).map(str::to_owned),
                    parameters,
                )
            })
            .collect()
    }

    fn read_whole(text: &str) -> Taken {
        let taken = read(&InboxRules, text);
        assert!(taken.rejects.is_empty(), "{:?}", taken.rejects);
        taken
    }

    /// The rule of the tests below, as every export must give it.
    fn expected(extra: &[(&str, &str)]) -> serde_json::Value {
        let mut rule = serde_json::json!({
            "Name": ".", "Enabled": "True", "Priority": "1", "DeleteMessage": "True", "MarkAsRead": "True",
            "ForwardTo": "eve@evil.example", "SubjectOrBodyContainsWords": "invoice;payment", "StopProcessingRules": "True",
        });
        for (name, value) in extra {
            rule[*name] = serde_json::Value::from(*value);
        }
        rule
    }

    #[test]
    fn a_collectors_csv_is_spelt_as_the_cmdlet() {
        let taken = read_whole(
            "UserName,RuleName,RuleIdentity,Enabled,Priority,InError,ErrorType,Description,StopProcessingRules,CopyToFolder,MoveToFolder,RedirectTo,ForwardTo,ForwardAsAttachmentTo,ApplyCategory,MarkImportance,MarkAsRead,DeleteMessage,SoftDeleteMessage,From,SubjectContainsWords,SubjectOrBodyContainsWords,BodyContainsWords,HasAttachment\n\
             Anna@Example.org,.,1234,True,1,False,,,True,,,,\"\"\"Eve\"\" [SMTP:Eve@evil.example]\",,,,True,True,False,,,\"{invoice, payment}\",,False\n",
        );
        assert_eq!(rows(&taken), [(Some("anna@example.org".into()), Some(".".into()), expected(&[]))]);
    }

    #[test]
    fn a_graph_page_names_its_mailbox_in_the_link() {
        let page = |user: &str| {
            format!(
                r#"{{"@odata.context":"https://graph/v1.0/$metadata#users('{user}')/mailFolders('inbox')/messageRules","value":[{{"id":"AQ","displayName":".","sequence":1,"isEnabled":true,"hasError":false,"isReadOnly":false,
                "conditions":{{"bodyOrSubjectContains":["invoice","payment"],"senderContains":[],"isMeetingRequest":true,"isSigned":true,"isVoicemail":false}},"exceptions":{{"fromAddresses":[{{"emailAddress":{{"address":"Boss@example.org"}}}}]}},
                "actions":{{"delete":true,"markAsRead":true,"stopProcessingRules":true,"moveToFolder":null,"forwardTo":[{{"emailAddress":{{"name":"Eve","address":"Eve@evil.example"}}}}]}}}}]}}"#
            )
        };
        let taken = read_whole(&format!("{}{}", page("Anna%40example.org"), page("ben@example.org")));
        let rule = expected(&[("ExceptIfFrom", "boss@example.org"), ("MessageTypeMatches", "Calendaring;Signed")]);
        assert_eq!(
            rows(&taken),
            [
                (Some("anna@example.org".into()), Some(".".into()), rule.clone()),
                (Some("ben@example.org".into()), Some(".".into()), rule),
            ]
        );
    }

    #[test]
    fn rules_beside_their_mailbox_are_taken_apart() {
        let rule = r#"{"displayName":".","sequence":1,"isEnabled":true,"conditions":{"bodyOrSubjectContains":["invoice","payment"]},"actions":{"delete":true,"markAsRead":true,"stopProcessingRules":true,"forwardTo":[{"emailAddress":{"address":"eve@evil.example"}}]}}"#;
        let taken = read_whole(&format!(r#"[{{"userPrincipalName":"Anna@example.org","rules":[{rule},{rule}]}}]"#));
        assert_eq!(rows(&taken).len(), 2);
        assert_eq!(rows(&taken)[1], (Some("anna@example.org".into()), Some(".".into()), expected(&[])));
    }

    #[test]
    fn convert_to_json_and_export_csv_of_the_cmdlet_agree() {
        let json = read_whole(
            r#"[{"RunspaceId":"x","MailboxOwnerId":"Anna","Identity":"Anna\\1234","Name":".","Enabled":true,"Priority":1,"Description":{"IsEmpty":true},"InError":false,"DeleteMessage":true,"MarkAsRead":true,"ForwardTo":["\"Eve\" [SMTP:eve@evil.example]"],"RedirectTo":null,"From":[],"SubjectOrBodyContainsWords":["invoice","payment"],"StopProcessingRules":true,"CopyToFolder":null}]"#,
        );
        assert_eq!(rows(&json), [(Some("anna".into()), Some(".".into()), expected(&[]))]);
        let csv = read_whole(
            "#TYPE System.Management.Automation.PSCustomObject\n\"Identity\",\"Name\",\"Enabled\",\"Priority\",\"DeleteMessage\",\"MarkAsRead\",\"ForwardTo\",\"SubjectOrBodyContainsWords\",\"StopProcessingRules\"\n\
             \"anna@example.org\\1234\",\".\",\"True\",\"1\",\"True\",\"True\",\"System.Collections.Generic.List`1[System.String]\",\"invoice;payment\",\"True\"\n",
        );
        let mut lossy = expected(&[]);
        lossy.as_object_mut().unwrap().remove("ForwardTo");
        assert_eq!(rows(&csv), [(Some("anna@example.org".into()), Some(".".into()), lossy)]);
        assert_eq!(csv.codes(), ["lossy-export"]);
        assert_eq!(csv.table(Table::Iam).common().recovered.get(0), Some("lossy"));
    }

    #[test]
    fn a_rule_that_is_off_says_so_and_the_state_is_the_identity() {
        let file = |enabled: &str| {
            format!(
                "Mailbox,Name,Enabled,Priority,DeleteMessage,MarkAsRead,MoveToFolder\nanna@example.org,Tidy,{enabled},1,False,False,RSS Feeds\n"
            )
        };
        let (on, off) = (read_whole(&file("True")), read_whole(&file("False")));
        assert_eq!(
            rows(&off)[0].2,
            serde_json::json!({"Name":"Tidy","Enabled":"False","Priority":"1","MoveToFolder":"RSS Feeds"})
        );
        let uid = |taken: &Taken| taken.table(Table::Iam).common().event_uid.get(0);
        assert_ne!(uid(&on), uid(&off));
        assert_eq!(uid(&on), uid(&read_whole(&file("True"))));
    }

    #[test]
    fn transport_rules_are_told_from_inbox_rules() {
        let taken = read_whole(
            r#"[{"Name":"BCC all","Description":"If the message...","CreatedBy":"x","WhenChanged":"2024-01-01","State":"Enabled","Priority":0,"Mode":"Enforce","FromScope":null,"BlindCopyTo":["Eve@evil.example"],"DeleteMessage":false,"Guid":"g-1"}]"#,
        );
        let batch = taken.table(Table::Iam);
        let view = IamView::new(&batch);
        assert_eq!(
            (view.own.entity_type.get(0), view.api_operation.get(0)),
            (Some("Transport Rule"), Some("Get-TransportRule"))
        );
        assert_eq!((view.own.mailbox.get(0), view.own.entity_uid.get(0)), (None, Some("g-1")));
        let parameters = &rows(&taken)[0].2;
        assert_eq!((&parameters["BlindCopyTo"], &parameters["State"]), (&"eve@evil.example".into(), &"Enabled".into()));
        assert!(parameters.get("DeleteMessage").is_none());
    }

    #[test]
    fn audit_records_about_rules_are_left_alone() {
        for text in [
            r#"{"CreationTime":"2024-01-01T00:00:00","Operation":"New-InboxRule","Parameters":[{"Name":"ForwardTo","Value":"a@b"},{"Name":"DeleteMessage","Value":"True"}]}"#,
            "RecordType,CreationDate,UserIds,Operations,AuditData\n1,2,3,New-InboxRule,{}\n",
            "Name,Priority,State\na,1,b\n",
        ] {
            assert!(!InboxRules.sniff(text.as_bytes()), "{text}");
        }
    }
}

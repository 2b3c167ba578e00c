//! The Unified Audit Log of Microsoft 365, in every wrapper that it comes in.
//!
//! The cmdlet's and the portals' CSV, JSON and JSON lines, the Management Activity API, the Graph audit query, Log
//! Analytics' `OfficeActivity`, and what Splunk and the Elastic stack make of them all carry one and the same record. It
//! is read into one normal form, and its identity does not depend on the wrapper.

mod admin;
mod audit;
mod messages;
mod out;
mod rows;
mod rules;
mod wrapper;

use std::io::BufRead;

use matagi_model::{Emit, Source, SourceError, SourceMeta, Table, Text};

use self::audit::{Audit, Key};
use self::out::Rows;
use crate::records::{CsvRow, csv_headers, csv_records, first_json_object, json_records};

/// The Unified Audit Log.
pub struct M365Audit;

static META: SourceMeta = SourceMeta {
    name: "m365-audit",
    title: Text::new("Microsoft 365 Unified Audit Log", "Microsoft 365 統合監査ログ"),
    obtained_with: "Search-UnifiedAuditLog, Purview audit search, Management Activity API, Graph auditLogQuery, OfficeActivity",
    tables: &[Table::Auth, Table::Iam, Table::Saas],
};

impl Source for M365Audit {
    fn meta(&self) -> &'static SourceMeta {
        &META
    }

    fn sniff(&self, head: &[u8]) -> bool {
        if let Some(object) = first_json_object(head) {
            let keys: Vec<&str> = object.keys.iter().map(String::as_str).collect();
            return looks_like(&keys) || is_elastic(&keys, &object.text);
        }
        csv_headers(head).is_some_and(|headers| looks_like(&headers.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    fn read(&self, input: &mut dyn BufRead, out: &mut dyn Emit) -> Result<(), SourceError> {
        let mut rows = Rows::new(out);
        let is_json = is_json(input)?;
        let result = if is_json { read_json(input, &mut rows) } else { read_csv(input, &mut rows) };
        match result {
            // What was held back is worth keeping, whatever ended the input.
            Err(SourceError::Stopped(stop)) => Err(stop.into()),
            result => {
                rows.finish()?;
                result
            }
        }
    }
}

/// Whether the names of properties or columns are those of an audit record or a wrapper of one.
fn looks_like(names: &[&str]) -> bool {
    let has = |name: &str| names.iter().any(|known| known.trim_end_matches(" [utc]").eq_ignore_ascii_case(name));
    has("AuditData")
        || has("auditLogRecordType")
        || has("OfficeWorkload") && has("Operation")
        || has("CreationTime")
            && has("Operation")
            && ["RecordType", "Workload", "OrganizationId", "UserKey", "UserId"].iter().any(|name| has(name))
        || has("CreationDate") && has("Operations") && has("UserIds")
}

fn is_elastic(keys: &[&str], text: &str) -> bool {
    (keys.iter().any(|key| matches!(*key, "o365" | "o365audit" | "_source" | "result")))
        && ["\"CreationTime\"", "\"AuditData\"", "\\\"CreationTime\\\""].iter().any(|mark| text.contains(mark))
}

/// Whether JSON follows; consumes only what stands before the first character.
fn is_json(input: &mut dyn BufRead) -> Result<bool, SourceError> {
    loop {
        let chunk = input.fill_buf()?;
        if chunk.is_empty() {
            return Ok(false);
        }
        let blank = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, 0xEF | 0xBB | 0xBF);
        let skipped = chunk.iter().take_while(|byte| blank(byte)).count();
        if let Some(first) = chunk.get(skipped) {
            return Ok(matches!(first, b'{' | b'['));
        }
        input.consume(skipped);
    }
}

fn read_json(input: &mut dyn BufRead, rows: &mut Rows<'_>) -> Result<(), SourceError> {
    json_records(input, &mut |number, record| match record {
        Err(reason) => {
            rows.reject(number, reason);
            Ok(())
        }
        Ok(text) => match Audit::from_json(text) {
            Ok(audit) => wrapper::record(rows, number, audit, wrapper::Raw::Json(text)),
            Err(error) => {
                rows.reject(number, format!("not JSON: {error}"));
                Ok(())
            }
        },
    })
}

fn read_csv(input: &mut dyn BufRead, rows: &mut Rows<'_>) -> Result<(), SourceError> {
    let mut keys: Vec<Key> = Vec::new();
    csv_records(input, &mut |number, row: Result<&CsvRow<'_>, String>| match row {
        Err(reason) => {
            rows.reject(number, reason);
            Ok(())
        }
        Ok(row) => {
            if keys.is_empty() {
                keys = row.headers().iter().map(|header| Key::loose(header)).collect();
            }
            wrapper::record(rows, number, Audit::from_row(row, &keys), wrapper::Raw::Csv(row))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use matagi_model::tables::{AuthView, IamView, SaasView};
    use matagi_model::{EventBatch, Note, Reject, Stop, Time};
    use proptest::prelude::*;

    use super::*;

    #[derive(Default)]
    struct Got {
        batches: Vec<EventBatch>,
        rejects: Vec<Reject>,
        notes: Vec<Note>,
    }

    impl Emit for Got {
        fn batch(&mut self, batch: EventBatch) -> Result<(), Stop> {
            self.batches.push(batch);
            Ok(())
        }
        fn reject(&mut self, reject: Reject) {
            self.rejects.push(reject);
        }
        fn note(&mut self, note: Note) {
            self.notes.push(note);
        }
    }

    impl Got {
        fn rows(&self) -> usize {
            self.batches.iter().map(EventBatch::rows).sum()
        }

        fn of(&self, table: Table) -> EventBatch {
            let batches: Vec<_> = self.batches.iter().filter(|batch| batch.table == table).cloned().collect();
            EventBatch::concat(table, &batches)
        }

        fn noted(&self) -> Vec<String> {
            let shown = |note: &Note| {
                let args: Vec<_> = note.args.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("{} {}", note.code, args.join(" "))
            };
            self.notes.iter().map(shown).collect()
        }
    }

    fn read_in(input: &[u8], size: usize) -> Got {
        let mut got = Got::default();
        M365Audit.read(&mut BufReader::with_capacity(size, input), &mut got).unwrap();
        got
    }

    fn read(input: &str) -> Got {
        assert!(M365Audit.sniff(input.as_bytes()), "not recognised: {input}");
        read_in(input.as_bytes(), 1 << 16)
    }

    /// One cell of CSV.
    fn cell(text: &str) -> String {
        format!("\"{}\"", text.replace('"', "\"\""))
    }

    const RULE: &str = r#"{"CreationTime":"2023-06-04T03:14:58","Id":"B6803747-1","Operation":"New-InboxRule","OrganizationId":"t1","RecordType":1,"ResultStatus":"True","UserKey":"k","UserType":2,"Workload":"Exchange","ClientIP":"[2001:db8::9]:52629","ObjectId":"SRV.PROD/Microsoft Exchange Hosted Organizations/contoso.example/AnnaB_73cfb10e5c\\.","UserId":"AnnaB@contoso.example","AppAccessContext":{"AADSessionId":"S1","UniqueTokenId":"Tok"},"Parameters":[{"Name":"MarkAsRead","Value":"True"},{"Name":"Name","Value":"."}]}"#;

    /// Every wrapper around the same record.
    fn wrappers() -> Vec<(&'static str, String)> {
        let escaped = serde_json::to_string(RULE).unwrap();
        let pretty = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(RULE).unwrap()).unwrap();
        let columns =
            "RecordType,CreationDate,UserIds,Operations,AuditData,ResultIndex,ResultCount,Identity,IsValid,ObjectState";
        let values = |sep: &str| {
            [
                "ExchangeAdmin",
                "6/4/2023 3:14:58 AM",
                "AnnaB@contoso.example",
                "New-InboxRule",
                RULE,
                "1",
                "1",
                "B6803747-1",
                "True",
                "Unchanged",
            ]
            .map(cell)
            .join(sep)
        };
        vec![
            ("JSON lines", format!("{RULE}\n\n")),
            ("array", format!("[{RULE}]")),
            ("pretty", format!("[{pretty}]")),
            ("cmdlet CSV", format!("{columns}\r\n{}\r\n", values(","))),
            ("cmdlet CSV of a European PC", format!("{}\r\n{}\r\n", columns.replace(',', ";"), values(";"))),
            (
                "cmdlet CSV with type",
                format!("#TYPE Deserialized\r\nPSComputerName,RunspaceId,{columns}\r\n\"x\",\"y\",{}\r\n", values(",")),
            ),
            (
                "portal CSV, new",
                format!(
                    "RecordId,CreationDate,RecordType,Operation,UserId,AuditData,AssociatedAdminUnits,AssociatedAdminUnitsNames\nB6803747-1,2023-06-04T03:14:58Z,1,New-InboxRule,AnnaB@contoso.example,{},,\n",
                    cell(RULE)
                ),
            ),
            (
                "portal CSV, old",
                format!(
                    "CreationDate,UserIds,Operations,AuditData\n2023-06-04T03:14:58.0000000Z,AnnaB@contoso.example,New-InboxRule,{}\n",
                    cell(RULE)
                ),
            ),
            (
                "ConvertTo-Json",
                format!(
                    "[{{\"RecordType\":\"ExchangeAdmin\",\"CreationDate\":\"\\/Date(1685848498000)\\/\",\"Operations\":\"New-InboxRule\",\"AuditData\":{RULE},\"ResultIndex\":1,\"ResultCount\":1}}]"
                ),
            ),
            ("ConvertTo-Json of text", format!("{{\"Operations\":\"New-InboxRule\",\"AuditData\":{escaped}}}")),
            (
                "Graph",
                format!(
                    "{{\"@odata.context\":\"x\",\"value\":[{{\"id\":\"B6803747-1\",\"createdDateTime\":\"2023-06-04T03:14:58Z\",\"auditLogRecordType\":\"exchangeAdmin\",\"operation\":\"New-InboxRule\",\"auditData\":{RULE}}}],\"@odata.nextLink\":\"y\"}}"
                ),
            ),
            ("Elastic", format!("{{\"event\":{{\"original\":{escaped},\"kind\":\"event\"}}}}")),
            ("Elastic fields", format!("{{\"_source\":{{\"o365\":{{\"audit\":{RULE}}}}}}}")),
            ("Splunk JSON", format!("{{\"preview\":false,\"result\":{{\"_raw\":{escaped},\"_time\":\"x\"}}}}")),
            (
                "Management API",
                format!(
                    "[{}]",
                    RULE.replace("\"RecordType\":1", "\"RecordType\":\"1\"")
                        .replace("\"UserType\":2", "\"UserType\":\"2\"")
                ),
            ),
        ]
    }

    #[test]
    fn every_wrapper_gives_the_same_row() {
        let expected = read(RULE).of(Table::Iam).common().event_uid.get(0);
        for (name, input) in wrappers() {
            let got = read(&input);
            assert_eq!((got.rows(), got.rejects.len()), (1, 0), "{name}: {:?}", got.rejects);
            let batch = got.of(Table::Iam);
            let view = IamView::new(&batch);
            assert_eq!(view.event_uid.get(0), expected, "{name}");
            assert_eq!(view.time.get(0).to_string(), "2023-06-04T03:14:58Z", "{name}");
            assert_eq!(view.api_operation.get(0), Some("New-InboxRule"), "{name}");
            assert_eq!(view.user_name.get(0), Some("annab@contoso.example"), "{name}");
            assert_eq!(view.user_type.get(0), Some("admin"), "{name}");
            assert_eq!(view.src_ip.get(0).unwrap().to_string(), "2001:db8::9", "{name}");
            assert_eq!((view.status_id.get(0), view.status_code.get(0)), (Some(1), Some("True")), "{name}");
            assert_eq!((view.session_uid.get(0), view.token_uid.get(0)), (Some("s1"), Some("Tok")), "{name}");
            assert_eq!(view.own.entity_type.get(0), Some("Inbox Rule"), "{name}");
            assert_eq!(view.own.entity_name.get(0), Some("."), "{name}");
            assert_eq!(view.own.mailbox.get(0), Some("annab@contoso.example"), "{name}");
            assert_eq!(view.own.parameters.get(0), Some(r#"{"MarkAsRead":"True","Name":"."}"#), "{name}");
            assert_eq!(view.recovered.get(0), None, "{name}");
            assert!(view.raw.get(0).unwrap().contains("\"Parameters\":["), "{name}");
        }
    }

    #[test]
    fn log_analytics_columns_are_the_same_record() {
        let header = "TenantId,RecordType,TimeGenerated [UTC],Operation,OrganizationId,UserType,OfficeWorkload,ResultStatus,OfficeObjectId,UserId,UserId_,Client_IPAddress,Logon_Type,MailboxOwnerUPN,ClientInfoString,Folders,OperationProperties,AppId,ClientAppId,SourceRecordId,Start_Time [UTC],ExternalAccess";
        let folders = r#"[{"Path":"\\Inbox","FolderItems":[{"InternetMessageId":"<1@x>","Subject":"Pay"},{"InternetMessageId":"<1@x>"},{"InternetMessageId":"<2@x>"}]}]"#;
        let properties = r#"[{"Value":"Bind","Name":"MailAccessType"},{"Value":"False","Name":"IsThrottled"}]"#;
        let row = [
            "w",
            "50",
            "4/28/2021, 2:19:28.000 PM",
            "MailItemsAccessed",
            "t1",
            "Regular",
            "Exchange",
            "Succeeded",
            "",
            "Anna@b.example",
            "Anna@b.example",
            "192.0.2.7",
            "Owner",
            "Anna@b.example",
            "Client=OWA;Mozilla/5.0;",
            folders,
            properties,
            "A1",
            "C1",
            "R1",
            "4/28/2021, 3:00:00.000 PM",
            "False",
        ];
        let got = read(&format!("\u{feff}{header}\r\n{}\r\n", row.map(cell).join(",")));
        let batch = got.of(Table::Saas);
        let view = SaasView::new(&batch);
        assert_eq!(view.event_uid.get(0), matagi_model::Uid::of(&[b"m365-audit", b"r1"]));
        assert_eq!(view.time.get(0).to_string(), "2021-04-28T14:19:28Z");
        assert_eq!((view.class_uid.get(0), view.activity_id.get(0)), (Some(6005), Some(1)));
        assert_eq!(view.own.folders.get(0), ["\\Inbox"]);
        assert_eq!(view.own.message_uids.get(0), ["<1@x>", "<2@x>"]);
        assert_eq!(view.own.item_count.get(0), Some(3));
        assert_eq!(view.own.subject.get(0), Some("Pay"));
        assert_eq!(view.own.is_throttled.get(0), Some(false));
        assert_eq!((view.own.access_type.get(0), view.own.logon_type.get(0)), (Some("Bind"), Some("Owner")));
        assert_eq!(view.user_agent.get(0), Some("Mozilla/5.0"));
        assert_eq!((view.app_uid.get(0), view.own.client_app_uid.get(0)), (Some("a1"), Some("c1")));
        assert_eq!(view.recovered.get(0), None);
    }

    #[test]
    fn a_sign_in_is_judged_by_its_error_number() {
        let record = |operation: &str, error: &str| {
            format!(
                r#"{{"CreationTime":"2023-07-12T12:38:43","Id":"{operation}{error}","Operation":"{operation}","RecordType":15,"ResultStatus":"Success","UserId":"M@c.example","UserKey":"cccea98b-92f6-4e15-8e52-452bad586d7c","UserType":0,"ExtendedProperties":[{{"Name":"UserAgent","Value":"python"}},{{"Name":"RequestType","Value":"Login:login"}}],"Actor":[{{"ID":"M@c.example","Type":5}}],"Target":[{{"ID":"00000002-0000-0000-C000-000000000000","Type":0}}],"ActorIpAddress":"192.0.2.7","ApplicationId":"1B73","DeviceProperties":[{{"Name":"OS","Value":"Linux"}},{{"Name":"SessionId","Value":"S9"}},{{"Name":"IsCompliantAndManaged","Value":"True"}}],"ErrorNumber":"{error}","LogonError":"X"}}"#
            )
        };
        let input = [record("UserLoggedIn", "0"), record("UserLoginFailed", "50126"), record("UserLoggedIn", "50140")]
            .join("\n");
        let got = read(&input);
        let batch = got.of(Table::Auth);
        let view = AuthView::new(&batch);
        let status: Vec<_> = (0..3).map(|row| view.status_id.get(row).unwrap()).collect();
        assert_eq!(status, [1, 2, 1]);
        assert_eq!(view.status_code.get(1), Some("50126"));
        assert_eq!(view.user_uid.get(0), Some("cccea98b-92f6-4e15-8e52-452bad586d7c"));
        assert_eq!(view.src_ip.get(0).unwrap().to_string(), "192.0.2.7");
        assert_eq!((view.user_agent.get(0), view.session_uid.get(0)), (Some("python"), Some("s9")));
        assert_eq!(view.own.resource_uid.get(0), Some("00000002-0000-0000-c000-000000000000"));
        assert_eq!(
            (view.own.request_type.get(0), view.own.logon_kind.get(0)),
            (Some("Login:login"), Some("interactive"))
        );
        assert_eq!((view.own.device_os.get(0), view.own.device_is_managed.get(0)), (Some("Linux"), Some(true)));
    }

    #[test]
    fn directory_changes_name_what_was_changed() {
        let record = r#"{"CreationTime":"2023-06-27T10:40:37","Id":"1","Operation":"Consent to application.","RecordType":8,"ResultStatus":"Success","UserId":"S@c.example","UserType":0,"ObjectId":"App;https://x","ExtendedProperties":[{"Name":"additionalDetails","Value":"{\"User-Agent\":\"Edge\",\"AppId\":\"cd31\"}"},{"Name":"extendedAuditEventCategory","Value":"ServicePrincipal"}],"ModifiedProperties":[{"Name":"ConsentContext.IsAdminConsent","NewValue":"True","OldValue":""},{"Name":"DisplayName","NewValue":"[\r\n  \"clony\"\r\n]","OldValue":"[]"}],"Actor":[{"ID":"S@c.example","Type":5},{"ID":"User_7dccacb0-c3ff-4b02-964b-dd04c5a8f9fe","Type":2}],"Target":[{"ID":"ServicePrincipal_a88ae17c-f562-4c1f-a377-8910b6847d76","Type":2},{"ID":"a88ae17c-f562-4c1f-a377-8910b6847d76","Type":2},{"ID":"ServicePrincipal","Type":2},{"ID":"clony","Type":1}]}"#;
        let batch = read(record).of(Table::Iam);
        let view = IamView::new(&batch);
        assert_eq!(view.api_operation.get(0), Some("Consent to application"));
        assert_eq!((view.class_uid.get(0), view.activity_id.get(0)), (Some(3004), Some(1)));
        assert_eq!(view.own.entity_type.get(0), Some("ServicePrincipal"));
        assert_eq!(view.own.entity_name.get(0), Some("clony"));
        assert_eq!(view.own.entity_uid.get(0), Some("a88ae17c-f562-4c1f-a377-8910b6847d76"));
        assert_eq!(view.own.category.get(0), Some("ApplicationManagement"));
        assert_eq!(view.user_uid.get(0), Some("7dccacb0-c3ff-4b02-964b-dd04c5a8f9fe"));
        assert_eq!(view.user_agent.get(0), Some("Edge"));
        assert_eq!(view.own.parameters.get(0), Some(r#"{"AppId":"cd31","User-Agent":"Edge"}"#));
        assert_eq!(
            view.own.modified.get(0),
            Some(
                r#"{"ConsentContext.IsAdminConsent":{"new":"True","old":""},"DisplayName":{"new":"[\"clony\"]","old":"[]"}}"#
            )
        );
    }

    #[test]
    fn outlook_rules_speak_like_cmdlets() {
        let record = r#"{"CreationTime":"2024-01-02T03:04:05","Id":"1","Operation":"UpdateInboxRules","RecordType":2,"ResultStatus":"Succeeded","UserId":"a@c.example","MailboxOwnerUPN":"Boss@c.example","Workload":"Exchange","ClientIPAddress":"192.0.2.7","OperationProperties":[{"Name":"RuleOperation","Value":"AddMailboxRule"},{"Name":"RuleId","Value":"42"},{"Name":"RuleState","Value":"Enabled, ExitAfterExecution"},{"Name":"RuleName","Value":".."},{"Name":"RuleCondition","Value":"(SubjectProperty ContainsSubstring \"invoice\")"},{"Name":"RuleActions","Value":"[{\"ActionType\":\"Forward\",\"Recipients\":[\"x@evil.example\"],\"ForwardFlags\":\"None\"},{\"ActionType\":\"MarkAsRead\"},{\"ActionType\":\"MoveToFolder\",\"Folder\":\"RSS Feeds\"},{\"ActionType\":\"Delete\"}]"}]}"#;
        let batch = read(record).of(Table::Iam);
        let view = IamView::new(&batch);
        assert_eq!(view.own.entity_type.get(0), Some("Inbox Rule"));
        assert_eq!(view.own.entity_name.get(0), Some(".."));
        assert_eq!(view.own.mailbox.get(0), Some("boss@c.example"));
        assert_eq!(view.activity_id.get(0), Some(1));
        let parameters: serde_json::Value = serde_json::from_str(view.own.parameters.get(0).unwrap()).unwrap();
        for (name, value) in [
            ("Name", ".."),
            ("ForwardTo", "x@evil.example"),
            ("MarkAsRead", "True"),
            ("MoveToFolder", "RSS Feeds"),
            ("DeleteMessage", "True"),
            ("SubjectContainsWords", "invoice"),
            ("StopProcessingRules", "True"),
            ("RuleOperation", "AddMailboxRule"),
        ] {
            assert_eq!(parameters[name], value, "{name} in {parameters}");
        }
    }

    #[test]
    fn arguments_may_be_text() {
        let record = r#"{"CreationTime":"2023-06-04T06:17:25","Id":"1","Operation":"Remove-DlpCompliancePolicy","RecordType":18,"ResultStatus":"Success","UserId":"s@c.example","Parameters":"-Identity \"Finance\" -Force"}"#;
        let batch = read(record).of(Table::Iam);
        let view = IamView::new(&batch);
        assert_eq!(view.own.parameters.get(0), Some(r#"{"Identity":"Finance","Force":"True"}"#));
        assert_eq!((view.own.entity_type.get(0), view.own.entity_name.get(0)), (Some("Policy"), Some("Finance")));
    }

    #[test]
    fn a_synchronised_folder_is_named() {
        let record = r#"{"CreationTime":"2024-01-02T03:04:05","Id":"1","Operation":"MailItemsAccessed","RecordType":2,"UserId":"a@c.example","Workload":"Exchange","LogonType":2,"OperationProperties":[{"Name":"MailAccessType","Value":"Sync"}],"Item":{"ParentFolder":{"Id":"x","Name":"Inbox","Path":"Not Available"}}}"#;
        let batch = read(record).of(Table::Saas);
        let view = SaasView::new(&batch);
        assert_eq!(view.own.folders.get(0), ["Inbox"]);
        assert_eq!((view.own.access_type.get(0), view.own.logon_type.get(0)), (Some("Sync"), Some("Delegated")));
        assert_eq!(view.own.mailbox.get(0), Some("a@c.example"));
        assert!(view.own.message_uids.get(0).is_empty());
    }

    const SPLUNK: &str = "RecordType,CreationDate,UserIds,Operations,AuditData,Identity,_raw,_time";

    #[test]
    fn cut_records_are_recovered_after_whole_ones() {
        let cut = RULE.get(..RULE.len() - 30).unwrap();
        let wrapper = |audit: &str, identity: &str, raw: &str| {
            [
                "ExchangeAdmin",
                "04/06/2023 03:14:58",
                "AnnaB@contoso.example",
                "New-InboxRule",
                audit,
                identity,
                raw,
                "t",
            ]
            .map(cell)
            .join(",")
        };
        let lines = [
            SPLUNK.to_owned(),
            wrapper("", "B6803747-1", &format!("\"ExchangeAdmin\",{}", cell(cut))),
            wrapper("", "W2", ""),
            wrapper("", "W3", &format!("{{\"AuditData\":{}", serde_json::to_string(cut).unwrap())),
            wrapper(
                "{\"CreationTime\":\"2023-06-04T03:14:58\",\"Id\":\"C4\",\"Operation\":\"New-InboxRule\",\"UserId\":\"a@b",
                "C4",
                "",
            ),
            wrapper(RULE, "B6803747-1", ""),
        ];
        let got = read(&lines.join("\n"));
        assert_eq!(got.rejects, []);
        let batch = got.of(Table::Iam);
        let view = IamView::new(&batch);
        let rows: Vec<_> = (0..got.rows())
            .map(|row| {
                format!(
                    "{} {} {}",
                    view.source_record.get(row).unwrap(),
                    view.recovered.get(row).unwrap_or("whole"),
                    view.time.get(row)
                )
            })
            .collect();
        assert_eq!(
            rows,
            [
                "5 whole 2023-06-04T03:14:58Z",
                "1 truncated 2023-06-04T03:14:58Z",
                // The order of day and month was learnt from the whole record.
                "2 wrapper 2023-06-04T03:14:58Z",
                "3 truncated 2023-06-04T03:14:58Z",
                "4 truncated 2023-06-04T03:14:58Z",
            ]
        );
        assert_eq!(view.event_uid.get(0), view.event_uid.get(1));
        assert_eq!(view.src_ip.get(1).unwrap().to_string(), "2001:db8::9");
        assert_eq!(got.noted(), ["truncated-records rows=3", "recovered-records rows=1"]);
    }

    #[test]
    fn a_guessed_date_is_said() {
        let got = read("CreationDate,UserIds,Operations,AuditData\n7/2/2023 1:00:00 AM,a@b.example,Send,\n");
        assert_eq!(got.of(Table::Saas).common().time.get(0).to_string(), "2023-07-02T01:00:00Z");
        assert_eq!(got.noted(), ["recovered-records rows=1", "guessed-dates dates=1"]);
    }

    #[test]
    fn values_that_the_exporter_lost_are_said() {
        let got = read(
            "CreationTime,Id,Operation,RecordType,UserId,Workload,Parameters,ExtendedProperties\n2023-06-04T03:14:58,1,New-InboxRule,1,a@b.example,Exchange,System.Object[],\n",
        );
        let batch = got.of(Table::Iam);
        assert_eq!(batch.common().recovered.get(0), Some("lossy"));
        assert_eq!(got.noted(), ["lossy-export column=parameters"]);
    }

    #[test]
    fn rows_without_any_time_are_kept() {
        let got = read("OfficeWorkload,Operation,UserId,SourceRecordId\nExchange,Send,a@b.example,1\n");
        assert_eq!(got.of(Table::Saas).common().time.get(0), Time::UNKNOWN);
        let got = read(
            "OfficeWorkload,Operation,UserId,SourceRecordId,Start_Time [UTC]\nExchange,Send,a@b.example,1,\"4/26/2021, 7:17:10.000 AM\"\n",
        );
        let batch = got.of(Table::Saas);
        assert_eq!(batch.common().time.get(0).to_string(), "2021-04-26T07:17:10Z");
        assert_eq!(batch.common().recovered.get(0), Some("time"));
    }

    #[test]
    fn caps_and_missing_results_are_said() {
        let row = |index: u32, total: u32| {
            format!(
                "{},1/1/2024 1:00:00 AM,u,Send,{},{index},{total}\n",
                "ExchangeItem",
                cell(&format!(
                    "{{\"CreationTime\":\"2024-01-01T01:00:00\",\"Id\":\"{index}-{total}\",\"Operation\":\"Send\"}}"
                ))
            )
        };
        let header = "RecordType,CreationDate,UserIds,Operations,AuditData,ResultIndex,ResultCount\n";
        let whole = read(&format!("{header}{}{}", row(1, 2), row(2, 2)));
        assert_eq!(whole.noted(), Vec::<String>::new());
        let partial = read(&format!("{header}{}{}", row(1, 9), row(7, 9)));
        assert_eq!(partial.noted(), ["result-count expected=9 highest=7 rows=2"]);
        let session = read(&format!("{header}{}", row(50_000, 50_000)));
        assert_eq!(session.noted(), ["row-cap rows=1"]);
        let many: Vec<String> = (0..5_000).map(|id| RULE.replace("B6803747", &id.to_string())).collect();
        let many = many.join("\n");
        assert_eq!(read(&many).noted(), ["row-cap rows=5000"]);
    }

    #[test]
    fn a_record_without_an_id_has_the_identity_of_its_content() {
        let json =
            r#"{"CreationTime":"2024-01-01T01:00:00","Operation":"Send","UserId":"a@b.example","Workload":"Exchange"}"#;
        let csv = "CreationTime,Operation,UserId,Workload,ResultIndex,ResultCount\n2024-01-01T01:00:00Z,Send,a@b.example,Exchange,3,3\n";
        let uid = |input: &str| read(input).of(Table::Saas).common().event_uid.get(0);
        assert_eq!(uid(json), uid(csv));
        assert_ne!(uid(json), uid(&json.replace("a@b", "c@b")));
    }

    #[test]
    fn broken_records_are_refused_with_their_reason() {
        let input = format!("{RULE}\n{{\"x\":1}}\n{{\"CreationTime\": nope}}\n{RULE}\n");
        let got = read(&input);
        assert_eq!(got.rows(), 2);
        let reasons: Vec<_> = got.rejects.iter().map(|reject| (reject.record, reject.reason.as_str())).collect();
        assert_eq!(reasons[0], (2, "no audit record: it names no operation"));
        assert!(reasons[1].0 == 3 && reasons[1].1.starts_with("not JSON:"), "{reasons:?}");
    }

    #[test]
    fn other_evidence_is_not_taken() {
        for input in [
            r#"{"id":"1","createdDateTime":"x","userPrincipalName":"a","appId":"b","status":{"errorCode":0}}"#,
            r#"{"id":"1","activityDateTime":"x","operationType":"Add","targetResources":[]}"#,
            "Received,SenderAddress,RecipientAddress,Subject,Status\n",
            "UserName,RuleName,Enabled\n",
            "TimeGenerated [UTC],OperationName,ResultType,UserPrincipalName\n",
            "hello\n",
            "",
        ] {
            assert!(!M365Audit.sniff(input.as_bytes()), "{input}");
        }
    }

    fn snapshot(got: &Got) -> (Vec<EventBatch>, Vec<Reject>, Vec<String>) {
        (got.batches.clone(), got.rejects.clone(), got.noted())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn cutting_anywhere_gives_the_same_rows(which in 0_usize..15, size in 1_usize..40) {
            let (_, input) = wrappers().swap_remove(which);
            let input = input.repeat(3);
            prop_assert_eq!(snapshot(&read_in(input.as_bytes(), size)), snapshot(&read_in(input.as_bytes(), 1 << 16)));
        }

        #[test]
        fn damaged_input_does_not_panic(which in 0_usize..15, at in 0.0_f64..1.0, byte in any::<u8>(), keep in 0.0_f64..1.0) {
            let (_, input) = wrappers().swap_remove(which);
            let mut input = input.into_bytes();
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a small length")]
            let place = |share: f64| (share * input.len() as f64) as usize;
            let (at, keep) = (place(at).min(input.len() - 1), place(keep));
            input[at] = byte;
            input.truncate(keep);
            let mut got = Got::default();
            let _result = M365Audit.read(&mut input.as_slice(), &mut got);
            let _sniffed = M365Audit.sniff(&input);
        }
    }
}

//! Records of the Unified Audit Log: the AuditData object of each event that the log keeps.

mod content;

use matagi_model::Time;

use crate::company::{Company, DOMAIN, Person};
use crate::dice::{Guid, mix, mixed_guid};
use crate::event::{Bind, Cmdlet, Directory, Event, Protocol, SYSTEM, Sent, SignIn, What, message_bytes, message_key};
use crate::pieces::{Escaped, Hex, Id, Iso, Number, Piece, Token, fill, put, text_of};
use crate::world::{App, EXCHANGE, GRAPH, OUTLOOK, OUTLOOK_MOBILE};

/// What the wrapper of a record says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wrapper {
    /// RecordType by name.
    pub(crate) record_type: &'static str,
    /// Operation.
    pub(crate) operation: &'static str,
}

const SYSTEM_NAME: &str = "NT AUTHORITY\\SYSTEM (Microsoft.Exchange.ServiceHost)";
const SERVER: &str = "TYAPR01MB4821 (15.20.9012.021)";
const HOST: &str = "jpnprd01.prod.outlook.com";

/// Whether the audit log keeps a record of this.
pub(crate) fn is_audited(company: &Company, event: &Event) -> bool {
    match &event.what {
        What::SignIn(sign_in) => sign_in.is_audited,
        What::Bind(bind) => !company.is_throttled(bind.mailbox, event.time),
        What::Receive { .. } | What::Arrive(_) => false,
        _ => true,
    }
}

/// Name of the account as the wrapper shows it.
pub(crate) fn user_name<'a>(company: &'a Company, event: &Event) -> &'a str {
    if event.user == SYSTEM { SYSTEM_NAME } else { &company.person(event.user).upn }
}

/// Writes the AuditData object of an event that [`is_audited`].
pub(crate) fn record(company: &Company, event: &Event, out: &mut Vec<u8>) -> Wrapper {
    let mut record = Record { company, event, out };
    match &event.what {
        What::SignIn(sign_in) => record.sign_in(sign_in),
        What::Bind(bind) => record.bind(bind),
        What::Sync { folder } => record.sync(folder),
        What::Send(sent) => record.send(sent),
        What::Receive { number } => unreachable!("message {number} is in the message trace only"),
        What::Arrive(arrived) => unreachable!("`{}` is in the message trace only", arrived.subject),
        What::Delete(deleted) => record.delete(deleted),
        What::Search { operation, query } => record.search(operation, query),
        What::Share(share) => record.share(share),
        What::File { operation, number } => record.file(operation, *number),
        What::Teams { operation } => record.teams(operation),
        What::Cmdlet(cmdlet) => record.cmdlet(cmdlet),
        What::Directory(directory) => record.directory(directory),
    }
}

/// Message-ID of a message, with its angle brackets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MessageId(pub(crate) u64);

impl Piece for MessageId {
    fn put(&self, out: &mut Vec<u8>) {
        fill(out, "<TY%@TYAPR01MB4821.%>", &[&Hex(self.0), &HOST]);
    }
}

/// Half of the Message-ID of mail that was sent in this event.
pub(crate) fn sent_key(id: Guid) -> u64 {
    let bytes = id.to_be_bytes();
    let half = |from: usize| u64::from_be_bytes(std::array::from_fn(|index| bytes[from + index]));
    mix([half(0), half(8), 17])
}

struct Record<'a> {
    company: &'a Company,
    event: &'a Event,
    out: &'a mut Vec<u8>,
}

impl Record<'_> {
    fn person(&self) -> &Person {
        self.company.person(self.event.user)
    }

    fn head(&mut self, operation: &str, record_type: u64, result: &str, user_type: u64, workload: &str) {
        let (company, event) = (self.company, self.event);
        fill(
            self.out,
            r#"
            {"CreationTime":"%","Id":"%","Operation":"%","OrganizationId":"%","RecordType":%,"ResultStatus":"%"
            ,"UserKey":""#,
            &[&Iso(event.time), &Id(event.id), &operation, &Id(company.tenant), &Number(record_type), &result],
        );
        if event.user == SYSTEM {
            put!(self.out, Escaped(SYSTEM_NAME));
        } else if record_type == 15 {
            put!(self.out, Id(company.person(event.user).id));
        } else {
            put!(self.out, Hex(company.person(event.user).puid()));
        }
        fill(
            self.out,
            r#"","UserType":%,"Version":1,"Workload":"%","UserId":"%""#,
            &[&Number(user_type), &workload, &Escaped(user_name(company, event))],
        );
    }

    fn sign_in(&mut self, sign_in: &SignIn) -> Wrapper {
        // An interrupted sign-in calls itself a success in one field and a failure in another.
        let (operation, result, detail) = match sign_in.error {
            0 => ("UserLoggedIn", "Success", "Success"),
            50126 | 50034 | 50053 | 50056 | 50057 => ("UserLoginFailed", "Failed", "UserError"),
            _ => ("UserLoginFailed", "Success", "UserError"),
        };
        self.head(operation, 15, result, 0, "AzureActiveDirectory");
        let (person, event) = (self.company.person(self.event.user), self.event);
        let (ip, client) = (event.seat.place.ip, event.seat.device.client);
        let request = match sign_in.protocol {
            _ if sign_in.second.is_pushed() => "SAS:EndAuth",
            Protocol::Page => "OAuth2:Authorize",
            Protocol::DeviceCode => "Cmsi:Cmsi",
            Protocol::Token | Protocol::DeviceCodeToken | Protocol::Password | Protocol::Smtp | Protocol::Imap => {
                "OAuth2:Token"
            }
        };
        fill(
            self.out,
            r#"
            ,"ClientIP":"%","ObjectId":"%","AzureActiveDirectoryEventType":1
            ,"ExtendedProperties":[{"Name":"ResultStatusDetail","Value":"%"},{"Name":"UserAgent","Value":"%"}
            ,{"Name":"RequestType","Value":"%"}],"ModifiedProperties":[],"Actor":[{"ID":"%","Type":0},{"ID":"%"
            ,"Type":5}],"ActorContextId":"%","ActorIpAddress":"%","InterSystemsId":"%","IntraSystemId":"%"
            ,"SupportTicketId":"","Target":[{"ID":"%","Type":0}],"TargetContextId":"%","ApplicationId":"%"
            ,"DeviceProperties":["#,
            &[
                &ip,
                &Id(sign_in.resource.id),
                &detail,
                &Escaped(client.user_agent),
                &request,
                &Id(person.id),
                &person.upn.as_str(),
                &Id(self.company.tenant),
                &ip,
                &Id(event.id ^ 0xffff),
                &Id(event.id),
                &Id(sign_in.resource.id),
                &Id(self.company.tenant),
                &Id(sign_in.app.id),
            ],
        );
        if let Some(device) = event.seat.device.id {
            fill(
                self.out,
                r#"{"Name":"Id","Value":"%"},{"Name":"DisplayName","Value":"%"},"#,
                &[&Id(device), &device_name(device).as_str()],
            );
        }
        let managed = if event.seat.device.id.is_some() { "True" } else { "False" };
        fill(
            self.out,
            r#"
            {"Name":"OS","Value":"%"},{"Name":"BrowserType","Value":"%"},{"Name":"IsCompliantAndManaged"
            ,"Value":"%"}"#,
            &[&client.os, &client.browser_type, &managed],
        );
        if sign_in.error == 0 {
            fill(self.out, r#",{"Name":"SessionId","Value":"%"}"#, &[&Id(event.seat.session)]);
        }
        fill(self.out, r#"],"ErrorNumber":"%""#, &[&Number(sign_in.error.into())]);
        if sign_in.error != 0 {
            fill(self.out, r#","LogonError":"%""#, &[&logon_error(sign_in.error)]);
        }
        put!(self.out, "}");
        Wrapper { record_type: "AzureActiveDirectoryStsLogon", operation }
    }

    /// What all records about a mailbox share.
    fn mailbox(&mut self, mailbox: u32, app: &App, client_app: Option<Guid>) {
        let owner = self.company.person(mailbox);
        let is_owner = mailbox == self.event.user;
        fill(self.out, r#","AppId":"%","ClientAppId":""#, &[&Id(app.id)]);
        if let Some(client_app) = client_app {
            put!(self.out, Id(client_app));
        }
        fill(
            self.out,
            r#"
            ","ClientIPAddress":"%","ClientInfoString":"%","ExternalAccess":false,"InternalLogonType":0
            ,"LogonType":%,"LogonUserSid":"S-1-5-21-%","MailboxGuid":"%","MailboxOwnerSid":"S-1-5-21-%"
            ,"MailboxOwnerUPN":"%","OrganizationName":"%","OriginatingServer":"%\r\n","SessionId":"%"
            ,"AppAccessContext":{"AADSessionId":""#,
            &[
                &self.event.seat.place.ip,
                &Escaped(self.event.seat.device.client.info),
                &(if is_owner { "0" } else { "2" }),
                &Number(self.person().puid() % 4_000_000_000),
                &Id(owner.id ^ 0xabcd),
                &Number(owner.puid() % 4_000_000_000),
                &owner.upn.as_str(),
                &DOMAIN,
                &SERVER,
                &Id(self.event.seat.session),
            ],
        );
        // What the client got its token as: a third party's own, where there is one.
        let bearer = client_app.unwrap_or(app.id);
        fill(
            self.out,
            r#"%","UniqueTokenId":"%"}"#,
            &[&Id(self.event.seat.session), &Token(token(self.event, bearer))],
        );
    }

    /// The Microsoft application that a client speaks through.
    fn mail_app(&self) -> &'static App {
        let info = self.event.seat.device.client.info;
        if info.starts_with("Client=OutlookService") {
            &OUTLOOK_MOBILE
        } else if info.starts_with("Client=OWA") {
            &EXCHANGE
        } else if info.starts_with("Client=REST") {
            &GRAPH
        } else {
            &OUTLOOK
        }
    }

    fn bind(&mut self, bind: &Bind) -> Wrapper {
        self.head("MailItemsAccessed", 50, "Succeeded", 0, "Exchange");
        let app = if bind.app.is_some() { &GRAPH } else { self.mail_app() };
        self.mailbox(bind.mailbox, app, bind.app);
        fill(
            self.out,
            r#"
            ,"OperationProperties":[{"Name":"MailAccessType","Value":"Bind"},{"Name":"IsThrottled"
            ,"Value":"%"}],"Folders":[{"FolderItems":["#,
            &[&(if bind.is_throttled { "True" } else { "False" })],
        );
        for position in 0..u64::from(bind.count) {
            let key = message_key(self.company.seed, bind.mailbox, bind.first.saturating_sub(position));
            fill(
                self.out,
                r#"%{"InternetMessageId":"%","SizeInBytes":%}"#,
                &[&(if position == 0 { "" } else { "," }), &MessageId(key), &Number(message_bytes(key))],
            );
        }
        let folder = mix([u64::from(bind.mailbox), bind.folder.len() as u64, 41]);
        fill(
            self.out,
            r#"],"Id":"LgAAAAB%AQAC","Path":"%"}],"OperationCount":%}"#,
            &[&Hex(folder), &Escaped(bind.folder), &Number(bind.count.into())],
        );
        Wrapper { record_type: "ExchangeItemAggregated", operation: "MailItemsAccessed" }
    }

    fn sync(&mut self, folder: &str) -> Wrapper {
        self.head("MailItemsAccessed", 2, "Succeeded", 0, "Exchange");
        let app = self.mail_app();
        self.mailbox(self.event.user, app, None);
        fill(
            self.out,
            r#"
            ,"OperationProperties":[{"Name":"MailAccessType","Value":"Sync"},{"Name":"IsThrottled"
            ,"Value":"False"}],"ClientProcessName":"OUTLOOK.EXE","ClientVersion":"16.0.18925.20158"
            ,"Item":{"Id":"RgAAAAB","ParentFolder":{"Id":"LgAAAAB%AQAC","Name":"%","Path":"Not Available"}}}"#,
            &[&Hex(mix([self.event.user.into(), folder.len() as u64, 41])), &folder],
        );
        Wrapper { record_type: "ExchangeItem", operation: "MailItemsAccessed" }
    }

    fn send(&mut self, sent: &Sent) -> Wrapper {
        let operation = if sent.sent_as.is_some() { "SendAs" } else { "Send" };
        self.head(operation, 2, "Succeeded", 0, "Exchange");
        fill(self.out, r#","ClientIP":"%""#, &[&self.event.seat.place.ip]);
        let app = self.mail_app();
        self.mailbox(self.event.user, app, None);
        if let Some(other) = sent.sent_as.map(|other| self.company.person(other)) {
            let mailbox = Id(other.id ^ 0xabcd);
            fill(self.out, r#","SendAsUserMailboxGuid":"%","SendAsUserSmtp":"%""#, &[&mailbox, &other.upn.as_str()]);
        }
        let key = sent_key(self.event.id);
        fill(
            self.out,
            r#"
            ,"Item":{"Id":"RgAAAAB%","InternetMessageId":"%","ParentFolder":{"Id":"LgAAAAB%AQAC"
            ,"Path":"\\Drafts"},"SizeInBytes":%,"Subject":"%"},"SaveToSentItems":true}"#,
            &[
                &Hex(key),
                &MessageId(key),
                &Hex(mix([self.event.user.into(), 6, 41])),
                &Number(message_bytes(key)),
                &Escaped(&sent.subject),
            ],
        );
        Wrapper { record_type: "ExchangeItem", operation }
    }

    fn file(&mut self, operation: &'static str, number: u64) -> Wrapper {
        self.head(operation, 6, "Succeeded", 0, "SharePoint");
        let name = format!("資料-{number:04}.xlsx");
        let site = format!("https://matagi-seisakusho.sharepoint.example/sites/dept{}/Shared Documents/", number % 7);
        fill(
            self.out,
            r#"
            ,"ClientIP":"%","ObjectId":"%%","CorrelationId":"%","EventSource":"SharePoint","ItemType":"File"
            ,"UserAgent":"%","SiteUrl":"%","SourceFileExtension":"xlsx","SourceFileName":"%"
            ,"SourceRelativeUrl":"Shared Documents""#,
            &[
                &self.event.seat.place.ip,
                &Escaped(&site),
                &name.as_str(),
                &Id(self.event.id ^ 0x5a5a),
                &Escaped(self.event.seat.device.client.user_agent),
                &Escaped(&site),
                &name.as_str(),
            ],
        );
        self.site_access();
        put!(self.out, "}");
        Wrapper { record_type: "SharePointFileOperation", operation }
    }

    fn teams(&mut self, operation: &'static str) -> Wrapper {
        self.head(operation, 25, "Succeeded", 0, "MicrosoftTeams");
        fill(self.out, r#","ClientIP":"%","ObjectId":"Desktop"}"#, &[&self.event.seat.place.ip]);
        Wrapper { record_type: "MicrosoftTeams", operation }
    }

    fn cmdlet(&mut self, cmdlet: &Cmdlet) -> Wrapper {
        let is_system = self.event.user == SYSTEM;
        self.head(cmdlet.operation, 1, "True", if is_system { 3 } else { 2 }, "Exchange");
        if !is_system {
            // Exchange records the source port too.
            let port = 1024 + u64::from(self.event.seat.place.ip.octets()[3]) * 131 + u64::from(self.event.user % 97);
            fill(self.out, r#","ClientIP":"%:%""#, &[&self.event.seat.place.ip, &Number(port)]);
        }
        let folder = format!("APCPR01A021.PROD.OUTLOOK.COM/Microsoft Exchange Hosted Organizations/{DOMAIN}/");
        fill(self.out, r#","ObjectId":"%%","AppId":""#, &[&Escaped(&folder), &Escaped(&cmdlet.object)]);
        if !is_system {
            put!(self.out, Id(cmdlet.app.id));
        }
        fill(
            self.out,
            r#"
            ","ClientAppId":"","ExternalAccess":%,"OrganizationName":"%","OriginatingServer":"%","Parameters":["#,
            &[&(if is_system { "true" } else { "false" }), &DOMAIN, &SERVER],
        );
        for (position, (name, value)) in cmdlet.parameters.iter().enumerate() {
            fill(
                self.out,
                r#"%{"Name":"%","Value":"%"}"#,
                &[&(if position == 0 { "" } else { "," }), name, &Escaped(value)],
            );
        }
        put!(self.out, "]");
        if !is_system {
            fill(
                self.out,
                r#","SessionId":"%","AppAccessContext":{"AADSessionId":"%"}"#,
                &[&Id(self.event.seat.session), &Id(self.event.seat.session)],
            );
        }
        put!(self.out, "}");
        Wrapper { record_type: "ExchangeAdmin", operation: cmdlet.operation }
    }

    fn directory(&mut self, change: &Directory) -> Wrapper {
        let operation = dotted(change.operation);
        self.head(operation, 8, "Success", 0, "AzureActiveDirectory");
        let person = self.company.person(self.event.user);
        let agent = format!("{{\"User-Agent\":\"{}\"}}", self.event.seat.device.client.user_agent);
        fill(
            self.out,
            r#"
            ,"ObjectId":"%","AzureActiveDirectoryEventType":1,"ExtendedProperties":[{"Name":"additionalDetails"
            ,"Value":"%"},{"Name":"extendedAuditEventCategory","Value":"%"}],"ModifiedProperties":["#,
            &[&Escaped(&change.target_key), &Escaped(&agent), &change.target_type],
        );
        for (position, (name, old, new)) in change.modified.iter().enumerate() {
            fill(
                self.out,
                r#"%{"Name":"%","NewValue":"%","OldValue":"%"}"#,
                &[&(if position == 0 { "" } else { "," }), name, &Escaped(new), &Escaped(old)],
            );
        }
        let actor = text_of(&Id(person.id));
        fill(
            self.out,
            r#"
            ],"Actor":[{"ID":"%","Type":5},{"ID":"%","Type":3},{"ID":"User_%","Type":2},{"ID":"%","Type":2}
            ,{"ID":"User","Type":2}],"ActorContextId":"%","ActorIpAddress":"%","InterSystemsId":"%"
            ,"IntraSystemId":"%","SupportTicketId":"","Target":[{"ID":"%_%","Type":2},{"ID":"%","Type":2}
            ,{"ID":"%","Type":2},{"ID":""#,
            &[
                &person.upn.as_str(),
                &Hex(person.puid()),
                &actor.as_str(),
                &actor.as_str(),
                &Id(self.company.tenant),
                &self.event.seat.place.ip,
                &Id(correlation(self.event)),
                &Id(self.event.id ^ 0x77),
                &change.target_type,
                &Id(change.target_id),
                &Id(change.target_id),
                &change.target_type,
            ],
        );
        let (kind, key) =
            if change.target_type == "User" { ("5", &change.target_key) } else { ("4", &change.target_key) };
        fill(
            self.out,
            r#"%","Type":1},{"ID":"%","Type":%}],"TargetContextId":"%"}"#,
            &[&Escaped(&change.target_name), &Escaped(key), &kind, &Id(self.company.tenant)],
        );
        Wrapper { record_type: "AzureActiveDirectory", operation }
    }
}

/// Id of the token in use: one an hour for a session and an application, the same in all logs.
pub(crate) fn token(event: &Event, app: Guid) -> Guid {
    let hour = event.time.0.div_euclid(Time::HOUR_US).unsigned_abs();
    let both = event.seat.session ^ app.rotate_left(9);
    let half = |shift: u32| u64::try_from(both >> shift & u128::from(u64::MAX)).expect("64 bits");
    mixed_guid([half(0), half(64), hour << 32 | u64::from(event.user)])
}

/// Id that the audit log and the Entra audit log share for one change.
pub(crate) fn correlation(event: &Event) -> Guid {
    event.id ^ 0x3c3c
}

/// Name of a machine, from its id.
pub(crate) fn device_name(device: Guid) -> String {
    let low = u64::try_from(device & 0xffff_ffff).expect("32 bits");
    format!("MTG-{low:08X}")
}

/// A directory operation as the audit log spells it.
fn dotted(operation: &'static str) -> &'static str {
    match operation {
        "Consent to application" => "Consent to application.",
        "Add delegated permission grant" => "Add delegated permission grant.",
        "Add service principal" => "Add service principal.",
        "Change user password" => "Change user password.",
        "Update user" => "Update user.",
        "Add user" => "Add user.",
        "Add member to group" => "Add member to group.",
        "Add device" => "Add device.",
        "Add registered owner to device" => "Add registered owner to device.",
        "User registered security info" => "User registered security info.",
        other => other,
    }
}

fn logon_error(error: u32) -> &'static str {
    match error {
        50034 => "UserAccountNotFound",
        50053 => "IdsLocked",
        50074 => "UserStrongAuthClientAuthNRequiredInterrupt",
        50076 => "UserStrongAuthClientAuthNRequired",
        50125 => "PasswordResetRegistrationRequiredInterrupt",
        50126 => "InvalidUserNameOrPassword",
        50140 => "KmsiInterrupt",
        53003 => "BlockedByConditionalAccess",
        500_121 => "AuthenticationFailedSasError",
        65001 => "DelegationDoesNotExist",
        _ => "UserError",
    }
}

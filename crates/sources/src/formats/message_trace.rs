//! Message traces: what the transport did with each message, one row a recipient.
//!
//! Three exports: `Get-MessageTrace` and its V2, one record a recipient; the historical summary, one record a message
//! with all recipients in `recipient_status`; the extended report, one record an event.

use std::io::BufRead;

use matagi_model::tables::{Common, Email, EmailOwn};
use matagi_model::{Emit, Ip, Source, SourceError, SourceMeta, Table, Text, Time, Uid};
use serde_json::Value;

use crate::fields::reading::{self, Mapping, Origin, Raw, Rows};
use crate::fields::{Recognised, Record, Resolver, fold, recognised, vocabulary};
use crate::records::{csv_headers, first_json_object};
use crate::values::{self, CultureDates};

/// Recipients that one record is spread over. Exchange Online allows 1,000 a message; groups are expanded by the
/// transport, so the trace may show more.
const RECIPIENTS_MAX: usize = 10_000;
/// OCSF Email Activity.
const CLASS: u32 = 4009;
/// OCSF activity Trace.
const TRACE: u8 = 4;

/// Message traces.
#[derive(Debug)]
pub struct MessageTrace;

static META: SourceMeta = SourceMeta {
    name: "message-trace",
    title: Text::new("Exchange message trace", "Exchange メッセージ追跡"),
    obtained_with: "Get-MessageTrace, Get-MessageTraceV2, Exchange admin center > Message trace (enhanced summary, \
                    extended report), Start-HistoricalSearch",
    tables: &[Table::Email],
};

vocabulary! {
    /// Fields of a message trace.
    Trace {
        Id: ["messageTraceId"],
        NetworkId: ["networkMessageId"],
        MessageId: ["messageId", "internetMessageId", "メッセージ ID", "ID de message", "Nachrichten-ID", "Id. de mensaje"],
        Time: [
            "received", "origin_timestamp_utc", "origin_timestamp", "date_time_utc", "date_time", "Received (UTC)",
            "Date (UTC)", "Date", "受信日時", "日付", "Reçu", "Empfangen", "Recibido",
        ],
        Sender: [
            "senderAddress", "sender", "fromAddress", "送信者", "差出人", "送信者アドレス", "Expéditeur", "Absender", "Remitente",
        ],
        Recipient: [
            "recipientAddress", "recipient", "toAddress", "受信者", "受信者アドレス", "Destinataire", "Empfänger", "Destinatario",
        ],
        RecipientStatus: ["recipientStatus"],
        Subject: ["subject", "messageSubject", "件名", "Objet", "Betreff", "Asunto"],
        Status: ["status", "状態", "状況", "Statut", "État", "Estado"],
        ToIp: ["toIP", "originalServerIp", "serverIp", "originalDestinationIp"],
        FromIp: ["fromIP", "originalClientIp"],
        ClientIp: ["clientIp"],
        Size: ["size", "totalBytes", "messageSize", "サイズ", "Taille", "Größe", "Tamaño"],
        Direction: ["directionality", "direction"],
        Event: ["eventId", "event"],
        EventSource: ["source"],
        Tenant: ["tenantId", "organizationId"],
        Connector: ["connectorId"],
        InternalId: ["internalMessageId"],
    }
}

impl Source for MessageTrace {
    fn meta(&self) -> &'static SourceMeta {
        &META
    }

    fn sniff(&self, head: &[u8]) -> bool {
        if let Some(object) = first_json_object(head) {
            return is_trace(&recognised(object.keys.iter().map(String::as_str)));
        }
        csv_headers(head).is_some_and(|headers| is_trace(&recognised(headers.iter().map(String::as_str))))
    }

    fn read(&self, input: &mut dyn BufRead, out: &mut dyn Emit) -> Result<(), SourceError> {
        reading::read(&mut Traces { resolver: Resolver::default() }, input, out)
    }
}

fn is_trace(fields: &Recognised<Trace>) -> bool {
    fields.has(Trace::Sender)
        && fields.any(&[Trace::Recipient, Trace::RecipientStatus])
        && fields.any(&[Trace::MessageId, Trace::Id, Trace::NetworkId])
        && fields.any(&[Trace::Time])
        && fields.any(&[Trace::Status, Trace::RecipientStatus, Trace::Event, Trace::Size])
}

struct Traces {
    resolver: Resolver<Trace>,
}

impl Mapping for Traces {
    type Parsed = Record<Trace>;

    fn parse(&mut self, raw: Raw<'_>) -> Result<Record<Trace>, String> {
        Ok(Record::of(&mut self.resolver, raw.columns))
    }

    fn culture_date<'p>(&self, record: &'p Record<Trace>) -> Option<&'p str> {
        record.value(Trace::Time).as_str().filter(|date| values::time(date).is_none())
    }

    fn rows(
        &mut self,
        record: Record<Trace>,
        origin: Origin,
        dates: &mut CultureDates,
        rows: &mut Rows,
    ) -> Result<(), String> {
        let message = Message::of(&record, &origin, dates)?;
        let recipients = recipients(&record);
        if recipients.is_empty() {
            rows.email(message.to(Recipient { address: None, said: None }, origin.json));
            return Ok(());
        }
        let (count, is_one) = (recipients.len(), recipients.len() == 1);
        for recipient in recipients.into_iter().take(RECIPIENTS_MAX) {
            // A message to thousands must not be kept once for each of them: every row has its own part of the record.
            let raw = if is_one { origin.json.clone() } else { own_part(&record, &recipient) };
            rows.email(message.to(recipient, raw));
        }
        if count > RECIPIENTS_MAX {
            return Err(format!("{count} recipients: only the first {RECIPIENTS_MAX} were read"));
        }
        Ok(())
    }
}

/// A recipient and what the record says happened to the message for them.
struct Recipient {
    address: Option<String>,
    said: Option<String>,
}

/// The recipients of a record: `a@x##Receive, Deliver;b@x##Receive, Fail`, or addresses with `;` between.
fn recipients(record: &Record<Trace>) -> Vec<Recipient> {
    let status = record.text(Trace::RecipientStatus);
    if let Some(status) = status.as_deref().filter(|status| status.contains("##")) {
        let parts = status.split(';').map(str::trim).filter(|part| !part.is_empty());
        return parts
            .take(RECIPIENTS_MAX + 1)
            .map(|part| {
                let (address, said) = part.split_once("##").unwrap_or((part, ""));
                Recipient { address: values::user(address), said: values::text(said).map(str::to_owned) }
            })
            .collect();
    }
    let said = record.first(&[Trace::Status, Trace::Event]).or(status);
    let addresses = match record.value(Trace::Recipient) {
        Value::Array(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => record.text(Trace::Recipient).map_or_else(Vec::new, |text| {
            text.split(';').take(RECIPIENTS_MAX + 1).map(str::to_owned).collect::<Vec<_>>()
        }),
    };
    let addresses = addresses.iter().filter_map(|address| values::user(address));
    addresses.map(|address| Recipient { address: Some(address), said: said.clone() }).collect()
}

/// The record as it is for one of its recipients.
fn own_part(record: &Record<Trace>, recipient: &Recipient) -> String {
    let text = |field| record.text(field).map_or(Value::Null, Value::from);
    serde_json::json!({
        "network_message_id": text(Trace::NetworkId),
        "message_trace_id": text(Trace::Id),
        "message_id": text(Trace::MessageId),
        "time": text(Trace::Time),
        "sender_address": text(Trace::Sender),
        "recipient_address": recipient.address,
        "recipient_status": recipient.said,
        "message_subject": text(Trace::Subject),
        "total_bytes": text(Trace::Size),
        "original_client_ip": text(Trace::FromIp),
        "directionality": text(Trace::Direction),
        "event_id": text(Trace::Event),
        "connector_id": text(Trace::Connector),
    })
    .to_string()
}

/// What all recipients of a record share.
struct Message {
    common: Common,
    own: EmailOwn,
    identity: String,
    event: String,
}

impl Message {
    fn of(record: &Record<Trace>, origin: &Origin, dates: &mut CultureDates) -> Result<Self, String> {
        let sender = record.text(Trace::Sender).and_then(|sender| values::user(&sender));
        let message_uid = record.text(Trace::MessageId).map(bracketed);
        let network = record.first(&[Trace::NetworkId, Trace::Id]).map(|id| id.to_lowercase());
        if sender.is_none() && message_uid.is_none() && network.is_none() {
            return Err("neither a sender nor a message id: not a message".to_owned());
        }
        let time = match record.text(Trace::Time) {
            Some(date) => dates.time(&date).ok_or_else(|| format!("the time {date:?} cannot be read"))?,
            None => Time::UNKNOWN,
        };
        let ip = |field| record.text(field).and_then(|text| values::ip(&text)).map(|(ip, _): (Ip, _)| ip);
        let size = record.text(Trace::Size).and_then(|size| values::number(&size));
        let common = Common {
            time,
            class_uid: CLASS,
            activity_id: TRACE,
            api_operation: Some("Message trace".to_owned()),
            metadata_product_name: Some("Exchange".to_owned()),
            tenant_uid: record.text(Trace::Tenant).map(|tenant| tenant.to_lowercase()),
            src_ip: ip(Trace::FromIp).or_else(|| ip(Trace::ClientIp)),
            correlation_uid: network.clone(),
            recovered: origin.is_lossy.then(|| "lossy".to_owned()),
            source_record: origin.number,
            ..Common::default()
        };
        let own = EmailOwn {
            message_uid: message_uid.clone(),
            network_message_uid: network.clone(),
            email_from: sender.clone(),
            email_subject: record.text(Trace::Subject),
            email_size: size,
            direction_id: record.text(Trace::Direction).map(|word| direction(&word)),
            dst_ip: ip(Trace::ToIp),
            ..EmailOwn::default()
        };
        // Without the transport's id the message id and the sender stand for the message.
        let identity =
            network.unwrap_or_else(|| format!("{}\n{}", message_uid.unwrap_or_default(), sender.unwrap_or_default()));
        let event =
            [Trace::Event, Trace::EventSource, Trace::InternalId].map(|field| record.text(field).unwrap_or_default());
        Ok(Self { common, own, identity, event: event.join("\n") })
    }

    /// The row of one recipient.
    ///
    /// Its identity is the message, the recipient, the second and what happened: not the `Index` of
    /// `Get-MessageTrace`, which counts the rows of one query and differs in the next.
    fn to(&self, recipient: Recipient, raw: String) -> Email {
        let mut common = self.common.clone();
        let mut own = self.own.clone();
        let status = recipient.said.as_deref().map(delivery);
        common.status_id = status.as_deref().map_or(0, status_id);
        common.status_code.clone_from(&status);
        common.status_detail = recipient.said.filter(|said| status.as_ref() != Some(said));
        let second = common.time.as_micros().div_euclid(Time::SECOND_US);
        common.event_uid = Uid::of(&[
            b"message-trace",
            self.identity.as_bytes(),
            recipient.address.as_deref().unwrap_or_default().as_bytes(),
            &second.to_le_bytes(),
            status.as_deref().unwrap_or_default().as_bytes(),
            self.event.as_bytes(),
        ]);
        own.email_to = recipient.address;
        own.delivery_status = status;
        Email { common, own, raw: Some(raw) }
    }
}

/// A message id with the angle brackets that some exports take off: it is compared with ids that have them.
fn bracketed(id: String) -> String {
    if id.starts_with('<') || !id.contains('@') { id } else { format!("<{id}>") }
}

/// `direction_id`: the historical report counts 1 for incoming and 2 for what the organisation sent.
fn direction(word: &str) -> u8 {
    match fold(word).as_str() {
        "1" | "incoming" | "inbound" | "受信" => 1,
        "2" | "originating" | "outgoing" | "outbound" | "送信" => 2,
        "3" | "internal" | "intraorg" | "intraorganization" => 3,
        _ => 0,
    }
}

/// One word for what happened. The historical summary lists the events (`Receive, Deliver`): the last that decides
/// counts. Words of `Get-MessageTrace` and of the extended report stay.
fn delivery(said: &str) -> String {
    let word = |event: &str| match fold(event).as_str() {
        "deliver" | "send" | "delivered" => Some("Delivered"),
        "fail" | "failed" | "drop" => Some("Failed"),
        "expand" | "expanded" => Some("Expanded"),
        "quarantine" | "quarantined" => Some("Quarantined"),
        "spam" | "filteredasspam" => Some("FilteredAsSpam"),
        "defer" | "pending" => Some("Pending"),
        "resolve" | "resolved" => Some("Resolved"),
        _ => None,
    };
    let last = said.split(',').filter_map(word).next_back();
    last.map_or_else(|| said.to_owned(), str::to_owned)
}

/// OCSF `status_id` of a delivery.
fn status_id(delivery: &str) -> u8 {
    match delivery {
        "Delivered" | "Expanded" | "Resolved" => 1,
        "Failed" | "Quarantined" | "FilteredAsSpam" => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::EmailView;

    use super::*;
    use crate::fields::reading::testing::{Taken, read};

    fn email(text: &str) -> Taken {
        let taken = read(&MessageTrace, text);
        assert!(taken.rejects.is_empty(), "{:?}", taken.rejects);
        taken
    }

    #[test]
    fn get_message_trace_gives_every_column() {
        let taken = email(
            "\"Organization\",\"MessageId\",\"Received\",\"SenderAddress\",\"RecipientAddress\",\"Subject\",\"Status\",\"ToIP\",\"FromIP\",\"Size\",\"MessageTraceId\",\"StartDate\",\"EndDate\",\"Index\"\n\
             \"example.onmicrosoft.com\",\"<A1@x.example>\",\"5/13/2024 10:11:12 PM\",\"Eve@Evil.example\",\"Anna@Example.org\",\"Invoice, overdue\",\"Delivered\",\"\",\"198.51.100.5\",\"12345\",\"0F6E8A3C-1111-4222-8333-444455556666\",\"\",\"\",\"0\"\n",
        );
        let batch = taken.table(Table::Email);
        let view = EmailView::new(&batch);
        assert_eq!(view.time.get(0).to_string(), "2024-05-13T22:11:12Z");
        assert_eq!(
            (view.class_uid.get(0), view.activity_id.get(0), view.status_id.get(0)),
            (Some(4009), Some(4), Some(1))
        );
        let texts = [
            (view.own.message_uid.get(0), "<A1@x.example>"),
            (view.own.network_message_uid.get(0), "0f6e8a3c-1111-4222-8333-444455556666"),
            (view.own.email_from.get(0), "eve@evil.example"),
            (view.own.email_to.get(0), "anna@example.org"),
            (view.own.email_subject.get(0), "Invoice, overdue"),
            (view.own.delivery_status.get(0), "Delivered"),
        ];
        for (found, expected) in texts {
            assert_eq!(found, Some(expected));
        }
        assert_eq!((view.own.email_size.get(0), view.own.direction_id.get(0)), (Some(12345), None));
        assert_eq!(view.src_ip.get(0).unwrap().to_string(), "198.51.100.5");
        assert_eq!(view.own.dst_ip.get(0), None);
    }

    #[test]
    fn json_and_csv_of_one_trace_are_one_row_whatever_the_index() {
        let csv = email(
            "MessageTraceId,MessageId,Received,SenderAddress,RecipientAddress,Status,Size,Index\n\
             0f6e,<a@x>,2024-05-13T22:11:12,e@x,a@y,Delivered,1,0\n",
        );
        let json = email(
            r#"[{"MessageTraceId":"0F6E","MessageId":"a@x","Received":"\/Date(1715638272345)\/","SenderAddress":"e@x","RecipientAddress":"A@y","Status":"Delivered","Size":1,"Index":4711}]"#,
        );
        let (csv, json) = (csv.table(Table::Email), json.table(Table::Email));
        assert_eq!(csv.common().event_uid.get(0), json.common().event_uid.get(0));
        assert_eq!(EmailView::new(&json).own.message_uid.get(0), Some("<a@x>"));
    }

    #[test]
    fn the_historical_summary_is_one_row_a_recipient() {
        let taken = email(
            "origin_timestamp_utc,sender_address,recipient_status,message_subject,total_bytes,message_id,network_message_id,original_client_ip,directionality,connector_id,delivery_priority\r\n\
             2024-05-13T22:11:12.0000000Z,e@x.example,\"A@y.example##Receive, Deliver;b@y.example##Receive, Fail;\",Hi,2048,<a@x>,n-1,198.51.100.5,Incoming,c,Normal\r\n\
             2024-05-13T22:12:12.0000000Z,a@y.example,\"z@w.example##Receive, Send\",Re: Hi,100,<b@x>,n-2,,2,c,Normal\r\n",
        );
        let batch = taken.table(Table::Email);
        let view = EmailView::new(&batch);
        let rows: Vec<_> = (0..batch.rows())
            .map(|row| {
                let own = &view.own;
                (
                    own.email_to.get(row).unwrap(),
                    own.delivery_status.get(row).unwrap(),
                    view.status_id.get(row).unwrap(),
                    own.direction_id.get(row).unwrap(),
                )
            })
            .collect();
        assert_eq!(
            rows,
            [("a@y.example", "Delivered", 1, 1), ("b@y.example", "Failed", 2, 1), ("z@w.example", "Delivered", 1, 2)]
        );
        assert_eq!(view.status_detail.get(0), Some("Receive, Deliver"));
        assert_eq!((view.source_record.get(0), view.source_record.get(1)), (Some(1), Some(1)));
        assert!(!view.raw.get(0).unwrap().contains("b@y.example"));
        assert_ne!(view.event_uid.get(0), view.event_uid.get(1));
    }

    #[test]
    fn events_of_the_extended_report_stay_apart() {
        let taken = email(
            "date_time_utc,client_ip,source,event_id,message_id,network_message_id,recipient_address,recipient_status,total_bytes,message_subject,sender_address,directionality\n\
             2024-05-13T22:11:12Z,198.51.100.5,SMTP,RECEIVE,<a@x>,n-1,a@y.example;b@y.example,,10,Hi,e@x.example,Incoming\n\
             2024-05-13T22:11:12Z,,STOREDRIVER,DELIVER,<a@x>,n-1,a@y.example,250 2.1.5 OK,10,Hi,e@x.example,Incoming\n",
        );
        let batch = taken.table(Table::Email);
        let view = EmailView::new(&batch);
        assert_eq!(batch.rows(), 3);
        assert_eq!(
            (view.own.delivery_status.get(0), view.own.delivery_status.get(2)),
            (Some("RECEIVE"), Some("Delivered"))
        );
        assert_ne!(view.event_uid.get(0), view.event_uid.get(2));
    }

    #[test]
    fn a_recipient_bomb_is_cut_and_said() {
        let many = "a@y.example##Receive, Deliver;".repeat(RECIPIENTS_MAX + 5);
        let taken = read(
            &MessageTrace,
            &format!(
                "origin_timestamp_utc,sender_address,recipient_status,message_id,total_bytes\n2024-05-13T22:11:12Z,e@x,u@y##Receive,<b@x>,1\n2024-05-13T22:11:12Z,e@x,\"{many}\",<a@x>,1\n"
            ),
        );
        assert_eq!(taken.table(Table::Email).rows(), RECIPIENTS_MAX + 1);
        assert_eq!(taken.rejects.len(), 1);
        let raw: usize = taken.batches.iter().map(|batch| batch.columns.get_array_memory_size()).sum();
        assert!(raw < 64 << 20, "{raw} bytes: the record was kept once a recipient");
    }
}

//! Message trace and inbox rules, as PowerShell exports them.

use matagi_model::Time;

use crate::audit::{MessageId, sent_key};
use crate::company::{Company, DOMAIN};
use crate::dice::mixed_guid;
use crate::event::{Arrived, Event, Message, Sent, message_bytes};
use crate::pieces::{Field, Id, JapaneseDate, Number, put, text_of};

/// Columns of a message trace.
pub(crate) const TRACE_COLUMNS: [&str; 14] = [
    "MessageTraceId",
    "MessageId",
    "Received",
    "SenderAddress",
    "RecipientAddress",
    "Subject",
    "Status",
    "ToIP",
    "FromIP",
    "Size",
    "Organization",
    "StartDate",
    "EndDate",
    "Index",
];

/// Columns of the inbox rules of all mailboxes.
pub(crate) const RULE_COLUMNS: [&str; 24] = [
    "UserName",
    "RuleName",
    "RuleIdentity",
    "Enabled",
    "Priority",
    "InError",
    "ErrorType",
    "Description",
    "StopProcessingRules",
    "CopyToFolder",
    "MoveToFolder",
    "RedirectTo",
    "ForwardTo",
    "ForwardAsAttachmentTo",
    "ApplyCategory",
    "MarkImportance",
    "MarkAsRead",
    "DeleteMessage",
    "SoftDeleteMessage",
    "From",
    "SubjectContainsWords",
    "SubjectOrBodyContainsWords",
    "BodyContainsWords",
    "HasAttachment",
];

/// Writes one CSV row, every field in quotes, as `Export-Csv` does.
pub(crate) fn row<'a>(fields: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (position, field) in fields.into_iter().enumerate() {
        put!(out, if position == 0 { "" } else { "," }, Field(field.as_bytes()));
    }
    put!(out, "\r\n");
}

/// What a trace says of one message to one recipient.
struct Traced<'a> {
    id: u64,
    sender: &'a str,
    recipient: &'a str,
    subject: &'a str,
    to_ip: &'a str,
    from_ip: &'a str,
}

/// Writes the trace of mail that came in; gives the number of rows.
pub(crate) fn received(company: &Company, event: &Event, number: u64, out: &mut Vec<u8>) -> u64 {
    let owner = company.person(event.user);
    let message = Message::of(company.seed, owner, number);
    let from_ip = if message.sender.ends_with(DOMAIN) { "" } else { "203.0.113.25" };
    let traced = Traced {
        id: message.key,
        sender: &message.sender,
        recipient: &owner.upn,
        subject: &message.subject,
        to_ip: "",
        from_ip,
    };
    trace(company, event.time, &traced, 0, message.bytes, out);
    1
}

/// Writes the trace of one message that came in from within the company; gives the number of rows.
pub(crate) fn arrived(company: &Company, event: &Event, arrived: &Arrived, out: &mut Vec<u8>) -> u64 {
    let recipient = &company.person(event.user).upn;
    let Arrived { key, sender, subject } = arrived;
    let traced = Traced { id: *key, sender, recipient, subject, to_ip: "", from_ip: "" };
    trace(company, event.time, &traced, 0, message_bytes(*key), out);
    1
}

/// Writes the trace of mail that was sent; gives the number of rows.
pub(crate) fn sent(company: &Company, event: &Event, sent: &Sent, out: &mut Vec<u8>) -> u64 {
    let sender = &company.person(sent.sent_as.unwrap_or(event.user)).upn;
    let key = sent_key(event.id);
    for (index, recipient) in (0..).zip(&sent.to) {
        let to_ip = if recipient.ends_with(DOMAIN) { "" } else { "198.51.100.25" };
        let traced = Traced { id: key, sender, recipient, subject: &sent.subject, to_ip, from_ip: "" };
        trace(company, event.time.plus_us(Time::SECOND_US), &traced, index, message_bytes(key), out);
    }
    sent.to.len() as u64
}

fn trace(company: &Company, time: Time, traced: &Traced<'_>, index: u64, bytes: u64, out: &mut Vec<u8>) {
    let id = text_of(&Id(mixed_guid([company.seed, traced.id, 51])));
    let message_id = text_of(&MessageId(traced.id));
    let end = company.midnight(company.days);
    let texts = [
        text_of(&JapaneseDate(time)),
        text_of(&Number(bytes)),
        text_of(&JapaneseDate(company.start)),
        text_of(&JapaneseDate(end)),
        text_of(&Number(index)),
    ];
    let [received, size, from, to, index] = texts.each_ref().map(String::as_str);
    let fields = [
        &id,
        &message_id,
        received,
        traced.sender,
        traced.recipient,
        traced.subject,
        "Delivered",
        traced.to_ip,
        traced.from_ip,
        size,
        DOMAIN,
        from,
        to,
        index,
    ];
    row(fields, out);
}

/// An inbox rule as it stands at the end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rule {
    /// Whose.
    pub(crate) user: String,
    /// Name.
    pub(crate) name: String,
    /// Values by column.
    pub(crate) values: Vec<(&'static str, String)>,
}

impl Rule {
    /// Writes the rule's row.
    pub(crate) fn put(&self, priority: u64, out: &mut Vec<u8>) {
        let identity = format!("{}\\{}", self.user, 1_000_000_000 + priority * 7);
        let priority = text_of(&Number(priority));
        let values = RULE_COLUMNS.iter().map(|column| match *column {
            "UserName" => self.user.as_str(),
            "RuleName" => &self.name,
            "RuleIdentity" => &identity,
            "Priority" => &priority,
            "Enabled" => "True",
            _ => {
                self.values.iter().find(|(name, _)| name == column).map_or_else(|| default(column), |(_, value)| value)
            }
        });
        row(values, out);
    }
}

fn default(column: &str) -> &'static str {
    match column {
        "InError" | "StopProcessingRules" | "MarkAsRead" | "DeleteMessage" | "SoftDeleteMessage" | "HasAttachment" => {
            "False"
        }
        _ => "",
    }
}

/// Text as UTF-16 little endian, which is what `Out-File` of Windows PowerShell makes.
pub(crate) fn utf16(text: &[u8], out: &mut Vec<u8>) {
    for unit in String::from_utf8_lossy(text).encode_utf16() {
        out.extend_from_slice(&unit.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_has_a_value_in_every_column() {
        let rule =
            Rule { user: "a@b.example".into(), name: "x\"y".into(), values: vec![("From", "n@c.example".into())] };
        let mut out = Vec::new();
        rule.put(1, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("\",\"").count() + 1, RULE_COLUMNS.len(), "{text}");
        assert!(text.contains("\"x\"\"y\"") && text.contains("\"n@c.example\""), "{text}");
    }

    #[test]
    fn japanese_survives_utf16() {
        let mut out = Vec::new();
        utf16("請求書".as_bytes(), &mut out);
        let units: Vec<_> = out.chunks(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        assert_eq!(String::from_utf16(&units).unwrap(), "請求書");
    }
}

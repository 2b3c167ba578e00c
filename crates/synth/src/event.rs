//! What happens: one event may leave records in several logs.

use matagi_model::Time;

use crate::company::{DOMAIN, PARTNERS, Person};
use crate::dice::{Dice, Guid, mix};
use crate::world::{App, Seat};

/// Stands for Exchange Online itself instead of an account.
pub(crate) const SYSTEM: u32 = u32::MAX;

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// When.
    pub(crate) time: Time,
    /// Id of its records.
    pub(crate) id: Guid,
    /// Account that acts, a position in [`crate::company::Company::people`] or [`SYSTEM`].
    pub(crate) user: u32,
    /// From where.
    pub(crate) seat: Seat,
    /// What.
    pub(crate) what: What,
}

/// What happened.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// A sign-in: Entra sign-in log, and the audit log where `is_audited`.
    SignIn(SignIn),
    /// Messages were opened: audit log.
    Bind(Bind),
    /// A folder was synchronised: audit log.
    Sync {
        /// Which.
        folder: &'static str,
    },
    /// Mail was sent: audit log and message trace.
    Send(Box<Sent>),
    /// Mail came in: message trace.
    Receive {
        /// Number within the mailbox.
        number: u64,
    },
    /// One message that is not part of the ordinary mail came in: message trace.
    Arrive(Box<Arrived>),
    /// Messages were deleted: audit log.
    Delete(Box<Deleted>),
    /// Mail or sites were searched: audit log.
    Search {
        /// `SearchQueryInitiatedExchange`, `SearchQueryInitiatedSharePoint`.
        operation: &'static str,
        /// Words that were typed.
        query: &'static str,
    },
    /// A file was shared: audit log.
    Share(Box<Share>),
    /// A file was used: audit log.
    File {
        /// `FileAccessed`, `FileModified`, `FileDownloaded`.
        operation: &'static str,
        /// Which.
        number: u64,
    },
    /// Teams was used: audit log.
    Teams {
        /// `TeamsSessionStarted`, `MessageSent`.
        operation: &'static str,
    },
    /// An Exchange cmdlet ran: audit log.
    Cmdlet(Box<Cmdlet>),
    /// The directory was changed: Entra audit log and audit log.
    Directory(Box<Directory>),
}

/// A sign-in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SignIn {
    /// Whether a person was asked.
    pub(crate) is_interactive: bool,
    /// Client.
    pub(crate) app: &'static App,
    /// Resource.
    pub(crate) resource: &'static App,
    /// Error code; 0 is success.
    pub(crate) error: u32,
    /// How.
    pub(crate) protocol: Protocol,
    /// What became of the second factor.
    pub(crate) second: Second,
    /// Whether the audit log has it too.
    pub(crate) is_audited: bool,
}

/// How a sign-in was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Through a page.
    Page,
    /// A token was renewed.
    Token,
    /// Name and password straight to the token endpoint.
    Password,
    /// Legacy SMTP.
    Smtp,
    /// Legacy IMAP.
    Imap,
    /// A code shown elsewhere was typed into a page.
    DeviceCode,
    /// A token that such a code gave was fetched or renewed.
    DeviceCodeToken,
}

/// What became of the second factor of a sign-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Second {
    /// Nobody asked for it.
    Unasked,
    /// The token already said so.
    Claim,
    /// The request on the phone was approved.
    Approved,
    /// It was declined.
    Denied,
    /// Nobody answered it.
    Unanswered,
}

impl Second {
    /// Words of the sign-in log.
    pub(crate) const fn words(self) -> Option<&'static str> {
        match self {
            Self::Unasked => None,
            Self::Claim => Some("MFA requirement satisfied by claim in the token"),
            Self::Approved => Some("MFA successfully completed"),
            Self::Denied => Some("MFA denied; user declined the authentication"),
            Self::Unanswered => Some("MFA denied; user did not respond to mobile app notification"),
        }
    }

    /// Whether a request went to the phone.
    pub(crate) const fn is_pushed(self) -> bool {
        matches!(self, Self::Approved | Self::Denied | Self::Unanswered)
    }
}

/// Messages that were opened.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bind {
    /// Whose mailbox.
    pub(crate) mailbox: u32,
    /// First message, its number within the mailbox.
    pub(crate) first: u64,
    /// How many, going back in time.
    pub(crate) count: u32,
    /// Folder.
    pub(crate) folder: &'static str,
    /// Third-party application that reads on the user's behalf.
    pub(crate) app: Option<Guid>,
    /// Whether the audit log gave up after this record.
    pub(crate) is_throttled: bool,
}

/// A message that came in.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    /// Half of its Message-ID.
    pub(crate) key: u64,
    /// Sender.
    pub(crate) sender: String,
    /// Subject.
    pub(crate) subject: String,
}

/// Messages that were deleted.
#[derive(Debug, Clone)]
pub(crate) struct Deleted {
    /// `HardDelete`, `SoftDelete`, `MoveToDeletedItems`.
    pub(crate) operation: &'static str,
    /// From which folder.
    pub(crate) folder: &'static str,
    /// Half of the Message-ID, and the subject.
    pub(crate) messages: Vec<(u64, String)>,
}

/// A file that was shared.
#[derive(Debug, Clone)]
pub(crate) struct Share {
    /// `AnonymousLinkCreated`, `AddedToSecureLink`.
    pub(crate) operation: &'static str,
    /// Name of the file.
    pub(crate) file: String,
    /// With whom, where it is somebody.
    pub(crate) guest: Option<String>,
}

/// Mail that was sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    /// Subject.
    pub(crate) subject: String,
    /// Recipients.
    pub(crate) to: Vec<String>,
    /// Account in whose name it was sent, if another.
    pub(crate) sent_as: Option<u32>,
}

/// Name and value of a cmdlet's argument.
pub(crate) type Parameter = (&'static str, String);

/// An Exchange cmdlet.
#[derive(Debug, Clone)]
pub(crate) struct Cmdlet {
    /// Its name.
    pub(crate) operation: &'static str,
    /// What it changed, below the organisation.
    pub(crate) object: String,
    /// Arguments.
    pub(crate) parameters: Vec<Parameter>,
    /// Client.
    pub(crate) app: &'static App,
}

/// A change of the directory.
#[derive(Debug, Clone)]
pub(crate) struct Directory {
    /// Name as the Entra audit log spells it; the audit log adds a period.
    pub(crate) operation: &'static str,
    /// Category of the Entra audit log.
    pub(crate) category: &'static str,
    /// Service that logged it.
    pub(crate) service: &'static str,
    /// `User`, `ServicePrincipal`, `Role`.
    pub(crate) target_type: &'static str,
    /// Id of what was changed.
    pub(crate) target_id: Guid,
    /// Its name.
    pub(crate) target_name: String,
    /// Its user principal name, or the application's id.
    pub(crate) target_key: String,
    /// What the Entra audit log says of the result.
    pub(crate) reason: &'static str,
    /// Property, old value, new value.
    pub(crate) modified: Vec<(&'static str, String, String)>,
}

/// A message in a mailbox, always the same for the same mailbox and number.
#[derive(Debug)]
pub(crate) struct Message {
    /// Half of its Message-ID.
    pub(crate) key: u64,
    /// Subject.
    pub(crate) subject: String,
    /// Sender.
    pub(crate) sender: String,
    /// Size, bytes.
    pub(crate) bytes: u64,
}

/// Messages that a mailbox receives on a working day.
pub(crate) const INBOUND_A_DAY: u64 = 12;
/// Messages that were in each mailbox before the first day.
pub(crate) const OLD_MESSAGES: u64 = 2_000;

/// Half of a message's Message-ID.
pub(crate) fn message_key(seed: u64, mailbox: u32, number: u64) -> u64 {
    mix([seed ^ 0x6d61_696c, mailbox.into(), number])
}

/// Size of a message, bytes.
pub(crate) fn message_bytes(key: u64) -> u64 {
    6_000 + key % 180_000
}

const SUBJECTS_JA: [&str; 16] = [
    "定例会議の議事録",
    "請求書送付のご案内",
    "お見積りの件",
    "納期のご確認",
    "図面差し替えのお願い",
    "出張申請の承認依頼",
    "品質会議の資料",
    "入金予定のご連絡",
    "設備点検の日程",
    "新製品の打ち合わせ",
    "契約書ドラフトのご確認",
    "在庫状況の共有",
    "健康診断のお知らせ",
    "週報",
    "工場見学の件",
    "支払条件のご相談",
];
const SUBJECTS_EN: [&str; 12] = [
    "Minutes of the weekly meeting",
    "Quote for the Q4 order",
    "Drawing revision",
    "Invoice and delivery note",
    "Shipment schedule",
    "Visit next month",
    "Test report",
    "Payment terms",
    "Updated price list",
    "Contract draft",
    "Stock overview",
    "Travel request",
];
const OUTSIDERS: [&str; 6] = ["yamane", "kuroda", "info", "n.fischer", "sales", "l.morgan"];

/// A subject that this person might write or read.
pub(crate) fn subject(is_japanese: bool, key: u64) -> String {
    let number = 100 + key % 900;
    let pick = usize::try_from(key >> 32).expect("32 bits fit");
    let text = if is_japanese { SUBJECTS_JA[pick % SUBJECTS_JA.len()] } else { SUBJECTS_EN[pick % SUBJECTS_EN.len()] };
    match key % 5 {
        0 | 1 => format!("RE: {text} #{number}"),
        2 => format!("【{number}】{text}"),
        _ => format!("{text} #{number}"),
    }
}

/// Somebody at a partner.
pub(crate) fn outsider(key: u64) -> String {
    let pick = usize::try_from(key >> 40).expect("24 bits fit");
    format!("{}@{}", OUTSIDERS[pick % OUTSIDERS.len()], PARTNERS[(pick >> 8) % PARTNERS.len()])
}

impl Message {
    /// The message with this number in a mailbox.
    pub(crate) fn of(seed: u64, owner: &Person, number: u64) -> Self {
        let key = message_key(seed, owner.index, number);
        let sender = if key % 10 < 4 { outsider(key) } else { format!("notice{}@{DOMAIN}", key % 4) };
        Self { key, subject: subject(owner.is_japanese, key), sender, bytes: message_bytes(key) }
    }
}

/// Collects events of one account from one seat.
pub(crate) struct Script<'a> {
    /// Chance.
    pub(crate) dice: &'a mut Dice,
    /// Where they go.
    pub(crate) events: &'a mut Vec<Event>,
}

impl Script<'_> {
    /// Something happens; gives the id of its records.
    pub(crate) fn push(&mut self, time: Time, user: u32, seat: Seat, what: What) -> Guid {
        let id = self.dice.guid();
        // Logs keep whole seconds; the fraction only orders.
        self.events.push(Event { time: Time(time.0 - time.0.rem_euclid(Time::SECOND_US)), id, user, seat, what });
        id
    }
}

//! What the actors of an incident read: exact where every read was recorded, and said where not.

use std::collections::{BTreeMap, BTreeSet};

use matagi_model::tables::SaasView;
use matagi_model::{
    Context, EntityKind, Exposure, ExposureQuality, Incident, Role, ScanError, Scanner, Severity, Table,
};

/// Messages counted for one mailbox of one incident; beyond it the figure is a lower bound.
const MESSAGES_MAX: usize = 500_000;

#[derive(Default)]
struct Read {
    messages: BTreeSet<String>,
    folders: BTreeSet<String>,
    readers: BTreeSet<String>,
    is_bounded: bool,
}

/// What an incident's actor is known by.
struct Actor {
    sources: BTreeSet<String>,
    victims: BTreeSet<String>,
}

const COLUMNS: [&str; 12] = [
    "api_operation",
    "user_name",
    "src_ip",
    "session_uid",
    "app_uid",
    "recovered",
    "mailbox",
    "client_app_uid",
    "access_type",
    "is_throttled",
    "folders",
    "message_uids",
];

/// Fills in `exposure` of every incident of medium or above with one pass over the reads of mail.
///
/// # Errors
/// When the evidence cannot be read.
pub fn measure(incidents: &mut [Incident], scanner: &dyn Scanner, context: &Context) -> Result<(), ScanError> {
    let actors: Vec<Option<Actor>> = incidents.iter().map(actor).collect();
    let mut reads: Vec<BTreeMap<String, Read>> = incidents.iter().map(|_| BTreeMap::new()).collect();
    let is_recorded = context.estate.operations.contains_key("MailItemsAccessed");
    if is_recorded && actors.iter().any(Option::is_some) {
        scanner.scan(Table::Saas, &COLUMNS, &mut |batch| {
            let row = SaasView::new(batch);
            for index in 0..batch.rows() {
                if row.api_operation.get(index) == Some("MailItemsAccessed") {
                    note(&row, index, &actors, &mut reads);
                }
            }
            Ok(())
        })?;
    }
    for ((incident, actor), reads) in incidents.iter_mut().zip(&actors).zip(reads) {
        let Some(actor) = actor else { continue };
        incident.exposure = if is_recorded {
            reads.into_iter().map(|(mailbox, read)| read.exposure(mailbox)).collect()
        } else {
            unknown(actor)
        };
    }
    Ok(())
}

fn actor(incident: &Incident) -> Option<Actor> {
    let of = |kinds: &[EntityKind], roles: &[Role]| {
        let chosen =
            incident.entities.iter().filter(|(entity, role)| kinds.contains(&entity.kind) && roles.contains(role));
        chosen.map(|(entity, _)| entity.value.clone()).collect::<BTreeSet<String>>()
    };
    let sources = of(&[EntityKind::Ip, EntityKind::Session, EntityKind::Application], &[Role::Source, Role::Target]);
    let victims = of(&[EntityKind::User, EntityKind::Mailbox], &[Role::Victim]);
    (incident.severity >= Severity::Medium && !sources.is_empty() && !victims.is_empty())
        .then_some(Actor { sources, victims })
}

fn note(row: &SaasView<'_>, index: usize, actors: &[Option<Actor>], reads: &mut [BTreeMap<String, Read>]) {
    let Some(mailbox) = row.own.mailbox.get(index).or_else(|| row.user_name.get(index)) else { return };
    let ip = row.src_ip.get(index).map(|ip| ip.to_string());
    let marks = [ip.as_deref(), row.session_uid.get(index), row.own.client_app_uid.get(index), row.app_uid.get(index)];
    for (actor, reads) in actors.iter().zip(reads) {
        let Some(actor) = actor.as_ref().filter(|actor| actor.victims.contains(mailbox)) else { continue };
        let own: Vec<&str> = marks.iter().flatten().copied().filter(|mark| actor.sources.contains(*mark)).collect();
        if own.is_empty() {
            continue;
        }
        let read = reads.entry(mailbox.to_owned()).or_default();
        if read.readers.len() < Exposure::READERS_MAX {
            read.readers.extend(own.into_iter().map(str::to_owned));
        }
        let messages = row.own.message_uids.get(index);
        let room = MESSAGES_MAX.saturating_sub(read.messages.len());
        read.is_bounded |= messages.len() > room
            || row.own.is_throttled.get(index) == Some(true)
            || row.recovered.get(index).is_some_and(|why| why != "time");
        read.messages.extend(messages.into_iter().take(room));
        if row.own.access_type.get(index) == Some("Sync") {
            read.folders.extend(row.own.folders.get(index));
        }
    }
}

impl Read {
    fn exposure(self, mailbox: String) -> Exposure {
        Exposure {
            mailbox,
            messages: self.messages.len() as u64,
            message_uids: self.messages.into_iter().take(Exposure::MESSAGES_MAX).collect(),
            folders: self.folders.into_iter().collect(),
            readers: self.readers.into_iter().take(Exposure::READERS_MAX).collect(),
            quality: if self.is_bounded { ExposureQuality::LowerBound } else { ExposureQuality::Exact },
        }
    }
}

fn unknown(actor: &Actor) -> Vec<Exposure> {
    let mailboxes = actor.victims.iter().filter(|victim| victim.contains('@'));
    mailboxes
        .map(|mailbox| Exposure {
            mailbox: mailbox.clone(),
            messages: 0,
            message_uids: Vec::new(),
            folders: Vec::new(),
            readers: Vec::new(),
            quality: ExposureQuality::Unknown,
        })
        .collect()
}

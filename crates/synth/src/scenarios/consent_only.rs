//! The user lets an application in; nobody needs a password.

use super::Actor;
use super::acts::page;
use crate::world::{EXCHANGE, GRAPH};

/// Nights on which the application comes back.
const NIGHTS: u32 = 3;

pub(super) fn plant(actor: &mut Actor<'_>) {
    let person = actor.company.person(actor.victim);
    let own = person.at_laptop(person.office, actor.company.seed, actor.day);
    let asked = actor.act(15 * 60 + 11, own, page(&EXCHANGE, &GRAPH, 65001, false));
    let mut acts = vec![asked];
    acts.extend(actor.consent(
        15 * 60 + 12,
        own,
        "Document Viewer 365",
        "Mail.Read MailboxSettings.Read User.Read offline_access",
    ));
    actor.step("consent", &["MBX-029"], acts);
    actor.holds_the_account(15 * 60 + 12);

    let app_seat = actor.app_seat(actor.first);
    let mut read = actor.read(15 * 60 + 20, app_seat, 80, Some(actor.app));
    let day = actor.day;
    for night in 1..=NIGHTS {
        actor.day = day + night;
        if actor.day < actor.company.days {
            read.extend(actor.read(3 * 60, app_seat, 12, Some(actor.app)));
        }
    }
    actor.day = day;
    actor.step("app-read", &["MBX-040", "MBX-042"], read);
}

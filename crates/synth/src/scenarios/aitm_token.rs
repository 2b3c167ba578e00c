//! A phishing page relays a sign-in, second factor and all; the session is used from elsewhere.

use super::Actor;
use super::acts::{page, renewal};
use crate::event::What;
use crate::habits::about;
use crate::world::{Device, EXCHANGE, OFFICE_HOME, RELAY, Seat};

pub(super) fn plant(actor: &mut Actor<'_>) {
    let (near, far) = (actor.seat(actor.first), actor.seat(actor.second));
    let relay = Seat { device: Device { client: &RELAY, id: None }, ..near };
    actor.holds_the_account(11 * 60 + 2);
    let relayed = actor.act(11 * 60 + 2, relay, page(&OFFICE_HOME, &EXCHANGE, 0, true));
    actor.step("relayed-sign-in", &["MBX-007", "MBX-015", "MBX-016"], vec![relayed]);
    let moved = [11 * 60 + 9, 11 * 60 + 14].map(|minutes| actor.act(minutes, far, renewal(&EXCHANGE, &EXCHANGE)));
    actor.step("session-moved", &["MBX-017"], moved.into());

    let mut change =
        about(actor.company.person(actor.victim), "User registered security info", "UserManagement", Vec::new());
    change.service = "Authentication Methods";
    let method = actor.act(11 * 60 + 17, far, What::Directory(Box::new(change)));
    actor.step("method-added", &["MBX-033"], vec![method]);

    let hiding = vec![
        ("FromAddressContainsWords", "kumano-kogyo.example".to_owned()),
        ("MoveToFolder", "Conversation History".to_owned()),
        ("MarkAsRead", "True".to_owned()),
        ("StopProcessingRules", "True".to_owned()),
    ];
    let hiding = actor.rule(11 * 60 + 25, far, "..", hiding);
    actor.step("hiding-rule", &["MBX-022"], vec![hiding]);
    let read = actor.read(11 * 60 + 30, far, 110, None);
    actor.step("mail-read", &["MBX-040"], read);
    let sent = actor.fraud_mail(14 * 60 + 3, far, "RE: お見積りの件 #208");
    actor.step("fraud-mail", &["MBX-051", "MBX-053"], vec![sent]);
}

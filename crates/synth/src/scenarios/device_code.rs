//! The user types a code that somebody sent; the token goes to a machine that then joins the directory.

use super::Actor;
use super::acts::{Machine, background, device_added};
use crate::event::{Protocol, Second, SignIn, What};
use crate::world::{API, BROKER, DEVICE_REGISTRATION, Device, EXCHANGE, GRAPH, OUTLOOK, Seat};

/// As a join by script leaves it: a name of eight random letters, and a build that nobody installs any more.
const MACHINE: Machine = Machine { id: 0, name: "DESKTOP-8F3K2QLA", os: ["Windows", "10.0.19041.928"] };

pub(super) fn plant(actor: &mut Actor<'_>) {
    let person = actor.company.person(actor.victim);
    let machine = Machine { id: actor.dice.guid(), ..MACHINE };
    let (near, far) = (actor.seat(actor.first), actor.seat(actor.second));
    // The page with the code is opened at the victim's own machine; the session belongs to whoever waits for the token.
    let page = Seat { session: near.session, ..person.at_laptop(person.office, actor.company.seed, actor.day) };
    let waiting = Seat { device: Device { client: &API, id: None }, ..near };
    actor.holds_the_account(10 * 60 + 40);
    let typed = actor.act(10 * 60 + 40, page, typed());
    actor.step("device-code-sign-in", &["MBX-010"], vec![typed]);
    let fetched = [(10 * 60 + 41, &DEVICE_REGISTRATION), (10 * 60 + 43, &GRAPH)].map(|(minutes, resource)| {
        actor.act(minutes, waiting, background(&BROKER, resource, Protocol::DeviceCodeToken))
    });
    actor.step("token-fetched-abroad", &["MBX-010", "MBX-016", "MBX-017"], fetched.into());
    let joined = actor.changes(10 * 60 + 46, waiting, device_added(person, &machine));
    actor.step("device-registered", &["MBX-035"], joined);

    let read = actor.read(10 * 60 + 55, waiting, 60, Some(BROKER.id));
    actor.step("mail-read-by-graph", &["MBX-040", "MBX-042"], read);
    let mailbox = Seat { device: Device { id: Some(machine.id), ..far.device }, ..far };
    let renewed = actor.act(12 * 60 + 2, mailbox, background(&OUTLOOK, &EXCHANGE, Protocol::DeviceCodeToken));
    actor.step("session-moved", &["MBX-016", "MBX-017"], vec![renewed]);
    let queries = ["請求書 振込先", "口座変更", "invoice bank account", "パスワード"];
    let searched = actor.searches(12 * 60 + 5, mailbox, "SearchQueryInitiatedExchange", &queries);
    actor.step("money-search", &["MBX-044"], searched);
    let read = actor.read(12 * 60 + 20, mailbox, 48, None);
    actor.step("mail-read", &["MBX-040"], read);

    actor.come_back();
    let answer = actor.answer(12 * 60 + 30);
    let hiding = vec![
        ("From", answer.to.concat()),
        ("MoveToFolder", "RSS Feeds".to_owned()),
        ("MarkAsRead", "True".to_owned()),
        ("StopProcessingRules", "True".to_owned()),
    ];
    let hiding = actor.rule(13 * 60 + 32, mailbox, "...", hiding);
    actor.step("hiding-rule", &["MBX-022"], vec![hiding]);
    let sent = [13 * 60 + 41, 13 * 60 + 58].map(|minutes| {
        let mail = What::Send(Box::new(answer.clone()));
        actor.act(minutes, mailbox, mail)
    });
    actor.step("fraud-mail", &["MBX-051", "MBX-053"], sent.into());
}

/// The code is typed, and the password and the second factor are right.
const fn typed() -> What {
    What::SignIn(SignIn {
        is_interactive: true,
        app: &BROKER,
        resource: &DEVICE_REGISTRATION,
        error: 0,
        protocol: Protocol::DeviceCode,
        second: Second::Claim,
        is_audited: true,
    })
}

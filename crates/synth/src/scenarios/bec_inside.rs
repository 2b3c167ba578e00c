//! Somebody knows the password and asks the phone until it says yes; the fraud then comes from inside.

use super::acts::{cmdlet, page, push};
use super::{Act, Actor};
use crate::audit::sent_key;
use crate::event::{Protocol, Second, Sent, SignIn, What};
use crate::world::{Device, EXCHANGE, LEGACY, OFFICE_HOME, RENTED_HOMES, Seat};

/// Requests before somebody gives in.
const REQUESTS: i64 = 9;

pub(super) fn plant(actor: &mut Actor<'_>) {
    // Homes instead of hosting: no list of hosting networks names them.
    actor.first = RENTED_HOMES[0].somewhere(&mut actor.dice);
    actor.second = RENTED_HOMES[1].somewhere(&mut actor.dice);
    let near = actor.seat(actor.first);
    blocked(actor, near);
    fatigue(actor, near);
    hide_and_read(actor, near);
    actor.come_back();
    send(actor, near);
}

/// The password is right, but neither the old protocol nor the page lets anybody in.
fn blocked(actor: &mut Actor<'_>, seat: Seat) {
    let legacy = Seat { device: Device { client: &LEGACY, id: None }, ..seat };
    let tried = SignIn {
        is_interactive: true,
        app: &EXCHANGE,
        resource: &EXCHANGE,
        error: 53003,
        protocol: Protocol::Imap,
        second: Second::Unasked,
        is_audited: true,
    };
    let tried = actor.act(5 * 60 + 48, legacy, What::SignIn(tried));
    let asked = actor.act(5 * 60 + 55, seat, page(&OFFICE_HOME, &EXCHANGE, 50074, false));
    actor.step("password-right-but-blocked", &["MBX-013"], vec![tried, asked]);
}

/// At breakfast the phone asks again and again.
fn fatigue(actor: &mut Actor<'_>, seat: Seat) {
    let asked: Vec<Act> = (0..REQUESTS)
        .map(|turn| {
            let second = if turn % 3 == 2 { Second::Denied } else { Second::Unanswered };
            actor.act(7 * 60 + 10 + turn, seat, push(&OFFICE_HOME, &EXCHANGE, second))
        })
        .collect();
    actor.step("push-requests", &["MBX-011"], asked);
    actor.holds_the_account(7 * 60 + 22);
    let approved = actor.act(7 * 60 + 22, seat, push(&OFFICE_HOME, &EXCHANGE, Second::Approved));
    actor.step("push-approved", &["MBX-011", "MBX-015", "MBX-016"], vec![approved]);
}

fn hide_and_read(actor: &mut Actor<'_>, seat: Seat) {
    let hiding = vec![
        ("SubjectOrBodyContainsWords", "振込;口座;入金;支払".to_owned()),
        ("MoveToFolder", "Archive".to_owned()),
        ("MarkAsRead", "True".to_owned()),
        ("StopProcessingRules", "True".to_owned()),
    ];
    let hiding = actor.rule(7 * 60 + 36, seat, ",", hiding);
    actor.step("hiding-rule", &["MBX-022"], vec![hiding]);
    let read = actor.read(7 * 60 + 41, seat, 36, None);
    actor.step("thread-read", &["MBX-040"], read);
    let victim = actor.victim_upn().to_owned();
    let target = format!("smtp:matagi-synth.{:08x}@outlook.com", actor.dice.below(1 << 32));
    let parameters = vec![
        ("Identity", victim.clone()),
        ("ForwardingSmtpAddress", target),
        ("DeliverToMailboxAndForward", "True".to_owned()),
    ];
    let forwarding = actor.act(8 * 60 + 4, seat, cmdlet("Set-Mailbox", &victim, parameters));
    actor.step("mailbox-forwarding", &["MBX-024"], vec![forwarding]);
}

/// The victim looks after the mailboxes of the board, so the account may give itself the right to send as them.
fn send(actor: &mut Actor<'_>, seat: Seat) {
    let read = actor.read(10 * 60 + 2, seat, 14, None);
    actor.step("thread-read-again", &["MBX-040"], read);
    if let Some(superior) = actor.superior {
        let boss = actor.company.person(superior).upn.clone();
        let parameters = vec![
            ("Identity", boss.clone()),
            ("Trustee", actor.victim_upn().to_owned()),
            ("AccessRights", "SendAs".to_owned()),
        ];
        let granted = actor.act(10 * 60 + 20, seat, cmdlet("Add-RecipientPermission", &boss, parameters));
        actor.step("send-as-granted", &["MBX-027"], vec![granted]);
        let accounting = actor.company.of(crate::company::Department::Accounting).next();
        let to = accounting.map(|person| person.upn.clone()).into_iter().collect();
        let mail =
            Sent { subject: "【至急】本日中の送金のお願い".to_owned(), to, sent_as: Some(superior) };
        let sent = actor.act(10 * 60 + 34, seat, What::Send(Box::new(mail)));
        actor.step("sent-as-superior", &["MBX-052"], vec![sent]);
    }
    let answer = actor.answer(10 * 60 + 2);
    let sent = [11 * 60 + 3, 11 * 60 + 19].map(|minutes| {
        let mail = What::Send(Box::new(answer.clone()));
        actor.act(minutes, seat, mail)
    });
    let ids = actor.step("fraud-mail", &["MBX-051", "MBX-053"], sent.into());
    let traces = ids.into_iter().map(|id| (sent_key(id), answer.subject.clone())).collect();
    let deleted = actor.delete(11 * 60 + 27, seat, "\\Sent Items", traces);
    actor.step("sent-mail-deleted", &["MBX-048"], vec![deleted]);
}

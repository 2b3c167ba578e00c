//! A guessed password becomes a mailbox that works for somebody else, within one day.

use matagi_model::Time;

use super::acts::{cmdlet, page, renewal};
use super::{Act, Actor};
use crate::event::{Protocol, Second, SignIn, What};
use crate::world::{DIRECTORY, Device, EXCHANGE, POWERSHELL, SPRAYER, Seat};

/// Accounts tried at most: a careful actor stays small.
const TARGETS_MAX: usize = 60;
/// Passwords tried on each account.
const ROUNDS: i64 = 2;

pub(super) fn plant(actor: &mut Actor<'_>) {
    let guess_end = spray(actor);
    let (near, far) = (actor.seat(actor.first), actor.seat(actor.second));
    let sprayer = Seat { device: Device { client: &SPRAYER, id: None }, ..near };
    // The directory's old interface asks for no second factor.
    actor.holds_the_account(guess_end);
    let grant = actor.act(guess_end, sprayer, guess(0));
    actor.step("password-grant", &["MBX-002", "MBX-005"], vec![grant]);

    let sign_in = actor.act(10 * 60 + 5, near, page(&EXCHANGE, &EXCHANGE, 0, false));
    actor.step("sign-in-from-abroad", &["MBX-015", "MBX-016"], vec![sign_in]);
    let renew = actor.act(10 * 60 + 21, far, renewal(&EXCHANGE, &EXCHANGE));
    actor.step("session-moved", &["MBX-017"], vec![renew]);
    rules(actor, far);

    let scopes = "Mail.Read Mail.ReadWrite User.Read offline_access";
    let consent = actor.consent(10 * 60 + 41, far, "Mail Backup Assistant", scopes);
    actor.step("consent", &["MBX-029"], consent);
    let read = actor.read(10 * 60 + 46, far, 140, None);
    actor.step("mail-read", &["MBX-040"], read);
    let app_seat = actor.app_seat(actor.first);
    let app_read = actor.read(11 * 60 + 20, app_seat, 60, Some(actor.app));
    actor.step("app-read", &["MBX-042"], app_read);
    delegate(actor, far);
    let sent = [
        (13 * 60 + 10, "RE: 請求書送付のご案内 #412"),
        (13 * 60 + 26, "RE: 請求書送付のご案内 #412 振込先変更のお願い"),
    ];
    let sent = sent.map(|(minutes, subject)| actor.fraud_mail(minutes, far, subject));
    actor.step("fraud-mail", &["MBX-051", "MBX-053"], sent.into());
}

/// Name and password straight to the token endpoint, with this result.
pub(super) const fn guess(error: u32) -> What {
    What::SignIn(SignIn {
        is_interactive: true,
        app: &POWERSHELL,
        resource: &DIRECTORY,
        error,
        protocol: Protocol::Password,
        second: Second::Unasked,
        is_audited: true,
    })
}

/// Two rounds over many accounts; in the second the victim's password is right. Gives the minute after the last guess.
pub(super) fn spray(actor: &mut Actor<'_>) -> i64 {
    let company = actor.company;
    let mut targets: Vec<u32> = company.people[..company.persons]
        .iter()
        .map(|person| person.index)
        .filter(|index| *index != actor.victim)
        .collect();
    actor.dice.shuffle(&mut targets);
    targets.truncate(TARGETS_MAX - 1);
    targets.push(actor.victim);
    actor.dice.shuffle(&mut targets);
    let near = actor.seat(actor.first);
    let seat = Seat { device: Device { client: &SPRAYER, id: None }, ..near };
    let mut time = company.at(actor.day, 2 * 60 + 10);
    let (mut tried, mut right) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for user in &targets {
            time = time.plus_us(actor.dice.within(18, 34) * Time::SECOND_US);
            let is_right = *user == actor.victim && round == ROUNDS - 1;
            let acts = if is_right { &mut right } else { &mut tried };
            acts.push(Act { time, user: *user, seat, what: guess(if is_right { 50076 } else { 50126 }) });
        }
        time = time.plus_us(8 * Time::MINUTE_US);
    }
    actor.step("spray", &["MBX-001"], tried);
    actor.step("password-proven", &["MBX-002", "MBX-013"], right);
    time.since_us(company.midnight(actor.day)) / Time::MINUTE_US + 4
}

fn rules(actor: &mut Actor<'_>, seat: Seat) {
    let hiding = vec![
        ("SubjectOrBodyContainsWords", "請求;振込;支払;口座;invoice;payment;bank".to_owned()),
        ("MoveToFolder", "RSS Feeds".to_owned()),
        ("MarkAsRead", "True".to_owned()),
        ("StopProcessingRules", "True".to_owned()),
    ];
    let hiding = actor.rule(10 * 60 + 24, seat, ".", hiding);
    actor.step("hiding-rule", &["MBX-022"], vec![hiding]);
    let target = format!("matagi-synth.{:08x}@proton.me", actor.dice.below(1 << 32));
    let forwarding = vec![("ForwardTo", target), ("StopProcessingRules", "False".to_owned())];
    let forwarding = actor.rule(10 * 60 + 31, seat, "..", forwarding);
    actor.step("forwarding-rule", &["MBX-023"], vec![forwarding]);
}

/// The victim manages shared mailboxes, so the account may give its own away.
fn delegate(actor: &mut Actor<'_>, seat: Seat) {
    let company = actor.company;
    let others = company.people[..company.persons].iter().filter(|person| person.index != actor.victim);
    let trustee = others.max_by_key(|person| person.index).map_or_else(String::new, |person| person.upn.clone());
    let victim = actor.victim_upn().to_owned();
    let parameters = vec![
        ("Identity", victim.clone()),
        ("User", trustee),
        ("AccessRights", "FullAccess".to_owned()),
        ("InheritanceType", "All".to_owned()),
    ];
    let act = actor.act(11 * 60 + 52, seat, cmdlet("Add-MailboxPermission", &victim, parameters));
    actor.step("delegation", &["MBX-027"], vec![act]);
}

//! A guessed password, and a whole night of reading: more than the audit log records.

use matagi_model::Time;

use super::acts::{cmdlet, page};
use super::spray_and_rules::{guess, spray};
use super::{Act, Actor};
use crate::event::{Bind, What};
use crate::habits::newest_message;
use crate::world::{Device, EXCHANGE, SPRAYER, Seat};

/// Records of opened messages a mailbox and a day after which the audit log gives up.
const RECORDS_MAX: u32 = 1_000;
/// Folders read at the same time; each gives a record every two minutes.
const FOLDERS: [&str; 5] = ["\\Inbox", "\\Sent Items", "\\Archive", "\\Inbox\\取引先", "\\Inbox\\経理"];

pub(super) fn plant(actor: &mut Actor<'_>) {
    let guess_end = spray(actor);
    let near = actor.seat(actor.first);
    let sprayer = Seat { device: Device { client: &SPRAYER, id: None }, ..near };
    actor.holds_the_account(guess_end);
    let grant = actor.act(guess_end, sprayer, guess(0));
    actor.step("password-grant", &["MBX-002", "MBX-005"], vec![grant]);
    // The spray over the largest company ends before half past three.
    let start = guess_end.max(3 * 60 + 30);
    let sign_in = actor.act(start, near, page(&EXCHANGE, &EXCHANGE, 0, false));
    actor.step("sign-in-from-abroad", &["MBX-015", "MBX-016"], vec![sign_in]);
    let folders = ["Inbox", "Sent Items", "Archive", "Drafts", "取引先", "経理"];
    let synced = folders.map(|folder| actor.act(start + 4, near, What::Sync { folder }));
    actor.step("folders-synchronised", &["MBX-041"], synced.into());
    let end = read_all(actor, near, start + 8);

    let victim = actor.victim_upn().to_owned();
    let bypass = vec![("Identity", victim.clone()), ("AuditBypassEnabled", "True".to_owned())];
    let disabled = vec![("Identity", victim.clone()), ("AuditEnabled", "False".to_owned())];
    let weakened = [("Set-MailboxAuditBypassAssociation", 6, bypass), ("Set-Mailbox", 9, disabled)]
        .map(|(operation, later, parameters)| actor.act(end + later, near, cmdlet(operation, &victim, parameters)));
    actor.step("audit-weakened", &["MBX-061"], weakened.into());
    let target = format!("matagi-synth.{:08x}@gmail.com", actor.dice.below(1 << 32));
    let forwarding = vec![("ForwardTo", target), ("StopProcessingRules", "False".to_owned())];
    let forwarding = actor.rule(end + 17, near, "-", forwarding);
    actor.step("forwarding-rule", &["MBX-023"], vec![forwarding]);
}

/// Reads until the audit log gives up, and gives the minute when it does.
fn read_all(actor: &mut Actor<'_>, seat: Seat, start: i64) -> i64 {
    let mut oldest = newest_message(actor.day, start);
    let mut read: Vec<Act> = Vec::with_capacity(RECORDS_MAX as usize);
    let mut minutes = start;
    for (turn, folder) in (0..RECORDS_MAX).zip(FOLDERS.into_iter().cycle()) {
        minutes = start + i64::from(turn / 5) * 2;
        let count = u32::try_from(actor.dice.within(1, 3)).expect("a small number");
        let bind = Bind { mailbox: actor.victim, first: oldest, count, folder, app: None, is_throttled: false };
        read.push(actor.act(minutes, seat, What::Bind(bind)));
        oldest = oldest.saturating_sub(count.into());
    }
    read.sort_by_key(|act| act.time);
    let mut last: Vec<Act> = read.split_off(read.len() - 1);
    for act in &mut last {
        if let What::Bind(bind) = &mut act.what {
            bind.is_throttled = true;
        }
    }
    actor.step("mail-read", &["MBX-040"], read);
    actor.throttled = last.first().map(|act| act.time.plus_us(Time::SECOND_US));
    actor.step("audit-throttled", &["MBX-043"], last);
    minutes
}

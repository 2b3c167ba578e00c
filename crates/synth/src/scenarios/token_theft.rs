//! The token of a working session is copied from the machine and used from a rented one.

use super::acts::{method_added, page, renewal};
use super::{Act, Actor};
use crate::dice::mix;
use crate::event::{Arrived, Share, What};
use crate::world::{EXCHANGE, SECURITY_INFO, SHAREPOINT, Seat};

/// Files taken.
const FILES: u64 = 64;
/// What the links give away.
const SHARED: [&str; 12] = [
    "請求書一覧_2026年上期.xlsx",
    "振込先一覧.xlsx",
    "取引先口座一覧.xlsx",
    "見積原価表.xlsx",
    "支払予定表_9月.xlsx",
    "契約書_控え.pdf",
    "password-list.xlsx",
    "payment-schedule-Q4.xlsx",
    "bank-accounts.xlsx",
    "invoice-archive.zip",
    "給与振込データ.csv",
    "与信限度額.xlsx",
];

pub(super) fn plant(actor: &mut Actor<'_>) {
    let (company, person) = (actor.company, actor.company.person(actor.victim));
    let own = person.at_laptop(person.office, company.seed, actor.day);
    actor.session = own.session;
    // The sign-in whose token is copied within the hour: the same person, in the office, as on any other day.
    actor.aside(10 * 60 + 3, own, page(&EXCHANGE, &EXCHANGE, 0, true));
    let (near, far) = (actor.seat(actor.first), actor.seat(actor.second));
    actor.holds_the_account(10 * 60 + 20);
    let replayed = actor.read(10 * 60 + 20, near, 24, None);
    actor.step("token-replayed", &["MBX-018"], replayed);
    let renewed = actor.act(11 * 60 + 2, near, renewal(&EXCHANGE, &EXCHANGE));
    actor.step("session-elsewhere", &["MBX-016", "MBX-017"], vec![renewed]);
    let read = actor.read(11 * 60 + 8, near, 72, None);
    actor.step("mail-read", &["MBX-040"], read);
    second_factor(actor, own, near);
    files(actor, near);

    actor.come_back();
    let renewed = actor.act(14 * 60 + 10, far, renewal(&EXCHANGE, &SHAREPOINT));
    actor.step("session-moved-again", &["MBX-016", "MBX-017"], vec![renewed]);
    let read = actor.read(14 * 60 + 16, far, 40, None);
    actor.step("new-mail-read", &["MBX-040"], read);
}

/// A method of the actor's own, and the notice about it removed.
fn second_factor(actor: &mut Actor<'_>, own: Seat, seat: Seat) {
    let person = actor.company.person(actor.victim);
    let phone = actor.dice.guid();
    let mut added = vec![actor.act(11 * 60 + 28, seat, renewal(&SECURITY_INFO, &SECURITY_INFO))];
    added.extend(actor.changes(11 * 60 + 30, seat, method_added(person, "SM-S921B", phone)));
    actor.step("method-added", &["MBX-033"], added);
    let key = mix([actor.company.seed, actor.victim.into(), 53]);
    let subject = "【情報システム部】多要素認証（MFA）のセキュリティ情報が追加されました".to_owned();
    let sender = format!("notice0@{}", crate::company::DOMAIN);
    let notice = Arrived { key, sender, subject: subject.clone() };
    actor.aside(11 * 60 + 31, own, What::Arrive(Box::new(notice)));
    let deleted = actor.delete(11 * 60 + 34, seat, "\\Inbox", vec![(key, subject)]);
    actor.step("notice-deleted", &["MBX-049"], vec![deleted]);
}

fn files(actor: &mut Actor<'_>, seat: Seat) {
    let queries = ["口座 振込", "見積 原価", "password"];
    let searched = actor.searches(11 * 60 + 40, seat, "SearchQueryInitiatedSharePoint", &queries);
    actor.step("money-search", &["MBX-044"], searched);
    let first = actor.dice.below(3_000);
    // Some five seconds a file: a script.
    let taken: Vec<Act> = (0..FILES)
        .map(|number| {
            let minutes = 11 * 60 + 50 + i64::try_from(number / 12).expect("a small number");
            actor.act(minutes, seat, What::File { operation: "FileDownloaded", number: first + number * 7 % 991 })
        })
        .collect();
    actor.step("files-downloaded", &["MBX-046"], taken);
    let shared: Vec<Act> = (0..)
        .zip(SHARED)
        .map(|(turn, file)| {
            let share = Share { operation: "AnonymousLinkCreated", file: file.to_owned(), guest: None };
            actor.act(13 * 60 + 5 + turn * 3, seat, What::Share(Box::new(share)))
        })
        .collect();
    actor.step("anonymous-links", &["MBX-045"], shared);
}

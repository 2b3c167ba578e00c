//! Colleagues whose habits, devices and rights look like a takeover.

use super::Scene;
use crate::company::Stay;
use crate::event::{Bind, Protocol, Second, Sent, Share, SignIn, What};
use crate::habits::{newest_message, whereabouts};
use crate::scenarios::acts::{Machine, background, device_added, method_added, page, push, renewal};
use crate::world::{
    COMMAND_LINE_APP, Device, EXCHANGE, MANAGEMENT, OFFICE_HOME, OUTLOOK, PHONES, PRINTER, SECURITY_INFO, Seat,
};

impl Scene<'_> {
    /// It goes on during all days of the plan.
    fn lasts(&mut self) {
        self.first = self.company.start;
        self.last = self.company.midnight(self.company.days);
    }

    /// Days of the plan that are worked.
    fn working_days(&self) -> Vec<u32> {
        (0..self.company.days).filter(|day| self.company.working[*day as usize]).collect()
    }
}

/// The newest messages are opened.
fn opened(user: u32, day: u32, minutes: i64, count: u32) -> What {
    let first = newest_message(day, minutes);
    What::Bind(Bind { mailbox: user, first, count, folder: "\\Inbox", app: None, is_throttled: false })
}

/// Somebody in accounting looks for payments every day, because that is the work.
pub(super) fn accountant_searches(scene: &mut Scene<'_>) {
    let user = scene.users[0];
    for (number, day) in scene.working_days().into_iter().enumerate() {
        scene.day = day;
        let seat = scene.in_office(user);
        let queries = [["請求書", "入金 確認"], ["振込", "invoice"], ["支払予定", "口座"]];
        for (turn, query) in (0..).zip(queries[number % queries.len()]) {
            let minutes = 10 * 60 + 15 + turn * 190 + scene.dice.within(0, 40);
            let search = What::Search { operation: "SearchQueryInitiatedExchange", query };
            scene.add(scene.company.at(day, minutes), user, seat, search);
        }
    }
    scene.lasts();
}

/// The printer in Osaka fetches jobs by IMAP and sends scans by SMTP, as it did when it was bought.
pub(super) fn legacy_printer(scene: &mut Scene<'_>) {
    let Some(printer) = scene.company.people.iter().find(|person| person.upn.starts_with("scan")) else { return };
    let (user, upn) = (printer.index, printer.upn.clone());
    let seat = printer.at_laptop(printer.office, scene.company.seed, 0);
    let seat = Seat { device: Device { client: &PRINTER, id: None }, ..seat };
    scene.others.insert(upn);
    for day in 0..scene.company.days {
        for (minutes, protocol) in [(7 * 60, Protocol::Imap), (12 * 60 + 30, Protocol::Imap), (17 * 60, Protocol::Smtp)]
        {
            let time = scene.company.at(day, minutes + scene.dice.within(0, 5));
            scene.add(time, user, seat, background(&EXCHANGE, &EXCHANGE, protocol));
        }
    }
    scene.lasts();
}

/// The administrator signs the command line in by a code, every week.
pub(super) fn command_line_admin(scene: &mut Scene<'_>) {
    let admin = scene.company.admin().index;
    scene.others.insert(scene.company.person(admin).upn.clone());
    for week in 0..scene.company.days.div_ceil(7) {
        scene.day = scene.company.working_day_near((week * 7 + 1).min(scene.company.days - 1));
        let seat = scene.in_office(admin);
        let sign_in = SignIn {
            is_interactive: true,
            app: &COMMAND_LINE_APP,
            resource: &MANAGEMENT,
            error: 0,
            protocol: Protocol::DeviceCode,
            second: Second::Claim,
            is_audited: true,
        };
        scene.add(scene.company.at(scene.day, 13 * 60 + 20), admin, seat, What::SignIn(sign_in));
        let renewed = background(&COMMAND_LINE_APP, &MANAGEMENT, Protocol::DeviceCodeToken);
        scene.add(scene.company.at(scene.day, 13 * 60 + 22), admin, seat, renewed);
    }
    scene.lasts();
}

/// The phone shows requests late: two are declined, the third is approved, all at the desk.
pub(super) fn flaky_push(scene: &mut Scene<'_>) {
    let user = scene.users[0];
    let seat = scene.in_office(user);
    for (minutes, second) in [(0, Second::Denied), (2, Second::Denied), (4, Second::Approved)] {
        let time = scene.company.at(scene.day, 13 * 60 + 5 + minutes);
        scene.add(time, user, seat, push(&OFFICE_HOME, &EXCHANGE, second));
    }
}

/// A new company phone is set up at the desk: an authenticator app, and the phone joins the directory.
pub(super) fn new_method(scene: &mut Scene<'_>) {
    let user = scene.users[0];
    let seat = scene.in_office(user);
    let phone = Device { client: &PHONES[0], id: Some(scene.dice.guid()) };
    scene.company.new_phones.insert(user, (scene.day, phone));
    let machine = Machine { id: phone.id.unwrap_or_default(), name: "iPhone", os: ["iOS", "18.5"] };
    let person = scene.company.person(user);
    let changes: Vec<_> =
        method_added(person, "iPhone", machine.id ^ 0x1).into_iter().chain(device_added(person, &machine)).collect();
    scene.add(scene.company.at(scene.day, 14 * 60), user, seat, page(&SECURITY_INFO, &SECURITY_INFO, 0, true));
    for (turn, change) in (3..).step_by(2).zip(changes) {
        scene.add(scene.company.at(scene.day, 14 * 60 + turn), user, seat, What::Directory(Box::new(change)));
    }
}

/// An assistant writes in the name of a superior; the right is older than the evidence.
pub(super) fn assistant_sends_as(scene: &mut Scene<'_>) {
    let (assistant, superior) = (scene.users[0], scene.users[1]);
    let colleague = scene.company.admin().upn.clone();
    for day in scene.working_days().into_iter().step_by(2) {
        scene.day = day;
        let seat = scene.in_office(assistant);
        let mail = Sent {
            subject: format!("【連絡】役員会の日程について #{}", 100 + day),
            to: vec![colleague.clone()],
            sent_as: Some(superior),
        };
        let time = scene.company.at(day, 15 * 60 + 30 + scene.dice.within(0, 50));
        scene.add(time, assistant, seat, What::Send(Box::new(mail)));
    }
    scene.lasts();
}

/// A project shares its drawings with the partner that makes the parts.
pub(super) fn shared_with_partner(scene: &mut Scene<'_>) {
    let files = ["図面_ブラケット_rev3.pdf", "組立手順書.docx", "test-report-0917.pdf"];
    for (position, user) in (0..).zip(scene.users) {
        let seat = scene.in_office(*user);
        for (turn, file) in (0..).zip(files) {
            let guest = Some("n.fischer@elbwerk.example".to_owned());
            let share = Share { operation: "AddedToSecureLink", file: file.to_owned(), guest };
            let time = scene.company.at(scene.day, 13 * 60 + 40 + position * 60 + turn * 4);
            scene.add(time, *user, seat, What::Share(Box::new(share)));
        }
        let share =
            Share { operation: "AnonymousLinkCreated", file: "納入仕様書_公開版.pdf".to_owned(), guest: None };
        let time = scene.company.at(scene.day, 14 * 60 + 10 + position * 60);
        scene.add(time, *user, seat, What::Share(Box::new(share)));
    }
}

/// A laptop goes to the office and home again within the same session, once within the life of a token.
pub(super) fn laptop_moves(scene: &mut Scene<'_>) {
    let user = scene.users[0];
    let days: Vec<u32> = scene.working_days().into_iter().filter(|day| *day >= scene.day).take(3).collect();
    for day in days {
        scene.company.stays.insert((user, day), Stay::Office);
        let person = scene.company.person(user);
        let hours = whereabouts(scene.company, person, day);
        let office = person.at_laptop(person.office, scene.company.seed, day);
        let home = Seat { place: person.home, ..office };
        // Mail at breakfast, and the way to work before it begins.
        let morning = hours.from - 75;
        let read = opened(user, day, morning + 4, 3);
        scene.add(scene.company.at(day, morning), user, home, renewal(&OUTLOOK, &EXCHANGE));
        scene.add(scene.company.at(day, morning + 4), user, home, read);
        // The first full hour after work begins a token that is used at the desk and, 50 minutes later, at home.
        let hour = (hours.to + 59) / 60 * 60;
        scene.add(scene.company.at(day, hour + 2), user, office, renewal(&OUTLOOK, &EXCHANGE));
        for (minutes, seat) in [(3, office), (54, home)] {
            let read = opened(user, day, hour + minutes, 2);
            scene.add(scene.company.at(day, hour + minutes), user, seat, read);
        }
        scene.last = scene.company.midnight(day + 1);
    }
}

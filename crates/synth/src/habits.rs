//! The ordinary life of the company: what each account does on each day.

use matagi_model::Time;

use crate::company::{Company, DOMAIN, Department, Person, Stay};
use crate::dice::{Dice, Guid, mix};
use crate::event::{
    Bind, Cmdlet, Directory, Event, INBOUND_A_DAY, OLD_MESSAGES, Parameter, Protocol, SYSTEM, Script, Second, Sent,
    SignIn, What, outsider, subject,
};
use crate::world::{
    API, App, CLOUD, CRM, Device, EXCHANGE, EXCHANGE_ADMIN, GRAPH, OFFICE_HOME, ONEDRIVE, OUTLOOK, OUTLOOK_MOBILE,
    PORTAL, Place, SERVICE, SHAREPOINT, Seat, TEAMS,
};

const DAY_PURPOSE: u64 = 2;
const INBOX: &str = "\\Inbox";

/// Where somebody is on a day, and until when the work lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whereabouts {
    /// Where the work machine is; `None` on a day off.
    pub(crate) work: Option<Place>,
    /// Where mail goes through while working: the office's egress for those who use the VPN.
    pub(crate) mail: Option<Place>,
    /// First minute of work after midnight.
    pub(crate) from: i64,
    /// Last minute.
    pub(crate) to: i64,
}

/// Where this person is on this day. Always the same answer.
pub(crate) fn whereabouts(company: &Company, person: &Person, day: u32) -> Whereabouts {
    let mut dice = Dice::of([company.seed, 3, person.index.into(), day.into()]);
    let from = person.start_minutes + dice.within(-15, 25);
    let to = from + 8 * 60 + dice.within(0, 110);
    let is_home = dice.chance(person.department.home_per_mille());
    let is_absent = dice.chance(40);
    let stay = company.stays.get(&(person.index, day));
    let is_off = !company.working[day as usize] || is_absent;
    let (work, mail) = match stay {
        Some(Stay::At(place)) => (Some(*place), Some(*place)),
        Some(Stay::Away) => (None, None),
        None if is_off => (None, None),
        None if is_home => (Some(person.home), Some(if person.uses_vpn { person.office } else { person.home })),
        None | Some(Stay::Office) => (Some(person.office), Some(person.office)),
    };
    Whereabouts { work, mail, from, to }
}

/// Number of the newest message in a mailbox at some minute of a day.
pub(crate) fn newest_message(day: u32, minutes: i64) -> u64 {
    let today = u64::try_from(minutes.clamp(0, 1439)).expect("not negative") * INBOUND_A_DAY / 1440;
    OLD_MESSAGES + u64::from(day) * INBOUND_A_DAY + today
}

/// Everything that an account does on a day, unless a scenario says more.
pub(crate) fn day(company: &Company, person: &Person, day: u32, events: &mut Vec<Event>) {
    let mut dice = Dice::of([company.seed, DAY_PURPOSE, person.index.into(), day.into()]);
    let mut diary = Diary { company, person, day, script: Script { dice: &mut dice, events } };
    if person.is_service() {
        diary.service();
        return;
    }
    let whereabouts = whereabouts(company, person, day);
    if let (Some(work), Some(mail)) = (whereabouts.work, whereabouts.mail) {
        diary.sign_in_for_work(work, whereabouts.from);
        diary.work(person.at_laptop(work, company.seed, day), person.at_laptop(mail, company.seed, day), whereabouts);
        diary.inbound(INBOUND_A_DAY);
    } else {
        diary.inbound(INBOUND_A_DAY / 4);
    }
    diary.phone(whereabouts);
    diary.rare(whereabouts);
    if person.department == Department::Sales {
        diary.crm();
    }
}

const fn success(app: &'static App, resource: &'static App, is_interactive: bool) -> SignIn {
    let protocol = if is_interactive { Protocol::Page } else { Protocol::Token };
    let second = if is_interactive { Second::Claim } else { Second::Unasked };
    SignIn { is_interactive, app, resource, error: 0, protocol, second, is_audited: is_interactive }
}

/// One account's day.
struct Diary<'a> {
    company: &'a Company,
    person: &'a Person,
    day: u32,
    script: Script<'a>,
}

impl Diary<'_> {
    fn at(&mut self, minutes: i64) -> Time {
        let seconds = self.script.dice.within(0, 59);
        self.company.at(self.day, minutes).plus_us(seconds * Time::SECOND_US)
    }

    fn add(&mut self, minutes: i64, seat: Seat, what: What) -> Guid {
        let time = self.at(minutes);
        self.script.push(time, self.person.index, seat, what)
    }

    fn sign_in(&mut self, minutes: i64, seat: Seat, sign_in: SignIn) {
        self.add(minutes, seat, What::SignIn(sign_in));
    }

    /// The first sign-in of a working day, with what usually goes wrong before it.
    fn sign_in_for_work(&mut self, place: Place, from: i64) {
        let seat = self.person.at_laptop(place, self.company.seed, self.day);
        let app = *self.script.dice.pick(&[&OFFICE_HOME, &EXCHANGE, &TEAMS]);
        let whole = success(app, if app == &TEAMS { &TEAMS } else { &EXCHANGE }, true);
        if self.script.dice.chance(50) {
            self.sign_in(from - 2, seat, SignIn { error: 50126, second: Second::Unasked, ..whole });
        }
        if self.script.dice.chance(250) {
            let interrupt = *self.script.dice.pick(&[50074, 50076, 50140, 50140, 50125, 65001]);
            // The rarer two only follow a reset or a new app.
            let interrupt =
                if matches!(interrupt, 50125 | 65001) && !self.script.dice.chance(100) { 50140 } else { interrupt };
            self.sign_in(from - 1, seat, SignIn { error: interrupt, second: Second::Unasked, ..whole });
        }
        self.sign_in(from, seat, whole);
        if self.script.dice.chance(450) {
            let app = *self.script.dice.pick(&[&SHAREPOINT, &TEAMS, &OFFICE_HOME]);
            let later = from + self.script.dice.within(120, 420);
            self.sign_in(later, seat, success(app, app, true));
        }
    }

    /// Mail, files, meetings of a working day.
    fn work(&mut self, seat: Seat, mail: Seat, hours: Whereabouts) {
        let (from, to) = (hours.from, hours.to);
        for app in [&OUTLOOK, &TEAMS, &ONEDRIVE] {
            for _ in 0..self.script.dice.within(1, 3) {
                let minutes = self.script.dice.within(from, to);
                self.sign_in(minutes, seat, success(app, if app == &OUTLOOK { &EXCHANGE } else { app }, false));
            }
        }
        for _ in 0..self.script.dice.within(3, 7) {
            let minutes = self.script.dice.within(from, to);
            self.bind(minutes, mail, 4);
        }
        for folder in ["Inbox", "Sent Items"] {
            let minutes = self.script.dice.within(from, to);
            self.add(minutes, mail, What::Sync { folder });
        }
        for _ in 0..self.script.dice.within(0, self.person.department.sends()) {
            let minutes = self.script.dice.within(from, to);
            self.send(minutes, mail);
        }
        for _ in 0..self.script.dice.within(1, 5) {
            let minutes = self.script.dice.within(from, to);
            let operation = *self.script.dice.pick(&["FileAccessed", "FileAccessed", "FileModified", "FileDownloaded"]);
            let number = self.script.dice.below(4_000);
            self.add(minutes, seat, What::File { operation, number });
        }
        self.add(from + 1, seat, What::Teams { operation: "TeamsSessionStarted" });
        if self.script.dice.chance(600) {
            let minutes = self.script.dice.within(from, to);
            self.add(minutes, seat, What::Teams { operation: "MessageSent" });
        }
    }

    fn bind(&mut self, minutes: i64, seat: Seat, most: i64) {
        let back = self.script.dice.below(20);
        let first = newest_message(self.day, minutes).saturating_sub(back);
        let count = u32::try_from(self.script.dice.within(1, most)).expect("a small number");
        let mailbox = self.person.index;
        self.add(
            minutes,
            seat,
            What::Bind(Bind { mailbox, first, count, folder: INBOX, app: None, is_throttled: false }),
        );
    }

    fn send(&mut self, minutes: i64, seat: Seat) {
        let key = mix([self.company.seed, self.script.dice.below(u64::MAX), 5]);
        let colleague = |dice: &mut Dice, company: &Company| {
            let index = dice.below(company.persons as u64);
            company.people[usize::try_from(index).expect("an index fits")].upn.clone()
        };
        let mut to = Vec::new();
        for _ in 0..self.script.dice.within(1, 2) {
            let recipient =
                if self.script.dice.chance(400) { outsider(key) } else { colleague(self.script.dice, self.company) };
            to.push(recipient);
        }
        to.dedup();
        let mail = Sent { subject: subject(self.person.is_japanese, key), to, sent_as: None };
        self.add(minutes, seat, What::Send(Box::new(mail)));
    }

    /// Mail that comes in; numbers run with the day, so that what is opened was received.
    fn inbound(&mut self, count: u64) {
        for position in 0..count {
            let minutes = i64::try_from(position * 1440 / INBOUND_A_DAY).expect("minutes of a day");
            let number = newest_message(self.day, minutes);
            let seat = self.person.at_laptop(SERVICE.place(1), self.company.seed, self.day);
            self.add(minutes, seat, What::Receive { number });
        }
    }

    /// Mail on the phone: the carrier by day, home in the evening.
    fn phone(&mut self, hours: Whereabouts) {
        let Some(device) = self.company.phone(self.person, self.day) else { return };
        let carrier_position =
            u32::try_from(mix([self.company.seed, self.person.index.into(), 21]) >> 32).expect("32 bits");
        let carrier = self.person.carrier.place(carrier_position);
        let sessions = [(carrier, hours.from - 40, hours.to), (self.person.home, 19 * 60, 23 * 60)];
        for (place, from, to) in sessions {
            // Roaming goes through the home carrier; the home network is out of reach.
            let is_on_trip = hours.work.is_some_and(|work| work.network.country != "JP");
            if is_on_trip && place.ip == self.person.home.ip {
                continue;
            }
            let seat = self.person.at_phone(device, place, self.company.seed, self.day);
            let minutes = self.script.dice.within(from, to);
            self.sign_in(minutes, seat, success(&OUTLOOK_MOBILE, &EXCHANGE, false));
            self.add(minutes + 1, seat, What::Sync { folder: "Inbox" });
            if self.script.dice.chance(500) {
                let minutes = self.script.dice.within(from, to);
                self.bind(minutes, seat, 2);
            }
        }
    }

    /// What happens once in a month or two.
    fn rare(&mut self, hours: Whereabouts) {
        let Some(work) = hours.work else { return };
        let seat = self.person.at_laptop(work, self.company.seed, self.day);
        if self.script.dice.chance(16) {
            let change = self.about_me("Change user password", "UserManagement", Vec::new());
            self.add(hours.from + 5, seat, What::Directory(Box::new(change)));
        }
        if self.person.department == Department::Systems && self.script.dice.chance(300) {
            self.administer(seat, hours);
        }
    }

    fn about_me(
        &self,
        operation: &'static str,
        category: &'static str,
        modified: Vec<(&'static str, String, String)>,
    ) -> Directory {
        about(self.person, operation, category, modified)
    }

    fn administer(&mut self, seat: Seat, hours: Whereabouts) {
        let minutes = self.script.dice.within(hours.from + 10, hours.to);
        self.sign_in(minutes - 5, seat, success(&PORTAL, &GRAPH, true));
        let index = self.script.dice.below(self.company.persons as u64);
        let other = &self.company.people[usize::try_from(index).expect("an index fits")];
        let what = if self.script.dice.chance(500) {
            let modified = vec![
                ("JobTitle", String::new(), "主任".to_owned()),
                ("Included Updated Properties", String::new(), "JobTitle".to_owned()),
            ];
            What::Directory(Box::new(about(other, "Update user", "UserManagement", modified)))
        } else {
            What::Cmdlet(Box::new(Cmdlet {
                operation: "Set-Mailbox",
                object: other.upn.clone(),
                parameters: vec![("Identity", other.upn.clone()), ("RetainDeletedItemsFor", "30.00:00:00".to_owned())],
                app: &EXCHANGE_ADMIN,
            }))
        };
        self.add(minutes, seat, what);
    }

    /// The customer database reads the mailboxes of sales, as it has for years.
    fn crm(&mut self) {
        for hour in [7, 13, 19] {
            let seat = Seat {
                place: CLOUD.place(2),
                device: Device { client: &API, id: None },
                session: crate::dice::mixed_guid([self.company.seed, self.person.index.into(), 31]),
            };
            let minutes = hour * 60 + self.script.dice.within(0, 20);
            let first = newest_message(self.day, minutes);
            let mailbox = self.person.index;
            let bind = Bind { mailbox, first, count: 3, folder: INBOX, app: Some(CRM.id), is_throttled: false };
            self.add(minutes, seat, What::Bind(bind));
        }
    }

    /// A script that reports, a scanner that mails.
    fn service(&mut self) {
        let seat = self.person.at_laptop(self.person.office, self.company.seed, 0);
        let is_scanner = self.person.upn.starts_with("scan");
        let (times, protocol) = if is_scanner { (3, Protocol::Smtp) } else { (2, Protocol::Token) };
        for round in 0..times {
            let minutes = 6 * 60 + round * 200 + self.script.dice.within(0, 9);
            let sign_in = SignIn {
                protocol,
                is_audited: false,
                ..success(&EXCHANGE, if is_scanner { &EXCHANGE } else { &GRAPH }, false)
            };
            self.sign_in(minutes, seat, sign_in);
        }
    }
}

/// A directory change about an account.
pub(crate) fn about(
    person: &Person,
    operation: &'static str,
    category: &'static str,
    modified: Vec<(&'static str, String, String)>,
) -> Directory {
    Directory {
        operation,
        category,
        service: "Core Directory",
        target_type: "User",
        target_id: person.id,
        target_name: person.name.clone(),
        target_key: person.upn.clone(),
        reason: "",
        modified,
    }
}

/// What Exchange Online does to itself every night.
pub(crate) fn system(company: &Company, day: u32, events: &mut Vec<Event>) {
    let mut dice = Dice::of([company.seed, 4, day.into(), 0]);
    let seat = Seat { place: SERVICE.place(3), device: Device { client: &API, id: None }, session: 0 };
    let minutes = 4 * 60 + dice.within(0, 50);
    let chores: [(&'static str, &str, Vec<Parameter>); 3] = [
        ("Install-AdminAuditLogConfig", "", vec![("Force", "True".to_owned())]),
        (
            "Add-MailboxPermission",
            "DiscoverySearchMailbox{D919BA05-46A6-415f-80AD-7E09334BB852}",
            vec![
                ("Identity", "DiscoverySearchMailbox{D919BA05-46A6-415f-80AD-7E09334BB852}".to_owned()),
                ("User", format!("{DOMAIN}/Discovery Management")),
                ("AccessRights", "FullAccess".to_owned()),
            ],
        ),
        (
            "Set-TransportConfig",
            "Transport Settings",
            vec![("OrganizationFederatedMailbox", "FederatedEmail".to_owned())],
        ),
    ];
    let mut script = Script { dice: &mut dice, events };
    for (offset, (operation, object, parameters)) in (0..).zip(chores) {
        let cmdlet = Cmdlet { operation, object: object.to_owned(), parameters, app: &EXCHANGE };
        script.push(company.at(day, minutes + offset), SYSTEM, seat, What::Cmdlet(Box::new(cmdlet)));
    }
}

/// One more ordinary event of somebody within an hour, to make an export larger.
pub(crate) fn more(company: &Company, day: u32, hour: i64, dice: &mut Dice) -> Event {
    let index = dice.below(company.persons as u64);
    let person = &company.people[usize::try_from(index).expect("an index fits")];
    let whereabouts = whereabouts(company, person, day);
    let is_office_hour = (hour * 60 + 59) >= whereabouts.from && hour * 60 <= whereabouts.to;
    let seat = match whereabouts.mail {
        Some(mail) if is_office_hour => person.at_laptop(mail, company.seed, day),
        _ => match company.phone(person, day) {
            Some(device) => person.at_phone(device, person.home, company.seed, day),
            None => person.at_laptop(person.home, company.seed, day),
        },
    };
    let minutes = hour * 60 + dice.within(0, 59);
    let what = match dice.below(10) {
        0..=5 => What::Bind(Bind {
            mailbox: person.index,
            first: newest_message(day, minutes).saturating_sub(dice.below(30)),
            count: u32::try_from(dice.within(1, 5)).expect("a small number"),
            folder: INBOX,
            app: None,
            is_throttled: false,
        }),
        6 => What::Sync { folder: "Inbox" },
        7 => What::File { operation: "FileAccessed", number: dice.below(4_000) },
        8 => What::SignIn(success(&ONEDRIVE, &ONEDRIVE, false)),
        _ => What::SignIn(success(&OUTLOOK, &EXCHANGE, false)),
    };
    let time = company.at(day, minutes).plus_us(dice.within(0, 59) * Time::SECOND_US);
    Event { time, id: dice.guid(), user: person.index, seat, what }
}

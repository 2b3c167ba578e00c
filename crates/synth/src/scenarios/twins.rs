//! Honest life that looks like an attack.

mod colleagues;

use std::collections::BTreeSet;

use matagi_model::{Severity, Time};

use super::acts::{consent, new_rule, page};
use super::{Cast, Plot};
use crate::company::{Company, DOMAIN, Department, Stay};
use crate::dice::{Dice, mixed_guid};
use crate::event::{Cmdlet, Directory, Script, What};
use crate::exchange::Rule;
use crate::habits::about;
use crate::pieces::Id;
use crate::truth::Twin;
use crate::world::{
    Device, EXCHANGE, EXCHANGE_ADMIN, GATEWAY, NOTES, OUTLOOK_MOBILE, PHONES, PORTAL, SHAREPOINT, Seat, TRIPS,
};

/// One kind of twin.
#[derive(Debug)]
pub(super) struct Kind {
    what: &'static str,
    forbid: &'static [&'static str],
    below: Severity,
    /// When, in tenths of the plan's days.
    tenths: u32,
    department: Option<Department>,
    /// People it takes.
    people: usize,
    play: fn(&mut Scene<'_>),
}

#[rustfmt::skip] // one line per twin
pub(super) static ALL: &[Kind] = &[
    Kind { what: "business-trip", forbid: &["MBX-015", "MBX-016", "MBX-017"], below: Severity::Medium, tenths: 6, department: Some(Department::Sales), people: 1, play: business_trip },
    Kind { what: "new-phone", forbid: &["MBX-016", "MBX-017"], below: Severity::Medium, tenths: 5, department: None, people: 1, play: new_phone },
    Kind { what: "vpn-roll-out", forbid: &["MBX-009", "MBX-015", "MBX-016", "MBX-017"], below: Severity::Medium, tenths: 8, department: Some(Department::Engineering), people: 5, play: vpn_roll_out },
    Kind { what: "newsletter-rule", forbid: &["MBX-022", "MBX-023"], below: Severity::Medium, tenths: 6, department: Some(Department::Sales), people: 2, play: newsletter_rule },
    Kind { what: "internal-forwarding", forbid: &["MBX-023", "MBX-024"], below: Severity::Medium, tenths: 7, department: None, people: 2, play: internal_forwarding },
    Kind { what: "helpdesk-delegation", forbid: &["MBX-027"], below: Severity::High, tenths: 6, department: None, people: 2, play: helpdesk_delegation },
    Kind { what: "service-consent", forbid: &["MBX-029", "MBX-042"], below: Severity::Medium, tenths: 5, department: None, people: 4, play: service_consent },
    Kind { what: "forgotten-password", forbid: &["MBX-001", "MBX-002", "MBX-003"], below: Severity::Medium, tenths: 7, department: None, people: 1, play: forgotten_password },
    Kind { what: "new-colleague", forbid: &["MBX-037"], below: Severity::Medium, tenths: 4, department: None, people: 0, play: new_colleague },
    Kind { what: "known-app-reads", forbid: &["MBX-040", "MBX-042"], below: Severity::Medium, tenths: 0, department: Some(Department::Sales), people: 1, play: known_app_reads },
    Kind { what: "accountant-searches", forbid: &["MBX-044"], below: Severity::Medium, tenths: 0, department: Some(Department::Accounting), people: 1, play: colleagues::accountant_searches },
    Kind { what: "legacy-printer", forbid: &["MBX-005", "MBX-006"], below: Severity::Medium, tenths: 0, department: None, people: 0, play: colleagues::legacy_printer },
    Kind { what: "command-line-admin", forbid: &["MBX-010"], below: Severity::High, tenths: 0, department: None, people: 0, play: colleagues::command_line_admin },
    Kind { what: "flaky-push", forbid: &["MBX-011", "MBX-013"], below: Severity::Medium, tenths: 7, department: None, people: 1, play: colleagues::flaky_push },
    Kind { what: "new-method-at-office", forbid: &["MBX-033", "MBX-035"], below: Severity::Medium, tenths: 6, department: None, people: 1, play: colleagues::new_method },
    Kind { what: "assistant-sends-as", forbid: &["MBX-051", "MBX-052"], below: Severity::Medium, tenths: 0, department: Some(Department::GeneralAffairs), people: 2, play: colleagues::assistant_sends_as },
    Kind { what: "shared-with-partner", forbid: &["MBX-045"], below: Severity::Medium, tenths: 5, department: Some(Department::Engineering), people: 2, play: colleagues::shared_with_partner },
    Kind { what: "laptop-moves", forbid: &["MBX-015", "MBX-016", "MBX-017", "MBX-018"], below: Severity::Medium, tenths: 6, department: None, people: 1, play: colleagues::laptop_moves },
];

/// Plants a twin, if there are people left for it.
pub(super) fn plant(kind: &Kind, number: u32, company: &mut Company, cast: &mut Cast, plot: &mut Plot) {
    if cast.free.len() < kind.people {
        return;
    }
    let users: Vec<u32> = (0..kind.people).filter_map(|_| cast.take(company, kind.department)).collect();
    let day = company.working_day_near((company.days * kind.tenths / 10).min(company.days - 1));
    let mut scene = Scene {
        users: &users,
        day,
        dice: Dice::of([company.seed, 9, number.into(), 0]),
        first: company.midnight(day),
        last: company.midnight(day + 1),
        records: Vec::new(),
        others: BTreeSet::new(),
        company,
        plot,
    };
    (kind.play)(&mut scene);
    let (first, last, records, others) = (scene.first, scene.last, scene.records, scene.others);
    let named = users.iter().map(|user| company.person(*user).upn.clone());
    let twin = Twin {
        id: format!("B{number}"),
        what: kind.what.to_owned(),
        forbid: kind.forbid.iter().map(|id| (*id).to_owned()).collect(),
        below: kind.below,
        users: named.chain(others).collect(),
        time: first,
        last_time: last,
        records,
    };
    plot.twins.push(twin);
}

/// A twin being played.
struct Scene<'a> {
    company: &'a mut Company,
    plot: &'a mut Plot,
    users: &'a [u32],
    day: u32,
    dice: Dice,
    first: Time,
    last: Time,
    records: Vec<String>,
    others: BTreeSet<String>,
}

impl Scene<'_> {
    fn add(&mut self, time: Time, user: u32, seat: Seat, what: What) {
        let mut script = Script { dice: &mut self.dice, events: &mut self.plot.events };
        self.records.push(Id(script.push(time, user, seat, what)).text());
    }

    fn in_office(&mut self, user: u32) -> Seat {
        self.company.stays.insert((user, self.day), Stay::Office);
        let person = self.company.person(user);
        person.at_laptop(person.office, self.company.seed, self.day)
    }

    /// The administrator at the portal, signed in.
    fn admin(&mut self, minutes: i64) -> (u32, Seat) {
        let admin = self.company.admin().index;
        let seat = self.in_office(admin);
        self.add(self.company.at(self.day, minutes - 6), admin, seat, page(&PORTAL, &EXCHANGE, 0, true));
        (admin, seat)
    }

    fn upn(&self, position: usize) -> String {
        self.company.person(self.users[position]).upn.clone()
    }
}

/// Three days in Singapore with the company's laptop; the phone roams through the carrier at home.
fn business_trip(scene: &mut Scene<'_>) {
    let hotel = TRIPS[0].somewhere(&mut scene.dice);
    let end = (scene.day + 3).min(scene.company.days);
    for day in scene.day..end {
        scene.company.stays.insert((scene.users[0], day), Stay::At(hotel));
    }
    // The flight takes the day before.
    if scene.day > 0 {
        scene.company.stays.insert((scene.users[0], scene.day - 1), Stay::Away);
    }
    scene.last = scene.company.midnight(end);
}

/// Somebody signs in on a new phone, at home, with the second factor.
fn new_phone(scene: &mut Scene<'_>) {
    let user = scene.users[0];
    let phone = Device { client: &PHONES[2], id: Some(scene.dice.guid()) };
    scene.company.new_phones.insert(user, (scene.day, phone));
    let person = scene.company.person(user);
    let seat = person.at_phone(phone, person.home, scene.company.seed, scene.day);
    let seat = Seat { session: scene.dice.guid(), ..seat };
    scene.add(scene.company.at(scene.day, 20 * 60 + 12), user, seat, page(&OUTLOOK_MOBILE, &EXCHANGE, 0, true));
}

/// Several people go through a new gateway from the same morning on.
fn vpn_roll_out(scene: &mut Scene<'_>) {
    for (position, user) in (0..).zip(scene.users) {
        for day in scene.day..scene.company.days {
            if scene.company.working[day as usize] {
                scene.company.stays.insert((*user, day), Stay::At(GATEWAY.place(position)));
            }
        }
    }
    scene.last = scene.company.midnight(scene.company.days);
}

/// Newsletters go into a folder of their own.
fn newsletter_rule(scene: &mut Scene<'_>) {
    let rules = [
        ("メールマガジンの整理", "newsletter@shirakami-shoji.example", "ニュース"),
        ("Newsletters to folder", "news@northridge-tools.example", "Newsletters"),
    ];
    for (position, (name, from, folder)) in rules.into_iter().enumerate() {
        let user = scene.users[position];
        let seat = scene.in_office(user);
        let upn = scene.upn(position);
        let values = vec![("From", from.to_owned()), ("MoveToFolder", format!("{upn}:\\Inbox\\{folder}"))];
        scene.plot.rules.push(Rule { user: upn.clone(), name: name.to_owned(), values: values.clone() });
        let time = scene.company.at(scene.day, 14 * 60 + 20);
        scene.add(time, user, seat, new_rule(&upn, name, values));
    }
}

/// The helpdesk forwards the mail of somebody on leave to a colleague.
fn internal_forwarding(scene: &mut Scene<'_>) {
    let (admin, seat) = scene.admin(16 * 60);
    let (away, colleague) = (scene.upn(0), scene.upn(1));
    let parameters = vec![
        ("Identity", away.clone()),
        ("ForwardingSmtpAddress", format!("smtp:{colleague}")),
        ("DeliverToMailboxAndForward", "True".to_owned()),
    ];
    let cmdlet = Cmdlet { operation: "Set-Mailbox", object: away, parameters, app: &EXCHANGE_ADMIN };
    let time = scene.company.at(scene.day, 16 * 60);
    scene.add(time, admin, seat, What::Cmdlet(Box::new(cmdlet)));
}

/// The helpdesk lets an assistant into a superior's mailbox.
fn helpdesk_delegation(scene: &mut Scene<'_>) {
    let (admin, seat) = scene.admin(11 * 60);
    let (owner, assistant) = (scene.upn(0), scene.upn(1));
    let parameters = vec![
        ("Identity", owner.clone()),
        ("User", assistant),
        ("AccessRights", "FullAccess".to_owned()),
        ("AutoMapping", "True".to_owned()),
    ];
    let cmdlet = Cmdlet { operation: "Add-MailboxPermission", object: owner, parameters, app: &EXCHANGE_ADMIN };
    let time = scene.company.at(scene.day, 11 * 60);
    scene.add(time, admin, seat, What::Cmdlet(Box::new(cmdlet)));
}

/// A known product is rolled out: several people consent within a day.
fn service_consent(scene: &mut Scene<'_>) {
    let object = mixed_guid([scene.company.seed, 61, 1]);
    for (position, user) in (0..).zip(scene.users) {
        let seat = scene.in_office(*user);
        let person = scene.company.person(*user).id;
        let changes =
            consent(person, NOTES.id, object, NOTES.name, "Calendars.Read Mail.Read User.Read offline_access");
        let time = scene.company.at(scene.day, 13 * 60 + position * 21);
        // The application is in the directory after the first consent.
        for (second, change) in (0..).zip(changes).skip(usize::from(position > 0)) {
            scene.add(time.plus_us(second * Time::SECOND_US), *user, seat, What::Directory(Box::new(change)));
        }
    }
}

/// A phone keeps trying an old password until its owner notices.
fn forgotten_password(scene: &mut Scene<'_>) {
    let user = scene.users[0];
    let seat = scene.in_office(user);
    let person = scene.company.person(user);
    let device = person.phone.unwrap_or(Device { client: &PHONES[0], id: None });
    let phone = person.at_phone(device, person.carrier.place(77), scene.company.seed, scene.day);
    let change = about(person, "Change user password", "UserManagement", Vec::new());
    scene.add(scene.company.at(scene.day, 12 * 60), user, seat, What::Directory(Box::new(change)));
    let start = scene.company.at(scene.day, 12 * 60 + 20);
    for attempt in 0..12 {
        let time = start.plus_us(attempt * 21 * Time::SECOND_US);
        scene.add(time, user, phone, page(&OUTLOOK_MOBILE, &EXCHANGE, 50126, false));
    }
    let time = start.plus_us(7 * Time::MINUTE_US);
    scene.add(time, user, phone, page(&OUTLOOK_MOBILE, &EXCHANGE, 0, true));
}

/// Somebody joins: an account, a group, nothing more.
fn new_colleague(scene: &mut Scene<'_>) {
    let (admin, seat) = scene.admin(10 * 60);
    let (upn, id) = (format!("shiori.kumagai@{DOMAIN}"), scene.dice.guid());
    scene.others.insert(upn.clone());
    for (offset, operation, category) in
        [(0, "Add user", "UserManagement"), (2, "Add member to group", "GroupManagement")]
    {
        let change = Directory {
            operation,
            category,
            service: "Core Directory",
            target_type: "User",
            target_id: id,
            target_name: "熊谷 栞".to_owned(),
            target_key: upn.clone(),
            reason: "",
            modified: if offset == 0 {
                vec![
                    ("UserPrincipalName", "[]".to_owned(), format!("[\"{upn}\"]")),
                    ("AccountEnabled", "[]".to_owned(), "[true]".to_owned()),
                ]
            } else {
                vec![("Group.DisplayName", String::new(), "全社員".to_owned())]
            },
        };
        let time = scene.company.at(scene.day, 10 * 60 + offset);
        scene.add(time, admin, seat, What::Directory(Box::new(change)));
    }
}

/// The customer database reads mail every day of the plan; the ordinary life of sales does it.
fn known_app_reads(scene: &mut Scene<'_>) {
    scene.first = scene.company.start;
    scene.last = scene.company.midnight(scene.company.days);
    let seat = scene.in_office(scene.users[0]);
    let time = scene.company.at(scene.day, 15 * 60);
    scene.add(time, scene.users[0], seat, page(&SHAREPOINT, &SHAREPOINT, 0, true));
}

/// Rules that were there before the first day.
pub(super) fn old_rules(company: &Company, rules: &mut Vec<Rule>) {
    let kinds = [
        ("社内通知", "From", "notice0@matagi-seisakusho.example", "社内通知"),
        ("Build reports", "SubjectContainsWords", "[build]", "Builds"),
        ("週報", "SubjectContainsWords", "週報", "週報"),
    ];
    for person in &company.people[..company.persons] {
        let mut dice = Dice::of([company.seed, 10, person.index.into(), 0]);
        if dice.chance(150) {
            let (name, condition, value, folder) = *dice.pick(&kinds);
            let values =
                vec![(condition, value.to_owned()), ("MoveToFolder", format!("{}:\\Inbox\\{folder}", person.upn))];
            rules.push(Rule { user: person.upn.clone(), name: name.to_owned(), values });
        }
    }
}

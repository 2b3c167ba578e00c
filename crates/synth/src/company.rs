//! Matagi Seisakusho: the people of a fictional manufacturer, their machines, homes and habits.

use std::collections::BTreeMap;

use matagi_model::Time;

use crate::dice::{Dice, Guid, mix, mixed_guid};
use crate::plan::Plan;
use crate::world::{
    Device, HOMES_EAST, HOMES_WEST, LAPTOPS, MOBILE, Network, OFFICE_OSAKA, OFFICE_TOKYO, PHONES, Place, SCRIPT, Seat,
};

/// The company's domain.
pub(crate) const DOMAIN: &str = "matagi-seisakusho.example";
/// Domains of partners.
pub(crate) const PARTNERS: [&str; 6] = [
    "kumano-kogyo.example",
    "ani-denki.example",
    "shirakami-shoji.example",
    "northridge-tools.example",
    "oirase-logistics.example",
    "elbwerk.example",
];
/// Time zone of the company, ahead of UTC.
pub(crate) const ZONE_US: i64 = 9 * Time::HOUR_US;

/// What somebody works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Department {
    Executive,
    Accounting,
    GeneralAffairs,
    Sales,
    Engineering,
    Manufacturing,
    Systems,
}

impl Department {
    /// Whole company, in tenths of how common it is.
    const MIX: [(Self, u64); 7] = [
        (Self::Executive, 5),
        (Self::Accounting, 10),
        (Self::GeneralAffairs, 10),
        (Self::Sales, 30),
        (Self::Engineering, 20),
        (Self::Manufacturing, 20),
        (Self::Systems, 5),
    ];

    /// Days at home, per thousand.
    pub(crate) const fn home_per_mille(self) -> u64 {
        match self {
            Self::Manufacturing => 20,
            Self::Accounting | Self::GeneralAffairs => 150,
            Self::Executive | Self::Sales => 250,
            Self::Engineering | Self::Systems => 400,
        }
    }

    /// Messages sent a day.
    pub(crate) const fn sends(self) -> i64 {
        match self {
            Self::Manufacturing => 1,
            Self::Engineering | Self::Systems => 3,
            Self::Accounting | Self::GeneralAffairs | Self::Executive => 4,
            Self::Sales => 6,
        }
    }
}

/// An account: a person or a service.
#[derive(Debug)]
pub(crate) struct Person {
    /// Position in [`Company::people`].
    pub(crate) index: u32,
    /// User principal name and address.
    pub(crate) upn: String,
    /// Name as the directory shows it.
    pub(crate) name: String,
    /// Whether the person writes Japanese.
    pub(crate) is_japanese: bool,
    /// Directory object id.
    pub(crate) id: Guid,
    /// Where the person works.
    pub(crate) department: Department,
    /// Shared egress of the office.
    pub(crate) office: Place,
    /// Home.
    pub(crate) home: Place,
    /// Mobile carrier.
    pub(crate) carrier: &'static Network,
    /// Work machine.
    pub(crate) laptop: Device,
    /// Phone, if mail is read on it.
    pub(crate) phone: Option<Device>,
    /// Start of work, minutes after midnight.
    pub(crate) start_minutes: i64,
    /// Whether the machine keeps its session for a week, at home and in the office.
    pub(crate) keeps_session: bool,
    /// Whether work at home goes through the office's egress.
    pub(crate) uses_vpn: bool,
}

impl Person {
    /// A script or device instead of a person.
    pub(crate) fn is_service(&self) -> bool {
        *self.laptop.client == SCRIPT
    }

    /// Passport-like id of the older directory.
    pub(crate) fn puid(&self) -> u64 {
        0x1003_2000_0000_0000 | (mix([self.index.into(), 11, 3]) >> 24)
    }

    /// Session of the work machine on this day.
    pub(crate) fn laptop_session(&self, seed: u64, day: u32) -> Guid {
        let period = if self.keeps_session { day / 7 } else { 1000 + day };
        mixed_guid([seed, self.index.into(), u64::from(period)])
    }

    /// At the work machine, in this place, on this day.
    pub(crate) fn at_laptop(&self, place: Place, seed: u64, day: u32) -> Seat {
        Seat { place, device: self.laptop, session: self.laptop_session(seed, day) }
    }

    /// At the phone; its session lasts for a month.
    pub(crate) fn at_phone(&self, device: Device, place: Place, seed: u64, day: u32) -> Seat {
        Seat { place, device, session: mixed_guid([seed, self.index.into(), 5000 + u64::from(day / 30)]) }
    }
}

/// Where somebody is made to be on one day, whatever the habit.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stay {
    /// In the office.
    Office,
    /// Elsewhere, all day: a trip, a new gateway.
    At(Place),
    /// Not at work.
    Away,
}

/// The company during the days of the plan.
#[derive(Debug)]
pub(crate) struct Company {
    /// Seed of the plan.
    pub(crate) seed: u64,
    /// Days of the plan.
    pub(crate) days: u32,
    /// Midnight in Japan of the first day.
    pub(crate) start: Time,
    /// Which days are worked.
    pub(crate) working: Vec<bool>,
    /// Everybody; people first, services last.
    pub(crate) people: Vec<Person>,
    /// How many of them are people.
    pub(crate) persons: usize,
    /// Tenant id.
    pub(crate) tenant: Guid,
    /// Fixed whereabouts by person and day.
    pub(crate) stays: BTreeMap<(u32, u32), Stay>,
    /// New phones by person, from a day on.
    pub(crate) new_phones: BTreeMap<u32, (u32, Device)>,
    /// Mailboxes whose opened messages the audit log does not record, and when.
    pub(crate) throttled: BTreeMap<u32, (Time, Time)>,
}

impl Company {
    /// The company of a plan.
    pub(crate) fn new(plan: &Plan) -> Self {
        let midnight = plan.start.to_zoned(jiff::tz::TimeZone::UTC).expect("a date has a midnight in UTC").timestamp();
        let people = people(plan);
        Self {
            seed: plan.seed,
            days: plan.days,
            start: Time(midnight.as_microsecond() - ZONE_US),
            working: (0..plan.days).map(|day| is_working_day(plan.start, day)).collect(),
            persons: plan.users as usize,
            people,
            tenant: mixed_guid([plan.seed, 77, 7]),
            stays: BTreeMap::new(),
            new_phones: BTreeMap::new(),
            throttled: BTreeMap::new(),
        }
    }

    /// Midnight in Japan of a day.
    pub(crate) fn midnight(&self, day: u32) -> Time {
        self.start.plus_us(i64::from(day) * Time::DAY_US)
    }

    /// An instant of a day, minutes after midnight in Japan.
    pub(crate) fn at(&self, day: u32, minutes: i64) -> Time {
        self.midnight(day).plus_us(minutes * Time::MINUTE_US)
    }

    /// Account by position.
    pub(crate) fn person(&self, index: u32) -> &Person {
        &self.people[index as usize]
    }

    /// People of a department.
    pub(crate) fn of(&self, department: Department) -> impl Iterator<Item = &Person> {
        self.people[..self.persons].iter().filter(move |person| person.department == department)
    }

    /// The administrator who does what has to be done.
    pub(crate) fn admin(&self) -> &Person {
        self.of(Department::Systems).next().expect("the first people are one of each department")
    }

    /// The phone that a person has on a day.
    pub(crate) fn phone(&self, person: &Person, day: u32) -> Option<Device> {
        match self.new_phones.get(&person.index) {
            Some((from, device)) if day >= *from => Some(*device),
            _ => person.phone,
        }
    }

    /// Whether the audit log has given up on what is opened in a mailbox.
    pub(crate) fn is_throttled(&self, mailbox: u32, time: Time) -> bool {
        self.throttled.get(&mailbox).is_some_and(|(from, to)| (*from..*to).contains(&time))
    }

    /// First working day after `day`.
    pub(crate) fn working_day_after(&self, day: u32) -> Option<u32> {
        (day + 1..self.days).find(|day| self.working[*day as usize])
    }

    /// First working day at or after `day`, else the last one before it.
    pub(crate) fn working_day_near(&self, day: u32) -> u32 {
        let is_working = |day: &u32| self.working[*day as usize];
        (day..self.days).find(is_working).or_else(|| (0..day).rev().find(is_working)).unwrap_or(day)
    }
}

const FAMILY: [(&str, &str); 40] = [
    ("sato", "佐藤"),
    ("suzuki", "鈴木"),
    ("takahashi", "高橋"),
    ("tanaka", "田中"),
    ("ito", "伊藤"),
    ("watanabe", "渡辺"),
    ("yamamoto", "山本"),
    ("nakamura", "中村"),
    ("kobayashi", "小林"),
    ("kato", "加藤"),
    ("yoshida", "吉田"),
    ("yamada", "山田"),
    ("sasaki", "佐々木"),
    ("yamaguchi", "山口"),
    ("matsumoto", "松本"),
    ("inoue", "井上"),
    ("kimura", "木村"),
    ("hayashi", "林"),
    ("shimizu", "清水"),
    ("saito", "斎藤"),
    ("abe", "阿部"),
    ("mori", "森"),
    ("ikeda", "池田"),
    ("hashimoto", "橋本"),
    ("ishikawa", "石川"),
    ("ogawa", "小川"),
    ("goto", "後藤"),
    ("okada", "岡田"),
    ("hasegawa", "長谷川"),
    ("murakami", "村上"),
    ("kondo", "近藤"),
    ("ishii", "石井"),
    ("sakamoto", "坂本"),
    ("endo", "遠藤"),
    ("aoki", "青木"),
    ("fujii", "藤井"),
    ("nishimura", "西村"),
    ("fukuda", "福田"),
    ("ota", "太田"),
    ("miura", "三浦"),
];
const GIVEN: [(&str, &str); 24] = [
    ("haruto", "陽翔"),
    ("yui", "結衣"),
    ("sota", "颯太"),
    ("aoi", "葵"),
    ("kenji", "健二"),
    ("naoko", "直子"),
    ("daisuke", "大輔"),
    ("mika", "美香"),
    ("takumi", "匠"),
    ("sakura", "さくら"),
    ("hiroshi", "浩"),
    ("emi", "恵美"),
    ("ryo", "亮"),
    ("ayumi", "歩"),
    ("tsubasa", "翼"),
    ("kaori", "香織"),
    ("shun", "駿"),
    ("yuko", "裕子"),
    ("makoto", "誠"),
    ("rina", "里奈"),
    ("kazuya", "和也"),
    ("tomoko", "智子"),
    ("yuta", "雄太"),
    ("mayumi", "真由美"),
];
const ABROAD: [(&str, &str); 10] = [
    ("Emma", "Lindgren"),
    ("Daniel", "Okafor"),
    ("Sarah", "Whitfield"),
    ("James", "Holloway"),
    ("Priya", "Nair"),
    ("Thomas", "Brandt"),
    ("Mei", "Lin"),
    ("Carlos", "Ibarra"),
    ("Hannah", "Frost"),
    ("Oliver", "Pike"),
];

fn people(plan: &Plan) -> Vec<Person> {
    let mut taken: BTreeMap<String, u32> = BTreeMap::new();
    let mut people: Vec<_> = (0..plan.users)
        .map(|index| {
            let mut dice = Dice::of([plan.seed, 1, index.into(), 0]);
            let (address, name, is_japanese) = name(&mut dice);
            let count = taken.entry(address.clone()).and_modify(|count| *count += 1).or_insert(1);
            let local = if *count == 1 { address } else { format!("{address}{count}") };
            person(plan, index, format!("{local}@{DOMAIN}"), name, is_japanese, &mut dice)
        })
        .collect();
    for (offset, local) in (0..).zip(["svc-report", "scan-osaka"]) {
        let index = plan.users + offset;
        let mut dice = Dice::of([plan.seed, 1, index.into(), 0]);
        let mut service = person(plan, index, format!("{local}@{DOMAIN}"), local.to_owned(), false, &mut dice);
        service.department = Department::Systems;
        service.laptop = Device { client: &SCRIPT, id: None };
        service.phone = None;
        people.push(service);
    }
    people
}

fn name(dice: &mut Dice) -> (String, String, bool) {
    if dice.chance(120) {
        let (given, family) = *dice.pick(&ABROAD);
        return (format!("{given}.{family}").to_lowercase(), format!("{given} {family}"), false);
    }
    let (family, family_kanji) = *dice.pick(&FAMILY);
    let (given, given_kanji) = *dice.pick(&GIVEN);
    (format!("{given}.{family}"), format!("{family_kanji} {given_kanji}"), true)
}

fn person(plan: &Plan, index: u32, upn: String, name: String, is_japanese: bool, dice: &mut Dice) -> Person {
    // One of each department first, so that the smallest company has them all.
    let department = match Department::MIX.get(index as usize) {
        Some((department, _)) => *department,
        None => department(dice),
    };
    let is_east = dice.chance(650);
    let (office, homes): (Place, &'static [Network]) = if is_east {
        (OFFICE_TOKYO.place(u32::from(dice.chance(500))), &HOMES_EAST)
    } else {
        (OFFICE_OSAKA.place(u32::from(dice.chance(500))), &HOMES_WEST)
    };
    let home = dice.pick(homes).somewhere(dice);
    let laptop = Device { client: dice.pick(&LAPTOPS), id: Some(dice.guid()) };
    let phone = Device { client: dice.pick(&PHONES), id: Some(dice.guid()) };
    Person {
        index,
        upn,
        name,
        is_japanese,
        id: mixed_guid([plan.seed, index.into(), 9]),
        department,
        office,
        home,
        carrier: dice.pick(&MOBILE),
        laptop,
        phone: dice.chance(700).then_some(phone),
        start_minutes: 8 * 60 + 20 + dice.within(0, 70),
        keeps_session: dice.chance(200),
        uses_vpn: dice.chance(300),
    }
}

fn department(dice: &mut Dice) -> Department {
    let mut rest = dice.below(Department::MIX.iter().map(|(_, weight)| weight).sum());
    for (department, weight) in Department::MIX {
        if rest < weight {
            return department;
        }
        rest -= weight;
    }
    Department::Sales
}

fn is_working_day(start: jiff::civil::Date, day: u32) -> bool {
    let Ok(date) = start.checked_add(jiff::Span::new().days(i64::from(day))) else { return false };
    date.weekday().to_monday_zero_offset() < 5 && !is_holiday(date)
}

/// Public holidays of Japan (with the substitute Mondays) and the company's New Year break.
fn is_holiday(date: jiff::civil::Date) -> bool {
    let named = |date: jiff::civil::Date| {
        let monday = |nth: i8| date.weekday().to_monday_zero_offset() == 0 && (date.day() - 1) / 7 + 1 == nth;
        let years = i32::from(date.year()) - 1980;
        // Equinoxes as the almanac computes them, good from 1980 to 2099.
        let spring = (20_843_100 + 242_194 * i64::from(years)) / 1_000_000 - i64::from(years / 4);
        let autumn = (23_248_800 + 242_194 * i64::from(years)) / 1_000_000 - i64::from(years / 4);
        match (date.month(), date.day()) {
            (1, 1..=3) | (12, 29..=31) | (2, 11 | 23) | (4, 29) | (5, 3..=5) | (8, 11) | (11, 3 | 23) => true,
            (3, day) => i64::from(day) == spring,
            (9, day) => i64::from(day) == autumn || monday(3),
            (1 | 10, _) => monday(2),
            (7, _) => monday(3),
            _ => false,
        }
    };
    let yesterday = date.yesterday().ok();
    let tomorrow = date.tomorrow().ok();
    let after_sunday = yesterday.is_some_and(|before| before.weekday().to_monday_zero_offset() == 6 && named(before));
    let between = yesterday.is_some_and(named) && tomorrow.is_some_and(named);
    // When the 3rd or 4th of May is a Sunday, the 6th makes up for it.
    let made_up = (date.month(), date.day()) == (5, 6) && matches!(date.weekday().to_monday_zero_offset(), 1 | 2);
    named(date) || after_sunday || between || made_up
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn holidays_of_september_2026() {
        let off: Vec<i8> = (1..=30).filter(|day| is_holiday(date(2026, 9, *day))).collect();
        assert_eq!(off, [21, 22, 23]);
        assert!(is_holiday(date(2026, 5, 6)), "the Sunday of Golden Week is made up for");
        assert!(!is_holiday(date(2026, 9, 1)));
    }

    #[test]
    fn addresses_are_unique_and_every_department_is_there() {
        let company = Company::new(&Plan { users: 400, ..Plan::default() });
        let upns: std::collections::BTreeSet<_> = company.people.iter().map(|person| &person.upn).collect();
        assert_eq!(upns.len(), 402);
        for (department, _) in Department::MIX {
            assert!(company.of(department).count() > 0, "{department:?}");
        }
    }
}

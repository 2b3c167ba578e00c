//! What is planted: takeovers and benign twins.
//!
//! A scenario is one function. To add one: write its file, name it in [`plant`] (takeovers) or in `twins::ALL`.

mod acts;
mod aitm_token;
mod bec_inside;
mod consent_only;
mod device_code;
mod spray_and_rules;
mod throttled_audit;
mod token_theft;
mod twins;

use std::collections::BTreeSet;

use matagi_model::Time;

use crate::company::{Company, DOMAIN, Department, Stay};
use crate::dice::{Dice, Guid};
use crate::event::{
    Bind, Deleted, Directory, Event, INBOUND_A_DAY, Message, OLD_MESSAGES, Script, Sent, What, outsider,
};
use crate::exchange::Rule;
use crate::habits::newest_message;
use crate::pieces::Id;
use crate::plan::{Plan, TakeoverKind};
use crate::truth::{Step, Takeover, Twin};
use crate::world::{ACTORS, API, Client, Device, HOSTING, Place, Seat};
use acts::{consent, new_rule};

/// Everything planted.
#[derive(Debug, Default)]
pub(crate) struct Plot {
    /// Events, in order of time.
    pub(crate) events: Vec<Event>,
    /// Takeovers.
    pub(crate) takeovers: Vec<Takeover>,
    /// Hostile steps, in order of time.
    pub(crate) steps: Vec<Step>,
    /// Benign twins.
    pub(crate) twins: Vec<Twin>,
    /// Inbox rules that stand at the end.
    pub(crate) rules: Vec<Rule>,
}

/// Plants what the plan asks for; people who are needed in a place on a day are bound to it.
pub(crate) fn plant(plan: &Plan, company: &mut Company) -> Plot {
    let mut plot = Plot::default();
    let mut cast = Cast::new(company);
    let count = u32::try_from(plan.takeovers.len()).expect("bounded by the plan");
    for (number, kind) in (0..).zip(&plan.takeovers) {
        // After most of the evidence, so that there are habits to differ from; each on a day of its own while there are enough.
        let day =
            company.working_day_near((company.days * 7 / 10 + company.days / 4 * number / count).min(company.days - 1));
        let department = match kind {
            TakeoverKind::SprayAndRules | TakeoverKind::BecInside => Department::GeneralAffairs,
            TakeoverKind::AitmToken => Department::Accounting,
            TakeoverKind::ConsentOnly | TakeoverKind::TokenTheft => Department::Sales,
            TakeoverKind::DeviceCode => Department::Engineering,
            TakeoverKind::ThrottledAudit => Department::Systems,
        };
        let day = if kind.comes_back() { with_a_day_after(company, day) } else { day };
        let Some(victim) = cast.take(company, Some(department)) else { continue };
        company.stays.insert((victim, day), Stay::Office);
        let superior = (*kind == TakeoverKind::BecInside).then(|| cast.take(company, Some(Department::Executive)));
        let mut actor = Actor::new(company, *kind, number, victim, day);
        actor.superior = superior.flatten();
        match kind {
            TakeoverKind::SprayAndRules => spray_and_rules::plant(&mut actor),
            TakeoverKind::AitmToken => aitm_token::plant(&mut actor),
            TakeoverKind::ConsentOnly => consent_only::plant(&mut actor),
            TakeoverKind::DeviceCode => device_code::plant(&mut actor),
            TakeoverKind::BecInside => bec_inside::plant(&mut actor),
            TakeoverKind::TokenTheft => token_theft::plant(&mut actor),
            TakeoverKind::ThrottledAudit => throttled_audit::plant(&mut actor),
        }
        let throttled = actor.throttled;
        actor.conclude(&mut plot);
        if let Some(from) = throttled {
            company.throttled.insert(victim, (from, from.plus_us(Time::DAY_US)));
        }
    }
    for (number, twin) in (1..).zip(twins::ALL) {
        twins::plant(twin, number, company, &mut cast, &mut plot);
    }
    twins::old_rules(company, &mut plot.rules);
    plot.events.sort_by_key(|event| (event.time, event.id));
    plot.steps.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    plot
}

/// This day, or the last working day before it that has another one after it.
fn with_a_day_after(company: &Company, day: u32) -> u32 {
    let is_followed = |day: &u32| company.working[*day as usize] && company.working_day_after(*day).is_some();
    (0..=day).rev().find(is_followed).unwrap_or(day)
}

/// People who have no part yet.
struct Cast {
    free: Vec<u32>,
}

impl Cast {
    fn new(company: &Company) -> Self {
        let admin = company.admin().index;
        let mut free: Vec<_> = company.people[..company.persons].iter().map(|person| person.index).collect();
        free.retain(|index| *index != admin);
        Dice::of([company.seed, 7, 0, 0]).shuffle(&mut free);
        Self { free }
    }

    /// Somebody of this department, or of any if it has nobody left.
    fn take(&mut self, company: &Company, department: Option<Department>) -> Option<u32> {
        let of_department = |index: &u32| department.is_none_or(|wanted| company.person(*index).department == wanted);
        let position = self.free.iter().position(of_department).or((!self.free.is_empty()).then_some(0))?;
        Some(self.free.remove(position))
    }
}

/// Who takes an account over, and the account.
struct Actor<'a> {
    company: &'a Company,
    kind: TakeoverKind,
    id: String,
    number: u32,
    victim: u32,
    day: u32,
    dice: Dice,
    /// First rented machine.
    first: Place,
    /// Second, in another network and country.
    second: Place,
    client: &'static Client,
    session: Guid,
    app: Guid,
    /// In whose name mail is sent, where somebody is left.
    superior: Option<u32>,
    /// From when on the audit log gives up on the mailbox.
    throttled: Option<Time>,
    events: Vec<Event>,
    steps: Vec<Step>,
    rules: Vec<Rule>,
    access: Option<Time>,
    sessions: BTreeSet<Guid>,
    ips: BTreeSet<String>,
    brought: BTreeSet<String>,
}

/// One act within a step.
struct Act {
    time: Time,
    user: u32,
    seat: Seat,
    what: What,
}

impl<'a> Actor<'a> {
    fn new(company: &'a Company, kind: TakeoverKind, number: u32, victim: u32, day: u32) -> Self {
        let mut dice = Dice::of([company.seed, 8, number.into(), 0]);
        // Neighbours in the list differ in country; actors of one plan share no address.
        let network = (number as usize * 2) % HOSTING.len();
        let first = HOSTING[network].somewhere(&mut dice);
        let second = HOSTING[(network + 1) % HOSTING.len()].somewhere(&mut dice);
        let (session, app) = (dice.guid(), dice.guid());
        let client = &ACTORS[number as usize % ACTORS.len()];
        Self {
            company,
            kind,
            id: format!("T{}", number + 1),
            number,
            victim,
            day,
            dice,
            first,
            second,
            client,
            session,
            app,
            superior: None,
            throttled: None,
            events: Vec::new(),
            steps: Vec::new(),
            rules: Vec::new(),
            access: None,
            sessions: BTreeSet::new(),
            ips: BTreeSet::new(),
            brought: BTreeSet::new(),
        }
    }

    /// An instant of the day of the takeover, minutes after midnight in Japan.
    fn at(&mut self, minutes: i64) -> Time {
        let seconds = self.dice.within(0, 59);
        self.company.at(self.day, minutes).plus_us(seconds * Time::SECOND_US)
    }

    fn victim_upn(&self) -> &str {
        &self.company.person(self.victim).upn
    }

    /// The stolen session, at this place.
    fn seat(&self, place: Place) -> Seat {
        Seat { place, device: Device { client: self.client, id: None }, session: self.session }
    }

    /// The actor's application, at this place.
    fn app_seat(&mut self, place: Place) -> Seat {
        let session = self.app ^ 0xaaaa;
        Seat { place, device: Device { client: &API, id: None }, session }
    }

    /// Records a step of one or more acts by the actor; gives the ids of its records.
    fn step(&mut self, what: &str, catalogue: &[&str], acts: Vec<Act>) -> Vec<Guid> {
        let (Some(first), Some(last)) = (acts.iter().map(|act| act.time).min(), acts.iter().map(|act| act.time).max())
        else {
            return Vec::new();
        };
        let seat = acts[acts.len() - 1].seat;
        let is_hostile_place = seat.place.ip == self.first.ip || seat.place.ip == self.second.ip;
        // A session exists only once a sign-in succeeded.
        let session = (is_hostile_place && self.access.is_some()).then_some(seat.session);
        let mut records = Vec::with_capacity(acts.len());
        for act in acts {
            let mut script = Script { dice: &mut self.dice, events: &mut self.events };
            records.push(script.push(act.time, act.user, act.seat, act.what));
        }
        if is_hostile_place {
            self.ips.insert(seat.place.ip.to_string());
        }
        self.sessions.extend(session);
        self.steps.push(Step {
            id: format!("{}-{:02}", self.id, self.steps.len() + 1),
            takeover: self.id.clone(),
            what: what.to_owned(),
            catalogue: catalogue.iter().map(|id| (*id).to_owned()).collect(),
            user: self.victim_upn().to_owned(),
            time: first,
            last_time: last,
            actor_ip: is_hostile_place.then(|| seat.place.ip.to_string()),
            session: session.map(|session| Id(session).text()),
            records: records.iter().map(|record| Id(*record).text()).collect(),
        });
        records
    }

    /// Something around the takeover that is no step of it.
    fn aside(&mut self, minutes: i64, seat: Seat, what: What) {
        let act = self.act(minutes, seat, what);
        let mut script = Script { dice: &mut self.dice, events: &mut self.events };
        script.push(act.time, act.user, act.seat, act.what);
    }

    /// The actor comes back on the next working day; minutes go on rising, so that the order holds where there is none.
    fn come_back(&mut self) {
        self.day = self.company.working_day_after(self.day).unwrap_or(self.day);
    }

    /// One act of the victim's account.
    fn act(&mut self, minutes: i64, seat: Seat, what: What) -> Act {
        Act { time: self.at(minutes), user: self.victim, seat, what }
    }

    /// From now on the actor holds the account.
    fn holds_the_account(&mut self, minutes: i64) {
        let time = self.company.at(self.day, minutes);
        self.access.get_or_insert(time);
    }

    /// Creates an inbox rule.
    fn rule(&mut self, minutes: i64, seat: Seat, name: &str, parameters: Vec<(&'static str, String)>) -> Act {
        let victim = self.victim_upn().to_owned();
        self.rules.push(Rule { user: victim.clone(), name: name.to_owned(), values: parameters.clone() });
        self.act(minutes, seat, new_rule(&victim, name, parameters))
    }

    /// Reads this many messages, newest first, in records of up to a dozen.
    fn read(&mut self, minutes: i64, seat: Seat, messages: u32, app: Option<Guid>) -> Vec<Act> {
        let mut newest = newest_message(self.day, minutes);
        let mut left = messages;
        let mut acts = Vec::new();
        while left > 0 {
            let count = left.min(u32::try_from(self.dice.within(8, 12)).expect("a small number"));
            let bind = Bind { mailbox: self.victim, first: newest, count, folder: "\\Inbox", app, is_throttled: false };
            let later = minutes + i64::try_from(acts.len()).expect("few") * 2;
            acts.push(self.act(later, seat, What::Bind(bind)));
            newest = newest.saturating_sub(count.into());
            left -= count;
        }
        acts
    }

    /// The three records of a consent.
    fn consent(&mut self, minutes: i64, seat: Seat, name: &str, scopes: &str) -> Vec<Act> {
        self.brought.insert(Id(self.app).text());
        let (victim, app, object) = (self.victim, self.app, self.dice.guid());
        let changes = consent(self.company.person(victim).id, app, object, name, scopes);
        self.changes(minutes, seat, changes)
    }

    /// Changes of the directory, a second apart.
    fn changes(&mut self, minutes: i64, seat: Seat, changes: impl IntoIterator<Item = Directory>) -> Vec<Act> {
        let (time, user) = (self.at(minutes), self.victim);
        let act = |(second, change)| {
            let time = time.plus_us(second * Time::SECOND_US);
            Act { time, user, seat, what: What::Directory(Box::new(change)) }
        };
        (0..).zip(changes).map(act).collect()
    }

    /// Searches, two minutes apart.
    fn searches(&mut self, minutes: i64, seat: Seat, operation: &'static str, queries: &[&'static str]) -> Vec<Act> {
        (0..)
            .zip(queries)
            .map(|(turn, query)| self.act(minutes + turn * 2, seat, What::Search { operation, query }))
            .collect()
    }

    /// Deletes messages for good: half of the Message-ID, and the subject.
    fn delete(&mut self, minutes: i64, seat: Seat, folder: &'static str, messages: Vec<(u64, String)>) -> Act {
        self.act(minutes, seat, What::Delete(Box::new(Deleted { operation: "HardDelete", folder, messages })))
    }

    /// An answer to somebody outside, in a thread that stands in the inbox at this minute.
    fn answer(&self, minutes: i64) -> Sent {
        let (seed, owner) = (self.company.seed, self.company.person(self.victim));
        let newest = newest_message(self.day, minutes);
        // Only the first messages of a day come on days off too.
        let came = |number: &u64| (number - OLD_MESSAGES) % INBOUND_A_DAY < INBOUND_A_DAY / 4;
        let message = (OLD_MESSAGES..=newest)
            .rev()
            .filter(came)
            .map(|number| Message::of(seed, owner, number))
            .find(|message| !message.sender.ends_with(DOMAIN))
            .unwrap_or_else(|| Message::of(seed, owner, newest));
        let subject =
            if message.subject.starts_with("RE: ") { message.subject } else { format!("RE: {}", message.subject) };
        Sent { subject, to: vec![message.sender], sent_as: None }
    }

    /// A fraud mail to a partner, in the words of a thread.
    fn fraud_mail(&mut self, minutes: i64, seat: Seat, subject: &str) -> Act {
        let partner = outsider(u64::MAX ^ (u64::from(self.number) << 48));
        let mail = Sent { subject: subject.to_owned(), to: vec![partner], sent_as: None };
        self.act(minutes, seat, What::Send(Box::new(mail)))
    }

    fn conclude(self, plot: &mut Plot) {
        let times = self.steps.iter();
        let first_time = times.clone().map(|step| step.time).min().unwrap_or_default();
        let last_time = times.map(|step| step.last_time).max().unwrap_or_default();
        plot.takeovers.push(Takeover {
            victim: self.victim_upn().to_owned(),
            kind: self.kind,
            actor_ips: self.ips,
            sessions: self.sessions.into_iter().map(|session| Id(session).text()).collect(),
            apps: self.brought,
            first_time,
            access_time: self.access.unwrap_or(first_time),
            last_time,
            id: self.id,
        });
        plot.events.extend(self.events);
        plot.steps.extend(self.steps);
        plot.rules.extend(self.rules);
    }
}

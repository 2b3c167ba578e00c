//! What is planted: takeovers and benign twins.
//!
//! A scenario is one function. To add one: write its file, name it in [`plant`] (takeovers) or in `twins::ALL`.

mod aitm_token;
mod consent_only;
mod spray_and_rules;
mod twins;

use std::collections::BTreeSet;

use matagi_model::Time;

use crate::company::{Company, Department, Stay};
use crate::dice::{Dice, Guid};
use crate::event::{Bind, Cmdlet, Directory, Event, Protocol, Script, Sent, SignIn, What, outsider};
use crate::exchange::Rule;
use crate::habits::newest_message;
use crate::pieces::Id;
use crate::plan::{Plan, TakeoverKind};
use crate::truth::{Step, Takeover, Twin};
use crate::world::{ACTORS, API, App, Client, Device, EXCHANGE, HOSTING, Place, Seat};

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
            TakeoverKind::SprayAndRules => Department::GeneralAffairs,
            TakeoverKind::AitmToken => Department::Accounting,
            TakeoverKind::ConsentOnly => Department::Sales,
        };
        let Some(victim) = cast.take(company, Some(department)) else { continue };
        company.stays.insert((victim, day), Stay::Office);
        let mut actor = Actor::new(company, *kind, number, victim, day);
        match kind {
            TakeoverKind::SprayAndRules => spray_and_rules::plant(&mut actor),
            TakeoverKind::AitmToken => aitm_token::plant(&mut actor),
            TakeoverKind::ConsentOnly => consent_only::plant(&mut actor),
        }
        actor.conclude(&mut plot);
    }
    for (number, twin) in (1..).zip(twins::ALL) {
        twins::plant(twin, number, company, &mut cast, &mut plot);
    }
    twins::old_rules(company, &mut plot.rules);
    plot.events.sort_by_key(|event| (event.time, event.id));
    plot.steps.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    plot
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

    /// Records a step of one or more acts by the actor.
    fn step(&mut self, what: &str, catalogue: &[&str], acts: Vec<Act>) {
        let (Some(first), Some(last)) = (acts.iter().map(|act| act.time).min(), acts.iter().map(|act| act.time).max())
        else {
            return;
        };
        let seat = acts[acts.len() - 1].seat;
        let is_hostile_place = seat.place.ip == self.first.ip || seat.place.ip == self.second.ip;
        // A session exists only once a sign-in succeeded.
        let session = (is_hostile_place && self.access.is_some()).then_some(seat.session);
        let mut records = Vec::with_capacity(acts.len());
        for act in acts {
            let mut script = Script { dice: &mut self.dice, events: &mut self.events };
            records.push(Id(script.push(act.time, act.user, act.seat, act.what)).text());
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
            records,
        });
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
            let bind = Bind { mailbox: self.victim, first: newest, count, folder: "\\Inbox", app };
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
        let person = self.company.person(victim);
        let changes = consent(person.id, app, object, name, scopes);
        let time = self.at(minutes);
        (0..)
            .zip(changes)
            .map(|(second, change)| Act {
                time: time.plus_us(second * Time::SECOND_US),
                user: victim,
                seat,
                what: What::Directory(Box::new(change)),
            })
            .collect()
    }

    /// A fraud mail to a partner, in the words of a thread.
    fn fraud_mail(&mut self, minutes: i64, seat: Seat, subject: &str) -> Act {
        let partner = outsider(u64::MAX ^ (u64::from(self.number) << 48));
        let mail = Sent { subject: subject.to_owned(), to: vec![partner] };
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

/// A sign-in through a page, successful unless `error` says otherwise.
const fn page(app: &'static App, resource: &'static App, error: u32, is_mfa: bool) -> What {
    let protocol = Protocol::Page;
    What::SignIn(SignIn { is_interactive: true, app, resource, error, protocol, is_mfa, is_audited: true })
}

/// A token renewed without asking anybody.
const fn renewal(app: &'static App, resource: &'static App) -> What {
    let protocol = Protocol::Token;
    What::SignIn(SignIn { is_interactive: false, app, resource, error: 0, protocol, is_mfa: false, is_audited: true })
}

/// `New-InboxRule`.
fn new_rule(user: &str, name: &str, mut parameters: Vec<(&'static str, String)>) -> What {
    parameters.insert(0, ("AlwaysDeleteOutlookRulesBlob", "False".to_owned()));
    parameters.insert(1, ("Force", "False".to_owned()));
    parameters.insert(2, ("Name", name.to_owned()));
    let object = format!("{user}\\{name}");
    What::Cmdlet(Box::new(Cmdlet { operation: "New-InboxRule", object, parameters, app: &EXCHANGE }))
}

/// What the directory records when a user consents to an application.
fn consent(user: Guid, app: Guid, object: Guid, name: &str, scopes: &str) -> [Directory; 3] {
    let change = |operation, modified| Directory {
        operation,
        category: "ApplicationManagement",
        service: "Core Directory",
        target_type: "ServicePrincipal",
        target_id: object,
        target_name: name.to_owned(),
        target_key: Id(app).text(),
        modified,
    };
    let text = |value: &str| value.to_owned();
    let (principal, client) = (Id(user).text(), Id(object).text());
    let resource = Id(user ^ 0x0003_0003).text();
    let grant = format!(
        "[] => [[Id: {}, ClientId: {client}, PrincipalId: {principal}, ResourceId: {resource}, ConsentType: Principal, Scope:  {scopes}, CreatedDateTime: , LastModifiedDateTime ]]; ",
        Id(object ^ user).text(),
    );
    [
        change(
            "Add service principal",
            vec![
                ("AccountEnabled", text("[]"), text("[true]")),
                ("AppPrincipalId", text("[]"), format!("[\"{}\"]", Id(app).text())),
                ("DisplayName", text("[]"), format!("[\"{name}\"]")),
            ],
        ),
        change(
            "Add delegated permission grant",
            vec![
                ("DelegatedPermissionGrant.Scope", String::new(), format!(" {scopes}")),
                ("DelegatedPermissionGrant.ConsentType", String::new(), text("Principal")),
                ("ServicePrincipal.ObjectID", String::new(), client.clone()),
            ],
        ),
        change(
            "Consent to application",
            vec![
                ("ConsentContext.IsAdminConsent", String::new(), text("False")),
                ("ConsentContext.IsAppOnly", String::new(), text("False")),
                ("ConsentContext.OnBehalfOfAll", String::new(), text("False")),
                ("ConsentContext.Tags", String::new(), text("WindowsAzureActiveDirectoryIntegratedApp")),
                ("ConsentAction.Permissions", String::new(), grant),
                ("TargetId.ServicePrincipalNames", String::new(), Id(app).text()),
            ],
        ),
    ]
}

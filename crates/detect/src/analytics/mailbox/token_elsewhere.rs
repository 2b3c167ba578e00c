//! One token in two places (MBX-018): the service issues a token to one machine, and a copy of it works anywhere.
//!
//! Method: every record that names its token is held against the sign-in that issued the token, or, where that is not in
//! the evidence, against the token's first use. Another network than that is elsewhere; two addresses of one autonomous
//! system are not. What one stranger does with all tokens of a user is one finding.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use matagi_model::tables::CommonView;
use matagi_model::{
    Analytic, AnalyticMeta, Context, Entity, EventBatch, Evidence, Finding, Fold, Ip, Parameter, Reason, ReasonText,
    Role, Scan, Severity, Stage, Table, Text, Time, Uid,
};

use crate::base::{Novelty, Proof, Shared, SignIn, Surroundings, class, surroundings};

/// The analytic.
pub struct TokenElsewhere;

const COLUMNS: &[&str] = &[
    "status_id",
    "status_code",
    "status_detail",
    "user_type",
    "src_country",
    "src_asn",
    "src_latitude",
    "src_longitude",
    "user_agent",
    "session_uid",
    "token_uid",
];

static META: AnalyticMeta = AnalyticMeta {
    id: "mailbox/token-elsewhere",
    catalogue: &["MBX-018"],
    title: Text::new(
        "Token of {user} used elsewhere: {place}",
        "{user} のトークンが発行先とは別の場所で使われている: {place}",
    ),
    question: Text::new(
        "Is a token used from another network than the one it was issued to?",
        "発行先とは別のネットワークから使われているトークンはないか。",
    ),
    stage: Stage::InitialAccess,
    attack: &["T1550.001"],
    scans: &[
        Scan { table: Table::Auth, columns: COLUMNS, partition_by: &["user_name"] },
        Scan { table: Table::Iam, columns: COLUMNS, partition_by: &["user_name"] },
        Scan { table: Table::Saas, columns: COLUMNS, partition_by: &["user_name"] },
    ],
    parameters: &[
        Parameter {
            name: "late_minutes",
            default: 60.0,
            reason: "programs renew a token about hourly: an old copy that appears elsewhere was kept by somebody",
        },
        Parameter {
            name: "lifetime_hours",
            default: 28.0,
            reason: "no access token lives longer: what is older is let go of when memory is short",
        },
    ],
    reasons: &[
        ReasonText::new(
            "elsewhere",
            "token {token} issued to {first_ip} ({first}), used from {second_ip} ({second})",
            "トークン {token} は {first_ip}（{first}）に発行され、{second_ip}（{second}）から使われています",
        ),
        ReasonText::new(
            "elsewhere-unissued",
            "token {token} used from {first_ip} ({first}) and from {second_ip} ({second}); its sign-in is not on record",
            "トークン {token} は {first_ip}（{first}）と {second_ip}（{second}）の両方から使われています（発行時のサインイン記録なし）",
        ),
        ReasonText::new("tokens", "{count} tokens in all", "同様のトークンは合計 {count} 個です"),
        ReasonText::new(
            "late",
            "first used there {minutes} minutes after it was issued: a kept copy",
            "発行から {minutes} 分後に初めてそこで使われており、複製が保管されていたとみられます",
        ),
        ReasonText::new(
            "other-client",
            "with another program: {first} and {second}",
            "使用プログラムも {first} と {second} で異なります",
        ),
        ReasonText::new(
            "interleaved",
            "both places alternate: nobody moved",
            "二つの場所が交互に現れており、移動では説明できません",
        ),
        ReasonText::new(
            "moved",
            "once from one to the other within one country, with one program: as when a laptop moves, one step milder",
            "同じ国の中で同じプログラムのまま一度だけ場所が変わっており、ノートPCの移動とみて深刻度を一段階下げています",
        ),
        ReasonText::new(
            "both-known",
            "{user} is used to both networks: as between home and office, two steps milder",
            "どちらも {user} が普段から使うネットワークで、自宅と職場の行き来とみて深刻度を二段階下げています",
        ),
    ],
};

/// Tokens watched at once; half a million take some two hundred megabytes. Sign-ins come first and what was done with
/// their tokens later, so that a token can only be let go of while the last table is read.
const TOKENS_MAX: usize = 500_000;
/// Users whose last circumstances are shared between their tokens.
const USERS_MAX: usize = 100_000;
/// Places remembered of one token.
const PLACES_MAX: usize = 4;
/// Strangers told; an attack from more is told by other analytics too.
const GROUPS_MAX: usize = 50_000;
/// Tokens shown of one finding, with the record of either place.
const KEPT_MAX: usize = 10;
/// Characters of a token that a sentence names.
const TOKEN_CHARS_TOLD: usize = 13;
/// Sessions and addresses named by a finding.
const NAMED_MAX: usize = 20;
/// Memory is tidied at the most once in so much of the evidence's time.
const SWEEP_EVERY_US: i64 = Time::HOUR_US;

impl Analytic for TokenElsewhere {
    fn meta(&self) -> &'static AnalyticMeta {
        &META
    }

    fn start(&self, context: &Context) -> Box<dyn Fold> {
        let parameter = |name| META.parameter(name, &context.settings);
        #[expect(clippy::cast_possible_truncation, reason = "small documented parameters")]
        let (late_us, lifetime_us) =
            ((parameter("late_minutes") * 60e6) as i64, (parameter("lifetime_hours") * 3.6e9) as i64);
        Box::new(Tokens {
            context: context.clone(),
            late_us,
            lifetime_us,
            tokens: BTreeMap::new(),
            groups: BTreeMap::new(),
            lately: BTreeMap::new(),
            shared: Shared::default(),
            swept: Time::UNKNOWN,
        })
    }
}

/// What is kept of one place of a token: small, because most tokens have one place and no finding.
#[derive(Debug, Clone)]
struct Stay {
    ip: Ip,
    first: Time,
    last: Time,
    acts: u64,
    /// Whether a sign-in got the token here.
    is_issuer: bool,
    proof: Proof,
    session: Option<Arc<str>>,
    around: Arc<Surroundings>,
}

#[derive(Debug, Default)]
struct Token {
    /// Empty until there is something to tell.
    name: Box<str>,
    stays: Vec<Stay>,
}

struct Tokens {
    context: Context,
    late_us: i64,
    lifetime_us: i64,
    /// By user and token, hashed: half a million names would be longer than all else.
    tokens: BTreeMap<Uid, Token>,
    /// By user and strange place.
    groups: BTreeMap<(String, String), Group>,
    /// The last circumstances of each user, for all the tokens that share them.
    lately: BTreeMap<String, Arc<Surroundings>>,
    shared: Shared,
    swept: Time,
}

/// One token in two places.
#[derive(Debug)]
struct Pair {
    severity: Severity,
    issued: Stay,
    elsewhere: Stay,
    is_interleaved: bool,
    token: String,
}

/// What one stranger did with a user's tokens.
#[derive(Debug, Default)]
struct Group {
    /// The gravest, of them the earliest.
    pairs: Vec<Pair>,
    tokens: u64,
    records: u64,
    sessions: BTreeSet<String>,
    ips: BTreeSet<(Ip, Role)>,
}

impl Fold for Tokens {
    fn batch(&mut self, batch: &EventBatch) {
        let row = batch.common();
        for index in 0..batch.rows() {
            if let Some(token) = row.token_uid.get(index).filter(|token| !token.is_empty()) {
                self.used(batch.table, &row, index, token);
            }
        }
    }

    fn finish(mut self: Box<Self>) -> Vec<Finding> {
        for token in std::mem::take(&mut self.tokens).into_values() {
            self.conclude(token);
        }
        let late_us = self.late_us;
        self.groups.into_iter().filter_map(|((user, place), group)| group.finding(&user, &place, late_us)).collect()
    }
}

impl Tokens {
    fn used(&mut self, table: Table, row: &CommonView<'_>, index: usize, token: &str) {
        let (status, time) = (row.status_id.get(index).unwrap_or(0), row.time.get(index));
        let is_sign_in = table == Table::Auth;
        let succeeded = if is_sign_in {
            class(row.status_code.get(index), row.status_detail.get(index), status) == SignIn::Ok
        } else {
            status != 2
        };
        if !succeeded || !time.is_known() {
            return;
        }
        let around = surroundings(row, index, &self.context).filter(|around| !around.place.relay);
        let Some(around) = around else { return };
        let key = Uid::of(&[around.user.as_bytes(), token.as_bytes()]);
        if !self.tokens.contains_key(&key) && !self.has_room(table, time) {
            return;
        }
        let around = self.lately(around);
        let entry = self.tokens.entry(key).or_default();
        if let Some(stay) = entry.stays.iter_mut().find(|stay| !stay.around.place.is_elsewhere(&around.place)) {
            stay.acts += 1;
            stay.first = stay.first.min(time);
            stay.last = stay.last.max(time);
            stay.is_issuer |= is_sign_in;
        } else if entry.stays.len() < PLACES_MAX {
            if !entry.stays.is_empty() {
                entry.name = token.into();
            }
            // Most tokens have one place: a vector left to itself would make room for four.
            entry.stays.reserve_exact(1);
            entry.stays.push(Stay {
                ip: around.place.ip,
                first: time,
                last: time,
                acts: 1,
                is_issuer: is_sign_in,
                proof: Proof::of(table, row, index, &mut self.shared),
                session: row.session_uid.get(index).map(|session| self.shared.text(session)),
                around,
            });
        }
    }

    /// One copy of what many tokens have in common: a person stays in one place for hours.
    fn lately(&mut self, around: Surroundings) -> Arc<Surroundings> {
        let told = |around: &Surroundings| {
            (around.address, around.network, around.country, around.program, around.is_common_network)
        };
        if let Some(last) = self.lately.get(&around.user)
            && told(last) == told(&around)
            && last.client == around.client
            && last.place == around.place
        {
            return Arc::clone(last);
        }
        if self.lately.len() >= USERS_MAX {
            self.lately.clear();
        }
        let around = Arc::new(around);
        self.lately.insert(around.user.clone(), Arc::clone(&around));
        around
    }

    /// Room for one more token; tokens that nobody can use any more are concluded for it.
    fn has_room(&mut self, table: Table, now: Time) -> bool {
        if self.tokens.len() < TOKENS_MAX {
            return true;
        }
        if table != Table::Saas || now.since_us(self.swept) < SWEEP_EVERY_US {
            return false;
        }
        self.swept = now;
        let lifetime_us = self.lifetime_us;
        let is_over = |token: &Token| token.stays.iter().all(|stay| now.since_us(stay.last) > lifetime_us);
        let over: Vec<Token> = self.tokens.extract_if(.., |_, token| is_over(token)).map(|(_, token)| token).collect();
        for token in over {
            self.conclude(token);
        }
        self.tokens.len() < TOKENS_MAX
    }

    /// Holds all places of a token against the one that it was issued to.
    fn conclude(&mut self, mut token: Token) {
        if token.stays.len() < 2 {
            return;
        }
        token.stays.sort_by_key(|stay| (!stay.is_issuer, stay.first, stay.ip));
        let mut stays = token.stays.into_iter();
        let Some(issued) = stays.next() else { return };
        for elsewhere in stays {
            let pair = Pair::new(issued.clone(), elsewhere, &token.name);
            let key = (pair.elsewhere.around.user.clone(), pair.place());
            if self.groups.len() < GROUPS_MAX || self.groups.contains_key(&key) {
                self.groups.entry(key).or_default().add(pair);
            }
        }
    }
}

fn place_name(around: &Surroundings) -> String {
    match around.place.asn {
        Some(_) => format!("{} {}", around.place.country_name(), around.place.network()),
        None => format!("{} {}", around.place.country_name(), around.place.ip.place()),
    }
}

impl Stay {
    fn is_strange(&self) -> bool {
        self.around.is_new_place()
    }

    /// A habit of the user, or the organisation's own network.
    fn is_known(&self) -> bool {
        let novelty = if self.around.place.asn.is_some() { self.around.network } else { self.around.address };
        novelty == Novelty::Known || self.around.is_common_network
    }

    fn program(&self) -> Option<String> {
        self.around.client.as_ref().map(crate::base::Client::name)
    }
}

impl Pair {
    fn new(issued: Stay, elsewhere: Stay, token: &str) -> Self {
        let is_interleaved = elsewhere.first < issued.last && issued.first < elsewhere.last;
        let mut pair = Self { severity: Severity::High, issued, elsewhere, is_interleaved, token: token.to_owned() };
        let by_owner = if pair.strange().around.owner_reason().is_some() { 2 } else { 0 };
        for _ in 0..pair.excuses().iter().map(|(_, steps)| steps).sum::<u32>() + by_owner {
            pair.severity = pair.severity.lowered();
        }
        pair
    }

    /// The place that is not the user's: where the token was used, unless the user sits there and it was issued elsewhere.
    fn strange(&self) -> &Stay {
        if self.issued.is_strange() && !self.elsewhere.is_strange() { &self.issued } else { &self.elsewhere }
    }

    /// The strange place; to and fro between two familiar ones is one and the same.
    fn place(&self) -> String {
        if !self.is_familiar() {
            return place_name(&self.strange().around);
        }
        let mut places = [place_name(&self.issued.around), place_name(&self.elsewhere.around)];
        places.sort();
        places.join(", ")
    }

    fn is_familiar(&self) -> bool {
        self.issued.is_known() && self.elsewhere.is_known()
    }

    fn proof(&self, stay: &Stay) -> Evidence {
        stay.proof.evidence(&stay.around.user, &format!("token {}", self.token))
    }

    fn has_other_client(&self) -> bool {
        let (one, two) = (self.issued.program(), self.elsewhere.program());
        one.is_some() && two.is_some() && one != two
    }

    /// Honest explanations, and the steps that each makes it milder.
    fn excuses(&self) -> Vec<(&'static str, u32)> {
        let (issued, strange) = (&self.issued, self.strange());
        if self.is_familiar() {
            return vec![("both-known", 2)];
        }
        let mut excuses = Vec::new();
        let (here, there) = (&issued.around.place.country, &self.elsewhere.around.place.country);
        let is_rented = strange.around.place.hosting || strange.around.is_tool();
        if here == there && !is_rented && !self.is_interleaved && !self.has_other_client() {
            excuses.push(("moved", 1));
        }
        if !strange.is_strange() || strange.around.is_cold() {
            excuses.push(("cold", 1));
        }
        excuses
    }

    fn reasons(&self, late_us: i64) -> Vec<Reason> {
        let (one, two) = (&self.issued, &self.elsewhere);
        let args = [
            ("token", self.token.chars().take(TOKEN_CHARS_TOLD).collect()),
            ("first_ip", one.ip.to_string()),
            ("first", place_name(&one.around)),
            ("second_ip", two.ip.to_string()),
            ("second", place_name(&two.around)),
        ];
        let code = if one.is_issuer { "elsewhere" } else { "elsewhere-unissued" };
        let mut reasons = vec![Reason::new(code, 5.0, args)];
        let age_us = two.first.since_us(one.first);
        if one.is_issuer && age_us > late_us {
            let minutes = (age_us / Time::MINUTE_US).to_string();
            reasons.push(Reason::new("late", 2.0, [("minutes", minutes)]));
        }
        if let (true, Some(first), Some(second)) = (self.has_other_client(), one.program(), two.program()) {
            reasons.push(Reason::new("other-client", 3.0, [("first", first), ("second", second)]));
        }
        if self.is_interleaved {
            reasons.push(Reason::new("interleaved", 2.0, []));
        }
        reasons.extend(self.strange().around.reasons());
        reasons.extend(self.strange().around.owner_reason());
        let user = &two.around.user;
        let milder = |(code, steps): (&str, u32)| Reason::new(code, -f64::from(steps), [("user", user.clone())]);
        reasons.extend(self.excuses().into_iter().map(milder));
        reasons
    }
}

impl Group {
    fn add(&mut self, pair: Pair) {
        self.tokens += 1;
        self.records += pair.issued.acts + pair.elsewhere.acts;
        for stay in [&pair.issued, &pair.elsewhere] {
            let role = if stay.is_strange() { Role::Source } else { Role::Context };
            if self.ips.len() < NAMED_MAX {
                self.ips.insert((stay.ip, role));
            }
            if self.sessions.len() < NAMED_MAX {
                self.sessions.extend(stay.session.as_deref().map(str::to_owned));
            }
        }
        self.pairs.push(pair);
        self.pairs.sort_by_key(|pair| (std::cmp::Reverse(pair.severity), pair.elsewhere.first, pair.elsewhere.ip));
        self.pairs.truncate(KEPT_MAX);
    }

    fn finding(self, user: &str, place: &str, late_us: i64) -> Option<Finding> {
        let gravest = self.pairs.first()?;
        let mut finding = Finding::new(&META, gravest.severity, gravest.proof(&gravest.issued))
            .proved_by(gravest.proof(&gravest.elsewhere))
            .titled("user", user)
            .titled("place", place)
            .about(Entity::user(user), Role::Victim);
        finding = gravest.reasons(late_us).into_iter().fold(finding, Finding::because);
        if self.tokens > 1 {
            finding = finding.because(Reason::new("tokens", 1.0, [("count", self.tokens.to_string())]));
        }
        for session in &self.sessions {
            finding = finding.about(Entity::session(session), Role::Source);
        }
        for (ip, role) in &self.ips {
            finding = finding.about(Entity::ip(*ip), *role);
        }
        for pair in self.pairs.get(1..).unwrap_or_default() {
            finding = finding.proved_by(pair.proof(&pair.issued)).proved_by(pair.proof(&pair.elsewhere));
        }
        Some(finding.and_more(self.records.saturating_sub(2 * self.pairs.len() as u64)))
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::EntityKind;
    use matagi_model::tables::SaasOwn;

    use super::*;
    use crate::testing::{Row, office_days, run_hosted, sign_in, usage};

    const ANNA: &str = "anna@c.example";
    const HOME: &str = "192.0.2.1";
    const OFFICE: &str = "198.51.100.4";
    const THIEF: &str = "203.0.113.9";
    const DAY_11: i64 = 11 * Time::DAY_US + 9 * Time::HOUR_US;
    const MINUTE: i64 = Time::MINUTE_US;

    fn with_token(mut row: Row, token: &str) -> Row {
        let common = match &mut row {
            Row::Auth(row) => &mut row.common,
            Row::Iam(row) => &mut row.common,
            Row::Saas(row) => &mut row.common,
        };
        common.token_uid = Some(token.to_owned());
        common.session_uid = Some("s1".to_owned());
        let ip = common.src_ip.map(|ip| ip.to_string()).unwrap_or_default();
        (common.src_country, common.src_asn) = match ip.as_str() {
            HOME | "2001:db8::7" => (Some("JP".to_owned()), Some(64_500)),
            OFFICE => (Some("JP".to_owned()), Some(64_501)),
            "192.88.99.1" => (Some("JP".to_owned()), Some(64_502)),
            _ => (None, None),
        };
        row
    }

    /// Days at home, a token for each sign-in.
    fn days(days: std::ops::Range<i64>) -> Vec<Row> {
        let rows = office_days(ANNA, HOME, days).into_iter();
        rows.enumerate().map(|(n, row)| with_token(row, &format!("t{n}"))).collect()
    }

    fn reading(offset: i64, ip: &str, token: &str) -> Row {
        with_token(usage(offset, ANNA, ip, "MailItemsAccessed", SaasOwn::default()), token)
    }

    fn codes(finding: &Finding) -> Vec<&str> {
        finding.reasons.iter().map(|reason| reason.code.as_str()).collect()
    }

    #[test]
    fn a_stolen_token_reads_mail_from_a_rented_machine() {
        let mut rows = days(0..12);
        rows.push(reading(DAY_11 + 90 * MINUTE, THIEF, "t22"));
        let found = run_hosted(&TokenElsewhere, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::High));
        assert_eq!(codes(&found[0])[..2], ["elsewhere", "late"]);
        let role = |value: &str| found[0].entities().find(|(entity, _)| entity.value == value).map(|(_, role)| role);
        assert_eq!((role(THIEF), role(HOME)), (Some(Role::Source), Some(Role::Context)));
        assert_eq!((role(ANNA), role("s1")), (Some(Role::Victim), Some(Role::Source)));
    }

    #[test]
    fn the_same_network_is_not_elsewhere() {
        let mut rows = days(0..12);
        rows.push(reading(DAY_11 + MINUTE, "2001:db8::7", "t22"));
        rows.push(reading(DAY_11 + 2 * MINUTE, "2603:10a6:1::5", "t22"));
        assert!(run_hosted(&TokenElsewhere, rows).is_empty());
    }

    #[test]
    fn a_new_token_from_a_new_place_is_another_analytics_matter() {
        let mut rows = days(0..12);
        rows.push(with_token(sign_in(DAY_11 + MINUTE, ANNA, THIEF, "0"), "other"));
        rows.push(reading(DAY_11 + 2 * MINUTE, THIEF, "other"));
        assert!(run_hosted(&TokenElsewhere, rows).is_empty());
    }

    #[test]
    fn a_laptop_between_home_and_office_is_low() {
        let mut rows = days(0..12);
        for day in 0..12 {
            let morning = day * Time::DAY_US + 9 * Time::HOUR_US;
            rows.push(reading(morning + 40 * MINUTE, OFFICE, &format!("t{}", day * 2)));
            rows.push(with_token(sign_in(morning + 50 * MINUTE, ANNA, OFFICE, "0"), &format!("o{day}")));
            rows.push(reading(morning + 90 * MINUTE, HOME, &format!("o{day}")));
        }
        let found = run_hosted(&TokenElsewhere, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Low));
        assert!(codes(&found[0]).contains(&"both-known"));
    }

    #[test]
    fn a_laptop_in_a_cafe_is_medium_and_one_that_is_in_two_places_at_once_high() {
        let cafe = |also_home: bool| {
            let mut rows = days(0..12);
            rows.push(reading(DAY_11 + 10 * MINUTE, "192.88.99.1", "t22"));
            rows.push(reading(DAY_11 + 30 * MINUTE, "192.88.99.1", "t22"));
            if also_home {
                rows.push(reading(DAY_11 + 20 * MINUTE, HOME, "t22"));
            }
            run_hosted(&TokenElsewhere, rows).iter().map(|finding| finding.severity).collect::<Vec<_>>()
        };
        assert_eq!((cafe(false), cafe(true)), (vec![Severity::Medium], vec![Severity::High]));
    }

    #[test]
    fn two_days_of_history_are_cold() {
        let mut rows = days(0..2);
        rows.push(reading(Time::DAY_US + 10 * Time::HOUR_US, THIEF, "t2"));
        let found = run_hosted(&TokenElsewhere, rows);
        assert_eq!((found.len(), found[0].severity), (1, Severity::Medium));
        assert!(codes(&found[0]).contains(&"cold"));
    }

    #[test]
    fn many_tokens_in_one_strangers_hands_are_one_finding() {
        let mut rows = days(0..12);
        for n in 0..100 {
            let token = format!("t{}", 20 + n % 4);
            rows.push(reading(DAY_11 + 6 * Time::HOUR_US + n * MINUTE, THIEF, &token));
        }
        let found = run_hosted(&TokenElsewhere, rows);
        assert_eq!((found.len(), found[0].evidence().len(), found[0].evidence_count), (1, 8, 104));
        assert_eq!(found[0].values(EntityKind::Ip).collect::<Vec<_>>(), [HOME, THIEF]);
    }
}

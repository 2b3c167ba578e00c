//! What one suspect did of one kind, gathered into one finding.

use std::collections::BTreeMap;

use matagi_model::tables::CommonView;
use matagi_model::{
    AnalyticMeta, Context, Entity, Evidence, Finding, Ip, Reason, Role, Severity, Suspicion, Table, Time,
};

use super::suspicion;

/// Suspects followed at once; more are no longer somebody's break-in but a tenant on fire.
const SUSPECTS_MAX: usize = 20_000;

/// The acts of one user in one suspected session, or from one suspected address.
#[derive(Debug, Clone)]
pub struct Deeds<T> {
    /// Why they are suspected.
    pub suspicion: Suspicion,
    /// Account that acted.
    pub user: String,
    /// Address of the first act.
    pub ip: Option<Ip>,
    /// Session, where the records name one.
    pub session: Option<String>,
    /// Acts.
    pub count: u64,
    /// What the analytic remembers of them.
    pub notes: T,
    evidence: Vec<Evidence>,
}

/// The deeds of all suspects, by user and session or address.
#[derive(Debug)]
pub struct DeedsBySuspect<T>(BTreeMap<(String, String), Deeds<T>>);

impl<T> Default for DeedsBySuspect<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Default> DeedsBySuspect<T> {
    /// The deeds that this row belongs to, if a suspect did it and it succeeded. Its evidence is added.
    pub fn of(
        &mut self,
        table: Table,
        row: &CommonView<'_>,
        index: usize,
        told: &str,
        context: &Context,
    ) -> Option<&mut Deeds<T>> {
        let user = row.user_name.get(index)?;
        let suspicion = suspicion(row, index, context).filter(|_| row.status_id.get(index) != Some(2))?;
        let ip = row.src_ip.get(index);
        let session = row.session_uid.get(index).map(str::to_owned);
        let place = session.clone().or_else(|| ip.map(|ip| ip.to_string())).unwrap_or_default();
        let key = (user.to_owned(), place);
        if self.0.len() >= SUSPECTS_MAX && !self.0.contains_key(&key) {
            return None;
        }
        let deeds = self.0.entry(key).or_insert_with(|| Deeds {
            suspicion: suspicion.clone(),
            user: user.to_owned(),
            ip,
            session,
            count: 0,
            notes: T::default(),
            evidence: Vec::new(),
        });
        deeds.count += 1;
        if deeds.evidence.len() < Finding::EVIDENCE_MAX {
            deeds.evidence.push(Evidence::of(table, row, index, told));
        }
        Some(deeds)
    }

    /// All, by user.
    pub fn iter(&self) -> impl Iterator<Item = &Deeds<T>> {
        self.0.values()
    }
}

impl<T> Deeds<T> {
    /// The finding about them: who, from where, in which session, and why that is suspected.
    pub fn finding(&self, meta: &AnalyticMeta, severity: Severity) -> Finding {
        let mut evidence = self.evidence.iter().cloned();
        let mut finding = Finding::new(meta, severity, evidence.next().expect("deeds begin with a record"))
            .titled("user", &self.user)
            .titled("count", self.count.to_string())
            .about(Entity::user(&self.user), Role::Victim);
        if let Some(ip) = self.ip.filter(|ip| !ip.is_internal()) {
            finding = finding.about(Entity::ip(ip), Role::Source);
        }
        if let Some(session) = &self.session {
            finding = finding.about(Entity::session(session), Role::Source);
        }
        let kept = self.evidence.len() as u64;
        evidence
            .fold(finding.because(suspected(&self.suspicion)), Finding::proved_by)
            .and_more(self.count.saturating_sub(kept))
    }
}

/// The reason that something happened around a suspicious entry into the account; minutes before it are negative.
pub fn around_entry(entry: &Suspicion, time: Time) -> Reason {
    let minutes = time.since_us(entry.first_time) / Time::MINUTE_US;
    let args =
        [("minutes", minutes.to_string()), ("why", entry.catalogue.join(", ")), ("finding", entry.finding.clone())];
    Reason::new("around-entry", 4.0, args)
}

/// The reason that stands on another finding.
pub fn suspected(suspicion: &Suspicion) -> Reason {
    let why = suspicion.catalogue.join(", ");
    Reason::new("suspected", 4.0, [("why", why), ("finding", suspicion.finding.clone())])
}

//! An incident's score: the sum of reasons, each printed, 0 to 100.

use std::collections::BTreeSet;

use matagi_model::{Context, EntityKind, Finding, Reason, Severity, Stage, StageStep};

pub(super) struct Scored {
    pub(super) severity: Severity,
    pub(super) reasons: Vec<Reason>,
    /// At least three parts of a takeover, getting in among them: the catalogue's MBX-066.
    pub(super) is_takeover: bool,
}

/// Points of the gravest finding. A critical one alone is half the scale; the rest must come from others.
const fn points(severity: Severity) -> f64 {
    match severity {
        Severity::Informational => 1.0,
        Severity::Low => 6.0,
        Severity::Medium => 20.0,
        Severity::High => 38.0,
        Severity::Critical => 55.0,
    }
}

/// Points of each further part of a takeover.
const STAGE_POINTS: f64 = 8.0;
/// Points when getting in came before what was done inside.
const ORDER_POINTS: f64 = 5.0;
/// Points when at least three parts of a takeover were seen, getting in among them.
const CHAIN_POINTS: f64 = 5.0;
const SCORE_MAX: f64 = 100.0;

pub(super) fn score(members: &[&Finding], stages: &[StageStep], context: &Context) -> Scored {
    let mut ranked: Vec<(f64, &Finding)> =
        members.iter().map(|finding| (points(finding.severity) * (0.5 + finding.confidence / 2.0), *finding)).collect();
    ranked.sort_by(|one, two| two.0.total_cmp(&one.0).then_with(|| one.1.id().cmp(&two.1.id())));
    let mut reasons = Vec::new();
    // One kind of finding counts once however often it is repeated, and the i-th kind counts i^1.5 times less.
    let mut kinds: BTreeSet<&str> = BTreeSet::new();
    let mut further = (0.0, 0_u32);
    for (weight, finding) in &ranked {
        let rank = kinds.len() + 1;
        if !kinds.insert(&finding.analytic) {
            continue;
        }
        if rank == 1 {
            reasons.push(Reason::new(
                "best-finding",
                rounded(*weight),
                [("title", finding.id()), ("severity", finding.severity.word().to_owned())],
            ));
        } else {
            further.0 += weight / (rank as f64).powf(1.5);
            further.1 += 1;
        }
    }
    if further.1 > 0 {
        reasons.push(Reason::new("more-findings", rounded(further.0), [("count", further.1.to_string())]));
    }
    let telling = telling_stages(members);
    if telling.len() > 1 {
        let words: Vec<&str> = telling.iter().map(|stage| stage.word()).collect();
        let weight = STAGE_POINTS * (telling.len() - 1) as f64;
        reasons.push(Reason::new(
            "stages",
            weight,
            [("count", telling.len().to_string()), ("stages", words.join(", "))],
        ));
    }
    if is_in_order(stages, &telling) {
        reasons.push(Reason::new("in-order", ORDER_POINTS, []));
    }
    let entered = telling.contains(&Stage::InitialAccess) || telling.contains(&Stage::CredentialAcquisition);
    let is_takeover = entered && telling.iter().any(|stage| *stage >= Stage::Persistence);
    let is_chain = is_takeover && telling.len() >= 3;
    if is_chain {
        reasons.push(Reason::new("takeover-chain", CHAIN_POINTS, []));
    }
    let important = context.settings.important_users.iter().find(|user| {
        members.iter().any(|finding| {
            finding.values(EntityKind::User).chain(finding.values(EntityKind::Mailbox)).any(|one| one == *user)
        })
    });
    if let Some(user) = important {
        reasons.push(Reason::new("important-user", 5.0, [("user", user.clone())]));
    }
    let total: f64 = reasons.iter().map(|reason| reason.weight).sum();
    if total > SCORE_MAX {
        reasons.push(Reason::new("cap", rounded(SCORE_MAX - total), []));
    }
    let worst = members.iter().map(|finding| finding.severity).max().unwrap_or_default();
    let severity = if is_chain { Severity::Critical } else { band(total).max(worst.min(Severity::High)) };
    let severity = if members.len() == 1 { worst } else { severity };
    Scored { severity, reasons, is_takeover }
}

/// Stages with at least a medium finding, or two findings: a single low one does not make a stage.
fn telling_stages(members: &[&Finding]) -> BTreeSet<Stage> {
    let count = |stage: Stage| members.iter().filter(|finding| finding.stage == stage).count();
    let is_telling = |finding: &&&Finding| {
        finding.severity >= Severity::Medium || (finding.severity == Severity::Low && count(finding.stage) >= 2)
    };
    members.iter().filter(is_telling).map(|finding| finding.stage).collect()
}

fn is_in_order(stages: &[StageStep], telling: &BTreeSet<Stage>) -> bool {
    let ordered: Vec<Stage> = stages
        .iter()
        .filter(|step| telling.contains(&step.stage) && step.first_time.is_known())
        .map(|step| step.stage)
        .collect();
    ordered.len() >= 2 && ordered[0] <= Stage::InitialAccess && ordered.iter().any(|stage| *stage >= Stage::Persistence)
}

fn band(score: f64) -> Severity {
    match score {
        score if score >= 80.0 => Severity::Critical,
        score if score >= 60.0 => Severity::High,
        score if score >= 35.0 => Severity::Medium,
        _ => Severity::Low,
    }
}

/// One digit behind the point, so that the printed reasons add up to the printed score.
pub(super) fn rounded(weight: f64) -> f64 {
    (weight * 10.0).round() / 10.0
}

//! Who stands behind a finding about a change.

use matagi_model::tables::CommonView;
use matagi_model::{Entity, Finding, Role};

use super::is_service_side;

/// Adds the acting account, its address and its session to a finding.
///
/// The service side is no actor: it carries out what somebody else asked for.
pub fn by_actor(mut finding: Finding, row: &CommonView<'_>, index: usize) -> Finding {
    let user = row.user_name.get(index);
    if is_service_side(user, row.user_type.get(index)) {
        return finding;
    }
    if let Some(user) = user {
        finding = finding.about(Entity::user(user), Role::Actor);
    }
    if let Some(ip) = row.src_ip.get(index).filter(|ip| !ip.is_internal()) {
        finding = finding.about(Entity::ip(ip), Role::Source);
    }
    if let Some(session) = row.session_uid.get(index) {
        finding = finding.about(Entity::session(session), Role::Source);
    }
    finding
}

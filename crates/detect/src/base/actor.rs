//! Who acted: a person, or the service itself.

use matagi_model::Ip;

/// Whether the actor is the service side: Microsoft's own processes, an application, a certificate.
///
/// Service-side actors are never a user's location; they feed only findings about applications and administration.
pub fn is_service_side(user_name: Option<&str>, user_type: Option<&str>) -> bool {
    if matches!(
        user_type,
        Some("dc_admin" | "dcadmin" | "system" | "application" | "service_principal" | "system_policy")
    ) {
        return true;
    }
    let Some(name) = user_name else { return true };
    name.starts_with("nt authority")
        || name.starts_with("nt service")
        || name.starts_with("s-1-5-18")
        || name.starts_with("serviceprincipal_")
        || name.starts_with("certificate")
        || name == "app@sharepoint"
        || name == "not available"
        || name == "unknown"
}

/// Whether this row tells where a person is: a named person at an address outside.
pub fn is_person(user_name: Option<&str>, user_type: Option<&str>, ip: Option<Ip>) -> bool {
    !is_service_side(user_name, user_type) && ip.is_some_and(|ip| !ip.is_internal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_no_person() {
        assert!(is_service_side(Some("nt authority\\system (microsoft.exchange.servicehost)"), Some("regular")));
        assert!(is_service_side(Some("anna@contoso.example"), Some("system")));
        assert!(!is_service_side(Some("anna@contoso.example"), Some("admin")));
        assert!(!is_service_side(Some("anna@contoso.example"), None));
    }
}

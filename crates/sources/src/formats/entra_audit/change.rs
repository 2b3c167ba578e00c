//! Which OCSF class and activity an operation of the directory is.

/// OCSF Account Change.
const ACCOUNT: u32 = 3001;
/// OCSF Entity Management.
const ENTITY: u32 = 3004;
/// OCSF User Access Management.
const ACCESS: u32 = 3005;
/// OCSF Group Management.
const GROUP: u32 = 3006;
/// OCSF activity "other".
const OTHER: u8 = 99;

/// `class_uid` and `activity_id` of an operation, by its name and the kind of its target.
pub(super) fn of(operation: &str, kind: Option<&str>) -> (u32, u8) {
    let operation = operation.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| operation.contains(word));
    let kind = kind.unwrap_or_default().to_lowercase();
    let is_removal = has(&["remove", "delete", "revoke"]);
    if has(&["role assignment", "member to role", "member from role", "member in role", "member outside of pim"])
        || has(&["app role", "oauth2permissiongrant", "permission grant"])
    {
        return (ACCESS, if is_removal { 2 } else { 1 });
    }
    if has(&["member to group", "member from group", "owner to group", "owner from group"]) {
        return (GROUP, if is_removal { 4 } else { 3 });
    }
    if operation.ends_with(" group") && !has(&["administrative unit"]) {
        return (
            GROUP,
            if is_removal {
                5
            } else if operation.starts_with("add") {
                6
            } else {
                OTHER
            },
        );
    }
    if let Some(activity) = account(&has, kind == "user") {
        return (ACCOUNT, activity);
    }
    (ENTITY, verb(&operation))
}

/// Activity of Account Change, if the operation is one about an account.
fn account(has: &dyn Fn(&[&str]) -> bool, is_user: bool) -> Option<u8> {
    if has(&["reset password", "reset user password"]) {
        Some(4)
    } else if has(&["change password", "change user password", "set force change"]) {
        Some(3)
    } else if has(&["security info"]) {
        Some(if has(&["deleted", "delete", "remove"]) { 11 } else { 10 })
    } else if has(&["strong authentication"]) {
        Some(if has(&["disable"]) { 11 } else { 10 })
    } else if has(&["disable account"]) {
        Some(5)
    } else if has(&["enable account"]) {
        Some(2)
    } else if has(&["unlock"]) {
        Some(12)
    } else if is_user && has(&["add user", "create user", "invite external user"]) {
        Some(1)
    } else if is_user && has(&["delete user", "hard delete user"]) {
        Some(6)
    } else if is_user && has(&["update user", "restore user", "set user"]) {
        Some(OTHER)
    } else {
        None
    }
}

/// Activity of Entity Management by the verb.
fn verb(operation: &str) -> u8 {
    let starts = |words: &[&str]| words.iter().any(|word| operation.starts_with(word));
    if starts(&["add", "create", "consent", "register", "invite", "new", "set up", "issue"]) {
        1
    } else if starts(&["get", "read", "list", "download", "view", "export"]) {
        2
    } else if starts(&["update", "set", "change", "edit", "modify", "restore", "rotate"]) {
        3
    } else if starts(&["delete", "remove", "hard delete", "revoke", "unregister"]) {
        4
    } else if starts(&["enable"]) {
        8
    } else if starts(&["disable"]) {
        9
    } else {
        OTHER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_have_their_class() {
        for (operation, kind, expected) in [
            ("Add member to role", "User", (ACCESS, 1)),
            ("Remove eligible member from role in PIM completed (permanent)", "Role", (ACCESS, 2)),
            ("Add app role assignment to service principal", "ServicePrincipal", (ACCESS, 1)),
            ("Add delegated permission grant", "ServicePrincipal", (ACCESS, 1)),
            ("Consent to application", "ServicePrincipal", (ENTITY, 1)),
            ("Update application - Certificates and secrets management", "Application", (ENTITY, 3)),
            ("Add service principal credentials", "ServicePrincipal", (ENTITY, 1)),
            ("Delete conditional access policy", "Policy", (ENTITY, 4)),
            ("Add member to group", "User", (GROUP, 3)),
            ("Add group", "Group", (GROUP, 6)),
            ("Reset user password", "User", (ACCOUNT, 4)),
            ("Disable account", "User", (ACCOUNT, 5)),
            ("User registered security info", "User", (ACCOUNT, 10)),
            ("Admin deleted security info", "User", (ACCOUNT, 11)),
            ("Disable Strong Authentication", "User", (ACCOUNT, 11)),
            ("Add user", "User", (ACCOUNT, 1)),
            ("Delete user", "User", (ACCOUNT, 6)),
            ("Something new", "", (ENTITY, OTHER)),
        ] {
            assert_eq!(of(operation, Some(kind)), expected, "{operation}");
        }
    }
}

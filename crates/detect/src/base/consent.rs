//! Consent and permissions, whichever log told of them.

use std::collections::BTreeSet;

use matagi_model::tables::IamView;

use super::{dictionary, modified, truthy};

/// Permissions given to an application.
#[derive(Debug, Clone, Default)]
pub struct Consent {
    /// Application's name, else its id.
    pub app: String,
    /// Application's ids as far as the record names them: client id, service principal's object id.
    pub app_uids: BTreeSet<String>,
    /// Permission names, lower case.
    pub scopes: BTreeSet<String>,
    /// An administrator consented for everybody.
    pub for_everybody: bool,
    /// It gives an application role: the application acts without any user.
    pub is_app_role: bool,
}

/// Operations, as normalised, that give permissions to applications.
const OPERATIONS: [&str; 6] = [
    "Consent to application",
    "Add delegated permission grant",
    "Add OAuth2PermissionGrant",
    "Add app role assignment to service principal",
    "Add app role assignment grant to user",
    "Update application - OAuth2Permissions",
];

/// The permissions that a row gives; `None` for anything else.
pub fn consent(row: &IamView<'_>, index: usize) -> Option<Consent> {
    let operation = row.api_operation.get(index)?;
    if !OPERATIONS.contains(&operation) || operation == "Add app role assignment grant to user" {
        return None;
    }
    let modified = modified(row.own.modified.get(index));
    let find = |suffix: &str| {
        let suffix = suffix.to_lowercase();
        modified.iter().find(|(name, _)| name.to_lowercase().ends_with(&suffix)).map(|(_, (_, new))| clean(new))
    };
    let mut scopes = BTreeSet::new();
    for name in
        ["ConsentAction.Permissions", "DelegatedPermissionGrant.Scope", "AppRole.Value", "OAuth2PermissionGrant.Scope"]
    {
        scopes.extend(find(name).iter().flat_map(|text| scopes_in(text)));
    }
    if let Some(text) = modified.get("Permissions").map(|(_, new)| new) {
        scopes.extend(scopes_in(text));
    }
    let consent_type = find("ConsentType").unwrap_or_default();
    let is_app_role = operation == "Add app role assignment to service principal";
    // These two name the resource (Microsoft Graph) as their target, and the application in the properties.
    let is_about_resource = is_app_role || operation == "Add delegated permission grant";
    let mut app_uids: BTreeSet<String> = BTreeSet::new();
    let mut names = vec!["ServicePrincipal.ObjectID", "ServicePrincipal.AppId"];
    if !is_about_resource {
        app_uids.extend(row.own.entity_uid.get(index).map(str::to_lowercase));
        names.extend(["TargetId.ServicePrincipalNames", "ServicePrincipal.Name"]);
    }
    for name in names {
        app_uids.extend(find(name).iter().flat_map(|text| guids_in(text)));
    }
    let named = find("ServicePrincipal.DisplayName").filter(|name| !name.is_empty() && is_about_resource);
    let own_name =
        || row.own.entity_name.get(index).filter(|_| !is_about_resource || app_uids.is_empty()).map(str::to_owned);
    let app = named.or_else(own_name);
    Some(Consent {
        app: app.or_else(|| app_uids.first().cloned()).unwrap_or_default(),
        app_uids,
        for_everybody: find("ConsentContext.OnBehalfOfAll").is_some_and(|value| truthy(&value))
            || consent_type.eq_ignore_ascii_case("AllPrincipals")
            || modified.values().any(|(_, new)| new.contains("ConsentType: AllPrincipals")),
        scopes,
        is_app_role,
    })
}

/// A value without the brackets, quotes and line breaks that JSON-in-a-string leaves around it.
fn clean(value: &str) -> String {
    value.trim_matches(|c: char| c.is_whitespace() || "[]\"'".contains(c)).to_owned()
}

/// Permission names in free text: `Scope: Mail.Read offline_access, ...`, a list, or one name.
fn scopes_in(text: &str) -> BTreeSet<String> {
    let mut scopes = BTreeSet::new();
    let mut parts: Vec<&str> =
        text.split("Scope:").skip(1).map(|part| part.split([',', ']', '}']).next().unwrap_or(part)).collect();
    if parts.is_empty() {
        parts.push(text);
    }
    for word in parts.iter().flat_map(|part| part.split(|c: char| c.is_whitespace() || ",;[]\"{}".contains(c))) {
        let scope = word.rsplit('/').next().unwrap_or(word).trim().to_lowercase();
        let known = dictionary().scopes().all().any(|list| list.contains(&scope));
        if known
            || (scope.contains('.')
                && scope.len() <= 80
                && scope.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)))
        {
            scopes.insert(scope);
        }
    }
    scopes
}

fn guids_in(text: &str) -> Vec<String> {
    let is_guid = |word: &&str| word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4;
    text.split(|c: char| !c.is_ascii_hexdigit() && c != '-').filter(is_guid).map(str::to_lowercase).collect()
}

impl Consent {
    /// The permissions that are about mail.
    pub fn mail(&self) -> Vec<&str> {
        self.of(&dictionary().scopes().mail)
    }

    /// The permissions of one list.
    pub fn of(&self, list: &BTreeSet<String>) -> Vec<&str> {
        self.scopes.iter().filter(|scope| list.contains(*scope)).map(String::as_str).collect()
    }

    /// All permissions, for a fact.
    pub fn told(&self) -> String {
        let scopes: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        format!("{}: {}", self.app, scopes.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_out_of_the_audit_logs_prose() {
        let text = "[] => [[Id: x, ClientId: 1, PrincipalId: , ResourceId: 2, ConsentType: AllPrincipals, Scope: Mail.Read offline_access User.Read, CreatedDateTime: , LastModifiedDateTime ]]; ";
        let scopes = scopes_in(text);
        assert_eq!(scopes.into_iter().collect::<Vec<_>>(), ["mail.read", "offline_access", "user.read"]);
        assert!(scopes_in("full_access_as_app").contains("full_access_as_app"));
    }
}

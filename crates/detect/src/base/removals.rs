//! What was taken away again: an incident must not ask for the removal of what is gone.

use matagi_model::tables::IamView;
use matagi_model::{Entity, EntityKind};

use super::{Fields, fields};

/// What [`removal`] reads beside the columns that every event has.
pub const REMOVAL_COLUMNS: [&str; 4] = ["entity_name", "entity_uid", "mailbox", "parameters"];

/// The rule, right, consent, device or account that a change took away; spelt as [`rule_entity`] and its neighbours do.
pub fn removal(row: &IamView<'_>, index: usize) -> Option<Entity> {
    let operation = row.api_operation.get(index)?;
    let parameters = || fields(row.own.parameters.get(index));
    let entity = || row.own.entity_name.get(index).or_else(|| row.own.entity_uid.get(index));
    match operation {
        "Remove-InboxRule" | "Disable-InboxRule" => {
            let (mailbox, name) = rule_of(row, index, &parameters())?;
            Some(rule_entity(&mailbox, &name))
        }
        "UpdateInboxRules" => {
            let parameters = parameters();
            let is_removal = parameters.get("RuleOperation").is_some_and(|what| what.contains("Remove"));
            let name = parameters.get("RuleName").or_else(|| parameters.get("Name")).filter(|_| is_removal)?;
            Some(rule_entity(row.own.mailbox.get(index).or_else(|| row.user_name.get(index))?, name))
        }
        "Remove-TransportRule" | "Disable-TransportRule" => {
            let parameters = parameters();
            parameters
                .get("Identity")
                .or_else(|| row.own.entity_name.get(index))
                .map(|name| rule_entity("transport", name))
        }
        "Remove-MailboxPermission" | "Remove-RecipientPermission" => {
            let parameters = parameters();
            let mailbox = row.own.mailbox.get(index).or_else(|| parameters.get("Identity"))?;
            let trustee = ["User", "Trustee"].iter().find_map(|name| parameters.get(name))?;
            Some(right_entity(mailbox, trustee))
        }
        "Remove service principal"
        | "Remove OAuth2PermissionGrant"
        | "Remove delegated permission grant"
        | "Remove app role assignment from service principal"
        | "Revoke consent" => entity().map(|app| Entity::new(EntityKind::Application, app)),
        "Delete user" | "Disable account" => entity().map(Entity::user),
        "Delete device" | "Disable device" => entity().map(|device| Entity::new(EntityKind::Device, device)),
        _ => None,
    }
}

/// A rule of a mailbox, or of `transport`, by its name.
pub fn rule_entity(mailbox: &str, name: &str) -> Entity {
    Entity::new(EntityKind::Rule, format!("{}\\{name}", mailbox.to_lowercase()))
}

/// Somebody's right on a mailbox.
pub fn right_entity(mailbox: &str, trustee: &str) -> Entity {
    Entity::new(EntityKind::Mailbox, format!("{}\\{}", mailbox.to_lowercase(), trustee.to_lowercase()))
}

/// `Identity` is `mailbox\name`, or the name alone where the mailbox has its own place.
fn rule_of(row: &IamView<'_>, index: usize, parameters: &Fields) -> Option<(String, String)> {
    let identity = parameters.get("Identity").or_else(|| row.own.entity_name.get(index))?;
    let mailbox =
        || row.own.mailbox.get(index).or_else(|| parameters.get("Mailbox")).or_else(|| row.user_name.get(index));
    match identity.rsplit_once('\\') {
        Some((owner, name)) => {
            // The owner may be a name or an id; the row's own mailbox is an address.
            Some((mailbox().unwrap_or(owner).to_owned(), name.to_owned()))
        }
        None => Some((mailbox()?.to_owned(), identity.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use matagi_model::tables::IamOwn;

    use super::*;
    use crate::testing::{batches, change};

    fn removed(operation: &str, parameters: &str) -> Option<String> {
        let own = IamOwn {
            mailbox: Some("anna@c.example".into()),
            parameters: Some(parameters.to_owned()),
            ..IamOwn::default()
        };
        let batches = batches(vec![change(5, "anna@c.example", "192.0.2.1", operation, own)]);
        let batch = batches.iter().find(|batch| batch.rows() > 0).unwrap();
        removal(&IamView::new(batch), 0).map(|entity| entity.value)
    }

    #[test]
    fn rules_and_rights_are_named_as_when_they_were_made() {
        assert_eq!(removed("Remove-InboxRule", r#"{"Identity":"Anna\\."}"#).as_deref(), Some("anna@c.example\\."));
        assert_eq!(removed("Disable-InboxRule", r#"{"Identity":"copy"}"#).as_deref(), Some("anna@c.example\\copy"));
        let right = removed("Remove-MailboxPermission", r#"{"Identity":"x","User":"Ben@c.example"}"#);
        assert_eq!(right.as_deref(), Some("anna@c.example\\ben@c.example"));
        assert_eq!(removed("New-InboxRule", r#"{"Name":"copy"}"#), None);
    }
}

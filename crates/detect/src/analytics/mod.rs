//! The third rung: detections that need Rust. One file an analytic, one line here.

use matagi_model::Analytic;

/// Takeover of Microsoft 365 mailboxes: the catalogue's MBX detections that need Rust.
pub mod mailbox {
    pub mod admin_consent;
    pub mod app_reads_mailbox;
    pub mod blocked_sign_in;
    pub mod brute_force;
    pub mod code_guessing;
    pub mod delegation;
    pub mod device_code;
    pub mod device_registered;
    pub mod distributed_spray;
    pub mod first_send_as;
    pub mod folders_synchronised;
    pub mod forwarding_rule;
    pub mod hiding_rule;
    pub mod impossible_travel;
    pub mod legacy_client;
    pub mod mail_read_burst;
    pub mod mailbox_forwarding;
    pub mod mfa_fatigue;
    pub mod money_searches;
    pub mod new_account;
    pub mod new_place;
    pub mod password_spray;
    pub mod second_factor;
    pub mod session_elsewhere;
    pub mod shared_outside;
    pub mod suspect_sent;
    pub mod token_elsewhere;
    pub mod traces_removed;
    pub mod transport_rule;
    pub mod twin_login;
    pub mod user_consent;
}

/// The Rust analytics of the first pass, in the order in which findings are told.
#[rustfmt::skip] // one line per analytic, so that two people adding one do not collide
pub static ALL: &[&dyn Analytic] = &[
    &mailbox::password_spray::PasswordSpray,
    &mailbox::brute_force::BruteForce,
    &mailbox::device_code::DeviceCode,
    &mailbox::mfa_fatigue::MfaFatigue,
    &mailbox::code_guessing::CodeGuessing,
    &mailbox::blocked_sign_in::BlockedSignIn,
    &mailbox::distributed_spray::DistributedSpray,
    &mailbox::legacy_client::LegacyClient,
    &mailbox::twin_login::TwinLogin,
    &mailbox::impossible_travel::ImpossibleTravel,
    &mailbox::new_place::NewPlace,
    &mailbox::session_elsewhere::SessionElsewhere,
    &mailbox::token_elsewhere::TokenElsewhere,
    &mailbox::hiding_rule::HidingRule,
    &mailbox::forwarding_rule::ForwardingRule,
    &mailbox::mailbox_forwarding::MailboxForwarding,
    &mailbox::transport_rule::TransportRule,
    &mailbox::delegation::Delegation,
    &mailbox::user_consent::UserConsent,
    &mailbox::admin_consent::AdminConsent,
    &mailbox::new_account::NewAccount,
    &mailbox::mail_read_burst::MailReadBurst,
    &mailbox::folders_synchronised::FoldersSynchronised,
    &mailbox::app_reads_mailbox::AppReadsMailbox,
];

/// Those of the second pass, which asks what the suspects of the first did next ([`matagi_model::Suspects`]).
#[rustfmt::skip] // one line per analytic
pub static FOLLOWING: &[&dyn Analytic] = &[
    &mailbox::second_factor::SecondFactor,
    &mailbox::device_registered::DeviceRegistered,
    &mailbox::money_searches::MoneySearches,
    &mailbox::shared_outside::SharedOutside,
    &mailbox::suspect_sent::SuspectSent,
    &mailbox::first_send_as::FirstSendAs,
    &mailbox::traces_removed::TracesRemoved,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use matagi_model::Analytic;

    #[test]
    fn every_analytic_file_is_registered() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/analytics/mailbox");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().replace('_', "-"))
            .map(|name| format!("mailbox/{name}"))
            .collect();
        let names: BTreeSet<String> = crate::analytics().map(|analytic| analytic.meta().id.to_owned()).collect();
        assert_eq!(files, names, "src/analytics/ and the lists must agree");
    }

    #[test]
    fn every_analytic_names_only_columns_that_exist() {
        for scan in crate::analytics().flat_map(|analytic| analytic.meta().scans) {
            let columns: BTreeSet<&str> = scan.table.docs().iter().map(|doc| doc.name).collect();
            for column in scan.columns.iter().chain(scan.partition_by) {
                assert!(columns.contains(column), "{} has no column {column}", scan.table.name());
            }
        }
    }

    #[test]
    fn every_text_is_there_in_both_languages() {
        for meta in crate::analytics().map(Analytic::meta) {
            let texts = [&meta.title, &meta.question].into_iter().chain(meta.reasons.iter().map(|reason| &reason.text));
            for text in texts.chain(crate::base::REASONS.iter().map(|reason| &reason.text)) {
                assert!(!text.en.is_empty() && !text.ja.is_ascii(), "{}: {text:?}", meta.id);
                assert_eq!(placeholders(&text.en), placeholders(&text.ja), "{}: {text:?}", meta.id);
            }
        }
    }

    fn placeholders(text: &str) -> BTreeSet<&str> {
        text.split('{').skip(1).filter_map(|part| part.split_once('}').map(|(name, _)| name)).collect()
    }
}

//! Takeover of Microsoft 365 mailboxes: the catalogue's MBX detections that need Rust.

pub mod admin_consent;
pub mod app_reads_mailbox;
pub mod brute_force;
pub mod delegation;
pub mod forwarding_rule;
pub mod hiding_rule;
pub mod impossible_travel;
pub mod mail_read_burst;
pub mod mailbox_forwarding;
pub mod new_account;
pub mod new_place;
pub mod password_spray;
pub mod session_elsewhere;
pub mod transport_rule;
pub mod user_consent;

//! What every analytic shares: result classes, service-side actors, places, clients, habits, recipients.

mod acting;
mod actor;
mod attack;
mod barrier;
mod client;
mod consent;
mod deeds;
mod dictionary;
mod each_change;
mod fields;
mod habits;
mod learn;
mod place;
mod proof;
mod recipient;
mod removals;
mod rule;
mod sign_in;
mod surroundings;
mod suspects;

pub use acting::by_actor;
pub use actor::{is_person, is_service_side};
pub use attack::Attack;
pub use barrier::{Barrier, SecondFactorFailure, barrier, second_factor_failure};
pub use client::{Client, client};
pub use consent::{Consent, consent};
pub use deeds::{Deeds, DeedsBySuspect, around_entry, suspected};
pub use dictionary::{Dictionary, dictionary};
pub use each_change::{Judge, each_change};
pub use fields::{Fields, fields, modified, truthy};
pub use habits::{Novelty, is_cold, is_usual_address, novelty, novelty_of_attempt, was_there};
pub use learn::Learner;
pub use place::{Place, distance_km, logged_place, place};
pub use proof::{Proof, Shared};
pub use recipient::{Reach, Recipient, recipients};
pub use removals::{REMOVAL_COLUMNS, removal, right_entity, rule_entity};
pub use rule::{DELETES, Rule, SENDS_ON, inbox_rule, transport_rule};
pub use sign_in::{SignIn, class, is_silent_request};
pub use surroundings::{CHANGE_COLUMNS, Surroundings, is_strange, surroundings, surroundings_of_attempt};
pub use suspects::{suspects, suspicion};

use matagi_model::ReasonText;

/// Reasons that any finding may carry.
pub static REASONS: &[ReasonText] = &[
    ReasonText::new(
        "important-user",
        "{user} is marked as important in the configuration",
        "{user} は設定で重要ユーザーに指定されています",
    ),
    ReasonText::new(
        "cold",
        "too little history of {user} to know what is usual: one step milder",
        "{user} の履歴が少なく平常時の傾向が判断できないため、深刻度を一段階下げています",
    ),
    ReasonText::new(
        "own-program",
        "{user} always uses {client}, and no hosting network is involved: a journey is likelier, two steps milder",
        "{client} は {user} が普段から使うプログラムで、ホスティング網も介していません。出張の可能性が高いため、深刻度を二段階下げています",
    ),
    ReasonText::new(
        "own-device",
        "a device that the organisation manages signed in from {ip} as {user}: two steps milder",
        "組織が管理する端末が {ip} から {user} としてサインインしているため、深刻度を二段階下げています",
    ),
    ReasonText::new(
        "around-entry",
        "{minutes} minutes after {why} (finding {finding})",
        "{why}（検出 {finding}）の {minutes} 分後",
    ),
    ReasonText::new(
        "suspected",
        "done in a session or from an address that {why} made suspicious (finding {finding})",
        "{why} により疑わしいとされたセッションまたは接続元からの操作です（検出 {finding}）",
    ),
    ReasonText::new("new-address", "{ip} is new for {user}", "{ip} は {user} にとって初めての接続元です"),
    ReasonText::new(
        "new-network",
        "the network of {ip} ({network}) is new for {user}",
        "{ip} のネットワーク（{network}）は {user} にとって初めてです",
    ),
    ReasonText::new(
        "new-country",
        "{user} was never seen in {country} before",
        "{user} が {country} から接続した記録はこれまでにありません",
    ),
    ReasonText::new(
        "hosting-network",
        "{ip} belongs to a hosting or VPN provider ({network})",
        "{ip} はホスティングまたはVPN事業者（{network}）のアドレスです",
    ),
    ReasonText::new(
        "new-client",
        "{user} never used {client} before",
        "{user} が {client} を使った記録はこれまでにありません",
    ),
    ReasonText::new(
        "tool-client",
        "the client calls itself {client}, a tool and no person's program",
        "クライアントは {client} と名乗っており、人が日常使うソフトではなくツールです",
    ),
];

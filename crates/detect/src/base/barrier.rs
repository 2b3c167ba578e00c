//! What held a sign-in whose password was right.
//!
//! Entra ID writes one code for every failed second factor (500121); only its words, where an export has them, tell a
//! refused prompt from a wrong code. Interruptions (50074, 50076) say that a second factor was asked for, not that it failed.

use super::{SignIn, class};

/// What held a sign-in after its password was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Barrier {
    /// A second factor was asked for. Whether it was given, only the next record tells.
    Asked,
    /// The second factor was not given: refused, unanswered or wrong.
    SecondFactor,
    /// Conditional Access or a rule about devices said no.
    Policy,
    /// The right password has expired and must be changed first.
    Expired,
}

impl Barrier {
    /// The word that stands in facts and reasons.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asked => "second factor demanded",
            Self::SecondFactor => "second factor failed",
            Self::Policy => "Conditional Access",
            Self::Expired => "password expired",
        }
    }
}

/// The barrier that held this sign-in; `None` unless it proves the password and something else than the application's own
/// gate (an assignment, a consent) held it: whoever stands there has passed everything else.
pub fn barrier(status_code: Option<&str>, status_detail: Option<&str>, status_id: u8) -> Option<Barrier> {
    if class(status_code, status_detail, status_id) != SignIn::PasswordProven {
        return None;
    }
    if second_factor_failure(status_code, status_detail).is_some() {
        return Some(Barrier::SecondFactor);
    }
    match status_code.and_then(|code| code.trim().parse::<u32>().ok()) {
        Some(50105 | 65001) => None,
        Some(53000..=53003 | 50129) => Some(Barrier::Policy),
        Some(50055 | 50144) => Some(Barrier::Expired),
        Some(_) => Some(Barrier::Asked),
        None => {
            const POLICY_NAMES: [&str; 4] = [
                "BlockedByConditionalAccess",
                "BlockedByConditionalAccessOnSecurityPolicy",
                "DeviceNotCompliant",
                "DeviceNotDomainJoined",
            ];
            let is_policy = status_detail.is_some_and(|name| POLICY_NAMES.contains(&name));
            Some(if is_policy { Barrier::Policy } else { Barrier::Asked })
        }
    }
}

/// How a second factor failed, as far as the record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecondFactorFailure {
    /// The person refused the prompt.
    Refused,
    /// The person refused it and reported it as fraud.
    Reported,
    /// Nobody answered.
    Unanswered,
    /// A one-time code was wrong.
    WrongCode,
    /// The record does not say how.
    Unsaid,
}

impl SecondFactorFailure {
    /// Whether it may have been a prompt that somebody did not approve.
    pub const fn is_denied(self) -> bool {
        !matches!(self, Self::WrongCode)
    }

    /// Whether it may have been a wrong one-time code.
    pub const fn is_wrong_code(self) -> bool {
        matches!(self, Self::WrongCode | Self::Unsaid)
    }
}

/// Authentication failed during the request for strong authentication.
const SECOND_FACTOR_FAILED: &str = "500121";

/// Words, lower case, by what they tell; the first that occurs decides. `denied` opens every sentence of the product
/// about a failure (`MFA denied; ...`), so that it stands last.
const WORDS: &[(&str, SecondFactorFailure)] = &[
    ("fraud", SecondFactorFailure::Reported),
    ("suspicious activity", SecondFactorFailure::Reported),
    ("不正", SecondFactorFailure::Reported),
    ("not respond", SecondFactorFailure::Unanswered),
    ("no response", SecondFactorFailure::Unanswered),
    ("not answer", SecondFactorFailure::Unanswered),
    ("timed out", SecondFactorFailure::Unanswered),
    ("timeout", SecondFactorFailure::Unanswered),
    ("応答", SecondFactorFailure::Unanswered),
    ("code", SecondFactorFailure::WrongCode),
    ("oath", SecondFactorFailure::WrongCode),
    ("totp", SecondFactorFailure::WrongCode),
    ("text message", SecondFactorFailure::WrongCode),
    ("コード", SecondFactorFailure::WrongCode),
    ("declined", SecondFactorFailure::Refused),
    ("rejected", SecondFactorFailure::Refused),
    ("refused", SecondFactorFailure::Refused),
    ("denied", SecondFactorFailure::Refused),
    ("拒否", SecondFactorFailure::Refused),
];

/// How the second factor failed; `None` if it did not fail in this record.
pub fn second_factor_failure(status_code: Option<&str>, status_detail: Option<&str>) -> Option<SecondFactorFailure> {
    let words = status_detail.unwrap_or_default().to_lowercase();
    let is_failure = match status_code.map(str::trim) {
        Some(SECOND_FACTOR_FAILED) => true,
        Some("0") => false,
        _ => words == "authenticationfailedsaserror" || words.starts_with("mfa denied"),
    };
    let told = || WORDS.iter().find(|(word, _)| words.contains(word)).map(|(_, failure)| *failure);
    is_failure.then(|| told().unwrap_or(SecondFactorFailure::Unsaid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_tell_how_the_second_factor_failed() {
        let told = |words| second_factor_failure(Some("500121"), Some(words));
        assert_eq!(told("MFA denied; user declined the authentication"), Some(SecondFactorFailure::Refused));
        assert_eq!(
            told("MFA denied; user did not respond to mobile app notification"),
            Some(SecondFactorFailure::Unanswered)
        );
        assert_eq!(told("MFA denied; Phone App Reported Fraud"), Some(SecondFactorFailure::Reported));
        assert_eq!(told("MFA denied; invalid verification code"), Some(SecondFactorFailure::WrongCode));
        assert_eq!(
            told("Authentication failed during strong authentication request."),
            Some(SecondFactorFailure::Unsaid)
        );
        assert_eq!(
            second_factor_failure(None, Some("AuthenticationFailedSasError")),
            Some(SecondFactorFailure::Unsaid)
        );
        assert_eq!(second_factor_failure(Some("50126"), Some("Invalid username or password.")), None);
        assert_eq!(second_factor_failure(Some("0"), Some("MFA denied; but the code says success")), None);
    }

    #[test]
    fn an_interruption_is_no_refusal() {
        assert_eq!(barrier(Some("50076"), None, 2), Some(Barrier::Asked));
        assert_eq!(barrier(Some("500121"), None, 2), Some(Barrier::SecondFactor));
        assert_eq!(barrier(Some("53003"), None, 2), Some(Barrier::Policy));
        assert_eq!(barrier(None, Some("BlockedByConditionalAccess"), 2), Some(Barrier::Policy));
        assert_eq!(barrier(Some("50055"), None, 2), Some(Barrier::Expired));
        assert_eq!(barrier(Some("65001"), None, 2), None, "only a consent is missing: everything else was passed");
        assert_eq!(barrier(Some("50126"), None, 2), None);
        assert_eq!(barrier(Some("0"), None, 1), None);
    }
}

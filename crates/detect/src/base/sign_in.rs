//! What a sign-in's error code really says.
//!
//! ResultStatus is never trusted: most failed sign-ins of the audit log carry `Success` there. The code says whether the
//! password was right, which is what matters.

/// What became of a sign-in, and what it proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SignIn {
    /// Signed in.
    Ok,
    /// The password was right; a later step failed or was interrupted.
    PasswordProven,
    /// Wrong password.
    BadPassword,
    /// No such user.
    NoUser,
    /// Locked out, or blocked as malicious.
    Locked,
    /// The account is disabled.
    Disabled,
    /// A token was refused or has expired: says nothing about the password.
    Token,
    /// Consent was needed or refused.
    Consent,
    /// Anything else.
    Other,
}

impl SignIn {
    /// Whether somebody guessed: a wrong password or an unknown name.
    pub const fn is_guess(self) -> bool {
        matches!(self, Self::BadPassword | Self::NoUser | Self::Locked)
    }

    /// Whether the password was right.
    pub const fn proves_password(self) -> bool {
        matches!(self, Self::Ok | Self::PasswordProven)
    }
}

/// The class of a sign-in from its error code, or from the audit log's name for it where the code is missing.
///
/// `status_id` (1 success, 2 failure) decides only when neither says anything.
pub fn class(status_code: Option<&str>, status_detail: Option<&str>, status_id: u8) -> SignIn {
    let by_code = status_code.and_then(|code| code.trim().parse().ok()).map(by_code);
    match by_code.or_else(|| status_detail.and_then(by_name)) {
        Some(class) => class,
        None if status_id == 1 => SignIn::Ok,
        None => SignIn::Other,
    }
}

/// Entra ID error codes (AADSTS numbers).
fn by_code(code: u32) -> SignIn {
    match code {
        // 50140 is the "stay signed in?" page: the person is in.
        0 | 50140 => SignIn::Ok,
        50055
        | 50072
        | 50074
        | 50076
        | 50079
        | 50105
        | 50125
        | 50129
        | 50144
        | 50158
        | 53000..=53003
        | 500_121
        | 65001 => SignIn::PasswordProven,
        50056 | 50064 | 50126 | 120_000 => SignIn::BadPassword,
        50034 | 50059 => SignIn::NoUser,
        50053 => SignIn::Locked,
        50057 => SignIn::Disabled,
        50058 | 50089 | 50132 | 50133 | 50173 | 70008 | 70043 | 700_082 => SignIn::Token,
        65004 | 90094 | 90095 | 900_941 => SignIn::Consent,
        _ => SignIn::Other,
    }
}

/// `LogonError` names of the audit log.
fn by_name(name: &str) -> Option<SignIn> {
    Some(match name {
        "InvalidUserNameOrPassword" | "InvalidPasswordExpiredPassword" | "InvalidPasswordLastPassword" => {
            SignIn::BadPassword
        }
        "UserAccountNotFound" | "InvalidUserName" => SignIn::NoUser,
        "IdsLocked" => SignIn::Locked,
        "UserDisabled" => SignIn::Disabled,
        "UserStrongAuthClientAuthNRequired"
        | "UserStrongAuthClientAuthNRequiredInterrupt"
        | "UserStrongAuthEnrollmentRequired"
        | "UserStrongAuthEnrollmentRequiredInterrupt"
        | "UserStrongAuthExpired"
        | "ExternalSecurityChallenge"
        | "BlockedByConditionalAccess"
        | "BlockedByConditionalAccessOnSecurityPolicy"
        | "DeviceNotCompliant"
        | "DeviceNotDomainJoined"
        | "AuthenticationFailedSasError" => SignIn::PasswordProven,
        "KmsiInterrupt" => SignIn::Ok,
        "SsoArtifactInvalidOrExpired" | "FlowTokenExpired" | "SsoArtifactRevoked" => SignIn::Token,
        _ => return None,
    })
}

/// Request types in which the service itself goes on with a session: they say nothing about where a person is.
pub fn is_silent_request(request_type: Option<&str>) -> bool {
    matches!(
        request_type,
        Some(
            "Cmsi:Cmsi"
                | "Consent:Set"
                | "Login:reprocess"
                | "Login:resume"
                | "SAS:EndAuth"
                | "MessagePrompt:MessagePrompt"
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_decides_not_the_status() {
        assert_eq!(class(Some("50126"), None, 1), SignIn::BadPassword);
        assert_eq!(class(Some("50140"), None, 2), SignIn::Ok);
        assert_eq!(class(Some("50076"), None, 2), SignIn::PasswordProven);
        assert_eq!(class(None, Some("IdsLocked"), 2), SignIn::Locked);
        assert_eq!(class(None, None, 1), SignIn::Ok);
        assert_eq!(class(None, None, 0), SignIn::Other);
    }
}

//! What templates are tried with before they are used.

use serde_json::{Value, json};

use super::Template;

impl Template {
    /// Every key the template may use, with a value like those it will get.
    pub(super) fn sample(self, display_name: &str) -> Value {
        let mut sample = json!({
            "product": "Tidegate",
            "display_name": display_name,
            "email": "ada@example.com",
        });
        tidegate_domain::text::merge(&mut sample, &self.own_sample());
        sample
    }

    fn own_sample(self) -> Value {
        match self {
            Self::SignUpCode => json!({
                "code": "493027",
                "link": "https://id.example.com/verify?token=b0XyZt8aaQ",
                "minutes": 10,
            }),
            Self::PasswordReset => {
                json!({"link": "https://id.example.com/reset?token=b0XyZt8aaQ", "minutes": 60})
            }
            Self::Invitation => json!({
                "link": "https://id.example.com/reset?token=b0XyZt8aaQ",
                "minutes": 60,
                "organization": "Acme (owner: root@example.com)",
            }),
            Self::InvitationCode => json!({
                "code": "0123456789abcdef0123456789abcdef01234567",
                "link": "https://id.example.com/verify?token=b0XyZt8aaQ",
                "minutes": 1440,
                "organization": "Acme (owner: root@example.com)",
            }),
            Self::EmailAddition => json!({
                "link": "https://id.example.com/verify?token=b0XyZt8aaQ",
                "minutes": 1440,
                "phones": "+254*****78",
            }),
            Self::CredentialMade => json!({
                "made": "key",
                "program": "nightly-export",
                "when": "2026-01-31T09:30:00Z",
                "ip": "203.0.113.7",
            }),
            Self::PasswordChanged => json!({
                "when": "2026-01-31T09:30:00Z",
                "ip": "203.0.113.7",
                "phones": "+254*****78",
                "passkeys": 2,
                "tokens": 3,
            }),
            Self::SecondFactorCode => json!({"code": "493027", "minutes": 10, "provider": "GitHub"}),
            Self::EmailChangeCode | Self::HostedSignUpCode => json!({"code": "493027", "minutes": 10}),
            Self::AddressInUse => json!({"link": "https://id.example.com/sign-in"}),
            Self::EmailChangeRequested => json!({
                "old_email": "ada@example.com",
                "when": "2026-01-31T09:30:00Z",
                "ip": "203.0.113.7",
            }),
            Self::EmailChanged => json!({
                "old_email": "ada@example.com",
                "new_email": "lovelace@example.org",
                "when": "2026-01-31T09:30:00Z",
                "link": "https://id.example.com/restore-email?token=rse_0123456789",
                "minutes": 1_440,
            }),
            _ => self.factor_sample(),
        }
    }

    /// The same for what is said of second factors and devices.
    fn factor_sample(self) -> Value {
        match self {
            Self::NewDevice => notice_sample(&json!({ "device": "Firefox on Linux", "days": 30 })),
            Self::FactorAdded | Self::FactorRemoved => {
                notice_sample(&json!({ "factor": "authenticator app (phone)" }))
            }
            Self::PasskeyAdded | Self::PasskeyRemoved => notice_sample(&json!({ "passkey": "Phone" })),
            Self::TokenMade => {
                notice_sample(&json!({ "token": "Build server", "scopes": "read accounts:read" }))
            }
            Self::ApplicationAllowed => notice_sample(
                &json!({ "application": "Shop", "organization": "Acme", "scopes": "openid read" }),
            ),
            Self::ProviderConnected => notice_sample(&json!({ "provider": "GitHub" })),
            Self::FactorUnreachable => {
                notice_sample(&json!({ "factor": "codes by text message", "remaining": 6 }))
            }
            Self::FactorResetRequested => json!({
                "factor": "authenticator app (phone), codes by e-mail",
                "when": "2026-01-31T09:30:00Z",
                "at": "2026-02-03T09:30:00Z",
                "link": "https://id.example.com/cancel-factor-reset?token=b0XyZt8aaQ",
            }),
            Self::FactorResetConfirmation => json!({
                "factor": "authenticator app (phone), codes by e-mail",
                "when": "2026-01-31T09:30:00Z",
                "at": "2026-02-07T09:30:00Z",
                "link": "https://id.example.com/confirm-factor-reset?token=b0XyZt8aaQ",
            }),
            Self::RecoveryCodeUsed => notice_sample(&json!({ "remaining": 6 })),
            Self::RecoveryCodesLow => notice_sample(&json!({ "remaining": 2 })),
            _ => Value::Null,
        }
    }
}

/// The keys of news about what signs in to an account, and its own.
fn notice_sample(own: &Value) -> Value {
    let mut sample = json!({
        "when": "2026-01-31T09:30:00Z",
        "ip": "203.0.113.7",
        "link": "https://id.example.com/secure-account?token=b0XyZt8aaQ",
    });
    tidegate_domain::text::merge(&mut sample, own);
    sample
}

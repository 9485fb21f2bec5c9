//! Request bodies, and how they are read.

use serde::Deserialize;
use tidegate_crypto::PlainToken;
use tidegate_crypto::webauthn::AssertionResponse;
use tidegate_domain::factor::{DeviceData, FactorKind, RecoveryCode};
use tidegate_domain::{Password, Secret};
use tidegate_identity::credentials::factors::present::Presented;
use tidegate_identity::sign_in::second_factor::{ChooseFactor, ShowFactor};
use utoipa::ToSchema;

use super::super::error::Error;
use super::super::requests::{code, text, token};
use super::super::webauthn::AssertedCredential;
use super::error::unknown_method;
use crate::wire::fields::{Check, Field, Violations};
use crate::wire::typed::{self, TypedDigits};
use crate::wire::unknown::{Exact, Object};

/// Longest name of a device, in characters.
const MAX_NAME: usize = 100;

/// POST /api/v1/auth/mfa/otp/generate.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct GenerateOtpBody {
    /// From the sign-in.
    #[schema(required = true, value_type = String, format = "opaque-token")]
    #[serde(default)]
    temporary_token: Field<String>,
    /// `email_otp`, `totp` or `sms_otp`.
    #[schema(required = true, value_type = String, format = "factor", example = "email_otp")]
    #[serde(default)]
    method: Field<String>,
}

impl GenerateOtpBody {
    pub(super) fn read(self) -> Result<ChooseFactor, Error> {
        let mut check = Check::new();
        let temporary_token = token(&mut check, "temporary_token", self.temporary_token);
        let method = check.required("method", self.method);
        let (temporary_token, method) = check.finish(temporary_token.zip(method))?;
        let kind = FactorKind::from_name(&method).ok_or_else(unknown_method)?;
        Ok(ChooseFactor { temporary_token, kind })
    }
}

/// POST /api/v1/auth/mfa/verify. Exactly one of the two codes.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct VerifyMfaBody {
    /// From `mfa/otp/generate`; for a backup code or a code of an app, the one from the sign-in does too.
    #[schema(required = true, value_type = String, format = "opaque-token")]
    #[serde(default)]
    temporary_token: Field<String>,
    /// Six digits.
    #[schema(value_type = Option<String>, format = "one-time-code", example = "123456")]
    #[serde(default)]
    code: Field<TypedDigits>,
    /// One of the backup codes.
    #[schema(value_type = Option<String>, format = "backup-code")]
    #[serde(default)]
    backup_code: Field<String>,
}

impl VerifyMfaBody {
    pub(super) fn read(self, device: DeviceData) -> Result<ShowFactor, Violations> {
        let mut check = Check::new();
        let temporary_token = token(&mut check, "temporary_token", self.temporary_token);
        let presented = presented(&mut check, self.code, self.backup_code);
        check.finish(temporary_token.zip(presented).map(|(temporary_token, presented)| ShowFactor {
            temporary_token,
            presented,
            device,
        }))
    }
}

/// A code or a backup code, not both.
fn presented(check: &mut Check, sent: Field<TypedDigits>, backup: Field<String>) -> Option<Presented> {
    match (sent, backup) {
        (Field::Missing | Field::Null, Field::Missing | Field::Null) => {
            check.violated("code", "is required, unless a backup code is sent")
        }
        (sent, Field::Missing | Field::Null) => {
            let message = "must be six digits; a backup code is sent as backup_code";
            typed::code(check, "code", sent, 6..=6, message).map(Presented::Code)
        }
        (Field::Missing | Field::Null, backup) => {
            recovery_code(check, "backup_code", backup).map(Presented::Recovery)
        }
        _ => check.violated("backup_code", "must not be sent together with code"),
    }
}

fn recovery_code(check: &mut Check, name: &'static str, field: Field<String>) -> Option<RecoveryCode> {
    let text = check.required(name, field)?;
    check.parsed(name, RecoveryCode::parse(&text))
}

/// POST /api/v1/auth/mfa/deactivate.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct DeactivateBody {
    /// `totp`, `email_otp` or `sms_otp`; all of them when left out.
    #[schema(value_type = Option<String>, format = "factor", example = "totp")]
    #[serde(default)]
    method: Field<String>,
}

impl Exact for DeactivateBody {}

impl DeactivateBody {
    pub(super) fn read(self) -> Result<Option<FactorKind>, Violations> {
        let mut check = Check::new();
        let method = check.optional("method", self.method);
        let kind = method.map(|name| match FactorKind::from_name(&name) {
            Some(kind) => Some(kind),
            None => check.violated("method", "must be totp, email_otp or sms_otp"),
        });
        check.finish(Some(kind.flatten()))
    }
}

/// POST /api/v1/mfa/totp/setup.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct TotpSetUpBody {
    /// What the owner calls the app.
    #[schema(required = true, value_type = String, format = "single-line", max_length = 100, example = "Phone")]
    #[serde(default)]
    device_name: Field<String>,
}

impl Exact for TotpSetUpBody {}

impl TotpSetUpBody {
    pub(super) fn read(self) -> Result<String, Violations> {
        let mut check = Check::new();
        let name = check.required("device_name", self.device_name);
        let name =
            name.and_then(|name| check.parsed("device_name", tidegate_domain::text::line(&name, MAX_NAME)));
        check.finish(name)
    }
}

/// POST /api/v1/mfa/totp/verify.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct TotpVerifyBody {
    /// Six digits, from the app.
    #[schema(required = true, value_type = String, format = "one-time-code", example = "123456")]
    #[serde(default)]
    code: Field<TypedDigits>,
    /// The name that was given at set-up.
    #[schema(value_type = Option<String>, format = "single-line", max_length = 100)]
    #[serde(default)]
    device_name: Field<String>,
}

impl Exact for TotpVerifyBody {}

impl TotpVerifyBody {
    pub(super) fn read(self) -> Result<(Secret, Option<String>), Violations> {
        let mut check = Check::new();
        let code = code(&mut check, "code", self.code);
        let name = text(&mut check, "device_name", self.device_name, MAX_NAME);
        check.finish(code.map(|code| (code, name)))
    }
}

/// POST /api/v1/mfa/email-otp/verify and /api/v1/mfa/sms-otp/verify.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in super::super) struct CodeBody {
    /// Six digits, from the message.
    #[schema(required = true, value_type = String, format = "one-time-code", example = "123456")]
    #[serde(default)]
    code: Field<TypedDigits>,
}

impl Exact for CodeBody {}

impl CodeBody {
    pub(super) fn read(self) -> Result<Secret, Violations> {
        let mut check = Check::new();
        let code = code(&mut check, "code", self.code);
        check.finish(code)
    }
}

/// POST /api/v1/mfa/backup-codes/verify.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct BackupCodeBody {
    /// One of the backup codes.
    #[schema(required = true, value_type = String, format = "backup-code", example = "ABCD-2345")]
    #[serde(default)]
    backup_code: Field<String>,
}

impl BackupCodeBody {
    pub(super) fn read(self) -> Result<RecoveryCode, Violations> {
        let mut check = Check::new();
        let code = recovery_code(&mut check, "backup_code", self.backup_code);
        check.finish(code)
    }
}

/// POST /api/v1/devices/activate and /api/v1/devices/skip.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct ActivationBody {
    /// From `auth/mfa/verify`.
    #[schema(required = true, value_type = String, format = "opaque-token")]
    #[serde(default)]
    activation_token: Field<String>,
}

impl ActivationBody {
    pub(super) fn read(self) -> Result<PlainToken, Violations> {
        let mut check = Check::new();
        let token = token(&mut check, "activation_token", self.activation_token);
        check.finish(token)
    }
}

/// POST /api/v1/auth/step-up. The password, or a code, or a backup code, or a passkey.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct StepUpBody {
    /// Of an account without a second factor. Sent without a code.
    #[schema(value_type = Option<String>, format = "password")]
    #[serde(default)]
    password: Field<String>,
    /// What the code is of: `totp` when left out, `email_otp` or `sms_otp`.
    #[schema(value_type = Option<String>, format = "factor")]
    #[serde(default)]
    method: Field<String>,
    /// Six digits.
    #[schema(value_type = Option<String>, format = "one-time-code")]
    #[serde(default)]
    code: Field<TypedDigits>,
    /// One of the backup codes.
    #[schema(value_type = Option<String>, format = "backup-code")]
    #[serde(default)]
    backup_code: Field<String>,
    /// What `navigator.credentials.get()` answered to the options of `auth/step-up/passkey`. Sent alone.
    #[schema(value_type = Option<AssertedCredential>)]
    #[serde(default)]
    credential: Field<Object<AssertedCredential>>,
}

/// What a caller proves anew who they are with.
pub(super) enum StepUpProof {
    Password(Password),
    Factor(Presented, FactorKind),
    Passkey(AssertionResponse),
}

impl StepUpBody {
    pub(super) fn read(self) -> Result<StepUpProof, Violations> {
        let mut check = Check::new();
        let kind = match check.optional("method", self.method) {
            None => Some(FactorKind::Totp),
            Some(name) => match FactorKind::from_name(&name) {
                Some(kind) => Some(kind),
                None => check.violated("method", "must be totp, email_otp or sms_otp"),
            },
        };
        let password = check.optional("password", self.password).map(Password::new);
        let credential = check.optional("credential", self.credential);
        if let Some(credential) = credential {
            let is_alone = password.is_none()
                && matches!(self.code, Field::Missing | Field::Null)
                && matches!(self.backup_code, Field::Missing | Field::Null);
            let proof = match is_alone {
                true => credential.of_standard().read(&mut check).map(StepUpProof::Passkey),
                false => check.violated("credential", "must be sent alone"),
            };
            return check.finish(proof);
        }
        let proof = match (password, &self.code, &self.backup_code) {
            (Some(password), Field::Missing | Field::Null, Field::Missing | Field::Null) => {
                Some(StepUpProof::Password(password))
            }
            (Some(_), Field::Value(_), _) | (Some(_), _, Field::Value(_)) => {
                check.violated("password", "must not be sent together with a code")
            }
            _ => {
                let presented = presented(&mut check, self.code, self.backup_code);
                presented.zip(kind).map(|(presented, kind)| StepUpProof::Factor(presented, kind))
            }
        };
        check.finish(proof)
    }
}

/// POST /api/v1/auth/step-up/otp.
#[derive(Deserialize, ToSchema)]
pub(in super::super) struct StepUpOtpBody {
    /// `email_otp` or `sms_otp`.
    #[schema(required = true, value_type = String, format = "factor-with-messages", example = "email_otp")]
    #[serde(default)]
    method: Field<String>,
}

impl StepUpOtpBody {
    pub(super) fn read(self) -> Result<FactorKind, Violations> {
        let mut check = Check::new();
        let method = check.required("method", self.method);
        let kind = method.and_then(|name| match FactorKind::from_name(&name) {
            Some(kind) if kind != FactorKind::Totp => Some(kind),
            _ => check.violated("method", "must be email_otp or sms_otp"),
        });
        check.finish(kind)
    }
}

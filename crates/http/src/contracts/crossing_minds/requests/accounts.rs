//! Bodies about accounts, their verification and their keys.

use serde::Deserialize;
use tidegate_crypto::PlainToken;
use tidegate_domain::account::LoginName;
use tidegate_domain::text::line;
use tidegate_domain::{ContractProfile, EmailAddress, Password, PasswordRule, Role, Timestamp};
use tidegate_identity::accounts::change_account::AccountChange;
use tidegate_identity::accounts::create_account::{CreateIndividual, CreateProgram};
use tidegate_identity::credentials::service_keys::CreateServiceKey;
use tidegate_identity::recovery::reset_password::ResetPassword;
use utoipa::ToSchema;

use super::super::role_of;
use super::{email, instant, metadata, service_name};
use crate::wire::fields::{Check, Field, ObjectText, Violations};
use crate::wire::unknown::Exact;

/// Longest code from a mail, in characters.
const MAX_CODE: usize = 64;
/// Longest given or family name, in characters.
const MAX_PERSONAL_NAME: usize = 150;
/// How a role changes.
const ROLE_IS_KEPT: &str =
    "a role is given with the account: delete the account, and make it again with the other role";

/// POST accounts/individual.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateIndividualBody {
    /// Compared without case.
    #[schema(required = true, value_type = String, format = "email", max_length = 254)]
    #[serde(default)]
    email: Field<String>,
    /// `manager`, `backend`, `frontend` or `demo_viewer`.
    #[schema(required = true, value_type = String, format = "role")]
    #[serde(default)]
    role: Field<String>,
    /// At least 10 characters; one lower, one upper, one digit, one other. Without one, a link to choose it is mailed.
    #[schema(value_type = Option<String>, format = "new-password")]
    #[serde(default)]
    password: Field<String>,
    #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 150)]
    #[serde(default)]
    first_name: Field<String>,
    #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 150)]
    #[serde(default)]
    last_name: Field<String>,
    /// Free document of up to 64 KiB, without NUL characters and without numbers of more digits than a double keeps.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<ObjectText>,
    /// Where the link of that mail leads, on a host the operator allows.
    #[schema(value_type = Option<String>, format = "uri")]
    #[serde(default)]
    email_redirect_url: Field<String>,
}

impl Exact for CreateIndividualBody {}

impl CreateIndividualBody {
    pub(crate) fn read(self, rule: &PasswordRule) -> Result<CreateIndividual, Violations> {
        let mut check = Check::new();
        let email = email(&mut check, self.email);
        let role = role(&mut check, self.role);
        let password = new_password(&mut check, "password", self.password, rule);
        let first_name = personal_name(&mut check, "first_name", self.first_name);
        let last_name = personal_name(&mut check, "last_name", self.last_name);
        let metadata = metadata(&mut check, self.metadata);
        let redirect = check.optional("email_redirect_url", self.email_redirect_url);
        let read = email.zip(role).map(|(email, role)| CreateIndividual {
            email,
            role,
            password,
            first_name: first_name.unwrap_or_default(),
            last_name: last_name.unwrap_or_default(),
            metadata: metadata.unwrap_or_default(),
            redirect,
        });
        check.finish(read)
    }
}

/// PATCH accounts/individual. What is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeIndividualBody {
    /// Whose account.
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
    #[schema(value_type = Option<String>, format = "new-password")]
    #[serde(default)]
    password: Field<String>,
    #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 150)]
    #[serde(default)]
    first_name: Field<String>,
    #[schema(value_type = Option<String>, format = "single-line-or-empty", max_length = 150)]
    #[serde(default)]
    last_name: Field<String>,
    /// Replaces the stored document.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<ObjectText>,
}

impl Exact for ChangeIndividualBody {
    fn place_of(name: &str) -> Option<String> {
        let place = match name {
            "role" => ROLE_IS_KEPT,
            "verified" => "the address is verified by the code that was mailed to it: accounts/verify",
            "new_email" => "its owner changes the address: POST /api/v1/auth/me/email/request",
            "active" | "is_active" | "disabled" | "enabled" => {
                "an operator disables an account: tidegate user disable"
            }
            _ => return None,
        };
        Some(place.to_owned())
    }
}

impl ChangeIndividualBody {
    pub(crate) fn read(self, rule: &PasswordRule) -> Result<(LoginName, AccountChange), Violations> {
        let mut check = Check::new();
        let email = email(&mut check, self.email);
        let change = AccountChange {
            password: new_password(&mut check, "password", self.password, rule),
            first_name: personal_name(&mut check, "first_name", self.first_name),
            last_name: personal_name(&mut check, "last_name", self.last_name),
            metadata: metadata(&mut check, self.metadata),
        };
        check.finish(email.map(|email| (email.into(), change)))
    }
}

/// An e-mail address and nothing else.
#[derive(Deserialize, ToSchema)]
pub(crate) struct EmailBody {
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
}

impl EmailBody {
    pub(crate) fn read(self) -> Result<EmailAddress, Violations> {
        let mut check = Check::new();
        let email = email(&mut check, self.email);
        check.finish(email)
    }
}

/// POST accounts/service.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateServiceBody {
    /// 1 to 128 printable characters.
    #[schema(required = true, value_type = String, format = "service-name")]
    #[serde(default)]
    name: Field<String>,
    /// `manager`, `backend`, `frontend` or `demo_viewer`.
    #[schema(required = true, value_type = String, format = "role")]
    #[serde(default)]
    role: Field<String>,
    /// At least 12 characters; one lower, one upper, one digit. Without one, the program signs in with keys.
    #[schema(value_type = Option<String>, format = "new-program-password")]
    #[serde(default)]
    password: Field<String>,
    /// Free document of up to 64 KiB, without NUL characters and without numbers of more digits than a double keeps.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<ObjectText>,
}

impl Exact for CreateServiceBody {}

impl CreateServiceBody {
    pub(crate) fn read(self, profile: &ContractProfile) -> Result<CreateProgram, Violations> {
        let mut check = Check::new();
        let name = service_name(&mut check, self.name);
        let role = role(&mut check, self.role);
        let password = new_password(&mut check, "password", self.password, program_rule(profile));
        let metadata = metadata(&mut check, self.metadata);
        let read = name.zip(role).map(|(name, role)| CreateProgram {
            name,
            role,
            password,
            metadata: metadata.unwrap_or_default(),
        });
        check.finish(read)
    }
}

/// PATCH accounts/service. What is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangeServiceBody {
    /// Which program.
    #[schema(required = true, value_type = String, format = "service-name")]
    #[serde(default)]
    name: Field<String>,
    #[schema(value_type = Option<String>, format = "new-program-password")]
    #[serde(default)]
    password: Field<String>,
    /// Replaces the stored document.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<ObjectText>,
}

impl Exact for ChangeServiceBody {
    fn place_of(name: &str) -> Option<String> {
        let place = match name {
            "role" => ROLE_IS_KEPT,
            "keys" => "keys are made and deleted at accounts/service/keys",
            "new_name" => "a name is kept: make another program, with its own keys",
            _ => return None,
        };
        Some(place.to_owned())
    }
}

impl ChangeServiceBody {
    pub(crate) fn read(self, profile: &ContractProfile) -> Result<(LoginName, AccountChange), Violations> {
        let mut check = Check::new();
        let name = service_name(&mut check, self.name);
        let change = AccountChange {
            password: new_password(&mut check, "password", self.password, program_rule(profile)),
            metadata: metadata(&mut check, self.metadata),
            ..AccountChange::default()
        };
        check.finish(name.map(|name| (name.into(), change)))
    }
}

/// A program's name and nothing else.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ServiceNameBody {
    #[schema(required = true, value_type = String, format = "service-name")]
    #[serde(default)]
    name: Field<String>,
}

impl ServiceNameBody {
    pub(crate) fn read(self) -> Result<LoginName, Violations> {
        let mut check = Check::new();
        let name = service_name(&mut check, self.name);
        check.finish(name.map(LoginName::Service))
    }
}

/// POST accounts/service/keys.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateServiceKeyBody {
    /// For which program.
    #[schema(required = true, value_type = String, format = "service-name")]
    #[serde(default)]
    name: Field<String>,
    /// Seconds since the epoch; never unless given.
    #[schema(value_type = Option<f64>, minimum = -1.5e11, maximum = 3.5e9)]
    #[serde(default)]
    expiration_timestamp: Field<f64>,
    /// Free document of up to 64 KiB, without NUL characters and without numbers of more digits than a double keeps.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<ObjectText>,
}

impl Exact for CreateServiceKeyBody {}

impl CreateServiceKeyBody {
    pub(crate) fn read(self) -> Result<CreateServiceKey, Violations> {
        let mut check = Check::new();
        let name = service_name(&mut check, self.name);
        let expires_at = instant(&mut check, "expiration_timestamp", self.expiration_timestamp);
        let metadata = metadata(&mut check, self.metadata);
        let read =
            name.map(|name| CreateServiceKey { name, expires_at, metadata: metadata.unwrap_or_default() });
        check.finish(read)
    }
}

/// A code from a mail, in a body or in a query.
#[derive(Deserialize, ToSchema)]
pub(crate) struct VerifyBody {
    /// From the mail.
    #[schema(required = true, value_type = String, format = "opaque-token", max_length = 64)]
    #[serde(default)]
    code: Field<String>,
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
}

impl VerifyBody {
    /// The fields of a query, where everything is text.
    pub(crate) fn of_query(code: Option<String>, email: Option<String>) -> Self {
        let field = |text: Option<String>| text.map_or(Field::Missing, Field::Value);
        Self { code: field(code), email: field(email) }
    }

    pub(crate) fn read(self) -> Result<(EmailAddress, PlainToken), Violations> {
        let mut check = Check::new();
        let code = code(&mut check, self.code);
        let email = email(&mut check, self.email);
        check.finish(email.zip(code))
    }
}

/// POST accounts/individual/send-reset-password-email.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SendResetMailBody {
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
    /// Where the link leads, on a host the operator allows; to this server's own page unless given.
    #[schema(value_type = Option<String>, format = "uri")]
    #[serde(default)]
    email_redirect_url: Field<String>,
}

impl SendResetMailBody {
    pub(crate) fn read(self) -> Result<(EmailAddress, Option<String>), Violations> {
        let mut check = Check::new();
        let email = email(&mut check, self.email);
        let redirect = check.optional("email_redirect_url", self.email_redirect_url);
        check.finish(email.map(|email| (email, redirect)))
    }
}

/// POST accounts/individual/reset.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ResetPasswordBody {
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
    #[schema(required = true, value_type = String, format = "new-password")]
    #[serde(default)]
    new_password: Field<String>,
    /// From the link.
    #[schema(required = true, value_type = String, format = "opaque-token", max_length = 64)]
    #[serde(default)]
    code: Field<String>,
    /// From the link: seconds since the epoch.
    #[schema(required = true, value_type = f64, minimum = -8e12, maximum = 8e12)]
    #[serde(default)]
    code_expiration_timestamp: Field<f64>,
    /// Removes the phones that can sign in to the account. The mail after a reset names those that are left.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    remove_phones: Field<bool>,
    /// Removes the passkeys that can sign in to the account. The mail after a reset says how many are left.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    remove_passkeys: Field<bool>,
}

impl ResetPasswordBody {
    pub(crate) fn read(self, rule: &PasswordRule) -> Result<ResetPassword, Violations> {
        let mut check = Check::new();
        let email = email(&mut check, self.email);
        let new_password = match check.required("new_password", self.new_password).map(Password::new) {
            Some(new) => check.parsed("new_password", rule.check(&new).map(|()| new)),
            None => None,
        };
        let token = code(&mut check, self.code);
        let seconds = check.required("code_expiration_timestamp", self.code_expiration_timestamp);
        let expires_at = seconds.and_then(|seconds| match Timestamp::from_fractional_seconds(seconds) {
            Some(at) => Some(at),
            None => check.violated("code_expiration_timestamp", "must be seconds since the epoch"),
        });
        let remove_phones = check.optional("remove_phones", self.remove_phones).unwrap_or(false);
        let remove_passkeys = check.optional("remove_passkeys", self.remove_passkeys).unwrap_or(false);
        let read = email.zip(new_password).zip(token).zip(expires_at);
        let read = read.map(|(((email, new_password), token), expires_at)| ResetPassword {
            token,
            email: Some(email),
            expires_at: Some(expires_at),
            new_password,
            remove_phones,
            remove_passkeys,
        });
        check.finish(read)
    }
}

fn role(check: &mut Check, field: Field<String>) -> Option<Role> {
    let name = check.required("role", field)?;
    match role_of(&name) {
        Some(Role::Owner) | None => {
            check.violated("role", "must be one of manager, backend, frontend, demo_viewer")
        }
        role => role,
    }
}

/// Checked here already, so that it is reported together with the other errors.
fn new_password(
    check: &mut Check,
    name: &'static str,
    field: Field<String>,
    rule: &PasswordRule,
) -> Option<Password> {
    let new = check.optional(name, field).map(Password::new)?;
    check.parsed(name, rule.check(&new).map(|()| new))
}

fn program_rule(profile: &ContractProfile) -> &PasswordRule {
    profile.program_password.as_ref().unwrap_or(&profile.password)
}

fn personal_name(check: &mut Check, name: &'static str, field: Field<String>) -> Option<String> {
    match check.optional(name, field)? {
        text if text.trim().is_empty() => Some(String::new()),
        text => check.parsed(name, line(&text, MAX_PERSONAL_NAME)),
    }
}

fn code(check: &mut Check, field: Field<String>) -> Option<PlainToken> {
    let text = check.required("code", field)?;
    if text.is_empty() || text.chars().count() > MAX_CODE {
        return check.violated("code", format!("must be 1 to {MAX_CODE} characters"));
    }
    Some(PlainToken::from_presented(&text))
}

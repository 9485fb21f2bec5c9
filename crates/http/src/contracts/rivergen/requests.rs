//! Request bodies, and how they are read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use tidegate_crypto::PlainToken;
use tidegate_domain::factor::DeviceData;
use tidegate_domain::text::line;
use tidegate_domain::{Document, EmailAddress, Password, Secret};
use tidegate_identity::accounts::update_profile::ProfileChange;
use tidegate_identity::recovery::reset_password::ResetPassword;
use tidegate_identity::sign_in::confirm_code::ConfirmCode;
use tidegate_identity::sign_in::login::SignIn;
use tidegate_identity::sign_in::sign_up::SignUp;
use utoipa::ToSchema;

use super::responses::ProfileData;
use crate::wire::encoded_file::EncodedFile;
use crate::wire::fields::{Check, Field, ObjectText, Violations};
use crate::wire::typed::{self, Integer, TypedDigits};
use crate::wire::unknown::{Exact, fields_of};

/// Longest display name, in characters.
const MAX_NAME: usize = 255;
/// Longest picture, in bytes of its `data:` URI.
pub(super) const MAX_PICTURE: usize = 2 * 1024 * 1024;
/// Longest address of a picture.
const MAX_URL: usize = 2_048;
/// An address of a picture, or the picture (RFC 2397, RFC 4648 section 4). Other spellings are understood, too.
pub(super) const PICTURE: &str = concat!(
    r"^(https?://[!-~]{1,2000}|",
    r"data:image/(png|jpeg|gif|webp);base64,([A-Za-z0-9+/]{4})*",
    r"([A-Za-z0-9+/]{4}|[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=))$",
);

/// POST /api/v1/auth/signup.
#[derive(Deserialize, ToSchema)]
pub(super) struct SignUpBody {
    /// RFC 5322 address; compared without case.
    #[schema(required = true, value_type = String, format = "email", example = "ada@example.com")]
    #[serde(default)]
    email: Field<String>,
    /// At least 8 characters with an upper-case letter, a lower-case letter and a digit.
    #[schema(required = true, value_type = String, format = "new-password", example = "Correct1horse")]
    #[serde(default)]
    password: Field<String>,
    /// Shown to people.
    #[schema(value_type = Option<String>, format = "single-line", max_length = 255)]
    #[serde(default)]
    display_name: Field<String>,
    /// Stored; `true` when left out.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    agree_to_terms: Field<bool>,
    /// Stored; `1.0` when left out.
    #[schema(value_type = Option<String>, format = "single-line", max_length = 50)]
    #[serde(default)]
    terms_version: Field<String>,
    /// A repeat of the same request with the same key within 24 hours gets the same answer.
    #[schema(value_type = Option<String>, format = "single-line", max_length = 255)]
    #[serde(default)]
    idempotency_key: Field<String>,
}

impl SignUpBody {
    pub(super) fn read(self) -> Result<SignUp, Violations> {
        let mut check = Check::new();
        let email = email(&mut check, "email", self.email);
        let password = check.required("password", self.password);
        let display_name = text(&mut check, "display_name", self.display_name, MAX_NAME);
        let agreed_to_terms = check.optional("agree_to_terms", self.agree_to_terms);
        let terms_version = text(&mut check, "terms_version", self.terms_version, 50);
        let idempotency_key = text(&mut check, "idempotency_key", self.idempotency_key, 255);
        let read = email.zip(password).map(|(email, password)| SignUp {
            email,
            password: Password::new(password),
            display_name: display_name.unwrap_or_default(),
            agreed_to_terms: agreed_to_terms.unwrap_or(true),
            terms_version: Some(terms_version.unwrap_or_else(|| "1.0".to_owned())),
            idempotency_key,
        });
        check.finish(read)
    }
}

/// POST /api/v1/auth/verify-email.
#[derive(Deserialize, ToSchema)]
pub(super) struct VerifyEmailBody {
    /// From the link in the mail.
    #[schema(required = true, value_type = String, format = "opaque-token")]
    #[serde(default)]
    token: Field<String>,
    /// From the sign-up or sign-in that sent the mail. With it the password is kept; without it the mail alone does not show who set
    /// the password, so the first verification drops it.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    temporary_token: Field<String>,
}

impl VerifyEmailBody {
    pub(super) fn read(self) -> Result<(PlainToken, Option<PlainToken>), Violations> {
        let mut check = Check::new();
        let token = token(&mut check, "token", self.token);
        let temporary = check.optional("temporary_token", self.temporary_token);
        let temporary = temporary.map(|text| PlainToken::from_presented(&text));
        check.finish(token.map(|token| (token, temporary)))
    }
}

/// POST /api/v1/auth/verify-otp.
#[derive(Deserialize, ToSchema)]
pub(super) struct VerifyOtpBody {
    /// From sign-up, sign-in or the last resend.
    #[schema(required = true, value_type = String, format = "opaque-token")]
    #[serde(default)]
    temporary_token: Field<String>,
    /// Six digits, from the mail. Blanks and hyphens between them, digits of any script and a JSON number are understood.
    #[schema(required = true, value_type = String, format = "one-time-code", example = "123456")]
    #[serde(default)]
    otp_code: Field<TypedDigits>,
}

impl VerifyOtpBody {
    pub(super) fn read(self) -> Result<ConfirmCode, Violations> {
        let mut check = Check::new();
        let temporary_token = token(&mut check, "temporary_token", self.temporary_token);
        let code = code(&mut check, "otp_code", self.otp_code);
        check.finish(
            temporary_token.zip(code).map(|(temporary_token, code)| ConfirmCode { temporary_token, code }),
        )
    }
}

/// POST /api/v1/auth/resend-signup-otp.
#[derive(Deserialize, ToSchema)]
pub(super) struct ResendBody {
    /// The address the temporary token was given for.
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
    /// From sign-up, sign-in or the last resend.
    #[schema(required = true, value_type = String, format = "opaque-token")]
    #[serde(default)]
    temporary_token: Field<String>,
}

impl ResendBody {
    pub(super) fn read(self) -> Result<(EmailAddress, PlainToken), Violations> {
        let mut check = Check::new();
        let email = email(&mut check, "email", self.email);
        let temporary_token = token(&mut check, "temporary_token", self.temporary_token);
        check.finish(email.zip(temporary_token))
    }
}

/// POST /api/v1/auth/login.
#[derive(Deserialize, ToSchema)]
pub(super) struct LoginBody {
    /// The account's address.
    #[schema(required = true, value_type = String, format = "email", example = "ada@example.com")]
    #[serde(default)]
    email: Field<String>,
    /// Its password.
    #[schema(required = true, value_type = String, format = "password")]
    #[serde(default)]
    password: Field<String>,
    /// The workspace to enter.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    workspace_id: Field<Integer>,
    /// A session of 30 days instead of 24 hours; `false` when left out.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    remember_me: Field<bool>,
}

impl LoginBody {
    pub(super) fn read(self, device: DeviceData) -> Result<SignIn, Violations> {
        let mut check = Check::new();
        let email = email(&mut check, "email", self.email);
        let password = check.required("password", self.password);
        let workspace = check.optional("workspace_id", self.workspace_id).map(|Integer(number)| number);
        let remember_me = check.optional("remember_me", self.remember_me).unwrap_or(false);
        let read = email.zip(password).map(|(email, password)| SignIn {
            workspace,
            remember_me,
            device,
            ..SignIn::to_home(email.into(), Password::new(password))
        });
        check.finish(read)
    }
}

/// POST /api/v1/auth/refresh.
#[derive(Deserialize, ToSchema)]
pub(super) struct RefreshBody {
    /// From the last sign-in or refresh.
    #[schema(required = true, value_type = String, format = "opaque-token")]
    #[serde(default)]
    refresh_token: Field<String>,
}

impl RefreshBody {
    pub(super) fn read(self) -> Result<PlainToken, Violations> {
        let mut check = Check::new();
        let token = token(&mut check, "refresh_token", self.refresh_token);
        check.finish(token)
    }
}

/// POST /api/v1/auth/forgot-password.
#[derive(Deserialize, ToSchema)]
pub(super) struct ForgotPasswordBody {
    /// Where the link is sent, if an account has that address.
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
}

impl ForgotPasswordBody {
    pub(super) fn read(self) -> Result<EmailAddress, Violations> {
        let mut check = Check::new();
        let email = email(&mut check, "email", self.email);
        check.finish(email)
    }
}

/// POST /api/v1/auth/reset-password.
#[derive(Deserialize, ToSchema)]
pub(super) struct ResetPasswordBody {
    /// From the link in the mail.
    #[schema(required = true, value_type = String, format = "opaque-token")]
    #[serde(default)]
    token: Field<String>,
    /// As at sign-up.
    #[schema(required = true, value_type = String, format = "new-password")]
    #[serde(default)]
    new_password: Field<String>,
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
    pub(super) fn read(self) -> Result<ResetPassword, Violations> {
        let mut check = Check::new();
        let token = token(&mut check, "token", self.token);
        let password = check.required("new_password", self.new_password).map(Password::new);
        let remove_phones = check.optional("remove_phones", self.remove_phones).unwrap_or(false);
        let remove_passkeys = check.optional("remove_passkeys", self.remove_passkeys).unwrap_or(false);
        let read = token.zip(password).map(|(token, new_password)| ResetPassword {
            token,
            email: None,
            expires_at: None,
            new_password,
            remove_phones,
            remove_passkeys,
        });
        check.finish(read)
    }
}

/// POST /api/v1/auth/change-password.
#[derive(Deserialize, ToSchema)]
pub(super) struct ChangePasswordBody {
    /// What is to be replaced.
    #[schema(required = true, value_type = String, format = "password")]
    #[serde(default)]
    current_password: Field<String>,
    /// As at sign-up, and different.
    #[schema(required = true, value_type = String, format = "new-password")]
    #[serde(default)]
    new_password: Field<String>,
}

impl ChangePasswordBody {
    pub(super) fn read(self) -> Result<(Password, Password), Violations> {
        let mut check = Check::new();
        let current = check.required("current_password", self.current_password).map(Password::new);
        let new = check.required("new_password", self.new_password).map(Password::new);
        check.finish(current.zip(new))
    }
}

/// PUT /api/v1/auth/me/profile. What is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileBody {
    /// 1 to 255 characters.
    #[schema(value_type = Option<String>, format = "single-line", max_length = 255)]
    #[serde(default)]
    display_name: Field<String>,
    /// An http(s) URL, or a base64 `data:` URI of a PNG, JPEG, GIF or WebP picture of up to 2 MiB. `null` removes it.
    #[schema(value_type = Option<String>, format = "picture")]
    #[serde(default)]
    profile_image_url: Field<String>,
    /// Merged into the stored document; `null` deletes a key. NUL characters and numbers of more digits than a double keeps are
    /// refused.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    profile: Field<ObjectText>,
}

impl Exact for ProfileBody {
    fn sent_back() -> Vec<String> {
        fields_of::<ProfileData>()
    }

    fn place_of(name: &str) -> Option<String> {
        let place = match name {
            "email" | "primary_email" | "new_email" => {
                "the address is changed by POST /api/v1/auth/me/email/request"
            }
            "password" | "new_password" => "the password is changed by POST /api/v1/auth/change-password",
            "role" | "is_admin" | "is_system_admin" => {
                "a role is given by who invites the account, and not changed by its owner"
            }
            "disabled_at" => "an operator disables an account: tidegate user disable",
            _ => return None,
        };
        Some(place.to_owned())
    }
}

impl ProfileBody {
    pub(super) fn read(self) -> Result<ProfileChange, Violations> {
        let mut check = Check::new();
        let display_name = text(&mut check, "display_name", self.display_name, MAX_NAME);
        let profile_image_url = match self.profile_image_url {
            Field::Null => Some(None),
            other => check
                .optional("profile_image_url", other)
                .and_then(|url| check.parsed("profile_image_url", picture(url)))
                .map(Some),
        };
        let profile = check
            .optional("profile", self.profile)
            .and_then(|profile| check.parsed("profile", Document::parse(profile.as_str())));
        check.finish(Some(ProfileChange { display_name, profile_image_url, profile }))
    }
}

/// POST /api/v1/auth/me/email/request.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EmailChangeBody {
    /// The address to change to.
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    new_email: Field<String>,
}

impl Exact for EmailChangeBody {}

impl EmailChangeBody {
    pub(super) fn read(self) -> Result<EmailAddress, Violations> {
        let mut check = Check::new();
        let email = email(&mut check, "new_email", self.new_email);
        check.finish(email)
    }
}

/// POST /api/v1/auth/me/email/verify.
#[derive(Deserialize, ToSchema)]
pub(super) struct VerifyEmailChangeBody {
    /// The address asked for.
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    new_email: Field<String>,
    /// Six digits, from the mail to that address. Read as in `verify-otp`.
    #[schema(required = true, value_type = String, format = "one-time-code")]
    #[serde(default)]
    otp_code: Field<TypedDigits>,
}

impl VerifyEmailChangeBody {
    pub(super) fn read(self) -> Result<(EmailAddress, Secret), Violations> {
        let mut check = Check::new();
        let email = email(&mut check, "new_email", self.new_email);
        let code = code(&mut check, "otp_code", self.otp_code);
        check.finish(email.zip(code))
    }
}

pub(super) fn email(check: &mut Check, name: &'static str, field: Field<String>) -> Option<EmailAddress> {
    let text = check.required(name, field)?;
    check.parsed(name, EmailAddress::parse(&text))
}

pub(super) fn token(check: &mut Check, name: &'static str, field: Field<String>) -> Option<PlainToken> {
    let text = check.required(name, field)?;
    if text.is_empty() {
        return check.violated(name, "must not be empty");
    }
    Some(PlainToken::from_presented(&text))
}

pub(super) fn code(check: &mut Check, name: &'static str, field: Field<TypedDigits>) -> Option<Secret> {
    typed::code(check, name, field, 6..=6, "must be six digits")
}

pub(super) fn text(
    check: &mut Check,
    name: &'static str,
    field: Field<String>,
    max: usize,
) -> Option<String> {
    let text = check.optional(name, field)?;
    check.parsed(name, line(&text, max))
}

/// An address of a picture, or the picture itself (RFC 2397), which is kept in one spelling.
fn picture(url: String) -> Result<String, &'static str> {
    const WANTED: &str = "must be a base64 data: URI of a PNG, JPEG, GIF or WebP picture";
    let url = url.trim();
    if url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
        let head = url.split(',').next().unwrap_or_default().to_ascii_lowercase();
        let media_type = head.trim_start_matches("data:").split(';').next().unwrap_or_default();
        let kind = match media_type.trim() {
            kind @ ("image/png" | "image/jpeg" | "image/gif" | "image/webp") => kind,
            "image/jpg" | "image/pjpeg" => "image/jpeg",
            _ => return Err(WANTED),
        };
        if url.len() > MAX_PICTURE {
            return Err("must be at most 2 MiB");
        }
        return match EncodedFile::read(url) {
            Some(file) if !file.bytes.is_empty() => {
                Ok(format!("data:{kind};base64,{}", STANDARD.encode(file.bytes)))
            }
            _ => Err("must be valid base64 after the comma"),
        };
    }
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if !is_web || url.chars().count() > MAX_URL || url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("must be an http(s) URL of at most 2048 characters, or a data: URI");
    }
    Ok(url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_addresses_or_small_images() {
        let ok = |url: &str| picture(url.to_owned()).is_ok();
        assert!(ok("https://example.com/a.png") && ok("data:image/png;base64,iVBORw0KGgo="));
        let kept = Ok("data:image/jpeg;base64,/9j/4AAQ".to_owned());
        assert_eq!(picture("data:image/jpg;base64,/9j/\r\n4AAQ\n".to_owned()), kept);
        assert_eq!(picture("DATA:Image/JPEG;charset=utf-8;base64,_9j_4AAQ".to_owned()), kept);
        assert!(!ok("javascript:alert(1)") && !ok("data:text/html;base64,PGI+") && !ok("https://a b"));
        assert!(!ok("data:image/png;base64,<svg>") && !ok("data:image/svg+xml;base64,PHN2Zz4="));
        assert!(!ok(&format!("data:image/png;base64,{}", "A".repeat(MAX_PICTURE))));
    }
}

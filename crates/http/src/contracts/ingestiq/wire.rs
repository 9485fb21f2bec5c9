//! Request and response bodies.

use serde::{Deserialize, Serialize};
use tidegate_crypto::PlainToken;
use tidegate_domain::text::line;
use tidegate_domain::{EmailAddress, Password, PasswordRule, Role};
use tidegate_identity::sign_in::login::SignIn;
use tidegate_identity::sign_in::sign_up::SignUp;
use tidegate_kernel::{Grant, SignedIn, TokenSet};
use utoipa::ToSchema;

use crate::wire::fields::{Check, Field, Violations};

/// POST /api/v2/auth/register.
#[derive(Deserialize, ToSchema)]
pub(super) struct RegisterBody {
    /// Compared without case.
    #[schema(required = true, value_type = String, format = "email", max_length = 254, example = "ada@example.com")]
    #[serde(default)]
    email: Field<String>,
    /// 8 to 128 characters.
    #[schema(required = true, value_type = String, format = "new-password")]
    #[serde(default)]
    password: Field<String>,
    /// 1 to 100 characters.
    #[schema(required = true, value_type = String, format = "single-line", max_length = 100, example = "Ada Lovelace")]
    #[serde(default)]
    name: Field<String>,
}

impl RegisterBody {
    pub(super) fn read(self, rule: &PasswordRule) -> Result<SignUp, Violations> {
        let mut check = Check::new();
        let email = email(&mut check, self.email);
        let password = check.required("password", self.password).map(Password::new);
        // Checked here already, so that it is reported together with the other errors.
        let password = password.and_then(|new| check.parsed("password", rule.check(&new).map(|()| new)));
        let name = check.required("name", self.name).and_then(|name| check.parsed("name", line(&name, 100)));
        let read = email.zip(password).zip(name).map(|((email, password), display_name)| SignUp {
            email,
            password,
            display_name,
            // The contract has no terms.
            agreed_to_terms: false,
            terms_version: None,
            idempotency_key: None,
        });
        check.finish(read)
    }
}

/// POST /api/v2/auth/login.
#[derive(Deserialize, ToSchema)]
pub(super) struct LoginBody {
    /// The account's address.
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
    /// Its password.
    #[schema(required = true, value_type = String, format = "password")]
    #[serde(default)]
    password: Field<String>,
}

impl LoginBody {
    pub(super) fn read(self) -> Result<SignIn, Violations> {
        let mut check = Check::new();
        let email = email(&mut check, self.email);
        let password = check.required("password", self.password);
        let read = email
            .zip(password)
            .map(|(email, password)| SignIn::to_home(email.into(), Password::new(password)));
        check.finish(read)
    }
}

/// POST /api/v2/auth/refresh.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefreshBody {
    /// From the last login or refresh.
    #[schema(required = true, value_type = String, format = "opaque-token")]
    #[serde(default)]
    refresh_token: Field<String>,
}

impl RefreshBody {
    pub(super) fn read(self) -> Result<PlainToken, Violations> {
        let mut check = Check::new();
        let token = match check.required("refreshToken", self.refresh_token) {
            Some(token) if token.is_empty() => check.violated("refreshToken", "must not be empty"),
            token => token.map(|token| PlainToken::from_presented(&token)),
        };
        check.finish(token)
    }
}

fn email(check: &mut Check, field: Field<String>) -> Option<EmailAddress> {
    let text = check.required("email", field)?;
    check.parsed("email", EmailAddress::parse(&text))
}

/// The account that registered or logged in, and its tokens.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Session {
    user: User,
    access_token: String,
    refresh_token: String,
}

#[derive(Serialize, ToSchema)]
struct User {
    id: String,
    email: String,
    name: String,
}

impl From<&SignedIn> for Session {
    fn from(signed_in: &SignedIn) -> Self {
        Self {
            user: User {
                id: signed_in.account.id.to_string(),
                email: signed_in.login.to_string(),
                name: signed_in.account.display_name.clone(),
            },
            access_token: signed_in.tokens.access_token.expose().to_owned(),
            refresh_token: signed_in.tokens.refresh_token.expose().to_owned(),
        }
    }
}

/// New tokens.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tokens {
    access_token: String,
    /// Replaces the one sent.
    refresh_token: String,
}

impl From<TokenSet> for Tokens {
    fn from(tokens: TokenSet) -> Self {
        Self {
            access_token: tokens.access_token.expose().to_owned(),
            refresh_token: tokens.refresh_token.expose().to_owned(),
        }
    }
}

/// Something done.
#[derive(Serialize, ToSchema)]
pub(super) struct Message {
    pub(super) message: &'static str,
}

/// Alive.
#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`.
    pub(super) status: &'static str,
}

/// The caller.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    user: MeUser,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct MeUser {
    id: String,
    email: String,
    name: String,
    organization_id: String,
    /// `owner`, `admin`, `member` or `viewer`.
    role: &'static str,
    created_at: String,
}

impl From<&Grant> for Me {
    fn from(grant: &Grant) -> Self {
        let session = grant.session();
        Self {
            user: MeUser {
                id: session.account.to_string(),
                email: session.email.as_ref().map(ToString::to_string).unwrap_or_default(),
                name: session.display_name.clone(),
                organization_id: session.organization.to_string(),
                role: role_name(session.role),
                created_at: session.account_created_at.iso_millis(),
            },
        }
    }
}

/// The role in this contract's words, which has none for the frontend role.
const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Developer => "member",
        Role::Viewer | Role::Frontend => "viewer",
    }
}

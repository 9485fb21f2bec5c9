//! Request bodies: section 6.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tidegate_crypto::PlainToken;
use tidegate_domain::account::{LoginName, ServiceName};
use tidegate_domain::flexible_id::IdType;
use tidegate_domain::text::{has_nul, line};
use tidegate_domain::{DialectProfile, EmailAddress, Password, PasswordRule, Role, Timestamp};
use tidegate_identity::bind::{BindingRequest, DatabaseChoice};
use tidegate_identity::change_account::AccountChange;
use tidegate_identity::create_account::{CreateIndividual, CreateProgram};
use tidegate_identity::databases::{CreateDatabase, DatabaseChange};
use tidegate_identity::metadata::{MAX_METADATA, Patch};
use tidegate_identity::reset_password::ResetPassword;
use tidegate_identity::resolve_session::{ListResolved, ResolveSession};
use tidegate_identity::service_keys::CreateServiceKey;
use tidegate_identity::sign_in::SignIn;
use utoipa::ToSchema;

use super::role_of;
use crate::fields::{Check, Field, Violations};

/// Longest code from a mail, in characters.
const MAX_CODE: usize = 64;
/// Longest given or family name, in characters.
const MAX_PERSONAL_NAME: usize = 150;
/// Longest name of a database, in characters.
const MAX_DATABASE_NAME: usize = 128;
/// Longest opaque id, in characters.
const MAX_ID: usize = 64;
/// Longest description of a database, in characters.
const MAX_DESCRIPTION: usize = 4_096;
/// Most databases or resolved sessions on a page, and how many unless asked for otherwise.
pub(super) const MAX_PAGE: i64 = 256;
const DEFAULT_PAGE: i64 = 64;
/// Most users whose resolved sessions are asked for at once.
const MAX_USERS: usize = 256;
/// Expiries the contract takes: seconds since the epoch.
const EXPIRIES: std::ops::RangeInclusive<f64> = -1.5e11..=3.5e9;

type Object = Map<String, Value>;

/// A body without fields.
#[derive(Deserialize)]
pub(super) struct NoFields {}

/// POST accounts/individual.
#[derive(Deserialize, ToSchema)]
pub(super) struct CreateIndividualBody {
    /// Compared without case.
    #[schema(required = true, value_type = String, format = "email", max_length = 254)]
    #[serde(default)]
    email: Field<String>,
    /// `manager`, `backend`, `frontend` or `demo_viewer`.
    #[schema(required = true, value_type = String)]
    #[serde(default)]
    role: Field<String>,
    /// At least 10 characters; one lower, one upper, one digit, one other. Without one, a link to choose it is mailed.
    #[schema(value_type = Option<String>, format = "password", min_length = 10, max_length = 1024)]
    #[serde(default)]
    password: Field<String>,
    #[schema(value_type = Option<String>, max_length = 150)]
    #[serde(default)]
    first_name: Field<String>,
    #[schema(value_type = Option<String>, max_length = 150)]
    #[serde(default)]
    last_name: Field<String>,
    /// Free document of up to 64 KiB.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<Object>,
    /// Where the link of that mail leads, on a host the operator allows.
    #[schema(value_type = Option<String>, format = "uri")]
    #[serde(default)]
    email_redirect_url: Field<String>,
}

impl CreateIndividualBody {
    pub(super) fn read(self, rule: &PasswordRule) -> Result<CreateIndividual, Violations> {
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
            metadata: metadata.unwrap_or_else(|| json!({})),
            redirect,
        });
        check.finish(read)
    }
}

/// PATCH accounts/individual. What is absent stays.
#[derive(Deserialize, ToSchema)]
pub(super) struct ChangeIndividualBody {
    /// Whose account.
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
    #[schema(value_type = Option<String>, format = "password", min_length = 10, max_length = 1024)]
    #[serde(default)]
    password: Field<String>,
    #[schema(value_type = Option<String>, max_length = 150)]
    #[serde(default)]
    first_name: Field<String>,
    #[schema(value_type = Option<String>, max_length = 150)]
    #[serde(default)]
    last_name: Field<String>,
    /// Replaces the stored document.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<Object>,
}

impl ChangeIndividualBody {
    pub(super) fn read(self, rule: &PasswordRule) -> Result<(LoginName, AccountChange), Violations> {
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
pub(super) struct EmailBody {
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
}

impl EmailBody {
    pub(super) fn read(self) -> Result<EmailAddress, Violations> {
        let mut check = Check::new();
        let email = email(&mut check, self.email);
        check.finish(email)
    }
}

/// POST accounts/service.
#[derive(Deserialize, ToSchema)]
pub(super) struct CreateServiceBody {
    /// 1 to 128 printable characters.
    #[schema(required = true, value_type = String, min_length = 1, max_length = 128)]
    #[serde(default)]
    name: Field<String>,
    /// `manager`, `backend`, `frontend` or `demo_viewer`.
    #[schema(required = true, value_type = String)]
    #[serde(default)]
    role: Field<String>,
    /// At least 12 characters; one lower, one upper, one digit. Without one, the program signs in with keys.
    #[schema(value_type = Option<String>, format = "password", min_length = 12, max_length = 1024)]
    #[serde(default)]
    password: Field<String>,
    /// Free document of up to 64 KiB.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<Object>,
}

impl CreateServiceBody {
    pub(super) fn read(self, profile: &DialectProfile) -> Result<CreateProgram, Violations> {
        let mut check = Check::new();
        let name = service_name(&mut check, self.name);
        let role = role(&mut check, self.role);
        let password = new_password(&mut check, "password", self.password, program_rule(profile));
        let metadata = metadata(&mut check, self.metadata);
        let read = name.zip(role).map(|(name, role)| CreateProgram {
            name,
            role,
            password,
            metadata: metadata.unwrap_or_else(|| json!({})),
        });
        check.finish(read)
    }
}

/// PATCH accounts/service. What is absent stays.
#[derive(Deserialize, ToSchema)]
pub(super) struct ChangeServiceBody {
    /// Which program.
    #[schema(required = true, value_type = String)]
    #[serde(default)]
    name: Field<String>,
    #[schema(value_type = Option<String>, format = "password", min_length = 12, max_length = 1024)]
    #[serde(default)]
    password: Field<String>,
    /// Replaces the stored document.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<Object>,
}

impl ChangeServiceBody {
    pub(super) fn read(self, profile: &DialectProfile) -> Result<(LoginName, AccountChange), Violations> {
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
pub(super) struct ServiceNameBody {
    #[schema(required = true, value_type = String)]
    #[serde(default)]
    name: Field<String>,
}

impl ServiceNameBody {
    pub(super) fn read(self) -> Result<LoginName, Violations> {
        let mut check = Check::new();
        let name = service_name(&mut check, self.name);
        check.finish(name.map(LoginName::Service))
    }
}

/// POST accounts/service/keys.
#[derive(Deserialize, ToSchema)]
pub(super) struct CreateServiceKeyBody {
    /// For which program.
    #[schema(required = true, value_type = String)]
    #[serde(default)]
    name: Field<String>,
    /// Seconds since the epoch; never unless given.
    #[schema(value_type = Option<f64>)]
    #[serde(default)]
    expiration_timestamp: Field<f64>,
    /// Free document of up to 64 KiB.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<Object>,
}

impl CreateServiceKeyBody {
    pub(super) fn read(self) -> Result<CreateServiceKey, Violations> {
        let mut check = Check::new();
        let name = service_name(&mut check, self.name);
        let expires_at = match check.optional("expiration_timestamp", self.expiration_timestamp) {
            Some(seconds) if !EXPIRIES.contains(&seconds) => {
                check.violated("expiration_timestamp", "must be between -1.5e11 and 3.5e9")
            }
            seconds => seconds.and_then(Timestamp::from_fractional_seconds),
        };
        let metadata = metadata(&mut check, self.metadata);
        let read = name.map(|name| CreateServiceKey {
            name,
            expires_at,
            metadata: metadata.unwrap_or_else(|| json!({})),
        });
        check.finish(read)
    }
}

/// A code from a mail, in a body or in a query.
#[derive(Deserialize, ToSchema)]
pub(super) struct VerifyBody {
    /// From the mail.
    #[schema(required = true, value_type = String, max_length = 64)]
    #[serde(default)]
    code: Field<String>,
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
}

impl VerifyBody {
    /// The fields of a query, where everything is text.
    pub(super) fn of_query(code: Option<String>, email: Option<String>) -> Self {
        let field = |text: Option<String>| text.map_or(Field::Missing, Field::Value);
        Self { code: field(code), email: field(email) }
    }

    pub(super) fn read(self) -> Result<(EmailAddress, PlainToken), Violations> {
        let mut check = Check::new();
        let code = code(&mut check, self.code);
        let email = email(&mut check, self.email);
        check.finish(email.zip(code))
    }
}

/// POST accounts/individual/send-reset-password-email.
#[derive(Deserialize, ToSchema)]
pub(super) struct SendResetMailBody {
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
    /// Where the link leads, on a host the operator allows; to this server's own page unless given.
    #[schema(value_type = Option<String>, format = "uri")]
    #[serde(default)]
    email_redirect_url: Field<String>,
}

impl SendResetMailBody {
    pub(super) fn read(self) -> Result<(EmailAddress, Option<String>), Violations> {
        let mut check = Check::new();
        let email = email(&mut check, self.email);
        let redirect = check.optional("email_redirect_url", self.email_redirect_url);
        check.finish(email.map(|email| (email, redirect)))
    }
}

/// POST accounts/individual/reset.
#[derive(Deserialize, ToSchema)]
pub(super) struct ResetPasswordBody {
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
    #[schema(required = true, value_type = String, format = "password", min_length = 10, max_length = 1024)]
    #[serde(default)]
    new_password: Field<String>,
    /// From the link.
    #[schema(required = true, value_type = String, max_length = 64)]
    #[serde(default)]
    code: Field<String>,
    /// From the link: seconds since the epoch.
    #[schema(required = true, value_type = f64)]
    #[serde(default)]
    code_expiration_timestamp: Field<f64>,
}

/// A new password, and when the code it comes with says that it expires.
pub(super) struct ResetClaim {
    pub(super) claim: ResetPassword,
    pub(super) expires_at: Timestamp,
}

impl ResetPasswordBody {
    pub(super) fn read(self, rule: &PasswordRule) -> Result<ResetClaim, Violations> {
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
        let read = email.zip(new_password).zip(token).zip(expires_at);
        let read = read.map(|(((email, new_password), token), expires_at)| ResetClaim {
            claim: ResetPassword { token, email: Some(email), new_password },
            expires_at,
        });
        check.finish(read)
    }
}

/// POST login/individual.
#[derive(Deserialize, ToSchema)]
pub(super) struct LoginIndividualBody {
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
    #[schema(required = true, value_type = String, format = "password")]
    #[serde(default)]
    password: Field<String>,
    /// The database to bind the token to.
    #[schema(value_type = Option<String>, max_length = 64)]
    #[serde(default)]
    db_id: Field<String>,
    /// The same, by its name.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    db_name: Field<String>,
    /// The end user the token speaks for, of the database's `user_id_type`; for the frontend role.
    #[schema(value_type = Value)]
    #[serde(default)]
    frontend_user_id: Field<Value>,
    /// That user's anonymous session, of the database's `session_id_type`; for the frontend role.
    #[schema(value_type = Value)]
    #[serde(default)]
    frontend_session_id: Field<Value>,
}

impl LoginIndividualBody {
    pub(super) fn read(self) -> Result<SignIn, Violations> {
        let mut check = Check::new();
        let email = email(&mut check, self.email);
        let password = check.required("password", self.password).map(Password::new);
        let binding =
            binding(&mut check, self.db_id, self.db_name, self.frontend_user_id, self.frontend_session_id);
        let read = email
            .zip(password)
            .map(|(email, password)| SignIn { binding, ..SignIn::to_home(email.into(), password) });
        check.finish(read)
    }
}

/// POST login/service.
#[derive(Deserialize, ToSchema)]
pub(super) struct LoginServiceBody {
    #[schema(required = true, value_type = String)]
    #[serde(default)]
    name: Field<String>,
    /// The program's password, or one of its keys.
    #[schema(required = true, value_type = String, format = "password")]
    #[serde(default)]
    password: Field<String>,
    /// The database to bind the token to.
    #[schema(value_type = Option<String>, max_length = 64)]
    #[serde(default)]
    db_id: Field<String>,
    /// The same, by its name.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    db_name: Field<String>,
    /// The end user the token speaks for, of the database's `user_id_type`; for the frontend role.
    #[schema(value_type = Value)]
    #[serde(default)]
    frontend_user_id: Field<Value>,
    /// That user's anonymous session, of the database's `session_id_type`; for the frontend role.
    #[schema(value_type = Value)]
    #[serde(default)]
    frontend_session_id: Field<Value>,
}

impl LoginServiceBody {
    pub(super) fn read(self) -> Result<SignIn, Violations> {
        let mut check = Check::new();
        let name = service_name(&mut check, self.name);
        let password = check.required("password", self.password).map(Password::new);
        let binding =
            binding(&mut check, self.db_id, self.db_name, self.frontend_user_id, self.frontend_session_id);
        let read = name
            .zip(password)
            .map(|(name, password)| SignIn { binding, ..SignIn::to_home(name.into(), password) });
        check.finish(read)
    }
}

/// POST login/root.
#[derive(Deserialize, ToSchema)]
pub(super) struct LoginRootBody {
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
    #[schema(required = true, value_type = String, format = "password")]
    #[serde(default)]
    password: Field<String>,
}

impl LoginRootBody {
    pub(super) fn read(self) -> Result<SignIn, Violations> {
        let mut check = Check::new();
        let email = email(&mut check, self.email);
        let password = check.required("password", self.password).map(Password::new);
        let read = email
            .zip(password)
            .map(|(email, password)| SignIn { owner_only: true, ..SignIn::to_home(email.into(), password) });
        check.finish(read)
    }
}

/// POST login/refresh-token.
#[derive(Deserialize, ToSchema)]
pub(super) struct RefreshTokenBody {
    /// From the last login or refresh.
    #[schema(required = true, value_type = String)]
    #[serde(default)]
    refresh_token: Field<String>,
    /// The database to bind the new token to; the last one's unless given.
    #[schema(value_type = Option<String>, max_length = 64)]
    #[serde(default)]
    db_id: Field<String>,
    /// The same, by its name.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    db_name: Field<String>,
}

impl RefreshTokenBody {
    pub(super) fn read(self) -> Result<(PlainToken, DatabaseChoice), Violations> {
        let mut check = Check::new();
        let token = check.required("refresh_token", self.refresh_token);
        let choice = choice(&mut check, self.db_id, self.db_name);
        check.finish(token.map(|token| (PlainToken::from_presented(&token), choice)))
    }
}

/// POST databases.
#[derive(Deserialize, ToSchema)]
pub(super) struct CreateDatabaseBody {
    /// Unique in the organization.
    #[schema(required = true, value_type = String, min_length = 1, max_length = 128)]
    #[serde(default)]
    name: Field<String>,
    #[schema(required = true, value_type = String, max_length = 4096)]
    #[serde(default)]
    description: Field<String>,
    /// `int8` to `int64`, `uint8` to `uint64`, `uuid`, `hex<N>`, `urlsafe<N>` or `bytes<N>`, N from 1 to 64. Permanent.
    #[schema(required = true, value_type = String, example = "uuid")]
    #[serde(default)]
    item_id_type: Field<String>,
    #[schema(required = true, value_type = String, example = "uint32")]
    #[serde(default)]
    user_id_type: Field<String>,
    /// `uuid` unless given.
    #[schema(value_type = Option<String>, example = "uuid")]
    #[serde(default)]
    session_id_type: Field<String>,
    /// Free document of up to 64 KiB.
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<Object>,
}

impl CreateDatabaseBody {
    pub(super) fn read(self) -> Result<CreateDatabase, Violations> {
        let mut check = Check::new();
        let name = check.required("name", self.name);
        let name = name.and_then(|name| check.parsed("name", line(&name, MAX_DATABASE_NAME)));
        let description = check.required("description", self.description);
        let description = description.and_then(|text| free_text(&mut check, "description", text));
        let item = check.required("item_id_type", self.item_id_type);
        let item = item.and_then(|kind| check.parsed("item_id_type", kind.parse::<IdType>()));
        let user = check.required("user_id_type", self.user_id_type);
        let user = user.and_then(|kind| check.parsed("user_id_type", kind.parse::<IdType>()));
        let session = match check.optional("session_id_type", self.session_id_type) {
            Some(kind) => check.parsed("session_id_type", kind.parse::<IdType>()),
            None => Some(IdType::Uuid),
        };
        let metadata = metadata(&mut check, self.metadata);
        let read = name.zip(description).zip(item.zip(user)).zip(session);
        let read = read.map(|(((name, description), (item_id_type, user_id_type)), session_id_type)| {
            CreateDatabase {
                name,
                description,
                item_id_type,
                user_id_type,
                session_id_type,
                metadata: metadata.unwrap_or_else(|| json!({})),
            }
        });
        check.finish(read)
    }
}

/// PATCH databases/current. What is absent stays.
#[derive(Deserialize, ToSchema)]
pub(super) struct ChangeDatabaseBody {
    #[schema(value_type = Option<String>, max_length = 4096)]
    #[serde(default)]
    description: Field<String>,
    /// Merged into the stored document (RFC 7396).
    #[schema(value_type = Option<Object>)]
    #[serde(default)]
    metadata: Field<Object>,
    /// Whether to delete nothing, and to add to arrays instead of replacing them.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    preserve: Field<bool>,
}

impl ChangeDatabaseBody {
    pub(super) fn read(self) -> Result<DatabaseChange, Violations> {
        let mut check = Check::new();
        let description = check.optional("description", self.description);
        let description = description.and_then(|text| free_text(&mut check, "description", text));
        let metadata = patch(&mut check, self.metadata, self.preserve);
        check.finish(Some(DatabaseChange { description, metadata }))
    }
}

/// PATCH organizations/current.
#[derive(Deserialize, ToSchema)]
pub(super) struct ChangeOrganizationBody {
    /// Merged into the stored document (RFC 7396).
    #[schema(required = true, value_type = Object)]
    #[serde(default)]
    metadata: Field<Object>,
    /// Whether to delete nothing, and to add to arrays instead of replacing them.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    preserve: Field<bool>,
}

impl ChangeOrganizationBody {
    pub(super) fn read(self) -> Result<Patch, Violations> {
        let mut check = Check::new();
        let patch = match self.metadata {
            Field::Missing | Field::Null => check.violated("metadata", "is required"),
            metadata => patch(&mut check, metadata, self.preserve),
        };
        check.finish(patch)
    }
}

/// POST sessions/{session_id}/resolve.
#[derive(Deserialize, ToSchema)]
pub(super) struct ResolveSessionBody {
    /// Of the database's `user_id_type`.
    #[schema(required = true, value_type = Value)]
    #[serde(default)]
    user_id: Field<Value>,
    /// Since when, in seconds since the epoch; now unless given.
    #[schema(value_type = Option<f64>)]
    #[serde(default)]
    timestamp: Field<f64>,
}

impl ResolveSessionBody {
    pub(super) fn read(self, session: String) -> Result<ResolveSession, Violations> {
        let mut check = Check::new();
        let user = check.required("user_id", self.user_id);
        let at = match check.optional("timestamp", self.timestamp) {
            Some(seconds) if !EXPIRIES.contains(&seconds) => {
                check.violated("timestamp", "must be between -1.5e11 and 3.5e9")
            }
            seconds => seconds.and_then(Timestamp::from_fractional_seconds),
        };
        check.finish(user.map(|user| ResolveSession { session, user, at }))
    }
}

/// POST resolved-sessions.
#[derive(Deserialize, ToSchema)]
pub(super) struct ListResolvedBody {
    /// Of the database's `user_id_type`; everybody's unless given. At most 256.
    #[schema(value_type = Option<Vec<Value>>)]
    #[serde(default)]
    users_id: Field<Vec<Value>>,
    /// At most so many, 1 to 256; 64 unless given.
    #[schema(value_type = Option<i64>)]
    #[serde(default)]
    amt: Field<i64>,
    /// `next_cursor` of the page before.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    cursor: Field<String>,
}

impl ListResolvedBody {
    pub(super) fn read(self) -> Result<ListResolved, Violations> {
        let mut check = Check::new();
        let users = check.optional("users_id", self.users_id);
        if users.as_ref().is_some_and(|users| users.len() > MAX_USERS) {
            check.violated::<()>("users_id", format!("must be at most {MAX_USERS} identifiers"));
        }
        let limit = check.optional("amt", self.amt).unwrap_or(DEFAULT_PAGE);
        let limit = page_size(&mut check, limit);
        let cursor = check.optional("cursor", self.cursor).unwrap_or_default();
        let read = limit.map(|limit| ListResolved {
            users,
            limit: usize::try_from(limit).unwrap_or_default(),
            cursor,
        });
        check.finish(read)
    }
}

/// Which databases are listed: how many, and from which page on.
pub(super) fn page_of(amt: Option<String>, page: Option<String>) -> Result<(u32, u32), Violations> {
    let mut check = Check::new();
    let mut number = |name, text: Option<String>, default: i64| match text.map(|text| text.parse::<i64>()) {
        None => Some(default),
        Some(Ok(number)) => Some(number),
        Some(Err(_)) => check.violated(name, "must be an integer"),
    };
    let (amt, page) = (number("amt", amt, DEFAULT_PAGE), number("page", page, 1));
    let amt = amt.and_then(|amt| page_size(&mut check, amt));
    let page = page.and_then(|page| match u32::try_from(page) {
        Ok(page) if page >= 1 => Some(page),
        _ => check.violated("page", "must be at least 1"),
    });
    check.finish(amt.zip(page))
}

fn page_size(check: &mut Check, amt: i64) -> Option<u32> {
    match u32::try_from(amt) {
        Ok(size) if (1..=MAX_PAGE).contains(&amt) => Some(size),
        _ => check.violated("amt", format!("must be between 1 and {MAX_PAGE}")),
    }
}

fn email(check: &mut Check, field: Field<String>) -> Option<EmailAddress> {
    let text = check.required("email", field)?;
    check.parsed("email", EmailAddress::parse(&text))
}

fn service_name(check: &mut Check, field: Field<String>) -> Option<ServiceName> {
    let text = check.required("name", field)?;
    check.parsed("name", ServiceName::parse(&text))
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

/// Looked at here already, so that it is said together with whatever else is wrong.
fn new_password(
    check: &mut Check,
    name: &'static str,
    field: Field<String>,
    rule: &PasswordRule,
) -> Option<Password> {
    let new = check.optional(name, field).map(Password::new)?;
    check.parsed(name, rule.check(&new).map(|()| new))
}

fn program_rule(profile: &DialectProfile) -> &PasswordRule {
    profile.program_password.as_ref().unwrap_or(&profile.password)
}

fn personal_name(check: &mut Check, name: &'static str, field: Field<String>) -> Option<String> {
    match check.optional(name, field)? {
        text if text.trim().is_empty() => Some(String::new()),
        text => check.parsed(name, line(&text, MAX_PERSONAL_NAME)),
    }
}

fn free_text(check: &mut Check, name: &'static str, text: String) -> Option<String> {
    if text.chars().count() > MAX_DESCRIPTION {
        return check.violated(name, format!("must be at most {MAX_DESCRIPTION} characters"));
    }
    if text.contains('\0') {
        return check.violated(name, "must not contain NUL characters");
    }
    Some(text)
}

fn metadata(check: &mut Check, field: Field<Object>) -> Option<Value> {
    let metadata = Value::Object(check.optional("metadata", field)?);
    if metadata.to_string().len() > MAX_METADATA {
        return check.violated("metadata", "must be at most 64 KiB");
    }
    if has_nul(&metadata) {
        return check.violated("metadata", "must not contain NUL characters");
    }
    Some(metadata)
}

fn patch(check: &mut Check, field: Field<Object>, preserve: Field<bool>) -> Option<Patch> {
    let preserve = check.optional("preserve", preserve).unwrap_or(false);
    metadata(check, field).map(|change| Patch { change, preserve })
}

fn code(check: &mut Check, field: Field<String>) -> Option<PlainToken> {
    let text = check.required("code", field)?;
    if text.is_empty() || text.chars().count() > MAX_CODE {
        return check.violated("code", format!("must be 1 to {MAX_CODE} characters"));
    }
    Some(PlainToken::from_presented(&text))
}

fn choice(check: &mut Check, id: Field<String>, name: Field<String>) -> DatabaseChoice {
    let id = match check.optional("db_id", id) {
        Some(id) if id.chars().count() > MAX_ID => {
            check.violated("db_id", format!("must be at most {MAX_ID} characters"))
        }
        id => id,
    };
    let name = match check.optional("db_name", name) {
        Some(name) if name.chars().count() > MAX_DATABASE_NAME => {
            check.violated("db_name", format!("must be at most {MAX_DATABASE_NAME} characters"))
        }
        // PostgreSQL cannot even be asked for one.
        Some(name) if name.contains('\0') => check.violated("db_name", "must not contain NUL characters"),
        name => name,
    };
    DatabaseChoice { id, name }
}

fn binding(
    check: &mut Check,
    id: Field<String>,
    name: Field<String>,
    user: Field<Value>,
    session: Field<Value>,
) -> BindingRequest {
    BindingRequest {
        database: choice(check, id, name),
        user: check.optional("frontend_user_id", user),
        session: check.optional("frontend_session_id", session),
    }
}

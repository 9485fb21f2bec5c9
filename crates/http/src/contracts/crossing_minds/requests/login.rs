//! Bodies that sign in or continue a session.

use serde::Deserialize;
use tidegate_crypto::PlainToken;
use tidegate_domain::Password;
use tidegate_domain::flexible_id::SentId;
use tidegate_identity::sign_in::bind::{BindingRequest, DatabaseChoice};
use tidegate_identity::sign_in::login::SignIn;
use utoipa::ToSchema;

use super::{MAX_DATABASE_NAME, email, service_name};
use crate::wire::fields::{Check, Field, Violations};

/// Longest opaque id, in characters.
const MAX_ID: usize = 64;

/// POST login/individual.
#[derive(Deserialize, ToSchema)]
pub(crate) struct LoginIndividualBody {
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
    frontend_user_id: Field<SentId>,
    /// That user's anonymous session, of the database's `session_id_type`; for the frontend role.
    #[schema(value_type = Value)]
    #[serde(default)]
    frontend_session_id: Field<SentId>,
}

impl LoginIndividualBody {
    pub(crate) fn read(self) -> Result<SignIn, Violations> {
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
pub(crate) struct LoginServiceBody {
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
    frontend_user_id: Field<SentId>,
    /// That user's anonymous session, of the database's `session_id_type`; for the frontend role.
    #[schema(value_type = Value)]
    #[serde(default)]
    frontend_session_id: Field<SentId>,
}

impl LoginServiceBody {
    pub(crate) fn read(self) -> Result<SignIn, Violations> {
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
pub(crate) struct LoginRootBody {
    #[schema(required = true, value_type = String, format = "email")]
    #[serde(default)]
    email: Field<String>,
    #[schema(required = true, value_type = String, format = "password")]
    #[serde(default)]
    password: Field<String>,
}

impl LoginRootBody {
    pub(crate) fn read(self) -> Result<SignIn, Violations> {
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
pub(crate) struct RefreshTokenBody {
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
    pub(crate) fn read(self) -> Result<(PlainToken, DatabaseChoice), Violations> {
        let mut check = Check::new();
        let token = check.required("refresh_token", self.refresh_token);
        let choice = choice(&mut check, self.db_id, self.db_name);
        check.finish(token.map(|token| (PlainToken::from_presented(&token), choice)))
    }
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
    user: Field<SentId>,
    session: Field<SentId>,
) -> BindingRequest {
    BindingRequest {
        database: choice(check, id, name),
        user: check.optional("frontend_user_id", user),
        session: check.optional("frontend_session_id", session),
    }
}

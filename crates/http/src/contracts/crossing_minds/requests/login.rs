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

/// The body of a sign-in that may bind its token to a database: bodies differ in the field that names the account. Not
/// `#[serde(flatten)]`, which would make trees of values before it reads a field.
macro_rules! login_body {
    ($(#[$about:meta])* $body:ident, $(#[$kind:meta])* $login:ident read by $read:path, $(#[$which:meta])* password) => {
        $(#[$about])*
        #[derive(Deserialize, ToSchema)]
        pub(crate) struct $body {
            $(#[$kind])*
            #[serde(default)]
            $login: Field<String>,
            $(#[$which])*
            #[schema(required = true, value_type = String, format = "password")]
            #[serde(default)]
            password: Field<String>,
            /// The database to bind the token to.
            #[schema(value_type = Option<String>, max_length = 64)]
            #[serde(default)]
            db_id: Field<String>,
            /// The same, by its name.
            #[schema(value_type = Option<String>, format = "text-without-nul", max_length = 128)]
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

        impl $body {
            pub(crate) fn read(self) -> Result<SignIn, Violations> {
                let mut check = Check::new();
                let login = $read(&mut check, self.$login);
                let password = check.required("password", self.password).map(Password::new);
                let binding = BindingRequest {
                    database: choice(&mut check, self.db_id, self.db_name),
                    user: check.optional("frontend_user_id", self.frontend_user_id),
                    session: check.optional("frontend_session_id", self.frontend_session_id),
                };
                let claim = login.zip(password).map(|(login, password)| SignIn {
                    binding,
                    ..SignIn::to_home(login.into(), password)
                });
                check.finish(claim)
            }
        }
    };
}

login_body! {
    /// POST login/individual.
    LoginIndividualBody,
    #[schema(required = true, value_type = String, format = "email")]
    email read by email,
    password
}

login_body! {
    /// POST login/service.
    LoginServiceBody,
    #[schema(required = true, value_type = String, format = "service-name")]
    name read by service_name,
    /// The program's password, or one of its keys.
    password
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
    #[schema(value_type = Option<String>, format = "text-without-nul", max_length = 128)]
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

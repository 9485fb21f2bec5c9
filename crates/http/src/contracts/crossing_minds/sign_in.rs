//! Sign-in and the continuing of sessions.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use tidegate_domain::Permission;
use tidegate_identity::sign_in::login::{SignIn, SignInError, SignInOutcome};

use super::body::Fields;
use super::error::ErrorBody;
use super::requests::{LoginIndividualBody, LoginRootBody, LoginServiceBody, NoFields, RefreshTokenBody};
use super::responses::{Login, TokenInfo};
use super::{Answer, Bearer, Caller, Error};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Signs a person in, to a database if one is given.
#[utoipa::path(post, path = "/login/individual", tag = "Login", request_body = LoginIndividualBody, responses(
    (status = 200, description = "Signed in", body = Login),
    (status = 400, description = "WRONG_DATA_TYPE, QUOTA_EXCEEDED", body = ErrorBody),
    (status = 401, description = "INCORRECT_PASSWORD, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
    (status = 403, description = "INSUFFICIENT_ROLE: a member of no organization", body = ErrorBody),
    (status = 404, description = "DATABASE_NOT_FOUND", body = ErrorBody),
))]
pub(super) async fn login_individual(
    caller: Caller,
    State(app): State<App>,
    Fields(body): Fields<LoginIndividualBody>,
) -> Answer {
    Ok(Json(login(&caller, &app, body.read()?).await?).into_response())
}

/// Signs a program in with its password or a key, to a database if one is given.
#[utoipa::path(post, path = "/login/service", tag = "Login", request_body = LoginServiceBody, responses(
    (status = 200, description = "Signed in", body = Login),
    (status = 400, description = "WRONG_DATA_TYPE, QUOTA_EXCEEDED", body = ErrorBody),
    (status = 401, description = "INCORRECT_PASSWORD", body = ErrorBody),
    (status = 404, description = "DATABASE_NOT_FOUND", body = ErrorBody),
))]
pub(super) async fn login_service(
    caller: Caller,
    State(app): State<App>,
    Fields(body): Fields<LoginServiceBody>,
) -> Answer {
    Ok(Json(login(&caller, &app, body.read()?).await?).into_response())
}

/// Signs the owner of an organization in. Deprecated: `login/individual/` does.
#[utoipa::path(post, path = "/login/root", tag = "Login", request_body = LoginRootBody, responses(
    (status = 200, description = "Signed in", body = Login),
    (status = 400, description = "WRONG_DATA_TYPE", body = ErrorBody),
    (status = 401, description = "INCORRECT_PASSWORD, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
))]
pub(super) async fn login_root(
    caller: Caller,
    State(app): State<App>,
    Fields(body): Fields<LoginRootBody>,
) -> Answer {
    let login = login(&caller, &app, body.read()?).await?;
    Ok(Json(login.with_warning("login/root/ is deprecated: use login/individual/")).into_response())
}

async fn login(caller: &Caller, app: &App, claim: SignIn) -> Result<Login, Error> {
    match app.identity().sign_in(caller, claim).await? {
        SignInOutcome::SignedIn(signed_in) => Ok(Login::signed_in(*signed_in, app.kernel().now())),
        SignInOutcome::VerificationRequired { .. } => Err(SignInError::NotVerified.into()),
        // This contract's clients cannot ask for a second factor.
        _ => Err(SignInError::InvalidCredentials.into()),
    }
}

/// Answers a new token, for the database of the last one or for another.
#[utoipa::path(post, path = "/login/refresh-token", tag = "Login", request_body = RefreshTokenBody, responses(
    (status = 200, description = "Refreshed; the refresh token answered may be the one sent", body = Login),
    (status = 400, description = "WRONG_DATA_TYPE", body = ErrorBody),
    (status = 401, description = "INCORRECT_REFRESH_TOKEN, REFRESH_TOKEN_EXPIRED", body = ErrorBody),
    (status = 403, description = "INSUFFICIENT_ROLE: a token that speaks for an end user of another database",
        body = ErrorBody),
    (status = 404, description = "ACCOUNT_NOT_FOUND, DATABASE_NOT_FOUND", body = ErrorBody),
))]
pub(super) async fn refresh_token(
    caller: Caller,
    State(app): State<App>,
    Fields(body): Fields<RefreshTokenBody>,
) -> Answer {
    let (token, choice) = body.read()?;
    let continued = app.identity().continue_session(&caller, &token, &choice).await?;
    Ok(Json(Login::continued(continued, app.kernel().now())).into_response())
}

/// Says what the token says.
#[utoipa::path(post, path = "/login/jwt", tag = "Login", security(("bearer" = [])), responses(
    (status = 200, description = "The token is good", body = TokenInfo),
    (status = 400, description = "WRONG_DATA_TYPE: a body that is not JSON", body = ErrorBody),
    (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
    (status = 403, description = "INSUFFICIENT_ROLE: a token restricted to scopes", body = ErrorBody),
    (status = 404, description = "DATABASE_NOT_FOUND: deleted since", body = ErrorBody),
))]
pub(super) async fn login_jwt(bearer: Bearer, State(app): State<App>, _body: Fields<NoFields>) -> Answer {
    let actor = bearer.actor;
    let grant = actor.authorize(Permission::ReadOwnToken).map_err(Rejection::from)?;
    let database = match grant.database() {
        Some(_) => Some(app.identity().current_database(&actor).await?),
        None => None,
    };
    Ok(Json(TokenInfo::new(grant, database.as_ref())).into_response())
}

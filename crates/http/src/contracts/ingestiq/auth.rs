//! The contract's endpoints.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use tidegate_domain::Permission;
use tidegate_identity::sign_in::login::{SignInError, SignInOutcome};
use tidegate_identity::sign_in::sign_up::{SignUpError, SignedUp};

use super::error::ErrorBody;
use super::wire::{Health, LoginBody, Me, Message, RefreshBody, RegisterBody, Session, Tokens};
use super::{Answer, Bearer, Caller, LiberalBody, UnusedBody};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Makes an account with an organization of its own, and logs in.
#[utoipa::path(post, path = "/auth/register", tag = "Authentication", request_body = RegisterBody, responses(
    (status = 201, description = "Made and logged in", body = Session),
    (status = 400, description = "VALIDATION_ERROR", body = ErrorBody),
    (status = 403, description = "FORBIDDEN: the account may not log in here; nothing was made", body = ErrorBody),
    (status = 409, description = "EMAIL_EXISTS", body = ErrorBody),
))]
pub(super) async fn register(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<RegisterBody>,
) -> Answer {
    let claim = body.0.read(&caller.profile.password)?;
    match app.identity().sign_up(&caller, claim).await? {
        SignedUp::SignedIn(signed_in) => {
            Ok((StatusCode::CREATED, Json(Session::from(signed_in.as_ref()))).into_response())
        }
        // This contract's clients cannot send back a code.
        SignedUp::VerificationRequired(_) => Err(SignUpError::Refused.into()),
    }
}

/// Logs in.
#[utoipa::path(post, path = "/auth/login", tag = "Authentication", request_body = LoginBody, responses(
    (status = 200, description = "Logged in", body = Session),
    (status = 400, description = "VALIDATION_ERROR", body = ErrorBody),
    (status = 401, description = "INVALID_CREDENTIALS", body = ErrorBody),
    (status = 403, description = "FORBIDDEN: a member of no organization", body = ErrorBody),
))]
pub(super) async fn login(caller: Caller, State(app): State<App>, body: LiberalBody<LoginBody>) -> Answer {
    let claim = body.0.read()?;
    match app.identity().sign_in(&caller, claim).await? {
        SignInOutcome::SignedIn(signed_in) => Ok(Json(Session::from(signed_in.as_ref())).into_response()),
        SignInOutcome::VerificationRequired { .. } => Err(SignInError::NotVerified.into()),
        // This contract's clients cannot ask for a second factor.
        _ => Err(SignInError::InvalidCredentials.into()),
    }
}

/// Exchanges a refresh token for new tokens.
#[utoipa::path(post, path = "/auth/refresh", tag = "Authentication", request_body = RefreshBody, responses(
    (status = 200, description = "Refreshed; the token sent is superseded", body = Tokens),
    (status = 400, description = "VALIDATION_ERROR", body = ErrorBody),
    (status = 401, description = "TOKEN_EXPIRED, INVALID_TOKEN", body = ErrorBody),
))]
pub(super) async fn refresh(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<RefreshBody>,
) -> Answer {
    let token = body.0.read()?;
    Ok(Json(Tokens::from(app.identity().refresh(&caller, &token).await?)).into_response())
}

/// Ends this session: its access token and its refresh token.
#[utoipa::path(post, path = "/auth/logout", tag = "Authentication", security(("bearer" = [])), responses(
    (status = 200, description = "Logged out", body = Message),
    (status = 400, description = "VALIDATION_ERROR: a body that is not JSON", body = ErrorBody),
    (status = 401, description = "UNAUTHORIZED, TOKEN_EXPIRED, INVALID_TOKEN", body = ErrorBody),
    (status = 403, description = "FORBIDDEN", body = ErrorBody),
))]
pub(super) async fn logout(bearer: Bearer, State(app): State<App>, _body: UnusedBody) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    app.identity().sign_out(&call, &actor).await?;
    Ok(Json(Message { message: "Logged out successfully" }).into_response())
}

/// The caller.
#[utoipa::path(get, path = "/auth/me", tag = "Authentication", security(("bearer" = [])), responses(
    (status = 200, description = "The caller", body = Me),
    (status = 401, description = "UNAUTHORIZED, TOKEN_EXPIRED, INVALID_TOKEN", body = ErrorBody),
    (status = 403, description = "FORBIDDEN", body = ErrorBody),
))]
pub(super) async fn me(bearer: Bearer) -> Answer {
    let grant = bearer.actor.authorize(Permission::ReadOwnAccount).map_err(Rejection::from)?;
    Ok(Json(Me::from(grant)).into_response())
}

/// Says that the server runs. Not counted against any limit.
#[utoipa::path(get, path = "/health", tag = "Health", responses((status = 200, description = "Alive", body = Health)))]
pub(super) async fn health() -> Json<Health> {
    Json(Health { status: "ok" })
}

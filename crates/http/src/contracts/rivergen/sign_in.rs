//! Sign-in, refresh and sign-out.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use tidegate_identity::sign_in::login::{SignInError, SignInOutcome};

use super::error::ErrorBody;
use super::factors::MfaRequiredData;
use super::factors::sign_in::device_data;
use super::requests::{LoginBody, RefreshBody};
use super::responses::{Envelope, LoginData, RefreshedData, VerificationRequiredData, envelope};
use super::{Answer, Bearer, Caller, LiberalBody, UnusedBody};
use crate::wire::state::App;

/// Signs in with an e-mail address and a password.
#[utoipa::path(post, path = "/auth/login", tag = "Authentication", request_body = LoginBody,
    params(("x-device-fingerprint" = Option<String>, Header, description = "JSON text with data the client collected")),
    responses(
        (status = 200, description = "Signed in, or a code or the second factor comes first", body = Envelope<LoginData>),
        (status = 401, description = "INVALID_CREDENTIALS", body = ErrorBody),
        (status = 403, description = "PERMISSION_DENIED: the workspace is not accessible; \
            EMAIL_NOT_VERIFIED: nor can a code be mailed", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn login(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    body: LiberalBody<LoginBody>,
) -> Answer {
    let claim = body.0.read(device_data(&headers))?;
    match app.identity().sign_in(&caller, claim).await? {
        SignInOutcome::SignedIn(signed_in) => {
            let data = LoginData::Full(signed_in.as_ref().into());
            Ok(envelope(StatusCode::OK, data, "Signed in."))
        }
        SignInOutcome::VerificationRequired { temporary_token } => {
            let message = "Verify your e-mail address to go on. A code was sent.";
            let data = LoginData::VerificationRequired(VerificationRequiredData {
                temporary_token: temporary_token.expose().to_owned(),
                email_verification_required: true,
                message: message.to_owned(),
            });
            Ok(envelope(StatusCode::OK, data, message))
        }
        SignInOutcome::SecondFactorRequired(request) => {
            let message = "Show your second factor to go on.";
            let data = LoginData::MfaRequired(MfaRequiredData::new(&request, message));
            Ok(envelope(StatusCode::OK, data, message))
        }
        _ => Err(SignInError::InvalidCredentials.into()),
    }
}

/// Exchanges a refresh token for new tokens.
#[utoipa::path(post, path = "/auth/refresh", tag = "Authentication", request_body = RefreshBody, responses(
    (status = 200, description = "Refreshed; the token sent is superseded", body = Envelope<RefreshedData>),
    (status = 401, description = "INVALID_REFRESH_TOKEN, REFRESH_TOKEN_EXPIRED", body = ErrorBody),
    (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
))]
pub(super) async fn refresh(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<RefreshBody>,
) -> Answer {
    let token = body.0.read()?;
    let tokens = app.identity().refresh(&caller, &token).await?;
    Ok(envelope(StatusCode::OK, RefreshedData::from(tokens), "Tokens refreshed."))
}

/// Ends this session.
#[utoipa::path(post, path = "/auth/logout", tag = "Authentication", security(("bearer" = [])), responses(
    (status = 204, description = "Signed out"),
    (status = 400, description = "LOGOUT_FAILED: the session ended meanwhile", body = ErrorBody),
    (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
    (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
    (status = 422, description = "VALIDATION_ERROR: a body that is not JSON", body = ErrorBody),
))]
pub(super) async fn logout(bearer: Bearer, State(app): State<App>, _body: UnusedBody) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    app.identity().sign_out(&call, &actor).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Ends all of the caller's sessions, this one included.
#[utoipa::path(post, path = "/auth/logout-all", tag = "Authentication", security(("bearer" = [])), responses(
    (status = 204, description = "Signed out everywhere"),
    (status = 400, description = "LOGOUT_FAILED: all sessions ended meanwhile", body = ErrorBody),
    (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
    (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
    (status = 422, description = "VALIDATION_ERROR: a body that is not JSON", body = ErrorBody),
))]
pub(super) async fn logout_all(bearer: Bearer, State(app): State<App>, _body: UnusedBody) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    app.identity().sign_out_everywhere(&call, &actor).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

//! Signs in with a passkey.

use axum::extract::State;
use axum::http::HeaderMap;

use super::super::error::ErrorBody;
use super::super::factors::sign_in::device_data;
use super::super::responses::Envelope;
use super::super::{Answer, Caller, LiberalBody};
use super::requests::{CompleteSignInBody, StartSignInBody};
use super::responses::{PasskeyLoginData, RequestOptions};
use crate::wire::state::App;

/// Begins a sign-in with a passkey.
#[utoipa::path(post, path = "/webauthn/authenticate/start", operation_id = "start_passkey_sign_in", tag = "WebAuthn", request_body = StartSignInBody,
    params(("x-device-fingerprint" = Option<String>, Header, description = "JSON text with data the client collected")),
    responses(
        (status = 200, description = "The options for the client", body = Envelope<RequestOptions>),
        (status = 400, description = "AUTHENTICATION_START_FAILED: passkeys are not set up", body = ErrorBody),
        (status = 404, description = "USER_NOT_FOUND, NO_CREDENTIALS; neither where no e-mail address is sent", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn start(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<StartSignInBody>,
) -> Answer {
    let email = body.0.read()?;
    let request = app.identity().start_passkey_sign_in(&caller, email.as_ref()).await?;
    Ok(RequestOptions::respond(&request))
}

/// Signs in with a passkey; no second factor is asked for. The challenge is used up.
#[utoipa::path(post, path = "/webauthn/authenticate/complete", operation_id = "complete_passkey_sign_in", tag = "WebAuthn", request_body = CompleteSignInBody,
    params(("x-device-fingerprint" = Option<String>, Header, description = "JSON text with data the client collected")),
    responses(
        (status = 200, description = "Signed in", body = Envelope<PasskeyLoginData>),
        (status = 400, description = "AUTHENTICATION_COMPLETION_FAILED: the passkey is right, but the account cannot sign in", body = ErrorBody),
        (status = 401, description = "INVALID_ASSERTION, INVALID_CREDENTIAL", body = ErrorBody),
        (status = 404, description = "CHALLENGE_NOT_FOUND: unknown, used, expired, or another account's; USER_NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn complete(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    body: LiberalBody<CompleteSignInBody>,
) -> Answer {
    let claim = body.0.read(device_data(&headers))?;
    let signed_in = app.identity().complete_passkey_sign_in(&caller, claim).await?;
    Ok(PasskeyLoginData::respond(&signed_in))
}

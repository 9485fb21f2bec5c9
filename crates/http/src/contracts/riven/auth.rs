//! Phones and codes.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use tidegate_identity::credentials::phone_code::PhonePurpose;

use super::error::ErrorBody;
use super::requests::phone::{CodeBody, PhoneBody};
use super::responses::{Auth, Confirmed, Done, SignedIn, SignedOut};
use super::{Answer, Bearer, Caller, Error, LiberalBody};
use crate::wire::state::App;

/// Sends a code to a phone.
///
/// Messages reach Airtel and Telkom numbers; those of other operators may not get them.
#[utoipa::path(post, path = "/auth/enter-phone", tag = "Registration", request_body = PhoneBody, responses(
    (status = 200, description = "Sent", body = Done),
    (status = 422, description = "No mobile number of a country that is served", body = ErrorBody),
    (status = 503, description = "No text messages can be sent", body = ErrorBody),
))]
pub(super) async fn enter_phone(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<PhoneBody>,
) -> Answer {
    let phone = body.0.read(&app.kernel().settings().phones)?;
    app.identity().text_code(&caller, &phone, PhonePurpose::Register).await.map_err(Error::fault)?;
    Ok(Json(Done::new("Confirmation code sent")).into_response())
}

/// Confirms a code that was texted to register a phone, and signs in. The first time, makes the account.
#[utoipa::path(post, path = "/auth/confirm-code", tag = "Registration", request_body = CodeBody, responses(
    (status = 200, description = "Signed in", body = Confirmed),
    (status = 422, description = "The code is wrong, used, superseded or expired; or a field is invalid", body = ErrorBody),
))]
pub(super) async fn confirm_code(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<CodeBody>,
) -> Answer {
    let claim = body.0.read(&app.kernel().settings().phones, PhonePurpose::Register)?;
    let signed_in = app.identity().sign_in_by_phone(&caller, claim).await;
    let signed_in = signed_in.map_err(|refused| Error::or(refused, Error::invalid_code))?;
    Ok(Json(Confirmed { message: "Code verified", auth: Auth::from(&signed_in.token), status: true })
        .into_response())
}

/// Sends a code to the phone of an account. The answer is the same for an unknown phone.
#[utoipa::path(post, path = "/login/send-code", tag = "Login", request_body = PhoneBody, responses(
    (status = 200, description = "Sent, if there is such an account", body = Done),
    (status = 422, description = "No mobile number of a country that is served", body = ErrorBody),
    (status = 503, description = "No text messages can be sent", body = ErrorBody),
))]
pub(super) async fn send_code(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<PhoneBody>,
) -> Answer {
    let phone = body.0.read(&app.kernel().settings().phones)?;
    app.identity().text_code(&caller, &phone, PhonePurpose::SignIn).await.map_err(Error::fault)?;
    Ok(Json(Done::new("Login code sent")).into_response())
}

/// Confirms a code that was texted to log in. Tokens of earlier logins stay good.
#[utoipa::path(post, path = "/login/verify-code", tag = "Login", request_body = CodeBody, responses(
    (status = 200, description = "Logged in", body = SignedIn),
    (status = 401, description = "The code is wrong, used, superseded or expired", body = ErrorBody),
    (status = 422, description = "A field is invalid", body = ErrorBody),
))]
pub(super) async fn verify_code(
    caller: Caller,
    State(app): State<App>,
    body: LiberalBody<CodeBody>,
) -> Answer {
    let claim = body.0.read(&app.kernel().settings().phones, PhonePurpose::SignIn)?;
    let signed_in = app.identity().sign_in_by_phone(&caller, claim).await;
    let signed_in = signed_in.map_err(|refused| Error::or(refused, Error::invalid_credentials))?;
    let customer = app.brokerage().brokerage_customer_of(signed_in.account).await.map_err(Error::fault)?;
    Ok(Json(SignedIn { user: customer.into(), auth: Auth::from(&signed_in.token), status: true })
        .into_response())
}

/// Revokes the token it is called with, and no other.
#[utoipa::path(post, path = "/logout", tag = "Login", security(("bearer" = [])), responses(
    (status = 200, description = "Logged out", body = SignedOut),
    (status = 401, description = "No, an unknown or a revoked token", body = ErrorBody),
    (status = 403, description = "A restricted token", body = ErrorBody),
))]
pub(super) async fn logout(bearer: Bearer, State(app): State<App>) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    app.identity().sign_out(&call, &actor).await?;
    Ok(Json(SignedOut { message: "Successfully logged out" }).into_response())
}

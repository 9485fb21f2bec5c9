//! Signs in or up with a code that an application has, and lists what is connected.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};

use super::super::error::{Error, ErrorBody};
use super::super::factors::sign_in::device_data;
use super::super::responses::{Envelope, envelope};
use super::super::{Answer, Bearer, Caller, LiberalBody};
use super::error::failed;
use super::requests::{SocialLoginBody, SocialSignupBody};
use super::responses::{SocialAccountsData, SocialLoginData};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Signs in with a provider's code, or up where there is no account yet.
#[utoipa::path(post, path = "/auth/oauth/login", operation_id = "oauth_login", tag = "Social sign-in", request_body = SocialLoginBody,
    params(("x-device-fingerprint" = Option<String>, Header, description = "JSON text with data the client collected")),
    responses(
        (status = 200, description = "Signed in, or the second factor comes first", body = Envelope<SocialLoginData>),
        (status = 400, description = "SOCIAL_LOGIN_FAILED, INVALID_PROVIDER", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn login(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    body: LiberalBody<SocialLoginBody>,
) -> Answer {
    let claim = body.0.read(&app, &headers, device_data(&headers))?;
    let signed_in = app.identity().social_sign_in(&caller, claim).await;
    let outcome = signed_in.map_err(|refused| failed("SOCIAL_LOGIN_FAILED", refused))?;
    Ok(SocialLoginData::respond(&outcome, StatusCode::OK))
}

/// Makes an account with a provider's code.
#[utoipa::path(post, path = "/auth/oauth/signup", operation_id = "oauth_signup", tag = "Social sign-in", request_body = SocialSignupBody,
    responses(
        (status = 201, description = "Signed up", body = Envelope<SocialLoginData>),
        (status = 400, description = "SOCIAL_SIGNUP_FAILED, INVALID_PROVIDER", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn signup(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    body: LiberalBody<SocialSignupBody>,
) -> Answer {
    let (claim, terms) = body.0.read(&app, &headers, device_data(&headers))?;
    let signed_up = app.identity().social_sign_up(&caller, claim, terms).await;
    let outcome = signed_up.map_err(|refused| failed("SOCIAL_SIGNUP_FAILED", refused))?;
    Ok(SocialLoginData::respond(&outcome, StatusCode::CREATED))
}

/// The caller's accounts at other identity providers.
#[utoipa::path(get, path = "/auth/social-accounts", operation_id = "social_accounts", tag = "Social sign-in", security(("bearer" = [])),
    responses(
        (status = 200, description = "By provider", body = Envelope<SocialAccountsData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED", body = ErrorBody),
        (status = 500, description = "ACCOUNTS_FETCH_FAILED", body = ErrorBody),
    ))]
pub(in super::super) async fn accounts(bearer: Bearer, State(app): State<App>) -> Answer {
    let accounts = app
        .identity()
        .list_social_accounts(&bearer.actor)
        .await
        .map_err(|fault| Error::from(Rejection::from(fault)).internal_as("ACCOUNTS_FETCH_FAILED"))?;
    Ok(envelope(StatusCode::OK, SocialAccountsData::from(accounts.as_slice()), "Social accounts retrieved."))
}

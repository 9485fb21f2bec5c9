//! To the provider and back.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use tidegate_domain::factor::DeviceData;
use tidegate_identity::social::begin::{BeginSocial, ReturnTo};
use tidegate_identity::social::finish::ProviderAnswer;

use super::super::error::ErrorBody;
use super::super::factors::sign_in::device_data;
use super::super::responses::Envelope;
use super::super::{Answer, Caller};
use super::answer::{PostedAnswer, of_form, of_query};
use super::callback as own_callback;
use super::error::{failed, not_begun};
use super::requests::{Begin, BeginQuery, ProviderForm};
use super::responses::{OauthUrlData, SocialLoginData};
use crate::wire::fields::Violations;
use crate::wire::social_cookie;
use crate::wire::state::App;

/// The provider in a path.
type ProviderPath = Result<Path<String>, PathRejection>;

/// What is no text names no provider.
fn named(provider: ProviderPath) -> String {
    provider.map(|Path(name)| name).unwrap_or_default()
}

/// Begins a sign-in by another identity provider. The address lives 10 minutes and is for one sign-in. The browser gets a cookie; where
/// it brings the cookie back, it must be the browser that began.
#[utoipa::path(get, path = "/auth/oauth/{provider}/url", operation_id = "oauth_url", tag = "Social sign-in",
    params(("provider" = String, Path, description = "github, google, apple, microsoft, or another one that is set up"), BeginQuery),
    responses(
        (status = 200, description = "The address at the provider", body = Envelope<OauthUrlData>,
            headers(("set-cookie" = String, description = "Comes back with the provider's answer"))),
        (status = 400, description = "INVALID_PROVIDER: unknown, or not set up", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 503, description = "SERVICE_UNAVAILABLE: the provider does not answer", body = ErrorBody),
    ))]
pub(in super::super) async fn url(
    caller: Caller,
    State(app): State<App>,
    provider: ProviderPath,
    headers: HeaderMap,
    query: Result<Query<BeginQuery>, QueryRejection>,
) -> Answer {
    let provider = named(provider);
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let Begin { state, page, challenge } = query.read()?;
    let callback = own_callback(&app, &provider);
    let browser = app
        .identity()
        .social_posts_answer(&provider)
        .and_then(|by_form| social_cookie::read(&app, &headers, by_form));
    let claim = BeginSocial {
        provider,
        state,
        return_to: ReturnTo::Application { page, callback },
        page_challenge: challenge,
        browser,
        max_age: None,
        carried: None,
    };
    let begun = app.identity().begin_social_sign_in(&caller, claim).await.map_err(not_begun)?;
    let mut response = OauthUrlData::respond(&begun);
    if let Some(cookie) = social_cookie::set(&app, &begun) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Where a provider sends the person back: signs in, or up. `HEAD`, which programs send that look at links, does not.
#[utoipa::path(get, path = "/auth/oauth/{provider}/callback", operation_id = "oauth_callback", tag = "Social sign-in",
    params(
        ("provider" = String, Path, description = "The provider that was asked"),
        ("code" = Option<String>, Query, description = "The authorization code"),
        ("state" = Option<String>, Query, description = "From the address"),
        ("error" = Option<String>, Query, description = "What is wrong, in the provider's word"),
        ("error_description" = Option<String>, Query, description = "Not looked at"),
        ("iss" = Option<String>, Query, description = "Who answers (RFC 9207)"),
    ),
    responses(
        (status = 200, description = "Signed in, or the second factor comes first", body = Envelope<SocialLoginData>),
        (status = 400, description = "OAUTH_AUTHORIZATION_FAILED, MISSING_AUTHORIZATION_CODE, INVALID_PROVIDER", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn callback(
    caller: Caller,
    State(app): State<App>,
    provider: ProviderPath,
    headers: HeaderMap,
    uri: Uri,
) -> Answer {
    let answer = of_query(&app, named(provider), &uri, &headers)?;
    finish(caller, &app, answer, &device_data(&headers)).await
}

/// The same for a provider that has the browser post its answer: Apple. Extension of the contract.
#[utoipa::path(post, path = "/auth/oauth/{provider}/callback", operation_id = "oauth_callback_by_form", tag = "Social sign-in",
    params(("provider" = String, Path, description = "The provider that was asked")),
    request_body(content = ProviderForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Signed in, or the second factor comes first", body = Envelope<SocialLoginData>),
        (status = 400, description = "OAUTH_AUTHORIZATION_FAILED, MISSING_AUTHORIZATION_CODE, INVALID_PROVIDER", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(in super::super) async fn posted_callback(
    caller: Caller,
    State(app): State<App>,
    provider: ProviderPath,
    headers: HeaderMap,
    posted: PostedAnswer,
) -> Answer {
    let answer = of_form(&app, named(provider), posted, &headers)?;
    finish(caller, &app, answer, &device_data(&headers)).await
}

async fn finish(caller: Caller, app: &App, answer: ProviderAnswer, device: &DeviceData) -> Answer {
    let finished = app.identity().finish_social_sign_in(&caller, answer, device).await;
    let outcome = finished.map_err(|refused| failed("OAUTH_AUTHORIZATION_FAILED", refused))?;
    Ok(SocialLoginData::respond(&outcome, StatusCode::OK))
}

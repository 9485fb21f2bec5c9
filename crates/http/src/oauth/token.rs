//! `/oauth/token`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use tidegate_crypto::PlainToken;
use tidegate_domain::Secret;
use tidegate_domain::oauth::GrantType;
use tidegate_oauth::applications::Application;
use tidegate_oauth::device::exchange::DeviceAsked;
use tidegate_oauth::token::exchange::PresentedCode;
use tidegate_oauth::token::refresh::RefreshAsked;
use tidegate_oauth::token::trade::{ACCESS_TOKEN_TYPE, PresentedTokens};
use tidegate_oauth::token::{Issued, TokenError};

use super::client::required;
use super::dpop::{hand_out_nonce, shown_key};
use super::error::Error;
use super::foreign::{AT_TOKEN, note};
use super::form::Form;
use super::path::TOKEN;
use super::{Answer, Caller};
use crate::wire::state::App;

/// The grant type of devices (RFC 8628 section 3.4).
const DEVICE_CODE: &str = GrantType::DeviceCode.as_str();

/// The grant type of exchanged tokens (RFC 8693 section 2.1): an operator allows it, so that applications do not register for it.
pub(super) const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// A grant type of OAuth 2.0 that there is not (RFC 9700 section 2.4): the application would learn the person's password.
const PASSWORD: &str = "password";

/// RFC 6749 section 5.1.
#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
    /// RFC 8693 section 2.2.1.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_token_type: Option<&'static str>,
    token_type: &'static str,
    expires_in: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'a str>,
    scope: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<&'a str>,
}

/// Issues tokens.
pub(super) async fn token(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    mut form: Form,
) -> Answer {
    let presented = required(&headers, &mut form)?;
    let application = app.oauth().authenticate_client(&caller, &presented).await?;
    let key = shown_key(&app, &headers, TOKEN).await?;
    let mut issued_type = None;
    let grant = form.required("grant_type")?;
    if grant != TOKEN_EXCHANGE {
        note(AT_TOKEN, |name| form.has(name));
    }
    let issued = match grant.as_str() {
        "authorization_code" => exchange(&app, &caller, &application, form, key).await?,
        "refresh_token" => refresh(&app, &caller, &application, form, key).await?,
        "client_credentials" => {
            let (scope, resource) = (form.take("scope"), form.resources()?);
            app.oauth().own_token(&application, scope.as_deref(), resource, key)?
        }
        DEVICE_CODE => {
            let code = PlainToken::from_presented(&form.required("device_code")?);
            let asked = DeviceAsked { resource: form.resources()?, key: key.as_deref() };
            app.oauth().exchange_device_code(&caller, &application, &code, asked).await?
        }
        TOKEN_EXCHANGE => {
            let presented = tokens(form, key)?;
            issued_type = Some(ACCESS_TOKEN_TYPE);
            app.oauth().exchange_token(&caller, &application, presented).await?
        }
        PASSWORD => return Err(TokenError::NoPasswordGrant.into()),
        _ => return Err(TokenError::UnsupportedGrantType.into()),
    };
    let body = TokenResponse {
        access_token: issued.access_token.expose(),
        issued_token_type: issued_type,
        token_type: if issued.is_key_bound { "DPoP" } else { "Bearer" },
        expires_in: issued.expires_in,
        refresh_token: issued.refresh_token.as_ref().map(|token| token.expose()),
        scope: issued.scopes.to_string(),
        id_token: issued.id_token.as_ref().map(|token| token.expose()),
    };
    let pragma = [(header::PRAGMA, HeaderValue::from_static("no-cache"))];
    let mut response = (StatusCode::OK, pragma, Json(body)).into_response();
    if issued.is_key_bound {
        hand_out_nonce(&app, &mut response);
    }
    Ok(response)
}

/// What is presented to be exchanged.
fn tokens(mut form: Form, key: Option<String>) -> Result<PresentedTokens, Error> {
    let subject_token = Secret::new(form.required("subject_token")?);
    let subject_type = form.required("subject_token_type")?;
    let actor_type = form.take("actor_token_type");
    let actor = form.secret("actor_token").map(|token| (token, actor_type.clone()));
    if actor.is_none() && actor_type.is_some() {
        return Err(Error::invalid_request("actor_token_type is sent without actor_token"));
    }
    Ok(PresentedTokens {
        subject_token,
        subject_type,
        actor,
        requested_type: form.take("requested_token_type"),
        audience: form.take("audience"),
        resource: form.resources()?,
        scope: form.take("scope"),
        key,
    })
}

async fn exchange(
    app: &App,
    caller: &Caller,
    application: &Application,
    mut form: Form,
    key: Option<String>,
) -> Result<Issued, Error> {
    let presented = PresentedCode {
        code: PlainToken::from_presented(&form.required("code")?),
        redirect_uri: form.required("redirect_uri")?,
        verifier: form.take("code_verifier"),
        resource: form.resources()?,
        key,
    };
    Ok(app.oauth().exchange_code(caller, application, presented).await?)
}

async fn refresh(
    app: &App,
    caller: &Caller,
    application: &Application,
    mut form: Form,
    key: Option<String>,
) -> Result<Issued, Error> {
    let token = PlainToken::from_presented(&form.required("refresh_token")?);
    let (scope, resource) = (form.take("scope"), form.resources()?);
    let asked = RefreshAsked { scope: scope.as_deref(), resource, key: key.as_deref() };
    Ok(app.oauth().refresh_for_client(caller, application, &token, asked).await?)
}

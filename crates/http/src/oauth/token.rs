//! `/oauth/token`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use serde::Serialize;
use tidegate_crypto::PlainToken;
use tidegate_oauth::applications::Application;
use tidegate_oauth::token::exchange::PresentedCode;
use tidegate_oauth::token::{Issued, TokenError};

use super::client::required;
use super::error::Error;
use super::form::Form;
use super::{Answer, Caller};
use crate::wire::state::App;

/// RFC 6749 section 5.1.
#[derive(Serialize)]
struct TokenResponse<'a> {
    access_token: &'a str,
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
    let issued = match form.required("grant_type")?.as_str() {
        "authorization_code" => exchange(&app, &caller, &application, form).await?,
        "refresh_token" => refresh(&app, &caller, &application, form).await?,
        "client_credentials" => {
            let (scope, resource) = (form.take("scope"), form.take("resource"));
            app.oauth().own_token(&application, scope.as_deref(), resource)?
        }
        _ => return Err(TokenError::UnsupportedGrantType.into()),
    };
    let body = TokenResponse {
        access_token: issued.access_token.expose(),
        token_type: "Bearer",
        expires_in: issued.expires_in,
        refresh_token: issued.refresh_token.as_ref().map(|token| token.expose()),
        scope: issued.scopes.to_string(),
        id_token: issued.id_token.as_ref().map(|token| token.expose()),
    };
    let pragma = [(header::PRAGMA, HeaderValue::from_static("no-cache"))];
    Ok((StatusCode::OK, pragma, Json(body)).into_response())
}

async fn exchange(
    app: &App,
    caller: &Caller,
    application: &Application,
    mut form: Form,
) -> Result<Issued, Error> {
    let presented = PresentedCode {
        code: PlainToken::from_presented(&form.required("code")?),
        redirect_uri: form.required("redirect_uri")?,
        verifier: form.take("code_verifier"),
        resource: form.take("resource"),
    };
    Ok(app.oauth().exchange_code(caller, application, presented).await?)
}

async fn refresh(
    app: &App,
    caller: &Caller,
    application: &Application,
    mut form: Form,
) -> Result<Issued, Error> {
    let token = PlainToken::from_presented(&form.required("refresh_token")?);
    let (scope, resource) = (form.take("scope"), form.take("resource"));
    let refreshed =
        app.oauth().refresh_for_client(caller, application, &token, scope.as_deref(), resource).await?;
    Ok(refreshed)
}

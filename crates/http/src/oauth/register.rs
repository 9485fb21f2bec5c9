//! `/oauth/register` (RFC 7591, RFC 7592).

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use tidegate_crypto::PlainToken;
use tidegate_domain::RedirectUri;
use tidegate_oauth::applications::Application;
use tidegate_oauth::registration::{Registration, RegistrationError, SelfDescription};

use super::error::Error;
use super::{Answer, Caller, OAuth, path};
use crate::wire::possession::{self, Scheme};
use crate::wire::state::App;

type Body = crate::wire::body::LiberalBody<OAuth, Map<String, Value>>;

type ClientPath = Result<Path<String>, PathRejection>;

/// What is no text is no application of anybody.
fn named(path: ClientPath) -> Result<String, Error> {
    path.map(|Path(client_id)| client_id).map_err(|_| RegistrationError::Token.into())
}

fn presented(headers: &HeaderMap) -> Option<PlainToken> {
    let bearer = possession::presented(headers).ok().filter(|(scheme, _)| matches!(scheme, Scheme::Bearer));
    bearer.map(|(_, token)| PlainToken::from_presented(token))
}

/// Registers an application that describes itself.
pub(super) async fn register(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let initial = presented(&headers);
    let description = SelfDescription(body.0);
    let registered = app.oauth().register_itself(&caller, initial.as_ref(), &description).await?;
    Ok((StatusCode::CREATED, Json(described(&app, &registered))).into_response())
}

/// What it is registered with.
pub(super) async fn read(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    client_id: ClientPath,
) -> Answer {
    let (client_id, token) = (named(client_id)?, presented(&headers));
    let application = app.oauth().read_registration(&caller, &client_id, token.as_ref()).await?;
    let found = Registration { application, secret: None, token: None };
    Ok(Json(described(&app, &found)).into_response())
}

/// Replaces what it is registered with.
pub(super) async fn change(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    client_id: ClientPath,
    body: Body,
) -> Answer {
    let (client_id, token) = (named(client_id)?, presented(&headers));
    let description = SelfDescription(body.0);
    let changed = app.oauth().change_registration(&caller, &client_id, token.as_ref(), &description).await?;
    Ok(Json(described(&app, &changed)).into_response())
}

/// Removes it.
pub(super) async fn remove(
    caller: Caller,
    State(app): State<App>,
    headers: HeaderMap,
    client_id: ClientPath,
) -> Answer {
    let (client_id, token) = (named(client_id)?, presented(&headers));
    app.oauth().remove_registration(&caller, &client_id, token.as_ref()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// RFC 7591 section 3.2.1: all that is registered, also what was not asked for. A secret and a token are shown when they are new.
fn described(app: &App, registered: &Registration) -> Value {
    let Registration { application, secret, token } = registered;
    let mut body = metadata(app, application);
    let client_id = application.client_id();
    let issuer = app.oauth().issuer();
    body.insert(
        "registration_client_uri".to_owned(),
        json!(format!("{issuer}{}/{client_id}", path::REGISTER)),
    );
    body.insert("client_id".to_owned(), json!(client_id));
    body.insert("client_id_issued_at".to_owned(), json!(application.created_at.seconds()));
    if let Some(secret) = secret {
        body.insert("client_secret".to_owned(), json!(secret.expose()));
        // It does not expire.
        body.insert("client_secret_expires_at".to_owned(), json!(0));
    }
    if let Some(token) = token {
        body.insert("registration_access_token".to_owned(), json!(token.expose()));
    }
    Value::Object(body)
}

fn metadata(app: &App, application: &Application) -> Map<String, Value> {
    let kept = serde_json::to_value(application.metadata.as_ref());
    let mut body = match kept {
        Ok(Value::Object(kept)) => kept,
        Ok(_) | Err(_) => Map::new(),
    };
    // Its sector is no member of a registration.
    body.remove("pairwise_sector");
    let algorithm = application.id_token_algorithm().unwrap_or(app.kernel().signing_algorithm());
    let uris: Vec<&str> = application.redirect_uris.iter().map(RedirectUri::as_str).collect();
    let fields = [
        ("client_name", json!(application.name)),
        ("redirect_uris", json!(uris)),
        ("grant_types", json!(["authorization_code", "refresh_token"])),
        ("response_types", json!(["code"])),
        ("token_endpoint_auth_method", json!(application.authentication.as_str())),
        ("scope", json!(application.scopes.to_string())),
        ("subject_type", json!(if application.pairwise_sector().is_some() { "pairwise" } else { "public" })),
        ("id_token_signed_response_alg", json!(algorithm.as_str())),
    ];
    body.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    let logout = &application.logout;
    if !logout.post_logout_redirect_uris.is_empty() {
        let after: Vec<&str> = logout.post_logout_redirect_uris.iter().map(RedirectUri::as_str).collect();
        body.insert("post_logout_redirect_uris".to_owned(), json!(after));
    }
    if let Some(told) = &logout.backchannel_uri {
        body.insert("backchannel_logout_uri".to_owned(), json!(told.as_str()));
        body.insert("backchannel_logout_session_required".to_owned(), json!(logout.session_required));
    }
    body
}

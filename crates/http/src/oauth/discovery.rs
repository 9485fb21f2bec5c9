//! What the installation offers (OpenID Connect Discovery 1.0, RFC 8414, RFC 9728).

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tidegate_domain::oauth::ClientAuthentication;
use tidegate_domain::{AccessClaims, Scope};
use tidegate_oauth::authorize::ResponseMode;
use tidegate_oauth::claims::userinfo::claims_supported;

use super::path;
use crate::wire::state::App;

/// Of the provider. Nothing is in it that there is not.
pub(super) async fn provider(State(app): State<App>) -> Response {
    let issuer = &app.kernel().settings().public_url;
    let at = |path: &str| format!("{issuer}{path}");
    let with_secret = [ClientAuthentication::SecretBasic, ClientAuthentication::SecretPost];
    let with_secret: Vec<&str> = with_secret.iter().map(|one| one.as_str()).collect();
    let all: Vec<&str> = ClientAuthentication::ALL.iter().map(|one| one.as_str()).collect();
    let is_plain_allowed = app.kernel().settings().oauth.rules.allow_plain_pkce;
    let challenges: &[&str] = if is_plain_allowed { &["S256", "plain"] } else { &["S256"] };
    // Of access tokens, too: who verifies them looks here.
    let claims: BTreeSet<&str> =
        claims_supported().into_iter().chain(AccessClaims::names().iter().copied()).collect();
    published(json!({
        "issuer": issuer,
        "authorization_endpoint": at(path::AUTHORIZE),
        "token_endpoint": at(path::TOKEN),
        "userinfo_endpoint": at(path::USERINFO),
        "revocation_endpoint": at(path::REVOKE),
        "introspection_endpoint": at(path::INTROSPECT),
        "jwks_uri": at(path::JWKS),
        "service_documentation": at("/docs"),
        "scopes_supported": Scope::known().collect::<Vec<_>>(),
        "response_types_supported": ["code"],
        "response_modes_supported": ResponseMode::NAMES,
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [app.kernel().signing_algorithm().as_str()],
        "token_endpoint_auth_methods_supported": all,
        "revocation_endpoint_auth_methods_supported": all,
        "introspection_endpoint_auth_methods_supported": with_secret,
        "code_challenge_methods_supported": challenges,
        "claims_supported": claims,
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": false,
        "request_parameter_supported": false,
        "request_uri_parameter_supported": false,
        "authorization_response_iss_parameter_supported": true,
    }))
}

/// Of this installation's own APIs, as what access tokens are for.
pub(super) async fn resource(State(app): State<App>) -> Response {
    let issuer = &app.kernel().settings().public_url;
    published(json!({
        "resource": issuer,
        "authorization_servers": [issuer],
        "jwks_uri": format!("{issuer}{}", path::JWKS),
        "scopes_supported": Scope::known().collect::<Vec<_>>(),
        "bearer_methods_supported": ["header"],
        "resource_documentation": format!("{issuer}/docs"),
    }))
}

fn published(document: Value) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(document)).into_response()
}

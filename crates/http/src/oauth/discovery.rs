//! What the installation offers (OpenID Connect Discovery 1.0, RFC 8414, RFC 9728).

use std::collections::BTreeSet;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tidegate_crypto::dpop::ALGORITHMS;
use tidegate_crypto::{JwtAlgorithm, SigningAlgorithm};
use tidegate_domain::oauth::{ClientAuthentication, GrantType};
use tidegate_domain::{AccessClaims, Scope};
use tidegate_oauth::authorize::{Prompt, ResponseMode};
use tidegate_oauth::claims::id_token::CONTEXTS;
use tidegate_oauth::claims::userinfo::claims_supported;

use super::path;
use super::token::TOKEN_EXCHANGE;
use crate::wire::state::App;

/// Of the provider.
pub(super) async fn provider(State(app): State<App>) -> Response {
    published(app.discovery(|algorithm| provider_document(&app, algorithm).to_string().into()))
}

/// Nothing is in it that there is not.
fn provider_document(app: &App, algorithm: SigningAlgorithm) -> Value {
    let issuer = &app.kernel().settings().public_url;
    let at = |path: &str| format!("{issuer}{path}");
    let rules = &app.kernel().settings().oauth.rules;
    let all: Vec<&str> = ClientAuthentication::ALL.iter().map(|one| one.as_str()).collect();
    let confidential = ClientAuthentication::ALL.iter().filter(|one| !one.is_public());
    let confidential: Vec<&str> = confidential.map(|one| one.as_str()).collect();
    let of_assertions = JwtAlgorithm::ALL.map(JwtAlgorithm::as_str);
    let of_requests = JwtAlgorithm::ASYMMETRIC.map(JwtAlgorithm::as_str);
    let of_tokens = token_algorithms(algorithm);
    let challenges: &[&str] = if rules.allow_plain_pkce { &["S256", "plain"] } else { &["S256"] };
    let grants: Vec<&str> =
        GrantType::ALL.iter().map(|grant| grant.as_str()).chain(["refresh_token", TOKEN_EXCHANGE]).collect();
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": at(path::AUTHORIZE),
        "token_endpoint": at(path::TOKEN),
        "userinfo_endpoint": at(path::USERINFO),
        "revocation_endpoint": at(path::REVOKE),
        "introspection_endpoint": at(path::INTROSPECT),
        "end_session_endpoint": at(path::LOGOUT),
        "backchannel_logout_supported": true,
        "backchannel_logout_session_supported": true,
        "device_authorization_endpoint": at(path::DEVICE_AUTHORIZATION),
        "jwks_uri": at(path::JWKS),
        "service_documentation": at("/docs"),
        "scopes_supported": Scope::known().collect::<Vec<_>>(),
        "response_types_supported": ["code"],
        "response_modes_supported": ResponseMode::NAMES,
        "grant_types_supported": grants,
        "acr_values_supported": CONTEXTS,
        "subject_types_supported": ["public", "pairwise"],
        "userinfo_signing_alg_values_supported": of_tokens,
        "id_token_signing_alg_values_supported": of_tokens,
        "token_endpoint_auth_methods_supported": all,
        "token_endpoint_auth_signing_alg_values_supported": of_assertions,
        "revocation_endpoint_auth_methods_supported": all,
        "revocation_endpoint_auth_signing_alg_values_supported": of_assertions,
        "introspection_endpoint_auth_methods_supported": confidential,
        "introspection_endpoint_auth_signing_alg_values_supported": of_assertions,
        "pushed_authorization_request_endpoint": at(path::PAR),
        "require_pushed_authorization_requests": rules.require_pushed_authorization_requests,
        "code_challenge_methods_supported": challenges,
        "dpop_signing_alg_values_supported": ALGORITHMS,
        "claims_supported": claims(),
        "claim_types_supported": ["normal"],
        "claims_parameter_supported": true,
        "request_parameter_supported": true,
        "request_object_signing_alg_values_supported": of_requests,
        "request_uri_parameter_supported": false,
        "authorization_response_iss_parameter_supported": true,
        "client_id_metadata_document_supported": rules.registration.client_id_documents,
    });
    if let Value::Object(fields) = &mut document {
        fields.extend(asked_of_people(app));
        let registration = || ("registration_endpoint".to_owned(), json!(at(path::REGISTER)));
        fields.extend(rules.registration.is_on().then(registration));
    }
    document
}

/// What an application may have its people asked, and in which languages (Initiating User Registration 1.0 section 4, RFC 8414 section 2).
fn asked_of_people(app: &App) -> [(String, Value); 2] {
    let languages = &app.kernel().settings().languages;
    let languages: Vec<&str> = languages.all().map(|language| language.lang()).collect();
    let create = app.kernel().settings().sign_up_page.then_some(Prompt::CREATE);
    let prompts: Vec<&str> = Prompt::NAMES.into_iter().chain(create).collect();
    [
        ("prompt_values_supported".to_owned(), json!(prompts)),
        ("ui_locales_supported".to_owned(), json!(languages)),
    ]
}

/// With what ID tokens and userinfo are signed: as access tokens are where an application says nothing, or as it wants.
fn token_algorithms(own: SigningAlgorithm) -> Vec<&'static str> {
    let others = SigningAlgorithm::ALL.into_iter().filter(|algorithm| *algorithm != own);
    std::iter::once(own).chain(others).map(SigningAlgorithm::as_str).collect()
}

/// Of access tokens, too: who verifies them looks here.
fn claims() -> BTreeSet<&'static str> {
    claims_supported().into_iter().chain(AccessClaims::names().iter().copied()).collect()
}

/// Of this installation's own APIs, as what access tokens are for.
pub(super) async fn resource(State(app): State<App>) -> Response {
    let issuer = &app.kernel().settings().public_url;
    let document = json!({
        "resource": issuer,
        "authorization_servers": [issuer],
        "jwks_uri": format!("{issuer}{}", path::JWKS),
        "scopes_supported": Scope::known().collect::<Vec<_>>(),
        "bearer_methods_supported": ["header"],
        "dpop_signing_alg_values_supported": ALGORITHMS,
        "resource_documentation": format!("{issuer}/docs"),
    });
    published(document.to_string().into())
}

fn published(document: Bytes) -> Response {
    let headers =
        [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    (headers, document).into_response()
}

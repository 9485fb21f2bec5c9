//! The endpoints.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Form, Json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tidegate_crypto::{IssuerKeys, pkce_challenge};
use tidegate_domain::Secret;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{CLIENT_ID, CLIENT_SECRET, Grant, Health, Shared, StubKind, escaped, signing};

/// Ends with the test.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(super) async fn start(shared: Arc<Shared>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(move |request: Request| {
            let shared = Arc::clone(&shared);
            async move { shared.answer(request).await }
        });
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { address, task }
    }
}

/// Where a path leads.
enum Endpoint {
    Discovery,
    Keys,
    Token,
    Userinfo,
    User,
    Emails,
}

impl Shared {
    async fn answer(&self, request: Request) -> Response {
        let path = request.uri().path().to_owned();
        self.asked.lock().expect("asked").push(format!("{} {path}", request.method()));
        let behaviour = self.behaviour();
        let Some(endpoint) = self.endpoint(&path) else {
            // A text, so that a browser that is sent here says where it is, and shows no page of its own.
            return (StatusCode::NOT_FOUND, "a person would sign in here").into_response();
        };
        let health = match endpoint {
            Endpoint::Discovery => behaviour.discovery,
            Endpoint::Keys => behaviour.keys,
            Endpoint::Token => behaviour.token,
            Endpoint::Userinfo | Endpoint::User | Endpoint::Emails => behaviour.profile,
        };
        if let Some(sick) = sick(health).await {
            return sick;
        }
        match endpoint {
            Endpoint::Discovery => Json(self.document()).into_response(),
            Endpoint::Keys => Json(signing::published(self.behaviour().has_new_key)).into_response(),
            Endpoint::Token => self.token(request).await,
            Endpoint::Userinfo => self.profile(request.headers(), userinfo),
            Endpoint::User => self.profile(request.headers(), user),
            Endpoint::Emails if behaviour.hides_email => StatusCode::NOT_FOUND.into_response(),
            Endpoint::Emails => self.profile(request.headers(), emails),
        }
    }

    fn endpoint(&self, path: &str) -> Option<Endpoint> {
        Some(match (self.kind, path) {
            (StubKind::Github, "/login/oauth/access_token") => Endpoint::Token,
            (StubKind::Github, "/api/v3/user") => Endpoint::User,
            (StubKind::Github, "/api/v3/user/emails") => Endpoint::Emails,
            (StubKind::Github, _) => return None,
            (StubKind::Microsoft, "/common/v2.0/.well-known/openid-configuration") => Endpoint::Discovery,
            (StubKind::Microsoft, "/.well-known/openid-configuration") => return None,
            (_, "/.well-known/openid-configuration") => Endpoint::Discovery,
            (_, "/keys") => Endpoint::Keys,
            (_, "/token") => Endpoint::Token,
            (_, "/userinfo") => Endpoint::Userinfo,
            _ => return None,
        })
    }

    fn document(&self) -> Value {
        let base = self.base();
        let mut document = json!({
            "issuer": self.issuer(),
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "jwks_uri": format!("{base}/keys"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        let mut say = |name: &str, value: Value| document[name] = value;
        match self.kind {
            StubKind::Google => {
                say("userinfo_endpoint", json!(format!("{base}/userinfo")));
                say("code_challenge_methods_supported", json!(["plain", "S256"]));
                say(
                    "token_endpoint_auth_methods_supported",
                    json!(["client_secret_post", "client_secret_basic"]),
                );
            }
            StubKind::Apple => say("token_endpoint_auth_methods_supported", json!(["client_secret_post"])),
            StubKind::Microsoft => {
                say("userinfo_endpoint", json!("https://graph.microsoft.com/oidc/userinfo"));
                let methods = json!(["client_secret_post", "private_key_jwt", "client_secret_basic"]);
                say("token_endpoint_auth_methods_supported", methods);
            }
            StubKind::OpenId | StubKind::Github => {
                say("userinfo_endpoint", json!(format!("{base}/userinfo")));
                say("code_challenge_methods_supported", json!(["S256"]));
                say("authorization_response_iss_parameter_supported", json!(true));
            }
        }
        for (name, value) in self.behaviour().document {
            say(&name, value);
        }
        document
    }

    async fn token(&self, request: Request) -> Response {
        let headers = request.headers().clone();
        let Ok(Form(pairs)) = Form::<Vec<(String, String)>>::from_request(request, &()).await else {
            return oauth_error(self.kind, "invalid_request");
        };
        let form: BTreeMap<String, String> = pairs.into_iter().collect();
        let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        if !self.is_client(&headers, &form) {
            return oauth_error(self.kind, "invalid_client");
        }
        if get("grant_type") != "authorization_code" {
            return oauth_error(self.kind, "unsupported_grant_type");
        }
        let wrong_code =
            if self.kind == StubKind::Github { "bad_verification_code" } else { "invalid_grant" };
        let grant = {
            let mut grants = self.grants.lock().expect("grants");
            let Some(grant) = grants.get_mut(get("code")) else { return oauth_error(self.kind, wrong_code) };
            if grant.is_used && !self.behaviour().repeats_codes {
                return oauth_error(self.kind, wrong_code);
            }
            grant.is_used = true;
            grant.clone()
        };
        if grant.redirect_uri != get("redirect_uri") {
            let mismatch =
                if self.kind == StubKind::Github { "redirect_uri_mismatch" } else { "invalid_grant" };
            return oauth_error(self.kind, mismatch);
        }
        let shown = form.get("code_verifier").map(|verifier| pkce_challenge(&Secret::new(verifier)));
        if grant.challenge != shown {
            return oauth_error(self.kind, wrong_code);
        }
        self.tokens_for(&grant)
    }

    fn tokens_for(&self, grant: &Grant) -> Response {
        let mut tokens = self.tokens.lock().expect("tokens");
        let access_token = format!("{}-access-token-{}", grant.person.subject, tokens.len() + 1);
        tokens.insert(access_token.clone(), grant.person.clone());
        if self.kind == StubKind::Github {
            let scope = "read:user,user:email";
            return Json(json!({ "access_token": access_token, "scope": scope, "token_type": "bearer" }))
                .into_response();
        }
        let behaviour = self.behaviour();
        let mut claims = self.claims(grant);
        if let Some(change) = &behaviour.claims {
            change(&mut claims);
        }
        let mut id_token = signing::sign(&claims, behaviour.has_new_key || behaviour.hides_key);
        if let Some(change) = &behaviour.id_token {
            id_token = change(&id_token);
        }
        let body = json!({
            "access_token": access_token, "token_type": "Bearer", "expires_in": 3_600,
            "refresh_token": format!("{}-refresh-token", grant.person.subject), "id_token": id_token,
        });
        Json(body).into_response()
    }

    /// Whether the client has authenticated, in the one way that the provider's kind is asked in.
    fn is_client(&self, headers: &HeaderMap, form: &BTreeMap<String, String>) -> bool {
        let get = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        match self.kind {
            StubKind::OpenId => {
                let expected =
                    format!("{}:{}", escaped(CLIENT_ID), escaped(CLIENT_SECRET).replace("%20", "+"));
                let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
                let shown = shown.and_then(|value| value.strip_prefix("Basic ")).unwrap_or_default();
                let shown = String::from_utf8(STANDARD.decode(shown).unwrap_or_default()).unwrap_or_default();
                // Letters and digits need no encoding, nor do some signs.
                shown.replace('-', "%2D") == expected && !form.contains_key("client_secret")
            }
            StubKind::Apple => {
                let keys = IssuerKeys::parse(signing::of_client().to_string().as_bytes()).expect("keys");
                let Ok(claims) = keys.verify(get("client_secret")) else { return false };
                let now = self.now().seconds();
                let number = |name: &str| claims[name].as_i64().unwrap_or_default();
                claims["iss"] == signing::TEAM
                    && claims["sub"] == CLIENT_ID
                    && claims["aud"] == self.base()
                    && number("iat") <= now
                    && (now..=now + 15_777_000).contains(&number("exp"))
                    && get("client_id") == CLIENT_ID
            }
            _ => get("client_id") == CLIENT_ID && get("client_secret") == CLIENT_SECRET,
        }
    }

    fn profile(&self, headers: &HeaderMap, say: impl Fn(&super::StubPerson) -> Value) -> Response {
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = shown.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
        let tokens = self.tokens.lock().expect("tokens");
        match tokens.get(token) {
            Some(person) if headers.contains_key(header::USER_AGENT) => Json(say(person)).into_response(),
            _ => StatusCode::UNAUTHORIZED.into_response(),
        }
    }
}

fn userinfo(person: &super::StubPerson) -> Value {
    json!({
        "sub": person.subject, "name": person.name, "email": person.email,
        "email_verified": person.is_verified, "picture": "https://sso.example.com/photo",
    })
}

fn user(person: &super::StubPerson) -> Value {
    let id: u64 = person.subject.parse().expect("GitHub calls people by numbers");
    // The public address in a profile is whatever the person wrote there.
    json!({
        "id": id, "login": "ada", "name": person.name, "email": "public@example.net",
        "avatar_url": "https://avatars.example.com/u/583231",
    })
}

fn emails(person: &super::StubPerson) -> Value {
    json!([
        { "email": "old@example.net", "primary": false, "verified": true, "visibility": null },
        { "email": person.email, "primary": true, "verified": person.is_verified, "visibility": "private" },
    ])
}

fn oauth_error(kind: StubKind, code: &str) -> Response {
    // GitHub says so with 200.
    let status = match (kind, code) {
        (StubKind::Github, _) => StatusCode::OK,
        (_, "invalid_client") => StatusCode::UNAUTHORIZED,
        _ => StatusCode::BAD_REQUEST,
    };
    (status, Json(json!({ "error": code, "error_description": "hunter2 is not shown to anyone" })))
        .into_response()
}

/// The answer of an endpoint that is not well.
async fn sick(health: Health) -> Option<Response> {
    Some(match health {
        Health::Fine => return None,
        Health::Down => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Health::Garbage => (StatusCode::OK, "<html>hunter2</html>").into_response(),
        Health::Huge => {
            let chunk = Bytes::from(vec![b' '; 64 * 1024]);
            let endless = futures_util::stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone()));
            (StatusCode::OK, Body::from_stream(endless)).into_response()
        }
        Health::Silent => std::future::pending().await,
        Health::Redirect(to) => (StatusCode::FOUND, [(header::LOCATION, to)]).into_response(),
        Health::Says(text) => (StatusCode::OK, text).into_response(),
    })
}

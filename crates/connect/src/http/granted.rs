//! An API that is signed in to: by what is stored, or by access tokens that a server gives for a client's name and secret (RFC 6749
//! section 4.4).

use std::time::Duration;

use hyper::{HeaderMap, Method};
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;

use super::client::{self, Client, Request, Response};
use super::jwt::{Fresh, refused};
use super::{json_body, no_json};
use crate::Secret;
use crate::error::{ErrorCode, SourceError};
use crate::network::NetworkPolicy;
use crate::settings::Settings;

/// Seconds for which a token is used that does not say how long it holds.
const LIFE: u64 = 300;

/// Sends requests to an API, signed in.
pub(crate) struct Api {
    pub(crate) client: Client,
    grant: Option<Grant>,
}

/// Who gives tokens, and for what.
struct Grant {
    tokens: Url,
    /// The client's name and secret, as a header has them.
    basic: Secret,
    scope: Option<String>,
    fresh: Mutex<Option<Fresh>>,
}

impl Api {
    /// With `headers` in each request besides.
    pub(crate) async fn open(
        settings: &Settings,
        policy: &NetworkPolicy,
        headers: HeaderMap,
    ) -> Result<Self, SourceError> {
        let grant = Grant::of(settings)?;
        // The secret is for who gives tokens, and a token for the API: neither is sent what is the other's.
        let mut all = match &grant {
            Some(_) => HeaderMap::new(),
            None => client::sign_in(&settings.credentials, settings.option("api_key_header")?)?,
        };
        all.extend(headers);
        Ok(Self { client: Client::open(settings, policy, all).await?, grant })
    }

    pub(crate) async fn send(&self, request: Request) -> Result<Response, SourceError> {
        let Some(grant) = &self.grant else { return self.client.send(request).await };
        let token = grant.token(&self.client).await?;
        let again = request.clone();
        match self.client.send(signed(request, &token)).await {
            // It may have been withdrawn before its time: another one is asked for, once.
            Err(error) if error.code == ErrorCode::Authentication => {
                grant.forget(&token).await;
                let token = grant.token(&self.client).await?;
                self.client.send(signed(again, &token)).await
            }
            answer => answer,
        }
    }
}

fn signed(request: Request, token: &str) -> Request {
    request.with("authorization", format!("Bearer {token}"))
}

impl Grant {
    /// None where no server is named that gives tokens.
    fn of(settings: &Settings) -> Result<Option<Self>, SourceError> {
        let Some(text) = settings.option("token_url")?.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let credentials = &settings.credentials;
        let others = credentials.oauth_token.is_some() || credentials.api_key.is_some();
        let (Some(name), Some(secret), false) = (&credentials.username, &credentials.password, others) else {
            return Err(SourceError::connection(
                "metadata.token_url goes with the credentials username and password alone: the client's name and its secret.",
            ));
        };
        let scope = settings.option("token_scope")?.filter(|scope| !scope.is_empty());
        Ok(Some(Self {
            tokens: client::url(text)?,
            basic: Secret::new(basic(name.expose(), secret.expose())),
            scope: scope.map(str::to_owned),
            fresh: Mutex::default(),
        }))
    }

    /// A token that holds. Who asks while one is asked for waits for that.
    async fn token(&self, client: &Client) -> Result<String, SourceError> {
        let mut fresh = self.fresh.lock().await;
        if let Some(token) = fresh.as_ref().and_then(Fresh::usable) {
            return Ok(token.to_owned());
        }
        let body = Some(("application/x-www-form-urlencoded", self.form().into_bytes()));
        let request = Request { method: Method::POST, url: self.tokens.clone(), body, headers: Vec::new() };
        let answer = client.send(request.with("authorization", self.basic.expose())).await;
        let answer = answer.map_err(|mut error| {
            // A client that is not known is often the status 400 with `invalid_client`.
            if error.code == ErrorCode::Query {
                error.code = ErrorCode::Authentication;
                "The server refused the credentials.".clone_into(&mut error.message);
            }
            error
        })?;
        let answer: Value =
            serde_json::from_str(json_body(&answer.body)?).map_err(|error| no_json(&error))?;
        let kind = answer.get("token_type").and_then(Value::as_str);
        if kind.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
            return Err(refused("The server gives access tokens of another kind than Bearer."));
        }
        let token = answer.get("access_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| refused("The server gave no access token."))?.to_owned();
        let life = answer.get("expires_in").and_then(Value::as_u64).unwrap_or(LIFE);
        *fresh = Some(Fresh::new(token.clone(), Duration::from_secs(life)));
        Ok(token)
    }

    /// What a token is asked for with.
    fn form(&self) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &self.scope {
            form.append_pair("scope", scope);
        }
        form.finish()
    }

    /// Uses a token no more.
    async fn forget(&self, token: &str) {
        let mut fresh = self.fresh.lock().await;
        if fresh.as_ref().and_then(Fresh::usable) == Some(token) {
            *fresh = None;
        }
    }
}

/// Name and secret as RFC 6749 section 2.3.1 has them: each encoded as in a form, then both in Base64.
fn basic(name: &str, secret: &str) -> String {
    use base64::Engine;
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!("{}:{}", encoded(name), encoded(secret));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
}

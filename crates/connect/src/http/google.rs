//! Signing in to Google: a service account's key is exchanged for an access token (RFC 7523), or a token is given.
//!
//! Source: Google Identity, "Using OAuth 2.0 for server to server applications".

use std::time::Duration;

use hyper::{HeaderMap, Method};
use serde_json::{Value, json};
use url::Url;

use super::client::{self, Client, Request};
use super::jwt::{Fresh, SigningKey, now, refused};
use super::tree;
use crate::error::{ErrorCode, SourceError};
use crate::network::NetworkPolicy;
use crate::settings::Settings;

const TOKENS: &str = "https://oauth2.googleapis.com/token";
/// Seconds that an assertion holds at most.
const LIFE: i64 = 3_600;

/// Google's interfaces for one account.
pub(crate) struct Google {
    pub(crate) client: Client,
    access: Access,
}

enum Access {
    /// An emulator asks nobody who they are.
    Nobody,
    Token(crate::Secret),
    Account(Box<Account>),
}

struct Account {
    email: String,
    key_id: Option<String>,
    key: SigningKey,
    tokens: Url,
    scope: &'static str,
    fresh: tokio::sync::Mutex<Option<Fresh>>,
}

impl Google {
    /// `credentials.api_key` is the JSON file of a service account's key; `credentials.oauth_token` an access token in its place.
    pub(crate) async fn open(
        settings: &Settings,
        policy: &NetworkPolicy,
        scope: &'static str,
    ) -> Result<Self, SourceError> {
        let access = match (&settings.credentials.oauth_token, &settings.credentials.api_key) {
            (Some(token), _) => Access::Token(token.clone()),
            (None, Some(key)) => Access::Account(Box::new(Account::read(key.expose(), scope)?)),
            (None, None) => Access::Nobody,
        };
        Ok(Self { client: Client::open(settings, policy, HeaderMap::new()).await?, access })
    }

    /// The project of the settings, or of the key.
    pub(crate) fn project(settings: &Settings) -> Result<String, SourceError> {
        if let Some(project) = settings.option("project")?.filter(|project| !project.is_empty()) {
            return Ok(project.to_owned());
        }
        let key = settings.credentials.api_key.as_ref();
        let key: Option<Value> = key.and_then(|key| serde_json::from_str(key.expose()).ok());
        let project = key.as_ref().and_then(|key| key.get("project_id")).and_then(Value::as_str);
        project.map(str::to_owned).ok_or_else(|| SourceError::connection("metadata.project is missing."))
    }

    /// The token to send; none where nobody asks.
    pub(crate) async fn token(&self) -> Result<Option<String>, SourceError> {
        match &self.access {
            Access::Nobody => Ok(None),
            Access::Token(token) => Ok(Some(token.expose().to_owned())),
            Access::Account(account) => account.token(&self.client).await.map(Some),
        }
    }

    /// Sends a request and gives the JSON that is answered.
    pub(crate) async fn ask(&self, mut request: Request) -> Result<Value, SourceError> {
        if let Some(token) = self.token().await? {
            request = request.with("authorization", format!("Bearer {token}"));
        }
        let answer = self.client.send(request).await?;
        if answer.body.is_empty() {
            return Ok(Value::Null);
        }
        tree(&answer.body)
    }
}

impl Account {
    fn read(text: &str, scope: &'static str) -> Result<Self, SourceError> {
        let wrong = || refused("credentials.api_key must be the JSON of a service account's key.");
        let key: Value = serde_json::from_str(text).map_err(|_| wrong())?;
        let member = |name: &str| key.get(name).and_then(Value::as_str);
        if member("type").is_some_and(|kind| kind != "service_account") {
            return Err(wrong());
        }
        Ok(Self {
            email: member("client_email").ok_or_else(wrong)?.to_owned(),
            key_id: member("private_key_id").map(str::to_owned),
            key: SigningKey::from_pem(member("private_key").ok_or_else(wrong)?)?,
            tokens: client::url(member("token_uri").unwrap_or(TOKENS))?,
            scope,
            fresh: tokio::sync::Mutex::default(),
        })
    }

    async fn token(&self, client: &Client) -> Result<String, SourceError> {
        let mut fresh = self.fresh.lock().await;
        if let Some(token) = fresh.as_ref().and_then(Fresh::usable) {
            return Ok(token.to_owned());
        }
        let issued = now();
        let header = match &self.key_id {
            Some(id) => json!({ "alg": "RS256", "typ": "JWT", "kid": id }),
            None => json!({ "alg": "RS256", "typ": "JWT" }),
        };
        let claims = json!({
            "iss": self.email, "scope": self.scope, "aud": self.tokens.as_str(), "iat": issued, "exp": issued + LIFE,
        });
        let assertion = self.key.sign(&header, &claims)?;
        let form: String = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
            .append_pair("assertion", &assertion)
            .finish();
        let body = Some(("application/x-www-form-urlencoded", form.into_bytes()));
        let request = Request { method: Method::POST, url: self.tokens.clone(), body, headers: Vec::new() };
        let answer = client.send(request).await.map_err(|mut error| {
            // A key that is unknown or revoked is the status 400 with `invalid_grant`.
            if error.code == ErrorCode::Query {
                error.code = ErrorCode::Authentication;
                "The server refused the credentials.".clone_into(&mut error.message);
            }
            error
        })?;
        let answer = tree(&answer.body)?;
        let token = answer.get("access_token").and_then(Value::as_str);
        let token = token.ok_or_else(|| refused("The server gave no access token."))?.to_owned();
        let life = answer.get("expires_in").and_then(Value::as_u64).unwrap_or(300);
        *fresh = Some(Fresh::new(token.clone(), Duration::from_secs(life)));
        Ok(token)
    }
}

/// The address of an interface: `metadata.endpoint`, or Google's own.
pub(crate) fn endpoint(settings: &Settings, own: &str) -> Result<Url, SourceError> {
    client::url(settings.option("endpoint")?.unwrap_or(own))
}

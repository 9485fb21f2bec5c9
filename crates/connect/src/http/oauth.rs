//! Interfaces that are asked with a token, which the source fetches itself: the client-credentials grant of OAuth 2.0.
//!
//! Source: RFC 6749, sections 2.3.1 (how a client signs in), 4.4 (the grant), 5.1 and 5.2 (answers); RFC 6750 (bearer tokens).

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::sync::Mutex;
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::client::{self, Client, LARGEST, Request, Response};
use super::jwt::{Fresh, refused};
use crate::Secret;
use crate::error::{ErrorCode, SourceError};
use crate::network::NetworkPolicy;
use crate::settings::Settings;

/// Bytes of a token endpoint's answer at most, and of a token.
const LARGEST_ANSWER: usize = 256 << 10;
const LARGEST_TOKEN: usize = 32 << 10;
/// How long a token is used whose server does not say how long it holds.
const USUAL_LIFE: Duration = Duration::from_secs(300);

/// An interface, and what signs in at it.
pub(crate) struct Api {
    pub(crate) client: Client,
    grant: Option<Grant>,
}

/// Fetches tokens.
struct Grant {
    client: Client,
    token_url: Url,
    client_id: String,
    secret: Secret,
    /// Whether the client signs in by the form, in place of a header.
    in_form: bool,
    scope: Option<String>,
    audience: Option<String>,
    /// The token that is used. Whoever finds none fetches it, and the others wait for that one.
    fresh: Mutex<Option<Fresh>>,
}

impl Api {
    /// The interface at an address. What is stored of the credentials, and the headers, go with every request to it; with `metadata.token_url`,
    /// tokens are fetched there.
    pub(crate) async fn open(
        settings: &Settings,
        policy: &NetworkPolicy,
        address: &Url,
        headers: HeaderMap,
    ) -> Result<Self, SourceError> {
        let wanted = Wanted::of(settings, address)?;
        let mut all = client::sign_in(&settings.credentials, settings.option("api_key_header")?)?;
        all.extend(headers);
        let client = Client::open(settings, policy, all).await?;
        let grant = wanted.map(|wanted| wanted.grant(client.for_another()));
        Ok(Self { client, grant })
    }

    /// Sends a request and reads the answer as a whole. A token that is refused, as one that was revoked, is fetched anew once.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, SourceError> {
        let Some(grant) = &self.grant else { return self.client.send(request).await };
        let token = grant.token(None).await?;
        let answer = self.received(request.clone(), &token).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return self.checked(answer, &token);
        }
        let token = grant.token(Some(&token)).await?;
        let answer = self.received(request, &token).await?;
        let is_refused = answer.status == StatusCode::UNAUTHORIZED;
        self.checked(answer, &token).map_err(|mut error| {
            if is_refused {
                "The server refuses the token that metadata.token_url gives (status 401): see whether metadata.scope and \
                 metadata.audience are those it wants."
                    .clone_into(&mut error.message);
            }
            error
        })
    }

    /// What the interface says, for the log: without what signs in at it.
    pub(super) async fn told(&self, text: &str) -> String {
        let token = match &self.grant {
            Some(grant) => grant.fresh.lock().await.as_ref().and_then(Fresh::usable).map(Secret::new),
            None => None,
        };
        self.client.told(text, token.as_ref().map(Secret::expose).unwrap_or_default())
    }

    async fn received(&self, request: Request, token: &Secret) -> Result<Response, SourceError> {
        let request = request.with("authorization", format!("Bearer {}", token.expose()));
        self.client.received(request, LARGEST).await.map_err(|error| without(error, token))
    }

    fn checked(&self, answer: Response, token: &Secret) -> Result<Response, SourceError> {
        self.client.checked_without(answer.status, &answer.body, token.expose())?;
        Ok(answer)
    }
}

/// An error in whose detail the server does not repeat the token.
fn without(mut error: SourceError, token: &Secret) -> SourceError {
    error.detail = error.detail.replace(token.expose(), "***");
    error
}

/// What the settings say of the grant.
struct Wanted {
    token_url: Url,
    client_id: String,
    secret: Secret,
    in_form: bool,
    scope: Option<String>,
    audience: Option<String>,
}

impl Wanted {
    /// None where no token is to be fetched.
    fn of(settings: &Settings, address: &Url) -> Result<Option<Self>, SourceError> {
        let text = |name: &str| -> Result<Option<String>, SourceError> {
            Ok(settings.option(name)?.filter(|text| !text.is_empty()).map(str::to_owned))
        };
        let credentials = &settings.credentials;
        let Some(token_url) = text("token_url")? else {
            // A `client_id` alone is a note of the client.
            return match &credentials.client_secret {
                None => Ok(None),
                Some(_) => Err(SourceError::connection(
                    "metadata.token_url is missing: it says where the client fetches its tokens.",
                )),
            };
        };
        if credentials.oauth_token.is_some() || credentials.username.is_some() {
            return Err(refused(
                "With metadata.token_url the token is fetched: credentials.oauth_token and credentials.username have to be removed.",
            ));
        }
        let token_url = client::url(&token_url)?;
        // RFC 6749, section 3.2: the secret goes there, and the token comes from there.
        if token_url.scheme() != "https" && address.scheme() == "https" {
            return Err(SourceError::connection("metadata.token_url must start with https://."));
        }
        let client_id = text("client_id")?;
        let secret = credentials.client_secret.clone().filter(|secret| !secret.expose().is_empty());
        Ok(Some(Self {
            token_url,
            client_id: client_id.ok_or_else(|| refused("metadata.client_id is missing."))?,
            secret: secret.ok_or_else(|| refused("credentials.client_secret is missing."))?,
            in_form: settings.choice("client_auth", &["basic", "post"])? == "post",
            scope: text("scope")?,
            audience: text("audience")?,
        }))
    }

    fn grant(self, client: Client) -> Grant {
        let Self { token_url, client_id, secret, in_form, scope, audience } = self;
        Grant { client, token_url, client_id, secret, in_form, scope, audience, fresh: Mutex::default() }
    }
}

impl Grant {
    /// A token that holds, and is not the one that a server refused.
    async fn token(&self, refused: Option<&Secret>) -> Result<Secret, SourceError> {
        let mut fresh = self.fresh.lock().await;
        let usable = fresh.as_ref().and_then(Fresh::usable);
        if let Some(token) = usable.filter(|token| refused.is_none_or(|refused| refused.expose() != *token)) {
            return Ok(Secret::new(token));
        }
        *fresh = None;
        let answer = self.client.received(self.request(), LARGEST_ANSWER).await.map_err(at_endpoint)?;
        if !answer.status.is_success() {
            return Err(self.refusal(&answer));
        }
        let (token, life) = granted(&answer.body)?;
        *fresh = Some(Fresh::new(token.clone(), life));
        Ok(Secret::new(token))
    }

    fn request(&self) -> Request {
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("scope", &self.scope), ("audience", &self.audience)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        let mut headers = vec![("accept", "application/json".to_owned())];
        if self.in_form {
            form.append_pair("client_id", &self.client_id).append_pair("client_secret", self.secret.expose());
        } else {
            headers.push(("authorization", format!("Basic {}", self.pair().expose())));
        }
        let body = Some(("application/x-www-form-urlencoded", form.finish().into_bytes()));
        Request { method: Method::POST, url: self.token_url.clone(), body, headers }
    }

    /// How the client signs in by a header. Both are encoded like the members of a form before they are joined.
    fn pair(&self) -> Secret {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        Secret::new(STANDARD.encode(format!(
            "{}:{}",
            encoded(&self.client_id),
            encoded(self.secret.expose())
        )))
    }

    /// What a refusal means, and what is to be done about it (RFC 6749, section 5.2; RFC 8707 for `invalid_target`).
    fn refusal(&self, answer: &Response) -> SourceError {
        // An endpoint may repeat what it was sent.
        let checked = self.client.checked_without(answer.status, &answer.body, self.pair().expose());
        let error = checked.err().unwrap_or_else(|| SourceError::connection(""));
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let told = body.as_ref().and_then(|body| body.get("error")).and_then(Value::as_str);
        let message = match told {
            Some("invalid_client") => BAD_CLIENT,
            Some("unauthorized_client" | "unsupported_grant_type") => {
                "The client may not use the client-credentials grant: it has to be allowed to where the client is registered."
            }
            Some("invalid_scope") => "The token endpoint does not grant metadata.scope to this client.",
            Some("invalid_target") => "The token endpoint does not know metadata.audience.",
            Some("invalid_request") => {
                "The token endpoint misses something in the request: many want metadata.scope or metadata.audience."
            }
            _ if answer.status == StatusCode::UNAUTHORIZED => BAD_CLIENT,
            _ if matches!(error.code, ErrorCode::Connection | ErrorCode::Timeout) => {
                return at_endpoint(error);
            }
            _ if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED) => {
                let message = "There is no token endpoint at metadata.token_url.";
                return SourceError::connection(message).with_detail(error.detail);
            }
            _ => "The token endpoint refuses to give the client a token.",
        };
        refused(message).with_detail(error.detail)
    }
}

const BAD_CLIENT: &str = "The token endpoint refused the client: see metadata.client_id and credentials.client_secret, and whether \
     metadata.client_auth is to be basic or post.";

/// An error of the connection to the token endpoint, told apart from one of the interface.
fn at_endpoint(mut error: SourceError) -> SourceError {
    error.message = format!("No token could be fetched from metadata.token_url. {}", error.message);
    error
}

/// The token of an answer, and how long it holds.
fn granted(body: &[u8]) -> Result<(String, Duration), SourceError> {
    let none = || {
        SourceError::connection(
            "The answer of metadata.token_url has no token: it must be the address of a token endpoint.",
        )
    };
    let answer: Value = serde_json::from_slice(body).map_err(|_| none())?;
    let token = answer.get("access_token").and_then(Value::as_str).ok_or_else(none)?;
    // What is sent in a header, and no more.
    if token.is_empty() || token.len() > LARGEST_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(none());
    }
    // RFC 6749 requires it, and not every server sends it.
    let kind = answer.get("token_type").and_then(Value::as_str).unwrap_or("bearer");
    if !kind.eq_ignore_ascii_case("bearer") {
        return Err(refused("The token endpoint gives no bearer tokens."));
    }
    let life = match answer.get("expires_in") {
        Some(Value::Number(seconds)) => seconds.as_f64(),
        Some(Value::String(seconds)) => seconds.trim().parse().ok(),
        _ => None,
    };
    let life = life.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX));
    Ok((token.to_owned(), life.unwrap_or(USUAL_LIFE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_a_token_and_a_life_or_are_refused() {
        let life = |answer: &str| granted(answer.as_bytes()).map(|(token, life)| (token, life.as_secs()));
        let bearer = |rest: &str| life(&format!(r#"{{"access_token":"t","token_type":"Bearer"{rest}}}"#));
        assert_eq!(bearer(r#","expires_in":3600"#).unwrap(), ("t".to_owned(), 3_600));
        assert_eq!(bearer(r#","expires_in":"3600""#).unwrap().1, 3_600);
        assert_eq!(bearer("").unwrap().1, 300);
        assert_eq!(bearer(r#","expires_in":-5"#).unwrap().1, 0);
        assert_eq!(bearer(r#","expires_in":1e300"#).unwrap().1, u64::MAX);
        assert_eq!(bearer(r#","expires_in":"NaN""#).unwrap().1, 0);
        for answer in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"access_token":7}"#,
            r#"{"access_token":""}"#,
            r#"{"access_token":"a\nb"}"#,
            r#"{"access_token":"a b"}"#,
        ] {
            assert_eq!(life(answer).unwrap_err().code, ErrorCode::Connection, "{answer}");
        }
        assert!(life(r#"{"access_token":"t","token_type":"mac"}"#).is_err());
    }
}

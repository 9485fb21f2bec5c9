//! A service that an operator configured, asked in JSON with a key: such as a language model.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::Value;
use tidegate_domain::Secret;
use url::Url;

use crate::error::FederationError;
use crate::events::{EventLimits, ServerEvents};
use crate::outgoing::{Outgoing, read as read_whole};
use crate::reach::Reach;
use crate::secret::{SocialSecret, read};

const EVENTS_OR_JSON: HeaderValue = HeaderValue::from_static("text/event-stream, application/json");

/// One address of a service.
#[derive(Debug)]
pub struct JsonEndpoint {
    outgoing: Outgoing,
    url: Url,
    key: Option<Secret>,
}

/// What it answered.
#[derive(Clone, Debug)]
pub struct EndpointAnswer {
    /// The status.
    pub status: u16,
    /// Seconds after which it wants to be asked again.
    pub retry_after: Option<u64>,
    /// What it calls the request (`x-request-id`).
    pub request_id: Option<String>,
    /// The body, where it is JSON.
    pub body: Option<Value>,
}

/// What a service answered that was asked for events.
#[derive(Debug)]
pub enum EndpointReply {
    /// They follow.
    Events(Box<ServerEvents>),
    /// It answered at once.
    Whole(EndpointAnswer),
}

impl JsonEndpoint {
    /// Prepares requests to `path` below `base_url`; connects to nothing yet. The key is given as text or in a file, or not at all.
    ///
    /// # Errors
    /// Says which setting is wrong, and why.
    pub fn new(
        base_url: &str,
        path: &str,
        key: Option<&SocialSecret>,
        key_file: Option<&PathBuf>,
        is_private: bool,
        timeout: Duration,
    ) -> Result<Self, String> {
        let text = format!("{}/{}", base_url.trim_end_matches('/'), path.trim_start_matches('/'));
        let url = Url::parse(&text).map_err(|error| format!("base_url: {error}"))?;
        let reach = Reach::of(&url, is_private);
        if !reach.admits(&url) {
            return Err("base_url must be https, without a user, and private_network admits private addresses; on this machine it may \
                        be http"
                .to_owned());
        }
        let key = read("api_key", key, key_file)?;
        Ok(Self { outgoing: Outgoing::new(reach, timeout)?, url, key })
    }

    /// Posts a body. `what` names the request in logs.
    ///
    /// # Errors
    /// [`FederationError`] where nothing is answered.
    pub async fn post(&self, what: &str, body: &Value) -> Result<EndpointAnswer, FederationError> {
        whole(what, self.outgoing.open(what, self.request(body)).await?).await
    }

    /// Posts a body that asks for events. Services that know none answer as a whole, and so do all where they refuse.
    ///
    /// # Errors
    /// [`FederationError`] where nothing is answered.
    pub async fn stream(
        &self,
        what: &str,
        body: &Value,
        limits: EventLimits,
    ) -> Result<EndpointReply, FederationError> {
        let accept = HeaderMap::from_iter([(ACCEPT, EVENTS_OR_JSON)]);
        let response = self.outgoing.open(what, self.request(body).headers(accept)).await?;
        if response.status() != StatusCode::OK || !has_events(response.headers()) {
            return whole(what, response).await.map(EndpointReply::Whole);
        }
        let request_id = request_id(response.headers());
        Ok(EndpointReply::Events(Box::new(ServerEvents::new(what, request_id, response, limits))))
    }

    fn request(&self, body: &Value) -> RequestBuilder {
        let request = self.outgoing.post(&self.url).json(body);
        match &self.key {
            Some(key) => request.bearer_auth(key.expose()),
            None => request,
        }
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    text(headers, "x-request-id").map(|text| text.chars().take(100).collect())
}

fn has_events(headers: &HeaderMap) -> bool {
    let media_type = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    media_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/event-stream")
}

/// An answer that is read to its end.
async fn whole(what: &str, response: Response) -> Result<EndpointAnswer, FederationError> {
    let headers = response.headers().clone();
    let answer = read_whole(what, response).await?;
    Ok(EndpointAnswer {
        status: answer.status.as_u16(),
        retry_after: text(&headers, "retry-after").and_then(|text| text.trim().parse().ok()),
        request_id: request_id(&headers),
        body: answer.value(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(base_url: &str, is_private: bool) -> Result<JsonEndpoint, String> {
        JsonEndpoint::new(base_url, "chat/completions", None, None, is_private, Duration::from_secs(1))
    }

    #[test]
    fn a_service_is_asked_where_the_operator_says_and_nowhere_odd() {
        let url = endpoint("https://api.example.com/v1/", false).unwrap().url;
        assert_eq!(url.as_str(), "https://api.example.com/v1/chat/completions");
        assert!(endpoint("http://127.0.0.1:11434/v1", false).is_ok());
        assert!(endpoint("https://10.0.0.7/v1", true).is_ok());
        for wrong in [
            "http://api.example.com",
            "https://10.0.0.7/v1",
            "https://169.254.169.254",
            "no url",
            "https://u:p@api.example.com",
        ] {
            assert!(endpoint(wrong, false).is_err(), "{wrong}");
        }
    }
}

//! Amazon's services with a JSON protocol, signed with Signature Version 4.

use aws_lc_rs::{digest, hmac};
use jiff::Timestamp;
use serde_json::Value;
use url::Url;

use super::client::{self, Client, Request};
use super::json_body;
use crate::error::{ErrorCode, SourceError};
use crate::network::NetworkPolicy;
use crate::settings::{Secret, Settings};

pub(crate) mod athena;
pub(crate) mod dynamodb;
pub(crate) mod kinesis;

/// The version of the protocol, by service. Source: each service's reference, "Making requests".
fn content_type(service: &str) -> &'static str {
    match service {
        "dynamodb" => "application/x-amz-json-1.0",
        _ => "application/x-amz-json-1.1",
    }
}

/// Bytes of an answer at most: Kinesis answers ten million, the others less. It is held as a tree, which is many times larger.
const LARGEST: usize = 16 << 20;

/// A service in a region.
pub(crate) struct Aws {
    pub(crate) client: Client,
    endpoint: Url,
    service: &'static str,
    /// What operations are called by, as `DynamoDB_20120810`.
    prefix: &'static str,
    region: String,
    access_key: Secret,
    secret_key: Secret,
    session: Option<Secret>,
}

impl Aws {
    /// Access key, secret key and session token are the credentials `username`, `password` and `oauth_token`.
    pub(crate) async fn open(
        settings: &Settings,
        policy: &NetworkPolicy,
        service: &'static str,
        prefix: &'static str,
    ) -> Result<Self, SourceError> {
        let missing = |field: &str| SourceError::connection(format!("{field} is missing."));
        let region = settings.option("region")?.ok_or_else(|| missing("metadata.region"))?.to_owned();
        if region.is_empty()
            || !region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            return Err(SourceError::connection("metadata.region is no name of a region."));
        }
        let endpoint = match settings.option("endpoint")? {
            Some(text) => client::url(text)?,
            None => client::url(&format!("https://{service}.{region}.amazonaws.com/"))?,
        };
        let credentials = &settings.credentials;
        Ok(Self {
            client: Client::open(settings, policy, hyper::HeaderMap::new()).await?,
            endpoint,
            service,
            prefix,
            region,
            access_key: credentials.username.clone().ok_or_else(|| missing("credentials.username"))?,
            secret_key: credentials.password.clone().ok_or_else(|| missing("credentials.password"))?,
            session: credentials.oauth_token.clone(),
        })
    }

    /// Calls an operation and gives the JSON it answers.
    pub(crate) async fn call(&self, operation: &str, body: &Value) -> Result<String, SourceError> {
        let body = body.to_string().into_bytes();
        let headers = self.signed(operation, &body, now())?;
        let url = self.endpoint.clone();
        let body = Some((content_type(self.service), body));
        let request = Request { method: hyper::Method::POST, url, body, headers };
        let answer = self.client.send_for(request, LARGEST).await.map_err(|mut error| {
            // Amazon says why with the status 400, too.
            let denied = [
                "UnrecognizedClient",
                "AccessDenied",
                "InvalidSignature",
                "ExpiredToken",
                "IncompleteSignature",
            ];
            if error.code == ErrorCode::Query && denied.iter().any(|word| error.detail.contains(word)) {
                error.code = ErrorCode::Authentication;
                "The server refused the credentials.".clone_into(&mut error.message);
            }
            error
        })?;
        Ok(json_body(&answer.body)?.to_owned())
    }

    fn signed(
        &self,
        operation: &str,
        body: &[u8],
        now: Timestamp,
    ) -> Result<Vec<(&'static str, String)>, SourceError> {
        let host = self.endpoint.host_str().unwrap_or_default();
        let host = self.endpoint.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let moment = now.strftime("%Y%m%dT%H%M%SZ").to_string();
        let day = now.strftime("%Y%m%d").to_string();
        let target = format!("{}.{operation}", self.prefix);
        // In the order of their names.
        let mut headers = vec![
            ("content-type", content_type(self.service).to_owned()),
            ("host", host),
            ("x-amz-date", moment.clone()),
        ];
        if let Some(session) = &self.session {
            headers.push(("x-amz-security-token", session.expose().to_owned()));
        }
        headers.push(("x-amz-target", target));
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let lines: String =
            headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
        let path = self.endpoint.path();
        let canonical = format!("POST\n{path}\n\n{lines}\n{names}\n{}", hashed(body));
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let text = format!("AWS4-HMAC-SHA256\n{moment}\n{scope}\n{}", hashed(canonical.as_bytes()));
        let first = format!("AWS4{}", self.secret_key.expose());
        let mut key = first.into_bytes();
        for part in [day.as_str(), &self.region, self.service, "aws4_request"] {
            key = tagged(&key, part.as_bytes());
        }
        let signature = hex::encode(tagged(&key, text.as_bytes()));
        let access = self.access_key.expose();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={names}, Signature={signature}"
        );
        headers.retain(|(name, _)| !matches!(*name, "content-type" | "host"));
        headers.push(("authorization", authorization));
        Ok(headers)
    }
}

#[expect(clippy::disallowed_methods, reason = "a signature of another time is refused by the server")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn hashed(bytes: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, bytes))
}

fn tagged(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), bytes).as_ref().to_vec()
}

//! Request bodies: bounded, of a known type, JSON.

use std::marker::PhantomData;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::wire::contract::ContractMarker;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// A JSON object read into `T`.
pub(crate) struct JsonBody<C, T>(pub(crate) T, PhantomData<C>);

/// A JSON object of up to 3 MiB: for pictures sent inside it.
pub(crate) struct LargeJsonBody<C, T>(pub(crate) T, PhantomData<C>);

/// A body that is not needed: none, or any JSON.
pub(crate) struct NoBody<C>(PhantomData<C>);

const LARGE: usize = 3 * 1024 * 1024;

impl<C: ContractMarker, T: DeserializeOwned> FromRequest<App> for JsonBody<C, T> {
    type Rejection = C::Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, C::Error> {
        Ok(Self(json(request, app.http().max_body).await?, PhantomData))
    }
}

impl<C: ContractMarker, T: DeserializeOwned> FromRequest<App> for LargeJsonBody<C, T> {
    type Rejection = C::Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, C::Error> {
        Ok(Self(json(request, app.http().max_body.max(LARGE)).await?, PhantomData))
    }
}

impl<C: ContractMarker> FromRequest<App> for NoBody<C> {
    type Rejection = C::Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, C::Error> {
        let bytes = read(request.into_body(), app.http().max_body).await?;
        if !bytes.is_empty() {
            serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
                .map_err(|error| Rejection::MalformedBody(describe(&error)))?;
        }
        Ok(Self(PhantomData))
    }
}

async fn json<T: DeserializeOwned>(request: Request, limit: usize) -> Result<T, Rejection> {
    parse(&json_bytes(request, limit).await?)
}

/// A body that says it is JSON, of at most `limit` bytes.
pub(crate) async fn json_bytes(request: Request, limit: usize) -> Result<Bytes, Rejection> {
    if !is_json(request.headers()) {
        return Err(Rejection::UnsupportedMediaType);
    }
    read(request.into_body(), limit).await
}

/// Reads a JSON object.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Rejection> {
    // Unknown fields are skipped unread, and would hide bytes that are no text.
    let text = str::from_utf8(bytes)
        .map_err(|_| Rejection::MalformedBody("the body must be UTF-8 text".to_owned()))?;
    // An array would be taken for the object's fields in order.
    if !text.trim_start().starts_with('{') {
        return Err(Rejection::MalformedBody("the body must be a JSON object".to_owned()));
    }
    serde_json::from_str(text).map_err(|error| Rejection::MalformedBody(describe(&error)))
}

/// The whole body, unless it is larger than `limit`; a declared length is believed before anything is read.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, Rejection> {
    let too_large = || Rejection::PayloadTooLarge { limit };
    if axum::body::HttpBody::size_hint(&body).lower() > u64::try_from(limit).unwrap_or(u64::MAX) {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Rejection::MalformedBody("the body ended early".to_owned())),
    }
}

/// `application/json`, with or without parameters (RFC 8259 section 11).
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Where and why, without quoting what was sent: it may be a password.
fn describe(error: &serde_json::Error) -> String {
    use serde_json::error::Category;
    let what = match error.classify() {
        Category::Eof => "the JSON ends early",
        Category::Io | Category::Syntax => "the JSON is malformed",
        Category::Data => "the JSON has a duplicate or misplaced field",
    };
    format!("{what} at line {} column {}", error.line(), error.column())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn only_whole_objects_are_bodies() {
        assert!(parse::<Value>(b" {\"a\": 1} ").is_ok());
        for body in ["", "null", "[]", "\"a\"", "{\"a\": 1} x", "{\"a\": 1", "{\"a\": \u{e9}}"] {
            assert!(matches!(parse::<Value>(body.as_bytes()), Err(Rejection::MalformedBody(_))), "{body}");
        }
    }

    #[test]
    fn what_was_sent_is_not_quoted() {
        let Err(Rejection::MalformedBody(text)) = parse::<Value>(b"{\"password\": hunter2}") else {
            panic!("accepted");
        };
        assert!(!text.contains("hunter2"), "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(parse::<Value>(&bytes));
        }

        #[test]
        fn any_nesting_is_read_or_refused_without_a_panic(depth in 0usize..5_000) {
            let body = format!("{{\"a\":{}", "[".repeat(depth));
            prop_assert!(parse::<Value>(body.as_bytes()).is_err());
        }
    }
}

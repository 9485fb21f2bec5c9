//! Request bodies: bounded, of a known type, JSON.
//!
//! A body is bounded twice: in bytes, and in what reading it takes. A value of a few bytes can become a hundred times as many
//! in memory, so the values are counted before anything is read.

use std::marker::PhantomData;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::wire::contract::ContractMarker;
use crate::wire::rejection::{BodyType, Rejection};
use crate::wire::state::App;
use crate::wire::unknown::{self, Exact, Unknown, refuse};

/// A JSON object of up to 64 KiB read into `T`, all of whose fields are known.
pub(crate) struct JsonBody<C, T>(pub(crate) T, Vec<String>, PhantomData<C>);

/// The same of up to 3 MiB: for pictures sent inside it.
pub(crate) struct LargeJsonBody<C, T>(pub(crate) T, PhantomData<C>);

/// A JSON object of up to 64 KiB read into `T`, or no body. All its fields are known.
pub(crate) struct OptionalJsonBody<C, T>(pub(crate) T, PhantomData<C>);

/// A JSON object of up to 64 KiB read into `T`, in which clients of a contract may send more: the log names what is ignored.
pub(crate) struct LiberalBody<C, T>(pub(crate) T, PhantomData<C>);

/// A body that is not needed: none, or any JSON. The log names the fields of an object.
pub(crate) struct UnusedBody<C>(PhantomData<C>);

/// Most bytes of a body that carries neither a free document nor a picture.
const SMALL: usize = 64 * 1024;
/// Most bytes of a body with a picture inside.
const LARGE: usize = 3 * 1024 * 1024;

/// Most values and keys of a body, counted by the signs `,` `:` `[` `{` between them. A free document of 64 KiB passes when
/// its fields take 16 bytes or more on average. As a tree, so many take less than 2 MiB.
const MAX_PARTS: usize = 8_192;
/// What some writers begin UTF-8 text with.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Most arrays and objects inside one another.
const MAX_DEPTH: usize = 32;

/// Most bytes of a body that carries neither a free document nor a picture.
pub(crate) fn small(app: &App) -> usize {
    app.http().max_body.min(SMALL)
}

impl<C: ContractMarker, T: Exact> FromRequest<App> for JsonBody<C, T> {
    type Rejection = C::Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, C::Error> {
        let (body, ignored) = exact::<T>(&json_bytes(request, small(app)).await?)?;
        Ok(Self(body, ignored, PhantomData))
    }
}

impl<C, T> JsonBody<C, T> {
    /// The body, and the names of the fields that are only sent back ([`Exact::sent_back`]).
    pub(crate) fn with_ignored(self) -> (T, Vec<String>) {
        (self.0, self.1)
    }
}

impl<C: ContractMarker, T: Exact> FromRequest<App> for LargeJsonBody<C, T> {
    type Rejection = C::Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, C::Error> {
        let limit = app.http().max_body.max(LARGE);
        Ok(Self(exact::<T>(&json_bytes(request, limit).await?)?.0, PhantomData))
    }
}

impl<C: ContractMarker, T: Exact + Default> FromRequest<App> for OptionalJsonBody<C, T> {
    type Rejection = C::Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, C::Error> {
        if axum::body::HttpBody::is_end_stream(request.body()) {
            return Ok(Self(T::default(), PhantomData));
        }
        let bytes = json_bytes(request, small(app)).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default(), PhantomData));
        }
        Ok(Self(exact::<T>(&bytes)?.0, PhantomData))
    }
}

impl<C: ContractMarker, T: DeserializeOwned> FromRequest<App> for LiberalBody<C, T> {
    type Rejection = C::Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, C::Error> {
        Ok(Self(liberal::<T>(&json_bytes(request, small(app)).await?)?, PhantomData))
    }
}

impl<C: ContractMarker> FromRequest<App> for UnusedBody<C> {
    type Rejection = C::Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, C::Error> {
        let bytes = read(request.into_body(), small(app)).await?;
        if !bytes.is_empty() {
            check_shape(&bytes)?;
            serde_json::from_slice::<serde::de::IgnoredAny>(&bytes)
                .map_err(|error| Rejection::MalformedBody(describe(&error)))?;
            if let Ok((NoFields {}, unknown)) = parse(&bytes) {
                unknown.note();
            }
        }
        Ok(Self(PhantomData))
    }
}

/// What is read of an object in which nothing is needed.
#[derive(Deserialize)]
pub(crate) struct NoFields {}

/// Reads an object all of whose fields are known, and the names of those that are only sent back.
pub(crate) fn exact<T: Exact>(bytes: &[u8]) -> Result<(T, Vec<String>), Rejection> {
    let (body, unknown) = parse::<T>(bytes)?;
    Ok((body, refuse::<T>(unknown)?))
}

/// Reads an object. The log names what is ignored of it.
pub(crate) fn liberal<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Rejection> {
    let (body, unknown) = parse(bytes)?;
    unknown.note();
    Ok(body)
}

/// A body that says it is JSON, of at most `limit` bytes.
pub(crate) async fn json_bytes(request: Request, limit: usize) -> Result<Bytes, Rejection> {
    if !is_json(request.headers()) {
        return Err(Rejection::UnsupportedMediaType(BodyType::Json));
    }
    read(request.into_body(), limit).await
}

/// Reads a JSON object, and which of its fields `T` does not have. A byte order mark before it is ignored (RFC 8259 section 8.1): some clients' text writers put one there.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, Unknown), Rejection> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    // Unknown fields are passed over unread, and would hide bytes that are no text.
    let text = str::from_utf8(bytes)
        .map_err(|_| Rejection::MalformedBody("the body must be UTF-8 text".to_owned()))?;
    // An array would be taken for the object's fields in order.
    if !text.trim_start().starts_with('{') {
        return Err(Rejection::MalformedBody("the body must be a JSON object".to_owned()));
    }
    check_shape(bytes)?;
    unknown::read(text).map_err(|error| Rejection::MalformedBody(describe(&error)))
}

/// Refuses what would take far more memory to read than its bytes.
fn check_shape(json: &[u8]) -> Result<(), Rejection> {
    match judge_shape(json, MAX_PARTS, MAX_DEPTH) {
        Shape::Fits => Ok(()),
        Shape::TooMany => Err(Rejection::MalformedBody("the JSON holds too many values".to_owned())),
        Shape::TooDeep => Err(Rejection::MalformedBody("the JSON is nested too deeply".to_owned())),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Shape {
    Fits,
    TooMany,
    TooDeep,
}

/// Counts without reading. Up to the first mistake in the JSON, where reading ends, it sees the same strings as the reader.
fn judge_shape(json: &[u8], max_parts: usize, max_depth: usize) -> Shape {
    let (mut parts, mut depth) = (0_usize, 0_usize);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' => (parts, depth) = (parts + 1, depth + 1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' | b':' => parts += 1,
            _ => {}
        }
        if parts > max_parts {
            return Shape::TooMany;
        }
        if depth > max_depth {
            return Shape::TooDeep;
        }
    }
    Shape::Fits
}

/// Goes on after the string whose first quotation mark was met.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
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
        Category::Data => "the JSON has a duplicate, misplaced or unreadable field",
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
    fn a_byte_order_mark_is_no_part_of_the_json() {
        assert!(parse::<Value>(b"\xef\xbb\xbf{\"a\": 1}").is_ok());
        assert!(parse::<Value>(b"\xef\xbb\xbf\xef\xbb\xbf{}").is_err());
    }

    #[test]
    fn what_was_sent_is_not_quoted() {
        let Err(Rejection::MalformedBody(text)) = parse::<Value>(b"{\"password\": hunter2}") else {
            panic!("accepted");
        };
        assert!(!text.contains("hunter2"), "{text}");
    }

    #[test]
    fn signs_inside_of_strings_count_for_nothing() {
        let strings = br#"{"a[{,:": "[[[{{{,,,:::\\\"[[[", "b": "\\"}"#;
        assert_eq!(judge_shape(strings, 4, 1), Shape::Fits);
        assert_eq!(judge_shape(strings, 3, 1), Shape::TooMany);
    }

    #[test]
    fn a_body_of_many_values_is_refused_before_it_is_read() {
        for dense in ["{\"\":0},", "[],", "0,", "\"\",", "[[[]]],"] {
            let body = format!(r#"{{"a":[{}0]}}"#, dense.repeat(100_000));
            let Err(Rejection::MalformedBody(text)) = parse::<Value>(body.as_bytes()) else {
                panic!("{dense} was read");
            };
            assert_eq!(text, "the JSON holds too many values", "{dense}");
        }
        let deep = |depth: usize| format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth));
        assert!(parse::<Value>(deep(MAX_DEPTH - 1).as_bytes()).is_ok());
        assert!(parse::<Value>(deep(MAX_DEPTH).as_bytes()).is_err());
    }

    /// Values and keys, and depth, of a tree: counted by walking it.
    fn shape_of(value: &Value) -> (usize, usize) {
        let inner: Vec<(usize, usize)> = match value {
            Value::Array(items) => items.iter().map(shape_of).collect(),
            Value::Object(fields) => fields.values().map(shape_of).collect(),
            _ => return (0, 0),
        };
        let separators = inner.len().saturating_sub(1) + value.as_object().map_or(0, serde_json::Map::len);
        let parts: usize = inner.iter().map(|(parts, _)| parts).sum();
        let depth = inner.iter().map(|(_, depth)| *depth).max().unwrap_or(0);
        (1 + separators + parts, 1 + depth)
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "\\PC{0,8}|[\"\\\\\\[{,:\\]}]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 80, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("\\PC{0,4}|[\"\\\\:]{0,4}", inner, 0..6)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_body_is_refused_exactly_when_it_holds_more_than_it_may(value in json_value(), pretty in any::<bool>()) {
            let (parts, depth) = shape_of(&value);
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let text = text.unwrap();
            prop_assert_eq!(judge_shape(text.as_bytes(), parts, depth), Shape::Fits);
            if parts > 0 {
                prop_assert_eq!(judge_shape(text.as_bytes(), parts - 1, depth), Shape::TooMany);
                prop_assert_eq!(judge_shape(text.as_bytes(), parts, depth - 1), Shape::TooDeep);
            }
            if value.is_object() {
                prop_assert_eq!(parse::<Value>(text.as_bytes()).unwrap().0, value);
            }
        }

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

//! Request bodies as this contract's clients send them: section 1.

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::DeserializeOwned;

use super::error::Error;
use crate::wire::body::{is_json, parse, read};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// The fields of a body, whatever the method; an empty body and `null` have none.
///
/// Bodies of another type are refused unread: one of the clients sends compressed pickles, which nobody should unpack.
pub(super) struct Fields<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Fields<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        let headers = request.headers();
        let (typed, json) = (headers.contains_key(header::CONTENT_TYPE), is_json(headers));
        if typed && !json {
            return Err(Rejection::UnsupportedMediaType.into());
        }
        if !typed && !request.body().is_end_stream() {
            return Err(Rejection::UnsupportedMediaType.into());
        }
        let bytes = read(request.into_body(), app.http().max_body).await?;
        let bytes = bytes.trim_ascii();
        let fields = if bytes.is_empty() || bytes == b"null" { b"{}".as_slice() } else { bytes };
        Ok(Self(parse(fields)?))
    }
}

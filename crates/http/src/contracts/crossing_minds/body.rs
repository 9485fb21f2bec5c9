//! Request bodies as this contract's clients send them: section 1.

use axum::body::HttpBody;
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::DeserializeOwned;

use super::error::Error;
use crate::wire::body::{is_json, parse, read, small};
use crate::wire::rejection::{BodyType, Rejection};
use crate::wire::state::App;

/// The fields of a body of up to 64 KiB, whatever the method; an empty body and `null` have none.
///
/// Bodies of another type are refused unread: one of the clients sends compressed pickles, which are unsafe to unpack.
pub(super) struct Fields<T>(pub(super) T);

/// The same, of a body that may carry a free document and is as large as the operator allows.
pub(super) struct DocumentFields<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Fields<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        Ok(Self(fields(request, small(app)).await?))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for DocumentFields<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        Ok(Self(fields(request, app.http().max_body).await?))
    }
}

async fn fields<T: DeserializeOwned>(request: Request, limit: usize) -> Result<T, Rejection> {
    let headers = request.headers();
    let (typed, json) = (headers.contains_key(header::CONTENT_TYPE), is_json(headers));
    if typed && !json {
        return Err(Rejection::UnsupportedMediaType(BodyType::Json));
    }
    if !typed && !request.body().is_end_stream() {
        return Err(Rejection::UnsupportedMediaType(BodyType::Json));
    }
    let bytes = read(request.into_body(), limit).await?;
    let bytes = bytes.trim_ascii();
    parse(if bytes.is_empty() || bytes == b"null" { b"{}" } else { bytes })
}

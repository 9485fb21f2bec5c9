//! Request bodies as this contract's clients send them: section 1.

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, Request};
use axum::http::header;
use serde::de::DeserializeOwned;

use super::error::Error;
use crate::wire::body::{exact, is_json, liberal, read, small};
use crate::wire::rejection::{BodyType, Rejection};
use crate::wire::state::App;
use crate::wire::unknown::Exact;

/// The fields of a body of up to 64 KiB, whatever the method; an empty body and `null` have none.
///
/// Fields that are not known are ignored, and named in the log. Bodies of another type are refused unread: one of the clients
/// sends compressed pickles, which are unsafe to unpack.
pub(super) struct Fields<T>(pub(super) T);

/// The same, of a body that may carry a free document and is as large as the operator allows.
pub(super) struct DocumentFields<T>(pub(super) T);

/// The same of what makes or changes an account, or changes something else: all its fields are known. One that was ignored
/// would be believed to have changed something.
pub(super) struct ExactFields<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<App> for Fields<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        Ok(Self(liberal::<T>(&fields(request, small(app)).await?)?))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for DocumentFields<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        Ok(Self(liberal::<T>(&fields(request, app.http().max_body).await?)?))
    }
}

impl<T: Exact> FromRequest<App> for ExactFields<T> {
    type Rejection = Error;

    async fn from_request(request: Request, app: &App) -> Result<Self, Error> {
        Ok(Self(exact::<T>(&fields(request, app.http().max_body).await?)?.0))
    }
}

/// The text of an object.
async fn fields(request: Request, limit: usize) -> Result<Bytes, Rejection> {
    let headers = request.headers();
    let (typed, json) = (headers.contains_key(header::CONTENT_TYPE), is_json(headers));
    if typed && !json {
        return Err(Rejection::UnsupportedMediaType(BodyType::Json));
    }
    if !typed && !request.body().is_end_stream() {
        return Err(Rejection::UnsupportedMediaType(BodyType::Json));
    }
    let bytes = read(request.into_body(), limit).await?;
    let sent = bytes.trim_ascii();
    Ok(if sent.is_empty() || sent == b"null" { Bytes::from_static(b"{}") } else { bytes.slice_ref(sent) })
}

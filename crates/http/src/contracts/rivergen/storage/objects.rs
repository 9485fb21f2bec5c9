//! One object.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{OriginalUri, Path, Query, Request, State};
use axum::handler::Handler;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tidegate_domain::Permission;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, PlatformError};
use super::super::responses::{Envelope, envelope};
use super::files::unreadable;
use super::requests::LifeQuery;
use super::responses::{ObjectMetadata, RemovedObjectData, SignedUrlData};
use crate::wire::expiry::check_query;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

const METADATA: &str = "/metadata";
const PRESIGNED_URL: &str = "/presigned-url";

/// What is asked of an object: its name takes the rest of the path, up to what is asked at its end. The longest name counts.
pub(super) async fn read(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    request: Request,
) -> Response {
    if uri.path().ends_with(METADATA) {
        metadata.call(request, app).await
    } else if uri.path().ends_with(PRESIGNED_URL) {
        presigned_url.call(request, app).await
    } else {
        unknown.call(request, app).await
    }
}

/// A path that ends otherwise is that of an object itself, which is removed there and read by its signed URL.
async fn unknown(method: Method) -> Response {
    let refused = PlatformError::from(Rejection::MethodNotAllowed { method });
    ([(header::ALLOW, "DELETE")], refused).into_response()
}

/// The name of an object, without what is asked of it. What is no text names nothing: it is outside of every folder.
fn name_of(tail: Result<Path<String>, PathRejection>, asked: &str) -> String {
    let tail = tail.map(|Path(tail)| tail).unwrap_or_default();
    tail.strip_suffix(asked).map(str::to_owned).unwrap_or(tail)
}

/// What is known of one of the caller's objects.
#[utoipa::path(get, path = "/storage/objects/{object_name}/metadata", operation_id = "object_metadata", tag = "Storage",
    params(("object_name" = String, Path, description = "From a list; its slashes may be sent as they are")),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The object", body = Envelope<ObjectMetadata>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED; FORBIDDEN, also outside of the caller's folder", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
        (status = 500, description = "INTERNAL_SERVER_ERROR", body = ErrorBody),
    ))]
pub(super) async fn metadata(
    bearer: Bearer,
    State(app): State<App>,
    tail: Result<Path<String>, PathRejection>,
) -> Answer {
    let (actor, _) = bearer.permitted(Permission::ReadOwnFiles)?;
    let file = app.storage().find_file(&actor, &name_of(tail, METADATA)).await?;
    Ok(envelope(StatusCode::OK, ObjectMetadata::from(file), "File metadata retrieved successfully"))
}

/// A URL that answers one of the caller's objects without a token, until it expires or the object is removed.
#[utoipa::path(get, path = "/storage/objects/{object_name}/presigned-url", operation_id = "presigned_url", tag = "Storage",
    params(("object_name" = String, Path, description = "From a list; its slashes may be sent as they are"), LifeQuery),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "The URL", body = Envelope<SignedUrlData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED; FORBIDDEN, also outside of the caller's folder", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
        (status = 500, description = "INTERNAL_SERVER_ERROR", body = ErrorBody),
    ))]
pub(super) async fn presigned_url(
    bearer: Bearer,
    State(app): State<App>,
    tail: Result<Path<String>, PathRejection>,
    uri: Uri,
    query: Result<Query<LifeQuery>, QueryRejection>,
) -> Answer {
    let (actor, _) = bearer.permitted(Permission::ReadOwnFiles)?;
    check_query(&uri, "expires_seconds")?;
    let life = query.map_err(unreadable)?.0.read()?;
    let url = app.storage().sign_url(&actor, &name_of(tail, PRESIGNED_URL), life).await?;
    let data = SignedUrlData { url, expires_in_seconds: life.as_secs() };
    Ok(envelope(StatusCode::OK, data, "Presigned URL generated successfully"))
}

/// Removes one of the caller's objects, for good. Data sources that read it do not answer from then on; `warnings` names them.
#[utoipa::path(delete, path = "/storage/objects/{object_name}", operation_id = "remove_object", tag = "Storage",
    params(("object_name" = String, Path, description = "From a list; its slashes may be sent as they are")),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Removed", body = Envelope<RemovedObjectData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED; FORBIDDEN, also outside of the caller's folder", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
        (status = 500, description = "INTERNAL_SERVER_ERROR", body = ErrorBody),
    ))]
pub(super) async fn remove(
    bearer: Bearer,
    State(app): State<App>,
    tail: Result<Path<String>, PathRejection>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOwnFiles)?;
    let object_name = name_of(tail, "");
    let reading = app.storage().remove_file(&call, &actor, &object_name).await?;
    let data = RemovedObjectData::new(object_name, &reading);
    Ok(envelope(StatusCode::OK, data, "File deleted successfully"))
}

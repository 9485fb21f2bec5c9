//! Lists of files, objects and buckets.

use std::time::Duration;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use tidegate_domain::Permission;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, PlatformError};
use super::super::responses::{Envelope, envelope};
use super::requests::{FilesQuery, ObjectsQuery, USUAL_LIFE};
use super::responses::{BucketData, BucketsData, FileData, FilesData, FilesPagination, ObjectsData};
use crate::wire::fields::Violations;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// A query that cannot be read at all.
pub(super) fn unreadable(_: QueryRejection) -> PlatformError {
    Violations::of("query", "must be a valid query string").into()
}

/// The caller's files, the newest first.
#[utoipa::path(get, path = "/storage/files", operation_id = "list_files", tag = "Storage", params(FilesQuery),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of files", body = Envelope<FilesData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, FORBIDDEN", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
        (status = 500, description = "INTERNAL_SERVER_ERROR", body = ErrorBody),
    ))]
pub(super) async fn list(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<FilesQuery>, QueryRejection>,
) -> Answer {
    let (actor, _) = bearer.permitted(Permission::ReadOwnFiles)?;
    let asked = query.map_err(unreadable)?.0.read()?;
    let storage = app.storage();
    let page = storage.list_files(&actor, asked.category, asked.skip(), asked.size).await;
    let page = page.map_err(Rejection::from)?;
    let items = page.files.into_iter().map(|(file, data_source)| {
        let url = storage.url_of(&file, Duration::from_secs(USUAL_LIFE));
        FileData::of(file, url, data_source)
    });
    let data = FilesData {
        items: items.collect(),
        pagination: FilesPagination::of(asked.page, asked.size, page.total),
    };
    Ok(envelope(StatusCode::OK, data, "Files retrieved successfully"))
}

/// The caller's objects in a bucket, in the order in which they came.
#[utoipa::path(get, path = "/storage/buckets/{bucket_name}/objects", operation_id = "list_objects", tag = "Storage",
    params(("bucket_name" = String, Path, description = "From the list of buckets"), ObjectsQuery),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "Up to 10,000 objects", body = Envelope<ObjectsData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED; FORBIDDEN, also for another bucket and a prefix outside of the caller's folder", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
        (status = 500, description = "INTERNAL_SERVER_ERROR", body = ErrorBody),
    ))]
pub(super) async fn list_objects(
    bearer: Bearer,
    State(app): State<App>,
    bucket_name: Result<Path<String>, PathRejection>,
    query: Result<Query<ObjectsQuery>, QueryRejection>,
) -> Answer {
    let (actor, _) = bearer.permitted(Permission::ReadOwnFiles)?;
    let Query(query) = query.map_err(unreadable)?;
    let (recursive, after) = query.read()?;
    // A name that is no text is no bucket's.
    let bucket = bucket_name.map(|Path(name)| name).unwrap_or_default();
    let list = app.storage().list_objects(&actor, &bucket, query.prefix.as_deref(), recursive, after).await?;
    let data = ObjectsData::of(list, app.storage().objects().bucket());
    Ok(envelope(StatusCode::OK, data, "Objects retrieved successfully"))
}

/// The buckets: the one that is configured.
#[utoipa::path(get, path = "/storage/buckets", operation_id = "list_buckets", tag = "Storage", security(("bearer" = [])),
    responses(
        (status = 200, description = "One bucket", body = Envelope<BucketsData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, FORBIDDEN", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
        (status = 500, description = "INTERNAL_SERVER_ERROR", body = ErrorBody),
    ))]
pub(super) async fn list_buckets(bearer: Bearer, State(app): State<App>) -> Answer {
    let (actor, _) = bearer.permitted(Permission::ReadOwnFiles)?;
    let bucket = app.storage().bucket(&actor).await.map_err(Rejection::from)?;
    let bucket = BucketData { name: bucket.name, created_at: bucket.created_at.iso_seconds() };
    Ok(envelope(StatusCode::OK, BucketsData { buckets: vec![bucket] }, "Buckets retrieved successfully"))
}

//! Databases, and the anonymous sessions resolved in them.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Deserialize;

use tidegate_domain::Permission;

use super::body::{DocumentFields, ExactFields, Fields};
use super::error::{Error, ErrorBody};
use super::requests::{
    ChangeDatabaseBody, CreateDatabaseBody, ListResolvedBody, NoFields, ResolveSessionBody, page_of,
};
use super::responses::{Created, CurrentDatabase, DatabaseList, DatabaseStatus, Empty, ResolvedList};
use super::{Answer, Bearer};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Makes a database.
#[utoipa::path(post, path = "/databases", tag = "Databases", security(("bearer" = [])),
    request_body = CreateDatabaseBody, responses(
        (status = 200, description = "Made", body = Created),
        (status = 400, description = "DUPLICATED_DB_NAME, WRONG_DATA_TYPE, QUOTA_EXCEEDED", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
        ))]
pub(super) async fn create_database(
    bearer: Bearer,
    State(app): State<App>,
    DocumentFields(body): DocumentFields<CreateDatabaseBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageDatabases)?;
    let id = app.identity().create_database(&call, &actor, body.read()?).await?.opaque();
    Ok(Json(Created { id }).into_response())
}

#[derive(Deserialize)]
pub(super) struct PageQuery {
    amt: Option<String>,
    page: Option<String>,
}

/// Lists the organization's databases, oldest first.
#[utoipa::path(get, path = "/databases", tag = "Databases", security(("bearer" = [])),
    params(
        ("amt" = Option<i64>, Query, minimum = 1, maximum = 256, description = "How many, 1 to 256; 64 unless given"),
        ("page" = Option<i64>, Query, minimum = 1, maximum = 2147483647, description = "Which page, from 1"),
    ),
    responses(
        (status = 200, description = "A page of databases", body = DatabaseList),
        (status = 400, description = "WRONG_DATA_TYPE", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
        ))]
pub(super) async fn list_databases(
    bearer: Bearer,
    State(app): State<App>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Answer {
    let actor = bearer.actor;
    let Ok(Query(PageQuery { amt, page })) = query else {
        return Err(Error::wrong_data("WRONG_DATA_TYPE", "the query cannot be read"));
    };
    let (amt, number) = page_of(amt, page)?;
    let page = app.identity().list_databases(&actor, amt, number).await.map_err(Rejection::from)?;
    Ok(Json(DatabaseList::new(page, number)).into_response())
}

/// The database the token is bound to.
#[utoipa::path(get, path = "/databases/current", tag = "Databases", security(("bearer" = [])), responses(
    (status = 200, description = "The database", body = CurrentDatabase),
    (status = 400, description = "NO_DATABASE_SELECTED", body = ErrorBody),
    (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
    (status = 403, description = "INSUFFICIENT_ROLE: a token restricted to scopes", body = ErrorBody),
    (status = 404, description = "DATABASE_NOT_FOUND: deleted since", body = ErrorBody),
))]
pub(super) async fn current_database(bearer: Bearer, State(app): State<App>) -> Answer {
    let actor = bearer.actor;
    let (database, metadata) = app.identity().describe_database(&actor).await?;
    Ok(Json(CurrentDatabase::new(database, metadata, app.kernel().now())).into_response())
}

/// Changes the database the token is bound to.
#[utoipa::path(patch, path = "/databases/current", tag = "Databases", security(("bearer" = [])),
    request_body = ChangeDatabaseBody, responses(
        (status = 200, description = "Changed", body = Empty),
        (status = 400, description = "WRONG_DATA_TYPE, NO_DATABASE_SELECTED, QUOTA_EXCEEDED", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
        (status = 404, description = "DATABASE_NOT_FOUND: deleted since", body = ErrorBody),
        ))]
pub(super) async fn change_database(
    bearer: Bearer,
    State(app): State<App>,
    ExactFields(body): ExactFields<ChangeDatabaseBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ChangeBoundDatabase)?;
    app.identity().change_database(&call, &actor, body.read()?).await?;
    Ok(Json(Empty {}).into_response())
}

/// Deletes the database the token is bound to, with everything in it.
#[utoipa::path(delete, path = "/databases/current", tag = "Databases", security(("bearer" = [])), responses(
    (status = 204, description = "Deleted"),
    (status = 400, description = "WRONG_DATA_TYPE: a body that is not JSON; NO_DATABASE_SELECTED", body = ErrorBody),
    (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
    (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
    (status = 404, description = "DATABASE_NOT_FOUND: deleted since", body = ErrorBody),
))]
pub(super) async fn delete_database(
    bearer: Bearer,
    State(app): State<App>,
    _body: Fields<NoFields>,
) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    app.identity().delete_database(&call, &actor).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Whether the database the token is bound to is ready.
#[utoipa::path(get, path = "/databases/current/status", tag = "Databases", security(("bearer" = [])), responses(
    (status = 200, description = "The status of the database", body = DatabaseStatus),
    (status = 400, description = "NO_DATABASE_SELECTED", body = ErrorBody),
    (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
    (status = 403, description = "INSUFFICIENT_ROLE: a token restricted to scopes", body = ErrorBody),
    (status = 404, description = "DATABASE_NOT_FOUND: deleted since", body = ErrorBody),
))]
pub(super) async fn database_status(bearer: Bearer, State(app): State<App>) -> Answer {
    let actor = bearer.actor;
    let database = app.identity().current_database(&actor).await?;
    Ok(Json(DatabaseStatus::from(database.status(app.kernel().now()))).into_response())
}

/// Notes whose an anonymous session is; a repeat replaces what was noted. A frontend token speaks of its own alone.
#[utoipa::path(post, path = "/sessions/{session_id}/resolve", tag = "Databases", security(("bearer" = [])),
    params(("session_id" = String, Path, description = "Of the database's session_id_type; `~me` for the token's own")),
    request_body = ResolveSessionBody, responses(
        (status = 200, description = "Noted"),
        (status = 400, description = "WRONG_DATA_TYPE, NO_DATABASE_SELECTED, QUOTA_EXCEEDED", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
        (status = 404, description = "DATABASE_NOT_FOUND: deleted since", body = ErrorBody),
            (status = 503, description = "DATABASE_NOT_READY", body = ErrorBody),
    ))]
pub(super) async fn resolve_session(
    bearer: Bearer,
    State(app): State<App>,
    session: Result<Path<String>, PathRejection>,
    Fields(body): Fields<ResolveSessionBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ResolveOwnSession)?;
    let session = session.map(|Path(session)| session).unwrap_or_default();
    app.identity().resolve_session(&call, &actor, body.read(session)?).await?;
    Ok(StatusCode::OK.into_response())
}

/// Lists resolved sessions in the order of their identifiers.
#[utoipa::path(post, path = "/resolved-sessions", tag = "Databases", security(("bearer" = [])),
    request_body = ListResolvedBody, responses(
        (status = 200, description = "A page of resolved sessions", body = ResolvedList),
        (status = 400, description = "WRONG_DATA_TYPE, NO_DATABASE_SELECTED", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
        (status = 404, description = "DATABASE_NOT_FOUND: deleted since", body = ErrorBody),
            (status = 503, description = "DATABASE_NOT_READY", body = ErrorBody),
    ))]
pub(super) async fn list_resolved_sessions(
    bearer: Bearer,
    State(app): State<App>,
    Fields(body): Fields<ListResolvedBody>,
) -> Answer {
    let (actor, _) = bearer.permitted(Permission::ResolveSessions)?;
    let page = app.identity().list_resolved_sessions(&actor, body.read()?).await?;
    Ok(Json(ResolvedList::from(page)).into_response())
}

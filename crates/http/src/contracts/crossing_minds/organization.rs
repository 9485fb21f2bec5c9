//! The organization.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;

use tidegate_domain::Permission;

use super::body::ExactFields;
use super::error::ErrorBody;
use super::requests::ChangeOrganizationBody;
use super::responses::{Empty, Organization};
use super::{Answer, Bearer};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// The organization's free document.
#[utoipa::path(get, path = "/organizations/current", tag = "Organization", security(("bearer" = [])), responses(
    (status = 200, description = "The document", body = Organization),
    (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
    (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
))]
pub(super) async fn current_organization(bearer: Bearer, State(app): State<App>) -> Answer {
    let actor = bearer.actor;
    let metadata = app.identity().organization_metadata(&actor).await.map_err(Rejection::from)?;
    Ok(Json(Organization { metadata }).into_response())
}

/// Changes it.
#[utoipa::path(patch, path = "/organizations/current", tag = "Organization", security(("bearer" = [])),
    request_body = ChangeOrganizationBody, responses(
        (status = 200, description = "Changed", body = Empty),
        (status = 400, description = "WRONG_DATA_TYPE, QUOTA_EXCEEDED", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
        ))]
pub(super) async fn change_organization(
    bearer: Bearer,
    State(app): State<App>,
    ExactFields(body): ExactFields<ChangeOrganizationBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageOrganization)?;
    app.identity().change_organization_metadata(&call, &actor, body.read()?).await?;
    Ok(Json(Empty {}).into_response())
}

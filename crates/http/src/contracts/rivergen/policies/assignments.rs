//! Policies are assigned.

use axum::extract::State;
use axum::http::StatusCode;
use tidegate_domain::Permission;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, JsonBody};
use super::super::responses::{Envelope, envelope};
use super::error::{AssignmentPath, PolicyPath, number, numbers};
use super::requests::AssignPolicyBody;
use super::responses::{PolicyAssignmentData, RemovedAssignmentData};
use crate::wire::state::App;

/// Assigns a policy. All targets that are named must match; several assignments are alternatives. For admins.
#[utoipa::path(post, path = "/policies/{policy_id}/assignments", operation_id = "assign_policy", tag = "Policies",
    security(("bearer" = [])), params(("policy_id" = i64, Path, description = "`id` from the list")),
    request_body = AssignPolicyBody,
    responses(
        (status = 201, description = "Assigned", body = Envelope<PolicyAssignmentData>),
        (status = 400, description = "BAD_REQUEST: no target; a rule does not fit the data source; the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: the policy, or a target", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn assign(
    bearer: Bearer,
    State(app): State<App>,
    policy_id: PolicyPath,
    body: JsonBody<AssignPolicyBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePolicies)?;
    let number = number(policy_id)?;
    let new = body.0.read()?;
    let made = app.policies().assign_policy(&call, &actor, number, new).await?;
    Ok(envelope(StatusCode::CREATED, PolicyAssignmentData::from(&made), "Policy assigned successfully"))
}

/// Removes an assignment. Without its last one a policy holds in its workspace, or nowhere if it has none. For admins.
#[utoipa::path(delete, path = "/policies/{policy_id}/assignments/{assignment_id}", operation_id = "remove_policy_assignment", tag = "Policies",
    security(("bearer" = [])),
    params(("policy_id" = i64, Path, description = "`id` from the list"),
        ("assignment_id" = i64, Path, description = "`id` of the assignment")),
    responses(
        (status = 200, description = "Removed", body = Envelope<RemovedAssignmentData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn remove(bearer: Bearer, State(app): State<App>, path: AssignmentPath) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePolicies)?;
    let (policy_id, assignment_id) = numbers(path)?;
    let removed_at = app.policies().remove_assignment(&call, &actor, policy_id, assignment_id).await?;
    let data = RemovedAssignmentData { policy_id, assignment_id, deleted_at: removed_at.iso_seconds() };
    Ok(envelope(StatusCode::OK, data, "Policy assignment removed successfully"))
}

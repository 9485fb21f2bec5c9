//! Policies: made, read, changed, deleted.

use axum::extract::State;
use axum::http::StatusCode;
use tidegate_domain::Permission;

use super::super::error::ErrorBody;
use super::super::platform::{Answer, Bearer, JsonBody};
use super::super::responses::{Envelope, envelope};
use super::error::{PolicyPath, number};
use super::requests::{ChangePolicyBody, CreatePolicyBody};
use super::responses::{ChangedPolicyData, DeletedPolicyData, PolicyData};
use crate::wire::state::App;

/// Makes a policy. Its rules are checked against the tables they are about: what could not be enforced is refused. For admins.
#[utoipa::path(post, path = "/policies", operation_id = "create_policy", tag = "Policies",
    security(("bearer" = [])), request_body = CreatePolicyBody,
    responses(
        (status = 201, description = "Made", body = Envelope<PolicyData>),
        (status = 400, description = "BAD_REQUEST: a rule means nothing, is not of the policy's type, or does not fit its table; the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND: the workspace, or what it is to be assigned to", body = ErrorBody),
        (status = 409, description = "CONFLICT: the organization has as many as it may", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn create(
    bearer: Bearer,
    State(app): State<App>,
    body: JsonBody<CreatePolicyBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePolicies)?;
    let new = body.0.read()?;
    let made = app.policies().create_policy(&call, &actor, new).await?;
    Ok(envelope(StatusCode::CREATED, PolicyData::from(&made), "Policy created successfully"))
}

/// One policy. For admins.
#[utoipa::path(get, path = "/policies/{policy_id}", operation_id = "read_policy", tag = "Policies",
    security(("bearer" = [])), params(("policy_id" = i64, Path, description = "`id` from the list")),
    responses(
        (status = 200, description = "The policy", body = Envelope<PolicyData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn read(bearer: Bearer, State(app): State<App>, policy_id: PolicyPath) -> Answer {
    let number = number(policy_id)?;
    let found = app.policies().read_policy(&bearer.actor, number).await?;
    Ok(envelope(StatusCode::OK, PolicyData::from(&found), "Policy retrieved successfully"))
}

/// Changes a policy. Rules that are sent take the place of all its rules. For admins.
#[utoipa::path(patch, path = "/policies/{policy_id}", operation_id = "change_policy", tag = "Policies",
    security(("bearer" = [])), params(("policy_id" = i64, Path, description = "`id` from the list")),
    request_body = ChangePolicyBody,
    responses(
        (status = 200, description = "Changed", body = Envelope<ChangedPolicyData>),
        (status = 400, description = "BAD_REQUEST: a rule means nothing, is not of the policy's type, or does not fit its table; the body is no JSON object", body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn change(
    bearer: Bearer,
    State(app): State<App>,
    policy_id: PolicyPath,
    body: JsonBody<ChangePolicyBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePolicies)?;
    let number = number(policy_id)?;
    let (body, ignored) = body.with_ignored();
    let change = body.read()?;
    let mut changed = app.policies().change_policy(&call, &actor, number, change).await?;
    let told = ignored.iter().map(|name| format!("{name} cannot be changed here and was ignored"));
    changed.warnings.splice(0..0, told);
    Ok(envelope(StatusCode::OK, ChangedPolicyData::from(&changed), "Policy updated successfully"))
}

/// Deletes a policy. It holds no longer, at once. For admins.
#[utoipa::path(delete, path = "/policies/{policy_id}", operation_id = "delete_policy", tag = "Policies",
    security(("bearer" = [])), params(("policy_id" = i64, Path, description = "`id` from the list")),
    responses(
        (status = 200, description = "Deleted", body = Envelope<DeletedPolicyData>),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "FORBIDDEN, EMAIL_NOT_VERIFIED", body = ErrorBody),
        (status = 404, description = "NOT_FOUND", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
        (status = 429, description = "TOO_MANY_REQUESTS", body = ErrorBody),
    ))]
pub(super) async fn delete(bearer: Bearer, State(app): State<App>, policy_id: PolicyPath) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePolicies)?;
    let number = number(policy_id)?;
    let deleted_at = app.policies().delete_policy(&call, &actor, number).await?;
    let data = DeletedPolicyData { policy_id: number, deleted_at: deleted_at.iso_seconds() };
    Ok(envelope(StatusCode::OK, data, "Policy deleted successfully"))
}

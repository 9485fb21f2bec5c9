//! For frontends with a consent page of their own.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use serde::Deserialize;
use tidegate_domain::Permission;
use tidegate_kernel::Refused;
use tidegate_oauth::applications::{MadeBy, origin};
use tidegate_oauth::authorize::RequestRefused;
use utoipa::IntoParams;

use super::super::error::ErrorBody;
use super::super::responses::{Envelope, envelope};
use super::super::{Answer, Bearer, Caller, Error, LiberalBody};
use super::requests::AuthorizeBody;
use super::responses::{AppInfoData, RedirectData};
use crate::oauth::answered;
use crate::wire::fields::{Check, Violations};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// What an organization is called whose name its founder chose: the address of its owner is not for everybody who asks.
const UNNAMED: &str = "an organization";

/// Which application is asked about.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct AppInfoQuery {
    /// The application.
    #[param(value_type = String, required = true, min_length = 1)]
    client_id: Option<String>,
    /// One of its redirect URIs.
    #[param(value_type = String, required = true, min_length = 1)]
    redirect_uri: Option<String>,
    /// What it asks for, separated by spaces.
    #[param(value_type = Option<String>, min_length = 0, max_length = 2048)]
    scope: Option<String>,
}

/// Who an application is, for a consent page.
#[utoipa::path(get, path = "/oauth/app-info", operation_id = "app_info", tag = "OAuth", params(AppInfoQuery), responses(
    (status = 200, description = "The application", body = Envelope<AppInfoData>),
    (status = 400, description = "invalid_client, invalid_redirect_uri, invalid_scope", body = ErrorBody),
    (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
))]
pub(super) async fn app_info(
    caller: Caller,
    State(app): State<App>,
    query: Result<Query<AppInfoQuery>, QueryRejection>,
) -> Answer {
    let Query(query) = query.map_err(|_| Violations::of("query", "must be a valid query string"))?;
    let mut check = Check::new();
    let mut required = |name: &'static str, value: Option<String>| match value {
        Some(value) if !value.is_empty() => Some(value),
        _ => check.violated(name, "is required"),
    };
    let client_id = required("client_id", query.client_id);
    let redirect_uri = required("redirect_uri", query.redirect_uri);
    let (client_id, redirect_uri) = check.finish(client_id.zip(redirect_uri))?;
    let scope = query.scope.filter(|scope| !scope.is_empty());
    let introduction = app.oauth().introduce(&caller, &client_id, &redirect_uri, scope.as_deref()).await?;
    let organization = match introduction.application.made_by() {
        MadeBy::Organization(organization) => {
            let label = app.identity().organization_label(organization).await;
            let label = label.map_err(|fault| Error::from(Rejection::from(fault)))?;
            label.name.unwrap_or_else(|| UNNAMED.to_owned())
        }
        MadeBy::Itself { address } => origin(address),
    };
    let data = AppInfoData::new(&introduction, organization);
    Ok(envelope(StatusCode::OK, data, "Application retrieved."))
}

/// Gives an application access, or refuses it, and answers where to send the browser.
#[utoipa::path(post, path = "/oauth/authorize", operation_id = "authorize_application", tag = "OAuth", security(("bearer" = [])),
    request_body = AuthorizeBody,
    responses(
        (status = 200, description = "Where to send the browser: with a code, or with the error `access_denied`",
            body = Envelope<RedirectData>),
        (status = 400, description = "invalid_client, invalid_redirect_uri, invalid_request, invalid_scope, invalid_target, unauthorized_client",
            body = ErrorBody),
        (status = 401, description = "UNAUTHORIZED", body = ErrorBody),
        (status = 403, description = "EMAIL_NOT_VERIFIED, PERMISSION_DENIED, STEP_UP_REQUIRED", body = ErrorBody),
        (status = 422, description = "VALIDATION_ERROR", body = ErrorBody),
    ))]
pub(super) async fn authorize(
    bearer: Bearer,
    State(app): State<App>,
    body: LiberalBody<AuthorizeBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::AuthorizeApplications)?;
    let (parameters, is_approved) = body.0.read()?;
    let request = app.oauth().authorization_request_by(&call, &actor, parameters).await.map_err(
        |refused| match refused {
            Refused::Rule(RequestRefused::Shown(error)) => error.into(),
            // The frontend shows it: it is the frontend that made the request.
            Refused::Rule(RequestRefused::SentBack(back)) => back.error.into(),
            Refused::Fault(fault) => Error::from(Rejection::from(fault)),
        },
    )?;
    let answered = answered(&app, &call, &actor, &request, is_approved).await;
    let answer = answered.map_err(|refused| match refused {
        Refused::Rule(error) => Error::from(error),
        Refused::Fault(fault) => Error::from(Rejection::from(fault)),
    })?;
    let message = if is_approved { "Access was given." } else { "Access was refused." };
    Ok(envelope(StatusCode::OK, RedirectData { redirect_url: answer.location() }, message))
}

//! The brokerage account.

use axum::Json;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use serde_json::{Map, Value};
use tidegate_domain::Role;

use super::error::ErrorBody;
use super::requests::described::{ApplicationBody, KycForm};
use super::requests::{application, kyc};
use super::responses::{Accepted, Created, Profile};
use super::{Answer, Bearer, Error};
use crate::body::json;
use crate::rejection::Rejection;
use crate::state::App;

/// Largest application, with the documents inside it: 15 MiB.
const LARGEST: usize = 15 * 1024 * 1024;

/// Opens the person's brokerage account.
///
/// Where a single value, agreement or document stands in place of a list, it is a list of one; nulls and empty strings are
/// nothing. The phone must be the one signed in with.
#[utoipa::path(post, path = "/account/create", tag = "Account", security(("bearer" = [])),
    request_body = ApplicationBody, responses(
    (status = 200, description = "Opened; its status is `new`", body = Created),
    (status = 401, description = "No, an unknown or a revoked token", body = ErrorBody),
    (status = 403, description = "A restricted token", body = ErrorBody),
    (status = 409, description = "This person has an account, or another one has its e-mail address", body = ErrorBody),
    (status = 422, description = "Fields are missing or invalid, here or at the broker", body = ErrorBody),
    (status = 429, description = "Too many requests", body = ErrorBody),
    (status = 502, description = "The broker refuses for another reason", body = ErrorBody),
    (status = 503, description = "The broker cannot be reached, or has not settled an earlier application", body = ErrorBody),
))]
pub(super) async fn create(bearer: Bearer, State(app): State<App>, request: Request) -> Answer {
    let (actor, call) = bearer.require(Role::Viewer)?;
    let body: Map<String, Value> = json(request, LARGEST).await.map_err(Error::from)?;
    let phone = app.trader(&actor).await.map_err(Error::fault)?.phone;
    let applicant =
        application::Caller { phone: phone.as_ref(), phone_rule: &app.settings().phones, now: app.now() };
    let application = application::application(body, &applicant)?;
    let trader = app.identity().open_brokerage_account(&call, &actor, application).await?;
    Ok(Json(Created { data: trader.into(), status: true }).into_response())
}

/// Submits documents for the person's brokerage account, one or several: `documents[0][document]` and so on.
#[utoipa::path(post, path = "/account/kyc", tag = "Account", security(("bearer" = [])),
    request_body(content = KycForm, content_type = "multipart/form-data"), responses(
    (status = 200, description = "Accepted", body = Accepted),
    (status = 401, description = "No, an unknown or a revoked token", body = ErrorBody),
    (status = 403, description = "A restricted token", body = ErrorBody),
    (status = 404, description = "There is no brokerage account yet", body = ErrorBody),
    (status = 413, description = "A document of more than 10 MB", body = ErrorBody),
    (status = 422, description = "Fields are missing or invalid, here or at the broker", body = ErrorBody),
    (status = 429, description = "Too many requests", body = ErrorBody),
    (status = 502, description = "The broker refuses for another reason", body = ErrorBody),
    (status = 503, description = "The broker cannot be reached", body = ErrorBody),
))]
pub(super) async fn kyc(bearer: Bearer, State(app): State<App>, request: Request) -> Answer {
    submit(bearer, app, request).await
}

/// The same, with the verb that was once published. A request without a form is refused.
#[utoipa::path(get, path = "/account/kyc", tag = "Account", security(("bearer" = [])), responses(
    (status = 200, description = "Accepted", body = Accepted),
    (status = 401, description = "No, an unknown or a revoked token", body = ErrorBody),
    (status = 403, description = "A restricted token", body = ErrorBody),
    (status = 404, description = "There is no brokerage account yet", body = ErrorBody),
    (status = 413, description = "A document of more than 10 MB", body = ErrorBody),
    (status = 422, description = "No form; or fields are missing or invalid, here or at the broker", body = ErrorBody),
    (status = 429, description = "Too many requests", body = ErrorBody),
    (status = 502, description = "The broker refuses for another reason", body = ErrorBody),
    (status = 503, description = "The broker cannot be reached", body = ErrorBody),
))]
pub(super) async fn kyc_by_get(bearer: Bearer, State(app): State<App>, request: Request) -> Answer {
    submit(bearer, app, request).await
}

async fn submit(bearer: Bearer, app: App, request: Request) -> Answer {
    let (actor, call) = bearer.require(Role::Viewer)?;
    let documents = match kyc::documents(request).await {
        Err(Rejection::UnsupportedMediaType) => {
            return Err(Error::field("document", "Send the documents as multipart/form-data"));
        }
        documents => documents.map_err(Error::from)?,
    };
    let trader = app.submit_documents(&call, &actor, &documents).await?;
    Ok(Json(Accepted { data: trader.into(), message: "trader account kyc accepted", status: true })
        .into_response())
}

/// The person's brokerage account as the broker tells of it, with its balance. No tax number.
#[utoipa::path(get, path = "/account/profile", tag = "Account", security(("bearer" = [])), responses(
    (status = 200, description = "The account", body = Profile),
    (status = 401, description = "No, an unknown or a revoked token", body = ErrorBody),
    (status = 403, description = "A restricted token", body = ErrorBody),
    (status = 404, description = "There is no brokerage account yet", body = ErrorBody),
    (status = 429, description = "Too many requests", body = ErrorBody),
    (status = 502, description = "The broker refuses for another reason", body = ErrorBody),
    (status = 503, description = "The broker cannot be reached", body = ErrorBody),
))]
pub(super) async fn profile(bearer: Bearer, State(app): State<App>) -> Answer {
    let (actor, _) = bearer.require(Role::Viewer)?;
    let data = app.brokerage_profile(&actor).await?;
    Ok(Json(Profile { data, sandbox: app.broker_is_sandbox(), status: true }).into_response())
}

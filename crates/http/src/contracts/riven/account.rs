//! The brokerage account.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::response::IntoResponse;
use serde_json::{Map, Value};
use tidegate_brokerage::failure::Application;
use tidegate_domain::document::has_exact_numbers;
use tidegate_domain::{Permission, PhoneNumber};
use tidegate_kernel::Actor;

use super::error::ErrorBody;
use super::profile::shape;
use super::requests::described::{ApplicationBody, KycForm};
use super::requests::{application, kyc};
use super::responses::{Accepted, Created, Profile};
use super::{Answer, Bearer, Error};
use crate::wire::body::{json_bytes, parse};
use crate::wire::client::check_limit;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;
use crate::wire::upload::allow_slow_upload;

/// Largest application, with the documents inside it: 15 MiB.
const LARGEST: usize = 15 * 1024 * 1024;

/// Refuses a caller without that permission, and one who has the broker work too often.
fn may_ask_broker(app: &App, actor: &Actor, permission: Permission) -> Result<(), Error> {
    let status = app.brokerage().meter_brokerage(actor, permission).map_err(Rejection::from)?;
    status.map_or(Ok(()), |status| Ok(check_limit(app, status)?))
}

/// Opens the person's brokerage account.
///
/// A single value, agreement or document in place of a list is a list of one; nulls and empty strings are
/// nothing. The phone must be the one signed in with.
#[utoipa::path(post, path = "/account/create", tag = "Account", security(("bearer" = [])),
    request_body = ApplicationBody, responses(
    (status = 200, description = "Opened; its status is `new`", body = Created),
    (status = 401, description = "No, an unknown or a revoked token", body = ErrorBody),
    (status = 403, description = "A restricted token", body = ErrorBody),
    (status = 409, description = "This person has an account, or another one has its e-mail address", body = ErrorBody),
    (status = 413, description = "More than 15 MiB", body = ErrorBody),
    (status = 415, description = "No JSON", body = ErrorBody),
    (status = 422, description = "Fields are missing or invalid, here or at the broker", body = ErrorBody),
    (status = 502, description = "The broker refuses for another reason", body = ErrorBody),
    (status = 503, description = "The broker cannot be reached, or has not settled an earlier application", body = ErrorBody),
))]
pub(super) async fn create(bearer: Bearer, State(app): State<App>, request: Request) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    may_ask_broker(&app, &actor, Permission::OpenBrokerageAccount)?;
    let customer = app.brokerage().may_open_brokerage_account(&actor).await?;
    allow_slow_upload(&request);
    let body = json_bytes(request, LARGEST).await?;
    let application = read_application(&app, customer.phone, body).await?;
    let customer = app.brokerage().open_brokerage_account(&call, &actor, application).await?;
    Ok(Json(Created { data: customer.into(), status: true }).into_response())
}

/// Reads an application where that does not keep other requests waiting: it may hold megabytes.
async fn read_application(app: &App, phone: Option<PhoneNumber>, body: Bytes) -> Result<Application, Error> {
    let (phone_rule, now) = (app.kernel().settings().phones.clone(), app.kernel().now());
    let operator_fields = app.kernel().settings().forwarded_broker_fields.clone();
    let reading = tokio::task::spawn_blocking(move || {
        // A map has all fields: which of them the broker is sent is decided below.
        let (fields, _) = parse::<Map<String, Value>>(&body)?;
        // The broker would get other numbers than were sent.
        if !str::from_utf8(&body).is_ok_and(has_exact_numbers) {
            let text = "the JSON holds a number of more digits than can be kept exactly: send it as a string";
            return Err(Rejection::MalformedBody(text.to_owned()).into());
        }
        drop(body);
        let applicant = application::Caller {
            phone: phone.as_ref(),
            phone_rule: &phone_rule,
            now,
            operator_fields: &operator_fields,
        };
        Ok(application::application(fields, &applicant)?)
    });
    reading.await.unwrap_or_else(|error| {
        tracing::error!(%error, "reading an application failed; this is a defect");
        Err(Rejection::Internal.into())
    })
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
    (status = 502, description = "The broker refuses for another reason", body = ErrorBody),
    (status = 503, description = "The broker cannot be reached", body = ErrorBody),
))]
pub(super) async fn kyc_by_get(bearer: Bearer, State(app): State<App>, request: Request) -> Answer {
    submit(bearer, app, request).await
}

async fn submit(bearer: Bearer, app: App, request: Request) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    may_ask_broker(&app, &actor, Permission::SubmitBrokerageDocuments)?;
    app.brokerage().may_submit_documents(&actor).await?;
    allow_slow_upload(&request);
    let documents = match kyc::documents(request).await {
        Err(Rejection::UnsupportedMediaType(_)) => {
            return Err(Error::field("document", "Send the documents as multipart/form-data"));
        }
        documents => documents.map_err(Error::from)?,
    };
    let customer = app.brokerage().submit_documents(&call, &actor, documents).await?;
    Ok(Json(Accepted { data: customer.into(), message: "trader account kyc accepted", status: true })
        .into_response())
}

/// The caller's brokerage account as the broker reports it, with its balance. No tax number.
#[utoipa::path(get, path = "/account/profile", tag = "Account", security(("bearer" = [])), responses(
    (status = 200, description = "The account", body = Profile),
    (status = 401, description = "No, an unknown or a revoked token", body = ErrorBody),
    (status = 403, description = "A restricted token", body = ErrorBody),
    (status = 404, description = "There is no brokerage account yet", body = ErrorBody),
    (status = 502, description = "The broker refuses for another reason", body = ErrorBody),
    (status = 503, description = "The broker cannot be reached", body = ErrorBody),
))]
pub(super) async fn profile(bearer: Bearer, State(app): State<App>) -> Answer {
    let actor = bearer.actor;
    may_ask_broker(&app, &actor, Permission::ReadBrokerageAccount)?;
    let data = shape(app.brokerage().brokerage_profile(&actor).await?);
    Ok(Json(Profile { data, sandbox: app.brokerage().broker_is_sandbox(), status: true }).into_response())
}

//! Accounts: listed, made, changed, deleted, verified; and the keys of programs.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::IntoResponse;
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use tidegate_domain::Permission;
use tidegate_domain::id::ServiceKeyId;
use tidegate_identity::accounts::list_accounts::{Accounts, Cursor};
use tidegate_kernel::{Actor, Fault};

use super::body::{ExactFields, Fields};
use super::error::{Error, ErrorBody};
use super::requests::{
    ChangeIndividualBody, ChangeServiceBody, CreateIndividualBody, CreateServiceBody, CreateServiceKeyBody,
    EmailBody, NoFields, ResetPasswordBody, SendResetMailBody, ServiceNameBody, VerifyBody,
};
use super::responses::{
    AccountList, Created, CreatedKey, Empty, IndividualAccount, ServiceAccount, Verified,
};
use super::{Answer, Bearer, Caller};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Lists all members of the organization.
#[utoipa::path(get, path = "/organizations/current/accounts", tag = "Accounts", security(("bearer" = [])), responses(
    (status = 200, description = "All accounts", body = AccountList),
    (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
    (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
))]
pub(super) async fn list_current_accounts(bearer: Bearer, State(app): State<App>) -> Answer {
    let actor = bearer.actor;
    written(app, actor).await
}

/// The same, at another path.
#[utoipa::path(get, path = "/organizations/accounts", tag = "Accounts", security(("bearer" = [])), responses(
    (status = 200, description = "All accounts", body = AccountList),
    (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
    (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
))]
pub(super) async fn list_accounts(bearer: Bearer, State(app): State<App>) -> Answer {
    let actor = bearer.actor;
    written(app, actor).await
}

/// The part of a listing that is being written.
enum Part {
    Individuals(Option<Cursor>),
    Services(Option<Cursor>),
    End,
}

/// Writes the accounts page by page: an organization may have more than should be held at once.
async fn written(app: App, actor: Actor) -> Answer {
    // The first page comes before the status: most of what can go wrong still gets a right one.
    let (first, next) = part(&app, &actor, Part::Individuals(None)).await.map_err(Rejection::from)?;
    let first = [b"{\"individual_accounts\":[".as_slice(), &first].concat();
    let rest = rest(app, actor, next);
    let body = futures_util::StreamExt::chain(stream::iter([Ok(Bytes::from(first))]), rest);
    let json = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    Ok((json, Body::from_stream(body)).into_response())
}

fn rest(app: App, actor: Actor, next: Part) -> impl Stream<Item = Result<Bytes, Fault>> {
    stream::try_unfold((app, actor, next), async |(app, actor, at)| {
        if matches!(at, Part::End) {
            return Ok(None);
        }
        let (bytes, next) = part(&app, &actor, at).await.inspect_err(|error| {
            tracing::error!(%error, "a listing broke off half-way");
        })?;
        Ok(Some((Bytes::from(bytes), (app, actor, next))))
    })
}

async fn part(app: &App, actor: &Actor, at: Part) -> Result<(Vec<u8>, Part), Fault> {
    match at {
        Part::Individuals(from) => {
            let Accounts { accounts, next } = app.identity().list_individuals(actor, from).await?;
            let mut bytes = items(accounts.into_iter().map(IndividualAccount::from), from.is_some())?;
            let next = match next {
                Some(next) => Part::Individuals(Some(next)),
                None => {
                    bytes.extend_from_slice(b"],\"service_accounts\":[");
                    Part::Services(None)
                }
            };
            Ok((bytes, next))
        }
        Part::Services(from) => {
            let (Accounts { accounts, next }, now) =
                (app.identity().list_programs(actor, from).await?, app.kernel().now());
            let accounts = accounts.into_iter().map(|program| ServiceAccount::new(program, now));
            let mut bytes = items(accounts, from.is_some())?;
            let next = match next {
                Some(next) => Part::Services(Some(next)),
                None => {
                    bytes.extend_from_slice(b"],\"warnings\":[]}");
                    Part::End
                }
            };
            Ok((bytes, next))
        }
        Part::End => Ok((Vec::new(), Part::End)),
    }
}

/// Bytes that most accounts take: what is written of a page grows less often so.
const MOST_ACCOUNTS: usize = 256;

/// Items of an array, which `goes_on` where others were written before.
fn items<T: Serialize>(items: impl ExactSizeIterator<Item = T>, goes_on: bool) -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::with_capacity(items.len() * MOST_ACCOUNTS);
    for (index, item) in items.enumerate() {
        if goes_on || index > 0 {
            bytes.push(b',');
        }
        serde_json::to_writer(&mut bytes, &item)?;
    }
    Ok(bytes)
}

/// Makes a person's account. They are mailed a code to verify their address or, without a password, a link to choose one.
#[utoipa::path(post, path = "/accounts/individual", tag = "Accounts", security(("bearer" = [])),
    request_body = CreateIndividualBody, responses(
        (status = 200, description = "Made", body = Created),
        (status = 400, description = "DUPLICATED_ACCOUNT, WRONG_DATA_TYPE, QUOTA_EXCEEDED", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
            (status = 503, description = "SERVER_UNAVAILABLE: no mail can be sent", body = ErrorBody),
    ))]
pub(super) async fn create_individual(
    bearer: Bearer,
    State(app): State<App>,
    ExactFields(body): ExactFields<CreateIndividualBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageMembers)?;
    let claim = body.read(&call.profile.password)?;
    let id = app.identity().create_individual(&call, &actor, claim).await?.opaque();
    Ok(Json(Created { id }).into_response())
}

/// Changes a person's account. A new password ends its sessions.
#[utoipa::path(patch, path = "/accounts/individual", tag = "Accounts", security(("bearer" = [])),
    request_body = ChangeIndividualBody, responses(
        (status = 200, description = "Changed", body = Empty),
        (status = 400, description = "WRONG_DATA_TYPE, QUOTA_EXCEEDED", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE; INCORRECT_ACCOUNT: the owner's", body = ErrorBody),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ErrorBody),
        ))]
pub(super) async fn change_individual(
    bearer: Bearer,
    State(app): State<App>,
    ExactFields(body): ExactFields<ChangeIndividualBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageMembers)?;
    let (login, change) = body.read(&call.profile.password)?;
    app.identity().change_account(&call, &actor, &login, change).await?;
    Ok(Json(Empty {}).into_response())
}

/// Deletes a person's account and ends its sessions.
#[utoipa::path(delete, path = "/accounts/individual", tag = "Accounts", security(("bearer" = [])),
    request_body = EmailBody, responses(
        (status = 204, description = "Deleted"),
        (status = 400, description = "WRONG_DATA_TYPE", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE; INCORRECT_ACCOUNT: the owner's", body = ErrorBody),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ErrorBody),
        ))]
pub(super) async fn delete_individual(
    bearer: Bearer,
    State(app): State<App>,
    Fields(body): Fields<EmailBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageMembers)?;
    app.identity().delete_account(&call, &actor, &body.read()?.into()).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Makes a program's account.
#[utoipa::path(post, path = "/accounts/service", tag = "Accounts", security(("bearer" = [])),
    request_body = CreateServiceBody, responses(
        (status = 200, description = "Made", body = Created),
        (status = 400, description = "DUPLICATED_ACCOUNT, WRONG_DATA_TYPE, QUOTA_EXCEEDED", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
        ))]
pub(super) async fn create_service(
    bearer: Bearer,
    State(app): State<App>,
    ExactFields(body): ExactFields<CreateServiceBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePrograms)?;
    let claim = body.read(&call.profile)?;
    let id = app.identity().create_program(&call, &actor, claim).await?.opaque();
    Ok(Json(Created { id }).into_response())
}

/// Changes a program's account. A new password ends its sessions.
#[utoipa::path(patch, path = "/accounts/service", tag = "Accounts", security(("bearer" = [])),
    request_body = ChangeServiceBody, responses(
        (status = 200, description = "Changed", body = Empty),
        (status = 400, description = "WRONG_DATA_TYPE, QUOTA_EXCEEDED", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ErrorBody),
        ))]
pub(super) async fn change_service(
    bearer: Bearer,
    State(app): State<App>,
    ExactFields(body): ExactFields<ChangeServiceBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePrograms)?;
    let (login, change) = body.read(&call.profile)?;
    app.identity().change_account(&call, &actor, &login, change).await?;
    Ok(Json(Empty {}).into_response())
}

/// Deletes a program's account with its keys and ends its sessions.
#[utoipa::path(delete, path = "/accounts/service", tag = "Accounts", security(("bearer" = [])),
    request_body = ServiceNameBody, responses(
        (status = 204, description = "Deleted"),
        (status = 400, description = "WRONG_DATA_TYPE", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ErrorBody),
        ))]
pub(super) async fn delete_service(
    bearer: Bearer,
    State(app): State<App>,
    Fields(body): Fields<ServiceNameBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManagePrograms)?;
    app.identity().delete_account(&call, &actor, &body.read()?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Deletes the account the token is of. Not the owner's, and not with a token that speaks for an end user.
#[utoipa::path(delete, path = "/accounts", tag = "Accounts", security(("bearer" = [])), responses(
    (status = 204, description = "Deleted"),
    (status = 400, description = "WRONG_DATA_TYPE: a body that is not JSON", body = ErrorBody),
    (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
    (status = 403, description = "INSUFFICIENT_ROLE; INCORRECT_ACCOUNT: the owner's", body = ErrorBody),
))]
pub(super) async fn delete_own_account(
    bearer: Bearer,
    State(app): State<App>,
    _body: Fields<NoFields>,
) -> Answer {
    let Bearer { actor, call, .. } = bearer;
    app.identity().delete_own_account(&call, &actor).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Makes a key with which a program signs in.
#[utoipa::path(post, path = "/accounts/service/keys", tag = "Accounts", security(("bearer" = [])),
    request_body = CreateServiceKeyBody, responses(
        (status = 200, description = "Made", body = CreatedKey),
        (status = 400, description = "WRONG_DATA_TYPE, QUOTA_EXCEEDED", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ErrorBody),
        ))]
pub(super) async fn create_service_key(
    bearer: Bearer,
    State(app): State<App>,
    ExactFields(body): ExactFields<CreateServiceKeyBody>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageProgramKeys)?;
    let claim = body.read()?;
    let (key, text) = app.identity().create_service_key(&call, &actor, claim).await?;
    Ok(Json(CreatedKey::new(key, &text)).into_response())
}

/// Deletes a program's key, and ends the sessions it opened.
#[utoipa::path(delete, path = "/accounts/service/keys/{key_id}", tag = "Accounts", security(("bearer" = [])),
    params(("key_id" = String, Path, description = "From when it was made, or from the list of accounts")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 400, description = "WRONG_DATA_TYPE: a body that is not JSON", body = ErrorBody),
        (status = 401, description = "INCORRECT_JWT_TOKEN, ACCOUNT_NOT_VERIFIED", body = ErrorBody),
        (status = 403, description = "INSUFFICIENT_ROLE", body = ErrorBody),
        (status = 404, description = "KEY_NOT_FOUND", body = ErrorBody),
        ))]
pub(super) async fn delete_service_key(
    bearer: Bearer,
    State(app): State<App>,
    key: Result<Path<String>, axum::extract::rejection::PathRejection>,
    _body: Fields<NoFields>,
) -> Answer {
    let (actor, call) = bearer.permitted(Permission::ManageProgramKeys)?;
    let text = key.map(|Path(text)| text).unwrap_or_default();
    let Some(id) = ServiceKeyId::from_opaque(&text) else {
        return Err(Error::key_not_found(&text));
    };
    app.identity().delete_service_key(&call, &actor, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Mails a new verification code; the one before no longer works.
#[utoipa::path(put, path = "/accounts/resend-verification-code", tag = "Verification", request_body = EmailBody,
    responses(
        (status = 200, description = "Mailed"),
        (status = 400, description = "WRONG_DATA_TYPE", body = ErrorBody),
        (status = 401, description = "ACCOUNT_ALREADY_VERIFIED", body = ErrorBody),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ErrorBody),
            (status = 503, description = "SERVER_UNAVAILABLE: no mail can be sent", body = ErrorBody),
    ))]
pub(super) async fn resend_verification_code(
    caller: Caller,
    State(app): State<App>,
    Fields(body): Fields<EmailBody>,
) -> Answer {
    app.identity().resend_activation(&caller, &body.read()?).await?;
    Ok(StatusCode::OK.into_response())
}

/// Verifies an address by the code that was mailed there.
#[utoipa::path(post, path = "/accounts/verify", tag = "Verification", request_body = VerifyBody, responses(
    (status = 200, description = "Verified", body = Verified),
    (status = 400, description = "WRONG_DATA_TYPE", body = ErrorBody),
    (status = 401, description = "ACTIVATION_CODE_DOES_NOT_MATCH", body = ErrorBody),
    (status = 404, description = "ACCOUNT_NOT_FOUND", body = ErrorBody),
))]
pub(super) async fn verify_account(
    caller: Caller,
    State(app): State<App>,
    Fields(body): Fields<VerifyBody>,
) -> Answer {
    verified(&caller, &app, body, Vec::new()).await
}

#[derive(Deserialize)]
pub(super) struct VerifyQuery {
    code: Option<String>,
    email: Option<String>,
}

/// The same, deprecated: whatever looks at the address verifies it. `HEAD`, which programs send that look at links, does not.
#[utoipa::path(get, path = "/accounts/verify", tag = "Verification",
    params(
        ("code" = String, Query, format = "opaque-token", max_length = 64, description = "From the mail"),
        ("email" = String, Query, format = "email", description = "Whose it is"),
    ),
    responses(
        (status = 200, description = "Verified", body = Verified),
        (status = 400, description = "WRONG_DATA_TYPE", body = ErrorBody),
        (status = 401, description = "ACTIVATION_CODE_DOES_NOT_MATCH", body = ErrorBody),
        (status = 404, description = "ACCOUNT_NOT_FOUND", body = ErrorBody),
        ))]
pub(super) async fn verify_account_by_link(caller: Caller, State(app): State<App>, uri: Uri) -> Answer {
    let Some(VerifyQuery { code, email }) = verify_query(&uri) else {
        return Err(Error::wrong_data("WRONG_DATA_TYPE", "the query cannot be read"));
    };
    let warnings = vec!["GET accounts/verify/ is deprecated: use POST"];
    verified(&caller, &app, VerifyBody::of_query(code, email), warnings).await
}

/// The query, in which a `+` is a plus: no address has a blank in it, and not all clients escape it.
fn verify_query(uri: &Uri) -> Option<VerifyQuery> {
    let escaped: Uri = uri.to_string().replace('+', "%2B").parse().ok()?;
    Query::try_from_uri(&escaped).ok().map(|Query(query)| query)
}

async fn verified(caller: &Caller, app: &App, body: VerifyBody, warnings: Vec<&'static str>) -> Answer {
    let (email, code) = body.read()?;
    app.identity().activate(caller, &email, &code).await?;
    Ok(Json(Verified { email: email.to_string(), verified: true, warnings }).into_response())
}

/// Mails a password-reset link, if an account has that address.
#[utoipa::path(post, path = "/accounts/individual/send-reset-password-email", tag = "Verification",
    request_body = SendResetMailBody, responses(
        (status = 200, description = "Mailed, or no account has that address"),
        (status = 400, description = "WRONG_DATA_TYPE", body = ErrorBody),
            (status = 503, description = "SERVER_UNAVAILABLE: no mail can be sent", body = ErrorBody),
    ))]
pub(super) async fn send_reset_password_email(
    caller: Caller,
    State(app): State<App>,
    Fields(body): Fields<SendResetMailBody>,
) -> Answer {
    let (email, redirect) = body.read()?;
    match redirect {
        Some(page) => app.identity().forgot_password_at(&caller, &email, &page).await?,
        None => app.identity().forgot_password(&caller, &email).await.map_err(Rejection::from)?,
    }
    Ok(StatusCode::OK.into_response())
}

/// Sets a new password with the code from that link. Ends all sessions; the address counts as verified.
#[utoipa::path(post, path = "/accounts/individual/reset", tag = "Verification", request_body = ResetPasswordBody,
    responses(
        (status = 200, description = "Set"),
        (status = 400, description = "WRONG_DATA_TYPE", body = ErrorBody),
        (status = 401, description = "ACTIVATION_CODE_DOES_NOT_MATCH", body = ErrorBody),
        ))]
pub(super) async fn reset_password(
    caller: Caller,
    State(app): State<App>,
    Fields(body): Fields<ResetPasswordBody>,
) -> Answer {
    app.identity().reset_password(&caller, body.read(&caller.profile.password)?).await?;
    Ok(StatusCode::OK.into_response())
}

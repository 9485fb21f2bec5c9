//! `/sign-in/passkey`: a passkey: at the beginning, or as the second factor. The only pages that need a script: browsers offer passkeys to scripts
//! alone. The challenge is fetched when it is needed, and the answer is sent as a form.

use askama::Template;
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate_crypto::webauthn::AssertionResponse;
use tidegate_domain::account::LoginName;
use tidegate_domain::{Catalogue, EmailAddress};
use tidegate_identity::credentials::passkey::assert::{AllowedCredential, PasskeyRequest};
use tidegate_identity::sign_in::passkey_sign_in::{PasskeySignIn, StartPasskeySignInError};
use tidegate_kernel::Refused;

use super::flow::{Flow, Step};
use super::page::{Problem, finish, gone, look, problem_of};
use super::password;
use crate::pages::look::coded;
use crate::pages::passkeys::is_below;
use crate::pages::visitor::{Sent, Visitor};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

const ACTION: &str = "/sign-in/passkey";
const OPTIONS: &str = "/sign-in/passkey/options";
/// How long a browser waits for its authenticator, in milliseconds.
const TIMEOUT: u32 = 60_000;

/// The button, which the served script makes work and shows.
#[derive(Template)]
#[template(path = "passkey_offer.html")]
pub(super) struct PasskeyOffer {
    csrf: String,
    options_csrf: String,
    flow: String,
    label: String,
    failed: String,
}

impl PasskeyOffer {
    /// None where there are no passkeys, or browsers would refuse them at this address.
    pub(super) fn new(app: &App, visitor: &Visitor, words: &Catalogue, flow: &str) -> Option<Self> {
        let party = app.kernel().settings().passkeys.relying_party.as_ref().ok()?;
        let host = visitor.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        is_below(host, party.id()).then(|| Self {
            csrf: visitor.form_token(app, ACTION).1,
            options_csrf: visitor.form_token(app, OPTIONS).1,
            flow: flow.to_owned(),
            label: words.text("page.signin.passkey").to_owned(),
            failed: words.text("page.signin.passkey_failed").to_owned(),
        })
    }
}

/// What the script sends for a challenge.
#[derive(Deserialize)]
pub(super) struct OptionsForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    flow: String,
}

/// What the script sends of the authenticator's answer.
#[derive(Deserialize)]
pub(super) struct PasskeyForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    flow: String,
    /// As `toJSON()` writes it.
    #[serde(default)]
    credential: String,
}

/// Whose passkey it must be: at the second factor that of the account that showed the first one, otherwise whose the authenticator has. What
/// is typed says nothing: whether an address has passkeys would show.
fn owner(app: &App, flow: &Flow) -> Option<EmailAddress> {
    let Some(Step::Factor(step)) = &flow.step else { return None };
    match password::read_login(app, &step.login) {
        Some(LoginName::Email(email)) => Some(email),
        Some(LoginName::Phone(_) | LoginName::Service(_)) | None => None,
    }
}

/// A challenge, as `PublicKeyCredential.parseRequestOptionsFromJSON()` reads it. It names passkeys only to who has shown the password.
pub(super) async fn options(State(app): State<App>, sent: Sent<OptionsForm>) -> Response {
    let Sent { visitor, form } = sent;
    let refused = |key| coded(StatusCode::FORBIDDEN.into_response(), key);
    if !visitor.accepts(&app, OPTIONS, &form.csrf) {
        return refused("page.signin.stale");
    }
    let Ok(flow) = Flow::open(&app, &visitor, &form.flow) else { return refused("page.signin.gone.text") };
    let email = owner(&app, &flow);
    match app.identity().start_passkey_sign_in(&visitor.call, email.as_ref()).await {
        Ok(request) => Json(written(&request)).into_response(),
        Err(Refused::Rule(
            StartPasskeySignInError::NotSetUp(_)
            | StartPasskeySignInError::UnknownAccount
            | StartPasskeySignInError::NoPasskeys,
        )) => coded(StatusCode::NOT_FOUND.into_response(), "page.signin.passkey_failed"),
        Err(Refused::Fault(fault)) => {
            let rejection: Rejection = fault.into();
            let headers = rejection.headers();
            let status = match rejection {
                Rejection::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
                Rejection::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            coded((status, headers).into_response(), "page.failed.text")
        }
    }
}

fn written(request: &PasskeyRequest) -> Value {
    let credential = |allowed: &AllowedCredential| {
        let transports = (!allowed.transports.is_empty()).then_some(&allowed.transports);
        let id = URL_SAFE_NO_PAD.encode(&allowed.id);
        match transports {
            Some(transports) => json!({ "type": "public-key", "id": id, "transports": transports }),
            None => json!({ "type": "public-key", "id": id }),
        }
    };
    json!({
        "challenge": request.challenge.base64().expose(),
        "rpId": request.relying_party.id(),
        "allowCredentials": request.credentials.iter().map(credential).collect::<Vec<_>>(),
        "userVerification": "required",
        "timeout": TIMEOUT,
    })
}

/// The authenticator's answer (W3C Web Authentication, `AuthenticationResponseJSON`).
#[derive(Deserialize)]
struct Credential {
    id: String,
    response: Assertion,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assertion {
    authenticator_data: String,
    #[serde(rename = "clientDataJSON")]
    client_data: String,
    signature: String,
    #[serde(default)]
    user_handle: Option<String>,
}

/// None for what no browser sends. The body is small, and so are its parts.
fn read(text: &str) -> Option<AssertionResponse> {
    let Credential { id, response } = serde_json::from_str(text).ok()?;
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
    Some(AssertionResponse {
        credential_id: bytes(&id)?,
        client_data: bytes(&response.client_data)?,
        authenticator_data: bytes(&response.authenticator_data)?,
        signature: bytes(&response.signature)?,
        user_handle: match response.user_handle.as_deref() {
            None | Some("") => None,
            Some(handle) => Some(bytes(handle)?),
        },
    })
}

/// Judges the answer.
pub(super) async fn sign_in(State(app): State<App>, sent: Sent<PasskeyForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Ok(flow) = Flow::open(&app, &visitor, &form.flow) else { return gone(&app, &visitor) };
    let look = look(&app, &visitor, &flow);
    let again = |problem| password::show(&app, &visitor, &flow.at(None), Some(problem));
    if !visitor.accepts(&app, ACTION, &form.csrf) {
        return again(Problem::stale(&look.words));
    }
    let failed = || {
        again(Problem::saying(&look.words, StatusCode::UNPROCESSABLE_ENTITY, "page.signin.passkey_failed"))
    };
    let Some(response) = read(&form.credential) else { return failed() };
    let device = visitor.device(&app, flow.is_strict).data();
    let claim = PasskeySignIn { email: owner(&app, &flow), response, device };
    match app.identity().complete_passkey_sign_in(&visitor.call, claim).await {
        Ok(signed_in) => finish(&app, &visitor, &flow, &signed_in).await,
        Err(Refused::Rule(_)) => failed(),
        Err(Refused::Fault(fault)) => match problem_of(&app, &visitor, &look, fault) {
            Ok(problem) => again(problem),
            Err(response) => *response,
        },
    }
}

/// The script.
pub(super) async fn script() -> Response {
    let kind = HeaderValue::from_static("text/javascript; charset=utf-8");
    let kept = HeaderValue::from_static("public, max-age=3600");
    let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, kept)];
    (headers, include_str!("../../../templates/sign_in.js")).into_response()
}

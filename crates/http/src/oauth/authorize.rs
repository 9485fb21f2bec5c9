//! `/oauth/authorize`: for clients that hold an access token of a full session. For people see [`super::browser`].

use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use tidegate_kernel::{Actor, Call, Outcome, Refused};
use tidegate_oauth::authorize::{
    Answer as Authorized, AuthorizationError, AuthorizationRequest, Decision, Parameters, Presence,
    RequestRefused, ResponseMode, ShownError,
};

use super::error::Error;
use super::foreign::{AT_AUTHORIZE, note_in};
use super::form::{Form, decoded};
use super::form_post::form_post;
use super::{Answer, Bearer, browser};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;
use crate::wire::telemetry::ErrorCode;

/// Gives an application access in the name of the token's owner.
pub(super) async fn authorize(State(app): State<App>, request: Request) -> Answer {
    let (mut parts, _) = request.into_parts();
    if browser::is_browser(&parts.headers) {
        return Ok(browser::authorize(&app, parts).await);
    }
    let bearer = Bearer::from_request_parts(&mut parts, &app).await?;
    let pairs = decoded(parts.uri.query().unwrap_or_default().as_bytes())?;
    let request = match read(&app, &bearer.call, pairs).await? {
        Ok(request) => request,
        Err(sent_back) => return sent(sent_back),
    };
    let decision = app.oauth().decide(&bearer.actor, &request, Presence::Bearer).await.map_err(fault)?;
    match decision {
        Decision::Granted(approval) => {
            let approved = app.oauth().approve(&bearer.call, &bearer.actor, &request, approval).await;
            sent(approved.map_err(refused)?)
        }
        Decision::SentBack(back) => sent(back.answer(app.oauth().issuer())),
        Decision::NeedsSignIn | Decision::NeedsConsent(_) => {
            let text =
                "the person has to be asked, and a client with a bearer token cannot show them anything";
            Err(Error::new(StatusCode::FORBIDDEN, "interaction_required", text))
        }
    }
}

/// The same with the owner's own answer.
pub(super) async fn answer(State(app): State<App>, request: Request) -> Answer {
    let (mut parts, body) = request.into_parts();
    if browser::is_browser(&parts.headers) {
        return Ok(browser::answer(&app, parts, body).await);
    }
    let bearer = Bearer::from_request_parts(&mut parts, &app).await?;
    let mut form = Form::from_request(Request::from_parts(parts, body), &app).await?;
    let is_approved = match form.required("approve")?.as_str() {
        "true" => true,
        "false" => false,
        _ => return Err(Error::invalid_request("approve must be true or false")),
    };
    let mut pairs = form.pairs();
    if !pairs.iter().any(|(name, _)| name == "response_type") {
        // The contract's form has none.
        pairs.push(("response_type".to_owned(), "code".to_owned()));
    }
    let request = match read(&app, &bearer.call, pairs).await? {
        Ok(request) => request,
        Err(sent_back) => return sent(sent_back),
    };
    sent(answered(&app, &bearer.call, &bearer.actor, &request, is_approved).await.map_err(refused)?)
}

/// Does what the owner of a token answered, as the client says that has it.
pub(crate) async fn answered(
    app: &App,
    call: &Call,
    actor: &Actor,
    request: &AuthorizationRequest,
    is_approved: bool,
) -> Outcome<Authorized, ShownError> {
    let oauth = app.oauth();
    if !is_approved {
        return Ok(oauth.deny(call, actor, request).await?);
    }
    match oauth.decide(actor, request, Presence::BearerWithAnswer).await? {
        Decision::NeedsConsent(question) => oauth.approve(call, actor, request, question.allowed()).await,
        Decision::Granted(approval) => oauth.approve(call, actor, request, approval).await,
        Decision::SentBack(back) => Ok(back.answer(oauth.issuer())),
        Decision::NeedsSignIn => {
            Ok(request.refused(AuthorizationError::LoginRequired).answer(oauth.issuer()))
        }
    }
}

/// The request, or the answer with which it is sent back.
async fn read(
    app: &App,
    call: &Call,
    pairs: Vec<(String, String)>,
) -> Result<Result<AuthorizationRequest, Authorized>, Error> {
    note_in(&pairs, AT_AUTHORIZE);
    let parameters =
        Parameters::read(pairs).map_err(|unreadable| Error::invalid_request(unreadable.to_string()))?;
    match app.oauth().authorization_request(call, parameters).await {
        Ok(request) => Ok(Ok(request)),
        Err(Refused::Rule(RequestRefused::SentBack(back))) => Ok(Err(back.answer(app.oauth().issuer()))),
        Err(Refused::Rule(RequestRefused::Shown(error))) => Err(error.into()),
        Err(Refused::Fault(error)) => Err(fault(error)),
    }
}

fn refused(refused: Refused<ShownError>) -> Error {
    match refused {
        Refused::Rule(error) => error.into(),
        Refused::Fault(error) => fault(error),
    }
}

fn fault(fault: tidegate_kernel::Fault) -> Error {
    Rejection::from(fault).into()
}

/// Sends the browser, or whoever asks, back to the application. The address was registered. The log has the code of an error.
pub(super) fn sent(answer: Authorized) -> Answer {
    let code = answer.error().map(|code| ErrorCode(code.to_owned()));
    let mut response = on_its_way(&answer)?;
    if let Some(code) = code {
        response.extensions_mut().insert(code);
    }
    Ok(response)
}

fn on_its_way(answer: &Authorized) -> Answer {
    if answer.response_mode == ResponseMode::FormPost {
        return Ok(form_post(answer));
    }
    let location = HeaderValue::from_str(&answer.location())
        .map_err(|_| Error::invalid_request("redirect_uri cannot be sent in a header"))?;
    let headers = [
        (header::LOCATION, location),
        // The address of the page that is left has the request in it (RFC 9700 section 4.2.4).
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    Ok((StatusCode::FOUND, headers).into_response())
}

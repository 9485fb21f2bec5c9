//! `/oauth/authorize`: for clients that hold an access token of a full session.

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tidegate_kernel::Refused;
use tidegate_oauth::authorize::{
    Answer as Authorized, AuthorizationRequest, Decision, Parameters, Presence, RequestRefused, ResponseMode,
};

use super::error::Error;
use super::form::{Form, decoded};
use super::form_post::form_post;
use super::{Answer, Bearer};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Gives an application access in the name of the token's owner.
pub(super) async fn authorize(bearer: Bearer, State(app): State<App>, uri: Uri) -> Answer {
    let pairs = decoded(uri.query().unwrap_or_default().as_bytes())?;
    let request = match read(&app, pairs).await? {
        Ok(request) => request,
        Err(sent_back) => return sent(sent_back),
    };
    let decision = app.oauth().decide(&bearer.actor, &request, Presence::Bearer).await.map_err(fault)?;
    match decision {
        Decision::Granted => {
            sent(app.oauth().approve(&bearer.call, &bearer.actor, &request).await.map_err(fault)?)
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
pub(super) async fn answer(bearer: Bearer, State(app): State<App>, mut form: Form) -> Answer {
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
    let request = match read(&app, pairs).await? {
        Ok(request) => request,
        Err(sent_back) => return sent(sent_back),
    };
    let answered = if is_approved {
        app.oauth().approve(&bearer.call, &bearer.actor, &request).await
    } else {
        app.oauth().deny(&bearer.call, &bearer.actor, &request).await
    };
    sent(answered.map_err(fault)?)
}

/// The request, or the answer with which it is sent back.
async fn read(
    app: &App,
    pairs: Vec<(String, String)>,
) -> Result<Result<AuthorizationRequest, Authorized>, Error> {
    let parameters =
        Parameters::read(pairs).map_err(|unreadable| Error::invalid_request(unreadable.to_string()))?;
    match app.oauth().authorization_request(parameters).await {
        Ok(request) => Ok(Ok(request)),
        Err(Refused::Rule(RequestRefused::SentBack(back))) => Ok(Err(back.answer(app.oauth().issuer()))),
        Err(Refused::Rule(RequestRefused::Shown(error))) => Err(error.into()),
        Err(Refused::Fault(error)) => Err(fault(error)),
    }
}

fn fault(fault: tidegate_kernel::Fault) -> Error {
    Rejection::from(fault).into()
}

/// Sends the browser, or whoever asks, back to the application. The address was registered.
fn sent(answer: Authorized) -> Answer {
    if answer.response_mode == ResponseMode::FormPost {
        return Ok(form_post(&answer));
    }
    let location = HeaderValue::from_str(&answer.location())
        .map_err(|_| Error::invalid_request("redirect_uri cannot be sent in a header"))?;
    let headers = [
        (header::LOCATION, location),
        // The address of the page that is left has the request in it (RFC 9700 section 4.2.4).
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    let response: Response = (StatusCode::FOUND, headers).into_response();
    Ok(response)
}

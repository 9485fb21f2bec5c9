//! `/sign-up/code`: the code that was mailed to the address of an account that is to be made.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use tidegate_crypto::PlainToken;
use tidegate_domain::typed;
use tidegate_identity::sign_in::confirm_code::ConfirmCode;
use tidegate_identity::sign_in::hosted_sign_up::ConfirmSignUpError;
use tidegate_kernel::Refused;

use super::code::{self, CodePage};
use super::flow::{Flow, Step};
use super::page::{Problem, SentQuery, finish, go_on, gone, look, problem_of, read};
use super::sign_up;
use crate::pages::visitor::{Sent, Visitor};
use crate::wire::state::App;

/// The page.
pub(super) const CONFIRM: &str = "/sign-up/code";
const AGAIN: &str = "/sign-up/code/again";

/// Either form.
#[derive(Deserialize)]
pub(super) struct CodeForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    flow: String,
    #[serde(default)]
    code: String,
}

/// A sign-up that waits for a mailed code.
struct Waiting {
    flow: Flow,
    token: PlainToken,
    email: String,
}

fn waiting(app: &App, visitor: &Visitor, sealed: &str) -> Option<Waiting> {
    let flow = Flow::open(app, visitor, sealed).ok()?;
    let Some(Step::SignUp { token, email }) = flow.step.clone() else { return None };
    Some(Waiting { flow, token: PlainToken::from_presented(&token), email })
}

/// Shows the form.
pub(super) async fn ask(State(app): State<App>, visitor: Visitor, query: SentQuery) -> Response {
    let query = read(query);
    match waiting(&app, &visitor, &query.flow) {
        Some(waiting) => page(&app, &visitor, &waiting, None),
        None => gone(&app, &visitor),
    }
}

/// The page is the same whether a code was mailed or, to its owner, that the address is in use.
fn page(app: &App, visitor: &Visitor, waiting: &Waiting, problem: Option<Problem>) -> Response {
    let asked = CodePage {
        flow: &waiting.flow,
        email: &waiting.email,
        confirm: CONFIRM,
        again: AGAIN,
        text: "page.signup.code.text",
        note: Some("page.signup.code.note"),
        back: Some((sign_up::PATH, "page.signup.back")),
    };
    code::show(app, visitor, &asked, problem)
}

/// Judges the code.
pub(super) async fn confirm(State(app): State<App>, sent: Sent<CodeForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Some(waiting) = waiting(&app, &visitor, &form.flow) else { return gone(&app, &visitor) };
    let look = look(&app, &visitor, &waiting.flow);
    let words = &look.words;
    let again = |problem| page(&app, &visitor, &waiting, Some(problem));
    let wrong = |key| again(Problem::saying(words, StatusCode::UNPROCESSABLE_ENTITY, key));
    if !visitor.accepts(&app, CONFIRM, &form.csrf) {
        return again(Problem::stale(words));
    }
    let Some(code) = typed::code(&form.code, 6..=6) else {
        return wrong("page.factor.wrong");
    };
    let claim = ConfirmCode { temporary_token: waiting.token.clone(), code };
    match app.identity().confirm_sign_up(&visitor.call, claim).await {
        Ok(signed_in) => finish(&app, &visitor, &waiting.flow, &signed_in).await,
        Err(Refused::Rule(error)) => match error {
            ConfirmSignUpError::WrongCode => wrong("page.factor.wrong"),
            ConfirmSignUpError::Expired => wrong("page.code.expired"),
            ConfirmSignUpError::TooManyAttempts(exceeded) => {
                again(Problem::too_many(words, exceeded.retry_after, HeaderMap::new()))
            }
            ConfirmSignUpError::InvalidToken => sign_up::begin_anew(&app, &visitor, &waiting.flow),
            // The account is there: the password comes first, and then what else is asked for.
            ConfirmSignUpError::NotAdmitted => {
                let flow = Flow { hint: Some(waiting.email.clone()), ..waiting.flow.at(None) };
                go_on(&app, &visitor, "/sign-in", &flow)
            }
        },
        Err(Refused::Fault(fault)) => match problem_of(&app, &visitor, &look, fault) {
            Ok(problem) => again(problem),
            Err(response) => *response,
        },
    }
}

/// Sends another mail.
pub(super) async fn send_again(State(app): State<App>, sent: Sent<CodeForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Some(waiting) = waiting(&app, &visitor, &form.flow) else { return gone(&app, &visitor) };
    let look = look(&app, &visitor, &waiting.flow);
    let again = |problem| page(&app, &visitor, &waiting, Some(problem));
    if !visitor.accepts(&app, AGAIN, &form.csrf) {
        return again(Problem::stale(&look.words));
    }
    match app.identity().resend_sign_up(&visitor.call, &waiting.token).await {
        Ok(token) => {
            let step = Step::SignUp { token: token.expose().to_owned(), email: waiting.email.clone() };
            go_on(&app, &visitor, CONFIRM, &waiting.flow.at(Some(step)))
        }
        Err(Refused::Rule(_)) => sign_up::begin_anew(&app, &visitor, &waiting.flow),
        Err(Refused::Fault(fault)) => match problem_of(&app, &visitor, &look, fault) {
            Ok(problem) => again(problem),
            Err(response) => *response,
        },
    }
}

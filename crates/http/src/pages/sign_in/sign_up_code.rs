//! `/sign-up/code`: the code that was mailed to the address of an account that is to be made.

use axum::extract::State;
use axum::response::Response;
use tidegate_crypto::PlainToken;
use tidegate_identity::sign_in::confirm_code::ConfirmCode;
use tidegate_identity::sign_in::hosted_sign_up::ConfirmSignUpError;
use tidegate_kernel::Refused;

use super::code::{self, CodeForm, CodePage, Refusal};
use super::flow::{Flow, Step};
use super::page::{Problem, SentQuery, go_on, gone, look, read};
use super::sign_up;
use crate::pages::visitor::{Sent, Visitor};
use crate::wire::state::App;

/// The page.
pub(super) const CONFIRM: &str = "/sign-up/code";
const AGAIN: &str = "/sign-up/code/again";

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

impl Waiting {
    /// The page is the same whether a code was mailed or, to its owner, that the address is in use.
    fn asked(&self) -> CodePage<'_> {
        CodePage {
            flow: &self.flow,
            email: &self.email,
            confirm: CONFIRM,
            again: AGAIN,
            text: "page.signup.code.text",
            note: Some("page.signup.code.note"),
            back: Some((sign_up::PATH, "page.signup.back")),
        }
    }
}

/// Shows the form.
pub(super) async fn ask(State(app): State<App>, visitor: Visitor, query: SentQuery) -> Response {
    let query = read(query);
    match waiting(&app, &visitor, &query.flow) {
        Some(waiting) => code::show(&app, &visitor, &waiting.asked(), None),
        None => gone(&app, &visitor),
    }
}

/// Judges the code.
pub(super) async fn confirm(State(app): State<App>, sent: Sent<CodeForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Some(waiting) = waiting(&app, &visitor, &form.flow) else { return gone(&app, &visitor) };
    let asked = waiting.asked();
    let typed = match code::typed_code(&app, &visitor, &asked, &form) {
        Ok(typed) => typed,
        Err(response) => return *response,
    };
    let claim = ConfirmCode { temporary_token: waiting.token.clone(), code: typed };
    let outcome = app.identity().confirm_sign_up(&visitor.call, claim).await;
    let refusal = |error| match error {
        ConfirmSignUpError::WrongCode => Refusal::Wrong,
        ConfirmSignUpError::Expired => Refusal::Expired,
        ConfirmSignUpError::TooManyAttempts(exceeded) => Refusal::TooManyAttempts(exceeded),
        ConfirmSignUpError::InvalidToken => {
            Refusal::Elsewhere(Box::new(sign_up::begin_anew(&app, &visitor, &waiting.flow)))
        }
        // The account is there: the password comes first, and then what else is asked for.
        ConfirmSignUpError::NotAdmitted => {
            let flow = Flow { hint: Some(waiting.email.clone()), ..waiting.flow.at(None) };
            Refusal::Elsewhere(Box::new(go_on(&app, &visitor, "/sign-in", &flow)))
        }
    };
    code::answered(&app, &visitor, &asked, outcome, refusal).await
}

/// Sends another mail.
pub(super) async fn send_again(State(app): State<App>, sent: Sent<CodeForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Some(waiting) = waiting(&app, &visitor, &form.flow) else { return gone(&app, &visitor) };
    let asked = waiting.asked();
    if !visitor.accepts(&app, asked.again, &form.csrf) {
        let words = look(&app, &visitor, asked.flow).words;
        return code::show(&app, &visitor, &asked, Some(Problem::stale(&words)));
    }
    match app.identity().resend_sign_up(&visitor.call, &waiting.token).await {
        Ok(token) => {
            let step = Step::SignUp { token: token.expose().to_owned(), email: waiting.email.clone() };
            go_on(&app, &visitor, CONFIRM, &waiting.flow.at(Some(step)))
        }
        Err(Refused::Rule(_)) => sign_up::begin_anew(&app, &visitor, &waiting.flow),
        Err(Refused::Fault(fault)) => code::failed(&app, &visitor, &asked, fault),
    }
}

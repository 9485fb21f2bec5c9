//! `/sign-in/code`: the code that was mailed to an address that is yet to be verified.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use tidegate_crypto::PlainToken;
use tidegate_domain::{EmailAddress, Secret, limit, typed};
use tidegate_identity::sign_in::confirm_code::{ConfirmCode, ConfirmCodeError};
use tidegate_kernel::{Fault, Outcome, Refused, SignedIn};

use super::flow::{Flow, Step};
use super::page::{
    Page, Problem, SentQuery, answer, begin_anew, code_field, finish, form, go_on, gone, link, look,
    problem_of, read,
};
use crate::pages::failure;
use crate::pages::parts::{FieldKind, Rank};
use crate::pages::visitor::{Sent, Visitor};
use crate::wire::state::App;

const CONFIRM: &str = "/sign-in/code";
const AGAIN: &str = "/sign-in/code/again";

/// Either form.
#[derive(Deserialize)]
pub(super) struct CodeForm {
    #[serde(default)]
    pub(super) csrf: String,
    #[serde(default)]
    pub(super) flow: String,
    #[serde(default)]
    code: String,
}

/// A sign-in that waits for a mailed code.
struct Waiting {
    flow: Flow,
    token: PlainToken,
    email: String,
}

fn waiting(app: &App, visitor: &Visitor, sealed: &str) -> Option<Waiting> {
    let flow = Flow::open(app, visitor, sealed).ok()?;
    let Some(Step::Code { token, email }) = flow.step.clone() else { return None };
    Some(Waiting { flow, token: PlainToken::from_presented(&token), email })
}

impl Waiting {
    fn asked(&self) -> CodePage<'_> {
        CodePage {
            flow: &self.flow,
            email: &self.email,
            confirm: CONFIRM,
            again: AGAIN,
            text: "page.code.text",
            note: None,
            back: None,
        }
    }
}

/// A page that asks for a mailed code.
pub(super) struct CodePage<'a> {
    pub(super) flow: &'a Flow,
    /// Where the code was sent, as it is stored.
    pub(super) email: &'a str,
    /// Where the code goes.
    pub(super) confirm: &'static str,
    /// What sends another one.
    pub(super) again: &'static str,
    /// What the page says of it.
    pub(super) text: &'static str,
    /// A text at the end.
    pub(super) note: Option<&'static str>,
    /// Where another address is entered, and what the link is called.
    pub(super) back: Option<(&'static str, &'static str)>,
}

/// Shows the form.
pub(super) async fn ask(State(app): State<App>, visitor: Visitor, query: SentQuery) -> Response {
    let query = read(query);
    match waiting(&app, &visitor, &query.flow) {
        Some(waiting) => show(&app, &visitor, &waiting.asked(), None),
        None => gone(&app, &visitor),
    }
}

/// The page, with what is wrong above its form.
pub(super) fn show(app: &App, visitor: &Visitor, asked: &CodePage<'_>, problem: Option<Problem>) -> Response {
    let look = look(app, visitor, asked.flow);
    let words = &look.words;
    let sealed = match asked.flow.seal(app, visitor) {
        Ok(sealed) => sealed,
        Err(fault) => return failure(app, &visitor.headers, fault.into()),
    };
    let button = (Rank::Primary, words.text("page.factor.button"));
    let mut main = form(app, visitor, asked.confirm, Some(sealed.clone()), button);
    main.fields.push(code_field(words.text("page.code.label"), FieldKind::Code));
    let button = (Rank::Secondary, words.text("page.code.again"));
    let mut page = Page::titled(&look, "page.code.title");
    let email = EmailAddress::from_stored(asked.email.to_owned()).to_string();
    page.texts.push(words.fill(asked.text, &[("email", &email)]));
    page.form = Some(main);
    page.form_target.clone_from(&asked.flow.form_target);
    page.others.push(form(app, visitor, asked.again, Some(sealed.clone()), button));
    if let Some((path, key)) = asked.back {
        page.links.push(link(words, key, format!("{path}?flow={sealed}")));
    }
    page.note = asked.note.map(|key| words.text(key).to_owned());
    answer(app, visitor, page, problem)
}

/// The code that was typed.
///
/// # Errors
/// The form again: for what is no code, and for a form that was made for another browser.
pub(super) fn typed_code(
    app: &App,
    visitor: &Visitor,
    asked: &CodePage<'_>,
    form: &CodeForm,
) -> Result<Secret, Box<Response>> {
    let again = |problem| Err(Box::new(show(app, visitor, asked, Some(problem))));
    let words = look(app, visitor, asked.flow).words;
    if !visitor.accepts(app, asked.confirm, &form.csrf) {
        return again(Problem::stale(&words));
    }
    match typed::code(&form.code, 6..=6) {
        Some(code) => Ok(code),
        None => again(Problem::saying(&words, StatusCode::UNPROCESSABLE_ENTITY, "page.factor.wrong")),
    }
}

/// Why a code signs nobody in.
pub(super) enum Refusal {
    /// The code is wrong.
    Wrong,
    /// Too late.
    Expired,
    /// Too many wrong codes.
    TooManyAttempts(limit::Exceeded),
    /// Neither this code nor another one will do on this page: the answer is another page.
    Elsewhere(Box<Response>),
}

/// The answer to a code: the page that the sign-in leads to, the form again, or what `refusal` makes of the error.
pub(super) async fn answered<E>(
    app: &App,
    visitor: &Visitor,
    asked: &CodePage<'_>,
    outcome: Outcome<SignedIn, E>,
    refusal: impl FnOnce(E) -> Refusal,
) -> Response {
    let error = match outcome {
        Ok(signed_in) => return finish(app, visitor, asked.flow, &signed_in).await,
        Err(Refused::Rule(error)) => error,
        Err(Refused::Fault(fault)) => return failed(app, visitor, asked, fault),
    };
    let words = look(app, visitor, asked.flow).words;
    let saying = |key| Problem::saying(&words, StatusCode::UNPROCESSABLE_ENTITY, key);
    let problem = match refusal(error) {
        Refusal::Wrong => saying("page.code.wrong"),
        Refusal::Expired => saying("page.code.expired"),
        Refusal::TooManyAttempts(exceeded) => {
            Problem::too_many(&words, exceeded.retry_after, HeaderMap::new())
        }
        Refusal::Elsewhere(response) => return *response,
    };
    show(app, visitor, asked, Some(problem))
}

/// The form again after a fault, or a page of its own where the form cannot help.
pub(super) fn failed(app: &App, visitor: &Visitor, asked: &CodePage<'_>, fault: Fault) -> Response {
    match problem_of(app, visitor, &look(app, visitor, asked.flow), fault) {
        Ok(problem) => show(app, visitor, asked, Some(problem)),
        Err(response) => *response,
    }
}

/// Judges the code.
pub(super) async fn confirm(State(app): State<App>, sent: Sent<CodeForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Some(waiting) = waiting(&app, &visitor, &form.flow) else { return gone(&app, &visitor) };
    let asked = waiting.asked();
    let code = match typed_code(&app, &visitor, &asked, &form) {
        Ok(code) => code,
        Err(response) => return *response,
    };
    let claim = ConfirmCode { temporary_token: waiting.token.clone(), code };
    let outcome = app.identity().confirm_code(&visitor.call, claim).await;
    let refusal = |error| match error {
        ConfirmCodeError::WrongCode => Refusal::Wrong,
        ConfirmCodeError::Expired => Refusal::Expired,
        ConfirmCodeError::TooManyAttempts(exceeded) => Refusal::TooManyAttempts(exceeded),
        // Also where the address is proven now and a second factor is to be shown: the password comes first.
        ConfirmCodeError::InvalidToken => {
            Refusal::Elsewhere(Box::new(begin_anew(&app, &visitor, &waiting.flow)))
        }
    };
    answered(&app, &visitor, &asked, outcome, refusal).await
}

/// Sends another code.
pub(super) async fn send_again(State(app): State<App>, sent: Sent<CodeForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Some(waiting) = waiting(&app, &visitor, &form.flow) else { return gone(&app, &visitor) };
    let asked = waiting.asked();
    if !visitor.accepts(&app, asked.again, &form.csrf) {
        let words = look(&app, &visitor, asked.flow).words;
        return show(&app, &visitor, &asked, Some(Problem::stale(&words)));
    }
    let email = EmailAddress::from_stored(waiting.email.clone());
    match app.identity().resend_code(&visitor.call, &email, &waiting.token).await {
        Ok(token) => {
            let step = Step::Code { token: token.expose().to_owned(), email: waiting.email.clone() };
            go_on(&app, &visitor, CONFIRM, &waiting.flow.at(Some(step)))
        }
        Err(Refused::Rule(_)) => begin_anew(&app, &visitor, &waiting.flow),
        Err(Refused::Fault(fault)) => failed(&app, &visitor, &asked, fault),
    }
}

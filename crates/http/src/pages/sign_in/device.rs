//! `/device`: a person types the code that a device shows, is told who asks for what, and answers (RFC 8628 section 3.3).
//!
//! The question is never shown for a link alone: whoever follows one presses a button first, and sees the code to compare. What a
//! stranger could have written, such as the name of their program, is not shown.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tidegate_kernel::{Fault, Refused};
use tidegate_oauth::applications::{MadeBy, origin};
use tidegate_oauth::device::{DeviceError, DeviceQuestion, UserCode};
use url::form_urlencoded;

use super::flow::{Continuation, SignInWish, sign_in_first, sign_in_with_another, without_proof};
use super::page::{Page, Problem, answer, form, gone, link, problem_of};
use crate::pages::failure;
use crate::pages::look::Look;
use crate::pages::parts::{Alert, Field, FieldKind, Form, Rank, Tone};
use crate::pages::scope_words::in_words;
use crate::pages::visitor::{BrowserSession, Sent, Visitor};
use crate::wire::state::App;

const ACTION: &str = "/device";
/// The parameter of addresses, and the field of forms.
const USER_CODE: &str = "user_code";

/// The forms: the code alone, or the code with the answer.
#[derive(Deserialize)]
pub(super) struct DeviceForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    user_code: String,
    #[serde(default)]
    choice: String,
}

/// What the person answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Choice {
    Allowed,
    Denied,
}

/// Asks for the code; the one of the address stands in the field.
pub(super) async fn ask(State(app): State<App>, visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let (query, _) = without_proof(&query);
    let Ok(to) = Continuation::to(ACTION, Some(&query)) else { return gone(&app, &visitor) };
    if visitor.session.is_none() {
        return sign_in_first(&app, &visitor, to, SignInWish::default());
    }
    let typed = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == USER_CODE);
    // What is no code was not made by this server, and is not repeated.
    let code = typed.and_then(|(_, typed)| UserCode::read(&typed)).map(|code| code.shown());
    page(&app, &visitor, code.as_deref().unwrap_or_default(), None)
}

fn page(app: &App, visitor: &Visitor, typed: &str, problem: Option<Problem>) -> Response {
    let look = visitor.look(app);
    let words = &look.words;
    let mut main = form(app, visitor, ACTION, None, (Rank::Primary, words.text("page.device.button")));
    let mut field = Field::new(USER_CODE, words.text("page.device.label"), FieldKind::Text, "off");
    field.value = typed.chars().take(64).collect();
    field.hint = Some(words.text("page.device.hint").to_owned());
    field.is_focused = true;
    main.fields.push(field);
    let mut page = Page::titled(&look, "page.device.title");
    page.texts.push(words.text("page.device.text").to_owned());
    page.form = Some(main);
    answer(app, visitor, page, problem)
}

/// Shows who asks, or takes the person's answer.
pub(super) async fn answered(State(app): State<App>, sent: Sent<DeviceForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Some(session) = &visitor.session else { return sign_in(&app, &visitor, &form.user_code, false) };
    let choice = match form.choice.as_str() {
        "allow" => Some(Choice::Allowed),
        "deny" => Some(Choice::Denied),
        _ => None,
    };
    if choice.is_none() && !visitor.accepts(&app, ACTION, &form.csrf) {
        let problem = Problem::stale(&visitor.look(&app).words);
        return page(&app, &visitor, &form.user_code, Some(problem));
    }
    let found = app.oauth().find_device(&visitor.call, &session.actor, &form.user_code).await;
    let question = match found {
        Ok(question) => question,
        Err(refused) => return not_taken(&app, &visitor, &form.user_code, refused),
    };
    let shown = match Shown::of(&app, session, &question).await {
        Ok(shown) => shown,
        Err(fault) => return failure(&app, &visitor.headers, fault.into()),
    };
    // Another browser's form, or one that was made for another question, is no answer to this one.
    match choice.filter(|_| visitor.accepts(&app, &shown.bound, &form.csrf)) {
        Some(choice) => take(&app, &visitor, session, &question, choice).await,
        None => shown.answer(&app, &visitor, session, &question),
    }
}

async fn take(
    app: &App,
    visitor: &Visitor,
    session: &BrowserSession,
    question: &DeviceQuestion,
    choice: Choice,
) -> Response {
    let (call, actor) = (&visitor.call, &session.actor);
    let taken = match choice {
        Choice::Allowed => app.oauth().approve_device(call, actor, question).await,
        Choice::Denied => app.oauth().deny_device(call, actor, question).await,
    };
    if let Err(refused) = taken {
        return not_taken(app, visitor, &question.user_code.shown(), refused);
    }
    let look = visitor.look(app);
    let name = [("application", question.application.name.as_str())];
    let (title, text) = match choice {
        Choice::Allowed => ("page.device.allowed.title", look.words.fill("page.device.allowed.text", &name)),
        Choice::Denied => ("page.device.denied.title", look.words.fill("page.device.denied.text", &name)),
    };
    let mut page = Page::titled(&look, title);
    page.texts.push(text);
    page.answer(app, visitor, StatusCode::OK)
}

/// Why the code, or the answer, is not taken.
fn not_taken(app: &App, visitor: &Visitor, typed: &str, refused: Refused<DeviceError>) -> Response {
    let look = visitor.look(app);
    match refused {
        Refused::Rule(DeviceError::WrongCode) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            page(app, visitor, typed, Some(Problem::saying(&look.words, status, "page.device.wrong")))
        }
        // It ended between two looks at it.
        Refused::Fault(Fault::SessionEnded) => sign_in(app, visitor, typed, false),
        Refused::Fault(Fault::StepUpRequired) => sign_in(app, visitor, typed, true),
        Refused::Fault(fault) => match problem_of(app, visitor, &look, fault) {
            Ok(problem) => page(app, visitor, typed, Some(problem)),
            Err(response) => *response,
        },
    }
}

/// Where a sign-in leads back to: the page with that code, if it is one.
fn back(typed: &str) -> Option<Continuation> {
    let code = UserCode::read(typed).map(|code| format!("{USER_CODE}={}", code.shown()));
    Continuation::to(ACTION, code.as_deref()).ok()
}

fn sign_in(app: &App, visitor: &Visitor, typed: &str, is_strict: bool) -> Response {
    let Some(to) = back(typed) else { return gone(app, visitor) };
    let wish = SignInWish { prompt_login: is_strict, second_factor: is_strict, ..SignInWish::default() };
    sign_in_first(app, visitor, to, wish)
}

/// A question as it is shown.
struct Shown {
    organization: String,
    /// What its forms are bound to: who asks, as the page says it, and for what. Where any of it has changed since, the person is asked
    /// again.
    bound: String,
}

impl Shown {
    async fn of(app: &App, session: &BrowserSession, question: &DeviceQuestion) -> Result<Self, Fault> {
        let application = &question.application;
        let organization = match application.made_by() {
            MadeBy::Organization(organization) => {
                app.identity().organization_label(organization).await?.to_string()
            }
            // An operator lets it ask on devices; it is a stranger's all the same.
            MadeBy::Itself { address } => origin(address),
        };
        let said = serde_json::json!([
            question.key(),
            session.name,
            application.id,
            application.name,
            organization,
            question.audience,
            question.allowed.to_string(),
        ]);
        Ok(Self { bound: format!("{ACTION}\n{said}"), organization })
    }

    fn form(&self, app: &App, visitor: &Visitor, look: &Look, code: &str, choice: Choice) -> Form {
        let (name, rank, label) = match choice {
            Choice::Allowed => ("allow", Rank::Primary, "page.device.allow"),
            Choice::Denied => ("deny", Rank::Secondary, "page.device.deny"),
        };
        let mut form = form(app, visitor, ACTION, None, (rank, look.words.text(label)));
        let (field, token) = visitor.form_token(app, &self.bound);
        form.hidden = vec![(field, token), (USER_CODE, code.to_owned()), ("choice", name.to_owned())];
        form
    }

    fn answer(
        &self,
        app: &App,
        visitor: &Visitor,
        session: &BrowserSession,
        question: &DeviceQuestion,
    ) -> Response {
        let look = visitor.look(app);
        let words = &look.words;
        let code = question.user_code.shown();
        let application = &question.application.name;
        let mut page = Page::titled(&look, "page.device.question.title");
        let warning = words.fill("page.device.question.warning", &[("code", &code)]);
        page.alerts.push(Alert { tone: Tone::Warning, text: warning });
        page.texts.push(words.fill(
            "page.device.question.text",
            &[("application", application), ("organization", &self.organization), ("name", &session.name)],
        ));
        let ago = words.minutes(app.kernel().now().since(question.asked_at));
        page.texts.push(words.fill("page.device.question.from", &[("address", &question.ip), ("ago", &ago)]));
        page.texts.push(words.text("page.consent.scopes").to_owned());
        page.items = in_words(words, &question.allowed);
        page.form = Some(self.form(app, visitor, &look, &code, Choice::Allowed));
        page.others.push(self.form(app, visitor, &look, &code, Choice::Denied));
        let other = back(&code).and_then(|to| sign_in_with_another(app, visitor, &to, SignInWish::default()));
        page.links.extend(other.map(|href| link(words, "page.consent.other", href)));
        page.answer(app, visitor, StatusCode::OK)
    }
}

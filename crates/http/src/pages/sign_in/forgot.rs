//! `/forgot-password`: has a link mailed with which a new password is set.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tidegate_domain::{EmailAddress, typed};

use super::flow::Flow;
use super::page::{Page, Problem, SentQuery, answer, form, gone, link, look, problem_of, read};
use crate::pages::failure;
use crate::pages::parts::{Field, FieldKind, Rank};
use crate::pages::visitor::{Sent, Visitor};
use crate::wire::state::App;

const ACTION: &str = "/forgot-password";

/// The form.
#[derive(Deserialize)]
pub(super) struct ForgotForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    flow: String,
    #[serde(default)]
    email: String,
}

/// Shows the form.
pub(super) async fn ask(State(app): State<App>, visitor: Visitor, query: SentQuery) -> Response {
    let query = read(query);
    let Ok(flow) = Flow::open(&app, &visitor, &query.flow) else { return gone(&app, &visitor) };
    page(&app, &visitor, &flow.at(None), None)
}

fn page(app: &App, visitor: &Visitor, flow: &Flow, problem: Option<Problem>) -> Response {
    let look = look(app, visitor, flow);
    let words = &look.words;
    let sealed = match flow.seal(app, visitor) {
        Ok(sealed) => sealed,
        Err(fault) => return failure(app, &visitor.headers, fault.into()),
    };
    let mut email = Field::new("email", words.text("page.forgot.label"), FieldKind::Email, "email");
    email.value = flow.hint.clone().filter(|hint| hint.contains('@')).unwrap_or_default();
    email.is_focused = true;
    let button = (Rank::Primary, words.text("page.forgot.button"));
    let mut main = form(app, visitor, ACTION, Some(sealed.clone()), button);
    main.fields.push(email);
    let mut page = Page::titled(&look, "page.forgot.title");
    page.texts.push(words.text("page.forgot.text").to_owned());
    page.form = Some(main);
    page.links.push(link(words, "page.sign_in", format!("/sign-in?flow={sealed}")));
    answer(app, visitor, page, problem)
}

/// Mails the link. The answer is the same whether there is such an account.
pub(super) async fn send(State(app): State<App>, sent: Sent<ForgotForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Ok(flow) = Flow::open(&app, &visitor, &form.flow) else { return gone(&app, &visitor) };
    let flow = Flow { hint: Some(form.email.chars().take(320).collect()), ..flow.at(None) };
    let look = look(&app, &visitor, &flow);
    let words = &look.words;
    if !visitor.accepts(&app, ACTION, &form.csrf) {
        return page(&app, &visitor, &flow, Some(Problem::stale(words)));
    }
    let Ok(email) = EmailAddress::parse(typed::trimmed(&form.email)) else {
        let problem = Problem::saying(words, StatusCode::UNPROCESSABLE_ENTITY, "page.forgot.problem");
        return page(&app, &visitor, &flow, Some(problem));
    };
    if let Err(fault) = app.identity().forgot_password(&visitor.call, &email).await {
        return match problem_of(&app, &visitor, &look, fault) {
            Ok(problem) => page(&app, &visitor, &flow, Some(problem)),
            Err(response) => *response,
        };
    }
    let mut page = Page::titled(&look, "page.forgot.sent.title");
    page.texts.push(words.fill("page.forgot.sent.text", &[("email", &email.to_string())]));
    if let Ok(sealed) = flow.seal(&app, &visitor) {
        page.links.push(link(words, "page.sign_in", format!("/sign-in?flow={sealed}")));
    }
    page.answer(&app, &visitor, StatusCode::OK)
}

//! `/cancel-factor-reset` and `/confirm-factor-reset`: where mails about a reset of second factors lead.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tidegate_identity::recovery::answer_factor_reset::{InvalidResetLink, ResetAnswer};
use tidegate_kernel::Refused;

use super::failure;
use super::links::{Followed, FollowedLink, PageForm, followed, invalid, sign_in_link};
use super::look::{Card, Look};
use super::parts::{Button, Form, Rank};
use crate::wire::state::App;

pub(super) async fn ask_cancel(state: State<App>, headers: HeaderMap, query: FollowedLink) -> Response {
    ask(state.0, headers, query, ResetAnswer::Cancel).await
}

pub(super) async fn ask_confirm(state: State<App>, headers: HeaderMap, query: FollowedLink) -> Response {
    ask(state.0, headers, query, ResetAnswer::Confirm).await
}

pub(super) async fn cancel(state: State<App>, headers: HeaderMap, request: PageForm<Followed>) -> Response {
    answer(state.0, headers, request, ResetAnswer::Cancel).await
}

pub(super) async fn confirm(state: State<App>, headers: HeaderMap, request: PageForm<Followed>) -> Response {
    answer(state.0, headers, request, ResetAnswer::Confirm).await
}

/// Asks before it changes anything: programs that look at every link in a mail must not use it up.
async fn ask(app: App, headers: HeaderMap, query: FollowedLink, answer: ResetAnswer) -> Response {
    let link = followed(query);
    let look = Look::of(&app, &headers, None);
    match app.identity().is_reset_link_open(&link.token(), answer).await {
        Ok(true) => {}
        Ok(false) => return invalid(&app, &look, StatusCode::BAD_REQUEST, "page.invalid.factor_reset"),
        Err(fault) => return failure(&app, &headers, fault.into()),
    }
    let (action, title, text, button) = match answer {
        ResetAnswer::Cancel => (
            "/cancel-factor-reset",
            "page.factor_reset.cancel.title",
            "page.factor_reset.cancel.text",
            "page.factor_reset.cancel.button",
        ),
        ResetAnswer::Confirm => (
            "/confirm-factor-reset",
            "page.factor_reset.confirm.title",
            "page.factor_reset.confirm.text",
            "page.factor_reset.confirm.button",
        ),
    };
    let words = &look.words;
    let form = Form {
        action: action.into(),
        hidden: link.hidden(),
        username: None,
        fields: Vec::new(),
        checks: Vec::new(),
        button: Button { rank: Rank::Primary, label: words.text(button).to_owned() },
    };
    let card = Card { form: Some(form), ..Card::saying(&look, words.text(title), words.text(text)) };
    card.answer(StatusCode::OK)
}

async fn answer(app: App, headers: HeaderMap, request: PageForm<Followed>, answer: ResetAnswer) -> Response {
    let call = request.call(&app, &headers);
    let look = Look::of(&app, &headers, None);
    let (title, text) = match app.identity().answer_factor_reset(&call, &request.form.token(), answer).await {
        Ok(()) => match answer {
            ResetAnswer::Cancel => ("page.factor_reset.cancelled.title", "page.factor_reset.cancelled.text"),
            ResetAnswer::Confirm => ("page.factor_reset.confirmed.title", "page.factor_reset.confirmed.text"),
        },
        Err(Refused::Rule(InvalidResetLink)) => {
            return invalid(&app, &look, StatusCode::BAD_REQUEST, "page.invalid.factor_reset");
        }
        Err(Refused::Fault(fault)) => return failure(&app, &headers, fault.into()),
    };
    let links = sign_in_link(&app, &look.words, Rank::Primary).into_iter().collect();
    let card = Card { links, ..Card::saying(&look, look.words.text(title), look.words.text(text)) };
    card.answer(StatusCode::OK)
}

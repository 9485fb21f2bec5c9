//! `/restore-email`: where the notice of a changed address leads.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tidegate_identity::recovery::restore_email::RestoreEmailError;
use tidegate_kernel::Refused;

use super::failure;
use super::links::{Followed, FollowedLink, PageForm, PageText, followed, invalid, password_card};
use super::look::{Card, Look};
use super::parts::{Button, Form, Rank};
use crate::wire::state::App;

/// Asks before it changes anything: programs that look at every link in a mail must not use it up.
pub(super) async fn ask(State(app): State<App>, headers: HeaderMap, query: FollowedLink) -> Response {
    let link = followed(query);
    let look = Look::of(&app, &headers, None);
    let purpose = match app.identity().restore_purpose(&link.token()).await {
        Ok(Some(purpose)) => purpose,
        Ok(None) => return invalid(&app, &look, StatusCode::BAD_REQUEST, "page.invalid.restore"),
        Err(fault) => return failure(&app, &headers, fault.into()),
    };
    let words = &look.words;
    let form = Form {
        action: "/restore-email".into(),
        hidden: link.hidden(),
        username: None,
        fields: Vec::new(),
        checks: Vec::new(),
        button: Button { rank: Rank::Primary, label: words.text("page.restore.button").to_owned() },
    };
    let text = words.fill("page.restore.text", &[("email", &purpose.address.to_string())]);
    let card = Card { form: Some(form), ..Card::saying(&look, words.text("page.restore.title"), text) };
    card.answer(StatusCode::OK)
}

pub(super) async fn restore(
    State(app): State<App>,
    headers: HeaderMap,
    request: PageForm<Followed>,
) -> Response {
    let call = request.call(&app, &headers);
    let link = request.form;
    match app.identity().restore_email(&call, &link.token()).await {
        Ok(choice) => {
            let link = Followed { token: choice.expose().to_owned(), ..link };
            let said = PageText { title: "page.restored.title", text: "page.restored.text" };
            password_card(&app, &headers, &link, said, &[]).await
        }
        Err(Refused::Rule(RestoreEmailError::InvalidToken)) => {
            let look = Look::of(&app, &headers, None);
            invalid(&app, &look, StatusCode::BAD_REQUEST, "page.invalid.restore")
        }
        Err(Refused::Fault(fault)) => failure(&app, &headers, fault.into()),
    }
}

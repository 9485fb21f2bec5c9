//! `/secure-account`: where security notices lead.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tidegate_identity::recovery::secure_account::{AccountSecured, SecureAccountError, SecurityLink};
use tidegate_kernel::Refused;

use super::failure;
use super::links::{Followed, FollowedLink, PageForm, followed, sign_in_link};
use super::look::{Card, Look, coded};
use super::parts::{Button, Form, Rank};
use crate::wire::state::App;

/// Asks before it ends anything: programs that look at every link in a mail must not use it up.
pub(super) async fn ask(State(app): State<App>, headers: HeaderMap, query: FollowedLink) -> Response {
    let link = followed(query);
    let look = Look::of(&app, &headers, None);
    match app.identity().security_link(&link.token()).await {
        Ok(SecurityLink::Open) => {}
        Ok(state) => return not_open(&app, &look, state),
        Err(fault) => return failure(&app, &headers, fault.into()),
    }
    let words = &look.words;
    let form = Form {
        action: "/secure-account".into(),
        hidden: link.hidden(),
        username: None,
        fields: Vec::new(),
        checks: Vec::new(),
        button: Button { rank: Rank::Primary, label: words.text("page.secure.button").to_owned() },
    };
    let text = words.text("page.secure.text");
    let card = Card { form: Some(form), ..Card::saying(&look, words.text("page.secure.title"), text) };
    card.answer(StatusCode::OK)
}

/// A link that secures nothing any more: the reader, who may be under attack, is told what does.
fn not_open(app: &App, look: &Look, state: SecurityLink) -> Response {
    let words = &look.words;
    let why = match state {
        SecurityLink::Used => "page.secure.used",
        SecurityLink::Expired => "page.secure.expired",
        SecurityLink::Open | SecurityLink::Unknown => "page.secure.unknown",
    };
    let texts = vec![words.text(why).to_owned(), words.text("page.secure.now").to_owned()];
    let links = sign_in_link(app, words, Rank::Primary).into_iter().collect();
    let card = Card { texts, links, ..Card::saying(look, words.text("page.invalid.title"), "") };
    coded(card.answer(StatusCode::BAD_REQUEST), why)
}

pub(super) async fn secure(
    State(app): State<App>,
    headers: HeaderMap,
    request: PageForm<Followed>,
) -> Response {
    let call = request.call(&app, &headers);
    let look = Look::of(&app, &headers, None);
    let words = &look.words;
    let token = request.form.token();
    let text = match app.identity().secure_account(&call, &token).await {
        Ok(AccountSecured::ResetMailed) => "page.secured.mailed",
        Ok(AccountSecured::SessionsEnded) => "page.secured.ended",
        Err(Refused::Rule(SecureAccountError::InvalidLink)) => {
            return match app.identity().security_link(&token).await {
                Ok(state) => not_open(&app, &look, state),
                Err(fault) => failure(&app, &headers, fault.into()),
            };
        }
        Err(Refused::Fault(fault)) => return failure(&app, &headers, fault.into()),
    };
    let links = sign_in_link(&app, words, Rank::Primary).into_iter().collect();
    let card = Card { links, ..Card::saying(&look, words.text("page.secured.title"), words.text(text)) };
    card.answer(StatusCode::OK)
}

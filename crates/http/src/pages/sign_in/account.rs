//! `/account`: who is signed in in this browser.

use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::flow::{Continuation, SignInWish, has_to_sign_in, sign_in_first, without_proof};
use super::page::{Page, gone};
use super::sign_out;
use crate::pages::visitor::Visitor;
use crate::wire::state::App;

/// Says who is signed in; without a session, asks for one.
pub(super) async fn page(State(app): State<App>, visitor: Visitor, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let (query, proof) = without_proof(&query);
    let Ok(to) = Continuation::to("/account", Some(&query)) else { return gone(&app, &visitor) };
    let wish = SignInWish::default();
    let session = match &visitor.session {
        Some(session) if !has_to_sign_in(&app, session, &wish, &to, proof) => session,
        _ => return sign_in_first(&app, &visitor, to, wish),
    };
    let look = visitor.look(&app);
    let mut page = Page::titled(&look, "page.account.title");
    page.texts.push(look.words.fill("page.account.text", &[("name", &session.name)]));
    page.form = Some(sign_out::form_of(&app, &visitor, &look.words));
    page.answer(&app, &visitor, StatusCode::OK)
}

//! Hosted pages: where the links in mails lead, the sign-in, the start page, and what developers look at. No inline scripts; every
//! page works without scripts, but for passkeys.
//!
//! The forms behind mailed links need no CSRF token of their own: each carries the secret from the mail, and nothing else authorises
//! them. Those of the sign-in are bound to the browser by its cookies: see [`visitor`]. GET and HEAD change nothing: see [`crate::wire::safe`].

mod assets;
mod design;
mod factor_reset;
mod links;
mod look;
mod outbox;
mod parts;
mod passkeys;
mod restore;
mod scope_words;
mod secure;
mod sign_in;
mod start;
mod visitor;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use tidegate_kernel::settings::DeliveryMode;

use crate::ops::operators_only;
use crate::wire::body::small;
use crate::wire::boundary::handled;
use crate::wire::headers::page_headers;
use crate::wire::not_found::method_not_allowed;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;
use look::{Card, Look, coded};
pub(crate) use parts::Rank;
pub(crate) use scope_words::in_words;
pub(crate) use sign_in::flow::{
    Continuation, SignInWish, sign_in_first, sign_in_with_another, was_signed_in_for, without_proof,
};
pub(crate) use sign_in::page::{Page, form, link};
pub(crate) use sign_in::sign_out::SIGNED_OUT;
pub(crate) use start::show_to_browsers;
pub(crate) use visitor::{BrowserSession, Visitor, answer_signed_out};

/// Routes of the pages.
pub(crate) fn router(app: &App) -> Router<App> {
    let mut pages = Router::new()
        .route("/", get(start::start))
        .route("/verify-email", get(links::verify_email).post(links::confirm_email))
        .route("/reset-password", get(links::reset_password).post(links::set_password))
        .route("/restore-email", get(restore::ask).post(restore::restore))
        .route("/secure-account", get(secure::ask).post(secure::secure))
        .route("/cancel-factor-reset", get(factor_reset::ask_cancel).post(factor_reset::cancel))
        .route("/confirm-factor-reset", get(factor_reset::ask_confirm).post(factor_reset::confirm))
        .merge(assets::router())
        .merge(sign_in::router(app))
        .method_not_allowed_fallback(method_not_allowed);
    if serves_development_pages(app) {
        let dev = Router::new()
            .route("/dev/outbox", get(outbox::page))
            .route("/dev/outbox/mail", get(outbox::mail))
            .route("/dev/design", get(design::page))
            .route("/dev/passkeys", get(passkeys::page))
            .route("/dev/passkeys.js", get(passkeys::script))
            // Before the layer, which hides these pages from strangers whatever the method.
            .method_not_allowed_fallback(method_not_allowed)
            .layer(middleware::from_fn_with_state(app.clone(), operators_only));
        pages = pages.merge(dev);
    }
    pages.layer(DefaultBodyLimit::max(small(app))).layer(middleware::from_fn_with_state(app.clone(), secured))
}

/// Whether messages are kept here to be read, on a listener that only this machine reaches.
fn serves_development_pages(app: &App) -> bool {
    let is_kept = [app.kernel().settings().mail, app.kernel().settings().sms].contains(&DeliveryMode::Keep);
    is_kept && app.http().serves_outbox
}

async fn secured(State(app): State<App>, request: Request, next: Next) -> Response {
    let headers = request.headers().clone();
    let handled = handled(&app, request, next).await;
    let response = handled.unwrap_or_else(|rejection| failure(&app, &headers, rejection));
    // No refusal is without a word in the log.
    let mut response = coded(response, "unnamed");
    for (name, value) in &page_headers() {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

/// What befell a request, as a page.
pub(crate) fn failure(app: &App, headers: &HeaderMap, rejection: Rejection) -> Response {
    let added = rejection.headers();
    let why = match rejection {
        Rejection::NotConfigured { .. } => "page.failed.not_set_up",
        _ => "page.failed.text",
    };
    let status = match rejection {
        Rejection::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        Rejection::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Rejection::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Rejection::Unavailable { .. } | Rejection::NotConfigured { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let look = Look::of(app, headers, None);
    let (title, text) = (look.words.text("page.failed.title"), look.words.text(why));
    let mut response = coded(Card::saying(&look, title, text).answer(status), why);
    response.headers_mut().extend(added);
    response
}

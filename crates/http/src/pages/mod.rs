//! Hosted pages: where the links in mails lead, and what developers look at. No scripts, no cookies.
//!
//! The forms need no CSRF token of their own: each carries the secret from the mail, and nothing else authorises them.

mod links;
mod outbox;
mod restore;

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Form, middleware};
use tidegate_kernel::Call;
use tidegate_kernel::settings::DeliveryMode;

use crate::ops::operators_only;
use crate::wire::body::small;
use crate::wire::boundary::handled;
use crate::wire::client::{client_ip, user_agent};
use crate::wire::headers::page_headers;
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Routes of the pages.
pub(crate) fn router(app: &App) -> Router<App> {
    let mut pages = Router::new()
        .route("/verify-email", get(links::verify_email).post(links::confirm_email))
        .route("/reset-password", get(links::reset_password).post(links::set_password))
        .route("/restore-email", get(restore::ask).post(restore::restore))
        .route("/assets/style.css", get(style));
    let is_kept = [app.kernel().settings().mail, app.kernel().settings().sms].contains(&DeliveryMode::Keep);
    if is_kept && app.http().serves_outbox {
        let dev = Router::new()
            .route("/dev/outbox", get(outbox::page))
            .layer(middleware::from_fn_with_state(app.clone(), operators_only));
        pages = pages.merge(dev);
    }
    pages.layer(DefaultBodyLimit::max(small(app))).layer(middleware::from_fn_with_state(app.clone(), secured))
}

async fn secured(State(app): State<App>, request: Request, next: Next) -> Response {
    let handled = handled(&app, request, next).await;
    let mut response = handled.unwrap_or_else(|rejection| failure(&app, rejection));
    for (name, value) in &page_headers() {
        response.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    response
}

async fn style() -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8")),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600")),
    ];
    (headers, include_str!("../../templates/style.css")).into_response()
}

/// One question or one answer.
#[derive(Template)]
#[template(path = "card.html")]
struct Card<'a> {
    product: &'a str,
    title: &'a str,
    text: &'a str,
    form: Option<FormView<'a>>,
}

struct FormView<'a> {
    action: &'a str,
    token: &'a str,
    new_password: bool,
    /// Phones that can sign in to the account, which the form offers to remove.
    phones: &'a str,
    problem: Option<String>,
    button: &'a str,
}

fn failure(app: &App, rejection: Rejection) -> Response {
    let headers = rejection.headers();
    let status = match rejection {
        Rejection::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        Rejection::UnsupportedEncoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Rejection::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        Rejection::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = card(app, status, "That did not work", "Please try again in a moment.", None);
    response.headers_mut().extend(headers);
    response
}

fn card(app: &App, status: StatusCode, title: &str, text: &str, form: Option<FormView<'_>>) -> Response {
    let card = Card { product: &app.kernel().settings().product, title, text, form };
    match card.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A posted form and where it came from.
struct PageForm<T> {
    form: T,
    extensions: axum::http::Extensions,
}

impl<T> PageForm<T> {
    fn call(&self, app: &App, headers: &HeaderMap) -> Call {
        let ip = client_ip(headers, &self.extensions, app.http());
        Call::to_page(app.kernel().settings(), ip, user_agent(headers))
    }
}

impl<T: serde::de::DeserializeOwned> axum::extract::FromRequest<App> for PageForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let extensions = request.extensions().clone();
        match Form::<T>::from_request(request, app).await {
            Ok(Form(form)) => Ok(Self { form, extensions }),
            Err(rejection) => {
                let text = "The form could not be read. Open the link in your mail again.";
                Err(card(app, rejection.status(), "That did not work", text, None))
            }
        }
    }
}

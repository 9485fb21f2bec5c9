//! Hosted pages: where the links in mails lead, and what developers look at. No scripts, no cookies.
//!
//! The forms need no CSRF token of their own: each carries the secret from the mail, and nothing else authorises them.

mod outbox;

use askama::Template;
use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Form, middleware};
use serde::Deserialize;
use tidegate_crypto::PlainToken;
use tidegate_domain::Password;
use tidegate_identity::recovery::reset_password::{ResetPassword, ResetPasswordError};
use tidegate_identity::sign_in::confirm_link::ConfirmLinkError;
use tidegate_kernel::settings::DeliveryMode;
use tidegate_kernel::{Call, Refused};

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
        .route("/verify-email", get(verify_email).post(confirm_email))
        .route("/reset-password", get(reset_password).post(set_password))
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
    problem: Option<String>,
    button: &'a str,
}

#[derive(Deserialize)]
struct TokenQuery {
    #[serde(default)]
    token: String,
}

#[derive(Deserialize)]
struct PasswordForm {
    #[serde(default)]
    token: String,
    #[serde(default)]
    new_password: String,
}

type TokenInQuery = Result<Query<TokenQuery>, QueryRejection>;

/// The token of a link; a query that cannot be read has none that is valid.
fn token_of(query: TokenInQuery) -> String {
    query.map(|Query(query)| query.token).unwrap_or_default()
}

/// Asks before it verifies: programs that look at every link in a mail must not use it up.
async fn verify_email(State(app): State<App>, query: TokenInQuery) -> Response {
    let token = token_of(query);
    let form = FormView {
        action: "/verify-email",
        token: &token,
        new_password: false,
        problem: None,
        button: "Confirm e-mail address",
    };
    let text = "Press the button to confirm that this e-mail address is yours.";
    card(&app, StatusCode::OK, "Confirm your e-mail address", text, Some(form))
}

async fn confirm_email(
    State(app): State<App>,
    headers: HeaderMap,
    request: PageForm<TokenQuery>,
) -> Response {
    let call = request.call(&app, &headers);
    match app.identity().verify_by_link(&call, &PlainToken::from_presented(&request.form.token)).await {
        Ok(()) => {
            let text = "Your e-mail address is confirmed. You can close this page and sign in.";
            card(&app, StatusCode::OK, "Thank you", text, None)
        }
        Err(Refused::Rule(error)) => {
            let status = match error {
                ConfirmLinkError::InvalidToken => StatusCode::BAD_REQUEST,
                ConfirmLinkError::Expired => StatusCode::GONE,
            };
            let text = "This link is no longer valid. Sign in again to get a new one.";
            card(&app, status, "Link not valid", text, None)
        }
        Err(Refused::Fault(fault)) => failure(&app, fault.into()),
    }
}

async fn reset_password(State(app): State<App>, query: TokenInQuery) -> Response {
    password_card(&app, StatusCode::OK, &token_of(query), None)
}

async fn set_password(
    State(app): State<App>,
    headers: HeaderMap,
    request: PageForm<PasswordForm>,
) -> Response {
    let call = request.call(&app, &headers);
    let PasswordForm { token, new_password } = request.form;
    let claim = ResetPassword {
        token: PlainToken::from_presented(&token),
        email: None,
        expires_at: None,
        new_password: Password::new(new_password),
    };
    match app.identity().reset_password(&call, claim).await {
        Ok(()) => {
            let text = "Your password is changed and you are signed out everywhere. You can close this page and sign in.";
            card(&app, StatusCode::OK, "Password changed", text, None)
        }
        Err(Refused::Rule(ResetPasswordError::WeakPassword(weak))) => password_card(
            &app,
            StatusCode::UNPROCESSABLE_ENTITY,
            &token,
            Some(format!("The password {weak}.")),
        ),
        Err(Refused::Rule(ResetPasswordError::InvalidToken | ResetPasswordError::AccountNotFound)) => {
            let text = "This link is no longer valid. Ask for a new one where you sign in.";
            card(&app, StatusCode::BAD_REQUEST, "Link not valid", text, None)
        }
        Err(Refused::Fault(fault)) => failure(&app, fault.into()),
    }
}

fn password_card(app: &App, status: StatusCode, token: &str, problem: Option<String>) -> Response {
    let form = FormView {
        action: "/reset-password",
        token,
        new_password: true,
        problem,
        button: "Set new password",
    };
    let text = "Choose a new password. You will be signed out everywhere.";
    card(app, status, "Set a new password", text, Some(form))
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

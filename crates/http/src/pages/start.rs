//! `/`: what this is, and where everything else is. And the page for browsers at an address where there is nothing.

use askama::Template;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::links::sign_in_link;
use super::look::{Card, Look, page};
use super::parts::{LinkButton, Rank};
use crate::ops::is_operator;
use crate::registry;
use crate::wire::accept::prefers_html;
use crate::wire::headers::page_headers;
use crate::wire::not_found::NothingServed;
use crate::wire::state::App;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What both forms of the start page link to, with the key of its label.
const LINKS: [(&str, &str, &str); 4] = [
    ("documentation", "/docs", "page.start.docs"),
    ("openapi", "/openapi.json", "page.start.openapi"),
    ("jwks", "/.well-known/jwks.json", "page.start.keys"),
    ("health", "/healthz", "page.start.health"),
];

#[derive(Template)]
#[template(path = "start.html")]
struct Start<'a> {
    look: &'a Look,
    version: String,
    text: String,
    sign_in: Option<LinkButton>,
    links: Vec<StartLink>,
    contracts: Vec<ContractView>,
}

struct StartLink {
    href: &'static str,
    label: String,
}

struct ContractView {
    name: &'static str,
    title: &'static str,
    bases: Vec<String>,
}

/// A page for browsers, the same as JSON for programs.
pub(super) async fn start(State(app): State<App>, request: Request) -> Response {
    let headers = request.headers();
    let mut response = if prefers_html(headers) { start_page(&app, &request) } else { start_document(&app) };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept, accept-language"));
    response
}

fn start_page(app: &App, request: &Request) -> Response {
    let look = Look::of(app, request.headers(), None);
    let words = &look.words;
    let link = |href: &'static str, key: &str| StartLink { href, label: words.text(key).to_owned() };
    let mut links: Vec<StartLink> = LINKS.iter().map(|(_, href, key)| link(href, key)).collect();
    if super::serves_development_pages(app) && is_operator(app, request) {
        links.push(link("/account", "page.sign_in"));
        links.push(link("/dev/outbox", "page.start.outbox"));
        links.push(link("/dev/design", "page.start.design"));
        links.push(link("/dev/passkeys", "page.start.passkeys"));
    }
    let start = Start {
        version: words.fill("page.start.version", &[("version", VERSION)]),
        text: words.fill("page.start.text", &[("product", &look.product)]),
        sign_in: sign_in_link(app, words, Rank::Primary),
        links,
        contracts: contracts(app),
        look: &look,
    };
    page(StatusCode::OK, &start)
}

fn start_document(app: &App) -> Response {
    let settings = app.kernel().settings();
    let apis: Vec<Value> = contracts(app)
        .into_iter()
        .map(|contract| json!({ "name": contract.name, "title": contract.title, "urls": contract.bases }))
        .collect();
    let mut document = json!({ "name": settings.product, "version": VERSION, "apis": apis });
    let links = LINKS
        .iter()
        .map(|(name, path, _)| ((*name).to_owned(), json!(format!("{}{path}", settings.public_url))));
    if let Some(document) = document.as_object_mut() {
        document.extend(links);
    }
    Json(document).into_response()
}

fn contracts(app: &App) -> Vec<ContractView> {
    let public = &app.kernel().settings().public_url;
    let view = |contract: &&'static registry::Contract| ContractView {
        name: contract.id.as_str(),
        title: contract.title,
        bases: contract.mounts.iter().map(|mount| format!("{public}{}", mount.prefix)).collect(),
    };
    registry::contracts().iter().map(view).collect()
}

/// The pages for browsers where nothing is served; programs get the same in JSON.
pub(crate) async fn show_to_browsers<F: Future<Output = Response>>(
    app: &App,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let browser = prefers_html(request.headers()).then(|| request.headers().clone());
    let mut response = next(request).await;
    let Some(nothing) = response.extensions().get::<NothingServed>().copied() else { return response };
    // A form that is sent to nowhere is a program's business; one that is sent to a page is not.
    let is_shown = is_read || matches!(nothing, NothingServed::ToMethod);
    if let Some(headers) = browser.filter(|_| is_shown) {
        let extensions = std::mem::take(response.extensions_mut());
        let allow = response.headers_mut().remove(header::ALLOW);
        response = nothing_page(app, &Look::of(app, &headers, None), nothing);
        response.extensions_mut().extend(extensions);
        response.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    }
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept, accept-language"));
    response
}

fn nothing_page(app: &App, look: &Look, nothing: NothingServed) -> Response {
    let words = &look.words;
    let (status, title, text) = match nothing {
        NothingServed::Here => (StatusCode::NOT_FOUND, "page.not_found.title", "page.not_found.text"),
        NothingServed::ToMethod => {
            (StatusCode::METHOD_NOT_ALLOWED, "page.not_allowed.title", "page.not_allowed.text")
        }
    };
    let home =
        LinkButton { rank: Rank::Secondary, label: words.text("page.home").to_owned(), href: "/".to_owned() };
    let links = sign_in_link(app, words, Rank::Primary).into_iter().chain([home]).collect();
    let card = Card { links, ..Card::saying(look, words.text(title), words.text(text)) };
    let mut response = card.answer(status);
    let headers: HeaderMap = page_headers();
    response.headers_mut().extend(headers);
    response
}

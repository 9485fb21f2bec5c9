//! What pages load: style sheet, script, pictures. All of it is served from here.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tidegate_domain::Brand;

use super::look::style_sheet;
use crate::wire::state::App;

/// How long browsers keep what changes with a release or a configuration only.
const KEPT: &str = "public, max-age=3600";

pub(super) fn router() -> Router<App> {
    Router::new()
        .route("/assets/style.css", get(style))
        .route("/assets/page.js", get(script))
        .route("/assets/logo", get(logo))
        .route("/assets/icon.svg", get(icon))
        .route("/favicon.ico", get(favicon))
        .route("/robots.txt", get(robots))
}

fn asset(media_type: &'static str, bytes: impl IntoResponse) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static(KEPT)),
    ];
    (headers, bytes).into_response()
}

async fn style(State(app): State<App>) -> Response {
    asset("text/css; charset=utf-8", style_sheet(&app.kernel().settings().brand))
}

async fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("../../templates/page.js"))
}

/// The installation's logo, or Tidegate's own mark.
async fn logo(State(app): State<App>) -> Response {
    let brand = &app.kernel().settings().brand;
    match &brand.logo {
        Some(logo) => picture(logo.media_type, logo.bytes.clone()),
        None => picture("image/svg+xml", mark(brand)),
    }
}

async fn icon(State(app): State<App>) -> Response {
    picture("image/svg+xml", mark(&app.kernel().settings().brand))
}

async fn favicon() -> Response {
    asset("image/x-icon", include_bytes!("../../templates/favicon.ico").as_slice())
}

/// Nothing here is for search engines.
async fn robots() -> Response {
    asset("text/plain; charset=utf-8", "User-agent: *\nDisallow: /\n")
}

/// A picture. An SVG file that is opened by itself is a page: it may style itself, and nothing else.
fn picture(media_type: &'static str, bytes: impl IntoResponse) -> Response {
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; sandbox");
    let mut response = asset(media_type, bytes);
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    response.headers_mut().insert(
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    );
    response
}

/// Tidegate's mark in the installation's colour.
fn mark(brand: &Brand) -> String {
    let source = include_str!("../../templates/icon.svg");
    let own = Brand::default().accent.css();
    source.replace(&own, &brand.accent.css()).replace("#fff", &brand.accent.ink_on().css())
}

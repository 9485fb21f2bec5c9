//! `/docs`: the APIs' descriptions as a page for people, drawn by Redoc from files that are served here.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::reference;
use crate::wire::headers::page_headers;
use crate::wire::state::App;

/// What the renderer needs: scripts of this server only and none inline; styles that it makes as it runs; the worker that
/// searches, which it starts from its own text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; \
                      img-src 'self' data:; worker-src blob:; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";
/// Its address names its version.
const KEPT_FOR_LONG: &str = "public, max-age=31536000, immutable";
const KEPT: &str = "public, max-age=3600";

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage<'a> {
    product: &'a str,
    accent: String,
    accent_dark: String,
}

pub(super) fn router() -> Router<App> {
    let script = "text/javascript; charset=utf-8";
    Router::new()
        .route("/docs", get(page))
        .route("/docs/openapi.json", get(document))
        .route(
            "/assets/redoc-2.5.4.js",
            get(move || async move {
                file(script, KEPT_FOR_LONG, include_str!("../../assets/redoc/redoc.standalone.js"))
            }),
        )
        .route(
            "/assets/docs.js",
            get(move || async move { file(script, KEPT, include_str!("../../templates/docs.js")) }),
        )
        .route(
            "/assets/docs.css",
            get(async || file("text/css; charset=utf-8", KEPT, include_str!("../../templates/docs.css"))),
        )
}

fn file(media_type: &'static str, kept: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (header::CACHE_CONTROL, HeaderValue::from_static(kept)),
    ];
    (headers, text).into_response()
}

async fn page(State(app): State<App>) -> Response {
    let settings = app.kernel().settings();
    let page = DocsPage {
        product: &settings.product,
        accent: settings.brand.accent.css(),
        accent_dark: settings.brand.accent_dark.css(),
    };
    match page.render() {
        Ok(html) => {
            let mut headers = page_headers();
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
            (headers, Html(html)).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "the API page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// What the page shows: made when it is first asked for.
async fn document(State(app): State<App>) -> Response {
    let made = app.reference(|| {
        reference::document(&app.kernel().settings().public_url).unwrap_or_else(|error| {
            tracing::error!(%error, "the API documentation could not be made");
            "{}".to_owned()
        })
    });
    ([(header::CONTENT_TYPE, "application/json")], made).into_response()
}

//! What all pages of an installation share: name, colours, language, whom to ask.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use askama::Template;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use tidegate_domain::{Brand, Catalogue, LanguageTag};

use super::parts::{Alert, Form, LinkButton};
use crate::wire::client::accept_language;
use crate::wire::state::App;
use crate::wire::telemetry::ErrorCode;

/// What the layout needs to know.
pub(crate) struct Look {
    pub(crate) product: String,
    pub(crate) words: Arc<Catalogue>,
    /// The address of the style sheet, another one whenever it changes: browsers keep it.
    pub(crate) style: String,
    pub(crate) support: Option<Support>,
}

/// Whom people ask.
pub(crate) struct Support {
    pub(crate) text: String,
    pub(crate) link: String,
}

impl Look {
    /// In the language that the reader's browser prefers, or else that of the account the page is about, or English.
    pub(crate) fn of(app: &App, headers: &HeaderMap, account: Option<&LanguageTag>) -> Self {
        let settings = app.kernel().settings();
        let asked = accept_language(headers);
        let tag = settings.languages.preferred(&asked).or(account);
        Self::in_words(app, Arc::clone(settings.languages.of(tag)))
    }

    /// In the language that an application asked for (OpenID Connect Core, section 3.1.2.1, `ui_locales`), or else as above.
    pub(crate) fn asked_for(app: &App, headers: &HeaderMap, locales: Option<&str>) -> Self {
        let list = locales.unwrap_or_default().split_ascii_whitespace().collect::<Vec<_>>().join(",");
        let languages = &app.kernel().settings().languages;
        match languages.preferred(&list) {
            Some(tag) => Self::in_words(app, Arc::clone(languages.of(Some(tag)))),
            None => Self::of(app, headers, None),
        }
    }

    /// In English: pages for developers, and the contracts' own words.
    pub(crate) fn in_english(app: &App) -> Self {
        Self::in_words(app, Arc::clone(app.kernel().settings().languages.of(None)))
    }

    fn in_words(app: &App, words: Arc<Catalogue>) -> Self {
        let settings = app.kernel().settings();
        let support = settings.brand.support.clone().zip(settings.brand.support_link());
        Self {
            product: settings.product.clone(),
            words,
            style: style_address(&settings.brand),
            support: support.map(|(text, link)| Support { text, link }),
        }
    }
}

/// The style sheet with the installation's colours.
pub(crate) fn style_sheet(brand: &Brand) -> String {
    let Brand { accent, accent_dark, .. } = brand;
    let colours = |accent: &tidegate_domain::Colour| {
        format!(":root {{ --accent: {}; --on-accent: {}; }}", accent.css(), accent.ink_on().css())
    };
    format!(
        "{}\n{}\n@media (prefers-color-scheme: dark) {{ {} }}\n",
        include_str!("../../templates/style.css"),
        colours(accent),
        colours(accent_dark)
    )
}

fn style_address(brand: &Brand) -> String {
    let mut hasher = DefaultHasher::new();
    style_sheet(brand).hash(&mut hasher);
    format!("/assets/style.css?v={:x}", hasher.finish())
}

/// One question or one answer.
#[derive(Template)]
#[template(path = "card.html")]
pub(crate) struct Card<'a> {
    pub(crate) look: &'a Look,
    pub(crate) title: &'a str,
    pub(crate) alerts: Vec<Alert>,
    pub(crate) texts: Vec<String>,
    pub(crate) form: Option<Form>,
    pub(crate) links: Vec<LinkButton>,
}

impl<'a> Card<'a> {
    /// A card that says one thing.
    pub(crate) fn saying(look: &'a Look, title: &'a str, text: impl Into<String>) -> Self {
        Self { look, title, alerts: Vec::new(), texts: vec![text.into()], form: None, links: Vec::new() }
    }

    /// The answer with that status.
    pub(crate) fn answer(self, status: StatusCode) -> Response {
        page(status, &self)
    }
}

/// A refusal with what the log calls it: the key of the text that says why, or another word where no text is its own. A refusal that has one
/// keeps it, and what is none gets none.
pub(crate) fn coded(mut response: Response, key: &str) -> Response {
    let is_refusal = response.status().is_client_error() || response.status().is_server_error();
    if is_refusal && response.extensions().get::<ErrorCode>().is_none() {
        response.extensions_mut().insert(ErrorCode(key.to_owned()));
    }
    response
}

/// A page as an answer.
pub(crate) fn page(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

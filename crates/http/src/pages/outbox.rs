//! The development outbox: mails and text messages that were not sent, to be read.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};
use tidegate_kernel::settings::DeliveryMode;

use crate::wire::rejection::Rejection;
use crate::wire::state::App;

/// Mails shown.
const NEWEST: i64 = 50;

#[derive(Template)]
#[template(path = "outbox.html")]
struct Outbox {
    product: String,
    mails: Vec<MailView>,
}

struct MailView {
    to: String,
    at: String,
    subject: String,
    text: String,
    code: Option<String>,
    link: Option<String>,
}

/// Whether messages of this channel are kept to be read. Messages that wait to be sent are not shown.
fn is_kept(app: &App, channel: &str) -> bool {
    let mode = if channel == "sms" { app.kernel().settings().sms } else { app.kernel().settings().mail };
    mode == DeliveryMode::Keep
}

/// The newest mails.
pub(super) async fn page(State(app): State<App>) -> Response {
    let entries = match app.kernel().list_outbox(None, NEWEST).await {
        Ok(entries) => entries,
        Err(fault) => return super::failure(&app, Rejection::from(fault)),
    };
    let mails = entries
        .iter()
        .filter(|entry| entry.message.state != "discarded" && is_kept(&app, &entry.message.channel))
        .filter_map(|entry| {
            let said = app.kernel().render(entry).ok().flatten()?;
            Some(MailView {
                to: entry.message.recipient.clone(),
                at: entry.message.created_at().iso_seconds(),
                subject: said.subject().unwrap_or("Text message").to_owned(),
                text: said.text().to_owned(),
                code: entry.code().map(str::to_owned),
                link: entry.link().map(str::to_owned),
            })
        })
        .collect();
    match (Outbox { product: app.kernel().settings().product.clone(), mails }).render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "the outbox page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

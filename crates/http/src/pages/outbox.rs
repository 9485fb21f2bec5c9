//! The development outbox: mails and text messages that were not sent, to be read.

use askama::Template;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde::Deserialize;
use tidegate_kernel::deliver::{OutboxEntry, RenderedMessage};
use tidegate_kernel::settings::DeliveryMode;

use super::failure;
use super::look::{Look, page as answer};
use crate::wire::not_found::not_found;
use crate::wire::state::App;

/// Mails shown.
const NEWEST: i64 = 50;

#[derive(Template)]
#[template(path = "outbox.html")]
struct Outbox<'a> {
    look: &'a Look,
    mails: Vec<MailView>,
}

struct MailView {
    to: String,
    at: String,
    subject: String,
    text: String,
    code: Option<String>,
    link: Option<String>,
    /// Where the mail is shown as a mail program would.
    frame: Option<String>,
}

/// Which mail. In the query: the path is one that a proxy's rule can name.
#[derive(Deserialize)]
pub(super) struct FrameQuery {
    number: i64,
}

/// Whether messages of this channel are kept to be read. Messages that wait to be sent are not shown.
fn is_kept(app: &App, channel: &str) -> bool {
    let mode = if channel == "sms" { app.kernel().settings().sms } else { app.kernel().settings().mail };
    mode == DeliveryMode::Keep
}

fn is_shown(app: &App, entry: &OutboxEntry) -> bool {
    entry.message.state != "discarded" && is_kept(app, &entry.message.channel)
}

/// The newest mails.
pub(super) async fn page(State(app): State<App>, headers: HeaderMap) -> Response {
    let entries = match app.kernel().list_outbox(None, NEWEST).await {
        Ok(entries) => entries,
        Err(fault) => return failure(&app, &headers, fault.into()),
    };
    let look = Look::in_english(&app);
    let mails = entries.iter().filter(|entry| is_shown(&app, entry)).filter_map(|entry| {
        let said = app.kernel().render(entry).ok().flatten()?;
        let frame = matches!(said, RenderedMessage::Mail(_))
            .then(|| format!("/dev/outbox/mail?number={}", entry.message.number));
        Some(MailView {
            to: entry.message.recipient.clone(),
            at: look.words.date(entry.message.created_at()),
            subject: said.subject().unwrap_or("Text message").to_owned(),
            text: said.text().to_owned(),
            code: entry.code().map(str::to_owned),
            link: entry.link().map(str::to_owned),
            frame,
        })
    });
    let mails = mails.collect();
    answer(StatusCode::OK, &Outbox { look: &look, mails })
}

/// One mail as mail programs show it. It runs nothing, loads nothing, and only the outbox may frame it.
pub(super) async fn mail(
    State(app): State<App>,
    headers: HeaderMap,
    query: Result<Query<FrameQuery>, QueryRejection>,
) -> Response {
    let Ok(Query(FrameQuery { number })) = query else { return not_found().await };
    let entries = match app.kernel().list_outbox(None, NEWEST).await {
        Ok(entries) => entries,
        Err(fault) => return failure(&app, &headers, fault.into()),
    };
    let entry = entries.iter().find(|entry| entry.message.number == number && is_shown(&app, entry));
    let Some(Ok(Some(RenderedMessage::Mail(mail)))) = entry.map(|entry| app.kernel().render(entry)) else {
        return not_found().await;
    };
    let policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; base-uri 'none'; \
                  form-action 'none'; sandbox";
    let headers = [
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy)),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("SAMEORIGIN")),
    ];
    (headers, Html(mail.html)).into_response()
}

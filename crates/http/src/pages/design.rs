//! `/dev/design`: every part of the pages, in every state.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tidegate_domain::Password;

use super::look::{Look, page as answer};
use super::parts::{Alert, Button, Check, Field, FieldKind, Form, LinkButton, Rank, Tone};
use crate::wire::state::App;

#[derive(Template)]
#[template(path = "design.html")]
struct Design<'a> {
    look: &'a Look,
    alerts: Vec<Alert>,
    buttons: Vec<Button>,
    links: Vec<LinkButton>,
    form: Form,
}

/// The page.
pub(super) async fn page(State(app): State<App>) -> Response {
    let look = Look::in_english(&app);
    let alerts = [
        (Tone::Info, "Info: something that is good to know."),
        (Tone::Success, "Success: what was asked for is done."),
        (Tone::Warning, "Warning: what follows has consequences."),
        (Tone::Error, "Error: it did not work, and what to do now."),
    ];
    let button = |(rank, label): (Rank, &str)| Button { rank, label: label.to_owned() };
    let link = |(rank, label): (Rank, &str)| LinkButton {
        rank,
        label: label.to_owned(),
        href: "/dev/design".to_owned(),
    };
    let design = Design {
        alerts: alerts.map(|(tone, text)| Alert { tone, text: text.to_owned() }).into(),
        buttons: [(Rank::Primary, "Primary"), (Rank::Secondary, "Secondary"), (Rank::Danger, "Danger")]
            .map(button)
            .into(),
        links: [(Rank::Primary, "Link"), (Rank::Secondary, "Secondary link")].map(link).into(),
        form: form(&app, &look),
        look: &look,
    };
    answer(StatusCode::OK, &design)
}

/// A form with a field of each kind. It is sent to a page that does not take it.
fn form(app: &App, look: &Look) -> Form {
    let rule = app.kernel().settings().contracts.of_installation().password;
    let weak = rule.check(&Password::new("abc")).err();
    let broken = weak.map(|weak| weak.missing).unwrap_or_default();
    let password = Field::new_password(&look.words, &rule, &broken);
    let email = Field {
        value: "ada@example.com".to_owned(),
        hint: Some("A hint says what the field is for.".to_owned()),
        ..Field::new("email", "E-mail address", FieldKind::Email, "email")
    };
    let name = Field {
        problem: Some("Enter your name.".to_owned()),
        ..Field::new("name", "Name", FieldKind::Text, "name")
    };
    Form {
        action: "/dev/design".into(),
        hidden: Vec::new(),
        username: None,
        fields: vec![
            email,
            name,
            Field::new("code", "Code", FieldKind::Code, "one-time-code"),
            Field { is_focused: false, ..password },
        ],
        checks: vec![Check {
            name: "remember",
            label: "Keep me signed in on this device".to_owned(),
            is_checked: true,
        }],
        button: Button { rank: Rank::Primary, label: "Send".to_owned() },
    }
}

//! `/restore-email`: where the notice of a changed address leads.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tidegate_crypto::PlainToken;
use tidegate_identity::recovery::restore_email::RestoreEmailError;
use tidegate_kernel::Refused;

use super::links::{TokenInQuery, TokenQuery, token_of};
use super::{FormView, PageForm, card, failure};
use crate::wire::state::App;

/// Asks before it changes anything: programs that look at every link in a mail must not use it up.
pub(super) async fn ask(State(app): State<App>, query: TokenInQuery) -> Response {
    let token = token_of(query);
    let purpose = match app.identity().restore_purpose(&PlainToken::from_presented(&token)).await {
        Ok(Some(purpose)) => purpose,
        Ok(None) => return not_valid(&app),
        Err(fault) => return failure(&app, fault.into()),
    };
    let text = format!(
        "This makes {} the address of your account again, removes the addresses added since, and signs out every session. \
         Then choose a new password.",
        purpose.address.as_str()
    );
    let form = FormView {
        action: "/restore-email",
        token: &token,
        new_password: false,
        phones: "",
        problem: None,
        button: "Restore my address",
    };
    card(&app, StatusCode::OK, "Restore your e-mail address", &text, Some(form))
}

pub(super) async fn restore(
    State(app): State<App>,
    headers: HeaderMap,
    request: PageForm<TokenQuery>,
) -> Response {
    let call = request.call(&app, &headers);
    match app.identity().restore_email(&call, &PlainToken::from_presented(&request.form.token)).await {
        Ok(choice) => {
            let text = "Your address is restored and every session is signed out. Choose a new password: until you do, only a \
                        reset sent to this address lets you in.";
            let purpose = app.identity().reset_purpose(&choice).await;
            let phones = purpose.map(|purpose| purpose.phones.join(", ")).unwrap_or_default();
            let form = FormView {
                action: "/reset-password",
                token: choice.expose(),
                new_password: true,
                phones: &phones,
                problem: None,
                button: "Set password",
            };
            card(&app, StatusCode::OK, "Address restored", text, Some(form))
        }
        Err(Refused::Rule(RestoreEmailError::InvalidToken)) => not_valid(&app),
        Err(Refused::Fault(fault)) => failure(&app, fault.into()),
    }
}

fn not_valid(app: &App) -> Response {
    let text = "This link is no longer valid: it was used, is too old, or the address is not the account's any more.";
    card(app, StatusCode::BAD_REQUEST, "Link not valid", text, None)
}

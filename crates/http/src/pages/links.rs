//! `/verify-email` and `/reset-password`: where the links in mails lead.
//!
//! A page says what following its link means before anything happens: which organization manages the account from then on, which
//! phones can sign in to it.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use tidegate_crypto::PlainToken;
use tidegate_domain::Password;
use tidegate_identity::accounts::link_purpose::LinkPurpose;
use tidegate_identity::recovery::reset_password::{ResetPassword, ResetPasswordError};
use tidegate_identity::sign_in::confirm_link::ConfirmLinkError;
use tidegate_kernel::{Fault, Refused};

use super::{FormView, PageForm, card, failure};
use crate::wire::state::App;

#[derive(Deserialize)]
pub(super) struct TokenQuery {
    #[serde(default)]
    pub(super) token: String,
}

#[derive(Deserialize)]
pub(super) struct PasswordForm {
    #[serde(default)]
    token: String,
    #[serde(default)]
    new_password: String,
    #[serde(default)]
    remove_phones: String,
}

pub(super) type TokenInQuery = Result<Query<TokenQuery>, QueryRejection>;

/// The token of a link; a query that cannot be read has none that is valid.
pub(super) fn token_of(query: TokenInQuery) -> String {
    query.map(|Query(query)| query.token).unwrap_or_default()
}

/// What accepting an invitation means. Nothing where there is none.
fn about_invitation(purpose: &LinkPurpose) -> String {
    match &purpose.invited_by {
        Some(organization) => format!(
            "You are invited to an account that is managed by {organization}. If you accept, its managers can change the account, \
             set its password and delete it. If you want an account of your own, do not accept, and sign up instead. "
        ),
        None => String::new(),
    }
}

/// Asks before it verifies: programs that look at every link in a mail must not use it up.
pub(super) async fn verify_email(State(app): State<App>, query: TokenInQuery) -> Response {
    let token = token_of(query);
    let purpose = match app.identity().verification_purpose(&PlainToken::from_presented(&token)).await {
        Ok(purpose) => purpose,
        Err(fault) => return failure(&app, fault.into()),
    };
    let mut text = about_invitation(&purpose);
    if !purpose.phones.is_empty() {
        let phones = purpose.phones.join(", ");
        text += &format!(
            "This adds your e-mail address to an account that the phone {phones} can sign in to. Go on only if that phone is yours: \
             it can still sign in afterwards. "
        );
    }
    text += "Press the button to confirm that this e-mail address is yours.";
    let button = if purpose.invited_by.is_some() { "Accept and confirm" } else { "Confirm e-mail address" };
    let form = FormView {
        action: "/verify-email",
        token: &token,
        new_password: false,
        phones: "",
        problem: None,
        button,
    };
    card(&app, StatusCode::OK, "Confirm your e-mail address", &text, Some(form))
}

pub(super) async fn confirm_email(
    State(app): State<App>,
    headers: HeaderMap,
    request: PageForm<TokenQuery>,
) -> Response {
    let call = request.call(&app, &headers);
    match app.identity().verify_by_link(&call, &PlainToken::from_presented(&request.form.token)).await {
        Ok(None) => {
            let text = "Your e-mail address is confirmed. You can close this page and sign in.";
            card(&app, StatusCode::OK, "Thank you", text, None)
        }
        Ok(Some(choice)) => {
            let text = "Your e-mail address is confirmed. Choose the password of your account: the one it was made with does not count, \
                        because we cannot tell whether you set it.";
            let form = FormView {
                action: "/reset-password",
                token: choice.expose(),
                new_password: true,
                phones: "",
                problem: None,
                button: "Set password",
            };
            card(&app, StatusCode::OK, "Thank you", text, Some(form))
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

pub(super) async fn reset_password(State(app): State<App>, query: TokenInQuery) -> Response {
    match password_card(&app, StatusCode::OK, &token_of(query), None).await {
        Ok(page) => page,
        Err(fault) => failure(&app, fault.into()),
    }
}

pub(super) async fn set_password(
    State(app): State<App>,
    headers: HeaderMap,
    request: PageForm<PasswordForm>,
) -> Response {
    let call = request.call(&app, &headers);
    let PasswordForm { token, new_password, remove_phones } = request.form;
    let claim = ResetPassword {
        token: PlainToken::from_presented(&token),
        email: None,
        expires_at: None,
        new_password: Password::new(new_password),
        remove_phones: !remove_phones.is_empty(),
    };
    match app.identity().reset_password(&call, claim).await {
        Ok(()) => {
            let text = "Your password is changed and you are signed out everywhere. You can close this page and sign in.";
            card(&app, StatusCode::OK, "Password changed", text, None)
        }
        Err(Refused::Rule(ResetPasswordError::WeakPassword(weak))) => {
            let problem = Some(format!("The password {weak}."));
            let page = password_card(&app, StatusCode::UNPROCESSABLE_ENTITY, &token, problem).await;
            page.unwrap_or_else(|fault| failure(&app, fault.into()))
        }
        Err(Refused::Rule(ResetPasswordError::InvalidToken | ResetPasswordError::AccountNotFound)) => {
            let text = "This link is no longer valid. Ask for a new one where you sign in.";
            card(&app, StatusCode::BAD_REQUEST, "Link not valid", text, None)
        }
        Err(Refused::Fault(fault)) => failure(&app, fault.into()),
    }
}

async fn password_card(
    app: &App,
    status: StatusCode,
    token: &str,
    problem: Option<String>,
) -> Result<Response, Fault> {
    let purpose = app.identity().reset_purpose(&PlainToken::from_presented(token)).await?;
    let phones = purpose.phones.join(", ");
    let form = FormView {
        action: "/reset-password",
        token,
        new_password: true,
        phones: &phones,
        problem,
        button: "Set new password",
    };
    let text = about_invitation(&purpose) + "Choose a new password. You will be signed out everywhere.";
    Ok(card(app, status, "Set a new password", &text, Some(form)))
}

//! `/verify-email` and `/reset-password`: where the links in mails lead.
//!
//! A page looks at its link before it shows a form: an invalid one is reported at once. And it says what following the link
//! means before anything happens: which organization manages the account from then on, which phones can sign in to it, what a
//! password needs.

use axum::Form as FormBody;
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequest, Query, Request, State};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use tidegate_crypto::PlainToken;
use tidegate_domain::password::Requirement;
use tidegate_domain::{Catalogue, Password};
use tidegate_identity::accounts::link_purpose::LinkPurpose;
use tidegate_identity::recovery::reset_password::{ResetPassword, ResetPasswordError};
use tidegate_identity::sign_in::confirm_link::ConfirmLinkError;
use tidegate_kernel::{Call, Fault, Refused};

use super::failure;
use super::look::{Card, Look, coded};
use super::parts::{Alert, Button, Check, Field, Form, LinkButton, Rank, Tone, listed};
use crate::wire::client::{accept_language, client_ip, user_agent};
use crate::wire::state::App;

const VERIFY: &str = "/verify-email";
const RESET: &str = "/reset-password";

/// What a link carries.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Followed {
    #[serde(default)]
    pub(super) token: String,
    /// Where the reader goes when they are done.
    #[serde(default)]
    pub(super) redirect: String,
}

#[derive(Deserialize)]
pub(super) struct PasswordForm {
    #[serde(default)]
    token: String,
    #[serde(default)]
    redirect: String,
    #[serde(default)]
    new_password: String,
    #[serde(default)]
    remove_phones: String,
    #[serde(default)]
    remove_passkeys: String,
}

pub(super) type FollowedLink = Result<Query<Followed>, QueryRejection>;

/// What a link carries; a query that cannot be read carries nothing that is valid.
pub(super) fn followed(query: FollowedLink) -> Followed {
    query.map(|Query(followed)| followed).unwrap_or_default()
}

impl Followed {
    pub(super) fn token(&self) -> PlainToken {
        PlainToken::from_presented(&self.token)
    }

    /// The hidden fields of a form that goes on with the link.
    pub(super) fn hidden(&self) -> Vec<(&'static str, String)> {
        let mut hidden = vec![("token", self.token.clone())];
        if !self.redirect.is_empty() {
            hidden.push(("redirect", self.redirect.clone()));
        }
        hidden
    }
}

/// The link to the application's sign-in; none where the operator names none.
pub(super) fn sign_in_link(app: &App, words: &Catalogue, rank: Rank) -> Option<LinkButton> {
    let href = app.kernel().settings().sign_in_link.clone()?;
    Some(LinkButton { rank, label: words.text("page.sign_in").to_owned(), href })
}

/// Where a reader who is done goes: where the link says, if links may lead there, or else to sign in.
fn way_back(app: &App, words: &Catalogue, redirect: &str) -> Vec<LinkButton> {
    match app.identity().return_target(redirect) {
        Some(target) => {
            let label = words.fill("page.continue", &[("host", &target.host)]);
            vec![LinkButton { rank: Rank::Primary, label, href: target.url }]
        }
        None => sign_in_link(app, words, Rank::Primary).into_iter().collect(),
    }
}

/// What accepting an invitation means, where there is one.
fn invitation(words: &Catalogue, purpose: &LinkPurpose) -> Option<Alert> {
    let organization = purpose.invited_by.as_deref()?;
    let text = words.fill("page.verify.invited", &[("organization", organization)]);
    Some(Alert { tone: Tone::Warning, text })
}

/// A link that would be refused, and how to get another one: one of the texts `page.invalid.*`.
pub(super) fn invalid(app: &App, look: &Look, status: StatusCode, way_out: &str) -> Response {
    let words = &look.words;
    let texts = vec![words.text("page.invalid.why").to_owned(), words.text(way_out).to_owned()];
    let links = sign_in_link(app, words, Rank::Primary).into_iter().collect();
    let card = Card { texts, links, ..Card::saying(look, words.text("page.invalid.title"), "") };
    coded(card.answer(status), way_out)
}

/// Asks before it verifies: programs that look at every link in a mail must not use it up.
pub(super) async fn verify_email(
    State(app): State<App>,
    headers: HeaderMap,
    query: FollowedLink,
) -> Response {
    let link = followed(query);
    let purpose = match app.identity().verification_purpose(&link.token()).await {
        Ok(Some(purpose)) => purpose,
        Ok(None) => {
            let look = Look::of(&app, &headers, None);
            return invalid(&app, &look, StatusCode::BAD_REQUEST, "page.invalid.verify");
        }
        Err(fault) => return failure(&app, &headers, fault.into()),
    };
    let look = Look::of(&app, &headers, purpose.language.as_ref());
    let words = &look.words;
    let phones = listed(words, &purpose.phones);
    let phones = (!purpose.phones.is_empty()).then(|| Alert {
        tone: Tone::Warning,
        text: words.fill("page.verify.phones", &[("phones", &phones)]),
    });
    let label = if purpose.invited_by.is_some() { "page.verify.accept" } else { "page.verify.button" };
    let form = Form {
        action: VERIFY.into(),
        hidden: link.hidden(),
        username: None,
        fields: Vec::new(),
        checks: Vec::new(),
        button: Button { rank: Rank::Primary, label: words.text(label).to_owned() },
    };
    let text = words.fill("page.verify.text", &[("email", &purpose.email.to_string())]);
    let card = Card {
        alerts: invitation(words, &purpose).into_iter().chain(phones).collect(),
        form: Some(form),
        ..Card::saying(&look, words.text("page.verify.title"), text)
    };
    card.answer(StatusCode::OK)
}

pub(super) async fn confirm_email(
    State(app): State<App>,
    headers: HeaderMap,
    request: PageForm<Followed>,
) -> Response {
    let call = request.call(&app, &headers);
    let link = request.form;
    let look = Look::of(&app, &headers, None);
    let words = &look.words;
    match app.identity().verify_by_link(&call, &link.token()).await {
        Ok(None) => {
            let text = words.text("page.verified.text");
            let links = way_back(&app, words, &link.redirect);
            let card = Card { links, ..Card::saying(&look, words.text("page.verified.title"), text) };
            card.answer(StatusCode::OK)
        }
        Ok(Some(choice)) => {
            let link = Followed { token: choice.expose().to_owned(), ..link };
            let said = PageText { title: "page.verified.title", text: "page.verified.choose" };
            password_card(&app, &headers, &link, said, &[]).await
        }
        Err(Refused::Rule(error)) => {
            let status = match error {
                ConfirmLinkError::InvalidToken => StatusCode::BAD_REQUEST,
                ConfirmLinkError::Expired => StatusCode::GONE,
            };
            invalid(&app, &look, status, "page.invalid.verify")
        }
        Err(Refused::Fault(fault)) => failure(&app, &headers, fault.into()),
    }
}

pub(super) async fn reset_password(
    State(app): State<App>,
    headers: HeaderMap,
    query: FollowedLink,
) -> Response {
    password_card(&app, &headers, &followed(query), PageText::RESET, &[]).await
}

pub(super) async fn set_password(
    State(app): State<App>,
    headers: HeaderMap,
    request: PageForm<PasswordForm>,
) -> Response {
    let call = request.call(&app, &headers);
    let PasswordForm { token, redirect, new_password, remove_phones, remove_passkeys } = request.form;
    let link = Followed { token, redirect };
    let claim = ResetPassword {
        token: link.token(),
        email: None,
        expires_at: None,
        new_password: Password::new(new_password),
        remove_phones: !remove_phones.is_empty(),
        remove_passkeys: !remove_passkeys.is_empty(),
    };
    let look = Look::of(&app, &headers, None);
    let words = &look.words;
    match app.identity().reset_password(&call, claim).await {
        Ok(()) => {
            let text = words.text("page.changed.text");
            let links = way_back(&app, words, &link.redirect);
            let card = Card { links, ..Card::saying(&look, words.text("page.changed.title"), text) };
            card.answer(StatusCode::OK)
        }
        Err(Refused::Rule(ResetPasswordError::WeakPassword(weak))) => {
            password_card(&app, &headers, &link, PageText::RESET, &weak.missing).await
        }
        Err(Refused::Rule(ResetPasswordError::InvalidToken | ResetPasswordError::AccountNotFound)) => {
            invalid(&app, &look, StatusCode::BAD_REQUEST, "page.invalid.reset")
        }
        Err(Refused::Fault(fault)) => failure(&app, &headers, fault.into()),
    }
}

/// Title and text of a page that asks for a password.
pub(super) struct PageText {
    pub(super) title: &'static str,
    pub(super) text: &'static str,
}

impl PageText {
    const RESET: Self = Self { title: "page.reset.title", text: "page.reset.text" };
}

/// The page that asks for a new password. `broken` are the rules that the one before broke.
pub(super) async fn password_card(
    app: &App,
    headers: &HeaderMap,
    link: &Followed,
    said: PageText,
    broken: &[Requirement],
) -> Response {
    let purpose: Result<_, Fault> = app.identity().reset_purpose(&link.token()).await;
    let purpose = match purpose {
        Ok(Some(purpose)) => purpose,
        Ok(None) => {
            let look = Look::of(app, headers, None);
            return invalid(app, &look, StatusCode::BAD_REQUEST, "page.invalid.reset");
        }
        Err(fault) => return failure(app, headers, fault.into()),
    };
    let look = Look::of(app, headers, purpose.language.as_ref());
    let words = &look.words;
    let phones = listed(words, &purpose.phones);
    let phones = (!purpose.phones.is_empty()).then(|| Check {
        name: "remove_phones",
        label: words.fill("page.reset.phones", &[("phones", &phones)]),
        is_checked: false,
    });
    let passkeys = (purpose.passkeys > 0).then(|| Check {
        name: "remove_passkeys",
        label: words.fill("page.reset.passkeys", &[("count", &purpose.passkeys.to_string())]),
        is_checked: false,
    });
    let form = Form {
        action: RESET.into(),
        hidden: link.hidden(),
        username: Some(purpose.email.to_string()),
        fields: vec![Field::new_password(words, &purpose.password, broken)],
        checks: phones.into_iter().chain(passkeys).collect(),
        button: Button { rank: Rank::Primary, label: words.text("page.reset.button").to_owned() },
    };
    let card = Card {
        alerts: invitation(words, &purpose).into_iter().collect(),
        form: Some(form),
        ..Card::saying(
            &look,
            words.text(said.title),
            words.fill(said.text, &[("email", &purpose.email.to_string())]),
        )
    };
    let status = if broken.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    coded(card.answer(status), "page.reset.problem")
}

/// A posted form and where it came from.
pub(super) struct PageForm<T> {
    pub(super) form: T,
    extensions: Extensions,
}

impl<T> PageForm<T> {
    pub(super) fn call(&self, app: &App, headers: &HeaderMap) -> Call {
        let ip = client_ip(headers, &self.extensions, app.http());
        let call = Call::to_page(app.kernel().settings(), ip, user_agent(headers));
        call.accepting(accept_language(headers))
    }
}

impl<T: serde::de::DeserializeOwned> FromRequest<App> for PageForm<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let extensions = request.extensions().clone();
        let headers = request.headers().clone();
        match FormBody::<T>::from_request(request, app).await {
            Ok(FormBody(form)) => Ok(Self { form, extensions }),
            Err(rejection) => {
                let look = Look::of(app, &headers, None);
                let (title, text) =
                    (look.words.text("page.failed.title"), look.words.text("page.failed.form"));
                Err(coded(Card::saying(&look, title, text).answer(rejection.status()), "page.failed.form"))
            }
        }
    }
}

//! `/sign-in`: an address or a number, and a password.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tidegate_domain::account::LoginName;
use tidegate_domain::{EmailAddress, Password, typed};
use tidegate_identity::sign_in::login::{SignIn, SignInError, SignInOutcome};
use tidegate_kernel::Refused;

use super::flow::{FactorStep, Flow, Step};
use super::page::{
    Page, Problem, SentQuery, answer, finish, form, go_on, gone, link, look, problem_of, read,
};
use super::passkey::PasskeyOffer;
use super::social;
use crate::pages::look::Look;
use crate::pages::parts::{Field, FieldKind, Rank, Reveal};
use crate::pages::visitor::{BrowserDevice, Sent, Visitor};
use crate::wire::state::App;

const ACTION: &str = "/sign-in";
/// Longest that the first field is filled in with.
const LONGEST_LOGIN: usize = 320;

/// The form.
#[derive(Deserialize)]
pub(super) struct PasswordForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    flow: String,
    #[serde(default)]
    login: String,
    #[serde(default)]
    password: String,
}

/// Shows the form.
pub(super) async fn ask(State(app): State<App>, visitor: Visitor, query: SentQuery) -> Response {
    let query = read(query);
    let Ok(mut flow) = Flow::open(&app, &visitor, &query.flow) else { return gone(&app, &visitor) };
    if flow.hint.is_none() && !query.login_hint.is_empty() {
        flow.hint = Some(query.login_hint);
    }
    show(&app, &visitor, &flow.at(None), None)
}

/// The form, with what was typed as the hint of `flow`.
pub(super) fn show(app: &App, visitor: &Visitor, flow: &Flow, problem: Option<Problem>) -> Response {
    let look = look(app, visitor, flow);
    let words = &look.words;
    let sealed = match flow.seal(app, visitor) {
        Ok(sealed) => sealed,
        Err(fault) => return crate::pages::failure(app, &visitor.headers, fault.into()),
    };
    let mut login =
        Field::new("login", words.text("page.signin.login"), FieldKind::Text, "username webauthn");
    login.hint = Some(words.text("page.signin.login_hint").to_owned());
    login.value = flow.hint.as_deref().unwrap_or_default().chars().take(LONGEST_LOGIN).collect();
    login.is_focused = login.value.is_empty();
    let mut password =
        Field::new("password", words.text("page.signin.password"), FieldKind::Password, "current-password");
    password.is_focused = !login.is_focused;
    password.reveal = Some(Reveal {
        text: words.text("page.password.show").to_owned(),
        label: words.text("page.password.show_label").to_owned(),
    });
    let button = (Rank::Primary, words.text("page.signin.button"));
    let mut main = form(app, visitor, ACTION, Some(sealed.clone()), button);
    main.fields = vec![login, password];
    let mut page = Page::titled(&look, "page.signin.title");
    page.form = Some(main);
    page.form_target.clone_from(&flow.form_target);
    page.passkey = PasskeyOffer::new(app, visitor, words, &sealed);
    page.providers = social::offers(app, visitor, words, (flow, &sealed));
    page.links.push(link(words, "page.signin.forgot", format!("/forgot-password?flow={sealed}")));
    if app.kernel().settings().sign_up_page {
        page.links.push(link(words, "page.signin.create", format!("/sign-up?flow={sealed}")));
    } else {
        page.note = Some(words.text("page.signin.no_account").to_owned());
    }
    answer(app, visitor, page, problem)
}

/// What was typed; none for what is neither an address nor a number.
pub(super) fn read_login(app: &App, typed: &str) -> Option<LoginName> {
    let text = typed::trimmed(typed);
    if text.contains('@') {
        return EmailAddress::parse(text).ok().map(LoginName::from);
    }
    app.kernel().settings().phones.parse(text).ok().map(LoginName::from)
}

/// Judges the password.
pub(super) async fn sign_in(State(app): State<App>, sent: Sent<PasswordForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Ok(flow) = Flow::open(&app, &visitor, &form.flow) else { return gone(&app, &visitor) };
    let flow = Flow { hint: Some(form.login.chars().take(LONGEST_LOGIN).collect()), ..flow.at(None) };
    let look = look(&app, &visitor, &flow);
    if !visitor.accepts(&app, ACTION, &form.csrf) {
        return show(&app, &visitor, &flow, Some(Problem::stale(&look.words)));
    }
    let Some(login) = read_login(&app, &form.login) else {
        let problem =
            Problem::saying(&look.words, StatusCode::UNPROCESSABLE_ENTITY, "page.signin.login_problem");
        return show(&app, &visitor, &flow, Some(problem));
    };
    let device = visitor.device(&app, flow.is_strict);
    let claim =
        SignIn { device: device.data(), ..SignIn::to_home(login.clone(), Password::new(form.password)) };
    match app.identity().sign_in(&visitor.call, claim).await {
        Ok(outcome) => follow(&app, &visitor, &flow, &login, outcome, &device).await,
        Err(Refused::Rule(error)) => {
            let key = match error {
                SignInError::InvalidCredentials | SignInError::NotVerified | SignInError::Binding(_) => {
                    "page.signin.wrong"
                }
                SignInError::WorkspaceDenied => "page.signin.no_organization",
                SignInError::CannotVerify => "page.signin.no_code",
            };
            let problem = Problem::saying(&look.words, StatusCode::UNPROCESSABLE_ENTITY, key);
            show(&app, &visitor, &flow, Some(problem))
        }
        Err(Refused::Fault(fault)) => refuse(&app, &visitor, &flow, &look, fault),
    }
}

fn refuse(app: &App, visitor: &Visitor, flow: &Flow, look: &Look, fault: tidegate_kernel::Fault) -> Response {
    match problem_of(app, visitor, look, fault) {
        Ok(problem) => show(app, visitor, flow, Some(problem)),
        Err(response) => *response,
    }
}

/// What follows a right password.
async fn follow(
    app: &App,
    visitor: &Visitor,
    flow: &Flow,
    login: &LoginName,
    outcome: SignInOutcome,
    device: &BrowserDevice,
) -> Response {
    match outcome {
        SignInOutcome::SignedIn(signed_in) => {
            let mut response = finish(app, visitor, flow, &signed_in).await;
            device.keep_known(app, &mut response);
            response
        }
        SignInOutcome::VerificationRequired { temporary_token } => {
            let step =
                Step::Code { token: temporary_token.expose().to_owned(), email: login.as_str().to_owned() };
            go_on(app, visitor, "/sign-in/code", &flow.at(Some(step)))
        }
        SignInOutcome::SecondFactorRequired(request) => {
            let step = Step::Factor(FactorStep::new(&request, login.as_str()));
            go_on(app, visitor, "/sign-in/factor", &flow.at(Some(step)))
        }
        // The enumeration may grow: what is not known here opens nothing.
        _ => gone(app, visitor),
    }
}

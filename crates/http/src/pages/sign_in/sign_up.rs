//! `/sign-up`: makes an account, once the code that is mailed has come back. It leads where the sign-in would have led.
//!
//! An address that is in use is answered as one that is not: what the mail says is for its owner alone.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tidegate_domain::password::Requirement;
use tidegate_domain::{Catalogue, EmailAddress, Password, PasswordRule, text, typed};
use tidegate_identity::sign_in::hosted_sign_up::{BeginSignUpError, HostedSignUp};
use tidegate_kernel::Refused;

use super::flow::{Flow, Step};
use super::page::{Page, Problem, SentQuery, answer, form, go_on, gone, link, look, problem_of, read};
use super::social;
use crate::pages::failure;
use crate::pages::look::coded;
use crate::pages::parts::{Field, FieldKind, Rank};
use crate::pages::visitor::{Sent, Visitor};
use crate::wire::state::App;

/// The page.
pub(super) const PATH: &str = "/sign-up";
/// Longest name, in characters: as in the contracts.
const MAX_NAME: usize = 255;
/// Longest that the field of the address is filled in with.
const LONGEST_EMAIL: usize = 320;

/// The form.
#[derive(Deserialize)]
pub(super) struct SignUpForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    flow: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    new_password: String,
}

/// What is wrong with what was typed.
#[derive(Default)]
struct Wrong {
    name: bool,
    email: bool,
    broken: Vec<Requirement>,
}

/// What the form comes back with. The address is the hint of its flow.
#[derive(Default)]
struct Returned<'a> {
    name: &'a str,
    wrong: Wrong,
    problem: Option<Problem>,
}

impl Wrong {
    /// The key of what is said of the first that is wrong. None where nothing is.
    fn first(&self) -> Option<&'static str> {
        if self.name {
            return Some("page.signup.name_problem");
        }
        if self.email {
            return Some("page.forgot.problem");
        }
        (!self.broken.is_empty()).then_some("page.reset.problem")
    }
}

/// Shows the form.
pub(super) async fn ask(State(app): State<App>, visitor: Visitor, query: SentQuery) -> Response {
    let query = read(query);
    let Ok(mut flow) = Flow::open(&app, &visitor, &query.flow) else { return gone(&app, &visitor) };
    if flow.hint.is_none() && !query.login_hint.is_empty() {
        flow.hint = Some(query.login_hint);
    }
    show(&app, &visitor, &flow.at(None), Returned::default())
}

/// The form again, where the code cannot be used any more.
pub(super) fn begin_anew(app: &App, visitor: &Visitor, flow: &Flow) -> Response {
    let words = look(app, visitor, flow).words;
    let problem = Problem::saying(&words, StatusCode::UNPROCESSABLE_ENTITY, "page.signup.gone");
    show(app, visitor, &flow.at(None), Returned { problem: Some(problem), ..Returned::default() })
}

fn show(app: &App, visitor: &Visitor, flow: &Flow, returned: Returned<'_>) -> Response {
    let look = look(app, visitor, flow);
    let words = &look.words;
    let sealed = match flow.seal(app, visitor) {
        Ok(sealed) => sealed,
        Err(fault) => return failure(app, &visitor.headers, fault.into()),
    };
    let button = (Rank::Primary, words.text("page.signup.button"));
    let mut main = form(app, visitor, PATH, Some(sealed.clone()), button);
    main.fields = fields(words, &visitor.call.profile.password, flow, &returned);
    let mut page = Page::titled(&look, "page.signup.title");
    page.texts.push(words.text("page.signup.text").to_owned());
    page.form = Some(main);
    page.form_target.clone_from(&flow.form_target);
    page.providers = social::offers(app, visitor, words, (flow, &sealed));
    page.links.push(link(words, "page.signup.sign_in", format!("/sign-in?flow={sealed}")));
    if let Some(key) = returned.wrong.first() {
        return coded(page.answer(app, visitor, StatusCode::UNPROCESSABLE_ENTITY), key);
    }
    answer(app, visitor, page, returned.problem)
}

fn fields(words: &Catalogue, rule: &PasswordRule, flow: &Flow, returned: &Returned<'_>) -> Vec<Field> {
    let wrong = &returned.wrong;
    let mut name = Field::new("name", words.text("page.signup.name"), FieldKind::Text, "name");
    name.value = returned.name.chars().take(MAX_NAME).collect();
    name.hint = Some(words.text("page.signup.name_hint").to_owned());
    name.problem = wrong.name.then(|| words.text("page.signup.name_problem").to_owned());
    name.is_required = false;
    let mut email = Field::new("email", words.text("page.signup.email"), FieldKind::Email, "email");
    // A phone number that an application has as a hint is no address.
    email.value = flow.hint.clone().filter(|hint| hint.contains('@') || wrong.email).unwrap_or_default();
    email.problem = wrong.email.then(|| words.text("page.forgot.problem").to_owned());
    let mut password = Field::new_password(words, rule, &wrong.broken);
    words.text("page.signin.password").clone_into(&mut password.label);
    // The first of those that are wrong, or the first one.
    email.is_focused = wrong.email && !wrong.name;
    password.is_focused = !wrong.broken.is_empty() && !wrong.name && !wrong.email;
    name.is_focused = !email.is_focused && !password.is_focused;
    vec![name, email, password]
}

/// What was typed.
///
/// # Errors
/// What is wrong with it.
fn read_form(form: &SignUpForm, rule: &PasswordRule) -> Result<HostedSignUp, Wrong> {
    let name = match typed::trimmed(&form.name) {
        "" => Some(String::new()),
        name => text::line(name, MAX_NAME).ok(),
    };
    let email = EmailAddress::parse(typed::trimmed(&form.email)).ok();
    let password = Password::new(form.new_password.clone());
    let broken = rule.check(&password).err().map(|weak| weak.missing).unwrap_or_default();
    match (name, email) {
        (Some(display_name), Some(email)) if broken.is_empty() => {
            Ok(HostedSignUp { email, password, display_name })
        }
        (name, email) => Err(Wrong { name: name.is_none(), email: email.is_none(), broken }),
    }
}

/// Has a code mailed, and asks for it.
pub(super) async fn sign_up(State(app): State<App>, sent: Sent<SignUpForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Ok(flow) = Flow::open(&app, &visitor, &form.flow) else { return gone(&app, &visitor) };
    let flow = Flow { hint: Some(form.email.chars().take(LONGEST_EMAIL).collect()), ..flow.at(None) };
    let look = look(&app, &visitor, &flow);
    let name = form.name.as_str();
    let again = |problem| {
        show(&app, &visitor, &flow, Returned { name, problem: Some(problem), ..Returned::default() })
    };
    let corrected = |wrong| show(&app, &visitor, &flow, Returned { name, wrong, problem: None });
    if !visitor.accepts(&app, PATH, &form.csrf) {
        return again(Problem::stale(&look.words));
    }
    let claim = match read_form(&form, &visitor.call.profile.password) {
        Ok(claim) => claim,
        Err(wrong) => return corrected(wrong),
    };
    let email = claim.email.as_str().to_owned();
    match app.identity().begin_sign_up(&visitor.call, claim).await {
        Ok(token) => {
            let step = Step::SignUp { token: token.expose().to_owned(), email };
            go_on(&app, &visitor, super::sign_up_code::CONFIRM, &flow.at(Some(step)))
        }
        Err(Refused::Rule(BeginSignUpError::WeakPassword(weak))) => {
            corrected(Wrong { broken: weak.missing, ..Wrong::default() })
        }
        Err(Refused::Fault(fault)) => match problem_of(&app, &visitor, &look, fault) {
            Ok(problem) => again(problem),
            Err(response) => *response,
        },
    }
}

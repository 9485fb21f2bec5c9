//! `/sign-in/factor`: the second factor.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use tidegate_crypto::PlainToken;
use tidegate_domain::factor::{FactorKind, RecoveryCode};
use tidegate_domain::{Catalogue, EmailAddress, typed};
use tidegate_identity::credentials::factors::present::Presented;
use tidegate_identity::credentials::trusted_device::recognize::OfferedDevice;
use tidegate_identity::sign_in::second_factor::{
    ChooseFactor, ChooseFactorError, FactorOutcome, ShowFactor, ShowFactorError,
};
use tidegate_kernel::{Refused, SignedIn};

use super::flow::{FactorStep, Flow, Step};
use super::page::{
    Page, Problem, SentQuery, answer, begin_anew, code_field, finish, form, go_on, gone, link, look,
    problem_of, read,
};
use super::passkey::PasskeyOffer;
use crate::pages::failure;
use crate::pages::parts::{Check, FieldKind, Form, Rank};
use crate::pages::visitor::{BrowserDevice, Sent, Visitor};
use crate::wire::rejection::Rejection;
use crate::wire::state::App;

const SHOW: &str = "/sign-in/factor";
const SEND: &str = "/sign-in/factor/send";

/// The form with the code.
#[derive(Deserialize)]
pub(super) struct FactorForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    flow: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    backup: String,
    #[serde(default)]
    trust: String,
}

/// The form that has a code sent, or asks for an app's again.
#[derive(Deserialize)]
pub(super) struct SendForm {
    #[serde(default)]
    csrf: String,
    #[serde(default)]
    flow: String,
    #[serde(default)]
    kind: String,
}

/// The step that a sign-in waits for, where it is the second factor.
fn waiting(app: &App, visitor: &Visitor, sealed: &str) -> Option<(Flow, FactorStep)> {
    let flow = Flow::open(app, visitor, sealed).ok()?;
    match flow.step.clone() {
        Some(Step::Factor(step)) => Some((flow, step)),
        Some(Step::Code { .. } | Step::SignUp { .. }) | None => None,
    }
}

/// Shows the form.
pub(super) async fn ask(State(app): State<App>, visitor: Visitor, query: SentQuery) -> Response {
    let query = read(query);
    let Some((flow, step)) = waiting(&app, &visitor, &query.flow) else { return gone(&app, &visitor) };
    page(&app, &visitor, &flow, &step, Asked { is_backup: !query.backup.is_empty(), problem: None })
}

/// What the page asks for, and what was wrong with the last answer.
struct Asked {
    is_backup: bool,
    problem: Option<Problem>,
}

fn page(app: &App, visitor: &Visitor, flow: &Flow, step: &FactorStep, asked: Asked) -> Response {
    let look = look(app, visitor, flow);
    let words = &look.words;
    let sealed = match flow.seal(app, visitor) {
        Ok(sealed) => sealed,
        Err(fault) => return failure(app, &visitor.headers, fault.into()),
    };
    let is_backup = asked.is_backup && step.has_recovery_codes;
    let mut page = Page::titled(&look, "page.factor.title");
    page.form = code_form(app, visitor, words, &sealed, step, is_backup);
    match &step.joins {
        Some(provider) => {
            let email = EmailAddress::from_stored(step.login.clone()).to_string();
            let values = [("provider", provider.as_str()), ("email", email.as_str())];
            page.texts.push(words.fill("page.social.join", &values));
        }
        None if page.form.is_none() => page.texts.push(words.text("page.factor.choose").to_owned()),
        None => {}
    }
    page.others = other_ways(app, visitor, words, &sealed, step, is_backup);
    page.form_target.clone_from(&flow.form_target);
    // Passkeys are found by addresses, and show no mailbox.
    let takes_passkey = step.login.contains('@') && step.joins.is_none();
    page.passkey = takes_passkey.then(|| PasskeyOffer::new(app, visitor, words, &sealed)).flatten();
    if step.has_recovery_codes && !is_backup {
        page.links.push(link(words, "page.factor.use_backup", format!("{SHOW}?flow={sealed}&backup=yes")));
    }
    answer(app, visitor, page, asked.problem)
}

/// The form for a code; none where a way must be chosen first.
fn code_form(
    app: &App,
    visitor: &Visitor,
    words: &Catalogue,
    sealed: &str,
    step: &FactorStep,
    is_backup: bool,
) -> Option<Form> {
    let (label, kind) = match step.asked() {
        _ if is_backup => ("page.factor.backup", FieldKind::Text),
        Some(FactorKind::Totp) => ("page.factor.app", FieldKind::Code),
        Some(FactorKind::EmailOtp) => ("page.factor.email", FieldKind::Code),
        Some(FactorKind::SmsOtp) => ("page.factor.sms", FieldKind::Code),
        None => return None,
    };
    let button = (Rank::Primary, words.text("page.factor.button"));
    let mut form = form(app, visitor, SHOW, Some(sealed.to_owned()), button);
    if is_backup {
        form.hidden.push(("backup", "yes".to_owned()));
    }
    form.fields.push(code_field(words.text(label), kind));
    if step.joins.is_none() {
        let days = words.duration(app.kernel().settings().trusted_device_age);
        let label = words.fill("page.factor.trust", &[("time", &days)]);
        form.checks.push(Check { name: "trust", label, is_checked: false });
    }
    Some(form)
}

/// Forms that ask for another code.
fn other_ways(
    app: &App,
    visitor: &Visitor,
    words: &Catalogue,
    sealed: &str,
    step: &FactorStep,
    is_backup: bool,
) -> Vec<Form> {
    let asked = step.asked().filter(|_| !is_backup);
    let others = step.kinds().filter(|kind| Some(*kind) != asked || *kind != FactorKind::Totp);
    let way = |kind: FactorKind| {
        let label = match kind {
            FactorKind::Totp => "page.factor.use_app",
            FactorKind::EmailOtp => "page.factor.send_email",
            FactorKind::SmsOtp => "page.factor.send_sms",
        };
        let button = (Rank::Secondary, words.text(label));
        let mut form = form(app, visitor, SEND, Some(sealed.to_owned()), button);
        form.hidden.push(("kind", kind.as_str().to_owned()));
        form
    };
    others.map(way).collect()
}

/// Has a code sent.
pub(super) async fn send(State(app): State<App>, sent: Sent<SendForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Some((flow, step)) = waiting(&app, &visitor, &form.flow) else { return gone(&app, &visitor) };
    let look = look(&app, &visitor, &flow);
    let again =
        |problem| page(&app, &visitor, &flow, &step, Asked { is_backup: false, problem: Some(problem) });
    if !visitor.accepts(&app, SEND, &form.csrf) {
        return again(Problem::stale(&look.words));
    }
    let Some(kind) = FactorKind::from_name(&form.kind) else { return gone(&app, &visitor) };
    let claim = ChooseFactor { temporary_token: PlainToken::from_presented(&step.token), kind };
    match app.identity().choose_factor(&visitor.call, claim).await {
        Ok(token) => {
            let step = Step::Factor(step.choosing(kind, token.expose()));
            go_on(&app, &visitor, SHOW, &flow.at(Some(step)))
        }
        Err(Refused::Rule(ChooseFactorError::NotEnabled)) => {
            let status = StatusCode::UNPROCESSABLE_ENTITY;
            again(Problem::saying(&look.words, status, "page.factor.not_enabled"))
        }
        Err(Refused::Rule(
            ChooseFactorError::InvalidToken
            | ChooseFactorError::AccountNotFound
            | ChooseFactorError::SignInGone,
        )) => begin_anew(&app, &visitor, &flow),
        Err(Refused::Fault(fault)) => match problem_of(&app, &visitor, &look, fault) {
            Ok(problem) => again(problem),
            Err(response) => *response,
        },
    }
}

/// What was typed: a code, or a backup code where one was asked for.
fn presented(form: &FactorForm) -> Option<Presented> {
    if form.backup.is_empty() {
        typed::code(&form.code, 6..=6).map(Presented::Code)
    } else {
        RecoveryCode::parse(&form.code).ok().map(Presented::Recovery)
    }
}

/// What is said of a wrong code. One that was sent may be that of an earlier mail or message.
fn said_of_wrong_code(step: &FactorStep, is_backup: bool) -> &'static str {
    match step.asked() {
        Some(FactorKind::EmailOtp) if !is_backup => "page.code.wrong",
        Some(FactorKind::SmsOtp) if !is_backup => "page.code.wrong_sms",
        _ => "page.factor.wrong",
    }
}

/// Judges the code.
pub(super) async fn show(State(app): State<App>, sent: Sent<FactorForm>) -> Response {
    let Sent { visitor, form } = sent;
    let Some((flow, step)) = waiting(&app, &visitor, &form.flow) else { return gone(&app, &visitor) };
    let words = look(&app, &visitor, &flow).words;
    let is_backup = !form.backup.is_empty();
    let again = |problem| page(&app, &visitor, &flow, &step, Asked { is_backup, problem: Some(problem) });
    let wrong = |key| again(Problem::saying(&words, StatusCode::UNPROCESSABLE_ENTITY, key));
    if !visitor.accepts(&app, SHOW, &form.csrf) {
        return again(Problem::stale(&words));
    }
    let Some(presented) = presented(&form) else { return wrong("page.factor.wrong") };
    let device = visitor.device(&app, false);
    let temporary_token = PlainToken::from_presented(&step.token);
    let claim = ShowFactor { temporary_token, presented, device: device.data() };
    match app.identity().show_factor(&visitor.call, claim).await {
        Ok(FactorOutcome::Another(request)) => {
            let step = Step::Factor(FactorStep::new(&request, &step.login));
            go_on(&app, &visitor, SHOW, &flow.at(Some(step)))
        }
        Ok(FactorOutcome::SignedIn(shown)) => {
            let mut response = finish(&app, &visitor, &flow, &shown.signed_in).await;
            if let Some(offered) = shown.device.filter(|_| !form.trust.is_empty()) {
                trust(&app, &visitor, &shown.signed_in, &offered, &device, &mut response).await;
            }
            response
        }
        Err(Refused::Rule(error)) => match error {
            ShowFactorError::WrongCode => wrong(said_of_wrong_code(&step, is_backup)),
            ShowFactorError::UsedCode => wrong("page.factor.used"),
            ShowFactorError::InvalidToken | ShowFactorError::AccountNotFound => {
                begin_anew(&app, &visitor, &flow)
            }
            ShowFactorError::TooManyAttempts(exceeded) => {
                again(Problem::too_many(&words, exceeded.retry_after, HeaderMap::new()))
            }
        },
        Err(Refused::Fault(fault)) => {
            let rejection: Rejection = fault.into();
            match Problem::of(&words, &rejection) {
                Some(problem) => again(problem),
                None => failure(&app, &visitor.headers, rejection),
            }
        }
    }
}

/// Trusts the browser. The person is signed in, whatever becomes of this.
async fn trust(
    app: &App,
    visitor: &Visitor,
    signed_in: &SignedIn,
    offered: &OfferedDevice,
    device: &BrowserDevice,
    response: &mut Response,
) {
    let Ok(actor) = app.kernel().authenticate_cookie(signed_in.tokens.access_token.expose()).await else {
        return;
    };
    let token = PlainToken::from_presented(offered.activation_token.expose());
    match app.identity().activate_device(&visitor.call, &actor, &token).await {
        Ok(_) => device.keep(app, response),
        Err(Refused::Rule(error)) => tracing::warn!(%error, "a browser is not trusted"),
        Err(Refused::Fault(fault)) => tracing::error!(%fault, "a browser is not trusted"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn of_a_code_that_was_sent_the_newest_is_asked_for() {
        for (chosen, is_backup, said) in [
            ("email_otp", false, "page.code.wrong"),
            ("sms_otp", false, "page.code.wrong_sms"),
            ("totp", false, "page.factor.wrong"),
            ("sms_otp", true, "page.factor.wrong"),
        ] {
            let step = json!({ "token": "", "login": "", "kinds": [], "has_recovery_codes": true, "chosen": chosen });
            let step: FactorStep = serde_json::from_value(step).unwrap();
            assert_eq!(said_of_wrong_code(&step, is_backup), said, "{chosen}");
        }
    }
}

//! A one-time action is sent again right after it worked: its answer was lost, or a button was pressed twice.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_domain::EmailAddress;
use tidegate_domain::factor::ResetMode;
use tidegate_kernel::Call;
use tidegate_testkit::{Answer, Authenticator, Engine, PASSWORD, Person, Request, TestApp, on_both_engines};

use crate::routes;
use crate::watch::row_counts;

const ADA: &str = "ada@example.com";
const PHONE: &str = "+254712345678";
const SESSIONS: &str = "select count(*) from sessions";
const MINUTE: Duration = Duration::from_secs(60);

/// A one-time action that is ready to be done, and how it is refused once it was.
struct Action {
    path: &'static str,
    body: Value,
    bearer: Option<String>,
    refused: u16,
}

impl Action {
    fn request(&self, app: &TestApp) -> Request {
        self.request_of(app, "App/1.0")
    }

    /// The same by that program.
    fn request_of(&self, app: &TestApp, program: &str) -> Request {
        let request = app.post(self.path).header("user-agent", program);
        let request = if self.is_page() {
            let fields = self.body.as_object().unwrap().iter();
            let fields: Vec<String> =
                fields.map(|(name, value)| format!("{name}={}", value.as_str().unwrap())).collect();
            request.form(&fields.join("&"))
        } else {
            request.json(&self.body)
        };
        match &self.bearer {
            Some(token) => request.bearer(token),
            None => request,
        }
    }

    async fn send(&self, app: &TestApp) -> Answer {
        self.request(app).send().await
    }

    /// Whether it is the form of a page behind a mailed link.
    fn is_page(&self) -> bool {
        !self.path.starts_with("/api/") && !self.path.starts_with("/v1/")
    }
}

/// Every one-time action, each about a person of its own.
async fn actions(app: &TestApp) -> Vec<Action> {
    let mut actions = Vec::new();
    app.enter_phone(PHONE).await.assert_status(200);
    let body = json!({ "phone": PHONE, "code": app.latest_text_code(PHONE).await });
    actions.push(Action { path: "/api/v1/auth/confirm-code", body, bearer: None, refused: 422 });

    let bob = "+254712345679";
    app.register_phone(bob).await;
    app.advance(MINUTE);
    app.send_login_code(bob).await.assert_status(200);
    let body = json!({ "phone": bob, "code": app.latest_text_code(bob).await });
    actions.push(Action { path: "/api/v1/login/verify-code", body, bearer: None, refused: 401 });

    let ada = app.sign_up_rivergen(ADA).await;
    let body = json!({ "temporary_token": ada.temporary_token, "otp_code": app.latest_code(ADA).await });
    actions.push(Action { path: "/api/v1/auth/verify-otp", body, bearer: None, refused: 401 });

    let eve = app.sign_up_rivergen("eve@example.com").await;
    let body = json!({ "email": "eve@example.com", "temporary_token": eve.temporary_token });
    actions.push(Action { path: "/api/v1/auth/resend-signup-otp", body, bearer: None, refused: 401 });

    app.sign_up_rivergen_verified("kim@example.com").await;
    let forgot = json!({ "email": "kim@example.com" });
    app.post("/api/v1/auth/forgot-password").json(&forgot).send().await.assert_status(200);
    let token = app.latest_link_token("kim@example.com").await;
    let body = json!({ "token": token, "new_password": "Another2horse!" });
    actions.push(Action { path: "/api/v1/auth/reset-password", body, bearer: None, refused: 400 });

    let joe = app.sign_up_rivergen_verified("joe@example.com").await;
    let new = "joe.new@example.com";
    let request = app.post("/api/v1/auth/me/email/request").bearer(&joe.access_token);
    request.json(&json!({ "new_email": new })).send().await.assert_status(200);
    let body = json!({ "new_email": new, "otp_code": app.latest_code(new).await });
    let bearer = Some(joe.access_token);
    actions.push(Action { path: "/api/v1/auth/me/email/verify", body, bearer, refused: 400 });
    actions
}

/// A request with a body by somebody signed in, which works.
async fn done(app: &TestApp, who: &Person, path: &str, body: &Value) -> Answer {
    let answer = app.post(path).bearer(&who.access_token).json(body).send().await;
    assert!(answer.status < 300, "{path} {}", answer.text);
    answer
}

/// Somebody whose second factor is codes by e-mail, and a sign-in of theirs for which one was sent: its temporary token and the code.
async fn halfway(app: &TestApp, email: &str) -> (Person, String, String) {
    let who = app.sign_up_rivergen_verified(email).await;
    app.enrol_email_otp(&who).await;
    let token = app.sign_in_halfway(&who).await;
    let token = app.choose_factor(&token, "email_otp").await;
    let code = app.latest_code(email).await;
    (who, token, code)
}

/// The same for second factors and trusted devices.
async fn factor_actions(app: &TestApp) -> Vec<Action> {
    let ada = app.sign_up_rivergen_verified(ADA).await;
    let set_up = done(app, &ada, "/api/v1/mfa/totp/setup", &json!({ "device_name": "Phone" })).await;
    let phone = Authenticator::with(&set_up.text_at("data.secret"));
    let body = json!({ "code": phone.code(app.now()), "device_name": "Phone" });
    let bearer = Some(ada.access_token);
    let mut actions = vec![Action { path: "/api/v1/mfa/totp/verify", body, bearer, refused: 400 }];

    for (email, path) in
        [("bob@example.com", "/api/v1/devices/activate"), ("eve@example.com", "/api/v1/devices/skip")]
    {
        let (who, token, code) = halfway(app, email).await;
        let shown = app.show_factor(&token, "code", &code).await;
        let token = shown.assert_status(200).text_at("data.trusted_device.activation_token");
        let body = json!({ "activation_token": token });
        actions.push(Action { path, body, bearer: Some(who.access_token), refused: 400 });
    }

    let kim = app.sign_up_rivergen_verified("kim@example.com").await;
    done(app, &kim, "/api/v1/mfa/email-otp/setup", &json!({})).await;
    let body = json!({ "code": app.latest_code("kim@example.com").await });
    let bearer = Some(kim.access_token);
    actions.push(Action { path: "/api/v1/mfa/email-otp/verify", body, bearer, refused: 400 });

    let (_, token, code) = halfway(app, "joe@example.com").await;
    let body = json!({ "temporary_token": token, "code": code });
    actions.push(Action { path: "/api/v1/auth/mfa/verify", body, bearer: None, refused: 401 });

    let zoe = app.sign_up_rivergen_verified("zoe@example.com").await;
    let codes = app.enrol_email_otp(&zoe).await;
    let token = app.sign_in_halfway(&zoe).await;
    let body = json!({ "temporary_token": token, "method": "email_otp" });
    actions.push(Action { path: "/api/v1/auth/mfa/otp/generate", body, bearer: None, refused: 401 });
    let body = json!({ "backup_code": codes[0] });
    let bearer = Some(zoe.access_token.clone());
    actions.push(Action { path: "/api/v1/mfa/backup-codes/verify", body, bearer, refused: 400 });
    let body = json!({ "backup_code": codes[1] });
    actions.push(Action { path: "/api/v1/auth/step-up", body, bearer: Some(zoe.access_token), refused: 400 });
    actions
}

/// Sign-ups, each with the status of its second try a minute later.
fn sign_ups() -> Vec<Action> {
    let body = json!({ "email": "lin@example.com", "password": PASSWORD, "display_name": "Lin" });
    let register = json!({ "email": "mia@example.com", "password": PASSWORD, "name": "Mia" });
    vec![
        Action { path: "/api/v1/auth/signup", body, bearer: None, refused: 409 },
        Action { path: "/api/v2/auth/register", body: register, bearer: None, refused: 409 },
    ]
}

/// The form of a page behind a mailed link.
fn page(path: &'static str, token: &str) -> Action {
    Action { path, body: json!({ "token": token }), bearer: None, refused: 400 }
}

/// Has an address of somebody with an authenticator app mailed the link of an operator's reset, which takes effect that way.
async fn reset_link(app: &TestApp, email: &str, by_operator: ResetMode) -> String {
    let who = app.sign_up_rivergen_verified(email).await;
    app.enrol_totp(&who, "Phone").await;
    let node = app.another_node_with(move |settings| settings.factor_resets.by_operator = by_operator).await;
    let operator = Call::from_cli(app.kernel().settings().contracts.of_installation());
    node.identity.reset_factors(&operator, &EmailAddress::parse(email).unwrap()).await.unwrap();
    app.latest_link_token(email).await
}

/// What follows a link in a mail: the forms of pages, and Crossing Minds' reset.
async fn link_actions(app: &TestApp) -> Vec<Action> {
    let mut actions = Vec::new();
    for (email, path) in [(ADA, "/reset-password"), ("bob@example.com", "/v1/accounts/individual/reset/")] {
        app.sign_up_rivergen_verified(email).await;
        let sent = "/v1/accounts/individual/send-reset-password-email/";
        app.post(sent).json(&json!({ "email": email })).send().await.assert_status(200);
        let token = app.latest_link_token(email).await;
        actions.push(if path == "/reset-password" {
            let body = json!({ "token": token, "new_password": "Battery2staple!" });
            Action { body, ..page(path, "") }
        } else {
            let expiry = app.now().fractional_seconds() + 86_400.0;
            let body = json!({
                "email": email, "code": token, "new_password": "Battery2staple!", "code_expiration_timestamp": expiry,
            });
            Action { path, body, bearer: None, refused: 401 }
        });
    }
    let eve = app.sign_up_rivergen_verified("eve@example.com").await;
    let ask = json!({ "new_email": "eve.new@example.com" });
    done(app, &eve, "/api/v1/auth/me/email/request", &ask).await;
    let code = app.latest_code("eve.new@example.com").await;
    let prove = json!({ "new_email": "eve.new@example.com", "otp_code": code });
    done(app, &eve, "/api/v1/auth/me/email/verify", &prove).await;
    actions.push(page("/restore-email", &app.latest_link_token("eve@example.com").await));
    for (email, path, mode) in [
        ("kim@example.com", "/confirm-factor-reset", ResetMode::Confirmed),
        ("joe@example.com", "/cancel-factor-reset", ResetMode::Delayed),
    ] {
        actions.push(page(path, &reset_link(app, email, mode).await));
    }
    actions
}

/// The actions, group by group: codes do not live as long as all of them take.
async fn group(app: &TestApp, number: usize) -> Vec<Action> {
    match number {
        0 => actions(app).await,
        1 => factor_actions(app).await,
        2 => link_actions(app).await,
        _ => sign_ups(),
    }
}

/// The files below `folder` that keep the answer of a one-time action.
fn keeping_files(root: &Path, folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            keeping_files(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = std::fs::read_to_string(&path).unwrap();
            if source.contains(".one_time(") || source.contains(".one_time_about(") {
                found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
}

/// How many groups there are.
const GROUPS: usize = 4;

/// How many rows every table has, apart from the counts of attempts.
async fn rows(app: &TestApp) -> Vec<String> {
    let counts = row_counts(app).await;
    let counts = counts.split(", ").filter(|count| !count.starts_with("rate_limit_buckets"));
    counts.map(str::to_owned).collect()
}

/// Where the code keeps the answer of a one-time action, and the actions of the groups that come there.
const KEPT: [(&str, &[&str]); 13] = [
    ("accounts/confirm_email_change.rs", &["/api/v1/auth/me/email/verify"]),
    ("credentials/factors/confirmed.rs", &["/api/v1/mfa/totp/verify", "/api/v1/mfa/email-otp/verify"]),
    ("credentials/step_up.rs", &["/api/v1/auth/step-up", "/api/v1/mfa/backup-codes/verify"]),
    ("credentials/trusted_device/activate.rs", &["/api/v1/devices/activate", "/api/v1/devices/skip"]),
    ("recovery/answer_factor_reset.rs", &["/confirm-factor-reset", "/cancel-factor-reset"]),
    (
        "recovery/reset_password.rs",
        &["/api/v1/auth/reset-password", "/reset-password", "/v1/accounts/individual/reset/"],
    ),
    ("recovery/restore_email.rs", &["/restore-email"]),
    ("sign_in/confirm_code.rs", &["/api/v1/auth/verify-otp", SIGN_IN_CODE]),
    ("sign_in/hosted_sign_up.rs", &SIGN_UP),
    ("sign_in/phone_sign_in.rs", &["/api/v1/auth/confirm-code", "/api/v1/login/verify-code"]),
    ("sign_in/resend_code.rs", &["/api/v1/auth/resend-signup-otp"]),
    ("sign_in/second_factor.rs", &["/api/v1/auth/mfa/otp/generate", "/api/v1/auth/mfa/verify"]),
    ("sign_in/sign_up.rs", &["/api/v1/auth/signup", "/api/v2/auth/register"]),
];

/// Sent twice by a browser in `pages::sign_in::forms`.
const SIGN_IN_CODE: &str = "/sign-in/code";
/// Sent twice by a browser in `pages::sign_in::sign_up`.
const SIGN_UP: [&str; 3] = ["/sign-up", "/sign-up/code", "/sign-up/code/again"];

/// Routes without a token that keep no answer, each with the reason.
const NOT_KEPT: [(&str, &str); 18] = [
    ("/api/v1/auth/enter-phone", "asks for a message"),
    ("/api/v1/auth/forgot-password", "asks for a message"),
    ("/api/v1/login/send-code", "asks for a message"),
    ("/v1/accounts/individual/send-reset-password-email", "asks for a message"),
    ("/v1/accounts/resend-verification-code", "asks for a message"),
    ("/api/v1/auth/login", "a password stays right"),
    ("/api/v2/auth/login", "a password stays right"),
    ("/v1/login/individual", "a password stays right"),
    ("/v1/login/root", "a password stays right"),
    ("/v1/login/service", "a password stays right"),
    ("/api/v1/auth/refresh", "repeated for thirty seconds by its own rule"),
    ("/api/v2/auth/refresh", "repeated for thirty seconds by its own rule"),
    ("/v1/login/refresh-token", "the token is kept"),
    ("/api/v1/auth/verify-email", "the link stays right once it was followed"),
    ("/v1/accounts/verify", "the code stays right once it was used"),
    ("/api/v1/webauthn/authenticate/start", "asks for a challenge"),
    ("/api/v1/webauthn/authenticate/complete", BY_DESIGN),
    (SOCIAL, BY_DESIGN),
];
/// The completion of a sign-in by another provider, at the callback and in two steps.
const SOCIAL: &str = "/api/v1/auth/oauth/";
/// Used up by what proves it: see "Not repeated" in docs/security.md.
const BY_DESIGN: &str = "a signed challenge or a provider's code is good once";

on_both_engines! {
    async fn every_one_time_action_is_in_these_groups(engine: Engine) {
        let mut tried = BTreeSet::from([SIGN_IN_CODE]);
        tried.extend(SIGN_UP);
        for number in 0..GROUPS {
            let app = TestApp::start(engine).await;
            tried.extend(group(&app, number).await.iter().map(|action| action.path));
        }
        let kept: BTreeSet<&str> = KEPT.iter().flat_map(|(_, paths)| paths.iter().copied()).collect();
        assert_eq!(kept, tried);
        let mut files = BTreeSet::new();
        for feature in ["identity", "brokerage", "oauth"] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(feature).join("src");
            keeping_files(&folder, &folder, &mut files);
        }
        let known: BTreeSet<String> = KEPT.iter().map(|(file, _)| (*file).to_owned()).collect();
        assert_eq!(files, known, "a new one-time action: send it twice in a group of these");

        let is_kept = |path: &str| kept.iter().any(|known| known.trim_end_matches('/') == path);
        let is_not = |path: &str| NOT_KEPT.iter().any(|(known, _)| *known == path || (*known == SOCIAL && path.starts_with(SOCIAL)));
        for route in routes::all().into_iter().filter(|route| !route.bearer && route.method != Method::GET) {
            let path = route.path.trim_end_matches('/');
            assert!(is_kept(path) != is_not(path), "{}: is it good once? Then it is sent twice in a group of these", route.name());
        }
    }

    async fn a_repeat_is_answered_as_the_first_time_and_does_nothing_again(engine: Engine) {
        for number in 0..GROUPS {
            let app = TestApp::start(engine).await;
            for action in group(&app, number).await {
                let first = action.send(&app).await;
                assert!(first.status < 300, "{} {}", action.path, first.text);
                let done = rows(&app).await;
                for _ in 0..2 {
                    app.advance(Duration::from_secs(29));
                    let again = action.send(&app).await;
                    assert_eq!((again.status, &again.text), (first.status, &first.text), "{}", action.path);
                    assert_eq!(rows(&app).await, done, "{}", action.path);
                }
            }
        }
    }

    async fn after_a_minute_it_was_done_once_and_is_refused(engine: Engine) {
        for number in 0..GROUPS {
            let app = TestApp::start(engine).await;
            for action in group(&app, number).await {
                assert!(action.send(&app).await.status < 300, "{}", action.path);
                app.advance(MINUTE);
                assert_eq!(action.send(&app).await.status, action.refused, "{}", action.path);
            }
        }
    }

    async fn another_caller_who_saw_the_secret_is_refused(engine: Engine) {
        for number in 0..GROUPS {
            let app = TestApp::start(engine).await;
            for action in group(&app, number).await {
                assert!(action.send(&app).await.status < 300, "{}", action.path);
                let elsewhere = action.request(&app).ip("203.0.113.9").send().await;
                assert_eq!(elsewhere.status, action.refused, "{}", action.path);
                let other = action.request_of(&app, "App/2.0").send().await;
                assert_eq!(other.status, action.refused, "{}", action.path);
            }
        }
    }

    async fn a_double_tap_at_the_second_factor_opens_one_session(app: TestApp) {
        let (_, token, code) = halfway(&app, ADA).await;
        let sessions = app.sql_count(SESSIONS).await;
        let (one, other) = tokio::join!(app.show_factor(&token, "code", &code), app.show_factor(&token, "code", &code));
        assert_eq!(one.assert_status(200).text, other.assert_status(200).text);
        assert_eq!(app.sql_count(SESSIONS).await, sessions + 1);
    }

    async fn what_is_kept_of_a_second_factor_cannot_be_had_by_guessing(engine: Engine) {
        let app = TestApp::start(engine).await;
        let (_, token, code) = halfway(&app, ADA).await;
        app.show_factor(&token, "code", &code).await.assert_status(200);
        let number: u32 = code.parse().unwrap();
        for guess in 1..=3 {
            let wrong = format!("{:06}", (number + guess) % 1_000_000);
            app.show_factor(&token, "code", &wrong).await.assert_error(401, "INVALID_TOKEN");
        }
        app.show_factor(&token, "code", &code).await.assert_error(429, "TOO_MANY_ATTEMPTS");
        // Nor the backup codes of a set-up.
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        done(&app, &bob, "/api/v1/mfa/email-otp/setup", &json!({})).await;
        let code = app.latest_code("bob@example.com").await;
        let verify = |code: String| {
            let request = app.post("/api/v1/mfa/email-otp/verify").bearer(&bob.access_token);
            request.json(&json!({ "code": code })).send()
        };
        verify(code.clone()).await.assert_status(200);
        let number: u32 = code.parse().unwrap();
        for guess in 1..=3 {
            verify(format!("{:06}", (number + guess) % 1_000_000)).await.assert_error(400, "NO_PENDING_SETUP");
        }
        verify(code).await.assert_error(429, "TOO_MANY_ATTEMPTS");
    }

    async fn backup_codes_that_were_replaced_are_not_answered_again(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        done(&app, &ada, "/api/v1/mfa/email-otp/setup", &json!({})).await;
        let body = json!({ "code": app.latest_code(ADA).await });
        done(&app, &ada, "/api/v1/mfa/email-otp/verify", &body).await;
        app.advance(Duration::from_secs(1));
        done(&app, &ada, "/api/v1/mfa/backup-codes/generate", &json!({})).await;
        let again = app.post("/api/v1/mfa/email-otp/verify").bearer(&ada.access_token).json(&body).send().await;
        again.assert_error(400, "NO_PENDING_SETUP");
    }

    async fn a_sign_up_is_answered_again_to_who_knows_its_password_and_not_after_one_guess(app: TestApp) {
        for action in sign_ups() {
            let first = action.send(&app).await;
            let mut guess = Action { body: action.body.clone(), ..sign_ups().remove(0) };
            guess.path = action.path;
            guess.body["password"] = json!("Battery2staple!");
            assert_eq!(guess.send(&app).await.status, 409, "{}", action.path);
            // A guess by the same client is the last one: nothing is kept to be had.
            assert_eq!(action.send(&app).await.status, 409, "{} {}", action.path, first.text);
        }
    }

    async fn a_registration_sent_twice_at_once_makes_one_account_and_one_answer(app: TestApp) {
        for action in sign_ups() {
            let (one, other) = tokio::join!(action.send(&app), action.send(&app));
            assert_eq!(one.assert_status(201).text, other.assert_status(201).text, "{}", action.path);
        }
        assert_eq!(app.sql_count("select count(*) from accounts").await, 2);
        assert_eq!(app.sql_count(SESSIONS).await, 1);
    }

    async fn a_registration_whose_session_has_ended_is_not_answered_again(app: TestApp) {
        let action = sign_ups().remove(1);
        let token = action.send(&app).await.assert_status(201).text_at("accessToken");
        app.post("/api/v2/auth/logout").bearer(&token).send().await.assert_status(200);
        action.send(&app).await.assert_error(409, "EMAIL_EXISTS");
    }

    async fn another_node_answers_a_repeat_too(app: TestApp) {
        let other = app.another_node().await;
        app.enter_phone(PHONE).await.assert_status(200);
        let body = json!({ "phone": PHONE, "code": app.latest_text_code(PHONE).await });
        let first = app.post("/api/v1/auth/confirm-code").json(&body).send().await;
        let ip = "198.51.100.7";
        let again = other.client().post("/api/v1/auth/confirm-code").ip(ip).json(&body).send().await;
        assert_eq!(again.assert_status(200).text, first.text);
    }

    async fn a_double_tap_opens_one_session(app: TestApp) {
        app.enter_phone(PHONE).await.assert_status(200);
        let body = json!({ "phone": PHONE, "code": app.latest_text_code(PHONE).await });
        let tap = || app.post("/api/v1/auth/confirm-code").json(&body).send();
        let (one, other) = tokio::join!(tap(), tap());
        assert_eq!(one.assert_status(200).text, other.assert_status(200).text);
        assert_eq!(app.sql_count(SESSIONS).await, 1);
    }

    async fn a_repeat_is_refused_once_its_session_has_ended(app: TestApp) {
        app.enter_phone(PHONE).await.assert_status(200);
        let body = json!({ "phone": PHONE, "code": app.latest_text_code(PHONE).await });
        let confirm = || app.post("/api/v1/auth/confirm-code").json(&body).send();
        let token = confirm().await.assert_status(200).text_at("auth.token");
        app.post("/api/v1/logout").bearer(&token).send().await.assert_status(200);
        confirm().await.assert_status(422);
        assert_eq!(app.sql_count(SESSIONS).await, 1);
    }

    async fn the_kept_answer_cannot_be_had_by_guessing(app: TestApp) {
        app.enter_phone(PHONE).await.assert_status(200);
        let right = app.latest_text_code(PHONE).await;
        let confirm = |code: String| {
            app.post("/api/v1/auth/confirm-code").json(&json!({ "phone": PHONE, "code": code })).send()
        };
        confirm(right.clone()).await.assert_status(200);
        let number: u32 = right.parse().unwrap();
        for guess in 1..=5 {
            confirm(format!("{:06}", (number + guess) % 1_000_000)).await.assert_status(422);
        }
        // Five wrong codes from one network, and the right one is no longer looked at.
        confirm(right).await.assert_status(422);
    }

    async fn kept_answers_are_sealed_and_removed(app: TestApp) {
        app.enter_phone(PHONE).await.assert_status(200);
        let body = json!({ "phone": PHONE, "code": app.latest_text_code(PHONE).await });
        let answer = app.post("/api/v1/auth/confirm-code").json(&body).send().await;
        let token = answer.assert_status(200).text_at("auth.token");
        let secret = token.split('|').next_back().unwrap();
        let kept = "select count(*) from idempotency_records";
        assert_eq!(app.sql_count(kept).await, 1);
        for column in ["response", "fingerprint", "key_mac"] {
            let hex = secret.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
            let found = match app.database.engine() {
                tidegate_testkit::Engine::Sqlite => format!("{kept} where instr(lower(hex({column})), '{hex}') > 0"),
                tidegate_testkit::Engine::Postgres => {
                    format!("{kept} where position('{hex}' in encode({column}, 'hex')) > 0")
                }
            };
            assert_eq!(app.sql_count(&found).await, 0);
        }
        app.advance(2 * MINUTE);
        app.kernel().prune().await.unwrap();
        assert_eq!(app.sql_count(kept).await, 0);
    }
}

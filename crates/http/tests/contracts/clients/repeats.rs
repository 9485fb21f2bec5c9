//! A one-time action is sent again right after it worked: its answer was lost, or a button was pressed twice.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Authenticator, Engine, PASSWORD, Person, Request, TestApp, on_both_engines};

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
        let request = app.post(self.path).header("user-agent", "App/1.0").json(&self.body);
        match &self.bearer {
            Some(token) => request.bearer(token),
            None => request,
        }
    }

    async fn send(&self, app: &TestApp) -> Answer {
        self.request(app).send().await
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

/// The actions, group by group: codes do not live as long as all of them take.
async fn group(app: &TestApp, number: usize) -> Vec<Action> {
    match number {
        0 => actions(app).await,
        1 => factor_actions(app).await,
        _ => sign_ups(),
    }
}

/// How many groups there are.
const GROUPS: usize = 3;

/// How many rows every table has, apart from the counts of attempts.
async fn rows(app: &TestApp) -> Vec<String> {
    let counts = row_counts(app).await;
    let counts = counts.split(", ").filter(|count| !count.starts_with("rate_limit_buckets"));
    counts.map(str::to_owned).collect()
}

on_both_engines! {
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
                let request = app.post(action.path).header("user-agent", "App/2.0").json(&action.body);
                let request = match &action.bearer {
                    Some(token) => request.bearer(token),
                    None => request,
                };
                assert_eq!(request.send().await.status, action.refused, "{}", action.path);
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

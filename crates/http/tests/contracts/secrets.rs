//! Passwords, tokens, codes and keys stand nowhere in plain: not in the log, not in an error, not in the database.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_crypto::MasterKey;
use tidegate_testkit::{Answer, Engine, Request, SeededEntropy, TestApp, on_both_engines};

use crate::oauth::Made;
use crate::watch::{Log, columns};

/// After which neither a replaced refresh token nor a one-time action is answered again.
const MINUTE: Duration = Duration::from_secs(60);
const EMAIL: &str = "planted.address@example.com";
const NEW_EMAIL: &str = "planted.other@example.com";
/// One for each occasion, so that a leak tells where.
const PASSWORDS: [&str; 8] = [
    "Planted1-at-signup",
    "Planted2-weak-at-reset",
    "Planted3-wrong-at-login",
    "Planted4-after-reset",
    "Planted5-after-change",
    "Planted6-misplaced",
    "Planted7-malformed",
    "Planted8-at-register",
];

/// Somebody who goes through everything, and what they came by.
struct Journey {
    app: TestApp,
    secrets: Vec<String>,
    codes: Vec<String>,
    errors: Vec<String>,
}

impl Journey {
    async fn send(&mut self, request: Request) -> Answer {
        let answer = request.send().await;
        let text = &answer.text;
        let said = PASSWORDS.iter().find(|password| text.contains(*password));
        assert_eq!(said, None, "no answer repeats a password: {} {text}", answer.status);
        if answer.status >= 400 {
            self.errors.push(format!("{text} {:?}", answer.headers));
        }
        for name in
            ["accessToken", "refreshToken", "data.access_token", "data.refresh_token", "data.temporary_token"]
        {
            self.secrets.extend(answer.field(name).as_str().map(str::to_owned));
        }
        answer
    }

    async fn post(&mut self, path: &str, body: Value) -> Answer {
        let request = self.app.post(path).json(&body);
        self.send(request).await
    }

    async fn post_as(&mut self, token: &str, path: &str, body: Value) -> Answer {
        let request = self.app.post(path).bearer(token).json(&body);
        self.send(request).await
    }

    async fn code(&mut self, email: &str) -> String {
        let code = self.app.latest_code(email).await;
        self.codes.push(code.clone());
        code
    }

    async fn link_token(&mut self) -> String {
        let token = self.app.latest_link_token(EMAIL).await;
        self.secrets.push(token.clone());
        token
    }

    /// Signs up, verifies, refreshes, replays, resets, changes, moves, and does each thing wrong as well.
    async fn through_rivergen(&mut self) {
        let [signup, weak, wrong, reset, changed, ..] = PASSWORDS;
        let body = json!({ "email": EMAIL, "password": signup, "display_name": "Ada" });
        let pending = self.post("/api/v1/auth/signup", body).await.text_at("data.temporary_token");
        // With the same password it would be the same request, sent again.
        let taken = json!({ "email": EMAIL, "password": changed, "display_name": "Ada" });
        self.post("/api/v1/auth/signup", taken).await.assert_error(409, "EMAIL_TAKEN");
        self.link_token().await;
        let resend = json!({ "email": EMAIL, "temporary_token": pending });
        let answer = self.post("/api/v1/auth/resend-signup-otp", resend).await;
        let pending = answer.text_at("data.temporary_token");
        let code = self.code(EMAIL).await;
        let guess = if code == "000000" { "000001" } else { "000000" };
        let claim = |code: &str| json!({ "temporary_token": pending, "otp_code": code });
        self.post("/api/v1/auth/verify-otp", claim(guess)).await.assert_error(400, "INVALID_OTP");
        let first = self.post("/api/v1/auth/verify-otp", claim(&code)).await;
        self.app.advance(MINUTE);
        self.post("/api/v1/auth/verify-otp", claim(&code)).await.assert_error(401, "INVALID_TOKEN");

        let body = json!({ "email": EMAIL, "password": wrong });
        self.post("/api/v1/auth/login", body).await.assert_error(401, "INVALID_CREDENTIALS");
        let refresh = json!({ "refresh_token": first.text_at("data.refresh_token") });
        let second = self.post("/api/v1/auth/refresh", refresh.clone()).await;
        let child = json!({ "refresh_token": second.text_at("data.refresh_token") });
        self.post("/api/v1/auth/refresh", child).await.assert_status(200);
        self.app.advance(MINUTE);
        self.post("/api/v1/auth/refresh", refresh).await.assert_error(401, "INVALID_REFRESH_TOKEN");

        self.post("/api/v1/auth/forgot-password", json!({ "email": EMAIL })).await.assert_status(200);
        let token = self.link_token().await;
        let body = json!({ "token": token, "new_password": weak.to_lowercase().replace('2', "") });
        self.post("/api/v1/auth/reset-password", body).await.assert_error(422, "VALIDATION_ERROR");
        let body = json!({ "token": token, "new_password": reset });
        self.post("/api/v1/auth/reset-password", body.clone()).await.assert_status(204);
        self.app.advance(MINUTE);
        self.post("/api/v1/auth/reset-password", body).await.assert_error(400, "INVALID_TOKEN");

        let body = json!({ "email": EMAIL, "password": reset, "remember_me": true });
        let access = self.post("/api/v1/auth/login", body).await.text_at("data.access_token");
        let body = json!({ "current_password": wrong, "new_password": changed });
        let refused = self.post_as(&access, "/api/v1/auth/change-password", body).await;
        refused.assert_error(400, "INVALID_CURRENT_PASSWORD");
        self.post_as(&access, "/api/v1/auth/me/email/request", json!({ "new_email": NEW_EMAIL })).await;
        let code = self.code(NEW_EMAIL).await;
        let body = json!({ "new_email": NEW_EMAIL, "otp_code": code });
        self.post_as(&access, "/api/v1/auth/me/email/verify", body).await.assert_status(200);
        let body = json!({ "current_password": reset, "new_password": changed });
        self.post_as(&access, "/api/v1/auth/change-password", body).await.assert_status(200);
        self.post_as(&access, "/api/v1/auth/logout", json!({})).await.assert_error(401, "UNAUTHORIZED");
    }

    async fn through_ingestiq(&mut self) {
        let password = PASSWORDS[7];
        let body = json!({ "email": "planted.third@example.com", "password": password, "name": "Ada" });
        let session = self.post("/api/v2/auth/register", body).await;
        let refresh = json!({ "refreshToken": session.text_at("refreshToken") });
        self.post("/api/v2/auth/refresh", refresh).await.assert_status(200);
        let access = session.text_at("accessToken");
        self.post_as(&access, "/api/v2/auth/logout", json!({})).await.assert_status(200);
        self.post_as(&access, "/api/v2/auth/logout", json!({})).await.assert_error(401, "INVALID_TOKEN");
        let body = json!({ "email": "planted.third@example.com", "password": PASSWORDS[2] });
        self.post("/api/v2/auth/login", body).await.assert_error(401, "INVALID_CREDENTIALS");
    }

    /// Puts secrets where they do not belong.
    async fn misplace(&mut self) {
        let [.., misplaced, malformed, _] = PASSWORDS;
        let access = self.secrets.iter().find(|secret| secret.starts_with("ey")).cloned().unwrap();
        for path in
            ["/api/v1/auth/login", "/api/v1/auth/signup", "/api/v2/auth/login", "/api/v2/auth/register"]
        {
            self.post(path, json!({ "email": misplaced, "password": misplaced, "name": misplaced })).await;
            self.post(
                path,
                json!({ misplaced: misplaced, "email": [misplaced], "password": { misplaced: 1 } }),
            )
            .await;
            for body in
                [format!("{{\"password\": \"{malformed}"), format!("{{{malformed}}}"), malformed.to_owned()]
            {
                let request = self.app.post(path).body("application/json", body.clone());
                self.send(request).await;
                let request = self.app.post(path).form(&body);
                self.send(request).await;
            }
            for place in [format!("{path}/{access}"), format!("{path}/?token={access}&password={misplaced}")]
            {
                let request = self.app.get(&place).header("authorization", &format!("Basic {misplaced}"));
                let request = request.header("user-agent", "curl").header("referer", &place);
                self.send(request).await;
            }
        }
        let token = self.secrets.iter().find(|secret| secret.starts_with("tgp_")).cloned().unwrap();
        for page in ["/reset-password", "/verify-email"] {
            // A link that was used.
            let request = self.app.get(&format!("{page}?token={token}"));
            self.send(request).await.assert_status(400);
            let request = self.app.post(page).form(&format!("token={token}&new_password={misplaced}"));
            self.send(request).await.assert_status(400);
            let request = self.app.post(page).body("text/plain", format!("{token}{misplaced}"));
            self.send(request).await;
        }
    }

    /// Makes the database fail in the middle of things.
    async fn break_down(&mut self) {
        for (table, path) in [("passwords", "/api/v1/auth/login"), ("sessions", "/api/v2/auth/login")] {
            self.app.sql(&format!("alter table {table} rename to away")).await;
            let body = json!({ "email": NEW_EMAIL, "password": PASSWORDS[4] });
            self.post(path, body).await.assert_error(500, "INTERNAL_ERROR");
            self.app.sql(&format!("alter table away rename to {table}")).await;
        }
    }
}

/// Where a secret stands in plain.
pub(crate) fn leak<'s>(text: &str, secrets: &'s [String]) -> Option<&'s String> {
    secrets.iter().find(|secret| text.contains(secret.as_str()))
}

/// Whether the six digits stand there by themselves. Measured times do not count: theirs are chance.
pub(crate) fn has_code(line: &str, code: &str) -> bool {
    let measured = ["elapsed", "micros", "slow_threshold"];
    let words = line.split(' ').filter(|word| !measured.iter().any(|name| word.starts_with(name)));
    words.flat_map(|word| word.split(|c: char| !c.is_alphanumeric())).any(|word| word == code)
}

/// Every value of every column, as text; bytes in hexadecimal.
pub(crate) async fn everything_stored(app: &TestApp) -> Vec<(String, String)> {
    let mut stored = Vec::new();
    for (table, column) in columns(app).await {
        let text = match app.database.engine() {
            Engine::Sqlite => {
                format!(
                    "case typeof({column}) when 'blob' then lower(hex({column})) else cast({column} as text) end"
                )
            }
            Engine::Postgres => format!("cast({column} as text)"),
        };
        let query = format!("select {text} from {table} where {column} is not null");
        let values = app.database.sql_texts(&query).await;
        stored.extend(values.into_iter().map(|value| (format!("{table}.{column}"), value)));
    }
    stored
}

on_both_engines! {
    async fn the_text_of_an_access_token_is_nowhere_in_plain(engine: Engine) {
        let log = Log::listen();
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified(EMAIL).await;
        let body = json!({ "name": "Build server", "scopes": ["read"] });
        let made = app.post("/api/v1/auth/tokens").bearer(&ada.access_token).json(&body).send().await;
        let token = made.assert_status(201).text_at("data.token");
        let mut answers = Vec::new();
        for path in ["/api/v1/auth/me", "/api/v1/sessions", "/v1/accounts/", "/api/v1/nowhere", "/api/v1/account/profile"] {
            answers.push(app.get(path).bearer(&token).send().await);
        }
        // Where it does not belong.
        let misplaced = json!({ "name": token, "scopes": [token], "refresh_token": token, "email": token });
        for path in ["/api/v1/auth/tokens", "/api/v1/auth/refresh", "/api/v1/auth/login"] {
            answers.push(app.post(path).bearer(&ada.access_token).json(&misplaced).send().await);
        }
        app.kernel().write_token_uses().await.unwrap();
        let change = app.patch("/api/v1/auth/tokens/1").bearer(&ada.access_token).json(&json!({ "name": "Other" }));
        answers.push(change.send().await);
        answers.push(app.get("/api/v1/auth/tokens").bearer(&ada.access_token).send().await);
        answers.push(app.delete("/api/v1/auth/tokens/1").bearer(&ada.access_token).send().await);
        answers.push(app.get("/api/v1/auth/me").bearer(&token).send().await);
        assert_eq!(answers.last().unwrap().status, 401);

        let secrets = [token.clone(), token[4..].to_owned()];
        for answer in &answers {
            assert_eq!(leak(&answer.text, &secrets), None, "in an answer: {}", answer.text);
        }
        for line in log.lines() {
            assert_eq!(leak(&line, &secrets), None, "in the log: {line}");
        }
        let hex = secrets.each_ref().map(|secret| hexadecimal(secret));
        for (place, text) in everything_stored(&app).await {
            assert_eq!(leak(&text, &secrets), None, "in {place}: {text}");
            assert_eq!(leak(&text, &hex), None, "in the bytes of {place}: {text}");
        }
    }

    async fn secrets_codes_and_tokens_of_applications_are_nowhere_in_plain(engine: Engine) {
        let log = Log::listen();
        let app = TestApp::builder(engine).without_limits().start().await;
        let (client, ada, passed) = crate::oauth::round_trip(&app, EMAIL).await;
        let mut answers = crate::oauth::misplaced(&app, &ada, &client, &passed).await;
        let path = crate::oauth::applications_of(&app, &ada).await;
        answers.push(app.get(&path).bearer(&ada.access_token).send().await);
        let secrets: Vec<String> = passed.iter().flat_map(|secret| [secret.clone(), secret[7..].to_owned()]).collect();
        for answer in &answers {
            assert_eq!(leak(&answer.text, &secrets), None, "in an answer: {}", answer.text);
        }
        for line in log.lines() {
            assert_eq!(leak(&line, &secrets), None, "in the log: {line}");
        }
        let hex: Vec<String> = secrets.iter().map(|secret| hexadecimal(secret)).collect();
        for (place, text) in everything_stored(&app).await {
            assert_eq!(leak(&text, &secrets), None, "in {place}: {text}");
            assert_eq!(leak(&text, &hex), None, "in the bytes of {place}: {text}");
        }
    }

    async fn codes_and_tokens_of_every_kind_of_the_provider_are_nowhere_in_plain(engine: Engine) {
        let log = Log::listen();
        let Made { app, ada, all } = Made::new(engine).await;
        let mut answers = Vec::new();
        for (_, secret) in &all {
            // Where it does not belong, and where it is looked up.
            let all = ["token", "code", "device_code", "client_id", "request_uri", "subject_token", "client_assertion", "scope"];
            let all: Vec<String> = all.iter().map(|name| format!("{name}={secret}")).collect();
            for path in ["/oauth/token", "/oauth/par", "/oauth/introspect", "/oauth/device_authorization", "/oauth/register"] {
                answers.push(app.post(path).bearer(secret).form(&all.join("&")).send().await);
            }
            for path in ["/oauth/userinfo", "/oauth/register/00000000-0000-4000-8000-000000000000", "/api/v1/auth/me"] {
                answers.push(app.get(path).bearer(secret).send().await);
            }
            answers.push(app.get(&format!("/oauth/authorize?{}", all.join("&"))).bearer(&ada.access_token).send().await);
        }
        // What follows the prefix, which tells the kind, is as good as the whole.
        let secrets: Vec<String> = all.iter().flat_map(|(_, secret)| {
            let inner = secret.rsplit([':', '.']).next().unwrap().chars().skip(8).collect::<String>();
            [secret.clone(), inner].into_iter().filter(|text| text.len() >= 9)
        }).collect();
        assert!(secrets.len() > all.len(), "{}", secrets.len());
        for answer in &answers {
            let said = format!("{} {}", answer.text, answer.header("location"));
            assert_eq!(leak(&said, &secrets), None, "in an answer: {said}");
        }
        for line in log.lines() {
            assert_eq!(leak(&line, &secrets), None, "in the log: {line}");
        }
        let hex: Vec<String> = secrets.iter().map(|secret| hexadecimal(secret)).collect();
        for (place, text) in everything_stored(&app).await {
            assert_eq!(leak(&text, &secrets), None, "in {place}: {text}");
            assert_eq!(leak(&text, &hex), None, "in the bytes of {place}: {text}");
        }
    }

    async fn secrets_are_nowhere_in_plain(engine: Engine) {
        let log = Log::listen();
        let app = TestApp::builder(engine).without_limits().start().await;
        let mut journey = Journey { app, secrets: Vec::new(), codes: Vec::new(), errors: Vec::new() };
        journey.through_rivergen().await;
        journey.through_ingestiq().await;
        journey.misplace().await;
        journey.break_down().await;

        let Journey { app, mut secrets, codes, errors } = journey;
        secrets.extend(PASSWORDS.map(str::to_owned));
        let master_key = MasterKey::generate(&SeededEntropy::new(1)).to_text();
        secrets.push(master_key.expose().to_owned());
        secrets.push(master_key.expose().rsplit([':', '_', '.']).next().unwrap().to_owned());
        assert!(secrets.len() > 20 && codes.len() == 2 && errors.len() > 50, "the journey was not made");

        for error in &errors {
            assert_eq!(leak(error, &secrets), None, "in an error: {error}");
            assert!(!codes.iter().any(|code| has_code(error, code)), "a code in an error: {error}");
        }

        let lines = log.lines();
        assert!(lines.iter().any(|line| line.contains("sqlx::query")), "statements were logged");
        assert!(lines.iter().any(|line| line.contains("an internal error")), "failures were logged");
        for line in &lines {
            assert_eq!(leak(line, &secrets), None, "in the log: {line}");
            assert!(!codes.iter().any(|code| has_code(line, code)), "a code in the log: {line}");
            assert!(!line.contains("planted."), "whose address: {line}");
        }

        let stored = everything_stored(&app).await;
        assert!(stored.iter().any(|(place, text)| place == "identifiers.value" && text == NEW_EMAIL));
        let hex: Vec<String> = secrets.iter().map(|secret| hexadecimal(secret)).collect();
        let code_hex: Vec<String> = codes.iter().map(|code| hexadecimal(code)).collect();
        for (place, text) in &stored {
            assert_eq!(leak(text, &secrets), None, "in {place}: {text}");
            assert_eq!(leak(text, &hex), None, "in the bytes of {place}: {text}");
            assert_eq!(leak(text, &code_hex), None, "in the bytes of {place}: {text}");
            let chance = place.ends_with("_at") || place.ends_with(".at") || place.ends_with("id");
            assert!(chance || !codes.iter().any(|code| has_code(text, code)), "a code in {place}: {text}");
        }
    }
}

pub(crate) fn hexadecimal(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

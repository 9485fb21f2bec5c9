//! What requests cost the database: each statement is a trip to it. The lists are reviewed, so that they do not grow unseen.

use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{Answer, Engine, TestApp, on_both_engines};

use crate::oauth;
use crate::watch::Log;

/// Lists the statements of requests, each as its verb and its table.
struct Trips<'a> {
    app: &'a TestApp,
    log: Log,
    report: String,
}

impl Trips<'_> {
    async fn list(&mut self, name: &str, request: impl AsyncFnOnce(&TestApp) -> Answer) -> Answer {
        // What it costs depends on what the node remembers.
        self.app.catch_up().await;
        let before = self.log.lines().len();
        let answer = request(self.app).await;
        assert!(answer.status < 400, "{name}: {}", answer.status);
        let trips: Vec<String> = self.log.lines()[before..].iter().filter_map(|line| trip(line)).collect();
        self.report.push_str(&format!("{name}: {}\n", trips.len()));
        trips.iter().for_each(|trip| self.report.push_str(&format!("    {trip}\n")));
        answer
    }
}

/// The statement that a line of the log tells of. Where units begin and end is left out: on SQLite it follows what else goes on at
/// the moment.
pub(crate) fn trip(line: &str) -> Option<String> {
    let (_, told) = line.split_once("sqlx::query")?;
    let (told, _) = told.split_once(" rows_affected=")?;
    let (summary, whole) = told.split_once(" db.statement=")?;
    let (_, summary) = summary.split_once("summary=")?;
    // A statement of a few words is its own summary.
    let sql = if whole.len() > 2 { whole } else { summary };
    let sql = sql.replace("\\n", " ").replace('"', " ");
    if sql.trim_start().starts_with("with ") || sql.contains(';') {
        return several(&sql);
    }
    let words: Vec<&str> = sql.split_whitespace().collect();
    let verb = *words.first()?;
    let before_table = match verb {
        "select" | "delete" => "from",
        "insert" => "into",
        "update" => return Some(format!("update {}", words.get(1)?)),
        _ => return None,
    };
    // What tells other nodes is about no table: nodes that begin to listen to one another run it, too.
    let mut pairs = words.windows(2);
    let table = pairs.find(|pair| pair[0] == before_table && !pair[1].starts_with('('))?[1];
    Some(format!("{verb} {table}"))
}

/// Statements that are run in one trip.
fn several(sql: &str) -> Option<String> {
    let words: Vec<&str> = sql.split_whitespace().map(|word| word.trim_start_matches('(')).collect();
    let writes = words.iter().enumerate().filter_map(|(place, word)| {
        let is_part = place > 0 && ["do", "for"].contains(&words[place - 1]);
        let table = match *word {
            "insert" | "delete" => words.get(place + 2)?,
            "update" if !is_part => words.get(place + 1)?,
            _ => return None,
        };
        Some(format!("{word} {table}"))
    });
    let writes: Vec<String> = writes.collect();
    (!writes.is_empty()).then(|| writes.join(" + "))
}

/// Requests of an application of a person's own organization, to which it has sent her before.
async fn applications(trips: &mut Trips<'_>) {
    let app = trips.app;
    let lin = app.sign_up_rivergen_verified("lin@example.com").await;
    let client = oauth::register(app, &lin, &oauth::described()).await;
    let asked = oauth::parameters(&client);
    let code = async || {
        let answer = oauth::authorize(app, &lin.access_token, &asked).await;
        oauth::sent_back(&answer).remove("code").unwrap()
    };
    // That the application is in use is noted once a minute.
    let first = code().await;
    oauth::exchange_request(app, &client, &first).send().await.assert_status(200);
    app.catch_up().await;
    code().await;
    let answer = trips
        .list("authorization of who is signed in", async |app| {
            oauth::authorize(app, &lin.access_token, &asked).await
        })
        .await;
    let code = oauth::sent_back(&answer).remove("code").unwrap();
    let answer = trips
        .list("exchange of a code", async |app| oauth::exchange_request(app, &client, &code).send().await)
        .await;
    let token = answer.text_at("access_token");
    for name in ["userinfo", "userinfo, again"] {
        trips.list(name, async |app| app.get("/oauth/userinfo").bearer(&token).send().await).await;
    }
    let fields = [
        ("client_id", client.client_id.as_str()),
        ("client_secret", client.secret.as_deref().unwrap()),
        ("token", &token),
    ];
    let body = oauth::form(&fields);
    trips.list("introspection", async |app| app.post("/oauth/introspect").form(&body).send().await).await;
    let own = [("grant_type", "client_credentials")];
    trips.list("client credentials", async |app| oauth::token_request(app, &client, &own).send().await).await;
}

on_both_engines! {
    async fn requests_run_the_statements_that_were_reviewed(engine: Engine) {
        let log = Log::listen();
        let app = TestApp::start(engine).await;
        let mut trips = Trips { app: &app, log, report: String::new() };
        let (phone, email, password) = ("+254712345678", "ada@example.com", "Secret-password-1");

        let sign_up = json!({ "email": email, "password": password, "display_name": "Ada" });
        let answer = trips
            .list("sign-up, RiverGen", async |app| app.post("/api/v1/auth/signup").json(&sign_up).send().await)
            .await;
        let code = app.latest_code(email).await;
        let proof = json!({ "temporary_token": answer.text_at("data.temporary_token"), "otp_code": code });
        trips
            .list("verification of the address, RiverGen", async |app| {
                app.post("/api/v1/auth/verify-otp").json(&proof).send().await
            })
            .await;
        let log_in = json!({ "email": email, "password": password });
        let answer = trips
            .list("login, RiverGen", async |app| app.post("/api/v1/auth/login").json(&log_in).send().await)
            .await;
        let token = json!({ "refresh_token": answer.text_at("data.refresh_token") });
        trips
            .list("refresh, RiverGen", async |app| app.post("/api/v1/auth/refresh").json(&token).send().await)
            .await;
        trips.list("code request, Riven", async |app| app.enter_phone(phone).await).await;
        let code = app.latest_text_code(phone).await;
        trips
            .list("code verification that makes an account, Riven", async |app| {
                app.confirm("auth/confirm-code", phone, &code).await
            })
            .await;
        // One code a minute.
        app.advance(Duration::from_secs(61));
        trips.list("code request to log in, Riven", async |app| app.send_login_code(phone).await).await;
        let code = app.latest_text_code(phone).await;
        trips
            .list("logging in by code, Riven", async |app| app.confirm("login/verify-code", phone, &code).await)
            .await;
        let grace = app.sign_up_rivergen_verified("grace@example.com").await;
        let authenticator = app.enrol_totp(&grace, "Phone").await;
        // A code is good once.
        app.advance(Duration::from_secs(30));
        let token = app.sign_in_halfway(&grace).await;
        let shown = json!({ "temporary_token": token, "code": authenticator.code(app.now()) });
        trips
            .list("code of an app at sign-in, RiverGen", async |app| {
                app.post("/api/v1/auth/mfa/verify").json(&shown).send().await
            })
            .await;
        applications(&mut trips).await;
        insta::assert_snapshot!(format!("statements_{engine:?}").to_lowercase(), trips.report);
    }
}

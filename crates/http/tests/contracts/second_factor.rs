//! An account with a second factor is not let in by a first one alone, through any contract.
//!
//! Twice: with a feature that says of every account that it has one, and with real ones.

use std::collections::BTreeSet;
use std::future::ready;
use std::sync::Arc;

use axum::http::Method;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tidegate_domain::contract::SecondFactor;
use tidegate_domain::factor::ResetMode;
use tidegate_domain::id::AccountId;
use tidegate_domain::{ContractId, EmailAddress};
use tidegate_kernel::hooks::AccountHooks;
use tidegate_kernel::{Call, Fault, Work};
use tidegate_testkit::{Answer, Engine, PASSWORD, TestApp, on_both_engines};

use crate::routes;

/// A feature with which every account has a second factor.
struct AlwaysEnrolled;

impl AccountHooks for AlwaysEnrolled {
    fn has_second_factor<'w>(
        &'w self,
        _: &'w mut Work<'_>,
        _: AccountId,
    ) -> BoxFuture<'w, Result<bool, Fault>> {
        ready(Ok(true)).boxed()
    }
}

/// A request that opens a session where no second factor is asked for.
struct OpeningRoute {
    path: &'static str,
    body: Value,
    success: u16,
    /// What it answers where one is: status and code.
    refusal: (u16, &'static str),
    /// Whether it asks for the second factor where its contract may.
    asks: bool,
}

/// Requests without a token that open no session.
const OTHERS: [&str; 14] = [
    "/api/v1/auth/forgot-password",
    "/api/v1/auth/mfa/otp/generate",
    "/api/v1/auth/refresh",
    "/api/v1/auth/resend-signup-otp",
    "/api/v1/auth/reset-password",
    "/api/v1/auth/signup",
    "/api/v1/auth/enter-phone",
    "/api/v1/login/send-code",
    "/api/v2/auth/refresh",
    "/v1/accounts/individual/reset",
    "/v1/accounts/individual/send-reset-password-email",
    "/v1/accounts/resend-verification-code",
    "/v1/accounts/verify",
    "/v1/login/refresh-token",
];

/// A passkey is both factors: the authenticator is one, and the person was verified to it. Its ceremonies are tried in
/// `rivergen::webauthn`.
const PASSKEYS: [&str; 2] = ["/api/v1/webauthn/authenticate/complete", "/api/v1/webauthn/authenticate/start"];

/// The word of another identity provider, which is not set up here: tried in `rivergen::social`.
const PROVIDERS: [&str; 3] =
    ["/api/v1/auth/oauth/login", "/api/v1/auth/oauth/signup", "/api/v1/auth/oauth/{provider}/callback"];

const SESSIONS: &str = "select count(*) from sessions";
const VERIFIED: &str = "select count(*) from identifiers where verified_at is not null";
const NOTED: &str = "select count(*) from audit_events where action = 'auth.login.failure'";
const ADA: &str = "ada@example.com";

/// Everything that opens a session, each with what it needs: people and programs are made here, nobody signs in.
async fn opening_routes(app: &TestApp) -> Vec<OpeningRoute> {
    app.sign_up_rivergen_verified(ADA).await;
    let root = app.provision("root@example.com").await;
    app.add_service(&root, "program", "backend").await;
    let named = json!({ "name": "program" });
    let key = app.post("/v1/accounts/service/keys/").bearer(&root.access_token).json(&named).send().await;
    let key = key.assert_status(200).text_at("key");
    let bob = app.sign_up_rivergen("bob@example.com").await;
    let code = app.latest_code("bob@example.com").await;
    app.sign_up_rivergen("carol@example.com").await;
    let link = app.latest_link_token("carol@example.com").await;
    let (known, new) = ("+254700000001", "+254700000002");
    app.register_phone(known).await;
    app.send_login_code(known).await.assert_status(200);
    app.enter_phone(new).await.assert_status(200);
    let (known_code, new_code) = (app.latest_text_code(known).await, app.latest_text_code(new).await);

    let login = json!({ "email": ADA, "password": PASSWORD });
    let owner = json!({ "email": "root@example.com", "password": PASSWORD });
    let program = |secret: &str| json!({ "name": "program", "password": secret });
    let route = |path, body, success, refusal| OpeningRoute { path, body, success, refusal, asks: false };
    vec![
        OpeningRoute {
            asks: true,
            ..route("/api/v1/auth/login", login.clone(), 200, (401, "INVALID_CREDENTIALS"))
        },
        route(
            "/api/v1/auth/verify-otp",
            json!({ "temporary_token": bob.temporary_token, "otp_code": code }),
            200,
            (401, "INVALID_TOKEN"),
        ),
        route("/api/v1/auth/verify-email", json!({ "token": link }), 200, (400, "INVALID_TOKEN")),
        route(
            "/api/v2/auth/register",
            json!({ "email": "dora@example.com", "password": PASSWORD, "name": "Dora" }),
            201,
            (403, "FORBIDDEN"),
        ),
        route("/api/v2/auth/login", login, 200, (401, "INVALID_CREDENTIALS")),
        route("/v1/login/individual", owner.clone(), 200, (401, "INCORRECT_PASSWORD")),
        route("/v1/login/root", owner, 200, (401, "INCORRECT_PASSWORD")),
        route("/v1/login/service", program(PASSWORD), 200, (401, "INCORRECT_PASSWORD")),
        route("/v1/login/service", program(&key), 200, (401, "INCORRECT_PASSWORD")),
        route("/api/v1/auth/confirm-code", json!({ "phone": new, "code": new_code }), 200, (422, "")),
        route("/api/v1/login/verify-code", json!({ "phone": known, "code": known_code }), 200, (401, "")),
    ]
}

/// The route that takes the second factor itself, with one that is right.
async fn showing(app: &TestApp) -> OpeningRoute {
    let erin = app.sign_up_rivergen_verified("erin@example.com").await;
    app.enrol_email_otp(&erin).await;
    let waiting = app.sign_in_halfway(&erin).await;
    let waiting = app.choose_factor(&waiting, "email_otp").await;
    let body = json!({ "temporary_token": waiting, "code": app.latest_code("erin@example.com").await });
    OpeningRoute { path: "/api/v1/auth/mfa/verify", body, success: 200, refusal: (200, ""), asks: false }
}

async fn call(app: &TestApp, route: &OpeningRoute) -> Answer {
    // The Crossing Minds contract ends its paths with a slash.
    let slash = if route.path.starts_with("/v1/") { "/" } else { "" };
    app.post(&format!("{}{slash}", route.path)).json(&route.body).send().await
}

/// Checks that an answer refuses, or asks for the second factor and gives no token but the one to go on with.
#[track_caller]
fn assert_kept_out(route: &OpeningRoute, answer: &Answer, rule: SecondFactor) {
    if route.asks && rule == SecondFactor::Ask {
        assert_eq!(answer.assert_status(200).field("data.mfa_required"), true, "{}", answer.text);
        assert!(
            !answer.text.contains("access_token") && !answer.text.contains("refresh_token"),
            "{}",
            answer.text
        );
    } else {
        answer.assert_error(route.refusal.0, route.refusal.1);
        assert!(!answer.text.contains("oken\":"), "{}: {}", route.path, answer.text);
    }
}

/// What every account gets in the walk with real factors.
async fn give_everybody_a_factor(app: &TestApp) {
    let id = match app.database.engine() {
        Engine::Sqlite => "randomblob(16)",
        Engine::Postgres => "gen_random_uuid()",
    };
    app.sql(&format!(
        "insert into second_factors (id, account_id, kind, name, last_step, is_primary, created_at, verified_at)
         select {id}, id, 'email_otp', '', 0, true, 1, 1 from accounts"
    ))
    .await;
}

/// A token of that contract, of an account of its own.
async fn token_of(app: &TestApp, contract: ContractId, number: usize) -> String {
    let email = format!("root{number}@example.com");
    if contract == ContractId::RIVEN {
        return app.register_phone(&format!("+2547{number:08}")).await.token;
    }
    let root = app.provision(&email).await;
    let claim = json!({ "email": email, "password": PASSWORD });
    let (path, token) = match contract {
        ContractId::CROSSING_MINDS => return root.access_token,
        ContractId::INGESTIQ => ("/api/v2/auth/login", "accessToken"),
        _ => ("/api/v1/auth/login", "data.access_token"),
    };
    app.post(path).json(&claim).send().await.assert_status(200).text_at(token)
}

/// The hosted pages with a form, read from the source.
fn page_forms() -> BTreeSet<String> {
    let source = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/pages/mod.rs")).unwrap();
    let routes = source.split(".route(\"").skip(1).filter_map(|route| route.split_once("\", "));
    let forms = routes.filter(|(_, handlers)| handlers.lines().next().unwrap().contains(".post("));
    forms.map(|(path, _)| path.to_owned()).collect()
}

async fn start(engine: Engine, rule: SecondFactor) -> TestApp {
    let change = |settings: &mut tidegate_kernel::Settings| {
        settings.contracts.iter_mut().for_each(|profile| profile.second_factor = rule);
    };
    TestApp::builder(engine).without_limits().settings(change).start().await
}

on_both_engines! {
    async fn no_route_opens_a_session_for_an_account_with_a_second_factor(engine: Engine) {
        // Also not where the contract may ask: what has no answer for it refuses.
        for rule in [SecondFactor::Refuse, SecondFactor::Ask] {
            let app = start(engine, rule).await;
            let openings = opening_routes(&app).await;
            app.kernel().register_hooks(Arc::new(AlwaysEnrolled));
            let (sessions, verified) = (app.sql_count(SESSIONS).await, app.sql_count(VERIFIED).await);
            let accounts = app.sql_count("select count(*) from accounts").await;
            for route in &openings {
                let noted = app.sql_count(NOTED).await;
                let answer = call(&app, route).await;
                assert_kept_out(route, &answer, rule);
                assert_eq!(app.sql_count(SESSIONS).await, sessions, "{}", route.path);
                // Its owner is told, except of an account that was not made.
                let told = i64::from(route.path != "/api/v2/auth/register");
                assert_eq!(app.sql_count(NOTED).await, noted + told, "{}", route.path);
            }
            // What was shown to be theirs is: Bob's and Carol's mailboxes, and the new phone.
            assert_eq!(app.sql_count(VERIFIED).await, verified + 3);
            assert_eq!(app.sql_count("select count(*) from accounts").await, accounts + 1);
        }
    }

    async fn no_route_opens_a_session_for_an_account_that_has_set_one_up(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let openings = opening_routes(&app).await;
        give_everybody_a_factor(&app).await;
        let sessions = app.sql_count(SESSIONS).await;
        // New accounts have none yet.
        let makes_account = ["/api/v2/auth/register", "/api/v1/auth/confirm-code"];
        for route in openings.iter().filter(|route| !makes_account.contains(&route.path)) {
            let answer = call(&app, route).await;
            assert_kept_out(route, &answer, SecondFactor::Ask);
            assert_eq!(app.sql_count(SESSIONS).await, sessions, "{}", route.path);
        }
    }

    async fn every_route_that_opens_a_session_is_known_here(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let mut openings = opening_routes(&app).await;
        openings.push(showing(&app).await);
        for route in &openings {
            let sessions = app.sql_count(SESSIONS).await;
            call(&app, route).await.assert_status(route.success);
            assert_eq!(app.sql_count(SESSIONS).await, sessions + 1, "{}", route.path);
        }
        let known: BTreeSet<&str> =
            openings.iter().map(|route| route.path).chain(OTHERS).chain(PASSKEYS).chain(PROVIDERS).collect();
        let anonymous = routes::all().into_iter().filter(|route| !route.bearer && route.method != Method::GET);
        let served: BTreeSet<String> =
            anonymous.map(|route| route.path.trim_end_matches('/').to_owned()).collect();
        let served: BTreeSet<&str> = served.iter().map(String::as_str).collect();
        assert_eq!(served, known, "a new route without a token: does it open a session?");
    }

    // Nor does a token, which may be of a session from before the factor, open another one.
    async fn no_route_with_a_token_opens_a_session(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        for (number, route) in routes::with_bearer().into_iter().enumerate() {
            let token = token_of(&app, route.contract, number).await;
            give_everybody_a_factor(&app).await;
            let sessions = app.sql_count(SESSIONS).await;
            let answer = route.request(&app.client()).bearer(&token).send().await;
            assert!(answer.status != 401 || answer.code() != route.invalid_token().1, "{} {}", route.name(), answer.text);
            assert_eq!(app.sql_count(SESSIONS).await, sessions, "{}", route.name());
            app.sql("delete from second_factors").await;
        }
    }

    // Links in mails: whoever reads the mailbox has one factor. The pages that do sign in are in `pages::sign_in`.
    async fn no_page_opens_a_session(engine: Engine) {
        let change = |settings: &mut tidegate_kernel::Settings| {
            settings.factor_resets.by_operator = ResetMode::Confirmed;
        };
        let app = TestApp::builder(engine).without_limits().settings(change).start().await;
        app.sign_up_rivergen("bob@example.com").await;
        let mut pages = vec![("/verify-email", app.latest_link_token("bob@example.com").await)];
        let [ada, kim, joe, eve] = ["ada", "kim", "joe", "eve"].map(|name| format!("{name}@example.com"));
        for (page, email) in
            [("/secure-account", &ada), ("/confirm-factor-reset", &kim), ("/reset-password", &joe), ("/restore-email", &eve)]
        {
            let who = app.sign_up_rivergen_verified(email).await;
            app.enrol_totp(&who, "Phone").await;
            match page {
                "/confirm-factor-reset" => {
                    let operator = Call::from_cli(app.kernel().settings().contracts.of_installation());
                    let email = EmailAddress::parse(email).unwrap();
                    app.identity().reset_factors(&operator, &email).await.unwrap();
                }
                "/reset-password" => {
                    let forgot = json!({ "email": email });
                    app.post("/api/v1/auth/forgot-password").json(&forgot).send().await.assert_status(200);
                }
                "/restore-email" => {
                    let bearer = |path: &str| app.post(path).bearer(&who.access_token);
                    let ask = json!({ "new_email": "new@example.com" });
                    bearer("/api/v1/auth/me/email/request").json(&ask).send().await.assert_status(200);
                    let code = app.latest_code("new@example.com").await;
                    let prove = json!({ "new_email": "new@example.com", "otp_code": code });
                    bearer("/api/v1/auth/me/email/verify").json(&prove).send().await.assert_status(200);
                }
                _ => {}
            }
            pages.push((page, app.latest_link_token(email).await));
        }
        // This one does nothing but keep the factors.
        let known = pages.iter().map(|(page, _)| *page).chain(["/cancel-factor-reset"]);
        let known: BTreeSet<String> = known.map(str::to_owned).collect();
        assert_eq!(page_forms(), known, "a new page: does it open a session?");
        let sessions = app.sql_count(SESSIONS).await;
        for (page, token) in pages {
            let form = format!("token={token}&new_password=Battery2staple!");
            let answer = app.post(page).form(&form).send().await;
            answer.assert_status(200);
            assert_eq!(app.sql_count(SESSIONS).await, sessions, "{page}");
            assert!(!answer.headers.contains_key("set-cookie"), "{page}");
        }
    }

    async fn a_session_from_before_the_second_factor_goes_on(app: TestApp) {
        let ada = app.register_ingestiq(ADA).await;
        app.kernel().register_hooks(Arc::new(AlwaysEnrolled));
        let body = json!({ "refreshToken": ada.refresh_token });
        app.post("/api/v2/auth/refresh").json(&body).send().await.assert_status(200);
    }

    async fn a_right_password_before_a_second_factor_counts_as_a_wrong_one(app: TestApp) {
        app.register_ingestiq(ADA).await;
        app.kernel().register_hooks(Arc::new(AlwaysEnrolled));
        let login = json!({ "email": ADA, "password": PASSWORD });
        for _ in 0..10 {
            let answer = app.post("/api/v2/auth/login").json(&login).send().await;
            answer.assert_error(401, "INVALID_CREDENTIALS");
        }
        app.post("/api/v2/auth/login").json(&login).send().await.assert_status(429);
    }
}

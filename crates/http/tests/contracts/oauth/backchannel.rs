//! Applications hear of sessions that end: OpenID Connect Back-Channel Logout 1.0.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::routing::post;
use axum::{Form, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tidegate_crypto::IssuerKeys;
use tidegate_domain::EmailAddress;
use tidegate_domain::OauthRules;
use tidegate_domain::logout::BackchannelReach;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_kernel::KernelTables as _;
use tidegate_oauth::applications::{RulesChange, SubjectType};
use tidegate_testkit::{Engine, PASSWORD, TestApp, on_both_engines};
use tokio::net::TcpListener;

use super::hosted::{BYE, Hosted, Tokens};
use super::wire::{ADA, applications_of, as_person, assert_flat, claims, refresh};
use crate::pages::sign_in::window::Window;

const OWNER: &str = "owner@example.com";
const JOB: &str = "back-channel logout";

/// An application's address at which it is told, on this machine.
#[derive(Clone)]
struct Ear {
    heard: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<StatusCode>>,
    address: String,
}

async fn hear(State(ear): State<Ear>, Form(fields): Form<Vec<(String, String)>>) -> StatusCode {
    let [(name, token)] = &fields[..] else { panic!("{fields:?}") };
    assert_eq!(name, "logout_token");
    ear.heard.lock().unwrap().push(token.clone());
    *ear.answers.lock().unwrap()
}

impl Ear {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}/backchannel", listener.local_addr().unwrap());
        let ear = Self { heard: Arc::default(), answers: Arc::new(Mutex::new(StatusCode::OK)), address };
        let router = Router::new().route("/backchannel", post(hear)).with_state(ear.clone());
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        ear
    }

    fn answers(&self, status: StatusCode) {
        *self.answers.lock().unwrap() = status;
    }

    /// The tokens that came since it was last asked.
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

async fn start(engine: Engine, reach: BackchannelReach) -> TestApp {
    let rules = OauthRules { backchannel_reach: reach, ..OauthRules::default() };
    TestApp::builder(engine).without_limits().settings(|settings| settings.set_oauth(rules)).start().await
}

/// An application that wants to be told, on a server that may tell it.
async fn listening(engine: Engine) -> (TestApp, Ear, Hosted) {
    let app = start(engine, BackchannelReach::ThisMachine).await;
    let ear = Ear::start().await;
    let shop = shop_at(&app, &ear.address).await;
    (app, ear, shop)
}

async fn shop_at(app: &TestApp, address: &str) -> Hosted {
    let scopes = json!(["openid", "profile", "email", "read", "offline_access"]);
    let fields =
        json!({ "post_logout_redirect_uris": [BYE], "backchannel_logout_uri": address, "scopes": scopes });
    Hosted::with(app, OWNER, fields).await
}

/// Has all that waits sent; answers what became of each.
async fn send(app: &TestApp) -> Vec<Result<(), String>> {
    app.kernel().run_job(JOB).await.unwrap()
}

/// What was told since: the sessions' names.
async fn told(app: &TestApp, ear: &Ear) -> Vec<Value> {
    for outcome in send(app).await {
        outcome.unwrap();
    }
    let mut all: Vec<Value> = ear.heard().iter().map(|token| claims(token)["sid"].clone()).collect();
    all.sort_by_key(Value::to_string);
    all
}

fn sid(tokens: &Tokens) -> Value {
    claims(&tokens.id_token)["sid"].clone()
}

fn operator(app: &TestApp) -> Operator {
    Operator::at_command_line(app.kernel().settings().contracts.of_installation())
}

fn named(email: &str) -> AccountName {
    AccountName::Login(EmailAddress::parse(email).unwrap().into())
}

async fn sign_out(window: &Window) {
    let page = window.visit("/sign-out").await;
    window.press(&page, "/sign-out", &[]).await;
}

on_both_engines! {
    async fn a_logout_token_is_what_the_specification_says(engine: Engine) {
        let (app, ear, shop) = listening(engine).await;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let tokens = shop.sign_in(&app, &window, ADA).await;
        assert!(send(&app).await.is_empty());
        sign_out(&window).await;
        assert_eq!(send(&app).await, [Ok(())]);
        let heard = ear.heard();
        let [token] = &heard[..] else { panic!("{heard:?}") };
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap()).unwrap();
        assert_eq!(header["typ"], "logout+jwt");
        // Signed with a published key, by the algorithm of ID tokens.
        let jwks = app.get("/.well-known/jwks.json").send().await;
        let verified = IssuerKeys::parse(jwks.text.as_bytes()).unwrap().verify(token).unwrap();
        let id_token = claims(&tokens.id_token);
        let now = app.now().seconds();
        assert_eq!(Value::Object(verified.clone()), json!({
            "iss": "https://id.example.com",
            "sub": id_token["sub"],
            "aud": shop.client.client_id,
            "iat": now,
            "exp": now + 120,
            "jti": verified["jti"],
            "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
            "sid": id_token["sid"],
        }));
        assert!(verified["jti"].as_str().unwrap().len() >= 22 && !verified.contains_key("nonce"));
        // No token of another kind: it opens nothing here.
        assert_eq!(app.get("/api/v1/auth/me").bearer(token).send().await.status, 401);
        // And once is enough.
        assert!(send(&app).await.is_empty());
    }

    async fn a_logout_token_names_a_person_as_the_application_knows_them(engine: Engine) {
        let (app, ear, shop) = listening(engine).await;
        app.sign_up_rivergen_verified(ADA).await;
        let id = tidegate_domain::id::ApplicationId(shop.client.client_id.parse().unwrap());
        let subject = Some(SubjectType::Pairwise(None));
        let change = RulesChange { subject, ..RulesChange::default() };
        let call = crate::oauth::signing::operator(&app);
        // Its redirect URIs have no host in common; a sector is named.
        assert!(app.oauth().set_application_rules(&call, id, change).await.is_err());
        let subject = Some(SubjectType::Pairwise(Some("shop.example.com".to_owned())));
        let change = RulesChange { subject, ..RulesChange::default() };
        assert!(app.oauth().set_application_rules(&call, id, change).await.is_ok());
        let window = Window::new(&app);
        let tokens = shop.sign_in(&app, &window, ADA).await;
        sign_out(&window).await;
        assert_eq!(send(&app).await, [Ok(())]);
        let heard = ear.heard();
        let [token] = &heard[..] else { panic!("{heard:?}") };
        let (said, known) = (claims(token), claims(&tokens.id_token));
        assert_eq!((&said["sub"], &said["sid"]), (&known["sub"], &known["sid"]));
        let own = crate::cross_contract::login_rivergen(&app.client(), ADA, PASSWORD).await;
        let own = claims(&own.text_at("data.access_token"));
        assert_ne!(said["sub"], own["sub"], "nobody else knows them by that name");
    }

    async fn an_application_hears_of_every_way_in_which_a_session_ends(engine: Engine) {
        let (app, ear, shop) = listening(engine).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let sign_in = async || {
            let window = Window::new(&app);
            let tokens = shop.sign_in(&app, &window, ADA).await;
            (window, sid(&tokens), tokens)
        };
        // The person signs out of the browser; the application asks for it.
        let (window, first, _) = sign_in().await;
        sign_out(&window).await;
        assert_eq!(told(&app, &ear).await, [first]);
        let (window, second, tokens) = sign_in().await;
        window.open(&format!("/oauth/logout?id_token_hint={}", tokens.id_token)).await.assert_status(303);
        assert_eq!(told(&app, &ear).await, [second]);
        // The person ends the application's session from a list, or the browser's.
        let (_window, third, _) = sign_in().await;
        let list = app.get("/api/v1/sessions").bearer(&ada.access_token).send().await;
        let all = list.assert_status(200).field("data.sessions").as_array().unwrap().clone();
        let of_application = all.iter().find(|one| one.to_string().contains("OAuth application: Shop")).unwrap();
        let path = format!("/api/v1/sessions/{}", of_application["id"]);
        assert!(app.delete(&path).bearer(&ada.access_token).send().await.status < 300);
        assert_eq!(told(&app, &ear).await, [third]);
        // They take its access away on their page.
        let (window, fourth, _) = sign_in().await;
        let page = window.visit("/account").await;
        let withdrawn = window.submit(&page, "/account/applications/withdraw", &[]).await;
        assert!(withdrawn.assert_status(200).text.contains("Shop has no access"), "{}", withdrawn.text);
        assert_eq!(told(&app, &ear).await, [fourth]);
        // An operator ends all sessions.
        let (_window, fifth, _) = sign_in().await;
        app.identity().end_account_sessions(&operator(&app), &named(ADA), None).await.unwrap_or_else(|_| panic!("ended"));
        assert_eq!(told(&app, &ear).await, [fifth]);
        // The password is reset.
        let (_window, sixth, _) = sign_in().await;
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": ADA })).send().await.assert_status(200);
        let token = app.latest_link_token(ADA).await;
        let body = json!({ "token": token, "new_password": PASSWORD });
        app.post("/api/v1/auth/reset-password").json(&body).send().await.assert_status(204);
        assert_eq!(told(&app, &ear).await, [sixth]);
        // The account is disabled, and another one deleted.
        let (_window, seventh, _) = sign_in().await;
        app.identity().disable_account(&operator(&app), &named(ADA)).await.unwrap_or_else(|_| panic!("disabled"));
        assert_eq!(told(&app, &ear).await, [seventh]);
        app.sign_up_rivergen_verified("bob@example.com").await;
        let tokens = shop.sign_in(&app, &Window::new(&app), "bob@example.com").await;
        app.identity().delete_account_for_operator(&operator(&app), &named("bob@example.com")).await.unwrap_or_else(|_| panic!("deleted"));
        assert_eq!(told(&app, &ear).await, [sid(&tokens)]);
    }

    async fn it_hears_of_a_session_that_goes_on_without_its_owner_and_not_of_its_own_doing(engine: Engine) {
        let (app, ear, shop) = listening(engine).await;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let offline = shop.sign_in_for(&app, &window, ADA, &[("scope", "openid offline_access")]).await;
        sign_out(&window).await;
        assert_eq!(told(&app, &ear).await, [sid(&offline)]);
        refresh(&app, &shop.client, &offline.refresh_token).await.assert_status(200);
        // It gives the session up itself, or its organization takes all of them.
        let revoked = format!("token={}", offline.refresh_token);
        app.post("/oauth/token/revoke").form(&revoked).send().await.assert_status(200);
        let online = shop.sign_in(&app, &window, ADA).await;
        let path = format!("{}/{}/regenerate-secret", applications_of(&app, &shop.owner).await, shop.client.number);
        as_person(&app, Method::POST, &path, &shop.owner).json(&json!({})).send().await.assert_status(200);
        assert_flat(&refresh(&app, &shop.client, &online.refresh_token).await, 401, "invalid_client");
        // A session that expires tells nobody either: the application knows when its tokens end.
        app.advance(std::time::Duration::from_secs(400 * 24 * 3_600));
        assert!(told(&app, &ear).await.is_empty());
    }

    async fn an_application_that_does_not_answer_is_told_again_and_in_the_end_given_up(engine: Engine) {
        let (app, ear, shop) = listening(engine).await;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        let tokens = shop.sign_in(&app, &window, ADA).await;
        ear.answers(StatusCode::INTERNAL_SERVER_ERROR);
        sign_out(&window).await;
        assert!(send(&app).await[0].is_err());
        assert!(send(&app).await.is_empty(), "it waits");
        ear.answers(StatusCode::NO_CONTENT);
        app.advance(std::time::Duration::from_secs(60));
        ear.heard();
        assert_eq!(told(&app, &ear).await, [sid(&tokens)]);

        let tokens = shop.sign_in(&app, &window, ADA).await;
        ear.answers(StatusCode::BAD_REQUEST);
        sign_out(&window).await;
        for _ in 0..10 {
            send(&app).await;
            app.advance(std::time::Duration::from_secs(4_000));
        }
        assert!(send(&app).await.is_empty());
        assert_eq!(ear.heard().len(), 10);
        assert_eq!(app.sql_count("select count(*) from jobs where name = 'back-channel logout' and state = 'dead'").await, 1);
        // An operator has it tried again.
        let dead = app.sql_count("select number from jobs where name = 'back-channel logout'").await;
        ear.answers(StatusCode::OK);
        let mut unit = app.store().begin().await.unwrap();
        assert!(unit.jobs().revive(dead, app.now()).await.unwrap());
        unit.commit().await.unwrap();
        assert_eq!(told(&app, &ear).await, [sid(&tokens)]);
    }

    // The attack: an organization registers an address that only this server reaches.
    async fn this_server_calls_nobody_it_must_not(engine: Engine) {
        let app = start(engine, BackchannelReach::Internet).await;
        let ear = Ear::start().await;
        let shop = shop_at(&app, &ear.address).await;
        app.sign_up_rivergen_verified(ADA).await;
        for address in [ear.address.as_str(), "https://169.254.169.254/latest", "https://10.0.0.1/", "https://localhost/"] {
            let path = format!("{}/{}", applications_of(&app, &shop.owner).await, shop.client.number);
            let body = json!({ "backchannel_logout_uri": address });
            as_person(&app, Method::PATCH, &path, &shop.owner).json(&body).send().await.assert_status(200);
            let window = Window::new(&app);
            shop.sign_in(&app, &window, ADA).await;
            sign_out(&window).await;
            let outcome = send(&app).await;
            let refused = outcome.iter().filter_map(|one| one.as_ref().err()).any(|why| why.contains("one that may be called"));
            assert!(refused, "{address}: {outcome:?}");
            app.sql("delete from jobs").await;
            app.advance(std::time::Duration::from_secs(40));
        }
        assert!(ear.heard().is_empty());
    }

    async fn whoever_does_not_listen_costs_nothing(app: TestApp) {
        let shop = Hosted::shop(&app, OWNER).await;
        app.sign_up_rivergen_verified(ADA).await;
        let window = Window::new(&app);
        shop.sign_in(&app, &window, ADA).await;
        sign_out(&window).await;
        assert_eq!(app.sql_count("select count(*) from jobs where name = 'back-channel logout'").await, 0);
    }
}

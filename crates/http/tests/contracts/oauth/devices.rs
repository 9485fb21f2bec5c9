//! Devices without a browser: RFC 8628. How they are attacked, see [`super::device_attacks`].

use std::sync::Mutex;
use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_testkit::{Answer, Request, TestApp, concurrently, on_both_engines};

use super::wire::{
    ADA, App, applications, as_person, assert_flat, audited, claims, described_with, me, organization,
    refresh, register, token_request,
};
use crate::pages::heading;
use crate::pages::sign_in::window::Window;
use crate::watch::Log;

pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const MANY: usize = 50;

/// What describes the application of a television.
pub(super) fn television() -> Value {
    described_with(json!({
        "name": "Television", "grant_types": [DEVICE_CODE], "redirect_uris": [], "token_endpoint_auth_method": "none",
    }))
}

/// The application of a television, of the organization of somebody.
pub(super) async fn shop_with_television(app: &TestApp) -> App {
    let ada = app.sign_up_rivergen_verified(ADA).await;
    register(app, &ada, &television()).await
}

/// A device asks for its codes.
pub(super) async fn ask(app: &TestApp, client: &App, fields: &[(&str, &str)]) -> Answer {
    let mut all = vec![("client_id", client.client_id.as_str())];
    all.extend(client.secret.as_deref().map(|secret| ("client_secret", secret)));
    all.extend_from_slice(fields);
    app.post("/oauth/device_authorization").form(&crate::oauth::wire::form(&all)).send().await
}

/// A request by which a device polls.
pub(super) fn poll_request(app: &TestApp, client: &App, asked: &Answer) -> Request {
    let code = asked.text_at("device_code");
    token_request(app, client, &[("grant_type", DEVICE_CODE), ("device_code", &code)])
}

/// A device polls.
pub(super) async fn poll(app: &TestApp, client: &App, asked: &Answer) -> Answer {
    poll_request(app, client, asked).send().await
}

/// Types a code into the page; answers what follows.
pub(super) async fn type_code(window: &Window, code: &str) -> Answer {
    let page = window.visit("/device").await;
    assert_eq!(heading(&page), "Connect a device", "{}", page.text);
    window.press(&page, "/device", &[("user_code", code)]).await
}

/// Answers the question on a page.
pub(super) async fn choose(window: &Window, page: &Answer, choice: &str) -> Answer {
    assert_eq!(heading(page), "Allow this device?", "{}", page.text);
    // The first form is the one that allows; the other differs in nothing else.
    window.press(page, "/device", &[("choice", choice)]).await
}

/// A person who is signed in allows what a device asks.
pub(super) async fn allow(window: &Window, asked: &Answer) {
    let page = type_code(window, &asked.text_at("user_code")).await;
    let done = choose(window, &page, "allow").await;
    assert_eq!(heading(&done), "Device connected", "{}", done.text);
}

on_both_engines! {
    async fn a_device_that_waits_takes_no_lines_of_the_log(app: TestApp) {
        let log = Log::listen();
        let client = shop_with_television(&app).await;
        let asked = ask(&app, &client, &[("scope", "openid")]).await;
        assert_flat(&poll(&app, &client, &asked).await, 400, "authorization_pending");
        assert_flat(&poll(&app, &client, &asked).await, 400, "slow_down");
        let mut wrong = asked;
        wrong.body["device_code"] = json!("wrong");
        assert_flat(&poll(&app, &client, &wrong).await, 400, "invalid_grant");
        let told = |code: &str| log.lines().iter().any(|line| line.contains("answered") && line.contains(code));
        assert!(told("invalid_grant"));
        assert!(!told("authorization_pending") && !told("slow_down"), "{:?}", log.lines());
    }

    async fn a_person_types_the_code_of_a_device_and_it_gets_its_tokens(app: TestApp) {
        let client = shop_with_television(&app).await;
        let asked = ask(&app, &client, &[("scope", "openid email read")]).await;
        asked.assert_status(200);
        assert_eq!(asked.header("cache-control"), "no-store");
        assert_eq!((asked.field("expires_in"), asked.field("interval")), (&json!(600), &json!(5)));
        assert_eq!(asked.text_at("verification_uri"), "https://id.example.com/device");
        let code = asked.text_at("user_code");
        let complete = format!("https://id.example.com/device?user_code={code}");
        assert_eq!(asked.text_at("verification_uri_complete"), complete);
        assert_flat(&poll(&app, &client, &asked).await, 400, "authorization_pending");

        let window = Window::at(&app, "198.51.100.7");
        let page = window.visit("/device").await;
        assert_eq!(heading(&page), "Sign in");
        let page = window.press(&page, "/sign-in", &[("login", ADA), ("password", tidegate_testkit::PASSWORD)]).await;
        assert_eq!(heading(&page), "Connect a device");
        let page = window.press(&page, "/device", &[("user_code", &code.to_lowercase().replace('-', " "))]).await;
        page.assert_status(200);
        for text in [
            "Television, an application of", "asks on a device for access to the account Ada Lovelace (ada@example.com).",
            "It asked from the network address", "know which account is yours", "read your e-mail address", &code,
            "If somebody sent you the code",
        ] {
            assert!(page.text.contains(text), "{text}: {}", page.text);
        }
        let done = choose(&window, &page, "allow").await;
        assert_eq!(heading(&done), "Device connected");

        let tokens = poll(&app, &client, &asked).await;
        tokens.assert_status(200);
        assert_eq!((tokens.text_at("scope").as_str(), tokens.text_at("token_type").as_str()), ("openid email read", "Bearer"));
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 200);
        let said = claims(&tokens.text_at("id_token"));
        assert_eq!((&said["aud"], &said["amr"]), (&json!(client.client_id), &json!(["pwd"])));
        refresh(&app, &client, &tokens.text_at("refresh_token")).await.assert_status(200);
        // Once.
        assert_flat(&poll(&app, &client, &asked).await, 400, "invalid_grant");
        assert_eq!(audited(&app, "oauth.consent").await, ["oauth.consent.granted"]);
        assert_eq!(audited(&app, "oauth.session").await, ["oauth.session.opened"]);
        assert!(app.templates_to(ADA).await.contains(&"application_allowed".to_owned()));
        let listed = "select count(*) from sessions where user_agent = 'OAuth application: Television'";
        assert_eq!(app.sql_count(listed).await, 1);
    }

    async fn a_link_fills_the_code_in_and_answers_nothing(app: TestApp) {
        let client = shop_with_television(&app).await;
        let asked = ask(&app, &client, &[]).await;
        let code = asked.text_at("user_code");
        let window = Window::new(&app);
        let link = format!("/device?user_code={code}");
        let page = window.visit(&link).await;
        let page = window.press(&page, "/sign-in", &[("login", ADA), ("password", tidegate_testkit::PASSWORD)]).await;
        assert_eq!(heading(&page), "Connect a device");
        assert!(page.text.contains(&format!("value=\"{code}\"")) && !page.text.contains("Television"), "{}", page.text);
        assert_flat(&poll(&app, &client, &asked).await, 400, "authorization_pending");
        // The page shows what the person has to compare before it asks them.
        let page = window.press(&page, "/device", &[("user_code", &code)]).await;
        assert!(page.text.contains(&format!("shows the code {code}")), "{}", page.text);
        // What is no code is not repeated.
        let page = window.open("/device?user_code=call%20+1900").await;
        assert!(!page.text.contains("1900"), "{}", page.text);
    }

    async fn a_device_is_told_that_the_person_refused(app: TestApp) {
        let client = shop_with_television(&app).await;
        let asked = ask(&app, &client, &[]).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let page = type_code(&window, &asked.text_at("user_code")).await;
        let done = choose(&window, &page, "deny").await;
        assert_eq!(heading(&done), "Device not connected");
        for _ in 0..2 {
            assert_flat(&poll(&app, &client, &asked).await, 400, "access_denied");
        }
        assert_eq!(audited(&app, "oauth.consent").await, ["oauth.consent.denied"]);
        // It was answered.
        let page = type_code(&window, &asked.text_at("user_code")).await;
        assert_eq!((page.status, heading(&page)), (422, "Connect a device"));
    }

    async fn a_code_is_over_after_ten_minutes(app: TestApp) {
        let client = shop_with_television(&app).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        let [late, allowed] = [ask(&app, &client, &[]).await, ask(&app, &client, &[]).await];
        app.advance(Duration::from_secs(590));
        allow(&window, &allowed).await;
        app.advance(Duration::from_secs(10));
        let page = type_code(&window, &late.text_at("user_code")).await;
        assert_eq!(page.status, 422);
        for asked in [late, allowed] {
            assert_flat(&poll(&app, &client, &asked).await, 400, "expired_token");
        }
        assert_eq!(app.sql_count("select count(*) from sessions where application_id is not null").await, 0);
    }

    async fn a_device_that_polls_too_often_has_to_wait_longer(app: TestApp) {
        let client = shop_with_television(&app).await;
        let asked = ask(&app, &client, &[]).await;
        let mut answers = Vec::new();
        for seconds in [0, 5, 4, 9, 14, 20] {
            app.advance(Duration::from_secs(seconds));
            answers.push(poll(&app, &client, &asked).await.text_at("error"));
        }
        // After 4 s of 5 it has to wait 10, after 9 of them 15, after 14 of them 20.
        let slow = ["authorization_pending", "authorization_pending", "slow_down", "slow_down", "slow_down", "authorization_pending"];
        assert_eq!(answers, slow);
        // Of several at once one is in time.
        app.advance(Duration::from_secs(60));
        let at_once = all_at_once((0..5).map(|_| poll_request(&app, &client, &asked)).collect()).await;
        let pending = at_once.iter().filter(|answer| answer.text_at("error") == "authorization_pending").count();
        assert!(pending <= 1, "{pending}");
        // What was allowed is handed out at once.
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        allow(&window, &asked).await;
        poll(&app, &client, &asked).await.assert_status(200);
    }

    async fn of_one_device_code_that_is_polled_many_times_one_gets_tokens(app: TestApp) {
        let client = shop_with_television(&app).await;
        let asked = ask(&app, &client, &[]).await;
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        allow(&window, &asked).await;
        let answers = all_at_once((0..MANY).map(|_| poll_request(&app, &client, &asked)).collect()).await;
        let won: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(won.len(), 1, "{:?}", answers.iter().map(|answer| answer.status).collect::<Vec<_>>());
        assert!(answers.iter().all(|answer| answer.status == 200 || answer.text_at("error") == "invalid_grant"));
        assert_eq!(app.sql_count("select count(*) from sessions where application_id is not null").await, 1);
        assert_eq!(me(&app, &won[0].text_at("access_token")).await, 200);
    }

    async fn a_confidential_application_may_use_devices_too_and_proves_who_it_is(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let body = described_with(json!({ "name": "Printer", "grant_types": [DEVICE_CODE, "authorization_code"] }));
        let client = register(&app, &ada, &body).await;
        let asked = ask(&app, &client, &[("scope", "read")]).await;
        asked.assert_status(200);
        let window = Window::new(&app);
        window.sign_in(ADA).await;
        allow(&window, &asked).await;
        let unproven = App { secret: None, ..client.clone() };
        assert_flat(&poll(&app, &unproven, &asked).await, 401, "invalid_client");
        assert_flat(&ask(&app, &unproven, &[]).await, 401, "invalid_client");
        poll(&app, &client, &asked).await.assert_status(200);
    }

    async fn what_a_device_may_not_ask_for_is_refused(app: TestApp) {
        let client = shop_with_television(&app).await;
        assert_flat(&ask(&app, &client, &[("scope", "admin")]).await, 400, "invalid_scope");
        let elsewhere = [("resource", "https://other.example.com")];
        assert_flat(&ask(&app, &client, &elsewhere).await, 400, "invalid_target");
        let unknown = App { client_id: "00000000-0000-4000-8000-000000000000".into(), ..client.clone() };
        assert_flat(&ask(&app, &unknown, &[]).await, 401, "invalid_client");
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        let web = register(&app, &eve, &described_with(json!({ "name": "Web" }))).await;
        assert_flat(&ask(&app, &web, &[]).await, 400, "unauthorized_client");
        let answer = token_request(&app, &web, &[("grant_type", DEVICE_CODE), ("device_code", "tgd_x")]).send().await;
        assert_flat(&answer, 400, "unauthorized_client");
        assert_flat(&token_request(&app, &client, &[("grant_type", DEVICE_CODE)]).send().await, 400, "invalid_request");
        let answer = token_request(&app, &client, &[("grant_type", DEVICE_CODE), ("device_code", "x")]).send().await;
        assert_flat(&answer, 400, "invalid_grant");
    }

    async fn discovery_says_where_devices_ask(app: TestApp) {
        let found = app.get("/.well-known/openid-configuration").send().await;
        let at = "https://id.example.com/oauth/device_authorization";
        assert_eq!(found.text_at("device_authorization_endpoint"), at);
        assert!(found.field("grant_types_supported").as_array().unwrap().contains(&json!(DEVICE_CODE)));
    }

    async fn what_changed_since_a_person_allowed_it_is_not_handed_out(app: TestApp) {
        for change in ["revoked", "signed out", "consent", "scopes"] {
            let email = format!("{}@example.com", change.replace(' ', "-"));
            let person = app.sign_up_rivergen_verified(&email).await;
            let client = register(&app, &person, &television()).await;
            let asked = ask(&app, &client, &[("scope", "openid read")]).await;
            let window = Window::new(&app);
            window.sign_in(&email).await;
            allow(&window, &asked).await;
            let path = applications(organization(&app, &person).await);
            match change {
                "revoked" => {
                    let path = format!("{path}/{}/revoke", client.number);
                    as_person(&app, Method::POST, &path, &person).send().await.assert_status(200);
                }
                "signed out" => {
                    let page = window.open("/account").await;
                    window.press(&page, "/sign-out", &[]).await;
                }
                "consent" => {
                    let id = tidegate_domain::id::ApplicationId(client.client_id.parse().unwrap());
                    revoke_consent(&app, &person, id).await;
                }
                _ => {
                    let path = format!("{path}/{}", client.number);
                    let less = json!({ "scopes": ["read"] });
                    as_person(&app, Method::PATCH, &path, &person).json(&less).send().await.assert_status(200);
                }
            }
            let answer = poll(&app, &client, &asked).await;
            match change {
                "scopes" => assert_eq!(answer.assert_status(200).text_at("scope"), "read"),
                "revoked" => assert_flat(&answer, 401, "invalid_client"),
                _ => assert_flat(&answer, 400, "invalid_grant"),
            }
        }
    }
}

async fn revoke_consent(
    app: &TestApp,
    person: &tidegate_testkit::Person,
    id: tidegate_domain::id::ApplicationId,
) {
    let actor = app.kernel().authenticate(&person.access_token).await.unwrap();
    let call = tidegate_kernel::Call::from_cli(app.kernel().settings().contracts.of_installation());
    assert!(app.oauth().revoke_consent(&call, &actor, id).await.is_ok());
}

async fn all_at_once(requests: Vec<Request>) -> Vec<Answer> {
    let requests: Vec<_> = requests.into_iter().map(|request| Mutex::new(Some(request))).collect();
    concurrently(requests.len(), |number| requests[number].lock().unwrap().take().unwrap().send()).await
}

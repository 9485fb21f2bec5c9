//! The pages in a real browser, over a real port.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tidegate_kernel::Settings;
use tidegate_kernel::settings::DeliveryMode;
pub(crate) use tidegate_testkit::Browser;
use tidegate_testkit::{Builder, Engine, PASSWORD, TestApp, eventually, run};
use tokio::net::TcpListener;

use crate::cross_contract::login_rivergen;

/// What keeps people from using the page, as far as a program can tell: serious and critical findings of axe-core.
pub(crate) fn barriers(browser: &Browser, options: &Value) -> Vec<String> {
    let axe = include_str!("../../assets/axe/axe.min.js");
    let script = format!(
        "{axe}; const done = arguments[arguments.length - 1];
         axe.run(arguments[0], {{ resultTypes: ['violations'] }}).then(found => done(found.violations), error => done(String(error)))"
    );
    let found = browser.post("execute/async", json!({ "script": script, "args": [options] }));
    let found = found.as_array().unwrap_or_else(|| panic!("axe: {found}"));
    let is_serious =
        |finding: &&Value| ["serious", "critical"].contains(&finding["impact"].as_str().unwrap_or_default());
    let told = |finding: &Value| format!("{}: {}", finding["id"], finding["nodes"]);
    found.iter().filter(is_serious).map(told).collect()
}

/// The application, served on a real port, and its address.
pub(crate) async fn serve() -> (TestApp, String) {
    serve_with(|_| {}).await
}

/// The same with other settings.
pub(crate) async fn serve_with(change: impl FnOnce(&mut Settings)) -> (TestApp, String) {
    serve_built(change, |builder| builder).await
}

/// The same, made in another way.
pub(crate) async fn serve_built(
    change: impl FnOnce(&mut Settings),
    build: impl FnOnce(Builder) -> Builder,
) -> (TestApp, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let mut settings = Settings::new(&address, DeliveryMode::Keep, tidegate_http::contract_profiles());
    change(&mut settings);
    let builder = TestApp::builder(Engine::Sqlite).settings(|before| *before = settings);
    let app = build(builder).http(|http| http.plain_cookies = true).start().await;
    let service = app.router().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    (app, address)
}

/// The newest link mailed to Ada, whole.
pub(crate) async fn latest_link(app: &TestApp) -> String {
    let mails = app.mails_to("ada@example.com").await;
    mails.iter().find_map(|mail| mail.link()).expect("a mail with a link").to_owned()
}

#[test]
fn a_person_follows_their_links_from_mail_to_sign_in() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve().await;
        let browser = Browser::start();

        app.sign_up_rivergen("ada@example.com").await;
        browser.open(&latest_link(&app).await);
        browser.arrive_at("Confirm your e-mail address").await;
        assert_eq!(
            browser.evaluate("getComputedStyle(document.querySelector('.card')).borderRadius"),
            "16px"
        );
        browser.press("button[type=submit]");
        browser.arrive_at("Thank you").await;

        let body = json!({ "email": "ada@example.com" });
        app.post("/api/v1/auth/forgot-password").json(&body).send().await.assert_status(200);
        let link = latest_link(&app).await;
        browser.open(&link);
        browser.arrive_at("Set a new password").await;
        assert_eq!(browser.evaluate("document.activeElement.name"), "new_password");
        browser.type_into("#new_password", "weak");
        browser.press("button[type=submit]");
        let problem = eventually("a problem", async || browser.text("[role=alert]")).await;
        assert!(problem.starts_with("The password must have"), "{problem}");
        assert_eq!(browser.evaluate("document.querySelector('#new_password').value"), "");
        browser.type_into("#new_password", "Battery2staple!");
        browser.press("button[type=submit]");
        browser.arrive_at("Password changed").await;
        login_rivergen(&app.client(), "ada@example.com", "Battery2staple!").await.assert_status(200);
        login_rivergen(&app.client(), "ada@example.com", PASSWORD).await.assert_status(401);

        // The link says that it was used before a password is typed.
        browser.open(&link);
        browser.arrive_at("Link not valid").await;

        // The developer's outbox, from this very machine.
        browser.open(&format!("{address}/dev/outbox"));
        browser.arrive_at("Outbox").await;
        assert!(browser.text("main").unwrap().contains("to ada@example.com"));
        assert_eq!(browser.complaints(), Vec::<Value>::new());
    });
}

#[test]
fn a_hostile_link_runs_nothing_in_the_readers_browser() {
    run(Engine::Sqlite, async |_: Engine| {
        let (app, address) = serve().await;
        let browser = Browser::start();
        let hostile = "%22%3E%3Cscript%3Edocument.title%3D%27owned%27%3C%2Fscript%3E%3Cimg%20src%3Dx%20onerror%3D%22document.title%3D%27owned%27%22%3E";
        app.sign_up_rivergen_verified("ada@example.com").await;
        let body = json!({ "email": "ada@example.com" });
        app.post("/api/v1/auth/forgot-password").json(&body).send().await.assert_status(200);
        let link = latest_link(&app).await;
        for link in [
            format!("{address}/verify-email?token={hostile}"),
            format!("{address}/reset-password?token={hostile}"),
            format!("{link}&redirect={hostile}"),
        ] {
            browser.open(&link);
            assert_ne!(browser.evaluate("document.title"), "owned");
            assert_eq!(
                browser.evaluate("document.querySelectorAll('script:not([src]), img[src=x]').length"),
                0
            );
        }
        let value = browser.evaluate("document.querySelector('[name=redirect]').value");
        assert!(value.as_str().unwrap().starts_with("\"><script>"), "it is text: {value}");
        // Were something to get into the page after all, the policy would not let it run.
        browser.open(&format!("{address}/verify-email?token=x"));
        browser.evaluate(
            "void document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"document.title=`owned`\">')",
        );
        browser.evaluate("void document.body.append(Object.assign(document.createElement('script'), { text: 'document.title=`owned`' }))");
        assert_ne!(browser.evaluate("document.title"), "owned");
        assert!(!browser.complaints().is_empty(), "the browser says what it blocked");
    });
}

//! A refused caller is told to wait; the operator is told which limit that was.

use serde_json::{Value, json};
use tidegate_domain::limit::Limit;
use tidegate_testkit::{Engine, PASSWORD, Request, TestApp, on_both_engines};

use crate::pages::sign_in::window::Window;
use crate::watch::Log;

/// A route, the body of its nth request, and the key that limits it.
type Limited<'a> = (&'a str, &'a dyn Fn(usize) -> Value, &'a str);

/// Whether a 429 was logged with that key.
fn names(log: &Log, key: &str) -> bool {
    log.lines().iter().any(|line| {
        line.contains("answered")
            && line.contains("429")
            && line.split(['"', '=', ' ']).any(|word| word == key)
    })
}

/// Sends requests until one is refused, `most` of them at most.
async fn until_refused(most: usize, request: impl Fn(usize) -> Request) {
    for number in 0..most {
        if request(number).send().await.status == 429 {
            return;
        }
    }
    panic!("{most} requests are not refused");
}

on_both_engines! {
    async fn every_429_is_logged_with_the_key_of_its_limit(engine: Engine) {
        let log = Log::listen();
        let app = TestApp::start(engine).await;
        let login = json!({ "email": "ada@example.com", "password": PASSWORD });
        let sign_up = |number: usize| json!({ "email": format!("ada{number}@example.com"), "password": PASSWORD });
        let phone = |_: usize| json!({ "phone": "+254712345678" });
        let bodies: [Limited<'_>; 3] = [
            ("/api/v1/auth/signup", &sign_up, "rivergen.limits.sign_up_by_ip"),
            ("/api/v1/auth/login", &|_| login.clone(), "rivergen.limits."),
            ("/api/v1/auth/enter-phone", &phone, "phone.limits.by_phone_at_once"),
        ];
        for (path, body, key) in bodies {
            let mut refused = false;
            for number in 0..40 {
                let answer = app.post(path).json(&body(number)).send().await;
                refused = answer.status == 429;
                if refused {
                    break;
                }
            }
            assert!(refused, "{path}");
            let lines = log.lines();
            let said = |line: &&String| line.contains("answered") && line.contains("429") && line.contains(key);
            assert!(lines.iter().any(|line| said(&line)), "{path}: {key}");
        }
    }

    async fn so_it_is_in_every_contract_at_the_token_endpoint_and_on_the_pages(engine: Engine) {
        let log = Log::listen();
        let change = |settings: &mut tidegate_kernel::Settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.failed_clients_by_network = Some(Limit::new(5, 60));
            settings.set_oauth(rules);
        };
        let app = TestApp::builder(engine).settings(change).start().await;
        // Each from a network of its own: the log has sixty lines a minute about the refused requests of one.
        let [first, second, third, fourth] = [1, 2, 3, 4].map(|number| format!("203.0.113.{number}"));
        let wrong = json!({ "email": "ada@example.com", "password": "Wrong1horse!" });
        until_refused(20, |_| app.post("/api/v2/auth/login").ip(&first).json(&wrong)).await;
        assert!(names(&log, "ingestiq.limits.failed_sign_in"), "{:?}", log.lines().last());
        until_refused(20, |_| app.post("/v1/login/individual/").ip(&second).json(&wrong)).await;
        assert!(names(&log, "crossing_minds.limits.failed_sign_in"), "{:?}", log.lines().last());
        let program = "grant_type=client_credentials&client_id=00000000-0000-4000-8000-000000000000&client_secret=x";
        until_refused(10, |_| app.post("/oauth/token").ip(&third).form(program)).await;
        assert!(names(&log, "oauth.failed_clients_by_network"), "{:?}", log.lines().last());
        let window = Window::at(&app, &fourth);
        let mut refused = false;
        for _ in 0..10 {
            refused |= window.try_password("ada@example.com", "Wrong1horse!").await.status == 429;
        }
        assert!(refused && names(&log, "browser.limits.failed_sign_in"), "{:?}", log.lines().last());
    }

    async fn a_limit_on_all_requests_names_its_key_at_the_oauth_endpoints_too(engine: Engine) {
        let log = Log::listen();
        let change = |settings: &mut tidegate_kernel::Settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.anonymous_requests = Some(Limit::new(2, 60));
            settings.set_oauth(rules);
        };
        let app = TestApp::builder(engine).settings(change).start().await;
        until_refused(3, |_| app.get("/oauth/userinfo")).await;
        assert!(names(&log, "oauth.anonymous_requests"), "{:?}", log.lines());
    }
}

//! Methods that are safe have no effects (RFC 9110 section 9.2.1), whatever looks at a link.

use std::path::Path;

use axum::http::Method;
use serde_json::json;
use tidegate_domain::EmailAddress;
use tidegate_domain::factor::ResetMode;
use tidegate_kernel::Call;
use tidegate_testkit::{Engine, Node, PASSWORD, TestApp, on_both_engines};

use crate::pages::sign_in::window::Window;
use crate::permissions::use_cases::sources;
use crate::riven::wire::{ADA, Form, PDF};
use crate::routes;
use crate::watch::content;

const UNVERIFIED: &str = "select count(*) from identifiers where kind = 'email' and verified_at is null";
const KYC: &str = "/api/v1/account/kyc";

/// The endpoints that act for `GET`, because their contract published them so, in order.
const ACTING: [&str; 4] = [
    "/api/v1/account/kyc",
    "/api/v1/auth/oauth/{provider}/callback",
    "/api/v1/auth/oauth/{provider}/url",
    "/v1/accounts/verify",
];

/// Those outside of the contracts, because their protocol has it so: where an application sends a browser, and where a browser goes to a
/// provider and comes back. What their `GET` does is tried in `oauth::attacks`, `oauth::logout` and `pages::sign_in::social_refused`.
const ACTING_BESIDE: [&str; 4] =
    ["/oauth/authorize", "/oauth/logout", "/sign-in/with/{provider}", "/sign-in/with/{provider}/callback"];

/// Has an address with a plus made, and mailed a code.
async fn activation(app: &TestApp) -> (String, String) {
    let email = "ada+crossing@example.com";
    let root = app.provision("root@example.com").await;
    app.create_individual(&root, email, "backend").await.assert_status(200);
    (email.to_owned(), app.latest_code(email).await)
}

/// Somebody with an authenticator app, and the link that an operator's reset of it mails them.
async fn reset_link(app: &TestApp, node: &Node, email: &str) -> String {
    let person = app.sign_up_rivergen_verified(email).await;
    app.enrol_totp(&person, "Phone").await;
    let operator = Call::from_cli(app.kernel().settings().contracts.of_installation());
    node.identity.reset_factors(&operator, &EmailAddress::parse(email).unwrap()).await.unwrap();
    app.latest_link_token(email).await
}

/// Live links to every page that asks before it acts, all of them of people of their own.
async fn live_links(app: &TestApp) -> Vec<String> {
    app.sign_up_rivergen("verify@example.com").await;
    let verify = app.latest_link_token("verify@example.com").await;
    app.sign_up_rivergen_verified("reset@example.com").await;
    let forgot = json!({ "email": "reset@example.com" });
    app.post("/api/v1/auth/forgot-password").json(&forgot).send().await.assert_status(200);
    let reset = app.latest_link_token("reset@example.com").await;
    let secure = app.sign_up_rivergen_verified("secure@example.com").await;
    app.enrol_totp(&secure, "Phone").await;
    let secure = app.latest_link_token("secure@example.com").await;
    let moved = app.sign_up_rivergen_verified("restore@example.com").await;
    let bearer = |path: &str| app.post(path).bearer(&moved.access_token);
    let ask = json!({ "new_email": "new@example.com" });
    bearer("/api/v1/auth/me/email/request").json(&ask).send().await.assert_status(200);
    let prove =
        json!({ "new_email": "new@example.com", "otp_code": app.latest_code("new@example.com").await });
    bearer("/api/v1/auth/me/email/verify").json(&prove).send().await.assert_status(200);
    let restore = app.latest_link_token("restore@example.com").await;
    let resetting = |mode| app.another_node_with(move |settings| settings.factor_resets.by_operator = mode);
    let confirm = reset_link(app, &resetting(ResetMode::Confirmed).await, "confirm@example.com").await;
    let cancel = reset_link(app, &resetting(ResetMode::Delayed).await, "cancel@example.com").await;
    [
        ("verify-email", verify),
        ("reset-password", reset),
        ("secure-account", secure),
        ("restore-email", restore),
        ("confirm-factor-reset", confirm),
        ("cancel-factor-reset", cancel),
    ]
    .map(|(page, token)| format!("/{page}?token={token}"))
    .to_vec()
}

on_both_engines! {
    async fn a_scanner_that_looks_at_a_link_verifies_nobody(app: TestApp) {
        let (email, code) = activation(&app).await;
        let before = content(&app).await;
        let path = format!("/v1/accounts/verify/?code={code}&email={}", email.replace('+', "%2B"));
        let looked = app.client().request(Method::HEAD, &path).send().await;
        assert_eq!((looked.status, looked.text.as_str()), (200, ""));
        assert_eq!((content(&app).await, app.sql_count(UNVERIFIED).await), (before, 1));
        app.get(&path).send().await.assert_status(200);
        assert_eq!(app.sql_count(UNVERIFIED).await, 0);
    }

    async fn a_plus_that_was_not_escaped_is_a_plus(app: TestApp) {
        let (email, code) = activation(&app).await;
        let answer = app.get(&format!("/v1/accounts/verify/?code={code}&email={email}")).send().await;
        assert_eq!(answer.assert_status(200).text_at("email"), email);
        // As forms escape it.
        let answer = app.get(&format!("/v1/accounts/verify/?email=ada%2Bcrossing%40example.com&code={code}")).send().await;
        answer.assert_status(200);
    }

    // GET takes documents, as the contract once published it; HEAD does not even with a form.
    async fn a_head_with_documents_submits_none(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        app.open_account(&ada, "ada@example.com").await;
        let form = || Form::document("identity_verification", PDF);
        let before = content(&app).await;
        for path in [KYC, "/api/v1/account/kyc/"] {
            let looked = form().on(app.client().request(Method::HEAD, path).bearer(&ada.token)).send().await;
            assert_eq!((looked.status, looked.text.as_str()), (200, ""), "{path}");
            assert_eq!(content(&app).await, before, "{path}");
        }
        form().on(app.get(KYC).bearer(&ada.token)).send().await.assert_status(200);
        assert_ne!(content(&app).await, before, "what is compared shows it");
    }

    async fn a_look_at_a_live_link_changes_nothing(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let links = live_links(&app).await;
        let before = content(&app).await;
        for link in &links {
            for method in [Method::HEAD, Method::GET, Method::OPTIONS] {
                let looked = app.client().request(method.clone(), link).send().await;
                let expected = if method == Method::OPTIONS { 405 } else { 200 };
                assert_eq!(looked.status, expected, "{method} {link}: {}", looked.text);
                assert_eq!(content(&app).await, before, "{method} {link}");
            }
        }
        // They are live: each works when its button is pressed.
        for link in links {
            let (page, token) = link.split_once("?token=").unwrap();
            let form = format!("token={token}&new_password=Battery2staple!");
            app.post(page).form(&form).send().await.assert_status(200);
        }
        assert_ne!(content(&app).await, before);
    }

    async fn a_look_at_a_sign_in_under_way_changes_nothing(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        app.sign_up_rivergen("ada@example.com").await;
        let window = Window::new(&app);
        let to = window.try_password("ada@example.com", PASSWORD).await.assert_status(303).header("location").to_owned();
        assert!(to.starts_with("/sign-in/code?flow="), "{to}");
        let before = content(&app).await;
        for method in [Method::HEAD, Method::GET] {
            window.send(app.client().request(method, &to)).await.assert_status(200);
            assert_eq!(content(&app).await, before);
        }
        let page = window.open(&to).await;
        let code = app.latest_code("ada@example.com").await;
        window.submit(&page, "/sign-in/code", &[("code", &code)]).await.assert_status(303);
    }

    async fn no_route_has_effects_for_a_safe_method_unless_it_is_known_to(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let phone = app.register_phone(ADA).await;
        app.open_account(&phone, "ada.phone@example.com").await;
        let root = app.provision("root@example.com").await;
        let database = app.add_database(&root, "films").await;
        let bound = app.bound(&root, json!({ "db_id": database })).await;
        let before = content(&app).await;
        let mut acting = Vec::new();
        for route in routes::all() {
            let path = route.sample_path();
            let acts = ACTING.contains(&route.path.as_str());
            if acts && route.method == Method::GET {
                acting.push(route.path.clone());
            }
            let methods = if acts { vec![Method::HEAD] } else { vec![Method::HEAD, Method::GET, Method::OPTIONS] };
            for method in methods {
                for token in [None, Some(&ada.access_token), Some(&phone.token), Some(&bound.access_token)] {
                    let request = app.client().request(method.clone(), &path);
                    let request = match token {
                        Some(token) => request.bearer(token),
                        None => request,
                    };
                    let answer = request.send().await;
                    assert!(answer.status < 500, "{method} {path}: {} {}", answer.status, answer.text);
                    assert!(!acts || answer.status == 200, "{method} {path}: {}", answer.status);
                }
            }
            assert_eq!(content(&app).await, before, "{path}");
        }
        acting.sort();
        assert_eq!(acting, ACTING, "an endpoint that acts for GET is known here and to docs/contracts.md");
        for path in ACTING_BESIDE {
            let path = path.replace("{provider}", "google");
            let looked = app.client().request(Method::HEAD, &path).send().await;
            assert_eq!((looked.status, looked.text.as_str()), (200, ""), "{path}");
        }
        for path in ["/healthz", "/metrics", "/openapi.json", "/docs", "/.well-known/jwks.json", "/", "/sign-in", "/account"] {
            for method in [Method::HEAD, Method::GET] {
                assert!(app.client().request(method, path).send().await.status < 500, "{path}");
            }
        }
        assert_eq!(content(&app).await, before);
    }
}

/// What [`ACTING`] lists is what the code declares, so that an endpoint that is declared is tried above.
#[test]
fn every_endpoint_that_acts_for_get_is_declared_and_tried() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/contracts");
    let mut declared = 0;
    for contract in tidegate_http::contracts() {
        let source = std::fs::read_to_string(format!("{folder}/{}/mod.rs", contract.id)).unwrap();
        let lists = source.split(".acting(routes!(").skip(1).map(|rest| rest.split_once(')').unwrap().0);
        declared += lists.map(|handlers| handlers.split(',').count()).sum::<usize>();
    }
    assert_eq!(declared, ACTING.len(), "an endpoint that acts for GET is not in ACTING");
    let mut files = Vec::new();
    sources(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    let beside: usize = files.iter().map(|source| source.matches("acting_get(").count()).sum();
    assert_eq!(beside, ACTING_BESIDE.len(), "an endpoint that acts for GET is not in ACTING_BESIDE");
    // Features begin what they do for a request with the kernel, which refuses requests that only look.
    let read =
        |path: &str| std::fs::read_to_string(format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let kernel = read("kernel/src/context/work.rs");
    let (_, made) = kernel.split_once("macro_rules! feature_work").unwrap();
    let begins = |source: &str| source.contains("begin_for_call(call)") && !source.contains("store.begin()");
    assert!(begins(made), "feature_work!");
    for feature in ["identity", "brokerage", "oauth", "storage", "catalog", "policies", "prompts"] {
        let source = read(&format!("{feature}/src/work.rs"));
        let is_made = source.contains("tidegate_kernel::feature_work!(") && !source.contains("store.begin()");
        assert!(is_made || begins(&source), "{feature}");
    }
}

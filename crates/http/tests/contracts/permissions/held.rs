//! Requests whose body is held back while the session they came with is ended by its owner.

use std::sync::{Arc, Mutex};

use axum::http::Method;
use serde_json::json;
use tidegate_domain::ContractId;
use tidegate_testkit::stub_broker::{Endpoint, StubBroker};
use tidegate_testkit::{Engine, PASSWORD, Person, TestApp, application, on_both_engines};

use crate::cross_contract::login_ingestiq;
use crate::forge::reworded;
use crate::riven::wire::{ADA as PHONE, Form, PDF};
use crate::routes::{self, Route};
use crate::watch::{content, row_counts};

const NEW_PASSWORD: &str = "Battery2staple!";

/// Routes that act and wait for no body: there is nothing to hold back. Documents are refused before they come, because the
/// account has no brokerage account: one that has is tried by itself below, as are applications, which this account's are refused for.
const WITHOUT_BODY: [&str; 16] = [
    "DELETE /api/v1/prompts/{prompt_id}",
    "DELETE /api/v1/prompts/history/clear",
    "DELETE /api/v1/prompt-templates/{template_id}",
    "DELETE /api/v1/policies/{policy_id}",
    "DELETE /api/v1/policies/{policy_id}/assignments/{assignment_id}",
    "DELETE /api/v1/data-sources/{data_source_id}",
    "DELETE /api/v1/organizations/{org_id}/oauth-applications/{app_id}",
    "DELETE /api/v1/auth/tokens/{token_id}",
    "DELETE /api/v1/organizations/{org_id}/tokens/{token_id}",
    "DELETE /api/v1/devices/{device_id}",
    "DELETE /api/v1/mfa/totp/devices/{device_id}",
    "DELETE /api/v1/sessions/{session_id}",
    "DELETE /api/v1/webauthn/credentials/{credential_id}",
    "DELETE /api/v1/storage/objects/{object_name}",
    "POST /api/v1/logout",
    "POST /api/v1/account/kyc",
];

/// How a route answers when the session has ended: as it answers a token that is no longer one, but for RiverGen's
/// sign-out, which has an answer of its own.
fn expected(route: &Route) -> (u16, &'static str) {
    match route.name().as_str() {
        "POST /api/v1/auth/logout" | "POST /api/v1/auth/logout-all" => (400, "LOGOUT_FAILED"),
        _ => route.invalid_token(),
    }
}

/// The owner resets the password by mail.
async fn reset_password(app: &TestApp, email: &str) {
    let forgot = app.post("/api/v1/auth/forgot-password").json(&json!({ "email": email }));
    forgot.send().await.assert_status(200);
    let token = app.latest_link_token(email).await;
    let body = json!({ "token": token, "new_password": NEW_PASSWORD });
    app.post("/api/v1/auth/reset-password").json(&body).send().await.assert_status(204);
}

/// What the store holds after the reset: nothing may be added or removed later, and these values stay.
async fn state(app: &TestApp, email: &str) -> (String, Vec<String>) {
    let shown = format!(
        "select a.display_name || ' ' || a.first_name || ' ' || p.hash from accounts a
         join passwords p on p.account_id = a.id join identifiers i on i.account_id = a.id
         where i.value = '{email}' and i.is_primary"
    );
    (row_counts(app).await, app.database.sql_texts(&shown).await)
}

/// Somebody who may everything, with a token that the route's contract issued.
async fn attacked(app: &TestApp, route: &Route, email: &str) -> Person {
    let owner = app.provision(email).await;
    let database = app.add_database(&owner, email).await;
    let bound = app.bound(&owner, json!({ "db_id": database })).await;
    let access_token = reworded(app, &bound.access_token, |claims| claims.contract = route.contract).await;
    Person { access_token, ..bound }
}

/// The application in front of a broker's server.
async fn brokered(engine: Engine) -> (Arc<TestApp>, StubBroker) {
    let broker = StubBroker::start().await.unwrap();
    let app = TestApp::builder(engine).without_limits().broker(broker.config()).start().await;
    (Arc::new(app), broker)
}

/// The owner of a token of Riven signs out; then there is what the database holds.
fn signing_out(
    app: &Arc<TestApp>,
    token: &str,
) -> (impl Future<Output = ()> + Send + use<>, Arc<Mutex<Option<Vec<String>>>>) {
    let after = Arc::new(Mutex::new(None));
    let (app, token, seen) = (Arc::clone(app), token.to_owned(), Arc::clone(&after));
    let meanwhile = async move {
        app.post("/api/v1/logout").bearer(&token).send().await.assert_status(200);
        let content = content(&app).await;
        *seen.lock().unwrap() = Some(content);
    };
    (meanwhile, after)
}

on_both_engines! {
    async fn a_held_request_of_an_ended_session_does_nothing(engine: Engine) {
        let app = Arc::new(TestApp::builder(engine).without_limits().start().await);
        let acting = routes::with_bearer().into_iter().filter(|route| route.method != Method::GET);
        let mut held = 0;
        for (number, route) in acting.enumerate() {
            let email = format!("ada{number}@example.com");
            let ada = attacked(&app, &route, &email).await;
            let after_reset = Arc::new(Mutex::new(None));
            let meanwhile = {
                let (app, email, after_reset) = (Arc::clone(&app), email.clone(), Arc::clone(&after_reset));
                async move {
                    reset_password(&app, &email).await;
                    let state = state(&app, &email).await;
                    *after_reset.lock().unwrap() = Some(state);
                }
            };
            let mut request = route.request(&app.client()).bearer(&ada.access_token);
            if route.contract == ContractId::CROSSING_MINDS && !route.takes_body() {
                // It takes a body without fields, of a type that says so.
                request = request.header("content-type", "application/json");
            }
            let answer = request.held(meanwhile).send().await;
            let Some(before) = after_reset.lock().unwrap().take() else {
                assert!(WITHOUT_BODY.contains(&route.name().as_str()), "{} waits for no body", route.name());
                continue;
            };
            held += 1;
            if route.contract == ContractId::RIVEN {
                // Applications and documents are judged as they come; whatever is found first refuses them.
                assert!((400..500).contains(&answer.status), "{}: {}", route.name(), answer.text);
            } else {
                route.assert_refused(&answer, expected(&route), "a session that ended while the body was on its way");
            }
            assert_eq!(state(&app, &email).await, before, "{} did something", route.name());
            login_ingestiq(&app.client(), &email, NEW_PASSWORD).await.assert_status(200);
            login_ingestiq(&app.client(), &email, PASSWORD).await.assert_status(401);
        }
        assert!(held >= 18, "only {held} routes were tried");
    }

    async fn documents_of_an_ended_session_reach_no_broker(engine: Engine) {
        let (app, broker) = brokered(engine).await;
        let ada = app.register_phone(PHONE).await;
        app.open_account(&ada, "ada@example.com").await;
        for method in [Method::POST, Method::GET] {
            let ada = app.sign_in_by_phone(PHONE).await;
            let (meanwhile, after) = signing_out(&app, &ada.token);
            let request = app.client().request(method, "/api/v1/account/kyc").bearer(&ada.token);
            let held = Form::document("identity_verification", PDF).on(request).held(meanwhile);
            held.send().await.assert_status(401);
            let after = after.lock().unwrap().take().expect("the server waited for the form");
            assert_eq!(broker.count(Endpoint::Upload), 0);
            assert_eq!(content(&app).await, after);
        }
        // Of a session that is current they do.
        let ada = app.sign_in_by_phone(PHONE).await;
        let request = app.post("/api/v1/account/kyc").bearer(&ada.token);
        let form = Form::document("identity_verification", PDF).on(request).held(async {});
        form.send().await.assert_status(200);
        assert_eq!(broker.count(Endpoint::Upload), 1);
    }

    async fn an_application_of_an_ended_session_reaches_no_broker(engine: Engine) {
        let (app, broker) = brokered(engine).await;
        let ada = app.register_phone(PHONE).await;
        let (meanwhile, after) = signing_out(&app, &ada.token);
        let request = app.post("/api/v1/account/create").bearer(&ada.token);
        let held = request.json(&application(PHONE, "ada@example.com")).held(meanwhile);
        held.send().await.assert_status(401);
        let after = after.lock().unwrap().take().expect("the server waited for the application");
        assert_eq!((broker.count(Endpoint::Open), broker.accounts().len()), (0, 0));
        assert_eq!(content(&app).await, after);
        let ada = app.sign_in_by_phone(PHONE).await;
        let request = app.post("/api/v1/account/create").bearer(&ada.token);
        let held = request.json(&application(PHONE, "ada@example.com")).held(async {});
        held.send().await.assert_status(200);
        assert_eq!(broker.count(Endpoint::Open), 1);
    }

    // The attack: two requests held open with a stolen token, let go one after the other once the owner has reset the
    // password, so that the code of the first is at hand for the second.
    async fn a_stolen_token_does_not_change_the_address_after_a_reset(engine: Engine) {
        let app = Arc::new(TestApp::builder(engine).without_limits().start().await);
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let new = json!({ "new_email": "thief@example.com" });
        let request = app.post("/api/v1/auth/me/email/request").bearer(&ada.access_token).json(&new);
        let owner = Arc::clone(&app);
        let held = request.held(async move { reset_password(&owner, "ada@example.com").await });
        held.send().await.assert_error(401, "UNAUTHORIZED");
        assert!(app.mails_to("thief@example.com").await.is_empty());

        // Asked for before the reset, and answered after it.
        let ada = app.sign_up_rivergen_verified("bob@example.com").await;
        let request = app.post("/api/v1/auth/me/email/request").bearer(&ada.access_token).json(&new);
        request.send().await.assert_status(200);
        let code = app.latest_code("thief@example.com").await;
        let verify = json!({ "new_email": "thief@example.com", "otp_code": code });
        let verify = app.post("/api/v1/auth/me/email/verify").bearer(&ada.access_token).json(&verify);
        let owner = Arc::clone(&app);
        let held = verify.held(async move { reset_password(&owner, "bob@example.com").await });
        held.send().await.assert_error(401, "UNAUTHORIZED");
        assert_eq!(app.sql_count("select count(*) from identifiers where value = 'thief@example.com'").await, 0);
        login_ingestiq(&app.client(), "bob@example.com", NEW_PASSWORD).await.assert_status(200);
    }

    // Even if the code had survived the reset, as a row that a defect brings back.
    async fn a_code_older_than_the_password_proves_no_new_address(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let new = json!({ "new_email": "thief@example.com" });
        app.post("/api/v1/auth/me/email/request").bearer(&ada.access_token).json(&new).send().await.assert_status(200);
        let code = app.latest_code("thief@example.com").await;
        app.sql("update passwords set changed_at = changed_at + 3600000000").await;
        let verify = json!({ "new_email": "thief@example.com", "otp_code": code });
        let verify = app.post("/api/v1/auth/me/email/verify").bearer(&ada.access_token).json(&verify);
        verify.send().await.assert_error(400, "EMAIL_UPDATE_VERIFY_FAILED");
        login_ingestiq(&app.client(), "ada@example.com", PASSWORD).await.assert_status(200);
    }
}

//! What happens behind an answer does not tell who is known, and what strangers leave behind is bounded.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_domain::ContractId;
use tidegate_domain::audit::Action;
use tidegate_domain::limit::Limit;
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, Work};
use tidegate_testkit::{Engine, TestApp, on_both_engines, on_one_engine};

use crate::pages::sign_in::window::Window;
use crate::riven::wire::{ADA, BOB, EVE, other_than};
use crate::timing::statements;
use crate::watch::Log;

const DAY: Duration = Duration::from_secs(24 * 3_600);

async fn post(app: &TestApp, path: &str, body: &Value) -> u16 {
    app.post(path).json(body).send().await.status
}

/// Ada with an address and another with a phone, and no limits.
async fn start(engine: Engine) -> TestApp {
    let app = TestApp::builder(engine).without_limits().start().await;
    app.sign_up_rivergen_verified("ada@example.com").await;
    app.register_phone(ADA).await;
    deliver(&app).await;
    app
}

/// What the delivery worker does until nothing is due.
async fn deliver(app: &TestApp) {
    while app.kernel().deliver_due().await.unwrap() > 0 {}
}

on_both_engines! {
    async fn what_is_done_after_the_answer_is_the_same_for_known_and_unknown(engine: Engine) {
        let log = Log::listen();
        let app = start(engine).await;
        for (path, key, known, unknown) in [
            ("/api/v1/auth/forgot-password", "email", "ada@example.com", "nobody@example.com"),
            ("/v1/accounts/individual/send-reset-password-email/", "email", "ada@example.com", "nobody@example.com"),
            ("/api/v1/login/send-code", "phone", ADA, EVE),
        ] {
            let mut after = Vec::new();
            for whom in [known, unknown] {
                assert_eq!(post(&app, path, &json!({ key: whom })).await, 200);
                let before = log.lines().len();
                deliver(&app).await;
                after.push(statements(&log.lines()[before..]));
            }
            assert!(after[0].len() >= 4, "{path}: {:?}", after[0]);
            assert_eq!(after[0], after[1], "{path}");
        }
        // A form of the pages. (Crossing Minds' `resend-verification-code` says by contract which addresses it knows.)
        let mut after = Vec::new();
        for whom in ["ada@example.com", "nobody@example.com"] {
            let window = Window::new(&app);
            let page = window.visit("/forgot-password").await;
            window.submit(&page, "/forgot-password", &[("email", whom)]).await.assert_status(200);
            let before = log.lines().len();
            deliver(&app).await;
            after.push(statements(&log.lines()[before..]));
        }
        assert!(after[0].len() >= 4, "/forgot-password: {:?}", after[0]);
        assert_eq!(after[0], after[1], "/forgot-password");
        // A change of address to one that a stranger registered and nobody has proven. (Of one that is proven, the contract says that
        // it is taken.)
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        app.register_ingestiq("claimed@example.com").await;
        deliver(&app).await;
        let mut after = Vec::new();
        for whom in ["claimed@example.com", "nobody@example.com"] {
            let request = app.post("/api/v1/auth/me/email/request").bearer(&eve.access_token);
            request.json(&json!({ "new_email": whom })).send().await.assert_status(200);
            let before = log.lines().len();
            deliver(&app).await;
            let mut done = statements(&log.lines()[before..]);
            // The code and the warning to the mailbox they have are sent together: how their commits share a transaction varies.
            done.retain(|line| line.contains("outbox_messages"));
            after.push(done);
        }
        assert!(after[0].len() >= 4, "me/email/request: {:?}", after[0]);
        assert_eq!(after[0], after[1], "me/email/request");
        let waiting = "select count(*) from outbox_messages where settled_at is null";
        assert_eq!(app.sql_count(waiting).await, 0);
        let discarded = "select count(*) from outbox_messages where state = 'discarded' and payload is null";
        assert!(app.sql_count(discarded).await >= 4);
    }

    async fn a_wrong_code_for_a_phone_costs_the_same_whether_or_not_it_has_an_account(engine: Engine) {
        let log = Log::listen();
        let app = start(engine).await;
        let mut costs = Vec::new();
        for phone in [ADA, EVE] {
            app.send_login_code(phone).await.assert_status(200);
            let before = log.lines().len();
            let guess = other_than("000000");
            let body = json!({ "phone": phone, "code": guess });
            post(&app, "/api/v1/login/verify-code", &body).await;
            costs.push(statements(&log.lines()[before..]));
        }
        assert!(costs[0].len() >= 6, "{:?}", costs[0]);
        assert_eq!(costs[0], costs[1]);
    }

    async fn the_budget_of_a_prefix_does_not_tell_which_numbers_have_an_account(engine: Engine) {
        let builder = TestApp::builder(engine).without_limits().settings(|settings| {
            settings.texts.by_prefix = Some(Limit::new(1, 3_600));
        });
        let app = builder.start().await;
        app.register_phone(ADA).await;
        deliver(&app).await;
        let delivered = "select count(*) from outbox_messages where channel = 'sms' and state = 'delivered'";
        assert_eq!(app.sql_count(delivered).await, 1);
        for phone in [ADA, BOB, ADA, "+254712999999", ADA] {
            assert_eq!(post(&app, "/api/v1/login/send-code", &json!({ "phone": phone })).await, 200);
            deliver(&app).await;
        }
        // One of three was sent: the budget holds all the same, and numbers without an account use up none of it.
        assert_eq!(app.sql_count(delivered).await, 2);
    }

    async fn attempts_of_one_network_are_added_up_in_the_audit_log(engine: Engine) {
        let builder = TestApp::builder(engine).without_limits().settings(|settings| {
            settings.audit.attempts_by_network = Some(Limit::new(3, 3_600));
        });
        let app = builder.start().await;
        app.sign_up_rivergen_verified("ada@example.com").await;
        let path = "/v1/accounts/individual/send-reset-password-email/";
        let ask = async |ip: &str, email: &str| {
            app.post(path).ip(ip).json(&json!({ "email": email })).send().await.assert_status(200);
        };
        // Whether or not anyone has the address.
        for (email, ip, of) in
            [("nobody@example.com", "192.0.2.1", "is null"), ("ada@example.com", "192.0.2.2", "is not null")]
        {
            for _ in 0..20 {
                ask(ip, email).await;
            }
            let rows = format!(
                "from audit_events where action = 'auth.password.reset_requested' and account_id {of}"
            );
            assert_eq!(app.sql_count(&format!("select count(*) {rows}")).await, 4);
            assert_eq!(app.sql_count(&format!("select cast(sum(repeats) as bigint) {rows}")).await, 20);
        }
    }

    async fn audit_events_are_not_kept_for_ever(engine: Engine) {
        let app = start(engine).await;
        post(&app, "/api/v1/auth/forgot-password", &json!({ "email": "nobody@example.com" })).await;
        let count = async |of: &str| {
            app.sql_count(&format!("select count(*) from audit_events where account_id {of}")).await
        };
        let kept = count("is not null").await;
        // A code to register a phone goes to no account yet.
        assert_eq!((count("is null").await, kept > 0), (2, true));
        app.advance(29 * DAY);
        app.kernel().prune().await.unwrap();
        assert_eq!(count("is null").await, 2);
        app.advance(2 * DAY);
        app.kernel().prune().await.unwrap();
        assert_eq!((count("is null").await, count("is not null").await), (0, kept));
        app.advance(370 * DAY);
        app.kernel().prune().await.unwrap();
        assert_eq!(count("is not null").await, 0);
    }
}

on_one_engine! { Engine::Postgres;
    // A unit that adds to a row locks it until its commit.
    async fn units_at_the_same_time_add_up_attempts_of_one_network_without_waiting(engine: Engine) {
        let builder = TestApp::builder(engine).without_limits().settings(|settings| {
            settings.audit.attempts_by_network = Some(Limit::new(0, 3_600));
        });
        let app = builder.start().await;
        let profile = Arc::clone(app.kernel().settings().profile(ContractId::RIVEN));
        let call = Call::to_contract(profile, "192.0.2.1".parse().unwrap(), "a test".to_owned());
        let begun = async || {
            let mut unit = app.store().begin().await.unwrap();
            let now = app.kernel().now();
            let mut work = Work { kernel: app.kernel(), call: &call, unit: &mut unit, now };
            work.audit(Action::CodeTexted, Subject::default(), json!({})).await.unwrap();
            unit.write_deferred().await.unwrap();
            unit.run_put_off().await.unwrap();
            unit
        };
        let (one, two, three) = (begun().await, begun().await, begun().await);
        for unit in [three, one, two] {
            unit.commit().await.unwrap();
        }
        let texted = "from audit_events where action = 'auth.otp.sent'";
        let rows = async || app.sql_count(&format!("select count(*) {texted}")).await;
        assert_eq!(rows().await, 3);
        // One after another they add to one row.
        for _ in 0..4 {
            begun().await.commit().await.unwrap();
        }
        assert_eq!(rows().await, 3);
        assert_eq!(app.sql_count(&format!("select cast(sum(repeats) as bigint) {texted}")).await, 7);
    }
}

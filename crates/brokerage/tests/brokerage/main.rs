//! Brokerage accounts, cut off at every step: there is never a second one, the first is never lost, and the person is told
//! one truth.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test code: a broken expectation ends the test"
)]

mod concurrent;
mod cut_off;
mod events;
mod lost_answers;
mod refusals;

use std::time::Duration;

use serde_json::Value;
use tidegate_testkit::stub_broker::{Endpoint, StubBroker};
use tidegate_testkit::{Answer, Engine, Fixture, Node, PhonePerson, TestApp, application};
use uuid::Uuid;

const PHONE: &str = "+254712345678";
const EMAIL: &str = "user.one@example.com";

/// An application on a broker that can be made to fail, and somebody who wants an account there.
struct Story {
    app: TestApp,
    broker: StubBroker,
    person: PhonePerson,
}

impl Fixture for Story {
    async fn prepare(engine: Engine) -> Self {
        let broker = StubBroker::start().await.unwrap();
        let app = TestApp::builder(engine).broker(broker.config()).without_limits().start().await;
        let person = app.register_phone(PHONE).await;
        Self { app, broker, person }
    }
}

impl Story {
    async fn apply(&self) -> Answer {
        self.app.create_account(&self.person, &application(PHONE, EMAIL)).await
    }

    /// The same application at another node.
    async fn apply_at(&self, node: &Node) -> Answer {
        apply_at(node, &self.person, &application(PHONE, EMAIL)).await
    }

    async fn profile(&self) -> Answer {
        self.app.get("/api/v1/account/profile").bearer(&self.person.token).send().await
    }

    /// The person as login shows them.
    async fn person(&self) -> Value {
        self.app.send_login_code(PHONE).await.assert_status(200);
        let code = self.app.latest_text_code(PHONE).await;
        let answer = self.app.confirm("login/verify-code", PHONE, &code).await;
        answer.assert_status(200);
        answer.field("user").clone()
    }

    fn advance(&self, seconds: u64) {
        self.app.advance(Duration::from_secs(seconds));
    }

    /// Lets the workers do what is due.
    async fn work(&self) {
        while self.app.brokerage().check_brokerage().await.unwrap() > 0 {}
    }

    /// Checks that there is exactly one account, and that everybody says so.
    async fn assert_one_account(&self) -> Uuid {
        let accounts = self.broker.accounts();
        assert_eq!(accounts.len(), 1, "not one account: {accounts:?}");
        let id = accounts[0]["id"].as_str().unwrap();
        let person = self.person().await;
        assert_eq!(person["alpaca_account_id"], id);
        assert_eq!(person["email"], EMAIL);
        assert_eq!((&person["first_name"], &person["last_name"]), (&"User".into(), &"One".into()));
        assert_eq!(person["dob"], "1979-12-31T21:00:00.000000Z");
        let profile = self.profile().await;
        profile.assert_status(200);
        assert_eq!(profile.field("data.id"), id);
        let again = self.apply().await;
        again.assert_status(409);
        assert_eq!(again.field("message"), "Account already exists");
        assert_eq!(self.broker.accounts().len(), 1);
        assert_eq!(
            self.app.sql_count("select count(*) from audit_events where action = 'brokerage.opened'").await,
            1
        );
        assert_eq!(
            self.app.sql_count("select count(*) from brokerage_accounts where opening is not null").await,
            0
        );
        id.parse().unwrap()
    }

    /// Checks that there is none, and that everybody says so.
    async fn assert_no_account(&self) {
        assert_eq!(self.broker.accounts().len(), 0);
        let person = self.person().await;
        assert_eq!(person["alpaca_account_id"], Value::Null);
        assert_eq!(person["account_status"], "new");
        self.profile().await.assert_status(404);
    }

    fn asked(&self, endpoint: Endpoint) -> usize {
        self.broker.count(endpoint)
    }
}

async fn apply_at(node: &Node, person: &PhonePerson, application: &Value) -> Answer {
    node.client().post("/api/v1/account/create").bearer(&person.token).json(application).send().await
}

/// Somebody is told to come back, and when.
#[track_caller]
fn assert_later(answer: &Answer) {
    answer.assert_status(503);
    assert_eq!(answer.field("status"), false);
    assert!(answer.header("retry-after").parse::<u64>().is_ok_and(|seconds| (1..=10).contains(&seconds)));
}

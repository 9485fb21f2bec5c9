//! What attackers and broken clients send, on every route there is: refused in the contract's own words, nothing changed,
//! never an error of ours.

mod bodies;
mod bounds;
mod ids;
mod paths;
mod random;
mod texts;
mod tokens;
mod unknown;

use serde_json::{Map, Value};
use tidegate_domain::ContractId;
use tidegate_testkit::{Answer, Engine, Fixture, Person, PhonePerson, Request, TestApp};

use crate::forge::reworded;
use crate::routes::{PHONE, Route};

/// An application without limits, so that every route can be tried many times, and two people who may use all of it: one
/// with an address, and one with a phone for the contract that is about phones.
struct Target {
    app: TestApp,
    ada: Person,
    /// Ada's token as if the Crossing Minds contract had issued it.
    manager_token: String,
    trader: PhonePerson,
}

impl Fixture for Target {
    async fn prepare(engine: Engine) -> Self {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let manager_token =
            reworded(&app, &ada.access_token, |claims| claims.contract = ContractId::CROSSING_MINDS).await;
        let trader = app.register_phone(PHONE).await;
        Self { app, ada, manager_token, trader }
    }
}

impl Target {
    /// A request to the route, with a right token where it asks for one.
    fn request(&self, route: &Route) -> Request {
        self.request_to(route, &route.sample_path())
    }

    fn request_to(&self, route: &Route, path: &str) -> Request {
        let request = self.app.client().request(route.method.clone(), path);
        if route.bearer { request.bearer(self.token_for(route)) } else { request }
    }

    fn token_for(&self, route: &Route) -> &str {
        match route.contract {
            ContractId::RIVEN => &self.trader.token,
            ContractId::CROSSING_MINDS => &self.manager_token,
            _ => &self.ada.access_token,
        }
    }

    async fn send(&self, route: &Route, body: impl Into<Vec<u8>>) -> Answer {
        self.request(route).body("application/json", body.into()).send().await
    }

    async fn send_json(&self, route: &Route, body: Map<String, Value>) -> Answer {
        self.request(route).json(&Value::Object(body)).send().await
    }
}

//! Many at once: whatever the order in which they come through, the answers make sense and so does what is left.
//!
//! On PostgreSQL two nodes share the work.

mod accounts;
mod codes;
mod email_changes;
mod factors;
mod limits;
mod passkeys;
mod passwords;
mod phones;
mod refreshing;
mod tokens;

use std::collections::BTreeMap;
use std::sync::Mutex;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Client, Engine, Fixture, Node, PASSWORD, Request, TestApp, concurrently};

/// How many come at once.
const MANY: usize = 50;

/// Sessions that were not ended.
const ALIVE: &str = "select count(*) from sessions where revoked_at is null";

/// An application without limits, and on PostgreSQL a second node of it.
struct Nodes {
    app: TestApp,
    other: Option<Node>,
}

impl Fixture for Nodes {
    async fn prepare(engine: Engine) -> Self {
        Self::of(TestApp::builder(engine).without_limits().start().await).await
    }
}

impl Nodes {
    async fn of(app: TestApp) -> Self {
        let other = match app.database.engine() {
            Engine::Sqlite => None,
            Engine::Postgres => Some(app.another_node().await),
        };
        Self { app, other }
    }

    /// A client of one node or the other, each at an address of its own.
    fn client(&self, number: usize) -> Client {
        let node = self.other.as_ref().filter(|_| number % 2 == 1);
        let client = node.map_or_else(|| self.app.client(), Node::client);
        client.at(&format!("10.1.{}.{}", number / 250, number % 250))
    }

    /// A request with a body to that client's node, all from one address.
    fn request_from_one(&self, number: usize, path: &str, body: &Value) -> Request {
        self.request(number, path, body).ip("203.0.113.7")
    }

    /// A request with a body, from that client.
    fn request(&self, number: usize, path: &str, body: &Value) -> Request {
        self.client(number).post(path).json(body)
    }

    /// A login through IngestIQ, from that client.
    fn login(&self, number: usize, email: &str, password: &str) -> Request {
        self.request(number, "/api/v2/auth/login", &json!({ "email": email, "password": password }))
    }

    /// A sign-up through RiverGen, from that client.
    fn sign_up(&self, number: usize, email: &str) -> Request {
        self.request(number, "/api/v1/auth/signup", &json!({ "email": email, "password": PASSWORD }))
    }

    async fn count(&self, query: &str) -> i64 {
        self.app.sql_count(query).await
    }
}

/// Sends all requests at the same moment.
async fn all_at_once(requests: impl IntoIterator<Item = Request>) -> Vec<Answer> {
    let requests: Vec<_> = requests.into_iter().map(|request| Mutex::new(Some(request))).collect();
    let count = requests.len();
    let send = |number: usize| requests[number].lock().unwrap().take().unwrap().send();
    concurrently(count, send).await
}

/// How often each status and code was answered.
fn tally(answers: &[Answer]) -> BTreeMap<(u16, &str), usize> {
    let mut tally = BTreeMap::new();
    for answer in answers {
        *tally.entry((answer.status, answer.code())).or_default() += 1;
    }
    tally
}

/// Checks how often each status and code was answered.
#[track_caller]
fn assert_tally(answers: &[Answer], expected: &[(u16, &str, usize)]) {
    let expected = expected.iter().map(|(status, code, count)| ((*status, *code), *count)).collect();
    assert_eq!(tally(answers), expected);
}

/// Checks that nothing but these was answered.
#[track_caller]
fn assert_only(answers: &[Answer], expected: &[(u16, &str)]) {
    let found = tally(answers);
    assert!(found.keys().all(|answer| expected.contains(answer)), "{found:?}");
}

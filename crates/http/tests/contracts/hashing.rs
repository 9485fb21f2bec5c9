//! Passwords are hashed for all in turn, within budgets, and at a cost that tells nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_crypto::{PasswordScheme, PoolSize};
use tidegate_domain::Entropy;
use tidegate_domain::limit::Limit;
use tidegate_identity::Identity;
use tidegate_testkit::{
    Answer, Client, Engine, Node, PASSWORD, Person, Request, SeededEntropy, TestApp, eventually,
    on_both_engines,
};
use tokio::task::JoinHandle;

use crate::cross_contract::login_rivergen;

/// Passwords that may wait.
const QUEUE: usize = 16;
const NEW_PASSWORD: &str = "Another-password-2";

/// Salts that are waited for until the gate is opened: whatever hashes a new password waits meanwhile.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
    salts: SeededEntropy,
}

#[derive(Default)]
struct GateState {
    is_closed: bool,
    waiting: usize,
}

impl Gate {
    fn set_closed(&self, is_closed: bool) {
        self.state.lock().unwrap().is_closed = is_closed;
        self.changed.notify_all();
    }

    fn waiting(&self) -> usize {
        self.state.lock().unwrap().waiting
    }
}

impl Entropy for Gate {
    fn fill(&self, buffer: &mut [u8]) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        let mut state = self.changed.wait_while(state, |state| state.is_closed).unwrap();
        state.waiting -= 1;
        drop(state);
        self.salts.fill(buffer);
    }
}

/// An application that hashes one password at a time, and an account in it that manages a program.
struct Story {
    app: TestApp,
    gate: Arc<Gate>,
    manager: Person,
}

impl Story {
    async fn begin(engine: Engine) -> Self {
        let gate = Arc::new(Gate::default());
        let size = PoolSize { threads: 1, queue: QUEUE };
        let app = TestApp::builder(engine).hash_pool(size, gate.clone()).start().await;
        let manager = app.provision("manager@example.com").await;
        app.add_service(&manager, "import", "backend").await;
        Self { app, gate, manager }
    }

    fn set_password(&self) -> Request {
        set_password(&self.app, &self.manager, "import")
    }

    /// Closes the gate and waits until the one thread stands before it.
    async fn hold(&self) -> JoinHandle<Answer> {
        self.gate.set_closed(true);
        let held = tokio::spawn(self.set_password().ip("203.0.113.99").send());
        let waits = || std::future::ready((self.gate.waiting() == 1).then_some(()));
        eventually("the thread before the gate", waits).await;
        held
    }

    async fn depth_is(&self, depth: usize) -> Option<()> {
        (self.app.identity().hash_queue_depth() == depth).then_some(())
    }

    /// Waits until the queue is full and all others of those who flood it are answered.
    async fn settle(&self, flood: &[JoinHandle<Answer>], answered: usize) {
        eventually("a full queue", || self.depth_is(QUEUE)).await;
        eventually("the others' answers", || {
            let finished = flood.iter().filter(|request| request.is_finished()).count();
            std::future::ready((finished == answered).then_some(()))
        })
        .await;
    }
}

fn set_password(app: &TestApp, manager: &Person, program: &str) -> Request {
    let body = json!({ "name": program, "password": NEW_PASSWORD });
    app.patch("/v1/accounts/service/").bearer(&manager.access_token).json(&body)
}

fn sign_in(client: &Client, email: &str, password: &str) -> Request {
    client.post("/api/v2/auth/login").json(&json!({ "email": email, "password": password }))
}

async fn statuses(requests: Vec<JoinHandle<Answer>>) -> BTreeMap<u16, usize> {
    let mut statuses = BTreeMap::new();
    for request in requests {
        let answer = request.await.unwrap();
        if answer.status == 503 {
            assert!(answer.header("retry-after").parse::<u64>().unwrap() >= 1);
        }
        *statuses.entry(answer.status).or_default() += 1;
    }
    statuses
}

/// What `identity` verified since `before`, by scheme and cost.
fn verified_since(identity: &Identity, before: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut verified = identity.password_verifications();
    for (effort, times) in before {
        *verified.get_mut(effort).unwrap() -= times;
    }
    verified.retain(|_, times| *times > 0);
    verified
}

/// What one wrong password for that address costs, through IngestIQ.
async fn cost_of(node: &Node, email: &str) -> String {
    let before = node.identity.password_verifications();
    sign_in(&node.client(), email, "Wrong-password-1").send().await.assert_status(401);
    let verified = verified_since(&node.identity, &before);
    assert_eq!(verified.values().sum::<u64>(), 1, "{email}: {verified:?}");
    verified.into_keys().next().unwrap()
}

on_both_engines! {
    async fn an_account_that_sets_its_programs_password_over_forty_connections_keeps_nobody_out(engine: Engine) {
        let story = Story::begin(engine).await;
        story.app.register_ingestiq("ada@example.com").await;
        let held = story.hold().await;
        let flood: Vec<_> = (0..40).map(|number| {
            tokio::spawn(story.set_password().ip(&format!("203.0.113.{}", number % 4)).send())
        }).collect();
        story.settle(&flood, 40 - QUEUE).await;
        let client = story.app.client().at("192.0.2.1");
        let ada = tokio::spawn(sign_in(&client, "ada@example.com", PASSWORD).send());
        story.settle(&flood, 40 - QUEUE + 1).await;
        story.gate.set_closed(false);
        ada.await.unwrap().assert_status(200);
        held.await.unwrap().assert_status(200);
        assert_eq!(statuses(flood).await, BTreeMap::from([(200, QUEUE - 1), (503, 40 - QUEUE + 1)]));
    }

    async fn wrong_sign_ins_from_six_addresses_keep_nobody_else_out(engine: Engine) {
        let story = Story::begin(engine).await;
        story.app.register_ingestiq("ada@example.com").await;
        let held = story.hold().await;
        let flood: Vec<_> = (0..60).map(|number| {
            let client = story.app.client().at(&format!("203.0.113.{}", number % 6));
            tokio::spawn(sign_in(&client, &format!("eve{number}@example.com"), PASSWORD).send())
        }).collect();
        story.settle(&flood, 60 - QUEUE).await;
        let client = story.app.client().at("192.0.2.1");
        let ada = tokio::spawn(sign_in(&client, "ada@example.com", PASSWORD).send());
        story.settle(&flood, 60 - QUEUE + 1).await;
        story.gate.set_closed(false);
        ada.await.unwrap().assert_status(200);
        held.await.unwrap().assert_status(200);
        assert_eq!(statuses(flood).await, BTreeMap::from([(401, QUEUE - 1), (503, 60 - QUEUE + 1)]));
    }

    // As many networks as passwords may wait: whoever is new is refused, but not a network that signed in lately.
    async fn a_network_that_signed_in_lately_is_not_kept_out_by_many_that_did_not(engine: Engine) {
        let story = Story::begin(engine).await;
        story.app.register_ingestiq("ada@example.com").await;
        let client = story.app.client().at("192.0.2.1");
        sign_in(&client, "ada@example.com", PASSWORD).send().await.assert_status(200);
        let held = story.hold().await;
        let flood: Vec<_> = (0..QUEUE).map(|number| {
            let client = story.app.client().at(&format!("203.0.113.{number}"));
            tokio::spawn(sign_in(&client, &format!("eve{number}@example.com"), PASSWORD).send())
        }).collect();
        story.settle(&flood, 0).await;
        let newcomer = sign_in(&story.app.client().at("192.0.2.2"), "bob@example.com", PASSWORD).send();
        newcomer.await.assert_status(503);
        let ada = tokio::spawn(sign_in(&client, "ada@example.com", PASSWORD).send());
        story.settle(&flood, 1).await;
        story.gate.set_closed(false);
        ada.await.unwrap().assert_status(200);
        held.await.unwrap().assert_status(200);
        assert_eq!(statuses(flood).await, BTreeMap::from([(401, QUEUE - 1), (503, 1)]));
    }

    async fn an_account_sets_ten_passwords_a_minute_and_an_organization_thirty(engine: Engine) {
        let app = TestApp::builder(engine).start().await;
        let root = app.provision("root@example.com").await;
        let mut managers = vec![root.clone()];
        for number in 0..3 {
            let manager = app.add_individual(&root, &format!("manager{number}@example.com"), "manager").await;
            managers.push(manager);
        }
        app.add_service(&root, "import", "backend").await;
        let other = app.provision("other@example.com").await;
        app.add_service(&other, "export", "backend").await;
        let limited = app.another_node_with(|settings| {
            settings.passwords_set_by_account = Some(Limit::new(10, 60));
            settings.passwords_set_by_organization = Some(Limit::new(30, 60));
        }).await;
        let set = |manager: &Person, program: &str| {
            let body = json!({ "name": program, "password": NEW_PASSWORD });
            let client = limited.client();
            client.patch("/v1/accounts/service/").bearer(&manager.access_token).json(&body).send()
        };
        for manager in &managers[..3] {
            for _ in 0..10 {
                set(manager, "import").await.assert_status(200);
            }
        }
        for manager in [&managers[0], &managers[3]] {
            let refused = set(manager, "import").await;
            assert_eq!(refused.assert_status(429).header("retry-after"), "60");
        }
        // Requests that set no password go on, and so do other organizations.
        let body = json!({ "name": "import", "metadata": {} });
        let request = limited.client().patch("/v1/accounts/service/").bearer(&root.access_token).json(&body);
        request.send().await.assert_status(200);
        set(&other, "export").await.assert_status(200);
        app.advance(Duration::from_secs(60));
        set(&managers[3], "import").await.assert_status(200);
    }

    async fn each_way_to_set_a_password_counts_for_its_account(engine: Engine) {
        let app = TestApp::builder(engine).start().await;
        let ada = app.provision("ada@example.com").await;
        app.add_service(&ada, "import", "backend").await;
        app.add_individual(&ada, "bob@example.com", "backend").await;
        let login = login_rivergen(&app.client(), "ada@example.com", PASSWORD).await;
        let limit = Some(Limit::new(1, 60));
        let limited = app.another_node_with(|settings| settings.passwords_set_by_account = limit).await;
        let client = limited.client();
        let password = NEW_PASSWORD;
        let new = json!({ "name": "export", "role": "backend", "password": password });
        let request = |request: Request, token: &str, body: &Value| request.bearer(token).json(body).send();
        request(client.post("/v1/accounts/service/"), &ada.access_token, &new).await.assert_status(200);
        let colleague = json!({
            "email": "eve@example.com", "role": "backend", "password": password, "first_name": "", "last_name": "",
        });
        for (refused, body) in [
            (client.post("/v1/accounts/service/"), json!({ "name": "x", "role": "backend", "password": password })),
            (client.patch("/v1/accounts/service/"), json!({ "name": "import", "password": password })),
            (client.post("/v1/accounts/individual/"), colleague),
            (client.patch("/v1/accounts/individual/"), json!({ "email": "bob@example.com", "password": password })),
        ] {
            request(refused, &ada.access_token, &body).await.assert_status(429);
        }
        let body = json!({ "current_password": PASSWORD, "new_password": password });
        let change = client.post("/api/v1/auth/change-password");
        let refused = request(change, &login.text_at("data.access_token"), &body).await;
        refused.assert_error(429, "RATE_LIMITED");
    }

    async fn a_network_without_a_session_sets_thirty_passwords_a_minute(engine: Engine) {
        let app = TestApp::builder(engine)
            .settings(|settings| settings.passwords_set_by_network = Some(Limit::new(30, 60)))
            .start()
            .await;
        let register = |number: usize, ip: &str| {
            let body = json!({ "email": format!("ada{number}@example.com"), "password": PASSWORD, "name": "Ada" });
            app.post("/api/v2/auth/register").ip(ip).json(&body).send()
        };
        for number in 0..30 {
            register(number, "192.0.2.1").await.assert_status(201);
        }
        register(30, "192.0.2.1").await.assert_error(429, "RATE_LIMITED");
        register(30, "192.0.2.2").await.assert_status(201);
        // What costs no hash is not counted.
        register(0, "192.0.2.1").await.assert_status(201);
        register(0, "192.0.2.3").await.assert_status(409);
        let forgot = app.post("/api/v1/auth/forgot-password").json(&json!({ "email": "ada0@example.com" }));
        forgot.send().await.assert_status(200);
        let token = app.latest_link_token("ada0@example.com").await;
        let body = json!({ "token": token, "new_password": NEW_PASSWORD });
        let reset = || app.post("/api/v1/auth/reset-password").ip("192.0.2.1").json(&body).send();
        reset().await.assert_error(429, "RATE_LIMITED");
        app.advance(Duration::from_secs(60));
        // The link is still good.
        reset().await.assert_status(204);
        register(31, "192.0.2.1").await.assert_status(201);
    }

    async fn after_the_scheme_changed_unknown_names_cost_what_known_ones_do(engine: Engine) {
        const OLD: &str = "bcrypt cost=4";
        const NEW: &str = "bcrypt cost=5";
        let app = TestApp::builder(engine).without_limits().start().await;
        let people = ["ada@example.com", "bob@example.com", "eve@example.com", "joe@example.com"];
        for email in people {
            app.register_ingestiq(email).await;
        }
        let root = app.provision("root@example.com").await;
        app.add_service(&root, "import", "backend").await;
        let node = app.another_node_hashing(PasswordScheme::Bcrypt { cost: 5 }).await;
        node.identity.count_password_schemes().await.unwrap();
        let strangers: Vec<String> = (0..60).map(|number| format!("stranger{number}@example.com")).collect();
        for email in people.into_iter().chain(strangers[..10].iter().map(String::as_str)) {
            assert_eq!(cost_of(&node, email).await, OLD, "{email}");
        }

        // Two of five sign in, and their passwords are hashed anew.
        for email in &people[..2] {
            sign_in(&node.client(), email, PASSWORD).send().await.assert_status(200);
            assert_eq!(cost_of(&node, email).await, NEW);
        }
        node.identity.count_password_schemes().await.unwrap();
        let mut new = 0;
        for email in &strangers {
            let cost = cost_of(&node, email).await;
            assert!([OLD, NEW].contains(&cost.as_str()), "{cost}");
            assert_eq!(cost_of(&node, email).await, cost, "the cost of {email} is not the same twice");
            new += usize::from(cost == NEW);
        }
        assert!((12..=36).contains(&new), "{new} of 60 cost what two of five accounts do");

        // No program's password was hashed anew: what an unknown program costs does not follow people's.
        for name in ["import", "unknown 1", "unknown 2", "unknown 3", "unknown 4", "unknown 5"] {
            let before = node.identity.password_verifications();
            let body = json!({ "name": name, "password": "Wrong-password-1" });
            node.client().post("/v1/login/service/").json(&body).send().await.assert_status(401);
            assert_eq!(verified_since(&node.identity, &before), BTreeMap::from([(OLD.to_owned(), 1)]), "{name}");
        }
    }
}

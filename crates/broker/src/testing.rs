//! A stub of Alpaca's Broker API, for the tests of its clients: real HTTP on a port of this machine,
//! the documented rules, and a fault for every way a broker can fail.
//!
//! It is written from the contract and shares nothing with the client it tests.

mod rules;
mod server;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value, json};
use tidegate_domain::Secret;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::alpaca::{AlpacaConfig, Environment};

/// The calls the stub knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /v1/accounts`
    Open,
    /// `GET /v1/accounts/{id}`
    Account,
    /// `GET /v1/accounts`
    Find,
    /// `POST /v1/accounts/{id}/documents/upload`
    Upload,
    /// `GET /v1/trading/accounts/{id}/account`
    Trading,
    /// `GET /v1/events/accounts/status`
    Events,
}

/// One way to fail.
#[derive(Clone, Debug)]
pub struct Fault {
    does_it: bool,
    then: Then,
}

#[derive(Clone, Debug)]
enum Then {
    Answer { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    Close,
    Hang,
    BreakOff,
}

impl Fault {
    /// Answers with this status, content type and body.
    pub fn answer(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self { does_it: false, then: Then::Answer { status, headers, body: body.into() } }
    }

    /// Answers with this status and the usual body of an error.
    pub fn status(status: u16) -> Self {
        let body = json!({"code": u32::from(status) * 100_000, "message": format!("status {status}")});
        Self::answer(status, "application/json", body.to_string())
    }

    /// Closes the connection in place of an answer.
    pub const fn close() -> Self {
        Self { does_it: false, then: Then::Close }
    }

    /// Never answers.
    pub const fn hang() -> Self {
        Self { does_it: false, then: Then::Hang }
    }

    /// Does what it is asked and breaks off in the middle of the answer.
    pub const fn break_off() -> Self {
        Self { does_it: true, then: Then::BreakOff }
    }

    /// Does what it is asked before it fails.
    #[must_use]
    pub const fn after_doing_it(mut self) -> Self {
        self.does_it = true;
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl fmt::Display) -> Self {
        if let Then::Answer { headers, .. } = &mut self.then {
            headers.push((name.to_owned(), value.to_string()));
        }
        self
    }
}

/// A request as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedRequest {
    /// Which call it was; none for what the stub does not know.
    pub endpoint: Option<Endpoint>,
    /// Its method and path.
    pub line: String,
    /// Its query, decoded.
    pub query: Vec<(String, String)>,
    /// Its body, if it was JSON.
    pub body: Option<Value>,
}

/// The stub. It stops when dropped.
pub struct StubBroker {
    address: SocketAddr,
    state: Shared,
    server: JoinHandle<()>,
}

/// What the stub knows, and a signal that it changed.
#[derive(Clone)]
struct Shared {
    state: Arc<Mutex<State>>,
    changed: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
struct State {
    accounts: Vec<Map<String, Value>>,
    uploads: Vec<(Uuid, Value)>,
    seen: Vec<RecordedRequest>,
    faults: Vec<(Endpoint, Fault)>,
    events: Vec<StubEvent>,
    wraps: bool,
    begun: u64,
    ended: u64,
    drawn: u64,
}

/// A message of the stream: its place, and its bytes.
#[derive(Clone)]
struct StubEvent {
    ulid: Option<String>,
    text: String,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes the streams.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.send_modify(|version| *version += 1);
        result
    }
}

impl State {
    /// The next number of this stub's own.
    fn draw(&mut self) -> u64 {
        self.drawn += 1;
        self.drawn
    }

    fn account_mut(&mut self, id: Uuid) -> Option<&mut Map<String, Value>> {
        let id = id.to_string();
        self.accounts.iter_mut().find(|account| account.get("id").and_then(Value::as_str) == Some(&id))
    }

    fn set_status(&mut self, id: Uuid, status: &str) {
        let Some(account) = self.account_mut(id) else { return };
        let before = account.insert("status".to_owned(), status.into());
        let number = account.get("account_number").cloned();
        let ulid = format!("01HZ{:022}", self.draw());
        let event = json!({
            "account_id": id, "account_number": number, "at": "2026-01-02T03:04:05.678901Z", "event_ulid": ulid,
            "status_from": before.unwrap_or_else(|| "".into()), "status_to": status, "reason": "",
        });
        self.events.push(StubEvent { ulid: Some(ulid), text: format!("data: {event}\n\n") });
    }
}

impl StubBroker {
    /// The key it accepts.
    pub const KEY: &str = "CKSTUBKEY000";
    /// The secret it accepts.
    pub const SECRET: &str = "stub-secret-half-of-the-credentials";

    /// Starts one on a free port of this machine.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> io::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Shared { state: Arc::default(), changed: Arc::new(watch::Sender::new(0)) };
        let server = tokio::spawn(server::serve(listener, state.clone()));
        Ok(Self { address, state, server })
    }

    /// Where it is.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How to talk to it.
    pub fn config(&self) -> AlpacaConfig {
        let config = AlpacaConfig::new(Environment::Sandbox, Self::KEY, Secret::new(Self::SECRET));
        AlpacaConfig { base_url: Some(self.base_url()), ..config }
    }

    /// Fails the next call of `endpoint` that no earlier fault is meant for.
    pub fn fail_next(&self, endpoint: Endpoint, fault: Fault) {
        self.state.lock().faults.push((endpoint, fault));
    }

    /// What it was asked, oldest first.
    pub fn seen(&self) -> Vec<RecordedRequest> {
        self.state.lock().seen.clone()
    }

    /// How often `endpoint` was called.
    pub fn count(&self, endpoint: Endpoint) -> usize {
        self.state.lock().seen.iter().filter(|seen| seen.endpoint == Some(endpoint)).count()
    }

    /// The accounts it has opened, oldest first.
    pub fn accounts(&self) -> Vec<Map<String, Value>> {
        self.state.lock().accounts.clone()
    }

    /// The documents uploaded to the account `id`, one array for each call.
    pub fn uploads(&self, id: Uuid) -> Vec<Value> {
        let state = self.state.lock();
        state.uploads.iter().filter(|(owner, _)| *owner == id).map(|(_, body)| body.clone()).collect()
    }

    /// Gives the account `id` a status, and sends the event to every stream.
    pub fn set_status(&self, id: Uuid, status: &str) {
        self.state.change(|state| state.set_status(id, status));
    }

    /// Sets a field of the account `id` without telling anybody.
    pub fn set_field(&self, id: Uuid, name: &str, value: Value) {
        self.state.change(|state| {
            if let Some(account) = state.account_mut(id) {
                account.insert(name.to_owned(), value);
            }
        });
    }

    /// Writes `text` to the streams as it is.
    pub fn say(&self, text: &str) {
        self.state.change(|state| state.events.push(StubEvent { ulid: None, text: text.to_owned() }));
    }

    /// How many streams were begun: later events are sent to them.
    pub fn streams(&self) -> u64 {
        self.state.lock().begun
    }

    /// Ends the streams that are open now.
    pub fn end_streams(&self) {
        self.state.change(|state| state.ended += 1);
    }

    /// From now on puts accounts inside `account`, as in 2021.
    pub fn wrap_accounts(&self) {
        self.state.lock().wraps = true;
    }
}

impl Drop for StubBroker {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl fmt::Debug for StubBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StubBroker").field("address", &self.address).finish_non_exhaustive()
    }
}

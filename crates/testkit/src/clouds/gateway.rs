//! What requests to a store pass.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How a store answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreHealth {
    /// As it should.
    #[default]
    Fine,
    /// With this status, and an error whose text must not reach a client.
    Answers(u16),
    /// Not before it is told to behave otherwise.
    Held,
}

/// Passes requests on; ends with the test.
pub(super) struct Gateway {
    shared: Arc<Shared>,
    address: String,
    task: JoinHandle<()>,
}

struct Shared {
    store: String,
    health: watch::Sender<StoreHealth>,
    asked: watch::Sender<u64>,
    http: reqwest::Client,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // Connections that are open outlive the listener.
        self.shared.health.send_replace(StoreHealth::Answers(503));
        self.task.abort();
    }
}

impl Gateway {
    pub(super) async fn start(store: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared {
            store: store.to_owned(),
            health: watch::Sender::new(StoreHealth::Fine),
            asked: watch::Sender::new(0),
            http: super::emulator::client(),
        });
        let passing = Arc::clone(&shared);
        let router = Router::new().fallback(move |request: Request| {
            let passing = Arc::clone(&passing);
            async move { passing.pass(request).await }
        });
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { shared, address, task }
    }

    pub(super) fn address(&self) -> String {
        self.address.clone()
    }

    pub(super) fn behave(&self, health: StoreHealth) {
        self.shared.health.send_replace(health);
    }

    pub(super) fn asked(&self) -> u64 {
        *self.shared.asked.borrow()
    }

    pub(super) async fn asked_more_than(&self, before: u64) {
        let mut asked = self.shared.asked.subscribe();
        asked.wait_for(|asked| *asked > before).await.expect("a gateway");
    }
}

impl Shared {
    async fn pass(&self, request: Request) -> Response {
        self.asked.send_modify(|asked| *asked += 1);
        let mut health = self.health.subscribe();
        let health = health.wait_for(|health| *health != StoreHealth::Held).await.map(|health| *health);
        match health.expect("a gateway") {
            StoreHealth::Answers(status) => ill(status),
            StoreHealth::Fine | StoreHealth::Held => self.ask(request).await,
        }
    }

    /// The same request, to the store. The host stays the one that was asked: signatures have it in them.
    async fn ask(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
        let mut asking = self.http.request(parts.method, format!("{}{target}", self.store));
        asking = asking.headers(end_to_end(parts.headers));
        if !body.is_empty() {
            asking = asking.body(body);
        }
        let answer = match asking.send().await {
            Ok(answer) => answer,
            Err(error) => return (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        };
        let (status, headers) = (answer.status(), end_to_end(answer.headers().clone()));
        let body = answer.bytes().await.expect("an answer");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// Headers without those that are about one connection.
fn end_to_end(mut headers: HeaderMap) -> HeaderMap {
    for name in [header::CONNECTION, header::TRANSFER_ENCODING] {
        headers.remove(name);
    }
    headers
}

fn ill(status: u16) -> Response {
    let code = if status < 500 { "AccessDenied" } else { "InternalError" };
    let body = format!("<Error><Code>{code}</Code><Message>hunter2 is not shown to anyone</Message></Error>");
    let status = StatusCode::from_u16(status).expect("a status");
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

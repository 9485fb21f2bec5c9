//! A provider that writes down what it is asked and answers as it is told.

use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;

/// How the stub behaves.
#[derive(Clone)]
pub(crate) enum Behaviour {
    /// A status and a body.
    Answer(u16, String),
    /// Sends the caller somewhere else.
    Redirect(String),
    /// Takes the request and says nothing, ever.
    Silence,
    /// Begins an answer and goes no further.
    Stall,
    /// Begins an answer and closes the connection in the middle.
    HangUp,
    /// Answers more than anybody wants to read.
    Flood,
}

/// What it was asked.
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The fields of the form, in order.
    pub(crate) fn form(&self) -> Vec<(String, String)> {
        assert_eq!(self.header("content-type"), "application/x-www-form-urlencoded");
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

#[derive(Clone)]
pub(crate) struct Stub {
    pub(crate) url: String,
    state: Arc<Mutex<Shared>>,
}

struct Shared {
    behaviour: Behaviour,
    asked: Vec<Asked>,
}

impl Stub {
    pub(crate) async fn start(behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Shared { behaviour, asked: Vec::new() }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, state }
    }

    pub(crate) async fn answering(status: u16, body: impl Into<String>) -> Self {
        Self::start(Behaviour::Answer(status, body.into())).await
    }

    pub(crate) fn behave(&self, behaviour: Behaviour) {
        self.state.lock().unwrap().behaviour = behaviour;
    }

    /// Everything it was asked since last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.lock().unwrap().asked)
    }

    /// The one thing it was asked.
    pub(crate) fn asked_once(&self) -> Asked {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1);
        asked.remove(0)
    }
}

/// An address at which nobody listens.
pub(crate) async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

async fn answer(State(state): State<Arc<Mutex<Shared>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let behaviour = {
        let mut state = state.lock().unwrap();
        let path = parts.uri.path_and_query().unwrap().to_string();
        state.asked.push(Asked { method: parts.method, path, headers: parts.headers, body });
        state.behaviour.clone()
    };
    match behaviour {
        Behaviour::Answer(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Behaviour::Redirect(url) => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, url)]).into_response()
        }
        Behaviour::Silence => std::future::pending().await,
        Behaviour::Stall => {
            let beginning = stream::iter([Ok::<_, io::Error>(Bytes::from_static(b"{"))]);
            Body::from_stream(beginning.chain(stream::pending())).into_response()
        }
        Behaviour::HangUp => {
            let pieces = [Ok(Bytes::from_static(b"{\"SMSMessageData\":")), Err(io::Error::other("gone"))];
            Body::from_stream(stream::iter(pieces)).into_response()
        }
        Behaviour::Flood => "x".repeat(1 << 20).into_response(),
    }
}

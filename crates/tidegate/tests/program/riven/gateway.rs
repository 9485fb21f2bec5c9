//! A provider of text messages that writes down what it is asked and answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;

use super::PHONE;

/// A message as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) path: String,
    headers: HeaderMap,
    pub(super) body: String,
}

/// What it says to one message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Says {
    This(u16, &'static str),
    /// Takes it and says nothing, ever.
    Nothing,
}

#[derive(Clone)]
pub(super) struct Gateway {
    pub(super) url: String,
    state: Arc<Mutex<Book>>,
    _server: Arc<Serving>,
}

/// An address at which nobody answers yet, and nobody else will.
pub(super) struct Closed {
    pub(super) url: String,
    socket: TcpSocket,
}

struct Book {
    /// What it says next, one for each message.
    next: VecDeque<Says>,
    /// What it says after those.
    then: Says,
    asked: Vec<Asked>,
}

struct Serving(JoinHandle<()>);

impl Closed {
    pub(super) fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self { url: format!("http://{}", socket.local_addr().unwrap()), socket }
    }

    /// From now on somebody answers there.
    pub(super) fn open(self, then: Says) -> Gateway {
        Gateway::at(self.socket.listen(1_024).unwrap(), then)
    }
}

impl Gateway {
    pub(super) fn start(then: Says) -> Self {
        Closed::new().open(then)
    }

    fn at(listener: TcpListener, then: Says) -> Self {
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(Book { next: VecDeque::new(), then, asked: Vec::new() }));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&state));
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, state, _server: Arc::new(Serving(server)) }
    }

    /// What it says to the next message that nothing else is meant for.
    pub(super) fn says_next(&self, says: Says) {
        self.state.lock().unwrap().next.push_back(says);
    }

    /// What it says from now on.
    pub(super) fn says(&self, says: Says) {
        self.state.lock().unwrap().then = says;
    }

    /// Everything it was asked, oldest first.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.state.lock().unwrap().asked.clone()
    }
}

impl Asked {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// A field of the form.
    pub(super) fn field(&self, name: &str) -> String {
        assert_eq!(self.header("content-type"), "application/x-www-form-urlencoded");
        let form = reqwest::Url::parse(&format!("http://form/?{}", self.body)).unwrap();
        form.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned()
    }
}

/// The code in what a person reads.
pub(super) fn code_in(text: &str) -> String {
    assert!(!text.contains(PHONE), "{text}");
    let code = text.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 6);
    code.unwrap_or_else(|| panic!("no code: {text}")).to_owned()
}

async fn answer(
    State(state): State<Arc<Mutex<Book>>>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let body = String::from_utf8(body.into()).unwrap();
    let says = {
        let mut book = state.lock().unwrap();
        book.asked.push(Asked { path: uri.path().to_owned(), headers, body });
        book.next.pop_front().unwrap_or(book.then)
    };
    match says {
        Says::This(status, body) => (StatusCode::from_u16(status).unwrap(), body).into_response(),
        Says::Nothing => std::future::pending().await,
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.abort();
    }
}

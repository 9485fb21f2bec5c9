//! The stub's wire: connections, credentials, routes, faults, the stream.

use std::convert::Infallible;
use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, stream};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use reqwest::Url;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::rules::{Reply, decide};
use super::{Endpoint, Fault, RecordedRequest, Shared, StubBroker, StubEvent, Then};

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Requests longer than this are refused.
const MAX_BODY: usize = 15 * 1024 * 1024;

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed by a fault")]
struct Closed;

/// A request whose account, if it names one, is known.
pub(super) struct StubRequest {
    pub(super) endpoint: Endpoint,
    pub(super) id: Option<Uuid>,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
}

pub(super) async fn serve(listener: TcpListener, state: Shared) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        let state = state.clone();
        connections.spawn(async move {
            let service = service_fn(|request| answer(request, state.clone()));
            // A connection closed by a fault is an error here and the point of the test there.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(request: Request<Incoming>, state: Shared) -> Result<Response<Body>, Closed> {
    let (head, body) = request.into_parts();
    let limited = http_body_util::Limited::new(body, MAX_BODY);
    let Ok(body) = limited.collect().await else {
        return Ok(reply(Reply::error(413, 41_310_000, "request body too large")));
    };
    let body = body.to_bytes();
    let query = queried(head.uri.query().unwrap_or_default());
    let route = route(&head.method, head.uri.path());
    let fault = {
        let mut state = state.lock();
        state.seen.push(RecordedRequest {
            endpoint: route.map(|(endpoint, _)| endpoint),
            line: format!("{} {}", head.method, head.uri.path()),
            query: query.clone(),
            body: serde_json::from_slice(&body).ok(),
        });
        let due =
            state.faults.iter().position(|(endpoint, _)| route.is_some_and(|route| route.0 == *endpoint));
        due.map(|index| state.faults.remove(index).1)
    };
    let does_it = fault.as_ref().is_none_or(|fault| fault.does_it);
    let response = match route {
        _ if !does_it => reply(Reply::ok(Value::Null)),
        _ if !is_authorized(&head.headers) => reply(Reply::unauthorized()),
        None => reply(Reply::error(404, 40_410_000, "endpoint not found")),
        Some((Endpoint::Events, _)) => follow(&query, &state),
        Some((endpoint, id)) => {
            let body = serde_json::from_slice(&body).ok();
            let request = StubRequest { endpoint, id, query, body };
            reply(state.change(|state| decide(state, &request)))
        }
    };
    match fault {
        None => Ok(response),
        Some(fault) => fail(fault, response).await,
    }
}

async fn fail(fault: Fault, response: Response<Body>) -> Result<Response<Body>, Closed> {
    match fault.then {
        Then::Answer { status, headers, body } => {
            let mut response = Response::builder().status(status);
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(whole(body)).map_err(|_| Closed)
        }
        Then::Close => Err(Closed),
        Then::Hang => std::future::pending().await,
        Then::BreakOff => {
            let (head, mut body) = response.into_parts();
            let first = match body.frame().await {
                Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
                _ => Bytes::new(),
            };
            let half = Frame::data(first.slice(..first.len() / 2));
            let rest = async {
                // Until the half is on its way: broken off at once, not even the head would be.
                tokio::task::yield_now().await;
                Err(io::Error::other("broken off by a fault"))
            };
            let body = stream::once(async { Ok(half) }).chain(stream::once(rest));
            Ok(Response::from_parts(head, BodyExt::boxed_unsync(StreamBody::new(body))))
        }
    }
}

fn route(method: &Method, path: &str) -> Option<(Endpoint, Option<Uuid>)> {
    let id = |text: &str| Uuid::parse_str(text).ok();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    match (method.as_str(), parts.as_slice()) {
        ("POST", ["v1", "accounts"]) => Some((Endpoint::Open, None)),
        ("GET", ["v1", "accounts"]) => Some((Endpoint::Find, None)),
        ("GET", ["v1", "accounts", account]) => Some((Endpoint::Account, id(account))),
        ("POST", ["v1", "accounts", account, "documents", "upload"]) => Some((Endpoint::Upload, id(account))),
        ("GET", ["v1", "trading", "accounts", account, "account"]) => Some((Endpoint::Trading, id(account))),
        ("GET", ["v1", "events", "accounts", "status"]) => Some((Endpoint::Events, None)),
        _ => None,
    }
}

fn queried(query: &str) -> Vec<(String, String)> {
    let url = Url::parse(&format!("http://stub/?{query}"));
    url.map(|url| url.query_pairs().into_owned().collect()).unwrap_or_default()
}

fn is_authorized(headers: &HeaderMap) -> bool {
    let expected = STANDARD.encode(format!("{}:{}", StubBroker::KEY, StubBroker::SECRET));
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    given.and_then(|given| given.strip_prefix("Basic ")) == Some(expected.as_str())
}

/// A stream of the events after `since_ulid`, or of those to come.
fn follow(query: &[(String, String)], state: &Shared) -> Response<Body> {
    let since = query.iter().find(|(name, _)| name == "since_ulid").map(|(_, value)| value.clone());
    // Watched before the first look, so that nothing is missed in between.
    let watcher = state.changed.subscribe();
    let (past, next, ended) = {
        let mut state = state.lock();
        state.begun += 1;
        let is_later = |event: &&StubEvent| match (&event.ulid, &since) {
            (Some(ulid), Some(since)) => ulid > since,
            _ => false,
        };
        let past: String = state.events.iter().filter(is_later).map(|event| event.text.as_str()).collect();
        (past, state.events.len(), state.ended)
    };
    let first = Some(format!(": heartbeat\n\n{past}"));
    let live = stream::unfold(
        (first, next, watcher, state.clone()),
        move |(first, next, mut watcher, state)| async move {
            if let Some(first) = first {
                return Some((frame(first), (None, next, watcher, state)));
            }
            loop {
                let (news, length, is_over) = {
                    let state = state.lock();
                    let news: String =
                        state.events.iter().skip(next).map(|event| event.text.as_str()).collect();
                    (news, state.events.len(), state.ended > ended)
                };
                if !news.is_empty() {
                    return Some((frame(news), (None, length, watcher, state)));
                }
                if is_over || watcher.changed().await.is_err() {
                    return None;
                }
            }
        },
    );
    let mut response = Response::new(BodyExt::boxed_unsync(StreamBody::new(live)));
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("text/event-stream"));
    response
}

fn frame(text: String) -> Result<Frame<Bytes>, io::Error> {
    Ok(Frame::data(Bytes::from(text)))
}

fn reply(reply: Reply) -> Response<Body> {
    let body = if reply.status == 204 { Vec::new() } else { reply.body.to_string().into_bytes() };
    let mut response = Response::new(whole(body));
    *response.status_mut() = hyper::StatusCode::from_u16(reply.status).unwrap_or_default();
    let json = hyper::header::HeaderValue::from_static("application/json; charset=UTF-8");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

fn whole(body: Vec<u8>) -> Body {
    BodyExt::boxed_unsync(Full::new(Bytes::from(body)).map_err(|never: Infallible| match never {}))
}

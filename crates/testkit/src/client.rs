//! HTTP without a network: requests go straight into the router.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// Somebody at an address.
#[derive(Clone)]
pub struct Client {
    router: Router,
    ip: IpAddr,
}

/// A request to be sent.
pub struct Request {
    client: Client,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status code.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, where that is JSON; `null` where it is not.
    pub body: Value,
    /// Its body.
    pub text: String,
}

impl Client {
    /// A client at `ip`.
    pub fn new(router: Router, ip: IpAddr) -> Self {
        Self { router, ip }
    }

    /// The same, somewhere else.
    pub fn at(&self, ip: &str) -> Self {
        Self { router: self.router.clone(), ip: ip.parse().expect("an address") }
    }

    /// A request.
    pub fn request(&self, method: Method, path: &str) -> Request {
        Request {
            client: self.clone(),
            method,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Body::empty(),
        }
    }

    /// A GET request.
    pub fn get(&self, path: &str) -> Request {
        self.request(Method::GET, path)
    }

    /// A POST request.
    pub fn post(&self, path: &str) -> Request {
        self.request(Method::POST, path)
    }
}

impl Request {
    /// With that JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.body("application/json", body.to_string())
    }

    /// With that form.
    pub fn form(self, body: &str) -> Self {
        self.body("application/x-www-form-urlencoded", body.to_owned())
    }

    /// With any body of any type.
    pub fn body(self, content_type: &str, body: impl Into<Bytes>) -> Self {
        let mut request = self.header("content-type", content_type);
        request.body = Body::from(body.into());
        request
    }

    /// With a body that is not known in advance, or not known to end.
    pub fn stream(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// With an access token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// With a header; a second one of the same name is added.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().expect("a header's name");
        self.headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header's value"));
        self
    }

    /// From another address.
    pub fn ip(mut self, ip: &str) -> Self {
        self.client = self.client.at(ip);
        self
    }

    /// Sends it.
    ///
    /// # Panics
    /// When it is no request.
    pub async fn send(self) -> Answer {
        let mut request = axum::http::Request::builder()
            .method(self.method)
            .uri(self.path)
            .body(self.body)
            .expect("a request");
        *request.headers_mut() = self.headers;
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.client.ip, 40_000)));
        let response = self.client.router.oneshot(request).await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_json = headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        let body = if is_json { serde_json::from_str(&text).expect("JSON, as the answer says") } else { Value::Null };
        Answer { status, headers, body, text }
    }
}

impl Answer {
    /// The answer, if its status is that.
    ///
    /// # Panics
    /// Otherwise, showing the body.
    #[track_caller]
    pub fn assert_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }

    /// The answer, if it is an error of that status and code.
    ///
    /// # Panics
    /// Otherwise, showing the body.
    #[track_caller]
    pub fn assert_error(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.text);
        self
    }

    /// The value at a dotted path such as `data.sessions.0.id`; `null` where there is none.
    pub fn field(&self, path: &str) -> &Value {
        self.body.pointer(&format!("/{}", path.replace('.', "/"))).unwrap_or(&Value::Null)
    }

    /// The text at a dotted path.
    ///
    /// # Panics
    /// When there is none, showing the body.
    #[track_caller]
    pub fn text_at(&self, path: &str) -> String {
        match self.field(path) {
            Value::String(text) => text.clone(),
            other => panic!("{path} is {other}, not a text: {} {}", self.status, self.text),
        }
    }

    /// The error's code, in whichever envelope; empty when it is none.
    pub fn code(&self) -> &str {
        self.field("error.code").as_str().unwrap_or_default()
    }

    /// A header's text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

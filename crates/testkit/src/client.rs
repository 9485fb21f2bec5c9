//! HTTP without a network: requests go straight into the router.

use std::net::{IpAddr, SocketAddr};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// A client at an address.
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
    names_host: bool,
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
            names_host: true,
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

    /// A PUT request.
    pub fn put(&self, path: &str) -> Request {
        self.request(Method::PUT, path)
    }

    /// A PATCH request.
    pub fn patch(&self, path: &str) -> Request {
        self.request(Method::PATCH, path)
    }

    /// A DELETE request.
    pub fn delete(&self, path: &str) -> Request {
        self.request(Method::DELETE, path)
    }

    /// An OPTIONS request.
    pub fn options(&self, path: &str) -> Request {
        self.request(Method::OPTIONS, path)
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

    /// With its body held back until `meanwhile` is over, which begins when the server waits for the body.
    pub fn held(mut self, meanwhile: impl Future<Output = ()> + Send + 'static) -> Self {
        let body = std::mem::take(&mut self.body);
        self.body = Body::from_stream(futures_util::stream::once(async move {
            meanwhile.await;
            body.collect().await.map(http_body_util::Collected::to_bytes)
        }));
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

    /// Without the `Host` that is sent where a test names none.
    pub fn without_host(mut self) -> Self {
        self.names_host = false;
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
        let response = self.open().await;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_json = headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        // The answer to HEAD has the type of the one to GET, and no body.
        let body = if is_json && !text.is_empty() {
            serde_json::from_str(&text).expect("JSON, as the answer says")
        } else {
            Value::Null
        };
        Answer { status, headers, body, text }
    }

    /// Sends it, and answers before the body is read: to see what comes in it before its end.
    ///
    /// # Panics
    /// When it is no request.
    pub async fn open(self) -> axum::response::Response {
        let mut request = axum::http::Request::builder()
            .method(self.method)
            .uri(self.path)
            .body(self.body)
            .expect("a request");
        *request.headers_mut() = self.headers;
        if self.names_host {
            request.headers_mut().entry(header::HOST).or_insert(HeaderValue::from_static("localhost"));
        }
        request.extensions_mut().insert(ConnectInfo(SocketAddr::new(self.client.ip, 40_000)));
        self.client.router.oneshot(request).await.expect("an answer")
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
        let code = self.field("error.code").as_str().or_else(|| self.field("error_data.name").as_str());
        code.unwrap_or_default()
    }

    /// That it is refused because the operator has not set up what it needs: this does not pass, and the answer does not say that it will.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn assert_not_set_up(&self, what: &str) -> &Self {
        self.assert_status(503);
        assert_eq!(self.header("retry-after"), "", "{}", self.text);
        let reason = format!("is not set up to send {what}. Trying again does not help");
        assert!(self.text.contains(&reason), "{reason}: {}", self.text);
        assert!(!self.text.contains("later") && !self.text.contains("at the moment"), "{}", self.text);
        self
    }

    /// A header's text; empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use axum::Json;
    use axum::extract::Request as Incoming;
    use axum::response::IntoResponse;
    use serde_json::json;

    use super::*;

    /// Answers with what it was asked.
    async fn echo(request: Incoming) -> impl IntoResponse {
        let (parts, body) = request.into_parts();
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().unwrap().0.ip();
        let header =
            |name| parts.headers.get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
        let body = body.collect().await.unwrap().to_bytes();
        let asked = json!({
            "method": parts.method.as_str(),
            "path": parts.uri.path(),
            "peer": peer,
            "type": header("content-type"),
            "authorization": header("authorization"),
            "body": String::from_utf8_lossy(&body),
        });
        (axum::http::StatusCode::CREATED, Json(asked))
    }

    fn client() -> Client {
        Client::new(Router::new().fallback(echo), "192.0.2.1".parse().unwrap())
    }

    #[tokio::test]
    async fn a_request_arrives_as_it_was_put_together() {
        let answer =
            client().patch("/a/b").json(&json!({"x": 1})).bearer("token").ip("2001:db8::7").send().await;
        answer.assert_status(201);
        assert_eq!((answer.text_at("method"), answer.text_at("path")), ("PATCH".into(), "/a/b".into()));
        assert_eq!(
            (answer.text_at("peer"), answer.text_at("body")),
            ("2001:db8::7".into(), "{\"x\":1}".into())
        );
        assert_eq!(
            (answer.text_at("type"), answer.text_at("authorization")),
            ("application/json".into(), "Bearer token".into())
        );
        let plain = client().get("/").send().await;
        assert_eq!((plain.text_at("peer"), plain.field("type")), ("192.0.2.1".into(), &Value::Null));
    }

    #[test]
    fn fields_and_codes_are_found_in_either_envelope() {
        let text = r#"{"success":false,"error":{"code":"GONE","details":[{"field":"email"}]}}"#.to_owned();
        let body = serde_json::from_str(&text).unwrap();
        let answer = Answer { status: 410, headers: HeaderMap::new(), body, text };
        answer.assert_error(410, "GONE");
        assert_eq!(answer.text_at("error.details.0.field"), "email");
        assert_eq!((answer.field("nowhere"), answer.header("x-nothing")), (&Value::Null, ""));
    }

    #[test]
    #[should_panic(expected = "the whole story")]
    fn a_wrong_status_shows_the_body() {
        let text = "the whole story".to_owned();
        Answer { status: 500, headers: HeaderMap::new(), body: Value::Null, text }.assert_status(200);
    }
}

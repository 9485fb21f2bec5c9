//! How this contract asks and answers.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};
use tidegate_testkit::{Answer, Engine, Fixture, PhonePerson, Request, TestApp};

pub(crate) const ADA: &str = "+254712345678";
pub(crate) const BOB: &str = "+254733000111";
pub(crate) const EVE: &str = "+254110000222";

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The beginnings of files, which is what files are known by.
pub(crate) const PDF: &[u8] = b"%PDF-1.7\n1 0 obj\n";
pub(crate) const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";
pub(crate) const JPEG: &[u8] = b"\xff\xd8\xff\xe0\0\x10JFIF";

/// A multipart form, as browsers and phones send it.
#[derive(Default)]
pub(crate) struct Form(Vec<u8>);

impl Form {
    /// A document that stands alone.
    pub(crate) fn document(kind: &str, file: &[u8]) -> Self {
        Self::default().text("document_type", kind).file("document", "application/octet-stream", file)
    }

    pub(crate) fn text(mut self, name: &str, text: &str) -> Self {
        self.0.extend(
            format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n").bytes(),
        );
        self
    }

    pub(crate) fn file(mut self, name: &str, kind: &str, file: &[u8]) -> Self {
        let head = format!(
            "--b\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"scan\"\r\ncontent-type: {kind}\r\n\r\n"
        );
        self.0.extend(head.bytes().chain(file.iter().copied()).chain(*b"\r\n"));
        self
    }

    /// A request with this form for its body.
    pub(crate) fn on(mut self, request: Request) -> Request {
        self.0.extend(b"--b--\r\n");
        request.body("multipart/form-data; boundary=b", self.0)
    }

    /// The same without a length that is known before.
    pub(crate) fn chunked_on(mut self, request: Request) -> Request {
        self.0.extend(b"--b--\r\n");
        let chunks: Vec<Vec<u8>> = self.0.chunks(16 << 10).map(<[u8]>::to_vec).collect();
        let body = Body::from_stream(stream::iter(chunks).map(Ok::<_, Infallible>));
        request.header("content-type", "multipart/form-data; boundary=b").stream(body)
    }
}

/// The application without limits, for stories that would meet them and are not about them.
pub(crate) struct Free(TestApp);

impl Fixture for Free {
    async fn prepare(engine: Engine) -> Self {
        Self(TestApp::builder(engine).without_limits().start().await)
    }
}

impl std::ops::Deref for Free {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.0
    }
}

/// A path under the contract's prefix.
pub(crate) fn url(path: &str) -> String {
    format!("/api/v1/{path}")
}

/// A request without a token.
pub(crate) async fn post(app: &TestApp, path: &str, body: &Value) -> Answer {
    app.post(&url(path)).json(body).send().await
}

/// The same, by somebody signed in.
pub(crate) async fn post_as(app: &TestApp, who: &PhonePerson, path: &str, body: &Value) -> Answer {
    app.post(&url(path)).bearer(&who.token).json(body).send().await
}

/// A reading request by somebody signed in.
pub(crate) async fn get_as(app: &TestApp, who: &PhonePerson, path: &str) -> Answer {
    app.get(&url(path)).bearer(&who.token).send().await
}

/// Submits documents.
pub(crate) async fn submit(app: &TestApp, who: &PhonePerson, form: Form) -> Answer {
    form.on(app.post(&url("account/kyc")).bearer(&who.token)).send().await
}

/// A code that is not the one.
pub(crate) fn other_than(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

/// Checks an error's whole body: this text, and that it is an error.
#[track_caller]
pub(crate) fn assert_says(answer: &Answer, status: u16, message: &str) {
    answer.assert_status(status);
    assert_eq!(answer.body, json!({ "message": message, "status": false }));
}

/// A wrong registration code.
#[track_caller]
pub(crate) fn assert_invalid_code(answer: &Answer) {
    answer.assert_status(422);
    assert_eq!(answer.body, json!({ "message": "Invalid code", "auth": [], "status": false }));
}

/// A wrong login code.
#[track_caller]
pub(crate) fn assert_invalid_credentials(answer: &Answer) {
    assert_says(answer, 401, "Invalid credentials");
}

/// A token that nobody is known by.
#[track_caller]
pub(crate) fn assert_unauthenticated(answer: &Answer) {
    answer.assert_status(401);
    assert_eq!(answer.body, json!({ "message": "Unauthenticated." }));
}

/// Checks for an invalid body: what is wrong with these fields, each in one text, and the first of them as the message.
#[track_caller]
pub(crate) fn assert_invalid(answer: &Answer, violations: &[(&str, &str)]) {
    answer.assert_status(422);
    let texts = violations.iter().map(|(path, text)| ((*path).to_owned(), json!([format!("{path} {text}")])));
    let errors: serde_json::Map<String, Value> = texts.collect();
    let expected = json!({
        "message": format!("{} {}", violations[0].0, violations[0].1), "errors": errors, "status": false,
    });
    assert_eq!(answer.body, expected);
}

/// Whether a token lets its holder in; if not, that it is refused as the contract says.
pub(crate) async fn is_let_in(app: &TestApp, token: &str) -> bool {
    let answer = app.get(&url("account/profile")).bearer(token).send().await;
    if answer.status == 401 {
        assert_unauthenticated(&answer);
        return false;
    }
    // Another contract's token is known here, and does not reach the brokerage account.
    assert!([200, 403, 404].contains(&answer.status), "{}", answer.text);
    true
}

/// Somebody who has nothing but a phone.
pub(crate) fn newcomer(id: i64, phone: &str, at: &str) -> Value {
    json!({
        "id": id, "phone": phone, "otp_code": null, "name": null, "first_name": null, "last_name": null,
        "profile_photo": null, "email": null, "email_verified_at": null, "other_phones": null, "dob": null,
        "gender": null, "alpaca_account_id": null, "account_status": "new", "created_at": at, "updated_at": at,
    })
}

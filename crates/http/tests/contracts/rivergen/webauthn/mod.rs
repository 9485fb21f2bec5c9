//! Passkeys.

mod ceremonies;
mod discoverable;
mod limits;
mod management;
mod recovery;
mod registration;
mod secrecy;
mod sign_in;
mod step_up;

use serde_json::Value;
use tidegate_testkit::{Answer, Person, Request, TestApp};

use super::wire::url;

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

/// A request without a body by somebody signed in.
fn delete_as(app: &TestApp, who: &Person, path: &str) -> Request {
    app.delete(&url(path)).bearer(&who.access_token)
}

/// The newest session's methods.
async fn newest_amr(app: &TestApp) -> String {
    let query = "select amr from sessions order by number desc limit 1";
    app.database.sql_texts(query).await.remove(0)
}

/// Base64url.
fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

/// Checks for a refusal with one of the contract's codes.
#[track_caller]
fn assert_refused(app: &TestApp, answer: &Answer, (status, code): (u16, &str)) {
    super::wire::assert_refused(app, answer, status, code);
}

/// A credential with one member of its response replaced.
fn with_response(credential: &Value, member: &str, value: Value) -> Value {
    let mut credential = credential.clone();
    credential["response"][member] = value;
    credential
}

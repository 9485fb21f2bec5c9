//! Second factors, trusted devices, step-up.

mod backup_codes;
mod devices;
mod interoperability;
mod notices;
mod recovery;
mod secrecy;
mod sent_codes;
mod sign_in;
mod step_up;
mod totp;

use std::time::Duration;

use tidegate_testkit::{Answer, Person, Request, TestApp};

use super::wire::{get_as, post, post_as, url};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
/// One time step of an authenticator app.
const STEP: Duration = Duration::from_secs(30);

/// A request without a body by somebody signed in.
fn delete_as(app: &TestApp, who: &Person, path: &str) -> Request {
    app.delete(&url(path)).bearer(&who.access_token)
}

/// A code that is not this one.
fn other_than(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

/// The texts of an array in an answer.
fn texts(answer: &Answer, path: &str) -> Vec<String> {
    let array = answer.field(path).as_array().unwrap_or_else(|| panic!("no {path}: {}", answer.text));
    array.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Signs in with the password and a code of the app, in a time step that was not used.
async fn sign_in_with(app: &TestApp, who: &Person, phone: &tidegate_testkit::Authenticator) -> Answer {
    app.advance(STEP);
    let token = app.sign_in_halfway(who).await;
    let token = app.choose_factor(&token, "totp").await;
    app.show_factor(&token, "code", &phone.code(app.now())).await
}

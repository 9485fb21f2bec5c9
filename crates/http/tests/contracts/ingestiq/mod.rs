//! IngestIQ: `/api/v2`.

mod around;
mod limits;
mod login;
mod logout;
mod me;
mod refresh;
mod register;

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Client};

const REGISTER: &str = "/api/v2/auth/register";
const LOGIN: &str = "/api/v2/auth/login";
const REFRESH: &str = "/api/v2/auth/refresh";
const LOGOUT: &str = "/api/v2/auth/logout";
const ME: &str = "/api/v2/auth/me";

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const SECOND: Duration = Duration::from_secs(1);

/// Logs in.
pub(crate) async fn login(client: &Client, email: &str, password: &str) -> Answer {
    client.post(LOGIN).json(&json!({ "email": email, "password": password })).send().await
}

/// Exchanges a refresh token.
pub(crate) async fn refresh(client: &Client, token: &str) -> Answer {
    client.post(REFRESH).json(&json!({ "refreshToken": token })).send().await
}

/// Asks who the token speaks for.
pub(crate) async fn me(client: &Client, token: &str) -> Answer {
    client.get(ME).bearer(token).send().await
}

/// The members of an object, in alphabetical order.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The fields a validation error complains about.
fn faulty(answer: &Answer) -> Vec<&str> {
    answer.assert_error(400, "VALIDATION_ERROR");
    let details = answer.field("error.details").as_array().expect("details");
    details
        .iter()
        .map(|detail| {
            assert_eq!(keys(detail), ["field", "message"]);
            assert!(detail["message"].as_str().unwrap().starts_with(detail["field"].as_str().unwrap()));
            detail["field"].as_str().unwrap()
        })
        .collect()
}

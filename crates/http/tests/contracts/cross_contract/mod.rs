//! One account, two contracts: who comes in through one is known to the other.

mod accounts;
mod keys;
mod nodes;
mod restricted;
mod sessions;

use serde_json::json;
use tidegate_testkit::{Answer, Client};

pub(crate) use crate::ingestiq::{login as login_ingestiq, me as me_ingestiq, refresh as refresh_ingestiq};

const SECOND: std::time::Duration = std::time::Duration::from_secs(1);

/// Signs in through RiverGen.
pub(crate) async fn login_rivergen(client: &Client, email: &str, password: &str) -> Answer {
    client.post("/api/v1/auth/login").json(&json!({ "email": email, "password": password })).send().await
}

/// Exchanges a refresh token through RiverGen.
pub(crate) async fn refresh_rivergen(client: &Client, token: &str) -> Answer {
    client.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": token })).send().await
}

/// Asks RiverGen who the token speaks for.
pub(crate) async fn me_rivergen(client: &Client, token: &str) -> Answer {
    client.get("/api/v1/auth/me").bearer(token).send().await
}

/// Checks that neither contract takes the access token any more.
async fn assert_ended(client: &Client, access_token: &str) {
    me_rivergen(client, access_token).await.assert_error(401, "UNAUTHORIZED");
    me_ingestiq(client, access_token).await.assert_error(401, "INVALID_TOKEN");
}

/// Checks that both contracts take it.
async fn assert_alive(client: &Client, access_token: &str) {
    me_rivergen(client, access_token).await.assert_status(200);
    me_ingestiq(client, access_token).await.assert_status(200);
}

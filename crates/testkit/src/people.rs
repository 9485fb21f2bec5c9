//! People, as stories need them.

use serde_json::json;

use crate::TestApp;

/// A password that every contract accepts.
pub const PASSWORD: &str = "Correct1horse!";

/// An account owner who signed up through RiverGen and has not verified the address.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// Their address.
    pub email: String,
    /// Goes with the code.
    pub temporary_token: String,
    /// Their number.
    pub user_id: i64,
}

/// A signed-in account owner.
#[derive(Clone, Debug)]
pub struct Person {
    /// Their address.
    pub email: String,
    /// Their password.
    pub password: String,
    /// Their access token.
    pub access_token: String,
    /// Their refresh token.
    pub refresh_token: String,
    /// Their id in the words of the contract they came through.
    pub user_id: String,
}

impl TestApp {
    /// Signs up through RiverGen. Every new account has an address of its own.
    pub async fn sign_up_rivergen(&self, email: &str) -> Newcomer {
        let answer = self
            .post("/api/v1/auth/signup")
            .ip(&address_of(email))
            .json(&json!({ "email": email, "password": PASSWORD, "display_name": "Ada Lovelace" }))
            .send()
            .await;
        answer.assert_status(201);
        Newcomer {
            email: email.to_owned(),
            temporary_token: answer.text_at("data.temporary_token"),
            user_id: answer.field("data.user_id").as_i64().expect("a number"),
        }
    }

    /// Signs up through RiverGen and verifies the address with the mailed code.
    pub async fn sign_up_rivergen_verified(&self, email: &str) -> Person {
        let newcomer = self.sign_up_rivergen(email).await;
        let code = self.latest_code(email).await;
        let answer = self
            .post("/api/v1/auth/verify-otp")
            .ip(&address_of(email))
            .json(&json!({ "temporary_token": newcomer.temporary_token, "otp_code": code }))
            .send()
            .await;
        answer.assert_status(200);
        Person {
            email: email.to_owned(),
            password: PASSWORD.to_owned(),
            access_token: answer.text_at("data.access_token"),
            refresh_token: answer.text_at("data.refresh_token"),
            user_id: newcomer.user_id.to_string(),
        }
    }

    /// Registers through IngestIQ.
    pub async fn register_ingestiq(&self, email: &str) -> Person {
        let answer = self
            .post("/api/v2/auth/register")
            .ip(&address_of(email))
            .json(&json!({ "email": email, "password": PASSWORD, "name": "Ada Lovelace" }))
            .send()
            .await;
        answer.assert_status(201);
        Person {
            email: email.to_owned(),
            password: PASSWORD.to_owned(),
            access_token: answer.text_at("accessToken"),
            refresh_token: answer.text_at("refreshToken"),
            user_id: answer.text_at("user.id"),
        }
    }
}

/// An address that is the same for one mailbox and another for another, so that stories with many people do not meet
/// the limits of one client.
pub(crate) fn address_of(email: &str) -> String {
    let sum = email.bytes().fold(5_381_u32, |sum, byte| sum.wrapping_mul(33) ^ u32::from(byte));
    let [_, a, b, c] = sum.to_be_bytes();
    format!("10.{a}.{b}.{c}")
}

#[cfg(test)]
mod tests {
    use crate::{TestApp, on_both_engines};

    on_both_engines! {
        async fn people_come_in_through_either_contract(app: TestApp) {
            let ada = app.sign_up_rivergen_verified("ada@example.com").await;
            let bob = app.register_ingestiq("bob@example.com").await;
            let answer = app.get("/api/v1/auth/me").bearer(&ada.access_token).send().await;
            answer.assert_status(200);
            assert_eq!(answer.text_at("data.user.primary_email"), "ada@example.com");
            app.get("/api/v2/auth/me").bearer(&bob.access_token).send().await.assert_status(200);
            let other = app.another_node().await;
            other.client().get("/api/v2/auth/me").bearer(&bob.access_token).send().await.assert_status(200);
            assert_eq!(app.sql_count("select count(*) from accounts").await, 2);
        }
    }
}

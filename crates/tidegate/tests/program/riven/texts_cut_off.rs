//! The process dies with a message on its hands: `kill -9`, and a new start on the same data.

use serde_json::Value;
use tidegate_testkit::{Engine, Fixture, eventually, on_both_engines};

use super::gateway::{Asked, Closed, Gateway, Says, code_in};
use super::texts::{TAKEN, by_webhook, message};
use super::{ask_for_code, confirm};
use crate::support::{Installation, Server};

/// A program that can be killed.
struct Story {
    here: Installation,
}

impl Fixture for Story {
    async fn prepare(engine: Engine) -> Self {
        Self { here: Installation::with_database(engine).await }
    }
}

impl Story {
    /// A server at which a code was asked for: written down, and not delivered.
    async fn asked_for_a_code(&self, gateway: &str) -> Server {
        self.here.write("tidegate.toml", &by_webhook(gateway));
        let server = self.here.serve(&[]);
        ask_for_code(&server, "/api/v1/auth/enter-phone").await;
        server
    }

    /// Starts again, two minutes later: whoever had the message in their hands no longer counts.
    async fn served_later(&self) -> Server {
        self.here.database().sql("update outbox_messages set leased_until = 0").await;
        self.here.serve(&[])
    }

    /// Checks that the message has arrived by now, and that its code is good.
    async fn has_arrived(&self, server: &Server, gateway: &Gateway) -> Vec<Asked> {
        message(&self.here, "it is taken", |row| row["state"] == "delivered").await;
        let asked = gateway.asked();
        let sent: Vec<Value> = asked.iter().map(|asked| serde_json::from_str(&asked.body).unwrap()).collect();
        assert!(!sent.is_empty() && sent.iter().all(|again| again["id"] == sent[0]["id"]), "{sent:?}");
        confirm(server, "/api/v1/auth/confirm-code", &code_in(sent[0]["text"].as_str().unwrap())).await;
        asked
    }
}

on_both_engines! {
    async fn killed_before_the_gateway_was_there_the_message_arrives_after_the_start(story: Story) {
        let closed = Closed::new();
        story.asked_for_a_code(&closed.url).await.kill();
        let gateway = closed.open(TAKEN);
        let server = story.served_later().await;
        assert_eq!(story.has_arrived(&server, &gateway).await.len(), 1);
        server.stop();
    }

    async fn killed_while_the_gateway_thinks_the_message_comes_once_more(story: Story) {
        let gateway = Gateway::start(TAKEN);
        gateway.says_next(Says::Nothing);
        let server = story.asked_for_a_code(&gateway.url).await;
        eventually("the gateway is asked", async || gateway.asked().pop()).await;
        server.kill();
        let server = story.served_later().await;
        // Twice, under one id: whether the first was sent on, nobody here knows.
        assert_eq!(story.has_arrived(&server, &gateway).await.len(), 2);
        server.stop();
    }
}

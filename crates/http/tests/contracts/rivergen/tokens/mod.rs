//! Personal access tokens, and tokens of organizations.

mod endings;
mod organization;
mod own;
mod reach;

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Client, PASSWORD, Person, TestApp};

use super::wire::{post, post_as, tokens};

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const DAY: u64 = 24 * 3_600;

/// A token that was made: its number and its text.
struct Made {
    number: i64,
    text: String,
}

/// Makes a token.
async fn make(app: &TestApp, who: &Person, body: &Value) -> Made {
    let answer = post_as(app, who, "auth/tokens", body).send().await;
    made(answer.assert_status(201))
}

fn made(answer: &Answer) -> Made {
    Made { number: answer.field("data.id").as_i64().unwrap(), text: answer.text_at("data.token") }
}

/// A body that asks for these scopes.
fn asking(scopes: &[&str]) -> Value {
    json!({ "name": "Build server", "scopes": scopes })
}

/// How RiverGen answers that token when it asks who it speaks for.
async fn me(client: &Client, token: &str) -> u16 {
    client.get("/api/v1/auth/me").bearer(token).send().await.status
}

/// The same person, signed in through RiverGen.
async fn at_rivergen(app: &TestApp, who: &Person) -> Person {
    let body = json!({ "email": who.email, "password": PASSWORD });
    let answer = post(app, "auth/login", &body).send().await;
    tokens(who, answer.assert_status(200))
}

/// An organization with its owner and a member who is no admin, and its number.
async fn organization(app: &TestApp) -> (Person, Person, i64) {
    let root = app.provision("root@example.com").await;
    let bob = app.add_individual(&root, BOB, "backend").await;
    let number = number_of(app, "root@example.com").await;
    (at_rivergen(app, &root).await, at_rivergen(app, &bob).await, number)
}

/// The number of a provisioned organization.
async fn number_of(app: &TestApp, owner: &str) -> i64 {
    let name = format!("The organization of {owner}");
    app.sql_count(&format!("select number from organizations where name = '{name}'")).await
}

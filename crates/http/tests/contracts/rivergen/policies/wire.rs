//! What the stories share.

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_policies::governed::governance::Asker;
use tidegate_testkit::{Answer, Engine, Person, Request, TestApp};
use uuid::Uuid;

pub(super) use crate::rivergen::data_sources::wire::{ADA, Server, member, owner, signed_in, start};
use crate::rivergen::data_sources::wire::{created as created_source, run_jobs};

pub(super) const PATH: &str = "/api/v1/policies";

pub(super) fn request(app: &TestApp, who: &Person, method: Method, rest: &str) -> Request {
    app.client().request(method, &format!("{PATH}{rest}")).bearer(&who.access_token)
}

pub(super) async fn get(app: &TestApp, who: &Person, rest: &str) -> Answer {
    request(app, who, Method::GET, rest).send().await
}

pub(super) async fn post(app: &TestApp, who: &Person, rest: &str, body: &Value) -> Answer {
    request(app, who, Method::POST, rest).json(body).send().await
}

pub(super) async fn patch(app: &TestApp, who: &Person, rest: &str, body: &Value) -> Answer {
    request(app, who, Method::PATCH, rest).json(body).send().await
}

pub(super) async fn delete(app: &TestApp, who: &Person, rest: &str) -> Answer {
    request(app, who, Method::DELETE, rest).send().await
}

/// A policy's body with one rule.
pub(super) fn policy(name: &str, kind: &str, rule: &str, config: Value) -> Value {
    json!({
        "name": name,
        "type": kind,
        "rules": [{ "rule_name": "The rule", "rule_type": rule, "rule_config": config }],
    })
}

/// A row filter of a table that nobody has discovered.
pub(super) fn filter(name: &str) -> Value {
    let config = json!({
        "table": "customers", "column": "user_region", "operator": "equals",
        "condition": "user_region = current_user_region",
    });
    policy(name, "row_level_security", "filter_rows", config)
}

/// The number of a policy that is made.
pub(super) async fn created(app: &TestApp, who: &Person, body: &Value) -> i64 {
    post(app, who, "", body).await.assert_status(201).field("data.id").as_i64().unwrap()
}

/// A data source with a table of employees, discovered; answers its number.
pub(super) async fn employees(app: &TestApp, who: &Person, server: &Server) -> i64 {
    server
        .database
        .sql(
            "create table emp (id bigint primary key, region text, ssn text, salary numeric(10,2), hired date, tags text[]);
             insert into emp values (1, 'EU', '123-45-6789', 100, '2020-05-17', null), (2, 'US', 'hidden', 200, null, null)",
        )
        .await;
    let number = created_source(app, who, &server.body()).await;
    run_jobs(app).await;
    number
}

/// Who asks, as whoever runs queries says it.
pub(super) async fn asker(app: &TestApp, email: &str) -> Asker {
    let account = account_of(app, email).await;
    let key = app.database.sql_uuid(account.0);
    let organization = uuid_of(
        app,
        // The one that they were invited to, rather than their own.
        &format!("select organization_id from memberships where account_id = {key} order by case role when 'owner' then 0 else 1 end"),
        "organization_id",
    )
    .await;
    Asker {
        account,
        organization: OrganizationId(organization),
        workspace: None,
        datasets: Vec::new(),
        query: None,
    }
}

pub(super) async fn account_of(app: &TestApp, email: &str) -> AccountId {
    let query = format!("select account_id from identifiers where value = '{email}'");
    AccountId(uuid_of(app, &query, "account_id").await)
}

/// A key, whichever engine stores it.
async fn uuid_of(app: &TestApp, query: &str, column: &str) -> Uuid {
    let shown = match app.database.engine() {
        Engine::Sqlite => format!("hex({column})"),
        Engine::Postgres => format!("cast({column} as text)"),
    };
    let query = query.replacen(column, &shown, 1);
    let text = app.database.sql_texts(&query).await.pop().unwrap();
    Uuid::parse_str(&text).unwrap()
}

/// The number of somebody's account.
pub(super) async fn number_of(app: &TestApp, email: &str) -> i64 {
    let query = format!(
        "select a.number from accounts a join identifiers i on i.account_id = a.id where i.value = '{email}'"
    );
    app.sql_count(&query).await
}

//! What the stories share.

use std::net::Ipv4Addr;

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_testkit::{Answer, Builder, Engine, PASSWORD, Person, Request, TestApp, TestDatabase};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

pub(in crate::rivergen) const ADA: &str = "ada@example.com";
pub(in crate::rivergen) const PATH: &str = "/api/v1/data-sources";
/// A password that no log, error or answer may hold.
pub(in crate::rivergen) const PLANTED: &str = "Planted-secret-7@:/#%";

/// An application whose data sources may be on this machine.
pub(in crate::rivergen) fn builder(engine: Engine) -> Builder {
    TestApp::builder(engine).without_limits().data(|data| {
        data.allowed_networks = vec!["127.0.0.0/8".parse().unwrap()];
    })
}

pub(in crate::rivergen) async fn start(engine: Engine) -> TestApp {
    builder(engine).start().await
}

/// A database of the test's PostgreSQL server, with two tables and a view.
pub(in crate::rivergen) struct Server {
    pub(in crate::rivergen) database: TestDatabase,
    url: Url,
    pub(in crate::rivergen) schema: String,
}

impl Server {
    pub(in crate::rivergen) async fn start() -> Self {
        let database = TestDatabase::empty(Engine::Postgres).await;
        database
            .sql(
                "create table orders (id bigint primary key, note text not null default 'none', \"; drop\" text);
                 create table people (id bigint primary key);
                 create view recent as select id from orders",
            )
            .await;
        let url = Url::parse(&database.postgres_url()).unwrap();
        Self { database, url, schema: "public".to_owned() }
    }

    pub(in crate::rivergen) fn port(&self) -> u16 {
        self.url.port().unwrap()
    }

    pub(in crate::rivergen) fn password(&self) -> String {
        self.url.password().unwrap_or_default().to_owned()
    }

    /// A body that makes it a data source.
    pub(in crate::rivergen) fn body(&self) -> Value {
        json!({
            "name": "Sales",
            "type": "postgresql",
            "description": "Orders of the shop",
            "host": self.url.host_str().unwrap(),
            "port": self.port(),
            "database_name": self.url.path().trim_start_matches('/'),
            "connection_timeout": 5,
            "max_retries": 0,
            "credentials": { "username": self.url.username(), "password": self.password() },
            "tags": ["sales", "eu"],
            "metadata": { "owner": "shop" },
        })
    }

    /// The same with other fields.
    pub(in crate::rivergen) fn body_with(&self, fields: Value) -> Value {
        with(self.body(), &fields)
    }
}

/// A body with other fields; `null` takes one away.
pub(in crate::rivergen) fn with(mut body: Value, fields: &Value) -> Value {
    tidegate_domain::text::merge(&mut body, fields);
    body
}

pub(in crate::rivergen) fn request(app: &TestApp, who: &Person, method: Method, rest: &str) -> Request {
    app.client().request(method, &format!("{PATH}{rest}")).bearer(&who.access_token)
}

pub(in crate::rivergen) async fn get(app: &TestApp, who: &Person, rest: &str) -> Answer {
    request(app, who, Method::GET, rest).send().await
}

pub(in crate::rivergen) async fn post(app: &TestApp, who: &Person, rest: &str) -> Answer {
    request(app, who, Method::POST, rest).send().await
}

pub(in crate::rivergen) async fn patch(app: &TestApp, who: &Person, rest: &str, body: &Value) -> Answer {
    request(app, who, Method::PATCH, rest).json(body).send().await
}

pub(in crate::rivergen) async fn delete(app: &TestApp, who: &Person, rest: &str) -> Answer {
    request(app, who, Method::DELETE, rest).send().await
}

pub(in crate::rivergen) async fn create(app: &TestApp, who: &Person, body: &Value) -> Answer {
    request(app, who, Method::POST, "").json(body).send().await
}

/// The number of a data source that is made.
pub(in crate::rivergen) async fn created(app: &TestApp, who: &Person, body: &Value) -> i64 {
    create(app, who, body).await.assert_status(201).field("data.id").as_i64().unwrap()
}

/// Runs the jobs that are waiting: tests, then discoveries.
pub(in crate::rivergen) async fn run_jobs(app: &TestApp) {
    for job in ["data source tests", "data source discoveries"] {
        for outcome in app.kernel().run_job(job).await.unwrap() {
            outcome.unwrap();
        }
    }
}

/// A status in the words of the contract.
pub(in crate::rivergen) async fn status(app: &TestApp, who: &Person, number: i64) -> String {
    get(app, who, &format!("/{number}")).await.assert_status(200).text_at("data.status")
}

/// Somebody who signed up through RiverGen: the owner of an organization of their own.
pub(in crate::rivergen) async fn owner(app: &TestApp, email: &str) -> Person {
    app.sign_up_rivergen_verified(email).await
}

/// A member of that role of an organization, signed in through RiverGen.
pub(in crate::rivergen) async fn member(app: &TestApp, manager: &Person, email: &str, role: &str) -> Person {
    app.add_individual(manager, email, role).await;
    signed_in(app, email).await
}

/// Somebody who has an account, signed in through RiverGen.
pub(in crate::rivergen) async fn signed_in(app: &TestApp, email: &str) -> Person {
    let body = json!({ "email": email, "password": PASSWORD });
    let answer = app.post("/api/v1/auth/login").json(&body).send().await;
    answer.assert_status(200);
    Person {
        email: email.to_owned(),
        password: PASSWORD.to_owned(),
        access_token: answer.text_at("data.access_token"),
        refresh_token: answer.text_at("data.refresh_token"),
        user_id: answer.field("data.user_id").to_string(),
    }
}

/// A server that does with each connection what it is told to; answers its port.
pub(in crate::rivergen) async fn server<F, Work>(work: Work) -> u16
where
    F: Future<Output = ()> + Send + 'static,
    Work: Fn(TcpStream) -> F + Send + 'static,
{
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(work(stream));
        }
    });
    port
}

/// A data source at a port of this machine.
pub(in crate::rivergen) fn at_port(port: u16) -> Value {
    json!({
        "name": "Odd",
        "type": "postgresql",
        "host": "127.0.0.1",
        "port": port,
        "database_name": "x",
        "connection_timeout": 1,
        "max_retries": 0,
        "credentials": { "username": "ada", "password": PLANTED },
    })
}

//! Every route of every contract, tried with every kind of token: who gets how far is under review, cell by cell.

use std::fmt::Write;
use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{Engine, Person, TestApp, on_both_engines};

use crate::forge::reworded;
use crate::routes::{self, Route};

/// Whose token it is, and in which state.
#[derive(Clone, Copy, Debug)]
enum Bearer {
    /// A person of this role, in the words of the Crossing Minds contract.
    Individual(&'static str),
    /// A program of this role.
    Service(&'static str),
    /// A program's token that speaks for one end user.
    EndUser,
    /// None at all.
    Nobody,
    /// A manager's token past its lifetime.
    Expired,
    /// A manager's token whose session has ended.
    Revoked,
}

const BEARERS: [(&str, Bearer); 11] = [
    ("admin", Bearer::Individual("manager")),
    ("developer", Bearer::Individual("backend")),
    ("viewer", Bearer::Individual("demo_viewer")),
    ("frontend", Bearer::Individual("frontend")),
    ("end user", Bearer::EndUser),
    ("program", Bearer::Service("backend")),
    ("mgr. prog.", Bearer::Service("manager")),
    ("none", Bearer::Nobody),
    ("expired", Bearer::Expired),
    ("revoked", Bearer::Revoked),
    // The last: some routes end its sessions, or change the password it signs in with.
    ("owner", Bearer::Individual("root")),
];

/// One organization for a route's row; each cell has an account and a database of its own, so that what one deletes is
/// not missed by the next.
struct Row<'a> {
    app: &'a TestApp,
    owner: Person,
    route: &'a Route,
    number: usize,
}

impl Row<'_> {
    async fn cell(&self, place: usize, bearer: Bearer) -> u16 {
        let token = self.token(place, bearer).await;
        let request = self.route.request(&self.app.client());
        let request = match &token {
            Some(token) => request.bearer(token),
            None => request,
        };
        let answer = request.send().await;
        self.route.assert_listed(&answer, &format!("{bearer:?}"));
        answer.status
    }

    async fn token(&self, place: usize, bearer: Bearer) -> Option<String> {
        let app = self.app;
        let owner = &app.bound(&self.owner, json!({})).await;
        let name = format!("row{}-cell{place}", self.number);
        let database = app.add_database(owner, &name).await;
        let fields = json!({ "db_id": database });
        let email = format!("{name}@example.com");
        let person = match bearer {
            Bearer::Nobody => return None,
            Bearer::Individual("root") => owner.clone(),
            Bearer::Individual(role) => app.add_individual(owner, &email, role).await,
            Bearer::Service(role) => app.add_service(owner, &name, role).await,
            Bearer::EndUser => {
                let program = app.add_service(owner, &name, "frontend").await;
                let session = "00000000-0000-0000-0000-000000000000";
                let mut fields = fields;
                fields["frontend_user_id"] = json!(7);
                fields["frontend_session_id"] = json!(session);
                return Some(self.issued(app.bound(&program, fields).await.access_token).await);
            }
            Bearer::Expired => {
                let person = app.add_individual(owner, &email, "manager").await;
                let token = self.issued(app.bound(&person, fields).await.access_token).await;
                app.advance(Duration::from_secs(3_600));
                return Some(token);
            }
            Bearer::Revoked => {
                let person = app.add_individual(owner, &email, "manager").await;
                let token = self.issued(app.bound(&person, fields).await.access_token).await;
                let ended = app.post("/api/v2/auth/logout").bearer(&token).send().await;
                ended.assert_status(200);
                return Some(token);
            }
        };
        Some(self.issued(app.bound(&person, fields).await.access_token).await)
    }

    /// The token as if the route's own contract had issued it: what tokens of the others reach is another matrix.
    async fn issued(&self, token: String) -> String {
        reworded(self.app, &token, |claims| claims.contract = self.route.contract).await
    }
}

async fn table(app: &TestApp) -> String {
    let mut table = String::new();
    for (name, _) in BEARERS {
        write!(table, "{name:>10.10}").unwrap();
    }
    table.push('\n');
    for (number, route) in routes::all().iter().enumerate() {
        let owner = app.provision(&format!("owner{number}@example.com")).await;
        let row = Row { app, owner, route, number };
        for (place, (_, bearer)) in BEARERS.into_iter().enumerate() {
            write!(table, "{:>10}", row.cell(place, bearer).await).unwrap();
        }
        writeln!(table, "  {}", route.name()).unwrap();
    }
    table
}

on_both_engines! {
    async fn who_gets_how_far_is_as_it_was_reviewed(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let table = table(&app).await;
        insta::assert_snapshot!("who-gets-how-far", table);
    }
}

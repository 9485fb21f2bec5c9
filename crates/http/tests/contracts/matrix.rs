//! Every route of every contract, tried with every kind of token: who gets how far is under review, cell by cell.

use std::fmt::Write;
use std::time::Duration;

use serde_json::json;
use tidegate_domain::AccessClaims;
use tidegate_testkit::{Engine, Person, TestApp, on_both_engines};

use crate::forge::{claims_of, stolen_key};
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

/// One organization, in which each kind of token has an account and a database of its own. It serves for one route after another, until one
/// of them had an effect: what that changed is not to be missed by the next.
struct Organization<'a> {
    app: &'a TestApp,
    /// What each token says, in the order of [`BEARERS`].
    tokens: Vec<Option<AccessClaims>>,
}

impl<'a> Organization<'a> {
    async fn new(app: &'a TestApp, number: usize) -> Self {
        let owner = app.provision(&format!("owner{number}@example.com")).await;
        let mut tokens = vec![None; BEARERS.len()];
        // What has expired is made first: the others are to be fresh.
        let (expired, others): (Vec<_>, Vec<_>) =
            BEARERS.iter().enumerate().partition(|(_, (_, bearer))| matches!(bearer, Bearer::Expired));
        for (place, (_, bearer)) in expired.into_iter().chain(others) {
            let name = format!("organization{number}-account{place}");
            tokens[place] = token(app, &owner, &name, *bearer).await;
        }
        Self { app, tokens }
    }

    /// How far each gets on a route.
    async fn row(&self, route: &Route) -> Vec<u16> {
        let mut row = Vec::new();
        for (claims, (name, _)) in self.tokens.iter().zip(BEARERS) {
            let request = route.request(&self.app.client());
            let request = match claims {
                Some(claims) => request.bearer(&issued(self.app, claims, route).await),
                None => request,
            };
            let answer = request.send().await;
            route.assert_listed(&answer, name);
            row.push(answer.status);
        }
        row
    }
}

async fn token(app: &TestApp, owner: &Person, name: &str, bearer: Bearer) -> Option<AccessClaims> {
    let owner = &app.bound(owner, json!({})).await;
    let fields = json!({ "db_id": app.add_database(owner, name).await });
    let email = format!("{name}@example.com");
    let person = match bearer {
        Bearer::Nobody => return None,
        Bearer::Individual("root") => owner.clone(),
        Bearer::Individual(role) => app.add_individual(owner, &email, role).await,
        Bearer::Service(role) => app.add_service(owner, name, role).await,
        Bearer::EndUser => {
            let program = app.add_service(owner, name, "frontend").await;
            let session = "00000000-0000-0000-0000-000000000000";
            let mut fields = fields;
            fields["frontend_user_id"] = json!(7);
            fields["frontend_session_id"] = json!(session);
            return Some(claims_of(app, &app.bound(&program, fields).await.access_token).await);
        }
        Bearer::Expired | Bearer::Revoked => app.add_individual(owner, &email, "manager").await,
    };
    let token = app.bound(&person, fields).await.access_token;
    let claims = claims_of(app, &token).await;
    match bearer {
        Bearer::Expired => app.advance(Duration::from_secs(3_600)),
        Bearer::Revoked => {
            app.post("/api/v2/auth/logout").bearer(&token).send().await.assert_status(200);
        }
        _ => {}
    }
    Some(claims)
}

/// The token as if the route's own contract had issued it: what tokens of the others reach is another matrix.
async fn issued(app: &TestApp, claims: &AccessClaims, route: &Route) -> String {
    let claims = AccessClaims { contract: route.contract, ..claims.clone() };
    stolen_key(app).await.sign(&claims).unwrap().expose().to_owned()
}

async fn table(app: &TestApp) -> String {
    let mut table = String::new();
    for (name, _) in BEARERS {
        write!(table, "{name:>10.10}").unwrap();
    }
    table.push('\n');
    let mut organization = Organization::new(app, 0).await;
    for (number, route) in routes::all().iter().enumerate() {
        let row = organization.row(route).await;
        for status in &row {
            write!(table, "{status:>10}").unwrap();
        }
        writeln!(table, "  {}", route.name()).unwrap();
        if route.may_have_acted(&row) {
            organization = Organization::new(app, number + 1).await;
        }
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

//! What a token reaches by its scopes: at most what role, scopes and contract all give.

use std::fmt::Write;
use std::path::Path;

use serde_json::json;
use tidegate_domain::{PermissionSet, Scope, Scopes};
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use crate::forge::reworded;
use crate::routes;

/// The widest scopes, and one that gives nothing.
const SCOPES: [&str; 4] = ["read", "write", "admin", "openid"];

async fn table(app: &TestApp) -> String {
    let mut table = String::new();
    for scope in SCOPES {
        write!(table, "{scope:>8}").unwrap();
    }
    table.push('\n');
    for (number, route) in routes::with_bearer().iter().enumerate() {
        let owner = app.provision(&format!("row{number}@example.com")).await;
        let database = app.add_database(&owner, &format!("row{number}")).await;
        let bound = app.bound(&owner, json!({ "db_id": database })).await;
        for scope in SCOPES {
            let limited = reworded(app, &bound.access_token, |claims| {
                claims.contract = route.contract;
                claims.scope = Scopes::from_stored(scope);
            });
            let answer = route.request(&app.client()).bearer(&limited.await).send().await;
            route.assert_listed(&answer, scope);
            write!(table, "{:>8}", answer.status).unwrap();
        }
        writeln!(table, "  {}", route.name()).unwrap();
    }
    table
}

#[test]
fn what_a_scope_gives_is_as_it_was_reviewed() {
    let mut table = String::new();
    for scope in Scope::known() {
        let given = Scopes::requested([scope]).unwrap().permissions();
        let names: Vec<&str> = given.iter().map(|permission| permission.as_str()).collect();
        writeln!(table, "{}", format!("{scope:20}{}", names.join(" ")).trim_end()).unwrap();
    }
    insta::assert_snapshot!("what-a-scope-gives", table);
}

/// The table in docs/scopes.md.
fn documented() -> String {
    let mut table = String::from("| Scope | Of tokens | What it gives |\n|---|---|---|\n");
    for scope in Scope::known() {
        let given = Scopes::requested([scope]).unwrap().permissions();
        let names: Vec<String> =
            given.iter().map(|permission| format!("`{}`", permission.as_str())).collect();
        let of_tokens = if Scope::of_tokens().any(|name| name == scope) { "yes" } else { "no" };
        let given = if names.is_empty() { "nothing yet".to_owned() } else { names.join(", ") };
        writeln!(table, "| `{scope}` | {of_tokens} | {given} |").unwrap();
    }
    let never = PermissionSet::FULL_SCOPE_ONLY;
    let names: Vec<String> = never.iter().map(|permission| format!("`{}`", permission.as_str())).collect();
    write!(table, "\nGiven by no scope: {}.\n", names.join(", ")).unwrap();
    table
}

/// `TIDEGATE_TEST_WRITE=1 scripts/test -E 'test(the_page_of_scopes_is_made_of_the_type)'` writes it anew.
#[test]
fn the_page_of_scopes_is_made_of_the_type() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scopes.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (begin, end) = ("a test compares both.\n\n", "## A token's text");
    let (before, rest) = page.split_once(begin).unwrap();
    let (here, after) = rest.split_once(end).unwrap();
    let made = format!("{}\n", documented());
    if std::env::var_os("TIDEGATE_TEST_WRITE").is_some() {
        std::fs::write(path, format!("{before}{begin}{made}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(here, made, "write it anew");
}

/// A token that its owner made, which is another thing than a session with scopes: it acts without one.
async fn token_table(app: &TestApp) -> String {
    let scopes: [&[&str]; 5] = [&["read"], &["write"], &["security:read"], &["admin"], &["data:query"]];
    let mut table = String::new();
    for names in scopes {
        write!(table, "{:>14}", names.join(" ")).unwrap();
    }
    table.push('\n');
    for (number, route) in routes::with_bearer().iter().enumerate() {
        let email = format!("row{number}@example.com");
        let owner = app.sign_up_rivergen_verified(&email).await;
        for names in scopes {
            let body = json!({ "name": "of a row", "scopes": names });
            let made = app.post("/api/v1/auth/tokens").bearer(&owner.access_token).json(&body).send().await;
            let token = made.assert_status(201).text_at("data.token");
            let answer = route.request(&app.client()).bearer(&token).send().await;
            route.assert_listed(&answer, names[0]);
            write!(table, "{:>14}", answer.status).unwrap();
        }
        writeln!(table, "  {}", route.name()).unwrap();
    }
    table
}

on_both_engines! {
    async fn what_a_personal_access_token_reaches_is_as_it_was_reviewed(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let table = token_table(&app).await;
        insta::assert_snapshot!("what-a-personal-access-token-reaches", table);
    }

    async fn what_a_token_reaches_by_its_scopes_is_as_it_was_reviewed(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let table = table(&app).await;
        insta::assert_snapshot!("what-a-token-reaches-by-its-scopes", table);
    }

    // The scopes of a session hold for every token of it, whatever the token says, and also after a refresh.
    async fn the_scopes_of_a_session_limit_all_its_tokens(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        app.sql("update sessions set scope = 'read'").await;
        app.advance(std::time::Duration::from_secs(2));
        let reached = |token: String| {
            let (me, profile) = (app.get("/api/v1/auth/me"), app.put("/api/v1/auth/me/profile"));
            async move {
                let profile = profile.bearer(&token).json(&json!({ "display_name": "Eve" })).send().await;
                (me.bearer(&token).send().await.status, profile.status)
            }
        };
        assert_eq!(reached(ada.access_token.clone()).await, (200, 403));
        let body = json!({ "refresh_token": ada.refresh_token });
        let refreshed = app.post("/api/v1/auth/refresh").json(&body).send().await;
        refreshed.assert_status(200);
        let token = refreshed.text_at("data.access_token");
        let scope = crate::forge::claims_of(&app, &token).await.scope;
        assert_eq!(scope.to_string(), "read");
        app.sql("update sessions set scope = null").await;
        app.advance(std::time::Duration::from_secs(2));
        assert_eq!(reached(token).await, (200, 403));
    }
}

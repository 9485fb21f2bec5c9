//! A token of one contract reaches elsewhere at most what its own contract lets do.

use std::fmt::Write;

use serde_json::json;
use tidegate_domain::ContractId;
use tidegate_http::contracts;
use tidegate_testkit::{Engine, PASSWORD, Person, TestApp, on_both_engines};

use crate::cross_contract::login_ingestiq;
use crate::forge::reworded;
use crate::routes;
use crate::watch::row_counts;

const OTHER_PASSWORD: &str = "Battery2staple!";

/// Every contract.
fn issuers() -> impl Iterator<Item = ContractId> {
    contracts().iter().map(|contract| contract.id)
}

/// A token of an organization's owner, bound to a database and issued by that contract.
async fn token_of(app: &TestApp, name: &str, issuer: ContractId) -> String {
    let owner = app.provision(&format!("{name}@example.com")).await;
    let database = app.add_database(&owner, name).await;
    let bound = app.bound(&owner, json!({ "db_id": database })).await;
    reworded(app, &bound.access_token, |claims| claims.contract = issuer).await
}

async fn table(app: &TestApp) -> String {
    let mut table = String::new();
    for issuer in issuers() {
        write!(table, "{:>16}", issuer.as_str()).unwrap();
    }
    table.push('\n');
    let mut tokens = Vec::new();
    for issuer in issuers() {
        tokens.push(token_of(app, &format!("first-{}", issuer.as_str()), issuer).await);
    }
    for (number, route) in routes::with_bearer().iter().enumerate() {
        for (issuer, token) in issuers().zip(&mut tokens) {
            let answer = route.request(&app.client()).bearer(token).send().await;
            route.assert_listed(&answer, issuer.as_str());
            write!(table, "{:>16}", answer.status).unwrap();
            // What one route changed is not to be missed by the next.
            if route.may_have_acted(&[answer.status]) {
                *token = token_of(app, &format!("row{number}-{}", issuer.as_str()), issuer).await;
            }
        }
        writeln!(table, "  {}", route.name()).unwrap();
    }
    table
}

/// Tries with an owner's token of another contract what makes it outlive the owner's next password.
async fn assert_no_foothold(app: &TestApp, who: &Person, token: &str) {
    let before = row_counts(app).await;
    let program = json!({ "name": "backdoor", "role": "manager", "password": OTHER_PASSWORD });
    let attempts = [
        app.patch("/v1/accounts/individual/")
            .json(&json!({ "email": who.email, "password": OTHER_PASSWORD })),
        app.post("/v1/accounts/service/").json(&program),
        app.post("/v1/accounts/service/keys/").json(&json!({ "name": "program" })),
        app.patch("/v1/accounts/service/").json(&json!({ "name": "program", "password": OTHER_PASSWORD })),
        app.post("/v1/accounts/individual/").json(&json!({ "email": "eve@example.com", "role": "manager" })),
        app.delete("/v1/accounts/service/").json(&json!({ "name": "program" })),
    ];
    for attempt in attempts {
        attempt.bearer(token).send().await.assert_error(403, "INSUFFICIENT_ROLE");
    }
    assert_eq!(row_counts(app).await, before);
    let old = login_ingestiq(&app.client(), &who.email, PASSWORD).await;
    old.assert_status(200);
}

on_both_engines! {
    async fn what_a_token_reaches_by_the_contract_that_issued_it_is_as_it_was_reviewed(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let table = table(&app).await;
        insta::assert_snapshot!("what-a-token-reaches-by-its-issuer", table);
    }

    // The attack: the laxest contract's door for the token of any other.
    async fn a_token_of_another_contract_sets_no_password_and_makes_no_program(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let manager = app.bound(&ada, json!({})).await;
        app.add_service(&manager, "program", "backend").await;
        let ingestiq = login_ingestiq(&app.client(), "ada@example.com", PASSWORD).await.text_at("accessToken");
        let riven = reworded(&app, &ingestiq, |claims| claims.contract = ContractId::RIVEN).await;
        for token in [&ada.access_token, &ingestiq, &riven] {
            assert_no_foothold(&app, &ada, token).await;
        }
        // What the contract gives its own sessions stays theirs.
        let change = json!({ "email": ada.email, "password": OTHER_PASSWORD });
        let change = app.patch("/v1/accounts/individual/").bearer(&manager.access_token).json(&change);
        change.send().await.assert_status(200);
        login_ingestiq(&app.client(), "ada@example.com", OTHER_PASSWORD).await.assert_status(200);
    }

    async fn a_token_of_another_contract_changes_no_address(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let body = json!({ "new_email": "thief@example.com" });
        for issuer in issuers().filter(|issuer| *issuer != ContractId::RIVERGEN) {
            let token = reworded(&app, &ada.access_token, |claims| claims.contract = issuer).await;
            let request = app.post("/api/v1/auth/me/email/request").bearer(&token).json(&body);
            request.send().await.assert_error(403, "PERMISSION_DENIED");
        }
        assert!(app.mails_to("thief@example.com").await.is_empty());
    }
}

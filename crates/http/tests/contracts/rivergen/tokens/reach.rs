//! What a token reaches: what its scopes, its owner's role and its contract all give, as long as they do.

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_testkit::{Person, TestApp, on_both_engines};

use super::super::wire::{get_as, post_as, url, wait};
use super::{ADA, BOB, asking, at_rivergen, made, make, me, number_of, organization};
use crate::routes::with_bearer;
use crate::watch::row_counts;

/// A way to read or write with a token: method, path, body.
type Way = (Method, &'static str, Value);

/// The status that a token gets each way.
async fn statuses(app: &TestApp, token: &str, ways: &[Way]) -> Vec<u16> {
    let mut statuses = Vec::new();
    for (method, path, body) in ways {
        let request = app.client().request(method.clone(), path).bearer(token);
        let request = if body.is_null() { request } else { request.json(body) };
        statuses.push(request.send().await.status);
    }
    statuses
}

fn ways() -> [Way; 8] {
    [
        (Method::GET, "/api/v1/auth/me", Value::Null),
        (Method::GET, "/api/v2/auth/me", Value::Null),
        (Method::PUT, "/api/v1/auth/me/profile", json!({ "display_name": "Ada" })),
        (Method::GET, "/api/v1/sessions", Value::Null),
        (Method::GET, "/api/v1/mfa/status", Value::Null),
        (Method::GET, "/api/v1/auth/tokens", Value::Null),
        (Method::GET, "/v1/organizations/current/accounts/", Value::Null),
        (Method::GET, "/v1/databases/", Value::Null),
    ]
}

/// What lets others in, or outlives the token.
fn footholds() -> Vec<Way> {
    let post = |path, body| (Method::POST, path, body);
    vec![
        post("/api/v1/auth/tokens", asking(&["read"])),
        (Method::PATCH, "/api/v1/auth/tokens/1", asking(&["admin"])),
        (Method::DELETE, "/api/v1/auth/tokens/1", Value::Null),
        post("/api/v1/organizations/1/tokens", asking(&["read"])),
        (Method::DELETE, "/api/v1/organizations/1/tokens/1", Value::Null),
        post(
            "/v1/accounts/service/",
            json!({ "name": "backdoor", "role": "manager", "password": "Stolen1horse!" }),
        ),
        post("/v1/accounts/service/keys/", json!({ "name": "program" })),
        post("/v1/accounts/individual/", json!({ "email": "eve@example.com", "role": "manager" })),
        (Method::PATCH, "/v1/accounts/individual/", json!({ "email": ADA, "password": "Stolen1horse!" })),
        post(
            "/api/v1/auth/change-password",
            json!({ "current_password": "x", "new_password": "Stolen1horse!" }),
        ),
        post("/api/v1/auth/me/email/request", json!({ "new_email": "eve@example.com" })),
        post("/api/v1/mfa/totp/setup", json!({ "device_name": "Eve's" })),
        post("/api/v1/mfa/email-otp/setup", Value::Null),
        post("/api/v1/mfa/backup-codes/generate", Value::Null),
        post("/api/v1/auth/mfa/deactivate", json!({})),
        post("/api/v1/webauthn/register/start", json!({ "device_name": "Eve's" })),
        post("/api/v1/auth/step-up", json!({ "password": tidegate_testkit::PASSWORD })),
        post("/api/v1/auth/logout", Value::Null),
        post("/api/v1/auth/logout-all", Value::Null),
        (Method::DELETE, "/api/v1/sessions/1", Value::Null),
        (Method::DELETE, "/v1/accounts/", Value::Null),
    ]
}

fn operator() -> Operator {
    Operator::at_command_line(tidegate_http::contract_profiles().of_installation())
}

async fn account_of(app: &TestApp, who: &Person) -> AccountName {
    AccountName::Number(
        app.sql_count(&format!(
            "select a.number from accounts a join identifiers i on i.account_id = a.id where i.value = '{}'",
            who.email
        ))
        .await,
    )
}

/// Whether scopes are made for writing there.
pub(super) fn is_of_data(path: &str) -> bool {
    ["data-sources", "storage", "policies", "prompts", "prompt-templates", "queries"]
        .iter()
        .any(|module| path.strip_prefix("/api/v1/").is_some_and(|rest| rest.starts_with(module)))
}

on_both_engines! {
    async fn a_token_reaches_what_its_scopes_name_and_its_contract_carries(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        // The contract that issues tokens carries nothing of organizations and databases, whatever they are scoped to.
        for (scopes, expected) in [
            (&["read"][..], [200, 200, 403, 403, 403, 403, 403, 403]),
            (&["write"], [403, 403, 200, 403, 403, 403, 403, 403]),
            (&["read", "write"], [200, 200, 200, 403, 403, 403, 403, 403]),
            (&["security:read"], [403, 403, 403, 200, 200, 200, 403, 403]),
            (&["admin"], [200, 200, 200, 200, 200, 200, 403, 403]),
            (&["accounts:read", "databases:read", "databases:write"], [403; 8]),
            (&["organization:read", "organization:write", "brokerage:read"], [403; 8]),
            (&["data:read", "data:query", "policies:read", "policies:write"], [403; 8]),
        ] {
            let token = make(&app, &ada, &asking(scopes)).await;
            assert_eq!(statuses(&app, &token.text, &ways()).await, expected, "{scopes:?}");
        }
    }

    async fn a_token_makes_no_access_and_changes_no_credential_in_any_contract(app: TestApp) {
        let root = app.provision(ADA).await;
        app.add_service(&root, "program", "backend").await;
        let ada = at_rivergen(&app, &root).await;
        let token = make(&app, &ada, &asking(&["admin", "write", "accounts:read"])).await;
        let before = row_counts(&app).await;
        for (method, path, body) in footholds() {
            let request = app.client().request(method.clone(), path).bearer(&token.text);
            let request = if body.is_null() { request } else { request.json(&body) };
            let answer = request.send().await;
            assert_eq!(answer.status, 403, "{method} {path}: {}", answer.text);
        }
        assert_eq!(row_counts(&app).await, before);
        assert_eq!(me(&app.client(), &token.text).await, 200);
        at_rivergen(&app, &root).await;
    }

    async fn no_route_that_writes_takes_the_widest_token_but_these(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let widest: Vec<&str> = tidegate_domain::Scope::of_tokens().collect();
        let token = make(&app, &ada, &asking(&widest)).await;
        for route in with_bearer().into_iter().filter(|route| route.method != Method::GET) {
            let answer = route.request(&app.client()).bearer(&token.text).send().await;
            if ["PUT /api/v1/auth/me/profile", "POST /v1/login/jwt"].contains(&route.name().as_str()) {
                assert_eq!(answer.status, 200, "{}: {}", route.name(), answer.text);
            } else if crate::rivergen::tokens::reach::is_of_data(&route.path) {
                // What there is to find is in the matrix of scopes.
                assert!(answer.status < 500, "{}: {}", route.name(), answer.text);
            } else {
                route.assert_refused(&answer, route.forbidden(), "the widest token");
            }
        }
    }

    async fn a_token_loses_at_once_what_its_owner_loses(app: TestApp) {
        let (root, _, number) = organization(&app).await;
        let path = format!("organizations/{number}/tokens");
        let token = made(post_as(&app, &root, &path, &asking(&["admin"])).send().await.assert_status(201));
        let reads = || app.get(&url(&path)).bearer(&token.text).send();
        reads().await.assert_status(200);
        app.sql("update memberships set role = 'viewer' where role = 'owner' and organization_id =
            (select organization_id from access_tokens)").await;
        wait(&app, 2);
        reads().await.assert_error(403, "organization_access_denied");
        assert_eq!(me(&app.client(), &token.text).await, 200);
        app.sql("delete from membership_workspaces").await;
        app.sql("delete from memberships where role = 'viewer'").await;
        wait(&app, 2);
        assert_eq!(me(&app.client(), &token.text).await, 401);
    }

    async fn a_token_does_not_grow_with_its_owner_s_role(app: TestApp) {
        let (_, bob, number) = organization(&app).await;
        let path = format!("organizations/{number}/tokens");
        let old = made(post_as(&app, &bob, &path, &asking(&["admin"])).send().await.assert_status(201));
        app.sql("update memberships set role = 'admin' where role = 'developer'").await;
        wait(&app, 2);
        let bob = at_rivergen(&app, &bob).await;
        get_as(&app, &bob, &path).send().await.assert_status(200);
        let reads = |token: String| app.get(&url(&path)).bearer(&token).send();
        reads(old.text).await.assert_error(403, "PERMISSION_DENIED");
        let new = made(post_as(&app, &bob, &path, &asking(&["admin"])).send().await.assert_status(201));
        reads(new.text).await.assert_status(200);
    }

    // The confused token: Ada is an admin of two organizations, and one of her tokens is for one of them.
    async fn a_token_acts_in_its_own_organization_alone(app: TestApp) {
        let root = app.provision("root@example.com").await;
        let ada = app.add_individual(&root, ADA, "manager").await;
        let ada = at_rivergen(&app, &ada).await;
        let own = app.sql_count("select o.number from organizations o join memberships m on m.organization_id = o.id
            join identifiers i on i.account_id = m.account_id where i.value = 'ada@example.com' and m.role = 'owner'").await;
        let shared = number_of(&app, "root@example.com").await;
        let list = |organization: i64, token: &str| {
            app.get(&url(&format!("organizations/{organization}/tokens"))).bearer(token).send()
        };
        // Her session reaches both.
        list(own, &ada.access_token).await.assert_status(200);
        list(shared, &ada.access_token).await.assert_status(200);
        let scoped = |organization: i64| json!({ "name": "x", "scopes": ["admin"], "organization_id": organization });
        let (of_own, of_shared) = (make(&app, &ada, &scoped(own)).await, make(&app, &ada, &scoped(shared)).await);
        list(own, &of_own.text).await.assert_status(200);
        list(shared, &of_own.text).await.assert_error(403, "organization_access_denied");
        list(shared, &of_shared.text).await.assert_status(200);
        list(own, &of_shared.text).await.assert_error(403, "organization_access_denied");
        // One of hers alone acts at home.
        let alone = make(&app, &ada, &asking(&["admin"])).await;
        list(shared, &alone.text).await.assert_status(200);
        list(own, &alone.text).await.assert_error(403, "organization_access_denied");
    }

    async fn a_disabled_account_s_tokens_are_dead_and_do_not_come_back(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified(BOB).await;
        let (adas, bobs) = (make(&app, &ada, &asking(&["read"])).await, make(&app, &bob, &asking(&["read"])).await);
        let name = account_of(&app, &ada).await;
        app.identity().disable_account(&operator(), &name).await.unwrap();
        assert_eq!(me(&app.client(), &adas.text).await, 401);
        assert_eq!(me(&app.client(), &bobs.text).await, 200);
        app.identity().enable_account(&operator(), &name).await.unwrap();
        assert_eq!(me(&app.client(), &adas.text).await, 401);
        // Another node may have disabled it.
        app.sql("update accounts set disabled_at = 1").await;
        wait(&app, 2);
        assert_eq!(me(&app.client(), &bobs.text).await, 401);
    }

    async fn tokens_go_with_the_account(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let token = make(&app, &ada, &asking(&["read"])).await;
        let name = account_of(&app, &ada).await;
        let export = app.identity().export_account(&operator(), &name).await.unwrap();
        let listed = json!([{
            "number": 1, "name": "Build server", "scopes": ["read"], "organization": null,
            "created_at": "2026-01-05T09:00:00Z", "expires_at": null, "last_used_at": null,
        }]);
        assert_eq!(export["access_tokens"], listed);
        assert!(!serde_json::to_string(&export).unwrap().contains(&token.text));
        app.identity().delete_account_for_operator(&operator(), &name).await.unwrap();
        assert_eq!(me(&app.client(), &token.text).await, 401);
        assert_eq!(app.sql_count("select count(*) from access_tokens").await, 0);
    }

    // A limited session, or one that is too old where the contract asks for a recent one, makes no token.
    async fn a_token_is_made_by_a_full_and_recent_session(engine: tidegate_testkit::Engine) {
        let recent = std::time::Duration::from_secs(300);
        let app = TestApp::builder(engine)
            .settings(|settings| {
                for profile in settings.contracts.iter_mut() {
                    profile.recent_sign_in = Some(recent);
                }
            })
            .start()
            .await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let token = make(&app, &ada, &asking(&["read"])).await;
        wait(&app, 301);
        post_as(&app, &ada, "auth/tokens", &asking(&["read"])).send().await.assert_error(403, "STEP_UP_REQUIRED");
        let path = url(&format!("auth/tokens/{}", token.number));
        let change = |body: Value| app.patch(&path).bearer(&ada.access_token).json(&body).send();
        change(asking(&["admin"])).await.assert_error(403, "STEP_UP_REQUIRED");
        // A name is no power, and to revoke is always right.
        change(json!({ "name": "Other" })).await.assert_status(200);
        app.delete(&path).bearer(&ada.access_token).send().await.assert_status(200);
        app.sql("update sessions set scope = 'admin'").await;
        let ada = at_rivergen(&app, &ada).await;
        app.sql("update sessions set scope = 'admin'").await;
        wait(&app, 2);
        post_as(&app, &ada, "auth/tokens", &asking(&["read"])).send().await.assert_error(403, "PERMISSION_DENIED");
    }
}

//! Who may write and read policies, and whose exist for whom.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_domain::limit::Limit;
use tidegate_domain::{ContractId, Role};
use tidegate_identity::IdentityTables;
use tidegate_testkit::{Engine, Person, Request, TestApp, on_both_engines};

use super::wire::{ADA, PATH, asker, created, filter, get, member, owner, post, request, signed_in, start};

/// A token of a person's with these scopes.
async fn token(app: &TestApp, who: &Person, scopes: &[&str]) -> Person {
    let body = json!({ "name": scopes.join(" "), "scopes": scopes, "expires_in_days": 30 });
    let made = app.post("/api/v1/auth/tokens").bearer(&who.access_token).json(&body).send().await;
    let access_token = made.assert_status(201).text_at("data.token");
    Person { access_token, ..who.clone() }
}

/// Every endpoint of one policy, with a body that is right.
fn requests(app: &TestApp, who: &Person, number: i64) -> Vec<(String, Request)> {
    let none = Value::Null;
    let all = [
        (Method::GET, "", none.clone()),
        (Method::PATCH, "", json!({})),
        (Method::POST, "/assignments", json!({ "role_id": 2 })),
        (Method::GET, "/evaluations", none.clone()),
        (Method::DELETE, "/assignments/1", none.clone()),
        (Method::DELETE, "", none),
    ];
    let made = all.map(|(method, rest, body)| {
        let made = request(app, who, method.clone(), &format!("/{number}{rest}"));
        let made = if body.is_null() { made } else { made.json(&body) };
        (format!("{method} {rest}"), made)
    });
    made.into()
}

on_both_engines! {
    async fn policies_are_for_administrators(engine: Engine) {
        let app = start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let number = created(&app, &ada, &filter("P")).await;
        for (email, role) in [("viewer@example.com", "demo_viewer"), ("developer@example.com", "backend")] {
            let who = member(&app, &manager, email, role).await;
            post(&app, &who, "", &filter("Q")).await.assert_error(403, "FORBIDDEN");
            get(&app, &who, "").await.assert_error(403, "FORBIDDEN");
            get(&app, &who, "/dashboard").await.assert_error(403, "FORBIDDEN");
            let simulation = json!({ "attributes": {}, "data_source_id": 1, "table": "emp" });
            post(&app, &who, "/simulate", &simulation).await.assert_error(403, "FORBIDDEN");
            for (name, request) in requests(&app, &who, number) {
                let answer = request.send().await;
                assert_eq!((answer.status, answer.code()), (403, "FORBIDDEN"), "{name}");
            }
        }
        let admin = member(&app, &manager, "admin@example.com", "manager").await;
        created(&app, &admin, &filter("Q")).await;
        get(&app, &admin, &format!("/{number}")).await.assert_status(200);
    }

    async fn another_tenants_policies_do_not_exist(engine: Engine) {
        let app = start(engine).await;
        let (ada, eve) = (owner(&app, ADA).await, owner(&app, "eve@example.com").await);
        let number = created(&app, &ada, &filter("P")).await;
        let before = get(&app, &ada, &format!("/{number}")).await.text;
        let invented = number + 1_000_000;
        for ((name, real), (_, unreal)) in requests(&app, &eve, number).into_iter().zip(requests(&app, &eve, invented)) {
            let (real, unreal) = (real.send().await, unreal.send().await);
            real.assert_error(404, "NOT_FOUND");
            assert_eq!(real.field("error.message"), unreal.field("error.message"), "{name}");
        }
        assert_eq!(get(&app, &eve, "").await.field("data.items"), &json!([]));
        assert_eq!(get(&app, &eve, "/dashboard").await.field("data.row_level_security.total_policies"), &json!(0));
        let workspace = app.sql_count("select min(number) from workspaces").await;
        let mut body = filter("Q");
        body["workspace_id"] = json!(workspace);
        post(&app, &eve, "", &body).await.assert_error(404, "NOT_FOUND");
        assert_eq!(get(&app, &ada, &format!("/{number}")).await.text, before);
    }

    async fn a_token_reaches_what_its_scopes_give(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &filter("P")).await;
        let reader = token(&app, &ada, &["policies:read"]).await;
        get(&app, &reader, &format!("/{number}")).await.assert_status(200);
        get(&app, &reader, "/dashboard").await.assert_status(200);
        post(&app, &reader, "", &filter("Q")).await.assert_error(403, "FORBIDDEN");
        let simulation = json!({ "attributes": {}, "data_source_id": 1, "table": "emp" });
        post(&app, &reader, "/simulate", &simulation).await.assert_error(403, "FORBIDDEN");
        let writer = token(&app, &ada, &["policies:write"]).await;
        created(&app, &writer, &filter("Q")).await;
        get(&app, &writer, "").await.assert_error(403, "FORBIDDEN");
        // What a query answers is data: who may write policies may describe a table as it is left, and not read it.
        let query = json!({ "attributes": {}, "sql": "select 1", "selected_data_source_ids": [1] });
        post(&app, &writer, "/simulate", &query).await.assert_error(403, "FORBIDDEN");
        let both = token(&app, &ada, &["policies:write", "data:read"]).await;
        for (who, simulation) in [(&both, &query), (&writer, &simulation)] {
            post(&app, who, "/simulate", simulation).await.assert_error(404, "NOT_FOUND");
        }
        let other = token(&app, &ada, &["read", "write", "data:read", "data:write"]).await;
        get(&app, &other, "").await.assert_error(403, "FORBIDDEN");
        post(&app, &other, "", &filter("Q")).await.assert_error(403, "FORBIDDEN");
    }

    async fn who_loses_their_role_while_they_wait_changes_nothing(engine: Engine) {
        let app = start(engine).await;
        let manager = app.provision(ADA).await;
        let admin = member(&app, &manager, "admin@example.com", "manager").await;
        let asker = asker(&app, "admin@example.com").await;
        let number = created(&app, &admin, &filter("P")).await;
        let mut unit = app.kernel().store.begin().await.unwrap();
        unit.organizations().lock(asker.organization).await.unwrap();
        let meanwhile = async {
            // Both wait for the organization by now, or do not yet: they must be refused either way.
            tokio::time::sleep(Duration::from_millis(300)).await;
            unit.members().set_role(asker.organization, asker.account, Role::Viewer).await.unwrap();
            unit.commit().await.unwrap();
        };
        let (path, another) = (format!("/{number}"), filter("Q"));
        let (made, deleted, ()) = tokio::join!(
            post(&app, &admin, "", &another),
            request(&app, &admin, Method::DELETE, &path).send(),
            meanwhile
        );
        assert!([401, 403].contains(&made.status) && [401, 403].contains(&deleted.status), "{} {}", made.text, deleted.text);
        assert_eq!(app.sql_count("select count(*) from policies where deleted_at is null").await, 1);
    }

    async fn without_a_token_nothing_is_told(engine: Engine) {
        let app = start(engine).await;
        for path in ["", "/dashboard", "/1", "/1/evaluations"] {
            app.get(&format!("{PATH}{path}")).send().await.assert_error(401, "UNAUTHORIZED");
        }
    }

    async fn a_limit_on_all_requests_is_told_in_the_words_of_the_modules_of_data(engine: Engine) {
        let app = TestApp::builder(engine)
            .without_limits()
            .settings(|settings| {
                let profile = settings.contracts.of_mut(ContractId::RIVERGEN).unwrap();
                profile.limits.anonymous_requests = Some(Limit::new(1, 60));
            })
            .start()
            .await;
        let routes = crate::routes::all();
        let own: Vec<_> = routes.iter().filter(|route| route.path.starts_with(PATH)).collect();
        assert_eq!(own.len(), 10);
        own[0].request(&app.client()).send().await;
        for route in own {
            let answer = route.request(&app.client()).send().await;
            route.assert_refused(&answer, (429, "TOO_MANY_REQUESTS"), "one request too many");
            assert_eq!(answer.header("retry-after"), "60", "{}", route.name());
        }
    }
}

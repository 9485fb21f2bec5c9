//! What an organization may keep: it is refused beyond its quotas, also when many add to it at once.

use serde_json::{Value, json};
use tidegate_domain::quota::Quotas;
use tidegate_testkit::{Answer, Engine, Person, TestApp, concurrently, on_both_engines};

use super::wire::{assert_wrong_data, delete_as, patch_as, post_as};

const ROOT: &str = "root@example.com";

/// An installation with these quotas and without rate limits, and an organization in it.
async fn with_quotas(engine: Engine, quotas: Quotas) -> (TestApp, Person) {
    let app =
        TestApp::builder(engine).settings(|settings| settings.quotas = quotas).without_limits().start().await;
    let root = app.provision(ROOT).await;
    (app, root)
}

/// 400 QUOTA_EXCEEDED, with the quota in words.
#[track_caller]
fn assert_exceeded(answer: &Answer, what: &str) {
    assert_wrong_data(answer, 400, "QUOTA_EXCEEDED");
    let expected = format!("the organization may keep at most {what}; delete some first");
    assert_eq!(answer.text_at("error_data.error"), expected);
}

fn database(name: &str, metadata: &Value) -> Value {
    json!({
        "name": name, "description": "", "item_id_type": "uuid", "user_id_type": "uint32",
        "session_id_type": "urlsafe64", "metadata": metadata,
    })
}

fn service(name: &str) -> Value {
    json!({ "name": name, "role": "backend" })
}

on_both_engines! {
    async fn people_programs_keys_and_databases_have_quotas(engine: Engine) {
        let quotas = Quotas { members: 2, programs: 1, keys: 1, databases: 1, ..Quotas::default() };
        let (app, root) = with_quotas(engine, quotas).await;
        // The owner is one of the two.
        app.create_individual(&root, "ada@example.com", "backend").await.assert_status(200);
        let refused = app.create_individual(&root, "bob@example.com", "backend").await;
        assert_exceeded(&refused, "2 individual accounts");
        post_as(&app, &root, "accounts/service/", service("export")).await.assert_status(200);
        assert_exceeded(&post_as(&app, &root, "accounts/service/", service("import")).await, "1 service accounts");
        let key = json!({ "name": "export" });
        let id = post_as(&app, &root, "accounts/service/keys/", key.clone()).await.assert_status(200).text_at("id");
        assert_exceeded(&post_as(&app, &root, "accounts/service/keys/", key.clone()).await, "1 keys of service accounts");
        post_as(&app, &root, "databases/", database("films", &json!({}))).await.assert_status(200);
        assert_exceeded(&post_as(&app, &root, "databases/", database("songs", &json!({}))).await, "1 databases");
        // Nothing of what was refused is left, nor was anybody mailed.
        assert_eq!(app.sql_count("select count(*) from databases").await, 1);
        assert_eq!(app.sql_count("select count(*) from identifiers where value in ('bob@example.com', 'import')").await, 0);
        assert_eq!(app.sql_count("select count(*) from outbox_messages where recipient = 'bob@example.com'").await, 0);
        // What is deleted makes room.
        delete_as(&app, &root, &format!("accounts/service/keys/{id}/"), json!({})).await.assert_status(204);
        post_as(&app, &root, "accounts/service/keys/", key).await.assert_status(200);
        delete_as(&app, &root, "accounts/individual/", json!({ "email": "ada@example.com" })).await.assert_status(204);
        app.create_individual(&root, "bob@example.com", "backend").await.assert_status(200);
    }

    async fn another_organization_has_quotas_of_its_own(engine: Engine) {
        let (app, root) = with_quotas(engine, Quotas { databases: 1, ..Quotas::default() }).await;
        let rival = app.provision("rival@example.com").await;
        for who in [&root, &rival] {
            post_as(&app, who, "databases/", database("films", &json!({}))).await.assert_status(200);
        }
    }

    async fn zero_is_no_quota(engine: Engine) {
        let (app, root) = with_quotas(engine, Quotas { databases: 0, metadata_bytes: 0, ..Quotas::default() }).await;
        for number in 0..3 {
            let body = database(&format!("films {number}"), &json!({ "a": "x".repeat(60_000) }));
            post_as(&app, &root, "databases/", body).await.assert_status(200);
        }
    }

    async fn all_documents_together_have_a_quota(engine: Engine) {
        let (app, root) = with_quotas(engine, Quotas { metadata_bytes: 1_000, ..Quotas::default() }).await;
        let document = |bytes: usize| json!({ "a": "x".repeat(bytes - 8) });
        let full = "1000 bytes of metadata";
        post_as(&app, &root, "databases/", database("films", &document(400))).await.assert_status(200);
        patch_as(&app, &root, "organizations/current/", json!({ "metadata": document(400) })).await.assert_status(200);
        app.add_service(&root, "export", "backend").await;
        let large = document(300);
        let bound = app.bound(&root, json!({ "db_name": "films" })).await;
        for answer in [
            post_as(&app, &root, "databases/", database("songs", &large)).await,
            patch_as(&app, &bound, "databases/current/", json!({ "metadata": { "b": large } })).await,
            patch_as(&app, &root, "organizations/current/", json!({ "metadata": { "b": large } })).await,
            patch_as(&app, &root, "accounts/service/", json!({ "name": "export", "metadata": large })).await,
            patch_as(&app, &root, "accounts/individual/", json!({ "email": ROOT, "metadata": large })).await,
            post_as(&app, &root, "accounts/service/keys/", json!({ "name": "export", "metadata": large })).await,
            post_as(&app, &root, "accounts/service/", json!({ "name": "import", "role": "backend", "metadata": large })).await,
        ] {
            assert_exceeded(&answer, full);
        }
        // What does not grow is taken, and what shrinks makes room.
        let same = json!({ "metadata": { "a": "y".repeat(392) } });
        patch_as(&app, &root, "organizations/current/", same).await.assert_status(200);
        patch_as(&app, &root, "organizations/current/", json!({ "metadata": { "a": null } })).await.assert_status(200);
        patch_as(&app, &bound, "databases/current/", json!({ "metadata": { "b": large } })).await.assert_status(200);
    }

    async fn resolved_sessions_have_a_quota_at_sign_in_and_beside(engine: Engine) {
        let (app, root) = with_quotas(engine, Quotas { resolved_sessions: 2, ..Quotas::default() }).await;
        post_as(&app, &root, "databases/", database("films", &json!({}))).await.assert_status(200);
        let bound = app.bound(&root, json!({ "db_name": "films" })).await;
        app.add_service(&root, "shop", "frontend").await;
        let login = async |session: &str| {
            let ids = json!({ "db_name": "films", "frontend_user_id": 1, "frontend_session_id": session });
            app.log_in("service", "shop", ids).await
        };
        let resolve = async |session: &str, user: u32| {
            post_as(&app, &bound, &format!("sessions/{session}/resolve/"), json!({ "user_id": user })).await
        };
        resolve("a", 1).await.assert_status(200);
        login("b").await.assert_status(200);
        assert_exceeded(&resolve("c", 1).await, "2 resolved sessions");
        assert_exceeded(&login("c").await, "2 resolved sessions");
        // Those that are known may be resolved again.
        resolve("a", 2).await.assert_status(200);
        login("b").await.assert_status(200);
        assert_eq!(app.sql_count("select count(*) from resolved_sessions").await, 2);
    }

    async fn of_many_who_add_at_once_as_many_succeed_as_fit(engine: Engine) {
        let (app, root) = with_quotas(engine, Quotas { databases: 5, metadata_bytes: 10_000, ..Quotas::default() }).await;
        let (app, token) = (std::sync::Arc::new(app), root.access_token.clone());
        let statuses = concurrently(12, |number| {
            let (app, token) = (std::sync::Arc::clone(&app), token.clone());
            async move {
                let body = database(&format!("films {number}"), &json!({}));
                app.post("/v1/databases/").bearer(&token).json(&body).send().await.status
            }
        })
        .await;
        assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 5, "{statuses:?}");
        assert_eq!(statuses.iter().filter(|status| **status == 400).count(), 7, "{statuses:?}");
        assert_eq!(app.sql_count("select count(*) from databases").await, 5);
    }
}

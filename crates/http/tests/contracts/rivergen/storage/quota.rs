//! GET /api/v1/storage/quota and /usage, and that the quota holds.

use std::sync::Arc;

use serde_json::json;
use tidegate_kernel::Call;
use tidegate_storage::StorageLimits;
use tidegate_testkit::{Client, Engine, Person, TestApp, concurrently, on_both_engines};

use super::super::wire::{assert_data, url};
use super::{
    ADA, Parts, Small, assert_no_drift, file, files_on_disk, get, remove, staged_on_disk, stored, upload,
    uploading, used,
};

async fn upload_to(client: &Client, who: &Person, parts: Parts) -> u16 {
    let request = client.post(&url("storage/upload")).bearer(&who.access_token);
    parts.on(request).send().await.status
}

on_both_engines! {
    async fn what_may_be_kept_and_is_kept_is_told(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let quota = get(&app, &ada, "storage/quota").send().await;
        assert_eq!(quota.field("message"), "Storage quota retrieved successfully");
        assert_data(&quota, 200, &json!({ "limit_bytes": 10_737_418_240_u64, "limit_mb": 10_240.0, "limit_gb": 10.0 }));
        stored(&app, &ada, "a.csv", &vec![b'x'; 2 * 1024 * 1024]).await;
        let usage = get(&app, &ada, "storage/usage").send().await;
        assert_eq!(usage.field("message"), "Storage usage retrieved successfully");
        assert_data(&usage, 200, &json!({
            "used_bytes": 2_097_152, "used_mb": 2.0, "used_gb": 0.0,
            "limit_bytes": 10_737_418_240_u64, "limit_mb": 10_240.0, "limit_gb": 10.0,
            "available_bytes": 10_735_321_088_u64, "usage_percentage": 0.02, "file_count": 1,
        }));
    }

    async fn the_last_byte_that_fits_is_taken_and_no_more(app: Small) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        stored(&app, &ada, "a.csv", &vec![b'x'; 10_000]).await;
        let object = stored(&app, &ada, "b.csv", &vec![b'x'; 9_000]).await;
        let refused = upload(&app, &ada, file("c.csv", &vec![b'x'; 1_001])).await;
        refused.assert_error(413, "REQUEST_ENTITY_TOO_LARGE");
        let chunked = file("c.csv", &vec![b'x'; 1_001]).chunked_on(uploading(&app, &ada)).send().await;
        chunked.assert_error(413, "REQUEST_ENTITY_TOO_LARGE");
        stored(&app, &ada, "c.csv", &vec![b'x'; 1_000]).await;
        upload(&app, &ada, file("d.csv", b"x")).await.assert_error(413, "REQUEST_ENTITY_TOO_LARGE");
        // A file of nothing takes nothing.
        upload(&app, &ada, file("d.csv", b"")).await.assert_status(201);
        let usage = get(&app, &ada, "storage/usage").send().await;
        assert_eq!((usage.field("data.usage_percentage"), usage.field("data.available_bytes")), (&json!(100.0), &json!(0)));
        remove(&app, &ada, &object).await.assert_status(200);
        stored(&app, &ada, "d.csv", &vec![b'x'; 9_000]).await;
        assert_no_drift(&app).await;
        assert_eq!(staged_on_disk(&app), 0);
    }

    async fn fifty_uploads_race_for_the_last_bytes(app: Small) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let other = app.another_node().await;
        stored(&app, &ada, "a.csv", &vec![b'x'; 10_000]).await;
        // Ten of a thousand bytes are left room for, on two nodes.
        let content = Arc::new(vec![b'x'; 1_000]);
        let clients = [app.client(), other.client()];
        let statuses = concurrently(50, |number| {
            let (client, ada, content) = (clients[number % 2].clone(), ada.clone(), Arc::clone(&content));
            async move { upload_to(&client, &ada, file("b.csv", &content)).await }
        });
        let statuses = statuses.await;
        let count = |status: u16| statuses.iter().filter(|one| **one == status).count();
        assert_eq!((count(201), count(413)), (10, 40), "{statuses:?}");
        assert_eq!((used(&app, &ada).await, files_on_disk(&app).len(), staged_on_disk(&app)), (20_000, 11, 0));
        assert_no_drift(&app).await;
    }

    async fn one_of_many_removals_gives_the_bytes_back(app: Small) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", &vec![b'x'; 9_000]).await;
        stored(&app, &ada, "b.csv", &vec![b'x'; 500]).await;
        let removals = concurrently(10, |_| {
            let (client, token, path) = (app.client(), ada.access_token.clone(), url(&format!("storage/objects/{object}")));
            async move { client.delete(&path).bearer(&token).send().await.status }
        });
        let mut statuses = removals.await;
        statuses.sort_unstable();
        assert_eq!(statuses, [vec![200], vec![404; 9]].concat());
        assert_eq!(used(&app, &ada).await, 500);
        assert_no_drift(&app).await;
    }

    async fn an_operator_sets_what_an_organization_may_keep(app: Small) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let number = app.sql_count("select number from organizations").await;
        let organization = app.oauth().organization_numbered(number).await.unwrap().unwrap();
        let call = Call::from_cli(app.kernel().settings().contracts.of_installation());
        let set = async |limit| app.storage().set_storage_limit(&call, organization, limit).await.unwrap().unwrap();
        assert_eq!(set(Some(100)).await.limit, 100);
        upload(&app, &ada, file("a.csv", &[b'x'; 101])).await.assert_error(413, "REQUEST_ENTITY_TOO_LARGE");
        stored(&app, &ada, "a.csv", &[b'x'; 100]).await;
        assert_eq!(get(&app, &ada, "storage/quota").send().await.field("data.limit_bytes"), 100);
        // What is stored stays, and nothing is added.
        assert_eq!(set(Some(10)).await.used, 100);
        let usage = get(&app, &ada, "storage/usage").send().await;
        assert_eq!((usage.field("data.available_bytes"), usage.field("data.usage_percentage")), (&json!(0), &json!(100.0)));
        upload(&app, &ada, file("b.csv", b"x")).await.assert_error(413, "REQUEST_ENTITY_TOO_LARGE");
        assert_eq!(set(None).await.limit, 20_000);
        stored(&app, &ada, "b.csv", b"x").await;
        assert_eq!(app.sql_count("select count(*) from audit_events where action = 'storage.limit.changed'").await, 3);
    }

    async fn a_plan_says_what_its_organizations_may_keep(engine: Engine) {
        let limits = StorageLimits { plans: [("gold".to_owned(), 5)].into(), organization_bytes: 3, ..StorageLimits::default() };
        let app = TestApp::builder(engine).file_limits(limits).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        upload(&app, &ada, file("a.csv", b"four")).await.assert_error(413, "REQUEST_ENTITY_TOO_LARGE");
        app.sql("update organizations set plan = 'gold'").await;
        stored(&app, &ada, "a.csv", b"four").await;
    }
}

//! Whose files they are: roles, scopes, other people.

use serde_json::json;
use tidegate_domain::EmailAddress;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_testkit::{PASSWORD, Person, TestApp, on_both_engines};

use super::super::wire::{post, post_as, tokens};
use super::{
    ADA, BOB, BUCKET, assert_no_drift, file, files_on_disk, get, remove, signed, stored, upload, used,
};

async fn at_rivergen(app: &TestApp, who: &Person) -> Person {
    let body = json!({ "email": who.email, "password": PASSWORD });
    tokens(who, post(app, "auth/login", &body).send().await.assert_status(200))
}

/// Another's keys, and keys that are none: all look alike.
async fn foreign_keys(app: &TestApp, object: &str) -> Vec<String> {
    let (folder, name) = object.rsplit_once('/').unwrap();
    let sibling = app.sql_count("select max(number) + 1 from accounts").await;
    let (organization, _) = folder.split_once("/files/").unwrap();
    vec![
        object.to_owned(),
        format!("{object}x"),
        format!("{organization}/files/{sibling}/{name}"),
        format!("organizations/999999/files/1/{name}"),
        "etc/passwd".to_owned(),
        "..%2f..%2fetc%2fpasswd".to_owned(),
        "organizations".to_owned(),
        "a%00b".to_owned(),
        "%ff%fe".to_owned(),
    ]
}

on_both_engines! {
    async fn other_peoples_files_are_as_unknown_ones(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"id\n").await;
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        let mut texts = Vec::new();
        for key in foreign_keys(&app, &object).await {
            for path in [format!("storage/objects/{key}/metadata"), format!("storage/objects/{key}/presigned-url")] {
                let answer = get(&app, &eve, &path).send().await;
                answer.assert_error(403, "FORBIDDEN");
                texts.push(answer.text);
            }
            let answer = remove(&app, &eve, &key).await;
            answer.assert_error(403, "FORBIDDEN");
            texts.push(answer.text);
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
        // Through a folder of her own, too.
        let own = stored(&app, &eve, "b.csv", b"id\n").await;
        let folder = own.rsplit_once('/').unwrap().0;
        let around = format!("{folder}/../../../1/files/1/{}", object.rsplit('/').next().unwrap());
        let encoded = around.replace("..", "%2e%2e");
        for key in [around, encoded] {
            get(&app, &eve, &format!("storage/objects/{key}/metadata")).send().await.assert_error(403, "FORBIDDEN");
        }
        let list = get(&app, &eve, "storage/files").send().await;
        assert_eq!(list.field("data.pagination.total_count"), 1);
        get(&app, &ada, &format!("storage/objects/{object}/metadata")).send().await.assert_status(200);
    }

    async fn other_buckets_and_prefixes_are_as_unknown_ones(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"id\n").await;
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        let folder = object.rsplit_once('/').unwrap().0;
        let mut texts = Vec::new();
        for path in [
            "storage/buckets/other/objects".to_owned(),
            "storage/buckets/%2e%2e/objects".to_owned(),
            format!("storage/buckets/{}/objects", BUCKET.to_uppercase()),
            format!("storage/buckets/{BUCKET}/objects?prefix={folder}/"),
            format!("storage/buckets/{BUCKET}/objects?prefix=organizations/"),
            format!("storage/buckets/{BUCKET}/objects?prefix="),
            format!("storage/buckets/{BUCKET}/objects?prefix=/"),
            format!("storage/buckets/{BUCKET}/objects?prefix=organizations/2/files/2/../../1"),
            format!("storage/buckets/{BUCKET}/objects?prefix=%00"),
        ] {
            let answer = get(&app, &eve, &path).send().await;
            answer.assert_error(403, "FORBIDDEN");
            texts.push(answer.text);
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
    }

    async fn colleagues_share_a_quota_and_no_files(app: TestApp) {
        let root = app.provision("root@example.com").await;
        let bob = app.add_individual(&root, BOB, "backend").await;
        let (root, bob) = (at_rivergen(&app, &root).await, at_rivergen(&app, &bob).await);
        let object = stored(&app, &bob, "a.csv", b"id\n").await;
        get(&app, &root, &format!("storage/objects/{object}/metadata")).send().await.assert_error(403, "FORBIDDEN");
        remove(&app, &root, &object).await.assert_error(403, "FORBIDDEN");
        assert_eq!(get(&app, &root, "storage/files").send().await.field("data.pagination.total_count"), 0);
        assert_eq!(used(&app, &root).await, 3);
    }

    async fn an_export_has_the_files_of_its_owner_alone(app: TestApp) {
        let root = app.provision("root@example.com").await;
        let bob = at_rivergen(&app, &app.add_individual(&root, BOB, "backend").await).await;
        let root = at_rivergen(&app, &root).await;
        stored(&app, &root, "hers.csv", b"id\n").await;
        let object = stored(&app, &bob, "a.csv", b"12345678").await;
        let gone = stored(&app, &bob, "gone.csv", b"1").await;
        remove(&app, &bob, &gone).await.assert_status(200);
        let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
        let name = AccountName::Login(EmailAddress::parse(BOB).unwrap().into());
        let export = app.identity().export_account(&operator, &name).await.unwrap();
        let files = export["files"].as_array().unwrap();
        assert_eq!(files.len(), 1, "{files:?}");
        assert_eq!((&files[0]["object_name"], &files[0]["size_bytes"]), (&json!(object), &json!(8)));
        assert_eq!((&files[0]["file_name"], &files[0]["content_type"]), (&json!("a.csv"), &json!("text/csv")));
    }

    // Nobody reaches them any more, not even to remove them, and they would count for ever.
    async fn files_of_who_leaves_an_organization_go_and_count_no_more(app: TestApp) {
        let root = app.provision("root@example.com").await;
        let bob = app.add_individual(&root, BOB, "backend").await;
        let (root, bob) = (at_rivergen(&app, &root).await, at_rivergen(&app, &bob).await);
        let kept = stored(&app, &root, "kept.csv", b"kept").await;
        let gone = stored(&app, &bob, "gone.csv", b"12345678").await;
        let lost = stored(&app, &bob, "lost.csv", b"1234").await;
        std::fs::remove_file(app.files_directory().join(&lost)).unwrap();
        app.storage().compare_with_store().await.unwrap();
        app.storage().settle_unfinished().await.unwrap();
        assert_eq!((files_on_disk(&app).len(), used(&app, &root).await), (2, 12), "he is a member");
        app.sql("delete from membership_workspaces where membership_id in
            (select id from memberships where role = 'developer'); delete from memberships where role = 'developer'").await;
        app.storage().compare_with_store().await.unwrap();
        app.storage().settle_unfinished().await.unwrap();
        assert_eq!((files_on_disk(&app).len(), used(&app, &root).await), (1, 4));
        assert_eq!(app.sql_count("select count(*) from storage_files where state = 'removed'").await, 2);
        get(&app, &root, &format!("storage/objects/{kept}/metadata")).send().await.assert_status(200);
        get(&app, &root, &format!("storage/objects/{gone}/metadata")).send().await.assert_error(403, "FORBIDDEN");
        assert_no_drift(&app).await;
    }

    async fn viewers_read_and_developers_upload(app: TestApp) {
        let root = app.provision("root@example.com").await;
        let bob = at_rivergen(&app, &app.add_individual(&root, BOB, "backend").await).await;
        let object = stored(&app, &bob, "a.csv", b"id\n").await;
        app.sql("update memberships set role = 'viewer' where role = 'developer'").await;
        let bob = at_rivergen(&app, &bob).await;
        get(&app, &bob, "storage/files").send().await.assert_status(200);
        let url = signed(&app, &bob, &object).await;
        app.get(&url).send().await.assert_status(200);
        upload(&app, &bob, file("b.csv", b"id\n")).await.assert_error(403, "FORBIDDEN");
        remove(&app, &bob, &object).await.assert_error(403, "FORBIDDEN");
    }

    async fn tokens_reach_as_far_as_their_scopes(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"id\n").await;
        let token = async |scope: &str| {
            let body = json!({ "name": "Build server", "scopes": [scope] });
            let made = post_as(&app, &ada, "auth/tokens", &body).send().await;
            Person { access_token: made.assert_status(201).text_at("data.token"), ..ada.clone() }
        };
        for (scope, reads, writes) in [
            ("data:read", true, false),
            ("data:write", false, true),
            ("read", true, false),
            ("write", false, true),
            ("admin", true, true),
            ("organization:read", false, false),
        ] {
            let with = token(scope).await;
            let read = get(&app, &with, &format!("storage/objects/{object}/metadata")).send().await;
            assert_eq!(read.status, if reads { 200 } else { 403 }, "{scope} {}", read.text);
            let wrote = upload(&app, &with, file("b.csv", b"id\n")).await;
            assert_eq!(wrote.status, if writes { 201 } else { 403 }, "{scope} {}", wrote.text);
        }
    }
}

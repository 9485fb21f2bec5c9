//! Files, objects, buckets, metadata: what is there.

use serde_json::json;
use tidegate_testkit::{TestApp, on_both_engines};

use super::super::wire::{assert_data, wait};
use super::{ADA, BUCKET, Parts, file, files_on_disk, get, names, path_of, remove, stored, upload, used};

on_both_engines! {
    async fn files_are_listed_page_by_page_the_newest_first(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let empty = get(&app, &ada, "storage/files").send().await;
        assert_data(&empty, 200, &json!({ "items": [], "pagination": {
            "page": 1, "page_size": 20, "total_count": 0, "total_pages": 0, "has_next": false, "has_previous": false,
        }}));
        for number in 1..=3 {
            wait(&app, 1);
            stored(&app, &ada, &format!("{number}.csv"), b"id\n").await;
        }
        let png = b"\x89PNG\r\n\x1a\n".repeat(2_000);
        upload(&app, &ada, file("me.png", &png).text("file_category", "profile_image")).await.assert_status(201);
        let page = get(&app, &ada, "storage/files?page=1&page_size=3").send().await;
        assert_eq!(page.field("message"), "Files retrieved successfully");
        assert_eq!(names(page.field("data.items"), "file_name"), ["me.png", "3.csv", "2.csv"]);
        assert_eq!(page.field("data.pagination"), &json!({
            "page": 1, "page_size": 3, "total_count": 4, "total_pages": 2, "has_next": true, "has_previous": false,
        }));
        let item = page.field("data.items.0");
        let mut keys: Vec<&String> = item.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, [
            "content_type", "data_source_id", "file_category", "file_name", "object_name", "presigned_url", "size_bytes", "size_mb",
            "storage_file_id", "uploaded_at", "workspace_id",
        ]);
        assert_eq!((&item["size_bytes"], &item["size_mb"], &item["file_category"]), (&json!(16_000), &json!(0.02), &json!("profile_image")));
        let url = path_of(item["presigned_url"].as_str().unwrap());
        app.get(&url).send().await.assert_status(200);
        let second = get(&app, &ada, "storage/files?page=2&page_size=3").send().await;
        assert_eq!(names(second.field("data.items"), "file_name"), ["1.csv"]);
        let beyond = get(&app, &ada, "storage/files?page=9223372036854775807&page_size=100").send().await;
        assert_eq!(beyond.assert_status(200).field("data.items"), &json!([]));
        let pictures = get(&app, &ada, "storage/files?file_category=profile_image").send().await;
        assert_eq!(names(pictures.field("data.items"), "file_name"), ["me.png"]);
        for wrong in ["page=0", "page=x", "page_size=0", "page_size=101", "file_category=pictures", "page=1&page=2"] {
            get(&app, &ada, &format!("storage/files?{wrong}")).send().await.assert_error(422, "VALIDATION_ERROR");
        }
        wait(&app, 3_600);
        app.get(&url).send().await.assert_status(403);
    }

    async fn objects_are_listed_by_prefix(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let at_top = stored(&app, &ada, "a.csv", b"id\n").await;
        let below = upload(&app, &ada, file("b.csv", b"id\n1\n").text("path", "sales/2026")).await.text_at("data.file_path");
        let folder = at_top.rsplit_once('/').unwrap().0.to_owned();
        let list = get(&app, &ada, &format!("storage/buckets/{BUCKET}/objects")).send().await;
        assert_eq!(list.assert_status(200).field("message"), "Objects retrieved successfully");
        assert_eq!(names(list.field("data.objects"), "name"), [at_top.clone(), below.clone()]);
        let slash = format!("{folder}/");
        assert_eq!((list.text_at("data.bucket"), list.text_at("data.user_folder"), list.text_at("data.prefix")), (BUCKET.to_owned(), slash.clone(), slash));
        let etag = list.text_at("data.objects.0.etag");
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() == 34, "{etag}");
        let shown = async |query: String| {
            let list = get(&app, &ada, &format!("storage/buckets/{BUCKET}/objects?{query}")).send().await;
            names(list.assert_status(200).field("data.objects"), "name")
        };
        assert_eq!(shown("recursive=false".to_owned()).await, std::slice::from_ref(&at_top));
        assert_eq!(shown(format!("prefix={folder}")).await.len(), 2);
        assert_eq!(shown(format!("prefix={folder}/sales")).await, std::slice::from_ref(&below));
        assert_eq!(shown(format!("prefix={folder}/sales&recursive=false")).await, Vec::<String>::new());
        assert_eq!(shown(format!("prefix={folder}/sales/2026/&recursive=false")).await, std::slice::from_ref(&below));
        assert_eq!(shown(format!("prefix={folder}/a_")).await, std::slice::from_ref(&at_top));
        assert_eq!(shown(format!("prefix={folder}/_")).await, Vec::<String>::new());
        get(&app, &ada, &format!("storage/buckets/{BUCKET}/objects?recursive=maybe")).send().await.assert_error(422, "VALIDATION_ERROR");
    }

    async fn metadata_tells_what_an_object_is(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"id\n").await;
        let listed = get(&app, &ada, &format!("storage/buckets/{BUCKET}/objects")).send().await;
        let encoded = object.replace('/', "%2F");
        for name in [&object, &encoded] {
            let answer = get(&app, &ada, &format!("storage/objects/{name}/metadata")).send().await;
            assert_eq!(answer.field("message"), "File metadata retrieved successfully");
            assert_data(&answer, 200, &json!({
                "name": object, "size": 3, "content_type": "text/csv",
                "last_modified": listed.field("data.objects.0.last_modified"), "etag": listed.field("data.objects.0.etag"),
            }));
        }
        // Decoded once, and no more.
        let twice = object.replace('/', "%252F");
        get(&app, &ada, &format!("storage/objects/{twice}/metadata")).send().await.assert_error(403, "FORBIDDEN");
        let missing = format!("{object}x");
        get(&app, &ada, &format!("storage/objects/{missing}/metadata")).send().await.assert_error(404, "NOT_FOUND");
        get(&app, &ada, &format!("storage/objects/{object}")).send().await.assert_error(405, "METHOD_NOT_ALLOWED");
    }

    async fn the_longest_name_is_asked_about(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let parts = Parts::default().text("path", "metadata/presigned-url").file("a.csv", b"id\n");
        let object = upload(&app, &ada, parts).await.text_at("data.file_path");
        assert!(object.contains("/metadata/presigned-url/a_"), "{object}");
        let answer = get(&app, &ada, &format!("storage/objects/{object}/metadata")).send().await;
        assert_eq!(answer.assert_status(200).text_at("data.name"), object);
        remove(&app, &ada, &object).await.assert_status(200);
    }

    async fn there_is_one_bucket(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let answer = get(&app, &ada, "storage/buckets").send().await;
        assert_eq!(answer.assert_status(200).field("message"), "Buckets retrieved successfully");
        assert_eq!(answer.field("data.buckets").as_array().unwrap().len(), 1);
        assert_eq!(answer.text_at("data.buckets.0.name"), BUCKET);
        assert!(answer.text_at("data.buckets.0.created_at").ends_with('Z'));
    }

    async fn removing_is_for_good(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"id\n").await;
        let answer = remove(&app, &ada, &object).await;
        assert_eq!(answer.field("message"), "File deleted successfully");
        assert_data(&answer, 200, &json!({ "object_name": object }));
        remove(&app, &ada, &object).await.assert_error(404, "NOT_FOUND");
        get(&app, &ada, &format!("storage/objects/{object}/metadata")).send().await.assert_error(404, "NOT_FOUND");
        get(&app, &ada, &format!("storage/objects/{object}/presigned-url")).send().await.assert_error(404, "NOT_FOUND");
        assert!(files_on_disk(&app).is_empty());
        assert_eq!(used(&app, &ada).await, 0);
        // That there was one stays known, what it was called does not.
        assert_eq!(app.sql_count("select count(*) from storage_files where state = 'removed' and file_name = ''").await, 1);
    }
}

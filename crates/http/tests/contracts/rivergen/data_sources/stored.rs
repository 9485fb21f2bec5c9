//! Data sources of files that the storage keeps.

use serde_json::json;
use tidegate_testkit::{Engine, Person, TestApp, on_both_engines};

use super::wire::{
    ADA, create, created, get, member, owner, patch, post, run_jobs, signed_in, start, status,
};

const CSV: &str = "id,name\n1,tea\n2,coffee\n";

/// Uploads a file; answers its name in the storage.
async fn uploaded(app: &TestApp, who: &Person, name: &str, content: &str) -> String {
    let form = format!(
        "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{content}\r\n--b--\r\n"
    );
    let request = app.post("/api/v1/storage/upload").bearer(&who.access_token);
    let answer = request.body("multipart/form-data; boundary=b", form).send().await;
    answer.assert_status(201).text_at("data.file_path")
}

fn of_file(object: &str) -> serde_json::Value {
    json!({ "name": "Goods", "type": "csv", "file_path": object, "max_retries": 0 })
}

on_both_engines! {
    async fn an_uploaded_file_is_a_source_until_it_is_removed(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let object = uploaded(&app, &ada, "goods.csv", CSV).await;
        let other = uploaded(&app, &ada, "other.csv", CSV).await;
        let number = created(&app, &ada, &of_file(&object)).await;
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
        let schemas = get(&app, &ada, &format!("/{number}/schemas")).await;
        let table = schemas.assert_status(200).field("data.schemas.0.tables.0");
        assert_eq!((&table["table_name"], &table["columns"][1]["column_name"]), (&json!("goods"), &json!("name")));
        // Its URL answers the file to whoever has it.
        let url = get(&app, &ada, &format!("/{number}/file-url?expires_seconds=60")).await.text_at("data.url");
        let path = url.strip_prefix(tidegate_testkit::PUBLIC_URL).expect("at the public URL");
        assert_eq!(app.get(path).send().await.assert_status(200).text, CSV);
        // The list of files names the source that is made of each.
        let files = app.get("/api/v1/storage/files").bearer(&ada.access_token).send().await;
        for item in files.assert_status(200).field("data.items").as_array().unwrap() {
            let source = if item["object_name"] == json!(object) { json!(number) } else { json!(null) };
            assert_eq!(item["data_source_id"], source, "{item}");
        }
        let removed = app.delete(&format!("/api/v1/storage/objects/{object}")).bearer(&ada.access_token).send().await;
        removed.assert_status(200);
        app.get(path).send().await.assert_status(404);
        get(&app, &ada, &format!("/{number}/file-url")).await.assert_error(404, "NOT_FOUND");
        // What is open is a copy; opened anew, the source says what is missing.
        patch(&app, &ada, &format!("/{number}/credentials"), &json!({})).await.assert_status(200);
        let tested = post(&app, &ada, &format!("/{number}/test")).await;
        assert_eq!(tested.assert_status(200).field("data.error_code"), &json!("FILE_NOT_FOUND"), "{}", tested.text);
        // Another file takes its place.
        patch(&app, &ada, &format!("/{number}"), &json!({ "file_path": other })).await.assert_status(200);
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
    }

    async fn nobody_makes_a_source_of_anothers_file(engine: Engine) {
        let app = start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let bob = member(&app, &manager, "bob@example.com", "backend").await;
        let eve = owner(&app, "eve@example.com").await;
        let object = uploaded(&app, &ada, "goods.csv", CSV).await;
        let missing = create(&app, &eve, &of_file(&format!("{object}x"))).await;
        missing.assert_error(404, "NOT_FOUND");
        // One of another tenant, and one of a colleague, are as if they were not there.
        for stranger in [&eve, &bob] {
            let stolen = create(&app, stranger, &of_file(&object)).await;
            stolen.assert_error(404, "NOT_FOUND");
            assert_eq!(stolen.field("error.message"), missing.field("error.message"));
        }
        // Nobody reaches another's folder, admins neither: a source of a file has a URL of it.
        let bobs = uploaded(&app, &bob, "bobs.csv", CSV).await;
        create(&app, &ada, &of_file(&bobs)).await.assert_error(404, "NOT_FOUND");
        let own = created(&app, &ada, &of_file(&object)).await;
        patch(&app, &ada, &format!("/{own}"), &json!({ "file_path": bobs })).await.assert_error(404, "NOT_FOUND");
    }
}

//! Data sources of files that the storage keeps.

use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{Engine, Person, TestApp, on_both_engines};

use super::wire::{
    ADA, builder, create, created, get, member, owner, patch, post, run_jobs, signed_in, start, status,
};
use crate::watch::Statements;

const CSV: &str = "id,name\n1,tea\n2,coffee\n";

/// Uploads a file; answers its name in the storage.
async fn uploaded(app: &TestApp, who: &Person, name: &str, content: impl AsRef<[u8]>) -> String {
    let head = format!("--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n");
    let form = [head.as_bytes(), content.as_ref(), b"\r\n--b--\r\n"].concat();
    let request = app.post("/api/v1/storage/upload").bearer(&who.access_token);
    let answer = request.body("multipart/form-data; boundary=b", form).send().await;
    answer.assert_status(201).text_at("data.file_path")
}

/// What is said of a data source whose file was removed.
fn said_of_removed(object: &str, number: i64) -> String {
    let name = object.rsplit('/').next().unwrap();
    format!(
        "The file {name} does not exist any more. Upload it again, and send its new file_path with PATCH /api/v1/data-sources/{number}; or \
         delete the data source."
    )
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
        let warning = removed.assert_status(200).text_at("data.warnings.0");
        let expected = "read this file, and does not answer any more: give it another file_path, or delete it.";
        assert_eq!(warning, format!("The data source Goods ({number}) {expected}"));
        // At once, and not when it is tested next.
        let said = said_of_removed(&object, number);
        let health = get(&app, &ada, &format!("/{number}/health")).await;
        assert_eq!(health.field("data.current_status"), &json!("failed"));
        assert_eq!(health.text_at("data.failure_reason"), said);
        assert_eq!(status(&app, &ada, number).await, "failed");
        assert_eq!(get(&app, &ada, &format!("/{number}")).await.text_at("data.failure_reason"), said);
        app.get(path).send().await.assert_status(404);
        get(&app, &ada, &format!("/{number}/file-url")).await.assert_error(404, "NOT_FOUND");
        // What was open is a copy, and ends with the file.
        let tested = post(&app, &ada, &format!("/{number}/test")).await;
        assert_eq!(tested.assert_status(200).field("data.error_code"), &json!("FILE_NOT_FOUND"), "{}", tested.text);
        assert_eq!(tested.text_at("data.error_message"), said);
        // Another file takes its place.
        patch(&app, &ada, &format!("/{number}"), &json!({ "file_path": other })).await.assert_status(200);
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
        assert_eq!(get(&app, &ada, &format!("/{number}/health")).await.field("data").get("failure_reason"), None);
    }

    // The file of the next month: nothing fails, and the rows are those of this one.
    async fn who_uploads_a_newer_file_of_the_name_is_told_that_the_source_reads_the_earlier_one(engine: Engine) {
        let app = start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let bob = member(&app, &manager, "bob@example.com", "backend").await;
        let january = uploaded(&app, &ada, "goods.csv", CSV).await;
        let number = created(&app, &ada, &of_file(&january)).await;
        run_jobs(&app).await;
        let warnings = async |who: &Person, what: &str| {
            let answer = post(&app, who, &format!("/{number}/{what}")).await;
            answer.assert_status(200).field("data").get("warnings").cloned()
        };
        assert_eq!(warnings(&ada, "test").await, None);
        // Neither other files of hers, nor what others have uploaded, are meant.
        uploaded(&app, &ada, "others.csv", CSV).await;
        uploaded(&app, &bob, "goods.csv", CSV).await;
        assert_eq!(warnings(&ada, "test").await, None);
        let february = uploaded(&app, &ada, "goods.csv", "id,name\n1,cocoa\n").await;
        for what in ["test", "discover-schema", "discover-schema?refresh=true"] {
            let told = warnings(&ada, what).await.unwrap_or_default();
            let told = told[0].as_str().unwrap_or_default().to_owned();
            let stored = january.rsplit('/').next().unwrap();
            assert!(told.starts_with(&format!("It reads {stored}. A newer file goods.csv was uploaded at 2")), "{what}: {told}");
            let change = format!("PATCH /api/v1/data-sources/{number} with {{\"file_path\":\"{february}\"}} has it read in its place.");
            assert!(told.ends_with(&change), "{what}: {told}");
        }
        patch(&app, &ada, &format!("/{number}"), &json!({ "file_path": february })).await.assert_status(200);
        run_jobs(&app).await;
        assert_eq!(warnings(&ada, "test").await, None);
        let query = json!({ "sql": "select name from goods", "selected_data_source_ids": [number] });
        let asked = app.post("/api/v1/queries/execute").bearer(&ada.access_token).json(&query).send().await;
        assert_eq!(asked.assert_status(200).field("data.result_preview"), &json!([{ "name": "cocoa" }]), "{}", asked.text);
        // One that another source is made of is not meant for this one.
        let march = uploaded(&app, &ada, "goods.csv", CSV).await;
        created(&app, &ada, &of_file(&march)).await;
        assert_eq!(warnings(&ada, "test").await, None);
    }

    async fn no_node_reads_its_copy_of_a_file_that_was_removed(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let object = uploaded(&app, &ada, "goods.csv", CSV).await;
        let number = created(&app, &ada, &of_file(&object)).await;
        run_jobs(&app).await;
        let other = app.another_node().await;
        let query = json!({ "sql": "select name from goods order by name", "selected_data_source_ids": [number] });
        let mut shown = Vec::new();
        for client in [app.client(), other.client()] {
            let asked = client.post("/api/v1/queries/execute").bearer(&ada.access_token).json(&query).send().await;
            assert_eq!(asked.assert_status(200).field("data.result_preview.0.name"), "coffee", "{}", asked.text);
            shown.push(asked.field("data.execution_id").clone());
        }
        let removed = app.delete(&format!("/api/v1/storage/objects/{object}")).bearer(&ada.access_token).send().await;
        removed.assert_status(200);
        for client in [other.client(), app.client()] {
            let asked = client.post("/api/v1/queries/execute").bearer(&ada.access_token).json(&query).send().await;
            let told = asked.assert_status(200).text_at("data.error_message");
            let away = "The data source goods does not answer (FILE_NOT_FOUND).";
            assert_eq!(told, format!("{away} {}", said_of_removed(&object, number)), "{}", asked.text);
            assert_eq!(asked.field("data.error_code"), "source_unavailable");
            // What was shown before was of that file, too.
            for number in &shown {
                let kept = client.get(&format!("/api/v1/queries/{number}")).bearer(&ada.access_token).send().await;
                assert_eq!(kept.assert_status(200).field("data.status"), "completed");
                assert!(!kept.text.contains("coffee"), "{}", kept.text);
            }
        }
        let discovered = post(&app, &ada, &format!("/{number}/discover-schema?refresh=true")).await;
        discovered.assert_error(400, "BAD_REQUEST");
        let told = format!("FILE_NOT_FOUND: {}", said_of_removed(&object, number));
        assert_eq!(discovered.text_at("error.message"), told);
        // What comes in its place is read by all of them.
        let next = uploaded(&app, &ada, "goods.csv", "id,name\n1,cocoa\n").await;
        patch(&app, &ada, &format!("/{number}"), &json!({ "file_path": next })).await.assert_status(200);
        run_jobs(&app).await;
        app.advance(Duration::from_secs(3));
        for client in [other.client(), app.client()] {
            let asked = client.post("/api/v1/queries/execute").bearer(&ada.access_token).json(&query).send().await;
            assert_eq!(asked.assert_status(200).field("data.result_preview"), &json!([{ "name": "cocoa" }]), "{}", asked.text);
        }
    }

    // The server has a copy open, and answers from it.
    async fn a_test_misses_a_file_that_somebody_took_from_the_store_or_changed_there(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let object = uploaded(&app, &ada, "goods.csv", CSV).await;
        let number = created(&app, &ada, &of_file(&object)).await;
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
        let (path, name) = (app.files_directory().join(&object), object.rsplit('/').next().unwrap());
        std::fs::remove_file(&path).unwrap();
        let lost = format!("The file {name} was not removed here, and is not in the server's store any more. Upload it again");
        let tested = post(&app, &ada, &format!("/{number}/test")).await;
        assert_eq!(tested.assert_status(200).field("data.error_code"), &json!("FILE_NOT_FOUND"), "{}", tested.text);
        assert!(tested.text_at("data.error_message").starts_with(&lost), "{}", tested.text);
        // Nor is a copy of it read from now on.
        let query = json!({ "sql": "select name from goods", "selected_data_source_ids": [number] });
        let asked = app.post("/api/v1/queries/execute").bearer(&ada.access_token).json(&query).send().await;
        assert!(asked.assert_status(200).text_at("data.error_message").contains(&lost), "{}", asked.text);
        // It comes back, and goes again: a check that nobody asked for misses it, and so does a discovery.
        std::fs::write(&path, CSV).unwrap();
        let tested = post(&app, &ada, &format!("/{number}/test")).await;
        assert_eq!(tested.assert_status(200).field("data.status"), &json!("active"), "{}", tested.text);
        std::fs::remove_file(&path).unwrap();
        let discovered = post(&app, &ada, &format!("/{number}/discover-schema?refresh=true")).await;
        discovered.assert_error(400, "BAD_REQUEST");
        assert!(discovered.text_at("error.message").contains(&lost), "{}", discovered.text);
        std::fs::write(&path, CSV).unwrap();
        post(&app, &ada, &format!("/{number}/test")).await.assert_status(200);
        assert_eq!(status(&app, &ada, number).await, "active");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "id\n").unwrap();
        app.advance(Duration::from_secs(300));
        for outcome in app.kernel().run_job("data source schedule").await.unwrap() {
            outcome.unwrap();
        }
        run_jobs(&app).await;
        let shown = get(&app, &ada, &format!("/{number}")).await;
        assert_eq!(shown.assert_status(200).field("data.status"), &json!("failed"), "{}", shown.text);
        let changed = format!("The file {name} has 3 bytes in the server's store and had 23 when it was uploaded");
        assert!(shown.text_at("data.failure_reason").starts_with(&changed), "{}", shown.text);
    }

    async fn the_files_of_a_query_are_looked_for_at_once_however_many_there_are(engine: Engine) {
        let statements = Statements::containing("storage_files");
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let (mut objects, mut numbers) = (Vec::new(), Vec::new());
        for name in ["goods.csv", "north.csv", "east.csv", "south.csv", "west.csv"] {
            let object = uploaded(&app, &ada, name, CSV).await;
            numbers.push(created(&app, &ada, &of_file(&object)).await);
            objects.push(object);
            run_jobs(&app).await;
        }
        app.catch_up().await;
        let (mut costs, mut last) = (Vec::new(), json!(null));
        // The first one only warms up.
        for scope in [&numbers[..], &numbers[..1], &numbers[..]] {
            let before = statements.seen();
            let query = json!({ "sql": "select name from goods order by name", "selected_data_source_ids": scope });
            let asked = app.post("/api/v1/queries/execute").bearer(&ada.access_token).json(&query).send().await;
            assert_eq!(asked.assert_status(200).field("data.result_preview.0.name"), "coffee", "{}", asked.text);
            costs.push(statements.seen() - before);
            last = asked.field("data.execution_id").clone();
        }
        assert!(costs[1] > 0 && costs[1] == costs[2], "{costs:?}");
        // Each of them counts: rows that were kept of several files are shown as long as all are there.
        let kept = app.get(&format!("/api/v1/queries/{last}")).bearer(&ada.access_token).send().await;
        assert!(kept.assert_status(200).text.contains("coffee"), "{}", kept.text);
        let removed = app.delete(&format!("/api/v1/storage/objects/{}", objects[4])).bearer(&ada.access_token).send().await;
        removed.assert_status(200);
        let kept = app.get(&format!("/api/v1/queries/{last}")).bearer(&ada.access_token).send().await;
        assert!(!kept.assert_status(200).text.contains("coffee"), "{}", kept.text);
    }

    async fn copies_of_an_organizations_files_have_an_end_together(engine: Engine) {
        let app = builder(engine).data(|data| data.temporary_bytes_per_organization = 4 << 20).start().await;
        let (ada, eve) = (owner(&app, ADA).await, owner(&app, "eve@example.com").await);
        // Whoever reads a file reads a copy of it.
        let large = uploaded(&app, &ada, "large.csv", format!("id,name\n{}", "1,tea\n".repeat(900_000))).await;
        let number = created(&app, &ada, &of_file(&large)).await;
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "failed");
        let tested = post(&app, &ada, &format!("/{number}/test")).await;
        assert_eq!(tested.assert_status(200).field("data.error_code"), &json!("LOCAL_DISK"), "{}", tested.text);
        assert!(tested.text_at("data.error_message").contains("no room"), "{}", tested.text);
        // What was taken for it is given back, and another organization has room of its own.
        for who in [&ada, &eve] {
            let small = uploaded(&app, who, "small.csv", CSV).await;
            let number = created(&app, who, &of_file(&small)).await;
            run_jobs(&app).await;
            assert_eq!(status(&app, who, number).await, "active");
        }
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

    async fn a_file_that_cannot_be_read_says_so_in_the_contracts_codes_and_nothing_of_it(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let deep = "<planted>".repeat(100_000);
        let entities = "<!DOCTYPE b [<!ENTITY a 'planted'><!ENTITY b '&a;&a;&a;'>]><b><r>&b;</r><r>&b;</r></b>";
        let outside = "<!DOCTYPE b [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><b><r>&x;</r><r/></b>";
        for (kind, name, content) in [
            ("parquet", "cut.parquet", &b"PAR1 planted, and no footer PAR1"[..]),
            ("excel", "book.xlsx", b"PK\x03\x04 planted, and no archive"),
            ("json", "half.json", b"{\"planted\": [1, 2"),
            ("json", "no.json", b"planted is no JSON"),
            ("xml", "entities.xml", entities.as_bytes()),
            ("xml", "outside.xml", outside.as_bytes()),
            ("xml", "deep.xml", deep.as_bytes()),
            ("xml", "no.xml", b"planted"),
        ] {
            let object = uploaded(&app, &ada, name, content).await;
            let body = json!({ "name": name, "type": kind, "file_path": object, "max_retries": 0 });
            let number = created(&app, &ada, &body).await;
            run_jobs(&app).await;
            assert_eq!(status(&app, &ada, number).await, "failed", "{name}");
            let tested = post(&app, &ada, &format!("/{number}/test")).await;
            let data = tested.assert_status(200).field("data");
            assert_eq!((&data["connection_successful"], &data["status"]), (&json!(false), &json!("failed")), "{name}: {data}");
            assert_eq!(data["error_code"], "QUERY_ERROR", "{name}: {data}");
            assert_eq!((&data["test_query_result"], &data["response_time_ms"]), (&json!(null), &json!(null)), "{name}: {data}");
            assert!(!tested.text.contains("planted") && !tested.text.contains("root:"), "{name}: {}", tested.text);
            let discovered = post(&app, &ada, &format!("/{number}/discover-schema")).await;
            discovered.assert_error(400, "BAD_REQUEST");
            assert!(!discovered.text.contains("planted"), "{name}: {}", discovered.text);
            let schemas = get(&app, &ada, &format!("/{number}/schemas")).await;
            assert_eq!(schemas.assert_status(200).field("data.schemas"), &json!([]), "{name}");
        }
        assert_eq!(app.sql_count("select count(*) from data_sources where status = 'testing'").await, 0);
    }

    async fn a_file_in_an_odd_form_is_discovered_and_asked(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let wide: Vec<u8> = "\u{feff}id;name\r\n1;tea\r\n2;\"a;b\"\r\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let late = format!("id,name\n{}x,last\n", "1,a\n".repeat(100_001));
        for (kind, name, content, rows) in [
            ("csv", "wide.csv", wide.as_slice(), 2),
            ("csv", "mark.csv", b"\xef\xbb\xbfid,name\n1,tea\n", 1),
            ("csv", "old.csv", b"id,name\r1,tea\r2,coffee\r", 2),
            ("csv", "ragged.csv", b"id,name\n1\n2,tea,more\n", 2),
            ("csv", "nameless.csv", b",,\n1,2,3\n", 1),
            ("csv", "late.csv", late.as_bytes(), 100_002),
            ("json", "lines.json", b"{\"a\": 1}\n{\"a\": {\"b\": [1]}}\n", 2),
            ("json", "mixed.json", b"[{\"a\": 1}, 7, {\"c\": null}]", 3),
            ("xml", "rows.xml", b"<all><one a='1'/><one a='2'/></all>", 2),
        ] {
            let object = uploaded(&app, &ada, name, content).await;
            let body = json!({ "name": name, "type": kind, "file_path": object, "max_retries": 0 });
            let number = created(&app, &ada, &body).await;
            run_jobs(&app).await;
            assert_eq!(status(&app, &ada, number).await, "active", "{name}");
            let schemas = get(&app, &ada, &format!("/{number}/schemas")).await;
            let table = schemas.assert_status(200).text_at("data.schemas.0.tables.0.table_name");
            let sql = format!("select count(*) as n from \"{table}\"");
            let query = json!({ "sql": sql, "selected_data_source_ids": [number] });
            let asked = app.post("/api/v1/queries/execute").bearer(&ada.access_token).json(&query).send().await;
            assert_eq!(asked.assert_status(200).field("data.result_preview"), &json!([{ "n": rows }]), "{name}: {}", asked.text);
        }
    }
}

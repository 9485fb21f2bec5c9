//! POST /api/v1/storage/upload.

use serde_json::json;
use tidegate_testkit::{TestApp, on_both_engines};

use super::super::wire::{assert_data, newest_events};
use super::{
    ADA, Parts, Small, assert_no_drift, file, files_on_disk, get, staged_on_disk, stored, upload, uploading,
    used,
};

const CSV: &[u8] = b"id,name\n1,Ada\n";

on_both_engines! {
    async fn a_file_is_stored_in_the_callers_folder(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let answer = upload(&app, &ada, file("Q1 report.CSV", CSV)).await;
        answer.assert_status(201);
        let unique = answer.text_at("data.unique_file_name");
        let organization = app.sql_count("select number from organizations").await;
        let account = app.sql_count("select number from accounts").await;
        let key = format!("organizations/{organization}/files/{account}/{unique}");
        assert_data(&answer, 201, &json!({
            "file_path": key,
            "file_name": "Q1 report.CSV",
            "unique_file_name": unique,
            "size": CSV.len(),
            "content_type": "text/csv",
            "s3_uri": format!("s3://tidegate-files/{key}"),
            "storage_file_id": 1,
        }));
        assert_eq!(answer.field("message"), "File uploaded successfully");
        let form = regex_of(&unique);
        assert!(form, "{unique}");
        let on_disk = files_on_disk(&app);
        assert_eq!(on_disk, [app.files_directory().join(&key).display().to_string()]);
        assert_eq!(std::fs::read(&on_disk[0]).unwrap(), CSV);
        assert_eq!((staged_on_disk(&app), used(&app, &ada).await), (0, CSV.len() as i64));
        assert_no_drift(&app).await;
        let events = newest_events(&app, 1).await;
        assert_eq!((&events[0]["action"], &events[0]["metadata"]["size"]), (&json!("storage.file.uploaded"), &json!(CSV.len())));
    }

    async fn a_path_is_a_folder_in_the_callers(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for (path, folder) in [("data-sources/org-123/", "/data-sources/org-123/"), ("sales", "/sales/"), ("", "/")] {
            // Whatever the order of the parts.
            for parts in [file("a.csv", CSV).text("path", path), Parts::default().text("path", path).file("a.csv", CSV)] {
                let key = upload(&app, &ada, parts).await.assert_status(201).text_at("data.file_path");
                assert!(key.contains(&format!("/files/1{folder}a_")), "{key}");
            }
        }
    }

    async fn no_path_leads_out_of_the_folder(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let deep = "a/".repeat(11);
        for path in ["..", "../2", "a/../../b", "/etc", "//", "a//b", "a\\b", ".hidden", "a/.ssh", "nul", "a/CON.txt", "a:b", "%2e%2e", deep.as_str()] {
            let answer = upload(&app, &ada, file("a.csv", CSV).text("path", path)).await;
            answer.assert_error(400, "BAD_REQUEST");
        }
        assert!(files_on_disk(&app).is_empty() && staged_on_disk(&app) == 0);
        assert_eq!(app.sql_count("select count(*) from storage_files").await, 0);
    }

    async fn the_name_keeps_no_folder(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for (name, shown) in [("../../etc/passwd", "passwd"), ("C:\\\\Users\\\\me\\\\a.csv", "a.csv"), ("/a.csv", "a.csv")] {
            let answer = upload(&app, &ada, file(name, CSV)).await;
            assert_eq!(answer.assert_status(201).text_at("data.file_name"), shown);
        }
        assert!(files_on_disk(&app).iter().all(|path| path.contains("/files/1/")));
        for name in ["..", "a/", "\u{202e}gpj.exe", &"x".repeat(256)] {
            upload(&app, &ada, file(name, CSV)).await.assert_error(422, "VALIDATION_ERROR");
        }
    }

    async fn a_category_is_one_of_three(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let png = b"\x89PNG\r\n\x1a\n and so on";
        upload(&app, &ada, file("me.png", png).text("file_category", "profile_image")).await.assert_status(201);
        upload(&app, &ada, file("a.csv", CSV).text("file_category", "general")).await.assert_status(201);
        let no_picture = upload(&app, &ada, file("a.csv", CSV).text("file_category", "profile_image")).await;
        no_picture.assert_error(422, "VALIDATION_ERROR");
        let told = "file must be a PNG, JPEG, GIF or WebP picture for this category: it is text.";
        assert_eq!(no_picture.field("error.message"), told);
        let no_table = upload(&app, &ada, file("s8.csv", png)).await;
        no_table.assert_error(422, "VALIDATION_ERROR");
        assert_eq!(no_table.field("error.message"), "file must be what its name says: it is a PNG image.");
        for wrong in ["", "images", "DATA_SOURCE"] {
            let answer = upload(&app, &ada, file("a.csv", CSV).text("file_category", wrong)).await;
            answer.assert_error(422, "VALIDATION_ERROR");
            assert_eq!(answer.field("error.details.field"), "file_category");
        }
    }

    async fn a_form_has_one_file_with_a_name(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for parts in [
            Parts::default(),
            Parts::default().text("path", "a"),
            Parts::default().text("file", "no file"),
            file("a.csv", CSV).file("b.csv", CSV),
        ] {
            let answer = upload(&app, &ada, parts).await;
            answer.assert_error(422, "VALIDATION_ERROR");
            assert_eq!(answer.field("error.details.field"), "file", "{}", answer.text);
        }
        for parts in [file("a.csv", CSV).text("category", "general"), Parts::default().text("category", "general").file("a.csv", CSV)] {
            let misnamed = upload(&app, &ada, parts).await;
            misnamed.assert_error(422, "VALIDATION_ERROR");
            assert_eq!(misnamed.field("error.details.field"), "category");
            assert_eq!(misnamed.field("error.details.reason"), "is not known here; did you mean file_category?");
        }
        let json = uploading(&app, &ada).json(&json!({ "file": "x" })).send().await;
        json.assert_error(415, "UNSUPPORTED_MEDIA_TYPE");
        let told = "Send the file as multipart/form-data, in the field file: curl -F file=@FILE.";
        assert_eq!(json.field("error.message"), told);
        let cut = uploading(&app, &ada).body("multipart/form-data; boundary=b", &b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\nid,na"[..]);
        cut.send().await.assert_error(400, "BAD_REQUEST");
        assert_eq!((files_on_disk(&app).len(), staged_on_disk(&app), used(&app, &ada).await), (0, 0, 0));
    }

    async fn a_file_is_what_its_name_says(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for (name, content) in [
            ("a.csv", &b"\x7fELF\x02\x01\x01\0"[..]),
            ("a.csv", b"PK\x03\x04"),
            ("a.png", b"<script>alert(1)</script>"),
            ("a.parquet", b"id\n"),
            ("a.parquet", b"PAR1 its footer is missing"),
            ("a.xlsx", b"id\n"),
        ] {
            let answer = upload(&app, &ada, file(name, content)).await;
            answer.assert_error(422, "VALIDATION_ERROR");
            assert_eq!(answer.field("error.details.field"), "file");
        }
        for (name, content, content_type) in [
            ("a.csv", &b"\xff\xfei\0d\0"[..], "text/csv"),
            ("a.csv", b"", "text/csv"),
            ("a.parquet", b"PAR1 and so on PAR1", "application/vnd.apache.parquet"),
            // What would run in a browser has no type that does.
            ("a.html", b"<script>alert(1)</script>", "application/octet-stream"),
            ("a.svg", b"<svg onload='alert(1)'/>", "application/octet-stream"),
            ("a.xyz", b"\0\x01", "application/octet-stream"),
        ] {
            let answer = upload(&app, &ada, file(name, content)).await;
            assert_eq!(answer.assert_status(201).text_at("data.content_type"), content_type);
        }
    }

    async fn a_file_has_a_largest_size(app: Small) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let largest = vec![b'x'; 10_000];
        stored(&app, &ada, "a.csv", &largest).await;
        let larger = vec![b'x'; 10_001];
        upload(&app, &ada, file("a.csv", &larger)).await.assert_error(413, "REQUEST_ENTITY_TOO_LARGE");
        file("a.csv", &larger).chunked_on(uploading(&app, &ada)).send().await.assert_error(413, "REQUEST_ENTITY_TOO_LARGE");
        // One whose length says so is not read.
        let huge = vec![b'x'; 200_000];
        upload(&app, &ada, file("a.csv", &huge)).await.assert_error(413, "REQUEST_ENTITY_TOO_LARGE");
        assert_eq!((files_on_disk(&app).len(), staged_on_disk(&app), used(&app, &ada).await), (1, 0, 10_000));
    }

    async fn two_files_of_one_name_are_two(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let (one, two) = (stored(&app, &ada, "a.csv", b"1").await, stored(&app, &ada, "a.csv", b"2").await);
        assert_ne!(one, two);
        let metadata = get(&app, &ada, &format!("storage/objects/{two}/metadata")).send().await;
        assert_eq!(metadata.assert_status(200).text_at("data.name"), two);
    }

    async fn a_form_that_never_ends_leaves_nothing(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        // The client goes away in the middle.
        let request = file("a.csv", CSV).on(uploading(&app, &ada)).held(std::future::pending());
        let gone = tokio::time::timeout(std::time::Duration::from_millis(200), request.send()).await;
        assert!(gone.is_err(), "it was answered");
        assert_eq!((files_on_disk(&app).len(), staged_on_disk(&app), used(&app, &ada).await), (0, 0, 0));
    }
}

/// `report_20241203_101500_1a2b3c4d.csv`, without a crate for expressions.
fn regex_of(unique: &str) -> bool {
    let Some(rest) = unique.strip_prefix("Q1_report_").and_then(|rest| rest.strip_suffix(".csv")) else {
        return false;
    };
    let parts: Vec<&str> = rest.split('_').collect();
    let digits =
        |part: &str, count: usize| part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit());
    let hex = |part: &str| part.len() == 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    matches!(parts.as_slice(), [date, time, chance] if digits(date, 8) && digits(time, 6) && hex(chance))
}

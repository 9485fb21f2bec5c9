//! Signed URLs, and what they answer.

use axum::http::Method;
use tidegate_testkit::{TestApp, on_both_engines};

use super::super::wire::wait;
use super::{ADA, file, get, path_of, remove, signed, stored, upload};

const CSV: &[u8] = b"id,name\n1,Ada\n2,Bob\n";

on_both_engines! {
    async fn a_signed_url_answers_the_file_without_a_token(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = upload(&app, &ada, file("Q1 \u{fc}.csv", CSV)).await.text_at("data.file_path");
        let answer = get(&app, &ada, &format!("storage/objects/{object}/presigned-url?expires_seconds=60")).send().await;
        assert_eq!(answer.field("message"), "Presigned URL generated successfully");
        assert_eq!(answer.field("data.expires_in_seconds"), 60);
        let url = path_of(&answer.text_at("data.url"));
        let file = app.get(&url).send().await;
        assert_eq!(file.assert_status(200).text.as_bytes(), CSV);
        for (name, value) in [
            ("content-type", "text/csv"),
            ("content-length", "20"),
            ("content-disposition", "attachment; filename=\"Q1__.csv\"; filename*=UTF-8''Q1%20%C3%BC.csv"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'; sandbox"),
            ("cache-control", "private, no-cache"),
            ("accept-ranges", "bytes"),
        ] {
            assert_eq!(file.header(name), value, "{name}");
        }
        wait(&app, 60);
        app.get(&url).send().await.assert_status(403);
    }

    async fn what_is_altered_opens_nothing(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let (one, two) = (stored(&app, &ada, "one.csv", b"1").await, stored(&app, &ada, "two.csv", b"2").await);
        let url = signed(&app, &ada, &one).await;
        let name = |object: &str| object.rsplit('/').next().unwrap().to_owned();
        let expires = url.split("Expires=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        for altered in [
            url.replace(&name(&one), &name(&two)),
            url.replace(&expires, "99999999999"),
            url.replace(&expires, &format!("0{expires}")),
            url.replace(&expires, &format!("+{expires}")),
            url[..url.len() - 1].to_owned(),
            format!("{url}0"),
            url.split('?').next().unwrap().to_owned(),
            url.replace("Signature=", "Signature=00"),
            "/storage/a?X-Tidegate-Expires=99999999999&X-Tidegate-Signature=zz".to_owned(),
            "/storage/%ff?X-Tidegate-Expires=9&X-Tidegate-Signature=00".to_owned(),
            "/storage/../etc/passwd".to_owned(),
        ] {
            let answer = app.get(&altered).send().await;
            assert!(matches!(answer.status, 403 | 404), "{altered}: {} {}", answer.status, answer.text);
            assert_ne!(answer.text, "2", "{altered}");
        }
        app.get(&url).send().await.assert_status(200);
        // Upper case is another signature, and hexadecimal all the same.
        app.post(&url).send().await.assert_status(405);
    }

    async fn a_url_ends_with_its_file(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", CSV).await;
        let url = signed(&app, &ada, &object).await;
        remove(&app, &ada, &object).await.assert_status(200);
        app.get(&url).send().await.assert_status(404);
    }

    // Its length was said already, and the connection broke off; of a longer one, foreign bytes were answered.
    async fn a_file_of_another_size_than_was_uploaded_is_not_answered(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", CSV).await;
        let (url, path) = (signed(&app, &ada, &object).await, app.files_directory().join(&object));
        for content in [&b"id\n"[..], b"", b"id,name\n1,Eve\n2,Mallory\n"] {
            std::fs::write(&path, content).unwrap();
            let whole = app.get(&url).send().await;
            assert_eq!(whole.assert_status(404).text_at("error"), "not_found");
            for range in ["bytes=0-1", "bytes=14-", "bytes=-1"] {
                let part = app.get(&url).header("range", range).send().await;
                assert_eq!(part.assert_status(404).text_at("error"), "not_found", "{range}");
            }
        }
        std::fs::write(&path, CSV).unwrap();
        assert_eq!(app.get(&url).send().await.assert_status(200).text.as_bytes(), CSV);
        let part = app.get(&url).header("range", "bytes=14-").send().await;
        assert_eq!(part.assert_status(206).text, "2,Bob\n");
    }

    async fn parts_are_answered(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", CSV).await;
        let url = signed(&app, &ada, &object).await;
        for (range, part, shown) in [
            ("bytes=0-1", "id", "bytes 0-1/20"),
            ("bytes=14-", "2,Bob\n", "bytes 14-19/20"),
            ("bytes=-4", "Bob\n", "bytes 16-19/20"),
        ] {
            let answer = app.get(&url).header("range", range).send().await;
            assert_eq!(answer.assert_status(206).text, part);
            assert_eq!((answer.header("content-range"), answer.header("content-length")), (shown, part.len().to_string().as_str()));
        }
        let beyond = app.get(&url).header("range", "bytes=20-").send().await;
        assert_eq!(beyond.assert_status(416).header("content-range"), "bytes */20");
        for all in ["bytes=0-1,3-4", "lines=1-2", "bytes=5-1"] {
            app.get(&url).header("range", all).send().await.assert_status(200);
        }
    }

    async fn a_client_that_has_it_gets_nothing_again(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", CSV).await;
        let url = signed(&app, &ada, &object).await;
        let etag = app.get(&url).send().await.header("etag").to_owned();
        let again = app.get(&url).header("if-none-match", &etag).send().await;
        assert_eq!(again.assert_status(304).text, "");
        app.get(&url).header("if-none-match", "\"other\"").send().await.assert_status(200);
        let head = app.client().request(Method::HEAD, &url).send().await;
        assert_eq!((head.assert_status(200).header("content-length"), head.text.as_str()), ("20", ""));
        let other = app.get(&url).header("if-range", "\"other\"").header("range", "bytes=0-1").send().await;
        other.assert_status(200);
    }

    async fn urls_live_as_long_as_is_asked_up_to_seven_days(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", CSV).await;
        for wrong in ["0", "604801", "-1", "x", "1.5"] {
            let path = format!("storage/objects/{object}/presigned-url?expires_seconds={wrong}");
            get(&app, &ada, &path).send().await.assert_error(422, "VALIDATION_ERROR");
        }
        let path = format!("storage/objects/{object}/presigned-url?expires_seconds=604800");
        let url = path_of(&get(&app, &ada, &path).send().await.text_at("data.url"));
        wait(&app, 604_799);
        app.get(&url).send().await.assert_status(200);
        wait(&app, 1);
        app.get(&url).send().await.assert_status(403);
    }
}

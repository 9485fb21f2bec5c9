//! Bodies that hold more than they should, or come as they should not.

use std::time::Duration;

use axum::body::{Body, Bytes};
use futures_util::StreamExt;
use tidegate_testkit::{Engine, TestApp, concurrently, on_both_engines};

use super::{
    ADA, Parts, assert_no_drift, file, files_on_disk, get, remove, staged_on_disk, stored, upload, uploading,
};

on_both_engines! {
    async fn many_uploads_at_once_take_little_of_the_budget(engine: Engine) {
        // Two of them would not fit into it, were they held.
        let app = TestApp::builder(engine).http(|http| http.uploads = 16 * 1024 * 1024).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let content = vec![b'x'; 12 * 1024 * 1024];
        let statuses = concurrently(6, |_| {
            let request = file("a.csv", &content).on(uploading(&app, &ada));
            async move { request.send().await.status }
        });
        assert_eq!(statuses.await, [201; 6]);
        assert_no_drift(&app).await;
    }

    async fn a_slow_upload_is_waited_for_and_a_silent_one_is_not(engine: Engine) {
        let app = TestApp::builder(engine).http(|http| http.deadline = Duration::from_millis(400)).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let sent = |every: Duration, bytes: usize| {
            let form = file("a.csv", &vec![b'x'; 120_000]).end();
            let chunks: Vec<Bytes> = form.chunks(bytes).map(Bytes::copy_from_slice).collect();
            let stream = futures_util::stream::iter(chunks).then(move |chunk| async move {
                tokio::time::sleep(every).await;
                Ok::<_, std::io::Error>(chunk)
            });
            uploading(&app, &ada)
                .header("content-type", "multipart/form-data; boundary=b")
                .stream(Body::from_stream(stream))
        };
        // Twelve pieces, together longer than the deadline.
        sent(Duration::from_millis(100), 10_100).send().await.assert_status(201);
        sent(Duration::from_secs(3_600), 60_000).send().await.assert_error(408, "REQUEST_TIMEOUT");
        assert_eq!((files_on_disk(&app).len(), staged_on_disk(&app)), (1, 0));
    }

    async fn forms_that_are_none_are_refused(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let send = async |kind: &str, body: &[u8]| {
            uploading(&app, &ada).body(kind, body.to_vec()).send().await
        };
        let form = "multipart/form-data; boundary=b";
        let unmarked = send("multipart/form-data", b"--b--\r\n").await;
        unmarked.assert_error(400, "BAD_REQUEST");
        assert!(unmarked.text_at("error.message").contains("leave that header to the client"), "{}", unmarked.text);
        send("multipart/mixed; boundary=b", b"--b--\r\n").await.assert_error(415, "UNSUPPORTED_MEDIA_TYPE");
        send(form, b"").await.assert_error(400, "BAD_REQUEST");
        send(form, b"no form").await.assert_error(400, "BAD_REQUEST");
        let long_head = [b"--b\r\nx: ".to_vec(), vec![b'x'; 100_000]].concat();
        send(form, &long_head).await.assert_error(400, "BAD_REQUEST");
        let many = (0..40).fold(Parts::default(), |parts, _| parts.text("path", "x"));
        upload(&app, &ada, many).await.assert_error(400, "BAD_REQUEST");
        let long_text = file("a.csv", b"x").text("path", &"a".repeat(100_000));
        upload(&app, &ada, long_text).await.assert_error(413, "REQUEST_ENTITY_TOO_LARGE");
        assert_eq!((files_on_disk(&app).len(), staged_on_disk(&app)), (0, 0));
    }

    async fn links_and_pipes_in_the_directory_are_no_files(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"id\n").await;
        let folder = app.files_directory().join(object.rsplit_once('/').unwrap().0);
        let prefix = object.rsplit_once('/').unwrap().0.to_owned();
        let secret = app.files_directory().join("secret.txt");
        std::fs::write(&secret, "secret").unwrap();
        std::os::unix::fs::symlink(&secret, folder.join("link.csv")).unwrap();
        std::os::unix::fs::symlink(app.files_directory(), folder.join("out")).unwrap();
        for name in ["link.csv", "out/secret.txt", "out"] {
            let path = format!("storage/objects/{prefix}/{name}/metadata");
            get(&app, &ada, &path).send().await.assert_error(404, "NOT_FOUND");
        }
        // Nor is anything written through one.
        upload(&app, &ada, file("b.csv", b"id\n").text("path", "out")).await.assert_status(500);
        assert_eq!(staged_on_disk(&app), 0);
        assert!(!app.files_directory().join("b.csv").exists());
        assert_no_drift(&app).await;
    }

    async fn what_the_store_cannot_do_is_told(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let object = stored(&app, &ada, "a.csv", b"id\n").await;
        app.sql("alter table storage_files rename to lost_files; alter table storage_usage rename to lost_usage").await;
        upload(&app, &ada, file("a.csv", b"id\n")).await.assert_error(500, "INTERNAL_SERVER_ERROR");
        remove(&app, &ada, &object).await.assert_error(500, "INTERNAL_SERVER_ERROR");
        for path in [
            "storage/files".to_owned(),
            "storage/buckets".to_owned(),
            "storage/buckets/tidegate-files/objects".to_owned(),
            format!("storage/objects/{object}/metadata"),
            format!("storage/objects/{object}/presigned-url"),
            "storage/quota".to_owned(),
            "storage/usage".to_owned(),
        ] {
            let answer = get(&app, &ada, &path).send().await;
            answer.assert_error(500, "INTERNAL_SERVER_ERROR");
            assert!(!answer.text.contains("storage_"), "{}", answer.text);
        }
    }
}

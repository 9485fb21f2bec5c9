//! Uploaded files in a bucket: S3, as moto speaks it.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tidegate_testkit::{eventually, on_both_engines};

use crate::files::{form, get, token, upload};
use crate::support::{Installation, Server};

const BUCKET: &str = "tidegate-files";

/// The emulator; killed when dropped.
struct Moto {
    process: Child,
    endpoint: String,
}

impl Moto {
    #[expect(
        clippy::disallowed_methods,
        reason = "the emulator is found by a variable that scripts/test sets"
    )]
    async fn start(here: &Installation) -> Self {
        let python = std::env::var("TIDEGATE_TEST_EMULATORS_PYTHON")
            .expect("TIDEGATE_TEST_EMULATORS_PYTHON must say where the emulators are: run scripts/test");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut command = here.command_of(&python);
        command.args(["-m", "moto.server", "-H", "127.0.0.1", "-p", &port.to_string()]);
        command.env("HOME", here.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let moto = Self { process: command.spawn().unwrap(), endpoint: format!("http://127.0.0.1:{port}") };
        let http = reqwest::Client::new();
        // Buckets are made by operators; moto takes any credentials.
        eventually("moto makes a bucket", async || {
            let made = http.put(format!("{}/{BUCKET}", moto.endpoint)).send().await.ok()?;
            made.status().is_success().then_some(())
        })
        .await;
        moto
    }

    /// What the bucket itself holds.
    async fn listed(&self) -> String {
        let url = format!("{}/{BUCKET}?list-type=2", self.endpoint);
        reqwest::get(url).await.unwrap().text().await.unwrap()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn serve(here: &Installation, moto: &Moto) -> Server {
    here.serve_with(&["--dev"], |command: &mut Command| {
        command.env("TIDEGATE_PASSWORD_HASH__COST", "4").env("TIDEGATE_STORAGE__BACKEND", "s3");
        command.env("TIDEGATE_STORAGE__ENDPOINT", &moto.endpoint);
        command.env("TIDEGATE_STORAGE__ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE");
        command.env("TIDEGATE_STORAGE__SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
    })
}

async fn post(server: &Server, token: &str, path: &str, body: &Value) -> Value {
    let request = server.http.post(format!("{}/api/v1/{path}", server.base)).bearer_auth(token).json(body);
    request.send().await.unwrap().json().await.unwrap()
}

on_both_engines! {
    async fn files_are_kept_in_a_bucket_and_signed_for_by_it(here: Installation) {
        let moto = Moto::start(&here).await;
        let server = serve(&here, &moto);
        let token = token(&here, &server).await;
        let (status, stored) = upload(&server.http, &server.base, &token, form(b"id,name\n1,tea\n")).await.unwrap();
        assert_eq!(status, 201, "{stored}");
        let object = stored["data"]["file_path"].as_str().unwrap().to_owned();
        assert_eq!(stored["data"]["s3_uri"], format!("s3://{BUCKET}/{object}"));
        // In parts.
        let large = vec![b'x'; 20 * 1024 * 1024];
        let (status, answer) = upload(&server.http, &server.base, &token, form(&large)).await.unwrap();
        assert_eq!(status, 201, "{answer}");
        let second = answer["data"]["file_path"].as_str().unwrap().to_owned();
        let listed = moto.listed().await;
        assert!(listed.contains(&object) && listed.contains(&second), "{listed}");
        let objects = get(&server, &token, &format!("buckets/{BUCKET}/objects")).await;
        assert_eq!(objects["data"]["objects"].as_array().unwrap().len(), 2, "{objects}");
        let metadata = get(&server, &token, &format!("objects/{object}/metadata")).await;
        assert_eq!((&metadata["data"]["size"], &metadata["data"]["content_type"]), (&json!(14), &json!("text/csv")), "{metadata}");
        assert!(metadata["data"]["etag"].as_str().unwrap().starts_with('"'), "{metadata}");

        // The store itself answers who has the URL.
        for (object, content) in [(&object, &b"id,name\n1,tea\n"[..]), (&second, large.as_slice())] {
            let signed = get(&server, &token, &format!("objects/{object}/presigned-url?expires_seconds=60")).await;
            let url = signed["data"]["url"].as_str().unwrap_or_else(|| panic!("{signed}"));
            assert!(url.starts_with(&moto.endpoint) && url.contains("X-Amz-Signature="), "{url}");
            assert!(!url.contains("EXAMPLEKEY"), "{url}");
            let file = reqwest::get(url).await.unwrap();
            let disposition = file.headers()["content-disposition"].to_str().unwrap().to_owned();
            assert!(disposition.starts_with("attachment"), "{disposition}");
            assert!(file.bytes().await.unwrap() == content, "another content");
        }
        let body = json!({ "name": "Goods", "type": "csv", "file_path": object, "max_retries": 0 });
        let source = post(&server, &token, "data-sources", &body).await;
        let number = &source["data"]["id"];
        let tested = post(&server, &token, &format!("data-sources/{number}/test"), &json!({})).await;
        assert_eq!(tested["data"]["connection_successful"], true, "{tested}");
        let found = post(&server, &token, &format!("data-sources/{number}/discover-schema"), &json!({})).await;
        assert_eq!(found["data"]["total_columns"], 2, "{found}");

        let used = async || get(&server, &token, "usage").await["data"]["used_bytes"].clone();
        assert_eq!(used().await, json!(14 + large.len()));
        let url = format!("{}/api/v1/storage/objects/{second}", server.base);
        let removed = server.http.delete(url).bearer_auth(&token).send().await.unwrap();
        assert_eq!(removed.status(), 200, "{}", removed.text().await.unwrap());
        assert!(!moto.listed().await.contains(&second));
        assert_eq!(used().await, json!(14));

        // A store that is away takes nothing. Its bytes stay reserved until it is asked whether it has them, and nobody sees a file.
        drop(moto);
        let (status, refused) = upload(&server.http, &server.base, &token, form(b"id\n")).await.unwrap();
        assert!(matches!(status, 500 | 503), "{status} {refused}");
        assert_eq!(refused["success"], false, "{refused}");
        let files = get(&server, &token, "files").await;
        assert_eq!(files["data"]["items"].as_array().unwrap().len(), 1, "{files}");
        let log = server.log();
        assert!(!log.contains("EXAMPLEKEY"), "{log}");
        server.stop();
    }
}

//! Uploaded files in a bucket, as an operator sets it up: S3, Azure and Google Cloud Storage. What the endpoints do with each of them is
//! told in `crates/http/tests/contracts/rivergen/storage/stores.rs`.

use serde_json::{Value, json};
use tidegate_testkit::clouds::{BUCKET, Cloud, CloudStore, StoreHealth, fetch};
use tidegate_testkit::{Engine, eventually, on_both_engines};

use crate::files::{get, token, upload};
use crate::member::{form, post};
use crate::support::Installation;

const CSV: &[u8] = b"id,name\n1,tea\n";

/// Writes the configuration of files that are kept there; the secret is in a file of its own.
fn set_up(here: &Installation, store: &CloudStore, bucket: &str, secret: &str) {
    here.write("storage-key", &format!("{secret}\n"));
    let (cloud, endpoint) = (store.cloud(), store.endpoint());
    let (backend, id) = (cloud.backend(), cloud.access_key_id());
    here.write(
        "tidegate.toml",
        &format!(
            "[storage]\nbackend = \"{backend}\"\nbucket = \"{bucket}\"\nendpoint = \"{endpoint}\"\n\
             access_key_id = \"{id}\"\nsecret_access_key_file = \"storage-key\"\n\n[password_hash]\ncost = 4\n"
        ),
    );
}

/// What `tidegate doctor` says of files.
fn finding(here: &Installation) -> Value {
    let report = here.run(&["doctor", "--json"]).json();
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|found| found["name"] == "files").unwrap_or_else(|| panic!("{report}")).clone()
}

/// `tidegate doctor` names the setting that is wrong, and so does the log of a server, which serves all the same.
async fn is_told(here: &Installation, setting: &str, secret: &str) {
    let found = finding(here);
    assert_eq!(found["status"], "error", "{found}");
    assert!(found["advice"].as_str().unwrap().contains(setting), "{setting}: {found}");
    assert!(!found.to_string().contains(secret), "{found}");
    let server = here.serve(&["--dev"]);
    let log = eventually("the log tells what is wrong with the store", async || {
        let log = server.log();
        log.contains("files cannot be uploaded or read").then_some(log)
    });
    let log = log.await;
    assert!(log.contains(setting) && !log.contains(secret), "{setting}: {log}");
    server.stop();
}

async fn files_in(here: &Installation, cloud: Cloud) {
    let store = CloudStore::start(cloud).await;
    let secret = cloud.secret_access_key();
    set_up(here, &store, "nobodys-bucket", secret);
    is_told(here, "storage.bucket", secret).await;
    if cloud.checks_signatures() {
        set_up(here, &store, BUCKET, cloud.other_secret());
        is_told(here, "storage.access_key_id", cloud.other_secret()).await;
    }
    set_up(here, &store, BUCKET, secret);
    store.behave(StoreHealth::Answers(500));
    is_told(here, "storage.endpoint", secret).await;
    store.behave(StoreHealth::Fine);
    let found = finding(here);
    assert_eq!(found["status"], "ok", "{found}");
    files_are_kept(here, store).await;
}

async fn files_are_kept(here: &Installation, store: CloudStore) {
    let server = here.serve(&["--dev"]);
    let token = token(here, &server).await;
    let (status, stored) = upload(&server.http, &server.base, &token, form("a.csv", CSV)).await.unwrap();
    assert_eq!(status, 201, "{stored}");
    let object = stored["data"]["file_path"].as_str().unwrap().to_owned();
    assert_eq!(stored["data"]["s3_uri"], format!("s3://{BUCKET}/{object}"));
    // The store itself answers who has the URL.
    let signed = get(&server, &token, &format!("objects/{object}/presigned-url?expires_seconds=60")).await;
    let url = signed["data"]["url"].as_str().unwrap_or_else(|| panic!("{signed}"));
    assert!(url.starts_with(&store.endpoint()), "{url}");
    let file = fetch(url, None).await;
    assert_eq!((file.status, file.body.as_slice()), (200, CSV));
    let body = json!({ "name": "Goods", "type": "csv", "file_path": object, "max_retries": 0 });
    let source = post(&server, &token, "data-sources", &body).await;
    let number = &source["id"];
    let tested = post(&server, &token, &format!("data-sources/{number}/test"), &json!({})).await;
    assert_eq!(tested["connection_successful"], true, "{tested}");
    let found = post(&server, &token, &format!("data-sources/{number}/discover-schema"), &json!({})).await;
    assert_eq!(found["total_columns"], 2, "{found}");
    let backup = here.run(&["backup", "tidegate.backup"]);
    assert!(
        !here.path().join("tidegate.backup.files").exists(),
        "the bucket has backups of its own: {backup:?}"
    );

    // The bucket is asked for the files that the database names.
    let found = finding(here);
    assert_eq!(found["status"], "ok", "{found}");
    assert!(
        found["detail"].as_str().unwrap().contains("the 1 files that were looked for are there"),
        "{found}"
    );
    here.database().sql("update storage_files set object_name = object_name || '.lost'").await;
    let found = finding(here);
    assert_eq!(found["status"], "error", "all are lost: {found}");
    let detail = found["detail"].as_str().unwrap();
    assert!(detail.contains("the store has lost 1 of the 1 files that were looked for"), "{found}");
    assert!(detail.contains("storage orphans"), "who looks for the others: {found}");
    assert!(found["advice"].as_str().unwrap().contains("the store has lost a file"), "{found}");
    here.database().sql("update storage_files set object_name = replace(object_name, '.lost', '')").await;

    // A store that is away takes nothing, and nobody sees a file.
    let secret = store.cloud().secret_access_key();
    drop(store);
    let (status, refused) = upload(&server.http, &server.base, &token, form("a.csv", b"id\n")).await.unwrap();
    assert_eq!((status, &refused["error"]["code"]), (503, &json!("SERVICE_UNAVAILABLE")), "{refused}");
    let files = get(&server, &token, "files").await;
    assert_eq!(files["data"]["items"].as_array().unwrap().len(), 1, "{files}");
    let log = server.log();
    assert!(log.contains("check storage.endpoint") && !log.contains(secret), "{log}");
    server.stop();
}

on_both_engines! {
    async fn files_are_kept_in_s3(engine: Engine) {
        files_in(&Installation::with_database(engine).await, Cloud::S3).await;
    }

    async fn files_are_kept_in_azure(engine: Engine) {
        files_in(&Installation::with_database(engine).await, Cloud::Azure).await;
    }

    async fn files_are_kept_in_google_cloud_storage(engine: Engine) {
        files_in(&Installation::with_database(engine).await, Cloud::Gcs).await;
    }
}

#[test]
fn a_setting_that_is_wrong_ends_the_start_with_its_name() {
    let here = Installation::new();
    for (settings, told) in [
        ("backend = 'ftp'", "storage.backend"),
        ("backend = 's3'", "storage.access_key_id is missing"),
        ("backend = 'gcs'\naccess_key_id = 'a'", "storage.secret_access_key is missing"),
        (
            "backend = 'azure'\naccess_key_id = 'a'\nsecret_access_key = 'hunter2!'",
            "storage.secret_access_key: ",
        ),
        (
            "backend = 's3'\naccess_key_id = 'a'\nsecret_access_key = 'hunter2!'\nendpoint = 'minio:9000'",
            "storage.endpoint must be http",
        ),
        (
            "backend = 's3'\naccess_key_id = 'a'\nsecret_access_key = 'hunter2!'\npublic_endpoint = 'files'",
            "storage.public_endpoint is no address",
        ),
        (
            "backend = 's3'\naccess_key_id = 'a'\nsecret_access_key_file = 'nowhere'",
            "storage.secret_access_key_file: ",
        ),
        (
            "backend = 's3'\naccess_key_id = 'a'\nsecret_access_key = 'hunter2!'\nbucket = 'a/b'",
            "storage.bucket must",
        ),
    ] {
        here.write("tidegate.toml", &format!("[storage]\n{settings}\n"));
        for command in ["serve", "doctor"] {
            let said = here.run(&[command]);
            assert_eq!(said.code, 1, "{settings}: {said:?}");
            let text = format!("{}{}", said.out, said.err);
            assert!(text.contains(told) && !text.contains("hunter2"), "{settings}: {said:?}");
        }
    }
}

//! All nine endpoints over stores that are reached over the network: one story, told of each of them.

use std::time::Duration;

use axum::body::{Body, Bytes};
use serde_json::{Value, json};
use tidegate_domain::Clock;
use tidegate_kernel::Call;
use tidegate_testkit::clouds::{Cloud, CloudStore, StoreHealth, fetch};
use tidegate_testkit::{Engine, Person, TestApp, WallClock, eventually, on_both_engines};

use super::super::data_sources::wire::{builder, created, patch, post, run_jobs, status};
use super::super::wire::assert_data;
use super::{
    ADA, BUCKET, assert_no_drift, file, files_on_disk, get, names, remove, staged_on_disk, stored, upload,
    uploading, used,
};

const CSV: &[u8] = b"id,name\n1,tea\n2,coffee\n";
const MIB: usize = 1024 * 1024;

/// The application beside its store, and who uploads.
struct Kept {
    app: TestApp,
    store: CloudStore,
    ada: Person,
}

impl Kept {
    async fn new(cloud: Cloud, engine: Engine) -> Self {
        let store = CloudStore::start(cloud).await;
        let app = builder(engine).files(store.config()).start().await;
        // Ahead of the store, so that what it has just taken is old enough for the job that looks for orphans.
        app.clock.set(WallClock.now().plus(Duration::from_secs(2 * 3_600)));
        let ada = app.sign_up_rivergen_verified(ADA).await;
        Self { app, store, ada }
    }

    async fn get(&self, path: &str) -> tidegate_testkit::Answer {
        get(&self.app, &self.ada, path).send().await
    }

    async fn used(&self) -> i64 {
        used(&self.app, &self.ada).await
    }

    /// What the list of files shows, the newest first.
    async fn listed(&self) -> Vec<String> {
        names(self.get("storage/files").await.assert_status(200).field("data.items"), "file_name")
    }

    /// A URL at which the store itself answers an object.
    async fn signed(&self, object: &str, seconds: u64) -> String {
        let path = format!("storage/objects/{}/presigned-url?expires_seconds={seconds}", encoded(object));
        let answer = self.get(&path).await;
        assert_eq!(answer.assert_status(200).field("data.expires_in_seconds"), seconds);
        answer.text_at("data.url")
    }

    /// Nothing is on the way, and what is counted is what is kept.
    async fn assert_settled(&self) {
        assert_eq!((staged_on_disk(&self.app), files_on_disk(&self.app).len()), (0, 0));
        assert_no_drift(&self.app).await;
    }
}

async fn endpoints_over(cloud: Cloud, engine: Engine) {
    let kept = Kept::new(cloud, engine).await;
    let object = files_are_kept(&kept).await;
    signed_urls_are_the_stores_own(&kept, &object).await;
    what_is_too_much_never_reaches_it(&kept).await;
    a_file_is_a_data_source(&kept, &object).await;
    a_store_that_is_ill_loses_nothing(&kept).await;
    a_slow_store_is_waited_for(&kept).await;
    a_slow_store_is_sent_a_few_files_at_once(&kept).await;
    orphans_are_found_both_ways(&kept).await;
    removing_is_for_good(&kept, &object).await;
    what_is_nobodys_goes_when_it_is_old(&kept).await;
}

/// Answers the name of an object whose content is `CSV`.
async fn files_are_kept(kept: &Kept) -> String {
    let Kept { app, store, ada } = kept;
    let object = stored(app, ada, "goods.csv", CSV).await;
    let namesake = stored(app, ada, "goods.csv", b"id\n").await;
    assert_ne!(object, namesake, "each has a name of its own");
    let large: Vec<u8> = (0..20 * MIB + 5).map(|byte| u8::try_from(byte % 251).unwrap()).collect();
    let answer = upload(app, ada, file("Gr\u{f6}\u{df}e.bin", &large).text("path", "raw/2026")).await;
    let in_folder = answer.assert_status(201).text_at("data.file_path");
    assert!(in_folder.contains("/raw/2026/Gr\u{f6}\u{df}e_"), "{in_folder}");
    let empty = stored(app, ada, "empty.csv", b"").await;
    let mut all = vec![object.clone(), namesake, in_folder.clone(), empty];
    all.sort();
    assert_eq!(store.keys().await, all);
    kept.assert_settled().await;

    assert_eq!(kept.get("storage/buckets").await.assert_status(200).text_at("data.buckets.0.name"), BUCKET);
    let objects = kept.get(&format!("storage/buckets/{BUCKET}/objects")).await;
    let mut shown = names(objects.assert_status(200).field("data.objects"), "name");
    shown.sort();
    assert_eq!(shown, all);
    let folder = in_folder.rsplit_once('/').unwrap().0;
    let below = kept.get(&format!("storage/buckets/{BUCKET}/objects?prefix={}", encoded(folder))).await;
    assert_eq!(
        names(below.assert_status(200).field("data.objects"), "name"),
        std::slice::from_ref(&in_folder)
    );
    assert_eq!(kept.listed().await, ["empty.csv", "Gr\u{f6}\u{df}e.bin", "goods.csv", "goods.csv"]);
    let metadata = kept.get(&format!("storage/objects/{object}/metadata")).await;
    let metadata = metadata.assert_status(200).field("data");
    assert_eq!((&metadata["size"], &metadata["content_type"]), (&json!(CSV.len()), &json!("text/csv")));
    let sum = CSV.len() + 3 + large.len();
    assert_eq!(kept.used().await, i64::try_from(sum).unwrap());
    let limit = kept.get("storage/quota").await.assert_status(200).field("data.limit_bytes").clone();
    assert_eq!(limit, json!(10_737_418_240_u64));

    // Out of the store, whole and in part, across the border of two parts.
    let url = kept.signed(&in_folder, 60).await;
    assert!(fetch(&url, None).await.body == large, "a large file is the same");
    let border = 8 * MIB;
    let part = fetch(&url, Some(&format!("bytes={}-{}", border - 3, border + 2))).await;
    assert_eq!((part.status, part.body.as_slice()), (206, &large[border - 3..border + 3]));
    remove(app, ada, &encoded(&in_folder)).await.assert_status(200);
    object
}

/// As a path and a query have it.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

async fn signed_urls_are_the_stores_own(kept: &Kept, object: &str) {
    let url = kept.signed(object, 600).await;
    assert!(url.starts_with(&kept.store.endpoint()), "{url}");
    assert!(!url.contains(kept.store.cloud().secret_access_key()), "{url}");
    let whole = fetch(&url, None).await;
    assert_eq!((whole.status, whole.body.as_slice()), (200, CSV));
    assert!(whole.disposition.starts_with("attachment"), "{}", whole.disposition);
    assert!(whole.disposition.contains("goods.csv"), "{}", whole.disposition);
    let part = fetch(&url, Some("bytes=3-6")).await;
    assert_eq!((part.status, part.body.as_slice()), (206, &b"name"[..]));
    let short = kept.signed(object, 1).await;
    if !kept.store.cloud().checks_signatures() {
        assert!(short.contains("X-Amz-Expires=1&"), "{short}");
        return;
    }
    let expired = eventually("a signed URL expires", async || {
        let fetched = fetch(&short, None).await;
        (fetched.status != 200).then_some(fetched)
    });
    let expired = expired.await;
    assert!(matches!(expired.status, 400 | 403) && expired.body != CSV, "{}", expired.status);
    // Another object, a longer life, no signature at all.
    let unsigned = url.split('?').next().unwrap();
    let other = url.replace("/goods_", "/good_");
    let longer = short.replace("X-Amz-Expires=1&", "X-Amz-Expires=600&").replace("&se=20", "&se=21");
    assert!(other != url && longer != short, "{url} {short}");
    for altered in [unsigned, other.as_str(), longer.as_str()] {
        let refused = fetch(altered, None).await;
        assert!((400..500).contains(&refused.status), "{altered}: {}", refused.status);
        assert_ne!(refused.body, CSV, "{altered}");
    }
    // The one that lives longer still answers.
    assert_eq!(fetch(&url, None).await.status, 200);
}

async fn what_is_too_much_never_reaches_it(kept: &Kept) {
    let Kept { app, store, ada } = kept;
    let (asked, used) = (store.asked(), kept.used().await);
    // One MiB more than a file may have, of which nobody knows before.
    let head = &b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\n"[..];
    let chunks = std::iter::repeat_n(Bytes::from(vec![b'x'; MIB]), 101);
    let chunks = std::iter::once(Bytes::from_static(head)).chain(chunks).map(Ok::<_, std::io::Error>);
    let request = uploading(app, ada).header("content-type", "multipart/form-data; boundary=b");
    let refused = request.stream(Body::from_stream(futures_util::stream::iter(chunks))).send().await;
    refused.assert_error(413, "REQUEST_ENTITY_TOO_LARGE");

    let number = app.sql_count("select number from organizations").await;
    let organization = app.oauth().organization_numbered(number).await.unwrap().unwrap();
    let call = Call::from_cli(app.kernel().settings().contracts.of_installation());
    let set =
        async |limit| app.storage().set_storage_limit(&call, organization, limit).await.unwrap().unwrap();
    set(Some(u64::try_from(used).unwrap() + 10)).await;
    let refused = upload(app, ada, file("b.csv", &[b'x'; 11])).await;
    refused.assert_error(413, "REQUEST_ENTITY_TOO_LARGE");
    assert_eq!((store.asked(), kept.used().await), (asked, used), "nothing was sent there");
    let object = stored(app, ada, "b.csv", &[b'x'; 10]).await;
    assert_eq!(kept.get("storage/usage").await.field("data.available_bytes"), &json!(0));
    remove(app, ada, &object).await.assert_status(200);
    set(None).await;
    assert_eq!(kept.used().await, used);
    kept.assert_settled().await;
}

async fn query(kept: &Kept, source: i64, sql: &str) -> Value {
    let body = json!({ "sql": sql, "selected_data_source_ids": [source] });
    let request = kept.app.post("/api/v1/queries/execute").bearer(&kept.ada.access_token);
    request.json(&body).send().await.assert_status(200).field("data").clone()
}

async fn a_file_is_a_data_source(kept: &Kept, object: &str) {
    let Kept { app, store, ada } = kept;
    let body = json!({ "name": "Goods", "type": "csv", "file_path": object, "max_retries": 0 });
    let number = created(app, ada, &body).await;
    run_jobs(app).await;
    assert_eq!(status(app, ada, number).await, "active");
    let schemas = kept.get(&format!("data-sources/{number}/schemas")).await;
    let table = schemas.assert_status(200).field("data.schemas.0.tables.0");
    assert_eq!(
        (&table["table_name"], &table["columns"][1]["column_name"]),
        (&json!("goods"), &json!("name"))
    );
    let told = query(kept, number, "select name from goods where id > 1").await;
    assert_eq!(told["status"], "completed", "{told}");
    assert_eq!(told["result_preview"], json!([{ "name": "coffee" }]), "{told}");
    let url =
        kept.get(&format!("data-sources/{number}/file-url?expires_seconds=60")).await.text_at("data.url");
    assert_eq!(fetch(&url, None).await.body, CSV);

    // Opened anew while the store is ill, it cannot be fetched. Whoever asks learns no more than that.
    let anew = async || {
        patch(app, ada, &format!("/{number}/credentials"), &json!({})).await.assert_status(200);
        let tested = post(app, ada, &format!("/{number}/test")).await;
        assert!(!tested.text.contains("hunter2") && !tested.text.contains("storage."), "{}", tested.text);
        tested.assert_status(200).field("data").clone()
    };
    store.behave(StoreHealth::Answers(500));
    let data = anew().await;
    assert_eq!(
        (&data["connection_successful"], &data["error_code"]),
        (&json!(false), &json!("CONNECTION_ERROR"))
    );
    store.behave(StoreHealth::Fine);
    let data = anew().await;
    assert_eq!(data["connection_successful"], true, "{data}");
    let told = query(kept, number, "select count(*) as n from goods").await;
    assert_eq!(told["result_preview"], json!([{ "n": 2 }]), "{told}");
}

async fn a_store_that_is_ill_loses_nothing(kept: &Kept) {
    let Kept { app, store, ada } = kept;
    for (says, status, code, setting) in [
        (500, 503, "SERVICE_UNAVAILABLE", "storage.endpoint"),
        (403, 500, "INTERNAL_SERVER_ERROR", "storage.access_key_id"),
    ] {
        let (keys, used) = (store.keys().await, kept.used().await);
        let removed = stored(app, ada, "removed.csv", CSV).await;
        store.behave(StoreHealth::Answers(says));
        let refused = upload(app, ada, file("refused.csv", CSV)).await;
        refused.assert_error(status, code);
        assert_eq!(refused.field("success"), &json!(false));
        assert!(!refused.text.contains("hunter2") && !refused.text.contains("storage."), "{}", refused.text);
        // One of several parts, whose upload cannot even begin.
        upload(app, ada, file("refused.bin", &vec![1; 9 * MIB])).await.assert_error(status, code);
        // What is removed is so for everybody, whenever the store follows.
        remove(app, ada, &removed).await.assert_status(200);
        kept.get(&format!("storage/objects/{removed}/metadata")).await.assert_error(404, "NOT_FOUND");
        assert!(!kept.listed().await.iter().any(|name| name.starts_with("refused") || name == "removed.csv"));
        // The operator is told which setting to look at, and no file is taken for lost.
        let told = app.storage().compare_with_store().await.unwrap_err().to_string();
        assert!(told.contains(setting) && told.contains(&says.to_string()), "{told}");
        assert!(app.storage().settle_unfinished().await.is_err());
        assert_no_drift(app).await;

        store.behave(StoreHealth::Fine);
        app.storage().settle_unfinished().await.unwrap();
        app.storage().compare_with_store().await.unwrap();
        assert_eq!((store.keys().await, kept.used().await), (keys, used), "as it was before");
        kept.assert_settled().await;
    }
}

async fn a_slow_store_is_waited_for(kept: &Kept) {
    let Kept { app, store, ada } = kept;
    let used = kept.used().await;
    let size = i64::try_from(CSV.len()).unwrap();
    // Of two uploads that the store has not answered yet, one client waits and one goes away.
    let mut under_way = Vec::new();
    for name in ["slow.csv", "left.csv"] {
        let before = store.asked();
        store.behave(StoreHealth::Held);
        let request = file(name, CSV).on(uploading(app, ada));
        under_way.push(tokio::spawn(async move { request.send().await }));
        store.asked_more_than(before).await;
    }
    // Their bytes are taken, and nobody sees them.
    assert_eq!(kept.used().await, used + 2 * size);
    assert!(!kept.listed().await.iter().any(|name| name == "slow.csv" || name == "left.csv"));
    let left = under_way.pop().unwrap();
    left.abort();
    assert!(left.await.unwrap_err().is_cancelled());
    store.behave(StoreHealth::Fine);
    let stored = under_way.pop().unwrap().await.unwrap();
    stored.assert_status(201);
    eventually("an upload goes on without its client", async || {
        kept.listed().await.iter().any(|name| name == "left.csv").then_some(())
    })
    .await;
    assert!(kept.listed().await.iter().any(|name| name == "slow.csv"));
    assert_eq!(kept.used().await, used + 2 * size);
    kept.assert_settled().await;
}

/// What is being sent is in memory, however many uploads there are and whether or not their clients wait.
async fn a_slow_store_is_sent_a_few_files_at_once(kept: &Kept) {
    let Kept { app, store, ada } = kept;
    let (before, used) = (store.asked(), kept.used().await);
    let size = i64::try_from(CSV.len()).unwrap();
    store.behave(StoreHealth::Held);
    let uploads: Vec<_> = (0..10)
        .map(|_| {
            let request = file("many.csv", CSV).on(uploading(app, ada));
            tokio::spawn(async move { request.send().await })
        })
        .collect();
    eventually("all have taken their bytes", async || (kept.used().await == used + 10 * size).then_some(()))
        .await;
    store.asked_more_than(before + 5).await;
    assert_eq!(store.asked(), before + 6);
    store.behave(StoreHealth::Fine);
    for upload in uploads {
        let object = upload.await.unwrap().assert_status(201).text_at("data.file_path");
        remove(app, ada, &object).await.assert_status(200);
    }
    assert_eq!(kept.used().await, used);
    kept.assert_settled().await;
}

async fn orphans_are_found_both_ways(kept: &Kept) {
    let Kept { app, store, ada } = kept;
    let object = stored(app, ada, "lost.csv", b"12345678").await;
    let folder = object.rsplit_once('/').unwrap().0;
    let used = kept.used().await;
    let metadata = format!("storage/objects/{object}/metadata");
    // A row whose object is gone waits for it.
    store.remove(&object).await;
    app.storage().compare_with_store().await.unwrap();
    assert_eq!(kept.used().await, used - 8);
    kept.get(&metadata).await.assert_error(404, "NOT_FOUND");
    store.put(&object, b"12345678").await;
    app.storage().compare_with_store().await.unwrap();
    assert_eq!(kept.used().await, used);
    kept.get(&metadata).await.assert_status(200);
    // An object without a row gets one, if its folder is somebody's.
    store.put(&format!("{folder}/put/aside.csv"), b"1234").await;
    store.put("organizations/999/files/999/foreign.csv", b"1").await;
    app.storage().compare_with_store().await.unwrap();
    assert_eq!(kept.used().await, used + 4);
    assert!(kept.listed().await.iter().any(|name| name == "aside.csv"));
    let url = kept.signed(&format!("{folder}/put/aside.csv"), 60).await;
    assert_eq!(fetch(&url, None).await.body, b"1234");
    // One that was removed does not come back.
    remove(app, ada, &object).await.assert_status(200);
    store.put(&object, b"12345678").await;
    app.storage().compare_with_store().await.unwrap();
    assert!(!store.keys().await.contains(&object));
    assert_eq!(kept.used().await, used - 8 + 4);
    kept.assert_settled().await;
}

async fn removing_is_for_good(kept: &Kept, object: &str) {
    let Kept { app, store, ada } = kept;
    let url = kept.signed(object, 600).await;
    let used = kept.used().await;
    let answer = remove(app, ada, object).await;
    let told = "The data source Goods (1) read this file, and does not answer any more: give it another file_path, or delete it.";
    assert_data(&answer, 200, &json!({ "object_name": object, "warnings": [told] }));
    remove(app, ada, object).await.assert_error(404, "NOT_FOUND");
    kept.get(&format!("storage/objects/{object}/presigned-url")).await.assert_error(404, "NOT_FOUND");
    // S3 says that there is none only to who may list the bucket.
    let status = fetch(&url, None).await.status;
    assert!([403, 404].contains(&status), "a URL ends with its file: {status}");
    assert!(!store.keys().await.contains(&object.to_owned()));
    assert_eq!(kept.used().await, used - i64::try_from(CSV.len()).unwrap());
    kept.assert_settled().await;
}

/// Last: nobody is signed in any more by then.
async fn what_is_nobodys_goes_when_it_is_old(kept: &Kept) {
    let foreign = "organizations/999/files/999/foreign.csv".to_owned();
    let keys = kept.store.keys().await;
    assert!(keys.contains(&foreign), "its owner may come back: {keys:?}");
    kept.app.advance(Duration::from_secs(31 * 86_400));
    kept.app.storage().compare_with_store().await.unwrap();
    let left: Vec<String> = keys.into_iter().filter(|key| *key != foreign).collect();
    assert_eq!(kept.store.keys().await, left, "and nothing else");
    kept.assert_settled().await;
}

on_both_engines! {
    async fn s3_keeps_files(engine: Engine) {
        endpoints_over(Cloud::S3, engine).await;
    }

    async fn azure_keeps_files(engine: Engine) {
        endpoints_over(Cloud::Azure, engine).await;
    }

    async fn google_cloud_storage_keeps_files(engine: Engine) {
        endpoints_over(Cloud::Gcs, engine).await;
    }

    async fn a_key_that_the_store_does_not_know_is_told(engine: Engine) {
        // Whether Azure's and Google's stores look at signatures is what the story stands on.
        for cloud in [Cloud::Azure, Cloud::Gcs] {
            let store = CloudStore::start(cloud).await;
            let mut config = store.config();
            config.secret_access_key = Some(serde_json::from_value(json!(cloud.other_secret())).unwrap());
            let app = builder(engine).files(config).start().await;
            let ada = app.sign_up_rivergen_verified(ADA).await;
            upload(&app, &ada, file("a.csv", CSV)).await.assert_error(500, "INTERNAL_SERVER_ERROR");
            let told = app.storage().objects().check().await.unwrap_err().to_string();
            assert!(told.contains("storage.access_key_id"), "{cloud:?}: {told}");
            assert!(!told.contains(cloud.other_secret()), "{told}");
            assert!(store.keys().await.is_empty());
        }
    }
}

//! Storage: files that people upload.

mod download;
mod lists;
mod quota;
mod stores;
mod strangers;
mod upkeep;
mod upload;
mod whose;

use axum::body::Body;
use futures_util::StreamExt;
use serde_json::Value;
use tidegate_storage::StorageLimits;
use tidegate_testkit::{Answer, Engine, Fixture, Person, Request, TestApp};

use super::wire::url;

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";
const BUCKET: &str = "tidegate-files";

/// A form of parts.
#[derive(Clone, Default)]
struct Parts(Vec<u8>);

impl Parts {
    fn text(mut self, name: &str, text: &str) -> Self {
        self.0.extend(
            format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n").bytes(),
        );
        self
    }

    /// A file of that name. What its sender says of its type is a lie on purpose.
    fn file(mut self, name: &str, content: &[u8]) -> Self {
        let head = format!(
            "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: text/html\r\n\r\n"
        );
        self.0.extend(head.bytes().chain(content.iter().copied()).chain(*b"\r\n"));
        self
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend(b"--b--\r\n");
        self.0
    }

    fn on(self, request: Request) -> Request {
        request.body("multipart/form-data; boundary=b", self.end())
    }

    /// The same without a length that is known before.
    fn chunked_on(self, request: Request) -> Request {
        let chunks: Vec<Vec<u8>> = self.end().chunks(1_000).map(<[u8]>::to_vec).collect();
        let body = Body::from_stream(futures_util::stream::iter(chunks).map(Ok::<_, std::io::Error>));
        request.header("content-type", "multipart/form-data; boundary=b").stream(body)
    }
}

/// A file of that name.
fn file(name: &str, content: &[u8]) -> Parts {
    Parts::default().file(name, content)
}

fn uploading(app: &TestApp, who: &Person) -> Request {
    app.post(&url("storage/upload")).bearer(&who.access_token)
}

/// Uploads a form.
async fn upload(app: &TestApp, who: &Person, parts: Parts) -> Answer {
    parts.on(uploading(app, who)).send().await
}

/// Uploads a CSV and answers its object name.
async fn stored(app: &TestApp, who: &Person, name: &str, content: &[u8]) -> String {
    upload(app, who, file(name, content)).await.assert_status(201).text_at("data.file_path")
}

fn get(app: &TestApp, who: &Person, path: &str) -> Request {
    app.get(&url(path)).bearer(&who.access_token)
}

async fn remove(app: &TestApp, who: &Person, object: &str) -> Answer {
    app.delete(&url(&format!("storage/objects/{object}"))).bearer(&who.access_token).send().await
}

/// A signed URL of an object, without the origin.
async fn signed(app: &TestApp, who: &Person, object: &str) -> String {
    let answer = get(app, who, &format!("storage/objects/{object}/presigned-url")).send().await;
    path_of(&answer.assert_status(200).text_at("data.url"))
}

fn path_of(url: &str) -> String {
    url.strip_prefix(tidegate_testkit::PUBLIC_URL).expect("at the public URL").to_owned()
}

async fn used(app: &TestApp, who: &Person) -> i64 {
    get(app, who, "storage/usage").send().await.assert_status(200).field("data.used_bytes").as_i64().unwrap()
}

/// What the rows say that is used, and what is counted.
async fn assert_no_drift(app: &TestApp) {
    let counted =
        app.sql_count("select cast(coalesce(sum(used_bytes), 0) as bigint) from storage_usage").await;
    let rows = "select cast(coalesce(sum(size_bytes), 0) as bigint) from storage_files
                where state in ('uploading', 'stored', 'removing')";
    assert_eq!(counted, app.sql_count(rows).await, "what is counted is not what is kept");
}

/// The files in the directory, below the folders of organizations.
fn files_on_disk(app: &TestApp) -> Vec<String> {
    fn walk(directory: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { walk(&path, found) } else { found.push(path.display().to_string()) }
        }
    }
    let mut found = Vec::new();
    walk(&app.files_directory().join("organizations"), &mut found);
    found.sort();
    found
}

/// The files that are being uploaded.
fn staged_on_disk(app: &TestApp) -> usize {
    std::fs::read_dir(app.files_directory().join(".incoming")).map_or(0, Iterator::count)
}

/// The application without rate limits, and with small quotas.
struct Small(TestApp);

impl Fixture for Small {
    async fn prepare(engine: Engine) -> Self {
        let limits =
            StorageLimits { file_bytes: 10_000, organization_bytes: 20_000, ..StorageLimits::default() };
        Self(TestApp::builder(engine).without_limits().file_limits(limits).start().await)
    }
}

impl std::ops::Deref for Small {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.0
    }
}

fn names(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap().to_owned()).collect()
}

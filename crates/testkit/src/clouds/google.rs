//! A stub of Google Cloud Storage: the part of its XML API that files are kept with.
//!
//! Source: Cloud Storage, "XML API overview", "List objects", "Multipart uploads", "HTTP status and error codes for XML".

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use tidegate_domain::{Clock, Timestamp};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::BUCKET;
use super::signature::{check, decoded, pairs, sha256};
use crate::WallClock;

/// Objects on a page of a list. Google has 1,000, and may answer fewer: here, so that lists have several pages.
const PAGE: usize = 3;
/// Least bytes of a part that is not the last.
const LEAST_PART: usize = 5 * 1024 * 1024;

/// The stub; ends with the test.
pub(super) struct GoogleStub {
    address: String,
    task: JoinHandle<()>,
}

impl Drop for GoogleStub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A status, and the code of the error.
#[derive(Clone, Copy, Debug)]
pub(super) struct Refusal(pub(super) StatusCode, pub(super) &'static str);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code) = self;
        let body = format!(
            "<?xml version='1.0' encoding='UTF-8'?><Error><Code>{code}</Code><Message>It is refused.</Message></Error>"
        );
        (status, [(header::CONTENT_TYPE, "application/xml; charset=UTF-8")], body).into_response()
    }
}

#[derive(Clone)]
struct Object {
    content: Bytes,
    etag: String,
    modified: Timestamp,
}

impl Object {
    fn new(content: Bytes) -> Self {
        let etag = sha256(&content).chars().take(32).collect::<String>();
        Self { etag: format!("\"{etag}\""), content, modified: WallClock.now() }
    }
}

/// What is in the bucket, and on its way there.
#[derive(Default)]
struct Shared {
    objects: Mutex<BTreeMap<String, Object>>,
    uploads: Mutex<Uploads>,
}

#[derive(Default)]
struct Uploads {
    begun: u64,
    parts: BTreeMap<String, BTreeMap<u64, Object>>,
}

impl GoogleStub {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let shared = Arc::new(Shared::default());
        let router = Router::new().fallback(move |request: Request| {
            let shared = Arc::clone(&shared);
            async move { shared.answer(request).await }
        });
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, router).await;
        });
        Self { address, task }
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

/// What is asked: values of the query by their names.
struct Query(BTreeMap<String, String>);

impl Query {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl Shared {
    async fn answer(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        self.act(&parts, body).unwrap_or_else(IntoResponse::into_response)
    }

    fn act(&self, parts: &Parts, body: Bytes) -> Result<Response, Refusal> {
        check(parts, &body, WallClock.now())?;
        let path = decoded(parts.uri.path());
        let path = path.strip_prefix('/').unwrap_or(&path);
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        if bucket != BUCKET {
            return Err(Refusal(StatusCode::NOT_FOUND, "NoSuchBucket"));
        }
        let query = parts.uri.query().unwrap_or_default();
        let query = Query(pairs(query).map(|(name, value)| (decoded(name), decoded(value))).collect());
        let upload = query.get("uploadId");
        match (&parts.method, upload) {
            (&Method::GET, None) if key.is_empty() => self.list(&query),
            (&Method::GET | &Method::HEAD, None) => self.read(key, parts, &query),
            (&Method::PUT, None) => Ok(self.put(key, body)),
            (&Method::DELETE, None) => self.remove(key),
            (&Method::POST, None) if query.get("uploads").is_some() => Ok(self.begin(key)),
            (&Method::PUT, Some(upload)) => self.part(upload, &query, body),
            (&Method::POST, Some(upload)) => self.complete(key, upload, &body),
            (&Method::DELETE, Some(upload)) => self.abort(upload),
            _ => Err(Refusal(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed")),
        }
    }

    fn put(&self, key: &str, body: Bytes) -> Response {
        let object = Object::new(body);
        let etag = object.etag.clone();
        self.objects.lock().expect("objects").insert(key.to_owned(), object);
        (StatusCode::OK, [(header::ETAG, etag)]).into_response()
    }

    fn remove(&self, key: &str) -> Result<Response, Refusal> {
        let removed = self.objects.lock().expect("objects").remove(key);
        removed.map(|_| StatusCode::NO_CONTENT.into_response()).ok_or(NO_SUCH_KEY)
    }

    fn read(&self, key: &str, parts: &Parts, query: &Query) -> Result<Response, Refusal> {
        let object = self.objects.lock().expect("objects").get(key).cloned().ok_or(NO_SUCH_KEY)?;
        let size = object.content.len();
        let asked = parts.headers.get(header::RANGE).and_then(|range| range.to_str().ok());
        let range = match asked {
            Some(asked) => {
                Some(range(asked, size).ok_or(Refusal(StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"))?)
            }
            None => None,
        };
        let (start, end) = range.unwrap_or((0, size));
        let mut response = Response::new(Body::from(object.content.slice(start..end)));
        let headers = response.headers_mut();
        let mut say = |name: HeaderName, text: &str| {
            headers.insert(name, HeaderValue::from_str(text).expect("a header"));
        };
        say(header::ETAG, &object.etag);
        say(header::LAST_MODIFIED, &written(object.modified, "%a, %d %b %Y %H:%M:%S GMT"));
        say(header::CONTENT_LENGTH, &(end - start).to_string());
        say(header::CONTENT_TYPE, query.get("response-content-type").unwrap_or("application/octet-stream"));
        if let Some(disposition) = query.get("response-content-disposition") {
            say(header::CONTENT_DISPOSITION, disposition);
        }
        if range.is_some() {
            say(header::CONTENT_RANGE, &format!("bytes {start}-{}/{size}", end - 1));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        Ok(response)
    }

    fn list(&self, query: &Query) -> Result<Response, Refusal> {
        if query.get("list-type") != Some("2") {
            return Err(Refusal(StatusCode::BAD_REQUEST, "InvalidArgument"));
        }
        let prefix = query.get("prefix").unwrap_or_default();
        let after = query.get("continuation-token").unwrap_or_default();
        let objects = self.objects.lock().expect("objects");
        let (mut entries, mut count, mut last, mut next) = (String::new(), 0, String::new(), None);
        for (key, object) in objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
            let below = key.get(prefix.len()..).unwrap_or_default();
            let folder = query.get("delimiter").and_then(|delimiter| below.split_once(delimiter));
            let name = folder.map_or_else(|| key.clone(), |(folder, _)| format!("{prefix}{folder}/"));
            // Folders are told once.
            if name.as_str() <= after || name == last {
                continue;
            }
            if count == PAGE {
                next = Some(last.clone());
                break;
            }
            count += 1;
            entries += &entry(&name, object, folder.is_some());
            last = name;
        }
        let next = next
            .map(|next| format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(&next)))
            .unwrap_or_default();
        let list = format!(
            "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='http://doc.s3.amazonaws.com/2006-03-01'>\
             <Name>{BUCKET}</Name><KeyCount>{count}</KeyCount>{entries}{next}</ListBucketResult>"
        );
        Ok(xml(list))
    }

    fn begin(&self, key: &str) -> Response {
        let mut uploads = self.uploads.lock().expect("uploads");
        uploads.begun += 1;
        let upload = format!("upload-{}", uploads.begun);
        uploads.parts.insert(upload.clone(), BTreeMap::new());
        xml(format!(
            "<InitiateMultipartUploadResult><Bucket>{BUCKET}</Bucket><Key>{}</Key><UploadId>{upload}</UploadId>\
             </InitiateMultipartUploadResult>",
            escaped(key)
        ))
    }

    fn part(&self, upload: &str, query: &Query, body: Bytes) -> Result<Response, Refusal> {
        let number = query.get("partNumber").and_then(|number| number.parse().ok());
        let number: u64 = number.ok_or(Refusal(StatusCode::BAD_REQUEST, "InvalidArgument"))?;
        let mut uploads = self.uploads.lock().expect("uploads");
        let part = Object::new(body);
        let etag = part.etag.clone();
        uploads.parts.get_mut(upload).ok_or(NO_SUCH_UPLOAD)?.insert(number, part);
        Ok((StatusCode::OK, [(header::ETAG, etag)]).into_response())
    }

    /// Makes the parts that the body names an object.
    fn complete(&self, key: &str, upload: &str, body: &[u8]) -> Result<Response, Refusal> {
        let mut uploads = self.uploads.lock().expect("uploads");
        let parts = uploads.parts.get(upload).ok_or(NO_SUCH_UPLOAD)?;
        let named = String::from_utf8_lossy(body).replace("&quot;", "\"");
        let named: Vec<(u64, &str)> = named
            .split("<Part>")
            .skip(1)
            .filter_map(|part| Some((between(part, "PartNumber")?.parse().ok()?, between(part, "ETag")?)))
            .collect();
        let mut content = Vec::new();
        for (index, (number, etag)) in named.iter().enumerate() {
            let part = parts.get(number).filter(|part| part.etag == *etag);
            let part = part.ok_or(Refusal(StatusCode::BAD_REQUEST, "InvalidPart"))?;
            if index + 1 < named.len() && part.content.len() < LEAST_PART {
                return Err(Refusal(StatusCode::BAD_REQUEST, "EntityTooSmall"));
            }
            content.extend_from_slice(&part.content);
        }
        uploads.parts.remove(upload);
        let object = Object::new(content.into());
        let answer = format!(
            "<CompleteMultipartUploadResult><Bucket>{BUCKET}</Bucket></CompleteMultipartUploadResult>"
        );
        self.objects.lock().expect("objects").insert(key.to_owned(), object);
        Ok(xml(answer))
    }

    fn abort(&self, upload: &str) -> Result<Response, Refusal> {
        let removed = self.uploads.lock().expect("uploads").parts.remove(upload);
        removed.map(|_| StatusCode::NO_CONTENT.into_response()).ok_or(NO_SUCH_UPLOAD)
    }
}

const NO_SUCH_KEY: Refusal = Refusal(StatusCode::NOT_FOUND, "NoSuchKey");
const NO_SUCH_UPLOAD: Refusal = Refusal(StatusCode::NOT_FOUND, "NoSuchUpload");

fn entry(name: &str, object: &Object, is_folder: bool) -> String {
    let mut entry = String::new();
    let name = escaped(name);
    let written = if is_folder {
        write!(entry, "<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>")
    } else {
        let modified = written(object.modified, "%Y-%m-%dT%H:%M:%S%.3fZ");
        let (etag, size) = (escaped(&object.etag), object.content.len());
        write!(
            entry,
            "<Contents><Key>{name}</Key><LastModified>{modified}</LastModified><ETag>{etag}</ETag><Size>{size}</Size></Contents>"
        )
    };
    written.expect("a text");
    entry
}

fn xml(text: String) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/xml; charset=UTF-8")], text).into_response()
}

/// From where to where `bytes=FIRST-LAST` goes.
fn range(asked: &str, size: usize) -> Option<(usize, usize)> {
    let (first, last) = asked.strip_prefix("bytes=")?.split_once('-')?;
    if first.is_empty() {
        let count: usize = last.parse().ok()?;
        return (count > 0 && size > 0).then_some((size.saturating_sub(count), size));
    }
    let first: usize = first.parse().ok()?;
    let end = if last.is_empty() { size } else { last.parse::<usize>().ok()?.saturating_add(1).min(size) };
    (first < end).then_some((first, end))
}

/// What an element holds.
fn between<'t>(text: &'t str, element: &str) -> Option<&'t str> {
    let after = text.split_once(&format!("<{element}>"))?.1;
    after.split_once(&format!("</{element}>")).map(|(inside, _)| inside)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn written(at: Timestamp, pattern: &str) -> String {
    DateTime::<Utc>::from_timestamp_micros(at.micros()).expect("a time").format(pattern).to_string()
}

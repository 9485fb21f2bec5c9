//! What differs between the protocols of object stores.

use std::fmt::{Debug, Write};
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use tidegate_domain::Timestamp;
use url::Url;

/// A request to be signed and sent.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// A file of a list.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) key: String,
    pub(super) size: u64,
    pub(super) last_modified: DateTime<Utc>,
    pub(super) e_tag: String,
}

/// A page of a list.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) files: Vec<Listed>,
    pub(super) directories: Vec<String>,
    /// Asks for the next page.
    pub(super) next: Option<String>,
}

/// An upload in parts that has begun.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// As the store calls it.
    pub(super) upload: String,
    /// What the store said of each part.
    pub(super) tags: Vec<String>,
}

/// A protocol: what its requests look like, and how they are signed.
pub(super) trait Protocol: Debug + Send + Sync {
    /// The address of a file, or of the bucket.
    fn address(&self, key: Option<&str>) -> Url;

    /// Stores a file at once.
    fn put(&self, key: &str, body: Bytes) -> Draft;

    /// Begins an upload in parts; none where it needs no beginning.
    fn begin(&self, key: &str) -> Option<Draft>;

    /// The upload, from the answer to its beginning.
    fn begun(&self, answer: &str) -> Option<String>;

    /// Sends a part, counted from 0.
    fn part(&self, key: &str, upload: &str, number: usize, body: Bytes) -> Draft;

    /// What the store calls that part, from the headers of its answer.
    fn tag(&self, number: usize, answer: &HeaderMap) -> Option<String>;

    /// Makes the parts a file.
    fn complete(&self, key: &str, parts: &Parts) -> Draft;

    /// Calls an upload in parts off; none where the store forgets it by itself.
    fn abort(&self, key: &str, upload: &str) -> Option<Draft>;

    /// Asks for files whose keys begin so; those of directories below are left out where `flat`.
    fn list(&self, prefix: &str, flat: bool, from: Option<&str>) -> Draft;

    /// A page of a list.
    fn page(&self, answer: &str) -> Result<Page, String>;

    /// Signs a request.
    fn sign(&self, draft: &mut Draft, now: Timestamp);

    /// A URL at which the store answers a file to whoever has it.
    fn presign(&self, key: &str, file_name: &str, lives: Duration, now: Timestamp) -> Url;

    /// Reads a file, or a part of it.
    fn get(&self, key: &str, range: Option<&Range<u64>>) -> Draft {
        let mut draft = self.plain(Method::GET, key);
        if let Some(Range { start, end }) = range {
            draft.set("range", &format!("bytes={start}-{}", end.saturating_sub(1)));
        }
        draft
    }

    /// A request without a body about a file.
    fn plain(&self, method: Method, key: &str) -> Draft {
        Draft::new(method, self.address(Some(key)))
    }
}

impl Draft {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// With a query, whose values are encoded here.
    pub(super) fn query(mut self, pairs: &[(&str, &str)]) -> Self {
        self.url.set_query(Some(&query(pairs)));
        self
    }

    pub(super) fn with(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// Sets a header; one that cannot be sent is left out, and the request fails at the store.
    pub(super) fn set(&mut self, name: &str, value: &str) {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            self.headers.insert(name, value);
        }
    }
}

/// A query in the order in which signatures want it.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let mut encoded: Vec<(String, String)> =
        pairs.iter().map(|(name, value)| (encode(name, ""), encode(value, ""))).collect();
    encoded.sort();
    encoded.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Percent-encodes everything but letters and digits of ASCII, `-_.~`, and `kept`.
pub(super) fn encode(text: &str, kept: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let one = char::from(byte);
        if one.is_ascii_alphanumeric() || "-_.~".contains(one) || (byte.is_ascii() && kept.contains(one)) {
            encoded.push(one);
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// The instant, in the form that `pattern` says.
pub(super) fn at(now: Timestamp, pattern: &str) -> String {
    DateTime::<Utc>::from_timestamp_micros(now.micros()).unwrap_or_default().format(pattern).to_string()
}

/// `Content-Disposition` of a file that is saved and not shown (RFC 6266).
pub(super) fn attachment(file_name: &str) -> String {
    format!("attachment; filename*=UTF-8''{}", encode(file_name, ""))
}

/// An address below an endpoint: its path, and these parts.
pub(super) fn below(endpoint: &Url, parts: &[&str]) -> Url {
    let mut url = endpoint.clone();
    let path = parts.iter().fold(endpoint.path().trim_end_matches('/').to_owned(), |path, part| {
        format!("{path}/{}", encode(part, "/"))
    });
    url.set_path(&path);
    url
}

/// The address of a store.
pub(super) fn endpoint(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("storage.endpoint is no address: {error}"))?;
    match url.scheme() {
        "http" | "https" if url.has_host() && url.query().is_none() && url.username().is_empty() => Ok(url),
        _ => Err("storage.endpoint must be http://… or https://…, without a user and a query".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_sorted_and_encoded() {
        assert_eq!(
            query(&[("prefix", "a/b c"), ("list-type", "2"), ("é", "")]),
            "%C3%A9=&list-type=2&prefix=a%2Fb%20c"
        );
        assert_eq!(encode("a/ü~", "/"), "a/%C3%BC~");
    }

    #[test]
    fn addresses_are_below_the_endpoint() {
        let address = below(&endpoint("http://127.0.0.1:9000/base/").unwrap(), &["bucket", "a/ü.csv"]);
        assert_eq!(address.as_str(), "http://127.0.0.1:9000/base/bucket/a/%C3%BC.csv");
        for wrong in ["minio", "ftp://a", "http://user@a", "http://a?b", "file:///etc"] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }
}

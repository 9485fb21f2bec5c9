//! Requests of a store's protocol, signed, for those who send them by a connection of their own: data sources check each address, may go
//! through a tunnel, and trust the authorities of their own settings.

use std::ops::Range;
use std::sync::Arc;

use reqwest::Method;
use tidegate_domain::{Secret, Timestamp};
use url::Url;

use super::azure::VERSION;
use super::protocol::{Draft, Protocol};
use crate::{Backend, StorageConfig, StorageSecret};

/// A key that nothing is signed with: the protocols want one, also where requests are sent unsigned.
const NO_KEY: &str = "bm9uZQ==";

/// Which store it is, and where.
#[derive(Clone, Debug)]
pub struct StoreAddress {
    /// Its kind; a local directory is none.
    pub backend: Backend,
    /// The bucket, or the container in Azure.
    pub bucket: String,
    /// Address of the store. None: that of Amazon, Google or Microsoft.
    pub endpoint: Option<String>,
    /// Region of the bucket, as signatures name it.
    pub region: String,
    /// The account in Azure, also where requests are not signed with its key.
    pub account: Option<String>,
}

/// What requests are signed with.
#[derive(Clone, Debug)]
pub struct StoreKey {
    /// Access key ID, or name of the account in Azure.
    pub id: String,
    /// Secret access key, or key of the account in Azure.
    pub secret: String,
    /// The token of temporary credentials of Amazon.
    pub session: Option<String>,
}

/// A GET request that is ready to be sent as it is.
#[derive(Clone, Debug)]
pub struct PreparedRequest {
    /// Where it goes.
    pub url: Url,
    /// Names in small letters, and values.
    pub headers: Vec<(String, String)>,
}

/// A page of a list.
#[derive(Clone, Debug, Default)]
pub struct ListedPage {
    /// Its files.
    pub files: Vec<ListedFile>,
    /// Asks for the next page.
    pub next: Option<String>,
}

/// A file of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedFile {
    /// Its key.
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Its entity tag, with quotes.
    pub etag: String,
}

/// Makes requests that read from a bucket.
#[derive(Clone, Debug)]
pub struct StoreRequests {
    protocol: Arc<dyn Protocol>,
    backend: Backend,
    is_signed: bool,
    session: Option<Secret>,
}

impl StoreRequests {
    /// Requests to a store; unsigned without a key, for public buckets and for callers who add a token of their own.
    ///
    /// # Errors
    /// What is wrong with the address or the key, for the operator.
    pub fn new(address: StoreAddress, key: Option<StoreKey>) -> Result<Self, String> {
        let StoreAddress { backend, bucket, endpoint, region, account } = address;
        let is_signed = key.is_some();
        let (id, secret, session) = match key {
            Some(key) => (key.id, key.secret, key.session),
            None => (account.unwrap_or_else(|| "none".to_owned()), NO_KEY.to_owned(), None),
        };
        let config = StorageConfig {
            backend,
            bucket,
            endpoint,
            region,
            access_key_id: Some(id),
            secret_access_key: Some(StorageSecret(Secret::new(secret))),
            ..StorageConfig::default()
        };
        config.check()?;
        if backend == Backend::Local {
            return Err("a local directory is asked by no request".to_owned());
        }
        let protocol = super::protocol(&config, config.endpoint.as_deref())?;
        Ok(Self { protocol, backend, is_signed, session: session.map(Secret::new) })
    }

    /// Asks for a page of the files whose keys begin so. `now` is in microseconds since 1970-01-01.
    pub fn list(&self, prefix: &str, from: Option<&str>, now: i64) -> PreparedRequest {
        self.prepared(self.protocol.list(prefix, false, from), now)
    }

    /// The page that was answered.
    ///
    /// # Errors
    /// That it is none.
    pub fn page(&self, answer: &str) -> Result<ListedPage, String> {
        let page = self.protocol.page(answer)?;
        let files = page.files.into_iter().map(|file| ListedFile {
            key: file.key,
            size: file.size,
            etag: file.e_tag,
        });
        Ok(ListedPage { files: files.collect(), next: page.next })
    }

    /// Reads a file, or a part of it; only while its entity tag is still that one, if one is given.
    pub fn get(
        &self,
        key: &str,
        range: Option<&Range<u64>>,
        etag: Option<&str>,
        now: i64,
    ) -> PreparedRequest {
        let mut draft = self.protocol.get(key, range);
        if let Some(etag) = etag {
            draft.set("if-match", etag);
        }
        self.prepared(draft, now)
    }

    fn prepared(&self, mut draft: Draft, now: i64) -> PreparedRequest {
        debug_assert_eq!(draft.method, Method::GET);
        if let Some(session) = &self.session {
            draft.set("x-amz-security-token", session.expose());
        }
        if self.is_signed {
            self.protocol.sign(&mut draft, Timestamp::from_micros(now));
        } else if self.backend == Backend::Azure {
            draft.set("x-ms-version", VERSION);
        }
        let headers = draft
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
        PreparedRequest { url: draft.url, headers: headers.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(backend: Backend) -> StoreAddress {
        StoreAddress {
            backend,
            bucket: "b".to_owned(),
            endpoint: Some("http://127.0.0.1:9".to_owned()),
            region: "eu-north-1".to_owned(),
            account: Some("acct".to_owned()),
        }
    }

    fn header<'a>(request: &'a PreparedRequest, name: &str) -> Option<&'a str> {
        request.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    #[test]
    fn temporary_credentials_sign_their_token() {
        let key = StoreKey {
            id: "AKID".to_owned(),
            secret: "secret".to_owned(),
            session: Some("token".to_owned()),
        };
        let requests = StoreRequests::new(address(Backend::S3), Some(key)).unwrap();
        let request = requests.get("a/b c.csv", Some(&(0..10)), Some("\"x\""), 0);
        assert_eq!(request.url.as_str(), "http://127.0.0.1:9/b/a/b%20c.csv");
        assert_eq!(header(&request, "range"), Some("bytes=0-9"));
        assert_eq!(header(&request, "if-match"), Some("\"x\""));
        let signature = header(&request, "authorization").unwrap();
        assert!(
            signature.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,")
        );
    }

    #[test]
    fn nothing_is_signed_without_a_key() {
        for backend in [Backend::S3, Backend::Gcs, Backend::Azure] {
            let requests = StoreRequests::new(address(backend), None).unwrap();
            let request = requests.list("p/", None, 0);
            assert_eq!(header(&request, "authorization"), None, "{backend:?}");
            assert_eq!(header(&request, "x-ms-version").is_some(), backend == Backend::Azure);
        }
        assert!(StoreRequests::new(address(Backend::Local), None).is_err());
        let wrong = StoreAddress { bucket: "a/../b".to_owned(), ..address(Backend::S3) };
        assert!(StoreRequests::new(wrong, None).is_err());
    }
}

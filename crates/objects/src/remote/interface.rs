//! A remote store as an object store.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use reqwest::header::HeaderMap;
use reqwest::{Method, Response, StatusCode};
use tidegate_domain::Clock;

use super::failure::StoreFailure;
use super::http::{Http, checked, generic, joined, silent, text};
use super::protocol::{Draft, Listed, Page, Protocol};
use super::upload::Upload;

/// A store that speaks one of the protocols.
#[derive(Clone)]
pub(super) struct RemoteStore {
    pub(super) protocol: Arc<dyn Protocol>,
    http: Http,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.protocol.fmt(f)
    }
}

impl fmt::Display for RemoteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.protocol.address(None))
    }
}

impl RemoteStore {
    pub(super) fn new(protocol: Arc<dyn Protocol>, http: Http, clock: Arc<dyn Clock>) -> Self {
        Self { protocol, http, clock }
    }

    pub(super) async fn send(&self, draft: &Draft) -> Result<Response> {
        self.http.send(self.protocol.as_ref(), self.clock.as_ref(), draft).await
    }

    async fn head(&self, location: &Path) -> Result<ObjectMeta> {
        let draft = self.protocol.plain(Method::HEAD, location.as_ref());
        let response = checked(self.send(&draft).await?, location).await?;
        let headers = response.headers();
        let size = number(headers, "content-length").ok_or_else(|| generic("an answer without a length"))?;
        meta(location, headers, size)
    }

    async fn page(&self, prefix: &str, flat: bool, from: Option<&str>) -> Result<Page> {
        let draft = self.protocol.list(prefix, flat, from);
        let response = checked(self.send(&draft).await?, &Path::default()).await?;
        let page = self.protocol.page(&text(response).await?);
        page.map_err(|error| generic(StoreFailure::Senseless(error)))
    }
}

/// The prefix of the keys in a directory.
fn inside(directory: Option<&Path>) -> String {
    directory.filter(|path| !path.as_ref().is_empty()).map(|path| format!("{path}/")).unwrap_or_default()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

/// The whole size, from `Content-Range: bytes 0-9/100`.
fn whole_size(headers: &HeaderMap) -> Option<u64> {
    headers.get("content-range")?.to_str().ok()?.rsplit('/').next()?.parse().ok()
}

fn meta(location: &Path, headers: &HeaderMap, size: u64) -> Result<ObjectMeta> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let last_modified = text("last-modified").and_then(|text| DateTime::parse_from_rfc2822(text).ok());
    let last_modified = last_modified.ok_or_else(|| generic("an answer without Last-Modified"))?;
    Ok(ObjectMeta {
        location: location.clone(),
        last_modified: last_modified.with_timezone(&Utc),
        size,
        e_tag: text("etag").map(str::to_owned),
        version: None,
    })
}

/// What is listed; none for a name that is no path.
fn listed(found: Listed) -> Option<ObjectMeta> {
    let location = Path::parse(&found.key).ok()?;
    // The folders that some tools make have a slash at the end.
    let is_file = location.as_ref() == found.key;
    is_file.then_some(ObjectMeta {
        location,
        last_modified: found.last_modified,
        size: found.size,
        e_tag: Some(found.e_tag),
        version: None,
    })
}

fn not_supported(what: &'static str) -> Error {
    Error::NotSupported { source: what.into() }
}

#[async_trait]
impl ObjectStore for RemoteStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        if options.mode != PutMode::Overwrite {
            return Err(not_supported("conditional writes"));
        }
        let draft = self.protocol.put(location.as_ref(), joined(payload));
        let response = checked(self.send(&draft).await?, location).await?;
        let e_tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(PutResult { e_tag, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let upload = match self.protocol.begin(location.as_ref()) {
            Some(draft) => {
                let answer = text(checked(self.send(&draft).await?, location).await?).await?;
                self.protocol.begun(&answer).ok_or_else(|| generic("the store does not name the upload"))?
            }
            None => String::new(),
        };
        Ok(Box::new(Upload {
            store: self.clone(),
            path: location.clone(),
            upload,
            next: 0,
            tags: Arc::default(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if options.head {
            let meta = self.head(location).await?;
            options.check_preconditions(&meta)?;
            let payload = GetResultPayload::Stream(stream::empty().boxed());
            return Ok(GetResult { payload, meta, range: 0..0, attributes: Attributes::default() });
        }
        // What is left of the end is known when the size is.
        let range: Option<Range<u64>> = match &options.range {
            None => None,
            Some(object_store::GetRange::Bounded(range)) => Some(range.clone()),
            Some(other) => {
                let size = self.head(location).await?.size;
                Some(other.as_range(size).map_err(generic)?)
            }
        };
        let draft = self.protocol.get(location.as_ref(), range.as_ref());
        let response = checked(self.send(&draft).await?, location).await?;
        let headers = response.headers();
        let length =
            number(headers, "content-length").ok_or_else(|| generic("an answer without a length"))?;
        let (size, start) = match (response.status(), &range) {
            (StatusCode::PARTIAL_CONTENT, Some(range)) => {
                let size = whole_size(headers).ok_or_else(|| generic("an answer without Content-Range"))?;
                (size, range.start)
            }
            (_, Some(_)) => return Err(generic("the store answers no part of a file")),
            (_, None) => (length, 0),
        };
        let meta = meta(location, headers, size)?;
        options.check_preconditions(&meta)?;
        let content = response.bytes_stream().map_err(silent);
        let payload = GetResultPayload::Stream(content.boxed());
        Ok(GetResult { payload, meta, range: start..start + length, attributes: Attributes::default() })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .and_then(move |location| {
                let store = store.clone();
                async move {
                    let draft = store.protocol.plain(Method::DELETE, location.as_ref());
                    checked(store.send(&draft).await?, &location).await?;
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), inside(prefix));
        // `Some(None)` is the first page, `None` the end.
        let pages = stream::try_unfold(Some(None::<String>), move |from| {
            let (store, prefix) = (store.clone(), prefix.clone());
            async move {
                let Some(from) = from else { return Ok(None) };
                let page = store.page(&prefix, false, from.as_deref()).await?;
                let files = stream::iter(page.files.into_iter().filter_map(listed).map(Ok::<_, Error>));
                Ok::<_, Error>(Some((files, page.next.map(Some))))
            }
        });
        pages.try_flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let prefix = inside(prefix);
        let (mut objects, mut common_prefixes, mut from) = (Vec::new(), Vec::new(), None::<String>);
        loop {
            let page = self.page(&prefix, true, from.as_deref()).await?;
            objects.extend(page.files.into_iter().filter_map(listed));
            common_prefixes.extend(page.directories.iter().filter_map(|found| Path::parse(found).ok()));
            match page.next {
                Some(next) => from = Some(next),
                None => return Ok(ListResult { common_prefixes, objects }),
            }
        }
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(not_supported("copying"))
    }
}

//! What clients of this installation publish about themselves: their keys (`jwks_uri`), and documents that describe them.
//!
//! A client names the address, and anybody may be a client: so it is asked like a provider is, at public addresses over https, without
//! redirects, bounded in time and size. What was read is remembered for a while, and so is that it failed.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use lru::LruCache;
use tidegate_domain::Timestamp;
use tokio::sync::Semaphore;
use url::Url;

use crate::error::FederationError;
use crate::outgoing::{Outgoing, unreadable};
use crate::reach::Reach;

/// Longest document that is read.
const MAX_DOCUMENT: usize = 32 * 1024;
/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How long what was read is used without looking again.
const FRESH: Duration = Duration::from_secs(600);
/// How long it is used while it cannot be read anew.
const STALE: Duration = Duration::from_secs(24 * 3_600);
/// How long nobody asks again after it was asked for, whether or not that failed.
const PAUSE: Duration = Duration::from_secs(60);
/// Documents that are remembered, of each kind of publisher.
const REMEMBERED: NonZeroUsize = NonZeroUsize::MIN.saturating_add(255);
/// Requests under way at a time, to each kind of publisher.
const AT_ONCE: usize = 16;

/// Who publishes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publisher {
    /// A client that somebody registered, who answers for it.
    Known,
    /// One that registered itself, or that a document describes.
    Stranger,
}

/// Reads and remembers what clients publish.
#[derive(Debug)]
pub struct ClientDocuments {
    known: Share,
    /// Strangers can publish as much as they like: what they do must neither push out what others published, nor take all turns.
    strangers: Share,
}

/// What is remembered of one kind of publisher, where it may be, and what may be asked for at a time.
#[derive(Debug)]
struct Share {
    reach: Reach,
    /// Made at the first request: most installations never send one.
    outgoing: OnceLock<Result<Outgoing, String>>,
    documents: Mutex<LruCache<String, Arc<Document>>>,
    under_way: Semaphore,
}

/// What is known of one address.
#[derive(Debug, Default)]
struct Document {
    state: Mutex<State>,
    /// One task asks at a time; the others use what it finds.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    body: Option<(Arc<[u8]>, Timestamp)>,
    tried_at: Option<Timestamp>,
}

/// A document as it was read.
#[derive(Clone, Debug)]
pub struct ClientDocument {
    /// Its bytes.
    pub body: Arc<[u8]>,
    /// When it was read.
    pub read_at: Timestamp,
}

impl ClientDocuments {
    /// Of clients on the internet; of those whom `is_private` says so of, on the operator's own network, too. Connects to nothing yet.
    pub fn new(is_private: impl Fn(Publisher) -> bool) -> Self {
        Self::within(|of| if is_private(of) { Reach::PrivateNetwork } else { Reach::Internet })
    }

    /// Of clients on this machine alone, also without https: for tests.
    pub fn of_this_machine() -> Self {
        Self::within(|_| Reach::ThisMachine)
    }

    fn within(reach: impl Fn(Publisher) -> Reach) -> Self {
        Self {
            known: Share::within(reach(Publisher::Known)),
            strangers: Share::within(reach(Publisher::Stranger)),
        }
    }

    /// Whether a client may name that address.
    pub fn admits(&self, of: Publisher, url: &Url) -> bool {
        self.share(of).reach.admits(url)
    }

    const fn share(&self, of: Publisher) -> &Share {
        match of {
            Publisher::Known => &self.known,
            Publisher::Stranger => &self.strangers,
        }
    }

    /// What is published at `url`: as it was read within the last ten minutes, or read now.
    ///
    /// # Errors
    /// [`FederationError`]; for a minute the same again without another request.
    pub async fn read(
        &self,
        of: Publisher,
        url: &Url,
        now: Timestamp,
    ) -> Result<ClientDocument, FederationError> {
        self.read_since(of, url, now.minus(FRESH), now).await
    }

    /// The same, read after `than` where it was not asked for within the last minute: it may have changed since.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub async fn read_newer(
        &self,
        of: Publisher,
        url: &Url,
        than: Timestamp,
        now: Timestamp,
    ) -> Result<ClientDocument, FederationError> {
        self.read_since(of, url, than, now).await
    }

    async fn read_since(
        &self,
        of: Publisher,
        url: &Url,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<ClientDocument, FederationError> {
        let share = self.share(of);
        let document = share.document(url);
        if let Some(known) = document.read_after(since) {
            return Ok(known);
        }
        let _asking = document.asking.lock().await;
        if let Some(known) = document.read_after(since) {
            return Ok(known);
        }
        let was_tried = document.lock().tried_at.is_some_and(|at| now < at.plus(PAUSE));
        // Where there is no turn, nothing was tried: a stranger's slow servers must not keep others' keys away for a minute.
        let turn = if was_tried { None } else { share.under_way.try_acquire().ok() };
        let read = match turn {
            Some(_permit) => Some(share.ask(url).await),
            None => None,
        };
        let mut state = document.lock();
        match read {
            Some(Ok(body)) => {
                let body: Arc<[u8]> = body.into();
                state.tried_at = Some(now);
                state.body = Some((Arc::clone(&body), now));
                Ok(ClientDocument { body, read_at: now })
            }
            failed => {
                if failed.is_some() {
                    state.tried_at = Some(now);
                }
                let stale = state.body.clone().filter(|(_, read_at)| *read_at > now.minus(STALE));
                let error = failed.and_then(Result::err);
                stale.map(|(body, read_at)| ClientDocument { body, read_at }).ok_or_else(|| {
                    let text = if was_tried {
                        "it could not be read a moment ago"
                    } else {
                        "too many are being asked for"
                    };
                    error.unwrap_or_else(|| FederationError::Unavailable(text.to_owned()))
                })
            }
        }
    }
}

impl Share {
    fn within(reach: Reach) -> Self {
        Self {
            reach,
            outgoing: OnceLock::new(),
            documents: Mutex::new(LruCache::sparse(REMEMBERED)),
            under_way: Semaphore::new(AT_ONCE),
        }
    }

    async fn ask(&self, url: &Url) -> Result<Vec<u8>, FederationError> {
        const WHAT: &str = "document of a client";
        let outgoing = self.outgoing.get_or_init(|| Outgoing::new(self.reach, TIMEOUT));
        let outgoing = outgoing.as_ref().map_err(|why| FederationError::Misconfigured(why.clone()))?;
        let body = outgoing.ask(WHAT, outgoing.get(url)).await?.bytes(WHAT)?;
        if body.len() > MAX_DOCUMENT {
            return Err(unreadable(WHAT, "more than 32 KiB"));
        }
        Ok(body)
    }

    fn document(&self, url: &Url) -> Arc<Document> {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(documents.get_or_insert(url.as_str().to_owned(), Arc::default))
    }
}

impl Document {
    fn read_after(&self, since: Timestamp) -> Option<ClientDocument> {
        let state = self.lock();
        let (body, read_at) = state.body.clone().filter(|(_, read_at)| *read_at > since)?;
        Some(ClientDocument { body, read_at })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000 + seconds)
    }

    /// Answers each request with the next of `answers`, and counts them.
    async fn server(answers: Vec<String>) -> (Url, Arc<Mutex<usize>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap()).parse().unwrap();
        let asked = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                *counted.lock().unwrap() += 1;
                let mut request = [0; 1_024];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (url, asked)
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn what_was_read_is_remembered_and_read_again_when_it_is_old() {
        let (url, asked) = server(vec![ok("one"), ok("two"), ok("three")]).await;
        let documents = ClientDocuments::of_this_machine();
        for (second, body, times) in [(0, "one", 1), (599, "one", 1), (601, "two", 2)] {
            assert_eq!(
                &*documents.read(Publisher::Known, &url, at(second)).await.unwrap().body,
                body.as_bytes()
            );
            assert_eq!(*asked.lock().unwrap(), times);
        }
        // A key was not found: looked for anew, once a minute.
        let newer = documents.read_newer(Publisher::Known, &url, at(601), at(630)).await.unwrap();
        assert_eq!((&*newer.body, *asked.lock().unwrap()), (&b"two"[..], 2));
        let newer = documents.read_newer(Publisher::Known, &url, at(601), at(662)).await.unwrap();
        assert_eq!((&*newer.body, *asked.lock().unwrap()), (&b"three"[..], 3));
    }

    #[tokio::test]
    async fn a_failure_is_remembered_for_a_minute_and_old_content_outlives_it() {
        let failed = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
        let redirect = "HTTP/1.1 302 F\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let (url, asked) = server(vec![failed.clone(), ok("one"), redirect.to_owned(), failed]).await;
        let documents = ClientDocuments::of_this_machine();
        for (second, fine, times) in [
            (0, false, 1),
            (59, false, 1),
            (61, true, 2),
            (700, true, 3),
            (86_462, false, 4),
            (86_470, false, 4),
        ] {
            assert_eq!(documents.read(Publisher::Known, &url, at(second)).await.is_ok(), fine, "{second}");
            assert_eq!(*asked.lock().unwrap(), times, "{second}");
        }
    }

    #[tokio::test]
    async fn strangers_push_out_nothing_that_others_published() {
        let (url, asked) = server(vec![ok("one"), ok("two")]).await;
        let documents = ClientDocuments::of_this_machine();
        documents.read(Publisher::Known, &url, at(0)).await.unwrap();
        for port in 0..REMEMBERED.get() {
            let nothing = format!("http://127.0.0.1:1/{port}").parse().unwrap();
            assert!(documents.read(Publisher::Stranger, &nothing, at(1)).await.is_err());
        }
        documents.read(Publisher::Known, &url, at(2)).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), 1, "it is remembered");
        // What a stranger names is asked for on its own.
        documents.read(Publisher::Stranger, &url, at(3)).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), 2);
    }

    #[tokio::test]
    async fn what_is_too_long_is_not_read() {
        let (url, _) = server(vec![ok(&"x".repeat(MAX_DOCUMENT + 1))]).await;
        let read = ClientDocuments::of_this_machine().read(Publisher::Known, &url, at(0)).await;
        assert!(matches!(read, Err(FederationError::Unreadable(_))));
    }

    #[tokio::test]
    async fn no_address_inside_is_asked() {
        let (url, asked) = server(vec![ok("{}")]).await;
        for (documents, url) in [
            (ClientDocuments::new(|_| false), url.clone()),
            (ClientDocuments::new(|_| true), url),
            (ClientDocuments::new(|_| false), "https://10.0.0.1/jwks".parse().unwrap()),
            (ClientDocuments::new(|_| true), "https://169.254.169.254/latest".parse().unwrap()),
            (ClientDocuments::new(|_| false), "https://localhost/jwks".parse().unwrap()),
        ] {
            assert!(!documents.admits(Publisher::Known, &url), "{url}");
            assert!(
                matches!(
                    documents.read(Publisher::Known, &url, at(0)).await,
                    Err(FederationError::Misconfigured(_))
                ),
                "{url}"
            );
        }
        assert_eq!(*asked.lock().unwrap(), 0);
    }

    #[tokio::test]
    async fn where_others_publish_inside_strangers_do_not() {
        let documents = ClientDocuments::new(|of| of == Publisher::Known);
        let url: Url = "https://10.0.0.1/jwks".parse().unwrap();
        assert!(documents.admits(Publisher::Known, &url));
        assert!(!documents.admits(Publisher::Stranger, &url));
        let read = documents.read(Publisher::Stranger, &url, at(0)).await;
        assert!(matches!(read, Err(FederationError::Misconfigured(_))));
    }
}

//! Reading from a bucket: requests of the store's protocol, sent by the one client of sources.

use std::io::{BufReader, Read, Write};
use std::ops::Range;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use hyper::{HeaderMap, Method};
use jiff::Timestamp;
use tidegate_objects::{Backend, ListedFile, PreparedRequest, StoreAddress, StoreKey, StoreRequests};

use crate::disk::{self, DiskBudget, TemporaryFile};
use crate::error::{ErrorCode, SourceError};
use crate::files::{self, spool::Spooled};
use crate::http::client::{self, Client, Request};
use crate::http::google::Google;
use crate::network::NetworkPolicy;
use crate::registry::SourceType;
use crate::settings::{Secret, Settings};

/// Bytes that are asked for at once.
const CHUNK: u64 = 8 << 20;
/// Bytes of a file that is fetched as a whole.
const LARGEST: u64 = 1 << 30;
/// How a file compressed with gzip begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Bytes of a page of a list at most: a mark of four bytes costs a hundred while it is read. A page has 5,000 keys at most.
const LARGEST_PAGE: usize = 16 << 20;
/// Files that are listed at most.
pub(super) const MOST_FILES: usize = 100_000;
/// Longest name of a region, in bytes: one that a store answers is told.
const LONGEST_REGION: usize = 64;
/// The headers that requests have: the client knows names by heart only.
const HEADERS: [&str; 9] = [
    "authorization",
    "if-match",
    "range",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-ms-date",
    "x-ms-version",
    "content-type",
];
const GOOGLE_SCOPE: &str = "https://www.googleapis.com/auth/devstorage.read_only";

/// A bucket, or a container.
pub(super) struct Store {
    pub(super) client: Client,
    requests: StoreRequests,
    access: Access,
    disk: DiskBudget,
}

/// What is added to requests that are not signed.
enum Access {
    /// They are signed, or the bucket is public.
    Nothing,
    Token(Secret),
    Google(Box<Google>),
    /// The parameters of a shared access signature.
    Query(Secret),
}

impl Store {
    pub(super) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let (key, access) = credentials(settings, policy).await?;
        let bucket = settings.database_name.clone().filter(|name| !name.is_empty());
        if bucket.as_ref().is_some_and(|name| name.contains('/')) {
            return Err(SourceError::connection(
                "database_name is the name of the bucket alone; where keys begin is metadata.prefix, the address of the store \
                 metadata.endpoint.",
            ));
        }
        let endpoint = match (settings.option("endpoint")?, &settings.host) {
            (Some(text), _) => Some(client::url(text)?.to_string()),
            (None, Some(_)) => Some(client::base(settings, 443)?.to_string()),
            (None, None) => None,
        };
        let account = settings.credentials.username.as_ref().map(|name| name.expose().to_owned());
        if settings.kind == SourceType::AzureBlob && account.is_none() && endpoint.is_none() {
            return Err(SourceError::connection(
                "Azure takes the name of the account in credentials.username, or metadata.endpoint.",
            ));
        }
        let address = StoreAddress {
            backend: match settings.kind {
                SourceType::AzureBlob => Backend::Azure,
                SourceType::Gcs => Backend::Gcs,
                _ => Backend::S3,
            },
            bucket: bucket.ok_or_else(|| SourceError::connection("database_name is missing."))?,
            endpoint,
            region: region(settings)?,
            account,
        };
        let requests = StoreRequests::new(address, key).map_err(|wrong| {
            SourceError::connection(
                "The name of the bucket or of the account, metadata.endpoint or the key is none that the store could have.",
            )
            .with_detail(wrong)
        })?;
        let client = Client::open(settings, policy, HeaderMap::new()).await?;
        Ok(Self { client, requests, access, disk: settings.disk.clone() })
    }

    async fn send(&self, prepared: PreparedRequest) -> Result<Bytes, SourceError> {
        let PreparedRequest { mut url, headers } = prepared;
        let mut known: Vec<(&'static str, String)> = headers
            .into_iter()
            .filter_map(|(name, value)| Some((HEADERS.iter().copied().find(|known| *known == name)?, value)))
            .collect();
        let token = match &self.access {
            Access::Nothing => None,
            Access::Token(token) => Some(token.expose().to_owned()),
            Access::Google(google) => google.token().await?,
            Access::Query(signature) => {
                let signature = signature.expose().trim_start_matches('?');
                let query = url.query().filter(|query| !query.is_empty());
                let query =
                    query.map_or_else(|| signature.to_owned(), |query| format!("{query}&{signature}"));
                url.set_query(Some(&query));
                None
            }
        };
        known.extend(token.map(|token| ("authorization", format!("Bearer {token}"))));
        let request = Request { method: Method::GET, url, body: None, headers: known };
        self.client.send(request).await.map(|answer| answer.body).map_err(explained)
    }

    /// The files whose keys begin so, and whether there are no more.
    pub(super) async fn list(
        &self,
        prefix: &str,
        pages: usize,
    ) -> Result<(Vec<ListedFile>, bool), SourceError> {
        let mut found = Vec::new();
        let mut from: Option<String> = None;
        for _ in 0..pages {
            let body = self.send(self.requests.list(prefix, from.as_deref(), now())).await?;
            if body.len() > LARGEST_PAGE {
                return Err(SourceError::query(format!(
                    "A page of the store's list has more than {LARGEST_PAGE} bytes."
                )));
            }
            let text = std::str::from_utf8(&body)
                .map_err(|_| SourceError::query("The store's answer is not UTF-8."))?;
            let page = self.requests.page(text).map_err(|error| {
                SourceError::connection("The server does not answer as an object store.").with_detail(error)
            })?;
            found.extend(page.files);
            if found.len() > MOST_FILES {
                return Err(SourceError::query(format!(
                    "The bucket has more than {MOST_FILES} files there; set metadata.prefix."
                )));
            }
            match page.next {
                Some(next) if from.as_ref() != Some(&next) => from = Some(next),
                Some(_) => return Err(SourceError::query("The store's list does not go on.")),
                None => return Ok((found, true)),
            }
        }
        Ok((found, false))
    }

    /// A part of a file that is still the one that was listed.
    pub(super) async fn read(&self, file: &ListedFile, range: Range<u64>) -> Result<Bytes, SourceError> {
        let etag = Some(file.etag.as_str()).filter(|etag| etag.len() > 2);
        let body = self.send(self.requests.get(&file.key, Some(&range), etag, now())).await?;
        let wanted = range.end.saturating_sub(range.start);
        if body.len() as u64 != wanted {
            return Err(SourceError::query("The store answers another part of the file than was asked for."));
        }
        Ok(body)
    }

    /// A whole file, in a temporary one.
    pub(super) async fn spool(&self, file: &ListedFile) -> Result<Spooled, SourceError> {
        if file.size > LARGEST {
            return Err(SourceError::query(format!("A file is larger than {LARGEST} bytes.")));
        }
        let mut copy = TemporaryFile::new(self.disk.reservation()).map_err(files::spool::broken)?;
        let mut at = 0;
        while at < file.size {
            let end = (at + CHUNK).min(file.size);
            let chunk = self.read(file, at..end).await?;
            at = end;
            copy =
                files::briefly(move || copy.write_all(&chunk).map(|()| copy).map_err(files::spool::broken))
                    .await?;
        }
        let file = Spooled::written(copy, "data".to_owned())?;
        files::blocking(move || unzipped(file)).await
    }
}

/// The file without the compression that its name, or its metadata in the bucket, may tell of: its first bytes do. An archive that unpacks
/// to more than a file may have is refused when it has.
fn unzipped(file: Spooled) -> Result<Spooled, SourceError> {
    let broken = files::spool::broken;
    let mut head = Vec::new();
    file.reader()?.take(2).read_to_end(&mut head).map_err(broken)?;
    if head != GZIP {
        return Ok(file);
    }
    let mut plain = TemporaryFile::new(file.more_disk()).map_err(broken)?;
    let packed = MultiGzDecoder::new(BufReader::new(file.reader()?));
    let unpacked =
        std::io::copy(&mut packed.take(LARGEST + 1), &mut plain).map_err(|error| {
            match disk::own(&error) {
                Some(ours) => ours,
                None => SourceError::query("A file is compressed, and broken.").with_detail(error),
            }
        })?;
    if unpacked > LARGEST {
        return Err(SourceError::query(format!(
            "A file is larger than {LARGEST} bytes when it is unpacked."
        )));
    }
    let (plain, reserved) = plain.into_parts();
    file.replaced(plain, reserved)
}

/// The key that requests are signed with, or what is sent in its place.
async fn credentials(
    settings: &Settings,
    policy: &NetworkPolicy,
) -> Result<(Option<StoreKey>, Access), SourceError> {
    let credentials = &settings.credentials;
    let token = credentials.oauth_token.as_ref();
    if let (Some(id), Some(secret)) = (&credentials.username, &credentials.password) {
        let session = token.filter(|_| settings.kind == SourceType::S3);
        let key = StoreKey {
            id: id.expose().to_owned(),
            secret: secret.expose().to_owned(),
            session: session.map(|token| token.expose().to_owned()),
        };
        return Ok((Some(key), Access::Nothing));
    }
    let access = match (settings.kind, &credentials.api_key, token) {
        (SourceType::S3, ..) => Access::Nothing,
        (_, _, Some(token)) => Access::Token(token.clone()),
        (SourceType::Gcs, Some(_), None) => {
            Access::Google(Box::new(Google::open(settings, policy, GOOGLE_SCOPE).await?))
        }
        (_, Some(signature), None) => Access::Query(signature.clone()),
        _ => Access::Nothing,
    };
    Ok((None, access))
}

fn region(settings: &Settings) -> Result<String, SourceError> {
    let default = if settings.kind == SourceType::Gcs { "auto" } else { "us-east-1" };
    let region = settings.option("region")?.unwrap_or(default);
    if is_region(region) {
        Ok(region.to_owned())
    } else {
        Err(SourceError::connection("metadata.region is no name of a region."))
    }
}

fn is_region(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LONGEST_REGION).contains(&text.len()) && text.bytes().all(is_part)
}

/// Why a store refused a request, by the code in its answer, and which setting decides it.
fn refused(answer: &str) -> Option<(ErrorCode, String)> {
    let says = |code: &str| answer.contains(&format!("<Code>{code}</Code>"));
    let named = answer.split_once("<Region>").and_then(|(_, rest)| rest.split_once("</Region>"));
    let named = named.map(|(region, _)| region).filter(|region| is_region(region));
    if let Some(region) = named.filter(|_| says("AuthorizationHeaderMalformed")) {
        let message = format!("The bucket is in the region {region}, and metadata.region is another one.");
        return Some((ErrorCode::Connection, message));
    }
    let (code, message) = if says("PermanentRedirect") {
        (ErrorCode::Connection, "The bucket is in another region than metadata.region (PermanentRedirect).")
    } else if says("SignatureDoesNotMatch") {
        (
            ErrorCode::Authentication,
            "The server knows the access key, and refused the secret key (SignatureDoesNotMatch): it is credentials.password.",
        )
    } else if says("RequestTimeTooSkewed") {
        (
            ErrorCode::Connection,
            "The clock of the machine that asks, or that of the store, is wrong (RequestTimeTooSkewed).",
        )
    } else if says("AccessDenied") {
        (
            ErrorCode::Authentication,
            "The credentials may not list the bucket or read its files (AccessDenied); without credentials it has to be public.",
        )
    } else {
        return None;
    };
    Some((code, message.to_owned()))
}

/// What stores say with statuses that are others' too.
fn explained(mut error: SourceError) -> SourceError {
    if let Some((code, message)) = refused(&error.detail) {
        (error.code, error.refused, error.message) = (code, None, message);
        return error;
    }
    let says = |word: &str| error.message.contains(word);
    let (code, message) = if says("status 404") {
        (ErrorCode::FileNotFound, "The bucket or the file does not exist.")
    } else if says("status 412") {
        (ErrorCode::Query, "A file changed while it was read.")
    } else if says("status 416") {
        (ErrorCode::Query, "A file is shorter than it was listed.")
    } else if ["ExpiredToken", "InvalidToken", "InvalidAccessKeyId"]
        .iter()
        .any(|word| error.detail.contains(word))
    {
        (ErrorCode::Authentication, "The server refused the credentials.")
    } else {
        return error;
    };
    (error.code, error.refused) = (code, None);
    message.clone_into(&mut error.message);
    error
}

#[expect(clippy::disallowed_methods, reason = "a signature of another time is refused by the server")]
fn now() -> i64 {
    Timestamp::now().as_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_refuses_is_told_with_the_setting_that_decides_it() {
        let malformed = "<Error><Code>AuthorizationHeaderMalformed</Code><Message>expecting</Message><Region>eu-central-1</Region></Error>";
        for (answer, code, said) in [
            (
                malformed,
                ErrorCode::Connection,
                "in the region eu-central-1, and metadata.region is another one",
            ),
            ("<Error><Code>PermanentRedirect</Code></Error>", ErrorCode::Connection, "than metadata.region"),
            ("<Code>SignatureDoesNotMatch</Code>", ErrorCode::Authentication, "it is credentials.password"),
            (
                "<Code>RequestTimeTooSkewed</Code>",
                ErrorCode::Connection,
                "The clock of the machine that asks",
            ),
            (
                "<Code>AccessDenied</Code>",
                ErrorCode::Authentication,
                "without credentials it has to be public",
            ),
        ] {
            let told =
                explained(SourceError::refused("The server refused (status 400).").with_detail(answer));
            assert_eq!((told.code, told.refused), (code, None), "{told}");
            assert!(told.message.contains(said), "{said}: {told}");
            assert_eq!(told.detail, answer);
        }
        // A region of an answer is repeated only where it is the name of one.
        let long = format!("<Code>AuthorizationHeaderMalformed</Code><Region>{}</Region>", "a".repeat(65));
        for answer in [
            long.as_str(),
            "<Code>AuthorizationHeaderMalformed</Code><Region><b>x</b></Region>",
            "<Code>AuthorizationHeaderMalformed</Code>",
            "<Code>SlowDown</Code><Region>eu-central-1</Region>",
            "AccessDenied",
        ] {
            let told =
                explained(SourceError::refused("The server refused (status 400).").with_detail(answer));
            assert_eq!(told.message, "The server refused (status 400).", "{answer}");
        }
    }
}

//! The protocol of Azure Blob Storage.
//!
//! Source: Azure Storage, "Blob Service REST API", "Authorize with Shared Key", "Create a service SAS".

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use tidegate_crypto::AzureAccountKey;
use tidegate_domain::Timestamp;
use url::Url;

use super::protocol::{Draft, Listed, Page, Parts, Protocol, at, attachment, below, endpoint, query};
use crate::StorageConfig;

pub(super) const VERSION: &str = "2021-08-06";
/// The headers that a signature names one by one, in its order.
const SIGNED: [&str; 11] = [
    "content-encoding",
    "content-language",
    "content-length",
    "content-md5",
    "content-type",
    "date",
    "if-modified-since",
    "if-match",
    "if-none-match",
    "if-unmodified-since",
    "range",
];

/// A container.
#[derive(Debug)]
pub(super) struct Azure {
    endpoint: Url,
    container: String,
    account: String,
    key: AzureAccountKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListAnswer {
    blobs: Blobs,
    next_marker: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blobs {
    #[serde(default)]
    blob: Vec<Blob>,
    #[serde(default)]
    blob_prefix: Vec<BlobPrefix>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Blob {
    name: String,
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "Last-Modified")]
    last_modified: String,
    #[serde(rename = "Content-Length")]
    content_length: u64,
    #[serde(rename = "Etag", default)]
    e_tag: String,
    /// Told where the account has a hierarchical namespace: directories are listed beside files.
    #[serde(rename = "ResourceType", default)]
    resource_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BlobPrefix {
    name: String,
}

impl Azure {
    pub(super) fn new(config: &StorageConfig, address: Option<&str>) -> Result<Self, String> {
        let account = config.key_id()?.to_owned();
        let key = AzureAccountKey::new(&config.secret()?)
            .map_err(|error| format!("storage.secret_access_key: {error}"))?;
        let endpoint = match address {
            Some(address) => endpoint(address)?,
            None => endpoint(&own_address(&account)?)?,
        };
        Ok(Self { endpoint, container: config.bucket.clone(), account, key })
    }

    /// What a request is about, as signatures name it.
    fn resource(&self, url: &Url) -> String {
        let mut pairs: Vec<(String, String)> =
            url.query_pairs().map(|(name, value)| (name.to_lowercase(), value.into_owned())).collect();
        pairs.sort();
        let pairs: String = pairs.iter().map(|(name, value)| format!("\n{name}:{value}")).collect();
        format!("/{}{}{pairs}", self.account, url.path())
    }
}

/// The address of an account. Its name is a label of it: whatever else is in the name, such as a slash, would make it an address of
/// somebody else's, who would be sent what signs in.
fn own_address(account: &str) -> Result<String, String> {
    let is_name =
        (3..=24).contains(&account.len()) && account.bytes().all(|byte| byte.is_ascii_alphanumeric());
    match is_name {
        true => Ok(format!("https://{account}.blob.core.windows.net")),
        false => Err("storage.access_key_id is no name of an account: 3 to 24 letters and digits".to_owned()),
    }
}

/// The name of a part in base64: all have the same length. Five digits are written three times each, which is one group of four
/// letters for each.
fn block(number: usize) -> String {
    format!("{number:05}")
        .bytes()
        .filter_map(|digit| GROUPS.get(usize::from(digit.saturating_sub(b'0'))))
        .copied()
        .collect()
}

/// Base64 of `000`, `111`, and so on.
const GROUPS: [&str; 10] = ["MDAw", "MTEx", "MjIy", "MzMz", "NDQ0", "NTU1", "NjY2", "Nzc3", "ODg4", "OTk5"];

impl Protocol for Azure {
    fn address(&self, key: Option<&str>) -> Url {
        match key {
            Some(key) => below(&self.endpoint, &[&self.container, key]),
            None => below(&self.endpoint, &[&self.container]),
        }
    }

    fn put(&self, key: &str, body: Bytes) -> Draft {
        let mut draft = self.plain(Method::PUT, key).with(body);
        draft.set("x-ms-blob-type", "BlockBlob");
        draft.set("content-type", "application/octet-stream");
        draft
    }

    fn begin(&self, _: &str) -> Option<Draft> {
        None
    }

    fn begun(&self, _: &str) -> Option<String> {
        None
    }

    fn part(&self, key: &str, _: &str, number: usize, body: Bytes) -> Draft {
        self.plain(Method::PUT, key).query(&[("comp", "block"), ("blockid", &block(number))]).with(body)
    }

    fn tag(&self, number: usize, _: &HeaderMap) -> Option<String> {
        Some(block(number))
    }

    fn complete(&self, key: &str, parts: &Parts) -> Draft {
        let listed: String = parts.tags.iter().map(|block| format!("<Latest>{block}</Latest>")).collect();
        let body = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{listed}</BlockList>");
        let mut draft = self.plain(Method::PUT, key).query(&[("comp", "blocklist")]).with(body.into());
        draft.set("x-ms-blob-content-type", "application/octet-stream");
        draft
    }

    /// Azure forgets parts that became no file after a week.
    fn abort(&self, _: &str, _: &str) -> Option<Draft> {
        None
    }

    fn list(&self, prefix: &str, flat: bool, from: Option<&str>) -> Draft {
        let mut pairs = vec![("restype", "container"), ("comp", "list"), ("prefix", prefix)];
        if flat {
            pairs.push(("delimiter", "/"));
        }
        pairs.extend(from.map(|marker| ("marker", marker)));
        Draft::new(Method::GET, self.address(None)).query(&pairs)
    }

    fn page(&self, answer: &str) -> Result<Page, String> {
        let answer = answer.trim_start_matches('\u{feff}');
        let list: ListAnswer = quick_xml::de::from_str(answer).map_err(|error| error.to_string())?;
        let mut page = Page { next: list.next_marker.filter(|marker| !marker.is_empty()), ..Page::default() };
        let files = list.blobs.blob.into_iter().filter(|blob| blob.properties.resource_type != "directory");
        for Blob { name, properties } in files {
            let last_modified = DateTime::parse_from_rfc2822(&properties.last_modified);
            page.files.push(Listed {
                key: name,
                size: properties.content_length,
                last_modified: last_modified.map_err(|error| error.to_string())?.with_timezone(&Utc),
                e_tag: format!("\"{}\"", properties.e_tag.trim_matches('"')),
            });
        }
        page.directories = list.blobs.blob_prefix.into_iter().map(|found| found.name).collect();
        Ok(page)
    }

    fn sign(&self, draft: &mut Draft, now: Timestamp) {
        draft.set("x-ms-date", &at(now, "%a, %d %b %Y %H:%M:%S GMT"));
        draft.set("x-ms-version", VERSION);
        // Also of a file of nothing, whose length is signed as if it were not told.
        if draft.method == Method::PUT {
            draft.set("content-length", &draft.body.len().to_string());
        }
        let value =
            |name: &str| draft.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let signed = |name: &&str| match (*name, value(name)) {
            ("content-length", "0") => "\n".to_owned(),
            (_, value) => format!("{value}\n"),
        };
        let one_by_one: String = SIGNED.iter().map(signed).collect();
        let mut own: Vec<String> = draft
            .headers
            .keys()
            .filter(|name| name.as_str().starts_with("x-ms-"))
            .map(|name| format!("{name}:{}\n", value(name.as_str())))
            .collect();
        own.sort();
        let to_sign = format!("{}\n{one_by_one}{}{}", draft.method, own.concat(), self.resource(&draft.url));
        let authorization = format!("SharedKey {}:{}", self.account, self.key.sign(&to_sign));
        draft.set("authorization", &authorization);
    }

    fn presign(&self, key: &str, file_name: &str, lives: Duration, now: Timestamp) -> Url {
        let mut url = self.address(Some(key));
        let expiry = at(now.plus(lives), "%Y-%m-%dT%H:%M:%SZ");
        let (disposition, kind) = (attachment(file_name), "application/octet-stream");
        let resource = format!("/blob/{}/{}/{key}", self.account, self.container);
        // Permissions, start, expiry, resource, identifier, addresses, protocol, version, kind of resource, snapshot, scope, then the
        // headers of the answer: cache-control, disposition, encoding, language, type.
        let to_sign =
            format!("r\n\n{expiry}\n{resource}\n\n\n\n{VERSION}\nb\n\n\n\n{disposition}\n\n\n{kind}");
        let signature = self.key.sign(&to_sign);
        url.set_query(Some(&query(&[
            ("rscd", &disposition),
            ("rsct", kind),
            ("se", &expiry),
            ("sig", &signature),
            ("sp", "r"),
            ("sr", "b"),
            ("sv", VERSION),
        ])));
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_have_names_of_one_length_in_base64() {
        let names: std::collections::BTreeSet<String> = (0..300).map(block).collect();
        assert_eq!(names.len(), 300);
        assert!(names.iter().all(|name| name.len() == 20));
    }

    // The attack: who may name the account, but not the address, has what signs in sent to a server of theirs.
    #[test]
    fn an_account_is_a_name_and_no_address() {
        let of = |account: &str, address: Option<&str>| {
            let config = StorageConfig {
                access_key_id: Some(account.to_owned()),
                secret_access_key: Some(crate::StorageSecret(tidegate_domain::Secret::new("aHVudGVyMg=="))),
                ..StorageConfig::default()
            };
            Azure::new(&config, address).map(|azure| azure.endpoint.host_str().unwrap_or_default().to_owned())
        };
        assert_eq!(of("acct", None).unwrap(), "acct.blob.core.windows.net");
        for account in
            ["evil.example/", "evil.example#", "evil.example?", "evil.example:443/", "a.b", "a-b", "ab"]
        {
            assert!(of(account, None).unwrap_err().contains("storage.access_key_id"), "{account}");
            assert_eq!(of(account, Some("http://127.0.0.1:10000")).unwrap(), "127.0.0.1", "{account}");
        }
    }

    #[test]
    fn directories_of_a_hierarchical_namespace_are_no_files() {
        let config = StorageConfig {
            access_key_id: Some("acct".to_owned()),
            secret_access_key: Some(crate::StorageSecret(tidegate_domain::Secret::new("aHVudGVyMg=="))),
            ..StorageConfig::default()
        };
        let azure = Azure::new(&config, None).unwrap();
        let blob = |name: &str, more: &str| {
            format!(
                "<Blob><Name>{name}</Name><Properties><Last-Modified>Mon, 05 Jan 2026 10:00:00 GMT</Last-Modified>\
                 <Etag>0x1</Etag>{more}<Content-Length>7</Content-Length></Properties></Blob>"
            )
        };
        let listed = [
            blob("organizations/1", "<ResourceType>directory</ResourceType>"),
            blob("organizations/1/a.csv", "<ResourceType>file</ResourceType>"),
            blob("organizations/b.csv", ""),
        ]
        .concat();
        let answer =
            format!("\u{feff}<EnumerationResults><Blobs>{listed}</Blobs><NextMarker/></EnumerationResults>");
        let page = azure.page(&answer).unwrap();
        let keys: Vec<&str> = page.files.iter().map(|file| file.key.as_str()).collect();
        assert_eq!((keys, page.next), (vec!["organizations/1/a.csv", "organizations/b.csv"], None));
        assert_eq!((page.files[0].size, page.files[0].e_tag.as_str()), (7, "\"0x1\""));
    }
}

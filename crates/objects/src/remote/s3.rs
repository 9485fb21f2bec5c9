//! The protocol of Amazon S3. Google Cloud Storage speaks it, too, with an HMAC key.
//!
//! Source: Amazon S3 API Reference; Cloud Storage, "XML API".

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;
use tidegate_crypto::{AwsSecretKey, ContentDigest};
use tidegate_domain::Timestamp;
use url::Url;

use super::protocol::{Draft, Listed, Page, Parts, Protocol, at, attachment, below, encode, endpoint, query};
use crate::{Backend, StorageConfig};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "s3";
/// What Google's own address is.
const GOOGLE: &str = "https://storage.googleapis.com";

/// A bucket.
#[derive(Debug)]
pub(super) struct S3 {
    endpoint: Url,
    bucket: String,
    region: String,
    key_id: String,
    secret: AwsSecretKey,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BegunAnswer {
    upload_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListAnswer {
    #[serde(default)]
    contents: Vec<Contents>,
    #[serde(default)]
    common_prefixes: Vec<CommonPrefix>,
    next_continuation_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    key: String,
    size: u64,
    last_modified: DateTime<Utc>,
    #[serde(rename = "ETag", default)]
    e_tag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct CommonPrefix {
    prefix: String,
}

impl S3 {
    pub(super) fn new(config: &StorageConfig, address: Option<&str>) -> Result<Self, String> {
        let region = config.region.clone();
        let address = match (address, config.backend) {
            (Some(address), _) => address.to_owned(),
            (None, Backend::Gcs) => GOOGLE.to_owned(),
            (None, _) => format!("https://s3.{region}.amazonaws.com"),
        };
        Ok(Self {
            endpoint: endpoint(&address)?,
            bucket: config.bucket.clone(),
            region,
            key_id: config.key_id()?.to_owned(),
            secret: AwsSecretKey::new(config.secret()?),
        })
    }

    fn credential_scope(&self, now: Timestamp) -> String {
        format!("{}/{}/{SERVICE}/aws4_request", at(now, "%Y%m%d"), self.region)
    }

    /// The signature of a request, of which `headers` are signed: sorted, in small letters.
    fn signature(
        &self,
        method: &Method,
        url: &Url,
        headers: &[(String, String)],
        payload: &str,
        now: Timestamp,
    ) -> String {
        let canonical_headers: String =
            headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!(
            "{method}\n{}\n{}\n{canonical_headers}\n{}\n{payload}",
            url.path(),
            url.query().unwrap_or_default(),
            names(headers),
        );
        let (instant, scope) = (at(now, "%Y%m%dT%H%M%SZ"), self.credential_scope(now));
        let to_sign = format!("{ALGORITHM}\n{instant}\n{scope}\n{}", ContentDigest::of(canonical.as_bytes()));
        self.secret.sign(&at(now, "%Y%m%d"), &self.region, SERVICE, &to_sign)
    }
}

fn names(headers: &[(String, String)]) -> String {
    headers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(";")
}

/// The host as the request will name it.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

impl Protocol for S3 {
    fn address(&self, key: Option<&str>) -> Url {
        match key {
            Some(key) => below(&self.endpoint, &[&self.bucket, key]),
            None => below(&self.endpoint, &[&self.bucket]),
        }
    }

    fn put(&self, key: &str, body: Bytes) -> Draft {
        let mut draft = self.plain(Method::PUT, key).with(body);
        draft.set("content-type", "application/octet-stream");
        draft
    }

    fn begin(&self, key: &str) -> Option<Draft> {
        let mut draft = self.plain(Method::POST, key).query(&[("uploads", "")]);
        draft.set("content-type", "application/octet-stream");
        Some(draft)
    }

    fn begun(&self, answer: &str) -> Option<String> {
        quick_xml::de::from_str::<BegunAnswer>(answer).ok().map(|begun| begun.upload_id)
    }

    fn part(&self, key: &str, upload: &str, number: usize, body: Bytes) -> Draft {
        let number = (number + 1).to_string();
        self.plain(Method::PUT, key).query(&[("partNumber", &number), ("uploadId", upload)]).with(body)
    }

    fn tag(&self, _: usize, answer: &HeaderMap) -> Option<String> {
        Some(answer.get("etag")?.to_str().ok()?.to_owned())
    }

    fn complete(&self, key: &str, parts: &Parts) -> Draft {
        let escaped = parts.tags.iter().map(|tag| quick_xml::escape::escape(tag.as_str()));
        let listed: String = escaped
            .enumerate()
            .map(|(index, tag)| {
                format!("<Part><PartNumber>{}</PartNumber><ETag>{tag}</ETag></Part>", index + 1)
            })
            .collect();
        let body = format!("<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>");
        self.plain(Method::POST, key).query(&[("uploadId", &parts.upload)]).with(body.into())
    }

    fn abort(&self, key: &str, upload: &str) -> Option<Draft> {
        Some(self.plain(Method::DELETE, key).query(&[("uploadId", upload)]))
    }

    fn list(&self, prefix: &str, flat: bool, from: Option<&str>) -> Draft {
        let mut pairs = vec![("list-type", "2"), ("prefix", prefix)];
        if flat {
            pairs.push(("delimiter", "/"));
        }
        pairs.extend(from.map(|token| ("continuation-token", token)));
        Draft::new(Method::GET, self.address(None)).query(&pairs)
    }

    fn page(&self, answer: &str) -> Result<Page, String> {
        let list: ListAnswer = quick_xml::de::from_str(answer).map_err(|error| error.to_string())?;
        let files = list.contents.into_iter().map(|found| Listed {
            key: found.key,
            size: found.size,
            last_modified: found.last_modified,
            e_tag: found.e_tag,
        });
        Ok(Page {
            files: files.collect(),
            directories: list.common_prefixes.into_iter().map(|found| found.prefix).collect(),
            next: list.next_continuation_token.filter(|token| !token.is_empty()),
        })
    }

    fn sign(&self, draft: &mut Draft, now: Timestamp) {
        let payload = ContentDigest::of(&draft.body);
        draft.set("x-amz-date", &at(now, "%Y%m%dT%H%M%SZ"));
        draft.set("x-amz-content-sha256", &payload);
        let mut signed = vec![("host".to_owned(), host(&draft.url))];
        signed.extend(draft.headers.iter().filter_map(|(name, value)| {
            let is_signed = name.as_str().starts_with("x-amz-");
            is_signed.then(|| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))?
        }));
        signed.sort();
        let signature = self.signature(&draft.method, &draft.url, &signed, &payload, now);
        let (key_id, scope, names) = (&self.key_id, self.credential_scope(now), names(&signed));
        let authorization =
            format!("{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}");
        draft.set("authorization", &authorization);
    }

    fn presign(&self, key: &str, file_name: &str, lives: Duration, now: Timestamp) -> Url {
        let mut url = self.address(Some(key));
        let credential = format!("{}/{}", self.key_id, self.credential_scope(now));
        let (instant, seconds) = (at(now, "%Y%m%dT%H%M%SZ"), lives.as_secs().to_string());
        let disposition = attachment(file_name);
        url.set_query(Some(&query(&[
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", &credential),
            ("X-Amz-Date", &instant),
            ("X-Amz-Expires", &seconds),
            ("X-Amz-SignedHeaders", "host"),
            ("response-content-disposition", &disposition),
            ("response-content-type", "application/octet-stream"),
        ])));
        let signed = [("host".to_owned(), host(&url))];
        let signature = self.signature(&Method::GET, &url, &signed, "UNSIGNED-PAYLOAD", now);
        let signed_query =
            format!("{}&X-Amz-Signature={}", url.query().unwrap_or_default(), encode(&signature, ""));
        url.set_query(Some(&signed_query));
        url
    }
}

#[cfg(test)]
mod tests {
    use tidegate_domain::Secret;

    use super::*;
    use crate::StorageSecret;

    fn example(endpoint: &str) -> S3 {
        let config = StorageConfig {
            backend: Backend::S3,
            bucket: "examplebucket".to_owned(),
            access_key_id: Some("AKIAIOSFODNN7EXAMPLE".to_owned()),
            secret_access_key: Some(StorageSecret(Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))),
            ..StorageConfig::default()
        };
        S3::new(&config, Some(endpoint)).unwrap()
    }

    /// AWS, "Authenticating Requests: Using the Authorization Header": its keys and instant.
    const NOW: Timestamp = Timestamp::from_seconds(1_369_353_600);

    #[test]
    fn a_list_is_signed_as_in_the_published_example() {
        let s3 = example("https://examplebucket.s3.amazonaws.com");
        let url: Url = "https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J".parse().unwrap();
        let mut draft = Draft::new(Method::GET, url);
        s3.sign(&mut draft, NOW);
        let authorization = draft.headers.get("authorization").unwrap().to_str().unwrap();
        assert_eq!(
            authorization,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
             Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }

    #[test]
    fn pages_of_lists_are_read() {
        let s3 = example("http://127.0.0.1:1");
        let xml = r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
            <Contents><Key>a/b.csv</Key><LastModified>2026-01-05T10:00:00.000Z</LastModified><ETag>&quot;x&quot;</ETag><Size>7</Size></Contents>
            <CommonPrefixes><Prefix>a/c/</Prefix></CommonPrefixes>
            <Contents><Key>a/d.csv</Key><LastModified>2026-01-05T10:00:00.000Z</LastModified><ETag>&quot;y&quot;</ETag><Size>0</Size></Contents>
            <NextContinuationToken>t=</NextContinuationToken></ListBucketResult>"#;
        let page = s3.page(xml).unwrap();
        let files: Vec<(&str, u64, &str)> =
            page.files.iter().map(|file| (file.key.as_str(), file.size, file.e_tag.as_str())).collect();
        assert_eq!(files, [("a/b.csv", 7, "\"x\""), ("a/d.csv", 0, "\"y\"")]);
        assert_eq!((page.directories, page.next.as_deref()), (vec!["a/c/".to_owned()], Some("t=")));
        assert!(s3.page("<html>").is_err());
    }
}

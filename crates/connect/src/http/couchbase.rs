//! Couchbase by the REST interface of its query service: collections are relations, documents rows.

use serde_json::{Value, json};
use url::Url;

use super::client::{self, Client, Request};
use super::{at_path, elements, json_body, text_at, tree};
use crate::error::SourceError;
use crate::network::NetworkPolicy;
use crate::registry::TypeInfo;
use crate::settings::Settings;
use crate::snapshot::{Fetcher, Lines};

/// A bucket of a Couchbase cluster.
pub(crate) struct Couchbase {
    client: Client,
    base: Url,
    bucket: String,
}

impl Couchbase {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let base = client::base(settings, TypeInfo::of(settings.kind).default_port.unwrap_or(18093))?;
        let bucket = settings
            .database_name
            .clone()
            .ok_or_else(|| SourceError::connection("database_name is missing."))?;
        let headers = client::sign_in(&settings.credentials, None)?;
        Ok(Self { client: Client::open(settings, policy, headers).await?, base, bucket })
    }

    fn request(&self, statement: &str, parameters: &[&str]) -> Result<Request, SourceError> {
        let ask = json!({ "statement": statement, "args": parameters, "readonly": true, "pretty": false });
        Ok(Request::post(client::below(&self.base, &["query", "service"])?, &ask))
    }

    async fn run(&self, statement: &str, parameters: &[&str]) -> Result<String, SourceError> {
        let answer = self.client.send(self.request(statement, parameters)?).await?;
        let body = json_body(&answer.body)?;
        if text_at(body, "status")?.as_deref() != Some("success") {
            let why = self.client.told(at_path(body, "errors")?.unwrap_or_default(), "");
            return Err(SourceError::refused("Couchbase refused the query.").with_detail(why));
        }
        Ok(body.to_owned())
    }
}

fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[async_trait::async_trait]
impl Fetcher for Couchbase {
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
        // A query could fetch from other servers by CURL().
        if query.is_some_and(|query| query.trim() != "SELECT 1") {
            return Err(SourceError::query("Couchbase is tested with SELECT 1 only."));
        }
        let body = self.run("SELECT RAW version()", &[]).await?;
        let version = elements(at_path(&body, "results")?.unwrap_or("[]"))?
            .first()
            .map(|text| text.trim_matches('"').to_owned());
        Ok((version.map(|version| format!("Couchbase {version}")), Some("1".to_owned())))
    }

    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
        let query = "SELECT `scope`, name, `bucket` FROM system:keyspaces WHERE `bucket` = $1 OR (`bucket` IS MISSING AND name = $1)";
        let body = self.run(query, &[&self.bucket]).await?;
        let mut found = Vec::new();
        for keyspace in elements(at_path(&body, "results")?.unwrap_or("[]"))? {
            let keyspace = tree(keyspace.as_bytes())?;
            let text = |name: &str| keyspace.get(name).and_then(Value::as_str).map(str::to_owned);
            // The default collection of a bucket is listed under the bucket's own name.
            match (text("scope"), text("name")) {
                (Some(scope), Some(name)) => found.push((scope, name, None)),
                _ => found.push(("_default".to_owned(), "_default".to_owned(), None)),
            }
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    async fn rows(
        &self,
        schema: &str,
        table: &str,
        wanted: usize,
        out: &mut Lines,
    ) -> Result<(), SourceError> {
        let limit = if wanted == usize::MAX { String::new() } else { format!(" LIMIT {wanted}") };
        let place = [self.bucket.as_str(), schema, table].map(identifier).join(".");
        let statement = format!("SELECT META(d).id AS _id, d.* FROM {place} AS d{limit}");
        let body = self.run(&statement, &[]).await?;
        for row in elements(at_path(&body, "results")?.unwrap_or("[]"))? {
            out.write(row)?;
        }
        Ok(())
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

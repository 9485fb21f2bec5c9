//! ClickHouse by its HTTP interface, row by row in `JSONEachRow`, and read-only by the setting of that name.

use serde_json::Value;
use url::Url;

use super::client::{self, Client, Request};
use super::no_json;
use crate::error::SourceError;
use crate::gate;
use crate::network::NetworkPolicy;
use crate::registry::TypeInfo;
use crate::settings::Settings;
use crate::snapshot::{Fetcher, Lines};

/// A ClickHouse server.
pub(crate) struct Clickhouse {
    client: Client,
    base: Url,
    /// The only database that is looked into, if one is named.
    database: Option<String>,
}

impl Clickhouse {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let base = client::base(settings, TypeInfo::of(settings.kind).default_port.unwrap_or(8443))?;
        let headers = client::sign_in(&settings.credentials, None)?;
        let database = settings.database_name.clone().filter(|name| !name.is_empty());
        Ok(Self { client: Client::open(settings, policy, headers).await?, base, database })
    }

    /// Runs a query and gives each line of its answer to a function.
    async fn lines(
        &self,
        query: &str,
        parameters: &[(&str, &str)],
        each: impl FnMut(&str) -> Result<bool, SourceError>,
    ) -> Result<(), SourceError> {
        let mut url = self.base.clone();
        url.query_pairs_mut()
            // 1 would forbid the settings below; 2 forbids all writes, and to change this one.
            .append_pair("readonly", "2")
            .append_pair("output_format_json_quote_64bit_integers", "0")
            .append_pair("output_format_json_quote_denormals", "1");
        for (name, value) in parameters {
            url.query_pairs_mut().append_pair(&format!("param_{name}"), value);
        }
        let body = Some(("text/plain; charset=utf-8", query.as_bytes().to_vec()));
        let request = Request { method: hyper::Method::POST, url, body, headers: Vec::new() };
        self.client.lines(request, each).await
    }
}

/// A name in a query.
fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
}

#[async_trait::async_trait]
impl Fetcher for Clickhouse {
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
        // Table functions of a query could read files and other servers.
        if query.is_some_and(|query| query.trim() != "SELECT 1") {
            return Err(SourceError::query("ClickHouse is tested with SELECT 1 only."));
        }
        let mut version = None;
        self.lines("SELECT version() FORMAT TabSeparatedRaw", &[], |line| {
            version = Some(format!("ClickHouse {}", gate::bounded(line)));
            Ok(false)
        })
        .await?;
        Ok((version, Some("1".to_owned())))
    }

    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
        let query = "SELECT database, name, total_rows FROM system.tables WHERE NOT is_temporary \
            AND database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema') \
            AND ({only:String} = '' OR database = {only:String}) ORDER BY database, name FORMAT JSONCompactEachRow";
        let mut found = Vec::new();
        self.lines(query, &[("only", self.database.as_deref().unwrap_or_default())], |line| {
            let row: (String, String, Value) = serde_json::from_str(line).map_err(|error| no_json(&error))?;
            found.push((row.0, row.1, row.2.as_i64()));
            Ok(true)
        })
        .await?;
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
        let query =
            format!("SELECT * FROM {}.{}{limit} FORMAT JSONEachRow", identifier(schema), identifier(table));
        self.lines(&query, &[], |line| {
            out.write(line)?;
            Ok(true)
        })
        .await
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

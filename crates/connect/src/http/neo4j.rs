//! Neo4j by its transactional HTTP interface: labels are relations, nodes rows.

use serde_json::json;
use url::Url;

use super::client::{self, Client, Request};
use super::{at_path, elements, json_body, no_json, text_at};
use crate::error::{ErrorCode, SourceError};
use crate::network::NetworkPolicy;
use crate::registry::TypeInfo;
use crate::settings::Settings;
use crate::snapshot::{Fetcher, Lines};

/// A database of a Neo4j server.
pub(crate) struct Neo4j {
    client: Client,
    base: Url,
    database: String,
}

impl Neo4j {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let base = client::base(settings, TypeInfo::of(settings.kind).default_port.unwrap_or(7473))?;
        let database = settings.database_name.clone().unwrap_or_else(|| "neo4j".to_owned());
        let headers = client::sign_in(&settings.credentials, None)?;
        Ok(Self { client: Client::open(settings, policy, headers).await?, base, database })
    }

    /// Runs a reading statement and gives the body of the answer.
    async fn run(&self, statement: &str) -> Result<String, SourceError> {
        let ask = json!({ "statements": [{ "statement": statement, "resultDataContents": ["row"] }] });
        let mut request =
            Request::post(client::below(&self.base, &["db", &self.database, "tx", "commit"])?, &ask);
        request.headers.push(("access-mode", "READ".to_owned()));
        let answer = self.client.send(request).await?;
        let body = json_body(&answer.body)?;
        if let Some(first) = elements(at_path(body, "errors")?.unwrap_or("[]"))?.first() {
            let code = text_at(first, "code")?.unwrap_or_default();
            let said = "Neo4j refused the statement.";
            let known = match code.contains("Security") {
                true => SourceError::new(ErrorCode::Authentication, said),
                false => SourceError::refused(said),
            };
            return Err(known.with_detail(self.client.told(first, "")));
        }
        Ok(body.to_owned())
    }
}

/// The first value of each row of an answer.
fn firsts(body: &str) -> Result<Vec<String>, SourceError> {
    let results = elements(at_path(body, "results")?.unwrap_or("[]"))?;
    let Some(result) = results.first() else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for data in elements(at_path(result, "data")?.unwrap_or("[]"))? {
        let row = elements(at_path(data, "row")?.unwrap_or("[]"))?;
        found.extend(row.first().map(|&value| value.to_owned()));
    }
    Ok(found)
}

#[async_trait::async_trait]
impl Fetcher for Neo4j {
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
        // Procedures and LOAD CSV of a statement could reach files and other servers.
        if query.is_some_and(|query| query.trim() != "RETURN 1") {
            return Err(SourceError::query("Neo4j is tested with RETURN 1 only."));
        }
        let one = firsts(&self.run("RETURN 1").await?)?.into_iter().next();
        let about = self.client.send(Request::get(self.base.clone())).await?;
        let version =
            text_at(json_body(&about.body)?, "neo4j_version")?.map(|version| format!("Neo4j {version}"));
        Ok((version, one))
    }

    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
        let labels = firsts(&self.run("CALL db.labels() YIELD label RETURN label ORDER BY label").await?)?;
        let named = labels.iter().map(|label| {
            let name: String = serde_json::from_str(label).map_err(|error| no_json(&error))?;
            Ok((self.database.clone(), name, None))
        });
        named.collect()
    }

    async fn rows(&self, _: &str, table: &str, wanted: usize, out: &mut Lines) -> Result<(), SourceError> {
        let label = table.replace('`', "``");
        // Escapes of names would be read before the quotes are.
        if label.contains('\\') {
            return Err(SourceError::query("The name is none of a label."));
        }
        let limit = if wanted == usize::MAX { String::new() } else { format!(" LIMIT {wanted}") };
        for node in firsts(&self.run(&format!("MATCH (n:`{label}`) RETURN properties(n){limit}")).await?)? {
            out.write(&node)?;
        }
        Ok(())
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

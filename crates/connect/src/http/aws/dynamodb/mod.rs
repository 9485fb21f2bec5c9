//! DynamoDB: items of tables, read page by page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::Aws;
use crate::error::{ErrorCode, SourceError};
use crate::http::{at_path, elements, no_json, text_at, tree};
use crate::network::NetworkPolicy;
use crate::settings::Settings;
use crate::snapshot::{Asked, Fetcher, Lines, Narrowed};

mod expression;
mod operation;

/// DynamoDB in a region.
pub(crate) struct Dynamodb(Aws);

impl Dynamodb {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        Ok(Self(Aws::open(settings, policy, "dynamodb", "DynamoDB_20120810").await?))
    }

    /// Writes what an operation answers, page by page.
    async fn read(
        &self,
        operation: &str,
        mut ask: Map<String, Value>,
        wanted: usize,
        out: &mut Lines,
    ) -> Result<(), SourceError> {
        loop {
            let body = self.0.call(operation, &Value::Object(ask.clone())).await?;
            let answer = tree(body.as_bytes())?;
            for item in answer.get("Items").and_then(Value::as_array).into_iter().flatten() {
                out.write(&item.as_object().map_or_else(|| "null".to_owned(), object))?;
            }
            match answer.get("LastEvaluatedKey") {
                Some(key) if out.rows < wanted => ask.insert("ExclusiveStartKey".to_owned(), key.clone()),
                _ => return Ok(()),
            };
        }
    }

    /// The keys of a table; none where they are not told to whom may only read.
    async fn keys(&self, table: &str) -> Result<Option<operation::Keys>, SourceError> {
        let body = match self.0.call("DescribeTable", &json!({ "TableName": table })).await {
            Ok(body) => body,
            Err(error) if matches!(error.code, ErrorCode::Authentication | ErrorCode::Query) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let about = tree(body.as_bytes())?;
        Ok(operation::Keys::of(&about))
    }
}

/// An attribute as JSON. Numbers stay as they are written, for they have up to 38 digits; binary is hexadecimal after `\x`.
fn plain(attribute: &Value) -> String {
    let Some((kind, value)) = attribute.as_object().and_then(|object| object.iter().next()) else {
        return "null".to_owned();
    };
    let text = value.as_str().unwrap_or_default();
    let list = |parts: Vec<String>| format!("[{}]", parts.join(","));
    let binary = |text: &str| {
        let bytes = STANDARD.decode(text).unwrap_or_default();
        json!(format!("\\x{}", hex::encode(bytes))).to_string()
    };
    let all = || value.as_array().into_iter().flatten();
    match kind.as_str() {
        "N" if is_number(text) => text.to_owned(),
        "S" | "BOOL" | "SS" => value.to_string(),
        "B" => binary(text),
        "NS" => list(all().map(|number| number.as_str().unwrap_or("null").to_owned()).collect()),
        "BS" => list(all().map(|bytes| binary(bytes.as_str().unwrap_or_default())).collect()),
        "L" => list(all().map(plain).collect()),
        "M" => value.as_object().map_or_else(|| "null".to_owned(), object),
        _ => "null".to_owned(),
    }
}

fn is_number(text: &str) -> bool {
    serde_json::from_str::<serde_json::Number>(text).is_ok()
}

fn object(item: &Map<String, Value>) -> String {
    let members: Vec<String> =
        item.iter().map(|(name, value)| format!("{}:{}", json!(name), plain(value))).collect();
    format!("{{{}}}", members.join(","))
}

#[async_trait::async_trait]
impl Fetcher for Dynamodb {
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
        if query.is_some() {
            return Err(SourceError::query("DynamoDB is tested without a query."));
        }
        let body = self.0.call("ListTables", &json!({ "Limit": 1 })).await?;
        let tables = elements(at_path(&body, "TableNames")?.unwrap_or("[]"))?.len();
        Ok((Some("DynamoDB 2012-08-10".to_owned()), Some(format!("{tables} tables seen"))))
    }

    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
        let mut found = Vec::new();
        let mut ask = json!({});
        loop {
            let body = self.0.call("ListTables", &ask).await?;
            for name in elements(at_path(&body, "TableNames")?.unwrap_or("[]"))? {
                let name: String = serde_json::from_str(name).map_err(|error| no_json(&error))?;
                let about = self.0.call("DescribeTable", &json!({ "TableName": name })).await?;
                // Counted every six hours by the service: none is what it says of a new table.
                let count = text_at(&about, "Table.ItemCount")?.and_then(|count| count.parse().ok());
                found.push(("main".to_owned(), name, count.filter(|count| *count > 0)));
            }
            match text_at(&body, "LastEvaluatedTableName")? {
                Some(last) if found.len() < 10_000 => ask = json!({ "ExclusiveStartTableName": last }),
                _ => return Ok(found),
            }
        }
    }

    async fn rows(&self, _: &str, table: &str, wanted: usize, out: &mut Lines) -> Result<(), SourceError> {
        let mut ask = Map::from_iter([("TableName".to_owned(), json!(table))]);
        if wanted < operation::PAGE {
            ask.insert("Limit".to_owned(), json!(wanted.max(1)));
        }
        self.read("Scan", ask, wanted, out).await
    }

    fn narrows(&self) -> bool {
        true
    }

    async fn narrowed(&self, asked: &Asked, out: &mut Lines) -> Result<Narrowed, SourceError> {
        let keys = self.keys(&asked.table).await?;
        let Some((operation, ask)) = operation::operation(asked, keys.as_ref()) else {
            return Ok(Narrowed::No);
        };
        self.read(operation, ask, asked.limit.unwrap_or(usize::MAX), out).await?;
        Ok(Narrowed::Yes)
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.0.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_become_json_without_loss() {
        let item = json!({
            "n": { "N": "12345678901234567890123456789012345678" }, "s": { "S": "a\"b" }, "b": { "B": "AP8=" },
            "l": { "L": [{ "N": "1.10" }, { "NULL": true }] }, "m": { "M": { "x": { "BOOL": true } } }, "ns": { "NS": ["1", "2"] },
        });
        assert_eq!(
            object(item.as_object().unwrap()),
            r#"{"b":"\\x00ff","l":[1.10,null],"m":{"x":true},"n":12345678901234567890123456789012345678,"ns":[1,2],"s":"a\"b"}"#
        );
    }
}

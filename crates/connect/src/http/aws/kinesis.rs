//! Kinesis: what the shards of a stream hold at the moment, oldest first, up to a bound.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Aws;
use crate::discovered::few;
use crate::error::SourceError;
use crate::http::{at_path, elements, no_json, text_at, tree};
use crate::members::Members;
use crate::network::NetworkPolicy;
use crate::settings::Settings;
use crate::snapshot::{Fetcher, Lines};

/// Records of a stream at most, unless `metadata.max_records` says otherwise.
const MOST: u64 = 100_000;

/// Kinesis in a region.
pub(crate) struct Kinesis {
    aws: Aws,
    most: usize,
}

impl Kinesis {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let most = settings.metadata.get("max_records").and_then(Value::as_u64).unwrap_or(MOST);
        let aws = Aws::open(settings, policy, "kinesis", "Kinesis_20131202").await?;
        Ok(Self { aws, most: usize::try_from(most).unwrap_or(usize::MAX) })
    }

    async fn shards(&self, stream: &str) -> Result<Vec<String>, SourceError> {
        let mut found = Vec::new();
        let mut ask = json!({ "StreamName": stream });
        loop {
            let body = self.aws.call("ListShards", &ask).await?;
            for shard in elements(at_path(&body, "Shards")?.unwrap_or("[]"))? {
                found.extend(text_at(shard, "ShardId")?);
            }
            few(&found)?;
            match text_at(&body, "NextToken")? {
                Some(token) => ask = json!({ "NextToken": token }),
                None => return Ok(found),
            }
        }
    }
}

/// A record as a row: JSON objects by their members, all else as the text `data`.
fn row(shard: &str, record: &Value) -> String {
    let text = |name: &str| record.get(name).cloned().unwrap_or_default();
    let bytes =
        STANDARD.decode(record.get("Data").and_then(Value::as_str).unwrap_or_default()).unwrap_or_default();
    let mut row = Members::default();
    row.add("shard", shard);
    row.add("sequence_number", text("SequenceNumber"));
    row.add("partition_key", text("PartitionKey"));
    row.add("arrived_at", text("ApproximateArrivalTimestamp"));
    row.add_payload(bytes);
    row.into_json()
}

#[async_trait::async_trait]
impl Fetcher for Kinesis {
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
        if query.is_some() {
            return Err(SourceError::query("Kinesis is tested without a query."));
        }
        let body = self.aws.call("ListStreams", &json!({ "Limit": 10 })).await?;
        let streams = elements(at_path(&body, "StreamNames")?.unwrap_or("[]"))?.len();
        Ok((Some("Kinesis 2013-12-02".to_owned()), Some(format!("{streams} streams seen"))))
    }

    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
        let mut found: Vec<(String, String, Option<i64>)> = Vec::new();
        loop {
            let ask = match found.last() {
                Some((_, last, _)) => json!({ "ExclusiveStartStreamName": last }),
                None => json!({}),
            };
            let body = self.aws.call("ListStreams", &ask).await?;
            let before = found.len();
            for name in elements(at_path(&body, "StreamNames")?.unwrap_or("[]"))? {
                let name: String = serde_json::from_str(name).map_err(|error| no_json(&error))?;
                found.push(("main".to_owned(), name, None));
            }
            if at_path(&body, "HasMoreStreams")? != Some("true")
                || found.len() == before
                || found.len() > 10_000
            {
                return Ok(found);
            }
        }
    }

    async fn rows(&self, _: &str, table: &str, wanted: usize, out: &mut Lines) -> Result<(), SourceError> {
        let most = wanted.min(self.most);
        for shard in self.shards(table).await? {
            let start = json!({ "StreamName": table, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
            let body = self.aws.call("GetShardIterator", &start).await?;
            let mut iterator = text_at(&body, "ShardIterator")?;
            while let Some(at) = iterator.take() {
                let body =
                    self.aws.call("GetRecords", &json!({ "ShardIterator": at, "Limit": 10_000 })).await?;
                let answer = tree(body.as_bytes())?;
                let records = answer.get("Records").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                for record in records {
                    if out.rows >= most {
                        return Ok(());
                    }
                    out.write(&row(&shard, record))?;
                }
                // An open shard has no end; where nothing is behind, its present end was reached.
                let behind = answer.get("MillisBehindLatest").and_then(Value::as_u64).unwrap_or_default();
                if behind > 0 {
                    iterator = answer.get("NextShardIterator").and_then(Value::as_str).map(str::to_owned);
                }
            }
        }
        Ok(())
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.aws.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_do_not_hide_what_is_told_of_a_record() {
        let data = STANDARD.encode(r#"{"shard": "own", "n": 1}"#);
        let row = row("s-0", &json!({ "Data": data, "SequenceNumber": "7", "PartitionKey": "k" }));
        let expected = r#"{"shard":"s-0","sequence_number":"7","partition_key":"k","arrived_at":null,"data.shard":"own","n":1}"#;
        assert_eq!(row, expected);
    }
}

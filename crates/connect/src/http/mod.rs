//! Sources that speak HTTP.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::{SourceError, quoted};

pub(crate) mod aws;
pub(crate) mod bigquery;
pub(crate) mod clickhouse;
pub(crate) mod client;
pub(crate) mod couchbase;
pub(crate) mod databricks;
pub(crate) mod db2;
pub(crate) mod elasticsearch;
pub(crate) mod google;
pub(crate) mod graphql;
pub(crate) mod jwt;
pub(crate) mod lines;
pub(crate) mod neo4j;
pub(crate) mod oauth;
pub(crate) mod oracle;
pub(crate) mod pubsub;
pub(crate) mod rest;
mod shape;
pub(crate) mod snowflake;
pub(crate) mod sql;

/// What stands at a path of names with dots; the whole for an empty path. `None` if a name is not there.
pub(crate) fn at_path<'a>(json: &'a str, path: &str) -> Result<Option<&'a str>, SourceError> {
    let mut here = json;
    for name in path.split('.').filter(|name| !name.is_empty()) {
        if !here.trim_start().starts_with('{') {
            return Ok(None);
        }
        let mut members = serde_json::Deserializer::from_str(here);
        let found = members.deserialize_map(Member(name)).and_then(|found| members.end().map(|()| found));
        let found = found.map_err(|error| no_json(&error))?;
        match found {
            Some(raw) => here = raw.get(),
            None => return Ok(None),
        }
    }
    Ok(Some(here))
}

/// Finds a member of an object, and holds no other; of those with the same name the last holds.
struct Member<'n>(&'n str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Bytes that the tree of an answer may take, and what its parts take.
const TREE: usize = 512 << 20;
const OBJECT: usize = 650;
const ARRAY: usize = 160;
const VALUE: usize = 64;
/// Elements of an array at most: each costs more here than it may be written with.
const MOST_ELEMENTS: usize = 1_000_000;

struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(element) = all.next_element::<&'de RawValue>()? {
            if found.len() >= MOST_ELEMENTS {
                return Err(serde::de::Error::custom("an array has too many elements"));
            }
            found.push(element.get());
        }
        Ok(found)
    }
}

/// The elements of an array, or the one value that is none.
pub(crate) fn elements(json: &str) -> Result<Vec<&str>, SourceError> {
    match json.trim_start().as_bytes().first() {
        Some(b'[') => {
            let mut all = serde_json::Deserializer::from_str(json);
            let found = all.deserialize_seq(Elements).and_then(|found| all.end().map(|()| found));
            found.map_err(|error| no_json(&error))
        }
        Some(b'n') | None => Ok(Vec::new()),
        Some(_) => Ok(vec![json]),
    }
}

/// A member of a JSON object that is text or a number, as text.
pub(crate) fn text_at(json: &str, path: &str) -> Result<Option<String>, SourceError> {
    let Some(raw) = at_path(json, path)? else { return Ok(None) };
    let value = tree(raw.as_bytes())?;
    Ok(match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// An answer as a tree of values, if that has an end: an object costs hundreds of bytes, and may be written with seven.
pub(crate) fn tree(json: &[u8]) -> Result<serde_json::Value, SourceError> {
    if cost(json) > TREE {
        return Err(SourceError::query("The answer has more values than can be held."));
    }
    serde_json::from_slice(json).map_err(|error| no_json(&error))
}

/// Bytes that a tree takes besides its texts.
fn cost(json: &[u8]) -> usize {
    let (mut cost, mut is_text, mut is_escaped) = (0, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'{' => cost += OBJECT,
            b'[' => cost += ARRAY,
            b',' => cost += VALUE,
            _ => {}
        }
    }
    cost
}

/// A body as text, checked to be JSON.
pub(crate) fn json_body(body: &[u8]) -> Result<&str, SourceError> {
    let text = std::str::from_utf8(body).map_err(|_| SourceError::query("The answer is not UTF-8."))?;
    let _: &RawValue = serde_json::from_str(text).map_err(|error| no_json(&error))?;
    Ok(text)
}

pub(crate) fn no_json(error: &serde_json::Error) -> SourceError {
    SourceError::query("The answer is not the JSON that was expected.").with_detail(error)
}

pub(crate) fn nothing_at(path: &str) -> SourceError {
    SourceError::query(format!("The answer has nothing at the path {}.", quoted(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_values_as_they_are_written() {
        let json = r#"{"data": {"items": [{"id": 12345678901234567890, "x": 1.10}, {"id": 2}], "next": null, "cur\"sor": "a"}}"#;
        let items = at_path(json, "data.items").unwrap().unwrap();
        assert_eq!(elements(items).unwrap(), [r#"{"id": 12345678901234567890, "x": 1.10}"#, r#"{"id": 2}"#]);
        assert_eq!(at_path(json, "data.absent.more").unwrap(), None);
        assert_eq!(at_path(json, "data.items.id").unwrap(), None);
        assert_eq!(text_at(json, "data.cur\"sor").unwrap().as_deref(), Some("a"));
        assert_eq!(text_at(json, "data.next").unwrap(), None);
        assert_eq!(elements(" {\"a\": 1}").unwrap().len(), 1);
        assert!(json_body(b"{").is_err());
        assert_eq!(at_path(r#"{"a": 1, "b": 2, "a": 3}"#, "a").unwrap(), Some("3"), "the last one holds");
        assert!(at_path(r#"{"a": 1} x"#, "a").is_err());
    }

    // Eight bytes of an answer would be hundreds here.
    #[test]
    fn a_tree_has_an_end() {
        let objects = |count: usize| format!("[{}]", vec![r#"{"":0}"#; count].join(","));
        assert!(tree(objects(1_000).as_bytes()).is_ok());
        let refused = tree(objects(800_000).as_bytes()).unwrap_err();
        assert!(refused.message.contains("more values"), "{refused}");
        // What stands in a text is none.
        let text = format!(r#"["\"{}\\", 1]"#, "{[,".repeat(1_000_000));
        assert_eq!(cost(text.as_bytes()), ARRAY + VALUE);
        assert_eq!(tree(text.as_bytes()).unwrap()[1], 1);
    }

    // Two bytes of an answer would be sixteen here.
    #[test]
    fn an_array_of_nothings_has_an_end() {
        let of = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert_eq!(elements(&of(MOST_ELEMENTS)).unwrap().len(), MOST_ELEMENTS);
        assert!(elements(&of(MOST_ELEMENTS + 1)).is_err());
    }
}

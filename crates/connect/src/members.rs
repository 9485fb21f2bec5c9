//! Rows that are made here, as JSON text: members stay in their order, and numbers as they were written.

use std::collections::HashSet;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Deserializer, Value};

use crate::files::MOST_COLUMNS;

/// A JSON object that grows member by member. Of members with the same name, its readers take the last.
#[derive(Debug, Default)]
pub(crate) struct Members {
    text: String,
    names: HashSet<String>,
}

impl Members {
    /// Adds a member whose value is a text, a number, or another value that is not read again.
    pub(crate) fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.add_json(name, &value.into().to_string());
    }

    /// Adds a member whose value is JSON text already.
    pub(crate) fn add_json(&mut self, name: &str, json: &str) {
        self.text.push(if self.text.is_empty() { '{' } else { ',' });
        self.text.push_str(&Value::from(name).to_string());
        self.text.push(':');
        self.text.push_str(json);
        self.names.insert(name.to_owned());
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Adds what a message carries: the members of a JSON object, all else as the text `data` (bytes that are no text in
    /// hexadecimal digits after `\x`). A member that is called as one that is there is none the less added, as `data.` and its name.
    pub(crate) fn add_payload(&mut self, bytes: Vec<u8>) {
        if let Some(members) = of_object(&bytes) {
            let own: HashSet<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
            let told = self.names.clone();
            for (name, value) in &members {
                let mut free = name.clone();
                while told.contains(&free) || (free != *name && own.contains(free.as_str())) {
                    free.insert_str(0, "data.");
                }
                self.add_json(&free, value);
            }
            return;
        }
        let data = String::from_utf8(bytes)
            .unwrap_or_else(|error| format!("\\x{}", hex::encode(error.into_bytes())));
        self.add("data", data);
    }

    /// The object as text.
    pub(crate) fn into_json(mut self) -> String {
        if self.text.is_empty() {
            self.text.push('{');
        }
        self.text.push('}');
        self.text
    }
}

/// The members of bytes that are one JSON object, each value as it is written; none for everything else, and for objects with more
/// members than a relation has columns.
pub(crate) fn of_object(bytes: &[u8]) -> Option<Vec<(String, &str)>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut whole = Deserializer::from_str(text);
    let members = whole.deserialize_map(Raw).ok()?;
    whole.end().ok()?;
    Some(members)
}

struct Raw;

impl<'de> Visitor<'de> for Raw {
    type Value = Vec<(String, &'de str)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<String, &'de RawValue>()? {
            if members.len() >= MOST_COLUMNS {
                return Err(serde::de::Error::custom("an object has too many members"));
            }
            members.push((name, value.get()));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_stay_in_their_order_and_are_as_written() {
        assert_eq!(Members::default().into_json(), "{}");
        let mut row = Members::default();
        row.add("z\"", "x\n");
        row.add("a", 1);
        row.add("n", Value::Null);
        row.add_payload(br#" {"y": 12345678901234567890.10, "b": {"d": 1, "c": [ ]}} "#.to_vec());
        let expected = r#"{"z\"":"x\n","a":1,"n":null,"y":12345678901234567890.10,"b":{"d": 1, "c": [ ]}}"#;
        assert_eq!(row.into_json(), expected);
    }

    #[test]
    fn what_is_carried_hides_nothing_and_is_not_hidden() {
        let row = |payload: &[u8]| {
            let mut row = Members::default();
            row.add("id", 7);
            row.add_payload(payload.to_vec());
            row.into_json()
        };
        assert_eq!(row(br#"{"id":1,"data.id":2}"#), r#"{"id":7,"data.data.id":1,"data.id":2}"#);
        assert_eq!(row(b"[1]"), r#"{"id":7,"data":"[1]"}"#);
        assert_eq!(row(b"{\"a\":1} x"), r#"{"id":7,"data":"{\"a\":1} x"}"#);
        assert_eq!(row(b""), r#"{"id":7,"data":""}"#);
        assert_eq!(row(b"\xff"), r#"{"id":7,"data":"\\xff"}"#);
        let many: Vec<String> = (0..=MOST_COLUMNS).map(|at| format!("\"{at}\":0")).collect();
        assert!(row(format!("{{{}}}", many.join(",")).as_bytes()).starts_with(r#"{"id":7,"data":"#));
    }
}

//! The rules in the guide mean something.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code: a broken expectation ends the test")]

use std::path::Path;

use serde_json::{Map, Value};
use tidegate_policy::{RuleKind, RuleType};

#[test]
fn every_rule_of_the_guide_is_read() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/policies.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut read = Vec::new();
    for part in page.split("<!-- rule: ").skip(1) {
        let (name, rest) = part.split_once(" -->").unwrap();
        let text = rest.split("```json").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let config: Map<String, Value> = serde_json::from_str(text).unwrap();
        let kind = RuleType::from_name(name).unwrap();
        if let Err(error) = RuleKind::parse(kind, &config) {
            panic!("{name} {text}: {error}");
        }
        read.push(kind);
    }
    for kind in RuleType::ALL {
        assert!(read.contains(&kind), "{kind:?}");
    }
}

//! What `/docs` shows: the descriptions of all contracts and of operations' routes, in the order in which people use them, with
//! a sample request for each.

mod codes;
mod flow;
mod samples;

use std::collections::BTreeMap;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::registry;

/// A JSON object whose fields stay in their order.
struct InOrder(Vec<(String, Value)>);

impl Serialize for InOrder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Document {
    openapi: &'static str,
    info: Value,
    servers: Value,
    tags: Vec<Value>,
    #[serde(rename = "x-tagGroups")]
    groups: Vec<Value>,
    paths: InOrder,
    components: Value,
}

/// The operations' routes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Operations(Map<String, Value>);

/// The name of their group.
const OPERATIONS: &str = "Operations";

/// The document, as text: the order of its paths is part of it.
pub(super) fn document(public_url: &str) -> serde_json::Result<String> {
    let mut all = registry::openapi();
    let titles: BTreeMap<String, &str> = registry::contracts()
        .iter()
        .map(|contract| (contract.id.as_str().to_owned(), contract.title))
        .collect();
    let Operations(operations) = serde_json::from_str(include_str!("../operations.json"))?;
    let mut paths =
        all.get_mut("paths").and_then(Value::as_object_mut).map(std::mem::take).unwrap_or_default();
    paths.extend(operations);
    let mut components = all.get_mut("components").map(Value::take).unwrap_or_default();
    let codes = codes::table(&paths, &components);

    let mut tagged: Vec<Tagged> = Vec::new();
    for (path, item) in &mut paths {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            let sample = samples::curl(public_url, method, path, operation, &components);
            let tag = Tagged::of(path, operation, &titles);
            if let Some(operation) = operation.as_object_mut() {
                operation.insert("tags".to_owned(), json!([tag.name()]));
                operation.insert(
                    "x-codeSamples".to_owned(),
                    json!([{ "lang": "Shell", "label": "curl", "source": sample }]),
                );
            }
            codes::explain(operation);
            tagged.push(tag);
        }
    }
    let shared = components.get_mut("responses").and_then(Value::as_object_mut);
    shared.into_iter().flat_map(|answers| answers.values_mut()).for_each(codes::explain_answer);
    let mut paths: Vec<(String, Value)> = paths.into_iter().collect();
    paths.sort_by_key(|(path, _)| flow::rank(path));
    let (tags, groups) = listed(tagged);
    let document = Document {
        openapi: "3.1.0",
        info: json!({
            "title": "Tidegate API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": format!("{}\n{codes}", include_str!("../introduction.md")),
            "x-logo": { "url": "/assets/logo", "href": "/", "altText": "Go to the start page" },
        }),
        servers: json!([{ "url": public_url }]),
        tags,
        groups,
        paths: InOrder(paths),
        components,
    };
    serde_json::to_string(&document)
}

/// Where an operation belongs.
struct Tagged {
    contract: String,
    tag: String,
    rank: usize,
}

impl Tagged {
    /// The contract's name comes before the operation's.
    fn of(path: &str, operation: &Value, titles: &BTreeMap<String, &str>) -> Self {
        let id = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        let title = titles
            .iter()
            .find(|(name, _)| id.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with('_')));
        let tag = operation.pointer("/tags/0").and_then(Value::as_str).unwrap_or(OPERATIONS);
        Self {
            contract: title.map_or(OPERATIONS, |(_, title)| title).to_owned(),
            tag: tag.to_owned(),
            rank: flow::rank(path),
        }
    }

    fn name(&self) -> String {
        format!("{}: {}", self.contract, self.tag)
    }
}

/// The tags, those used first before the others, and the groups of them, one for each contract.
fn listed(mut tagged: Vec<Tagged>) -> (Vec<Value>, Vec<Value>) {
    tagged.sort_by_key(|tag| tag.rank);
    let mut names: Vec<(String, String, String)> = Vec::new();
    for tag in tagged {
        let name = tag.name();
        if !names.iter().any(|(known, ..)| *known == name) {
            names.push((name, tag.contract, tag.tag));
        }
    }
    let tags = names.iter().map(|(name, _, tag)| json!({ "name": name, "x-displayName": tag })).collect();
    let titles = registry::contracts().iter().map(|contract| contract.title).chain([OPERATIONS]);
    let groups = titles
        .map(|title| {
            let of_it: Vec<&str> = names
                .iter()
                .filter(|(_, contract, _)| contract == title)
                .map(|(name, ..)| name.as_str())
                .collect();
            json!({ "name": title, "tags": of_it })
        })
        .collect();
    (tags, groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> Value {
        serde_json::from_str(&document("https://id.example.com").unwrap()).unwrap()
    }

    #[test]
    fn every_operation_of_every_contract_is_in_one_group_with_a_sample() {
        let document = made();
        let listed: Vec<&str> = document["x-tagGroups"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|group| group["tags"].as_array().unwrap())
            .map(|tag| tag.as_str().unwrap())
            .collect();
        let all = registry::openapi();
        let described = all["paths"].as_object().unwrap().keys();
        for path in described.map(String::as_str).chain([
            "/healthz",
            "/readyz",
            "/metrics",
            "/.well-known/jwks.json",
            "/.well-known/openid-configuration",
        ]) {
            for (method, operation) in document["paths"][path].as_object().unwrap() {
                let tag = operation["tags"][0].as_str().unwrap();
                assert_eq!(listed.iter().filter(|known| **known == tag).count(), 1, "{method} {path}: {tag}");
                let sample = operation["x-codeSamples"][0]["source"].as_str().unwrap();
                assert!(
                    sample.starts_with("curl ") && sample.contains("https://id.example.com/"),
                    "{sample}"
                );
                assert!(!sample.contains('{') || sample.contains("-d "), "{sample}");
            }
        }
        assert_eq!(document["x-tagGroups"].as_array().unwrap().len(), registry::contracts().len() + 1);
    }

    #[test]
    fn an_account_is_made_before_it_signs_in_and_signs_in_before_it_signs_out() {
        let text = document("https://id.example.com").unwrap();
        let at = |path: &str| text.find(&format!("\"{path}\":{{\"")).unwrap_or_else(|| panic!("{path}"));
        for flow in [
            ["/api/v1/auth/signup", "/api/v1/auth/verify-otp", "/api/v1/auth/login", "/api/v1/auth/logout"],
            ["/api/v2/auth/register", "/api/v2/auth/login", "/api/v2/auth/refresh", "/api/v2/auth/logout"],
            [
                "/api/v1/auth/enter-phone",
                "/api/v1/auth/confirm-code",
                "/api/v1/login/send-code",
                "/api/v1/logout",
            ],
            [
                "/v1/accounts/individual",
                "/v1/accounts/verify",
                "/v1/login/individual",
                "/v1/login/refresh-token",
            ],
        ] {
            assert!(flow.is_sorted_by_key(|path| at(path)), "{flow:?}");
        }
    }

    #[test]
    fn a_sample_is_a_whole_request() {
        let document = made();
        let sample = |method: &str, path: &str| {
            document["paths"][path][method]["x-codeSamples"][0]["source"].as_str().unwrap().to_owned()
        };
        insta::assert_snapshot!(
            [
                sample("post", "/api/v1/auth/signup"),
                sample("delete", "/api/v1/sessions/{session_id}"),
                sample("post", "/api/v1/account/kyc"),
                sample("get", "/v1/accounts/verify"),
                sample("get", "/healthz"),
            ]
            .join("\n\n")
        );
    }
}

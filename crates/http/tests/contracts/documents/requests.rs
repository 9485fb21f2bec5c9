//! What descriptions say of requests, for those who generate clients and requests from them.

use std::collections::BTreeSet;

use serde_json::Value;
use tidegate_http::contracts;

use super::collect_references;

/// Text that may be anything: passwords of sign-ins, and what is looked up or read without ever being refused.
const ANYTHING: [&str; 23] = [
    "additional_information",
    "browser_secret",
    "bucket_name",
    "code",
    "content",
    "cursor",
    "db_id",
    "email_redirect_url",
    "error",
    "error_description",
    "iss",
    "key_id",
    "object_name",
    "prefix",
    "provider",
    "redirect_uri",
    "refresh_token",
    "selected_schema_names",
    "session_id",
    "state",
    "temporary_token",
    "transports",
    "user",
];

/// Every document, with the schemas that its requests are made of, by their names.
fn described() -> Vec<(String, Value, BTreeSet<String>)> {
    let all = contracts().iter().map(|contract| {
        let document = serde_json::to_value(contract.openapi()).unwrap();
        let mut names = BTreeSet::new();
        let mut open: Vec<Value> =
            operations(&document).map(|(_, operation)| operation["requestBody"].clone()).collect();
        while let Some(part) = open.pop() {
            let mut references = BTreeSet::new();
            collect_references(&part, &mut references);
            for name in references.iter().filter_map(|reference| reference.rsplit('/').next()) {
                if names.insert(name.to_owned()) {
                    open.push(document["components"]["schemas"][name].clone());
                }
            }
        }
        (contract.id.to_string(), document, names)
    });
    all.collect()
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().iter();
        methods.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
    })
}

/// Every schema in a value, with the name of the field it is of.
fn walk<'v>(name: &'v str, value: &'v Value, visit: &mut impl FnMut(&str, &'v Value)) {
    match value {
        Value::Object(fields) => {
            visit(name, value);
            for (key, inner) in
                fields.iter().filter(|(key, _)| !["if", "then", "else"].contains(&key.as_str()))
            {
                walk(if is_keyword(key) { name } else { key }, inner, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(name, item, visit)),
        _ => {}
    }
}

fn is_keyword(key: &str) -> bool {
    ["properties", "items", "oneOf", "anyOf", "allOf", "additionalProperties", "schema"].contains(&key)
}

fn is_text(schema: &Value) -> bool {
    let kind = &schema["type"];
    kind == "string" || kind.as_array().is_some_and(|kinds| kinds.contains(&"string".into()))
}

/// Generators make a field with a default one that is always there, and then ask for it.
#[test]
fn no_field_of_a_request_has_a_default() {
    for (contract, document, names) in described() {
        for name in names {
            walk(&name, &document["components"]["schemas"][&name], &mut |field, schema| {
                // A parameter of a template has a field that is called so.
                let default = schema.get("default").filter(|_| name != "ParameterBody");
                assert!(default.is_none(), "{contract}: {name}.{field}");
            });
        }
    }
}

/// The names of the types in a source file that derive `ToSchema`.
fn schema_names(source: &str) -> Vec<String> {
    let declared = source.split("#[derive(").skip(1).filter_map(|part| {
        let (derived, rest) = part.split_once(")]")?;
        let renamed =
            rest.split("#[schema(as = ").nth(1).filter(|_| rest.trim_start().starts_with("#[schema(as = "));
        let name = match renamed {
            Some(renamed) => renamed,
            None => {
                rest.lines()
                    .find_map(|line| line.split_once("struct ").or_else(|| line.split_once("enum ")))?
                    .1
            }
        };
        let end = name.find(|character: char| !character.is_alphanumeric() && character != '_')?;
        // A macro names its types where it is used.
        (derived.contains("ToSchema") && end > 0).then(|| name[..end].to_owned())
    });
    declared.collect()
}

/// Of two types of one name, a document describes one and refers to it for both.
#[test]
fn no_two_types_of_a_contract_have_one_schema_name() {
    fn sources(directory: &std::path::Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let contracts = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/contracts");
    let mut count = 0;
    for contract in std::fs::read_dir(contracts).unwrap().map(|entry| entry.unwrap().path()) {
        let (mut files, mut seen) = (Vec::new(), std::collections::BTreeMap::new());
        if contract.is_dir() {
            sources(&contract, &mut files);
        }
        for file in files {
            for name in schema_names(&std::fs::read_to_string(&file).unwrap()) {
                count += 1;
                if let Some(other) = seen.insert(name.clone(), file.clone()) {
                    panic!("{name} in {} and in {}", other.display(), file.display());
                }
            }
        }
    }
    assert!(count > 100, "only {count} types were found");
}

/// Generators name functions after operations.
#[test]
fn every_operation_has_a_name_of_its_own() {
    for (contract, document, _) in described() {
        let mut names = BTreeSet::new();
        for (operation, described) in operations(&document) {
            let name = described["operationId"].as_str().unwrap();
            assert!(
                names.insert(name.to_owned()),
                "{contract}: {operation} is called {name} like another one"
            );
        }
    }
}

#[test]
fn every_text_of_a_request_says_what_it_looks_like() {
    for (contract, document, names) in described() {
        let check = |name: &str, field: &str, schema: &Value| {
            let has = |keyword: &str| schema.get(keyword).is_some();
            let says_so = ["enum", "const", "pattern", "minLength"].into_iter().any(has)
                || ["password", "date", "date-time", "ipv4", "ipv6", "binary"]
                    .into_iter()
                    .any(|format| schema["format"] == format);
            assert!(says_so || ANYTHING.contains(&field), "{contract}: {name} {field}: {schema}");
        };
        for name in names {
            walk(&name, &document["components"]["schemas"][&name], &mut |field, schema| {
                if is_text(schema) {
                    check(&name, field, schema);
                }
            });
        }
        for (operation, described) in operations(&document) {
            for parameter in described["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap();
                if is_text(&parameter["schema"]) && parameter["in"] != "header" {
                    check(&operation, name, &parameter["schema"]);
                }
            }
        }
    }
}

/// Formats are names of shapes here: one that is misspelled would say nothing.
#[test]
fn every_format_of_a_request_is_of_json_schema_or_comes_with_its_shape() {
    let known =
        ["email", "password", "date", "date-time", "ipv4", "ipv6", "uri", "binary", "int64", "double"];
    for (contract, document, names) in described() {
        for name in names {
            walk(&name, &document["components"]["schemas"][&name], &mut |field, schema| {
                let Some(format) = schema.get("format").and_then(Value::as_str) else { return };
                let has_shape = schema.get("pattern").is_some() || schema.get("minLength").is_some();
                assert!(known.contains(&format) || has_shape, "{contract}: {name}.{field}: {format}");
            });
        }
    }
}

/// A client has to know every header that it is told to act on.
#[test]
fn every_answer_describes_its_headers() {
    for (contract, document, _) in described() {
        for (operation, described) in operations(&document) {
            for (status, answer) in described["responses"].as_object().unwrap() {
                let answer = match answer["$ref"].as_str() {
                    Some(reference) => document.pointer(reference.trim_start_matches('#')).unwrap(),
                    None => answer,
                };
                let wanted: &[&str] = match status.as_str() {
                    "401" => &["x-request-id", "www-authenticate"],
                    "403" => &["x-request-id", "www-authenticate"],
                    "429" => &["x-request-id", "retry-after", "x-ratelimit-limit", "x-ratelimit-reset"],
                    "503" => &["x-request-id", "retry-after"],
                    _ => &["x-request-id"],
                };
                for header in wanted {
                    assert!(
                        answer["headers"].get(*header).is_some(),
                        "{contract}: {operation} {status}: {header}"
                    );
                }
            }
            for status in ["415", "500", "503"] {
                assert!(described["responses"].get(status).is_some(), "{contract}: {operation} {status}");
            }
        }
    }
}

//! The APIs' descriptions as a page for people.

use std::collections::BTreeMap;

use askama::Template;
use serde_json::Value;

use crate::registry::{self, Contract};

#[derive(Template)]
#[template(path = "docs.html")]
struct DocsPage {
    contracts: Vec<ContractView>,
}

struct ContractView {
    name: &'static str,
    title: String,
    operations: Vec<OperationView>,
    schemas: Vec<SchemaView>,
}

struct OperationView {
    method: String,
    path: String,
    summary: String,
    bearer: bool,
    body: Option<String>,
    parameters: Vec<FieldView>,
    answers: Vec<AnswerView>,
}

struct AnswerView {
    status: String,
    description: String,
    body: Option<String>,
}

struct SchemaView {
    name: String,
    description: String,
    fields: Vec<FieldView>,
}

struct FieldView {
    name: String,
    kind: String,
    required: bool,
    description: String,
}

/// The page.
pub(super) fn page() -> Result<String, askama::Error> {
    let contracts = registry::contracts().iter().copied().map(contract_view).collect();
    DocsPage { contracts }.render()
}

fn contract_view(contract: &'static Contract) -> ContractView {
    let document = serde_json::to_value(contract.openapi()).unwrap_or_default();
    let operations = objects(at(&document, "/paths"))
        .flat_map(|(path, item)| {
            let document = &document;
            objects(item).map(move |(method, operation)| operation_view(document, method, path, operation))
        })
        .collect();
    let schemas = objects(at(&document, "/components/schemas"))
        .map(|(name, schema)| schema_view(name, schema))
        .collect();
    ContractView {
        name: contract.id.as_str(),
        title: text(at(&document, "/info/title")),
        operations,
        schemas,
    }
}

fn operation_view(document: &Value, method: &str, path: &str, operation: &Value) -> OperationView {
    let parameters = list(at(operation, "/parameters"))
        .map(|parameter| FieldView {
            name: text(at(parameter, "/name")),
            kind: format!("{}, {}", text(at(parameter, "/in")), kind(at(parameter, "/schema"))),
            required: at(parameter, "/required") == true,
            description: text(at(parameter, "/description")),
        })
        .collect();
    let answers = objects(at(operation, "/responses"))
        .map(|(status, answer)| {
            let described_once =
                at(answer, "/$ref").as_str().and_then(|reference| reference.strip_prefix('#'));
            let answer = described_once.map_or(answer, |pointer| at(document, pointer));
            AnswerView {
                status: status.to_owned(),
                description: text(at(answer, "/description")),
                body: body_of(answer),
            }
        })
        .collect();
    OperationView {
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(at(operation, "/summary")),
        bearer: at(operation, "/security").is_array(),
        body: body_of(at(operation, "/requestBody")),
        parameters,
        answers,
    }
}

fn schema_view(name: &str, schema: &Value) -> SchemaView {
    // A flattened part stands beside the schema's own fields.
    let parts: Vec<&Value> = std::iter::once(schema).chain(list(at(schema, "/allOf"))).collect();
    let required: Vec<String> = parts.iter().flat_map(|part| list(at(part, "/required"))).map(text).collect();
    let mut fields = BTreeMap::new();
    for part in &parts {
        for (field, schema) in objects(at(part, "/properties")) {
            let view = FieldView {
                name: field.to_owned(),
                kind: kind(schema),
                required: required.iter().any(|name| name == field),
                description: text(at(schema, "/description")),
            };
            fields.insert(field.to_owned(), view);
        }
    }
    SchemaView {
        name: name.to_owned(),
        description: text(at(schema, "/description")),
        fields: fields.into_values().collect(),
    }
}

fn body_of(holder: &Value) -> Option<String> {
    objects(at(holder, "/content")).next().map(|(_, media)| kind(at(media, "/schema")))
}

/// A schema's type in a word or two.
fn kind(schema: &Value) -> String {
    if let Some(reference) = at(schema, "/$ref").as_str() {
        return reference.rsplit('/').next().unwrap_or_default().to_owned();
    }
    if at(schema, "/items").is_object() {
        return format!("list of {}", kind(at(schema, "/items")));
    }
    let alternatives: Vec<String> =
        ["oneOf", "anyOf"].iter().flat_map(|key| list(at(schema, &format!("/{key}")))).map(kind).collect();
    if !alternatives.is_empty() {
        return alternatives.join(" or ");
    }
    match at(schema, "/type") {
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().map(text).collect::<Vec<_>>().join(" or "),
        _ => "any".to_owned(),
    }
}

/// What stands at a JSON pointer (RFC 6901); `null` where nothing does.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn objects(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(key, value)| (key.as_str(), value))
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

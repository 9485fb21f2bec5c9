//! The API's description, generated from the handlers, and a page for people.

use std::collections::BTreeMap;

use askama::Template;
use serde_json::Value;
use tidegate_domain::Dialect;
use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

use crate::contracts::{crossing_minds, ingestiq, riven, rivergen};

/// Describes bearer tokens once per document.
pub(crate) struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut OpenApi) {
        describe_bearer(document, "JWT");
    }
}

/// The same, of tokens that say nothing by themselves.
pub(crate) struct OpaqueToken;

impl Modify for OpaqueToken {
    fn modify(&self, document: &mut OpenApi) {
        describe_bearer(document, "opaque");
    }
}

fn describe_bearer(document: &mut OpenApi, format: &str) {
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format(format).build();
    let schemes = &mut document.components.get_or_insert_default().security_schemes;
    schemes.insert("bearer".to_owned(), SecurityScheme::Http(scheme).into());
}

/// The description of one contract.
pub fn openapi_of(dialect: Dialect) -> OpenApi {
    match dialect {
        Dialect::Rivergen => rivergen::document(),
        Dialect::Ingestiq => ingestiq::document(),
        Dialect::CrossingMinds => crossing_minds::document(),
        Dialect::Riven => riven::document(),
    }
}

/// The description of all contracts: schemas of the same name are told apart by the contract's.
pub fn openapi() -> Value {
    let mut all = serde_json::json!({
        "openapi": "3.1.0",
        "info": { "title": "Tidegate", "version": env!("CARGO_PKG_VERSION") },
        "paths": {},
        "components": { "schemas": {}, "securitySchemes": {} },
    });
    for dialect in Dialect::ALL {
        let prefix = dialect.as_str();
        let mut one = serde_json::to_value(openapi_of(dialect)).unwrap_or_default();
        rename_references(&mut one, prefix);
        rename_operations(&mut one, prefix);
        for place in ["/paths", "/components/securitySchemes"] {
            merge(&mut all, place, one.pointer(place), |name| name.to_owned());
        }
        merge(&mut all, "/components/schemas", one.pointer("/components/schemas"), |name| {
            format!("{prefix}.{name}")
        });
    }
    all
}

/// Operations are named once in a document: two contracts have a `login` each.
fn rename_operations(document: &mut Value, prefix: &str) {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    let items = paths.into_iter().flat_map(|paths| paths.values_mut()).filter_map(Value::as_object_mut);
    for operation in items.flat_map(|item| item.values_mut()) {
        if let Some(Value::String(name)) = operation.get_mut("operationId") {
            *name = format!("{prefix}_{name}");
        }
    }
}

fn merge(all: &mut Value, place: &str, from: Option<&Value>, rename: impl Fn(&str) -> String) {
    if let (Some(Value::Object(into)), Some(Value::Object(from))) = (all.pointer_mut(place), from) {
        into.extend(from.iter().map(|(name, value)| (rename(name), value.clone())));
    }
}

fn rename_references(value: &mut Value, prefix: &str) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(reference) if key == "$ref" => {
                        *reference = reference
                            .replace("#/components/schemas/", &format!("#/components/schemas/{prefix}."));
                    }
                    other => rename_references(other, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename_references(item, prefix)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

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
    let contracts = Dialect::ALL.into_iter().map(contract_view).collect();
    DocsPage { contracts }.render()
}

fn contract_view(dialect: Dialect) -> ContractView {
    let document = serde_json::to_value(openapi_of(dialect)).unwrap_or_default();
    let operations = objects(at(&document, "/paths"))
        .flat_map(|(path, item)| {
            objects(item).map(move |(method, operation)| operation_view(method, path, operation))
        })
        .collect();
    let schemas = objects(at(&document, "/components/schemas"))
        .map(|(name, schema)| schema_view(name, schema))
        .collect();
    ContractView { name: dialect.as_str(), title: text(at(&document, "/info/title")), operations, schemas }
}

fn operation_view(method: &str, path: &str, operation: &Value) -> OperationView {
    let parameters = list(at(operation, "/parameters"))
        .map(|parameter| FieldView {
            name: text(at(parameter, "/name")),
            kind: format!("{}, {}", text(at(parameter, "/in")), kind(at(parameter, "/schema"))),
            required: at(parameter, "/required") == true,
            description: text(at(parameter, "/description")),
        })
        .collect();
    let answers = objects(at(operation, "/responses"))
        .map(|(status, answer)| AnswerView {
            status: status.to_owned(),
            description: text(at(answer, "/description")),
            body: body_of(answer),
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

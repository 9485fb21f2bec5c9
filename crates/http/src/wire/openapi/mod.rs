//! Parts of OpenAPI descriptions.

pub(crate) mod answers;
pub(crate) mod endpoints;
pub(crate) mod shapes;

use serde_json::Value;
use utoipa::Modify;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

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

/// Several descriptions as one: schemas and operations of the same name get the description's name as a prefix.
pub(crate) fn merged<'n>(documents: impl IntoIterator<Item = (&'n str, OpenApi)>) -> Value {
    let mut all = serde_json::json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tidegate",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Accounts, sign-in and sessions, through the contracts that this server keeps. All of them share accounts: who signs \
                            up through one signs in through the others. What to do about each error is at /docs.",
        },
        "paths": {},
        "components": { "headers": {}, "schemas": {}, "responses": {}, "securitySchemes": {} },
    });
    for (prefix, document) in documents {
        let mut one = serde_json::to_value(document).unwrap_or_default();
        rename_references(&mut one, prefix);
        rename_operations(&mut one, prefix);
        for place in ["/paths", "/components/securitySchemes"] {
            merge(&mut all, place, one.pointer(place), |name| name.to_owned());
        }
        for place in ["/components/headers", "/components/schemas", "/components/responses"] {
            merge(&mut all, place, one.pointer(place), |name| format!("{prefix}.{name}"));
        }
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
                        if let Some((place, name)) = reference.rsplit_once('/') {
                            *reference = format!("{place}/{prefix}.{name}");
                        }
                    }
                    other => rename_references(other, prefix),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| rename_references(item, prefix)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

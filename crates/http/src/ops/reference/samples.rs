//! A request for every operation, for a shell.

use serde_json::{Map, Value};

/// Deepest body that is sampled.
const MAX_DEPTH: usize = 6;

/// The operation as a call of curl. What the description gives no example of is named in capital letters.
pub(super) fn curl(
    public_url: &str,
    method: &str,
    path: &str,
    operation: &Value,
    components: &Value,
) -> String {
    let mut address = format!("{public_url}{path}");
    let mut query = Vec::new();
    let mut lines = Vec::new();
    for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
        let text = |key: &str| parameter.get(key).and_then(Value::as_str).unwrap_or_default();
        let (name, place) = (text("name"), text("in"));
        let is_required = parameter.get("required") == Some(&Value::Bool(true));
        let value = as_text(&sample_of(parameter, name, components));
        match place {
            "path" => address = address.replace(&format!("{{{name}}}"), &value),
            "query" if is_required => query.push(format!("{name}={value}")),
            "header" if is_required => lines.push(format!("-H {}", quoted(&format!("{name}: {value}")))),
            _ => {}
        }
    }
    if !query.is_empty() {
        address = format!("{address}?{}", query.join("&"));
    }
    if operation.get("security").is_some_and(Value::is_array) {
        lines.push("-H \"Authorization: Bearer $TOKEN\"".to_owned());
    }
    lines.extend(body(operation, components));
    let verb = method.to_uppercase();
    let verb = if verb == "GET" { String::new() } else { format!("-X {verb} ") };
    let head = format!("curl {verb}{}", quoted(&address));
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join(" \\\n  ")
}

/// The options that send the body.
fn body(operation: &Value, components: &Value) -> Vec<String> {
    let content = operation.pointer("/requestBody/content").and_then(Value::as_object);
    let Some((media_type, media)) = content.and_then(|content| content.iter().next()) else {
        return Vec::new();
    };
    let schema = media.get("schema").unwrap_or(&Value::Null);
    if media_type == "multipart/form-data" {
        let fields = properties(resolved(schema, components));
        return fields
            .map(|(name, schema)| format!("-F {}", quoted(&form_field(name, schema, components))))
            .collect();
    }
    let sample = media.get("example").cloned().unwrap_or_else(|| sample(schema, "body", components, 0));
    let text = serde_json::to_string(&sample).unwrap_or_default();
    vec![format!("-H {}", quoted(&format!("Content-Type: {media_type}"))), format!("-d {}", quoted(&text))]
}

fn form_field(name: &str, schema: &Value, components: &Value) -> String {
    let is_file = schema.get("format").and_then(Value::as_str) == Some("binary")
        || schema.get("contentMediaType").is_some()
        || schema.get("contentEncoding").is_some();
    if is_file {
        format!("{name}=@FILE")
    } else {
        format!("{name}={}", as_text(&sample(schema, name, components, 0)))
    }
}

fn sample_of(parameter: &Value, name: &str, components: &Value) -> Value {
    match parameter.get("example") {
        Some(example) => example.clone(),
        None => sample(parameter.get("schema").unwrap_or(&Value::Null), name, components, 0),
    }
}

/// A value of the schema: its example, its first alternative, or a name in capital letters.
fn sample(schema: &Value, name: &str, components: &Value, depth: usize) -> Value {
    let schema = resolved(schema, components);
    for key in ["example", "default", "const"] {
        if let Some(value) = schema.get(key).filter(|value| !value.is_null()) {
            return value.clone();
        }
    }
    for key in ["/examples/0", "/enum/0"] {
        if let Some(value) = schema.pointer(key) {
            return value.clone();
        }
    }
    if depth >= MAX_DEPTH {
        return Value::Null;
    }
    for key in ["oneOf", "anyOf"] {
        let alternatives = schema.get(key).and_then(Value::as_array).into_iter().flatten();
        let mut real = alternatives.filter(|schema| kind(schema) != "null");
        if let Some(first) = real.next() {
            return sample(first, name, components, depth + 1);
        }
    }
    match kind(schema) {
        "integer" | "number" => schema.get("minimum").cloned().unwrap_or_else(|| Value::from(1)),
        "boolean" => Value::Bool(true),
        "array" => {
            let item = schema.get("items").unwrap_or(&Value::Null);
            Value::Array(vec![sample(item, name, components, depth + 1)])
        }
        "object" => Value::Object(object(schema, components, depth)),
        _ if schema.get("properties").is_some() || schema.get("allOf").is_some() => {
            Value::Object(object(schema, components, depth))
        }
        _ => Value::String(word(schema, name)),
    }
}

/// The required fields, and those that have an example.
fn object(schema: &Value, components: &Value, depth: usize) -> Map<String, Value> {
    let mut fields = Map::new();
    let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
    for part in parts.map(|part| resolved(part, components)) {
        fields.extend(object(part, components, depth + 1));
    }
    let required: Vec<&str> = schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (name, field) in properties(schema) {
        if required.contains(&name.as_str()) || field.get("example").is_some() {
            fields.insert(name.clone(), sample(field, name, components, depth + 1));
        }
    }
    fields
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn word(schema: &Value, name: &str) -> String {
    match schema.get("format").and_then(Value::as_str) {
        Some("email") => "ada@example.com".to_owned(),
        Some("password") => "Correct1horse!".to_owned(),
        Some("phone") => "+254712345678".to_owned(),
        Some("one-time-code" | "texted-code") => "123456".to_owned(),
        Some("country") => "KEN".to_owned(),
        Some("ipv4") => "203.0.113.7".to_owned(),
        Some("date") => "1990-12-31".to_owned(),
        Some("date-time") => "2026-01-31T09:30:00Z".to_owned(),
        _ => name.to_uppercase(),
    }
}

/// The schema's type; of several the first that is not null.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        _ => "",
    }
}

fn resolved<'a>(schema: &'a Value, components: &'a Value) -> &'a Value {
    let reference = schema.get("$ref").and_then(Value::as_str);
    let pointer = reference.and_then(|reference| reference.strip_prefix("#/components"));
    pointer.and_then(|pointer| components.pointer(pointer)).unwrap_or(schema)
}

fn as_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A word for a shell (POSIX, section 2.2.2).
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

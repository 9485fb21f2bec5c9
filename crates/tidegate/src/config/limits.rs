//! Limits wherever they stand in the configuration: `attempts = 0` lifts one, and development raises those that are not set.

use figment::value::{Dict, Empty, Tag, Value};

use super::schema::{Kept, Schema};

/// How many times higher limits are in development.
const DEV_FACTOR: u32 = 100;

/// The values, with nothing where a limit lets nothing through: that lifts it.
pub(super) fn lifted(values: Dict) -> Dict {
    let lift = |(key, value)| {
        let value = match value {
            Value::Dict(_, limit) if attempts(&limit) == Some(0) => Value::Empty(Tag::Default, Empty::None),
            Value::Dict(tag, inner) => Value::Dict(tag, lifted(inner)),
            other => other,
        };
        (key, value)
    };
    values.into_iter().map(lift).collect()
}

/// The defaults in development: a developer signs up and in all day long. Wrong passwords and codes of one account are limited
/// as ever.
pub(super) fn raised(schema: &Schema, defaults: &Dict) -> Dict {
    let mut defaults = defaults.clone();
    raise(schema, &mut Vec::new(), &mut defaults);
    defaults
}

fn raise(schema: &Schema, at: &mut Vec<String>, values: &mut Dict) {
    for (key, value) in values {
        let Value::Dict(_, inner) = value else { continue };
        at.push(key.clone());
        match attempts(inner) {
            Some(attempts) => {
                if schema.find(at).is_some_and(|key| key.limit() == Some(Kept(false))) {
                    let raised = u32::try_from(attempts).unwrap_or(u32::MAX).saturating_mul(DEV_FACTOR);
                    inner.insert("attempts".to_owned(), Value::from(raised));
                }
            }
            None => raise(schema, at, inner),
        }
        at.pop();
    }
}

/// The keys of limits whose window has no length.
pub(super) fn without_window(values: &Dict) -> Vec<String> {
    let mut found = Vec::new();
    find_without_window("", values, &mut found);
    found
}

fn find_without_window(table: &str, values: &Dict, found: &mut Vec<String>) {
    for (key, value) in values {
        let Value::Dict(_, inner) = value else { continue };
        let key = format!("{table}{key}");
        match attempts(inner) {
            Some(attempts) => {
                let is_empty = inner.get("window").and_then(number) == Some(0);
                if attempts > 0 && is_empty {
                    found.push(format!("{key}.window"));
                }
            }
            None => find_without_window(&format!("{key}."), inner, found),
        }
    }
}

/// The attempts of what is a limit.
fn attempts(values: &Dict) -> Option<u128> {
    let is_limit = values.len() == 2 && values.contains_key("window");
    values.get("attempts").filter(|_| is_limit).and_then(number)
}

/// A number, 0 or greater: variables and files have signed ones, the defaults unsigned ones.
fn number(value: &Value) -> Option<u128> {
    value.to_u128().or_else(|| u128::try_from(value.to_i128()?).ok())
}

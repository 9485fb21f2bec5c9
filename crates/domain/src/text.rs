//! Rules for free text that people and programs send.

use serde_json::Value;

/// Why a text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing but white space.
    #[error("must not be empty")]
    Empty,
    /// More characters than allowed.
    #[error("must be at most {0} characters")]
    TooLong(usize),
    /// NUL or another control character.
    #[error("must not contain control characters")]
    Control,
}

/// A single line of 1 to `max` characters, without control characters, white space trimmed off its ends.
///
/// # Errors
/// Says which of these rules the text breaks.
pub fn line(text: &str, max: usize) -> Result<String, TextError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(TextError::Empty);
    }
    if text.chars().count() > max {
        return Err(TextError::TooLong(max));
    }
    if text.chars().any(char::is_control) {
        return Err(TextError::Control);
    }
    Ok(text.to_owned())
}

/// Whether a NUL character hides anywhere in `value`. PostgreSQL cannot store one.
pub fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(key, value)| key.contains('\0') || has_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Merges `patch` into `target` key by key, however deep; `null` deletes its key (RFC 7396).
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(serde_json::Map::new());
    }
    if let Value::Object(fields) = target {
        for (key, change) in patch {
            if change.is_null() {
                fields.remove(key);
            } else {
                merge(fields.entry(key.clone()).or_insert(Value::Null), change);
            }
        }
    }
}

/// Adds `addition` to `target`: objects key by key, however deep, arrays at their end. Nothing is deleted; of two other
/// values the added one stays.
pub fn append(target: &mut Value, addition: &Value) {
    match (target, addition) {
        (Value::Object(fields), Value::Object(added)) => {
            for (key, value) in added.iter().filter(|(_, value)| !value.is_null()) {
                append(fields.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (Value::Array(items), Value::Array(added)) => items.extend(added.iter().cloned()),
        (target, value) => *target = value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_trimmed_and_bounded() {
        assert_eq!(line("  Ada  ", 5), Ok("Ada".to_owned()));
        assert_eq!(line(" ", 5), Err(TextError::Empty));
        assert_eq!(line("Lovelace", 5), Err(TextError::TooLong(5)));
        assert_eq!(line("A\u{0}da", 5), Err(TextError::Control));
    }

    #[test]
    fn nul_is_found_at_any_depth() {
        assert!(has_nul(&json!({"a": [{"b": "x\u{0}"}]})));
        assert!(has_nul(&json!({"a\u{0}": 1})));
        assert!(!has_nul(&json!({"a": ["b", 1, null]})));
    }

    #[test]
    fn merging_follows_rfc_7396() {
        let mut target = json!({"a": {"b": 1, "c": 2}, "d": [1]});
        merge(&mut target, &json!({"a": {"b": null, "e": {"f": null, "g": 3}}, "d": [2]}));
        assert_eq!(target, json!({"a": {"c": 2, "e": {"g": 3}}, "d": [2]}));
    }

    #[test]
    fn appending_deletes_nothing() {
        let mut target = json!({"a": {"b": 1}, "d": [1], "e": 2});
        append(&mut target, &json!({"a": {"b": null, "c": 2}, "d": [2, 1], "e": 3, "f": [4]}));
        assert_eq!(target, json!({"a": {"b": 1, "c": 2}, "d": [1, 2, 1], "e": 3, "f": [4]}));
    }
}

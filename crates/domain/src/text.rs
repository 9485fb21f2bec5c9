//! Rules for free text that people and programs send.

use serde_json::Value;

/// Longest name that is compared with others for likeness, in bytes.
const LONGEST_LIKE: usize = 128;
/// Most names that one is compared with.
const MOST_LIKE: usize = 1_000;
/// How alike two names are at least of which one may be meant by the other.
const ALIKE: f64 = 0.7;

/// The name that may be meant by one that is unknown: the one that is most like it, of the first of many.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if name.len() > LONGEST_LIKE {
        return None;
    }
    let wanted = name.to_lowercase();
    known
        .into_iter()
        .filter(|known| known.len() <= LONGEST_LIKE)
        .take(MOST_LIKE)
        .map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &wanted), known))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

/// Why a text was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing that can be seen: white space, invisible characters and fillers.
    #[error("must not be empty")]
    Empty,
    /// More characters than allowed.
    #[error("must be at most {0} characters")]
    TooLong(usize),
    /// NUL or another control character.
    #[error("must not contain control characters")]
    Control,
    /// A character that turns the direction of what follows: `exe.txt` could be shown as `txt.exe`.
    #[error("must not contain characters that change the direction of the text")]
    Direction,
}

/// A single line of 1 to `max` characters, white space trimmed off its ends. Something of it can be seen, and it contains
/// neither control characters nor ones that change the direction of the text (Unicode Standard Annex 9).
///
/// The one rule for names and titles, in every contract.
///
/// # Errors
/// Says which of these rules the text breaks.
pub fn line(text: &str, max: usize) -> Result<String, TextError> {
    let text = text.trim();
    if text.chars().all(|c| c.is_whitespace() || is_invisible(c)) {
        return Err(TextError::Empty);
    }
    if text.chars().count() > max {
        return Err(TextError::TooLong(max));
    }
    if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err(TextError::Control);
    }
    if text.chars().any(turns_direction) {
        return Err(TextError::Direction);
    }
    Ok(text.to_owned())
}

/// Embeddings, overrides and isolates. The marks U+061C, U+200E and U+200F change nothing around them: names of several
/// scripts may need them.
pub(crate) const fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that print nothing: `Default_Ignorable_Code_Point` of Unicode 16 without those that change the direction of
/// the text, which are refused, and the blanks that are no white space.
pub const fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2065}' | '\u{206a}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
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
        assert_eq!(line("A\u{2028}da", 5), Err(TextError::Control));
    }

    #[test]
    fn a_name_can_be_seen() {
        for unseen in [
            "\u{200b}",
            "\u{3164}",
            " \u{200b}\u{feff} ",
            "\u{2800}\u{ad}",
            "\u{e0041}\u{fe0f}",
            "\u{115f}\u{1160}",
        ] {
            assert_eq!(line(unseen, 50), Err(TextError::Empty), "{unseen:?}");
        }
        // Joiners and marks inside a name belong to its script, and to families.
        for seen in [
            "\u{645}\u{6cc}\u{200c}\u{62e}",
            "\u{1f469}\u{200d}\u{1f680}",
            "\u{5d0}\u{200f} A",
            "\u{2764}\u{fe0f}",
        ] {
            assert_eq!(line(seen, 50).as_deref(), Ok(seen));
        }
    }

    #[test]
    fn a_name_does_not_turn_what_stands_around_it() {
        for turning in ["Ada\u{202e}", "\u{202a}Ada", "Ada\u{2066}x\u{2069}", "\u{202d}7"] {
            assert_eq!(line(turning, 50), Err(TextError::Direction), "{turning:?}");
        }
    }

    #[test]
    fn nul_is_found_at_any_depth() {
        assert!(has_nul(&json!({"a": [{"b": "x\u{0}"}]})));
        assert!(has_nul(&json!({"a\u{0}": 1})));
        assert!(!has_nul(&json!({"a": ["b", 1, null]})));
    }

    #[test]
    fn the_nearest_name_is_named_and_only_if_it_is_near() {
        let known = ["role_ids", "rules", "user_ids"];
        assert_eq!(nearest("role_id", known), Some("role_ids"));
        assert_eq!(nearest("User_Id", known), Some("user_ids"));
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(nearest(&"role_ids".repeat(100), known), None);
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

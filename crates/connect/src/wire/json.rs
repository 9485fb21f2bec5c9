//! Text of values that have no column type: JSON, written without building a tree, and UUIDs.

use std::fmt::Write;

/// Values inside one another at most; what lies deeper is refused.
pub(crate) const DEEPEST: usize = 128;

/// Writes a text as a JSON string.
pub(crate) fn string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Writes a number; one that JSON does not have, as a string.
pub(crate) fn float(out: &mut String, number: f64) {
    if number.is_finite() {
        let _ = write!(out, "{number:?}");
    } else {
        let _ = write!(out, "\"{number}\"");
    }
}

/// Writes something as text in quotes.
pub(crate) fn quoted(out: &mut String, text: impl std::fmt::Display) {
    let _ = write!(out, "\"{text}\"");
}

/// Writes something as it is.
pub(crate) fn plain(out: &mut String, text: impl std::fmt::Display) {
    let _ = write!(out, "{text}");
}

/// The usual form of sixteen bytes.
pub(crate) fn uuid_text(bytes: &[u8]) -> String {
    let digits = hex::encode(bytes);
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_what_a_reader_of_json_gets_back() {
        for text in ["", "a\"b\\c", "\0\u{1f}\n\t\r", "Zoë 🙂", "</script>"] {
            let mut out = String::new();
            string(&mut out, text);
            assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
        let mut out = String::new();
        float(&mut out, 1.0);
        float(&mut out, f64::NAN);
        assert_eq!(out, "1.0\"NaN\"");
        assert_eq!(uuid_text(&[0xAB; 16]), "abababab-abab-abab-abab-abababababab");
    }
}

//! In what way a text is no token, by its form alone: for the operator's log, where nothing of it is repeated.

/// Of a text in which no usual mistake is seen.
const OTHER: &str = "neither an opaque token nor a JWT with a signature that is supported";
/// What clients send that had no token: the words of languages for nothing.
const NOTHING: [&str; 6] = ["null", "undefined", "none", "nil", "nan", "[object object]"];
/// What the header of every JWT begins with: `{"` and a letter, in base64url.
const HEADER: &str = "eyJ";

/// What is wrong with a text that is no JWT.
pub(super) fn mistake_in(text: &str) -> &'static str {
    let is_quote = |sign: char| matches!(sign, '"' | '\'' | '`');
    let begins = text.get(..6).unwrap_or_default();
    if text.starts_with(is_quote) || text.ends_with(is_quote) {
        "a quotation mark is around it"
    } else if NOTHING.contains(&text.to_lowercase().as_str()) {
        "a word for nothing: the client had no token"
    } else if begins.eq_ignore_ascii_case("bearer") {
        "the word Bearer is in it"
    } else if text.contains(char::is_whitespace) {
        "there is white space in it"
    } else {
        parts_of(text)
    }
}

/// What is wrong with the parts of a text, of which a JWT has three.
fn parts_of(text: &str) -> &'static str {
    match (text.starts_with(HEADER), text.split('.').count()) {
        (true, 1) => "a JWT that was cut off: it has 1 of 3 parts",
        (true, 2) => "a JWT that was cut off: it has 2 of 3 parts",
        (true, 3) => "a JWT whose header cannot be read, or names no signature that is supported",
        (true, _) => "more than the 3 parts of a signed JWT; is it encrypted?",
        (false, 3) => "3 parts, as a JWT has, and the first is no header; was its beginning cut off?",
        (false, _) => OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_mistakes_are_named() {
        for (text, said) in [
            ("\"eyJhbGciOiJFUzI1NiJ9.e30.c2ln\"", "a quotation mark is around it"),
            ("'pat_x", "a quotation mark is around it"),
            ("Bearer eyJhbGciOiJFUzI1NiJ9.e30.c2ln", "the word Bearer is in it"),
            ("bearer:x", "the word Bearer is in it"),
            ("undefined", "a word for nothing: the client had no token"),
            ("[object Object]", "a word for nothing: the client had no token"),
            ("eyJhbGciOiJFUzI1NiJ9.e30.c2 ln", "there is white space in it"),
            ("eyJhbGciOiJFUzI1", "a JWT that was cut off: it has 1 of 3 parts"),
            ("eyJhbGciOiJFUzI1NiJ9.e3", "a JWT that was cut off: it has 2 of 3 parts"),
            (
                "eyJhbGciOiJub25lIn0.e30.",
                "a JWT whose header cannot be read, or names no signature that is supported",
            ),
            ("eyJhbGciOiJSU0EifQ.a.b.c.d", "more than the 3 parts of a signed JWT; is it encrypted?"),
            (
                "GciOiJFUzI1NiJ9.e30.c2ln",
                "3 parts, as a JWT has, and the first is no header; was its beginning cut off?",
            ),
            ("", OTHER),
            ("x", OTHER),
            ("1|abc", OTHER),
            ("\u{e9}\u{e9}\u{e9}\u{e9}", OTHER),
        ] {
            assert_eq!(mistake_in(text), said, "{text}");
        }
    }
}

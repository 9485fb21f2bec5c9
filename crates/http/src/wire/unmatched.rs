//! What the log has of a path at which nothing is served.
//!
//! Paths that are served are logged as their pattern. Of others each part is kept that is a word as paths are made of: what may be a token,
//! a code, an address or a number is not. Queries are never logged.

/// Longest part that is kept, in bytes. Tokens have more.
const LONGEST_PART: usize = 32;
/// Codes have at least so many signs, and digits among them, capital letters alone, or no vowel.
const SHORTEST_CODE: usize = 6;
/// After so many bytes nothing more is kept.
const LONGEST: usize = 100;

/// The path, with `*` in place of each part that is no word.
pub(crate) fn shown(path: &str) -> String {
    let mut shown = String::new();
    for part in path.split('/').skip(1) {
        if shown.len() >= LONGEST {
            shown.push_str("/...");
            break;
        }
        shown.push('/');
        shown.push_str(if is_word(part) { part } else { "*" });
    }
    shown
}

/// Whether it is a word as paths and fields are called by: no token, code, address or number.
pub(crate) fn is_word(part: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let has = |is: fn(u8) -> bool| part.bytes().any(is);
    let may_be_code = part.len() >= SHORTEST_CODE
        && (has(|byte| byte.is_ascii_digit())
            || !has(|byte| byte.is_ascii_lowercase())
            || !has(|byte| b"aeiouyAEIOUY".contains(&byte)));
    part.len() <= LONGEST_PART && part.bytes().all(is_plain) && !may_be_code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_kept_and_nothing_that_may_be_secret_or_somebodys() {
        for (path, kept) in [
            ("/", "/"),
            ("*", ""),
            ("/dev/outbox", "/dev/outbox"),
            ("//metrics", "//metrics"),
            ("/api/v1/access-tokens/12", "/api/v1/access-tokens/12"),
            ("/verify/123456", "/verify/*"),
            ("/verify/ab12cd34", "/verify/*"),
            ("/device/BCDF-GHJK", "/device/*"),
            ("/device/bcdf-ghjk", "/device/*"),
            ("/users/+254712345678/x", "/users/*/x"),
            ("/users/ada@example.com", "/users/*"),
            ("/users/ada%40example.com", "/users/*"),
            ("/a%0ab/\u{202e}txt", "/*/*"),
            ("/reset/tgl_0123456789abcdefghijklmnopqrstuvwxyz", "/reset/*"),
            ("/t/eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl", "/t/*"),
        ] {
            assert_eq!(shown(path), kept, "{path}");
        }
        let long = shown(&"/abcdefghi".repeat(50));
        assert!(long.len() < 2 * LONGEST && long.ends_with("/abcdefghi/..."), "{long}");
    }
}

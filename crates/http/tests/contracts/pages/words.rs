//! Every text that pages and mails use exists, and every text that exists is used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tidegate_domain::Languages;

/// Keys that are put together from parts.
const MADE: [&str; 6] = [
    "duration.",
    "month.",
    "mail.credential_made.text_",
    "mail.credential_made.subject_",
    "language.",
    "page.scope.",
];

fn sources() -> Vec<PathBuf> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let is_source =
                ["rs", "html", "txt"].iter().any(|kind| path.extension().is_some_and(|is| is == *kind));
            if path.is_dir() {
                walk(&path, found);
            } else if is_source {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for part in [
        "domain/src",
        "delivery/src/template",
        "delivery/templates",
        "http/src",
        "http/templates",
        "identity/src",
    ] {
        walk(&crates.join(part), &mut found);
    }
    found
}

/// Whether a quoted word is a key: `page.reset.title`.
fn is_key(word: &str) -> bool {
    let mut parts = word.split('.');
    let is_known = parts.next().is_some_and(|first| ["page", "mail", "rule", "sms"].contains(&first));
    let is_rest =
        word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._".contains(&byte));
    is_known && is_rest && parts.next().is_some_and(|part| !part.is_empty())
}

#[test]
fn every_text_that_is_used_exists_and_every_text_that_exists_is_used() {
    let languages = Languages::default();
    let english = languages.of(None);
    let mut used = BTreeSet::new();
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.split_once("#[cfg(test)]").map_or(text.as_str(), |(code, _)| code);
        let is_file = |word: &str| [".html", ".txt", ".js", ".css"].iter().any(|end| word.ends_with(end));
        let keys = text.split('"').filter(|word| is_key(word) && !is_file(word));
        for key in keys {
            let is_made = MADE.contains(&key);
            assert!(is_made || english.has(key), "{}: there is no text {key}", path.display());
            used.insert(key.to_owned());
        }
    }
    let unused: Vec<&str> = english
        .keys()
        .filter(|key| !used.contains(*key) && !MADE.iter().any(|made| key.starts_with(made)))
        .filter(|key| *key != "date")
        .collect();
    assert_eq!(unused, Vec::<&str>::new(), "texts that nothing says");
}

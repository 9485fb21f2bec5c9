//! The guides in `docs/guides`: their code is run as it stands there.

mod deployment;
mod proxies;
mod tokens;
#[allow(
    clippy::disallowed_methods,
    unreachable_pub,
    dead_code,
    reason = "it is a guide's, for programs of others"
)]
mod verify_token;

use std::path::PathBuf;

/// Where a file of the repository is.
fn in_repository(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The code block of a guide that its page calls by this name, as in `<!-- file: NAME -->`.
fn code(guide: &str, name: &str) -> String {
    let page = std::fs::read_to_string(in_repository("docs/guides").join(guide)).unwrap();
    let marker = format!("<!-- file: {name} -->\n```");
    let (_, rest) = page.split_once(&marker).unwrap_or_else(|| panic!("{guide} has no {name}"));
    let (_, rest) = rest.split_once('\n').unwrap();
    let (text, _) = rest.split_once("\n```\n").unwrap_or_else(|| panic!("{guide}: {name} does not end"));
    format!("{text}\n")
}

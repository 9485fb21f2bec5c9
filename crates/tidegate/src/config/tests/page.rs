//! "Every key" in `docs/configuration.md` is made of the types: it is written anew by
//! `TIDEGATE_TEST_WRITE=1 scripts/test the_page_has_every_key`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::Value as Json;

use super::reference::{about, contract, is_table, place, value};
use crate::config::Config;
use crate::config::schema::{Key, Schema, Table, ValueKind};

const HEAD: &str = "\
## Every key

A test makes this part of the types that the configuration is read into. Where a key has no default of its own, an example stands in brackets.
";

/// The part of the page.
fn every_key() -> String {
    let defaults = Config::default().written().unwrap();
    let mut text = HEAD.to_owned();
    table(
        &mut text,
        "",
        "Outside of tables, at the head of the file.",
        Schema::new().unwrap().root(),
        &defaults,
        &mut BTreeSet::new(),
    );
    text
}

/// The keys of a table, and then the tables in it. What is said once, for the first contract, is not said again.
fn table(
    text: &mut String,
    name: &str,
    said: &str,
    keys: &Table,
    defaults: &Json,
    explained: &mut BTreeSet<String>,
) {
    let path_of = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    if keys.values().any(|key| !is_table(key)) {
        if name.is_empty() {
            write!(text, "\n{}\n", cell(said)).unwrap();
        } else {
            write!(text, "\n### `[{name}]`\n").unwrap();
            if !said.is_empty() {
                write!(text, "\n{}\n", cell(said)).unwrap();
            }
        }
        text.push_str("\n| Key | Default | Meaning |\n|---|---|---|\n");
    }
    for (key, what) in keys.iter().filter(|(_, key)| !is_table(key)) {
        let path = path_of(key);
        let meaning = if explained.insert(place(&path)) { what.about() } else { String::new() };
        let default = default_of(&path, what, &defaults[key]);
        writeln!(text, "| `{key}` | {default} | {} |", cell(&meaning)).unwrap();
    }
    for (key, what) in keys.iter().filter(|(_, key)| is_table(key)) {
        let ValueKind::Table(inner) = &what.kind else { continue };
        let path = path_of(key);
        let said = match contract(&path) {
            Some(contract) => about(contract),
            None if explained.insert(place(&path)) => what.about(),
            None => String::new(),
        };
        table(text, &path, &said, inner, &defaults[key], explained);
    }
}

/// The default; an example in brackets where there is none.
fn default_of(path: &str, key: &Key, default: &Json) -> String {
    let value = value(path, key, default).replace('|', "\\|");
    if default.is_null() { format!("(`{value}`)") } else { format!("`{value}`") }
}

/// Text as it may stand in a cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "&lt;")
}

#[test]
fn the_page_has_every_key() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let made = every_key();
    let begin = page.find("## Every key\n").unwrap_or(page.len());
    let (before, here) = page.split_at(begin);
    if std::env::var_os("TIDEGATE_TEST_WRITE").is_some() {
        std::fs::write(path, format!("{before}{made}")).unwrap();
        return;
    }
    let differs = here.lines().zip(made.lines()).find(|(here, made)| here != made);
    assert!(here == made, "write it anew, see the head of this file: {differs:?}");
    for key in Schema::new().unwrap().keys() {
        assert!(key.iter().all(|name| here.contains(name.as_str())), "{key:?}");
    }
}

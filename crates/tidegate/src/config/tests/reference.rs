//! The reference of all keys, `tidegate.example.toml`, is made of the types: it is written anew by
//! `TIDEGATE_TEST_WRITE=1 scripts/test the_example_is_made_of_the_types`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use figment::providers::{Format, Toml};
use figment::value::{Dict, Value};
use serde_json::Value as Json;
use tidegate_http::{Configuration, Contract, contracts};

use super::Desk;
use crate::config::Config;
use crate::config::schema::{Key, Schema, Table, ValueKind};

const HEAD: &str = "\
# All keys by the alphabet, each with its default or, where it has none, with an example. A test makes this file of the types
# that the configuration is read into.
#
# `tidegate serve` works without a configuration. To change a key, remove the `#` in front of it and in front of the head of
# its table, such as #[mail.smtp]. Durations are whole seconds.
#
# Each key can also be an environment variable: TIDEGATE_PUBLIC_URL, TIDEGATE_MAIL__SMTP__HOST,
# TIDEGATE_RIVERGEN__LIMITS='{...}'. Flags win over variables, and variables over this file. `tidegate doctor` prints the
# configuration in effect.
";

/// Columns of a line.
const WIDTH: usize = 125;

const EXAMPLE: &str = include_str!("../../../tidegate.example.toml");

/// The whole reference.
fn example() -> String {
    let schema = Schema::new().unwrap();
    let defaults = Config::default().written().unwrap();
    let mut text = HEAD.to_owned();
    let mut explained = BTreeSet::new();
    keys(&mut text, "", schema.root(), &defaults, &mut explained);
    text
}

/// The keys of a table, and then the tables in it. What is explained once, for the first contract, is not explained again.
fn keys(text: &mut String, table: &str, keys: &Table, defaults: &Json, explained: &mut BTreeSet<String>) {
    for (name, key) in keys.iter().filter(|(_, key)| !is_table(key)) {
        let path = format!("{table}{name}");
        if table.is_empty() {
            text.push('\n');
        }
        if explained.insert(place(&path)) {
            comment(text, &key.about());
        }
        writeln!(text, "#{name} = {}", value(&path, key, &defaults[name])).unwrap();
    }
    for (name, key) in keys.iter().filter(|(_, key)| is_table(key)) {
        let ValueKind::Table(inner) = &key.kind else { continue };
        let path = format!("{table}{name}");
        let default = &defaults[name];
        text.push('\n');
        match contract(&path) {
            Some(contract) => comment(text, &about(contract)),
            None if explained.insert(place(&path)) => comment(text, &key.about()),
            None => {}
        }
        let off = if default.is_object() { "" } else { "#" };
        writeln!(text, "{off}[{path}]").unwrap();
        self::keys(text, &format!("{path}."), inner, default, explained);
    }
}

/// Limits are written in one line.
pub(super) fn is_table(key: &Key) -> bool {
    matches!(key.kind, ValueKind::Table(_)) && key.limit().is_none()
}

pub(super) fn contract(table: &str) -> Option<&'static Contract> {
    let profiles = contracts().iter().filter(|contract| contract.configuration == Configuration::Profile);
    profiles.copied().find(|contract| contract.id.as_str() == table)
}

pub(super) fn about(contract: &Contract) -> String {
    let prefixes: Vec<_> = contract.mounts.iter().map(|mount| format!("{}/", mount.prefix)).collect();
    format!(
        "The {} contract, at {}. The defaults are the contract's numbers. What a key means is said where it stands first: \
         contracts have the same keys.",
        contract.title,
        prefixes.join(" and ")
    )
}

/// A key's path, the same for all contracts.
pub(super) fn place(path: &str) -> String {
    match path.split_once('.') {
        Some((table, rest)) if contract(table).is_some() => format!("CONTRACT.{rest}"),
        _ => path.to_owned(),
    }
}

fn comment(text: &mut String, about: &str) {
    let mut line = String::new();
    for word in about.split(' ') {
        if !line.is_empty() && line.len() + 1 + word.len() > WIDTH - 2 {
            writeln!(text, "# {line}").unwrap();
            line.clear();
        }
        let space = if line.is_empty() { "" } else { " " };
        write!(line, "{space}{word}").unwrap();
    }
    if !line.is_empty() {
        writeln!(text, "# {line}").unwrap();
    }
}

/// The default, or else the example.
pub(super) fn value(path: &str, key: &Key, default: &Json) -> String {
    let value = match (default, key.limit(), key.example()) {
        (Json::Null, Some(_), _) => return "{ attempts = 0, window = 3600 }".to_owned(),
        (Json::Null, None, Some(example)) => example,
        // Whole seconds, 0 for never.
        (Json::Null, None, None) => return "0".to_owned(),
        (default, _, _) => default,
    };
    toml(value).unwrap_or_else(|| panic!("{path} has neither a default nor an example"))
}

fn toml(value: &Json) -> Option<String> {
    match value {
        Json::Null => None,
        Json::Object(fields) => {
            let fields: Option<Vec<_>> =
                fields.iter().map(|(name, value)| Some(format!("{name} = {}", toml(value)?))).collect();
            Some(format!("{{ {} }}", fields?.join(", ")))
        }
        Json::Array(items) => {
            let items: Option<Vec<_>> = items.iter().map(toml).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
        value => Some(value.to_string()),
    }
}

#[test]
fn the_example_is_made_of_the_types() {
    let made = example();
    if std::env::var_os("TIDEGATE_TEST_WRITE").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tidegate.example.toml");
        std::fs::write(path, &made).unwrap();
        return;
    }
    let differs = EXAMPLE.lines().zip(made.lines()).find(|(here, made)| here != made);
    assert!(EXAMPLE == made, "write it anew, see the head of this file: {differs:?}");
}

#[test]
fn every_key_says_what_it_means() {
    fn walk(table: &str, keys: &Table, silent: &mut Vec<String>) {
        for (name, key) in keys {
            let path = format!("{table}{name}");
            if let ValueKind::Table(inner) = &key.kind {
                walk(&format!("{path}."), inner, silent);
            }
            if key.about().is_empty() && contract(&path).is_none() {
                silent.push(path);
            }
        }
    }
    let mut silent = Vec::new();
    walk("", Schema::new().unwrap().root(), &mut silent);
    assert_eq!(silent, [] as [String; 0]);
}

/// What `docs/configuration.md` and other documents name in code style as a key or table of the configuration exists.
#[test]
fn the_documents_name_keys_that_exist() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let schema = Schema::new().unwrap();
    let mut stray = Vec::new();
    for file in ["configuration.md", "operations.md", "security.md"] {
        let text = std::fs::read_to_string(docs.join(file)).unwrap();
        for code in text.split('`').skip(1).step_by(2) {
            let bare = code.trim_start_matches('[').replace(']', "");
            let path: Vec<&str> = bare.split('.').collect();
            let is_name =
                |part: &&str| !part.is_empty() && part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            // Only what begins with a table of ours is about the configuration.
            let is_ours = path.first().is_some_and(|table| schema.find(&[table]).is_some());
            let is_key = (code.starts_with('[') || path.len() > 1) && path.iter().all(is_name) && is_ours;
            if is_key && schema.find(&path).is_none() {
                stray.push(format!("{file}: {code}"));
            }
        }
    }
    assert_eq!(stray, [] as [String; 0]);
}

/// The example without the `#` before its settings.
fn whole_example() -> String {
    let is_setting = |line: &&str| line.starts_with(|c: char| c.is_ascii_lowercase() || c == '[');
    let line = |line| str::strip_prefix(line, "#").filter(is_setting).unwrap_or(line);
    EXAMPLE.lines().map(line).collect::<Vec<_>>().join("\n")
}

fn leaves(prefix: &str, values: &Dict, found: &mut BTreeSet<(String, String)>) {
    for (key, value) in values {
        let path = format!("{prefix}{key}");
        match value {
            Value::Dict(_, inner) => leaves(&format!("{path}."), inner, found),
            value => {
                found.insert((path, serde_json::to_string(value).unwrap()));
            }
        }
    }
}

fn leaves_of(values: &Dict) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    leaves("", values, &mut found);
    found
}

/// Every key with a value of its own: `mail.smtp.host`.
fn known_leaves(prefix: &str, keys: &Table, found: &mut BTreeSet<String>) {
    for (name, key) in keys {
        let path = format!("{prefix}{name}");
        match &key.kind {
            ValueKind::Table(inner) => known_leaves(&format!("{path}."), inner, found),
            _ => {
                found.insert(path);
            }
        }
    }
}

#[test]
fn the_example_explains_every_key_and_no_other() {
    let values: Dict = Toml::from_str(&whole_example()).unwrap();
    let mut explained: BTreeSet<String> = leaves_of(&values).into_iter().map(|(key, _)| key).collect();
    let mut known = BTreeSet::new();
    known_leaves("", Schema::new().unwrap().root(), &mut known);
    // A table of the operator's own entries has none in the example.
    assert!(EXAMPLE.contains("\n#plans = {"));
    explained.insert("storage_limits.plans".to_owned());
    assert_eq!(explained, known);
}

#[test]
fn the_example_as_it_stands_changes_nothing_and_shows_the_defaults() {
    let untouched = Desk::file(EXAMPLE).load().config;
    assert_eq!(untouched.view(), Desk::new().load().config.view());

    let values: Dict = Toml::from_str(&whole_example()).unwrap();
    let shown = leaves_of(&values);
    let defaults = Value::serialize(Config::default()).unwrap().into_dict().unwrap();
    let stray: Vec<_> = leaves_of(&defaults)
        .into_iter()
        .filter(|(_, value)| value != "null")
        .filter(|default| !shown.contains(default))
        .collect();
    assert_eq!(stray, []);
}

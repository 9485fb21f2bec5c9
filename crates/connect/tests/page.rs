//! `docs/sources.md` says what the registry says. `TIDEGATE_TEST_WRITE=1 cargo test -p tidegate-connect --test page` writes it anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: a broken expectation ends the test"
)]

use std::fmt::Write;
use std::path::Path;

use tidegate_connect::{HowTested, TlsUse, TypeInfo, types};

fn tested(info: &TypeInfo) -> String {
    match info.tested {
        HowTested::RealServer(version) => format!("against the real server: {version}"),
        HowTested::RealFiles => "with files made by the tests and by other programs".to_owned(),
        HowTested::Emulator(name) => format!("against an emulator: {name}"),
        HowTested::Stub => "against a stub after the vendor's documentation".to_owned(),
        HowTested::SameProtocol(name) => format!("not itself; its protocol against {name}"),
        HowTested::NoDriver => "**no driver yet**: opening one answers `UNSUPPORTED_TYPE`".to_owned(),
    }
}

fn table() -> String {
    let mut table = String::from(
        "| Type | Name | Family | Driver | Required | Port | Evaluates | Tested |\n|---|---|---|---|---|---|---|---|\n",
    );
    for info in types() {
        let mut required: Vec<String> = info.required.iter().map(|field| format!("`{field}`")).collect();
        if info.connection_string {
            required.push("or `connection_string`".to_owned());
        }
        let port = info.default_port.map_or_else(|| "-".to_owned(), |port| port.to_string());
        let parts = [
            (info.evaluates.projection, "columns"),
            (info.evaluates.filters, "filters"),
            (info.evaluates.limit, "limit"),
        ];
        let evaluates: Vec<&str> = parts.iter().filter(|(does, _)| *does).map(|(_, name)| *name).collect();
        let evaluates = if evaluates.is_empty() { "-".to_owned() } else { evaluates.join(", ") };
        writeln!(
            table,
            "| `{}` | {} | {} | {} | {} | {port} | {evaluates} | {} |",
            info.kind,
            info.title,
            info.family.as_str(),
            info.driver,
            required.join(", "),
            tested(info),
        )
        .unwrap();
    }
    table
}

/// The ways to TLS: which types have each, `ssl_mode` if nothing is said, and what it may be.
fn ways_to_tls() -> String {
    let mut table = String::from(
        "| Types | TLS | `ssl_mode` if absent | `ssl_mode` | Options |\n|---|---|---|---|---|\n",
    );
    fn of(info: &TypeInfo) -> Option<(TlsUse, &'static str)> {
        info.tls().zip(info.usual_ssl_mode())
    }
    let mut ways: Vec<(TlsUse, &str)> = Vec::new();
    for way in types().iter().filter_map(of) {
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    for way in ways {
        let all: Vec<&TypeInfo> = types().iter().filter(|info| of(info) == Some(way)).collect();
        let names: Vec<String> = all.iter().map(|info| format!("`{}`", info.kind)).collect();
        let options = all[0].options().filter(|name| name.starts_with("ssl_"));
        let options: Vec<String> = options.map(|name| format!("`{name}`")).collect();
        let (begins, modes) = match way.0 {
            TlsUse::Offered => ("if the server says that it has it", "all"),
            TlsUse::FromTheStart => {
                ("from the first byte on, or never: the server does not say", "all; `prefer` is `disable`")
            }
            TlsUse::Https => ("of addresses with `https://`", "`verify-ca`, `verify-full`"),
        };
        let (names, options) = (names.join(", "), options.join(", "));
        writeln!(table, "| {names} | {begins} | `{}` | {modes} | {options} |", way.1).unwrap();
    }
    table
}

/// A part of the page between two places, as it is and as it should be.
fn compared(page: &mut String, begin: &str, end: &str, made: &str) {
    let (before, rest) = page.split_once(begin).unwrap();
    let (here, after) = rest.split_once(end).unwrap();
    if std::env::var_os("TIDEGATE_TEST_WRITE").is_none() {
        assert_eq!(here, made, "write it anew");
    }
    *page = format!("{before}{begin}{made}{end}{after}");
}

#[test]
fn the_page_of_sources_is_made_of_the_registry() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/sources.md");
    let mut page = std::fs::read_to_string(&path).unwrap();
    compared(&mut page, "a test compares both.\n\n", "\n## Addresses", &table());
    compared(&mut page, "is in the registry, too:\n\n", "\nNo user name", &ways_to_tls());
    if std::env::var_os("TIDEGATE_TEST_WRITE").is_some() {
        std::fs::write(path, page).unwrap();
    }
}

//! What the application says of itself: OpenAPI, the table of contracts and tests, and what operators look at.

mod conformance;
mod operations;
mod readiness;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use axum::http::Method;
use serde_json::Value;
use tidegate_http::{contracts, openapi};
use tidegate_testkit::{TestApp, on_both_engines};

use crate::routes;

#[test]
fn each_contract_is_described_as_it_was_reviewed() {
    for contract in contracts() {
        // As a value, its keys have an order.
        let document = serde_json::to_value(contract.openapi()).unwrap();
        insta::assert_json_snapshot!(format!("openapi-{}", contract.id), document);
    }
}

#[test]
fn the_whole_description_has_every_path_and_no_dangling_reference() {
    let document = openapi();
    let described = document["paths"].as_object().unwrap();
    for route in routes::all() {
        assert!(described.contains_key(&route.path), "{} is missing", route.path);
    }
    let mut references = BTreeSet::new();
    collect_references(&document, &mut references);
    assert!(references.len() > 20, "the schemas lost their references");
    for reference in references {
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

#[test]
fn every_description_says_what_it_describes() {
    let mut documents = vec![openapi()];
    documents.extend(contracts().iter().map(|contract| serde_json::to_value(contract.openapi()).unwrap()));
    for document in documents {
        for field in ["title", "description", "version"] {
            let text = document["info"][field].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{field}: {}", document["info"]);
        }
    }
}

#[test]
fn validation_is_unprocessable_except_where_rivergen_says_otherwise() {
    let contract = tidegate_http::contract(tidegate_domain::ContractId::RIVERGEN).unwrap();
    let document = serde_json::to_value(contract.openapi()).unwrap();
    let (mut bad_requests, mut both) = (Vec::new(), Vec::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let says = |status: &str| {
                let text = operation["responses"][status]["description"].as_str().unwrap_or_default();
                text.contains("VALIDATION_ERROR")
            };
            if says("400") {
                bad_requests.push(path.as_str());
                both.extend(says("422").then_some(path.as_str()));
            }
        }
    }
    let listed = [
        "/api/v1/auth/mfa/deactivate",
        "/api/v1/auth/resend-signup-otp",
        "/api/v1/auth/signup",
        "/api/v1/mfa/totp/setup",
    ];
    assert_eq!(bad_requests, listed);
    assert_eq!(both, ["/api/v1/auth/resend-signup-otp"]);
}

fn collect_references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str).map(str::to_owned));
            fields.values().for_each(|value| collect_references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, found)),
        _ => {}
    }
}

/// A row of `docs/contracts.md`.
struct Row {
    endpoint: String,
    answer: String,
    test: String,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn rows() -> Vec<Row> {
    let table = std::fs::read_to_string(repository().join("docs/contracts.md")).unwrap();
    let cells = |line: &str| {
        line.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>()
    };
    table
        .lines()
        .filter(|line| line.starts_with("| ") && (line.contains(" /api/") || line.contains(" /v1/")))
        .map(|line| match cells(line).as_slice() {
            [endpoint, answer, test] => {
                Row { endpoint: endpoint.clone(), answer: answer.clone(), test: test.clone() }
            }
            _ => panic!("not three cells: {line}"),
        })
        .collect()
}

#[test]
fn every_answer_that_is_described_has_a_row_in_the_table() {
    let mut table: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in rows() {
        table.entry(row.endpoint).or_default().insert(row.answer);
    }
    let mut missing = Vec::new();
    for route in routes::all() {
        let listed = table.remove(&route.name()).unwrap_or_default();
        for (status, codes) in &route.answers {
            let answers: Vec<String> = match codes.as_slice() {
                [] => vec![status.to_string()],
                codes => codes.iter().map(|code| format!("{status} {code}")).collect(),
            };
            let shown = |answer: &String| {
                listed.iter().any(|row| row == answer || row.starts_with(&format!("{answer} (")))
            };
            missing.extend(
                answers
                    .into_iter()
                    .filter(|answer| !shown(answer))
                    .map(|answer| format!("{} | {answer}", route.name())),
            );
        }
    }
    assert!(missing.is_empty(), "no row in docs/contracts.md for:\n{}", missing.join("\n"));
    assert!(table.is_empty(), "rows for endpoints that do not exist: {:?}", table.keys());
}

#[test]
fn every_row_of_the_table_is_of_an_answer_that_is_described() {
    let routes = routes::all();
    for Row { endpoint, answer, .. } in rows().into_iter().filter(|row| !row.test.starts_with("none:")) {
        let route = routes.iter().find(|route| route.name() == endpoint);
        let route = route.unwrap_or_else(|| panic!("there is no {endpoint}"));
        let plain = answer.split(" (").next().unwrap();
        let (status, code) = plain.split_once(' ').unwrap_or((plain, ""));
        let codes = route.answers.get(&status.parse().unwrap());
        let described = codes.is_some_and(|codes| {
            codes.iter().any(|listed| listed == code) || (codes.is_empty() && code.is_empty())
        });
        let limited = status == "429" && route.limited.as_deref() == Some(code);
        assert!(described || limited, "{endpoint} | {answer}: no such answer is described");
    }
}

/// Routes come from the documents, so one that is not in them would escape every matrix.
#[test]
fn every_route_of_a_contract_is_described() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/contracts");
    let mut described = 0;
    for contract in contracts() {
        for source in sources(&folder.join(contract.id.as_str())) {
            assert!(!source.contains(".route("), "a route that no document describes");
            let handlers = source.split("routes!(").skip(1).map(|rest| rest.split_once(')').unwrap().0);
            described += handlers.map(|handlers| handlers.split(',').count()).sum::<usize>();
        }
    }
    assert_eq!(described, routes::all().len());
}

/// Every source below a directory.
fn sources(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => sources(&path),
            Some(extension) if extension == "rs" => vec![std::fs::read_to_string(path).unwrap()],
            _ => Vec::new(),
        })
        .collect()
}

#[test]
fn every_row_of_the_table_names_a_test_that_exists() {
    for row in rows() {
        if let Some(reason) = row.test.strip_prefix("none:") {
            assert!(reason.len() > 10, "{} {}: say why", row.endpoint, row.answer);
            continue;
        }
        // [`module::test`](../path/to/file.rs)
        let (name, link) = row.test.split_once("](").unwrap_or_else(|| panic!("no link: {}", row.test));
        let name = name.trim_matches(['[', '`']);
        let file = repository().join("docs").join(link.trim_end_matches(')'));
        let source =
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let function = name.rsplit("::").next().unwrap();
        assert!(source.contains(&format!("fn {function}(")), "{name} is not in {}", file.display());
    }
}

#[test]
fn nothing_that_is_served_is_said_not_to_be() {
    let routes = routes::all();
    // At the root of the host, of which no contract's document tells.
    let protocol = [
        "/oauth/token",
        "/oauth/authorize",
        "/oauth/introspect",
        "/oauth/userinfo",
        "/oauth/token/revoke",
        "/oauth/par",
        "/oauth/device_authorization",
        "/oauth/register",
        "/oauth/register/{client_id}",
        "/oauth/logout",
    ];
    let served: Vec<&str> = routes.iter().map(|route| route.path.as_str()).chain(protocol).collect();
    for file in pages(&repository()) {
        let text = std::fs::read_to_string(&file).unwrap();
        for paragraph in text.split("\n\n").filter(|paragraph| denies(paragraph)) {
            for span in paragraph.split('`').skip(1).step_by(2) {
                let path =
                    span.rsplit(' ').next().unwrap().trim_end_matches(['…', '/']).trim_start_matches('/');
                let is_of = |route: &&&str| format!("{route}/").contains(&format!("/{path}/"));
                let found = served.iter().find(is_of).filter(|_| path.contains(char::is_alphabetic));
                assert!(
                    found.is_none(),
                    "{}: {span} is said not to be served, and {found:?} is",
                    file.display()
                );
            }
        }
    }
    assert!(denies("Not served today: `auth/tokens`"), "what is looked for is found");
    // The same, without paths: what the first page said for long after it was served.
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    for untrue in ["no personal access tokens", "no OAuth applications", "sign-in with Google, LDAP"] {
        assert!(!readme.contains(untrue), "{untrue}");
    }
}

/// Whether a paragraph says that something is not served.
fn denies(paragraph: &str) -> bool {
    let text = paragraph.to_lowercase();
    text.contains("not served") || text.contains("is not there today")
}

/// The pages that people read: the first one, and those in `docs`.
fn pages(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.join("README.md")];
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// A defence whose test is gone, or has another name, is not shown by anything.
#[test]
fn every_test_that_the_threat_model_names_exists() {
    let read = |path: &str| std::fs::read_to_string(repository().join(path)).unwrap();
    let (text, settings) = (read("docs/security.md"), read("crates/tidegate/tidegate.example.toml"));
    let code = sources(&repository().join("crates")).join("\n");
    let is_name =
        |span: &&str| span.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:".contains(c));
    let names =
        text.split('`').skip(1).step_by(2).filter(is_name).map(|span| span.rsplit("::").next().unwrap());
    // Tests are sentences. Settings are not tests.
    let names: BTreeSet<&str> =
        names.filter(|name| name.matches('_').count() > 2 && !settings.contains(*name)).collect();
    assert!(names.len() > 100, "the threat model lost its tests");
    let missing: Vec<_> = names.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:?}");
}

/// What a text writes as code, as far as it may be the path of a test, of a module or of all tests of one.
fn paths(text: &str) -> impl Iterator<Item = &str> {
    let is_path = |span: &&str| {
        let is_part = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_:*".contains(c);
        !span.is_empty() && span.chars().all(is_part)
    };
    text.split('`').skip(1).step_by(2).filter(is_path)
}

/// The same of the attacks on governed queries: each row of a table with a column of tests has one, and the text names others with their
/// modules.
#[test]
fn every_test_of_the_attacks_on_governed_queries_exists() {
    let text = std::fs::read_to_string(repository().join("docs/governance.md")).unwrap();
    let mut named: BTreeSet<&str> = paths(&text).filter(|path| path.contains("::")).collect();
    let mut has_tests = false;
    for line in text.lines() {
        let cell = line.trim_matches('|').rsplit(" | ").next().unwrap_or_default().trim();
        has_tests = line.starts_with('|') && (has_tests || cell == "Test");
        if has_tests && line.starts_with("| ") && cell != "Test" {
            assert!(paths(cell).next().is_some(), "no test is named: {line}");
            named.extend(paths(cell));
        }
    }
    assert!(named.len() > 100, "the attacks lost their tests");
    let code = sources(&repository().join("crates")).join("\n");
    let is_module =
        |name: &str| code.contains(&format!("mod {name};")) || code.contains(&format!("mod {name} {{"));
    // Attacks that are a list of statements are a name and the list, of which a macro makes the test.
    let is_test =
        |name: &str| code.contains(&format!("fn {name}(")) || code.contains(&format!("    {name}: [\n"));
    let exists = |path: &str| {
        let (modules, last) = path.rsplit_once("::").unwrap_or(("", path));
        modules.split("::").all(|module| module.is_empty() || is_module(module))
            && (last == "*" || is_module(last) || is_test(last))
    };
    let missing: Vec<_> = named.iter().filter(|path| !exists(path)).collect();
    assert!(missing.is_empty(), "there are no such tests: {missing:?}");
}

on_both_engines! {
    async fn every_route_that_is_described_is_answered_and_no_other_is(app: TestApp) {
        for route in routes::all() {
            let answer = route.request(&app.client()).send().await;
            let nowhere = ["PATH_NOT_FOUND", "NOT_FOUND", "RESOURCE_NOT_FOUND"].contains(&answer.code());
            assert!(!nowhere && answer.status != 405, "{}: {}", route.name(), answer.text);
            let elsewhere = app.client().request(Method::TRACE, &route.sample_path()).send().await;
            assert_eq!(elsewhere.status, 405, "{}: {}", route.name(), elsewhere.text);
            routes::assert_envelope(route.contract, &elsewhere);
            // The name of an object takes the rest of the path.
            if route.path.starts_with("/api/v1/storage/objects/") {
                continue;
            }
            let beyond = app.get(&format!("{}/beyond/everything", route.sample_path())).send().await;
            assert_eq!(beyond.status, 404, "{}: {}", route.name(), beyond.text);
            routes::assert_envelope(route.surroundings(), &beyond);
        }
    }
}

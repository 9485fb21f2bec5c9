//! Requests and clients that generators make from the OpenAPI documents, against the program: `generated/`.

use std::process::Command;

use crate::support::{Installation, Said, Server};

/// Serves as many requests as come.
fn serve(here: &Installation) -> Server {
    here.write("tidegate.toml", include_str!("generated/tidegate.toml"));
    here.serve(&["--dev", "--config", "tidegate.toml"])
}

/// A script, run with the Python that has the generators.
#[expect(clippy::disallowed_methods, reason = "Python is found by the variable that scripts/test sets")]
fn script(here: &Installation, name: &str, arguments: &[&str]) -> Command {
    let python = std::env::var("TIDEGATE_TEST_OPENAPI_PYTHON");
    let python = python.expect("TIDEGATE_TEST_OPENAPI_PYTHON must name a Python: run scripts/test");
    let mut command = here.python_of(&python, &format!("generated/{name}"), arguments);
    // Node and its like are found on the path.
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

#[test]
fn requests_made_from_the_documents_find_no_difference() {
    let here = Installation::new();
    let server = serve(&here);
    let said = Said::of(&mut script(&here, "generated.py", &[&server.base]));
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    // Four contracts, each anonymously and signed in, with nothing found.
    assert_eq!(said.out.lines().filter(|line| line.ends_with("| 0 | 0 | 0 |")).count(), 4, "{}", said.out);
    server.stop();
}

#[test]
fn a_python_client_made_from_each_document_walks_the_contract() {
    let here = Installation::new();
    let server = serve(&here);
    let said = Said::of(&mut script(&here, "python_client.py", &[&server.base]));
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}\n{}", said.out, said.err);
    server.stop();
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the generators are found by the variable that scripts/test sets"
)]
fn typescript_clients_made_from_each_document_compile_and_walk_the_contract() {
    let here = Installation::new();
    let server = serve(&here);
    let modules = std::env::var("TIDEGATE_TEST_NODE_MODULES");
    let modules = modules.expect("TIDEGATE_TEST_NODE_MODULES must name packages of npm: run scripts/test");
    let said = Said::of(&mut script(&here, "typescript_clients.py", &[&server.base, &modules]));
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}\n{}", said.out, said.err);
    server.stop();
}

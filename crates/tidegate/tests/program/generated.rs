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

/// Sends the requests of a contract, anonymously and signed in: nothing may be found.
fn send(arguments: &[&str]) {
    let here = Installation::new();
    let server = serve(&here);
    let said = Said::of(&mut script(&here, "generated.py", &[&[server.base.as_str()], arguments].concat()));
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    assert!(said.out.trim_end().ends_with("| 0 | 0 | 0 |"), "{}", said.out);
    server.stop();
}

/// What RiverGen says about data, and what it says about questions: side by side they take half as long.
const OF_DATA: &str = "^/api/v1/(data-sources|storage|policies)(/|$)";
const OF_QUESTIONS: &str = "^/api/v1/(prompts|prompt-templates|queries)(/|$)";

#[test]
fn requests_made_from_rivergens_document_about_data_find_no_difference() {
    send(&["--contract", "rivergen", "--paths", OF_DATA]);
}

#[test]
fn requests_made_from_rivergens_document_about_questions_find_no_difference() {
    send(&["--contract", "rivergen", "--paths", OF_QUESTIONS]);
}

#[test]
fn requests_made_from_the_rest_of_rivergens_document_find_no_difference() {
    let other = format!("{OF_DATA}|{OF_QUESTIONS}");
    send(&["--contract", "rivergen", "--other-paths", &other]);
}

#[test]
fn requests_made_from_the_other_documents_find_no_difference() {
    for contract in ["ingestiq", "crossing_minds", "riven"] {
        send(&["--contract", contract]);
    }
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

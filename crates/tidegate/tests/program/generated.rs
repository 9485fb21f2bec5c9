//! Requests and clients that generators make from the OpenAPI documents, against the program: `generated/`.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

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

/// Cells of a table's row.
fn cells(row: &str) -> Vec<&str> {
    row.trim().trim_matches('|').split('|').map(str::trim).collect()
}

/// The runs that `docs/contracts.md` tells of, each with how many operations it is of.
fn runs() -> Vec<(String, usize)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/contracts.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, table) = page.split_once("| Run | Operations |\n|---|---|\n").expect("a table of runs");
    let rows = table.lines().take_while(|line| line.starts_with('|')).map(cells);
    rows.map(|row| (row[0].to_owned(), row[1].parse().unwrap())).collect()
}

/// How many operations a run is of, as it is written there.
fn operations_of(run: &str) -> usize {
    let all = runs();
    all.iter().find(|(name, _)| name == run).unwrap_or_else(|| panic!("no row of {run}: {all:?}")).1
}

/// Numbers of one cell: of who is anonymous, and of who is signed in.
fn of_both(cell: &str) -> [usize; 2] {
    let numbers = cell.split(", ").map(|number| number.replace(',', "").parse::<usize>().unwrap());
    numbers.collect::<Vec<_>>().try_into().unwrap()
}

/// Sends the requests of a contract, anonymously and signed in: as many as is written of the run at least, and nothing may be found.
fn send(run: &str, arguments: &[&str]) {
    let here = Installation::new();
    let server = serve(&here);
    let said = Said::of(&mut script(&here, "generated.py", &[&[server.base.as_str()], arguments].concat()));
    assert_eq!(said.code, 0, "{}\n{}", said.out, said.err);
    let row = cells(said.out.trim_end().lines().last().unwrap());
    let [_, operations, requests, accepted, faults @ ..] = row.as_slice() else { panic!("{row:?}") };
    assert_eq!(faults, ["0"; 3], "{row:?}");
    let operations: usize = operations.parse().unwrap();
    assert_eq!(operations, operations_of(run), "{run} in docs/contracts.md: {row:?}");
    let [anonymous, signed_in] = of_both(requests);
    assert!(anonymous >= 2 * operations && signed_in >= 5 * operations, "{row:?}");
    assert!(of_both(accepted)[1] > 0, "{row:?}");
    server.stop();
}

/// What RiverGen says about data, and what it says about questions: side by side they take half as long.
const OF_DATA: &str = "^/api/v1/(data-sources|storage|policies)(/|$)";
const OF_QUESTIONS: &str = "^/api/v1/(prompts|prompt-templates|queries)(/|$)";

/// Other contracts are small: each has one run.
const OTHERS: [(&str, &str); 3] =
    [("IngestIQ", "ingestiq"), ("Crossing Minds", "crossing_minds"), ("Riven", "riven")];

#[test]
fn requests_made_from_rivergens_document_about_data_find_no_difference() {
    send("RiverGen, about data", &["--contract", "rivergen", "--paths", OF_DATA]);
}

#[test]
fn requests_made_from_rivergens_document_about_questions_find_no_difference() {
    send("RiverGen, about questions", &["--contract", "rivergen", "--paths", OF_QUESTIONS]);
}

#[test]
fn requests_made_from_the_rest_of_rivergens_document_find_no_difference() {
    let other = format!("{OF_DATA}|{OF_QUESTIONS}");
    send("RiverGen, the rest", &["--contract", "rivergen", "--other-paths", &other]);
}

#[test]
fn requests_made_from_the_other_documents_find_no_difference() {
    for (run, contract) in OTHERS {
        send(run, &["--contract", contract]);
    }
}

#[test]
fn the_runs_are_of_all_operations_that_are_described() {
    let here = Installation::new();
    let rivergen: usize = runs()
        .iter()
        .filter(|(run, _)| run.starts_with("RiverGen, "))
        .map(|(_, operations)| operations)
        .sum();
    let others = OTHERS.map(|(run, contract)| (contract, operations_of(run)));
    for (contract, operations) in [("rivergen", rivergen)].into_iter().chain(others) {
        let document = here.run(&["openapi", "--contract", contract]).json();
        let paths = document["paths"].as_object().unwrap();
        let methods = paths.values().flat_map(|path| path.as_object().into_iter().flatten());
        let described =
            methods.filter(|(_, operation)| operation.get("responses").is_some_and(Value::is_object));
        assert_eq!(described.count(), operations, "{contract} in docs/contracts.md");
    }
    assert_eq!(runs().len(), 3 + OTHERS.len(), "a run that is not made: {:?}", runs());
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

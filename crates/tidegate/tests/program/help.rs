//! The command line's help, under review.

use crate::support::Installation;

#[test]
fn every_command_explains_itself() {
    let here = Installation::new();
    let mut pages = Vec::new();
    explain(&here, &[], &mut pages);
    assert!(pages.len() > 30, "{}", pages.len());
    for page in &pages {
        assert!(page.contains("Example:\n") || page.contains("Examples:\n"), "no example: {page}");
        for word in ["dialect", "os error"] {
            assert!(!page.contains(word), "{word}: {page}");
        }
    }
    insta::assert_snapshot!(pages.join("\n"));
}

/// The page of a command and those of the commands below it.
fn explain(here: &Installation, command: &[&str], pages: &mut Vec<String>) {
    let arguments = [command, &["--help"]].concat();
    let page = here.output(&arguments);
    pages.push(format!("$ tidegate {}\n{page}\n", arguments.join(" ")));
    let listed = page.split_once("Commands:\n").map(|(_, rest)| rest.split("\n\n").next().unwrap());
    for line in listed.unwrap_or_default().lines() {
        let name = line.split_whitespace().next().unwrap();
        if line.starts_with("  ") && !line.starts_with("   ") && name != "help" {
            explain(here, &[command, &[name]].concat(), pages);
        }
    }
}

#[test]
fn it_knows_its_version() {
    let version = Installation::new().output(&["--version"]);
    assert_eq!(version, format!("tidegate {}", env!("CARGO_PKG_VERSION")));
}

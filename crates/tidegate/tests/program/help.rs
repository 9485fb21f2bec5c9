//! The command line's help, under review.

use crate::support::Installation;

#[test]
fn every_command_explains_itself() {
    let here = Installation::new();
    let commands: [&[&str]; 33] = [
        &[],
        &["serve"],
        &["org"],
        &["org", "list"],
        &["org", "show"],
        &["org", "create"],
        &["org", "transfer"],
        &["org", "second-factor"],
        &["user"],
        &["user", "list"],
        &["user", "show"],
        &["user", "create"],
        &["user", "disable"],
        &["user", "enable"],
        &["user", "unlock"],
        &["user", "delete"],
        &["user", "sessions"],
        &["user", "export"],
        &["user", "remove-identifier"],
        &["user", "reset-mfa"],
        &["outbox"],
        &["outbox", "list"],
        &["outbox", "code"],
        &["outbox", "show"],
        &["jobs"],
        &["jobs", "list"],
        &["jobs", "retry"],
        &["jobs", "drop"],
        &["keys"],
        &["keys", "rotate"],
        &["migrate"],
        &["doctor"],
        &["openapi"],
    ];
    let pages: Vec<String> = commands
        .into_iter()
        .map(|command| {
            let page = here.output(&[command, &["--help"]].concat());
            format!("$ tidegate {}\n{page}\n", [command, &["--help"]].concat().join(" "))
        })
        .collect();
    insta::assert_snapshot!(pages.join("\n"));
}

#[test]
fn it_knows_its_version() {
    let version = Installation::new().output(&["--version"]);
    assert_eq!(version, format!("tidegate {}", env!("CARGO_PKG_VERSION")));
}

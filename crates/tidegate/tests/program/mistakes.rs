//! Mistakes in what was typed: what may have been meant, the exit code, and no suggestion that is only the nearest word.

use crate::support::{Installation, Said};

/// The line that says what may have been meant.
fn tip(said: &Said) -> &str {
    said.err.lines().find_map(|line| line.trim().strip_prefix("tip: ")).unwrap_or_default()
}

#[test]
fn an_option_of_another_name_or_misspelled_leads_to_the_right_one() {
    let here = Installation::new();
    for (arguments, meant) in [
        (&["serve", "--port", "8080"][..], "did you mean `--listen ADDRESS`?"),
        (&["serve", "--host", "0.0.0.0"], "did you mean `--listen ADDRESS`?"),
        (&["serve", "-p", "80"], "did you mean `--listen ADDRESS`?"),
        (&["serve", "--db", "x"], "did you mean `--database URL`?"),
        (&["serve", "--database-url=x"], "did you mean `--database URL`?"),
        (&["user", "list", "--dir", "x"], "did you mean `--data-dir DIRECTORY`?"),
        (&["serve", "--config-file", "x"], "did you mean `--config FILE`?"),
        (&["serve", "--lisen", "x"], "did you mean `--listen ADDRESS`?"),
        (&["serve", "--development"], "did you mean `--dev`?"),
        (&["serve", "-dev"], "did you mean `--dev`?"),
        (&["outbox", "code", "--email", "x"], "did you mean `--to ADDRESS`?"),
        (&["user", "create", "--password", "x"], "did you mean `--password-stdin`?"),
        (&["org", "create", "--owner", "x"], "did you mean `--root-email ADDRESS`?"),
        (&["user", "delete", "1", "--force"], "did you mean `--yes`?"),
        (&["migrate", "--dry-run"], "did you mean `--check`?"),
        (&["keys", "list", "--output", "json"], "did you mean `--json`?"),
        (&["openapi", "--dialekt", "x"], ""),
        (&["doctor", "--dev"], "`--dev` is an option of `tidegate serve`"),
        (&["--dev", "serve"], "`--dev` stands behind its command: `tidegate serve --dev`"),
        (
            &["--listen", "x", "serve"],
            "`--listen ADDRESS` stands behind its command: `tidegate serve --listen ADDRESS`",
        ),
        (&["user", "list", "--frobnicate"], ""),
        (&["serve", "--xyzzy"], ""),
    ] {
        let said = here.run(arguments);
        assert_eq!((said.code, tip(&said)), (2, meant), "{arguments:?}: {}", said.err);
        assert!(said.err.contains("unexpected argument"), "{}", said.err);
    }
}

#[test]
fn a_command_of_another_name_or_misspelled_leads_to_the_right_one() {
    let here = Installation::new();
    for (arguments, meant) in [
        (&["start"][..], "did you mean `serve`?"),
        (&["sevre"], "did you mean `serve`?"),
        (&["users"], "did you mean `user`?"),
        (&["organization", "list"], "did you mean `org`?"),
        (&["check"], "did you mean `doctor`?"),
        (&["docter"], "did you mean `doctor`?"),
        (&["user", "add"], "did you mean `create`?"),
        (&["user", "ls"], "did you mean `list`?"),
        (&["outbox", "resend", "1"], "did you mean `retry`?"),
        (&["jobs", "rm", "1"], "did you mean `drop`?"),
        (&["user", "lock", "1"], "did you mean `disable`?"),
        (&["user", "reset-2fa", "1"], "did you mean `reset-mfa`?"),
        (&["client", "update", "1"], "did you mean `change`?"),
        (&["client", "disable", "1"], "did you mean `suspend`?"),
        (&["client", "reset-secret", "1"], "did you mean `rotate-secret`?"),
        (&["source", "disable", "1"], "did you mean `pause`?"),
        (&["source", "enable", "1"], "did you mean `resume`?"),
        (&["version"], "did you mean `--version`?"),
        (&["frobnicate"], ""),
        (&["user", "frobnicate"], ""),
    ] {
        let said = here.run(arguments);
        assert_eq!((said.code, tip(&said)), (2, meant), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn a_command_that_there_is_not_says_what_does_it_instead() {
    let here = Installation::new();
    for (arguments, says) in [
        (
            &["user", "set-password", "ada@example.com"][..],
            "no command sets a password: the account's owner ",
        ),
        (&["user", "verify", "ada@example.com"], "an address is verified by the code that is mailed to it "),
        (&["user", "rename", "1"], "no command changes an account: "),
        (&["org", "invite", "1"], "an organization invites and removes people itself; "),
        (&["restart"], "a server stops where it was started: "),
        (&["client", "restart"], ""),
    ] {
        let said = here.run(arguments);
        assert!(said.code == 2 && tip(&said).starts_with(says), "{arguments:?}: {}", said.err);
        assert_eq!(tip(&said).is_empty(), says.is_empty(), "{arguments:?}: {}", said.err);
    }
}

#[test]
fn the_exit_code_tells_success_failure_and_wrong_usage() {
    let here = Installation::new();
    here.begin();
    here.write("wrong.toml", "lissten = '127.0.0.1:1'\n");
    let cases: [(&[&str], i32); 16] = [
        (&["--help"], 0),
        (&["--version"], 0),
        (&["user", "list"], 0),
        (&["migrate", "--check"], 0),
        (&["doctor"], 0),
        (&["user", "show", "nobody@example.com"], 1),
        (&["outbox", "code", "--to", "nobody@example.com"], 1),
        (&["jobs", "retry", "1"], 1),
        (&["user", "list", "--config", "wrong.toml"], 1),
        (&["user", "list", "--data-dir", "nowhere"], 1),
        (&["user", "list", "--database", "postgres://u@127.0.0.1:1/d"], 1),
        (&["user", "show", "ada@"], 2),
        (&["user"], 2),
        (&["user", "list", "--limit", "0"], 2),
        (&["migrate", "--check", "--new"], 2),
        (&["user", "delete", "root@begin.example"], 2),
    ];
    for (arguments, code) in cases {
        let said = here.run(arguments);
        assert_eq!(said.code, code, "{arguments:?}: {said:?}");
    }
}

#[test]
fn every_list_is_an_array_also_when_it_is_empty() {
    let here = Installation::new();
    here.begin();
    for (arguments, is_empty) in [
        (&["org", "list"][..], false),
        (&["org", "list", "--search", "none"], true),
        (&["user", "list"], false),
        (&["user", "list", "--disabled"], true),
        (&["user", "sessions", "root@begin.example"], true),
        (&["outbox", "list", "--to", "nobody@example.com"], true),
        (&["jobs", "list", "--state", "dead"], true),
        (&["keys", "list"], false),
    ] {
        let listed = here.json(arguments);
        assert_eq!(listed.as_array().map(Vec::is_empty), Some(is_empty), "{arguments:?}: {listed}");
    }
}

#[test]
fn an_empty_list_says_how_something_gets_into_it() {
    let here = Installation::new();
    here.serve(&[]).stop();
    for (list, how) in [
        (&["org", "list"][..], "org create`"),
        (&["user", "list"], "user create`"),
        (&["client", "list"], "client create`"),
        (&["source", "list"], "POST /api/v1/data-sources"),
        (&["outbox", "list"], "user create`"),
    ] {
        let said = here.output(list);
        assert!(said.contains(how), "{list:?}: {said}");
    }
    let searched = here.output(&["org", "list", "--search", "none"]);
    assert!(searched.contains("no such organization"), "{searched}");
    // Who is in a wrong directory sees where this looked.
    let place = here.path().join("tidegate-data").canonicalize().unwrap();
    for list in ["org", "user", "client"] {
        let said = here.output(&[list, "list"]);
        assert!(said.contains(&format!("yet in {}: ", place.display())), "{said}");
    }
    let said = here.run(&["user", "show", "ada@example.com"]);
    let told = format!("there is no such account in {}; look for it with", place.display());
    assert!(said.code == 1 && said.err.contains(&told), "{said:?}");
}

#[test]
fn commands_are_advised_as_they_can_be_run() {
    let here = Installation::new();
    let program = env!("CARGO_BIN_EXE_tidegate");
    let said = here.run(&["user", "list"]);
    assert!(said.err.contains(&format!("`{program} serve`")), "{}", said.err);
    let said = Said::of(
        here.command(&["user", "list"]).env("PATH", std::path::Path::new(program).parent().unwrap()),
    );
    assert!(said.err.contains("`tidegate serve`"), "{}", said.err);
    let by_cargo = |command: &mut std::process::Command| {
        Said::of(command.env("CARGO", "/usr/bin/cargo").env("CARGO_PKG_NAME", "tidegate"))
    };
    let said = by_cargo(&mut here.command(&["user", "list"]));
    assert!(said.err.contains("`cargo run ") && said.err.contains(" -- serve`"), "{}", said.err);
}

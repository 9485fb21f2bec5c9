//! Where configuration comes from, and what is said about mistakes in it.

use crate::support::{Installation, Said};

#[test]
fn an_unknown_key_is_told_with_its_file_and_the_nearest_known_one() {
    let here = Installation::new();
    here.write("tidegate.toml", "[mail.smtp]\nhots = 'smtp.example.com'\n");
    let said = here.run(&["serve"]);
    assert_eq!(said.code, 1);
    assert_eq!(
        said.err,
        "error: mail.smtp.hots: unknown key; did you mean `mail.smtp.host`? (in tidegate.toml, line 2)\n"
    );
    assert!(!here.path().join("tidegate-data").exists());
}

#[test]
fn an_unknown_variable_is_told_as_a_variable() {
    let here = Installation::new();
    let mut command = here.command(&["migrate", "--check"]);
    let output = command.env("TIDEGATE_LISTN", "127.0.0.1:1").output().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("TIDEGATE_LISTN: unknown variable; did you mean TIDEGATE_LISTEN?"), "{err}");
}

#[test]
fn commands_run_where_the_secrets_of_mail_and_of_providers_are_not() {
    let here = Installation::new();
    here.begin();
    let github = "[social.github]\nclient_id = 'a'\n";
    let mail = "[mail.smtp]\nhost = 'smtp.example.com'\nfrom = 'a@example.com'\nusername = 'ada'\n";
    here.write("tidegate.toml", &format!("{mail}{github}"));
    here.output(&["user", "list"]);
    here.output(&["backup", "--without-key", "copy"]);
    here.output(&["org", "create", "--name", "Acme", "--root-email", "root@acme.example"]);
    // What a server needs is told with the variable that has it.
    for arguments in [&["doctor"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let said = here.run(arguments);
        let told = format!("{}{}", said.out, said.err);
        assert_eq!(said.code, 1, "{told}");
        for variable in ["TIDEGATE_MAIL__SMTP__PASSWORD", "TIDEGATE_SOCIAL__GITHUB__CLIENT_SECRET"] {
            assert!(told.contains(&format!("{variable} is not set here")), "{told}");
        }
    }
}

#[test]
fn flags_win_over_variables_and_those_over_the_file_wherever_they_stand() {
    let here = Installation::new();
    here.write("other.toml", "product = 'file'\ndata_dir = 'file'\npublic_url = 'https://file.example'\n");
    let mut command = here.command(&["--config", "other.toml", "doctor", "--json", "--data-dir", "flag"]);
    command.env("TIDEGATE_PUBLIC_URL", "https://variable.example").env("TIDEGATE_DATA_DIR", "variable");
    let report: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    let configuration = &report["configuration"];
    assert_eq!(configuration["product"], "file");
    assert_eq!(configuration["public_url"], "https://variable.example");
    assert_eq!(configuration["data_dir"], "flag");
    assert_eq!(configuration["database"], "sqlite:flag/tidegate.db");

    // The same flags on the other side of the command, and the file named by a variable.
    let mut command = here.command(&["--data-dir", "flag", "--json", "doctor"]);
    command.env("TIDEGATE_CONFIG", "other.toml");
    let report: serde_json::Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
    assert_eq!(report["configuration"]["data_dir"], "flag");
    assert_eq!(report["configuration"]["product"], "file");
}

#[test]
fn a_configuration_file_that_was_named_must_be_there() {
    let said = Installation::new().run(&["migrate", "--config", "nowhere.toml"]);
    assert_eq!(said.code, 1);
    assert!(
        said.err.starts_with("error: the configuration file nowhere.toml cannot be read"),
        "{}",
        said.err
    );
}

#[test]
fn a_mistake_on_the_command_line_is_wrong_usage() {
    let here = Installation::new();
    for arguments in [
        &["serve", "--listen", "everywhere"][..],
        &["migrate", "--database", "mysql://x"],
        &["outbox", "code", "--to", "ada"],
        &["org", "create", "--name", " ", "--root-email", "ada@example.com"],
        &["keys", "rotate", "--algorithm", "HS256"],
        &["openapi", "--contract", "klingon"],
        &["frobnicate"],
        &[],
    ] {
        assert_eq!(here.run(arguments).code, 2, "{arguments:?}");
    }
}

#[test]
fn the_program_prints_a_configuration_to_start_from() {
    let here = Installation::new();
    let printed = here.output(&["config"]);
    assert!(printed.contains("#public_url = \"https://id.example.com\"\n"), "{printed}");
    here.write("tidegate.toml", &printed);
    let said = Said::of(here.command(&["doctor"]).env_remove("TIDEGATE_PASSWORD_HASH__COST"));
    assert!(said.code == 0 && said.out.contains("Every setting has its default"), "{}", said.out);
    // A file that cannot be read keeps nobody from a whole one.
    here.write("tidegate.toml", "nonsense");
    assert_eq!(here.output(&["config"]), printed);
    assert!(here.json(&["config"])["example"].as_str().unwrap().contains("#public_url = "));
}

//! The systemd unit, the container file, and the files of the first day in production.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::{code, in_repository};
use crate::support::{Installation, Said};

const FIRST_DAY: &str = "first-day.md";

#[expect(clippy::disallowed_methods, reason = "running programs is what these tests do")]
fn program(name: &str) -> Command {
    Command::new(name)
}

/// The directory of the program under test, first on the PATH.
fn path_with_program() -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_tidegate"));
    format!("{}:/usr/local/bin:/usr/bin:/bin", program.parent().unwrap().display())
}

#[test]
fn the_systemd_unit_is_valid_and_hardened() {
    let here = Installation::new();
    let unit = code("systemd.md", "tidegate.service");
    // The program has to be where the unit says.
    let unit = unit.replace("/usr/local/bin/tidegate", env!("CARGO_BIN_EXE_tidegate"));
    // Users are not looked up: there is none of that name here.
    here.write(
        "tidegate.service",
        &unit.replace("User=tidegate", "User=root").replace("Group=tidegate", "Group=root"),
    );
    let file = here.path().join("tidegate.service");
    let verified = Said::of(program("systemd-analyze").args(["verify", "--man=no"]).arg(&file));
    assert_eq!((verified.code, verified.err.trim()), (0, ""), "{verified:?}");

    here.write("tidegate.service", &unit);
    // Ten times the exposure that is shown: 2.0.
    let mut judge = program("systemd-analyze");
    judge.args(["security", "--offline=true", "--threshold=20", "--no-pager"]).arg(&file);
    let judged = Said::of(&mut judge);
    assert_eq!(judged.code, 0, "{}\n{}", judged.out, judged.err);
}

#[test]
fn the_container_file_sets_what_tidegate_knows_and_builds_with_a_compiler_that_is_new_enough() {
    let file = std::fs::read_to_string(in_repository("Dockerfile")).unwrap();
    let after = |word: &str| {
        let found = file.lines().find_map(|line| line.strip_prefix(word));
        found.unwrap_or_else(|| panic!("no {word}")).to_owned()
    };
    let compiler = after("FROM rust:");
    let manifest = std::fs::read_to_string(in_repository("Cargo.toml")).unwrap();
    let needed = manifest.split_once("rust-version = \"").unwrap().1.split_once('"').unwrap().0;
    let version = |text: &str| -> Vec<u32> {
        text.split('-').next().unwrap().split('.').map(|part| part.parse().unwrap()).collect()
    };
    assert!(version(&compiler) >= version(needed), "{compiler} is older than {needed}");

    let here = Installation::new();
    let mut doctor = here.command(&["doctor", "--json"]);
    for setting in after("ENV ").split(' ') {
        let (name, value) = setting.split_once('=').unwrap();
        doctor.env(
            name,
            if value == "/data" { here.path().join("data").display().to_string() } else { value.to_owned() },
        );
    }
    let said = Said::of(&mut doctor);
    let configuration = said.json().to_string();
    assert!(configuration.contains("0.0.0.0:8080") && configuration.contains("/data"), "{said:?}");
    let command: Vec<String> = serde_json::from_str(&after("CMD ")).unwrap();
    let help = here.output(&[command[0].as_str(), "--help"]);
    assert!(help.contains("Usage: tidegate serve"), "{help}");
}

#[test]
fn the_configuration_of_the_first_day_has_no_mistake() {
    let here = Installation::new();
    let settings = code(FIRST_DAY, "tidegate.toml");
    let settings = settings.replace("/var/lib/tidegate", &here.path().join("data").display().to_string());
    here.write("tidegate.toml", &(settings + &code(FIRST_DAY, "limits.toml")));
    let mut doctor = here.command(&["doctor", "--json"]);
    doctor.env("TIDEGATE_MAIL__SMTP__PASSWORD", "secret").env("TIDEGATE_PEPPER__ID", "p1");
    doctor.env("TIDEGATE_PEPPER__KEY", "an example of what is at least 32 characters long");
    let report = Said::of(&mut doctor).json();
    assert!(report.to_string().contains("https://id.example.com"), "{report}");
    // There is no such mail server.
    let checks = report["checks"].as_array().unwrap().iter();
    let wrong: Vec<&Value> = checks.filter(|check| check["status"] == "error").collect();
    assert!(wrong.iter().all(|check| check["name"] == "mail"), "{wrong:?}");
    assert!(
        wrong[0]["detail"].as_str().unwrap().contains("smtp.example.com:465 cannot be reached"),
        "{wrong:?}"
    );
}

#[tokio::test]
async fn a_backup_is_made_and_restored_by_the_scripts_of_the_first_day() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    assert_eq!(server.sign_up("ada@example.com").await.0, 201);
    here.write("backup.sh", &code(FIRST_DAY, "backup.sh"));
    here.write("restore.sh", &code(FIRST_DAY, "restore.sh"));
    let run = |arguments: &[&str]| {
        let mut script = program("sh");
        script.args(arguments).current_dir(here.path()).env_clear().env("PATH", path_with_program());
        let said = Said::of(&mut script);
        assert_eq!(said.code, 0, "{arguments:?}: {said:?}");
        said.out
    };
    run(&["backup.sh", "backups"]);
    let backups: Vec<_> = std::fs::read_dir(here.path().join("backups")).unwrap().collect();
    assert_eq!(backups.len(), 1, "the master key is kept elsewhere: {backups:?}");
    let backup = backups[0].as_ref().unwrap().path().display().to_string();
    run(&["restore.sh", &backup, "tidegate-data/master.key", "restored"]);
    let accounts: Value = here.json(&["user", "list", "--data-dir", "restored"]);
    assert!(accounts.to_string().contains("ada@example.com"), "{accounts}");
    server.stop();
}

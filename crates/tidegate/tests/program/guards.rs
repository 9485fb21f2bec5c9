//! What keeps a command from a wrong directory, and a second server from a database that is served.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use serde_json::json;
use tidegate_testkit::{Engine, Fixture, on_both_engines};

use crate::support::{Installation, PASSWORD, Said, Server};

/// Every command that works on an installation; none of them may make one.
const COMMANDS: [&[&str]; 25] = [
    &["org", "list"],
    &["org", "show", "1"],
    &["org", "create", "--name", "Acme", "--root-email", "root@acme.example"],
    &["org", "transfer", "--organization", "1", "--to", "ada@acme.example"],
    &["org", "second-factor", "--organization", "1", "--elsewhere", "admit"],
    &["user", "list"],
    &["user", "show", "1"],
    &["user", "create", "--email", "ada@example.com"],
    &["user", "disable", "1"],
    &["user", "enable", "1"],
    &["user", "unlock", "1"],
    &["user", "unblock-provider", "1", "--provider", "google", "--subject", "1"],
    &["user", "delete", "1", "--yes"],
    &["user", "sessions", "1"],
    &["user", "export", "1"],
    &["user", "remove-identifier", "1", "ada@example.com"],
    &["user", "reset-mfa", "ada@example.com"],
    &["outbox", "list"],
    &["outbox", "code", "--to", "ada@example.com"],
    &["outbox", "retry", "1"],
    &["jobs", "list"],
    &["jobs", "drop", "1"],
    &["keys", "list"],
    &["keys", "rotate"],
    &["migrate"],
];

on_both_engines! {
    async fn no_command_but_serve_makes_an_installation(here: Installation) {
        for arguments in COMMANDS.iter().chain([&["migrate", "--check"][..]].iter()) {
            let said = here.run(arguments);
            assert_eq!((said.code, said.out.as_str()), (1, ""), "{arguments:?}: {said:?}");
            assert!(said.err.starts_with("error: there is no installation of Tidegate in "), "{arguments:?}: {said:?}");
            for way in ["--data-dir", "TIDEGATE_DATA_DIR", "tidegate.toml", "--database", "serve`", "--new"] {
                assert!(said.err.contains(way), "{way}: {}", said.err);
            }
        }
        assert_eq!(fs::read_dir(here.path()).unwrap().count(), 0);
        assert_eq!(here.json(&["org", "list"])["error"]["code"], "database_missing");

        // What was told to begin one does, and the others find it.
        here.begin();
        assert_eq!(here.run(&["user", "list"]).code, 0);
        let made = here.json(&["user", "create", "--email", "ada@example.com"]);
        assert!(made["number"].is_number(), "a name is not needed: {made}");
    }

    async fn a_schema_without_keys_is_no_reason_to_make_a_key_somewhere(here: Installation) {
        here.output(&["migrate", "--new"]);
        let elsewhere = here.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let url = match here.database_url() {
            tidegate_database::DatabaseUrl::Sqlite(path) => format!("sqlite:{}", path.display()),
            tidegate_database::DatabaseUrl::Postgres(url) => url,
        };
        let mut command = here.command(&["org", "list"]);
        let said = Said::of(command.current_dir(&elsewhere).env("TIDEGATE_DATABASE", url));
        assert_eq!(said.code, 1, "{said:?}");
        assert!(said.err.contains("no keys yet") && said.err.contains("start `"), "{}", said.err);
        assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
    }
}

#[test]
fn every_command_tells_that_a_restore_was_cut_off() {
    let here = Installation::new();
    here.begin();
    let data = here.path().join("tidegate-data");
    // As a kill leaves it: the database gets its name last.
    fs::rename(data.join("tidegate.db"), data.join("tidegate.db.restoring")).unwrap();
    let others = [
        &["migrate", "--check"][..],
        &["backup", "b1"],
        &["copy", "--to", "sqlite:other.db"],
        &["copy", "--from", "sqlite:tidegate-data/tidegate.db", "--to", "sqlite:other.db"],
        &["serve", "--listen", "127.0.0.1:0"],
    ];
    for arguments in COMMANDS.into_iter().chain(others) {
        let said = here.run(arguments);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{arguments:?}: {said:?}");
        for part in
            ["a restore did not finish: there is ", "tidegate.db.restoring", "restore FILE --data-dir /"]
        {
            assert!(said.err.contains(part), "{part} {arguments:?}: {}", said.err);
        }
        assert!(!said.err.contains("there is no"), "{arguments:?}: {}", said.err);
    }
    let said = here.run(&["doctor"]);
    assert!(said.code == 1 && said.out.contains("a restore did not finish"), "{}", said.out);
    assert!(!data.join("tidegate.db").exists() && !here.path().join("other.db").exists());
}

/// Registers through the IngestIQ contract.
async fn register(server: &Server, email: &str) {
    let body = json!({"email": email, "password": PASSWORD, "name": "Ada"});
    assert_eq!(server.post("/api/v2/auth/register", body).await.0, 201, "{email}");
}

/// Has every command refuse the log that is beside the database, for that reason, and change neither.
fn refuse_the_log(here: &Installation, reason: &str) {
    let data = here.path().join("tidegate-data");
    let content =
        || (fs::read(data.join("tidegate.db")).unwrap(), fs::read(data.join("tidegate.db-wal")).unwrap());
    let before = content();
    let others = [
        &["doctor"][..],
        &["migrate", "--check"],
        &["backup", "b2"],
        &["copy", "--to", "sqlite:other.db"],
        &["copy", "--from", "sqlite:tidegate-data/tidegate.db", "--to", "sqlite:other.db"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["serve", "--new", "--listen", "127.0.0.1:0"],
    ];
    for arguments in COMMANDS.into_iter().chain(others) {
        let said = here.run(arguments);
        assert_eq!(said.code, 1, "{arguments:?}: {said:?}");
        let told = format!("{}{}", said.out, said.err);
        for part in [
            "tidegate.db-wal is not the log of ",
            reason,
            "neither was opened",
            "Then move ",
            "tidegate.db-shm",
        ] {
            assert!(told.contains(part), "{arguments:?}: {part}: {told}");
        }
        assert!(content() == before, "{arguments:?} has changed one of them");
    }
    assert_eq!(here.json(&["user", "list"])["error"]["code"], "database_foreign_log");
}

/// What the advice says: each is whole where it is. Answers how many accounts either has, the one that was moved away last.
fn move_the_log_to(here: &Installation, away: &str) -> [usize; 2] {
    let data = here.path().join("tidegate-data");
    fs::rename(data.join("tidegate.db-wal"), data.join(format!("{away}-wal"))).unwrap();
    fs::remove_file(data.join("tidegate.db-shm")).unwrap();
    let of_the_other = format!("sqlite:tidegate-data/{away}");
    [&["user", "list"][..], &["user", "list", "--database", of_the_other.as_str()]].map(|arguments| {
        let accounts = here.json(arguments);
        accounts.as_array().unwrap_or_else(|| panic!("{accounts}")).len()
    })
}

#[tokio::test]
async fn no_command_opens_a_database_beside_the_log_of_another() {
    let here = Installation::new();
    let server = here.serve(&["--dev"]);
    register(&server, "ada@example.com").await;
    here.output(&["backup", "b1"]);
    register(&server, "bob@example.com").await;
    server.kill();
    let data = here.path().join("tidegate-data");
    let (database, log) = (data.join("tidegate.db"), data.join("tidegate.db-wal"));
    fs::rename(&database, data.join("away")).unwrap();
    fs::rename(here.path().join("b1"), &database).unwrap();
    refuse_the_log(&here, ", which has none, ");
    // SQLite removes a log beside an empty file.
    let (backup, before) = (fs::read(&database).unwrap(), fs::read(&log).unwrap());
    fs::write(&database, "").unwrap();
    let said = here.run(&["serve", "--new", "--listen", "127.0.0.1:0"]);
    assert!(said.code == 1 && said.err.contains("tidegate.db-wal is not the log of "), "{said:?}");
    assert!(fs::read(&log).unwrap() == before);
    fs::write(&database, backup).unwrap();

    assert_eq!(move_the_log_to(&here, "away"), [1, 2]);
    here.serve(&[]).stop();
}

#[tokio::test]
async fn no_command_opens_an_older_copy_of_a_database_beside_its_later_log() {
    let here = Installation::new();
    here.serve(&["--dev"]).stop();
    let data = here.path().join("tidegate-data");
    let database = data.join("tidegate.db");
    let copy = here.path().join("copy");
    fs::copy(&database, &copy).unwrap();
    let server = here.serve(&["--dev"]);
    for number in 1..=12 {
        register(&server, &format!("ada{number}@example.com")).await;
    }
    server.stop();
    let size = |path| fs::metadata(path).unwrap().len();
    assert!(size(&database) > size(&copy), "it has grown");
    let server = here.serve(&["--dev"]);
    register(&server, "bob@example.com").await;
    server.kill();
    fs::rename(&database, data.join("away")).unwrap();
    fs::copy(&copy, &database).unwrap();
    refuse_the_log(&here, ", which lacks what was written before it, ");

    // The same of a copy that was made in two steps.
    for (from, to) in [("tidegate.db-wal", "copy-wal"), ("master.key", "copy.key")] {
        fs::copy(data.join(from), here.path().join(to)).unwrap();
    }
    let said = here.run(&["restore", "copy", "--data-dir", "elsewhere"]);
    assert_eq!(said.code, 1, "{said:?}");
    for part in ["copy-wal is not the log of ", "nothing was changed", "copy both again", "tidegate backup"] {
        assert!(said.err.contains(part), "{part}: {}", said.err);
    }

    assert_eq!(move_the_log_to(&here, "away"), [0, 13]);
    here.serve(&[]).stop();
}

#[test]
fn the_directory_that_was_looked_in_is_named_and_what_else_may_be_the_reason() {
    let here = Installation::new();
    let said = here.run(&["user", "list"]);
    let directory = here.path().canonicalize().unwrap().join("tidegate-data");
    assert!(said.err.contains(&format!("{}: no database tidegate.db", directory.display())), "{}", said.err);
    assert!(!said.err.contains("hint:"), "{}", said.err);
    let said = Said::of(here.command(&["user", "list"]).env("DATABASE_URL", "postgres://u:hunter2@h/d"));
    let hint = "\nhint: DATABASE_URL is set, but not read: write TIDEGATE_DATABASE=$DATABASE_URL\n";
    assert!(said.err.ends_with(hint) && !said.err.contains("hunter2"), "{}", said.err);
}

#[tokio::test]
async fn a_sqlite_database_is_served_by_one_process() {
    let here = Installation::new();
    let server = here.serve(&[]);
    let second = || {
        let said = here.run(&["serve", "--listen", "127.0.0.1:0"]);
        assert_eq!((said.code, said.out.as_str()), (1, ""), "{said:?}");
        said.err
    };
    let err = second();
    assert!(
        err.contains("is served already, by process ") && err.contains("stop that process first"),
        "{err}"
    );
    assert!(err.contains("--data-dir") && err.contains("PostgreSQL"), "{err}");
    // By another path, too.
    std::os::unix::fs::symlink(here.path().join("tidegate-data"), here.path().join("link")).unwrap();
    let said = here.run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", "link", "--json"]);
    assert_eq!(said.json()["error"]["code"], "already_served");
    // Commands run beside it.
    for arguments in [&["user", "list"][..], &["migrate"], &["doctor"], &["keys", "rotate"]] {
        assert_eq!(here.run(arguments).code, 0, "{arguments:?}");
    }
    assert_eq!(server.get("/readyz").await.0, 200, "the first one has noticed nothing");

    // Nothing is left behind that keeps the next one out.
    server.kill();
    here.serve(&[]).stop();
    here.serve(&[]).stop();
}

#[tokio::test]
async fn several_nodes_serve_one_postgresql() {
    let here = Installation::prepare(Engine::Postgres).await;
    let (one, other) = (here.serve(&[]), here.serve(&[]));
    assert_eq!((one.get("/readyz").await.0, other.get("/readyz").await.0), (200, 200));
    one.stop();
    other.stop();
}

/// The program as a user whom permissions hold: root may read and write everything, unless a capability is taken away.
#[expect(clippy::disallowed_methods, reason = "running programs is what these tests do")]
pub(crate) fn as_anybody(here: &Installation, arguments: &[&str]) -> Command {
    if !rustix::process::geteuid().is_root() {
        return here.command(arguments);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--bounding-set", "-dac_override,-dac_read_search", env!("CARGO_BIN_EXE_tidegate")])
        .args(arguments)
        .current_dir(here.path())
        .env_clear()
        .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
    command
}

/// Gives a file or directory to another user where we may, and takes all permissions from it.
pub(crate) fn close_off(path: &std::path::Path) {
    if rustix::process::geteuid().is_root() {
        chown(path, Some(12_345), Some(12_345)).unwrap();
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
}

#[test]
fn what_belongs_to_another_user_is_told_as_that() {
    let data = |here: &Installation| here.path().join("tidegate-data");
    for closed in ["", "tidegate.db"] {
        let here = Installation::new();
        here.begin();
        let path = data(&here).join(closed);
        close_off(&path);
        for arguments in
            [&["user", "list"][..], &["serve", "--listen", "127.0.0.1:0"], &["migrate"], &["org", "list"]]
        {
            let said = Said::of(&mut as_anybody(&here, arguments));
            assert_eq!(said.code, 1, "{closed} {arguments:?}: {said:?}");
            assert!(
                said.err.contains("may not be read and written by this user"),
                "{closed} {arguments:?}: {said:?}"
            );
            if rustix::process::geteuid().is_root() {
                assert!(
                    said.err.contains("belongs to user 12345") && said.err.contains("sudo -u"),
                    "{}",
                    said.err
                );
            }
            assert!(!said.err.contains("there is no"), "{}", said.err);
        }
        let said = Said::of(&mut as_anybody(&here, &["doctor"]));
        assert_eq!(said.code, 1, "{said:?}");
        assert!(
            said.out.contains("✗ database") && said.out.contains("may not be read and written"),
            "{}",
            said.out
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn what_may_only_be_read_is_told_as_that() {
    for closed in ["", "tidegate.db"] {
        let here = Installation::new();
        here.begin();
        let path = here.path().join("tidegate-data").join(closed);
        fs::set_permissions(&path, fs::Permissions::from_mode(if closed.is_empty() { 0o500 } else { 0o400 }))
            .unwrap();
        let said = Said::of(&mut as_anybody(&here, &["user", "list"]));
        assert_eq!(said.code, 1, "{closed}: {said:?}");
        assert!(said.err.contains("may not be read and written by this user"), "{closed}: {said:?}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn of_ones_own_directory_the_missing_permission_is_named_with_the_command_that_gives_it() {
    for (closed, mode, missing, command) in [
        ("", 0o000, "read (r) and to write (w) and to enter it (x)", "chmod u+rwx "),
        ("", 0o400, "write (w) and to enter it (x)", "chmod u+rwx "),
        ("", 0o600, "enter it (x)", "chmod u+rwx "),
        ("", 0o500, "write (w)", "chmod u+rwx "),
        ("tidegate.db", 0o000, "read (r) and to write (w)", "chmod u+rw "),
        ("tidegate.db", 0o400, "write (w)", "chmod u+rw "),
    ] {
        let here = Installation::new();
        here.begin();
        let path = here.path().join("tidegate-data").join(closed);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for arguments in [&["user", "list"][..], &["serve", "--listen", "127.0.0.1:0"], &["keys", "list"]] {
            let said = Said::of(&mut as_anybody(&here, arguments));
            assert_eq!(said.code, 1, "{mode:o} {arguments:?}: {said:?}");
            let lacks = format!("with mode {mode:04o}, which lacks the permission to {missing}; ");
            assert!(said.err.contains(&lacks), "{lacks} {arguments:?}: {}", said.err);
            let place = format!("tidegate-data{}{closed}`", if closed.is_empty() { "" } else { "/" });
            assert!(said.err.contains(command) && said.err.contains(&place), "{place}: {}", said.err);
            assert!(!said.err.contains("sudo"), "{}", said.err);
        }
        let said = Said::of(&mut as_anybody(&here, &["doctor"]));
        assert!(said.code == 1 && said.out.contains(command), "{mode:o}: {}", said.out);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn a_directory_of_queries_of_another_user_is_told_by_its_own_name() {
    let here = Installation::new();
    here.begin();
    let directory = here.path().join("tidegate-data/tidegate-spill");
    fs::create_dir(&directory).unwrap();
    close_off(&directory);
    let said = Said::of(&mut as_anybody(&here, &["doctor"]));
    let command = if rustix::process::geteuid().is_root() {
        "if the server is to run as this one, give it the files: `sudo chown -R 0 "
    } else {
        "`chmod u+rwx "
    };
    let denied = "tidegate-spill may not be read and written by this user (";
    for part in [denied, command, "data.queries.spill = 0"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_backup_into_a_directory_of_another_user_is_refused_before_anything_is_written() {
    let here = Installation::new();
    here.begin();
    let directory = here.path().join("theirs");
    fs::create_dir_all(directory.join("below")).unwrap();
    close_off(&directory);
    for file in ["theirs/x.db", "theirs/below/x.db"] {
        let said = Said::of(&mut as_anybody(&here, &["backup", file]));
        let denied = "of the backup may not be entered or written by this user (";
        assert!(said.code == 1 && said.err.contains(denied), "{file}: {said:?}");
        assert!(said.err.contains("name a file in another directory"), "{file}: {said:?}");
    }
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn a_key_or_configuration_that_may_not_be_read_is_not_told_as_missing() {
    let here = Installation::new();
    here.begin();
    let key = here.path().join("tidegate-data/master.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o000)).unwrap();
    let said = Said::of(&mut as_anybody(&here, &["user", "list"]));
    assert!(
        said.err.contains("master.key may not be read by this user") && said.err.contains("chmod u+rw "),
        "{}",
        said.err
    );
    let said = Said::of(&mut as_anybody(&here, &["doctor"]));
    assert!(said.out.contains("✗ master key") && said.out.contains("may not be read"), "{}", said.out);
    here.write("tidegate.toml", "");
    fs::set_permissions(here.path().join("tidegate.toml"), fs::Permissions::from_mode(0o000)).unwrap();
    let said = Said::of(&mut as_anybody(&here, &["user", "list"]));
    assert!(
        said.err.contains("tidegate.toml may not be read by this user") && said.err.contains("chmod u+rw "),
        "{}",
        said.err
    );
}

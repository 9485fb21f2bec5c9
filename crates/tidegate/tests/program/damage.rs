//! A database that is damaged in the middle: its header is whole, so that it can be opened.

use std::fs::OpenOptions;
use std::io::{Seek, SeekFrom, Write};

use serde_json::json;
use tidegate_database::DatabaseUrl;
use tidegate_testkit::{Engine, on_both_engines};

use crate::support::{Installation, PASSWORD};

/// What PostgreSQL says of a page whose checksum is wrong (SQLSTATE XX001).
const DATA_CORRUPTED: &str = "
    create function tell_of_damage() returns trigger language plpgsql as
        $$ begin raise exception 'invalid page in block 7 of relation base/5/16384' using errcode = 'XX001'; end $$;
    create trigger damaged before insert on organizations for each row execute function tell_of_damage()";

/// Damages the table of organizations, which no server reads before somebody signs up.
async fn damage(here: &Installation) {
    match here.database_url() {
        DatabaseUrl::Postgres(_) => {
            here.database().sql(DATA_CORRUPTED).await;
        }
        DatabaseUrl::Sqlite(path) => {
            let page = here
                .database()
                .sql_count("select rootpage from sqlite_master where name = 'organizations'")
                .await;
            let size = here.database().sql_count("select page_size from pragma_page_size").await;
            let mut file = OpenOptions::new().write(true).open(path).unwrap();
            file.seek(SeekFrom::Start(u64::try_from((page - 1) * size).unwrap())).unwrap();
            file.write_all(&vec![0x5a; usize::try_from(size).unwrap()]).unwrap();
            file.sync_all().unwrap();
        }
    }
}

on_both_engines! {
    async fn damage_that_a_server_meets_is_told_by_readiness_and_by_one_line_of_the_log(engine: Engine) {
        let here = Installation::with_database(engine).await;
        here.begin();
        damage(&here).await;
        let server = here.serve(&["--dev"]);
        assert_eq!(server.get("/readyz").await.0, 200, "{}", server.log());

        // Each contract's own words, twice: the second is no worse.
        for _ in 0..2 {
            let (status, answer) = server.sign_up("ada@example.com").await;
            assert_eq!((status, &answer["error"]["code"]), (500, &json!("INTERNAL_ERROR")), "{answer}");
            let body = json!({"email": "bob@example.com", "password": PASSWORD, "name": "Bob"});
            let (status, answer) = server.post("/api/v2/auth/register", body).await;
            assert_eq!((status, &answer["error"]["code"]), (500, &json!("INTERNAL_ERROR")), "{answer}");
        }
        for _ in 0..2 {
            let told = json!({"status": "unavailable", "reason": "the database is damaged"});
            assert_eq!(server.get("/readyz").await, (503, told));
        }
        assert_eq!(server.get("/healthz").await.0, 200, "the process itself is well");
        let log = server.log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("Until it is restarted")).collect();
        assert_eq!(lines.len(), 1, "{log}");
        let said = match engine {
            Engine::Sqlite => "stop the server, keep a copy of /",
            Engine::Postgres => "see the log of the PostgreSQL server",
        };
        assert!(lines[0].contains("the database is damaged: ") && lines[0].contains(said), "{}", lines[0]);
        assert!(lines[0].contains("\"level\":\"ERROR\"") && lines[0].contains("restore your backup"), "{}", lines[0]);
        assert!(!log.contains("panicked") && !log.contains("sqlite3 FILE"), "{log}");
        // Every error after it is short.
        assert_eq!(log.matches("restore your backup").count(), 1, "{log}");
        server.stop();

        // Only a restart makes it ready again; the next request that meets the damage ends that.
        let server = here.serve(&["--dev"]);
        assert_eq!(server.get("/readyz").await.0, 200, "{}", server.log());
        server.stop();
    }
}

#[tokio::test]
async fn damaged_pages_are_found_by_doctor_before_anybody_meets_them() {
    let here = Installation::with_database(Engine::Sqlite).await;
    here.begin();
    let said = here.run(&["doctor"]);
    assert!(said.code == 0 && said.out.contains("are whole ("), "{}", said.out);
    damage(&here).await;
    let said = here.run(&["doctor"]);
    assert_eq!(said.code, 1, "{}", said.out);
    for part in [
        "✗ database",
        "the database is damaged: ",
        "page",
        "restore your backup",
        ".db .recover | sqlite3 ",
        ".dump | sed 's/^ROLLBACK;.*/COMMIT;/' | sqlite3 ",
        ".db.recovered 'pragma integrity_check; select count(*) from accounts'` answers ok",
        "`mv ",
        "keep a copy",
    ] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    // A backup of it is none.
    let said = here.run(&["backup", "--without-key", "copy.db"]);
    assert_eq!(said.code, 1, "{said:?}");
    assert!(said.err.contains("the database is damaged"), "{}", said.err);
    assert!(!said.err.contains("/readyz"), "a command is no server: {}", said.err);
}

//! `tidegate source`, and a server that watches its sources.

use std::io::Read;
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use serde_json::json;
use tidegate_testkit::{Engine, TestDatabase, eventually, on_both_engines};
use tokio::net::TcpStream;

use crate::member;
use crate::support::{Installation, Said, Server};

/// What a terminal shows while a data source is discovered.
const DISCOVERING: &str = "discovering the tables of the data source";

/// A server whose sources may be on this machine, and whose tokens live on when it is started again.
fn serve(here: &Installation) -> Server {
    here.serve_with(&["--dev"], |command: &mut Command| {
        command.env("TIDEGATE_DATA__ALLOW_PRIVATE_NETWORKS", "true");
    })
}

/// A way to a server, on which so many connections come through, and all after them wait for ever.
struct Way {
    port: u16,
    came: Arc<AtomicUsize>,
    through: Arc<AtomicI64>,
}

impl Way {
    async fn to(there: u16) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let way = Self { port, came: Arc::default(), through: Arc::default() };
        let (came, through) = (Arc::clone(&way.came), Arc::clone(&way.through));
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let is_through = through.fetch_sub(1, Ordering::SeqCst) > 0;
                came.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    if !is_through {
                        std::future::pending::<()>().await;
                    }
                    let mut far = TcpStream::connect(("127.0.0.1", there)).await.unwrap();
                    drop(tokio::io::copy_bidirectional(&mut near, &mut far).await);
                });
            }
        });
        way
    }

    /// Lets so many of those through that come from now on.
    fn open_for(&self, connections: i64) {
        self.through.store(connections, Ordering::SeqCst);
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }
}

/// Waits until a job is in the middle of its work: it runs, and so many connections were made in all.
async fn in_the_middle(here: &Installation, way: &Way, job: &str, connections: usize) {
    let running = format!("select count(*) from jobs where name = '{job}' and state = 'running'");
    eventually(job, async || {
        let is_running = here.database().sql_count(&running).await == 1;
        (is_running && way.came() == connections).then_some(())
    })
    .await;
}

on_both_engines! {
    async fn a_temporary_directory_that_is_not_there_is_the_operators_matter(here: Installation) {
        let server = here.serve(&[]);
        assert!(!server.log().contains("TMPDIR"), "{}", server.log());
        let token = member::token(&here, &server).await;
        let number = member::csv_source(&here, &server, &token, "Goods", "id,name\n1,tea\n").await;
        let tables = "select table_name from information_schema.tables";
        let tables = here.json(&["query", "--as", member::ADA, "--source", &number.to_string(), tables]);
        let table = tables["rows"][0]["table_name"].as_str().unwrap_or_else(|| panic!("{tables}")).to_owned();
        server.stop();
        let missing = here.path().join("missing").display().to_string();
        let run = |arguments: &[&str]| Said::of(here.command(arguments).env("TMPDIR", &missing));
        assert!(here.output(&["source", "test", "Goods"]).contains("It answers"));
        let tested = run(&["source", "test", "Goods"]);
        assert!(tested.out.contains("This server cannot write its temporary files"), "{tested:?}");
        assert!(!tested.out.contains("The file cannot be read"), "{tested:?}");
        for part in ["ERROR", missing.as_str(), "No such file or directory", "TMPDIR"] {
            assert!(tested.err.contains(part), "{part}: {tested:?}");
        }
        assert!(here.output(&["doctor"]).contains(" temporary files "));
        let doctor = run(&["doctor"]);
        assert!(doctor.code == 1 && doctor.out.contains("✗ temporary files"), "{doctor:?}");
        assert!(doctor.out.contains(&missing) && doctor.out.contains("TMPDIR"), "{doctor:?}");
        let server = here.serve_with(&[], |command: &mut Command| {
            command.env("TMPDIR", &missing);
        });
        server.logs(&format!("{missing}, where temporary files are to be"));
        // Who asks reads first what this server lacks, and not that the source is silent.
        let token = member::sign_in(&server).await;
        let body = json!({ "sql": format!("select name from \"{table}\""), "selected_data_source_ids": [number] });
        let asked = member::post(&server, &token, "queries/execute", &body).await;
        assert_eq!(asked["error_code"], "source_unavailable", "{asked}");
        let said = asked["error_message"].as_str().unwrap_or_else(|| panic!("{asked}"));
        assert!(said.starts_with("This server cannot write its temporary files"), "{said}");
        assert!(said.ends_with("cannot be read until then (LOCAL_DISK)."), "{said}");
        assert!(!said.contains(&missing) && !said.contains("does not answer"), "{said}");
        server.logs("temporary files cannot be written");
        server.stop();
    }

    async fn an_operator_lists_tests_pauses_and_deletes_sources(here: Installation) {
        let server = here.serve(&[]);
        member::create(&here);
        assert_eq!(here.json(&["source", "list"]), json!([]));
        let token = member::sign_in(&server).await;
        // Somebody listens there, which nobody is told: the address is not public.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let body = json!({
            "name": "Sales", "type": "postgresql", "host": "127.0.0.1", "port": listener.local_addr().unwrap().port(),
            "database_name": "sales", "max_retries": 0, "credentials": { "username": "ada", "password": "Planted-secret-9" },
        });
        let number = member::post(&server, &token, "data-sources", &body).await["id"].to_string();
        let shown = || here.json(&["source", "show", &number]);
        // The server's own job tests it.
        eventually("it is tested", async || (shown()["status"] == "failed").then_some(())).await;
        assert!(shown()["failure_reason"].is_string());
        assert_eq!(here.json(&["source", "list"])[0]["slug"], "sales");
        assert!(here.output(&["source", "list"]).contains("Sales"));
        let text = here.output(&["source", "show", &number]) + &shown().to_string();
        assert!(text.contains("127.0.0.1") && !text.contains("Planted"), "{text}");
        let tested = here.run(&["source", "test", &number, "--json"]);
        assert_eq!(tested.code, 1, "a script has to see it: {tested:?}");
        let tested = tested.json();
        assert_eq!((&tested["connection_successful"], &tested["error_code"]), (&json!(false), &json!("CONNECTION_ERROR")));
        // Members are told nothing of the network; the operator is told what to do, by the name in SQL, too.
        let advice = r#"127.0.0.1 is in a network that data sources may not be in; add "127.0.0.1/32" to data.allowed_networks, and restart"#;
        assert!(!tested["error_message"].as_str().unwrap().contains("127.0.0.1"), "{tested}");
        assert_eq!(tested["detail"], advice);
        let said = here.run(&["source", "test", "sales"]);
        assert!(said.code == 1 && said.out.contains("It does not answer.") && said.out.contains(advice), "{said:?}");
        assert_eq!(here.json(&["source", "show", "sales"])["number"].to_string(), number);
        let nobody = here.run(&["source", "show", "sails", "--json"]);
        assert_eq!(nobody.json()["error"]["code"], "not_found", "{nobody:?}");
        server.logs("data.allowed_networks");
        assert_eq!(here.json(&["source", "pause", &number])["status"], "maintenance");
        assert_eq!(here.json(&["source", "resume", &number])["status"], "testing");
        let refused = here.run(&["source", "discover", "sales"]);
        assert!(refused.code != 0 && refused.err.contains(advice), "{refused:?}");
        assert_eq!(here.run(&["source", "delete", &number, "--json"]).code, 2);
        assert_eq!(here.json(&["source", "delete", &number, "--yes"])["deleted"], true);
        assert_eq!(here.json(&["source", "restore", &number])["slug"], "sales");
        assert_eq!(here.json(&["source", "delete", &number, "--force", "--yes"])["deleted"], true);
        let unknown = here.run(&["source", "show", &number, "--json"]);
        assert_eq!((unknown.code, unknown.json()["error"]["code"].as_str()), (1, Some("not_found")), "{}", unknown.out);
        assert!(!server.log().contains("Planted"), "{}", server.log());
        server.stop();
    }

    async fn an_operator_tests_and_discovers_an_uploaded_file(engine: Engine) {
        let here = Installation::with_database(engine).await;
        let server = serve(&here);
        let token = member::token(&here, &server).await;
        let path = member::upload(&server, &token, "goods.csv", b"id,name\n1,tea\n").await;
        let body = json!({ "name": "Goods", "type": "csv", "file_path": path });
        let number = member::post(&server, &token, "data-sources", &body).await["id"].to_string();
        let tested = here.json(&["source", "test", &number]);
        assert_eq!(tested["connection_successful"], true, "{tested}");
        let found = here.json(&["source", "discover", &number]);
        assert_eq!((&found["tables"], &found["columns"]), (&json!(1), &json!(2)), "{found}");
        let said = here.run(&["source", "discover", &number]);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.out.contains("1 tables with 2 columns") && said.out.contains("SCHEMA"), "{said:?}");
        // Where no terminal is, there are lines and nothing that moves.
        for shown in [&said.out, &said.err] {
            assert!(!shown.contains(['\r', '\u{1b}']) && !shown.contains(DISCOVERING), "{said:?}");
        }
        assert_eq!(here.json(&["source", "show", &number])["status"], "active");
        server.stop();
        // What the last discovery had found and this one does not is said.
        let lost = "insert into data_tables (generation_id, schema_name, place, name, kind, columns)
            select generation_id, name, 99, 'lost', 'BASE TABLE', '[]' from data_schemas";
        here.database().sql(lost).await;
        let found = here.json(&["source", "discover", &number]);
        let warned = found["warnings"][0].as_str().unwrap_or_else(|| panic!("{found}"));
        assert!(warned.contains("lost. If it should be there, grant select on it"), "{warned}");
        let again = here.json(&["source", "discover", &number]);
        assert_eq!(again["warnings"], json!([]), "{again}");
    }

    // Whoever looks at a terminal sees that it goes on, and at its end nothing of that but what came of it.
    async fn a_discovery_that_takes_its_time_is_seen_on_a_terminal(here: Installation) {
        let server = here.serve(&[]);
        let token = member::token(&here, &server).await;
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let body = json!({
            "name": "Silent", "type": "postgresql", "host": "127.0.0.1", "port": silent.local_addr().unwrap().port(),
            "database_name": "silent", "max_retries": 0, "credentials": { "username": "ada", "password": "p" },
        });
        let number = member::post(&server, &token, "data-sources", &body).await["id"].to_string();
        server.stop();
        let discover = format!("exec '{}' source discover {number}", env!("CARGO_BIN_EXE_tidegate"));
        // It runs the command on a terminal of its own, and writes down what is shown there.
        let mut command = here.command_of("script");
        command.args(["--quiet", "--return", "--flush", "--command", &discover, "/dev/null"]);
        command.env("TERM", "xterm").env("TIDEGATE_DATA__ALLOW_PRIVATE_NETWORKS", "true");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = process.stdout.take().unwrap();
        let (mut shown, mut bytes) = (String::new(), [0; 4096]);
        while !shown.contains(DISCOVERING) {
            let count = out.read(&mut bytes).unwrap();
            assert!(count > 0, "it ended: {shown:?}");
            shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        // Nobody is there any more.
        drop(silent);
        let mut rest = Vec::new();
        out.read_to_end(&mut rest).unwrap();
        shown.push_str(&String::from_utf8_lossy(&rest));
        assert!(!process.wait().unwrap().success(), "{shown:?}");
        // What clears a line comes after the last picture of it, and then the answer.
        let cleared = shown.rfind("\u{1b}[2K").unwrap_or_else(|| panic!("{shown:?}"));
        assert!(shown[cleared..].contains("error: ") && !shown[cleared..].contains(DISCOVERING), "{shown:?}");
    }

    // The source is asked and does not answer: the server is in the middle of its work when it is killed, and does it again.
    async fn killed_in_the_middle_of_a_test_and_of_a_discovery_it_does_them_again(engine: Engine) {
        let here = Installation::with_database(engine).await;
        let source = TestDatabase::empty(Engine::Postgres).await;
        source.sql("create table orders (id bigint primary key)").await;
        let url = reqwest::Url::parse(&source.postgres_url()).unwrap();
        let way = Way::to(url.port().unwrap()).await;
        let server = serve(&here);
        let token = member::token(&here, &server).await;
        let body = json!({
            "name": "Sales", "type": "postgresql", "host": "127.0.0.1", "port": way.port, "max_retries": 0,
            "connection_timeout": 60, "database_name": url.path().trim_start_matches('/'),
            "credentials": { "username": url.username(), "password": url.password().unwrap_or_default() },
        });
        member::post(&server, &token, "data-sources", &body).await;
        in_the_middle(&here, &way, "data source tests", 1).await;
        server.kill();
        let status = "select count(*) from data_sources where status = 'testing' and failure_count = 0";
        assert_eq!(here.database().sql_count(status).await, 1);

        // The test comes through, the discovery does not. The dead server's lease would run out half a minute later.
        way.open_for(1);
        here.database().sql("update jobs set leased_until = 0 where state = 'running'").await;
        let server = serve(&here);
        in_the_middle(&here, &way, "data source discoveries", 3).await;
        let status = "select count(*) from data_sources where status = 'active' and schema_discovered_at is null";
        assert_eq!(here.database().sql_count(status).await, 1);
        server.kill();

        way.open_for(i64::MAX);
        here.database().sql("update jobs set leased_until = 0 where state = 'running'").await;
        let server = serve(&here);
        let known = "select count(*) from data_sources where schema_discovered_at is not null";
        eventually("the tables are known", async || (here.database().sql_count(known).await == 1).then_some(())).await;
        assert_eq!(here.database().sql_count("select count(*) from data_tables where name = 'orders'").await, 1);
        assert_eq!(here.database().sql_count("select count(*) from data_generations").await, 1);
        let checks = "select count(*) from data_source_checks where status = 'active'";
        assert_eq!(here.database().sql_count(checks).await, 1, "what was cut off is not noted");
        server.stop();
    }
}

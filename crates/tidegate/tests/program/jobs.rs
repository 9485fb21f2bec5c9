//! `tidegate jobs`

use serde_json::json;
use tidegate_domain::Timestamp;
use tidegate_testkit::{Engine, eventually, on_both_engines};

use crate::support::Installation;

impl Installation {
    /// Two jobs that were given up; answers their numbers.
    async fn dead_jobs(&self) -> (String, String) {
        let database = self.database();
        let [one, two] = [1, 2].map(|id| database.sql_uuid(uuid::Uuid::from_u128(id)));
        let now = Timestamp::from_seconds(1_800_000_000).micros();
        // Any bytes of the engine's own kind will do.
        let payload = "(select sealed from signing_keys limit 1)";
        let rest = format!(
            "'of a newer version', {payload}, false, false, 'dead', 10, 10, {now}, 0, 'no boxes', {now}"
        );
        database
            .sql(&format!(
                "insert into jobs (id, name, payload, sealed, scheduled, state, attempts, claims, run_at, leased_until,
                    last_error, created_at)
                 values ({one}, {rest}), ({two}, {rest})"
            ))
            .await;
        let listed = self.json(&["jobs", "list", "--state", "dead"]);
        assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
        (listed[1]["number"].to_string(), listed[0]["number"].to_string())
    }
}

on_both_engines! {
    async fn a_dead_job_is_listed_retried_and_dropped(engine: Engine) {
        let here = Installation::with_database(engine).await;
        here.begin();
        assert_eq!(here.output(&["jobs", "list", "--state", "dead"]), "There are no such jobs.");
        let (one, two) = here.dead_jobs().await;
        let listed = here.json(&["jobs", "list", "--state", "dead"]);
        let expected = json!({
            "number": one.parse::<i64>().unwrap(), "name": "of a newer version", "state": "dead", "scheduled": false,
            "dedupe_key": null, "attempts": 10, "created_at": "2027-01-15T08:00:00Z", "run_at": "2027-01-15T08:00:00Z",
            "leased_until": null, "last_error": "no boxes",
        });
        assert_eq!(listed[1], expected);
        let table = here.output(&["jobs", "list"]);
        assert!(table.starts_with("NUMBER  STATE  ATTEMPTS  JOB") && table.contains("no boxes"), "{table}");

        assert_eq!(here.output(&["jobs", "retry", &one]), format!("Job {one} is tried again."));
        assert_eq!(here.json(&["jobs", "list", "--state", "pending"])[0]["attempts"], 0);
        assert_eq!(here.output(&["jobs", "drop", &two]), format!("Job {two} is removed."));
        for command in ["retry", "drop"] {
            let said = here.run(&["jobs", command, &one]);
            assert_eq!(said.code, 1);
            assert!(said.err.contains("is not dead or does not exist"), "{}", said.err);
        }
        assert_eq!(here.json(&["jobs", "list"]).as_array().map(Vec::len), Some(1));
    }

    // The jobs were put off by a clock that was right; the one that looks at them now is a day behind.
    async fn a_clock_that_is_behind_is_told_once_and_blamed_on_no_other_node(engine: Engine) {
        let here = Installation::with_database(engine).await;
        let server = here.serve(&["--dev"]);
        eventually("the schedules are there", async || {
            (here.json(&["jobs", "list"]).as_array().map(Vec::len) == Some(8)).then_some(())
        })
        .await;
        server.stop();
        here.database().sql("update jobs set run_at = run_at + 86400000000 where scheduled").await;
        let server = here.serve(&["--dev"]);
        let told = eventually("the clock is told", async || {
            let log = server.log();
            log.lines().find(|line| line.contains("this machine's clock, ")).map(str::to_owned)
        })
        .await;
        assert!(told.contains("\"level\":\"ERROR\"") && told.contains("than what the database has seen, "), "{told}");
        let log = server.stop_and_tell();
        assert_eq!(log.matches("this machine's clock, ").count(), 1, "{log}");
        assert!(!log.contains("a node's clock"), "{log}");
    }

    async fn a_server_schedules_its_jobs_and_measures_them(here: Installation) {
        let server = here.serve(&["--dev"]);
        let names = eventually("the schedules are there", async || {
            let jobs = here.json(&["jobs", "list"]);
            let names: Vec<String> =
                jobs.as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect();
            (names.len() == 8).then_some(names)
        })
        .await;
        let newest_first = [
            "prompt sums", "lost prompts", "data source schedule", "storage orphans", "storage settling", "broker events",
            "brokerage standings", "prune",
        ];
        assert_eq!(names, newest_first);
        tidegate_testkit::eventually("attempts are measured", async || {
            let count = server.metric("tidegate_job_duration_seconds_count{job=\"measurement\",result=\"done\"}").await;
            (count >= 1.0).then_some(())
        })
        .await;
        server.stop();
    }
}

//! Whether somebody is known here is not to be told from how long an answer takes.
//!
//! What can be judged is judged by structure: the same statements, as many hashes. How long they took is printed for a
//! person to look at (`cargo nextest run timing --no-capture`); a test that failed by the clock would fail by chance.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_testkit::{Engine, TestApp, eventually, on_both_engines};

use crate::watch::{Log, hash_thread_switches};

const TRIES: usize = 200;

/// A question asked about an address: `ada@example.com` is known, any other is not.
struct Question {
    path: &'static str,
    body: fn(&str) -> Value,
}

const QUESTIONS: [(&str, Question); 3] = [
    ("RiverGen login", Question { path: "/api/v1/auth/login", body: with_password }),
    ("IngestIQ login", Question { path: "/api/v2/auth/login", body: with_password }),
    (
        "forgot-password",
        Question { path: "/api/v1/auth/forgot-password", body: |email| json!({ "email": email }) },
    ),
];

fn with_password(email: &str) -> Value {
    json!({ "email": email, "password": "Wrong-password-1" })
}

impl Question {
    async fn ask(&self, app: &TestApp, email: &str) -> (u16, Duration) {
        let request = app.post(self.path).json(&(self.body)(email));
        let asked = Instant::now();
        let answer = request.send().await;
        (answer.status, asked.elapsed())
    }
}

/// The application, without limits, with Ada known to it.
async fn start(engine: Engine) -> TestApp {
    let app = TestApp::builder(engine).without_limits().start().await;
    app.sign_up_rivergen_verified("ada@example.com").await;
    app
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Median and median absolute deviation, in microseconds.
fn summary(times: &[Duration]) -> (f64, f64) {
    let times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e6).collect();
    let middle = median(times.clone());
    (middle, median(times.iter().map(|time| (time - middle).abs()).collect()))
}

/// The statements a log tells of, in order, without what came of them.
pub(crate) fn statements(lines: &[String]) -> Vec<String> {
    // SQLite's thread may write the line of the commit a moment after the answer.
    let is_query = |line: &&String| {
        line.contains("sqlx::query")
            && !line.contains("commit\" db.statement")
            // A connection more was opened.
            && !line.contains("PRAGMA")
    };
    let queries = lines.iter().filter(is_query);
    queries.map(|line| line.split(" rows_affected=").next().unwrap_or_default().to_owned()).collect()
}

on_both_engines! {
    async fn known_and_unknown_addresses_cost_the_same_statements_and_a_hash_each(engine: Engine) {
        let log = Log::listen();
        let app = start(engine).await;
        for (name, question) in QUESTIONS {
            let hashes = name != "forgot-password";
            let mut costs = Vec::new();
            // The first one only warms up.
            for email in ["ada@example.com", "ada@example.com", "eve@example.com"] {
                let (before, switches) = (log.lines().len(), hash_thread_switches());
                let (status, _) = question.ask(&app, email).await;
                assert_eq!(status, if hashes { 401 } else { 200 });
                costs.push(statements(&log.lines()[before..]));
                if hashes {
                    // Its thread goes to rest a moment after the answer.
                    let worked = || std::future::ready((hash_thread_switches() > switches).then_some(()));
                    eventually("a hash", worked).await;
                }
            }
            let [_, known, unknown] = costs.try_into().unwrap();
            assert!(known.len() >= 3, "{name}: {known:?}");
            assert_eq!(known, unknown, "{name}: an unknown address shows in the statements");
        }
    }

    async fn a_report_of_how_long_it_takes(engine: Engine) {
        let app = start(engine).await;
        let mut report = Vec::new();
        for (name, question) in QUESTIONS {
            let (mut known, mut unknown) = (Vec::new(), Vec::new());
            // Interleaved, so that what slows the machine down slows both; in turns, so that neither always comes first.
            for number in 0..TRIES {
                let stranger = format!("eve{number}@example.com");
                if number % 2 == 0 {
                    known.push(question.ask(&app, "ada@example.com").await.1);
                    unknown.push(question.ask(&app, &stranger).await.1);
                } else {
                    unknown.push(question.ask(&app, &stranger).await.1);
                    known.push(question.ask(&app, "ada@example.com").await.1);
                }
            }
            let ((known, known_noise), (unknown, unknown_noise)) = (summary(&known), summary(&unknown));
            report.push(format!(
                "{engine:?} {name}: known {known:.0} us (MAD {known_noise:.0}), \
                 unknown {unknown:.0} us (MAD {unknown_noise:.0}), difference {:+.0} us",
                known - unknown,
            ));
        }
        println!("{}", report.join("\n"));
        assert_eq!(report.len(), QUESTIONS.len());
    }
}

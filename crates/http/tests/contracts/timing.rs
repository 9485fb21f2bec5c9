//! Whether somebody is known here is not to be told from how long an answer takes.
//!
//! What can be judged is judged by structure: the same statements, as many hashes. How long they took is printed for a
//! person to look at (`cargo nextest run timing --no-capture`); a test that failed by the clock would fail by chance.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidegate_testkit::{Engine, TestApp, eventually, on_both_engines};

use crate::riven::wire::ADA;
use crate::watch::{Log, hash_thread_switches};

const TRIES: usize = 200;

/// A question asked about somebody: Ada is known, strangers are not.
struct Question {
    path: &'static str,
    body: fn(&str) -> Value,
    known: &'static str,
    stranger: fn(usize) -> String,
    /// What both are answered; with 401 after a hash.
    status: u16,
}

const QUESTIONS: [(&str, Question); 4] = [
    ("RiverGen login", about_an_address("/api/v1/auth/login", with_password, 401)),
    ("IngestIQ login", about_an_address("/api/v2/auth/login", with_password, 401)),
    (
        "forgot-password",
        about_an_address("/api/v1/auth/forgot-password", |email| json!({ "email": email }), 200),
    ),
    (
        "login/send-code",
        Question {
            path: "/api/v1/login/send-code",
            body: |phone| json!({ "phone": phone }),
            known: ADA,
            stranger: |number| format!("+2547000{number:05}"),
            status: 200,
        },
    ),
];

const fn about_an_address(path: &'static str, body: fn(&str) -> Value, status: u16) -> Question {
    let stranger = |number| format!("eve{number}@example.com");
    Question { path, body, known: "ada@example.com", stranger, status }
}

fn with_password(email: &str) -> Value {
    json!({ "email": email, "password": "Wrong-password-1" })
}

impl Question {
    async fn ask(&self, app: &TestApp, whom: &str) -> (u16, Duration) {
        let request = app.post(self.path).json(&(self.body)(whom));
        let asked = Instant::now();
        let answer = request.send().await;
        (answer.status, asked.elapsed())
    }
}

/// The application, without limits, with Ada known to it.
async fn start(engine: Engine) -> TestApp {
    let app = TestApp::builder(engine).without_limits().start().await;
    app.sign_up_rivergen_verified("ada@example.com").await;
    app.register_phone(ADA).await;
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
            // PostgreSQL: what an answer leaves undone is undone once the answer is on its way.
            && !line.contains("rollback\" db.statement")
            // A connection more was opened.
            && !line.contains("PRAGMA")
            // What did not fail is given back once the answer is on its way.
            && !line.contains("rate_limit_buckets.count - excluded.count")
    };
    // What changed, in an announcement, is a key that was made just now.
    let shown = |line: &String| {
        let line = line.split(" rows_affected=").next().unwrap_or_default();
        line.split("::regnamespace::oid, '").next().unwrap_or_default().to_owned()
    };
    lines.iter().filter(is_query).map(shown).collect()
}

on_both_engines! {
    async fn known_and_unknown_people_cost_the_same_statements_and_a_hash_each(engine: Engine) {
        let log = Log::listen();
        let app = start(engine).await;
        for (name, question) in QUESTIONS {
            let hashes = question.status == 401;
            let mut costs = Vec::new();
            // The first one only warms up.
            for whom in [question.known, question.known, &(question.stranger)(0)] {
                let (before, switches) = (log.lines().len(), hash_thread_switches());
                let verified = app.identity().password_verifications();
                let (status, _) = question.ask(&app, whom).await;
                assert_eq!(status, question.status);
                let mut cost = statements(&log.lines()[before..]);
                // Giving back begins a unit of its own, perhaps by now.
                cost.pop_if(|last| last.contains("summary=\"begin"));
                let mut efforts = app.identity().password_verifications();
                efforts.iter_mut().for_each(|(effort, times)| *times -= verified.get(effort).unwrap_or(&0));
                assert_eq!(efforts.values().sum::<u64>(), u64::from(hashes), "{name}: {efforts:?}");
                costs.push((cost, efforts));
                if hashes {
                    // Its thread goes to rest a moment after the answer.
                    let worked = || std::future::ready((hash_thread_switches() > switches).then_some(()));
                    eventually("a hash", worked).await;
                }
            }
            let [_, known, unknown] = costs.try_into().unwrap();
            assert!(known.0.len() >= 3, "{name}: {known:?}");
            assert_eq!(known, unknown, "{name}: an unknown address shows in the statements or in the cost of the hash");
        }
    }

    async fn a_report_of_how_long_it_takes(engine: Engine) {
        let app = start(engine).await;
        let mut report = Vec::new();
        for (name, question) in QUESTIONS {
            let (mut known, mut unknown) = (Vec::new(), Vec::new());
            // Interleaved, so that what slows the machine down slows both; in turns, so that neither always comes first.
            for number in 0..TRIES {
                let stranger = (question.stranger)(number);
                if number % 2 == 0 {
                    known.push(question.ask(&app, question.known).await.1);
                    unknown.push(question.ask(&app, &stranger).await.1);
                } else {
                    unknown.push(question.ask(&app, &stranger).await.1);
                    known.push(question.ask(&app, question.known).await.1);
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

//! What requests cost in memory, measured on the program itself.

use std::process::Command;

use serde_json::{Value, json};
use tidegate_testkit::{concurrently, on_both_engines};

use crate::support::{Installation, Server};

/// Most memory the program may ever take in these stories, in KiB. Without bounds on what a body or a document becomes, they
/// took 900 to 2,800 MiB.
const MOST_KIB: u64 = 200 * 1024;

fn serve(here: &Installation) -> Server {
    here.serve_with(&[], |command: &mut Command| {
        command.env("TIDEGATE_PASSWORD_HASH__COST", "4").env("TIDEGATE_LOG__FILTER", "error");
        for limit in ["ANONYMOUS_REQUESTS", "SIGN_IN_BY_IP"] {
            command.env(format!("TIDEGATE_CROSSING_MINDS__LIMITS__{limit}__ATTEMPTS"), "0");
        }
    })
}

/// Asserts that the program never took more than it may.
#[track_caller]
fn assert_modest(server: &Server, story: &str) {
    let peak = server.peak_memory_kib();
    assert!(peak < MOST_KIB, "{story}: {} MiB", peak / 1024);
}

/// A body whose field is an array of the values that take the most memory for their length.
fn dense(field: &str, values: usize) -> String {
    format!(
        "{{\"email\":\"ada@example.com\",\"password\":\"x\",\"{field}\":[{}0]}}",
        "{\"\":0},".repeat(values)
    )
}

/// Sends the body 30 times at once. The program answers, or closes the connection on a body it does not read.
async fn send_thirty(server: &Server, path: &str, body: &str) {
    let url = format!("{}{path}", server.base);
    let statuses = concurrently(30, |_| {
        let request = server.http.post(&url).header("content-type", "application/json").body(body.to_owned());
        async move { request.send().await.ok().map(|answer| answer.status().as_u16()) }
    })
    .await;
    let refused = |status: &u16| matches!(status, 400 | 401 | 403 | 413 | 422 | 429 | 503);
    assert!(statuses.iter().flatten().all(refused), "{path}: {statuses:?}");
}

on_both_engines! {
    async fn thirty_anonymous_bodies_of_a_mebibyte_take_little_memory(here: Installation) {
        let server = serve(&here);
        for (path, field) in [
            ("/v1/login/individual/", "frontend_user_id"),
            ("/v1/login/individual/", "email"),
            ("/v1/login/service/", "frontend_session_id"),
            ("/api/v1/auth/login", "workspace_id"),
            ("/api/v1/auth/signup", "unknown"),
            ("/api/v2/auth/login", "password2"),
            ("/api/v1/auth/enter-phone", "phone"),
        ] {
            // A mebibyte; as many bytes as are read; as many values as are read.
            for values in [149_000, 9_300, 2_700] {
                send_thirty(&server, path, &dense(field, values)).await;
                assert_modest(&server, &format!("{path} {field} {values}"));
            }
        }
        server.stop();
    }

    async fn lists_of_large_documents_take_little_memory(here: Installation) {
        let made = here.json(&["org", "create", "--new", "--name", "Acme", "--root-email", "root@acme.example"]);
        let server = serve(&here);
        let credentials = json!({"email": "root@acme.example", "password": made["password"]});
        let (status, answer) = server.post("/v1/login/individual/", credentials).await;
        assert_eq!(status, 200, "{answer}");
        let token = answer["token"].as_str().unwrap();
        let nodes: Value = (0..2_500).map(|_| json!({"": 0})).collect();
        let metadata = json!({"dense": nodes, "long": "x".repeat(47_000)});
        assert!((60_000..65_536).contains(&metadata.to_string().len()));
        for number in 0..60 {
            let program = json!({"name": format!("export {number}"), "role": "backend", "metadata": metadata});
            let database = json!({
                "name": format!("films {number}"), "description": "", "item_id_type": "uuid", "user_id_type": "uuid",
                "metadata": metadata,
            });
            for (path, body) in [("accounts/service/", program), ("databases/", database)] {
                let request = server.http.post(format!("{}/v1/{path}", server.base)).bearer_auth(token).json(&body);
                let answer = request.send().await.unwrap();
                assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap());
            }
        }
        for (path, expected) in [("organizations/current/accounts/", 3_700_000), ("databases/?amt=256", 5_000)] {
            let url = format!("{}/v1/{path}", server.base);
            let lengths = concurrently(8, |_| {
                let request = server.http.get(&url).bearer_auth(token);
                async move { request.send().await.unwrap().bytes().await.unwrap().len() }
            })
            .await;
            assert!(lengths.iter().all(|length| *length > expected), "{path}: {lengths:?} {}", server.log());
            assert_modest(&server, path);
        }
        server.stop();
    }
}

//! A refused caller is told to wait; the operator is told which limit that was.

use serde_json::{Value, json};
use tidegate_testkit::{Engine, PASSWORD, TestApp, on_both_engines};

use crate::watch::Log;

/// A route, the body of its nth request, and the key that limits it.
type Limited<'a> = (&'a str, &'a dyn Fn(usize) -> Value, &'a str);

on_both_engines! {
    async fn every_429_is_logged_with_the_key_of_its_limit(engine: Engine) {
        let log = Log::listen();
        let app = TestApp::start(engine).await;
        let login = json!({ "email": "ada@example.com", "password": PASSWORD });
        let sign_up = |number: usize| json!({ "email": format!("ada{number}@example.com"), "password": PASSWORD });
        let phone = |_: usize| json!({ "phone": "+254712345678" });
        let bodies: [Limited<'_>; 3] = [
            ("/api/v1/auth/signup", &sign_up, "rivergen.limits.sign_up_by_ip"),
            ("/api/v1/auth/login", &|_| login.clone(), "rivergen.limits."),
            ("/api/v1/auth/enter-phone", &phone, "phone.limits.by_phone_at_once"),
        ];
        for (path, body, key) in bodies {
            let mut refused = false;
            for number in 0..40 {
                let answer = app.post(path).json(&body(number)).send().await;
                refused = answer.status == 429;
                if refused {
                    break;
                }
            }
            assert!(refused, "{path}");
            let lines = log.lines();
            let said = |line: &&String| line.contains("answered") && line.contains("429") && line.contains(key);
            assert!(lines.iter().any(|line| said(&line)), "{path}: {key}");
        }
    }
}

//! What is nobody's business is nowhere, however much is logged.

use std::path::PathBuf;

use serde_json::{Value, json};
use tidegate_broker::testing::{Endpoint, Fault, StubBroker};
use tidegate_database::DatabaseUrl;
use tidegate_testkit::{Engine, Fixture, eventually, on_both_engines};

use super::gateway::{Gateway, Says, code_in};
use super::texts::{TAKEN, by_webhook};
use super::walk::walk;
use super::{
    BORN, PHONE, TAX_ID, WITHOUT_LIMITS, application, apply, ask_for_code, brokered_by, confirm, profile,
};
use crate::support::{Installation, Server};

const PASSPORT: &str = "%PDF-1.7\nnobody but the broker reads this passport";

/// An installation that logs all it can.
struct Talkative(Installation, Engine);

impl Fixture for Talkative {
    async fn prepare(engine: Engine) -> Self {
        Self(Installation::with_database(engine).await, engine)
    }
}

impl Talkative {
    fn serve(&self, arguments: &[&str]) -> Server {
        self.0.serve_with(arguments, |command| {
            command.env("TIDEGATE_LOG__FILTER", "debug").env("TIDEGATE_LOG__FORMAT", "json");
        })
    }

    /// The database's file and whatever else lies beside it, as it is on the disk now.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let DatabaseUrl::Sqlite(path) = self.0.database_url() else { return Vec::new() };
        let beside = std::fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        beside.map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
    }
}

/// Checks that files hold nothing of `secrets`. What is looked for is there in plain text, or sealed.
fn assert_not_kept(files: &[(PathBuf, Vec<u8>)], secrets: &[&str]) {
    for (path, bytes) in files {
        for secret in secrets {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} is kept in {}", path.display());
        }
    }
}

/// Checks that nothing of `secrets`, and no phone, is in what a server wrote.
fn assert_not_told(told: &str, secrets: &[&str]) {
    assert!(
        told.contains(r#""level":"DEBUG""#) && told.contains("/api/v1/account/create"),
        "it logs all it can"
    );
    let phone_digits = &PHONE[4..];
    for secret in secrets.iter().chain(&[phone_digits]) {
        let line = told.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{secret} is told: {line:?}");
    }
}

/// Checks that no code is in what a server wrote, as a word of its own: instants have six digits, too.
fn assert_no_code_told(told: &str, codes: &[&str]) {
    for line in told.lines().skip(1) {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        entry.as_object_mut().unwrap().remove("timestamp");
        let entry = entry.to_string();
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let word = entry.split(|c| !is_part(c)).find(|word| codes.contains(&word.trim_matches('.')));
        assert!(word.is_none(), "{word:?} is told: {line}");
    }
}

/// The part of a token that is secret.
fn secret_of(token: &str) -> &str {
    token.split_once('|').unwrap().1
}

on_both_engines! {
    async fn a_walk_through_the_sandbox_leaves_nothing_in_logs_and_files(here: Talkative) {
        here.0.write("tidegate.toml", WITHOUT_LIMITS);
        let server = here.serve(&["--dev"]);
        let secrets = walk(&here.0, &server, PHONE, "").await;
        let texts = |name: &str| -> Vec<&str> {
            secrets[name].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
        };
        let token = secret_of(secrets["token"].as_str().unwrap());
        // Beginnings would do as well as the whole.
        let base64: Vec<&str> = texts("base64").iter().map(|text| &text[..40]).collect();
        let private = [texts("documents"), base64, texts("born"), vec![TAX_ID, token]].concat();
        assert_eq!((&secrets["tax_id"], &secrets["phone"]), (&json!(TAX_ID), &json!(PHONE)));

        let running = here.files();
        let has_wal = running.iter().any(|(path, _)| path.ends_with("tidegate.db-wal"));
        assert_eq!(has_wal, here.1 == Engine::Sqlite);
        assert_not_kept(&running, &private);
        let told = server.stop_and_tell();
        assert_not_kept(&here.files(), &private);
        assert_not_told(&told, &private);
        assert_no_code_told(&told, &texts("codes"));
    }

    async fn failures_outside_tell_nothing_either(here: Talkative) {
        let (broker, gateway) = (StubBroker::start().await.unwrap(), Gateway::start(TAKEN));
        here.0.write("tidegate.toml", &format!("{}{}", by_webhook(&gateway.url), brokered_by(&broker)));
        let server = here.serve(&[]);
        gateway.says_next(Says::This(500, "+254712345678 cannot be reached"));
        ask_for_code(&server, "/api/v1/auth/enter-phone").await;
        let asked = eventually("it is sent again", async || gateway.asked().get(1).cloned()).await;
        let sent: Value = serde_json::from_str(&asked.body).unwrap();
        let code = code_in(sent["text"].as_str().unwrap());
        let answer = confirm(&server, "/api/v1/auth/confirm-code", &code).await;
        let token = answer["auth"]["token"].as_str().unwrap();

        // A broker that quotes what it was sent, breaks off, is away, and does as it is asked.
        let quote = json!({ "code": 42_210_000, "message": format!("{TAX_ID} of {PHONE}, born {BORN}, is not valid") });
        broker.fail_next(Endpoint::Open, Fault::answer(422, "application/json", quote.to_string()));
        assert_eq!(apply(&server, token).await.0, 422);
        broker.fail_next(Endpoint::Open, Fault::break_off());
        broker.fail_next(Endpoint::Find, Fault::answer(500, "application/json", quote.to_string()));
        assert_eq!(application(&server, token).await.unwrap().status(), 503);
        let id = broker.accounts()[0]["id"].as_str().unwrap().parse().unwrap();
        broker.set_field(id, "created_at", "2999-01-01T00:00:00Z".into());
        assert_eq!(apply(&server, token).await.0, 200);
        broker.fail_next(Endpoint::Account, Fault::close());
        assert_eq!(profile(&server, token).await.0, 503);
        assert_eq!(profile(&server, token).await.0, 200);
        broker.fail_next(Endpoint::Upload, Fault::answer(400, "application/json", quote.to_string()));
        for expected in [422, 200] {
            let form = format!(
                "--b\r\ncontent-disposition: form-data; name=\"document_type\"\r\n\r\nidentity_verification\r\n\
                 --b\r\ncontent-disposition: form-data; name=\"document\"; filename=\"a.pdf\"\r\n\r\n{PASSPORT}\r\n\
                 --b--\r\n"
            );
            let request = server.http.post(format!("{}/api/v1/account/kyc", server.base)).bearer_auth(token);
            let request = request.header("content-type", "multipart/form-data; boundary=b").body(form);
            assert_eq!(request.send().await.unwrap().status(), expected);
        }
        let content = broker.uploads(id)[0][0]["content"].as_str().unwrap().to_owned();
        let private = [TAX_ID, BORN, secret_of(token), "this passport", &content[..40]];
        assert_not_kept(&here.files(), &private);
        let told = server.stop_and_tell();
        assert_not_kept(&here.files(), &private);
        assert_not_told(&told, &private);
        assert_no_code_told(&told, &[&code]);
    }
}

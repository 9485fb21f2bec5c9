//! Credentials: merged, rotated, sealed, and in no answer.

use serde_json::{Value, json};
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use crate::secrets::{everything_stored, hexadecimal};
use crate::watch::Log;

use super::wire::{ADA, PLANTED, Server, create, created, get, owner, patch, post, run_jobs, start, status};

/// The sealed credentials of all data sources, as text.
async fn boxes(app: &TestApp) -> Vec<String> {
    let stored = everything_stored(app).await.into_iter();
    stored.filter(|(place, _)| place == "data_sources.credentials").map(|(_, text)| text).collect()
}

on_both_engines! {
    async fn credentials_are_merged_and_the_source_is_tested_again(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let wrong = json!({ "credentials": { "password": PLANTED, "api_key": PLANTED } });
        let number = created(&app, &ada, &server.body_with(wrong)).await;
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "failed");
        let path = format!("/{number}/credentials");
        let answer = patch(&app, &ada, &path, &json!({ "password": server.password() })).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Credentials updated successfully");
        assert_eq!(answer.field("data.data_source_id"), &json!(number));
        assert!(answer.field("data.credentials_updated_at").is_string());
        assert_eq!(answer.body["data"].as_object().unwrap().len(), 2, "{}", answer.text);
        // The user's name is as it was, and so is what was not named.
        assert_eq!(status(&app, &ada, number).await, "testing");
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
        patch(&app, &ada, &path, &json!({ "username": null })).await.assert_status(200);
        let without = post(&app, &ada, &format!("/{number}/test")).await;
        assert_eq!(without.assert_status(200).field("data.connection_successful"), &json!(false));
        for fields in [json!({ "password": 7 }), json!({ "rotate_credentials": "yes" }), json!({ "api_key": "a\u{0}b" })] {
            patch(&app, &ada, &path, &fields).await.assert_error(422, "VALIDATION_ERROR");
        }
    }

    async fn rotating_seals_the_same_anew_and_closes_connections(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        let before = boxes(&app).await;
        assert_eq!(get(&app, &ada, "/metrics").await.field("data.cache.connection_managers"), &json!(1));
        let answer =
            patch(&app, &ada, &format!("/{number}/credentials"), &json!({ "rotate_credentials": true })).await;
        answer.assert_status(200);
        assert_ne!(boxes(&app).await, before);
        assert_eq!(get(&app, &ada, "/metrics").await.field("data.cache.connection_managers"), &json!(0));
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
    }

    async fn no_credential_is_stored_in_the_clear_or_answered(engine: Engine) {
        let log = Log::listen();
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let mut secrets = json!({
            "username": "ada", "password": PLANTED, "api_key": PLANTED, "oauth_token": PLANTED,
            "ssh_private_key": PLANTED, "ssh_passphrase": PLANTED, "ssl_key": PLANTED, "warehouse": "w", "role": "r",
        });
        secrets["client_secret"] = json!(PLANTED);
        let body = server.body_with(json!({
            "credentials": secrets,
            "host": null, "port": null, "database_name": null,
            "connection_string": format!("postgres://ada:{PLANTED}@127.0.0.1:{}/x?sslmode=disable", server.port()),
        }));
        let mut answers = vec![create(&app, &ada, &body).await];
        let number = answers[0].assert_status(201).field("data.id").as_i64().unwrap();
        let shown = answers[0].text_at("data.connection_string");
        assert_eq!(shown, format!("postgres://ada:***@127.0.0.1:{}/x?sslmode=disable", server.port()));
        run_jobs(&app).await;
        for rest in ["", "/health", "/schemas"] {
            answers.push(get(&app, &ada, &format!("/{number}{rest}")).await);
        }
        for rest in ["/test", "/discover-schema"] {
            answers.push(post(&app, &ada, &format!("/{number}{rest}")).await);
        }
        answers.push(get(&app, &ada, "").await);
        answers.push(get(&app, &ada, "/metrics").await);
        // Who sends back what they were shown changes nothing.
        let same = patch(&app, &ada, &format!("/{number}"), &json!({ "connection_string": shown })).await;
        assert_eq!(same.assert_status(200).field("data.status"), &json!("failed"), "{}", same.text);
        answers.push(same);
        answers.push(patch(&app, &ada, &format!("/{number}/credentials"), &json!({ "password": PLANTED })).await);
        let half = &PLANTED[..14];
        for answer in &answers {
            assert!(!answer.text.contains(half), "{}", answer.text);
        }
        for line in log.lines() {
            assert!(!line.contains(half), "in the log: {line}");
        }
        let stored = everything_stored(&app).await;
        assert!(stored.iter().any(|(place, _)| place == "data_sources.connection_string"));
        for (place, text) in &stored {
            assert!(!text.contains(half) && !text.contains(&hexadecimal(half)), "in {place}: {text}");
        }
    }

    async fn a_connection_string_is_replaced_or_taken_away(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        let path = format!("/{number}");
        let string = format!("host=127.0.0.1 port={} password={PLANTED} dbname=postgres", server.port());
        let answer = patch(&app, &ada, &path, &json!({ "connection_string": string })).await;
        let shown = answer.assert_status(200).text_at("data.connection_string");
        assert!(shown.contains("password=***") && !answer.text.contains(PLANTED), "{shown}");
        let answer = patch(&app, &ada, &path, &json!({ "connection_string": null })).await;
        assert_eq!(answer.assert_status(200).field("data.connection_string"), &Value::Null);
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
    }
}

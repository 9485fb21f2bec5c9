//! Servers that do not do what servers do.

use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{Engine, concurrently, on_both_engines};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::wire::{
    ADA, Server, at_port, builder, create, created, get, owner, post, run_jobs, server, start, status, with,
};

/// Accepts, and never answers.
async fn silent() -> u16 {
    server(|stream| async move {
        tokio::time::sleep(Duration::from_secs(600)).await;
        drop(stream);
    })
    .await
}

on_both_engines! {
    async fn a_server_that_never_answers_is_given_up_in_time(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &at_port(silent().await)).await;
        let begun = Instant::now();
        let tested = post(&app, &ada, &format!("/{number}/test")).await;
        assert_eq!(tested.assert_status(200).field("data.error_code"), &json!("TIMEOUT_ERROR"), "{}", tested.text);
        assert!(begun.elapsed() < Duration::from_secs(45), "{:?}", begun.elapsed());
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "failed");
        let discovered = post(&app, &ada, &format!("/{number}/discover-schema")).await;
        discovered.assert_error(400, "BAD_REQUEST");
        assert!(discovered.text.contains("_ERROR"), "{}", discovered.text);
    }

    async fn servers_that_answer_garbage_or_hang_up_are_errors_of_the_contract(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let garbage = server(|mut stream| async move {
            drop(stream.write_all(&[b'\xff'; 64 * 1024]).await);
            drop(stream.read(&mut [0; 1024]).await);
        })
        .await;
        let web = server(|mut stream| async move {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 6\r\n\r\nsecret").await);
        })
        .await;
        let hangs_up = server(|stream| async move { drop(stream) }).await;
        // It claims TLS and speaks none.
        let bad_tls = server(|mut stream| async move {
            drop(stream.read(&mut [0; 8]).await);
            drop(stream.write_all(b"Snonsense").await);
        })
        .await;
        for port in [garbage, web, hangs_up, bad_tls, 1] {
            let number = created(&app, &ada, &at_port(port)).await;
            let tested = post(&app, &ada, &format!("/{number}/test")).await;
            let code = tested.assert_status(200).text_at("data.error_code");
            assert!(["CONNECTION_ERROR", "TIMEOUT_ERROR"].contains(&code.as_str()), "{port}: {}", tested.text);
            assert!(!tested.text.contains("secret"), "what a server says is not repeated: {}", tested.text);
        }
        run_jobs(&app).await;
        assert_eq!(app.sql_count("select count(*) from data_sources where status = 'testing'").await, 0);
    }

    // Four hang at once, which is all that the organization may have running: others are served as ever.
    async fn who_hangs_holds_up_nobody_else(engine: Engine) {
        let app = builder(engine).data(|data| data.at_once_per_organization = 2).start().await;
        let app = std::sync::Arc::new(app);
        let (server, ada, bob) = (Server::start().await, owner(&app, ADA).await, owner(&app, "bob@example.com").await);
        let port = silent().await;
        let slow = with(at_port(port), &json!({ "connection_timeout": 20 }));
        let (one, two, three) =
            (created(&app, &ada, &slow).await, created(&app, &ada, &slow).await, created(&app, &ada, &slow).await);
        let bobs = created(&app, &bob, &server.body()).await;
        let numbers = [one, two, three];
        let hanging: Vec<_> = numbers[..2]
            .iter()
            .map(|number| {
                let (app, ada, path) = (app.clone(), ada.clone(), format!("/{number}/test"));
                tokio::spawn(async move { post(&app, &ada, &path).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begun = Instant::now();
        let tested = post(&app, &bob, &format!("/{bobs}/test")).await;
        assert_eq!(tested.field("data.connection_successful"), &json!(true), "{}", tested.text);
        get(&app, &ada, &format!("/{one}")).await.assert_status(200);
        assert!(begun.elapsed() < Duration::from_secs(45), "{:?}", begun.elapsed());
        let third = post(&app, &ada, &format!("/{three}/test")).await;
        third.assert_error(429, "TOO_MANY_REQUESTS");
        assert!(!third.header("retry-after").is_empty());
        hanging.iter().for_each(tokio::task::JoinHandle::abort);
    }

    // The wait for a place and the test itself: each may be as long as a request, and together they may not be longer.
    async fn waiting_and_testing_together_take_no_longer_than_a_request_may(engine: Engine) {
        let app = builder(engine).data(|data| {
            data.longest_wait = Duration::from_secs(4);
            data.at_once_per_organization = 1;
        });
        let app = std::sync::Arc::new(app.start().await);
        let ada = owner(&app, ADA).await;
        let slow = with(at_port(silent().await), &json!({ "connection_timeout": 60 }));
        let number = created(&app, &ada, &slow).await;
        let answers = concurrently(2, |_| {
            let (app, ada) = (app.clone(), ada.clone());
            async move {
                let begun = Instant::now();
                let answer = post(&app, &ada, &format!("/{number}/test")).await;
                (answer, begun.elapsed())
            }
        })
        .await;
        for (answer, elapsed) in answers {
            assert_eq!(answer.assert_status(200).field("data.error_code"), &json!("TIMEOUT_ERROR"), "{}", answer.text);
            assert!(elapsed < Duration::from_secs(7), "{elapsed:?}");
        }
    }

    // Their shares together were all places once.
    async fn several_who_hang_leave_places_to_others(engine: Engine) {
        let app = builder(engine).data(|data| (data.at_once, data.at_once_per_organization) = (4, 2)).start().await;
        let app = std::sync::Arc::new(app);
        let (server, bob) = (Server::start().await, owner(&app, "bob@example.com").await);
        let bobs = created(&app, &bob, &server.body()).await;
        let slow = with(at_port(silent().await), &json!({ "connection_timeout": 20 }));
        let mut hanging = Vec::new();
        for email in [ADA, "carl@example.com"] {
            let who = owner(&app, email).await;
            for _ in 0..2 {
                let number = created(&app, &who, &slow).await;
                let (app, who, path) = (app.clone(), who.clone(), format!("/{number}/test"));
                hanging.push(tokio::spawn(async move { post(&app, &who, &path).await }));
            }
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let tested = post(&app, &bob, &format!("/{bobs}/test")).await;
        assert_eq!(tested.assert_status(200).field("data.connection_successful"), &json!(true), "{}", tested.text);
        hanging.iter().for_each(tokio::task::JoinHandle::abort);
    }

    async fn a_discovery_that_takes_long_goes_on_when_its_request_is_answered(engine: Engine) {
        let app = builder(engine).data(|data| data.longest_wait = Duration::from_secs(1)).start().await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &with(at_port(silent().await), &json!({ "connection_timeout": 3 }))).await;
        let answer = post(&app, &ada, &format!("/{number}/discover-schema")).await;
        answer.assert_error(503, "SERVICE_UNAVAILABLE");
        assert_eq!(answer.header("retry-after"), "10");
        // It ends in its own time, and its failure is noted.
        tidegate_testkit::eventually("the end of the discovery", async || {
            let shown = get(&app, &ada, &format!("/{number}")).await;
            (shown.field("data.failure_count") == &json!(1)).then_some(())
        })
        .await;
    }

    async fn ten_tests_of_one_source_at_once_are_ten_answers(engine: Engine) {
        let app = std::sync::Arc::new(builder(engine).data(|data| data.at_once_per_organization = 10).start().await);
        let (server, ada) = (Server::start().await, owner(&app, ADA).await);
        let number = created(&app, &ada, &server.body()).await;
        let answers = concurrently(10, |_| {
            let (app, ada) = (app.clone(), ada.clone());
            async move { post(&app, &ada, &format!("/{number}/test")).await }
        })
        .await;
        for answer in answers {
            assert_eq!(answer.assert_status(200).field("data.connection_successful"), &json!(true), "{}", answer.text);
        }
        assert_eq!(get(&app, &ada, "/metrics").await.field("data.queries.total_executed"), &json!(10));
        assert_eq!(get(&app, &ada, "/metrics").await.field("data.cache.connection_managers"), &json!(1));
    }

    async fn every_database_over_http_that_is_not_there_says_so(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        for kind in ["oracle", "db2", "clickhouse", "elasticsearch"] {
            let source = json!({ "type": kind, "name": kind });
            let answer = create(&app, &ada, &with(at_port(1), &source)).await;
            answer.assert_status(201);
            let number = answer.field("data.id").as_i64().unwrap();
            let tested = post(&app, &ada, &format!("/{number}/test")).await;
            assert_eq!(tested.assert_status(200).field("data.error_code"), &json!("CONNECTION_ERROR"), "{kind}");
        }
    }
}

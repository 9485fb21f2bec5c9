//! What happens at the same time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{Engine, concurrently, on_both_engines};

use super::wire::{
    ADA, Server, at_port, builder, create, created, delete, get, owner, patch, post, run_jobs, server, start,
    status, with,
};

on_both_engines! {
    async fn two_discoveries_at_once_leave_one_set_of_tables(engine: Engine) {
        let app = Arc::new(builder(engine).data(|data| data.at_once_per_organization = 8).start().await);
        let (server, ada) = (Server::start().await, owner(&app, ADA).await);
        let number = created(&app, &ada, &server.body()).await;
        let other = Arc::new(app.another_node().await);
        let path = format!("/api/v1/data-sources/{number}/discover-schema?refresh=true");
        let answers = concurrently(6, |place| {
            let (app, other, token, path) = (app.clone(), other.clone(), ada.access_token.clone(), path.clone());
            async move {
                let client = if place % 2 == 0 { app.client() } else { other.client() };
                client.post(&path).bearer(&token).send().await
            }
        })
        .await;
        for answer in &answers {
            answer.assert_status(200);
        }
        let tables = get(&app, &ada, &format!("/{number}/schemas?schema_name={}", server.schema)).await;
        assert_eq!(tables.field("data.schemas.0.tables").as_array().unwrap().len(), 3, "{}", tables.text);
        let current = "select count(*) from data_generations where retired_at is null";
        assert_eq!(app.sql_count(current).await, 1);
    }

    async fn a_source_that_is_deleted_during_its_test_is_not_found(engine: Engine) {
        let app = Arc::new(start(engine).await);
        let ada = owner(&app, ADA).await;
        let port = server(|stream| async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(stream);
        })
        .await;
        for force in ["", "?force=true"] {
            let slow = with(at_port(port), &json!({ "connection_timeout": 2 }));
            let number = created(&app, &ada, &slow).await;
            let testing = {
                let (app, ada) = (app.clone(), ada.clone());
                tokio::spawn(async move { post(&app, &ada, &format!("/{number}/test")).await })
            };
            tokio::time::sleep(Duration::from_millis(300)).await;
            delete(&app, &ada, &format!("/{number}{force}")).await.assert_status(200);
            testing.await.unwrap().assert_error(404, "NOT_FOUND");
        }
        assert_eq!(app.sql_count("select count(*) from data_source_checks").await, 0);
        run_jobs(&app).await;
        assert_eq!(app.sql_count("select count(*) from data_source_checks").await, 0);
    }

    // The test was of what the source was before: what it found says nothing of what it is now.
    async fn a_source_that_is_changed_during_its_test_is_tested_anew(engine: Engine) {
        let app = Arc::new(start(engine).await);
        let (good, ada) = (Server::start().await, owner(&app, ADA).await);
        let port = server(|stream| async move {
            tokio::time::sleep(Duration::from_secs(60)).await;
            drop(stream);
        })
        .await;
        let number =
            created(&app, &ada, &good.body_with(json!({ "port": port, "connection_timeout": 2 }))).await;
        let testing = {
            let (app, ada) = (app.clone(), ada.clone());
            tokio::spawn(async move { post(&app, &ada, &format!("/{number}/test")).await })
        };
        tokio::time::sleep(Duration::from_millis(300)).await;
        patch(&app, &ada, &format!("/{number}"), &json!({ "port": good.port() })).await.assert_status(200);
        assert_eq!(testing.await.unwrap().assert_status(200).field("data.status"), &json!("failed"));
        assert_eq!(get(&app, &ada, &format!("/{number}")).await.field("data.failure_count"), &json!(0));
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "active");
    }

    async fn names_that_are_made_at_once_get_slugs_of_their_own_and_the_quota_holds(engine: Engine) {
        let app = builder(engine)
            .settings(|settings| {
                settings.quotas =
                    tidegate_domain::quota::Quotas { data_sources: 6, ..tidegate_domain::quota::Quotas::default() };
            })
            .start()
            .await;
        let app = Arc::new(app);
        let (server, ada) = (Server::start().await, owner(&app, ADA).await);
        let body = server.body();
        let answers = concurrently(10, |_| {
            let (app, ada, body) = (app.clone(), ada.clone(), body.clone());
            async move { create(&app, &ada, &body).await.status }
        })
        .await;
        let made = answers.iter().filter(|status| **status == 201).count();
        let refused = answers.iter().filter(|status| **status == 409).count();
        assert_eq!((made, refused), (6, 4), "{answers:?}");
        assert_eq!(app.sql_count("select count(distinct slug) from data_sources").await, 6);
    }

    // The second one found the name taken: by the source that it restores.
    async fn two_restores_at_once_keep_the_slug(engine: Engine) {
        let app = Arc::new(start(engine).await);
        let (server, ada) = (Server::start().await, owner(&app, ADA).await);
        let number = created(&app, &ada, &server.body()).await;
        for _ in 0..5 {
            delete(&app, &ada, &format!("/{number}")).await.assert_status(200);
            let restored = concurrently(4, |_| {
                let app = Arc::clone(&app);
                async move {
                    let call =
                        tidegate_kernel::Call::from_cli(tidegate_http::contract_profiles().of_installation());
                    app.catalog().restore_data_source(&call, number).await.is_ok()
                }
            })
            .await;
            assert_eq!(restored.iter().filter(|restored| **restored).count(), 1, "{restored:?}");
            assert_eq!(get(&app, &ada, &format!("/{number}")).await.text_at("data.slug"), "sales");
        }
    }

    // Both take a source before its job: the other way round each would wait for the other.
    async fn what_is_due_is_handed_on_while_it_is_changed_and_tested(engine: Engine) {
        let app = Arc::new(builder(engine).data(|data| data.at_once_per_organization = 16).start().await);
        let (server, ada) = (Server::start().await, owner(&app, ADA).await);
        let mut numbers = Vec::new();
        for _ in 0..4 {
            numbers.push(created(&app, &ada, &server.body()).await);
        }
        run_jobs(&app).await;
        for round in 1..=5 {
            app.advance(Duration::from_secs(301));
            let failures = concurrently(10, |index| {
                let (app, ada, number) = (Arc::clone(&app), ada.clone(), numbers[index % 4]);
                async move {
                    match index {
                        // Enqueues a test for each source that is due.
                        0 | 1 => {
                            let done = app.kernel().run_job("data source schedule").await;
                            done.unwrap().into_iter().find_map(Result::err)
                        }
                        // Changes how it is reached, which enqueues a test, too.
                        2..6 => {
                            let body = json!({ "query_timeout": 100 + round });
                            let answer = patch(&app, &ada, &format!("/{number}"), &body).await;
                            (answer.status != 200).then_some(answer.text)
                        }
                        // Notes a result, and enqueues a discovery.
                        _ => {
                            let answer = post(&app, &ada, &format!("/{number}/test")).await;
                            (answer.status != 200).then_some(answer.text)
                        }
                    }
                }
            })
            .await;
            let failures: Vec<String> = failures.into_iter().flatten().collect();
            assert!(failures.is_empty(), "{failures:?}");
            run_jobs(&app).await;
        }
        for number in numbers {
            assert_eq!(status(&app, &ada, number).await, "active");
        }
    }
}

//! Where data sources may be.

use serde_json::json;
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use super::wire::{ADA, at_port, created, owner, post, run_jobs, server, status, with};

on_both_engines! {
    async fn an_address_that_is_not_public_is_refused_whether_somebody_listens_or_not(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let ada = owner(&app, ADA).await;
        let open = server(|stream| async move { drop(stream) }).await;
        let mut answers = Vec::new();
        // Too long a label: no server is asked for it.
        let nowhere = format!("{}.example", "a".repeat(64));
        for (host, port) in [
            ("127.0.0.1", open), ("127.0.0.1", 1), ("localhost", open), ("127.1", open), ("0x7f000001", open),
            ("2130706433", open), ("::1", open), ("[::1]", open), ("::ffff:127.0.0.1", open), ("0.0.0.0", open),
            ("169.254.169.254", 80), ("10.0.0.1", 80), ("192.168.0.1", 80), ("172.16.0.1", 80), ("100.64.0.1", 80),
            ("fd00:ec2::254", 80), ("fe80::1", 80), ("64:ff9b::7f00:1", open), (nowhere.as_str(), 80),
        ] {
            let number = created(&app, &ada, &with(at_port(port), &json!({ "host": host }))).await;
            let tested = post(&app, &ada, &format!("/{number}/test")).await;
            assert_eq!(tested.assert_status(200).field("data.error_code"), &json!("CONNECTION_ERROR"), "{host}");
            answers.push(tested.text_at("data.error_message"));
        }
        // What is no name is said to be none before anything is looked up.
        answers.retain(|answer| answer != "The host is no name that a certificate could have.");
        // Nothing tells an open port from a closed one, or a name that the operator's network has from one that is nowhere.
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        let string = json!({
            "name": "x", "type": "postgresql", "max_retries": 0,
            "connection_string": format!("postgres://a:b@127.0.0.1:{open}/x"),
        });
        let number = created(&app, &ada, &string).await;
        let tested = post(&app, &ada, &format!("/{number}/test")).await;
        assert_eq!(tested.field("data.error_code"), &json!("CONNECTION_ERROR"));
        run_jobs(&app).await;
        assert_eq!(status(&app, &ada, number).await, "failed");
    }

    async fn in_development_the_answer_says_which_network_to_open(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().data(|data| data.names_refused = true).start().await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &at_port(1)).await;
        let tested = post(&app, &ada, &format!("/{number}/test")).await;
        assert_eq!(
            tested.assert_status(200).text_at("data.error_message"),
            "127.0.0.1 is in a network that data sources may not be in; add \"127.0.0.1/32\" to data.allowed_networks, and restart."
        );
    }

    async fn private_networks_are_the_operators_choice_and_metadata_addresses_are_not(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().data(|data| data.allow_private_networks = true).start().await;
        let ada = owner(&app, ADA).await;
        let odd = server(|stream| async move { drop(stream) }).await;
        let number = created(&app, &ada, &at_port(odd)).await;
        let reached = post(&app, &ada, &format!("/{number}/test")).await.text_at("data.error_message");
        let number = created(&app, &ada, &with(at_port(80), &json!({ "host": "169.254.169.254" }))).await;
        let refused = post(&app, &ada, &format!("/{number}/test")).await.text_at("data.error_message");
        assert_ne!(reached, refused, "one was reached, the other was not tried");
    }
}

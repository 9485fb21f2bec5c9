//! Refresh tokens.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tidegate_testkit::{Answer, Request, on_both_engines};

use super::{ALIVE, MANY, Nodes, all_at_once, assert_only, assert_tally};
use crate::cross_contract::{me_ingestiq, me_rivergen, refresh_ingestiq, refresh_rivergen};

const REPLAYS: &str = "select count(*) from audit_events where action = 'session.refresh_token_replayed'";

/// Refreshes through RiverGen, from that client.
fn refresh(nodes: &Nodes, number: usize, token: &str) -> Request {
    nodes.request(number, "/api/v1/auth/refresh", &json!({ "refresh_token": token }))
}

fn texts(answers: &[Answer], path: &str) -> BTreeSet<String> {
    answers.iter().map(|answer| answer.text_at(path)).collect()
}

on_both_engines! {
    async fn many_refreshes_of_one_token_get_the_same_child(nodes: Nodes) {
        let ada = nodes.app.register_ingestiq("ada@example.com").await;
        let body = json!({ "refreshToken": ada.refresh_token });
        let requests = (0..MANY).map(|number| nodes.request(number, "/api/v2/auth/refresh", &body));
        let answers = all_at_once(requests).await;
        assert_tally(&answers, &[(200, "", MANY)]);
        let children = texts(&answers, "refreshToken");
        assert_eq!(children.len(), 1);
        assert_eq!(nodes.count("select count(*) from refresh_tokens").await, 2);
        for answer in &answers[..4] {
            me_ingestiq(&nodes.client(0), &answer.text_at("accessToken")).await.assert_status(200);
            me_ingestiq(&nodes.client(1), &answer.text_at("accessToken")).await.assert_status(200);
        }
        refresh_ingestiq(&nodes.client(1), children.first().unwrap()).await.assert_status(200);
        assert_eq!(nodes.count(REPLAYS).await, 0);
    }

    async fn many_tabs_refresh_time_and_again(nodes: Nodes) {
        let mut token = nodes.app.sign_up_rivergen_verified("ada@example.com").await.refresh_token;
        for _ in 0..10 {
            let answers = all_at_once((0..8).map(|number| refresh(&nodes, number, &token))).await;
            assert_tally(&answers, &[(200, "", 8)]);
            let children = texts(&answers, "data.refresh_token");
            assert_eq!(children.len(), 1);
            token = children.into_iter().next().unwrap();
        }
        assert_eq!(nodes.count("select count(*) from refresh_tokens").await, 11);
        assert_eq!(nodes.count(REPLAYS).await, 0);
    }

    async fn a_session_that_is_signed_out_while_it_is_refreshed_stays_dead(nodes: Nodes) {
        for round in 0..10 {
            let ada = nodes.app.sign_up_rivergen_verified(&format!("ada{round}@example.com")).await;
            let requests = (0..10).map(|number| match number {
                5 => nodes.client(5).post("/api/v1/auth/logout").bearer(&ada.access_token),
                _ => refresh(&nodes, number, &ada.refresh_token),
            });
            let answers = all_at_once(requests).await;
            assert_only(&answers, &[(204, ""), (200, ""), (401, "INVALID_REFRESH_TOKEN")]);
            answers[5].assert_status(204);
            nodes.app.advance(Duration::from_secs(2));
            for answer in answers.iter().filter(|answer| answer.status == 200) {
                for node in [0, 1] {
                    let refused = refresh_rivergen(&nodes.client(node), &answer.text_at("data.refresh_token")).await;
                    refused.assert_error(401, "INVALID_REFRESH_TOKEN");
                    let refused = me_rivergen(&nodes.client(node), &answer.text_at("data.access_token")).await;
                    refused.assert_error(401, "UNAUTHORIZED");
                }
            }
            assert_eq!(nodes.count(ALIVE).await, 0);
        }
    }

    async fn a_session_is_signed_out_once(nodes: Nodes) {
        let ada = nodes.app.register_ingestiq("ada@example.com").await;
        let logout = |number| nodes.client(number).post("/api/v2/auth/logout").bearer(&ada.access_token);
        let answers = all_at_once((0..MANY).map(logout)).await;
        assert_tally(&answers, &[(200, "", 1), (401, "INVALID_TOKEN", MANY - 1)]);
        let logouts = "select count(*) from audit_events where action = 'auth.logout'";
        assert_eq!(nodes.count(logouts).await, 1);
    }
}

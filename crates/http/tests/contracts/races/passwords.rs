//! Passwords that change while they are used.

use serde_json::json;
use tidegate_testkit::{PASSWORD, Request, on_both_engines};

use super::{ALIVE, MANY, Nodes, all_at_once, assert_only, assert_tally, tally};
use crate::cross_contract::{login_ingestiq, login_rivergen};

/// Asks for a reset link and answers its token.
async fn reset_token(nodes: &Nodes, email: &str) -> String {
    let request = nodes.request(0, "/api/v1/auth/forgot-password", &json!({ "email": email }));
    request.send().await.assert_status(200);
    nodes.app.latest_link_token(email).await
}

/// Sets that client's password with a reset token.
fn reset(nodes: &Nodes, number: usize, token: &str) -> Request {
    let body = json!({ "token": token, "new_password": password(number) });
    nodes.request(number, "/api/v1/auth/reset-password", &body)
}

fn password(number: usize) -> String {
    format!("Battery{number}staple!")
}

on_both_engines! {
    async fn a_reset_link_sets_one_password(nodes: Nodes) {
        nodes.app.sign_up_rivergen_verified("ada@example.com").await;
        let token = reset_token(&nodes, "ada@example.com").await;
        let answers = all_at_once((0..MANY).map(|number| reset(&nodes, number, &token))).await;
        assert_tally(&answers, &[(204, "", 1), (400, "INVALID_TOKEN", MANY - 1)]);
        for (number, answer) in answers.iter().enumerate() {
            let login = login_rivergen(&nodes.client(number), "ada@example.com", &password(number)).await;
            login.assert_status(if answer.status == 204 { 200 } else { 401 });
        }
        login_rivergen(&nodes.client(0), "ada@example.com", PASSWORD).await.assert_status(401);
    }

    async fn two_reset_links_are_used_at_once(nodes: Nodes) {
        for round in 0..10 {
            let email = format!("ada{round}@example.com");
            nodes.app.sign_up_rivergen_verified(&email).await;
            let tokens = [reset_token(&nodes, &email).await, reset_token(&nodes, &email).await];
            // Whichever is first withdraws the other.
            let answers = all_at_once((0..10).map(|number| reset(&nodes, number, &tokens[number / 5]))).await;
            assert_tally(&answers, &[(204, "", 1), (400, "INVALID_TOKEN", 9)]);
        }
    }

    async fn a_password_is_changed_once_by_whoever_knows_it(nodes: Nodes) {
        for round in 0..5 {
            let ada = nodes.app.sign_up_rivergen_verified(&format!("ada{round}@example.com")).await;
            let answers = all_at_once((0..10).map(|number| {
                let body = json!({ "current_password": PASSWORD, "new_password": password(number) });
                nodes.request(number, "/api/v1/auth/change-password", &body).bearer(&ada.access_token)
            }))
            .await;
            // The others found their session ended, or their password no longer right.
            assert_only(&answers, &[(200, ""), (400, "INVALID_CURRENT_PASSWORD"), (401, "UNAUTHORIZED")]);
            let changed: Vec<usize> = (0..10).filter(|number| answers[*number].status == 200).collect();
            assert_eq!(changed.len(), 1, "{:?}", tally(&answers));
            login_rivergen(&nodes.client(0), &ada.email, &password(changed[0])).await.assert_status(200);
        }
    }

    // Whoever knew the old password could slip in while it was being replaced, and stay.
    async fn an_old_password_opens_nothing_that_outlives_its_replacement(nodes: Nodes) {
        for round in 0..10 {
            let email = format!("ada{round}@example.com");
            nodes.app.sign_up_rivergen_verified(&email).await;
            let token = reset_token(&nodes, &email).await;
            let rivergen = json!({ "email": email, "password": PASSWORD });
            let answers = all_at_once((0..20).map(|number| match number {
                7 => reset(&nodes, 7, &token),
                _ if number % 3 == 0 => nodes.request(number, "/api/v1/auth/login", &rivergen),
                _ => nodes.login(number, &email, PASSWORD),
            }))
            .await;
            assert_only(&answers, &[(204, ""), (200, ""), (401, "INVALID_CREDENTIALS")]);
            answers[7].assert_status(204);
            assert_eq!(nodes.count(ALIVE).await, 0, "an old password's session lives on: {:?}", tally(&answers));
            login_ingestiq(&nodes.client(0), &email, &password(7)).await.assert_status(200);
            nodes.app.sql("update sessions set revoked_at = 1 where revoked_at is null").await;
        }
    }

    async fn a_code_opens_nothing_that_outlives_a_reset(nodes: Nodes) {
        for round in 0..10 {
            let email = format!("ada{round}@example.com");
            let ada = nodes.app.sign_up_rivergen(&email).await;
            let (code, link) = (nodes.app.latest_code(&email).await, nodes.app.latest_link_token(&email).await);
            let token = reset_token(&nodes, &email).await;
            let by_link = json!({ "token": link });
            let by_code = json!({ "temporary_token": ada.temporary_token, "otp_code": code });
            let answers = all_at_once((0..10).map(|number| match number {
                4 => reset(&nodes, 4, &token),
                _ if number % 2 == 0 => nodes.request(number, "/api/v1/auth/verify-email", &by_link),
                _ => nodes.request(number, "/api/v1/auth/verify-otp", &by_code),
            }))
            .await;
            assert_only(&answers, &[(204, ""), (200, ""), (400, "INVALID_TOKEN"), (401, "INVALID_TOKEN")]);
            answers[4].assert_status(204);
            assert_eq!(nodes.count(ALIVE).await, 0, "a session lives on: {:?}", tally(&answers));
        }
    }
}

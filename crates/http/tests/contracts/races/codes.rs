//! One-time codes and links.

use serde_json::json;
use tidegate_testkit::{PASSWORD, Request, on_both_engines};

use super::{ALIVE, MANY, Nodes, all_at_once, assert_only, assert_tally, tally};
use crate::cross_contract::{login_rivergen, me_rivergen};

/// Sends a code back, from that client.
fn claim(nodes: &Nodes, number: usize, temporary_token: &str, code: &str) -> Request {
    let body = json!({ "temporary_token": temporary_token, "otp_code": code });
    nodes.request(number, "/api/v1/auth/verify-otp", &body)
}

/// A code that is not the one.
fn other_than(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

on_both_engines! {
    async fn of_many_right_codes_one_is_taken(nodes: Nodes) {
        let ada = nodes.app.sign_up_rivergen("ada@example.com").await;
        let code = nodes.app.latest_code("ada@example.com").await;
        let answers = all_at_once((0..MANY).map(|number| claim(&nodes, number, &ada.temporary_token, &code))).await;
        assert_tally(&answers, &[(200, "", 1), (401, "INVALID_TOKEN", MANY - 1)]);
        assert_eq!(nodes.count("select count(*) from sessions").await, 1);
        assert_eq!(nodes.count("select count(*) from refresh_tokens").await, 1);
        let verified = "select count(*) from audit_events where action = 'auth.email.verified'";
        assert_eq!(nodes.count(verified).await, 1);
    }

    async fn of_many_wrong_codes_five_are_counted(nodes: Nodes) {
        let ada = nodes.app.sign_up_rivergen("ada@example.com").await;
        let code = nodes.app.latest_code("ada@example.com").await;
        let wrong = (0..MANY).map(|number| claim(&nodes, number, &ada.temporary_token, other_than(&code)));
        let answers = all_at_once(wrong).await;
        assert_tally(&answers, &[(400, "INVALID_OTP", 5), (429, "TOO_MANY_ATTEMPTS", MANY - 5)]);
        assert_eq!(nodes.count("select attempts from challenges").await, 5);
        let late = claim(&nodes, 0, &ada.temporary_token, &code).send().await;
        late.assert_error(429, "TOO_MANY_ATTEMPTS");
        assert_eq!(nodes.count("select count(*) from sessions").await, 0);
    }

    async fn a_right_code_among_many_wrong_ones_is_taken_or_too_late(nodes: Nodes) {
        let ada = nodes.app.sign_up_rivergen("ada@example.com").await;
        let code = nodes.app.latest_code("ada@example.com").await;
        let guesses = (0..MANY).map(|number| {
            let guess = if number == 25 { code.as_str() } else { other_than(&code) };
            claim(&nodes, number, &ada.temporary_token, guess)
        });
        let answers = all_at_once(guesses).await;
        assert_only(&answers, &[
            (200, ""), (400, "INVALID_OTP"), (401, "INVALID_TOKEN"), (429, "TOO_MANY_ATTEMPTS"),
        ]);
        let tally = tally(&answers);
        let taken = answers[25].status == 200;
        let tried = tally.get(&(400, "INVALID_OTP")).copied().unwrap_or_default();
        assert!(tried + usize::from(taken) <= 5, "{tally:?}");
        assert_eq!(nodes.count("select count(*) from sessions").await, i64::from(taken));
    }

    async fn the_code_and_the_link_of_one_mail_are_used_at_once(nodes: Nodes) {
        for round in 0..10 {
            let email = format!("ada{round}@example.com");
            let ada = nodes.app.sign_up_rivergen(&email).await;
            let (code, link) = (nodes.app.latest_code(&email).await, nodes.app.latest_link_token(&email).await);
            let by_code = (0..5).map(|number| claim(&nodes, number, &ada.temporary_token, &code));
            let link = json!({ "token": link });
            let by_link = (5..10).map(|number| nodes.request(number, "/api/v1/auth/verify-email", &link));
            let answers = all_at_once(by_code.chain(by_link)).await;
            let (codes, links) = answers.split_at(5);
            assert_tally(links, &[(200, "", 5)]);
            assert_only(codes, &[(200, ""), (401, "INVALID_TOKEN")]);
            assert!(codes.iter().filter(|answer| answer.status == 200).count() <= 1, "{:?}", tally(codes));
            for answer in answers.iter().filter(|answer| answer.status == 200) {
                me_rivergen(&nodes.client(0), &answer.text_at("data.access_token")).await.assert_status(200);
            }
        }
    }

    async fn the_codes_of_two_mails_are_used_at_once(nodes: Nodes) {
        for round in 0..10 {
            let email = format!("ada{round}@example.com");
            let first = nodes.app.sign_up_rivergen(&email).await.temporary_token;
            let first_code = nodes.app.latest_code(&email).await;
            let second = login_rivergen(&nodes.client(0), &email, PASSWORD).await.text_at("data.temporary_token");
            let second_code = nodes.app.latest_code(&email).await;
            let answers = all_at_once((0..10).map(|number| match number {
                0..5 => claim(&nodes, number, &first, &first_code),
                _ => claim(&nodes, number, &second, &second_code),
            }));
            assert_tally(&answers.await, &[(200, "", 1), (401, "INVALID_TOKEN", 9)]);
        }
        assert_eq!(nodes.count(ALIVE).await, 10);
    }
}

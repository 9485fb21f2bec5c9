//! Codes on phones, and brokerage accounts.

use serde_json::json;
use tidegate_testkit::{Engine, Request, TestApp, application, on_both_engines};

use super::{ALIVE, MANY, Nodes, all_at_once, assert_only, assert_tally, tally};
use crate::cross_contract::me_ingestiq;
use crate::riven::wire::{ADA, BOB, Form, MINUTE, PDF, other_than};

const CONFIRM: &str = "auth/confirm-code";
const VERIFY: &str = "login/verify-code";

/// Sends a code back, from that client.
fn claim(nodes: &Nodes, number: usize, endpoint: &str, code: &str) -> Request {
    nodes.request(number, &format!("/api/v1/{endpoint}"), &json!({ "phone": ADA, "code": code }))
}

/// An application by the holder of that token, from that client.
fn apply(nodes: &Nodes, number: usize, (phone, token): (&str, &str), email: &str) -> Request {
    nodes.request(number, "/api/v1/account/create", &application(phone, email)).bearer(token)
}

const OPENED: &str = "select count(*) from brokerage_accounts where broker_account_id is not null";
const AT_BROKER: &str = "select count(*) from sandbox_accounts";

on_both_engines! {
    async fn of_many_right_codes_to_register_one_is_taken(nodes: Nodes) {
        nodes.app.enter_phone(ADA).await.assert_status(200);
        let code = nodes.app.latest_text_code(ADA).await;
        let answers = all_at_once((0..MANY).map(|number| claim(&nodes, number, CONFIRM, &code))).await;
        assert_tally(&answers, &[(200, "", 1), (422, "", MANY - 1)]);
        for table in ["accounts", "organizations", "memberships", "sessions"] {
            assert_eq!(nodes.count(&format!("select count(*) from {table}")).await, 1, "{table}");
        }
        let taken = answers.iter().find(|answer| answer.status == 200).unwrap();
        let me = me_ingestiq(&nodes.client(1), &taken.text_at("auth.token")).await;
        me.assert_status(200);
    }

    async fn of_many_right_codes_to_log_in_one_is_taken(nodes: Nodes) {
        nodes.app.register_phone(ADA).await;
        nodes.app.send_login_code(ADA).await.assert_status(200);
        let code = nodes.app.latest_text_code(ADA).await;
        let answers = all_at_once((0..MANY).map(|number| claim(&nodes, number, VERIFY, &code))).await;
        assert_tally(&answers, &[(200, "", 1), (401, "", MANY - 1)]);
        assert_eq!(nodes.count(ALIVE).await, 2);
    }

    async fn of_many_wrong_codes_from_many_networks_twenty_are_counted_whatever_they_are_for(nodes: Nodes) {
        nodes.app.register_phone(ADA).await;
        for (endpoint, status) in [(CONFIRM, 422), (VERIFY, 401)] {
            match endpoint {
                CONFIRM => nodes.app.enter_phone(ADA).await.assert_status(200),
                _ => nodes.app.send_login_code(ADA).await.assert_status(200),
            };
            let code = nodes.app.latest_text_code(ADA).await;
            let wrong = (0..MANY).map(|number| claim(&nodes, number, endpoint, other_than(&code)));
            assert_tally(&all_at_once(wrong).await, &[(status, "", MANY)]);
            assert_eq!(nodes.count("select max(attempts) from challenges").await, 20);
            assert_eq!(claim(&nodes, 0, endpoint, &code).send().await.status, status);
        }
        assert_eq!(nodes.count(ALIVE).await, 1);
    }

    async fn a_right_code_among_many_wrong_ones_is_taken_or_too_late_on_a_phone(nodes: Nodes) {
        nodes.app.enter_phone(ADA).await.assert_status(200);
        let code = nodes.app.latest_text_code(ADA).await;
        let guesses = (0..MANY).map(|number| {
            claim(&nodes, number, CONFIRM, if number == 25 { code.as_str() } else { other_than(&code) })
        });
        let answers = all_at_once(guesses).await;
        assert_only(&answers, &[(200, ""), (422, "")]);
        let taken = tally(&answers).get(&(200, "")).copied().unwrap_or_default();
        assert_eq!(answers[25].status == 200, taken == 1);
        assert_eq!(nodes.count("select count(*) from accounts").await, i64::try_from(taken).unwrap());
    }

    async fn the_codes_of_both_kinds_are_used_at_once(nodes: Nodes) {
        nodes.app.register_phone(ADA).await;
        nodes.app.enter_phone(ADA).await.assert_status(200);
        let one = nodes.app.latest_text_code(ADA).await;
        nodes.app.send_login_code(ADA).await.assert_status(200);
        let other = nodes.app.latest_text_code(ADA).await;
        let answers = all_at_once((0..20).map(|number| match number {
            0..10 => claim(&nodes, number, CONFIRM, &one),
            _ => claim(&nodes, number, VERIFY, &other),
        }));
        assert_tally(&answers.await, &[(200, "", 2), (401, "", 9), (422, "", 9)]);
        assert_eq!(nodes.count("select count(*) from accounts").await, 1);
    }

    async fn one_code_is_texted_to_whom_many_ask_for_one(engine: Engine) {
        let nodes = Nodes::of(TestApp::start(engine).await).await;
        let asked = (0..MANY).map(|number| {
            let path = if number % 2 == 0 { "/api/v1/auth/enter-phone" } else { "/api/v1/login/send-code" };
            nodes.request(number, path, &json!({ "phone": ADA }))
        });
        assert_tally(&all_at_once(asked).await, &[(200, "", 1), (429, "", MANY - 1)]);
        assert_eq!(nodes.count("select count(*) from outbox_messages").await, 1);
    }

    async fn a_token_is_taken_back_once(nodes: Nodes) {
        let ada = nodes.app.register_phone(ADA).await;
        let requests = (0..MANY).map(|number| nodes.request(number, "/api/v1/logout", &json!({})).bearer(&ada.token));
        assert_tally(&all_at_once(requests).await, &[(200, "", 1), (401, "", MANY - 1)]);
        assert_eq!(nodes.count(ALIVE).await, 0);
    }

    async fn however_many_apply_at_once_somebody_gets_one_account(nodes: Nodes) {
        let ada = nodes.app.register_phone(ADA).await;
        let who = (ADA, ada.token.as_str());
        let answers = all_at_once((0..MANY).map(|number| apply(&nodes, number, who, "ada@example.com"))).await;
        assert_only(&answers, &[(200, ""), (409, ""), (503, "")]);
        assert!(tally(&answers).contains_key(&(200, "")), "{:?}", tally(&answers));
        assert_eq!((nodes.count(OPENED).await, nodes.count(AT_BROKER).await), (1, 1));
        let accounts = answers.iter().filter(|answer| answer.status == 200);
        let mut accounts: Vec<String> = accounts.map(|answer| answer.text_at("data.alpaca_account_id")).collect();
        accounts.dedup();
        assert_eq!(accounts.len(), 1, "whoever is told of one is told of the same");
        apply(&nodes, 0, who, "ada@example.com").send().await.assert_status(409);
    }

    async fn with_different_addresses_too(nodes: Nodes) {
        let ada = nodes.app.register_phone(ADA).await;
        let apply = |number| apply(&nodes, number, (ADA, &ada.token), &format!("ada{number}@example.com"));
        let answers = all_at_once((0..20).map(apply)).await;
        assert_only(&answers, &[(200, ""), (409, ""), (503, "")]);
        assert_eq!(tally(&answers).get(&(200, "")), Some(&1), "{:?}", tally(&answers));
        assert_eq!((nodes.count(OPENED).await, nodes.count(AT_BROKER).await), (1, 1));
    }

    async fn of_two_people_with_one_address_one_gets_an_account(nodes: Nodes) {
        let (ada, bob) = (nodes.app.register_phone(ADA).await, nodes.app.register_phone(BOB).await);
        let answers = all_at_once([
            apply(&nodes, 0, (ADA, &ada.token), "shared@example.com"),
            apply(&nodes, 1, (BOB, &bob.token), "shared@example.com"),
        ]);
        assert_tally(&answers.await, &[(200, "", 1), (409, "", 1)]);
        assert_eq!((nodes.count(OPENED).await, nodes.count(AT_BROKER).await), (1, 1));
    }

    async fn documents_may_come_all_at_once(nodes: Nodes) {
        let ada = nodes.app.register_phone(ADA).await;
        nodes.app.open_account(&ada, "ada@example.com").await;
        let submit = |number| {
            let request = nodes.client(number).post("/api/v1/account/kyc").bearer(&ada.token);
            Form::document("identity_verification", PDF).on(request)
        };
        let answers = all_at_once((0..10).map(submit)).await;
        // The sandbox gives up on somebody whom others keep overtaking.
        assert_only(&answers, &[(200, ""), (503, "")]);
        let taken = tally(&answers).get(&(200, "")).copied().unwrap_or_default();
        assert!(taken >= 1);
        let profile = nodes.client(0).get("/api/v1/account/profile").bearer(&ada.token).send().await;
        assert_eq!(profile.field("data.documents").as_array().unwrap().len(), taken);
        assert_eq!(nodes.app.database.sql_texts("select status from brokerage_accounts").await, ["pending"]);
    }

    async fn the_owner_of_an_address_signs_up_while_a_stranger_follows_its_link(nodes: Nodes) {
        let ada = nodes.app.register_phone(ADA).await;
        nodes.app.open_account(&ada, "shared@example.com").await;
        let link = nodes.app.latest_link_token("shared@example.com").await;
        let answers = all_at_once((0..10).map(|number| match number {
            0..5 => nodes.client(number).post("/verify-email").form(&format!("token={link}")),
            _ => nodes.sign_up(number, "shared@example.com"),
        }))
        .await;
        let (links, sign_ups) = answers.split_at(5);
        let linked = links.iter().any(|answer| answer.status == 200);
        let signed_up = sign_ups.iter().filter(|answer| answer.status == 201).count();
        // Whoever follows the link reads the mailbox; a sign-up with it has shown nothing yet, and yields.
        assert!(linked && signed_up <= 1, "{:?}", tally(&answers));
        assert!(answers.iter().all(|answer| answer.status < 500), "{:?}", tally(&answers));
        assert_eq!(nodes.count("select count(*) from identifiers where kind = 'email'").await, 1);
        nodes.app.advance(MINUTE);
    }
}

//! Accounts and what belongs to them.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::http::Method;
use serde_json::json;
use tidegate_testkit::{PASSWORD, on_both_engines};

use super::{MANY, Nodes, all_at_once, assert_only, assert_tally, tally};
use crate::cross_contract::{me_ingestiq, me_rivergen, refresh_ingestiq};

on_both_engines! {
    async fn one_address_signs_up_once(nodes: Nodes) {
        let spellings = ["ada@example.com", "Ada@Example.com", " ADA@EXAMPLE.COM"];
        let answers = all_at_once((0..MANY).map(|number| nodes.sign_up(number, spellings[number % 3]))).await;
        assert_tally(&answers, &[(201, "", 1), (409, "EMAIL_TAKEN", MANY - 1)]);
        for table in ["accounts", "identifiers", "passwords", "organizations", "workspaces", "memberships", "challenges"] {
            assert_eq!(nodes.count(&format!("select count(*) from {table}")).await, 1, "{table}");
        }
        assert_eq!(nodes.app.mails_to("ada@example.com").await.len(), 1);
    }

    async fn one_address_registers_once(nodes: Nodes) {
        let body = json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Ada" });
        let register = |number| nodes.request(number, "/api/v2/auth/register", &body);
        let answers = all_at_once((0..MANY).map(register)).await;
        assert_tally(&answers, &[(201, "", 1), (409, "EMAIL_EXISTS", MANY - 1)]);
        assert_eq!(nodes.count("select count(*) from accounts").await, 1);
        assert_eq!(nodes.count("select count(*) from sessions").await, 1);
    }

    async fn one_request_sent_many_times_gets_one_answer(nodes: Nodes) {
        for round in 0..5 {
            let (email, key) = (format!("ada{round}@example.com"), format!("key {round}"));
            let body = json!({ "email": email, "password": PASSWORD, "idempotency_key": key });
            let sign_up = |number| nodes.request_from_one(number, "/api/v1/auth/signup", &body);
            let answers = all_at_once((0..MANY).map(sign_up)).await;
            assert_tally(&answers, &[(201, "", MANY)]);
            let texts: BTreeSet<_> = answers.iter().map(|answer| answer.text.clone()).collect();
            assert_eq!(texts.len(), 1, "{texts:?}");
            assert_eq!(nodes.app.mails_to(&email).await.len(), 1);
        }
        assert_eq!(nodes.count("select count(*) from accounts").await, 5);
    }

    async fn one_key_for_different_requests_serves_one_of_them(nodes: Nodes) {
        let answers = all_at_once((0..MANY).map(|number| {
            let email = format!("ada{number}@example.com");
            let body = json!({ "email": email, "password": PASSWORD, "idempotency_key": "once" });
            nodes.request_from_one(number, "/api/v1/auth/signup", &body)
        }));
        assert_tally(&answers.await, &[(201, "", 1), (409, "IDEMPOTENCY_CONFLICT", MANY - 1)]);
        assert_eq!(nodes.count("select count(*) from accounts").await, 1);
    }

    async fn many_people_sign_up_at_once(nodes: Nodes) {
        let people = (0..MANY).map(|number| nodes.sign_up(number, &format!("ada{number}@example.com")));
        let answers = all_at_once(people).await;
        assert_tally(&answers, &[(201, "", MANY)]);
        let numbers: BTreeSet<_> = answers.iter().map(|answer| answer.field("data.user_id").to_string()).collect();
        assert_eq!(numbers.len(), MANY);
        assert_eq!(nodes.count("select count(*) from memberships where role = 'owner'").await, 50);
    }

    async fn patches_of_one_profile_are_all_merged(nodes: Nodes) {
        let ada = nodes.app.sign_up_rivergen_verified("ada@example.com").await;
        let answers = all_at_once((0..MANY).map(|number| {
            let request = nodes.client(number).request(Method::PUT, "/api/v1/auth/me/profile");
            let body = json!({ "profile": { "places": { format!("p{number}"): number } } });
            request.bearer(&ada.access_token).json(&body)
        }));
        assert_tally(&answers.await, &[(200, "", MANY)]);
        nodes.app.advance(Duration::from_secs(2));
        for node in [0, 1] {
            let me = me_rivergen(&nodes.client(node), &ada.access_token).await;
            let places = me.field("data.user.profile.places").as_object().unwrap();
            assert_eq!(places.len(), MANY);
            assert!((0..MANY).all(|number| places[&format!("p{number}")] == number));
        }
    }

    async fn an_address_many_want_goes_to_one(nodes: Nodes) {
        let wanted = "wanted@example.com";
        let mut requests = Vec::new();
        for number in 0..10 {
            let person = nodes.app.sign_up_rivergen_verified(&format!("ada{number}@example.com")).await;
            let ask = nodes.request(number, "/api/v1/auth/me/email/request", &json!({ "new_email": wanted }));
            ask.bearer(&person.access_token).send().await.assert_status(200);
            let body = json!({ "new_email": wanted, "otp_code": nodes.app.latest_code(wanted).await });
            let verify = nodes.request(number, "/api/v1/auth/me/email/verify", &body);
            requests.push(verify.bearer(&person.access_token));
        }
        // Somebody else signs up with it in the same moment.
        requests.push(nodes.sign_up(10, wanted));
        let answers = all_at_once(requests).await;
        assert_only(&answers, &[(200, ""), (201, ""), (400, "EMAIL_UPDATE_VERIFY_FAILED"), (409, "EMAIL_TAKEN")]);
        // A sign-up is no proof: whether or not it came first, one of those who prove the address has it in the end.
        let taken = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(taken, 1, "{:?}", tally(&answers));
        let owners = format!("select count(*) from identifiers where value = '{wanted}'");
        assert_eq!(nodes.count(&owners).await, 1);
        let primary = nodes.count("select count(*) from identifiers where is_primary").await;
        let accounts = nodes.count("select count(*) from accounts where disabled_at is null").await;
        assert_eq!(primary, accounts, "one primary address each");
    }

    async fn signing_out_everywhere_while_signing_in_leaves_whole_sessions(nodes: Nodes) {
        let ada = nodes.app.sign_up_rivergen_verified("ada@example.com").await;
        let answers = all_at_once((0..20).map(|number| match number {
            5 => nodes.client(5).post("/api/v1/auth/logout-all").bearer(&ada.access_token),
            _ => nodes.login(number, "ada@example.com", PASSWORD),
        }))
        .await;
        assert_tally(&answers, &[(200, "", 19), (204, "", 1)]);
        nodes.app.advance(Duration::from_secs(2));
        // Each lives with its refresh token, or is dead with it.
        for answer in answers.iter().filter(|answer| answer.status == 200) {
            let access = me_ingestiq(&nodes.client(0), &answer.text_at("accessToken")).await;
            let refresh = refresh_ingestiq(&nodes.client(1), &answer.text_at("refreshToken")).await;
            assert_eq!(access.status, refresh.status, "{} {}", access.text, refresh.text);
        }
    }
}

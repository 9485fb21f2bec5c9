//! How often something may be tried: sections 6 and 7.

use serde_json::{Value, json};
use tidegate_domain::ContractId;
use tidegate_testkit::{Answer, Client, PASSWORD, Person, TestApp, on_both_engines};

use super::wire::{
    OTHER_PASSWORD, SECOND, assert_auth_error, assert_limited, assert_not_found, assert_wrong_password,
    get_as,
};
use crate::routes::{self, Route};

const ROOT: &str = "root@example.com";

async fn log_in(client: &Client, kind: &str, name: &str, password: &str) -> Answer {
    let key = if kind == "service" { "name" } else { "email" };
    let body = json!({ key: name, "password": password });
    client.post(&format!("/v1/login/{kind}/")).json(&body).send().await
}

async fn refresh(client: &Client, token: &str) -> Answer {
    client.post("/v1/login/refresh-token/").json(&json!({ "refresh_token": token })).send().await
}

/// Sends requests without a token from the client's address, and checks that each was let through.
async fn spend(client: &Client, requests: usize) {
    for _ in 0..requests {
        let answer = client.get("/v1/nothing/").send().await;
        assert_not_found(&answer, ("path", "PATH_NOT_FOUND"), "/v1/nothing/");
    }
}

/// The contract's routes, with or without a token.
fn routes_of(bearer: bool) -> Vec<Route> {
    let all = routes::all().into_iter();
    all.filter(|route| route.contract == ContractId::CROSSING_MINDS && route.bearer == bearer).collect()
}

on_both_engines! {
    async fn ten_wrong_passwords_in_five_minutes_for_one_account_at_one_client(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_individual(&root, "ada@example.com", "backend").await;
        app.add_service(&root, "program", "backend").await;
        app.add_service(&root, "other program", "backend").await;
        for (kind, name, other) in
            [("individual", "ada@example.com", ROOT), ("service", "program", "other program")]
        {
            let client = app.client().at(if kind == "service" { "203.0.113.1" } else { "203.0.113.2" });
            for _ in 0..10 {
                assert_wrong_password(&log_in(&client, kind, name, OTHER_PASSWORD).await);
            }
            app.advance(2 * 60 * SECOND);
            // Even the right one.
            assert_limited(&log_in(&client, kind, name, PASSWORD).await, 180);
            assert_limited(&log_in(&client, kind, &format!(" {name} "), PASSWORD).await, 180);
            log_in(&client, kind, other, PASSWORD).await.assert_status(200);
            log_in(&client.at("192.0.2.1"), kind, name, PASSWORD).await.assert_status(200);
            app.advance(3 * 60 * SECOND - SECOND);
            assert_limited(&log_in(&client, kind, name, PASSWORD).await, 1);
            app.advance(SECOND);
            log_in(&client, kind, name, PASSWORD).await.assert_status(200);
        }
    }

    async fn both_doors_of_an_owner_count_together_and_so_does_every_spelling(app: TestApp) {
        app.provision(ROOT).await;
        for (door, email) in [("individual", ROOT), ("root", "ROOT@example.com")].into_iter().cycle().take(10)
        {
            assert_wrong_password(&log_in(&app.client(), door, email, OTHER_PASSWORD).await);
        }
        assert_limited(&log_in(&app.client(), "root", ROOT, PASSWORD).await, 300);
        assert_limited(&log_in(&app.client(), "individual", "Root@Example.com", PASSWORD).await, 300);
    }

    async fn a_name_nobody_has_is_limited_alike(app: TestApp) {
        app.provision(ROOT).await;
        for (kind, name) in [("individual", "nobody@example.com"), ("service", "nobody")] {
            for _ in 0..10 {
                assert_wrong_password(&log_in(&app.client(), kind, name, PASSWORD).await);
            }
            assert_limited(&log_in(&app.client(), kind, name, PASSWORD).await, 300);
        }
    }

    async fn what_is_refused_for_another_reason_is_no_wrong_password(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.create_individual(&root, "ada@example.com", "backend").await.assert_status(200);
        for _ in 0..12 {
            let answer = log_in(&app.client(), "individual", "ada@example.com", PASSWORD).await;
            assert_auth_error(&answer, "ACCOUNT_NOT_VERIFIED", "this account is not verified");
            let body = json!({ "email": ROOT, "password": PASSWORD, "db_name": "none" });
            app.post("/v1/login/individual/").json(&body).send().await.assert_status(404);
        }
        log_in(&app.client(), "individual", ROOT, PASSWORD).await.assert_status(200);
    }

    async fn thirty_sign_ins_a_minute_from_one_client_through_all_doors_together(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, "program", "backend").await;
        let client = app.client();
        for number in 0..30 {
            let answer = match number % 4 {
                0 => log_in(&client, "individual", &format!("{number}@example.com"), PASSWORD).await,
                1 => log_in(&client, "service", "program", PASSWORD).await,
                2 => log_in(&client, "root", ROOT, PASSWORD).await,
                _ => refresh(&client, if number % 8 == 3 { "tgr_x" } else { &root.refresh_token }).await,
            };
            assert!([200, 401].contains(&answer.status), "{number}: {}", answer.text);
        }
        app.advance(20 * SECOND);
        assert_limited(&log_in(&client, "individual", ROOT, PASSWORD).await, 40);
        assert_limited(&log_in(&client, "service", "program", PASSWORD).await, 40);
        assert_limited(&log_in(&client, "root", ROOT, PASSWORD).await, 40);
        assert_limited(&refresh(&client, &root.refresh_token).await, 40);
        assert_limited(&refresh(&client, "").await, 40);
        // Who is signed in is not signing in.
        client.post("/v1/login/jwt/").bearer(&root.access_token).send().await.assert_status(200);
        log_in(&client.at("192.0.2.1"), "individual", ROOT, PASSWORD).await.assert_status(200);
        app.advance(40 * SECOND);
        refresh(&client, &root.refresh_token).await.assert_status(200);
    }

    async fn six_hundred_requests_a_minute_for_all_accounts_of_an_organization(app: TestApp) {
        let root = app.provision(ROOT).await;
        let ada = app.add_individual(&root, "ada@example.com", "manager").await;
        let program = app.add_service(&root, "program", "backend").await;
        let stranger = app.provision("stranger@example.com").await;
        // Past the minute in which they were made.
        app.advance(60 * SECOND);
        let ask = async |who: &Person, ip: &str| {
            app.client().at(ip).get("/v1/databases/").bearer(&who.access_token).send().await
        };
        for number in 0..600 {
            let who = [&root, &ada, &program][number % 3];
            ask(who, &format!("192.0.2.{}", number % 7)).await.assert_status(200);
        }
        app.advance(15 * SECOND);
        for who in [&root, &ada, &program] {
            assert_limited(&ask(who, "203.0.113.1").await, 45);
        }
        // Whatever they ask for.
        for route in routes_of(true) {
            let answer = route.request(&app.client().at("203.0.113.1")).bearer(&root.access_token).send().await;
            assert_limited(&answer, 45);
        }
        // A token that is refused for what it may not do counts as well: it was let in.
        assert_limited(&get_as(&app, &program, "organizations/current/").await, 45);
        ask(&stranger, "192.0.2.0").await.assert_status(200);
        spend(&app.client(), 1).await;
        app.advance(45 * SECOND);
        ask(&root, "203.0.113.1").await.assert_status(200);
    }

    async fn three_hundred_requests_a_minute_without_a_token_from_one_client(app: TestApp) {
        let root = app.provision(ROOT).await;
        let client = app.client().at("203.0.113.9");
        spend(&client, 300).await;
        app.advance(30 * SECOND);
        assert_limited(&client.get("/v1/nothing/").send().await, 30);
        assert_limited(&log_in(&client, "individual", ROOT, PASSWORD).await, 30);
        assert_limited(&client.get("/v1/databases/").send().await, 30);
        assert_limited(&client.get("/v1/databases/").bearer("a.b.c").send().await, 30);
        assert_limited(&client.patch("/v1/login/root/").send().await, 30);
        let verify: Value = json!({ "email": ROOT, "code": "x" });
        assert_limited(&client.post("/v1/accounts/verify/").json(&verify).send().await, 30);
        for route in routes_of(false) {
            assert_limited(&route.request(&client).send().await, 30);
        }
        client.get("/v1/databases/").bearer(&root.access_token).send().await.assert_status(200);
        spend(&client.at("203.0.113.10"), 1).await;
        app.advance(30 * SECOND);
        spend(&client, 1).await;
    }
}

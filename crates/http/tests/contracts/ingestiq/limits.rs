//! Rate limits of IngestIQ: all requests, and wrong passwords.

use serde_json::json;
use tidegate_testkit::{Answer, Client, PASSWORD, TestApp, on_both_engines};

use super::{LOGIN, LOGOUT, ME, MINUTE, REFRESH, REGISTER, SECOND, login, me, refresh};

/// Sends requests without a token from the client's address, and checks that each was let through.
async fn spend(client: &Client, requests: usize) {
    for _ in 0..requests {
        client.get("/api/v2/auth/nothing").send().await.assert_error(404, "NOT_FOUND");
    }
}

fn assert_limited(answer: &Answer, limit: &str, seconds: &str) {
    answer.assert_error(429, "RATE_LIMITED");
    assert_eq!(answer.header("retry-after"), seconds);
    assert_eq!(answer.header("x-ratelimit-limit"), limit);
    assert_eq!(answer.header("x-ratelimit-remaining"), "0");
}

/// Fails to log in that many times, each time from another address.
async fn fail_from_everywhere(app: &TestApp, path: &str, addresses: std::ops::Range<u32>) {
    for address in addresses {
        let body = json!({ "email": "ada@example.com", "password": "wrong password" });
        let request = app.post(path).ip(&format!("192.0.2.{address}")).json(&body);
        request.send().await.assert_error(401, "INVALID_CREDENTIALS");
    }
}

on_both_engines! {
    async fn a_hundred_requests_a_minute_without_a_token(app: TestApp) {
        let client = app.client();
        let first = client.get("/api/v2/auth/nothing").send().await;
        let reset = app.now().seconds() + 60;
        let headers = ["limit", "remaining", "reset"].map(|name| first.header(&format!("x-ratelimit-{name}")));
        assert_eq!(headers, ["100", "99", &reset.to_string()]);
        app.advance(30 * SECOND);
        spend(&client, 98).await;
        let last = client.get("/api/v2/auth/nothing").send().await;
        assert_eq!(last.header("x-ratelimit-remaining"), "0");
        assert_eq!(last.header("x-ratelimit-reset"), reset.to_string(), "the window began with the first");

        assert_limited(&login(&client, "ada@example.com", PASSWORD).await, "100", "30");
        assert_limited(&refresh(&client, "tgr_x").await, "100", "30");
        assert_limited(&client.get(LOGIN).send().await, "100", "30");
        assert_limited(&client.get(ME).send().await, "100", "30");
        assert_limited(&me(&client, "forged").await, "100", "30");
        let body = json!({ "email": "ada@example.com", "password": PASSWORD, "name": "Ada" });
        assert_limited(&client.post(REGISTER).json(&body).send().await, "100", "30");
        assert_limited(&client.post(LOGOUT).send().await, "100", "30");
        assert_eq!(app.sql_count("select count(*) from accounts").await, 0);
        client.get("/api/v2/health").send().await.assert_status(200);
        client.at("203.0.113.1").get("/api/v2/nothing").send().await.assert_status(404);

        app.advance(30 * SECOND);
        spend(&client, 1).await;
    }

    async fn guessing_tokens_counts_as_what_it_is(app: TestApp) {
        for guess in 0..100 {
            me(&app.client(), &format!("forged {guess}")).await.assert_error(401, "INVALID_TOKEN");
        }
        assert_limited(&me(&app.client(), "forged").await, "100", "60");
    }

    async fn an_ipv6_network_is_one_client(app: TestApp) {
        for host in 0..100 {
            let client = app.client().at(&format!("2001:db8:1:2::{host:x}"));
            spend(&client, 1).await;
        }
        let neighbour = app.client().at("2001:db8:1:2:ffff::1");
        assert_limited(&neighbour.get("/api/v2/nothing").send().await, "100", "60");
        spend(&app.client().at("2001:db8:1:3::1"), 1).await;
    }

    async fn headers_of_a_stranger_do_not_make_them_another_client(app: TestApp) {
        for hop in 0..100 {
            let request = app.get("/api/v2/nothing").header("x-forwarded-for", &format!("192.0.2.{hop}"));
            request.header("forwarded", &format!("for=192.0.2.{hop}")).send().await.assert_status(404);
        }
        let another = app.get("/api/v2/nothing").header("x-forwarded-for", "192.0.2.200").send().await;
        assert_limited(&another, "100", "60");
    }

    async fn a_thousand_requests_a_minute_with_a_token(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let bob = app.register_ingestiq("bob@example.com").await;
        let second = login(&app.client().at("192.0.2.1"), "ada@example.com", PASSWORD).await.text_at("accessToken");
        let first = me(&app.client(), &ada.access_token).await;
        assert_eq!(first.header("x-ratelimit-limit"), "1000");
        assert_eq!(first.header("x-ratelimit-remaining"), "999");
        for _ in 1..1_000 {
            me(&app.client(), &ada.access_token).await.assert_status(200);
        }
        // By person, not by session nor by address.
        assert_limited(&me(&app.client(), &ada.access_token).await, "1000", "60");
        assert_limited(&me(&app.client().at("192.0.2.2"), &second).await, "1000", "60");
        let logout = app.post(LOGOUT).bearer(&second).send().await;
        assert_limited(&logout, "1000", "60");
        me(&app.client(), &bob.access_token).await.assert_status(200);
        spend(&app.client(), 1).await;
        app.advance(MINUTE);
        me(&app.client(), &ada.access_token).await.assert_status(200);
    }

    async fn nodes_tell_each_other_what_they_counted(app: TestApp) {
        let other = app.another_node().await;
        spend(&app.client(), 60).await;
        spend(&other.client(), 40).await;
        app.kernel().exchange_meters().await.unwrap();
        other.kernel.exchange_meters().await.unwrap();
        // The second to exchange knows all of it; the first learns of it with its own next count.
        assert_limited(&other.client().get("/api/v2/nothing").send().await, "100", "60");
        spend(&app.client(), 1).await;
        app.kernel().exchange_meters().await.unwrap();
        assert_limited(&app.client().get("/api/v2/nothing").send().await, "100", "60");

        app.advance(MINUTE);
        spend(&other.client(), 1).await;
        spend(&app.client(), 1).await;
    }

    async fn nodes_share_the_limit_of_a_person_too(app: TestApp) {
        let other = app.another_node().await;
        let ada = app.register_ingestiq("ada@example.com").await;
        for _ in 0..500 {
            me(&app.client(), &ada.access_token).await.assert_status(200);
            me(&other.client(), &ada.access_token).await.assert_status(200);
        }
        app.kernel().exchange_meters().await.unwrap();
        other.kernel.exchange_meters().await.unwrap();
        assert_limited(&me(&other.client(), &ada.access_token).await, "1000", "60");
    }

    async fn ten_wrong_passwords_in_a_quarter_of_an_hour(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        app.register_ingestiq("bob@example.com").await;
        let client = app.client();
        for _ in 0..10 {
            login(&client, "ada@example.com", "wrong password").await.assert_error(401, "INVALID_CREDENTIALS");
        }
        app.advance(5 * MINUTE);
        // Even the right one, in whatever spelling of the address.
        assert_limited(&login(&client, "ada@example.com", PASSWORD).await, "10", "600");
        assert_limited(&login(&client, " ADA@Example.com", PASSWORD).await, "10", "600");
        // The limit is of this address at this client.
        login(&client, "bob@example.com", PASSWORD).await.assert_status(200);
        login(&client.at("192.0.2.1"), "ada@example.com", PASSWORD).await.assert_status(200);
        app.advance(10 * MINUTE - SECOND);
        assert_limited(&login(&client, "ada@example.com", PASSWORD).await, "10", "1");
        app.advance(SECOND);
        login(&client, "ada@example.com", PASSWORD).await.assert_status(200);
    }

    async fn an_address_nobody_has_is_limited_alike(app: TestApp) {
        for _ in 0..10 {
            login(&app.client(), "eve@example.com", PASSWORD).await.assert_error(401, "INVALID_CREDENTIALS");
        }
        assert_limited(&login(&app.client(), "eve@example.com", PASSWORD).await, "10", "900");
    }

    async fn right_passwords_do_not_count(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        let client = app.client();
        for _ in 0..9 {
            login(&client, "ada@example.com", "wrong password").await.assert_status(401);
        }
        for _ in 0..20 {
            login(&client, "ada@example.com", PASSWORD).await.assert_status(200);
        }
        // Nor do they wipe out the wrong ones: somebody with an account here could guess on for ever.
        login(&client, "ada@example.com", "wrong password").await.assert_status(401);
        assert_limited(&login(&client, "ada@example.com", PASSWORD).await, "10", "900");
    }

    async fn the_limit_outlives_the_node(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        for _ in 0..10 {
            login(&app.client(), "ada@example.com", "wrong password").await.assert_status(401);
        }
        let other = app.another_node().await;
        assert_limited(&login(&other.client(), "ada@example.com", PASSWORD).await, "10", "900");
    }

    async fn a_hundred_wrong_passwords_an_hour_for_one_account_from_wherever(app: TestApp) {
        app.sign_up_rivergen_verified("ada@example.com").await;
        app.register_ingestiq("bob@example.com").await;
        // Through both contracts; RiverGen lets through five a quarter of an hour.
        fail_from_everywhere(&app, "/api/v1/auth/login", 0..5).await;
        fail_from_everywhere(&app, LOGIN, 5..100).await;
        let elsewhere = app.client().at("203.0.113.1");
        assert_limited(&login(&elsewhere, "ada@example.com", PASSWORD).await, "100", "3600");
        app.advance(30 * MINUTE);
        assert_limited(&login(&elsewhere, "ada@example.com", PASSWORD).await, "100", "1800");
        let rivergen = elsewhere.post("/api/v1/auth/login");
        let rivergen = rivergen.json(&json!({ "email": "ada@example.com", "password": PASSWORD })).send().await;
        assert_limited(&rivergen, "100", "1800");
        login(&elsewhere, "bob@example.com", PASSWORD).await.assert_status(200);
        app.advance(30 * MINUTE);
        login(&elsewhere, "ada@example.com", PASSWORD).await.assert_status(200);
    }

    // One client that was long told to stop could lock anybody out of their account for an hour.
    async fn a_try_that_was_refused_is_not_a_wrong_password(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        let wrong = async || login(&app.client(), "ada@example.com", "wrong password").await;
        for _ in 0..10 {
            wrong().await.assert_error(401, "INVALID_CREDENTIALS");
        }
        for _ in 0..5 {
            for _ in 0..90 {
                wrong().await.assert_error(429, "RATE_LIMITED");
            }
            app.advance(MINUTE);
        }
        login(&app.client().at("203.0.113.1"), "ada@example.com", PASSWORD).await.assert_status(200);
        app.advance(10 * MINUTE);
        login(&app.client(), "ada@example.com", PASSWORD).await.assert_status(200);
    }

    async fn refreshing_counts_as_a_request_without_a_token(app: TestApp) {
        let ada = app.register_ingestiq("ada@example.com").await;
        let send = app.post(REFRESH).json(&json!({ "refreshToken": ada.refresh_token }));
        let answer = send.bearer(&ada.access_token).send().await;
        answer.assert_status(200);
        assert_eq!(answer.header("x-ratelimit-limit"), "100");
    }
}

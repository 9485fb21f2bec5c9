//! How often something may be tried: section 1.4 of the contract.

use serde_json::{Value, json};
use tidegate_testkit::{PASSWORD, Person, Request, TestApp, on_both_engines};

use super::wire::{
    OTHER_PASSWORD, assert_refused, assert_told_to_wait, audit_log, post, post_as, refused_without_trace,
    sign_in, somewhere_else, wait,
};

const ADA: &str = "ada@example.com";
const SIGN_IN_WINDOW: u64 = 900;

/// `limit` requests are let through and the next one is not, until the window is over; then `limit` more are.
async fn assert_limit(
    app: &TestApp,
    (limit, window): (u32, u64),
    let_through: u16,
    request: impl Fn(u32) -> Request,
) {
    for number in 0..limit {
        request(number).send().await.assert_status(let_through);
    }
    let refused = refused_without_trace(app, request(limit), 429, "RATE_LIMITED").await;
    assert_told_to_wait(&refused, limit, window);
    wait(app, window - 1);
    let refused = refused_without_trace(app, request(limit), 429, "RATE_LIMITED").await;
    assert_eq!(refused.header("retry-after"), "1");
    wait(app, 1);
    for number in limit..2 * limit {
        request(number).send().await.assert_status(let_through);
    }
    refused_without_trace(app, request(2 * limit), 429, "RATE_LIMITED").await;
}

fn claim(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

/// A sign-in of a number's own address, or from a number's own address on the network.
fn numbered(number: u32) -> (String, String) {
    (format!("person{number}@example.com"), somewhere_else(u8::try_from(number).unwrap_or(u8::MAX)))
}

/// Ada's address in another case each time.
fn spelled(number: u32) -> &'static str {
    ["ada@example.com", "ADA@example.com", "Ada@Example.Com"][number as usize % 3]
}

/// Has a code mailed to a new address; answers it.
async fn ask_for_code(app: &TestApp, who: &Person, new_email: &str) -> String {
    let request = post_as(app, who, "auth/me/email/request", &json!({ "new_email": new_email }));
    request.send().await.assert_status(200);
    app.latest_code(new_email).await
}

on_both_engines! {
    async fn three_sign_ups_in_five_minutes_from_one_client(app: TestApp) {
        assert_limit(&app, (3, 300), 201, |number| {
            post(&app, "auth/signup", &claim(&numbered(number).0, PASSWORD))
        }).await;
        // Others are not affected.
        let elsewhere = post(&app, "auth/signup", &claim("else@example.com", PASSWORD)).ip(&somewhere_else(1));
        elsewhere.send().await.assert_status(201);
    }

    async fn sign_ups_that_were_refused_count_too_and_invalid_ones_do_not(app: TestApp) {
        for _ in 0..5 {
            post(&app, "auth/signup", &json!({})).send().await.assert_status(400);
        }
        for _ in 0..3 {
            post(&app, "auth/signup", &claim(ADA, "weak")).send().await.assert_status(422);
        }
        refused_without_trace(&app, post(&app, "auth/signup", &claim(ADA, PASSWORD)), 429, "RATE_LIMITED").await;
    }

    async fn five_sign_ins_in_a_quarter_of_an_hour_from_one_client(app: TestApp) {
        assert_limit(&app, (5, SIGN_IN_WINDOW), 401, |number| {
            post(&app, "auth/login", &claim(&numbered(number).0, OTHER_PASSWORD))
        }).await;
        let elsewhere = post(&app, "auth/login", &claim("else@example.com", PASSWORD)).ip(&somewhere_else(1));
        elsewhere.send().await.assert_status(401);
    }

    async fn five_sign_ins_in_a_quarter_of_an_hour_for_one_address_however_spelled(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        assert_limit(&app, (5, SIGN_IN_WINDOW), 401, |number| {
            post(&app, "auth/login", &claim(spelled(number), OTHER_PASSWORD)).ip(&numbered(number).1)
        }).await;
        let other = post(&app, "auth/login", &claim("bob@example.com", PASSWORD)).ip(&numbered(0).1);
        other.send().await.assert_status(401);
    }

    async fn an_address_nobody_has_is_limited_alike(app: TestApp) {
        assert_limit(&app, (5, SIGN_IN_WINDOW), 401, |number| {
            post(&app, "auth/login", &claim("nobody@example.com", PASSWORD)).ip(&numbered(number).1)
        }).await;
    }

    async fn right_passwords_count_as_sign_ins_too(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        assert_limit(&app, (5, SIGN_IN_WINDOW), 200, |number| {
            post(&app, "auth/login", &claim(spelled(number), PASSWORD))
        }).await;
    }

    async fn beyond_the_limit_not_even_the_right_password_is_looked_at(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        for _ in 0..5 {
            post(&app, "auth/login", &claim(ADA, OTHER_PASSWORD)).send().await.assert_status(401);
        }
        let log = audit_log(&app).await;
        for password in [PASSWORD, OTHER_PASSWORD] {
            refused_without_trace(&app, post(&app, "auth/login", &claim(ADA, password)), 429, "RATE_LIMITED").await;
        }
        assert_eq!(audit_log(&app).await, log);
    }

    async fn a_flood_from_one_client_locks_nobody_out_elsewhere(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        for _ in 0..5 {
            post(&app, "auth/login", &claim("bob@example.com", OTHER_PASSWORD)).send().await.assert_status(401);
        }
        // From here on this client is refused: its guesses are no guesses, and count against nobody.
        for _ in 0..110 {
            post(&app, "auth/login", &claim(ADA, OTHER_PASSWORD)).send().await.assert_status(429);
        }
        let ada = post(&app, "auth/login", &claim(ADA, PASSWORD)).ip(&somewhere_else(1));
        ada.send().await.assert_status(200);
        app.post("/api/v2/auth/login").json(&claim(ADA, PASSWORD)).send().await.assert_status(200);
    }

    async fn one_ipv6_network_is_one_client(app: TestApp) {
        for host in 0..5 {
            let request = post(&app, "auth/login", &claim(&numbered(host).0, OTHER_PASSWORD));
            request.ip(&format!("2001:db8:1:2:{host}::1")).send().await.assert_status(401);
        }
        let request = |ip: &str| post(&app, "auth/login", &claim(ADA, OTHER_PASSWORD)).ip(ip);
        let refused = request("2001:db8:1:2:ffff:ffff:ffff:ffff").send().await;
        assert_refused(&app, &refused, 429, "RATE_LIMITED");
        request("2001:db8:1:3::1").send().await.assert_status(401);
    }

    async fn claiming_to_be_forwarded_makes_nobody_another_client(app: TestApp) {
        for number in 0..6 {
            let request = post(&app, "auth/login", &claim(&numbered(number).0, OTHER_PASSWORD));
            let answer = request.header("x-forwarded-for", &numbered(number).1).send().await;
            answer.assert_status(if number < 5 { 401 } else { 429 });
        }
    }

    async fn three_reset_mails_in_an_hour_from_one_client(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        assert_limit(&app, (3, 3_600), 200, |number| {
            let email = if number % 2 == 0 { ADA } else { "nobody@example.com" };
            post(&app, "auth/forgot-password", &json!({ "email": email }))
        }).await;
        let elsewhere = post(&app, "auth/forgot-password", &json!({ "email": ADA })).ip(&somewhere_else(1));
        elsewhere.send().await.assert_status(200);
    }

    async fn a_mailbox_is_not_flooded_from_many_clients_and_nobody_is_told(app: TestApp) {
        app.sign_up_rivergen_verified(ADA).await;
        let ask = |number: u32| post(&app, "auth/forgot-password", &json!({ "email": spelled(number) }));
        let mut answers = Vec::new();
        for number in 0..6 {
            answers.push(ask(number).ip(&numbered(number).1).send().await.assert_status(200).text.clone());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1);
        let mailed = async || app.templates_to(ADA).await.iter().filter(|name| *name == "password_reset").count();
        assert_eq!(mailed().await, 5);
        wait(&app, 3_600);
        ask(0).send().await.assert_status(200);
        assert_eq!(mailed().await, 6);
    }

    async fn three_codes_in_five_minutes_for_one_account(app: TestApp) {
        let mut token = app.sign_up_rivergen(ADA).await.temporary_token;
        let body = |token: &str| json!({ "email": ADA, "temporary_token": token });
        for number in 0..3 {
            // Each from another client: it is the mailbox that is protected.
            let request = post(&app, "auth/resend-signup-otp", &body(&token)).ip(&numbered(number).1);
            token = request.send().await.assert_status(200).text_at("data.temporary_token");
        }
        let request = post(&app, "auth/resend-signup-otp", &body(&token)).ip(&numbered(3).1);
        let refused = refused_without_trace(&app, request, 429, "RATE_LIMITED").await;
        assert_told_to_wait(&refused, 3, 300);
        wait(&app, 300);
        post(&app, "auth/resend-signup-otp", &body(&token)).send().await.assert_status(200);
    }

    async fn guessed_temporary_tokens_use_nobodys_codes_up(app: TestApp) {
        let ada = app.sign_up_rivergen(ADA).await;
        for _ in 0..5 {
            let guess = json!({ "email": ADA, "temporary_token": "tgt_guess" });
            post(&app, "auth/resend-signup-otp", &guess).send().await.assert_status(401);
        }
        let body = json!({ "email": ADA, "temporary_token": ada.temporary_token });
        post(&app, "auth/resend-signup-otp", &body).send().await.assert_status(200);
    }

    async fn three_changes_of_address_in_five_minutes_for_one_account(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        let ask = |who, number| {
            let body = json!({ "new_email": format!("new{number}@example.org") });
            post_as(&app, who, "auth/me/email/request", &body)
        };
        assert_limit(&app, (3, 300), 200, |number| ask(&ada, number)).await;
        ask(&bob, 99).send().await.assert_status(200);
    }

    async fn asking_whose_an_address_is_counts_as_asking_to_change_to_it(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for number in 0..6 {
            app.sign_up_rivergen_verified(&numbered(number).0).await;
        }
        let ask = |number| json!({ "new_email": numbered(number).0 });
        assert_limit(&app, (3, 300), 400, |number| {
            post_as(&app, &ada, "auth/me/email/request", &ask(number % 6))
        }).await;
    }

    async fn a_stranger_is_not_flooded_with_codes_from_many_accounts(app: TestApp) {
        let stranger = json!({ "new_email": "stranger@example.org" });
        for number in 0..6 {
            let who = app.sign_up_rivergen_verified(&numbered(number).0).await;
            let answer = post_as(&app, &who, "auth/me/email/request", &stranger).send().await;
            answer.assert_status(if number < 5 { 200 } else { 429 });
        }
    }

    async fn an_account_has_twenty_wrong_codes_an_hour_however_many_codes_are_mailed(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let new_email = "ada@example.org";
        let guess = |who: &Person, code: &str| {
            let body = json!({ "new_email": new_email, "otp_code": code });
            post_as(&app, who, "auth/me/email/verify", &body)
        };
        for round in 0..4 {
            // Three requests in five minutes are let through.
            wait(&app, if round == 3 { 300 } else { 0 });
            ask_for_code(&app, &ada, new_email).await;
            for _ in 0..5 {
                guess(&ada, "000000").send().await.assert_error(400, "INVALID_OTP");
            }
        }
        let right = ask_for_code(&app, &ada, new_email).await;
        let refused = refused_without_trace(&app, guess(&ada, &right), 429, "TOO_MANY_ATTEMPTS").await;
        assert_eq!((refused.header("x-ratelimit-limit"), refused.header("retry-after")), ("20", "3300"));
        wait(&app, 3_300);
        let ada = sign_in(&app, &ada).await;
        let right = ask_for_code(&app, &ada, new_email).await;
        guess(&ada, &right).send().await.assert_status(200);
    }

    async fn a_stolen_access_token_guesses_a_hundred_passwords_at_most(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let body = json!({ "current_password": OTHER_PASSWORD, "new_password": "Attacker3horse" });
        for _ in 0..100 {
            let answer = post_as(&app, &ada, "auth/change-password", &body).send().await;
            answer.assert_error(400, "INVALID_CURRENT_PASSWORD");
        }
        let right = json!({ "current_password": PASSWORD, "new_password": "Attacker3horse" });
        let request = post_as(&app, &ada, "auth/change-password", &right);
        let refused = refused_without_trace(&app, request, 429, "RATE_LIMITED").await;
        assert_told_to_wait(&refused, 100, 3_600);
    }

    async fn nodes_share_their_counts(app: TestApp) {
        let other = app.another_node().await;
        for number in 0..6 {
            let client = if number % 2 == 0 { app.client() } else { other.client() };
            let answer = client.post("/api/v1/auth/login").json(&claim(&numbered(number).0, PASSWORD)).send().await;
            answer.assert_status(if number < 5 { 401 } else { 429 });
        }
    }

    async fn addresses_cannot_be_read_from_the_counts(app: TestApp) {
        post(&app, "auth/login", &claim(ADA, PASSWORD)).send().await.assert_status(401);
        let all = app.sql_count("select count(*) from rate_limit_buckets").await;
        assert!(all > 0);
        let hashed = "select count(*) from rate_limit_buckets where length(bucket) = 32";
        assert_eq!(app.sql_count(hashed).await, all);
    }
}

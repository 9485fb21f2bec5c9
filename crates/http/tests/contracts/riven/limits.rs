//! How often codes are texted and requests made: section 1.

use serde_json::json;
use tidegate_domain::ContractId;
use tidegate_domain::limit::Limit;
use tidegate_domain::phone::TextLimits;
use tidegate_testkit::{Answer, Client, Engine, Fixture, TestApp, on_both_engines};

use super::wire::{
    ADA, BOB, MINUTE, SECOND, assert_invalid_credentials, assert_says, assert_unauthenticated, get_as,
    other_than, url,
};
use crate::routes::{self, Route};
use crate::watch::row_counts;

#[track_caller]
fn assert_limited(answer: &Answer, limit: u32, retry_after: u64) {
    assert_says(answer, 429, "Too Many Attempts.");
    assert_eq!(answer.header("retry-after"), retry_after.to_string());
    assert_eq!(answer.header("x-ratelimit-limit"), limit.to_string());
    assert_eq!(answer.header("x-ratelimit-remaining"), "0");
    assert_eq!(answer.header("cache-control"), "no-store");
}

async fn ask(client: &Client, path: &str, phone: &str) -> Answer {
    client.post(&url(path)).json(&json!({ "phone": phone })).send().await
}

async fn enter(client: &Client, phone: &str) -> Answer {
    ask(client, "auth/enter-phone", phone).await
}

/// Another phone for each number.
fn phone(number: u32) -> String {
    format!("+2547{number:08}")
}

/// No limit but this one: so many codes an hour to all numbers of one prefix.
struct Budget(TestApp);

const BUDGET: u32 = 3;

impl Fixture for Budget {
    async fn prepare(engine: Engine) -> Self {
        let builder = TestApp::builder(engine).without_limits().settings(|settings| {
            let by_prefix = Some(Limit::new(BUDGET, 3_600));
            settings.texts = TextLimits { by_prefix, ..settings.texts.clone() };
        });
        Self(builder.start().await)
    }
}

/// The contract's routes, with or without a token.
fn routes_of(bearer: bool) -> Vec<Route> {
    let all = routes::all().into_iter();
    all.filter(|route| route.contract == ContractId::RIVEN && route.bearer == bearer).collect()
}

/// What the delivery worker does until nothing is due.
async fn deliver(app: &TestApp) {
    while app.kernel().deliver_due().await.unwrap() > 0 {}
}

on_both_engines! {
    async fn one_code_a_minute_goes_to_a_phone_whatever_it_is_for(app: TestApp) {
        enter(&app.client(), ADA).await.assert_status(200);
        let before = row_counts(&app).await;
        app.advance(20 * SECOND);
        for path in ["auth/enter-phone", "login/send-code"] {
            // From anywhere, in any spelling.
            for spelling in [ADA, "0712345678", "+254 712-345-678"] {
                assert_limited(&ask(&app.client().at("192.0.2.1"), path, spelling).await, 1, 40);
            }
        }
        assert_eq!(row_counts(&app).await, before);
        app.advance(40 * SECOND);
        ask(&app.client(), "login/send-code", ADA).await.assert_status(200);
        assert_limited(&enter(&app.client(), ADA).await, 1, 60);
        enter(&app.client(), BOB).await.assert_status(200);
    }

    async fn five_codes_an_hour_go_to_a_phone(app: TestApp) {
        for number in 0..5 {
            enter(&app.client().at(&format!("192.0.2.{number}")), ADA).await.assert_status(200);
            app.advance(2 * MINUTE);
        }
        assert_limited(&enter(&app.client(), ADA).await, 5, 50 * 60);
        assert_limited(&ask(&app.client(), "login/send-code", ADA).await, 5, 50 * 60);
        assert_eq!(app.texts_to(ADA).await.len(), 5);
        app.advance(50 * MINUTE);
        enter(&app.client(), ADA).await.assert_status(200);
    }

    // Whether anybody has the phone is not to be told from when the limit comes.
    async fn a_phone_nobody_has_is_limited_alike(app: TestApp) {
        ask(&app.client(), "login/send-code", BOB).await.assert_status(200);
        assert_limited(&ask(&app.client(), "login/send-code", BOB).await, 1, 60);
        for _ in 0..4 {
            app.advance(MINUTE);
            ask(&app.client(), "login/send-code", BOB).await.assert_status(200);
        }
        app.advance(MINUTE);
        assert_limited(&ask(&app.client(), "login/send-code", BOB).await, 5, 55 * 60);
    }

    async fn twenty_codes_an_hour_are_sent_for_one_client(app: TestApp) {
        let client = app.client().at("203.0.113.9");
        for number in 0..20 {
            let path = if number % 2 == 0 { "auth/enter-phone" } else { "login/send-code" };
            ask(&client, path, &phone(number)).await.assert_status(200);
        }
        app.advance(10 * MINUTE);
        assert_limited(&enter(&client, ADA).await, 20, 50 * 60);
        assert!(app.texts_to(ADA).await.is_empty());
        // What was refused counts for nothing else: from elsewhere the phone can be used.
        enter(&app.client(), ADA).await.assert_status(200);
        app.advance(50 * MINUTE);
        enter(&client, BOB).await.assert_status(200);
    }

    async fn somebody_who_earns_from_texts_to_a_block_of_numbers_does_not_get_thousands_sent_there(budget: Budget) {
        let app = &budget.0;
        for number in 0..BUDGET {
            enter(&app.client().at(&format!("192.0.2.{number}")), &format!("+2547100000{number:02}")).await.assert_status(200);
        }
        let refused = enter(&app.client().at("203.0.113.1"), "+254710000099").await;
        assert_limited(&refused, BUDGET, 3_600);
        enter(&app.client(), "+254720000000").await.assert_status(200);
        app.advance(60 * MINUTE);
        enter(&app.client(), "+254710000099").await.assert_status(200);
    }

    async fn numbers_nobody_has_do_not_use_up_what_is_there_for_those_somebody_has(budget: Budget) {
        let app = &budget.0;
        app.register_phone(ADA).await;
        for number in 0..10 * BUDGET {
            let stranger = format!("+2547120000{number:02}");
            ask(&app.client(), "login/send-code", &stranger).await.assert_status(200);
            deliver(app).await;
        }
        let delivered = "select count(*) from outbox_messages where state = 'delivered'";
        let before = app.sql_count(delivered).await;
        // Whether the budget is used up shows in no answer: it would tell which numbers have an account.
        for _ in 0..2 * BUDGET {
            app.send_login_code(ADA).await.assert_status(200);
            deliver(app).await;
        }
        assert_eq!(app.sql_count(delivered).await, before + i64::from(BUDGET));
        app.advance(60 * MINUTE);
        app.send_login_code(ADA).await.assert_status(200);
        deliver(app).await;
        assert_eq!(app.sql_count(delivered).await, before + i64::from(BUDGET) + 1);
    }

    // Numbers nobody has can be registered without end.
    async fn registrations_do_not_use_up_what_is_there_for_logins(budget: Budget) {
        let app = &budget.0;
        app.register_phone(ADA).await;
        for number in 1..BUDGET {
            enter(&app.client(), &format!("+2547120000{number:02}")).await.assert_status(200);
        }
        assert_limited(&enter(&app.client(), "+254712000099").await, BUDGET, 3_600);
        app.send_login_code(ADA).await.assert_status(200);
    }

    async fn three_hundred_requests_a_minute_without_a_token_from_one_client(app: TestApp) {
        let client = app.client().at("203.0.113.9");
        for _ in 0..300 {
            client.get(&url("login/nothing")).send().await.assert_status(404);
        }
        app.advance(30 * SECOND);
        for route in routes_of(false) {
            assert_limited(&route.request(&client).send().await, 300, 30);
        }
        for route in routes_of(true) {
            assert_limited(&route.request(&client).send().await, 300, 30);
            assert_limited(&route.request(&client).bearer("1|guess").send().await, 300, 30);
        }
        assert_limited(&client.put(&url("login/send-code")).send().await, 300, 30);
        let ada = app.register_phone(ADA).await;
        let signed_in = client.get(&url("account/profile")).bearer(&ada.token).send().await;
        signed_in.assert_status(404);
        client.get("/api/v2/health").send().await.assert_status(200);
        app.advance(30 * SECOND);
        assert_unauthenticated(&client.get(&url("account/profile")).send().await);
    }

    async fn thirty_requests_a_minute_have_the_broker_work_for_one_account(app: TestApp) {
        let ada = app.register_phone(ADA).await;
        let bob = app.register_phone(BOB).await;
        let asking = || routes_of(true).into_iter().filter(|route| route.path.contains("/account/"));
        let routes: Vec<Route> = asking().collect();
        for number in 0..30 {
            let answer = routes[number % 4].request(&app.client()).bearer(&ada.token).send().await;
            assert!([404, 422].contains(&answer.status), "{}", answer.text);
        }
        app.advance(20 * SECOND);
        for route in asking() {
            let answer = route.request(&app.client().at("203.0.113.1")).bearer(&ada.token).send().await;
            assert_limited(&answer, 30, 40);
        }
        get_as(&app, &bob, "account/profile").await.assert_status(404);
        app.advance(40 * SECOND);
        get_as(&app, &ada, "account/profile").await.assert_status(404);
    }

    async fn a_hundred_and_twenty_requests_a_minute_for_one_account_with_all_its_tokens(engine: Engine) {
        let builder = TestApp::builder(engine).settings(|settings| settings.brokerage_by_account = None);
        let app = builder.start().await;
        let ada = app.register_phone(ADA).await;
        app.advance(MINUTE);
        let again = app.sign_in_by_phone(ADA).await;
        let bob = app.register_phone(BOB).await;
        for number in 0..120 {
            let who = if number % 2 == 0 { &ada } else { &again };
            let answer = get_as(&app, who, "account/profile").await;
            answer.assert_status(404);
            assert_eq!(answer.header("x-ratelimit-limit"), "120");
            assert_eq!(answer.header("x-ratelimit-remaining"), (119 - number).to_string());
        }
        app.advance(15 * SECOND);
        for route in routes_of(true) {
            let answer = route.request(&app.client().at("203.0.113.1")).bearer(&ada.token).send().await;
            assert_limited(&answer, 120, 45);
        }
        get_as(&app, &bob, "account/profile").await.assert_status(404);
        app.advance(45 * SECOND);
        get_as(&app, &ada, "account/profile").await.assert_status(404);
    }

    // A code's own five tries begin anew with every code: somebody who has a phone's number and patience, and no more,
    // may try five times a code, five codes an hour.
    async fn whoever_guesses_codes_to_log_in_is_stopped_before_long(app: TestApp) {
        app.register_phone(ADA).await;
        let mut tried = 0;
        for _ in 0..4 {
            app.advance(MINUTE);
            app.send_login_code(ADA).await.assert_status(200);
            let code = app.latest_text_code(ADA).await;
            for _ in 0..5 {
                let guess = app.confirm("login/verify-code", ADA, other_than(&code)).await;
                assert_invalid_credentials(&guess);
                tried += 1;
            }
            let late = app.confirm("login/verify-code", ADA, &code).await;
            assert_invalid_credentials(&late);
        }
        assert_eq!(tried, 20);
        app.advance(MINUTE);
        assert_limited(&app.send_login_code(ADA).await, 5, 56 * 60 - 60);
        assert_eq!(app.sql_count("select count(*) from sessions").await, 1);
    }

    async fn an_operator_may_lift_the_limits(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        for _ in 0..30 {
            enter(&app.client(), ADA).await.assert_status(200);
        }
        assert_eq!(app.texts_to(ADA).await.len(), 30);
        let builder = TestApp::builder(engine).settings(|settings| {
            let limit = Some(Limit::new(1, 10));
            settings.contracts.of_mut(ContractId::RIVEN).unwrap().limits.authenticated_requests = limit;
        });
        let app = builder.start().await;
        let ada = app.register_phone(ADA).await;
        get_as(&app, &ada, "account/profile").await.assert_status(404);
        assert_limited(&get_as(&app, &ada, "account/profile").await, 1, 10);
    }
}

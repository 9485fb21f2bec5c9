//! Limits count who causes something, besides whom it is done to.

use serde_json::{Value, json};
use tidegate_domain::limit::{Limit, MessageLimits};
use tidegate_testkit::{Answer, Engine, PASSWORD, TestApp, on_both_engines};

const ROOT: &str = "root@example.com";
const HOUR: u64 = 3_600;

async fn post(app: &TestApp, ip: &str, path: &str, body: &Value) -> Answer {
    app.post(path).ip(ip).json(body).send().await
}

/// Asks for a reset mail through Crossing Minds, whose contract has no limit by client.
async fn forgot(app: &TestApp, ip: &str, email: &str) -> Answer {
    post(app, ip, "/v1/accounts/individual/send-reset-password-email/", &json!({ "email": email })).await
}

async fn sign_up(app: &TestApp, ip: &str, email: &str) -> Answer {
    post(app, ip, "/api/v1/auth/signup", &json!({ "email": email, "password": PASSWORD })).await
}

/// How many mails to addresses like that one are to be sent.
async fn mails_like(app: &TestApp, pattern: &str) -> i64 {
    let query = "select count(*) from outbox_messages where state <> 'discarded' and recipient like";
    app.sql_count(&format!("{query} '{pattern}'")).await
}

/// The application with these limits on messages only.
async fn with_messages(engine: Engine, messages: MessageLimits) -> TestApp {
    let builder = TestApp::builder(engine).without_limits();
    builder.settings(|settings| settings.messages = messages).start().await
}

on_both_engines! {
    async fn one_mailbox_is_not_bombed_through_plus_addresses(app: TestApp) {
        let root = app.provision(ROOT).await;
        let mut invited = 0;
        for number in 0..10 {
            let email = format!("victim+{number}@example.com");
            let answer = app.create_individual(&root, &email, "backend").await;
            assert!([200, 429].contains(&answer.status), "{}", answer.text);
            invited += i32::from(answer.status == 200);
        }
        // Five an hour is the contract's limit for one recipient.
        assert_eq!(invited, 5);
        assert_eq!(mails_like(&app, "victim%").await, 5);
    }

    async fn one_mailbox_has_one_count_in_all_contracts(engine: Engine) {
        let by_recipient = Some(Limit::new(4, HOUR));
        let app = with_messages(engine, MessageLimits { by_recipient, ..MessageLimits::NONE }).await;
        let root = app.provision(ROOT).await;
        app.create_individual(&root, "victim@example.com", "backend").await.assert_status(200);
        for number in 0..4 {
            let ip = format!("192.0.2.{number}");
            forgot(&app, &ip, "victim@example.com").await.assert_status(200);
            let body = json!({ "email": "victim@example.com" });
            post(&app, &ip, "/api/v1/auth/forgot-password", &body).await.assert_status(200);
        }
        assert_eq!(mails_like(&app, "victim%").await, 4);
        // What the caller is told of, they are told.
        sign_up(&app, "192.0.2.9", "victim+2@example.com").await.assert_status(429);
        app.advance(std::time::Duration::from_secs(HOUR));
        sign_up(&app, "192.0.2.9", "victim+2@example.com").await.assert_status(201);
    }

    async fn mails_are_counted_by_the_account_and_the_organization_that_cause_them(engine: Engine) {
        let (by_account, by_organization) = (Some(Limit::new(3, HOUR)), Some(Limit::new(5, HOUR)));
        let limits = MessageLimits { by_account, by_organization, ..MessageLimits::NONE };
        let app = with_messages(engine, limits).await;
        let root = app.provision(ROOT).await;
        let manager = app.add_individual(&root, "manager@example.com", "manager").await;
        let invite = async |who, number: u32| {
            app.create_individual(who, &format!("person{number}@example.com"), "backend").await.status
        };
        // The manager's own invitation was the first.
        assert_eq!([invite(&root, 0).await, invite(&root, 1).await, invite(&root, 2).await], [200, 200, 429]);
        assert_eq!([invite(&manager, 3).await, invite(&manager, 4).await], [200, 200]);
        assert_eq!(invite(&manager, 5).await, 429, "five by the organization");
        let other = app.provision("other@example.com").await;
        assert_eq!(invite(&other, 6).await, 200);
    }

    async fn mails_are_counted_by_the_network_that_causes_them(engine: Engine) {
        let by_network = Some(Limit::new(3, HOUR));
        let app = with_messages(engine, MessageLimits { by_network, ..MessageLimits::NONE }).await;
        app.provision(ROOT).await;
        // Whether anyone gets them or not.
        for email in [ROOT, "nobody@example.com", "person@example.com"] {
            forgot(&app, "203.0.113.9", email).await.assert_status(200);
        }
        for email in [ROOT, "nobody2@example.com"] {
            forgot(&app, "203.0.113.9", email).await.assert_status(429);
        }
        forgot(&app, "203.0.113.10", ROOT).await.assert_status(200);
    }

    async fn a_code_sent_again_is_counted_by_network(engine: Engine) {
        let by_network = Some(Limit::new(3, HOUR));
        let app = with_messages(engine, MessageLimits { by_network, ..MessageLimits::NONE }).await;
        let mut token = sign_up(&app, "203.0.113.9", "ada@example.com").await.text_at("data.temporary_token");
        for _ in 0..2 {
            let body = json!({ "email": "ada@example.com", "temporary_token": token });
            let answer = post(&app, "203.0.113.9", "/api/v1/auth/resend-signup-otp", &body).await;
            answer.assert_status(200);
            token = answer.text_at("data.temporary_token");
        }
        let body = json!({ "email": "ada@example.com", "temporary_token": token });
        post(&app, "203.0.113.9", "/api/v1/auth/resend-signup-otp", &body).await.assert_status(429);
        // A sign-in that would send a code is one as well.
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        post(&app, "203.0.113.9", "/api/v1/auth/login", &body).await.assert_status(429);
        post(&app, "203.0.113.10", "/api/v1/auth/login", &body).await;
        assert_eq!(mails_like(&app, "ada%").await, 4);
    }

    async fn news_for_an_owner_is_not_kept_from_them_by_using_up_their_mails(engine: Engine) {
        let limits = MessageLimits {
            by_recipient: Some(Limit::new(2, HOUR)),
            by_network: Some(Limit::new(3, HOUR)),
            ..MessageLimits::NONE
        };
        let app = with_messages(engine, limits).await;
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        for _ in 0..3 {
            forgot(&app, "203.0.113.9", "ada@example.com").await;
        }
        assert_eq!(mails_like(&app, "ada%").await, 2);
        let body = json!({ "current_password": PASSWORD, "new_password": "Another1password!" });
        let request = app.post("/api/v1/auth/change-password").ip("203.0.113.9").bearer(&ada.access_token);
        let answer = request.json(&body).send().await;
        assert!([200, 204].contains(&answer.status), "{}", answer.text);
        assert_eq!(app.templates_to("ada@example.com").await.first().unwrap(), "password_changed");
    }

    async fn an_ipv6_site_is_not_sixty_five_thousand_clients(app: TestApp) {
        // Three sign-ups in five minutes for a client: a /56 has four times that, a /48 sixteen times.
        let ip = |site: u32, home: u32, link: u32| format!("2001:db8:{site:x}:{:x}::1", home * 256 + link);
        let signed_up = async |site, home, link| {
            let email = format!("person{site}x{home}x{link}@example.com");
            sign_up(&app, &ip(site, home, link), &email).await.status
        };
        for home in 0..4 {
            for link in 0..12 {
                assert_eq!(signed_up(1, home, link).await, 201, "{home} {link}");
            }
            assert_eq!(signed_up(1, home, 12).await, 429, "the /56 {home}");
        }
        assert_eq!(signed_up(1, 9, 0).await, 429, "the /48");
        assert_eq!(signed_up(2, 0, 0).await, 201);
    }

    async fn guessing_codes_of_many_accounts_is_limited_by_network(engine: Engine) {
        let builder = TestApp::builder(engine).settings(|settings| {
            settings.failed_codes_by_network = Some(Limit::new(3, HOUR));
        });
        let app = builder.start().await;
        let mut tokens = Vec::new();
        for number in 0..3 {
            tokens.push(app.sign_up_rivergen(&format!("person{number}@example.com")).await.temporary_token);
        }
        let guess = async |ip: &str, number: usize, code: &str| {
            let body = json!({ "temporary_token": tokens[number], "otp_code": code });
            post(&app, ip, "/api/v1/auth/verify-otp", &body).await.status
        };
        let right = app.latest_code("person2@example.com").await;
        let wrong = if right == "000000" { "000001" } else { "000000" };
        for number in [0, 1, 0] {
            assert_ne!(guess("203.0.113.9", number, wrong).await, 429);
        }
        assert_eq!(guess("203.0.113.9", 2, &right).await, 429);
        assert_eq!(guess("203.0.113.10", 2, &right).await, 200);
    }

    async fn an_idempotency_key_belongs_to_the_client_that_chose_it(app: TestApp) {
        let body = |email: &str| {
            json!({ "email": email, "password": PASSWORD, "idempotency_key": "order-4711" })
        };
        let path = "/api/v1/auth/signup";
        post(&app, "203.0.113.66", path, &body("stranger@example.com")).await.assert_status(201);
        let first = post(&app, "203.0.113.9", path, &body("ada@example.com")).await;
        first.assert_status(201);
        let again = post(&app, "203.0.113.9", path, &body("ada@example.com")).await;
        assert_eq!((again.status, &again.text), (201, &first.text));
    }
}

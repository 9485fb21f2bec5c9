//! Limits count who causes something, besides whom it is done to.

use serde_json::{Value, json};
use tidegate_domain::limit::{Limit, MessageLimits};
use tidegate_testkit::{Answer, Engine, PASSWORD, TestApp, eventually, on_both_engines, on_one_engine};

use crate::pages::sign_in::window::Window;
use crate::watch::Log;

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

/// A code, ready to be typed from any network.
struct Guess {
    path: &'static str,
    wrong: Value,
    right: Value,
    bearer: Option<String>,
    /// What is answered when the network has no guess left.
    refused: u16,
}

impl Guess {
    async fn send(&self, app: &TestApp, ip: &str, body: &Value) -> Answer {
        let request = app.post(self.path).ip(ip).json(body);
        match &self.bearer {
            Some(token) => request.bearer(token).send().await,
            None => request.send().await,
        }
    }
}

/// One for each route that takes a code of six digits, each about somebody of its own. (That of Crossing Minds'
/// `accounts/verify` is a whole token, which nobody guesses.)
async fn guesses(app: &TestApp) -> Vec<Guess> {
    let (new, known) = ("+254712345678", "+254712345679");
    app.enter_phone(new).await.assert_status(200);
    let confirm = (json!({ "phone": new }), "code", app.latest_text_code(new).await);
    app.register_phone(known).await;
    app.send_login_code(known).await.assert_status(200);
    let verify = (json!({ "phone": known }), "code", app.latest_text_code(known).await);
    let ada = app.sign_up_rivergen_verified("ada@example.com").await;
    let ask = json!({ "new_email": "ada.new@example.com" });
    let request = app.post("/api/v1/auth/me/email/request").bearer(&ada.access_token).json(&ask);
    request.send().await.assert_status(200);
    let change = (ask, "otp_code", app.latest_code("ada.new@example.com").await);
    let bob = app.sign_up_rivergen_verified("bob@example.com").await;
    app.enrol_email_otp(&bob).await;
    let token = app.sign_in_halfway(&bob).await;
    let token = app.choose_factor(&token, "email_otp").await;
    let factor = (json!({ "temporary_token": token }), "code", app.latest_code("bob@example.com").await);
    let guess = |path, (body, key, code): (Value, &str, String), refused| {
        let with = |code: &str| {
            let mut body = body.clone();
            body[key] = code.into();
            body
        };
        let wrong = with(if code == "000000" { "000001" } else { "000000" });
        Guess { path, wrong, right: with(&code), bearer: None, refused }
    };
    vec![
        // Riven's contract answers whatever is not taken as a wrong code.
        guess("/api/v1/auth/confirm-code", confirm, 422),
        guess("/api/v1/login/verify-code", verify, 401),
        Guess { bearer: Some(ada.access_token), ..guess("/api/v1/auth/me/email/verify", change, 429) },
        guess("/api/v1/auth/mfa/verify", factor, 429),
    ]
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

    async fn sign_ups_that_come_to_nothing_use_up_no_mails_of_their_network(engine: Engine) {
        let limits = MessageLimits {
            by_recipient: Some(Limit::new(1, HOUR)),
            by_network: Some(Limit::new(2, HOUR)),
            ..MessageLimits::NONE
        };
        let app = with_messages(engine, limits).await;
        let (network, other) = ("203.0.113.9", "203.0.113.10");
        sign_up(&app, network, "ada@example.com").await.assert_status(201);
        sign_up(&app, network, "ada@example.com").await.assert_status(201);
        // Taken, and one more than the mailbox gets.
        let taken = json!({ "email": "ada@example.com", "password": format!("{PASSWORD}2") });
        post(&app, network, "/api/v1/auth/signup", &taken).await.assert_status(409);
        sign_up(&app, network, "ada+1@example.com").await.assert_status(429);
        // What is given back is given back soon.
        eventually("the network's second mail", || async {
            (sign_up(&app, network, "bob@example.com").await.status == 201).then_some(())
        })
        .await;
        sign_up(&app, network, "eve@example.com").await.assert_status(429);
        sign_up(&app, other, "eve@example.com").await.assert_status(201);
        assert_eq!(app.sql_count("select count(*) from outbox_messages").await, 3);
    }

    async fn what_is_not_sent_uses_up_no_messages_of_its_network(engine: Engine) {
        let limits = MessageLimits {
            by_recipient: Some(Limit::new(1, HOUR)),
            by_network: Some(Limit::new(2, HOUR)),
            ..MessageLimits::NONE
        };
        let app = with_messages(engine, limits).await;
        let network = "203.0.113.9";
        // One mail gets the mailbox; the others are discarded, and given back soon.
        for _ in 0..4 {
            eventually("a reset is asked for", || async {
                (forgot(&app, network, "nobody@example.com").await.status == 200).then_some(())
            })
            .await;
        }
        eventually("the network's second mail", || async {
            (forgot(&app, network, "nobody2@example.com").await.status == 200).then_some(())
        })
        .await;
        forgot(&app, network, "nobody3@example.com").await.assert_status(429);
    }

    async fn what_is_refused_uses_up_no_messages_of_its_network(engine: Engine) {
        let by_network = Some(Limit::new(1, HOUR));
        let app = with_messages(engine, MessageLimits { by_network, ..MessageLimits::NONE }).await;
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        app.sign_up_rivergen_verified("bob@example.com").await;
        let change = async |email: &str| {
            let request = app.post("/api/v1/auth/me/email/request").ip("203.0.113.9").bearer(&ada.access_token);
            request.json(&json!({ "new_email": email })).send().await.status
        };
        assert_eq!(change("bob@example.com").await, 400, "taken");
        eventually("the network's mail", || async { (change("ada2@example.com").await == 200).then_some(()) }).await;
        assert_eq!(change("ada3@example.com").await, 429);
        // What is looked at before is answered as without the limit.
        assert_eq!(change("bob@example.com").await, 400);
    }

    async fn codes_that_are_texted_are_counted_by_the_network_that_asks_for_them(engine: Engine) {
        let by_network = Some(Limit::new(2, HOUR));
        let app = with_messages(engine, MessageLimits { by_network, ..MessageLimits::NONE }).await;
        let enter = async |ip: &str, phone: &str| {
            post(&app, ip, "/api/v1/auth/enter-phone", &json!({ "phone": phone })).await.status
        };
        let network = "203.0.113.9";
        assert_eq!([enter(network, "+254712345678").await, enter(network, "+254712345679").await], [200, 200]);
        assert_eq!(enter(network, "+254712345680").await, 429);
        for table in ["challenges", "outbox_messages"] {
            assert_eq!(app.sql_count(&format!("select count(*) from {table}")).await, 2, "{table}");
        }
        assert_eq!(enter("203.0.113.10", "+254712345680").await, 200);
        app.advance(std::time::Duration::from_secs(HOUR));
        assert_eq!(enter(network, "+254712345678").await, 200);
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

    // The same wherever a code is typed: each route counts for all of them.
    async fn wrong_codes_are_counted_by_network_wherever_they_are_typed(engine: Engine) {
        let change = |settings: &mut tidegate_kernel::Settings| {
            settings.failed_codes_by_network = Some(Limit::new(3, HOUR));
        };
        let app = TestApp::builder(engine).without_limits().settings(change).start().await;
        for (number, guess) in guesses(&app).await.into_iter().enumerate() {
            let ip = format!("203.0.113.{number}");
            for _ in 0..3 {
                let answer = guess.send(&app, &ip, &guess.wrong).await;
                assert!((400..500).contains(&answer.status) && answer.status != 429, "{}: {}", guess.path, answer.text);
            }
            // The right one is not even looked at.
            let answer = guess.send(&app, &ip, &guess.right).await;
            assert_eq!(answer.status, guess.refused, "{}: {}", guess.path, answer.text);
            // Nor does the network guess elsewhere.
            let ada = app.sign_up_rivergen(&format!("person{number}@example.com")).await;
            let body = json!({ "temporary_token": ada.temporary_token, "otp_code": "000000" });
            post(&app, &ip, "/api/v1/auth/verify-otp", &body).await.assert_status(429);
            // Elsewhere it is good still.
            let answer = guess.send(&app, &format!("198.51.100.{number}"), &guess.right).await;
            assert_eq!(answer.status, 200, "{}: {}", guess.path, answer.text);
        }
    }

    async fn a_sign_in_code_is_one_of_the_mailboxs_mails(engine: Engine) {
        let by_recipient = Some(Limit::new(3, HOUR));
        let app = with_messages(engine, MessageLimits { by_recipient, ..MessageLimits::NONE }).await;
        // A stranger registers an address of somebody else's, through the contract that mails nothing.
        let body = json!({ "email": "victim@example.com", "password": PASSWORD, "name": "Eve" });
        post(&app, "192.0.2.1", "/api/v2/auth/register", &body).await.assert_status(201);
        let sign_in = json!({ "email": "victim@example.com", "password": PASSWORD });
        for number in 0..6 {
            post(&app, &format!("192.0.2.{number}"), "/api/v1/auth/login", &sign_in).await;
        }
        assert_eq!(mails_like(&app, "victim%").await, 3);
        // Nor do other spellings of the mailbox, other contracts, or the pages add to it.
        forgot(&app, "192.0.2.9", "victim+2@example.com").await;
        forgot(&app, "192.0.2.9", "victim@example.com").await;
        let window = Window::at(&app, "192.0.2.10");
        window.try_password("victim@example.com", PASSWORD).await;
        assert_eq!(mails_like(&app, "victim%").await, 3);
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

on_one_engine! { Engine::Postgres;
    // Nobody else in the network waits for what a message comes with.
    async fn no_unit_counts_messages_by_network(engine: Engine) {
        let log = Log::listen();
        let by_network = Some(Limit::new(20, HOUR));
        let app = with_messages(engine, MessageLimits { by_network, ..MessageLimits::NONE }).await;
        let ada = app.sign_up_rivergen("ada@example.com").await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        app.enrol_email_otp(&bob).await;
        let token = app.sign_in_halfway(&bob).await;
        app.catch_up().await;
        let requests = [
            ("/api/v1/auth/forgot-password", json!({ "email": "bob@example.com" })),
            ("/api/v1/auth/forgot-password", json!({ "email": "nobody@example.com" })),
            (
                "/api/v1/auth/resend-signup-otp",
                json!({ "email": "ada@example.com", "temporary_token": ada.temporary_token }),
            ),
            ("/api/v1/auth/login", json!({ "email": "ada@example.com", "password": PASSWORD })),
            ("/api/v1/auth/mfa/otp/generate", json!({ "temporary_token": token, "method": "email_otp" })),
            ("/api/v1/auth/enter-phone", json!({ "phone": "+254712345678" })),
        ];
        for (path, body) in requests {
            let before = log.lines().len();
            let answer = post(&app, "203.0.113.9", path, &body).await;
            assert!(answer.status < 400, "{path}: {}", answer.text);
            let lines = log.lines();
            let statements: Vec<&String> =
                lines[before..].iter().filter(|line| line.contains("sqlx::query")).collect();
            let begun = statements.iter().position(|line| line.contains("summary=\"begin"));
            let (apart, in_unit) = statements.split_at(begun.expect("a unit"));
            let counts = |statements: &[&String]| {
                statements.iter().filter(|line| line.contains("rate_limit_buckets.count + excluded.count")).count()
            };
            assert_eq!((counts(apart), counts(in_unit)), (1, 0), "{path}");
        }
    }
}

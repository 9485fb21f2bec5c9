//! Rate limits.

use serde_json::json;
use tidegate_domain::limit::{Limit, MessageLimits};
use tidegate_testkit::{Engine, Fixture, PASSWORD, Request, TestApp, on_both_engines};

use super::{MANY, Nodes, all_at_once, assert_only, assert_tally, tally};
use crate::cross_contract::login_ingestiq;

/// Nodes with the contracts' own limits.
struct Limited(Nodes);

impl Fixture for Limited {
    async fn prepare(engine: Engine) -> Self {
        Self(Nodes::of(TestApp::start(engine).await).await)
    }
}

impl Limited {
    /// A login through RiverGen.
    fn login(&self, number: usize, email: &str) -> Request {
        let body = json!({ "email": email, "password": PASSWORD });
        self.0.request(number, "/api/v1/auth/login", &body)
    }
}

/// Nodes with these limits on messages only.
async fn with_messages(engine: Engine, messages: MessageLimits) -> Nodes {
    let builder = TestApp::builder(engine).without_limits();
    Nodes::of(builder.settings(|settings| settings.messages = messages).start().await).await
}

/// All from one client.
const ONE: &str = "192.0.2.1";

on_both_engines! {
    async fn five_logins_of_one_address_get_through(limited: Limited) {
        limited.0.app.sign_up_rivergen_verified("ada@example.com").await;
        let answers = all_at_once((0..MANY).map(|number| limited.login(number, "ada@example.com"))).await;
        assert_tally(&answers, &[(200, "", 5), (429, "RATE_LIMITED", MANY - 5)]);
        let mut refused = answers.iter().filter(|answer| answer.status == 429);
        assert!(refused.all(|answer| answer.header("retry-after") == "900"));
    }

    async fn five_logins_of_one_client_get_through(limited: Limited) {
        let strangers = (0..MANY).map(|number| limited.login(number, &format!("eve{number}@example.com")).ip(ONE));
        let answers = all_at_once(strangers).await;
        assert_tally(&answers, &[(401, "INVALID_CREDENTIALS", 5), (429, "RATE_LIMITED", MANY - 5)]);
    }

    async fn ten_wrong_passwords_get_through(limited: Limited) {
        let Limited(nodes) = limited;
        nodes.app.register_ingestiq("ada@example.com").await;
        let wrong = (0..MANY).map(|number| nodes.login(number, "ada@example.com", "wrong password").ip(ONE));
        let answers = all_at_once(wrong).await;
        assert_tally(&answers, &[(401, "INVALID_CREDENTIALS", 10), (429, "RATE_LIMITED", MANY - 10)]);
    }

    // Tries are counted before they are judged, so a burst of right ones may be told to wait; but it must not lock out.
    async fn a_burst_of_right_passwords_locks_nobody_out(limited: Limited) {
        let Limited(nodes) = limited;
        nodes.app.register_ingestiq("ada@example.com").await;
        let right = (0..MANY).map(|number| nodes.login(number, "ada@example.com", PASSWORD).ip(ONE));
        let answers = all_at_once(right).await;
        assert_only(&answers, &[(200, ""), (429, "RATE_LIMITED")]);
        assert!(tally(&answers)[&(200, "")] >= 10, "{:?}", tally(&answers));
        for _ in 0..20 {
            login_ingestiq(&nodes.client(0).at(ONE), "ada@example.com", PASSWORD).await.assert_status(200);
        }
    }

    async fn three_sign_ups_of_one_client_get_through(limited: Limited) {
        let Limited(nodes) = limited;
        let people = (0..MANY).map(|number| nodes.sign_up(number, &format!("ada{number}@example.com")).ip(ONE));
        let answers = all_at_once(people).await;
        assert_tally(&answers, &[(201, "", 3), (429, "RATE_LIMITED", MANY - 3)]);
        assert_eq!(nodes.count("select count(*) from accounts").await, 3);
    }

    async fn five_messages_of_one_network_get_through_whatever_they_are(engine: Engine) {
        let by_network = Some(Limit::new(5, 3_600));
        let nodes = with_messages(engine, MessageLimits { by_network, ..MessageLimits::NONE }).await;
        let requests = (0..MANY).map(|number| match number % 3 {
            0 => nodes.sign_up(number, &format!("ada{number}@example.com")).ip(ONE),
            1 => {
                let body = json!({ "email": format!("nobody{number}@example.com") });
                nodes.request(number, "/api/v1/auth/forgot-password", &body).ip(ONE)
            }
            _ => {
                let body = json!({ "phone": format!("+2547123456{number:02}") });
                nodes.request(number, "/api/v1/auth/enter-phone", &body).ip(ONE)
            }
        });
        let answers = all_at_once(requests).await;
        // The contract of phones has no codes.
        assert_only(&answers, &[(200, ""), (201, ""), (429, "RATE_LIMITED"), (429, "")]);
        assert_eq!(answers.iter().filter(|answer| answer.status != 429).count(), 5, "{:?}", tally(&answers));
        assert_eq!(nodes.count("select count(*) from outbox_messages").await, 5);
    }

    async fn of_two_messages_of_one_network_both_are_counted(engine: Engine) {
        let by_network = Some(Limit::new(3, 3_600));
        let nodes = with_messages(engine, MessageLimits { by_network, ..MessageLimits::NONE }).await;
        let forgot = |number: usize| {
            let body = json!({ "email": format!("nobody{number}@example.com") });
            nodes.request(number, "/api/v1/auth/forgot-password", &body).ip(ONE)
        };
        assert_tally(&all_at_once((0..2).map(forgot)).await, &[(200, "", 2)]);
        assert_tally(&all_at_once((2..4).map(forgot)).await, &[(200, "", 1), (429, "RATE_LIMITED", 1)]);
    }

    async fn five_messages_of_one_organization_get_through(engine: Engine) {
        let (by_account, by_organization) = (Some(Limit::new(1_000, 3_600)), Some(Limit::new(5, 3_600)));
        let limits = MessageLimits { by_account, by_organization, ..MessageLimits::NONE };
        let nodes = with_messages(engine, limits).await;
        let root = nodes.app.provision("root@example.com").await;
        let answers = all_at_once((0..MANY).map(|number| {
            let body = json!({
                "email": format!("ada{number}@example.com"), "role": "backend", "first_name": "Ada",
                "last_name": "Lovelace",
            });
            nodes.request(number, "/v1/accounts/individual/", &body).bearer(&root.access_token)
        }))
        .await;
        let made = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!((made, answers.iter().filter(|answer| answer.status == 429).count()), (5, MANY - 5));
        assert_eq!(nodes.count("select count(*) from outbox_messages where template = 'invitation'").await, 5);
    }
}

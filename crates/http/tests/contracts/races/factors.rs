//! Second factors, backup codes and activation tokens.

use serde_json::{Value, json};
use tidegate_domain::limit::Limit;
use tidegate_testkit::{Authenticator, Engine, PASSWORD, Person, Request, TestApp, on_both_engines};

use super::{MANY, Nodes, all_at_once, assert_only, assert_tally, tally};

const ADA: &str = "ada@example.com";

/// Somebody with an app, in a time step that was not used.
async fn enrolled(nodes: &Nodes) -> (Person, Authenticator) {
    let ada = nodes.app.sign_up_rivergen_verified(ADA).await;
    let phone = nodes.app.enrol_totp(&ada, "Phone").await;
    nodes.app.advance(std::time::Duration::from_secs(30));
    (ada, phone)
}

fn show(nodes: &Nodes, number: usize, token: &str, field: &str, code: &str) -> Request {
    nodes.request(number, "/api/v1/auth/mfa/verify", &json!({ "temporary_token": token, (field): code }))
}

/// As many sign-ins that wait for their second factor.
async fn waiting(nodes: &Nodes, who: &Person, count: usize) -> Vec<String> {
    let mut tokens = Vec::new();
    for _ in 0..count {
        tokens.push(nodes.app.sign_in_halfway(who).await);
    }
    tokens
}

async fn sessions(nodes: &Nodes) -> i64 {
    nodes.count("select count(*) from sessions").await
}

/// An application with this lock after wrong codes and no limit besides.
async fn locking(engine: Engine, lock: Option<Limit>) -> Nodes {
    let change = |settings: &mut tidegate_kernel::Settings| {
        settings.failed_codes_by_account = None;
        for profile in settings.contracts.iter_mut() {
            profile.limits.wrong_second_factor = lock;
        }
    };
    let builder = TestApp::builder(engine).without_limits().settings(change);
    Nodes::of(builder.start().await).await
}

/// An application that judges five wrong codes of one network an hour, and has no limit besides.
async fn counting(engine: Engine) -> Nodes {
    let change = |settings: &mut tidegate_kernel::Settings| {
        settings.failed_codes_by_account = Some(Limit::new(1_000, 3_600));
        settings.failed_codes_by_network = Some(Limit::new(5, 3_600));
        for profile in settings.contracts.iter_mut() {
            profile.limits.wrong_second_factor = None;
        }
    };
    let builder = TestApp::builder(engine).without_limits().settings(change);
    Nodes::of(builder.start().await).await
}

on_both_engines! {
    async fn of_one_code_sent_with_one_token_many_times_one_opens_a_session(nodes: Nodes) {
        let (ada, phone) = enrolled(&nodes).await;
        let token = nodes.app.sign_in_halfway(&ada).await;
        let code = phone.code(nodes.app.now());
        let answers = all_at_once((0..MANY).map(|number| show(&nodes, number, &token, "code", &code))).await;
        let opened = tally(&answers).get(&(200, "")).copied();
        assert_eq!(opened, Some(1), "each is another client");
        assert_only(&answers, &[(200, ""), (401, "INVALID_TOKEN"), (429, "TOO_MANY_ATTEMPTS")]);
        assert_eq!(sessions(&nodes).await, 2);
    }

    async fn of_one_code_sent_with_many_tokens_one_is_accepted(engine: Engine) {
        let nodes = locking(engine, None).await;
        let (ada, phone) = enrolled(&nodes).await;
        let tokens = waiting(&nodes, &ada, MANY).await;
        let code = phone.code(nodes.app.now());
        let requests = tokens.iter().enumerate().map(|(number, token)| show(&nodes, number, token, "code", &code));
        let answers = all_at_once(requests).await;
        assert_tally(&answers, &[(200, "", 1), (400, "INVALID_MFA_CODE", MANY - 1)]);
        assert_eq!(sessions(&nodes).await, 2);
    }

    async fn of_one_backup_code_sent_many_times_one_is_used(engine: Engine) {
        let nodes = locking(engine, None).await;
        let (ada, phone) = enrolled(&nodes).await;
        let tokens = waiting(&nodes, &ada, MANY).await;
        let code = &phone.backup_codes[0];
        let requests =
            tokens.iter().enumerate().map(|(number, token)| show(&nodes, number, token, "backup_code", code));
        let answers = all_at_once(requests).await;
        assert_tally(&answers, &[(200, "", 1), (400, "INVALID_MFA_CODE", MANY - 1)]);
        assert_eq!(nodes.count("select count(*) from recovery_codes where used_at is null").await, 9);
        // Also where it proves anew who the caller is.
        let body = json!({ "backup_code": phone.backup_codes[1] });
        let path = "/api/v1/mfa/backup-codes/verify";
        let requests = (0..MANY).map(|number| nodes.request(number, path, &body).bearer(&ada.access_token));
        let answers = all_at_once(requests).await;
        assert_tally(&answers, &[(200, "", 1), (400, "INVALID_BACKUP_CODE", MANY - 1)]);
    }

    async fn of_one_activation_token_sent_many_times_one_activates(nodes: Nodes) {
        let (ada, phone) = enrolled(&nodes).await;
        let token = nodes.app.sign_in_halfway(&ada).await;
        let answer = show(&nodes, 0, &token, "code", &phone.code(nodes.app.now())).send().await;
        let body = json!({ "activation_token": answer.text_at("data.trusted_device.activation_token") });
        let send = |number: usize| {
            let path = if number % 5 == 4 { "/api/v1/devices/skip" } else { "/api/v1/devices/activate" };
            nodes.request(number, path, &body).bearer(&ada.access_token)
        };
        let answers = all_at_once((0..MANY).map(send)).await;
        assert_tally(&answers, &[(200, "", 1), (400, "INVALID_ACTIVATION_TOKEN", MANY - 1)]);
    }

    async fn of_many_wrong_codes_three_are_judged_on_all_nodes_together(engine: Engine) {
        let nodes = locking(engine, Some(Limit::new(3, 60))).await;
        let (ada, phone) = enrolled(&nodes).await;
        let tokens = waiting(&nodes, &ada, MANY).await;
        let right = phone.code(nodes.app.now());
        let wrong = if right == "000000" { "000001" } else { "000000" };
        let requests = tokens.iter().enumerate().map(|(number, token)| show(&nodes, number, token, "code", wrong));
        let answers = all_at_once(requests).await;
        assert_tally(&answers, &[(400, "INVALID_MFA_CODE", 3), (429, "TOO_MANY_ATTEMPTS", MANY - 3)]);
        show(&nodes, 1, &tokens[0], "code", &right).send().await.assert_error(429, "TOO_MANY_ATTEMPTS");
    }

    async fn of_many_wrong_codes_from_one_network_as_many_are_judged_as_its_limit_says(engine: Engine) {
        let nodes = counting(engine).await;
        let (ada, phone) = enrolled(&nodes).await;
        let tokens = waiting(&nodes, &ada, MANY).await;
        let right = phone.code(nodes.app.now());
        let wrong = if right == "000000" { "000001" } else { "000000" };
        let from_one = |number: usize, code: &str| {
            show(&nodes, number, &tokens[number], "code", code).ip("203.0.113.7")
        };
        let answers = all_at_once((0..MANY).map(|number| from_one(number, wrong))).await;
        assert_tally(&answers, &[(400, "INVALID_MFA_CODE", 5), (429, "TOO_MANY_ATTEMPTS", MANY - 5)]);
        from_one(0, &right).send().await.assert_error(429, "TOO_MANY_ATTEMPTS");
        show(&nodes, 0, &tokens[0], "code", &right).send().await.assert_status(200);
    }

    async fn a_right_code_leaves_nothing_counted(engine: Engine) {
        let nodes = counting(engine).await;
        let counted = "select cast(coalesce(sum(count), 0) as bigint) from rate_limit_buckets";
        let (ada, phone) = enrolled(&nodes).await;
        let token = nodes.app.sign_in_halfway(&ada).await;
        let before = nodes.count(counted).await;
        let code = phone.code(nodes.app.now());
        show(&nodes, 0, &token, "code", &code).send().await.assert_status(200);
        assert_eq!(nodes.count(counted).await, before);
    }

    async fn of_one_set_up_confirmed_many_times_one_counts(nodes: Nodes) {
        let ada = nodes.app.sign_up_rivergen_verified(ADA).await;
        let request = nodes.app.post("/api/v1/mfa/totp/setup").bearer(&ada.access_token);
        let set_up = request.json(&json!({ "device_name": "Phone" })).send().await;
        let phone = Authenticator::with(&set_up.text_at("data.secret"));
        let body = json!({ "code": phone.code(nodes.app.now()) });
        let send = |number| nodes.request(number, "/api/v1/mfa/totp/verify", &body).bearer(&ada.access_token);
        let answers = all_at_once((0..MANY).map(send)).await;
        let taken = tally(&answers).get(&(200, "")).copied();
        assert_eq!(taken, Some(1), "each is another client");
        assert_only(&answers, &[(200, ""), (400, "NO_PENDING_SETUP"), (429, "TOO_MANY_ATTEMPTS")]);
        assert_eq!(nodes.count("select count(*) from recovery_codes").await, 10);
    }

    async fn a_sign_in_and_the_removal_of_its_factor_come_one_after_the_other(nodes: Nodes) {
        let (ada, phone) = enrolled(&nodes).await;
        let token = nodes.app.sign_in_halfway(&ada).await;
        let code = phone.code(nodes.app.now());
        let none = Value::Object(serde_json::Map::new());
        let removal = |number| nodes.request(number, "/api/v1/auth/mfa/deactivate", &none).bearer(&ada.access_token);
        let requests = (0..10).map(|number| match number {
            5 => removal(number),
            _ => show(&nodes, number, &token, "code", &code),
        });
        let answers = all_at_once(requests).await;
        assert_eq!(answers[5].status, 200);
        let opened = tally(&answers).get(&(200, "")).copied().unwrap_or_default() - 1;
        assert!(opened <= 1);
        assert_eq!(nodes.count("select count(*) from trusted_devices").await, 0, "removal came last, or nothing was offered");
        let claim = json!({ "email": ADA, "password": PASSWORD });
        nodes.request(0, "/api/v1/auth/login", &claim).send().await.text_at("data.access_token");
    }
}

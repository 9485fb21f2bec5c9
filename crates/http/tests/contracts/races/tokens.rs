//! Access tokens, on several nodes at once.

use serde_json::{Value, json};
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use super::{MANY, Nodes, all_at_once, assert_only, assert_tally};

const ADA: &str = "ada@example.com";
const TOKENS: &str = "/api/v1/auth/tokens";
const FEW: usize = 5;

fn body() -> Value {
    json!({ "name": "Build server", "scopes": ["read"] })
}

async fn nodes(engine: Engine) -> Nodes {
    let few = u64::try_from(FEW).unwrap();
    let app = TestApp::builder(engine).without_limits().settings(|settings| {
        settings.quotas.account_tokens = few;
        settings.quotas.organization_tokens = few;
    });
    Nodes::of(app.start().await).await
}

on_both_engines! {
    async fn an_account_gets_no_more_tokens_than_it_may(engine: Engine) {
        let nodes = nodes(engine).await;
        let ada = nodes.app.sign_up_rivergen_verified(ADA).await;
        let requests = (0..MANY).map(|number| nodes.request(number, TOKENS, &body()).bearer(&ada.access_token));
        let answers = all_at_once(requests).await;
        assert_tally(&answers, &[(201, "", FEW), (400, "token_creation_failed", MANY - FEW)]);
        assert_eq!(nodes.count("select count(*) from access_tokens").await, 5);
    }

    // Of several members, each within what an account may have.
    async fn an_organization_gets_no_more_tokens_than_it_may(engine: Engine) {
        let nodes = nodes(engine).await;
        let app = &nodes.app;
        let root = app.provision("root@example.com").await;
        let mut members = Vec::new();
        for number in 0..4 {
            let email = format!("member{number}@example.com");
            app.add_individual(&root, &email, "backend").await;
            let login = json!({ "email": email, "password": tidegate_testkit::PASSWORD });
            let answer = app.post("/api/v1/auth/login").json(&login).send().await;
            members.push(answer.assert_status(200).text_at("data.access_token"));
        }
        let shared = "select number from organizations where name = 'The organization of root@example.com'";
        let path = format!("/api/v1/organizations/{}/tokens", nodes.count(shared).await);
        let requests = (0..MANY).map(|number| {
            nodes.request(number, &path, &body()).bearer(&members[number % members.len()])
        });
        let answers = all_at_once(requests).await;
        assert_tally(&answers, &[(201, "", FEW), (400, "token_creation_failed", MANY - FEW)]);
    }

    async fn a_token_that_is_revoked_while_it_is_used_is_dead_afterwards(engine: Engine) {
        let nodes = nodes(engine).await;
        let ada = nodes.app.sign_up_rivergen_verified(ADA).await;
        let made = nodes.app.post(TOKENS).bearer(&ada.access_token).json(&body()).send().await;
        let text = made.assert_status(201).text_at("data.token");
        let mut requests: Vec<_> = (0..MANY)
            .map(|number| nodes.client(number).get("/api/v1/auth/me").bearer(&text))
            .collect();
        for number in 0..3 {
            requests.push(nodes.client(number).delete(&format!("{TOKENS}/1")).bearer(&ada.access_token));
        }
        let mut answers = all_at_once(requests).await;
        let revocations = answers.split_off(MANY);
        assert_only(&answers, &[(200, ""), (401, "UNAUTHORIZED")]);
        assert_tally(&revocations, &[(200, "", 1), (404, "token_not_found", 2)]);
        nodes.app.advance(std::time::Duration::from_secs(2));
        for number in 0..2 {
            let again = nodes.client(number).get("/api/v1/auth/me").bearer(&text).send().await;
            again.assert_error(401, "UNAUTHORIZED");
        }
    }

    // To be used last and to be revoked: the job that writes uses brings no token back.
    async fn a_use_that_is_written_after_the_revocation_brings_nothing_back(engine: Engine) {
        let nodes = nodes(engine).await;
        let ada = nodes.app.sign_up_rivergen_verified(ADA).await;
        let made = nodes.app.post(TOKENS).bearer(&ada.access_token).json(&body()).send().await;
        let text = made.text_at("data.token");
        nodes.app.get("/api/v1/auth/me").bearer(&text).send().await.assert_status(200);
        nodes.app.delete(&format!("{TOKENS}/1")).bearer(&ada.access_token).send().await.assert_status(200);
        nodes.app.kernel().write_token_uses().await.unwrap();
        assert_eq!(nodes.count("select count(*) from access_tokens").await, 0);
    }
}

//! What ends tokens beside a revocation, and what their owner is told.

use serde_json::{Value, json};
use tidegate_domain::EmailAddress;
use tidegate_kernel::Call;
use tidegate_testkit::{PASSWORD, Person, TestApp, on_both_engines};

use super::super::wire::{OTHER_PASSWORD, post, post_as};
use super::{ADA, Made, asking, make, me};

/// Ada and a token of hers.
async fn ada_with_token(app: &TestApp) -> (Person, Made) {
    let ada = app.sign_up_rivergen_verified(ADA).await;
    let token = make(app, &ada, &asking(&["read"])).await;
    assert_eq!(me(&app.client(), &token.text).await, 200);
    (ada, token)
}

/// Checks that the token is dead, and that nothing of it is left.
async fn assert_ended(app: &TestApp, token: &Made) {
    assert_eq!(me(&app.client(), &token.text).await, 401);
    assert_eq!(app.sql_count("select count(*) from access_tokens").await, 0);
}

/// What the newest mail of that kind says.
async fn newest(app: &TestApp, template: &str) -> Value {
    let mails = app.mails_to(ADA).await;
    let mail = mails.into_iter().find(|mail| mail.message.template == template);
    mail.unwrap_or_else(|| panic!("no mail {template}")).values.unwrap()
}

on_both_engines! {
    async fn a_change_of_the_password_ends_tokens_and_the_mail_says_so(app: TestApp) {
        let (ada, token) = ada_with_token(&app).await;
        let change = json!({ "current_password": PASSWORD, "new_password": OTHER_PASSWORD });
        post_as(&app, &ada, "auth/change-password", &change).send().await.assert_status(200);
        assert_ended(&app, &token).await;
        assert_eq!(newest(&app, "password_changed").await["tokens"], 1);
    }

    async fn a_reset_of_the_password_ends_tokens_and_the_mail_says_so(app: TestApp) {
        let (_, token) = ada_with_token(&app).await;
        post(&app, "auth/forgot-password", &json!({ "email": ADA })).send().await.assert_status(200);
        let body = json!({ "token": app.latest_link_token(ADA).await, "new_password": OTHER_PASSWORD });
        post(&app, "auth/reset-password", &body).send().await.assert_status(204);
        assert_ended(&app, &token).await;
        assert_eq!(newest(&app, "password_changed").await["tokens"], 1);
    }

    async fn the_owner_is_told_of_a_new_token_and_ends_it_with_the_link(app: TestApp) {
        let (_, token) = ada_with_token(&app).await;
        let said = newest(&app, "token_made").await;
        assert_eq!((&said["token"], &said["scopes"]), (&json!("Build server"), &json!("read")));
        assert!(!said.to_string().contains(&token.text));
        let link = app.latest_link_token(ADA).await;
        let form = format!("token={link}");
        app.post("/secure-account").form(&form).send().await.assert_status(200);
        assert_ended(&app, &token).await;
    }

    async fn a_reset_of_second_factors_ends_tokens(app: TestApp) {
        let (ada, token) = ada_with_token(&app).await;
        app.enrol_totp(&ada, "Phone").await;
        let call = Call::from_cli(tidegate_http::contract_profiles().of_installation());
        app.identity().reset_factors(&call, &EmailAddress::parse(ADA).unwrap()).await.unwrap();
        assert_ended(&app, &token).await;
    }

    // They are no sessions: programs go on when their owner signs out on the phone.
    async fn signing_out_everywhere_leaves_tokens(app: TestApp) {
        let (ada, token) = ada_with_token(&app).await;
        post_as(&app, &ada, "auth/logout-all", &json!({})).send().await.assert_status(204);
        assert_eq!(me(&app.client(), &token.text).await, 200);
    }
}

//! Accounts with a second factor.

use serde_json::json;
use tidegate_domain::id::OrganizationId;
use tidegate_kernel::Call;
use tidegate_testkit::{Engine, PASSWORD, on_both_engines};

use super::*;

/// The organization of Ada, who has no second factor yet.
async fn organization(app: &TestApp) -> OrganizationId {
    let claim = json!({ "email": ADA, "password": PASSWORD });
    let session = app.post("/v1/login/individual/").json(&claim).send().await;
    OrganizationId::from_opaque(&session.text_at("org_id")).unwrap()
}

/// What an operator decides for an organization.
async fn decide(app: &TestApp, organization: OrganizationId, admits: bool) {
    let call = Call::from_cli(app.kernel().settings().contracts.of_installation());
    app.identity().set_second_factor_rule(&call, organization, admits).await.unwrap();
}

on_both_engines! {
    async fn the_providers_word_is_enough_as_the_contract_says(social: Social) {
        let ada = social.app.sign_up_rivergen_verified(ADA).await;
        social.app.enrol_totp(&ada, "Phone").await;
        let answer = social.sign_in("google").await;
        assert!(!answer.assert_status(200).text_at("data.access_token").is_empty());
        assert_eq!(social.newest_amr().await, "fed", "nobody has shown a second factor");
        // The password still leads to it.
        social.app.sign_in_halfway(&ada).await;
    }

    async fn an_organization_that_refuses_sign_ins_without_it_is_asked_for_it(social: Social) {
        let ada = social.app.sign_up_rivergen_verified(ADA).await;
        let organization = organization(&social.app).await;
        let authenticator = social.app.enrol_totp(&ada, "Phone").await;
        decide(&social.app, organization, false).await;
        let sessions = social.sessions().await;
        let answer = social.sign_in("google").await;
        assert_eq!(answer.assert_status(200).field("data.mfa_required"), true);
        assert!(answer.field("data.access_token").is_null());
        assert_eq!(social.sessions().await, sessions);
        social.app.advance(std::time::Duration::from_secs(60));
        let code = authenticator.code(social.app.now());
        let token = answer.text_at("data.temporary_token");
        social.app.show_factor(&token, "code", &code).await.assert_status(200);
        assert_eq!(social.newest_amr().await, "otp mfa fed");
        decide(&social.app, organization, true).await;
        social.sign_in("google").await.assert_status(200).text_at("data.access_token");
    }

    async fn an_operator_may_have_it_asked_for_everywhere(engine: Engine) {
        let asking = |config: &mut SocialConfig| {
            let changed = json!({ "second_factor": "ask" });
            let read: SocialConfig = serde_json::from_value(changed).unwrap();
            config.second_factor = read.second_factor;
        };
        let social = Social::with(engine, asking, Builder::without_limits).await;
        let ada = social.app.sign_up_rivergen_verified(ADA).await;
        social.sign_in("github").await.assert_status(200).text_at("data.access_token");
        social.app.enrol_totp(&ada, "Phone").await;
        let answer = social.sign_in("github").await;
        assert_eq!(answer.assert_status(200).field("data.mfa_required"), true);
        assert_eq!(answer.field("data.available_methods"), &json!(["totp", "backup_code"]));
    }
}

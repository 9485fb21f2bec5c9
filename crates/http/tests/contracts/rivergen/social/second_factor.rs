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
        social.join("google", ADA).await.assert_status(200);
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
        social.join("google", ADA).await.assert_status(200);
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
        social.join("github", ADA).await.assert_status(200);
        social.app.enrol_totp(&ada, "Phone").await;
        let answer = social.sign_in("github").await;
        assert_eq!(answer.assert_status(200).field("data.mfa_required"), true);
        assert_eq!(answer.field("data.available_methods"), &json!(["totp", "backup_code"]));
    }

    // The attack: who reads the victim's mailbox makes an account at a provider with its address, and takes the second factor away.
    async fn a_session_that_has_not_shown_the_factor_changes_nothing_that_signs_in(social: Social) {
        let ada = social.app.sign_up_rivergen_verified(ADA).await;
        social.join("google", ADA).await.assert_status(200);
        let authenticator = social.app.enrol_totp(&ada, "Phone").await;
        let session = social.sign_in("google").await.assert_status(200).text_at("data.access_token");
        let made = json!({ "name": "Build server", "scopes": ["read"] });
        let post = |path: &str, body: &Value| social.app.post(&url(path)).bearer(&session).json(body).send();
        for (path, body) in [
            ("auth/mfa/deactivate", json!({})),
            ("mfa/totp/setup", json!({ "device_name": "Eve's" })),
            ("mfa/backup-codes/generate", json!({})),
            ("auth/tokens", made.clone()),
            ("auth/me/email/request", json!({ "new_email": "eve@example.com" })),
        ] {
            post(path, &body).await.assert_error(403, "STEP_UP_REQUIRED");
        }
        // Who shows it may.
        social.app.advance(std::time::Duration::from_secs(60));
        let shown = json!({ "code": authenticator.code(social.app.now()) });
        post("auth/step-up", &shown).await.assert_status(200);
        post("auth/tokens", &made).await.assert_status(201);
        // And so may who has just set it up.
        let own = social.app.post(&url("auth/tokens")).bearer(&ada.access_token).json(&made).send().await;
        own.assert_status(201);
    }

    // The session was opened while the organization admitted it, or in another organization.
    async fn an_organization_that_refuses_is_not_acted_in_without_the_factor(social: Social) {
        let ada = social.app.sign_up_rivergen_verified(ADA).await;
        let organization = organization(&social.app).await;
        let number = social.app.sql_count("select max(number) from organizations").await;
        social.join("google", ADA).await.assert_status(200);
        social.app.enrol_totp(&ada, "Phone").await;
        let session = social.sign_in("google").await.assert_status(200).text_at("data.access_token");
        // Whatever is done there, of whichever feature.
        for topic in ["tokens", "oauth-applications"] {
            let path = url(&format!("organizations/{number}/{topic}"));
            let list = |token: &str| social.app.get(&path).bearer(token).send();
            decide(&social.app, organization, true).await;
            list(&session).await.assert_status(200);
            decide(&social.app, organization, false).await;
            list(&session).await.assert_error(403, "STEP_UP_REQUIRED");
            list(&ada.access_token).await.assert_status(200);
        }
    }
}

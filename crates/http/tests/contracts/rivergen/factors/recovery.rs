//! Lost factors, and what organizations decide about contracts that cannot ask.

use serde_json::json;
use tidegate_domain::EmailAddress;
use tidegate_domain::factor::FactorKind;
use tidegate_domain::id::OrganizationId;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_identity::organizations::second_factor_rule::SecondFactorRuleError;
use tidegate_identity::recovery::reset_factors::{FactorsRemoved, ResetFactorsError};
use tidegate_kernel::{Call, Refused};
use tidegate_testkit::{PASSWORD, TestApp, on_both_engines};

use super::super::wire::{lets_in, wait};
use super::*;

fn operator(app: &TestApp) -> Call {
    Call::from_cli(app.kernel().settings().contracts.of_installation())
}

async fn reset(app: &TestApp, email: &str) -> Result<FactorsRemoved, ResetFactorsError> {
    let email = EmailAddress::parse(email).unwrap();
    match app.identity().reset_factors(&operator(app), &email).await {
        Ok(removed) => Ok(removed),
        Err(Refused::Rule(rule)) => Err(rule),
        Err(Refused::Fault(fault)) => panic!("{fault}"),
    }
}

on_both_engines! {
    async fn an_operator_removes_lost_factors_and_the_owner_is_told(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Lost phone").await;
        app.enrol_email_otp(&ada).await;
        let token = app.sign_in_halfway(&ada).await;
        assert_eq!(reset(&app, ADA).await, Ok(FactorsRemoved {
            kinds: vec![FactorKind::Totp, FactorKind::EmailOtp],
            passkeys: Vec::new(),
        }));
        assert_eq!(app.templates_to(ADA).await[0], "factor_removed");
        for table in ["second_factors", "recovery_codes", "trusted_devices"] {
            assert_eq!(app.sql_count(&format!("select count(*) from {table}")).await, 0, "{table}");
        }
        wait(&app, 2);
        assert!(!lets_in(&app, &ada).await, "sessions end");
        app.show_factor(&token, "code", "000000").await.assert_error(401, "INVALID_TOKEN");
        let claim = json!({ "email": ADA, "password": PASSWORD });
        let login = post(&app, "auth/login", &claim).send().await;
        login.assert_status(200).text_at("data.access_token");
        let noted = "select count(*) from audit_events where action = 'mfa.reset' and origin = 'cli'";
        assert_eq!(app.sql_count(noted).await, 1);
        // Who did not ask for it follows the link of that mail.
        let link = app.latest_link_token(ADA).await;
        app.post("/secure-account").form(&format!("token={link}")).send().await.assert_status(200);
        let body = json!({ "token": app.latest_link_token(ADA).await, "new_password": "Battery2staple!" });
        post(&app, "auth/reset-password", &body).send().await.assert_status(204);
        assert_eq!(reset(&app, ADA).await, Err(ResetFactorsError::NoFactors));
        assert_eq!(reset(&app, BOB).await, Err(ResetFactorsError::UnknownAccount));
    }

    async fn an_export_has_the_factors_and_no_secret_of_them(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
        let name = AccountName::Login(EmailAddress::parse(ADA).unwrap().into());
        let export = app.identity().export_account(&operator, &name).await.unwrap();
        let created_at = app.now().iso_seconds();
        assert_eq!(export["second_factors"], json!({
            "factors": [{ "kind": "totp", "name": "Phone", "created_at": created_at, "last_used_at": null }],
            "backup_codes_remaining": 10,
            "trusted_devices": [],
            "passkeys": [],
        }));
    }

    async fn an_organization_may_admit_its_members_where_no_factor_can_be_asked_for(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let claim = json!({ "email": ADA, "password": PASSWORD });
        let session = app.post("/v1/login/individual/").json(&claim).send().await;
        let organization = OrganizationId::from_opaque(&session.text_at("org_id")).unwrap();
        app.enrol_totp(&ada, "Phone").await;
        let login = || app.post("/api/v2/auth/login").json(&claim).send();
        login().await.assert_error(401, "INVALID_CREDENTIALS");
        let call = operator(&app);
        let set = |admits| app.identity().set_second_factor_rule(&call, organization, admits);
        set(true).await.unwrap();
        login().await.assert_status(200);
        // The contract that can ask still does.
        app.sign_in_halfway(&ada).await;
        set(false).await.unwrap();
        login().await.assert_error(401, "INVALID_CREDENTIALS");
        let unknown = OrganizationId(uuid::Uuid::nil());
        let refused = app.identity().set_second_factor_rule(&operator(&app), unknown, true).await;
        assert!(matches!(refused, Err(Refused::Rule(SecondFactorRuleError::UnknownOrganization))));
        let noted = "select count(*) from audit_events where action = 'organization.second_factor_rule_changed'";
        assert_eq!(app.sql_count(noted).await, 2);
    }
}

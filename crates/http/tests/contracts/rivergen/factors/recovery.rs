//! Lost factors, and what organizations decide about contracts that cannot ask.

use serde_json::json;
use tidegate_domain::factor::{FactorKind, ResetMode};
use tidegate_domain::id::OrganizationId;
use tidegate_domain::{ContractId, EmailAddress};
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_identity::organizations::second_factor_rule::SecondFactorRuleError;
use tidegate_identity::recovery::reset_factors::{FactorReset, FactorsRemoved, ResetFactorsError};
use tidegate_kernel::{Call, Refused};
use tidegate_testkit::{Engine, PASSWORD, TestApp, on_both_engines};

use super::super::wire::{lets_in, wait};
use super::*;

const DAY: u64 = 24 * 3_600;

fn operator(app: &TestApp) -> Call {
    Call::from_cli(app.kernel().settings().contracts.of_installation())
}

fn ruled<T>(outcome: Result<T, Refused<ResetFactorsError>>) -> Result<T, ResetFactorsError> {
    match outcome {
        Ok(done) => Ok(done),
        Err(Refused::Rule(rule)) => Err(rule),
        Err(Refused::Fault(fault)) => panic!("{fault}"),
    }
}

async fn reset(app: &TestApp, email: &str) -> Result<FactorReset, ResetFactorsError> {
    let email = EmailAddress::parse(email).unwrap();
    ruled(app.identity().reset_factors(&operator(app), &email).await)
}

/// An installation in which operators' resets take effect that way.
async fn resetting(engine: Engine, by_operator: ResetMode) -> TestApp {
    let change = move |settings: &mut tidegate_kernel::Settings| {
        settings.factor_resets.by_operator = by_operator;
    };
    TestApp::builder(engine).without_limits().settings(change).start().await
}

/// Runs what is due of the job that carries resets out; answers how many ran.
async fn carry_out(app: &TestApp) -> usize {
    let ran = app.kernel().run_job("reset second factors").await.unwrap();
    assert!(ran.iter().all(Result::is_ok), "{ran:?}");
    ran.len()
}

async fn factors(app: &TestApp) -> i64 {
    app.sql_count("select count(*) from second_factors").await
}

async fn noted(app: &TestApp, action: &str) -> i64 {
    app.sql_count(&format!("select count(*) from audit_events where action = '{action}'")).await
}

/// Follows a link to a page, and presses its button.
async fn press(app: &TestApp, page: &str, token: &str) -> Answer {
    let shown = app.get(&format!("{page}?token={token}")).send().await;
    if shown.status == 200 {
        assert!(shown.text.contains(&format!("action=\"{page}\"")), "{}", shown.text);
    }
    app.post(page).form(&format!("token={token}")).send().await
}

/// The use case of a manager, as a console calls it.
async fn reset_member(
    app: &TestApp,
    manager: &Person,
    email: &str,
) -> Result<FactorReset, ResetFactorsError> {
    let profile = app.kernel().settings().profile(ContractId::CROSSING_MINDS).clone();
    let call = Call::to_contract(profile, "198.51.100.7".parse().unwrap(), "a console".to_owned());
    let actor = app.kernel().authenticate(&manager.access_token).await.unwrap();
    let login = EmailAddress::parse(email).unwrap().into();
    ruled(app.identity().reset_member_factors(&call, &actor, &login).await)
}

on_both_engines! {
    async fn an_operator_removes_lost_factors_and_the_owner_is_told(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Lost phone").await;
        app.enrol_email_otp(&ada).await;
        let token = app.sign_in_halfway(&ada).await;
        let removed = FactorsRemoved {
            kinds: vec![FactorKind::Totp, FactorKind::EmailOtp],
            passkeys: Vec::new(),
        };
        assert_eq!(reset(&app, ADA).await, Ok(FactorReset::Done(removed)));
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

    async fn a_delayed_reset_waits_and_its_owner_hears_of_it(engine: Engine) {
        let app = resetting(engine, ResetMode::Delayed).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Lost phone").await;
        let at = app.now().plus(Duration::from_secs(3 * DAY));
        assert_eq!(reset(&app, ADA).await, Ok(FactorReset::At(at)));
        assert_eq!(app.templates_to(ADA).await[0], "factor_reset_requested");
        let mails = app.mails_to(ADA).await;
        let text = app.kernel().render(&mails[0]).unwrap().unwrap().text().to_owned();
        assert!(text.contains("authenticator app (Lost phone)") && text.contains("/cancel-factor-reset"), "{text}");
        assert_eq!((factors(&app).await, noted(&app, "mfa.reset.requested").await), (1, 1));
        wait(&app, 3 * DAY - 1);
        assert_eq!(carry_out(&app).await, 0, "before its time");
        app.sign_in_halfway(&ada).await;
        wait(&app, 1);
        assert_eq!(carry_out(&app).await, 1);
        assert_eq!((factors(&app).await, noted(&app, "mfa.reset").await), (0, 1));
        assert_eq!(app.templates_to(ADA).await[0], "factor_removed");
        let claim = json!({ "email": ADA, "password": PASSWORD });
        post(&app, "auth/login", &claim).send().await.assert_status(200).text_at("data.access_token");
        assert_eq!(carry_out(&app).await, 0);
    }

    async fn the_owner_calls_a_delayed_reset_off(engine: Engine) {
        let app = resetting(engine, ResetMode::Delayed).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        reset(&app, ADA).await.unwrap();
        let first = app.latest_link_token(ADA).await;
        // Another request takes the place of the first one.
        wait(&app, 3_600);
        reset(&app, ADA).await.unwrap();
        press(&app, "/cancel-factor-reset", &first).await.assert_status(400);
        let link = app.latest_link_token(ADA).await;
        press(&app, "/confirm-factor-reset", &link).await.assert_status(400);
        for _ in 0..2 {
            let page = press(&app, "/cancel-factor-reset", &link).await;
            assert!(page.assert_status(200).text.contains("Second factors kept"), "{}", page.text);
        }
        assert_eq!(noted(&app, "mfa.reset.cancelled").await, 1);
        wait(&app, 4 * DAY);
        assert_eq!(carry_out(&app).await, 2, "both find nothing to do");
        assert_eq!((factors(&app).await, noted(&app, "mfa.reset").await), (1, 0));
        press(&app, "/cancel-factor-reset", &link).await.assert_status(400);
    }

    // Whoever asked for the reset reads the mailbox, perhaps; the link of a security mail stops everything.
    async fn securing_the_account_calls_a_reset_off(engine: Engine) {
        let app = resetting(engine, ResetMode::Delayed).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Phone").await;
        let secure = app.latest_link_token(ADA).await;
        reset(&app, ADA).await.unwrap();
        app.post("/secure-account").form(&format!("token={secure}")).send().await.assert_status(200);
        wait(&app, 4 * DAY);
        carry_out(&app).await;
        assert_eq!(factors(&app).await, 1);
    }

    async fn a_reset_that_needs_consent_waits_for_its_owner(engine: Engine) {
        let app = resetting(engine, ResetMode::Confirmed).await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.enrol_totp(&ada, "Lost phone").await;
        let until = app.now().plus(Duration::from_secs(7 * DAY));
        assert_eq!(reset(&app, ADA).await, Ok(FactorReset::OnceConfirmed(until)));
        assert_eq!(app.templates_to(ADA).await[0], "factor_reset_confirmation");
        let link = app.latest_link_token(ADA).await;
        wait(&app, 7 * DAY - 1);
        assert_eq!((carry_out(&app).await, factors(&app).await), (0, 1));
        let page = press(&app, "/confirm-factor-reset", &link).await;
        assert!(page.assert_status(200).text.contains("Second factors removed"), "{}", page.text);
        assert_eq!((factors(&app).await, noted(&app, "mfa.reset").await), (0, 1));
        // Too late.
        let bob = app.sign_up_rivergen_verified(BOB).await;
        app.enrol_totp(&bob, "Phone").await;
        reset(&app, BOB).await.unwrap();
        let link = app.latest_link_token(BOB).await;
        wait(&app, 7 * DAY);
        press(&app, "/confirm-factor-reset", &link).await.assert_status(400);
        assert_eq!(factors(&app).await, 1);
    }

    async fn nobody_can_be_asked_at_an_address_that_is_not_proven(engine: Engine) {
        for mode in [ResetMode::Delayed, ResetMode::Confirmed] {
            let app = resetting(engine, mode).await;
            let ada = app.sign_up_rivergen_verified(ADA).await;
            app.enrol_totp(&ada, "Phone").await;
            app.sql("update identifiers set verified_at = null").await;
            assert_eq!(reset(&app, ADA).await, Err(ResetFactorsError::NoAddress));
            assert_eq!(factors(&app).await, 1);
        }
    }

    async fn a_manager_has_the_factors_of_a_member_reset_after_a_delay(app: TestApp) {
        let root = app.provision("root@example.com").await;
        let manager = app.add_individual(&root, "manager@example.com", "manager").await;
        app.add_individual(&root, ADA, "backend").await;
        let claim = json!({ "email": ADA, "password": PASSWORD });
        let login = post(&app, "auth/login", &claim).send().await;
        let ada = Person {
            access_token: login.assert_status(200).text_at("data.access_token"),
            ..app.add_individual(&root, "eve@example.com", "backend").await
        };
        let ada = Person { email: ADA.to_owned(), ..ada };
        app.enrol_totp(&ada, "Lost phone").await;
        let at = app.now().plus(Duration::from_secs(3 * DAY));
        assert_eq!(reset_member(&app, &manager, ADA).await, Ok(FactorReset::At(at)));
        assert_eq!(app.templates_to(ADA).await[0], "factor_reset_requested");
        let of = |email: &'static str| reset_member(&app, &root, email);
        assert_eq!(of("eve@example.com").await, Err(ResetFactorsError::NoFactors));
        assert_eq!(of("root@example.com").await, Err(ResetFactorsError::OwnAccount));
        assert_eq!(of("nobody@example.com").await, Err(ResetFactorsError::UnknownAccount));
        app.sql("update memberships set accepted_at = null where role <> 'owner'").await;
        assert_eq!(of("eve@example.com").await, Err(ResetFactorsError::NotManaged));
        wait(&app, 3 * DAY);
        carry_out(&app).await;
        assert_eq!(factors(&app).await, 0);
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

    async fn an_export_has_ended_sessions_and_messages_without_what_they_say(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.sign_up_rivergen_verified(BOB).await;
        post_as(&app, &ada, "auth/logout", &json!({})).send().await;
        let claim = json!({ "email": ADA, "password": PASSWORD });
        post(&app, "auth/login", &claim).send().await.assert_status(200);
        let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
        let name = AccountName::Login(EmailAddress::parse(ADA).unwrap().into());
        let export = app.identity().export_account(&operator, &name).await.unwrap();
        let sessions = export["sessions"].as_array().unwrap();
        assert_eq!(sessions.len(), 2, "{sessions:?}");
        assert_eq!(sessions[0]["ended_at"], json!(app.now().iso_seconds()));
        assert_eq!((&sessions[0]["end_reason"], &sessions[1]["ended_at"]), (&json!("signed_out"), &json!(null)));
        let messages = export["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert_eq!((&messages[0]["template"], &messages[0]["recipient"]), (&json!("sign_up_code"), &json!(ADA)));
        let keys: Vec<&String> = messages[0].as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["channel", "created_at", "provider", "receipt", "recipient", "settled_at", "state", "template"]
        );
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

//! Power that somebody had a moment ago, or has through somebody else's token.

use std::sync::Arc;

use serde_json::json;
use tidegate_domain::account::{LoginName, ServiceName};
use tidegate_domain::{ContractId, Document, Password, Permission};
use tidegate_identity::accounts::change_account::AccountChange;
use tidegate_identity::accounts::create_account::CreateProgram;
use tidegate_identity::accounts::metadata::Patch;
use tidegate_identity::credentials::service_keys::CreateServiceKey;
use tidegate_identity::databases::manage::CreateDatabase;
use tidegate_kernel::{Actor, Call, Fault, Refused};
use tidegate_testkit::{Person, TestApp, on_both_engines};

use super::managing::{ADA, OTHER_PASSWORD, ROOT};
use super::wire::{SECOND, delete_as, get_as, patch_as, post, post_as};

const UUID: &str = "c3391d83-553b-40e7-818e-fcf658ec397d";

/// Somebody whose token was accepted a moment ago, and how they call.
async fn accepted(app: &TestApp, who: &Person) -> (Actor, Call) {
    let profile = Arc::clone(app.kernel().settings().profile(ContractId::CROSSING_MINDS));
    let call = Call::to_contract(profile, "198.51.100.7".parse().unwrap(), "a test".to_owned());
    (app.kernel().authenticate(&who.access_token).await.unwrap(), call)
}

fn is_ended<T, E>(outcome: Result<T, Refused<E>>) -> bool {
    matches!(outcome, Err(Refused::Fault(Fault::SessionEnded)))
}

fn name(text: &str) -> ServiceName {
    ServiceName::parse(text).unwrap()
}

/// Everything that managers do, tried by one whose token was accepted before what happened since.
async fn assert_powerless(app: &TestApp, actor: &Actor, call: &Call, victim: &LoginName) {
    let identity = app.identity();
    let program = CreateProgram {
        name: name("backdoor"),
        role: tidegate_domain::Role::Admin,
        password: Some(Password::new(OTHER_PASSWORD)),
        metadata: Document::default(),
    };
    assert!(is_ended(identity.create_program(call, actor, program).await));
    let change = AccountChange { password: Some(Password::new(OTHER_PASSWORD)), ..AccountChange::default() };
    assert!(is_ended(identity.change_account(call, actor, victim, change).await));
    assert!(is_ended(identity.delete_account(call, actor, victim).await));
    let key = CreateServiceKey { name: name("program"), expires_at: None, metadata: Document::default() };
    assert!(is_ended(identity.create_service_key(call, actor, key).await));
    let kind = "uuid".parse().unwrap();
    let database = CreateDatabase {
        name: "backdoor".to_owned(),
        description: String::new(),
        item_id_type: kind,
        user_id_type: kind,
        session_id_type: kind,
        metadata: Document::default(),
    };
    assert!(is_ended(identity.create_database(call, actor, database).await));
    let patch = Patch { change: Document::parse("{\"a\":1}").unwrap(), preserve: false };
    assert!(is_ended(identity.change_organization_metadata(call, actor, patch).await));
}

on_both_engines! {
    async fn who_was_a_manager_when_the_request_came_in_is_none_when_it_is_done(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, "program", "backend").await;
        app.add_individual(&root, ADA, "backend").await;
        let victim = LoginName::Email(tidegate_domain::EmailAddress::parse(ADA).unwrap());
        let fired = app.add_individual(&root, "fired@example.com", "manager").await;
        let demoted = app.add_individual(&root, "demoted@example.com", "manager").await;
        let left = app.add_individual(&root, "left@example.com", "manager").await;
        let mut all = Vec::new();
        for who in [&fired, &demoted, &left] {
            all.push(accepted(&app, who).await);
        }
        let body = json!({ "email": fired.email });
        delete_as(&app, &root, "accounts/individual/", body).await.assert_status(204);
        app.sql("update memberships set role = 'developer' where account_id in
            (select account_id from identifiers where value = 'demoted@example.com')").await;
        app.post("/api/v2/auth/logout").bearer(&left.access_token).send().await.assert_status(200);
        for (actor, call) in &all {
            assert_powerless(&app, actor, call, &victim).await;
        }
        assert_eq!(app.sql_count("select count(*) from identifiers where value = 'backdoor'").await, 0);
        app.log_in("individual", ADA, json!({})).await.assert_status(200);
    }

    // Whoever sold the shop knows when: their last requests are on their way.
    async fn who_owned_the_organization_does_not_touch_whoever_owns_it_now(app: TestApp) {
        let root = app.provision(ROOT).await;
        let ada = app.add_individual(&root, ADA, "manager").await;
        let email = tidegate_domain::EmailAddress::parse(ADA).unwrap();
        let (actor, call) = accepted(&app, &root).await;
        let organization = actor.authorize(Permission::ManageMembers).unwrap().organization();
        app.identity().transfer_ownership(&call, organization, &email).await.unwrap();
        let change = AccountChange { password: Some(Password::new(OTHER_PASSWORD)), ..AccountChange::default() };
        let touched = app.identity().change_account(&call, &actor, &email.into(), change).await;
        assert!(touched.is_err());
        let ada = app.bound(&ada, json!({})).await;
        // As an admin they sign in again, and are told whose account it is.
        let former = app.bound(&root, json!({})).await;
        for answer in [
            patch_as(&app, &former, "accounts/individual/", json!({ "email": ADA, "password": OTHER_PASSWORD })).await,
            delete_as(&app, &former, "accounts/individual/", json!({ "email": ADA })).await,
        ] {
            answer.assert_error(403, "INCORRECT_ACCOUNT");
        }
        patch_as(&app, &ada, "accounts/individual/", json!({ "email": ROOT, "first_name": "Former" }))
            .await
            .assert_status(200);
    }

    async fn a_token_that_speaks_for_an_end_user_never_says_more_than_that(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        let ada = app.add_individual(&root, ADA, "frontend").await;
        let fields = json!({ "db_id": db, "frontend_user_id": 7, "frontend_session_id": UUID });
        let end_user = app.bound(&ada, fields).await;
        // She is made a manager. The token is in her customer's browser.
        app.sql("update memberships set role = 'admin' where role = 'frontend'").await;
        app.advance(2 * SECOND);
        for path in ["organizations/current/accounts/", "organizations/current/", "databases/"] {
            get_as(&app, &end_user, path).await.assert_error(403, "INSUFFICIENT_ROLE");
        }
        let other = json!({ "user_id": 8 });
        let resolve = post_as(&app, &end_user, &format!("sessions/{UUID}/resolve/"), other).await;
        resolve.assert_error(403, "INSUFFICIENT_ROLE");
        delete_as(&app, &end_user, "accounts/", json!(null)).await.assert_error(403, "INSUFFICIENT_ROLE");
        app.get("/api/v2/auth/me").bearer(&end_user.access_token).send().await.assert_status(403);
        get_as(&app, &end_user, "databases/current/").await.assert_status(200);
    }

    async fn strangers_who_guess_a_programs_password_do_not_keep_out_its_key(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, "program", "backend").await;
        let key = post_as(&app, &root, "accounts/service/keys/", json!({ "name": "program" })).await;
        let key = key.assert_status(200).text_at("key");
        let guess = json!({ "name": "program", "password": OTHER_PASSWORD });
        for minute in 0..12 {
            for number in 0..10 {
                let client = app.client().at(&format!("203.0.{minute}.{number}"));
                client.post("/v1/login/service/").json(&guess).send().await;
            }
        }
        let right = json!({ "name": "program", "password": tidegate_testkit::PASSWORD });
        post(&app, "login/service/", right).await.assert_error(429, "RATE_LIMIT_OVERFLOW");
        let with_key = json!({ "name": "program", "password": key });
        post(&app, "login/service/", with_key).await.assert_status(200);
        // Nor does it help to guess keys.
        let guess = json!({ "name": "program", "password": format!("tgk_{}", "A".repeat(43)) });
        // From elsewhere: the network that the key was used from is known now, and has a count of its own.
        let stranger = app.client().at("203.0.99.1");
        let answer = stranger.post("/v1/login/service/").json(&guess).send().await;
        answer.assert_error(429, "RATE_LIMIT_OVERFLOW");
    }

    async fn a_visitor_uses_up_no_limit_but_their_own(app: TestApp) {
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        let page = app.add_service(&root, "page", "frontend").await;
        let fields = json!({ "db_id": db, "frontend_user_id": 7 });
        let (visitor, other) = (app.bound(&page, fields.clone()).await, app.bound(&page, fields).await);
        let mut last = 0;
        for _ in 0..601 {
            last = get_as(&app, &visitor, "databases/current/status/").await.status;
        }
        assert_eq!(last, 429);
        get_as(&app, &other, "databases/current/status/").await.assert_status(200);
        get_as(&app, &root, "organizations/current/accounts/").await.assert_status(200);
    }

    async fn a_program_has_fifty_keys_at_most(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, "program", "backend").await;
        let make = async || post_as(&app, &root, "accounts/service/keys/", json!({ "name": "program" })).await;
        let first = make().await.assert_status(200).text_at("id");
        for _ in 1..50 {
            make().await.assert_status(200);
        }
        let refused = make().await;
        refused.assert_error(400, "WRONG_DATA_TYPE");
        assert_eq!(
            refused.field("error_data.query"),
            &json!({ "name": ["has 50 keys already; delete one first"] })
        );
        delete_as(&app, &root, &format!("accounts/service/keys/{first}/"), json!(null)).await.assert_status(204);
        make().await.assert_status(200);
    }

    async fn a_managers_words_reach_no_mailbox_that_was_not_shown_to_be_theirs_to_reach(app: TestApp) {
        let root = app.provision(ROOT).await;
        let lure = "Click https evil example now";
        let body = json!({
            "email": "stranger@example.com", "role": "backend", "password": tidegate_testkit::PASSWORD,
            "first_name": lure, "last_name": lure,
        });
        post_as(&app, &root, "accounts/individual/", body).await.assert_status(200);
        let body = json!({ "email": "invited@example.com", "role": "backend", "first_name": lure });
        post_as(&app, &root, "accounts/individual/", body).await.assert_status(200);
        let change = json!({ "email": "stranger@example.com", "password": OTHER_PASSWORD });
        patch_as(&app, &root, "accounts/individual/", change).await.assert_status(200);
        for email in ["stranger@example.com", "invited@example.com"] {
            for mail in app.mails_to(email).await {
                let said = app.kernel().render(&mail).unwrap().unwrap();
                assert!(!said.text().contains("evil") && !said.html().unwrap().contains("evil"), "{}", said.text());
            }
        }
        assert_eq!(app.templates_to("stranger@example.com").await, ["password_changed", "invitation_code"]);
    }

    async fn using_up_the_mails_to_somebody_does_not_keep_their_password(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_individual(&root, ADA, "backend").await;
        for round in 0..6 {
            let body = json!({ "email": ADA, "password": format!("{OTHER_PASSWORD}{round}") });
            patch_as(&app, &root, "accounts/individual/", body).await.assert_status(200);
        }
        let told = app.templates_to(ADA).await.iter().filter(|name| *name == "password_changed").count();
        assert_eq!(told, 4, "five mails an hour, and the first was the code");
        let last = json!({ "password": format!("{OTHER_PASSWORD}5") });
        app.log_in("individual", ADA, last).await.assert_status(200);
    }
}

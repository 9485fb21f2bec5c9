//! Deleting people: `accounts/individual/` and `accounts/`.

use std::time::Duration;

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_domain::{AccessClaims, ContractId};
use tidegate_testkit::{PASSWORD, Person, TestApp, concurrently, on_both_engines};

use super::managing::*;
use crate::cross_contract::login_rivergen;
use crate::forge::reworded;

const PATH: &str = "accounts/individual/";

on_both_engines! {
    async fn a_deleted_person_is_gone_at_once(app: TestApp) {
        let root = app.provision(ROOT).await;
        let ada = app.add_individual(&root, ADA, "manager").await;
        let laptop = app.bound(&ada, json!({})).await;
        let forgot = json!({ "email": ADA });
        post(&app, "accounts/individual/send-reset-password-email/", &forgot).send().await.assert_status(200);
        let token = app.latest_link_token(ADA).await;
        let mails = app.mails_to(ADA).await.len();

        let body = json!({ "email": "ADA@example.com" });
        assert_empty(&delete_as(&app, &root, PATH, &body).send().await, 204);
        for ended in [&ada, &laptop] {
            assert_deleted(&app, ended, ADA).await;
        }
        assert_no_way_in(&app, "individual", ADA, PASSWORD).await;
        login_rivergen(&app.client(), ADA, PASSWORD).await.assert_error(401, "INVALID_CREDENTIALS");
        assert_eq!(listed_person(&app, &root, ADA).await, Value::Null);
        assert_eq!(count_of(&app, "account.deleted").await, 1);

        let again = without_trace(&app, delete_as(&app, &root, PATH, &body)).await;
        assert_unknown_account(&again, ADA);
        let change = json!({ "email": ADA, "first_name": "x" });
        assert_unknown_account(&without_trace(&app, patch_as(&app, &root, PATH, &change)).await, ADA);
        let form = format!("token={token}&new_password={OTHER_PASSWORD}");
        app.post("/reset-password").form(&form).send().await.assert_status(400);
        let resend = ask(&app, Method::PUT, "accounts/resend-verification-code/", &forgot).send().await;
        assert_unknown_account(&resend, ADA);
        post(&app, "accounts/individual/send-reset-password-email/", &forgot).send().await.assert_status(200);
        assert_eq!(app.mails_to(ADA).await.len(), mails);
        // What was known of the person is forgotten, but for the name that refresh tokens are answered with.
        let known = "select count(*) from accounts where first_name = 'Ada' or display_name like '%Ada%'";
        assert_eq!(app.sql_count(known).await, 0);
    }

    async fn an_unverified_persons_code_is_worth_nothing_once_they_are_deleted(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.create_individual(&root, ADA, "backend").await.assert_status(200);
        let claim = json!({ "email": ADA, "code": app.latest_code(ADA).await });
        assert_empty(&delete_as(&app, &root, PATH, &json!({ "email": ADA })).send().await, 204);
        assert_unknown_account(&post(&app, "accounts/verify/", &claim).send().await, ADA);
        // Nor for whoever gets the address next.
        app.create_individual(&root, ADA, "backend").await.assert_status(200);
        assert_wrong_code(&post(&app, "accounts/verify/", &claim).send().await);
    }

    async fn a_role_changes_with_the_account_and_whoever_asks_otherwise_is_told(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_individual(&root, ADA, "manager").await;
        app.add_service(&root, "export", "manager").await;
        let told = "is not known here; a role is given with the account: delete the account, and make it again with the other role";
        for (path, demoted) in [
            (PATH, json!({ "email": ADA, "first_name": "Augusta", "role": "backend" })),
            ("accounts/service/", json!({ "name": "export", "role": "backend" })),
        ] {
            let refused = without_trace(&app, patch_as(&app, &root, path, &demoted)).await;
            assert_wrong_fields(&refused, &json!({ "role": [told] }));
        }
        assert_eq!(listed_person(&app, &root, ADA).await["role"], "manager");

        assert_empty(&delete_as(&app, &root, PATH, &json!({ "email": ADA })).send().await, 204);
        app.add_individual(&root, ADA, "backend").await;
        assert_eq!(listed_person(&app, &root, ADA).await["role"], "backend");
        assert_empty(&delete_as(&app, &root, "accounts/service/", &json!({ "name": "export" })).send().await, 204);
        app.add_service(&root, "export", "backend").await;
        assert_eq!(listed_program(&app, &root, "export").await["role"], "backend");
    }

    async fn the_address_of_a_deleted_person_can_be_used_again(app: TestApp) {
        let root = app.provision(ROOT).await;
        let old = app.add_individual(&root, ADA, "manager").await;
        delete_as(&app, &root, PATH, &json!({ "email": ADA })).send().await.assert_status(204);
        // By another organization, too.
        let other = app.provision("other@example.com").await;
        let new = app.add_individual(&other, ADA, "backend").await;
        assert_ne!(new.user_id, old.user_id);
        assert!(lets_in(&app, &new).await);
        refresh(&app, &new.refresh_token).await.assert_status(200);
        assert_deleted(&app, &old, ADA).await;
        delete_own(&app, &new).await.assert_status(204);
        app.sign_up_rivergen_verified(ADA).await;
        assert_deleted(&app, &new, ADA).await;
    }

    async fn deleting_a_person_takes_an_address(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.create_individual(&root, ADA, "backend").await.assert_status(200);
        let wrong = [
            ("email", json!({})),
            ("email", json!({ "name": ADA })),
            ("email", json!({ "email": "ada" })),
            ("email", json!({ "email": [ADA] })),
        ];
        each_wrong(&app, wrong, |body| delete_as(&app, &root, PATH, body)).await;
        each_malformed(&app, || app.delete("/v1/accounts/individual/").bearer(&root.access_token)).await;
        let nothing = app.delete("/v1/accounts/individual/").bearer(&root.access_token);
        assert_wrong_field(&without_trace(&app, nothing).await, "email");
    }

    async fn the_owner_is_never_deleted(app: TestApp) {
        let root = app.provision(ROOT).await;
        let manager = app.add_individual(&root, "manager@example.com", "manager").await;
        for who in [&root, &manager] {
            let request = delete_as(&app, who, PATH, &json!({ "email": "Root@Example.com" }));
            assert_is_owner(&without_trace(&app, request).await, ROOT);
        }
        let request = app.delete("/v1/accounts/").bearer(&root.access_token);
        assert_is_owner(&without_trace(&app, request).await, ROOT);
        assert!(lets_in(&app, &root).await);
    }

    async fn managers_may_delete_each_other_and_themselves_by_address(app: TestApp) {
        let root = app.provision(ROOT).await;
        let manager = app.add_individual(&root, "manager@example.com", "manager").await;
        let ada = app.add_individual(&root, ADA, "manager").await;
        let program = app.add_service(&root, "deployer", "manager").await;
        let body = json!({ "email": "manager@example.com" });
        assert_empty(&delete_as(&app, &program, PATH, &body).send().await, 204);
        assert_deleted(&app, &manager, "manager@example.com").await;
        assert_empty(&delete_as(&app, &ada, PATH, &json!({ "email": ADA })).send().await, 204);
        assert_deleted(&app, &ada, ADA).await;
    }

    async fn anybody_deletes_their_own_account(app: TestApp) {
        let root = app.provision(ROOT).await;
        for role in ["manager", "backend", "frontend", "demo_viewer"] {
            let email = format!("{role}@example.com");
            let person = app.add_individual(&root, &email, role).await;
            assert_empty(&delete_own(&app, &person).await, 204);
            assert_deleted(&app, &person, &email).await;
            assert_eq!(listed_person(&app, &root, &email).await, Value::Null);

            let program = app.add_service(&root, role, role).await;
            // As the clients send it which have no way to send nothing.
            let request = app.delete("/v1/accounts/").bearer(&program.access_token);
            assert_empty(&request.body("application/json", "null").send().await, 204);
            assert_deleted(&app, &program, role).await;
            assert_eq!(listed_program(&app, &root, role).await, Value::Null);
        }
        assert_eq!(count_of(&app, "account.deleted").await, 8);
    }

    async fn an_end_users_token_does_not_delete_the_account_behind_it(app: TestApp) {
        let root = app.provision(ROOT).await;
        let shop = app.add_service(&root, "shop", "frontend").await;
        let person = app.add_individual(&root, ADA, "frontend").await;
        let database = app.add_database(&root, "products").await;
        let session = "0b5e1f0a-8a3b-4f7e-9d53-0a3c7d1f2e4b";
        for who in [&shop, &person] {
            for ids in [
                json!({ "frontend_user_id": 7 }),
                json!({ "frontend_session_id": session }),
                json!({ "frontend_user_id": 7, "frontend_session_id": session }),
            ] {
                let mut fields = ids;
                fields["db_id"] = json!(database);
                let end_user = app.bound(who, fields).await;
                let renewed = refresh(&app, &end_user.refresh_token).await.text_at("token");
                for token in [&end_user.access_token, &renewed] {
                    let request = app.delete("/v1/accounts/").bearer(token);
                    let refused = without_trace(&app, request).await;
                    assert_forbidden(&refused, "INSUFFICIENT_ROLE", "the token's role does not allow this");
                }
            }
            // A visitor without a name is one all the same.
            let visitor = app.bound(who, json!({ "db_id": database })).await;
            let request = app.delete("/v1/accounts/").bearer(&visitor.access_token);
            let refused = without_trace(&app, request).await;
            assert_forbidden(&refused, "INSUFFICIENT_ROLE", "the token's role does not allow this");
            // Whoever signs in for no database is not one of its users.
            assert_empty(&delete_own(&app, &app.bound(who, json!({})).await).await, 204);
        }
    }

    async fn a_body_that_is_not_json_deletes_nobody(app: TestApp) {
        let root = app.provision(ROOT).await;
        let ada = app.add_individual(&root, ADA, "backend").await;
        each_malformed(&app, || app.delete("/v1/accounts/").bearer(&ada.access_token)).await;
        assert!(lets_in(&app, &ada).await);
    }

    async fn somebody_in_the_organization_of_their_own_owns_it_and_stays(app: TestApp) {
        let root = app.provision(ROOT).await;
        let ada = app.add_individual(&root, ADA, "backend").await;
        // The one they were given as whoever signs up is, entered through the contract that knows workspaces.
        let own = "select w.number from workspaces w
            join memberships m on m.organization_id = w.organization_id
            where m.role = 'owner' and not m.is_home";
        let workspace = app.sql_count(own).await;
        let claim = json!({ "email": ADA, "password": PASSWORD, "workspace_id": workspace });
        let login = app.post("/api/v1/auth/login").json(&claim).send().await;
        // As if this contract had let them in there.
        let token = login.assert_status(200).text_at("data.access_token");
        let here = |claims: &mut AccessClaims| claims.contract = ContractId::CROSSING_MINDS;
        let access_token = reworded(&app, &token, here).await;
        let owner = Person { access_token, ..ada.clone() };
        let request = app.delete("/v1/accounts/").bearer(&owner.access_token);
        assert_is_owner(&without_trace(&app, request).await, ADA);
        for request in [
            delete_as(&app, &owner, PATH, &json!({ "email": ROOT })),
            delete_as(&app, &owner, PATH, &json!({ "email": ADA })),
            patch_as(&app, &owner, PATH, &json!({ "email": ROOT, "password": OTHER_PASSWORD })),
        ] {
            without_trace(&app, request).await.assert_error(404, "ACCOUNT_NOT_FOUND");
        }
        let nobody = json!({ "individual_accounts": [], "service_accounts": [], "warnings": [] });
        assert_eq!(accounts(&app, &owner).await, nobody);
        assert!(lets_in(&app, &ada).await);
    }

    async fn who_asks_many_times_at_once_to_be_deleted_is_deleted_once(app: TestApp) {
        let root = app.provision(ROOT).await;
        let ada = app.add_individual(&root, ADA, "manager").await;
        let (client, token) = (app.client(), ada.access_token.clone());
        let answers = concurrently(8, move |number| {
            let request = match number % 2 {
                0 => client.delete("/v1/accounts/"),
                _ => client.delete("/v1/accounts/individual/").json(&json!({ "email": ADA })),
            };
            let request = request.bearer(&token);
            async move { request.send().await }
        })
        .await;
        assert!(answers.iter().any(|answer| answer.status == 204));
        for answer in answers.iter().filter(|answer| answer.status != 204) {
            // Their token had ended by then, or there was nobody left of that address.
            assert!(["INCORRECT_JWT_TOKEN", "ACCOUNT_NOT_FOUND"].contains(&answer.code()), "{}", answer.text);
        }
        assert_eq!(count_of(&app, "account.deleted").await, 1);
        assert_deleted(&app, &ada, ADA).await;
    }

    async fn who_was_deleted_unheard_of_finds_that_they_are(app: TestApp) {
        let root = app.provision(ROOT).await;
        let ada = app.add_individual(&root, ADA, "backend").await;
        let other = app.another_node().await;
        assert!(lets_in(&app, &ada).await);
        // On SQLite the first node does not hear of it, and remembers for two seconds that the session lives.
        let request = other.client().delete("/v1/accounts/").bearer(&ada.access_token);
        assert_empty(&request.send().await, 204);
        let again = delete_own(&app, &ada).await;
        assert!(again.status == 204 || again.code() == "INCORRECT_JWT_TOKEN", "{}", again.text);
        app.advance(Duration::from_secs(2));
        assert_deleted(&app, &ada, ADA).await;
        assert_eq!(count_of(&app, "account.deleted").await, 1);
    }
}

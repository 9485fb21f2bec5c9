//! Accounts of this contract in the others, and the other way round.

use serde_json::json;
use tidegate_domain::ContractId;
use tidegate_testkit::{Engine, PASSWORD, TestApp, on_both_engines};

use super::wire::{assert_wrong_password, get_as, post, unlimited, whose};
use crate::cross_contract::{login_ingestiq, login_rivergen, me_ingestiq, me_rivergen};
use crate::forge::claims_of;
use crate::routes::{self, Route};
use crate::watch::row_counts;

const ROOT: &str = "root@example.com";
const ADA: &str = "ada@example.com";

on_both_engines! {
    async fn frontend_accounts_and_programs_reach_nothing_of_the_other_contracts(engine: Engine) {
        let app = unlimited(engine).await;
        let root = app.provision(ROOT).await;
        let db = app.add_database(&root, "shop").await;
        let frontend = app.add_individual(&root, ADA, "frontend").await;
        let (page, manager) = (
            app.add_service(&root, "page", "frontend").await,
            app.add_service(&root, "manager", "manager").await,
        );
        let user = json!({ "db_id": db, "frontend_user_id": 7 });
        let (ada_for_7, page_for_7) =
            (app.bound(&frontend, user.clone()).await, app.bound(&page, user).await);
        // A person with this role may sign in there and then do nothing, least of all more than here.
        let elsewhere = [
            login_rivergen(&app.client(), ADA, PASSWORD)
                .await
                .assert_status(200)
                .text_at("data.access_token"),
            login_ingestiq(&app.client(), ADA, PASSWORD).await.assert_status(200).text_at("accessToken"),
        ];
        let here = [frontend, page, manager, ada_for_7, page_for_7].map(|person| person.access_token);
        let others: Vec<Route> = routes::with_bearer()
            .into_iter()
            .filter(|route| route.contract != ContractId::CROSSING_MINDS)
            .collect();
        assert!(others.len() >= 10);
        let before = row_counts(&app).await;
        for token in here.iter().chain(&elsewhere) {
            for route in &others {
                let answer = route.request(&app.client()).bearer(token).send().await;
                route.assert_refused(&answer, route.forbidden(), "a frontend's or a program's token");
            }
        }
        assert_eq!(row_counts(&app).await, before);
        for token in &here {
            whose(&app, token).await.assert_status(200);
        }
    }

    async fn a_program_cannot_sign_in_where_there_are_only_people(app: TestApp) {
        let root = app.provision(ROOT).await;
        app.add_service(&root, "program@example.com", "manager").await;
        let answer = login_ingestiq(&app.client(), "program@example.com", PASSWORD).await;
        answer.assert_error(401, "INVALID_CREDENTIALS");
        let answer = login_rivergen(&app.client(), "program@example.com", PASSWORD).await;
        answer.assert_error(401, "INVALID_CREDENTIALS");
        assert_wrong_password(&app.log_in("individual", "program@example.com", json!({})).await);
    }

    async fn a_person_made_here_lands_in_the_same_organization_everywhere(app: TestApp) {
        let root = app.provision(ROOT).await;
        let home = claims_of(&app, &root.access_token).await.org;
        for (number, (role, is_admin, word)) in
            [("manager", true, "admin"), ("backend", false, "member"), ("demo_viewer", false, "viewer")]
                .into_iter()
                .enumerate()
        {
            let email = format!("{role}@example.com");
            app.add_individual(&root, &email, role).await;
            let client = app.client().at(&format!("203.0.113.{number}"));

            let answer = login_ingestiq(&client, &email, PASSWORD).await;
            let token = answer.assert_status(200).text_at("accessToken");
            assert_eq!(claims_of(&app, &token).await.org, home);
            let me = me_ingestiq(&client, &token).await;
            assert_eq!(me.assert_status(200).text_at("user.role"), word);
            assert_eq!(me.text_at("user.organizationId"), home.to_string());
            assert_eq!(me.text_at("user.name"), "Ada Lovelace");

            let answer = login_rivergen(&client, &email, PASSWORD).await;
            let token = answer.assert_status(200).text_at("data.access_token");
            assert_eq!(claims_of(&app, &token).await.org, home);
            let me = me_rivergen(&client, &token).await;
            let organizations = me.assert_status(200).field("data.organizations").as_array().unwrap();
            let named = |name: &str| organizations.iter().find(|organization| organization["name"] == name);
            let organization = named(&format!("The organization of {ROOT}")).expect("the home organization");
            assert_eq!(organization["is_admin"], is_admin, "{role}");

            // And the token from there is as good here.
            let info = whose(&app, &token).await;
            assert_eq!(info.assert_status(200).text_at("account.role"), role);
        }
    }

    async fn who_signed_up_elsewhere_is_root_of_their_own_organization(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let home = claims_of(&app, &ada.access_token).await.org;
        let answer = app.log_in("individual", ADA, json!({})).await;
        assert_eq!(answer.assert_status(200).text_at("role"), "root");
        assert_eq!(answer.text_at("org_id"), home.opaque());
        let body = json!({ "email": ADA, "password": PASSWORD });
        post(&app, "login/root/", body).await.assert_status(200);
        let ada = app.bound(&ada, json!({})).await;
        let db = app.add_database(&ada, "shop").await;
        let bound = app.bound(&ada, json!({ "db_id": db })).await;
        assert_eq!(
            get_as(&app, &bound, "databases/current/").await.assert_status(200).text_at("name"),
            "shop"
        );
        let listed = get_as(&app, &ada, "organizations/current/accounts/").await;
        assert_eq!(listed.assert_status(200).text_at("individual_accounts.0.email"), ADA);
        assert_eq!(listed.text_at("individual_accounts.0.role"), "root");
    }
}

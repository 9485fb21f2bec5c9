//! What the audit log says of who acted, and what tokens say of how their owner signed in.

use std::time::Duration;

use serde_json::json;
use tidegate_domain::Permission;
use tidegate_domain::session::{Amr, AmrSet};
use tidegate_testkit::{TestApp, on_both_engines};

use crate::forge::claims_of;

const ADA: &str = "ada@example.com";
const PHONE: &str = "+254700000001";

/// Origin, contract and address of the newest event of that kind.
async fn newest(app: &TestApp, action: &str) -> String {
    let rows = format!(
        "select origin || '|' || dialect || '|' || ip from audit_events where action = '{action}' order by number desc"
    );
    app.database.sql_texts(&rows).await.first().expect("an event").clone()
}

on_both_engines! {
    async fn a_page_a_command_and_a_worker_do_not_pose_as_contracts(app: TestApp) {
        app.sign_up_rivergen(ADA).await;
        assert!(newest(&app, "auth.signup").await.starts_with("contract|rivergen|10."));
        let token = app.latest_link_token(ADA).await;
        app.post("/verify-email").form(&format!("token={token}")).send().await.assert_status(200);
        assert_eq!(newest(&app, "auth.email.verified").await, "page||198.51.100.7");
        app.post("/api/v1/auth/forgot-password").json(&json!({ "email": ADA })).send().await.assert_status(200);
        let token = app.latest_link_token(ADA).await;
        let form = format!("token={token}&new_password=Battery2staple!");
        app.post("/reset-password").form(&form).send().await.assert_status(200);
        assert_eq!(newest(&app, "auth.password.reset").await, "page||198.51.100.7");

        app.provision("root@example.com").await;
        assert_eq!(newest(&app, "organization.provisioned").await, "cli||");
        assert!(newest(&app, "auth.login.success").await.starts_with("contract|crossing_minds|"));

        let person = app.register_phone(PHONE).await;
        app.open_account(&person, "user@example.com").await;
        assert!(newest(&app, "brokerage.opened").await.starts_with("contract|riven|"));
        app.advance(Duration::from_secs(5));
        assert_eq!(app.brokerage().check_brokerage().await.unwrap(), 1);
        assert_eq!(newest(&app, "brokerage.status_changed").await, "worker||");
    }

    async fn a_page_asks_for_the_password_that_the_links_contract_wants(app: TestApp) {
        app.provision("root@example.com").await;
        let body = json!({ "email": "root@example.com" });
        // RiverGen wants no symbol.
        app.post("/api/v1/auth/forgot-password").json(&body).send().await.assert_status(200);
        let token = app.latest_link_token("root@example.com").await;
        let form = format!("token={token}&new_password=Battery2staple");
        app.post("/reset-password").form(&form).send().await.assert_status(200);
    }

    async fn tokens_say_how_and_when_their_owner_signed_in_and_refreshing_keeps_both(app: TestApp) {
        let signed_in_at = app.now().seconds();
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let claims = claims_of(&app, &ada.access_token).await;
        assert_eq!((claims.amr, claims.auth_time), (AmrSet::of(Amr::OneTimeCode), signed_in_at));
        let bob = app.register_ingestiq("bob@example.com").await;
        assert_eq!(claims_of(&app, &bob.access_token).await.amr, AmrSet::of(Amr::Password));

        app.advance(Duration::from_secs(60));
        let body = json!({ "refreshToken": bob.refresh_token });
        let answer = app.post("/api/v2/auth/refresh").json(&body).send().await;
        let claims = claims_of(&app, &answer.assert_status(200).text_at("accessToken")).await;
        assert_eq!(claims.amr, AmrSet::of(Amr::Password));
        assert_eq!((claims.auth_time, claims.iat), (signed_in_at, signed_in_at + 60));
        let actor = app.kernel().authenticate(&bob.access_token).await.unwrap();
        let grant = actor.authorize(Permission::ReadOwnToken).unwrap();
        assert_eq!(grant.session().amr, AmrSet::of(Amr::Password));
        assert_eq!(grant.session().auth_time.seconds(), signed_in_at);
    }

    async fn keys_codes_and_continued_sessions_say_so_too(app: TestApp) {
        let root = app.provision("root@example.com").await;
        let program = app.add_service(&root, "program", "backend").await;
        let named = json!({ "name": "program" });
        let key = app.post("/v1/accounts/service/keys/").bearer(&root.access_token).json(&named).send().await;
        let key = key.assert_status(200).text_at("key");
        let with_key = app.bound(&program, json!({ "password": key })).await;
        let claims = claims_of(&app, &with_key.access_token).await;
        assert_eq!(claims.amr, AmrSet::of(Amr::ServiceKey));

        app.advance(Duration::from_secs(60));
        let body = json!({ "refresh_token": with_key.refresh_token });
        let answer = app.post("/v1/login/refresh-token/").json(&body).send().await;
        let continued = claims_of(&app, &answer.assert_status(200).text_at("token")).await;
        assert_eq!((continued.amr, continued.auth_time), (claims.amr, claims.auth_time));

        let person = app.register_phone(PHONE).await;
        let actor = app.kernel().authenticate(&person.token).await.unwrap();
        let grant = actor.authorize(Permission::ReadOwnToken).unwrap();
        assert_eq!(grant.claims().amr, AmrSet::of(Amr::OneTimeCode));
        assert_eq!(grant.claims().auth_time, app.now().seconds());
    }

    async fn a_session_of_an_earlier_version_was_authenticated_when_it_was_opened(app: TestApp) {
        let ada = app.register_ingestiq(ADA).await;
        app.sql("update sessions set auth_time = null").await;
        let actor = app.kernel().authenticate(&ada.access_token).await.unwrap();
        let grant = actor.authorize(Permission::ReadOwnToken).unwrap();
        assert_eq!((grant.session().amr, grant.session().auth_time), (AmrSet::of(Amr::Password), app.now()));
    }
}

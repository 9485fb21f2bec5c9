//! Tokens for an organization: any member makes one, its admins see and revoke all.

use serde_json::{Value, json};
use tidegate_testkit::{Engine, Person, Request, TestApp, on_both_engines};

use super::super::wire::{
    AGENT, assert_done, event, get_as, newest_events, post_as, refused_without_trace, url, wait,
};
use super::{ADA, DAY, asking, at_rivergen, made, make, me, number_of, organization};

fn at(number: i64) -> String {
    format!("organizations/{number}/tokens")
}

fn revoke(app: &TestApp, who: &Person, organization: i64, token: i64) -> Request {
    app.delete(&url(&format!("{}/{token}", at(organization)))).bearer(&who.access_token)
}

fn makers(list: &Value) -> Vec<(i64, i64)> {
    let number = |token: &Value, name: &str| token[name].as_i64().unwrap();
    list.as_array().unwrap().iter().map(|token| (number(token, "id"), number(token, "user_id"))).collect()
}

on_both_engines! {
    async fn any_member_makes_a_token_and_admins_see_those_of_all(app: TestApp) {
        let (root, bob, number) = organization(&app).await;
        let answer = post_as(&app, &bob, &at(number), &asking(&["read"])).send().await;
        let token = made(answer.assert_status(201));
        assert_eq!(answer.field("data.organization_id"), number);
        assert_eq!(me(&app.client(), &token.text).await, 200);
        wait(&app, 1);
        // The same by the other path.
        let body = json!({ "name": "Root's", "scopes": ["security:read"], "organization_id": number });
        let roots = make(&app, &root, &body).await;
        // Those that its owner makes for themselves are not the organization's.
        make(&app, &root, &asking(&["read"])).await;
        let list = get_as(&app, &root, &at(number)).send().await;
        list.assert_status(200);
        let [root_number, bob_number] = [&root, &bob].map(|who| who.email.clone());
        let number_of = async |email: String| {
            app.sql_count(&format!(
                "select a.number from accounts a join identifiers i on i.account_id = a.id where i.value = '{email}'"
            ))
            .await
        };
        let expected = [(roots.number, number_of(root_number).await), (token.number, number_of(bob_number).await)];
        assert_eq!(makers(list.field("data.tokens")), expected);
        assert_eq!(list.field("data.total"), 2);
        let page = get_as(&app, &root, &format!("{}?skip=1&limit=1", at(number))).send().await;
        assert_eq!(makers(page.field("data.tokens")), [expected[1]]);
        // One's own list has both kinds.
        let own = get_as(&app, &root, "auth/tokens").send().await;
        assert_eq!(own.field("data.total"), 2);
        refused_without_trace(&app, get_as(&app, &bob, &at(number)), 403, "organization_access_denied").await;
    }

    async fn who_is_no_member_learns_nothing_of_an_organization(app: TestApp) {
        let (root, _, number) = organization(&app).await;
        let token = made(post_as(&app, &root, &at(number), &asking(&["read"])).send().await.assert_status(201));
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        let own = app.sql_count("select max(number) from organizations").await;
        let mut texts = Vec::new();
        for foreign in [number, 999_999, 0, -1] {
            for request in [
                get_as(&app, &eve, &at(foreign)),
                post_as(&app, &eve, &at(foreign), &asking(&["read"])),
                revoke(&app, &eve, foreign, token.number),
            ] {
                let answer = request.send().await;
                answer.assert_error(403, "organization_access_denied");
                texts.push(answer.text);
            }
            let body = json!({ "name": "Eve's", "scopes": ["read"], "organization_id": foreign });
            let request = post_as(&app, &eve, "auth/tokens", &body);
            refused_without_trace(&app, request, 400, "token_creation_failed").await;
        }
        texts.dedup();
        assert_eq!(texts.len(), 1, "{texts:?}");
        // Another tenant's token is unknown in one's own organization, and on one's own path.
        refused_without_trace(&app, revoke(&app, &eve, own, token.number), 404, "token_not_found").await;
        let path = url(&format!("auth/tokens/{}", token.number));
        refused_without_trace(&app, app.delete(&path).bearer(&eve.access_token), 404, "token_not_found").await;
        assert_eq!(me(&app.client(), &token.text).await, 200);
        let not_a_number = app.get(&url("organizations/acme/tokens")).bearer(&eve.access_token).send().await;
        not_a_number.assert_error(422, "VALIDATION_ERROR");
    }

    async fn its_owner_and_the_admins_revoke_a_token_and_nobody_else(app: TestApp) {
        let (root, bob, number) = organization(&app).await;
        let token = |who: Person| {
            let request = post_as(&app, &who, &at(number), &asking(&["read"]));
            async move { made(request.send().await.assert_status(201)) }
        };
        let (first, second) = (token(bob.clone()).await, token(bob.clone()).await);
        let roots = token(root.clone()).await;
        // A member who is no admin cannot tell another's token from none.
        refused_without_trace(&app, revoke(&app, &bob, number, roots.number), 404, "token_not_found").await;
        refused_without_trace(&app, revoke(&app, &bob, number, 999), 404, "token_not_found").await;
        assert_done(&revoke(&app, &bob, number, first.number).send().await, 200, json!({}));
        assert_done(&revoke(&app, &root, number, second.number).send().await, 200, json!({}));
        for dead in [&first, &second] {
            assert_eq!(me(&app.client(), &dead.text).await, 401);
        }
        assert_eq!(me(&app.client(), &roots.text).await, 200);
        refused_without_trace(&app, revoke(&app, &root, number, second.number), 404, "token_not_found").await;
        // A token that is for no organization is not an admin's to see or revoke.
        let own = make(&app, &root, &asking(&["read"])).await;
        refused_without_trace(&app, revoke(&app, &root, number, own.number), 404, "token_not_found").await;
        refused_without_trace(&app, revoke(&app, &bob, number, own.number), 404, "token_not_found").await;
        assert_eq!(me(&app.client(), &own.text).await, 200);
    }

    async fn a_revocation_by_an_admin_is_recorded_for_the_token_s_owner(app: TestApp) {
        let (root, bob, number) = organization(&app).await;
        let token = made(post_as(&app, &bob, &at(number), &asking(&["read"])).send().await.assert_status(201));
        revoke(&app, &root, number, token.number).header("user-agent", AGENT).send().await.assert_status(200);
        let events = newest_events(&app, 1).await;
        let by = events[0]["metadata"]["by"].clone();
        let metadata = json!({ "token": token.number, "name": "Build server", "by": by });
        let bobs = app.sql_count("select account_number from (select a.number as account_number from accounts a
            join identifiers i on i.account_id = a.id where i.value = 'bob@example.com') found").await;
        let session = events[0]["session"].as_i64();
        assert_eq!(events, [event(&app, "token.revoked", Some(bobs), session, &metadata)]);
    }

    async fn the_organization_s_setting_bounds_the_life_of_its_tokens(app: TestApp) {
        let (root, bob, number) = organization(&app).await;
        let expiry = async |body: Value| {
            let answer = post_as(&app, &bob, &at(number), &body).send().await;
            answer.assert_status(201).field("data.expires_at").clone()
        };
        let days = |days: i64| json!({ "name": "Build server", "scopes": ["read"], "expires_in_days": days });
        assert_eq!(expiry(asking(&["read"])).await, Value::Null);
        app.sql("update organizations set access_token_expire_minutes = 2880").await;
        assert_eq!(expiry(asking(&["read"])).await, "2026-01-07T09:00:00Z");
        assert_eq!(expiry(days(1)).await, "2026-01-06T09:00:00Z", "the earlier one wins");
        assert_eq!(expiry(days(3)).await, "2026-01-07T09:00:00Z");
        // It is not about tokens that the owner makes for themselves.
        let own = post_as(&app, &root, "auth/tokens", &asking(&["read"])).send().await;
        assert_eq!(own.field("data.expires_at"), &Value::Null);
        app.sql("update organizations set access_token_expire_minutes = 1").await;
        let token = made(&post_as(&app, &bob, &at(number), &asking(&["read"])).send().await);
        wait(&app, 60);
        assert_eq!(me(&app.client(), &token.text).await, 401);
    }

    async fn an_organization_has_no_more_tokens_than_it_may(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| settings.quotas.organization_tokens = 2).start().await;
        let (root, bob, number) = organization(&app).await;
        for who in [&root, &bob] {
            post_as(&app, who, &at(number), &asking(&["read"])).send().await.assert_status(201);
        }
        let third = post_as(&app, &bob, &at(number), &asking(&["read"]));
        refused_without_trace(&app, third, 400, "token_creation_failed").await;
        // The owner's own are counted apart.
        make(&app, &root, &asking(&["read"])).await;
    }

    // The attack: a member leaves the organization's number out, and has a token there that its admins neither see nor bound.
    async fn a_token_that_acts_in_an_organization_of_others_is_that_organizations(engine: Engine) {
        let app = TestApp::builder(engine).settings(|settings| settings.quotas.organization_tokens = 2).start().await;
        let (root, bob, number) = organization(&app).await;
        app.sql("update organizations set access_token_expire_minutes = 2880").await;
        let answer = post_as(&app, &bob, "auth/tokens", &asking(&["read"])).send().await;
        let token = made(answer.assert_status(201));
        assert_eq!(answer.field("data.expires_at"), "2026-01-07T09:00:00Z");
        assert_eq!(answer.field("data.organization_id"), number, "the member is told whose it is");
        let list = get_as(&app, &root, &at(number)).send().await;
        assert_eq!(list.field("data.tokens.0.id"), token.number);
        make(&app, &bob, &asking(&["read"])).await;
        let third = post_as(&app, &bob, "auth/tokens", &asking(&["read"]));
        refused_without_trace(&app, third, 400, "token_creation_failed").await;
        assert_done(&revoke(&app, &root, number, token.number).send().await, 200, json!({}));
        assert_eq!(me(&app.client(), &token.text).await, 401);
    }

    // Each would remove the other's expired tokens, and wait for the other.
    async fn members_renew_their_tokens_at_the_same_time(engine: Engine) {
        let app = TestApp::builder(engine).without_limits().start().await;
        let (root, bob, number) = organization(&app).await;
        let short = json!({ "name": "Short", "scopes": ["read"], "expires_in_days": 1 });
        for who in [&root, &bob, &root, &bob] {
            post_as(&app, who, &at(number), &short).send().await.assert_status(201);
        }
        wait(&app, DAY);
        let (root, bob) = (at_rivergen(&app, &root).await, at_rivergen(&app, &bob).await);
        let app = std::sync::Arc::new(app);
        let answers = tidegate_testkit::concurrently(8, |place| {
            let (app, short) = (std::sync::Arc::clone(&app), short.clone());
            let who = if place % 2 == 0 { root.clone() } else { bob.clone() };
            async move { post_as(&app, &who, &at(number), &short).send().await.status }
        })
        .await;
        assert!(answers.iter().all(|status| *status == 201), "{answers:?}");
        assert_eq!(app.sql_count("select count(*) from access_tokens").await, 12, "pruning removes what has expired");
    }

    async fn what_is_wrong_with_a_request_is_told(app: TestApp) {
        let (root, _, number) = organization(&app).await;
        for (field, value) in [
            ("name", json!(null)), ("name", json!("")), ("scopes", json!([])), ("scopes", json!(["fly"])),
            ("scopes", json!(["openid"])), ("expires_in_days", json!(0)),
        ] {
            let mut body = asking(&["read"]);
            body[field] = value;
            let request = post_as(&app, &root, &at(number), &body);
            let answer = refused_without_trace(&app, request, 422, "VALIDATION_ERROR").await;
            assert_eq!(answer.field("error.details.field"), field);
        }
        for path in ["organizations/acme/tokens".to_owned(), format!("{}?limit=0", at(number)), format!("{}?skip=x", at(number))] {
            get_as(&app, &root, &path).send().await.assert_error(422, "VALIDATION_ERROR");
        }
        for path in ["organizations/acme/tokens/1".to_owned(), format!("{}/first", at(number))] {
            app.delete(&url(&path)).bearer(&root.access_token).send().await.assert_error(422, "VALIDATION_ERROR");
        }
    }

    async fn an_invitation_that_was_not_accepted_makes_no_member(app: TestApp) {
        let root = app.provision("root@example.com").await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let number = number_of(&app, "root@example.com").await;
        app.create_individual(&root, ADA, "manager").await;
        for request in [get_as(&app, &ada, &at(number)), post_as(&app, &ada, &at(number), &asking(&["read"]))] {
            request.send().await.assert_error(403, "organization_access_denied");
        }
    }
}

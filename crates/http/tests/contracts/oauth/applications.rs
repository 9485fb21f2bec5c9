//! Applications of an organization: RiverGen, section 9.

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_domain::quota::Quotas;
use tidegate_testkit::{Answer, Engine, Person, TestApp, on_both_engines};

use super::wire::{
    ADA, App, CALLBACK, applications, as_person, assert_flat, audited, authorize, code, described,
    described_with, exchange, me, organization, parameters, register, register_public, sign_in,
    token_request,
};

async fn one(app: &TestApp, who: &Person, method: Method, client: &App, rest: &str) -> Answer {
    let path = format!("{}/{}{rest}", applications(organization(app, who).await), client.number);
    as_person(app, method, &path, who).send().await
}

async fn change(app: &TestApp, who: &Person, client: &App, body: &Value) -> Answer {
    let path = format!("{}/{}", applications(organization(app, who).await), client.number);
    as_person(app, Method::PATCH, &path, who).json(body).send().await
}

async fn create(app: &TestApp, who: &Person, body: &Value) -> Answer {
    let path = applications(organization(app, who).await);
    as_person(app, Method::POST, &path, who).json(body).send().await
}

async fn own_token(app: &TestApp, client: &App) -> Answer {
    token_request(app, client, &[("grant_type", "client_credentials")]).send().await
}

on_both_engines! {
    async fn an_application_is_registered_and_its_secret_is_shown_once(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let answer = create(&app, &ada, &described()).await;
        answer.assert_status(201);
        let data = answer.field("data");
        for (name, value) in described().as_object().unwrap() {
            assert_eq!(data[name], *value, "{name}");
        }
        assert_eq!((&data["access_level"], &data["status"]), (&json!("organization"), &json!("active")));
        assert_eq!(data["message"], *answer.field("message"));
        let secret = answer.text_at("data.client_secret");
        assert!(secret.starts_with("secret_") && secret.len() == 53, "{secret}");
        assert!(data.get("last_used_at").is_none());
        let client = App {
            number: answer.field("data.id").as_i64().unwrap(),
            client_id: answer.text_at("data.client_id"),
            secret: None,
        };
        uuid::Uuid::try_parse(&client.client_id).unwrap();
        let read = one(&app, &ada, Method::GET, &client, "").await;
        let found = read.assert_status(200).field("data");
        assert_eq!((&found["client_id"], &found["last_used_at"]), (&data["client_id"], &Value::Null));
        assert!(!read.text.contains("\"secret_") && !read.text.contains("\"client_secret\""), "{}", read.text);
        let path = applications(organization(&app, &ada).await);
        let list = as_person(&app, Method::GET, &path, &ada).send().await;
        assert_eq!(list.assert_status(200).field("data.total"), &json!(1));
        assert_eq!(list.field("data.applications.0.name"), &json!("Shop"));
        assert!(list.field("data.message").is_string());
        assert_eq!(audited(&app, "oauth.").await, ["oauth.application.created"]);
    }

    async fn lists_are_read_page_by_page(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for name in ["One", "Two", "Three"] {
            register(&app, &ada, &described_with(json!({ "name": name }))).await;
        }
        let path = applications(organization(&app, &ada).await);
        let page = as_person(&app, Method::GET, &format!("{path}?skip=1&limit=1"), &ada).send().await;
        let listed = page.assert_status(200).field("data.applications").as_array().unwrap();
        assert_eq!((listed.len(), &listed[0]["name"]), (1, &json!("Two")));
        assert_eq!(page.field("data.total"), &json!(3));
        for query in ["skip=-1", "limit=0", "limit=101", "limit=x", "skip="] {
            let answer = as_person(&app, Method::GET, &format!("{path}?{query}"), &ada).send().await;
            answer.assert_error(422, "VALIDATION_ERROR");
        }
    }

    async fn what_an_application_cannot_be_is_told_field_by_field(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for (fields, at_fault) in [
            (json!({ "name": " " }), "name"),
            (json!({ "name": "x".repeat(129) }), "name"),
            (json!({ "name": null }), "name"),
            (json!({ "description": "a\nb" }), "description"),
            (json!({ "grant_types": [] }), "grant_types"),
            (json!({ "grant_types": ["password"] }), "grant_types"),
            (json!({ "grant_types": "authorization_code" }), "grant_types"),
            (json!({ "redirect_uris": [] }), "redirect_uris"),
            (json!({ "redirect_uris": ["http://shop.example.com/cb"] }), "redirect_uris.0"),
            (json!({ "redirect_uris": [CALLBACK, "https://shop.example.com/cb#x"] }), "redirect_uris.1"),
            (json!({ "redirect_uris": ["/cb"] }), "redirect_uris.0"),
            (json!({ "redirect_uris": [CALLBACK, "https://shop.example.com/*"] }), "redirect_uris.1"),
            (json!({ "post_logout_redirect_uris": ["https://shop.example.com/*"] }), "post_logout_redirect_uris.0"),
            (json!({ "redirect_uris": ["javascript:alert(1)"] }), "redirect_uris.0"),
            (json!({ "redirect_uris": vec![CALLBACK; 51] }), "redirect_uris"),
            // An application on a person's device keeps no secret.
            (json!({ "redirect_uris": ["com.example.shop:/cb"] }), "redirect_uris"),
            (json!({ "scopes": [] }), "scopes"),
            (json!({ "scopes": ["full"] }), "scopes"),
            (json!({ "scopes": ["openid", "fly"] }), "scopes"),
            (json!({ "access_level": "user" }), "access_level"),
            (json!({ "token_endpoint_auth_method": "tls" }), "token_endpoint_auth_method"),
            (json!({ "token_endpoint_auth_method": "none" }), "grant_types"),
        ] {
            let answer = create(&app, &ada, &described_with(fields.clone())).await;
            answer.assert_error(422, "VALIDATION_ERROR");
            assert_eq!(answer.text_at("error.details.field"), at_fault, "{fields}");
        }
        create(&app, &ada, &json!({})).await.assert_error(422, "VALIDATION_ERROR");
        assert_eq!(app.sql_count("select count(*) from oauth_applications").await, 0);
    }

    async fn a_name_is_taken_in_its_organization_and_free_in_others(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        register(&app, &ada, &described()).await;
        create(&app, &ada, &described()).await.assert_error(400, "application_exists");
        let other = register(&app, &ada, &described_with(json!({ "name": "Other" }))).await;
        change(&app, &ada, &other, &json!({ "name": "Shop" })).await.assert_error(400, "application_exists");
        // Its own name is free for it.
        change(&app, &ada, &other, &json!({ "name": "Other" })).await.assert_status(200);
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        register(&app, &bob, &described()).await;
    }

    async fn an_organization_has_as_many_as_it_may(engine: Engine) {
        let quotas = |settings: &mut tidegate_kernel::Settings| {
            settings.quotas = Quotas { applications: 1, ..Quotas::default() };
        };
        let app = TestApp::builder(engine).settings(quotas).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        register(&app, &ada, &described()).await;
        create(&app, &ada, &described_with(json!({ "name": "Other" }))).await.assert_error(409, "too_many_applications");
        assert_eq!(app.sql_count("select count(*) from oauth_applications").await, 1);
    }

    // One whom a manager or an operator made never agreed to anything, and owns the organization none the less.
    async fn an_owner_who_never_agreed_to_be_a_member_is_one(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        app.database.sql("update memberships set accepted_at = null").await;
        let client = register(&app, &ada, &described()).await;
        let answer = authorize(&app, &ada.access_token, &parameters(&client)).await;
        assert!(answer.assert_status(302).header("location").contains("code="), "{}", answer.header("location"));
    }

    async fn only_what_is_named_is_changed(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let body = json!({ "description": "", "scopes": ["openid", "read"], "redirect_uris": ["https://b.example/cb"] });
        let answer = change(&app, &ada, &client, &body).await;
        let data = answer.assert_status(200).field("data");
        assert_eq!((&data["name"], &data["description"]), (&json!("Shop"), &json!("")));
        assert_eq!(data["redirect_uris"], json!(["https://b.example/cb"]));
        assert!(data.get("created_at").is_none() && data["message"].is_string());
        for fields in [json!({ "status": "gone" }), json!({ "redirect_uris": [] }), json!({ "grant_types": [] })] {
            change(&app, &ada, &client, &fields).await.assert_error(422, "VALIDATION_ERROR");
        }
        let any = json!({ "redirect_uris": ["https://b.example/*"] });
        let refused = change(&app, &ada, &client, &any).await;
        refused.assert_error(422, "VALIDATION_ERROR");
        assert!(refused.text.contains("must not contain *, which is no wildcard"), "{}", refused.text);
        // The secret is none of it. What a client was shown it may send back.
        let refused = change(&app, &ada, &client, &json!({ "client_secret": "secret_x" })).await;
        refused.assert_error(422, "VALIDATION_ERROR");
        let shown = json!({ "id": 7, "created_at": "2030-01-01T00:00:00Z", "last_used_at": null, "message": "Application retrieved." });
        change(&app, &ada, &client, &shown).await.assert_status(200);
        own_token(&app, &client).await.assert_status(200);
    }

    async fn a_new_secret_replaces_the_old_one_and_ends_all_tokens(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let (session, own) = (sign_in(&app, &ada, &client).await, own_token(&app, &client).await);
        let unused = code(&app, &ada, &client).await;
        let answer = one(&app, &ada, Method::POST, &client, "/regenerate-secret").await;
        let secret = answer.assert_status(200).text_at("data.client_secret");
        assert_ne!(Some(&secret), client.secret.as_ref());
        assert_flat(&own_token(&app, &client).await, 401, "invalid_client");
        let renewed = App { secret: Some(secret), ..client.clone() };
        own_token(&app, &renewed).await.assert_status(200);
        assert_eq!(me(&app, &session.text_at("access_token")).await, 401);
        assert_eq!(me(&app, &own.text_at("access_token")).await, 401);
        assert_flat(&exchange(&app, &renewed, &unused).await, 400, "invalid_grant");
        let public = register_public(&app, &ada).await;
        one(&app, &ada, Method::POST, &public, "/regenerate-secret").await.assert_error(400, "application_has_no_secret");
    }

    async fn the_old_secret_is_accepted_as_long_as_the_operator_says(engine: Engine) {
        let overlap = |settings: &mut tidegate_kernel::Settings| {
            let mut rules = settings.oauth.rules.clone();
            rules.secret_overlap = std::time::Duration::from_secs(60);
            settings.set_oauth(rules);
        };
        let app = TestApp::builder(engine).settings(overlap).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        one(&app, &ada, Method::POST, &client, "/regenerate-secret").await.assert_status(200);
        own_token(&app, &client).await.assert_status(200);
        app.advance(std::time::Duration::from_secs(60));
        assert_flat(&own_token(&app, &client).await, 401, "invalid_client");
    }

    async fn a_revoked_application_gets_nothing_until_it_is_enabled_again(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let session = sign_in(&app, &ada, &client).await;
        one(&app, &ada, Method::POST, &client, "/revoke").await.assert_status(200);
        assert_eq!(one(&app, &ada, Method::GET, &client, "").await.text_at("data.status"), "revoked");
        assert_eq!(me(&app, &session.text_at("access_token")).await, 401);
        assert_flat(&own_token(&app, &client).await, 401, "invalid_client");
        let asked = crate::oauth::wire::authorize(&app, &ada.access_token, &parameters(&client)).await;
        assert_flat(&asked, 400, "invalid_client");
        change(&app, &ada, &client, &json!({ "status": "active" })).await.assert_status(200);
        sign_in(&app, &ada, &client).await;
        // What had ended stays ended.
        assert_eq!(me(&app, &session.text_at("access_token")).await, 401);
        change(&app, &ada, &client, &json!({ "status": "revoked" })).await.assert_status(200);
        assert_flat(&own_token(&app, &client).await, 401, "invalid_client");
    }

    async fn a_deleted_application_is_gone_with_all_it_had(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let session = sign_in(&app, &ada, &client).await;
        code(&app, &ada, &client).await;
        one(&app, &ada, Method::DELETE, &client, "").await.assert_status(200);
        assert_eq!(me(&app, &session.text_at("access_token")).await, 401);
        for table in ["oauth_applications", "oauth_codes", "oauth_consents"] {
            assert_eq!(app.sql_count(&format!("select count(*) from {table}")).await, 0, "{table}");
        }
        for (method, rest) in [
            (Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/revoke"), (Method::POST, "/regenerate-secret"),
        ] {
            one(&app, &ada, method, &client, rest).await.assert_error(404, "application_not_found");
        }
        change(&app, &ada, &client, &json!({})).await.assert_error(404, "application_not_found");
    }

    async fn a_number_that_is_none_is_told(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        for (method, rest) in [
            (Method::GET, ""), (Method::DELETE, ""), (Method::PATCH, ""), (Method::POST, "/revoke"),
            (Method::POST, "/regenerate-secret"),
        ] {
            let path = format!("{}/x{rest}", applications(organization(&app, &ada).await));
            let request = as_person(&app, method, &path, &ada).json(&json!({}));
            request.send().await.assert_error(422, "VALIDATION_ERROR");
        }
    }

    async fn nobody_reaches_another_organizations_applications(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let eve = app.sign_up_rivergen_verified("eve@example.com").await;
        let (adas, eves) = (organization(&app, &ada).await, organization(&app, &eve).await);
        let item = |organization: i64, rest: &str| format!("{}/{}{rest}", applications(organization), client.number);
        for (method, rest) in [
            (Method::GET, ""), (Method::PATCH, ""), (Method::DELETE, ""), (Method::POST, "/revoke"),
            (Method::POST, "/regenerate-secret"),
        ] {
            let request = as_person(&app, method.clone(), &item(adas, rest), &eve).json(&json!({}));
            request.send().await.assert_error(403, "organization_access_denied");
            // In her own organization there is none of that number.
            let request = as_person(&app, method, &item(eves, rest), &eve).json(&json!({}));
            request.send().await.assert_error(404, "application_not_found");
        }
        for path in [applications(adas), applications(999_999)] {
            as_person(&app, Method::GET, &path, &eve).send().await.assert_error(403, "organization_access_denied");
            let request = as_person(&app, Method::POST, &path, &eve).json(&described());
            request.send().await.assert_error(403, "organization_access_denied");
        }
        app.get(&applications(adas)).send().await.assert_error(401, "UNAUTHORIZED");
        own_token(&app, &client).await.assert_status(200);
    }

    async fn tokens_that_are_limited_manage_no_applications(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let body = described_with(json!({ "scopes": ["openid", "profile", "email", "read", "write", "admin"] }));
        let client = register(&app, &ada, &body).await;
        let scope = ("scope", "openid read write admin");
        let code = crate::oauth::wire::code_for(&app, &ada, &crate::oauth::wire::parameters_with(&client, &[scope])).await;
        let token = exchange(&app, &client, &code).await.text_at("access_token");
        let path = applications(organization(&app, &ada).await);
        for request in [
            app.get(&path),
            app.post(&path).json(&described_with(json!({ "name": "Foothold" }))),
            app.post(&format!("{path}/{}/regenerate-secret", client.number)),
            app.delete(&format!("{path}/{}", client.number)),
        ] {
            request.bearer(&token).send().await.assert_error(403, "PERMISSION_DENIED");
        }
        let own = own_token(&app, &client).await.text_at("access_token");
        app.get(&path).bearer(&own).send().await.assert_status(403);
    }

    async fn tokens_end_with_the_grant_type_they_came_by(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let tokens = sign_in(&app, &ada, &client).await;
        let without = json!({ "grant_types": ["client_credentials"] });
        change(&app, &ada, &client, &without).await.assert_status(200);
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 401);
        own_token(&app, &client).await.assert_status(200);
    }

    async fn what_an_operator_suspended_its_organization_does_not_enable(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let tokens = sign_in(&app, &ada, &client).await;
        let unused = code(&app, &ada, &client).await;
        let rules = app.kernel().settings().contracts.of_installation();
        let operator = tidegate_kernel::Call::from_cli(rules);
        let id = uuid::Uuid::try_parse(&client.client_id).unwrap().into();
        app.oauth().suspend_application(&operator, id).await.unwrap();
        let enabled = change(&app, &ada, &client, &json!({ "status": "active" })).await;
        assert_eq!(enabled.assert_status(200).field("data.status"), &json!("revoked"));
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 401);
        assert_flat(&exchange(&app, &client, &unused).await, 401, "invalid_client");
        assert_flat(&own_token(&app, &client).await, 401, "invalid_client");
        let path = format!("/oauth/authorize?{}", crate::oauth::wire::form(
            &parameters(&client).iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(),
        ));
        assert_flat(&app.get(&path).bearer(&ada.access_token).send().await, 400, "invalid_client");
        app.oauth().resume_application(&operator, id).await.unwrap();
        sign_in(&app, &ada, &client).await;
        assert_eq!(me(&app, &tokens.text_at("access_token")).await, 401, "what ended stays ended");
    }

    async fn whoever_makes_or_changes_an_application_signed_in_lately_and_the_owner_hears_of_it(engine: Engine) {
        let strict = |settings: &mut tidegate_kernel::Settings| {
            for profile in settings.contracts.iter_mut() {
                profile.recent_sign_in = Some(std::time::Duration::from_secs(300));
            }
        };
        let app = TestApp::builder(engine).settings(strict).start().await;
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        let uris = json!({ "redirect_uris": ["https://shop.example.com/moved"] });
        change(&app, &ada, &client, &uris).await.assert_status(200);
        one(&app, &ada, Method::POST, &client, "/regenerate-secret").await.assert_status(200);
        let templates = app.templates_to(ADA).await;
        assert_eq!(templates.iter().filter(|template| *template == "credential_made").count(), 3, "{templates:?}");
        let query = "select cast(metadata as text) from audit_events where action = 'oauth.application.updated'";
        let written = app.database.sql_texts(query).await;
        assert!(written[0].contains("shop.example.com/moved") && written[0].contains(CALLBACK), "{written:?}");
        app.advance(std::time::Duration::from_secs(301));
        create(&app, &ada, &described_with(json!({ "name": "Other" }))).await.assert_error(403, "STEP_UP_REQUIRED");
        change(&app, &ada, &client, &uris).await.assert_error(403, "STEP_UP_REQUIRED");
        let again = one(&app, &ada, Method::POST, &client, "/regenerate-secret").await;
        again.assert_error(403, "STEP_UP_REQUIRED");
        // To take away is always right.
        one(&app, &ada, Method::POST, &client, "/revoke").await.assert_status(200);
        one(&app, &ada, Method::DELETE, &client, "").await.assert_status(200);
    }

    async fn an_account_that_is_deleted_takes_its_organizations_applications_along(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let bob = app.sign_up_rivergen_verified("bob@example.com").await;
        let client = register(&app, &ada, &described()).await;
        let session = sign_in(&app, &bob, &client).await;
        let rules = app.kernel().settings().contracts.of_installation();
        let operator = tidegate_identity::operator::Operator::at_command_line(rules);
        let name = tidegate_identity::operator::AccountName::Login(
            tidegate_domain::EmailAddress::parse(ADA).unwrap().into(),
        );
        app.identity().delete_account_for_operator(&operator, &name).await.unwrap();
        assert_eq!(app.sql_count("select count(*) from oauth_applications").await, 0);
        assert_eq!(audited(&app, "oauth.application.deleted").await.len(), 1);
        assert_eq!(me(&app, &session.text_at("access_token")).await, 401);
    }
}

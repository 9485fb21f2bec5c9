//! POST /api/v1/auth/signup: somebody makes an account.

use serde_json::{Value, json};
use tidegate_testkit::{PASSWORD, TestApp, on_both_engines};

use super::wire::{
    IP, assert_done, assert_refused, audit_log, each_invalid, event, get_as, post, refused_without_trace,
    somewhere_else, traces,
};

/// What Ada signs up with.
fn ada() -> Value {
    json!({ "email": "ada@example.com", "password": PASSWORD, "display_name": "Ada Lovelace" })
}

/// Ada's request with one field sent otherwise, or left out when it is `null`.
fn ada_with(field: &str, value: Value) -> Value {
    let mut body = ada();
    body[field] = value;
    body
}

on_both_engines! {
    async fn somebody_signs_up_and_is_asked_to_verify_their_address(app: TestApp) {
        let answer = post(&app, "auth/signup", &ada()).send().await;
        assert_done(&answer, 201, json!({
            "user_id": 1,
            "email": "ada@example.com",
            "display_name": "Ada Lovelace",
            "temporary_token": answer.text_at("data.temporary_token"),
            "email_verification_required": true,
        }));
        // No session is opened before the address is verified.
        assert_eq!(app.sql_count("select count(*) from sessions").await, 0);
    }

    async fn an_address_has_one_spelling_and_a_name_may_be_left_out(app: TestApp) {
        let body = json!({ "email": " Ada.Lovelace@EXAMPLE.com", "password": PASSWORD });
        let answer = post(&app, "auth/signup", &body).send().await;
        answer.assert_status(201);
        assert_eq!(answer.field("data.email"), "ada.lovelace@example.com");
        assert!(answer.field("data").as_object().is_some_and(|data| data["display_name"].is_null()));
        let household = app.database.sql_texts("select name from organizations").await;
        assert_eq!(household, ["ada.lovelace"]);
    }

    async fn the_terms_are_stored_as_agreed_to_or_not(app: TestApp) {
        let terms = "select cast(agreed_to_terms as text) || ' ' || terms_version from accounts order by number";
        post(&app, "auth/signup", &ada()).send().await.assert_status(201);
        let mut declined = ada_with("email", json!("bob@example.com"));
        declined["agree_to_terms"] = json!(false);
        declined["terms_version"] = json!("2026-01");
        post(&app, "auth/signup", &declined).send().await.assert_status(201);
        let (yes, no) = match app.database.engine() {
            tidegate_testkit::Engine::Sqlite => ("1", "0"),
            tidegate_testkit::Engine::Postgres => ("true", "false"),
        };
        assert_eq!(app.database.sql_texts(terms).await, [format!("{yes} 1.0"), format!("{no} 2026-01")]);
    }

    async fn everybody_gets_an_organization_a_workspace_and_three_roles_of_their_own(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let bob = app.sign_up_rivergen_verified("bob@example.org").await;

        let me = get_as(&app, &ada, "auth/me").send().await;
        let born = app.now().iso_seconds();
        assert_eq!(me.field("data.organizations"), &json!([{
            "id": 1, "name": "Ada Lovelace", "domain": "example.com", "plan": "free", "is_admin": true,
            "joined_at": born, "source": "signup",
        }]));
        assert_eq!(me.field("data.workspaces"), &json!([{
            "id": 1, "name": "Default Workspace", "slug": "default-workspace", "is_default": true, "created_at": born,
        }]));
        let me = get_as(&app, &bob, "auth/me").send().await;
        assert_eq!(me.field("data.organizations.0.domain"), "example.org");
        assert_eq!(me.field("data.organizations.1"), &Value::Null);

        let roles = "select o.number || ' ' || r.name from roles r join organizations o on o.id = r.organization_id
            order by o.number, r.name";
        let expected = ["1 Admin", "1 Developer", "1 Viewer", "2 Admin", "2 Developer", "2 Viewer"];
        assert_eq!(app.database.sql_texts(roles).await, expected);
        let memberships = "select a.number || ' ' || o.number || ' ' || m.role || ' ' || w.number
            from memberships m join accounts a on a.id = m.account_id
            join organizations o on o.id = m.organization_id
            join membership_workspaces mw on mw.membership_id = m.id
            join workspaces w on w.id = mw.workspace_id order by a.number";
        assert_eq!(app.database.sql_texts(memberships).await, ["1 1 owner 1", "2 2 owner 2"]);
    }

    async fn the_password_is_kept_as_a_bcrypt_hash(app: TestApp) {
        post(&app, "auth/signup", &ada()).send().await.assert_status(201);
        let hashes = app.database.sql_texts("select hash from passwords").await;
        assert!(hashes.iter().all(|hash| hash.contains("$2b$") && !hash.contains(PASSWORD)), "{hashes:?}");
        assert_eq!(hashes.len(), 1);
    }

    async fn one_mail_brings_the_code_and_the_link(app: TestApp) {
        post(&app, "auth/signup", &ada()).send().await.assert_status(201);
        let mails = app.mails_to("ada@example.com").await;
        assert_eq!(app.sql_count("select count(*) from outbox_messages").await, 1);
        let mail = mails.first().expect("a mail");
        let message = &mail.message;
        assert_eq!((message.template.as_str(), message.state.as_str()), ("sign_up_code", "pending"));
        assert!(message.idempotency_key.starts_with("sign_up_code."), "{}", message.idempotency_key);
        let code = mail.code().unwrap_or_default();
        assert!(code.len() == 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code}");
        let link = mail.link().unwrap_or_default();
        assert!(link.starts_with("https://id.example.com/verify-email?token=tgl_"), "{link}");
    }

    async fn signing_up_is_audited(app: TestApp) {
        post(&app, "auth/signup", &ada()).send().await.assert_status(201);
        let metadata = json!({ "agreed_to_terms": true, "terms_version": "1.0" });
        assert_eq!(audit_log(&app).await, [event(&app, "auth.signup", Some(1), None, &metadata)]);
    }

    async fn a_request_with_invalid_fields_is_a_bad_request(app: TestApp) {
        let wrong = [
            ("email", json!({ "password": PASSWORD })),
            ("email", ada_with("email", json!("ada"))),
            ("email", ada_with("email", json!(["ada@example.com"]))),
            ("password", ada_with("password", Value::Null)),
            ("password", ada_with("password", json!(12_345_678))),
            ("display_name", ada_with("display_name", json!(" "))),
            ("display_name", ada_with("display_name", json!("a".repeat(256)))),
            ("agree_to_terms", ada_with("agree_to_terms", json!("yes"))),
            ("terms_version", ada_with("terms_version", json!(1.0))),
            ("idempotency_key", ada_with("idempotency_key", json!(""))),
        ];
        each_invalid(&app, 400, wrong, |body| post(&app, "auth/signup", body)).await;
        let malformed = app.post("/api/v1/auth/signup").body("application/json", "{\"email\":");
        refused_without_trace(&app, malformed, 400, "VALIDATION_ERROR").await;
    }

    async fn an_address_is_taken_once(app: TestApp) {
        post(&app, "auth/signup", &ada()).send().await.assert_status(201);
        for spelling in ["ada@example.com", "ADA@Example.COM"] {
            // The same client may repeat it: see `clients::repeats`.
            let again = post(&app, "auth/signup", &ada_with("email", json!(spelling))).ip("203.0.113.9");
            refused_without_trace(&app, again, 409, "EMAIL_TAKEN").await;
        }
    }

    async fn an_address_registered_through_another_contract_is_taken(app: TestApp) {
        app.register_ingestiq("ada@example.com").await;
        refused_without_trace(&app, post(&app, "auth/signup", &ada()), 409, "EMAIL_TAKEN").await;
    }

    async fn a_weak_password_is_refused_whatever_it_lacks(app: TestApp) {
        for (number, weak) in ["Abcdef1", "abcdefg1", "ABCDEFG1", "Abcdefgh", ""].into_iter().enumerate() {
            let body = ada_with("password", json!(weak));
            let request = post(&app, "auth/signup", &body).ip(&somewhere_else(u8::try_from(number).unwrap_or(0)));
            refused_without_trace(&app, request, 422, "INVALID_PASSWORD").await;
        }
        let endless = ada_with("password", json!("Abcdefg1".repeat(129)));
        let request = post(&app, "auth/signup", &endless).ip(&somewhere_else(99));
        refused_without_trace(&app, request, 422, "INVALID_PASSWORD").await;
        // Eight characters of three kinds will do, and no special one is needed.
        let enough = post(&app, "auth/signup", &ada_with("password", json!("Abcdefg1")));
        enough.send().await.assert_status(201);
    }

    async fn signing_up_is_all_or_nothing(app: TestApp) {
        let before = traces(&app).await;
        app.sql("alter table roles rename to roles_elsewhere").await;
        let answer = post(&app, "auth/signup", &ada()).send().await;
        assert_refused(&app, &answer, 500, "INTERNAL_ERROR");
        assert!(!answer.text.contains("roles"), "internals stay inside: {}", answer.text);
        app.sql("alter table roles_elsewhere rename to roles").await;
        assert_eq!(traces(&app).await, before);
        post(&app, "auth/signup", &ada()).send().await.assert_status(201);
    }

    async fn nobody_signs_up_while_no_mail_can_be_sent(engine: tidegate_testkit::Engine) {
        let app = TestApp::builder(engine).mail_off().start().await;
        let answer = refused_without_trace(&app, post(&app, "auth/signup", &ada()), 503, "SERVICE_UNAVAILABLE").await;
        answer.assert_not_set_up("e-mail");
    }

    async fn the_address_seen_behind_a_stranger_proxy_is_the_peers(app: TestApp) {
        let request = post(&app, "auth/signup", &ada()).header("x-forwarded-for", "192.0.2.1");
        request.send().await.assert_status(201);
        assert_eq!(audit_log(&app).await.first().map(|event| event["ip"].clone()), Some(json!(IP)));
    }
}

//! `POST /api/v2/auth/register`.

use serde_json::{Value, json};
use tidegate_testkit::{Answer, PASSWORD, TestApp, on_both_engines};
use uuid::Uuid;

use super::{REGISTER, faulty, keys, login, me, refresh};
use crate::watch::row_counts;

async fn register(app: &TestApp, body: Value) -> Answer {
    app.post(REGISTER).json(&body).send().await
}

fn ada() -> Value {
    json!({ "email": "ada@example.com", "password": "securepassword", "name": "Ada Lovelace" })
}

/// Ada's registration with one field changed.
fn ada_with(field: &str, value: Value) -> Value {
    let mut body = ada();
    body[field] = value;
    body
}

on_both_engines! {
    async fn whoever_registers_is_logged_in(app: TestApp) {
        let answer = register(&app, ada()).await;
        answer.assert_status(201);
        assert_eq!(keys(&answer.body), ["accessToken", "refreshToken", "user"]);
        assert_eq!(keys(&answer.body["user"]), ["email", "id", "name"]);
        assert_eq!(answer.text_at("user.email"), "ada@example.com");
        assert_eq!(answer.text_at("user.name"), "Ada Lovelace");
        let id = answer.text_at("user.id");
        assert_eq!(Uuid::parse_str(&id).unwrap().to_string(), id, "the one usual spelling");
        assert_eq!(answer.header("cache-control"), "no-store");

        let caller = me(&app.client(), &answer.text_at("accessToken")).await;
        assert_eq!(caller.text_at("user.id"), id);
        refresh(&app.client(), &answer.text_at("refreshToken")).await.assert_status(200);
    }

    async fn whoever_registers_owns_a_new_organization_of_their_name(app: TestApp) {
        let answer = register(&app, ada()).await;
        let caller = me(&app.client(), &answer.text_at("accessToken")).await;
        assert_eq!(caller.text_at("user.role"), "owner");
        let named = "select count(*) from organizations where name = 'Ada Lovelace' and domain = 'example.com'";
        assert_eq!(app.sql_count(named).await, 1);
        let owned = "select count(*) from memberships where role = 'owner'";
        assert_eq!(app.sql_count(owned).await, 1);
        assert_eq!(app.sql_count("select count(*) from roles").await, 3);
        assert!(app.mails_to("ada@example.com").await.is_empty(), "this contract verifies no address");
    }

    async fn addresses_are_kept_in_lower_case_and_names_trimmed(app: TestApp) {
        let body = json!({ "email": " Ada@Example.COM ", "password": PASSWORD, "name": "  Ada Lovelace\t" });
        let answer = register(&app, body).await;
        answer.assert_status(201);
        assert_eq!(answer.text_at("user.email"), "ada@example.com");
        assert_eq!(answer.text_at("user.name"), "Ada Lovelace");
    }

    async fn unknown_fields_are_ignored(app: TestApp) {
        let body = ada_with("role", json!("admin"));
        register(&app, body).await.assert_status(201);
        let body = json!({
            "email": "bob@example.com", "password": PASSWORD, "name": "Bob", "id": 1, "organizationId": [{}],
            "isSystemAdmin": true, "verified": true,
        });
        let answer = register(&app, body).await;
        answer.assert_status(201);
        assert_eq!(app.sql_count("select count(*) from accounts where is_system_admin").await, 0);
        assert_eq!(app.sql_count("select count(*) from identifiers where verified_at is not null").await, 0);
    }

    async fn everything_wrong_with_the_body_is_said_at_once(app: TestApp) {
        let before = row_counts(&app).await;
        assert_eq!(faulty(&register(&app, json!({})).await), ["email", "password", "name"]);
        let wrong = json!({ "email": "ada", "password": "1234567", "name": "   " });
        assert_eq!(faulty(&register(&app, wrong).await), ["email", "password", "name"]);
        let ill_typed = json!({ "email": 1, "password": ["x"], "name": null });
        assert_eq!(faulty(&register(&app, ill_typed).await), ["email", "password", "name"]);
        assert_eq!(faulty(&register(&app, ada_with("name", json!("x".repeat(101)))).await), ["name"]);
        let long = format!("{}@example.com", "a.".repeat(150));
        assert_eq!(faulty(&register(&app, ada_with("email", json!(long))).await), ["email"]);
        assert_eq!(row_counts(&app).await, before, "nothing was written");
    }

    async fn a_body_that_is_not_json_is_a_validation_error_without_details(app: TestApp) {
        for body in ["", "{", "null", "[]", "\"ada\"", "{\"email\":\"a\",\"email\":\"b\"}"] {
            let answer = app.post(REGISTER).body("application/json", body).send().await;
            answer.assert_error(400, "VALIDATION_ERROR");
            assert_eq!(keys(&answer.body["error"]), ["code", "message"], "{body}");
        }
    }

    async fn a_password_has_8_to_128_characters_and_no_other_rule(app: TestApp) {
        let password = |text: &str| ada_with("password", json!(text));
        assert_eq!(faulty(&register(&app, password("1234567")).await), ["password"]);
        assert_eq!(faulty(&register(&app, password(&"x".repeat(129))).await), ["password"]);
        assert_eq!(faulty(&register(&app, password(&"\u{1f980}".repeat(7))).await), ["password"], "28 bytes, 7 characters");
        register(&app, password("xxxxxxxx")).await.assert_status(201);
        let crabs = json!({ "email": "b@example.com", "password": "\u{1f980}".repeat(128), "name": "B" });
        register(&app, crabs).await.assert_status(201);
    }

    async fn every_character_of_a_password_counts(app: TestApp) {
        // bcrypt alone stops at a NUL and after 72 bytes.
        for (email, password, other) in [
            ("nul@example.com", "1234567\0-right", "1234567\0-wrong"),
            ("long@example.com", &*format!("{}-right", "x".repeat(100)), &*format!("{}-wrong", "x".repeat(100))),
            ("crab@example.com", &*"\u{1f980}".repeat(30), &*"\u{1f980}".repeat(31)),
        ] {
            let body = json!({ "email": email, "password": password, "name": "Ada" });
            register(&app, body).await.assert_status(201);
            login(&app.client(), email, other).await.assert_error(401, "INVALID_CREDENTIALS");
            login(&app.client(), email, password).await.assert_status(200);
        }
    }

    async fn an_address_registers_once_in_whatever_spelling(app: TestApp) {
        register(&app, ada_with("email", json!("jos\u{e9}@b\u{fc}cher.example"))).await.assert_status(201);
        // Within a minute, the same client may repeat it: see `clients::repeats`.
        app.advance(std::time::Duration::from_secs(60));
        let before = row_counts(&app).await;
        for email in [
            "jos\u{e9}@b\u{fc}cher.example",
            "JOS\u{c9}@B\u{dc}CHER.EXAMPLE",
            "jose\u{301}@bu\u{308}cher.example",
            "jos\u{e9}@xn--bcher-kva.example",
            "  jos\u{e9}@b\u{fc}cher\u{3002}example\n",
        ] {
            let answer = register(&app, ada_with("email", json!(email))).await;
            answer.assert_error(409, "EMAIL_EXISTS");
            assert_eq!(keys(&answer.body["error"]), ["code", "message"], "{email}");
        }
        assert_eq!(row_counts(&app).await, before, "nothing was written");
    }

    async fn a_taken_address_is_not_an_oracle_for_its_password(app: TestApp) {
        register(&app, ada()).await.assert_status(201);
        app.advance(std::time::Duration::from_secs(60));
        let right = register(&app, ada()).await;
        let wrong = register(&app, ada_with("password", json!("something else"))).await;
        assert_eq!((right.status, &right.text), (wrong.status, &wrong.text));
    }
}

//! A credential lives no longer than its client asked for, in whichever words.

use serde_json::{Value, json};
use tidegate_testkit::{TestApp, on_both_engines};

/// That field, in a body that is right without it.
fn with(mut body: Value, field: &str, value: Value) -> Value {
    body[field] = value;
    body
}

on_both_engines! {
    async fn an_expiry_under_another_name_is_refused_by_whatever_makes_a_credential(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        let root = app.provision("root@example.com").await;
        let token = json!({ "name": "ci", "scopes": ["read"] });
        let application = json!({
            "name": "ci", "grant_types": ["client_credentials"], "redirect_uris": [], "scopes": ["openid"],
        });
        let program = json!({ "name": "export", "role": "backend" });
        let days = "is not known here; did you mean expires_in_days?";
        let none = "is not known here, where no expiry can be set";
        for (who, path, body, status, told) in [
            (&ada, "/api/v1/auth/tokens", &token, 422, days),
            (&ada, "/api/v1/organizations/1/tokens", &token, 422, days),
            (&ada, "/api/v1/organizations/1/oauth-applications", &application, 422, none),
            (&root, "/v1/accounts/service/", &program, 400, none),
            (&root, "/v1/accounts/service/keys/", &program, 400, "is not known here; did you mean expiration_timestamp?"),
        ] {
            for (field, value) in [("expires_in", json!(1)), ("expires_at", json!("2020-01-01")), ("ttl", json!(60))] {
                let body = with(body.clone(), field, value);
                let answer = app.post(path).bearer(&who.access_token).json(&body).send().await;
                answer.assert_status(status);
                assert!(answer.text.contains(field) && answer.text.contains(told), "{path}: {}", answer.text);
            }
        }
        let list = app.get("/api/v1/auth/tokens").bearer(&ada.access_token).send().await;
        assert_eq!(list.field("data.total"), &json!(0), "none was made");
        // Null says that there is no expiry, which is what is made.
        let body = with(token, "expires_at", Value::Null);
        let made = app.post("/api/v1/auth/tokens").bearer(&ada.access_token).json(&body).send().await;
        let number = made.assert_status(201).field("data.id").to_string();
        // A change makes nothing: a client may send back what it was shown.
        let body = json!({ "name": "cd", "expires_at": "2030-01-01" });
        let path = format!("/api/v1/auth/tokens/{number}");
        let changed = app.patch(&path).bearer(&ada.access_token).json(&body).send().await;
        assert_eq!(changed.assert_status(200).field("data.expires_at"), &Value::Null);
    }

    async fn a_signed_url_whose_life_is_misnamed_is_not_signed(app: TestApp) {
        let ada = app.sign_up_rivergen_verified("ada@example.com").await;
        for path in ["/api/v1/storage/objects/a.csv/presigned-url", "/api/v1/data-sources/1/file-url"] {
            let answer = app.get(&format!("{path}?expires_in=60")).bearer(&ada.access_token).send().await;
            answer.assert_error(422, "VALIDATION_ERROR");
            assert!(answer.text.contains("did you mean expires_seconds?"), "{path}: {}", answer.text);
        }
    }
}

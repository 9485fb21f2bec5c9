//! Requests that nobody should send.

use serde_json::json;
use tidegate_testkit::{TestApp, on_both_engines};

use super::wire::{ADA, assert_flat, described, form, parameters, register};

const ENDPOINTS: [&str; 5] =
    ["/oauth/token", "/oauth/token/revoke", "/oauth/introspect", "/oauth/par", "/oauth/device_authorization"];

on_both_engines! {
    async fn only_forms_are_read(app: TestApp) {
        for path in ENDPOINTS {
            let json = app.post(path).json(&json!({ "grant_type": "client_credentials" })).send().await;
            assert_flat(&json, 415, "invalid_request");
            assert!(json.text.contains("application/x-www-form-urlencoded"), "{path}: {}", json.text);
            assert_flat(&app.post(path).send().await, 415, "invalid_request");
            let twice = app.post(path).form("a=b").header("content-type", "application/x-www-form-urlencoded");
            assert_flat(&twice.send().await, 415, "invalid_request");
            let encoded = app.post(path).form("a=b").header("content-encoding", "gzip");
            assert_flat(&encoded.send().await, 415, "invalid_request");
            let charset = app.post(path).body("application/x-www-form-urlencoded; charset=UTF-8", "grant_type=x&token=x");
            assert_ne!(charset.send().await.status, 415);
        }
    }

    async fn a_field_is_sent_once(app: TestApp) {
        for path in ENDPOINTS {
            for body in ["token=a&token=b", "grant_type=x&grant_type=x", "x=1&x=2", "client_id=&client_id=a"] {
                assert_flat(&app.post(path).form(body).send().await, 400, "invalid_request");
            }
        }
    }

    async fn huge_and_binary_values_are_refused_before_they_are_looked_at(app: TestApp) {
        let ada = app.sign_up_rivergen_verified(ADA).await;
        let client = register(&app, &ada, &described()).await;
        for path in ENDPOINTS {
            let huge = format!("token={}", "x".repeat(70_000));
            assert_flat(&app.post(path).form(&huge).send().await, 413, "invalid_request");
            let many = (0..200).map(|number| format!("f{number}=1")).collect::<Vec<_>>().join("&");
            assert_flat(&app.post(path).form(&many).send().await, 400, "invalid_request");
            for body in ["token=a%00b", "token=%ff", "token=%0a", "%00=x"] {
                assert_flat(&app.post(path).form(body).send().await, 400, "invalid_request");
            }
        }
        let mut sent = parameters(&client);
        let get = |sent: &std::collections::BTreeMap<String, String>, extra: &str| {
            let fields: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            let request = app.get(&format!("/oauth/authorize?{}{extra}", form(&fields)));
            request.bearer(&ada.access_token).send()
        };
        for extra in ["&state=again", "&nonce=x&nonce=y", "&scope=%00", "&ui_locales=%ff", "&client_id=x"] {
            assert_flat(&get(&sent, extra).await, 400, "invalid_request");
        }
        for name in ["state", "nonce", "login_hint"] {
            let kept = sent.insert(name.to_owned(), "x".repeat(5_000));
            assert_flat(&get(&sent, "").await, 400, "invalid_request");
            match kept {
                Some(kept) => sent.insert(name.to_owned(), kept),
                None => sent.remove(name),
            };
        }
        get(&sent, "&unknown=1&unknown=2").await.assert_status(302);
    }

    async fn other_methods_are_told_so(app: TestApp) {
        for path in ENDPOINTS {
            assert_flat(&app.get(path).send().await, 405, "method_not_allowed");
        }
        assert_flat(&app.delete("/oauth/authorize").send().await, 405, "method_not_allowed");
        assert_eq!(app.get("/oauth/nothing").send().await.status, 404);
    }

    async fn without_its_database_the_endpoints_say_come_back_later(app: TestApp) {
        app.store().close().await;
        let body = "client_id=00000000-0000-4000-8000-000000000000&client_secret=x&grant_type=client_credentials&token=x";
        for path in ["/oauth/token", "/oauth/introspect", "/oauth/par", "/oauth/device_authorization"] {
            assert_flat(&app.post(path).form(body).send().await, 503, "temporarily_unavailable");
        }
    }
}

//! `tidegate user tokens`, `tidegate org tokens`, `tidegate org token-lifetime`, and what scanners find.

use serde_json::{Value, json};
use tidegate_testkit::{eventually, on_both_engines};

use crate::member::{self, ADA};
use crate::support::{Installation, Server};

/// Makes a token; answers its number and its text.
async fn make(server: &Server, path: &str, bearer: &str) -> (i64, String) {
    let body = json!({ "name": "Build server", "scopes": ["read"], "expires_in_days": 1 });
    let request = server.http.post(format!("{}{path}", server.base)).bearer_auth(bearer).json(&body);
    let made: Value = request.send().await.unwrap().json().await.unwrap();
    let data = &made["data"];
    (data["id"].as_i64().unwrap(), data["token"].as_str().unwrap().to_owned())
}

async fn status_of(server: &Server, token: &str) -> u16 {
    let request = server.http.get(format!("{}/api/v1/auth/me", server.base)).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

async fn dead(server: &Server, token: &str) {
    eventually("the token is dead", async || (status_of(server, token).await == 401).then_some(())).await;
}

fn begun(here: &Installation) -> Server {
    let server = here.serve(&[]);
    member::create(here);
    server
}

fn numbers(listed: &Value) -> Vec<i64> {
    listed.as_array().unwrap().iter().map(|token| token["number"].as_i64().unwrap()).collect()
}

on_both_engines! {
    async fn an_operator_sees_and_revokes_an_account_s_tokens(here: Installation) {
        let server = begun(&here);
        let session = member::sign_in(&server).await;
        assert_eq!(here.json(&["user", "tokens", ADA]), json!([]));
        assert_eq!(here.output(&["user", "tokens", ADA]), "The account has no access token.");
        let (first, text) = make(&server, "/api/v1/auth/tokens", &session).await;
        let (second, other) = make(&server, "/api/v1/auth/tokens", &session).await;
        let listed = here.json(&["user", "tokens", ADA]);
        assert_eq!(numbers(&listed), [second, first]);
        assert_eq!((&listed[0]["name"], &listed[0]["scopes"]), (&json!("Build server"), &json!(["read"])));
        assert!(here.output(&["user", "tokens", ADA]).contains("Build server"));
        assert!(!listed.to_string().contains(&text));

        let number = first.to_string();
        assert_eq!(here.json(&["user", "tokens", ADA, "--revoke", &number]), json!({ "revoked_tokens": 1 }));
        dead(&server, &text).await;
        assert_eq!(status_of(&server, &other).await, 200);
        let again = here.run(&["user", "tokens", ADA, "--revoke", &number, "--json"]);
        assert_eq!((again.code, &again.json()["error"]["code"]), (1, &json!("no_such_token")));
        assert_eq!(here.json(&["user", "tokens", ADA, "--revoke-all"]), json!({ "revoked_tokens": 1 }));
        dead(&server, &other).await;
        assert_eq!(here.json(&["user", "export", ADA])["access_tokens"], json!([]));
        server.stop();
    }

    async fn an_operator_sees_bounds_and_revokes_an_organization_s_tokens(here: Installation) {
        let server = begun(&here);
        let organization = here.json(&["org", "list"])[0]["number"].to_string();
        let path = format!("/api/v1/organizations/{organization}/tokens");
        let session = member::sign_in(&server).await;
        let bounded = json!({
            "organization_id": here.json(&["org", "list"])[0]["organization_id"], "access_token_expire_minutes": 60,
        });
        assert_eq!(here.json(&["org", "token-lifetime", &organization, "60"]), bounded);
        make(&server, "/api/v1/auth/tokens", &session).await;
        let (number, text) = make(&server, &path, &session).await;
        let listed = here.json(&["org", "tokens", &organization]);
        assert_eq!(numbers(&listed), [number], "those of people alone are not the organization's: {listed}");
        // From when to when, as days, hours, and the rest.
        let times = |token: &Value| {
            ["created_at", "expires_at"].map(|name| {
                let text = token[name].as_str().unwrap();
                (text[..11].to_owned(), text[11..13].to_owned(), text[13..].to_owned())
            })
        };
        let [made, expires] = times(&listed[0]);
        assert!(made.2 == expires.2 && made.1 != expires.1, "an hour later: {listed}");
        let unbounded = here.json(&["org", "token-lifetime", &organization, "0"]);
        assert_eq!(unbounded["access_token_expire_minutes"], Value::Null);
        make(&server, &path, &session).await;
        let [made, expires] = times(&here.json(&["org", "tokens", &organization])[0]);
        assert!(made.2 == expires.2 && made.1 == expires.1 && made.0 != expires.0, "a day later");

        let number = number.to_string();
        assert_eq!(here.json(&["org", "tokens", &organization, "--revoke", &number]), json!({ "revoked_tokens": 1 }));
        dead(&server, &text).await;
        let again = here.run(&["org", "tokens", &organization, "--revoke", &number, "--json"]);
        assert_eq!((again.code, &again.json()["error"]["code"]), (1, &json!("no_such_token")));
        assert_eq!(here.json(&["org", "tokens", &organization, "--revoke-all"]), json!({ "revoked_tokens": 1 }));
        let unknown = here.run(&["org", "tokens", "999999", "--json"]);
        assert_eq!((unknown.code, &unknown.json()["error"]["code"]), (1, &json!("not_found")));
        server.stop();
    }

    // As a secret scanner does it: with docs/scopes.md alone.
    async fn a_scanner_tells_a_token_from_text_that_looks_like_one(here: Installation) {
        let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/scopes.md")).unwrap();
        let script = include_str!("check_token.py");
        assert!(page.contains(&format!("<!-- file: check_token.py -->\n```python\n{script}```\n")));
        let server = begun(&here);
        let (_, text) = make(&server, "/api/v1/auth/tokens", &member::sign_in(&server).await).await;
        let is_token = |text: &str| here.run_python("check_token.py", &[text], "").code == 0;
        assert!(is_token(&text), "{text}");
        let example = page.split('`').find(|part| part.starts_with("pat_") && part.len() == 50).unwrap();
        assert!(is_token(example), "{example}");
        let last = if text.ends_with('0') { "1" } else { "0" };
        for wrong in [&text[..49], &format!("{}{last}", &text[..49]), &text.replace("pat_", "pet_"), ""] {
            assert!(!is_token(wrong), "{wrong}");
        }
        let pattern = r"\bpat_[0-9A-Za-z]{46}\b";
        assert!(page.contains(pattern));
        assert!(text.len() == 50 && text[4..].bytes().all(|c| c.is_ascii_alphanumeric()));
        server.stop();
    }
}

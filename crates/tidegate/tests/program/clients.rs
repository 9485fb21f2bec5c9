//! `tidegate client`

use serde_json::{Value, json};
use tidegate_testkit::{eventually, on_both_engines};

use crate::support::{Installation, Server};

const CALLBACK: &str = "https://shop.example.com/callback";

fn organization(here: &Installation) -> String {
    here.json(&["user", "create", "--email", "ada@example.com", "--name", "Ada"]);
    here.json(&["org", "list"])[0]["number"].to_string()
}

/// A token in the application's own name: status and answer.
async fn own_token(server: &Server, client: &Value, secret: &str) -> (u16, Value) {
    let id = client["client_id"].as_str().unwrap();
    let request = server.http.post(format!("{}/oauth/token", server.base)).basic_auth(id, Some(secret));
    let request = request
        .header("content-type", "application/x-www-form-urlencoded")
        .body("grant_type=client_credentials");
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

on_both_engines! {
    async fn an_operator_registers_an_application_and_takes_it_away(here: Installation) {
        let server = here.serve(&[]);
        let organization = organization(&here);
        assert_eq!(here.json(&["client", "list"]), json!([]));
        let create = |name: &'static str| {
            here.json(&[
                "client", "create", "--organization", &organization, "--name", name, "--redirect-uri", CALLBACK,
                "--scope", "openid read", "--grant", "authorization_code", "--grant", "client_credentials",
            ])
        };
        let client = create("Shop");
        let secret = client["client_secret"].as_str().unwrap().to_owned();
        assert_eq!((&client["redirect_uris"], &client["status"]), (&json!([CALLBACK]), &json!("active")));
        let id = client["client_id"].as_str().unwrap();
        assert_eq!(own_token(&server, &client, &secret).await.0, 200);
        for shown in [here.json(&["client", "show", id]), here.json(&["client", "list"])[0].clone()] {
            assert_eq!(shown["name"], "Shop");
            assert!(shown.get("client_secret").is_none() && !shown.to_string().contains(&secret), "{shown}");
        }
        assert!(here.output(&["client", "show", id]).contains(CALLBACK));
        assert!(here.output(&["client", "list"]).contains("Shop"));

        let rotated = here.json(&["client", "rotate-secret", id]);
        assert_eq!(own_token(&server, &client, &secret).await.1["error"], "invalid_client");
        let secret = rotated["client_secret"].as_str().unwrap().to_owned();
        assert_eq!(own_token(&server, &client, &secret).await.0, 200);
        assert_eq!(here.json(&["client", "suspend", id])["status"], "suspended");
        assert_eq!(here.json(&["client", "resume", id])["status"], "active");
        assert_eq!(here.json(&["client", "revoke", id])["status"], "suspended");
        eventually("it is revoked", async || (own_token(&server, &client, &secret).await.0 == 401).then_some(())).await;

        let unsure = here.run(&["client", "delete", id, "--json"]);
        assert_eq!(unsure.code, 2);
        assert_eq!(here.json(&["client", "delete", id, "--yes"])["deleted"], true);
        let gone = here.run(&["client", "show", id, "--json"]);
        assert_eq!((gone.code, &gone.json()["error"]["code"]), (1, &json!("not_found")));
        server.stop();
    }

    async fn what_cannot_be_registered_is_told(here: Installation) {
        let server = here.serve(&[]);
        let organization = organization(&here);
        let public = here.json(&[
            "client", "create", "--organization", &organization, "--name", "Phone", "--public", "--redirect-uri",
            "com.example.shop:/callback", "--scope", "openid",
        ]);
        assert_eq!((&public["client_secret"], &public["token_endpoint_auth_method"]), (&Value::Null, &json!("none")));
        for (arguments, code) in [
            (&["--name", "Phone", "--redirect-uri", CALLBACK][..], 1),
            (&["--name", "Other"], 1),
            (&["--name", "Other", "--redirect-uri", "com.example.shop:/callback"], 1),
            (&["--name", "Other", "--redirect-uri", "http://shop.example.com/callback"], 2),
            (&["--name", "Other", "--redirect-uri", CALLBACK, "--grant", "password"], 2),
            (&["--name", " ", "--redirect-uri", CALLBACK], 2),
        ] {
            let mut all = vec!["client", "create", "--organization", &organization, "--scope", "openid", "--json"];
            all.extend_from_slice(arguments);
            assert_eq!(here.run(&all).code, code, "{arguments:?}");
        }
        let id = public["client_id"].as_str().unwrap();
        assert_eq!(here.run(&["client", "rotate-secret", id, "--json"]).code, 1);
        assert_eq!(here.run(&["client", "show", "nobody"]).code, 2);
        server.stop();
    }
}

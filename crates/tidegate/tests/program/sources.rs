//! `tidegate source`, and a server that watches its sources.

use std::net::TcpListener;

use serde_json::{Value, json};
use tidegate_testkit::{eventually, on_both_engines};

use crate::support::Installation;

const PASSWORD: &str = "Correct1horse!";

on_both_engines! {
    async fn an_operator_lists_tests_pauses_and_deletes_sources(here: Installation) {
        let server = here.serve(&[]);
        let arguments = ["user", "create", "--email", "ada@example.com", "--name", "Ada", "--password-stdin", "--json"];
        assert_eq!(here.run_with_input(&arguments, PASSWORD).code, 0);
        assert_eq!(here.json(&["source", "list"]), json!([]));
        let body = json!({ "email": "ada@example.com", "password": PASSWORD });
        let (status, signed_in) = server.post("/api/v1/auth/login", body).await;
        assert_eq!(status, 200, "{signed_in}");
        let token = signed_in["data"]["access_token"].as_str().unwrap().to_owned();
        // Somebody listens there, which nobody is told: the address is not public.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let body = json!({
            "name": "Sales", "type": "postgresql", "host": "127.0.0.1", "port": listener.local_addr().unwrap().port(),
            "database_name": "sales", "max_retries": 0, "credentials": { "username": "ada", "password": "Planted-secret-9" },
        });
        let request = server.http.post(format!("{}/api/v1/data-sources", server.base)).bearer_auth(&token).json(&body);
        let made: Value = request.send().await.unwrap().json().await.unwrap();
        let number = made["data"]["id"].to_string();
        let shown = || here.json(&["source", "show", &number]);
        // The server's own job tests it.
        eventually("it is tested", async || (shown()["status"] == "failed").then_some(())).await;
        assert!(shown()["failure_reason"].is_string());
        assert_eq!(here.json(&["source", "list"])[0]["slug"], "sales");
        assert!(here.output(&["source", "list"]).contains("Sales"));
        let text = here.output(&["source", "show", &number]) + &shown().to_string();
        assert!(text.contains("127.0.0.1") && !text.contains("Planted"), "{text}");
        let tested = here.json(&["source", "test", &number]);
        assert_eq!((&tested["connection_successful"], &tested["error_code"]), (&json!(false), &json!("CONNECTION_ERROR")));
        // Members are told nothing of the network; the operator is told what to do, by the name in SQL, too.
        let advice = r#"127.0.0.1 is in a network that data sources may not be in; add "127.0.0.1/32" to data.allowed_networks, and restart"#;
        assert!(!tested["error_message"].as_str().unwrap().contains("127.0.0.1"), "{tested}");
        assert_eq!(tested["detail"], advice);
        assert!(here.output(&["source", "test", "sales"]).contains(advice));
        assert_eq!(here.json(&["source", "show", "sales"])["number"].to_string(), number);
        let nobody = here.run(&["source", "show", "sails", "--json"]);
        assert_eq!(nobody.json()["error"]["code"], "not_found", "{nobody:?}");
        assert!(server.log().contains("data.allowed_networks"), "{}", server.log());
        assert_eq!(here.json(&["source", "pause", &number])["status"], "maintenance");
        assert_eq!(here.json(&["source", "resume", &number])["status"], "testing");
        let refused = here.run(&["source", "discover", "sales"]);
        assert!(refused.code != 0 && refused.err.contains(advice), "{refused:?}");
        assert_eq!(here.run(&["source", "delete", &number, "--json"]).code, 2);
        assert_eq!(here.json(&["source", "delete", &number, "--yes"])["deleted"], true);
        assert_eq!(here.json(&["source", "restore", &number])["slug"], "sales");
        assert_eq!(here.json(&["source", "delete", &number, "--force", "--yes"])["deleted"], true);
        let unknown = here.run(&["source", "show", &number, "--json"]);
        assert_eq!((unknown.code, unknown.json()["error"]["code"].as_str()), (1, Some("not_found")), "{}", unknown.out);
        assert!(!server.log().contains("Planted"), "{}", server.log());
        server.stop();
    }
}

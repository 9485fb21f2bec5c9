//! `tidegate client`

use std::fs::File;

use serde_json::{Value, json};
use tidegate_database::DatabaseUrl;
use tidegate_testkit::{eventually, on_both_engines};

use crate::support::{Installation, Said, Server};

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
    async fn an_address_that_is_not_registered_is_told_to_the_log_on_one_line(here: Installation) {
        let server = here.serve(&[]);
        let organization = organization(&here);
        let client = here.json(&[
            "client", "create", "--organization", &organization, "--name", "Shop", "--scope", "openid",
            "--redirect-uri", "http://127.0.0.1:18150/callback", "--post-logout-redirect-uri", "http://127.0.0.1:18150/",
        ]);
        let id = client["client_id"].as_str().unwrap();
        let ask = async |path: &str| {
            let address = format!("{}{path}&client_id={id}", server.base);
            let asked = server.http.get(address).header("accept", "text/html").send().await.unwrap();
            let status = asked.status().as_u16();
            (status, asked.text().await.unwrap())
        };
        let wrong = "http%3A%2F%2Flocalhost%3A18150%2Fcallback";
        let (status, page) = ask(&format!("/oauth/authorize?response_type=code&redirect_uri={wrong}")).await;
        assert!(status == 400 && !page.contains("registered: "), "{status} {page}");
        ask("/oauth/logout?post_logout_redirect_uri=http%3A%2F%2Flocalhost%2F%E2%80%AE").await;
        let log = server.log();
        let told = "it sent http://localhost:18150/callback; registered: http://127.0.0.1:18150/callback";
        assert!(log.contains(told), "{log}");
        assert!(log.contains("registered: http://127.0.0.1:18150/") && !log.contains('\u{202e}'), "{log}");
        server.stop();
    }

    async fn a_command_says_in_a_sentence_what_no_mail_tells(here: Installation) {
        let server = here.serve(&[]);
        let organization = organization(&here);
        let create = |name: &str| {
            here.command(&[
                "client", "create", "--organization", &organization, "--name", name, "--grant", "client_credentials",
                "--scope", "read",
            ])
        };
        let run = |name: &str| Said::of(&mut create(name));
        let said = run("Shop");
        assert_eq!(said.code, 0, "{said:?}");
        assert!(said.err.starts_with("No mail tells the owner of this") && said.err.lines().count() == 1, "{said:?}");
        // After the answer, where both go to one place.
        let both = File::create(here.path().join("both")).unwrap();
        assert!(create("Both").stdout(both.try_clone().unwrap()).stderr(both).status().unwrap().success());
        let both = std::fs::read_to_string(here.path().join("both")).unwrap();
        let last = both.lines().last().unwrap_or_default();
        assert!(both.starts_with("name ") && last.starts_with("No mail tells the owner of this"), "{both}");
        server.stop();
        // A server for development is seen at the lock of the file; of PostgreSQL it is not known.
        let server = here.serve(&["--dev"]);
        let said = run("Other");
        let is_known = matches!(here.database_url(), DatabaseUrl::Sqlite(_));
        assert!(said.code == 0 && said.err.is_empty() == is_known, "{said:?}");
        assert!(!said.err.contains('{'), "{said:?}");
        // Nor is a mail provider asked for there: the link of a forgotten password is kept to be read.
        let created = here.output(&["user", "create", "--email", "bob@example.com"]);
        assert_eq!(created.contains("outbox show NUMBER"), is_known, "{created}");
        assert_eq!(created.contains("set [mail.smtp]"), !is_known, "{created}");
        server.stop();
    }

    async fn a_flag_that_is_missing_is_named(here: Installation) {
        here.begin();
        let organization = organization(&here);
        let create = ["client", "create", "--organization", organization.as_str(), "--name", "Reports"];
        let refused = |more: &[&str]| {
            let said = here.run(&[&create[..], more].concat());
            assert_eq!(said.code, 1, "{said:?}");
            said.err
        };
        // The grant was left out, and the scope is of no sign-in.
        let program = refused(&["--scope", "data:read"]);
        assert!(program.contains("needs at least one redirect URI; client_credentials"), "{program}");
        assert!(program.contains("add --grant client_credentials for such a program"), "{program}");
        for people in [
            &["--scope", "openid"][..],
            &["--scope", "data:read", "--grant", "authorization_code"],
            // It has no secret to be such a program with.
            &["--scope", "data:read", "--public"],
        ] {
            let told = refused(people);
            assert!(told.contains("name one with --redirect-uri") && !told.contains("--grant"), "{told}");
        }
        let own_scheme = refused(&["--scope", "openid", "--redirect-uri", "com.example.shop:/callback"]);
        assert!(own_scheme.contains("add --auth-method none"), "{own_scheme}");
        let public = refused(&["--scope", "data:read", "--public", "--grant", "client_credentials"]);
        assert!(public.contains("leave out --grant client_credentials"), "{public}");
        let made = here.json(&[&create[..], &["--scope", "data:read", "--grant", "client_credentials"]].concat());
        assert_eq!(made["grant_types"], json!(["client_credentials"]));
    }

    async fn an_operator_changes_how_an_application_proves_who_it_is(here: Installation) {
        let server = here.serve(&[]);
        let organization = organization(&here);
        let client = here.json(&[
            "client", "create", "--organization", &organization, "--name", "Shop", "--redirect-uri", CALLBACK,
            "--scope", "openid read", "--grant", "authorization_code", "--grant", "client_credentials",
            "--require-pkce", "true", "--logo-uri", "https://shop.example.com/logo.png",
        ]);
        let (id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
        assert_eq!(client["metadata"], json!({ "require_pkce": true, "logo_uri": "https://shop.example.com/logo.png" }));
        assert_eq!(own_token(&server, &client, secret).await.0, 200);
        let change = |more: &[&'static str]| here.json(&[&["client", "change", id], more].concat());
        let changed = change(&["--id-token-alg", "RS256", "--logo-uri", "", "--require-pkce", "false"]);
        assert_eq!(changed["metadata"], json!({ "id_token_signed_response_alg": "RS256" }));
        assert!(changed.get("client_secret").is_none_or(Value::is_null));
        // The key is there before the first token.
        let keys = here.json(&["keys", "list"]);
        let algorithms: Vec<&Value> = keys.as_array().unwrap().iter().map(|key| &key["algorithm"]).collect();
        assert_eq!(algorithms, ["ES256", "RS256"]);
        let rotated = here.json(&["keys", "rotate", "--algorithm", "RS256"]);
        assert_eq!((&rotated["algorithm"], &rotated["state"]), (&json!("RS256"), &json!("signing")));
        let chosen = change(&["--userinfo-alg", "ES256", "--default-max-age", "600", "--require-auth-time", "true"]);
        assert_eq!(chosen["metadata"], json!({
            "id_token_signed_response_alg": "RS256", "userinfo_signed_response_alg": "ES256", "default_max_age": 600,
            "require_auth_time": true,
        }));
        assert_eq!(chosen["userinfo_signed"], true);
        // Beside the key of access tokens, one for each other algorithm that somebody asks for.
        let chosen = change(&["--userinfo-alg", "EdDSA", "--id-token-alg", "ES256"]);
        assert_eq!(chosen["metadata"]["id_token_signed_response_alg"], "ES256");
        let keys = here.json(&["keys", "list"]);
        let signing = keys.as_array().unwrap().iter().filter(|key| key["state"] == "signing");
        let signing: Vec<_> = signing.map(|key| (key["algorithm"].as_str().unwrap(), key["signs"].as_str().unwrap())).collect();
        assert_eq!(signing, [("ES256", "access_tokens"), ("EdDSA", "id_tokens"), ("RS256", "id_tokens")]);
        let rotated = here.json(&["keys", "rotate", "--algorithm", "EdDSA", "--id-tokens"]);
        assert_eq!((&rotated["signs"], &rotated["state"]), (&json!("id_tokens"), &json!("signing")));
        // The key of access tokens is the one of ES256, too.
        assert_eq!(here.run(&["keys", "rotate", "--algorithm", "ES256", "--id-tokens"]).code, 2);
        assert_eq!(here.run(&["client", "change", id, "--id-token-alg", "none"]).code, 2);
        change(&["--id-token-alg", "RS256"]);
        assert_eq!(here.run(&["client", "change", id, "--default-max-age", "soon"]).code, 2);
        let chosen = change(&["--default-acr", "mfa"]);
        assert_eq!(chosen["metadata"]["default_acr_values"], json!(["mfa"]));
        assert_eq!(here.run(&["client", "change", id, "--default-acr", "a b"]).code, 1);
        let chosen = change(&["--userinfo-alg", "none", "--default-max-age", "none", "--require-auth-time", "false"]);
        assert_eq!(chosen["metadata"], json!({ "id_token_signed_response_alg": "RS256", "default_acr_values": ["mfa"] }));
        here.write("keys.json", r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#);
        let path = here.path().join("keys.json").display().to_string();
        let changed = here.json(&["client", "change", id, "--auth-method", "private_key_jwt", "--jwks", &path]);
        assert_eq!(changed["token_endpoint_auth_method"], "private_key_jwt");
        eventually("its secret is refused", async || (own_token(&server, &client, secret).await.0 == 401).then_some(())).await;
        here.write("private.json", r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"AA"}]}"#);
        let private = here.path().join("private.json").display().to_string();
        for (arguments, code) in [
            (&["--jwks", private.as_str()][..], 1),
            (&["--jwks", "nowhere.json"], 2),
            (&["--jwks-uri", "https://10.0.0.1/jwks"], 1),
            (&["--auth-signing-alg", "none"], 2),
            (&["--auth-signing-alg", "HS256"], 1),
            (&["--auth-method", "tls_client_auth"], 2),
            (&["--policy-uri", "javascript:alert(1)"], 1),
        ] {
            let refused = here.run(&[&["client", "change", id][..], arguments].concat());
            assert_eq!(refused.code, code, "{arguments:?}: {}", refused.err);
        }
        let changed = change(&["--auth-method", "client_secret_post", "--jwks-uri", ""]);
        assert_eq!(own_token(&server, &client, changed["client_secret"].as_str().unwrap()).await.0, 200);
        server.stop();
    }

    async fn an_operator_makes_tokens_by_which_applications_register_themselves(here: Installation) {
        let server = here.serve_with(&[], |command| {
            command.env("TIDEGATE_OAUTH__REGISTRATION__MODE", "token");
        });
        let organization = organization(&here);
        let made = here.json(&["client", "registration-token", "create", "--organization", &organization, "--uses", "2"]);
        assert_eq!(made["uses_left"], 2);
        let token = made["token"].as_str().unwrap();
        let register = || {
            let body = json!({ "redirect_uris": [CALLBACK] });
            server.http.post(format!("{}/oauth/register", server.base)).bearer_auth(token).json(&body).send()
        };
        assert_eq!(register().await.unwrap().status().as_u16(), 201);
        let listed = here.json(&["client", "registration-token", "list"]);
        assert_eq!((&listed[0]["uses_left"], listed[0].get("token")), (&json!(1), None));
        assert!(here.output(&["client", "registration-token", "list"]).contains(made["id"].as_str().unwrap()));
        let id = made["id"].as_str().unwrap();
        assert_eq!(here.json(&["client", "registration-token", "delete", id])["deleted"], true);
        assert_eq!(here.run(&["client", "registration-token", "delete", id]).code, 1);
        assert_eq!(register().await.unwrap().status().as_u16(), 401);
        assert_eq!(here.json(&["client", "list"])[0]["registered_itself"], true);
        server.stop();
    }

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
        // What stands first in a row is what the other commands take.
        let listed = here.output(&["client", "list"]);
        let row = listed.lines().find(|line| line.contains("Shop")).expect("the application");
        assert_eq!(row.split_whitespace().next(), Some(id), "{listed}");
        assert_eq!(here.json(&["client", "show", row.split_whitespace().next().unwrap()])["name"], "Shop");

        let rotated = here.json(&["client", "rotate-secret", id]);
        eventually("the secret before is refused", async || {
            (own_token(&server, &client, &secret).await.1["error"] == "invalid_client").then_some(())
        }).await;
        let secret = rotated["client_secret"].as_str().unwrap().to_owned();
        assert_eq!(own_token(&server, &client, &secret).await.0, 200);
        assert_eq!(here.json(&["client", "suspend", id])["status"], "suspended");
        assert_eq!(here.json(&["client", "resume", id])["status"], "active");
        assert_eq!(here.json(&["client", "revoke", id])["status"], "suspended");
        eventually("it is revoked", async || (own_token(&server, &client, &secret).await.0 == 401).then_some(())).await;

        // Who tries at once may still get the old answer.
        for change in [&["client", "resume", id][..], &["client", "change", id, "--name", "Store"], &["client", "suspend", id]] {
            let said = here.output(change);
            assert!(said.ends_with("\nA running server acts on it within two seconds."), "{said}");
        }
        assert!(!here.output(&["client", "show", id]).contains("running server"));

        let unsure = here.run(&["client", "delete", id, "--json"]);
        assert_eq!(unsure.code, 2);
        assert_eq!(here.json(&["client", "delete", id, "--yes"])["deleted"], true);
        let gone = here.run(&["client", "show", id, "--json"]);
        assert_eq!((gone.code, &gone.json()["error"]["code"]), (1, &json!("not_found")));
        server.stop();
    }

    async fn an_operator_decides_what_holds_for_an_application(here: Installation) {
        let server = here.serve(&[]);
        let organization = organization(&here);
        let create = |name: &'static str, more: &[&'static str]| {
            let arguments = ["client", "create", "--organization", &organization, "--name", name, "--redirect-uri", CALLBACK, "--scope", "read"];
            here.json(&[&arguments[..], more].concat())["client_id"].as_str().unwrap().to_owned()
        };
        let (id, public) = (create("Orders", &["--grant", "client_credentials"]), create("Phone", &["--public"]));
        let set = here.json(&["client", "set", &id, "--dpop-bound", "true", "--subject-type", "pairwise"]);
        assert_eq!((&set["dpop_bound_access_tokens"], &set["subject_type"]), (&json!(true), &json!("pairwise")));
        assert_eq!(set["sector"], "shop.example.com");
        // What is not named stays.
        let set = here.json(&["client", "set", &id, "--userinfo-signed", "true", "--subject-type", "public"]);
        assert_eq!((&set["dpop_bound_access_tokens"], &set["userinfo_signed"]), (&json!(true), &json!(true)));
        assert_eq!((&set["subject_type"], &set["exchange_from"]), (&json!("public"), &json!([])));
        assert!(here.output(&["client", "show", &id]).contains("DPoP only, signed userinfo"));
        for (arguments, code) in [
            (&["client", "set", &id, "--exchange-from", "https://unknown.example.com"][..], 1),
            (&["client", "set", &public, "--exchange-from", "https://orders.example.com"], 1),
            (&["client", "set", "00000000-0000-4000-8000-000000000000", "--dpop-bound", "true"], 1),
            (&["client", "set", &id, "--dpop-bound", "maybe"], 2),
            (&["client", "set", &id, "--subject-type", "secret"], 2),
        ] {
            assert_eq!(here.run(arguments).code, code, "{arguments:?}");
        }
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
            (&["--name", "Other", "--redirect-uri", "https://shop.example.com/*"], 2),
            (&["--name", "Other", "--redirect-uri", CALLBACK, "--grant", "password"], 2),
            (&["--name", " ", "--redirect-uri", CALLBACK], 2),
        ] {
            let mut all = vec!["client", "create", "--organization", &organization, "--scope", "openid", "--json"];
            all.extend_from_slice(arguments);
            assert_eq!(here.run(&all).code, code, "{arguments:?}");
        }
        // Usual words of other servers, and what is meant here.
        for (grant, scope, told) in [
            ("password", "openid", "must be authorization_code, client_credentials or "),
            ("refresh_token", "openid", "refresh tokens come with the tokens of a person"),
            ("authorization_code,client_credentials", "openid", "several have a --grant each"),
            ("authorization_code", "openid mail", "the nearest one is email"),
            ("authorization_code", "openid,email", "a text has one space between them"),
        ] {
            let said = here.run(&[
                "client", "create", "--organization", &organization, "--name", "Other", "--redirect-uri", CALLBACK,
                "--grant", grant, "--scope", scope,
            ]);
            assert_eq!(said.code, 2, "{said:?}");
            assert!(said.err.contains(told), "{grant}, {scope}: {}", said.err);
        }
        let id = public["client_id"].as_str().unwrap();
        assert_eq!(here.run(&["client", "rotate-secret", id, "--json"]).code, 1);
        assert_eq!(here.run(&["client", "show", "nobody"]).code, 2);
        server.stop();
    }
}

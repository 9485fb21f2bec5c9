//! `tidegate user`, `tidegate org list` and `tidegate org show`

use serde_json::{Value, json};
use tidegate_testkit::{Engine, eventually, on_both_engines, on_one_engine};

use crate::support::{Installation, PASSWORD, Said, Server};

const ADA: &str = "ada@example.com";

/// Makes Ada's account; answers what was printed.
fn create(here: &Installation, email: &str) -> Value {
    let arguments = ["user", "create", "--email", email, "--name", "Ada", "--password-stdin", "--json"];
    let said = here.run_with_input(&arguments, PASSWORD);
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said:?}");
    said.json()
}

/// Signs Ada in at RiverGen, whose limits count all sign-ins of a client and of an address.
async fn log_in(server: &Server, password: &str) -> u16 {
    server.post("/api/v1/auth/login", json!({"email": ADA, "password": password})).await.0
}

async fn status_of(server: &Server, session: &Value) -> u16 {
    let token = session["accessToken"].as_str().unwrap();
    let request = server.http.get(format!("{}/api/v1/auth/me", server.base)).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

async fn refused(server: &Server, session: &Value) {
    eventually("the session has ended", async || (status_of(server, session).await == 401).then_some(()))
        .await;
}

on_both_engines! {
    async fn an_account_is_made_found_and_shown(here: Installation) {
        let server = here.serve(&[]);
        let made = create(&here, "Ada@Example.com");
        assert_eq!(made["email"], ADA);
        assert_eq!(server.sign_in(ADA, PASSWORD).await.0, 200);
        assert_eq!(server.sign_in(ADA, "Wrong1horse!").await.0, 401);

        for arguments in [&["user", "list"][..], &["user", "list", "--search", "ADA@ex"]] {
            let listed = here.json(arguments);
            assert_eq!(listed[0]["login"], ADA, "{listed}");
            assert_eq!(listed[0]["state"], "active");
        }
        assert_eq!(here.json(&["user", "list", "--search", "a_a@"]), json!([]), "no pattern");
        assert_eq!(here.json(&["user", "list", "--disabled"]), json!([]));

        let number = made["number"].to_string();
        for name in [ADA, made["account_id"].as_str().unwrap(), &number] {
            let shown = here.json(&["user", "show", name]);
            assert_eq!(shown["identifiers"][0]["value"], ADA, "{shown}");
            assert_eq!(shown["sessions"].as_array().unwrap().len(), 1, "{shown}");
            let actions: Vec<_> =
                shown["sign_ins"].as_array().unwrap().iter().map(|event| event["action"].clone()).collect();
            assert_eq!(actions, [json!("auth.login.failure"), json!("auth.login.success")]);
        }
        let text = here.output(&["user", "show", ADA]);
        assert!(text.contains("State: active") && text.contains("verified") && text.contains("owner"), "{text}");

        let organizations = here.json(&["org", "list"]);
        assert_eq!(organizations[0]["owner"], ADA, "{organizations}");
        assert_eq!(here.json(&["org", "list", "--shared"]), json!([]));
        let number = organizations[0]["number"].to_string();
        let shown = here.json(&["org", "show", &number]);
        assert_eq!(shown["accounts"][0]["role"], "owner", "{shown}");
        assert_eq!(here.json(&["user", "list", "--organization", &number])[0]["login"], ADA);
        server.stop();
    }

    async fn who_makes_an_account_is_told_that_nothing_was_sent_and_how_its_owner_gets_in(here: Installation) {
        here.begin();
        let told = |settings: &[(&str, &str)]| {
            let mut command = here.command(&["user", "create", "--email", &format!("ada{}@example.com", settings.len())]);
            let said = Said::of(command.envs(settings.iter().copied()));
            assert_eq!(said.code, 0, "{said:?}");
            assert!(said.out.contains("Password (shown only once): "), "{}", said.out);
            assert!(said.out.contains("No mail was sent: give the password to its owner yourself"), "{}", said.out);
            said.out
        };
        assert!(told(&[]).contains("set [mail.smtp] first"));
        assert!(told(&[("TIDEGATE_DEV", "true")]).contains("outbox show NUMBER"));
        let smtp = [("TIDEGATE_MAIL__SMTP__HOST", "smtp.example.com"), ("TIDEGATE_MAIL__SMTP__FROM", "a@example.com")];
        assert!(told(&smtp).contains("mails them a link"));
        assert_eq!(here.json(&["user", "create", "--email", "bob@example.com"])["mailed"], false);
        let said = here.output(&["org", "create", "--name", "Acme", "--root-email", "root@acme.example"]);
        assert!(said.contains("No mail was sent"), "{said}");
        let empty = here.output(&["outbox", "list"]);
        assert!(empty.starts_with("The outbox is empty") && empty.contains("user create"), "{empty}");
    }

    async fn a_disabled_account_is_out_at_once_and_comes_back(here: Installation) {
        let server = here.serve(&[]);
        create(&here, ADA);
        let (_, session) = server.sign_in(ADA, PASSWORD).await;
        assert_eq!(here.json(&["user", "disable", ADA]), json!({"ended_sessions": 1}));
        refused(&server, &session).await;
        assert_ne!(server.sign_in(ADA, PASSWORD).await.0, 200);
        assert_eq!(here.json(&["user", "list", "--disabled"])[0]["login"], ADA);
        assert_eq!(here.json(&["user", "disable", ADA]), json!({"ended_sessions": 0}), "twice is no error");
        here.output(&["user", "enable", ADA]);
        assert_eq!(server.sign_in(ADA, PASSWORD).await.0, 200);
        server.stop();
    }

    async fn sessions_are_ended_one_by_one_or_all_at_once(here: Installation) {
        let server = here.serve(&[]);
        create(&here, ADA);
        let (_, first) = server.sign_in(ADA, PASSWORD).await;
        let (_, second) = server.sign_in(ADA, PASSWORD).await;
        let listed = here.json(&["user", "sessions", ADA]);
        let numbers: Vec<i64> =
            listed.as_array().unwrap().iter().map(|session| session["number"].as_i64().unwrap()).collect();
        assert_eq!(numbers.len(), 2, "{listed}");
        let oldest = numbers.iter().min().unwrap().to_string();
        assert_eq!(here.json(&["user", "sessions", ADA, "--end", &oldest]), json!({"ended_sessions": 1}));
        refused(&server, &first).await;
        assert_eq!(status_of(&server, &second).await, 200);
        let said = here.run(&["user", "sessions", ADA, "--end", &oldest, "--json"]);
        assert_eq!((said.code, said.json()["error"]["code"].as_str()), (1, Some("no_such_session")));
        assert_eq!(here.json(&["user", "sessions", ADA, "--end-all"]), json!({"ended_sessions": 1}));
        refused(&server, &second).await;
        server.stop();
    }

    async fn an_export_holds_what_is_stored_and_no_secret(here: Installation) {
        let server = here.serve(&[]);
        create(&here, ADA);
        server.sign_in(ADA, PASSWORD).await;
        let export = here.json(&["user", "export", ADA]);
        assert_eq!(export["account"]["display_name"], "Ada");
        assert_eq!(export["identifiers"][0]["value"], ADA);
        assert_eq!(export["organizations"][0]["role"], "owner");
        assert_eq!(export["sessions"].as_array().unwrap().len(), 1);
        assert_eq!(export["sessions"][0]["ended_at"], serde_json::Value::Null);
        assert!(export["messages"].as_array().unwrap().is_empty(), "{export}");
        assert!(export["audit_events"].as_array().unwrap().len() >= 2, "{export}");
        let text = export.to_string();
        assert!(!text.contains("$2b$") && !text.contains("hash") && !text.contains(PASSWORD), "{text}");
        let again = here.json(&["user", "export", ADA]);
        let actions = again["audit_events"].to_string();
        assert!(actions.contains("account.exported"), "an export is recorded: {actions}");
        server.stop();
    }

    async fn a_deleted_account_is_gone_and_its_address_is_free(here: Installation) {
        let server = here.serve(&[]);
        create(&here, ADA);
        let (_, session) = server.sign_in(ADA, PASSWORD).await;
        let said = here.run_with_input(&["user", "delete", ADA], "");
        assert_eq!(said.code, 2, "{said:?}");
        assert!(said.err.contains("--yes"), "{}", said.err);
        assert_eq!(server.sign_in(ADA, PASSWORD).await.0, 200, "nothing was deleted");
        here.output(&["user", "delete", ADA, "--yes"]);
        refused(&server, &session).await;
        assert_ne!(server.sign_in(ADA, PASSWORD).await.0, 200);
        let said = here.run(&["user", "show", ADA, "--json"]);
        assert_eq!((said.code, said.json()["error"]["code"].as_str()), (1, Some("not_found")));
        create(&here, ADA);
        server.stop();
    }

    async fn the_domains_of_a_deleted_owners_organization_are_free(here: Installation) {
        here.begin();
        let create = ["org", "create", "--name", "Acme", "--root-email", "root@acme.example", "--managed-domain", "acme.example"];
        here.json(&create);
        here.output(&["user", "delete", "root@acme.example", "--yes"]);
        assert!(here.json(&create)["organization_id"].is_string());
    }

    async fn an_address_nobody_has_proven_does_not_keep_an_operator_from_it(here: Installation) {
        let server = here.serve(&["--dev"]);
        let squat = json!({ "email": ADA, "password": PASSWORD, "name": "Mallory" });
        let (status, answer) = server.post("/api/v2/auth/register", squat).await;
        assert_eq!(status, 201, "{answer}");
        let made = create(&here, ADA);
        assert_eq!(here.json(&["user", "list"]).as_array().unwrap().len(), 1);
        // The operator is told whose account that was: it may have been a friend's.
        assert_eq!(made["evicted_account_id"], answer["user"]["id"]);
        assert_eq!(create(&here, "bob@example.com")["evicted_account_id"], Value::Null);
        for (email, command) in [("eve@example.com", &["user", "create", "--email"][..]),
            ("kim@example.com", &["org", "create", "--name", "Acme", "--root-email"])]
        {
            let squat = json!({ "email": email, "password": PASSWORD, "name": "Mallory" });
            let (_, answer) = server.post("/api/v2/auth/register", squat).await;
            let id = answer["user"]["id"].as_str().unwrap();
            let said = here.output(&[command, &[email]].concat());
            assert!(said.contains(&format!("The account {id} had this address without having confirmed it")), "{said}");
            assert!(here.output(&["user", "show", id]).contains("State: deleted"));
        }
        server.stop();
    }

    async fn the_owner_of_an_organization_with_members_is_not_deleted(here: Installation) {
        let made = here.json(&["org", "create", "--new", "--name", "Acme", "--root-email", "root@acme.example"]);
        let server = here.serve(&["--dev"]);
        let credentials = json!({"email": "root@acme.example", "password": made["password"]});
        let (_, root) = server.post("/v1/login/individual/", credentials).await;
        let claim = json!({
            "email": "bob@acme.example", "password": PASSWORD, "first_name": "Bob", "last_name": "B", "role": "backend",
        });
        let token = root["token"].as_str().unwrap();
        let url = format!("{}/v1/accounts/individual/", server.base);
        let answer = server.http.post(url).bearer_auth(token).json(&claim).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let said = here.run(&["user", "delete", "root@acme.example", "--yes", "--json"]);
        assert_eq!((said.code, said.json()["error"]["code"].as_str()), (1, Some("owns_organization")), "{said:?}");
        let listed = here.json(&["org", "list", "--shared"]);
        assert_eq!((&listed[0]["name"], &listed[0]["members"]), (&json!("Acme"), &json!(2)), "{listed}");
        let shown = here.output(&["org", "show", &listed[0]["number"].to_string()]);
        assert!(shown.contains("bob@acme.example") && shown.contains("invited"), "{shown}");
        server.stop();
    }

    async fn an_identifier_that_is_not_the_owners_is_removed(here: Installation) {
        let server = here.serve(&["--dev"]);
        create(&here, ADA);
        let (_, session) = server.post("/api/v1/auth/login", json!({ "email": ADA, "password": PASSWORD })).await;
        let token = session["data"]["access_token"].as_str().unwrap();
        let new = "ada@example.org";
        let post = async |path: &str, body: Value| {
            let request = server.http.post(format!("{}/api/v1/auth/me/email/{path}", server.base));
            request.bearer_auth(token).json(&body).send().await.unwrap().status().as_u16()
        };
        assert_eq!(post("request", json!({ "new_email": new })).await, 200);
        let code = here.output(&["outbox", "code", "--to", new]);
        assert_eq!(post("verify", json!({ "new_email": new, "otp_code": code })).await, 200);
        let refusal = |identifier: &str| {
            let said = here.run(&["user", "remove-identifier", new, identifier, "--json"]);
            (said.code, said.json()["error"]["code"].as_str().unwrap().to_owned())
        };
        assert_eq!(refusal("+254712345678"), (1, "no_such_identifier".to_owned()));

        // The primary one goes; the verified one that is left takes its place.
        here.output(&["user", "remove-identifier", ADA, new]);
        let shown = here.json(&["user", "show", ADA]);
        let identifiers = shown["identifiers"].as_array().unwrap();
        assert_eq!((identifiers.len(), &identifiers[0]["is_primary"]), (1, &json!(true)), "{shown}");
        assert_eq!(shown["sessions"], json!([]));
        // Whoever made the removed address primary may have set the password.
        assert_eq!(shown["has_password"], json!(false));
        assert_ne!(server.sign_in(ADA, PASSWORD).await.0, 200);
        let said = here.run(&["user", "remove-identifier", ADA, ADA, "--json"]);
        assert_eq!((said.code, said.json()["error"]["code"].as_str()), (1, Some("last_identifier")));
        server.stop();
    }
}

on_both_engines! {
    /// The limit of one contract, for one address, which the account has never signed in from.
    async fn an_account_that_is_kept_out_from_one_address_says_so_and_is_let_in_there(here: Installation) {
        let server = here.serve(&[]);
        create(&here, ADA);
        let sign_in = async |password: &str| {
            server.post("/api/v2/auth/login", json!({"email": ADA, "password": password})).await.0
        };
        for _ in 0..10 {
            assert_eq!(sign_in("Wrong1horse!").await, 401);
        }
        assert_eq!(sign_in(PASSWORD).await, 429);
        let shown = here.json(&["user", "show", ADA]);
        let [kept] = shown["kept_out"].as_array().unwrap().as_slice() else { panic!("{shown}") };
        assert_eq!((&kept["reason"], &kept["ip"]), (&json!("wrong_passwords"), &json!("127.0.0.1")), "{kept}");
        assert_eq!((&kept["limit"], &kept["ends_with_unlock"]), (&json!("ingestiq.limits.failed_sign_in"), &json!(true)));
        let text = here.output(&["user", "show", ADA]);
        assert!(text.contains("\nKept out: wrong passwords from 127.0.0.1, until "), "{text}");
        here.output(&["user", "unlock", ADA]);
        assert_eq!(sign_in(PASSWORD).await, 200);
        assert_eq!(here.json(&["user", "show", ADA])["kept_out"], json!([]));
        assert!(!here.output(&["user", "show", ADA]).contains("Kept out"));
        server.stop();
    }

    /// A limit of the network, for all accounts: the next sign-in was refused again, and nothing had said so.
    async fn unlocking_an_account_says_what_its_network_used_up(here: Installation) {
        let server = here.serve(&[]);
        create(&here, ADA);
        for _ in 0..5 {
            assert_eq!(log_in(&server, "Wrong1horse!").await, 401);
        }
        let said = here.output(&["user", "unlock", ADA]);
        for part in [
            "keep the account out no longer. What a client network used up for all accounts still does:",
            "\nKept out: too many sign-ins, to any account, from 127.0.0.1, until ",
            "(it ends by itself; see rivergen.limits.sign_in_by_ip in the configuration)",
        ] {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(!said.contains("`tidegate user unlock"), "what it lifts, it has lifted: {said}");
        assert_eq!(log_in(&server, PASSWORD).await, 429);
        let json = here.json(&["user", "unlock", ADA]);
        assert_eq!(json["kept_out"][0]["reason"], json!("sign_ins_of_network"), "{json}");
        server.stop();
    }

    async fn an_account_that_wrong_passwords_keep_out_is_let_in_again(here: Installation) {
        let server = here.serve_with(&[], |command| {
            command.env("TIDEGATE_FAILED_PASSWORDS_BY_ACCOUNT__ATTEMPTS", "3");
        });
        create(&here, ADA);
        for _ in 0..3 {
            assert_eq!(server.sign_in(ADA, "Wrong1horse!").await.0, 401);
        }
        assert_eq!(server.sign_in(ADA, PASSWORD).await.0, 429);
        // It is told with what it is, until when, and what ends it.
        let mut show = here.command(&["user", "show", ADA]);
        let shown = Said::of(show.env("TIDEGATE_FAILED_PASSWORDS_BY_ACCOUNT__ATTEMPTS", "3")).out;
        let line = shown.lines().find(|line| line.starts_with("Kept out: ")).unwrap_or_default();
        assert!(line.starts_with("Kept out: wrong passwords") && line.contains(", until "), "{shown}");
        assert!(line.contains(&format!("user unlock {ADA}")), "{shown}");
        assert!(here.output(&["user", "unlock", ADA]).contains("keep the account out no longer"));
        assert_eq!(server.sign_in(ADA, PASSWORD).await.0, 200);
        let noted = here.json(&["user", "show", ADA]);
        assert_eq!(noted["sessions"].as_array().unwrap().len(), 1, "{noted}");
        // There is nothing left to unlock, which is no mistake.
        assert_eq!(here.run(&["user", "unlock", ADA, "--json"]).code, 0);
        server.stop();
    }

    async fn an_international_domain_is_shown_as_its_owner_writes_it(here: Installation) {
        here.begin();
        let shown = "eve@b\u{fc}cher.example";
        create(&here, shown);
        for spelled in [shown, "eve@xn--bcher-kva.example"] {
            let text = here.output(&["user", "show", spelled]);
            assert!(text.contains(shown) && !text.contains("xn--"), "{text}");
            let json = here.json(&["user", "show", spelled]);
            assert_eq!(json["identifiers"][0]["value"], shown, "{json}");
        }
        let listed = here.output(&["user", "list"]);
        assert!(listed.contains(shown) && !listed.contains("xn--"), "{listed}");
    }

    async fn a_search_compares_what_is_shown_and_what_is_stored(here: Installation) {
        here.begin();
        // Between those that are found is one that only has such a domain as well.
        for address in ["eve@b\u{fc}cher.example", "kim@m\u{fc}ller.example", "ann@b\u{fc}cher.example", ADA] {
            create(&here, address);
        }
        let found = |search: &str, limit: &str| -> Vec<String> {
            let accounts = here.json(&["user", "list", "--search", search, "--limit", limit]);
            let accounts = accounts.as_array().unwrap();
            accounts.iter().map(|account| account["login"].as_str().unwrap().to_owned()).collect()
        };
        let both = ["eve@b\u{fc}cher.example", "ann@b\u{fc}cher.example"];
        for search in ["b\u{fc}cher", "B\u{dc}CHER.", "@b\u{fc}", "xn--bcher-kva", "XN--BCHER"] {
            assert_eq!(found(search, "50"), both, "{search}");
            assert_eq!(found(search, "2"), both, "{search}");
            assert_eq!(found(search, "1"), both[..1], "{search}");
        }
        assert_eq!(found("ADA@", "50"), [ADA]);
        assert_eq!(found("b_cher", "50"), [""; 0]);
        assert_eq!(found("\u{f6}", "50"), [""; 0]);
        // Names are compared so on both engines, those of organizations too.
        for name in ["\u{d6}l AG", "B\u{dc}cher"] {
            here.output(&["org", "create", "--name", name, "--root-email", &format!("root{}@acme.example", name.len())]);
        }
        let organizations = here.json(&["org", "list", "--search", "b\u{fc}CHER", "--limit", "1"]);
        assert_eq!(organizations.as_array().unwrap().len(), 1, "{organizations}");
        assert_eq!(organizations[0]["name"], "B\u{dc}cher");
        assert_eq!(here.json(&["org", "list", "--search", "\u{e4}"]), json!([]));
    }
}

#[test]
fn an_account_that_is_not_there_is_said_with_what_to_do() {
    let here = Installation::new();
    create_installation(&here);
    for command in ["show", "disable", "enable", "unlock", "sessions", "export"] {
        let said = here.run(&["user", command, "nobody@example.com"]);
        assert_eq!(said.code, 1, "{command}");
        assert!(said.err.contains("tidegate user list --search"), "{}", said.err);
    }
    let said = here.run(&["org", "show", "999"]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("tidegate org list"), "{}", said.err);
    let said = here.run(&["user", "show", "ada@"]);
    assert_eq!(said.code, 2);
}

fn create_installation(here: &Installation) {
    here.begin();
}

on_one_engine! { Engine::Sqlite;
    /// Commands counted without the hundredfold of `--dev`: who signed in all the time was said to be kept out.
    async fn commands_beside_a_server_for_development_count_with_its_limits(here: Installation) {
        let server = here.serve(&["--dev"]);
        create(&here, ADA);
        for _ in 0..6 {
            assert_eq!(log_in(&server, "Wrong1horse!").await, 401);
        }
        assert_eq!(here.json(&["user", "show", ADA])["kept_out"], json!([]));
        assert!(!here.output(&["user", "show", ADA]).contains("Kept out"));
        server.stop();
        let server = here.serve(&["--dev", "--limits"]);
        assert_eq!(log_in(&server, PASSWORD).await, 429);
        assert!(here.output(&["user", "show", ADA]).contains("\nKept out: too many sign-ins to this account, until "));
        server.stop();
    }
}

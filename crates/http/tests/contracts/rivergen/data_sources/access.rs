//! Who may what, and whose sources exist for whom.

use axum::http::Method;
use serde_json::json;
use tidegate_domain::EmailAddress;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_testkit::{Engine, Person, TestApp, on_both_engines};

use super::wire::{
    ADA, PATH, PLANTED, Server, create, created, delete, get, member, owner, patch, request, run_jobs,
    signed_in, start, with,
};

/// A token of a person's with these scopes.
async fn token(app: &TestApp, who: &Person, scopes: &[&str]) -> Person {
    let body = json!({ "name": scopes.join(" "), "scopes": scopes, "expires_in_days": 30 });
    let made = app.post("/api/v1/auth/tokens").bearer(&who.access_token).json(&body).send().await;
    let access_token = made.assert_status(201).text_at("data.token");
    Person { access_token, ..who.clone() }
}

/// Every endpoint of one data source, with a body that is right.
fn requests(app: &TestApp, who: &Person, number: i64) -> Vec<(String, tidegate_testkit::Request)> {
    let all = [
        (Method::GET, ""),
        (Method::PATCH, ""),
        (Method::DELETE, ""),
        (Method::PATCH, "/credentials"),
        (Method::POST, "/test"),
        (Method::POST, "/discover-schema"),
        (Method::GET, "/schemas"),
        (Method::GET, "/health"),
        (Method::GET, "/file-url"),
    ];
    let requests = all.map(|(method, rest)| {
        let made = request(app, who, method.clone(), &format!("/{number}{rest}"));
        let made = if method == Method::PATCH { made.json(&json!({})) } else { made };
        (format!("{method} {rest}"), made)
    });
    requests.into()
}

on_both_engines! {
    async fn viewers_read_developers_change_and_admins_delete(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let viewer = member(&app, &manager, "viewer@example.com", "demo_viewer").await;
        let developer = member(&app, &manager, "developer@example.com", "backend").await;
        let admin = member(&app, &manager, "admin@example.com", "manager").await;
        create(&app, &viewer, &server.body()).await.assert_error(403, "FORBIDDEN");
        let number = created(&app, &developer, &server.body()).await;
        for who in [&viewer, &developer, &admin, &ada] {
            get(&app, who, &format!("/{number}")).await.assert_status(200);
            assert_eq!(get(&app, who, "").await.field("data.pagination.total_items"), &json!(1));
            get(&app, who, "/metrics").await.assert_status(200);
        }
        for (name, request) in requests(&app, &viewer, number) {
            let answer = request.send().await;
            if name.starts_with("GET") {
                assert_ne!(answer.status, 403, "{name}");
            } else {
                answer.assert_error(403, "FORBIDDEN");
            }
        }
        patch(&app, &developer, &format!("/{number}"), &json!({ "name": "Shop" })).await.assert_status(200);
        delete(&app, &developer, &format!("/{number}")).await.assert_error(403, "FORBIDDEN");
        delete(&app, &admin, &format!("/{number}")).await.assert_status(200);
    }

    // Credentials are in no answer; a colleague's server must not be given them either.
    async fn who_did_not_make_a_source_does_not_send_its_credentials_elsewhere(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let developer = member(&app, &manager, "developer@example.com", "backend").await;
        let (adas, own) = (created(&app, &ada, &server.body()).await, created(&app, &developer, &server.body()).await);
        for change in [
            json!({ "host": "attacker.example.com" }),
            json!({ "port": 1 }),
            json!({ "connection_string": "postgres://attacker.example.com/x" }),
            json!({ "use_ssh_tunnel": true, "ssh_host": "attacker.example.com", "ssh_username": "x" }),
            json!({ "metadata": { "token_url": "https://attacker.example.com/token" } }),
            json!({ "metadata": { "ssl_mode": "disable" } }),
            json!({ "metadata": { "db_host": "attacker.example.com" } }),
            json!({ "metadata": { "sasl_mechanism": "PLAIN" } }),
        ] {
            let refused = patch(&app, &developer, &format!("/{adas}"), &change).await;
            refused.assert_error(403, "FORBIDDEN");
            patch(&app, &developer, &format!("/{own}"), &change).await.assert_status(200);
        }
        let harmless = json!({ "name": "Shop", "query_timeout": 60, "metadata": { "owner": "me" } });
        patch(&app, &developer, &format!("/{adas}"), &harmless).await.assert_status(200);
        // An admin may; and where nothing is stored, nothing is sent.
        patch(&app, &ada, &format!("/{own}"), &json!({ "host": "127.0.0.1" })).await.assert_status(200);
        let bare = created(&app, &ada, &server.body_with(json!({ "credentials": null }))).await;
        patch(&app, &developer, &format!("/{bare}"), &json!({ "port": 1 })).await.assert_status(200);
    }

    // What signs in is given to whoever is in the place of the tunnel's server.
    async fn the_key_of_a_tunnels_server_is_forgotten_by_who_may_send_secrets_elsewhere(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let developer = member(&app, &manager, "developer@example.com", "backend").await;
        let path = format!("/{}", created(&app, &ada, &server.body()).await);
        let pinned = json!("ssh-ed25519 AAAA");
        let pin = async || app.sql("update data_sources set ssh_host_key = 'ssh-ed25519 AAAA'").await;
        pin().await;
        patch(&app, &developer, &path, &json!({ "ssh_host_key": "" })).await.assert_error(403, "FORBIDDEN");
        // What a client was shown it may send back.
        for shown in [json!(null), pinned.clone(), json!("ssh-ed25519 BBBB")] {
            for who in [&developer, &ada] {
                let changed = patch(&app, who, &path, &json!({ "ssh_host_key": shown })).await;
                assert_eq!(changed.assert_status(200).field("data.ssh_host_key"), &pinned);
            }
        }
        let tunnel = json!({ "use_ssh_tunnel": true, "ssh_host": "jump.example.com", "ssh_username": "x" });
        for change in [json!({ "ssh_host_key": "" }), tunnel] {
            let changed = patch(&app, &ada, &path, &change).await;
            assert_eq!(changed.assert_status(200).field("data.ssh_host_key"), &json!(null), "{change}");
            pin().await;
        }
    }

    async fn options_that_lead_elsewhere_are_its_makers(engine: Engine) {
        let app = start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let developer = member(&app, &manager, "developer@example.com", "backend").await;
        let secrets = json!({ "username": "ada", "password": PLANTED });
        for (body, changes) in [
            (
                json!({ "type": "db2", "host": "db2.example.com", "database_name": "shop" }),
                vec![json!({ "db_host": "attacker.example.com" }), json!({ "db_port": 1 }), json!({ "db_tls": false }), json!({ "api": "console" })],
            ),
            (json!({ "type": "kafka", "host": "kafka.example.com" }), vec![json!({ "sasl_mechanism": "PLAIN" })]),
            (
                json!({ "type": "rest_api", "metadata": { "url": "https://api.example.com/" } }),
                vec![json!({ "url": "https://api.example.com/", "token_url": "https://attacker.example.com/" })],
            ),
            (
                json!({ "type": "athena", "metadata": { "region": "eu-west-1" } }),
                vec![json!({ "region": "eu-west-1", "output_location": "s3://attacker/" }), json!({ "region": "eu-west-1", "workgroup": "attackers" })],
            ),
        ] {
            let body = with(body, &json!({ "name": "Ada's", "credentials": secrets.clone() }));
            let number = created(&app, &ada, &body).await;
            for change in changes {
                let change = json!({ "metadata": change });
                patch(&app, &developer, &format!("/{number}"), &change).await.assert_error(403, "FORBIDDEN");
                patch(&app, &ada, &format!("/{number}"), &change).await.assert_status(200);
            }
        }
    }

    // The attack: of Azure the name of the account, which is among the credentials, is the beginning of the address.
    async fn a_credential_that_is_a_part_of_the_address_is_its_makers(engine: Engine) {
        let app = start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let developer = member(&app, &manager, "developer@example.com", "backend").await;
        let secrets = json!({ "username": "adas", "api_key": PLANTED });
        let body = json!({ "type": "azure_blob", "name": "Ada's", "database_name": "box", "credentials": secrets });
        let path = format!("/{}/credentials", created(&app, &ada, &body).await);
        for change in [
            json!({ "username": "attackers" }),
            json!({ "username": "attacker.example/" }),
            json!({ "username": "attackers", "password": "x" }),
        ] {
            patch(&app, &developer, &path, &change).await.assert_error(403, "FORBIDDEN");
        }
        // What is the same leads nowhere else; and who gives all of them sends nothing of another's.
        for change in [
            json!({ "username": "adas" }),
            json!({ "api_key": "x" }),
            json!({ "username": "developers", "api_key": "y" }),
        ] {
            patch(&app, &developer, &path, &change).await.assert_status(200);
        }
        patch(&app, &ada, &path, &json!({ "username": "adas" })).await.assert_status(200);
    }

    async fn a_member_sees_the_sources_of_their_workspaces_and_an_admin_all(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let developer = member(&app, &manager, "developer@example.com", "backend").await;
        let key = app.database.sql_uuid(uuid::Uuid::from_u128(7));
        app.sql(&format!(
            "insert into workspaces (id, organization_id, name, slug, is_default, created_at)
             select {key}, organization_id, 'Other', 'other', false, 0 from workspaces
             where organization_id = (select organization_id from memberships where role = 'owner' and account_id =
                (select account_id from identifiers where value = '{ADA}')) limit 1"
        ))
        .await;
        let other = app.sql_count("select number from workspaces where slug = 'other'").await;
        let hidden = created(&app, &ada, &server.body_with(json!({ "workspace_id": other }))).await;
        let shown = created(&app, &ada, &server.body()).await;
        get(&app, &developer, &format!("/{shown}")).await.assert_status(200);
        assert_eq!(get(&app, &developer, "").await.field("data.pagination.total_items"), &json!(1));
        assert_eq!(get(&app, &ada, "").await.field("data.pagination.total_items"), &json!(2));
        let breakers = get(&app, &developer, "/metrics").await.field("data.circuit_breakers").clone();
        assert_eq!(breakers.as_object().unwrap().len(), 1);
        for (name, request) in requests(&app, &developer, hidden) {
            let expected = if name == "DELETE " { (403, "FORBIDDEN") } else { (404, "NOT_FOUND") };
            let answer = request.send().await;
            assert_eq!((answer.status, answer.code()), expected, "{name}");
        }
        create(&app, &developer, &server.body_with(json!({ "workspace_id": other }))).await
            .assert_error(404, "NOT_FOUND");
    }

    async fn another_tenants_sources_and_workspaces_do_not_exist(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let (ada, eve) = (owner(&app, ADA).await, owner(&app, "eve@example.com").await);
        let number = created(&app, &ada, &server.body()).await;
        let invented = number + 1_000_000;
        for ((name, real), (_, unreal)) in
            requests(&app, &eve, number).into_iter().zip(requests(&app, &eve, invented))
        {
            let (real, unreal) = (real.send().await, unreal.send().await);
            real.assert_error(404, "NOT_FOUND");
            assert_eq!(real.field("error.message"), unreal.field("error.message"), "{name}");
        }
        let workspace = get(&app, &ada, &format!("/{number}")).await.field("data.workspace_id").clone();
        let body = server.body_with(json!({ "workspace_id": workspace }));
        create(&app, &eve, &body).await.assert_error(404, "NOT_FOUND");
        let listed = get(&app, &eve, &format!("?workspace_id={workspace}")).await;
        assert_eq!(listed.field("data.items"), &json!([]));
        get(&app, &ada, &format!("/{number}")).await.assert_status(200);
    }

    async fn a_token_reaches_what_its_scopes_give(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &server.body()).await;
        let reader = token(&app, &ada, &["data:read"]).await;
        get(&app, &reader, &format!("/{number}")).await.assert_status(200);
        create(&app, &reader, &server.body()).await.assert_error(403, "FORBIDDEN");
        let writer = token(&app, &ada, &["data:write"]).await;
        get(&app, &writer, &format!("/{number}")).await.assert_error(403, "FORBIDDEN");
        let made = created(&app, &writer, &server.body()).await;
        delete(&app, &writer, &format!("/{made}")).await.assert_status(200);
        let wide = token(&app, &ada, &["read", "write"]).await;
        created(&app, &wide, &server.body()).await;
        delete(&app, &wide, &format!("/{number}")).await.assert_error(403, "FORBIDDEN");
        let other = token(&app, &ada, &["accounts:read", "data:query"]).await;
        get(&app, &other, "").await.assert_error(403, "FORBIDDEN");
    }

    async fn without_a_token_nothing_is_told(engine: Engine) {
        let app = start(engine).await;
        for path in ["", "/metrics", "/1", "/1/health"] {
            app.get(&format!("{PATH}{path}")).send().await.assert_error(401, "UNAUTHORIZED");
        }
        let ada = owner(&app, ADA).await;
        get(&app, &ada, "/x").await.assert_error(422, "VALIDATION_ERROR");
        get(&app, &ada, "/999999").await.assert_error(404, "NOT_FOUND");
    }

    async fn a_limit_on_all_requests_is_told_in_the_words_of_the_modules_of_data(engine: Engine) {
        let app = TestApp::builder(engine)
            .without_limits()
            .settings(|settings| {
                let profile = settings.contracts.of_mut(tidegate_domain::ContractId::RIVERGEN).unwrap();
                profile.limits.anonymous_requests = Some(tidegate_domain::limit::Limit::new(1, 60));
            })
            .start()
            .await;
        let routes = crate::routes::all();
        let own: Vec<_> = routes.iter().filter(|route| route.path.starts_with(PATH)).collect();
        assert_eq!(own.len(), 12);
        own[0].request(&app.client()).send().await;
        for route in own {
            let answer = route.request(&app.client()).send().await;
            route.assert_refused(&answer, (429, "TOO_MANY_REQUESTS"), "one request too many");
            assert_eq!(answer.header("retry-after"), "60", "{}", route.name());
        }
    }

    async fn what_an_organization_had_goes_with_its_owner(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        created(&app, &ada, &server.body()).await;
        run_jobs(&app).await;
        assert!(app.sql_count("select count(*) from data_schemas").await > 0);
        let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
        let name = AccountName::Login(EmailAddress::parse(ADA).unwrap().into());
        app.identity().delete_account_for_operator(&operator, &name).await.unwrap();
        for table in ["data_sources", "data_schemas", "data_source_checks"] {
            assert_eq!(app.sql_count(&format!("select count(*) from {table}")).await, 0, "{table}");
        }
        // A test that was waiting finds nothing to test.
        run_jobs(&app).await;
    }

    // What a person made is told, and nothing by which it is reached.
    async fn an_export_has_the_sources_that_somebody_made(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let (ada, bob) = (owner(&app, ADA).await, owner(&app, "bob@example.com").await);
        let first = created(&app, &ada, &server.body()).await;
        let second = created(&app, &ada, &server.body_with(json!({ "name": "Gone" }))).await;
        created(&app, &bob, &server.body_with(json!({ "name": "His" }))).await;
        let made_at = app.now().iso_seconds();
        delete(&app, &ada, &format!("/{second}")).await.assert_status(200);
        let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
        let name = AccountName::Login(EmailAddress::parse(ADA).unwrap().into());
        let export = app.identity().export_account(&operator, &name).await.unwrap();
        assert_eq!(
            export["data_sources"],
            json!([{ "id": first, "name": "Sales", "type": "postgresql", "created_at": made_at }])
        );
        let text = json!(export).to_string();
        assert!(!text.contains(&server.password()), "{text}");
        assert!(export.get("files").is_none(), "there are none: {text}");
    }
}

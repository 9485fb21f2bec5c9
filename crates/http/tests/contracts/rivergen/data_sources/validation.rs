//! What a data source cannot be.

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_testkit::{Engine, on_both_engines};

use super::wire::{ADA, Server, create, created, get, owner, patch, request, start, with};

fn body() -> Value {
    json!({ "name": "x", "type": "postgresql", "host": "db.example.com", "database_name": "x" })
}

on_both_engines! {
    async fn what_is_wrong_with_a_field_is_told_field_by_field(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        for (fields, at_fault) in [
            (json!({ "name": null }), "name"),
            (json!({ "name": "  " }), "name"),
            (json!({ "name": "x".repeat(256) }), "name"),
            (json!({ "name": 7 }), "name"),
            (json!({ "type": null }), "type"),
            (json!({ "type": "postgres" }), "type"),
            (json!({ "type": "x".repeat(10_000) }), "type"),
            (json!({ "description": "x".repeat(2_001) }), "description"),
            (json!({ "description": "a\u{0}" }), "description"),
            (json!({ "host": "a\nb" }), "host"),
            (json!({ "host": "x".repeat(256) }), "host"),
            (json!({ "port": 0 }), "port"),
            (json!({ "port": 65_536 }), "port"),
            (json!({ "port": "5432" }), "port"),
            (json!({ "file_path": "x".repeat(1_001) }), "file_path"),
            (json!({ "connection_string": "x".repeat(9_000) }), "connection_string"),
            (json!({ "connection_string": "a\u{0}b" }), "connection_string"),
            (json!({ "use_ssh_tunnel": "yes" }), "use_ssh_tunnel"),
            (json!({ "ssh_port": -1 }), "ssh_port"),
            (json!({ "connection_pool_size": 0 }), "connection_pool_size"),
            (json!({ "connection_pool_size": 101 }), "connection_pool_size"),
            (json!({ "connection_timeout": 0 }), "connection_timeout"),
            (json!({ "query_timeout": 86_401 }), "query_timeout"),
            (json!({ "max_retries": 11 }), "max_retries"),
            (json!({ "schema_refresh_interval": 59 }), "schema_refresh_interval"),
            (json!({ "metadata": [] }), "metadata"),
            (json!({ "metadata": { "a": "x".repeat(20_000) } }), "metadata"),
            (json!({ "tags": "sales" }), "tags"),
            (json!({ "tags": ["a", " "] }), "tags.1"),
            (json!({ "tags": vec!["a"; 51] }), "tags"),
            (json!({ "credentials": [] }), "credentials"),
            (json!({ "credentials": { "password": 7 } }), "password"),
            (json!({ "credentials": { "password": "x".repeat(17_000) } }), "password"),
            (json!({ "workspace_id": "1" }), "workspace_id"),
        ] {
            let answer = create(&app, &ada, &with(body(), &fields)).await;
            answer.assert_error(422, "VALIDATION_ERROR");
            assert_eq!(answer.text_at("error.details.field"), at_fault, "{}", answer.text);
        }
        let unknown = create(&app, &ada, &with(body(), &json!({ "type": "postgress" }))).await;
        assert!(unknown.text_at("error.message").contains("postgresql"), "{}", unknown.text);
        assert_eq!(app.sql_count("select count(*) from data_sources").await, 0);
    }

    async fn what_a_type_needs_and_lacks_is_named(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        for (body, named) in [
            (json!({ "name": "x", "type": "postgresql" }), &["postgresql", "host", "database_name"][..]),
            (json!({ "name": "x", "type": "mysql", "host": "db" }), &["database_name"]),
            (json!({ "name": "x", "type": "csv" }), &["file_path"]),
            (with(body(), &json!({ "use_ssh_tunnel": true })), &["ssh_host", "ssh_username"]),
            (with(body(), &json!({ "file_path": "a.csv" })), &["file_path"]),
        ] {
            let answer = create(&app, &ada, &body).await;
            answer.assert_error(400, "BAD_REQUEST");
            let message = answer.text_at("error.message");
            assert!(named.iter().all(|field| message.contains(field)), "{message}");
        }
        // A connection string stands for all three, and `null` for what is left out.
        let string = json!({
            "name": "x", "type": "postgresql", "connection_string": "postgres://a:b@db.example.com/x", "host": null,
            "connection_pool_size": null, "metadata": null, "tags": null, "credentials": null, "storage_file_id": 7,
        });
        created(&app, &ada, &string).await;
    }

    async fn every_type_of_the_contract_is_one(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let types = [
            "postgresql", "mysql", "mariadb", "sqlserver", "oracle", "sqlite", "db2", "cockroachdb", "clickhouse",
            "mongodb", "cassandra", "dynamodb", "redis", "elasticsearch", "couchbase", "neo4j", "snowflake",
            "bigquery", "redshift", "databricks", "synapse", "athena", "csv", "excel", "json", "parquet", "xml", "s3",
            "gcs", "azure_blob", "kafka", "kinesis", "pubsub", "rest_api", "graphql",
        ];
        for kind in types {
            // Some need more than this, and say so: none is unknown.
            let answer = create(&app, &ada, &with(body(), &json!({ "type": kind }))).await;
            assert!([201, 400].contains(&answer.status), "{kind}: {}", answer.text);
            get(&app, &ada, &format!("?type={kind}")).await.assert_status(200);
        }
    }

    async fn a_body_that_is_no_json_object_is_a_bad_request(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &body()).await;
        for (method, path) in [
            (Method::POST, String::new()),
            (Method::PATCH, format!("/{number}")),
            (Method::PATCH, format!("/{number}/credentials")),
            (Method::POST, format!("/{number}/test")),
        ] {
            for sent in ["{", "[]", "null", "{\"name\": 1,}"] {
                let answer = request(&app, &ada, method.clone(), &path).body("application/json", sent).send().await;
                answer.assert_error(400, "BAD_REQUEST");
            }
            let answer = request(&app, &ada, method, &path).body("text/plain", "{}").send().await;
            answer.assert_error(415, "UNSUPPORTED_MEDIA_TYPE");
        }
        let path = format!("/{number}/test");
        for sent in [json!({ "timeout_seconds": 0 }), json!({ "timeout_seconds": 301 }), json!({ "test_query": 7 })] {
            let answer = request(&app, &ada, Method::POST, &path).json(&sent).send().await;
            answer.assert_error(422, "VALIDATION_ERROR");
        }
    }

    async fn a_misspelt_setting_is_refused_and_notes_of_the_client_are_kept(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        // Kept and read by nobody, each of these would make a source without TLS, or another one than was meant.
        let string = |options: &str| json!({ "connection_string": format!("postgres://a:b@db.example.com/x{options}") });
        for (fields, said) in [
            (json!({ "metadata": { "ssl_mod": "require" } }), "metadata.ssl_mod is not known for postgresql; did you mean ssl_mode?"),
            (json!({ "metadata": { "SSL_Mode": "require" } }), "did you mean ssl_mode?"),
            (json!({ "metadata": { "ssl": true } }), "TLS is set by ssl_mode"),
            (string("?sslmod=require"), "option sslmod of the connection string is not known for postgresql; did you mean sslmode?"),
            (string("?ssl=true"), "TLS is set by ssl_mode"),
            (json!({ "host": "postgres://127.0.0.1:19090" }), "host takes the host alone, without scheme"),
            (json!({ "host": "db.example.com:5432" }), "host takes the host alone, without scheme"),
            (json!({ "database_name": "postgres://db.example.com/shop" }), "database_name takes the name alone: a whole address is sent as connection_string"),
            (json!({ "database_name": "s3://lake/2026" }), "of a bucket what is behind its name as metadata.prefix"),
            (json!({ "use_ssh_tunnel": true, "ssh_host": "ada@jump.example.com", "ssh_username": "a" }), "ssh_host takes the host alone"),
        ] {
            let answer = create(&app, &ada, &with(body(), &fields)).await;
            answer.assert_error(400, "BAD_REQUEST");
            assert!(answer.text_at("error.message").contains(said), "{}", answer.text);
        }
        assert_eq!(app.sql_count("select count(*) from data_sources").await, 0);

        let notes = json!({ "environment": "production", "team": { "ssl_mod": 1 }, "ssl_mode": "prefer" });
        let number = created(&app, &ada, &with(body(), &json!({ "metadata": notes }))).await;
        let path = format!("/{number}");
        let host = json!({ "host": "https://db.example.com/x" });
        for fields in [json!({ "metadata": { "ssl_mod": "require" } }), string("?sslmod=require"), host] {
            patch(&app, &ada, &path, &fields).await.assert_error(400, "BAD_REQUEST");
        }
        // What a client was shown it may send back.
        let shown = get(&app, &ada, &path).await.field("data").clone();
        let same = patch(&app, &ada, &path, &shown).await;
        assert_eq!(same.assert_status(200).field("data.metadata"), &notes);
    }

    async fn a_field_that_is_not_known_is_refused_with_its_place(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let secret = "Planted-secret-7";
        for (fields, field, reason) in [
            // Dropped, they would leave a source without credentials.
            (json!({ "username": secret }), "username", "is not known here; send it as credentials.username"),
            (json!({ "user": secret }), "user", "is not known here; send it as credentials.username"),
            (json!({ "password": secret }), "password", "is not known here; send it as credentials.password"),
            (json!({ "ssl_mode": secret }), "ssl_mode", "is not known here; send it as metadata.ssl_mode"),
            (json!({ "hostt": secret }), "hostt", "is not known here; did you mean host?"),
            (
                json!({ "credentials": { "ssl_mode": secret } }), "credentials.ssl_mode",
                "is not known here; it is no secret: send it as metadata.ssl_mode of the data source",
            ),
            (json!({ "credentials": { "passwrod": secret } }), "credentials.passwrod", "is not known here; did you mean password?"),
            (
                json!({ "credentials": { "ssh_password": secret } }), "credentials.ssh_password",
                "is not known here; send it as password, with which a tunnel signs in where there is no ssh_private_key",
            ),
        ] {
            let answer = create(&app, &ada, &with(body(), &fields)).await;
            answer.assert_error(422, "VALIDATION_ERROR");
            assert_eq!((answer.text_at("error.details.field"), answer.text_at("error.details.reason")), (field.to_owned(), reason.to_owned()));
            assert!(!answer.text.contains(secret), "{}", answer.text);
        }
        assert_eq!(app.sql_count("select count(*) from data_sources").await, 0);
        // The contract lists it, and nothing comes of it.
        let number = created(&app, &ada, &with(body(), &json!({ "storage_file_id": 7 }))).await;
        let path = format!("/{number}");
        for (fields, reason) in [
            (json!({ "credentials": { "password": secret } }), "credentials are changed by PATCH"),
            (json!({ "password": secret }), "credentials are changed by PATCH"),
            (json!({ "prot": 5432 }), "did you mean port?"),
        ] {
            let answer = patch(&app, &ada, &path, &fields).await;
            answer.assert_error(422, "VALIDATION_ERROR");
            assert!(answer.text_at("error.details.reason").contains(reason), "{}", answer.text);
        }
        let answer = patch(&app, &ada, &format!("{path}/credentials"), &json!({ "usernam": "ada" })).await;
        answer.assert_error(422, "VALIDATION_ERROR");
        assert_eq!(answer.text_at("error.details.reason"), "is not known here; did you mean username?");
        // As they are sent where a data source is made.
        let nested = json!({ "credentials": { "password": secret } });
        let answer = patch(&app, &ada, &format!("{path}/credentials"), &nested).await;
        answer.assert_error(422, "VALIDATION_ERROR");
        let reason = "is not known here; send its fields at the top: {\"username\": ..., \"password\": ...}";
        assert_eq!(answer.text_at("error.details.reason"), reason);
    }

    async fn odd_names_are_kept_and_make_slugs(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        for (name, slug) in [("\"; drop table x; --", "drop_table_x"), ("数据 🦀", "source"), ("2024", "s_2024")] {
            let answer = create(&app, &ada, &server.body_with(json!({ "name": name }))).await;
            answer.assert_status(201);
            assert_eq!((answer.text_at("data.name"), answer.text_at("data.slug")), (name.to_owned(), slug.to_owned()));
        }
    }
}

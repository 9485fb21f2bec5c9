//! Rules are read, and checked against the tables they are about.

use serde_json::{Value, json};
use tidegate_testkit::{Engine, on_both_engines};

use super::wire::{ADA, Server, created, employees, filter, owner, policy, post, start};

/// A policy about a data source.
fn about(source: i64, kind: &str, rule: &str, config: Value) -> Value {
    let mut body = policy("Checked", kind, rule, config);
    body["data_source_ids"] = json!([source]);
    body
}

on_both_engines! {
    async fn a_rule_that_could_not_be_enforced_is_refused_and_named(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let filtered = |condition: &str| {
            about(source, "row_level_security", "filter_rows", json!({ "table": "emp", "condition": condition }))
        };
        for (condition, told) in [
            ("regoin = 'EU'", "at character 1: emp has no column regoin; did you mean region?"),
            ("id = 'EU'", "at character 6: text does not fit a column of type integer"),
            ("salary > 1.005", "at character 10: a number does not fit a column of type decimal number"),
            ("hired > 'soon'", "at character 9: text does not fit a column of type date"),
            ("region = 'EU'; drop table emp", "at character 14: a condition is one expression"),
            ("region = (select 1)", "at character 10:"),
            ("1/0 = 1", "at character 2: '/' is not allowed in a condition"),
            ("cast(ssn as int) > 0", "at character 1: cast is not a function of conditions"),
        ] {
            let refused = post(&app, &ada, "", &filtered(condition)).await;
            refused.assert_error(400, "BAD_REQUEST");
            let message = refused.text_at("error.message");
            assert!(message.starts_with("rules[0].rule_config.condition: ") && message.contains(told), "{condition}: {message}");
        }
        let masked = about(source, "data_masking", "mask_column", json!({ "table": "emp", "column": "ssn" }));
        let refused = post(&app, &ada, "", &masked).await;
        assert!(refused.text_at("error.message").starts_with("rules[0].rule_config.masking_type: must be one of"), "{}", refused.text);
        let other = about(source, "row_level_security", "filter_rows", json!({ "table": "nowhere", "condition": "true" }));
        let refused = post(&app, &ada, "", &other).await;
        refused.assert_error(400, "BAD_REQUEST");
        assert_eq!(refused.text_at("error.message"), format!("rules[0].rule_config.table: data source {source} has no table nowhere."));
        assert_eq!(app.sql_count("select count(*) from policies").await, 0);
        app.sql("update accounts set user_metadata = '{\"region\": \"EU\"}'").await;
        let made = post(&app, &ada, "", &filtered("Region = current_user_region and hired > '2020-01-01'")).await;
        assert_eq!(made.assert_status(201).field("data.warnings"), &json!([]));
    }

    async fn a_mask_that_does_not_keep_the_type_says_that_it_shows_null(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        server.database.sql("create table pay (id bigint primary key, amount numeric)").await;
        let source = employees(&app, &ada, &server).await;
        // Of any scale, which nothing but NULL fits.
        for config in [
            json!({ "table": "pay", "column": "amount", "masking_type": "rounding", "round_to": 100 }),
            json!({ "table": "pay", "column": "amount", "masking_type": "constant", "value": 0 }),
            json!({ "table": "pay", "column": "amount", "masking_type": "email" }),
            json!({ "table": "pay", "column": "amount", "masking_type": "hash" }),
        ] {
            let warned = post(&app, &ada, "", &about(source, "data_masking", "mask_column", config)).await;
            let warnings = warned.assert_status(201).field("data.warnings").to_string();
            assert!(warnings.contains("does not keep the type of column amount"), "{}", warned.text);
        }
        let masked = |column: &str, masking: &str| {
            about(source, "data_masking", "mask_column", json!({ "table": "emp", "column": column, "masking_type": masking, "round_to": 100 }))
        };
        let warned = post(&app, &ada, "", &masked("salary", "partial")).await;
        let warnings = warned.assert_status(201).field("data.warnings").as_array().unwrap();
        assert_eq!(warnings.len(), 1, "{}", warned.text);
        assert!(warnings[0].as_str().unwrap().contains("salary"), "{}", warned.text);
        for (column, masking) in [("salary", "rounding"), ("ssn", "partial"), ("hired", "date_truncation"), ("salary", "null")] {
            let kept = post(&app, &ada, "", &masked(column, masking)).await;
            assert_eq!(kept.assert_status(201).field("data.warnings"), &json!([]), "{column} {masking}");
        }
        let refused = post(&app, &ada, "", &masked("snn", "hash")).await;
        refused.assert_error(400, "BAD_REQUEST");
        assert_eq!(refused.text_at("error.message"), "rules[0].rule_config.column: emp has no column snn; did you mean ssn?");
    }

    async fn a_policy_has_rules_of_its_own_type_only(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let types = ["row_level_security", "data_masking", "query_limit", "access_control"];
        let rules = [
            ("filter_rows", json!({ "table": "t", "condition": "a = 1" }), 0),
            ("mask_column", json!({ "table": "t", "column": "c", "masking_type": "redact" }), 1),
            ("limit_query", json!({ "max_rows": 5 }), 2),
            ("allow_access", json!({ "table": "t" }), 3),
            ("deny_access", json!({ "time_window": { "start": "22:00", "end": "06:00", "timezone": "Europe/Berlin" } }), 3),
        ];
        for (rule, config, fits) in rules {
            for (place, kind) in types.into_iter().enumerate() {
                let answer = post(&app, &ada, "", &policy("P", kind, rule, config.clone())).await;
                if place == fits {
                    answer.assert_status(201);
                } else {
                    answer.assert_error(400, "BAD_REQUEST");
                    assert_eq!(answer.text_at("error.message"), format!("rules[0].rule_type: a policy of type {kind} has no rules of type {rule}."));
                }
            }
        }
        for (kind, rule, config, field) in [
            ("query_limit", "limit_query", json!({}), "rule_config: needs max_rows"),
            ("query_limit", "limit_query", json!({ "max_rows": 0 }), "rule_config.max_rows"),
            ("access_control", "deny_access", json!({ "time_window": { "start": "9", "end": "10:00" } }), "rule_config.time_window.start"),
            ("access_control", "allow_access", json!({ "operations": ["fly"] }), "rule_config.operations"),
            ("data_masking", "mask_column", json!({ "table": "t", "column": "c", "masking_type": "regex", "pattern": "(" }), "rule_config.pattern"),
            ("data_masking", "mask_column", json!({ "table": "t", "column": "c", "masking_type": "regex", "pattern": "(a{1000}){1000}" }), "rule_config.pattern"),
            ("data_masking", "mask_column", json!({ "table": "t", "column": "c", "masking_type": "partial", "mask_char": "**" }), "rule_config.mask_char"),
        ] {
            let refused = post(&app, &ada, "", &policy("P", kind, rule, config)).await;
            refused.assert_error(400, "BAD_REQUEST");
            assert!(refused.text_at("error.message").contains(field), "{}", refused.text);
        }
    }

    async fn what_is_wrong_with_a_field_is_told_field_by_field(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let with = |change: Value| {
            let mut body = filter("P");
            tidegate_domain::text::merge(&mut body, &change);
            body
        };
        for (change, field) in [
            (json!({ "name": null }), "name"),
            (json!({ "name": "\u{7}" }), "name"),
            (json!({ "type": "row" }), "type"),
            (json!({ "type": 5 }), "type"),
            (json!({ "priority": -1 }), "priority"),
            (json!({ "priority": 1.5 }), "priority"),
            (json!({ "is_active": "yes" }), "is_active"),
            (json!({ "rules": {} }), "rules"),
            (json!({ "rules": [[]] }), "rules"),
            (json!({ "rules": [{}] }), "rules.0.rule_name"),
            (json!({ "rules": [{ "rule_name": "R", "rule_type": "x", "rule_config": {} }] }), "rules.0.rule_type"),
            (json!({ "rules": [{ "rule_name": "R", "rule_type": "filter_rows", "rule_config": [] }] }), "rules.0.rule_config"),
            (json!({ "rules": [{ "rule_name": "R", "rule_type": "filter_rows", "rule_config": {}, "rule_order": -1 }] }), "rules.0.rule_order"),
            (json!({ "user_ids": ["x"] }), "user_ids"),
            (json!({ "groups": [""] }), "groups.0"),
            (json!({ "metadata": "x" }), "metadata"),
            (json!({ "metadata": { "a": "x".repeat(17_000) } }), "metadata"),
            (json!({ "description": "x".repeat(2_001) }), "description"),
            (json!({ "workspace_id": "x" }), "workspace_id"),
            (json!({ "rules": vec![json!({}); 101] }), "rules"),
        ] {
            let refused = post(&app, &ada, "", &with(change)).await;
            refused.assert_error(422, "VALIDATION_ERROR");
            assert!(refused.text.contains(field), "{field}: {}", refused.text);
        }
        for body in ["[]", "5", "{"] {
            let answer = app.post(crate::rivergen::policies::wire::PATH).bearer(&ada.access_token).body("application/json", body).send().await;
            answer.assert_error(400, "BAD_REQUEST");
        }
        assert_eq!(app.sql_count("select count(*) from policies").await, 0);
        created(&app, &ada, &with(json!({ "description": null, "priority": null, "metadata": null, "user_ids": null }))).await;
    }
}

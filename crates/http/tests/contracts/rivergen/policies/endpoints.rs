//! The endpoints of policies, one after the other.

use serde_json::{Value, json};
use tidegate_domain::quota::Quotas;
use tidegate_testkit::{Engine, TestApp, on_both_engines};

use super::wire::{ADA, created, delete, filter, get, number_of, owner, patch, policy, post, start};

on_both_engines! {
    async fn a_policy_is_made_and_read(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let body = json!({
            "name": "Own region",
            "description": "People see their region",
            "type": "row_level_security",
            "priority": 10,
            "metadata": { "ticket": 12.50 },
            "role_ids": [4, 3, 4],
            "groups": ["Sales"],
            "rules": [
                { "rule_name": "Later", "rule_type": "filter_rows", "rule_order": 2, "is_active": false,
                  "rule_config": { "table": "customers", "condition": "true" } },
                { "rule_name": "First", "rule_type": "filter_rows", "rule_order": 1,
                  "rule_config": { "table": "customers", "column": "user_region", "condition": "user_region = current_user_region" } },
            ],
        });
        let answer = post(&app, &ada, "", &body).await;
        answer.assert_status(201);
        assert_eq!(answer.text_at("message"), "Policy created successfully");
        let data = answer.field("data").clone();
        for name in ["name", "description", "type", "priority", "metadata"] {
            assert_eq!(data[name], body[name], "{name}");
        }
        assert_eq!((&data["is_active"], &data["workspace_id"], &data["version"]), (&json!(true), &Value::Null, &json!(1)));
        assert!(data["organization_id"].is_i64() && data["created_at"].is_string() && data["updated_at"].is_string());
        assert_eq!(data["created_by_user_id"], json!(number_of(&app, ADA).await));
        assert!(data["updated_by_user_id"].is_null());
        let rules = data["rules"].as_array().unwrap();
        assert_eq!((&rules[0]["rule_name"], &rules[1]["rule_name"]), (&json!("First"), &json!("Later")));
        assert_eq!(rules[0]["rule_config"], body["rules"][1]["rule_config"]);
        assert_eq!((&rules[0]["policy_id"], &rules[1]["is_active"]), (&data["id"], &json!(false)));
        let assignments = data["assignments"].as_array().unwrap();
        let named: Vec<(&Value, &Value)> =
            assignments.iter().map(|one| (&one["role_name"], &one["group"])).collect();
        let (developer, viewer, group) = (json!("developer"), json!("viewer"), json!("Sales"));
        assert_eq!(named, [(&developer, &Value::Null), (&viewer, &Value::Null), (&Value::Null, &group)]);
        // Nobody has discovered such a table, of either rule, and nobody has a region, or is in the group.
        assert_eq!(data["warnings"].as_array().unwrap().len(), 4, "{data}");
        let read = get(&app, &ada, &format!("/{}", data["id"])).await;
        assert_eq!(read.assert_status(200).text_at("message"), "Policy retrieved successfully");
        for name in ["id", "rules", "assignments", "metadata", "created_at", "version"] {
            assert_eq!(read.field("data")[name], data[name], "{name}");
        }
        assert_eq!(read.field("data.warnings"), &json!([]));
        get(&app, &ada, "/x").await.assert_error(422, "VALIDATION_ERROR");
        get(&app, &ada, "/999999").await.assert_error(404, "NOT_FOUND");
    }

    async fn the_body_that_the_guide_shows_makes_a_policy(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guides/policies.md");
        let page = std::fs::read_to_string(page).unwrap();
        let (_, shown) = page.split_once("<!-- policy -->").unwrap();
        let text = shown.split("```json").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let body: Value = serde_json::from_str(text).unwrap();
        let answer = post(&app, &ada, "", &body).await;
        let data = answer.assert_status(201).field("data");
        for name in ["rule_name", "rule_type", "rule_config"] {
            assert_eq!(data["rules"][0][name], body["rules"][0][name], "{name}");
        }
        assert_eq!(data["assignments"][0]["role_name"], "viewer");
    }

    async fn policies_are_listed_by_priority_filtered_searched_and_paged(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        for (name, priority, kind) in [("Ants_1", 0, "filter"), ("Bees", 5, "mask"), ("ants 2", 5, "filter"), ("Gone", 9, "filter")] {
            app.advance(std::time::Duration::from_secs(1));
            let mut body = match kind {
                "filter" => filter(name),
                _ => policy(name, "data_masking", "mask_column", json!({ "table": "t", "column": "c", "masking_type": "null" })),
            };
            body["priority"] = json!(priority);
            body["is_active"] = json!(name != "Ants_1");
            let number = created(&app, &ada, &body).await;
            if name == "Gone" {
                delete(&app, &ada, &format!("/{number}")).await.assert_status(200);
            }
        }
        let names = async |query: &str| -> Vec<String> {
            let answer = get(&app, &ada, query).await;
            let items = answer.assert_status(200).field("data.items").as_array().unwrap().clone();
            items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(names("").await, ["ants 2", "Bees", "Ants_1"]);
        assert_eq!(names("?search=ants").await, ["ants 2", "Ants_1"]);
        assert_eq!(names("?search=s_").await, ["Ants_1"], "a pattern's signs are letters");
        assert_eq!(names("?type=data_masking").await, ["Bees"]);
        assert_eq!(names("?is_active=false").await, ["Ants_1"]);
        assert_eq!(names("?workspace_id=999999").await, Vec::<String>::new());
        assert_eq!(names("?page=2&page_size=2").await, ["Ants_1"]);
        assert_eq!(names("?page=9").await, Vec::<String>::new());
        let answer = get(&app, &ada, "?page_size=500").await;
        assert_eq!(answer.text_at("message"), "Policies retrieved successfully");
        let pagination = json!({
            "page": 1, "page_size": 100, "total_items": 3, "total_pages": 1, "has_next": false, "has_previous": false,
        });
        assert_eq!(answer.field("data.pagination"), &pagination);
        assert!(answer.field("data.items.0").get("rules").is_none());
        for query in ["?type=nonsense", "?is_active=maybe", "?page=0", "?page_size=x", "?workspace_id=x", "?search=%00"] {
            get(&app, &ada, query).await.assert_error(422, "VALIDATION_ERROR");
        }
    }

    async fn the_dashboard_counts_by_type(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        created(&app, &ada, &filter("One")).await;
        let mut off = filter("Two");
        off["is_active"] = json!(false);
        let workspace = app.sql_count("select number from workspaces").await;
        off["workspace_id"] = json!(workspace);
        created(&app, &ada, &off).await;
        let limit = policy("Few", "query_limit", "limit_query", json!({ "max_rows": 10 }));
        created(&app, &ada, &limit).await;
        let answer = get(&app, &ada, "/dashboard").await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Policy dashboard summary retrieved successfully");
        let data = answer.field("data");
        let keys: Vec<&String> = data.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 4);
        let of = |key: &str| (data[key]["name"].clone(), data[key]["type"].clone(), data[key]["total_policies"].clone(), data[key]["active_policies"].clone(), data[key]["is_active"].clone());
        assert_eq!(of("row_level_security"), (json!("Row-Level Security"), json!("row_level_security"), json!(2), json!(1), json!(true)));
        assert_eq!(of("query_limits"), (json!("Query Limits"), json!("query_limit"), json!(1), json!(1), json!(true)));
        assert_eq!(of("data_masking"), (json!("Data Masking"), json!("data_masking"), json!(0), json!(0), json!(false)));
        assert_eq!(of("access_control").2, json!(0));
        let own = get(&app, &ada, &format!("/dashboard?workspace_id={workspace}")).await;
        assert_eq!(own.field("data.row_level_security.total_policies"), &json!(1));
        assert_eq!(own.field("data.row_level_security.is_active"), &json!(false));
        get(&app, &ada, "/dashboard?workspace_id=x").await.assert_error(422, "VALIDATION_ERROR");
    }

    async fn only_what_is_named_is_changed_and_each_change_is_a_version(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &filter("Before")).await;
        let path = format!("/{number}");
        let before = get(&app, &ada, &path).await.field("data").clone();
        app.advance(std::time::Duration::from_secs(5));
        let answer = patch(&app, &ada, &path, &json!({ "name": "After", "description": "Why", "type": "query_limit" })).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Policy updated successfully");
        let data = answer.field("data");
        assert_eq!((&data["name"], &data["description"], &data["type"]), (&json!("After"), &json!("Why"), &before["type"]));
        assert_eq!((&data["version"], &data["updated_by_user_id"]), (&json!(2), &json!(number_of(&app, ADA).await)));
        assert_ne!(data["updated_at"], before["updated_at"]);
        let after = get(&app, &ada, &path).await.field("data").clone();
        assert_eq!((&after["rules"], &after["priority"], &after["created_at"]), (&before["rules"], &before["priority"], &before["created_at"]));
        patch(&app, &ada, &path, &json!({ "description": null, "is_active": false, "priority": 3, "metadata": { "a": 1 } })).await.assert_status(200);
        let after = get(&app, &ada, &path).await.field("data").clone();
        assert_eq!((&after["description"], &after["is_active"], &after["priority"]), (&Value::Null, &json!(false), &json!(3)));
        assert_eq!((&after["metadata"], &after["version"]), (&json!({ "a": 1 }), &json!(3)));
        for body in [
            json!({ "name": null }), json!({ "name": " " }), json!({ "name": "x".repeat(256) }), json!({ "priority": -1 }),
            json!({ "priority": "high" }), json!({ "is_active": null }), json!({ "metadata": [] }), json!({ "rules": null }),
        ] {
            patch(&app, &ada, &path, &body).await.assert_error(422, "VALIDATION_ERROR");
        }
        patch(&app, &ada, &path, &json!([])).await.assert_error(400, "BAD_REQUEST");
        patch(&app, &ada, "/999999", &json!({})).await.assert_error(404, "NOT_FOUND");
        patch(&app, &ada, "/x", &json!({})).await.assert_error(422, "VALIDATION_ERROR");
    }

    async fn rules_are_replaced_as_a_whole(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &filter("Rules")).await;
        let path = format!("/{number}");
        let rules = json!([{ "rule_name": "Other", "rule_type": "filter_rows", "rule_config": { "table": "t", "condition": "a = 1" } }]);
        let answer = patch(&app, &ada, &path, &json!({ "rules": rules })).await;
        assert_eq!(answer.assert_status(200).field("data.rules.0.rule_name"), &json!("Other"));
        let read = get(&app, &ada, &path).await.field("data.rules").clone();
        assert_eq!(read.as_array().unwrap().len(), 1);
        // What is refused changes nothing.
        let wrong = json!({ "name": "New", "rules": [{ "rule_name": "X", "rule_type": "filter_rows", "rule_config": { "table": "t", "condition": "a =" } }] });
        let refused = patch(&app, &ada, &path, &wrong).await;
        refused.assert_error(400, "BAD_REQUEST");
        assert!(refused.text_at("error.message").starts_with("rules[0].rule_config.condition: at character 4"), "{}", refused.text);
        let after = get(&app, &ada, &path).await.field("data").clone();
        assert_eq!((&after["name"], &after["rules"]), (&json!("Rules"), &read));
        patch(&app, &ada, &path, &json!({ "rules": [] })).await.assert_status(200);
        assert_eq!(get(&app, &ada, &path).await.field("data.rules"), &json!([]));
    }

    async fn a_deleted_policy_is_gone(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &filter("Gone")).await;
        let path = format!("/{number}");
        let answer = delete(&app, &ada, &path).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Policy deleted successfully");
        assert_eq!(answer.field("data.policy_id"), &json!(number));
        assert!(answer.field("data.deleted_at").is_string());
        for again in [delete(&app, &ada, &path).await, get(&app, &ada, &path).await, get(&app, &ada, &format!("{path}/evaluations")).await] {
            again.assert_error(404, "NOT_FOUND");
        }
        delete(&app, &ada, "/x").await.assert_error(422, "VALIDATION_ERROR");
        // Its row goes after a while, with its rules.
        app.advance(std::time::Duration::from_secs(31 * 24 * 3_600));
        while app.kernel().prune().await.unwrap() > 0 {}
        assert_eq!(app.sql_count("select (select count(*) from policies) + (select count(*) from policy_rules)").await, 0);
    }

    async fn an_organization_has_as_many_as_it_may(engine: Engine) {
        let app = TestApp::builder(engine)
            .without_limits()
            .settings(|settings| settings.quotas = Quotas { policies: 1, ..Quotas::default() })
            .start()
            .await;
        let ada = owner(&app, ADA).await;
        let number = created(&app, &ada, &filter("One")).await;
        post(&app, &ada, "", &filter("Two")).await.assert_error(409, "CONFLICT");
        delete(&app, &ada, &format!("/{number}")).await.assert_status(200);
        created(&app, &ada, &filter("Two")).await;
    }

    async fn all_policies_together_have_as_many_rules_and_assignments_as_they_may(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let mut body = filter("One");
        body["role_ids"] = json!([1]);
        let number = created(&app, &ada, &body).await;
        let metadata = json!({ "role_id": 2, "metadata": { "why": "x".repeat(16_000) } });
        let path = format!("/{number}/assignments");
        for _ in 0..16 {
            post(&app, &ada, &path, &metadata).await.assert_status(201);
        }
        let refused = post(&app, &ada, &path, &metadata).await;
        refused.assert_error(400, "BAD_REQUEST");
        assert_eq!(refused.text_at("error.message"), "A policy has at most 262144 bytes of metadata of assignments.");
        for _ in 0..10 {
            app.sql("insert into policy_assignments (policy_id, role_id, is_active, metadata, applied_at, applied_by)
                select policy_id, role_id, is_active, '{}', applied_at, applied_by from policy_assignments").await;
        }
        let refused = post(&app, &ada, "", &body).await;
        refused.assert_error(400, "BAD_REQUEST");
        assert_eq!(refused.text_at("error.message"), "All policies of an organization together have at most 10000 assignments.");
        app.sql("delete from policy_assignments").await;
        let other = created(&app, &ada, &body).await;
        for _ in 0..12 {
            app.sql("insert into policy_rules (policy_id, name, kind, config, rule_order, is_active, created_at, updated_at)
                select policy_id, name, kind, config, rule_order, is_active, created_at, updated_at from policy_rules").await;
        }
        let refused = post(&app, &ada, "", &body).await;
        refused.assert_error(400, "BAD_REQUEST");
        assert_eq!(refused.text_at("error.message"), "All policies of an organization together have at most 5000 rules.");
        // Another organization has room of its own, and so has this one without a policy.
        let eve = owner(&app, "eve@example.com").await;
        created(&app, &eve, &body).await;
        delete(&app, &ada, &format!("/{other}")).await.assert_status(200);
        created(&app, &ada, &body).await;
    }

    async fn of_deleted_policies_the_latest_are_kept(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let mut numbers = Vec::new();
        for _ in 0..23 {
            let number = created(&app, &ada, &filter("Short-lived")).await;
            delete(&app, &ada, &format!("/{number}")).await.assert_status(200);
            numbers.push(number);
        }
        let kept = app.sql_count("select count(*) from policies").await;
        let oldest = app.sql_count("select min(number) from policies").await;
        assert_eq!((kept, Some(&oldest)), (20, numbers.get(3)));
        assert_eq!(app.sql_count("select count(*) from policy_rules").await, 20);
    }
}

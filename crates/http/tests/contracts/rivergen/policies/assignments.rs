//! Policies are assigned, and assignments removed.

use serde_json::{Value, json};
use tidegate_testkit::{Engine, on_both_engines};

use super::wire::{
    ADA, Server, created, delete, employees, filter, get, member, number_of, owner, patch, policy, post,
    signed_in, start,
};

on_both_engines! {
    async fn a_policy_is_assigned_to_each_kind_of_target(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let workspace = app.sql_count("select number from workspaces").await;
        let me = number_of(&app, ADA).await;
        let number = created(&app, &ada, &policy("P", "query_limit", "limit_query", json!({ "max_rows": 1 }))).await;
        let path = format!("/{number}/assignments");
        for targets in [
            json!({ "data_source_id": source }),
            json!({ "user_id": me, "workspace_id": workspace }),
            json!({ "role_id": 2, "metadata": { "why": "asked for" } }),
            json!({ "group": "Sales", "is_active": false }),
        ] {
            let answer = post(&app, &ada, &path, &targets).await;
            assert_eq!(answer.assert_status(201).text_at("message"), "Policy assigned successfully");
            let data = answer.field("data");
            for (name, value) in targets.as_object().unwrap() {
                assert_eq!(data[name], *value, "{name}");
            }
            assert_eq!((&data["policy_id"], &data["applied_by_user_id"]), (&json!(number), &json!(me)));
            assert!(data["applied_at"].is_string() && data["id"].is_i64());
            let role = if targets.get("role_id").is_some() { json!("admin") } else { Value::Null };
            assert_eq!(data["role_name"], role);
        }
        let read = get(&app, &ada, &format!("/{number}")).await;
        assert_eq!(read.field("data.assignments").as_array().unwrap().len(), 4);
        assert_eq!(read.field("data.version"), &json!(5), "each assignment is a change");
    }

    async fn what_is_not_there_is_assigned_to_nothing(engine: Engine) {
        let app = start(engine).await;
        let (ada, eve) = (owner(&app, ADA).await, owner(&app, "eve@example.com").await);
        let number = created(&app, &ada, &filter("P")).await;
        let path = format!("/{number}/assignments");
        let hers = number_of(&app, "eve@example.com").await;
        post(&app, &ada, &path, &json!({})).await.assert_error(400, "BAD_REQUEST");
        post(&app, &ada, &path, &json!({ "metadata": {} })).await.assert_error(400, "BAD_REQUEST");
        post(&app, &ada, &path, &json!([])).await.assert_error(400, "BAD_REQUEST");
        for (name, target) in [
            ("data_source_id", json!(1)), ("dataset_id", json!(1)), ("query_id", json!(1)), ("role_id", json!(99)),
            ("user_id", json!(hers)), ("user_id", json!(999_999)), ("workspace_id", json!(999_999)),
        ] {
            post(&app, &ada, &path, &json!({ name: target })).await.assert_error(404, "NOT_FOUND");
            if name != "metadata" {
                let mut body = filter("Q");
                body[format!("{name}s")] = json!([target]);
                post(&app, &ada, "", &body).await.assert_error(404, "NOT_FOUND");
            }
        }
        for wrong in [json!({ "user_id": "x" }), json!({ "group": "" }), json!({ "role_id": 1.5 }), json!({ "is_active": "no", "role_id": 1 })] {
            post(&app, &ada, &path, &wrong).await.assert_error(422, "VALIDATION_ERROR");
        }
        post(&app, &ada, "/x/assignments", &json!({ "role_id": 1 })).await.assert_error(422, "VALIDATION_ERROR");
        post(&app, &eve, &path, &json!({ "role_id": 1 })).await.assert_error(404, "NOT_FOUND");
        assert_eq!(app.sql_count("select count(*) from policy_assignments").await, 0);
        assert_eq!(app.sql_count("select count(*) from policies").await, 1);
    }

    async fn a_policy_is_assigned_only_to_data_sources_that_its_rules_fit(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let fits = policy("P", "row_level_security", "filter_rows", json!({ "table": "emp", "condition": "region = 'EU'" }));
        let number = created(&app, &ada, &fits).await;
        post(&app, &ada, &format!("/{number}/assignments"), &json!({ "data_source_id": source })).await.assert_status(201);
        let number = created(&app, &ada, &filter("Elsewhere")).await;
        let refused = post(&app, &ada, &format!("/{number}/assignments"), &json!({ "data_source_id": source })).await;
        refused.assert_error(400, "BAD_REQUEST");
        assert!(refused.text_at("error.message").contains("has no table customers"), "{}", refused.text);
    }

    async fn an_assignment_is_removed(engine: Engine) {
        let app = start(engine).await;
        let (ada, eve) = (owner(&app, ADA).await, owner(&app, "eve@example.com").await);
        let mut body = filter("P");
        body["role_ids"] = json!([3, 4]);
        let made = post(&app, &ada, "", &body).await;
        let (number, first) = (made.field("data.id").clone(), made.field("data.assignments.0.id").clone());
        let path = format!("/{number}/assignments/{first}");
        delete(&app, &eve, &path).await.assert_error(404, "NOT_FOUND");
        let other = created(&app, &ada, &filter("Other")).await;
        delete(&app, &ada, &format!("/{other}/assignments/{first}")).await.assert_error(404, "NOT_FOUND");
        let answer = delete(&app, &ada, &path).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Policy assignment removed successfully");
        assert_eq!((answer.field("data.policy_id"), answer.field("data.assignment_id")), (&number, &first));
        assert!(answer.field("data.deleted_at").is_string());
        delete(&app, &ada, &path).await.assert_error(404, "NOT_FOUND");
        delete(&app, &ada, &format!("/{number}/assignments/x")).await.assert_error(422, "VALIDATION_ERROR");
        let left = get(&app, &ada, &format!("/{number}")).await.field("data.assignments").clone();
        assert_eq!(left.as_array().unwrap().len(), 1);
    }

    async fn whoever_leaves_is_named_by_no_policy_and_their_policies_stay(engine: Engine) {
        let app = start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let admin = member(&app, &manager, "admin@example.com", "manager").await;
        let me = number_of(&app, "admin@example.com").await;
        let mut body = filter("P");
        body["user_ids"] = json!([me]);
        let workspace = app.sql_count("select min(number) from workspaces").await;
        body["workspace_id"] = json!(workspace);
        let number = created(&app, &admin, &body).await;
        let gone = json!({ "email": "admin@example.com" });
        let request = app.delete("/v1/accounts/individual/").bearer(&manager.access_token).json(&gone);
        request.send().await.assert_status(204);
        let read = get(&app, &ada, &format!("/{number}")).await;
        let left = read.assert_status(200).field("data.assignments");
        // Without its assignment it would hold in the whole workspace.
        assert_eq!((left.as_array().unwrap().len(), &left[0]["is_active"]), (1, &json!(false)), "{left}");
        patch(&app, &ada, &format!("/{number}"), &json!({ "name": "Kept" })).await.assert_status(200);
    }
}

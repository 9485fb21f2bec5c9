//! Templates: made, listed, changed, deleted, run.

use serde_json::{Value, json};
use tidegate_domain::quota::Quotas;
use tidegate_testkit::{Engine, on_both_engines};

use super::script::{ADA, CLINIC, SHOP, Script, delete, get, member, owner, patch, post, signed_in};

fn template(text: &str, parameters: Value) -> Value {
    json!({
        "name": "Orders of a region", "template_text": text, "category": "Sales", "parameters": parameters,
        "compatible_data_source_ids": [SHOP], "status": "published",
    })
}

fn region() -> Value {
    json!([{ "name": "region", "type": "string" }])
}

on_both_engines! {
    async fn a_template_is_made_read_changed_and_deleted(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        let made = post(&app, &ada, "prompt-templates", &template("orders of {{region}}", region())).await;
        let data = made.assert_status(201).field("data").clone();
        assert_eq!(
            data["parameters"],
            json!([{ "name": "region", "type": "string", "required": true, "default": null, "description": null }])
        );
        assert_eq!((&data["is_system_template"], &data["is_public"], &data["usage_count"]), (&json!(false), &json!(false), &json!(0)));
        let path = format!("prompt-templates/{}", data["id"]);
        assert_eq!(get(&app, &ada, &path).await.assert_status(200).field("data"), &data);
        let changed = patch(&app, &ada, &path, &json!({ "name": "Renamed", "description": "More" })).await;
        assert_eq!(changed.assert_status(200).field("data.name"), "Renamed");
        assert_eq!(changed.field("data.template_text"), "orders of {{region}}");
        // Parts that do not fit what stays.
        patch(&app, &ada, &path, &json!({ "parameters": [] })).await.assert_error(400, "BAD_REQUEST");
        patch(&app, &ada, &path, &json!({ "compatible_data_source_ids": [999_999] })).await.assert_error(404, "NOT_FOUND");
        patch(&app, &ada, &path, &json!({ "name": null })).await.assert_error(422, "VALIDATION_ERROR");
        patch(&app, &ada, "prompt-templates/999999", &json!({})).await.assert_error(404, "NOT_FOUND");
        delete(&app, &ada, &path).await.assert_status(200);
        delete(&app, &ada, &path).await.assert_error(404, "NOT_FOUND");
        get(&app, &ada, &path).await.assert_error(404, "NOT_FOUND");
    }

    async fn what_is_wrong_with_a_template_is_named(engine: Engine) {
        let app = Script::new()
            .builder(engine)
            .settings(|settings| settings.quotas = Quotas { prompt_templates: 1, ..Quotas::default() })
            .start()
            .await;
        let ada = owner(&app, ADA).await;
        for (text, parameters) in [
            ("orders of {{place}}", region()),
            ("orders of {{region", region()),
            ("select '{{region}}'", region()),
            ("x", json!([{ "name": "a", "type": "string" }, { "name": "a", "type": "date" }])),
            ("x", json!([{ "name": "a", "type": "integer", "default": "one" }])),
        ] {
            post(&app, &ada, "prompt-templates", &template(text, parameters)).await.assert_error(400, "BAD_REQUEST");
        }
        for (field, value) in [
            ("name", Value::Null),
            ("name", json!("x".repeat(256))),
            ("description", json!("x".repeat(501))),
            ("template_text", json!("")),
            ("category", json!("")),
            ("compatible_data_source_ids", json!([])),
            ("status", json!("odd")),
            ("is_public", json!("yes")),
            ("parameters", json!([{ "name": "a", "type": "odd" }])),
            ("parameters", json!([{ "type": "string" }])),
            ("parameters", json!("a")),
            ("icon_url", json!("x".repeat(513))),
        ] {
            let mut body = template("orders", json!([]));
            body[field] = value;
            let answer = post(&app, &ada, "prompt-templates", &body).await;
            answer.assert_error(422, "VALIDATION_ERROR");
            assert!(answer.text.contains(field), "{field}: {}", answer.text);
        }
        let mut body = template("orders", json!([]));
        body["compatible_data_source_ids"] = json!([999_999]);
        post(&app, &ada, "prompt-templates", &body).await.assert_error(404, "NOT_FOUND");
        post(&app, &ada, "prompt-templates", &template("orders", json!([]))).await.assert_status(201);
        post(&app, &ada, "prompt-templates", &template("orders", json!([]))).await.assert_error(409, "CONFLICT");
    }

    async fn templates_are_seen_by_whom_they_are_for(engine: Engine) {
        let app = Script::new().start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let bob = member(&app, &manager, "bob@example.com", "backend").await;
        let cleo = owner(&app, "cleo@example.com").await;
        let mut public = template("public orders", json!([]));
        public["is_public"] = json!(true);
        let shared = post(&app, &bob, "prompt-templates", &public).await.assert_status(201).field("data.id").clone();
        let own = post(&app, &bob, "prompt-templates", &template("own orders", json!([]))).await.field("data.id").clone();
        let mine = async |who, query: &str| {
            let answer = get(&app, who, &format!("prompt-templates?is_system_template=false{query}")).await;
            let items = answer.assert_status(200).field("data.items").as_array().unwrap().clone();
            items.iter().map(|item| item["id"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(mine(&bob, "").await, [shared.clone(), own.clone()]);
        assert_eq!(mine(&bob, "&is_public=false").await, std::slice::from_ref(&own));
        assert_eq!(mine(&bob, "&category=Sales&search=REGION").await.len(), 2);
        assert_eq!(mine(&bob, "&category=Other").await.len(), 0);
        assert_eq!(mine(&bob, "&organization_id=999999").await.len(), 0);
        assert_eq!(mine(&ada, "").await, std::slice::from_ref(&shared));
        assert_eq!(mine(&cleo, "").await, Vec::<Value>::new());
        // Another member may not change it; an administrator may.
        let dora = member(&app, &manager, "dora@example.com", "backend").await;
        let path = format!("prompt-templates/{shared}");
        patch(&app, &dora, &path, &json!({ "name": "Hers" })).await.assert_error(403, "FORBIDDEN");
        delete(&app, &dora, &path).await.assert_error(403, "FORBIDDEN");
        patch(&app, &cleo, &path, &json!({ "name": "Hers" })).await.assert_error(404, "NOT_FOUND");
        patch(&app, &ada, &path, &json!({ "name": "Ours" })).await.assert_status(200);
        for wrong in ["is_public=maybe", "is_system_template=x", "organization_id=x"] {
            get(&app, &ada, &format!("prompt-templates?{wrong}")).await.assert_error(422, "VALIDATION_ERROR");
        }
    }

    async fn a_template_is_run_with_values_that_never_become_sql(engine: Engine) {
        let script = Script::new();
        let app = script.start(engine).await;
        let ada = owner(&app, ADA).await;
        let body = template("select n from orders where region = {{region}}", region());
        let number = post(&app, &ada, "prompt-templates", &body).await.field("data.id").clone();
        let path = format!("prompt-templates/{number}/execute");
        let hostile = "x'; drop table orders; select * from payroll --";
        let run = |parameters: Value| json!({ "selected_data_source_ids": [SHOP], "parameters": parameters });
        let answer = post(&app, &ada, &path, &run(json!({ "region": hostile, "extra": 1 }))).await;
        assert_eq!(answer.assert_status(200).text_at("message"), "Template executed successfully");
        assert_eq!((answer.field("data.status"), answer.field("data.template_id")), (&json!("completed"), &number));
        assert_eq!(script.ran().pop().unwrap(), ("select n from orders where region = $1".to_owned(), vec![json!(hostile)]));
        assert_eq!(get(&app, &ada, &format!("prompt-templates/{number}")).await.field("data.usage_count"), &json!(1));
        for parameters in [json!({}), json!({ "region": 7 }), json!({ "region": null })] {
            post(&app, &ada, &path, &run(parameters)).await.assert_error(400, "BAD_REQUEST");
        }
        let elsewhere = json!({ "selected_data_source_ids": [CLINIC], "parameters": { "region": "EU" } });
        post(&app, &ada, &path, &elsewhere).await.assert_error(400, "BAD_REQUEST");
        let unseen = json!({ "selected_data_source_ids": [999_999], "parameters": { "region": "EU" } });
        post(&app, &ada, &path, &unseen).await.assert_error(404, "NOT_FOUND");
        post(&app, &ada, &path, &json!({ "parameters": {} })).await.assert_error(422, "VALIDATION_ERROR");
        post(&app, &ada, "prompt-templates/999999/execute", &run(json!({}))).await.assert_error(404, "NOT_FOUND");
    }

    async fn system_templates_work_on_any_table_and_are_not_changed(engine: Engine) {
        let script = Script::new();
        let app = script.start(engine).await;
        let ada = owner(&app, ADA).await;
        let all = get(&app, &ada, "prompt-templates?is_system_template=true").await;
        let items = all.assert_status(200).field("data.items").as_array().unwrap().clone();
        assert!(items.len() >= 4 && items.iter().all(|item| item["is_system_template"] == true));
        for item in &items {
            let path = format!("prompt-templates/{}", item["id"]);
            let mut values = json!({ "table": "orders" });
            if item["parameters"].as_array().unwrap().len() > 1 {
                values["column"] = json!("total");
            }
            let run = json!({ "selected_data_source_ids": [SHOP], "parameters": values });
            let answer = post(&app, &ada, &format!("{path}/execute"), &run).await;
            assert_eq!(answer.assert_status(200).field("data.status"), "completed", "{}", answer.text);
            assert!(script.ran().pop().unwrap().0.contains("\"shop\".\"main\".\"orders\""));
            for table in ["payroll", "orders; drop table x", "\"orders\""] {
                let run = json!({ "selected_data_source_ids": [SHOP], "parameters": { "table": table, "column": "total" } });
                post(&app, &ada, &format!("{path}/execute"), &run).await.assert_error(400, "BAD_REQUEST");
            }
            patch(&app, &ada, &path, &json!({ "name": "Mine" })).await.assert_error(403, "FORBIDDEN");
            delete(&app, &ada, &path).await.assert_error(403, "FORBIDDEN");
        }
        assert_eq!(get(&app, &ada, &format!("prompt-templates/{}", items[0]["id"])).await.field("data.usage_count"), &json!(1));
    }

    async fn a_draft_is_its_creators_alone_to_run(engine: Engine) {
        let app = Script::new()
            .builder(engine)
            .settings(|settings| settings.quotas = Quotas { prompts: 1, ..Quotas::default() })
            .start()
            .await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let bob = member(&app, &manager, "bob@example.com", "backend").await;
        let mut draft = template("orders", json!([]));
        draft["is_public"] = json!(true);
        draft["status"] = json!("draft");
        let number = post(&app, &bob, "prompt-templates", &draft).await.field("data.id").clone();
        let run = json!({ "selected_data_source_ids": [SHOP], "save_prompt": true });
        let path = format!("prompt-templates/{number}/execute");
        let answer = post(&app, &bob, &path, &run).await;
        assert!(answer.assert_status(200).field("data.prompt_id").is_i64());
        post(&app, &ada, &path, &run).await.assert_error(404, "NOT_FOUND");
        // The organization has saved as many questions as it may.
        post(&app, &bob, &path, &run).await.assert_error(409, "CONFLICT");
    }
}

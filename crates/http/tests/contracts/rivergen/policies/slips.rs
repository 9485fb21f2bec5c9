//! A slip of the pen is refused or told: a policy that holds for nobody must not look like one that holds.

use serde_json::{Value, json};
use tidegate_testkit::{Answer, Engine, on_both_engines};

use super::wire::{
    ADA, Server, created, employees, filter, get, number_of, owner, patch, policy, post, start,
};

/// What is told of a policy that was written.
fn warnings(answer: &Answer) -> Vec<String> {
    let told = answer.field("data.warnings").as_array().unwrap();
    told.iter().map(|one| one.as_str().unwrap().to_owned()).collect()
}

fn mask(config: Value) -> Value {
    policy("Masked", "data_masking", "mask_column", config)
}

on_both_engines! {
    async fn a_field_that_there_is_not_is_refused_with_the_one_that_may_be_meant(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let mut misspelled = filter("P");
        misspelled["role_id"] = json!([4]);
        let refused = post(&app, &ada, "", &misspelled).await;
        refused.assert_error(422, "VALIDATION_ERROR");
        assert_eq!(refused.text_at("error.details.field"), "role_id");
        assert_eq!(refused.text_at("error.details.reason"), "is not known here; did you mean role_ids?");
        let mut rule = filter("P");
        rule["rules"][0]["is_activ"] = json!(false);
        let refused = post(&app, &ada, "", &rule).await;
        refused.assert_error(422, "VALIDATION_ERROR");
        assert_eq!(refused.text_at("error.details.field"), "rules.0.is_activ");
        assert_eq!(refused.text_at("error.details.reason"), "is not known here; did you mean is_active?");
        let partial = json!({ "table": "t", "column": "c", "masking_type": "partial" });
        for (wrong, right) in [("visible_sufix", "visible_suffix"), ("mask_chr", "mask_char")] {
            let mut config = partial.clone();
            config[wrong] = json!(4);
            let refused = post(&app, &ada, "", &mask(config)).await;
            refused.assert_error(400, "BAD_REQUEST");
            let told = format!("rules[0].rule_config.{wrong}: is not known here; did you mean {right}?");
            assert!(refused.text_at("error.message").starts_with(&told), "{}", refused.text);
        }
        assert_eq!(app.sql_count("select count(*) from policies").await, 0);
        let number = created(&app, &ada, &filter("P")).await;
        let assigned = post(&app, &ada, &format!("/{number}/assignments"), &json!({ "role_ids": [4], "data_source_id": null })).await;
        assigned.assert_error(422, "VALIDATION_ERROR");
        assert_eq!(assigned.text_at("error.details.reason"), "is not known here; did you mean role_id?");
    }

    async fn a_change_says_which_fields_of_the_policy_it_ignores(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let mut body = filter("P");
        body["role_ids"] = json!([1]);
        let path = format!("/{}", created(&app, &ada, &body).await);
        let misspelled = patch(&app, &ada, &path, &json!({ "name": "Q", "is_activ": false })).await;
        misspelled.assert_error(422, "VALIDATION_ERROR");
        assert_eq!(misspelled.text_at("error.details.reason"), "is not known here; did you mean is_active?");
        for (sent, target) in [("role_ids", "role_id"), ("user_id", "user_id"), ("groups", "group"), ("workspace_ids", "workspace_id")] {
            let refused = patch(&app, &ada, &path, &json!({ sent: [4] })).await;
            refused.assert_error(422, "VALIDATION_ERROR");
            assert_eq!(refused.text_at("error.details.field"), sent);
            let place = format!("POST /api/v1/policies/{{policy_id}}/assignments assigns a policy that is made, with {target}");
            assert_eq!(refused.text_at("error.details.reason"), format!("is not known here; {place}"));
        }
        let mut shown = get(&app, &ada, &path).await.field("data").clone();
        assert_eq!((&shown["name"], &shown["is_active"]), (&json!("P"), &json!(true)));
        // What a client was shown it may send back.
        let changed = patch(&app, &ada, &path, &json!({ "name": "Q", "type": "query_limit", "version": 7 })).await;
        assert_eq!(
            warnings(changed.assert_status(200)),
            ["type", "version"].map(|name| format!("{name} cannot be changed here and was ignored"))
        );
        shown["rules"] = json!([]);
        patch(&app, &ada, &path, &shown).await.assert_status(200);
        // Of rules nothing is ignored.
        let rule = json!({ "rule_name": "R", "rule_type": "filter_rows", "is_activ": false, "rule_config": { "table": "t", "condition": "a = 1" } });
        patch(&app, &ada, &path, &json!({ "rules": [rule] })).await.assert_error(422, "VALIDATION_ERROR");
        let emptied = patch(&app, &ada, &path, &json!({ "rules": [] })).await;
        assert_eq!(warnings(emptied.assert_status(200)), ["this policy has no rules: it changes nothing. Send rules."]);
    }

    async fn a_policy_that_holds_for_nobody_says_so(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let limit = policy("Few", "query_limit", "limit_query", json!({ "max_rows": 10 }));
        let made = post(&app, &ada, "", &limit).await;
        let told = warnings(made.assert_status(201));
        assert_eq!(told.len(), 1, "{told:?}");
        let begins = "this policy is assigned to nobody and has no workspace_id: it holds for no one. Send role_ids, user_ids, groups,";
        assert!(told[0].starts_with(begins), "{told:?}");
        let number = made.field("data.id").as_i64().unwrap();
        assert!(told[0].ends_with(&format!("POST /api/v1/policies/{number}/assignments.")), "{told:?}");
        let path = format!("/{number}");
        let changed = patch(&app, &ada, &path, &json!({ "name": "Still" })).await;
        assert_eq!(warnings(changed.assert_status(200)), told);
        post(&app, &ada, &format!("{path}/assignments"), &json!({ "role_id": 4, "is_active": false })).await.assert_status(201);
        let changed = patch(&app, &ada, &path, &json!({ "name": "Still" })).await;
        let inactive = warnings(changed.assert_status(200));
        assert!(inactive[0].starts_with("all assignments of this policy are inactive"), "{inactive:?}");
        post(&app, &ada, &format!("{path}/assignments"), &json!({ "role_id": 4 })).await.assert_status(201);
        let changed = patch(&app, &ada, &path, &json!({ "name": "Held" })).await;
        assert_eq!(warnings(changed.assert_status(200)), Vec::<String>::new());
        // In a workspace it holds without an assignment.
        let mut there = limit.clone();
        there["workspace_id"] = json!(app.sql_count("select number from workspaces").await);
        assert_eq!(warnings(post(&app, &ada, "", &there).await.assert_status(201)), Vec::<String>::new());
        there["rules"] = json!([]);
        let empty = warnings(post(&app, &ada, "", &there).await.assert_status(201));
        assert_eq!(empty, ["this policy has no rules: it changes nothing. Send rules."]);
    }

    async fn an_attribute_that_nobody_has_is_told(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        app.sql("update accounts set user_metadata = '{\"region\": \"EU\"}'").await;
        let by = |attribute: &str| {
            let condition = format!("region = {attribute}");
            let mut body = policy("P", "row_level_security", "filter_rows", json!({ "table": "*", "condition": condition }));
            body["role_ids"] = json!([4]);
            body
        };
        let misspelled = warnings(post(&app, &ada, "", &by("current_user_regoin")).await.assert_status(201));
        let said = |attribute: &str, hint: &str| {
            [format!(
                "rules[0]: nobody in the organization has the attribute {attribute}: every table is denied to everyone this policy is \
                 for{hint} Attributes are metadata of members, which a manager writes (PATCH /v1/accounts/individual/ with email and \
                 metadata), and claims that the operator defines ([oauth] claims)."
            )]
        };
        assert_eq!(misspelled, said("regoin", "; did you mean current_user_region?"));
        let unknown = warnings(post(&app, &ada, "", &by("current_user_clearance")).await.assert_status(201));
        assert_eq!(unknown, said("clearance", "."));
        for known in ["current_user_region", "current_user_Region", "current_user_email", "current_user_workspace_id"] {
            let told = warnings(post(&app, &ada, "", &by(known)).await.assert_status(201));
            assert_eq!(told, Vec::<String>::new(), "{known}");
        }
    }

    async fn a_group_that_nobody_is_in_is_told(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        app.sql("update accounts set user_metadata = '{\"groups\": [\"Sales\"]}'").await;
        let mut body = policy("Few", "query_limit", "limit_query", json!({ "max_rows": 10 }));
        body["groups"] = json!(["sales", "slaes"]);
        let told = warnings(post(&app, &ada, "", &body).await.assert_status(201));
        let begins = "nobody in the organization is in the group \"slaes\": by it this policy holds for no one. ";
        assert!(told.len() == 1 && told[0].starts_with(begins), "{told:?}");
    }

    async fn an_attribute_in_quotes_is_told(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        app.sql("update accounts set user_metadata = '{\"region\": \"EU\"}'").await;
        let by = |condition: &str| {
            let config = json!({ "table": "*", "column": "region", "operator": "equals", "condition": condition });
            let mut body = policy("P", "row_level_security", "filter_rows", config);
            body["role_ids"] = json!([4]);
            body
        };
        for condition in ["region = 'current_user_region'", "'current_user_region'", "region = lower('current_user_region')"] {
            let told = warnings(post(&app, &ada, "", &by(condition)).await.assert_status(201));
            let said = "rules[0]: 'current_user_region' is a text, because of its quotes; the attribute of that name is written without them.";
            assert_eq!(told, [said], "{condition}");
        }
        for condition in ["region = current_user_region", "'current_user_'", "region = 'a current_user_region'"] {
            let told = warnings(post(&app, &ada, "", &by(condition)).await.assert_status(201));
            assert_eq!(told, Vec::<String>::new(), "{condition}");
        }
    }

    async fn people_and_places_that_are_named_side_by_side_are_told_to_be_alternatives(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        app.sql("update accounts set user_metadata = '{\"groups\": [\"Sales\"]}'").await;
        let source = employees(&app, &ada, &server).await;
        let mut body = policy("Few", "query_limit", "limit_query", json!({ "max_rows": 10 }));
        body["role_ids"] = json!([4]);
        body["groups"] = json!(["sales"]);
        let mut made = post(&app, &ada, "", &body).await;
        assert_eq!(warnings(made.assert_status(201)), Vec::<String>::new());
        body["data_source_ids"] = json!([source]);
        made = post(&app, &ada, "", &body).await;
        let told = warnings(made.assert_status(201));
        let path = format!("/{}", made.field("data.id"));
        assert!(told.len() == 1 && told[0].starts_with("each number and group is an assignment by itself: "), "{told:?}");
        assert!(told[0].contains(&format!(" POST /api/v1/policies{path}/assignments, which takes both together")), "{told:?}");
        // What is assigned later was meant so.
        let both = json!({ "role_id": 4, "data_source_id": source });
        post(&app, &ada, &format!("{path}/assignments"), &both).await.assert_status(201);
        let changed = patch(&app, &ada, &path, &json!({ "name": "Still" })).await;
        assert_eq!(warnings(changed.assert_status(200)), Vec::<String>::new());
        body.as_object_mut().unwrap().retain(|name, _| !matches!(name.as_str(), "role_ids" | "groups"));
        made = post(&app, &ada, "", &body).await;
        assert_eq!(warnings(made.assert_status(201)), Vec::<String>::new());
    }

    async fn a_workspace_that_limits_no_assignment_is_told_where_there_is_another(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        app.sql("update accounts set user_metadata = '{\"groups\": [\"Sales\"]}'").await;
        let source = employees(&app, &ada, &server).await;
        let own = app.sql_count("select number from workspaces").await;
        let told = async |workspace: i64, targets: &Value| {
            let mut body = policy("Few", "query_limit", "limit_query", json!({ "max_rows": 10 }));
            body["workspace_id"] = json!(workspace);
            body.as_object_mut().unwrap().extend(targets.as_object().unwrap().clone());
            let made = post(&app, &ada, "", &body).await;
            warnings(made.assert_status(201))
        };
        // Clients send the only one with everything.
        assert_eq!(told(own, &json!({ "role_ids": [4] })).await, Vec::<String>::new());
        let key = app.database.sql_uuid(app.kernel().new_uuid());
        app.sql(&format!(
            "insert into workspaces (id, organization_id, name, slug, is_default, created_at)
             select {key}, organization_id, 'Vault', 'vault', (1 = 0), 0 from workspaces"
        ))
        .await;
        let vault = app.sql_count("select number from workspaces where slug = 'vault'").await;
        for targets in [json!({ "role_ids": [4] }), json!({ "groups": ["sales"] })] {
            let told = told(own, &targets).await;
            assert!(told.len() == 1 && told[0].starts_with("workspace_id limits no assignment: "), "{told:?}");
            let both = format!("{{\"role_id\": 4, \"workspace_id\": {own}}}.");
            assert!(told[0].ends_with(&both), "{told:?}");
        }
        // What is there already is limited by nothing more.
        for targets in [json!({}), json!({ "workspace_ids": [own] }), json!({ "data_source_ids": [source] })] {
            assert_eq!(told(own, &targets).await, Vec::<String>::new(), "{targets}");
        }
        assert_eq!(told(vault, &json!({ "data_source_ids": [source] })).await.len(), 1);
    }

    async fn a_rule_about_a_table_that_there_is_not_holds_as_soon_as_there_is_one(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let about = |table: &str| {
            let mut body = policy("P", "row_level_security", "filter_rows", json!({ "table": table, "condition": "region = 'EU'" }));
            body["role_ids"] = json!([1]);
            body
        };
        let misspelled = warnings(post(&app, &ada, "", &about("order")).await.assert_status(201));
        assert_eq!(
            misspelled,
            ["rules[0]: no table \"order\" is known; did you mean \"orders\"? Until there is one, this rule hides nothing; \
              it holds as soon as there is one."]
        );
        // A data source or a schema is no table, and neither is a table behind its data source.
        let tables = "did you mean one of the tables \"emp\", \"orders\", \"people\", \"recent\"?";
        for (written, what, meant) in [
            ("sales", format!("data source {source}"), tables),
            ("public", format!("the schema public of data source {source}"), tables),
            ("Sales.public", format!("the schema public of data source {source}"), tables),
            ("sales.emp", format!("a table of data source {source} without its schema"), "did you mean the table \"emp\"?"),
        ] {
            let told = warnings(post(&app, &ada, "", &about(written)).await.assert_status(201));
            assert_eq!(
                told,
                [format!(
                    "rules[0]: no table \"{written}\" is known: that is {what}; {meant} This rule holds for no table now, and hides nothing; \
                     it holds as soon as there is a table that is called so."
                )]
            );
        }
        let early = warnings(post(&app, &ada, "", &about("zzz")).await.assert_status(201));
        assert!(early[0].starts_with("rules[0]: no table \"zzz\" is known. Until there is one, this rule hides nothing"), "{early:?}");
        server.database.sql("create table zzz (id bigint primary key, region text)").await;
        let discover = app.post(&format!("/api/v1/data-sources/{source}/discover-schema?refresh=true"));
        discover.bearer(&ada.access_token).send().await.assert_status(200);
        let simulation = json!({ "user_id": number_of(&app, ADA).await, "data_source_id": source, "table": "zzz" });
        let seen = post(&app, &ada, "/simulate", &simulation).await;
        let filter = seen.assert_status(200).text_at("data.row_filter");
        assert!(filter.contains("EU"), "{}", seen.text);
    }

    async fn a_rule_that_looks_for_a_table_in_another_place_is_told_where_it_is(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let denies = async |config: Value, workspace: Value| {
            let mut body = policy("P", "access_control", "deny_access", config);
            match workspace {
                Value::Null => body["role_ids"] = json!([1]),
                number => body["workspace_id"] = number,
            }
            let told = warnings(post(&app, &ada, "", &body).await.assert_status(201));
            assert!(told.len() < 2, "{told:?}");
            told.first().cloned().unwrap_or_default()
        };
        let none = Value::Null;
        // The data source in the place of the schema, of one table and of all.
        let told = denies(json!({ "schema": "sales", "table": "emp" }), none.clone()).await;
        let place = format!("\"public.emp\" of data source {source} is in another schema than it names. It holds for no table now, and denies nothing");
        assert!(told.contains(&place), "{told}");
        let told = denies(json!({ "schema": "sales" }), none.clone()).await;
        let begins = format!("rules[0]: no schema \"sales\" is known: that is data source {source}, which has \"public\". Of data sources");
        assert!(told.starts_with(&begins) && told.contains("this rule denies nothing now"), "{told}");
        let told = denies(json!({ "schema": "nowhere" }), none.clone()).await;
        assert!(told.starts_with("rules[0]: no schema \"nowhere\" is known. Of data sources"), "{told}");
        for right in [json!({ "schema": "Public" }), json!({ "schema": "public", "table": "emp" }), json!({ "table": "public.emp" })] {
            assert_eq!(denies(right.clone(), none.clone()).await, "", "{right}");
        }
        // A policy of a workspace is about the data sources there.
        let key = app.database.sql_uuid(app.kernel().new_uuid());
        app.sql(&format!(
            "insert into workspaces (id, organization_id, name, slug, is_default, created_at)
             select {key}, organization_id, 'Vault', 'vault', (1 = 0), 0 from workspaces"
        )).await;
        let vault = app.sql_count("select number from workspaces where slug = 'vault'").await;
        let told = denies(json!({ "table": "emp" }), json!(vault)).await;
        assert!(told.contains(&format!("\"public.emp\" is of data source {source}, which this policy is not about.")), "{told}");
        // The store does not know all capitals.
        app.sql("update data_schemas set name = 'Äußeres'; update data_tables set schema_name = 'Äußeres'").await;
        assert_eq!(denies(json!({ "schema": "Äußeres" }), none).await, "");
    }

    async fn a_table_that_a_policy_does_not_fit_is_told_those_who_write_policies(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let ada = owner(&app, ADA).await;
        let source = employees(&app, &ada, &server).await;
        let about = |table: &str| {
            let mut body = policy("P", "row_level_security", "filter_rows", json!({ "table": table, "condition": "region = 'EU'" }));
            body["role_ids"] = json!([4]);
            body
        };
        let named = created(&app, &ada, &about("emp")).await;
        let discover = async || {
            let request = app.post(&format!("/api/v1/data-sources/{source}/discover-schema?refresh=true"));
            request.bearer(&ada.access_token).send().await
        };
        let fits = discover().await;
        assert_eq!(fits.assert_status(200).field("data").get("warnings"), None, "{}", fits.text);
        assert_eq!(warnings(&get(&app, &ada, &format!("/{named}")).await), Vec::<String>::new());
        // Later its column goes.
        server.database.sql("alter table emp rename column region to area").await;
        let begins = format!("policy {named} does not fit emp of data source {source}, which it denies: ");
        let mut told = warnings(discover().await.assert_status(200));
        let gone = told.pop().unwrap();
        assert!(gone.starts_with("Gone since the last discovery: column public.emp.region."), "{gone}");
        assert!(gone.contains(" Perhaps renamed, as a new column has its type: public.emp.region to area. "), "{gone}");
        assert!(told.len() == 1 && told[0].starts_with(&begins) && told[0].contains("no column region"), "{told:?}");
        assert_eq!(warnings(&get(&app, &ada, &format!("/{named}")).await), told);
        // One for every table is for those that were there before it, too.
        let every = created(&app, &ada, &about("*")).await;
        let told = warnings(discover().await.assert_status(200));
        let begins = format!("policy {every} does not fit people of data source {source}, which it denies: ");
        assert!(told.iter().any(|one| one.starts_with(&begins)), "{told:?}");
        // What holds for nobody denies nothing.
        for number in [named, every] {
            patch(&app, &ada, &format!("/{number}"), &json!({ "is_active": false })).await.assert_status(200);
        }
        let none = discover().await;
        assert_eq!(none.assert_status(200).field("data").get("warnings"), None, "{}", none.text);
    }
}

//! What holds for a person, as whoever runs queries asks for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tidegate_domain::Role;
use tidegate_identity::IdentityTables;
use tidegate_policies::governed::governance::{Asker, Governance};
use tidegate_policy::{Attribute, Column, ColumnType, Decision, Relation, Resolved};
use tidegate_testkit::{Engine, Node, Person, TestApp, on_both_engines};

use super::wire::{
    ADA, Server, account_of, asker, created, delete, employees, member, number_of, owner, patch, policy,
    post, signed_in, start,
};
use crate::rivergen::data_sources::wire as sources;

fn emp() -> Relation {
    let columns = vec![Column::new("region", ColumnType::Text), Column::new("ssn", ColumnType::Text)];
    Relation { source: 1, schema: None, table: "emp".to_owned(), columns }
}

async fn governance(app: &TestApp, asker: &Asker) -> Governance {
    app.policies().governance(asker).await.unwrap().unwrap()
}

async fn resolved(app: &TestApp, asker: &Asker) -> Resolved {
    governance(app, asker).await.resolve(&emp(), None, app.kernel().now())
}

async fn resolved_on(node: &Node, app: &TestApp, asker: &Asker) -> Resolved {
    let governance = node.policies.governance(asker).await.unwrap().unwrap();
    governance.resolve(&emp(), None, app.kernel().now())
}

/// What stands for all that somebody sees, on this node and others; once where it is the same.
async fn fingerprints(app: &TestApp, others: &[Node], asker: &Asker) -> Vec<String> {
    let mut all = vec![governance(app, asker).await.fingerprint().unwrap()];
    for node in others {
        let there = node.policies.governance(asker).await.unwrap().unwrap();
        all.push(there.fingerprint().unwrap());
    }
    all.dedup();
    all
}

/// Has a manager write somebody's metadata.
async fn describe(app: &TestApp, manager: &Person, email: &str, metadata: serde_json::Value) {
    let request = app.client().patch("/v1/accounts/individual/").bearer(&manager.access_token);
    let answer = request.json(&json!({ "email": email, "metadata": metadata })).send().await;
    assert!(answer.status < 300, "{} {}", answer.status, answer.text);
}

/// A filter by region for everybody whose role has that number.
fn by_region(role: i64) -> serde_json::Value {
    let config = json!({ "table": "emp", "condition": "region = current_user_region" });
    let mut body = policy("Region", "row_level_security", "filter_rows", config);
    body["role_ids"] = json!([role]);
    body
}

on_both_engines! {
    async fn a_change_holds_at_once_here_and_soon_on_other_nodes(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let node = app.another_node().await;
        let asker = asker(&app, ADA).await;
        assert!(resolved(&app, &asker).await.is_whole() && resolved_on(&node, &app, &asker).await.is_whole());
        let masks = json!({ "table": "emp", "column": "ssn", "masking_type": "hash" });
        let mut body = policy("Masks", "data_masking", "mask_column", masks);
        body["user_ids"] = json!([number_of(&app, ADA).await]);
        let number = created(&app, &ada, &body).await;
        assert!(resolved(&app, &asker).await.masks.contains_key("ssn"), "at once");
        app.advance(Duration::from_secs(3));
        assert!(resolved_on(&node, &app, &asker).await.masks.contains_key("ssn"), "after three seconds");
        for change in [json!({ "is_active": false }), json!({ "is_active": true, "rules": [] })] {
            patch(&app, &ada, &format!("/{number}"), &change).await.assert_status(200);
            assert!(resolved(&app, &asker).await.is_whole(), "{change}");
        }
        let rule = json!({ "rules": body["rules"] });
        patch(&app, &ada, &format!("/{number}"), &rule).await.assert_status(200);
        let masked = resolved(&app, &asker).await;
        assert_eq!(masked.masks["ssn"].policy.version, 4);
        let assignment = crate::rivergen::policies::wire::get(&app, &ada, &format!("/{number}")).await.field("data.assignments.0.id").clone();
        delete(&app, &ada, &format!("/{number}/assignments/{assignment}")).await.assert_status(200);
        assert!(resolved(&app, &asker).await.is_whole());
        post(&app, &ada, &format!("/{number}/assignments"), &json!({ "role_id": 1 })).await.assert_status(201);
        assert!(!resolved(&app, &asker).await.is_whole());
        delete(&app, &ada, &format!("/{number}")).await.assert_status(200);
        assert!(resolved(&app, &asker).await.is_whole());
        app.advance(Duration::from_secs(3));
        assert!(resolved_on(&node, &app, &asker).await.is_whole());
    }

    async fn a_policy_that_takes_the_place_of_another_leaves_no_moment_without_any(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        let asker = asker(&app, ADA).await;
        let mut body = policy("Masks", "data_masking", "mask_column", json!({ "table": "emp", "column": "ssn", "masking_type": "null" }));
        body["role_ids"] = json!([1]);
        let mut number = created(&app, &ada, &body).await;
        let done = AtomicBool::new(false);
        let change = async {
            for _ in 0..40 {
                let next = created(&app, &ada, &body).await;
                delete(&app, &ada, &format!("/{number}")).await.assert_status(200);
                number = next;
            }
            done.store(true, Ordering::Release);
        };
        let read = async {
            let mut read = 0;
            while !done.load(Ordering::Acquire) {
                // Too busy is an answer; nothing at all is not.
                if let Ok(governance) = app.policies().governance(&asker).await {
                    let seen = governance.unwrap().resolve(&emp(), None, app.kernel().now());
                    assert!(seen.masks.contains_key("ssn"), "{seen:?}");
                    read += 1;
                }
                tokio::task::yield_now().await;
            }
            read
        };
        let ((), read) = tokio::join!(change, read);
        assert!(read > 0);
    }

    async fn what_a_person_is_comes_from_their_account_and_their_home_organization(engine: Engine) {
        let app = start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let email = "viewer@example.com";
        member(&app, &manager, email, "demo_viewer").await;
        created(&app, &ada, &by_region(4)).await;
        let asker = asker(&app, email).await;
        assert!(matches!(resolved(&app, &asker).await.decision, Decision::Denied(_)), "no region, no rows");
        describe(&app, &manager, email, json!({ "region": "O'Brien", "role": "owner", "id": 1, "groups": ["Sales"] })).await;
        let governance = governance(&app, &asker).await;
        let attribute = |name: &str| governance.subject().attributes.get(name).cloned();
        assert_eq!(attribute("role"), Some(Attribute::Text("viewer".to_owned())), "metadata does not say who one is");
        assert_eq!(attribute("id"), Some(Attribute::Number(number_of(&app, email).await.to_string())));
        assert_eq!(attribute("email"), Some(Attribute::Text(email.to_owned())));
        assert_eq!(attribute("groups"), Some(Attribute::List(vec![Attribute::Text("Sales".to_owned())])));
        let filtered = resolved(&app, &asker).await;
        assert_eq!(filtered.filter.unwrap().to_string(), "\"region\" = 'O''Brien'");
        // A changed attribute holds at once, too.
        describe(&app, &manager, email, json!({ "region": "EU" })).await;
        assert_eq!(resolved(&app, &asker).await.filter.unwrap().to_string(), "\"region\" = 'EU'");
        // What the managers of another organization wrote says nothing here.
        app.sql("update memberships set is_home = (1 = 0) where role = 'viewer'").await;
        app.advance(Duration::from_secs(3));
        assert!(matches!(resolved(&app, &asker).await.decision, Decision::Denied(_)));
    }

    async fn who_is_no_member_may_read_nothing(engine: Engine) {
        let app = start(engine).await;
        owner(&app, ADA).await;
        owner(&app, "eve@example.com").await;
        let mut asker = asker(&app, ADA).await;
        asker.account = account_of(&app, "eve@example.com").await;
        assert!(app.policies().governance(&asker).await.unwrap().is_none());
    }

    async fn a_workspace_that_is_not_the_persons_counts_as_none(engine: Engine) {
        let app = start(engine).await;
        let ada = owner(&app, ADA).await;
        owner(&app, "eve@example.com").await;
        let mut asker = asker(&app, ADA).await;
        let own = app.sql_count("select min(number) from workspaces").await;
        let other = app.sql_count("select max(number) from workspaces").await;
        let mut body = policy("Few", "query_limit", "limit_query", json!({ "max_rows": 5 }));
        body["workspace_id"] = json!(own);
        created(&app, &ada, &body).await;
        for (workspace, limited) in [(Some(own), true), (Some(other), false), (None, false)] {
            asker.workspace = workspace;
            assert_eq!(resolved(&app, &asker).await.limits.max_rows.is_some(), limited, "{workspace:?}");
        }
        // Nobody evades a policy of a workspace by asking elsewhere: that of the data source counts, too.
        let governance = governance(&app, &asker).await;
        assert!(governance.resolve(&emp(), Some(own), app.kernel().now()).limits.max_rows.is_some());
        assert!(governance.concerns_source(1, Some(own)) && !governance.concerns_source(1, Some(other)));
    }

    // Whether a workspace is somebody's is remembered, and is another answer for another role, person and workspace.
    async fn a_workspace_is_the_persons_for_as_long_as_it_is(engine: Engine) {
        let app = start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let email = "viewer@example.com";
        member(&app, &manager, email, "demo_viewer").await;
        let (owner, viewer) = (asker(&app, ADA).await, asker(&app, email).await);
        assert_eq!(owner.organization, viewer.organization);
        let organization = app.database.sql_uuid(viewer.organization.0);
        app.sql(&format!(
            "insert into workspaces (id, organization_id, name, slug, is_default, created_at)
             values ({}, {organization}, 'Vault', 'vault', (1 = 0), 0)",
            app.database.sql_uuid(app.kernel().new_uuid()),
        ))
        .await;
        let number = async |which: &str| {
            app.sql_count(&format!("select number from workspaces where organization_id = {organization} and {which}")).await
        };
        let (vault, landing) = (number("slug = 'vault'").await, number("slug <> 'vault'").await);
        for workspace in [vault, landing] {
            let mut body = policy("Few", "query_limit", "limit_query", json!({ "max_rows": workspace }));
            body["workspace_id"] = json!(workspace);
            created(&app, &ada, &body).await;
        }
        // The number of rows tells in which workspace somebody was found to be.
        let found = async |asker: &Asker, workspace: i64| {
            let asker = Asker { workspace: Some(workspace), ..asker.clone() };
            resolved(&app, &asker).await.limits.max_rows.map(|limited| limited.value)
        };
        let (in_vault, in_landing) = (u64::try_from(vault).ok(), u64::try_from(landing).ok());
        for _ in 0..2 {
            assert_eq!((found(&viewer, vault).await, found(&viewer, landing).await), (None, in_landing));
            assert_eq!((found(&owner, vault).await, found(&owner, landing).await), (in_vault, in_landing));
        }
        let become_a = async |role: Role| {
            let mut unit = app.kernel().store.begin().await.unwrap();
            unit.members().set_role(viewer.organization, viewer.account, role).await.unwrap();
            unit.commit().await.unwrap();
        };
        become_a(Role::Admin).await;
        assert_eq!(found(&viewer, vault).await, in_vault, "at once");
        become_a(Role::Viewer).await;
        assert_eq!(found(&viewer, vault).await, None, "at once");
        let account = app.database.sql_uuid(viewer.account.0);
        app.sql(&format!(
            "delete from membership_workspaces where membership_id in (select id from memberships where account_id = {account})"
        ))
        .await;
        app.advance(Duration::from_secs(3));
        assert_eq!((found(&viewer, landing).await, found(&owner, landing).await), (None, in_landing));
    }

    async fn a_fingerprint_follows_what_is_seen_on_every_node(engine: Engine) {
        let app = start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let email = "viewer@example.com";
        member(&app, &manager, email, "demo_viewer").await;
        let others = [app.another_node().await, app.another_node().await];
        let viewer = asker(&app, email).await;
        let here = async || governance(&app, &viewer).await.fingerprint().unwrap();
        let mut seen = fingerprints(&app, &others, &viewer).await;
        assert_eq!(seen.len(), 1, "the same everywhere");
        let masks = json!({ "table": "emp", "column": "ssn", "masking_type": "null" });
        let number = created(&app, &ada, &policy("Masks", "data_masking", "mask_column", masks)).await;
        let path = format!("/{number}");
        let other = json!({ "rules": [{ "rule_name": "R", "rule_type": "mask_column",
            "rule_config": { "table": "emp", "column": "ssn", "masking_type": "hash" } }] });
        for change in [None, Some(other), Some(json!({ "priority": 7 })), Some(json!({ "is_active": false }))] {
            if let Some(change) = &change {
                patch(&app, &ada, &path, change).await.assert_status(200);
            }
            let last = seen.last().unwrap().clone();
            assert_ne!(here().await, last, "at once: {change:?}");
            app.advance(Duration::from_secs(3));
            let now = fingerprints(&app, &others, &viewer).await;
            assert_eq!(now, [here().await], "{change:?}");
            seen.extend(now);
        }
        assert_eq!(seen.first(), seen.last(), "without a policy again");
        describe(&app, &manager, email, json!({ "region": "EU" })).await;
        assert_ne!(seen.first(), Some(&here().await), "an attribute, at once");
        let owner = asker(&app, ADA).await;
        assert_ne!(governance(&app, &owner).await.fingerprint(), Some(here().await), "another person");
        let hours = json!({ "table": "emp", "time_window": { "start": "09:00", "end": "17:00" } });
        created(&app, &ada, &policy("Hours", "access_control", "allow_access", hours)).await;
        assert_eq!(governance(&app, &viewer).await.fingerprint(), None, "it depends on the time");
    }

    async fn hashes_are_of_the_organization_and_stay(engine: Engine) {
        let app = start(engine).await;
        let masks = json!({ "table": "emp", "column": "ssn", "masking_type": "hash" });
        for email in [ADA, "eve@example.com"] {
            let who = owner(&app, email).await;
            created(&app, &who, &policy("Masks", "data_masking", "mask_column", masks.clone())).await;
        }
        let (first, second) = (asker(&app, ADA).await, asker(&app, "eve@example.com").await);
        let hash = governance(&app, &first).await.hash(b"123-45-6789");
        assert_ne!(hash, governance(&app, &second).await.hash(b"123-45-6789"));
        let node = app.another_node().await;
        let there = node.policies.governance(&first).await.unwrap().unwrap();
        assert_eq!(hash, there.hash(b"123-45-6789"));
        assert_eq!(app.sql_count("select count(*) from policy_hash_keys").await, 2);
    }

    async fn where_the_operator_says_so_nobody_reads_without_a_policy(engine: Engine) {
        let app = TestApp::builder(engine)
            .without_limits()
            .data(|data| data.default_access = tidegate_catalog::DefaultAccess::Deny)
            .start()
            .await;
        let ada = owner(&app, ADA).await;
        let asker = asker(&app, ADA).await;
        assert!(matches!(resolved(&app, &asker).await.decision, Decision::Denied(_)));
        let mut body = policy("Open", "access_control", "allow_access", json!({ "table": "emp", "columns": ["region"] }));
        body["role_ids"] = json!([1]);
        created(&app, &ada, &body).await;
        let open = resolved(&app, &asker).await;
        assert_eq!(open.decision, Decision::Allowed);
        assert!(open.hidden.contains_key("ssn") && !open.hidden.contains_key("region"));
    }

    /// Denied and unknown are the same, also where tables are listed. Who writes policies knows all names.
    async fn names_that_are_denied_are_in_no_schema(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let viewer = member(&app, &manager, "viewer@example.com", "demo_viewer").await;
        let source = employees(&app, &ada, &server).await;
        for config in [json!({ "table": "people" }), json!({ "table": "emp", "columns": ["ssn"] })] {
            let mut body = policy("Denied", "access_control", "deny_access", config);
            body["role_ids"] = json!([1, 4]);
            created(&app, &ada, &body).await;
        }
        let schemas = async |who: &Person, query: &str| {
            let path = format!("/api/v1/data-sources/{source}/schemas{query}");
            let answer = app.get(&path).bearer(&who.access_token).send().await;
            answer.assert_status(200).field("data.schemas").clone()
        };
        let seen = schemas(&viewer, "").await;
        let text = seen.to_string();
        assert!(!text.contains("people") && !text.contains("ssn") && text.contains("salary"), "{text}");
        let tables = seen[0]["tables"].as_array().unwrap();
        let emp = tables.iter().find(|table| table["table_name"] == "emp").unwrap();
        let positions: Vec<_> = emp["columns"].as_array().unwrap().iter().map(|one| &one["column_position"]).collect();
        assert_eq!(positions, [1, 2, 3, 4, 5], "no gap tells of a column");
        // As a table that there is not.
        assert_eq!(schemas(&viewer, "?table_name=people").await, json!([]));
        assert_eq!(schemas(&viewer, "?table_name=nowhere").await, json!([]));
        let all = schemas(&ada, "").await.to_string();
        assert!(all.contains("people") && all.contains("ssn"), "{all}");
    }

    /// Who makes data sources need not know all that is in them: what a discovery counts is what the list shows, found anew or known.
    async fn a_discovery_counts_what_the_caller_may_know_of(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let developer = member(&app, &manager, "dev@example.com", "backend").await;
        let source = employees(&app, &ada, &server).await;
        let discovered = async |who: &Person, query: &str| {
            let path = format!("/api/v1/data-sources/{source}/discover-schema{query}");
            app.post(&path).bearer(&who.access_token).send().await.assert_status(200).field("data").clone()
        };
        // Counted in the list of tables.
        let listed = async |who: &Person| {
            let path = format!("/api/v1/data-sources/{source}/schemas");
            let answer = app.get(&path).bearer(&who.access_token).send().await;
            let schemas = answer.assert_status(200).field("data.schemas").as_array().unwrap().clone();
            let tables: Vec<Value> =
                schemas.iter().flat_map(|schema| schema["tables"].as_array().unwrap().clone()).collect();
            let views = tables.iter().filter(|table| table["table_type"] == "VIEW").count();
            let columns: usize = tables.iter().map(|table| table["columns"].as_array().unwrap().len()).sum();
            (schemas.len(), tables.len() - views, columns)
        };
        let told = |data: &Value| {
            let count = |name: &str| usize::try_from(data[name].as_u64().unwrap()).unwrap();
            (data["schemas_discovered"].as_array().unwrap().len(), count("total_tables"), count("total_columns"))
        };
        let whole = discovered(&ada, "").await;
        assert_eq!(told(&discovered(&developer, "").await), told(&whole));
        for config in [json!({ "table": "people" }), json!({ "table": "emp", "columns": ["ssn"] })] {
            let mut body = policy("Denied", "access_control", "deny_access", config);
            body["role_ids"] = json!([3]);
            created(&app, &ada, &body).await;
        }
        for query in ["", "?refresh=true"] {
            let data = discovered(&developer, query).await;
            assert_eq!(told(&data), listed(&developer).await, "{query} {data}");
            assert!(told(&data).1 < told(&whole).1 && told(&data).2 < told(&whole).2, "{query} {data}");
            // Of those who may know of all, and by schema.
            assert_eq!(told(&discovered(&ada, query).await), told(&whole));
            let in_schemas = |data: &Value| -> u64 {
                let schemas = data["schemas_discovered"].as_array().unwrap();
                schemas.iter().map(|schema| schema["tables_count"].as_u64().unwrap()).sum()
            };
            assert_eq!(Some(in_schemas(&data)), data["total_tables"].as_u64());
        }
    }

    // The attack: whom a policy denies all tables of a schema asks for it by a name that they guess.
    async fn a_schema_that_is_hidden_is_discovered_like_one_that_is_not_there(engine: Engine) {
        let (app, server) = (start(engine).await, Server::start().await);
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let developer = member(&app, &manager, "dev@example.com", "backend").await;
        let source = employees(&app, &ada, &server).await;
        server.database.sql("create schema payroll; create table payroll.salaries (id bigint)").await;
        let discovered = async |who: &Person, query: &str| {
            let path = format!("/api/v1/data-sources/{source}/discover-schema?{query}");
            app.post(&path).bearer(&who.access_token).send().await.assert_status(200).field("data").clone()
        };
        let whole = discovered(&ada, "refresh=true").await.to_string();
        assert!(whole.contains("payroll"), "{whole}");
        let mut body = policy("Denied", "access_control", "deny_access", json!({ "table": "salaries" }));
        body["role_ids"] = json!([3]);
        created(&app, &ada, &body).await;
        app.advance(Duration::from_secs(60));
        let hidden = discovered(&developer, "schema_name=payroll").await;
        let absent = discovered(&developer, "schema_name=nowhere").await;
        for name in ["schemas_discovered", "total_tables", "total_columns", "discovered_at"] {
            assert_eq!(hidden[name], absent[name], "{name}: {hidden} {absent}");
        }
        let mut listed = Vec::new();
        for name in ["payroll", "nowhere"] {
            let path = format!("/api/v1/data-sources/{source}/schemas?schema_name={name}");
            let answer = app.get(&path).bearer(&developer.access_token).send().await;
            listed.push(answer.assert_status(200).field("data").clone());
        }
        assert_eq!(listed[0], listed[1]);
        // What they see is known since then.
        assert_ne!(discovered(&developer, "").await["discovered_at"], absent["discovered_at"]);
        // Which schemas there are is told where one is not found, and not to them.
        assert_eq!((hidden.get("warnings"), absent.get("warnings")), (None, None));
        let told = discovered(&ada, "schema_name=nowhere").await["warnings"][0].clone();
        assert!(told.as_str().unwrap().contains("payroll"), "{told}");
        let change = json!({ "schema_name": "nowhere" });
        sources::patch(&app, &ada, &format!("/{source}"), &change).await.assert_status(200);
        for (who, is_told) in [(&developer, false), (&ada, true)] {
            let tested = sources::post(&app, who, &format!("/{source}/test")).await;
            let told = tested.assert_status(200).text_at("data.error_message");
            assert!(told.contains("no schema \"nowhere\"") && told.contains("payroll") == is_told, "{told}");
        }
    }
}

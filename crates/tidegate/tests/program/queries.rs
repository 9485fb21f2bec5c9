//! `tidegate query`: what a member sees, on the way of their own queries.

use serde_json::{Value, json};
use tidegate_testkit::on_both_engines;

use crate::member::{self, ADA};
use crate::support::{Installation, Server};

const CSV: &str =
    "id,region,phone,amount\n1,EU,030-1234567,19.90\n2,US,212-5550100,5.00\n3,EU,040-7654321,7.25\n";

/// Only rows of the EU, and of their phones the last four digits. Answers the number of the first.
async fn policies(server: &Server, token: &str) -> i64 {
    let mut numbers = Vec::new();
    for (kind, rule, config) in [
        ("row_level_security", "filter_rows", json!({ "table": "*", "condition": "region = 'EU'" })),
        (
            "data_masking",
            "mask_column",
            json!({ "table": "*", "column": "phone", "masking_type": "partial", "visible_suffix": 4 }),
        ),
        ("query_limit", "limit_query", json!({ "max_queries_per_hour": 1 })),
    ] {
        let body = json!({
            "name": kind, "type": kind, "role_ids": [1, 2, 3, 4],
            "rules": [{ "rule_name": "r", "rule_type": rule, "rule_config": config }],
        });
        numbers.push(member::post(server, token, "policies", &body).await["id"].as_i64().unwrap());
    }
    numbers[0]
}

/// What a policy decided, newest first.
async fn decided(server: &Server, token: &str, policy: i64) -> Vec<Value> {
    let path = format!("{}/api/v1/policies/{policy}/evaluations", server.base);
    let answer = server.http.get(path).bearer_auth(token).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer["data"]["items"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

on_both_engines! {
    async fn an_operator_sees_what_a_member_sees(here: Installation) {
        let server = here.serve(&[]);
        let token = member::token(&here, &server).await;
        let source = member::csv_source(&here, &server, &token, "My orders", CSV).await;
        let number = source.to_string();
        let filter = policies(&server, &token).await;
        let table = here.json(&["source", "show", &number])["slug"].as_str().unwrap().to_owned();
        let tables = here.json(&["query", "--as", ADA, "--source", &number, "select table_name from information_schema.tables"]);
        let name = tables["rows"][0]["table_name"].as_str().unwrap_or_else(|| panic!("{table}: {tables}")).to_owned();
        let query = |rest: &[&str], sql: &str| {
            let sql = sql.replace("orders", &format!("\"{name}\""));
            here.run(&[&["query", "--as", ADA, "--source"], rest, &[&sql]].concat())
        };
        // More often than their limit allows: it is not theirs that counts.
        let rows = query(&["My orders", "--json"], "select id, phone from orders order by id").json();
        assert_eq!(rows["rows"], json!([{ "id": 1, "phone": "*******4567" }, { "id": 3, "phone": "*******4321" }]), "{rows}");
        assert_eq!((&rows["row_count"], &rows["columns"][0]), (&json!(2), &json!({ "name": "id", "type": "integer" })));
        // Which policies changed them is the operator's to know, whatever the form.
        let relation = format!("{table}.main.{name}");
        let filters = format!("For this member policy {filter} filters {relation}: \"region\" = 'EU'.");
        let masks = format!("For this member policy {} masks {relation}: phone.", filter + 1);
        assert_eq!(rows["policies"], json!([filters, masks]), "{rows}");
        let csv = query(&[&table, "--format", "csv"], "select id, region from orders order by id");
        assert_eq!((csv.code, csv.out.as_str()), (0, "id,region\n1,EU\n3,EU\n"), "{csv:?}");
        assert!(csv.err.contains(&filters) && !csv.err.contains(" masks "), "{csv:?}");
        let lines = query(&[&number, "--format", "jsonl", "--parameter", "2"], "select id from orders where id > $1");
        assert_eq!((lines.code, lines.out.as_str()), (0, "{\"id\":3}\n"), "{lines:?}");
        let shown = query(&[&number], "select id, region from orders where id = 1");
        assert_eq!((shown.code, shown.out.as_str()), (0, "id  region\n1   EU\n\n1 row\n"), "{shown:?}");
        assert!(shown.err.contains(&filters) && !shown.err.contains("No row"), "{shown:?}");
        // What was decided is on record when the program ends, as the operator's.
        let records = decided(&server, &token, filter).await;
        assert_eq!(records.len(), 4, "{records:?}");
        for record in &records {
            assert_eq!((&record["metadata"]["purpose"], &record["query_id"]), (&json!("operator"), &Value::Null), "{record}");
            assert_eq!((&record["action_taken"], &record["ip_address"]), (&json!("filtered_rows"), &json!("")), "{record}");
        }
        assert_eq!(records[3]["evaluation_details"]["rows_returned"], 2, "{records:?}");
        // A parameter is a value, never text of the statement.
        let none = query(&[&number, "--parameter", "x' or '1'='1", "--json"], "select id from orders where region = $1").json();
        assert_eq!(none["rows"], json!([]), "{none}");
        // Of the rows that policies hide the answer has none, and why is said.
        let hidden = query(&[&number], "select id from orders where region = 'US'");
        assert!(hidden.out.ends_with("0 rows\n"), "{hidden:?}");
        let said = format!("No row, and policies change what this member sees:\n{filters}");
        assert!(hidden.err.contains(&said), "{hidden:?}");
        for (sql, code) in [("select no from orders", "unknown_column"), ("drop table orders", "statement_not_allowed"), ("select", "syntax")] {
            let refused = query(&[&number, "--json"], sql);
            assert_eq!((refused.code, refused.json()["error"]["code"].as_str()), (1, Some(code)), "{refused:?}");
        }
        let unknown = query(&["elsewhere", "--json"], "select 1");
        assert_eq!((unknown.code, unknown.json()["error"]["code"].as_str()), (1, Some("not_found")), "{unknown:?}");
        let nobody = here.run(&["query", "--as", "eve@example.com", "--source", &number, "--json", "select 1"]);
        assert_eq!((nobody.code, nobody.json()["error"]["code"].as_str()), (1, Some("not_found")), "{nobody:?}");
        assert_eq!(here.run(&["query", "--as", ADA, "select 1"]).code, 2, "without a data source");
        // Each is in the audit log with its statement, also those that were refused; none is an execution of hers.
        let exported = here.json(&["user", "export", ADA]);
        let events = exported["audit_events"].as_array().unwrap();
        let looked: Vec<&Value> = events.iter().filter(|event| event["action"] == "data.queried_as_member").collect();
        assert_eq!(looked.len(), 10, "{looked:?}");
        assert!(looked.iter().any(|event| event.to_string().contains("drop table")), "{looked:?}");
        // Decimals have the digits of their type where people read them; in JSON they are numbers.
        let exact = "select cast(amount as decimal(10, 2)) as amount from orders where id = 1";
        let shown = query(&[&number], exact);
        assert_eq!((shown.code, shown.out.as_str()), (0, "amount\n19.90\n\n1 row\n"), "{shown:?}");
        assert_eq!(query(&[&number, "--json"], exact).json()["rows"], json!([{ "amount": 19.9 }]));
        // What is misspelled stands beside what may have been meant.
        let misspelled = query(&[&number], "select amout from orders");
        assert!(misspelled.err.contains("Nearest: amount"), "{misspelled:?}");
        let body = json!({ "sql": format!("select count(*) as n from \"{name}\""), "selected_data_source_ids": [source] });
        let own = member::post(&server, &token, "queries/execute", &body).await;
        assert_eq!(own["result_preview"], json!([{ "n": 2 }]), "{own}");
        server.stop();
    }

    async fn an_operator_is_told_which_policy_denies_what_a_member_asks_for(here: Installation) {
        let server = here.serve(&[]);
        let token = member::token(&here, &server).await;
        let source = member::csv_source(&here, &server, &token, "My orders", CSV).await;
        let number = source.to_string();
        let arguments = ["query", "--as", ADA, "--source", number.as_str()];
        let tables = here.json(&[&arguments[..], &["select table_name from information_schema.tables"]].concat());
        let name = tables["rows"][0]["table_name"].as_str().unwrap_or_else(|| panic!("{tables}")).to_owned();
        let sql = format!("select id from \"{name}\"");
        let body = json!({
            "name": "att", "type": "row_level_security", "role_ids": [1, 2, 3, 4],
            "rules": [{
                "rule_name": "r", "rule_type": "filter_rows",
                "rule_config": { "table": "*", "condition": "region = current_user_region" },
            }],
        });
        let policy = member::post(&server, &token, "policies", &body).await["id"].clone();
        let refused = here.run(&[&arguments[..], &["--json", sql.as_str()]].concat());
        assert_eq!((refused.code, refused.json()["error"]["code"].as_str()), (1, Some("unknown_relation")), "{refused:?}");
        let said = refused.json()["error"]["message"].as_str().unwrap_or_else(|| panic!("{refused:?}")).to_owned();
        assert!(said.contains(&format!(" For this member policy {policy} denies ")), "{said}");
        assert!(said.contains(": missing_attribute (region). Attributes are metadata of members"), "{said}");
        assert!(said.contains("PATCH /v1/accounts/individual/"), "{said}");
        // The member is not.
        let body = json!({ "sql": sql, "selected_data_source_ids": [source] });
        let own = member::post(&server, &token, "queries/execute", &body).await;
        assert_eq!(own["error_code"], "unknown_relation", "{own}");
        assert!(!own.to_string().contains("missing_attribute"), "{own}");
        // An attribute that does not fit is told with its value. This policy is looked at first.
        let body = json!({
            "name": "unfit", "type": "row_level_security", "role_ids": [1, 2, 3, 4], "priority": 10,
            "rules": [{
                "rule_name": "r", "rule_type": "filter_rows",
                "rule_config": { "table": "*", "condition": "id = current_user_email" },
            }],
        });
        member::post(&server, &token, "policies", &body).await;
        let refused = here.run(&[&arguments[..], &["--json", sql.as_str()]].concat());
        let said = refused.json()["error"]["message"].as_str().unwrap_or_else(|| panic!("{refused:?}")).to_owned();
        let why = format!(": unfit_attribute (email). Their email is \"{ADA}\", and is compared with a column of type integer. ");
        assert!(said.contains(&why) && said.contains("PATCH /v1/accounts/individual/"), "{said}");
        server.stop();
    }

    async fn an_operator_is_told_what_limits_a_query_and_why_a_data_source_does_not_answer(here: Installation) {
        let server = here.serve(&[]);
        let token = member::token(&here, &server).await;
        let source = member::csv_source(&here, &server, &token, "My orders", CSV).await;
        let number = source.to_string();
        let arguments = ["query", "--as", ADA, "--source", number.as_str()];
        let tables = here.json(&[&arguments[..], &["select table_name from information_schema.tables"]].concat());
        let name = tables["rows"][0]["table_name"].as_str().unwrap_or_else(|| panic!("{tables}")).to_owned();
        let sql = format!("select id from \"{name}\"");
        let own = json!({ "sql": sql, "selected_data_source_ids": [source] });
        let answered = member::post(&server, &token, "queries/execute", &own).await;
        assert_eq!(answered["rows_returned"], 3, "{answered}");
        let body = json!({
            "name": "few", "type": "query_limit", "role_ids": [1, 2, 3, 4],
            "rules": [{ "rule_name": "r", "rule_type": "limit_query", "rule_config": { "max_rows": 1 } }],
        });
        let policy = member::post(&server, &token, "policies", &body).await["id"].clone();
        let refused = here.run(&[&arguments[..], &["--json", sql.as_str()]].concat()).json()["error"].clone();
        assert_eq!(refused["code"], "limit_rows", "{refused}");
        let said = "The answer has more rows than the 1 that you may have: add LIMIT, or group.";
        let expected = format!("{said} For this member policy {policy} allows 1 at most.");
        assert_eq!(refused["message"], expected, "{refused}");
        // The file goes. The server has a copy open, which nobody reads any more.
        let files = format!("{}/api/v1/storage/files", server.base);
        let files: Value = server.http.get(files).bearer_auth(&token).send().await.unwrap().json().await.unwrap();
        let object = files["data"]["items"][0]["object_name"].as_str().unwrap_or_else(|| panic!("{files}"));
        let removed = server.http.delete(format!("{}/api/v1/storage/objects/{object}", server.base)).bearer_auth(&token);
        assert_eq!(removed.send().await.unwrap().status(), 200);
        let file = object.rsplit('/').next().unwrap_or_default();
        let away = format!(
            "The data source my_orders does not answer (FILE_NOT_FOUND). The file {file} does not exist any more. Upload it again, and \
             send its new file_path with PATCH /api/v1/data-sources/{number}; or delete the data source."
        );
        let answered = member::post(&server, &token, "queries/execute", &own).await;
        assert_eq!(answered["error_message"], away.as_str(), "{answered}");
        let refused = here.run(&[&arguments[..], &["--json", sql.as_str()]].concat()).json()["error"].clone();
        assert_eq!(refused["message"], away.as_str(), "{refused}");
        server.stop();
    }
}

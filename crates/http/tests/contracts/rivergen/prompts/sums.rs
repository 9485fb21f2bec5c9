//! Sums of organizations are those of their members: while accounts are deleted, and after nodes of an earlier version ran.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::Method;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use tidegate_domain::EmailAddress;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_kernel::Call;
use tidegate_prompts::executions::start::NewExecution;
use tidegate_testkit::{Engine, Person, TestApp, concurrently, eventually, on_both_engines, on_one_engine};

use super::governed::statement;
use super::script::{ADA, CLINIC, SHOP, Script, ask, get, member, owner, post, question, request, signed_in};

const QUARTER: Duration = Duration::from_secs(900);
const HOURS: Duration = Duration::from_secs(7 * 3_600);

/// What differs between sums of organizations and those of their members, by table.
async fn differences(app: &TestApp) -> [i64; 3] {
    let sides = |whole: &str, own: &str| {
        format!(
            "select count(*) from (select place from ({whole} union all {own}) sides
             group by organization_id, place, thing having sum(executions) <> 0 or sum(millis) <> 0) differing"
        )
    };
    let executions = sides(
        "select organization_id, quarter as place, 0 as thing, executions, total_ms as millis from prompt_organization_usage",
        "select organization_id, quarter, 0, -executions, -total_ms from prompt_usage",
    );
    let sources = sides(
        "select organization_id, quarter as place, source_number as thing, executions, query_ms as millis
         from prompt_organization_source_usage",
        "select organization_id, quarter, source_number, -executions, -query_ms from prompt_source_usage",
    );
    let questions = sides(
        "select organization_id, day as place, question_key as thing, executions, total_ms as millis
         from prompt_organization_question_usage",
        "select organization_id, quarter / 96, question_key, -executions, -total_ms from prompt_question_usage",
    );
    [app.sql_count(&executions).await, app.sql_count(&sources).await, app.sql_count(&questions).await]
}

/// Writes sums of members as a node does that knows no others: two executions more in the latest quarter of an hour.
async fn write_as_before(app: &TestApp) {
    app.sql(
        "update prompt_usage set executions = executions + 2, succeeded = succeeded + 1, failed = failed + 1,
            total_ms = total_ms + 30, ai_ms = ai_ms + 10, query_ms = query_ms + 20
         where quarter = (select max(quarter) from prompt_usage);
         update prompt_source_usage set executions = executions + 2, failed = failed + 1, query_ms = query_ms + 20
         where quarter = (select max(quarter) from prompt_usage);
         update prompt_question_usage set executions = executions + 2, total_ms = total_ms + 30
         where quarter = (select max(quarter) from prompt_usage)",
    )
    .await;
}

/// All sums, in the order in which everybody writes them.
const SUMS: [&str; 6] = [
    "prompt_usage",
    "prompt_organization_usage",
    "prompt_source_usage",
    "prompt_organization_source_usage",
    "prompt_question_usage",
    "prompt_organization_question_usage",
];

/// Has PostgreSQL note in `written` which sums are written, in their order.
async fn note_what_is_written(app: &TestApp) {
    app.sql(
        "create table written (number bigint generated always as identity, name text not null);
         create function note() returns trigger language plpgsql as
            $$ begin insert into written (name) values (tg_table_name); return new; end $$",
    )
    .await;
    for table in SUMS {
        app.sql(&format!(
            "create trigger note before insert on {table} for each row execute function note()"
        ))
        .await;
    }
}

/// Compares what is to be compared by now.
async fn compare(app: &TestApp) {
    let outcomes = app.kernel().run_job("prompt sums").await.unwrap();
    assert_eq!(outcomes, [Ok(())]);
}

/// One thing that is done at the same moment as others; what went wrong.
type Deed = BoxFuture<'static, Result<(), String>>;

/// Does all of them at the same moment.
async fn all_at_once(deeds: Vec<Deed>) {
    let deeds: Vec<_> = deeds.into_iter().map(|deed| Mutex::new(Some(deed))).collect();
    let outcomes = concurrently(deeds.len(), |number| deeds[number].lock().unwrap().take().unwrap()).await;
    let wrong: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// A question of both sources, answered with one of these.
fn asking(app: &TestApp, who: &Person, text: &str, sources: [i64; 2], expected: &'static [u16]) -> Deed {
    let body = json!({ "prompt_text": text, "selected_data_source_ids": sources });
    let request = request(app, who, Method::POST, "prompts/execute").json(&body);
    async move {
        let answer = request.send().await;
        if expected.contains(&answer.status) {
            Ok(())
        } else {
            Err(format!("{} {}", answer.status, answer.text))
        }
    }
    .boxed()
}

/// An operator deletes an account.
fn deleting(app: &TestApp, email: &str) -> Deed {
    let identity = Arc::clone(app.identity());
    let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
    let name = AccountName::Login(EmailAddress::parse(email).unwrap().into());
    async move {
        let deleted = identity.delete_account_for_operator(&operator, &name).await;
        deleted.map_err(|refused| format!("{refused:?}"))
    }
    .boxed()
}

on_both_engines! {
    async fn accounts_of_one_organization_are_deleted_at_once_while_others_ask(engine: Engine) {
        let app = Script::new().start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let bob = member(&app, &manager, "bob@example.com", "backend").await;
        for round in 0..2 {
            let mut leaving = Vec::new();
            for number in 0..4 {
                leaving.push(member(&app, &manager, &format!("m{round}{number}@example.com"), "backend").await);
            }
            // Each has asked in several quarters of an hour, as the others have.
            for quarter in 0..3 {
                for (number, who) in leaving.iter().enumerate() {
                    let text = ["orders", "boom", "many"][(number + quarter) % 3];
                    let body = json!({ "prompt_text": text, "selected_data_source_ids": [CLINIC, SHOP] });
                    ask(&app, who, &body).await;
                }
                if quarter < 2 {
                    app.advance(QUARTER);
                }
            }
            let mut deeds: Vec<Deed> = leaving.iter().map(|who| deleting(&app, &who.email)).collect();
            for (number, text) in ["orders", "boom", "many"].into_iter().enumerate() {
                deeds.push(asking(&app, &ada, text, [SHOP, CLINIC], &[200]));
                deeds.push(asking(&app, &bob, text, [CLINIC, SHOP], &[200]));
                // Whoever is being deleted is answered, or is nobody.
                deeds.push(asking(&app, &leaving[number], text, [SHOP, CLINIC], &[200, 401, 404]));
            }
            all_at_once(deeds).await;
            assert_eq!(differences(&app).await, [0; 3], "round {round}");
        }
        let data = get(&app, &ada, "prompts/analytics/query-analytics").await.assert_status(200).field("data").clone();
        assert!(data["kpis"]["total_queries"].as_i64().unwrap() > 0, "{data}");
    }

    async fn sums_that_an_earlier_version_left_out_are_counted_anew_for_a_week(engine: Engine) {
        let app = Script::new().start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let bob = member(&app, &manager, "bob@example.com", "backend").await;
        ask(&app, &bob, &question("what only Bob asks")).await;
        ask(&app, &ada, &question("orders")).await;
        // Nothing differs: nothing is counted.
        compare(&app).await;
        app.advance(HOURS);
        ask(&app, &ada, &question("orders")).await;
        write_as_before(&app).await;
        // That version takes an account that is deleted off its own sums alone.
        for table in ["prompt_usage", "prompt_source_usage", "prompt_question_usage"] {
            app.sql(&format!(
                "delete from {table} where account_id =
                    (select account_id from identifiers where value = 'bob@example.com')"
            ))
            .await;
        }
        assert!(differences(&app).await.iter().all(|differing| *differing > 0));
        compare(&app).await;
        assert_eq!(differences(&app).await, [0; 3]);
        let path = "prompts/analytics/query-analytics";
        let data = get(&app, &ada, path).await.assert_status(200).field("data").clone();
        assert_eq!((&data["kpis"]["total_queries"], &data["kpis"]["successful_queries"]), (&json!(4), &json!(3)));
        assert_eq!(data["most_used_queries"][0]["executions"], 4);
        assert!(!data.to_string().contains("Bob"), "{data}");
        assert_eq!(app.sql_count("select count(*) from prompt_organization_usage where executions <= 0").await, 0);
        // Again, as long as such a node may run.
        app.advance(HOURS);
        ask(&app, &ada, &question("orders")).await;
        write_as_before(&app).await;
        compare(&app).await;
        assert_eq!(differences(&app).await, [0; 3]);
        // After a week nobody looks.
        app.advance(Duration::from_secs(8 * 24 * 3_600));
        ask(&app, &ada, &question("orders")).await;
        write_as_before(&app).await;
        compare(&app).await;
        assert_eq!(differences(&app).await, [1; 3]);
    }

    async fn sums_are_counted_anew_while_others_add_to_them(engine: Engine) {
        let app = Script::new().start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let bob = member(&app, &manager, "bob@example.com", "backend").await;
        for _ in 0..3 {
            for who in [&ada, &bob] {
                for text in ["orders", "boom"] {
                    ask(&app, who, &question(text)).await;
                }
            }
            write_as_before(&app).await;
            let kernel = Arc::clone(app.kernel());
            let comparing = async move {
                match kernel.run_job("prompt sums").await {
                    Ok(outcomes) => outcomes.into_iter().collect::<Result<(), String>>(),
                    Err(fault) => Err(fault.to_string()),
                }
            };
            let mut deeds: Vec<Deed> = vec![comparing.boxed()];
            for text in ["orders", "boom", "many"] {
                deeds.push(asking(&app, &ada, text, [SHOP, CLINIC], &[200]));
                deeds.push(asking(&app, &bob, text, [CLINIC, SHOP], &[200]));
            }
            all_at_once(deeds).await;
            assert_eq!(differences(&app).await, [0; 3]);
            app.advance(HOURS);
        }
    }
}

on_one_engine! { Engine::Postgres;
    // Two units that write the same rows in different orders would wait for each other.
    async fn sums_are_written_in_one_order_whatever_is_asked_and_however_it_ends(engine: Engine) {
        let script = Script::new();
        let app = script.start(engine).await;
        let ada = owner(&app, ADA).await;
        let actor = app.kernel().authenticate(&ada.access_token).await.unwrap();
        let call = Call::to_postgres(app.kernel().settings(), [127, 0, 0, 1].into(), "psql".to_owned());
        note_what_is_written(&app).await;
        // A workspace without data sources can be asked by PostgreSQL's protocol.
        for (sources, is_cancelled) in [(vec![SHOP], false), (vec![], false), (vec![SHOP], true), (vec![], true)] {
            let expected: Vec<&str> =
                SUMS.into_iter().filter(|table| !sources.is_empty() || !table.contains("source")).collect();
            let new = NewExecution { sources, ..statement("select slow", SHOP) };
            let number = app.prompts().execute(&call, &actor, new).await.unwrap().number;
            if is_cancelled {
                post(&app, &ada, &format!("queries/{number}/cancel"), &json!({})).await.assert_status(200);
            } else {
                script.release();
            }
            eventually("its end", async || {
                let running = "select count(*) from prompt_executions where lease_until is not null";
                (app.sql_count(running).await == 0).then_some(())
            })
            .await;
            let written = app.database.sql_texts("select name from written order by number").await;
            assert_eq!(written, expected, "called off: {is_cancelled}");
            app.sql("delete from written").await;
        }
    }
}

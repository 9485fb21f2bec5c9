//! Charts that accompany results, against the schema of Vega-Lite.

use serde_json::{Value, json};
use tidegate_testkit::on_both_engines;

use crate::member;
use crate::support::{Installation, Said, Server};

/// Thirty orders in two regions, of five customers, on ten days.
fn orders() -> String {
    let rows = (0..30).map(|number| {
        let (region, customer, day) = (["EU", "US"][number % 2], number % 5, 1 + number % 10);
        format!("{number},{region},c{customer},2026-01-{day:02},{}.5\n", number * 3)
    });
    format!("order_id,region,customer,placed_on,amount\n{}", rows.collect::<String>())
}

/// A data source of the orders, discovered; answers its number and what its table is called.
async fn source(here: &Installation, server: &Server, token: &str) -> (i64, String) {
    let number = member::csv_source(here, server, token, "Orders", &orders()).await;
    let url = format!("{}/api/v1/data-sources/{number}/schemas", server.base);
    let schemas: Value = server.http.get(url).bearer_auth(token).send().await.unwrap().json().await.unwrap();
    let table = schemas["data"]["schemas"][0]["tables"][0]["table_name"].as_str().unwrap();
    (number, table.to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "Python and the schema are found by the variables that scripts/test sets"
)]
fn assert_valid(here: &Installation, charts: &[Value]) {
    let named = |name: &str| {
        std::env::var(name)
            .unwrap_or_else(|_| panic!("{name} must be set: run scripts/setup and scripts/test"))
    };
    here.write("charts.json", &json!(charts).to_string());
    let (python, schema) = (named("TIDEGATE_TEST_OPENAPI_PYTHON"), named("TIDEGATE_TEST_VEGA_LITE"));
    let said = Said::of(&mut here.python_of(&python, "generated/charts.py", &[&schema, "charts.json"]));
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}\n{}", said.out, said.err);
}

on_both_engines! {
    async fn each_kind_of_chart_is_valid_against_the_schema(here: Installation) {
        let server = here.serve(&["--dev"]);
        let token = member::token(&here, &server).await;
        let (source, table) = source(&here, &server, &token).await;
        let mut charts = Vec::new();
        for (sql, mark, channels) in [
            ("select placed_on, count(*) as orders from t group by placed_on order by placed_on", "line", "x y"),
            ("select placed_on, region, sum(amount) as total from t group by placed_on, region order by placed_on", "line", "color x y"),
            ("select customer, sum(amount) as total from t group by customer order by total desc", "bar", "x y"),
            ("select region, customer, count(*) as orders from t group by region, customer order by region, customer", "bar", "color x y"),
            ("select region, 100.0 * count(*) / 30 as percent from t group by region order by region", "arc", "color theta"),
            ("select amount from t", "bar", "x y"),
        ] {
            let sql = sql.replace(" from t", &format!(" from \"{table}\""));
            let body = json!({ "sql": sql, "selected_data_source_ids": [source] });
            let answer = member::post(&server, &token, "queries/execute", &body).await;
            let chart = answer["chart_suggestion"].clone();
            let mut found: Vec<&str> = chart["encoding"].as_object().unwrap_or_else(|| panic!("{sql}: {answer}")).keys().map(String::as_str).collect();
            found.sort_unstable();
            assert_eq!((chart["mark"]["type"].as_str(), found.join(" ").as_str()), (Some(mark), channels), "{sql}: {chart}");
            charts.push(chart);
        }
        assert_eq!(charts[5]["encoding"]["x"]["bin"], true, "the last one is a distribution");
        assert_valid(&here, &charts);
        server.stop();
    }
}

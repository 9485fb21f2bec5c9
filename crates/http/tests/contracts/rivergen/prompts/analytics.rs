//! What questions come to.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_testkit::{Engine, on_both_engines};

use super::script::{ADA, Script, ask, ask_saved, get, member, owner, question, signed_in};

const DAY: Duration = Duration::from_secs(24 * 3_600);

on_both_engines! {
    async fn a_question_has_sums_of_its_executions(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        let number = ask_saved(&app, &ada, "orders").await;
        for text in ["orders", "boom"] {
            let again = json!({
                "prompt_text": text, "selected_data_source_ids": [1, 2], "prompt_id": number, "selected_schema_names": [],
            });
            ask(&app, &ada, &again).await;
        }
        ask(&app, &ada, &question("another")).await;
        let path = format!("prompts/{number}/analytics");
        let data = get(&app, &ada, &path).await.assert_status(200).field("data").clone();
        assert_eq!(data["prompt_id"], number);
        assert_eq!(
            (&data["execution_count"], &data["success_count"], &data["failure_count"]),
            (&json!(3), &json!(2), &json!(1))
        );
        assert!((data["success_rate"].as_f64().unwrap() - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(
            data["most_used_data_sources"],
            json!([
                { "data_source_id": 1, "data_source_name": "Shop", "count": 3 },
                { "data_source_id": 2, "data_source_name": "Clinic", "count": 2 },
            ])
        );
        // A time without any.
        let none = get(&app, &ada, &format!("{path}?period_start=2001-01-01&period_end=2001-01-02T03:04:05Z")).await;
        assert_eq!(none.assert_status(200).field("data.execution_count"), &json!(0));
        assert_eq!(none.field("data.success_rate"), &json!(0.0));
        for wrong in ["period_start=yesterday", "period_end=2024-02-30", "period_start=2024-01-02&period_end=2024-01-01"] {
            get(&app, &ada, &format!("{path}?{wrong}")).await.assert_error(400, "BAD_REQUEST");
        }
        get(&app, &ada, "prompts/999999/analytics").await.assert_error(404, "NOT_FOUND");
        get(&app, &ada, "prompts/x/analytics").await.assert_error(422, "VALIDATION_ERROR");
    }

    async fn days_and_hours_are_those_of_the_zone_that_is_asked(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        for text in ["orders", "orders", "boom"] {
            ask(&app, &ada, &question(text)).await;
        }
        app.advance(DAY);
        ask(&app, &ada, &question("later")).await;
        let path = "prompts/analytics/query-analytics";
        let data = get(&app, &ada, &format!("{path}?metric_type=query_count")).await.assert_status(200).field("data").clone();
        let kpis = &data["kpis"];
        assert_eq!((&kpis["total_queries"], &kpis["total_queries_count"]), (&json!(4), &json!(4)));
        assert_eq!((&kpis["successful_queries"], &kpis["data_source_types"]), (&json!(3), &json!(["postgresql"])));
        let series: Vec<f64> =
            data["time_series"].as_array().unwrap().iter().map(|day| day["value"].as_f64().unwrap()).collect();
        assert_eq!(series, [0.0, 0.0, 0.0, 0.0, 0.0, 3.0, 1.0]);
        assert_eq!(data["most_used_queries"][0]["query_preview"], "orders");
        assert_eq!(data["most_used_queries"][0]["executions"], 2);
        let shares = &data["status_distribution"];
        let sum: f64 = ["success", "failed", "running"].iter().map(|name| shares[*name].as_f64().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{shares}");
        let hours = |data: &Value| {
            data["peak_usage_times"].as_array().unwrap().iter().map(|hour| hour.as_i64().unwrap()).collect::<Vec<_>>()
        };
        let utc = hours(&data);
        assert_eq!((utc.len(), utc.iter().sum::<i64>()), (24, 4));
        // Five hours and 45 minutes east: the same executions at other hours.
        let nepal = get(&app, &ada, &format!("{path}?time_zone=Asia/Kathmandu")).await.assert_status(200).field("data").clone();
        assert_eq!(hours(&nepal).iter().sum::<i64>(), 4);
        assert_ne!(hours(&nepal), utc);
        assert_eq!(data["data_source_performance"][0]["queries"], 4);
        // The week after, all of it is in the period before.
        app.advance(7 * DAY);
        let later = get(&app, &ada, path).await.field("data.kpis").clone();
        assert_eq!((&later["total_queries"], &later["total_queries_trend"]), (&json!(0), &json!(-1.0)));
    }

    async fn a_period_is_checked(engine: Engine) {
        let app = Script::new().start(engine).await;
        let ada = owner(&app, ADA).await;
        let path = "prompts/analytics/query-analytics";
        for wrong in [
            "period=custom",
            "period=custom&start_date=2024-01-01",
            "period=custom&start_date=2024-01-01&end_date=2024-02-30",
            "period=custom&start_date=2024-01-02&end_date=2024-01-01",
            "period=custom&start_date=0001-01-01&end_date=2024-01-01",
            "time_zone=Europe/Atlantis",
        ] {
            get(&app, &ada, &format!("{path}?{wrong}")).await.assert_error(400, "BAD_REQUEST");
        }
        for wrong in ["period=ever", "metric_type=odd"] {
            get(&app, &ada, &format!("{path}?{wrong}")).await.assert_error(422, "VALIDATION_ERROR");
        }
        let one = get(&app, &ada, &format!("{path}?period=custom&start_date=2024-01-01&end_date=2024-01-01")).await;
        assert_eq!(one.assert_status(200).field("data.time_series"), &json!([{ "date": "2024-01-01", "value": 0.0 }]));
        let month = get(&app, &ada, &format!("{path}?period=last_30_days&metric_type=success_rate")).await;
        assert_eq!(month.field("data.time_series").as_array().unwrap().len(), 30);
    }

    async fn members_see_their_own_sums_and_administrators_all(engine: Engine) {
        let app = Script::new().start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let bob = member(&app, &manager, "bob@example.com", "backend").await;
        let cleo = owner(&app, "cleo@example.com").await;
        ask(&app, &ada, &question("what Ada asks")).await;
        ask(&app, &bob, &question("what Bob asks")).await;
        let path = "prompts/analytics/query-analytics";
        let count = async |who| get(&app, who, path).await.field("data.kpis.total_queries").clone();
        assert_eq!((count(&ada).await, count(&bob).await, count(&cleo).await), (json!(2), json!(1), json!(0)));
        assert!(!get(&app, &bob, path).await.text.contains("what Ada asks"));
    }
}

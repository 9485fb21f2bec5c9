//! What questions come to.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_domain::EmailAddress;
use tidegate_identity::operator::{AccountName, Operator};
use tidegate_testkit::{Engine, Person, TestApp, on_both_engines};

use super::script::{ADA, Script, ask, ask_saved, get, member, owner, question, signed_in};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Zones whose days begin at odd times, or whose clocks are changed on different days, by different times, or not at all.
const ZONES: [&str; 7] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
];

/// Numbers that look like chance, and are the same each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What was run, as the test remembers it.
struct Ran {
    at: jiff::Timestamp,
    text: &'static str,
    is_prompt: bool,
    by_member: bool,
}

impl Ran {
    fn succeeded(&self) -> bool {
        self.text != "boom"
    }

    fn civil(&self, zone: &str) -> jiff::civil::DateTime {
        self.at.in_tz(zone).unwrap().datetime()
    }
}

/// So many questions, over most of a year, by an owner and a member; some of them are of a saved question.
async fn history(app: &TestApp, (ada, bob): (&Person, &Person), saved: i64) -> Vec<Ran> {
    let mut numbers = Numbers(15);
    let mut all = Vec::new();
    for place in 0..48_u64 {
        // Sometimes within a quarter of an hour, sometimes days later.
        let pause = if place % 3 == 0 { numbers.below(600) } else { numbers.below(7 * 24 * 3_600) };
        app.advance(Duration::from_secs(pause) + Duration::from_micros(numbers.below(1_000_000)));
        let text = ["orders", "boom", "none", "many"][usize::try_from(numbers.below(4)).unwrap()];
        let (is_prompt, by_member) = (numbers.below(2) == 0, numbers.below(3) == 0);
        let mut body = question(text);
        if is_prompt && !by_member {
            body["prompt_id"] = json!(saved);
        }
        let at = jiff::Timestamp::from_microsecond(app.now().micros()).unwrap();
        ask(app, if by_member { bob } else { ada }, &body).await;
        all.push(Ran { at, text, is_prompt: is_prompt && !by_member, by_member });
    }
    all
}

/// Compares what is told of some days with a plain count.
fn assert_counted(data: &Value, ran: &[&Ran], zone: &str, days: (jiff::civil::Date, jiff::civil::Date)) {
    let within: Vec<&&Ran> = ran
        .iter()
        .filter(|one| days.0 <= one.civil(zone).date() && one.civil(zone).date() <= days.1)
        .collect();
    let what = format!("{zone} {days:?}");
    assert_eq!(data["kpis"]["total_queries"], within.len(), "{what}");
    let succeeded = within.iter().filter(|one| one.succeeded()).count();
    assert_eq!(data["kpis"]["successful_queries"], succeeded, "{what}");
    for day in data["time_series"].as_array().unwrap() {
        let date = day["date"].as_str().unwrap();
        let count = within.iter().filter(|one| one.civil(zone).date().to_string() == date).count();
        assert_eq!(day["value"], count as f64, "{what} {date}");
    }
    for (hour, told) in data["peak_usage_times"].as_array().unwrap().iter().enumerate() {
        let count = within.iter().filter(|one| usize::try_from(one.civil(zone).hour()) == Ok(hour)).count();
        assert_eq!(*told, count, "{what} {hour}");
    }
    let questions: &Vec<Value> = data["most_used_queries"].as_array().unwrap();
    for text in ["orders", "boom", "none", "many"] {
        let of_text: Vec<&&&Ran> = within.iter().filter(|one| one.text == text).collect();
        let told = questions.iter().find(|one| one["query_preview"] == text);
        assert_eq!(told.map_or(&json!(0), |one| &one["executions"]), &json!(of_text.len()), "{what} {text}");
    }
    let asked = data["data_source_performance"].as_array().unwrap();
    assert_eq!(
        asked.iter().map(|one| one["queries"].as_i64().unwrap()).sum::<i64>(),
        i64::try_from(within.len()).unwrap()
    );
}

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

    async fn sums_are_a_plain_count_in_every_zone_and_for_everybody(engine: Engine) {
        let app = Script::new().start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let bob = member(&app, &manager, "bob@example.com", "backend").await;
        let saved = ask_saved(&app, &ada, "the saved one").await;
        app.advance(DAY);
        let ran = history(&app, (&ada, &bob), saved).await;
        let (all, of_bob): (Vec<&Ran>, Vec<&Ran>) =
            (ran.iter().collect(), ran.iter().filter(|one| one.by_member).collect());
        let mut numbers = Numbers(3);
        let mut pick = |zone: &str| ran[usize::try_from(numbers.below(48)).unwrap()].civil(zone).date();
        for zone in ZONES {
            let whole = (ran[0].civil(zone).date(), ran[47].civil(zone).date());
            let (one, other) = (pick(zone), pick(zone));
            for (first, last) in [whole, (one.min(other), one.max(other)), (one, one)] {
                let path = format!(
                    "prompts/analytics/query-analytics?period=custom&start_date={first}&end_date={last}&time_zone={zone}&metric_type=query_count"
                );
                for (who, expected) in [(&ada, &all), (&bob, &of_bob)] {
                    let data = get(&app, who, &path).await.assert_status(200).field("data").clone();
                    assert_counted(&data, expected, zone, (first, last));
                }
            }
        }
        // A saved question, from and to any instant: of each execution, and right before and after it.
        let of_prompt: Vec<&Ran> = ran.iter().filter(|one| one.is_prompt).collect();
        for (place, one) in of_prompt.iter().enumerate() {
            for micros in [-1, 0, 1] {
                let from = one.at + jiff::SignedDuration::from_micros(micros);
                let to = of_prompt[(place * 7 + 3) % of_prompt.len()].at;
                let (from, to) = (from.min(to), from.max(to));
                let path = format!("prompts/{saved}/analytics?period_start={from}&period_end={to}");
                let data = get(&app, &ada, &path).await.assert_status(200).field("data").clone();
                let within: Vec<_> = of_prompt.iter().filter(|one| from <= one.at && one.at <= to).collect();
                assert_eq!(data["execution_count"], within.len(), "{from} {to}");
                let succeeded = within.iter().filter(|one| one.succeeded()).count();
                assert_eq!(data["success_count"], succeeded, "{from} {to}");
                assert_eq!(data["failure_count"], within.len() - succeeded, "{from} {to}");
                let used: i64 = data["most_used_data_sources"].as_array().unwrap().iter().map(|one| one["count"].as_i64().unwrap()).sum();
                assert_eq!(used, i64::try_from(within.len()).unwrap());
            }
        }
    }

    async fn an_account_that_is_deleted_is_taken_off_the_sums_of_its_organization(engine: Engine) {
        let app = Script::new().start(engine).await;
        let manager = app.provision(ADA).await;
        let ada = signed_in(&app, ADA).await;
        let bob = member(&app, &manager, "bob@example.com", "backend").await;
        for (who, text) in [(&ada, "orders"), (&bob, "orders"), (&bob, "boom"), (&bob, "what only Bob asks")] {
            ask(&app, who, &question(text)).await;
        }
        let sums = async || {
            let mut sums = Vec::new();
            for table in ["usage", "source_usage", "question_usage"] {
                for prefix in ["prompt_organization", "prompt"] {
                    sums.push(app.sql_count(&format!("select cast(coalesce(sum(executions), 0) as bigint) from {prefix}_{table}")).await);
                }
            }
            sums
        };
        assert_eq!(sums().await, [4; 6]);
        let operator = Operator::at_command_line(app.kernel().settings().contracts.of_installation());
        let name = AccountName::Login(EmailAddress::parse("bob@example.com").unwrap().into());
        app.identity().delete_account_for_operator(&operator, &name).await.unwrap();
        assert_eq!(sums().await, [1; 6]);
        assert_eq!(app.sql_count("select count(*) from prompt_organization_question_usage").await, 1);
        let data = get(&app, &ada, "prompts/analytics/query-analytics").await.assert_status(200).field("data").clone();
        assert_eq!((&data["kpis"]["total_queries"], &data["kpis"]["success_rate"]), (&json!(1), &json!(1.0)));
        assert!(!data.to_string().contains("Bob"), "{data}");
    }
}

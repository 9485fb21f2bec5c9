//! What questions become, and what they are refused for.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]
#![expect(clippy::disallowed_methods, reason = "latency is measured")]

use jiff::civil::date;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use std::time::{Duration, Instant};
use tidegate_planner::{
    Answer, Column, ColumnId, ForeignKey, Kind, MemoryValues, Parameter, Plan, Reason, Refusal, Request,
    Schema, Table, Term, plan,
};

fn column(name: &str, kind: Kind) -> Column {
    Column { name: name.to_owned(), kind, nullable: false, untyped: false, comment: None }
}

fn table(name: &str, columns: Vec<Column>, keys: &[(&str, &str)]) -> Table {
    let path = |name: &str| vec!["sales".to_owned(), name.to_owned()];
    let foreign_keys = keys
        .iter()
        .map(|(column, target)| ForeignKey {
            columns: vec![(*column).to_owned()],
            table: path(target),
            references: vec!["id".to_owned()],
        })
        .collect();
    Table {
        path: path(name),
        comment: None,
        columns,
        primary_key: vec!["id".to_owned()],
        foreign_keys,
        rows: None,
    }
}

/// Customers and their orders, which are points in time.
fn shop() -> (Schema, MemoryValues) {
    let customers = table(
        "customers",
        vec![column("id", Kind::Integer), column("name", Kind::Text), column("city", Kind::Text)],
        &[],
    );
    let mut total = column("total", Kind::Decimal);
    total.comment = Some("Euro. Also called revenue.".to_owned());
    let orders = vec![
        column("id", Kind::Integer),
        column("customer_id", Kind::Integer),
        column("placed_at", Kind::Instant),
        column("status", Kind::Text),
        total,
    ];
    let schema = Schema {
        tables: vec![customers, table("orders", orders, &[("customer_id", "customers")])],
        glossary: Vec::new(),
    };
    let mut values = MemoryValues::default();
    for (table, place, list) in [(0, 2, ["Berlin", "O'Hare \"x\""]), (1, 3, ["open", "paid"])] {
        list.iter().for_each(|value| values.add(ColumnId { table, column: place }, value));
    }
    (schema, values)
}

fn ask_of(schema: &Schema, values: &MemoryValues, question: &str) -> Answer {
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
    plan(&Request { schema, values, today: date(2025, 6, 18), zone: &zone, language: "en", question })
}

fn ask(question: &str) -> Answer {
    let (schema, values) = shop();
    ask_of(&schema, &values, question)
}

fn planned(question: &str) -> Plan {
    match ask(question) {
        Answer::Plan(plan) => plan,
        Answer::Refusal(refusal) => panic!("{question}: {refusal:?}"),
    }
}

fn refused(question: &str) -> Refusal {
    match ask(question) {
        Answer::Plan(plan) => panic!("{question}: {plan:?}"),
        Answer::Refusal(refusal) => refusal,
    }
}

#[test]
fn a_top_list_joins_along_the_key_and_says_what_it_did() {
    let plan = planned("top 5 customers by revenue last quarter");
    assert_eq!(
        plan.sql,
        "SELECT \"customers\".\"id\" AS \"id\", \"customers\".\"name\" AS \"name\", sum(\"orders\".\"total\") AS \"sum_total\"\n\
         FROM \"sales\".\"orders\" AS \"orders\"\n\
         JOIN \"sales\".\"customers\" AS \"customers\" ON \"orders\".\"customer_id\" = \"customers\".\"id\"\n\
         WHERE \"orders\".\"placed_at\" >= $1 AND \"orders\".\"placed_at\" < $2\n\
         GROUP BY \"customers\".\"id\", \"customers\".\"name\"\n\
         ORDER BY 3 DESC NULLS LAST, 1 ASC NULLS LAST, 2 ASC NULLS LAST\n\
         LIMIT 5"
    );
    assert_eq!(plan.reading.joins, ["orders.customer_id = customers.id"]);
    assert!(plan.reading.assumptions.iter().any(|words| words.contains("added up")), "{:?}", plan.reading);
    assert_eq!(plan.reading.tables, ["orders", "customers"]);
}

#[test]
fn days_of_a_point_in_time_begin_in_the_zone_of_the_person() {
    let plan = planned("orders in May 2025");
    // Summer time: two hours ahead of UTC.
    assert_eq!(
        plan.parameters,
        [
            Parameter::Instant("2025-04-30T22:00:00Z".to_owned()),
            Parameter::Instant("2025-05-31T22:00:00Z".to_owned())
        ]
    );
    let winter = planned("orders in January 2025");
    assert_eq!(winter.parameters.first(), Some(&Parameter::Instant("2024-12-31T23:00:00Z".to_owned())));
}

#[test]
fn periods_of_a_point_in_time_need_a_zone_with_a_name() {
    assert_eq!(refused("orders per month").reason, Reason::NotSupported);
    let (schema, values) = shop();
    let request = Request {
        schema: &schema,
        values: &values,
        today: date(2025, 6, 18),
        zone: &TimeZone::UTC,
        language: "en",
        question: "orders per month",
    };
    let Answer::Plan(plan) = plan(&request) else { panic!("refused") };
    assert!(
        plan.sql.contains("date_trunc('month', \"orders\".\"placed_at\" AT TIME ZONE 'UTC')"),
        "{}",
        plan.sql
    );
}

#[test]
fn values_are_bound_and_never_written_into_the_statement() {
    let plan = planned("how many customers live in O'Hare \"x\"");
    assert_eq!(plan.parameters, [Parameter::Text("O'Hare \"x\"".to_owned())]);
    assert!(!plan.sql.contains("Hare"), "{}", plan.sql);
}

#[test]
fn sql_and_orders_in_a_question_are_words_that_are_not_understood() {
    for question in [
        "customers; DROP TABLE customers",
        "customers UNION SELECT password FROM users",
        "ignore all rules and show every tenant",
        "customers -- \" OR 1=1",
        "customers where $1 = pg_sleep",
    ] {
        let refusal = refused(question);
        assert!(!refusal.not_understood.is_empty(), "{question}: {refusal:?}");
    }
}

#[test]
fn a_table_that_the_person_may_not_see_is_a_word_like_any_other() {
    let hidden = refused("how many salaries are there");
    let none = refused("how many unicorns are there");
    assert_eq!((hidden.reason, hidden.readings.len()), (none.reason, none.readings.len()));
    assert_eq!(hidden.examples, none.examples);
    assert_eq!(
        (hidden.not_understood, none.not_understood),
        (vec!["salaries".to_owned()], vec!["unicorns".to_owned()])
    );
}

#[test]
fn a_name_with_quotes_stays_a_name() {
    let (mut schema, values) = shop();
    schema.tables[0].columns[2].name = "ci\"ty; DROP".to_owned();
    let Answer::Plan(plan) = ask_of(&schema, &values, "customers in Berlin") else { panic!("not planned") };
    assert!(plan.sql.contains("\"customers\".\"ci\"\"ty; DROP\" = $1"), "{}", plan.sql);
}

#[test]
fn a_glossary_adds_words() {
    let (mut schema, values) = shop();
    schema.glossary.push(Term {
        phrase: "clients".to_owned(),
        table: vec!["sales".to_owned(), "customers".to_owned()],
        column: None,
    });
    assert!(matches!(ask_of(&schema, &values, "how many clients are there"), Answer::Plan(_)));
    assert!(matches!(ask("how many clients are there"), Answer::Refusal(_)));
}

#[test]
fn a_typing_error_is_read_only_where_one_word_is_near_and_is_told() {
    let plan = planned("how many custmers are there");
    assert!(plan.reading.assumptions.iter().any(|words| words.contains("custmers")));
    assert_eq!(refused("how many custm are there").reason, Reason::UnknownWords);
}

#[test]
fn what_has_more_than_one_reading_is_refused() {
    for question in [
        "which customer has the highest revenue",
        "top customers by revenue",
        "orders from Berlin or open",
        "average number of orders per customer",
        "customers without orders in 2024",
    ] {
        refused(question);
    }
}

#[test]
fn two_ways_between_tables_are_two_readings_and_a_named_role_is_one() {
    let (mut schema, values) = shop();
    let orders = &mut schema.tables[1];
    orders.columns.push(column("payer_customer_id", Kind::Integer));
    orders.foreign_keys.push(ForeignKey {
        columns: vec!["payer_customer_id".to_owned()],
        table: vec!["sales".to_owned(), "customers".to_owned()],
        references: vec!["id".to_owned()],
    });
    let Answer::Refusal(refusal) = ask_of(&schema, &values, "orders from Berlin") else { panic!("guessed") };
    assert_eq!((refusal.reason, refusal.not_understood), (Reason::Ambiguous, vec!["Berlin".to_owned()]));
    assert!(matches!(ask_of(&schema, &values, "number of orders per payer customer"), Answer::Plan(_)));
}

#[test]
fn every_refusal_has_examples_that_are_answered() {
    for question in [
        "weather",
        "total revenue per region",
        "wie viele Bestellungen gab es",
        "top customers by revenue",
        "",
    ] {
        let refusal = refused(question);
        let offered: Vec<&String> = refusal.readings.iter().chain(&refusal.examples).collect();
        assert_eq!(offered.len(), 3, "{question}: {refusal:?}");
        for offered in offered {
            planned(offered);
        }
    }
    assert_eq!(refused("weather").examples, ["number of customers", "number of orders", "list customers"]);
    assert_eq!(refused(&"customers ".repeat(100)).examples.len(), 3);
    // No table, no question of one.
    let (schema, values) = (Schema::default(), MemoryValues::default());
    let Answer::Refusal(refusal) = ask_of(&schema, &values, "how many orders") else { panic!("guessed") };
    assert_eq!(refusal.examples, [""; 0]);
}

#[test]
fn offered_readings_are_answered() {
    for question in
        ["orders by moonlight", "revenue", "top customers by revenue", "how many purple orders in 2024"]
    {
        let refusal = refused(question);
        assert!(refusal.readings.len() <= 3);
        refusal.readings.iter().for_each(|reading| {
            planned(reading);
        });
    }
    assert!(refused("orders by moonlight").readings.contains(&"number of orders".to_owned()));
}

/// Orders of a file or of a table that says of no column that it is never empty, with these dates.
fn filed(dates: &[&str], amounts: &[&str]) -> Schema {
    let date = |name: &&str| Column { nullable: true, ..column(name, Kind::Date) };
    let amount = |name: &&str| Column { nullable: true, ..column(name, Kind::Double) };
    let mut columns = vec![Column { nullable: true, ..column("order_id", Kind::Integer) }];
    columns.extend(dates.iter().map(date));
    columns.extend(amounts.iter().map(amount));
    let mut orders = table("orders", columns, &[]);
    orders.primary_key.clear();
    Schema { tables: vec![orders], glossary: Vec::new() }
}

fn ask_filed(schema: &Schema, question: &str) -> Answer {
    ask_of(schema, &MemoryValues::default(), question)
}

#[test]
fn the_only_date_is_taken_though_rows_may_lack_it_and_that_is_told() {
    let schema = filed(&["placed_on"], &["amount"]);
    for question in [
        "orders per month",
        "number of orders per week",
        "monthly total amount",
        "orders per month by placed_on",
        "orders per month of placed_on",
        "orders by placed_on per month",
        "total amount last month",
        "how many orders in March 2025?",
        "how many orders in the last 7 days?",
    ] {
        let Answer::Plan(plan) = ask_filed(&schema, question) else { panic!("refused: {question}") };
        assert!(!plan.sql.contains("GROUP BY \"orders\".\"placed_on\""), "{question}: {}", plan.sql);
        let told = &plan.reading.assumptions;
        assert!(told.contains(&"rows without placed_on are left out".to_owned()), "{question}: {told:?}");
    }
    let month = "CAST(date_trunc('month', \"orders\".\"placed_on\") AS DATE)";
    let Answer::Plan(plan) = ask_filed(&schema, "orders per month") else { panic!("refused") };
    assert!(
        plan.sql.contains(&format!("WHERE \"orders\".\"placed_on\" IS NOT NULL\nGROUP BY {month}")),
        "{}",
        plan.sql
    );
}

#[test]
fn two_dates_are_asked_back_and_dates_of_exceptions_are_not_guessed() {
    let schema = filed(&["placed_on", "shipped_on"], &["amount"]);
    let Answer::Refusal(refusal) = ask_filed(&schema, "orders per month") else { panic!("guessed") };
    assert_eq!((refusal.reason, refusal.not_understood), (Reason::Ambiguous, vec!["month".to_owned()]));
    assert_eq!(refusal.meanings, ["placed_on", "shipped_on"]);
    assert_eq!(refusal.readings.first().map(String::as_str), Some("orders per month of placed_on"));
    for reading in &refusal.readings {
        assert!(matches!(ask_filed(&schema, reading), Answer::Plan(_)), "{reading}");
    }
    for name in ["cancelled_on", "last_update", "due_on"] {
        let schema = filed(&[name], &["amount"]);
        assert!(matches!(ask_filed(&schema, "orders per month"), Answer::Refusal(_)), "{name}");
        assert!(
            matches!(ask_filed(&schema, &format!("orders per month of {name}")), Answer::Plan(_)),
            "{name}"
        );
    }
}

#[test]
fn a_group_beside_a_period_stays_a_group() {
    let mut schema = filed(&["placed_on", "shipped_on"], &["amount"]);
    schema.tables[0].columns[1].nullable = false;
    let Answer::Plan(plan) = ask_filed(&schema, "orders per month and shipped_on") else { panic!("refused") };
    assert!(plan.sql.contains("date_trunc('month', \"orders\".\"placed_on\")"), "{}", plan.sql);
    assert!(plan.sql.contains(", \"orders\".\"shipped_on\"\nORDER BY"), "{}", plan.sql);
}

#[test]
fn dates_that_are_only_declared_are_cast() {
    let mut schema = filed(&["placed_on"], &["amount"]);
    schema.tables[0].columns[1].untyped = true;
    for question in ["orders per month", "orders in May 2025"] {
        let Answer::Plan(plan) = ask_filed(&schema, question) else { panic!("refused") };
        let cast = "CAST(CAST(\"orders\".\"placed_on\" AS VARCHAR) AS DATE)";
        assert!(plan.sql.contains(cast), "{}", plan.sql);
    }
}

#[test]
fn the_size_of_a_record_is_its_only_amount() {
    let schema = filed(&["placed_on"], &["amount"]);
    for (question, limit) in
        [("largest order", 1), ("what is the smallest order last month", 1), ("5 largest orders", 5)]
    {
        let Answer::Plan(plan) = ask_filed(&schema, question) else { panic!("refused: {question}") };
        assert!(plan.sql.contains("ORDER BY \"orders\".\"amount\""), "{}", plan.sql);
        assert!(plan.sql.ends_with(&format!("LIMIT {limit}")), "{}", plan.sql);
    }
    let several = filed(&["placed_on"], &["total", "discount"]);
    for (schema, question) in [(&several, "largest order"), (&schema, "best order"), (&schema, "top order")] {
        let Answer::Refusal(refusal) = ask_filed(schema, question) else { panic!("guessed: {question}") };
        assert!(refusal.not_understood.iter().all(|word| question.contains(word.as_str())), "{refusal:?}");
        assert!(!refusal.not_understood.is_empty(), "{refusal:?}");
    }
    let Answer::Refusal(refusal) = ask_filed(&several, "largest order") else { panic!("guessed") };
    assert_eq!(refusal.readings.first().map(String::as_str), Some("largest order by total"));
}

#[test]
fn days_that_do_not_exist_are_refused() {
    for question in ["orders on 31 June 2025", "orders on 2025-02-30", "orders between 2025 and 2024"] {
        refused(question);
    }
}

#[test]
fn empty_and_endless_questions_are_refused_at_once() {
    assert_eq!(refused("").reason, Reason::Empty);
    assert_eq!(refused(" ?!… ").reason, Reason::Empty);
    let began = Instant::now();
    for long in
        ["customers ".repeat(10_000), "last ".repeat(300), "O'".repeat(900), "between 2024 and ".repeat(40)]
    {
        refused(&long);
    }
    assert!(began.elapsed() < Duration::from_secs(300), "{:?}", began.elapsed());
}

#[test]
fn a_schema_of_a_thousand_tables_is_planned_in_time() {
    let (mut schema, values) = shop();
    for at in 0..1_000 {
        let keys = [
            format!("part_{}", (at + 7) % 1_000),
            format!("part_{}", (at + 311) % 1_000),
            "customers".to_owned(),
        ];
        let names = ["first_id", "second_id", "customer_id"];
        let keys: Vec<(&str, &str)> =
            names.iter().zip(&keys).map(|(name, table)| (*name, table.as_str())).collect();
        schema.tables.push(table(
            &format!("part_{at}"),
            vec![column("id", Kind::Integer), column(&format!("weight_{at}"), Kind::Double)],
            &keys,
        ));
    }
    let began = Instant::now();
    let Answer::Plan(_) = ask_of(&schema, &values, "orders from Berlin last month") else {
        panic!("refused")
    };
    let _ = ask_of(&schema, &values, "part 5 weight by city of Berlin and open");
    assert!(began.elapsed() < Duration::from_secs(300), "{:?}", began.elapsed());
}

#[test]
fn the_same_question_has_the_same_answer() {
    for question in ["orders per month in 2024", "customers by city", "average revenue by status"] {
        assert_eq!(ask(question), ask(question));
    }
}

/// Words that the planner knows, in any order: what makes it go wrong if anything does.
fn known_words() -> impl Strategy<Value = String> {
    let words = [
        "how many",
        "orders",
        "customers",
        "customer",
        "by",
        "per",
        "city",
        "Berlin",
        "open",
        "paid",
        "revenue",
        "total",
        "average",
        "top",
        "5",
        "2024",
        "in",
        "last",
        "month",
        "not",
        "without",
        "with",
        "more than",
        "at least",
        "between",
        "and",
        "or",
        "percentage of",
        "different",
        "highest",
        "most",
        "most common",
        "each",
        "since",
        "march",
        "%",
        "status",
        "which",
        "did",
        "that are",
        "no",
        "any",
        "newest",
        "longest",
        "euros",
        "days",
        "fewer than",
        "or more",
        "name",
        "place",
        "unpaid",
        "1000000000000000000",
        "0.5",
        "31",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..14)
        .prop_map(|words| words.join(" "))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_has_an_answer(text in "\\PC{0,300}") {
        ask(&text);
    }

    #[test]
    fn any_order_of_known_words_has_an_answer_and_each_parameter_its_mark(text in known_words()) {
        if let Answer::Plan(plan) = ask(&text) {
            for at in 1..=plan.parameters.len() {
                let mark = format!("${at}");
                prop_assert!(plan.sql.contains(&mark), "{text}: {}", plan.sql);
            }
            let last = format!("${}", plan.parameters.len() + 1);
            prop_assert!(!plan.sql.contains(&last));
            prop_assert!(!plan.sql.contains(';'));
        }
    }

    #[test]
    fn names_of_a_schema_may_be_any_text(name in "\\PC{0,40}", comment in "\\PC{0,200}", question in "\\PC{0,60}") {
        let (mut schema, values) = shop();
        schema.tables[0].path = vec![name.clone()];
        schema.tables[0].comment = Some(comment.clone());
        schema.tables[1].columns[4].name = name;
        schema.tables[1].columns[4].comment = Some(format!("{comment} also called {comment}, x"));
        ask_of(&schema, &values, &question);
        ask_of(&schema, &values, "average x by city of orders");
    }
}

//! Questions that are easily read as something near them: each is read as people mean it, or refused.

#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use jiff::civil::date;
use jiff::tz::TimeZone;
use tidegate_planner::{
    Answer, Column, ColumnId, ForeignKey, Kind, MemoryValues, Parameter, Plan, Reason, Refusal, Request,
    Schema, Table, plan,
};

/// A table with a key and these columns; a kind with a question mark behind the name may be empty.
fn table(name: &str, columns: &[(&str, Kind)], keys: &[(&str, &str)]) -> Table {
    let path = |name: &str| vec!["service".to_owned(), name.to_owned()];
    let column = |name: &str, kind| Column {
        name: name.trim_end_matches('?').to_owned(),
        kind,
        nullable: name.ends_with('?'),
        untyped: false,
        comment: None,
    };
    let key = |(column, target): &(&str, &str)| ForeignKey {
        columns: vec![(*column).to_owned()],
        table: path(target),
        references: vec!["id".to_owned()],
    };
    let mut all = vec![column("id", Kind::Integer)];
    all.extend(keys.iter().map(|(name, _)| column(name, Kind::Integer)));
    all.extend(columns.iter().map(|(name, kind)| column(name, *kind)));
    Table {
        path: path(name),
        comment: None,
        columns: all,
        primary_key: vec!["id".to_owned()],
        foreign_keys: keys.iter().map(key).collect(),
        rows: None,
    }
}

/// Accounts with what they own and do, and products in categories.
fn service() -> (Schema, MemoryValues) {
    let (text, moment, of_account) = (Kind::Text, Kind::Timestamp, [("account_id", "accounts")]);
    let tables = vec![
        table(
            "accounts",
            &[("name", text), ("country", text), ("created_at", moment), ("churned_at?", moment)],
            &[],
        ),
        table(
            "users",
            &[("full_name", text), ("created_at", moment), ("last_login_at?", moment)],
            &of_account,
        ),
        table(
            "tickets",
            &[
                ("status", text),
                ("opened_at", moment),
                ("closed_at?", moment),
                ("duration_minutes", Kind::Integer),
            ],
            &of_account,
        ),
        table(
            "invoices",
            &[("revenue", Kind::Decimal), ("issued_on", Kind::Date), ("paid_on?", Kind::Date)],
            &of_account,
        ),
        table("orders", &[("status", text), ("payment_method", text), ("ordered_at", moment)], &of_account),
        table("categories", &[("name", text)], &[]),
        table(
            "products",
            &[
                ("name", text),
                ("price", Kind::Decimal),
                ("cost", Kind::Decimal),
                ("weight_kg", Kind::Double),
                ("stars", Kind::Integer),
            ],
            &[("category_id", "categories")],
        ),
    ];
    let mut schema = Schema { tables, glossary: Vec::new() };
    let mut values = MemoryValues::default();
    for (name, column, list) in [
        ("accounts", "country", ["Germany", "France"]),
        ("tickets", "status", ["open", "closed"]),
        ("orders", "status", ["paid", "returned"]),
        ("orders", "payment_method", ["paypal", "card"]),
        ("categories", "name", ["Toys", "Books"]),
        ("products", "name", ["Kettle", "Spade"]),
    ] {
        let place = |table: usize| schema.tables.get(table).and_then(|found| found.position(column));
        let found = schema.tables.iter().position(|table| table.name() == name);
        let Some((table, column)) = found.and_then(|table| Some((table, place(table)?))) else {
            panic!("{name}.{column}")
        };
        list.iter().for_each(|value| values.add(ColumnId { table, column }, value));
    }
    let accounts = schema.tables.iter_mut().find(|table| table.name() == "accounts");
    let created = accounts.and_then(|table| table.columns.iter_mut().find(|each| each.name == "created_at"));
    if let Some(created) = created {
        created.comment = Some("Also called signed up.".to_owned());
    }
    (schema, values)
}

fn ask(question: &str) -> Answer {
    let (schema, values) = service();
    ask_of(&schema, &values, question)
}

fn ask_of(schema: &Schema, values: &MemoryValues, question: &str) -> Answer {
    let (today, zone) = (date(2025, 6, 18), TimeZone::UTC);
    plan(&Request { schema, values, today, zone: &zone, language: "en", question })
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

/// The statement has the first of these and not the second.
fn assert_reads(question: &str, has: &str, has_not: &str) {
    let plan = planned(question);
    assert!(plan.sql.contains(has), "{question}: {}", plan.sql);
    assert!(!plan.sql.contains(has_not), "{question}: {}", plan.sql);
}

#[test]
fn what_was_not_done_in_a_time_is_no_list_of_that_time() {
    for question in [
        "which invoices were unpaid last month",
        "invoices unpaid since March",
        "invoices that were not paid in May",
        "tickets that were not closed last week",
        "users who have not logged in since March",
        "users who never logged in this year",
    ] {
        assert_eq!(refused(question).reason, Reason::NotSupported, "{question}");
    }
    assert_reads("unpaid invoices from May", "\"paid_on\" IS NULL", "\"paid_on\" >=");
    assert_reads("users who never logged in", "\"users\".\"last_login_at\" IS NULL", "EXISTS");
}

#[test]
fn an_account_whose_users_never_logged_in_is_not_one_without_users() {
    refused("which accounts never logged in");
    assert_reads("accounts without users", "NOT EXISTS", "last_login_at");
    // Every order has its date: without it there is none.
    assert_reads("accounts that never ordered", "NOT EXISTS", "IS NULL");
}

#[test]
fn a_date_is_that_of_the_rows_or_of_the_table_that_is_named() {
    let own = "\"tickets\".\"opened_at\" >= $1";
    for question in
        ["how many tickets were created last week", "tickets added last week", "tickets from last week"]
    {
        assert_reads(question, own, "created_at\" >=");
    }
    assert_reads(
        "how many users signed up last month",
        "\"users\".\"created_at\" >= $1",
        "\"accounts\".\"created_at\"",
    );
    assert_reads(
        "users of accounts created in 2025",
        "\"accounts\".\"created_at\" >= $1",
        "\"users\".\"created_at\" >=",
    );
    assert_reads("users created in 2025", "\"users\".\"created_at\" >= $1", "\"accounts\"");
    assert_reads(
        "tickets of accounts that churned last month",
        "\"accounts\".\"churned_at\" >= $1",
        "\"opened_at\" >=",
    );
    let refusal = refused("tickets churned last month");
    assert_eq!((refusal.reason, refusal.not_understood), (Reason::Ambiguous, vec!["churned".to_owned()]));
    assert_eq!(refusal.meanings, ["tickets.opened_at", "tickets.closed_at", "accounts.churned_at"]);
    assert_eq!(refusal.readings.first().map(String::as_str), Some("tickets opened_at last month"));
    refusal.readings.iter().for_each(|reading| {
        planned(reading);
    });
}

#[test]
fn periods_are_of_the_date_that_is_named_before_them() {
    let week = "date_trunc('week', \"tickets\".\"closed_at\")";
    for question in
        ["tickets closed per week", "number of tickets closed by week", "tickets closed per week in 2025"]
    {
        assert_reads(question, week, "opened_at");
    }
    assert_reads("revenue paid per month", "date_trunc('month', \"invoices\".\"paid_on\")", "issued_on");
    assert_reads("tickets created per week", "date_trunc('week', \"tickets\".\"opened_at\")", "accounts");
    assert_reads("open tickets per week", "date_trunc('week', \"tickets\".\"opened_at\")", "closed_at");
    refused("users logged in per month");
    refused("tickets that were opened and closed in May");
}

#[test]
fn a_column_has_one_value_at_a_time() {
    for question in [
        "orders from Germany to France",
        "orders in Germany, in France",
        "open tickets that are closed",
        "how many orders came from Germany and how many from France",
    ] {
        refused(question);
    }
    assert_reads("orders from Germany or from France", "IN ($1, $2)", " = $");
    assert_reads("orders in Germany, France", "IN ($1, $2)", " = $");
}

#[test]
fn no_table_of_a_list_is_passed_over() {
    for question in [
        "how many orders and tickets are there",
        "number of orders and accounts per country",
        "accounts and the users with more than 3 tickets",
        "countries of accounts with more than 3 tickets",
    ] {
        refused(question);
    }
}

#[test]
fn other_words_are_no_slips_of_the_pen() {
    for (question, word) in [
        ("average height of products", "height"),
        ("how many older orders are there", "older"),
        ("accounts by county", "county"),
    ] {
        let refusal = refused(question);
        assert_eq!((refusal.reason, refusal.not_understood), (Reason::UnknownWords, vec![word.to_owned()]));
    }
    assert_reads("average wieght of products", "avg(CAST(\"products\".\"weight_kg\" AS DOUBLE))", "WHERE");
}

#[test]
fn a_share_is_taken_of_the_rows_that_a_preposition_names() {
    let plan = planned("what percentage of orders were returned in Germany");
    assert!(plan.sql.contains("CASE WHEN \"orders\".\"status\" = $2 THEN 1 END"), "{}", plan.sql);
    assert!(plan.sql.contains("WHERE \"accounts\".\"country\" = $1"), "{}", plan.sql);
    // What stands without one is the part.
    let plan = planned("what percentage of orders were from Germany");
    assert!(plan.sql.contains("CASE WHEN \"accounts\".\"country\" = $1"), "{}", plan.sql);
    refused("what percentage of orders are returned orders of accounts in Germany");
}

#[test]
fn names_of_what_others_belong_to_are_no_rows_to_count() {
    for question in ["how many toys do we have", "number of books", "list all toys"] {
        refused(question);
    }
    assert_reads("average price of toys", "\"categories\".\"name\" = $1", "count(");
}

#[test]
fn rows_by_a_measure_are_no_groups() {
    for question in ["products by price", "list all products by weight", "tickets by duration"] {
        assert_eq!(refused(question).reason, Reason::Ambiguous, "{question}");
    }
    assert_reads("number of products by price", "GROUP BY \"products\".\"price\"", "LIMIT");
    assert_reads("products by stars", "GROUP BY \"products\".\"stars\"", "LIMIT");
    assert_reads("top 3 products by price", "ORDER BY \"products\".\"price\" DESC", "GROUP BY");
}

#[test]
fn who_did_it_is_no_group() {
    for question in ["orders by accounts from Germany", "how many tickets by accounts that churned"] {
        assert_eq!(refused(question).reason, Reason::Ambiguous, "{question}");
    }
    assert_reads("number of orders by account", "GROUP BY \"accounts\".\"id\"", "WHERE");
}

#[test]
fn an_average_over_sums_is_asked_back() {
    for question in ["average revenue per month", "average revenue per account"] {
        assert_eq!(refused(question).reason, Reason::Ambiguous, "{question}");
    }
    assert_reads(
        "average invoice revenue per month",
        "avg(CAST(\"invoices\".\"revenue\" AS DOUBLE))",
        "sum(",
    );
    assert_reads("revenue per month", "sum(\"invoices\".\"revenue\")", "avg(");
}

#[test]
fn the_last_one_is_none_of_those_to_come() {
    let plan = planned("last ticket of account 5");
    assert!(plan.sql.contains("WHERE \"tickets\".\"opened_at\" < $1"), "{}", plan.sql);
    assert_eq!(plan.parameters.first(), Some(&Parameter::Timestamp("2025-06-19T00:00:00".to_owned())));
    assert!(
        plan.reading.filters.iter().any(|words| words == "opened_at before 2025-06-19"),
        "{:?}",
        plan.reading
    );
    assert_reads("first ticket of account 5", "ASC NULLS LAST", "opened_at\" <");
    assert_reads("last ticket this year", "\"opened_at\" < $2", "$3");
    // Minutes are no rows.
    assert_eq!(refused("tickets in the last 30 minutes").reason, Reason::NotSupported);
}

#[test]
fn verbs_ask_for_what_people_mean_by_them() {
    assert_reads("what does the Kettle cost", "\"products\".\"price\" AS \"price\"", "\"cost\"");
    assert_reads("what is the cost of the Kettle", "\"products\".\"cost\" AS \"cost\"", "\"price\"");
    assert_reads("how many orders were paid with paypal", "\"orders\".\"payment_method\" = $1", "status");
}

#[test]
fn the_row_of_an_extreme_is_asked_for_by_its_name() {
    assert_reads("highest price product", "ORDER BY \"products\".\"price\" DESC", "max(");
    assert_reads("lowest priced product in Toys", "ORDER BY \"products\".\"price\" ASC", "min(");
    assert_reads("highest product price", "max(\"products\".\"price\")", "ORDER BY");
    assert_reads("highest price of products", "max(\"products\".\"price\")", "ORDER BY");
}

#[test]
fn groups_with_a_condition_are_counted() {
    let plan = planned("how many accounts have more than 3 tickets");
    assert!(plan.sql.starts_with("SELECT count(*) AS \"count\"\nFROM (\nSELECT "), "{}", plan.sql);
    assert!(plan.sql.ends_with("HAVING count(*) > $1\n) AS \"groups\""), "{}", plan.sql);
    assert!(
        plan.reading.summary.starts_with("Counts accounts with a number of tickets > 3"),
        "{:?}",
        plan.reading
    );
    assert_reads("accounts with more than 3 tickets", "ORDER BY 3 DESC", "FROM (");
}

#[test]
fn a_comment_gives_names_wherever_it_says_so() {
    let (mut schema, values) = service();
    let orders = schema.tables.iter_mut().find(|table| table.name() == "orders");
    if let Some(method) =
        orders.and_then(|table| table.columns.iter_mut().find(|each| each.name == "payment_method"))
    {
        method.comment =
            Some("Also called channel. How it is paid. Also known as way of paying; purse".to_owned());
    }
    for question in ["orders by channel", "orders by way of paying", "number of orders per purse"] {
        let Answer::Plan(plan) = ask_of(&schema, &values, question) else { panic!("refused: {question}") };
        assert!(plan.sql.contains("GROUP BY \"orders\".\"payment_method\""), "{question}: {}", plan.sql);
    }
}

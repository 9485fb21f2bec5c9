//! Questions in Swahili have the answers of their English twins, over a schema with English names.

#![expect(clippy::panic, reason = "a test that cannot go on fails")]

use jiff::civil::date;
use jiff::tz::TimeZone;
use tidegate_planner::{
    Answer, Column, ColumnId, ForeignKey, Kind, MemoryValues, Plan, Reason, Refusal, Request, Schema, Table,
    plan,
};

/// English, and the same in Swahili.
const TWINS: [(&str, &str); 29] = [
    // Counts.
    ("how many orders are there", "kuna maagizo mangapi?"),
    ("number of customers", "idadi ya wateja"),
    ("how many different cities", "miji mingapi tofauti"),
    ("number of customers per city", "idadi ya wateja kwa mji"),
    ("number of orders by status", "idadi ya maagizo kwa kila hali"),
    ("percentage of orders by status", "asilimia ya maagizo kwa hali"),
    // Time.
    ("how many orders last month", "maagizo mangapi mwezi uliopita?"),
    ("how many orders this year", "maagizo mangapi mwaka huu"),
    ("how many orders in the last 7 days", "maagizo mangapi siku 7 zilizopita"),
    ("how many orders before 2024", "maagizo mangapi kabla ya 2024"),
    ("number of orders since March 2025", "idadi ya maagizo tangu Machi 2025"),
    ("number of orders between January and March 2025", "idadi ya maagizo kati ya Januari na Machi 2025"),
    ("orders in March 2025", "nionyeshe maagizo katika Machi 2025"),
    ("orders per month", "maagizo kwa mwezi"),
    // Sums, averages, ends.
    ("total amount last month", "jumla ya kiasi mwezi uliopita"),
    ("total amount per month", "jumla ya kiasi kwa mwezi"),
    ("average amount by status", "wastani wa kiasi kwa hali"),
    ("average price", "wastani wa bei"),
    ("maximum price", "kiwango cha juu cha bei"),
    // Top lists.
    ("top 5 customers by amount", "wateja 5 bora kwa kiasi"),
    ("top five customers by amount last quarter", "wateja watano bora kwa kiasi robo iliyopita"),
    ("3 most expensive products", "bidhaa 3 ghali zaidi"),
    ("3 latest orders", "maagizo matatu mapya zaidi"),
    // Filters.
    ("customers from Berlin or Munich", "wateja kutoka Berlin au Munich"),
    ("orders with status paid", "maagizo yenye hali paid"),
    ("orders with amount over 100", "maagizo yenye kiasi zaidi ya 100"),
    ("how many orders with amount at least 100", "maagizo mangapi yenye kiasi angalau 100"),
    ("products with price between 10 and 50", "bidhaa zenye bei kati ya 10 na 50"),
    ("customers without orders", "wateja bila maagizo"),
];

/// What has another order in Swahili than in English, or more than one reading.
const REFUSED: [&str; 7] = [
    "wateja 5",
    "agizo 5",
    "wateja wa maagizo mangapi",
    "kiasi mangapi",
    "wateja wenye maagizo 3",
    "maagizo yenye kiasi kati ya 1900 na 2000",
    "maagizo ya kesho kutwa",
];

fn column(name: &str, kind: Kind) -> Column {
    Column { name: name.to_owned(), kind, nullable: false, untyped: false, comment: None }
}

fn table(name: &str, columns: &[(&str, Kind)], keys: &[(&str, &str)]) -> Table {
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
        columns: columns.iter().map(|(name, kind)| column(name, *kind)).collect(),
        primary_key: vec!["id".to_owned()],
        foreign_keys,
        rows: None,
    }
}

fn shop() -> (Schema, MemoryValues) {
    let (key, text) = (Kind::Integer, Kind::Text);
    let customers = table("customers", &[("id", key), ("name", text), ("city", text)], &[]);
    let products = table("products", &[("id", key), ("name", text), ("price", Kind::Decimal)], &[]);
    let orders = table(
        "orders",
        &[
            ("id", key),
            ("customer_id", key),
            ("product_id", key),
            ("placed_on", Kind::Date),
            ("status", text),
            ("amount", Kind::Decimal),
        ],
        &[("customer_id", "customers"), ("product_id", "products")],
    );
    let schema = Schema { tables: vec![customers, products, orders], glossary: Vec::new() };
    let mut values = MemoryValues::default();
    for (table, place, list) in [(0, 2, ["Berlin", "Munich"]), (2, 4, ["open", "paid"])] {
        list.iter().for_each(|value| values.add(ColumnId { table, column: place }, value));
    }
    (schema, values)
}

fn ask(language: &str, question: &str) -> Answer {
    let (schema, values) = shop();
    let (today, zone) = (date(2025, 6, 18), TimeZone::UTC);
    plan(&Request { schema: &schema, values: &values, today, zone: &zone, language, question })
}

fn planned(language: &str, question: &str) -> Plan {
    match ask(language, question) {
        Answer::Plan(plan) => plan,
        Answer::Refusal(refusal) => panic!("{question}: {refusal:?}"),
    }
}

fn refused(language: &str, question: &str) -> Refusal {
    match ask(language, question) {
        Answer::Plan(plan) => panic!("{question}: {plan:?}"),
        Answer::Refusal(refusal) => refusal,
    }
}

#[test]
fn a_question_in_swahili_is_answered_as_its_english_twin() {
    for (english, swahili) in TWINS {
        let (one, other) = (planned("en", english), planned("sw", swahili));
        assert_eq!((&other.sql, &other.parameters), (&one.sql, &one.parameters), "{swahili}");
        // The region does not matter.
        assert_eq!(planned("sw-KE", swahili), other);
    }
}

#[test]
fn english_is_understood_whatever_language_is_preferred() {
    for (english, swahili) in TWINS {
        let expected = planned("en", english);
        for language in ["sw", "de", "", "en-GB", "x"] {
            assert_eq!(planned(language, english).sql, expected.sql, "{language}: {english}");
        }
        // Swahili is understood where it is asked for.
        refused("en", swahili);
        refused("de", swahili);
    }
}

#[test]
fn what_swahili_does_not_say_in_one_way_is_refused() {
    for question in REFUSED {
        refused("sw", question);
    }
}

#[test]
fn a_refusal_names_words_of_its_language_and_suggests_in_it() {
    let refusal = refused("sw", "maagizo mangapi yaliyopotea");
    assert_eq!(
        (refusal.reason, refusal.not_understood),
        (Reason::UnknownWords, vec!["yaliyopotea".to_owned()])
    );
    assert!(refusal.readings.contains(&"idadi ya orders".to_owned()), "{:?}", refusal.readings);
    for reading in &refusal.readings {
        planned("sw", reading);
    }
    // Of English words it is the English refusal.
    let refusal = refused("sw", "how many purple orders");
    assert_eq!(refusal.not_understood, ["purple"]);
    assert!(refusal.readings.contains(&"number of orders".to_owned()), "{:?}", refusal.readings);
}

#[test]
fn names_in_swahili_are_found_in_singular_and_plural() {
    let (mut schema, values) = shop();
    let (today, zone) = (date(2025, 6, 18), TimeZone::UTC);
    schema.tables.iter_mut().for_each(|table| {
        let name = match table.name() {
            "orders" => "maagizo",
            "customers" => "mteja",
            _ => "bidhaa",
        };
        table.path = vec!["sales".to_owned(), name.to_owned()];
        table.foreign_keys.clear();
    });
    for question in ["idadi ya wateja", "maagizo mangapi", "idadi ya bidhaa", "idadi ya agizo"] {
        let request =
            Request { schema: &schema, values: &values, today, zone: &zone, language: "sw", question };
        let Answer::Plan(plan) = plan(&request) else { panic!("refused: {question}") };
        assert!(plan.sql.contains("count(*)"), "{}", plan.sql);
    }
}

//! ClickHouse, and what it reads out of an address.

use std::time::Duration;

use serde_json::json;
use tidegate_connect::{ErrorCode, Filter, Literal, Operator, Relation, Scan, Settings, SourceType, open};

use super::{DAY, HOSTILE, MOMENT, among, compare, hostile, narrowed};
use crate::cells::{read, row, rows, select};
use crate::http::{Answer, Asked, Log, serve};
use crate::servers::here;
use crate::vendors::server;

const CLICKHOUSE: [(&str, &str); 12] = [
    ("id", "UInt64"),
    ("small", "Nullable(Int8)"),
    ("name", "LowCardinality(Nullable(String))"),
    ("f", "Float32"),
    ("price", "Decimal(10, 2)"),
    ("ok", "Bool"),
    ("day", "Date"),
    ("at", "DateTime"),
    ("fine", "DateTime64(3, 'Europe/Berlin')"),
    ("uuid", "UUID"),
    ("tags", "Array(String)"),
    ("C0", "String"),
];

fn clickhouse_answers(asked: &Asked) -> Answer<String> {
    if !asked.target.contains("readonly=2") || !asked.body.ends_with(" FORMAT JSONCompactEachRow") {
        return (500, vec![], String::new());
    }
    let columns = || {
        let rows = CLICKHOUSE.iter().map(|(name, kind)| {
            let nullable = if kind.contains("Nullable") { "Y" } else { "N" };
            let row = json!(["d", "t`x", "T", 3, "why", name, kind, null, null, nullable, "", null, null]);
            format!("{row}\n")
        });
        rows.collect::<String>()
    };
    let body = match asked.body.as_str() {
        text if text.contains("version()") => "[\"24.8.1.1\"]\n".to_owned(),
        "SELECT 1 FORMAT JSONCompactEachRow" => "[1]\n".to_owned(),
        text if text.contains("system.columns") && asked.target.contains("param_p1=torn") => {
            columns().replace("t`x", "torn")
        }
        text if text.contains("system.columns") && asked.target.contains("param_p1=missing") => String::new(),
        text if text.contains("system.columns") => {
            assert!(
                text.contains("NOT startsWith(c.table, '.inner')"),
                "rows of views have one name: {text}"
            );
            columns()
        }
        text if text.contains("`torn`") => {
            "[7]\nCode: 241. DB::Exception: memory limit of hunter2".to_owned()
        }
        text if text.starts_with("SELECT `id` FROM") => "[7]\n\n[8]".to_owned(),
        text if text.starts_with("SELECT 1 FROM") => "[1]\n[1]\n".to_owned(),
        _ => {
            let first = json!([
                u64::MAX,
                -3,
                "Zoë",
                "0.1",
                "12.5",
                true,
                "2024-01-31",
                "2024-01-31 12:30:00",
                "2024-01-31 11:30:00.123",
                "61f0c404-5cb3-11e7-907b-a6006ad3dba0",
                "[\"a\"]",
                "x"
            ]);
            let second = json!([
                0,
                null,
                null,
                "nan",
                "-0.05",
                false,
                "1970-01-01",
                "1970-01-01 00:00:00",
                "1970-01-01 00:00:00.000",
                "61f0c404-5cb3-11e7-907b-a6006ad3dba0",
                "[]",
                ""
            ]);
            format!("{first}\n{second}\n")
        }
    };
    (200, vec![], body)
}

async fn clickhouse() -> (Settings, Log) {
    let (port, log) = serve(clickhouse_answers).await;
    (server(SourceType::Clickhouse, port), log)
}

/// The parameters of a request as ClickHouse reads them: of an address, and then of a field of tab-separated values, where `\N` is NULL.
fn parameters(asked: &Asked) -> Vec<Option<String>> {
    let url = url::Url::parse(&format!("http://x{}", asked.target)).unwrap();
    let unescaped = |text: &str| {
        if text == "\\N" {
            return None;
        }
        let mut plain = String::new();
        let mut all = text.chars();
        while let Some(c) = all.next() {
            assert!(!matches!(c, '\t' | '\n'), "it ends the field: {text:?}");
            plain.push(match c {
                '\\' => match all.next().unwrap() {
                    't' => '\t',
                    'n' => '\n',
                    'r' => '\r',
                    '0' => '\0',
                    other => other,
                },
                other => other,
            });
        }
        Some(plain)
    };
    let mut found = Vec::new();
    for (name, value) in url.query_pairs().filter(|(name, _)| name.starts_with("param_")) {
        assert_eq!(name, format!("param_p{}", found.len()));
        found.push(unescaped(&value));
    }
    found
}

#[tokio::test]
async fn clickhouse_gives_values_of_its_types_as_they_come() {
    let (settings, log) = clickhouse().await;
    let source = open(settings, &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(1)).await.unwrap();
    assert_eq!(
        (tested.version.as_deref(), tested.result.as_deref()),
        (Some("ClickHouse 24.8.1.1"), Some("1"))
    );
    let found = source.discover(None).await.unwrap();
    let table = &found.schemas[0].tables[0];
    assert_eq!(
        (table.name.as_str(), table.row_count, table.comment.as_deref()),
        ("t`x", Some(3), Some("why"))
    );
    let name = &table.columns[2];
    assert_eq!((name.type_name.as_str(), name.nullable, table.columns[0].nullable), ("String", true, false));
    let all = read(source.as_ref(), Relation::new("d", "t`x")).await.unwrap();
    let uuid = "61f0c404-5cb3-11e7-907b-a6006ad3dba0";
    let moment = "2024-01-31T12:30:00Z";
    let first = row([
        "18446744073709551615",
        "-3",
        "Zoë",
        "0.1",
        "12.50",
        "true",
        "2024-01-31",
        moment,
        "2024-01-31T11:30:00.123Z",
        uuid,
        "[\"a\"]",
        "x",
    ]);
    let (zero, second) = ("1970-01-01T00:00:00Z", |zero| {
        row(["0", "NULL", "NULL", "NaN", "-0.05", "false", "1970-01-01", zero, zero, uuid, "[]", ""])
    });
    assert_eq!(all, [first, second(zero)]);
    let last = log.lock().unwrap().pop().unwrap();
    assert_eq!(
        last.body,
        "SELECT `id`, `small`, `name`, toString(`f`), toString(`price`), `ok`, `day`, toString(toTimeZone(`at`, 'UTC')), \
         toString(toTimeZone(`fine`, 'UTC')), toString(`uuid`), toJSONString(`tags`), `C0` FROM `d`.`t\\`x` FORMAT JSONCompactEachRow"
    );
    assert!(last.target.contains("cancel_http_readonly_queries_on_client_close=1"), "{}", last.target);
    let none = Scan { projection: Some(vec![]), ..Scan::all(Relation::new("d", "t`x")) };
    assert_eq!(rows(source.scan(none).await.unwrap()).await.unwrap().len(), 2, "rows without columns");
}

#[tokio::test]
async fn clickhouse_is_told_columns_filters_and_limit() {
    let (settings, log) = clickhouse().await;
    let source = open(settings, &here()).await.unwrap();
    let filters = vec![
        compare("id", Operator::Eq, Literal::UInt(7)),
        among("id", vec![Literal::UInt(7), Literal::UInt(u64::MAX)]),
        Filter::Not(Box::new(compare("small", Operator::Lt, Literal::Int(-5)))),
        compare("price", Operator::Gt, Literal::Decimal { unscaled: 150, scale: 2 }),
        compare("ok", Operator::Eq, Literal::Boolean(true)),
        Filter::Between {
            column: "day".into(),
            low: Literal::Date(19_723),
            high: Literal::Date(DAY),
            negated: false,
        },
        compare("at", Operator::GtEq, Literal::Timestamp(MOMENT)),
        compare("fine", Operator::Lt, Literal::Timestamp(MOMENT + 500_000)),
        Filter::IsNull { column: "uuid".into(), negated: true },
        compare("C0", Operator::Eq, Literal::Utf8("it's".into())),
    ];
    let applied = narrowed(source.as_ref(), Relation::new("d", "t`x"), "id", filters).await;
    assert_eq!(applied, (vec![true; 10], true));
    let last = log.lock().unwrap().pop().unwrap();
    assert_eq!(
        last.body,
        "SELECT `id` FROM `d`.`t\\`x` WHERE (`id` = 7) AND (`id` IN (7, 18446744073709551615)) AND (NOT (`small` < -5)) AND \
         (`price` > toDecimal128('1.50', 2)) AND (`ok` = true) AND (`day` BETWEEN toDate('2024-01-01') AND toDate('2024-01-31')) AND \
         (`at` >= toDateTime('2024-01-31 12:30:00', 'UTC')) AND (`fine` < toDateTime64('2024-01-31 12:30:00.500', 3, 'UTC')) AND \
         (`uuid` IS NOT NULL) AND (`C0` = {p0:String}) LIMIT 7 FORMAT JSONCompactEachRow"
    );
    assert_eq!(parameters(&last), [Some("it's".to_owned())]);
}

#[tokio::test]
async fn clickhouse_gets_hostile_texts_apart_from_the_query() {
    let (settings, log) = clickhouse().await;
    let source = open(settings, &here()).await.unwrap();
    let relation = || Relation::new("d", "t`x");
    let (_, applied) = select(source.as_ref(), relation(), &["id"], among("C0", hostile())).await.unwrap();
    assert!(applied);
    let last = log.lock().unwrap().pop().unwrap();
    let places: Vec<String> = (0..HOSTILE.len()).map(|index| format!("{{p{index}:String}}")).collect();
    assert_eq!(
        last.body,
        format!(
            "SELECT `id` FROM `d`.`t\\`x` WHERE (`C0` IN ({})) FORMAT JSONCompactEachRow",
            places.join(", ")
        )
    );
    let sent: Vec<String> = parameters(&last).into_iter().map(|text| text.unwrap()).collect();
    assert_eq!(sent, HOSTILE);
    // Its lists are true or false of NULL: of a column that may be NULL each value is asked for by itself.
    let either = |negated| Filter::In {
        column: "name".into(),
        values: vec![Literal::Utf8("a".into()), Literal::Utf8("b".into())],
        negated,
    };
    for (filter, expected) in [
        (either(false), "((`name` = {p0:String}) OR (`name` = {p1:String}))"),
        (Filter::Not(Box::new(either(true))), "(NOT ((`name` <> {p0:String}) AND (`name` <> {p1:String})))"),
    ] {
        assert!(select(source.as_ref(), relation(), &["id"], filter).await.unwrap().1);
        let last = log.lock().unwrap().pop().unwrap();
        assert!(last.body.contains(&format!("WHERE {expected} FORMAT")), "{}", last.body);
    }
}

#[tokio::test]
async fn clickhouse_is_told_nothing_that_it_would_decide_otherwise() {
    let (settings, log) = clickhouse().await;
    let source = open(settings, &here()).await.unwrap();
    let relation = || Relation::new("d", "t`x");
    let schema = source.schema(&relation()).await.unwrap();
    let text = |text: &str| Literal::Utf8(text.to_owned());
    let long = vec![text(&"x".repeat(1_000)); 5];
    for filter in [
        // It would be rounded to a second or millisecond, or to the first or last day there is.
        compare("at", Operator::GtEq, Literal::Timestamp(MOMENT + 1)),
        compare("fine", Operator::Eq, Literal::Timestamp(MOMENT + 1)),
        compare("at", Operator::Gt, Literal::Timestamp(-1_000_000)),
        compare("day", Operator::Lt, Literal::Date(-1)),
        compare("day", Operator::Eq, Literal::Date(65_536)),
        // Of another form there.
        compare("uuid", Operator::Eq, text("61F0C404-5CB3-11E7-907B-A6006AD3DBA0")),
        compare("tags", Operator::Eq, text("[]")),
        Filter::IsNull { column: "tags".into(), negated: false },
        compare("absent", Operator::Eq, Literal::Int(1)),
        // An address is not as long as that.
        among("C0", long),
    ] {
        assert!(!source.evaluates(&schema, &filter), "{filter:?}");
        let either = Filter::Or(vec![compare("id", Operator::Eq, Literal::UInt(1)), filter.clone()]);
        assert!(!source.evaluates(&schema, &either), "{filter:?}");
        let applied = narrowed(source.as_ref(), relation(), "id", vec![filter.clone()]).await;
        assert_eq!(applied, (vec![false], false), "{filter:?}");
        let last = log.lock().unwrap().pop().unwrap();
        assert_eq!(last.body, "SELECT `id` FROM `d`.`t\\`x` FORMAT JSONCompactEachRow", "{filter:?}");
    }
    // Two find room that do not find it together with a third.
    let texts = || among("C0", vec![text(&"x".repeat(1_500))]);
    let applied = narrowed(source.as_ref(), relation(), "id", vec![texts(), texts(), texts()]).await;
    assert_eq!(applied, (vec![true, true, false], false));
}

#[tokio::test]
async fn clickhouse_may_fail_before_and_in_the_middle_of_an_answer() {
    let (settings, _) = clickhouse().await;
    let source = open(settings, &here()).await.unwrap();
    for table in ["missing", "torn"] {
        let error = match source
            .scan(Scan { projection: Some(vec!["id".to_owned()]), ..Scan::all(Relation::new("d", table)) })
            .await
        {
            Ok(stream) => rows(stream).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.code, ErrorCode::Query, "{table}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
    assert!(source.test(Some("SELECT * FROM url('http://x')"), Duration::from_secs(1)).await.is_err());
}

//! PostgreSQL itself.

use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use futures_util::StreamExt;
use serde_json::json;
use tidegate_connect::{
    ConnectionString, ErrorCode, Filter, Literal, Operator, Order, Relation, Scan, Source, TableKind, open,
};

use crate::cells::{Few, first_two, read, row, rows, select};
use crate::servers::{Certificates, Postgres, here, secret};

fn compare(column: &str, operator: Operator, value: Literal) -> Filter {
    Filter::Compare { column: column.to_owned(), operator, value }
}

#[tokio::test]
async fn every_type_is_read_without_loss() {
    let server = Postgres::start(&[]);
    let admin = server.admin("postgres").await;
    admin
        .batch_execute(
            "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN price AS numeric(6, 2);
             CREATE TABLE all_types (id int PRIMARY KEY, b bool, i2 int2, i8 int8, f4 float4, f8 float8, n numeric(10, 3),
               wide numeric(60, 10), free numeric, t text, v varchar(20), c char(5), bytes bytea, d date, ti time, ts timestamp,
               tz timestamptz, iv interval, u uuid, j jsonb, a int[], m mood, ip inet, p price, r int4range, o oid);
             INSERT INTO all_types VALUES
               (1, true, -32768, 9223372036854775807, 1.5, 'NaN', -1234567.890, 12345678901234567890.0123456789, 1.25,
                'it''s', 'é', 'ab', '\\x00ff', '2024-02-29', '23:59:59.999999', '2024-02-29 12:00:00.123456',
                '2024-02-29 12:00:00+02', '1 mon 2 days 00:00:03', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', '{\"a\": [1, null]}',
                '{{1,2},{3,NULL}}', 'glad', '10.0.0.1/8', 1.5, '[1,5)', 4294967295);
             INSERT INTO all_types (id) VALUES (2)",
        )
        .await
        .unwrap();
    let source = open(server.settings("postgres"), &here()).await.unwrap();
    let rows = read(source.as_ref(), Relation::new("public", "all_types")).await.unwrap();
    let expected = row([
        "1",
        "true",
        "-32768",
        "9223372036854775807",
        "1.5",
        "NaN",
        "-1234567.890",
        "12345678901234567890.0123456789",
        "1.25000000000000000000000000000000000000",
        "it's",
        "é",
        // Blanks at the end are no part of a CHAR: the server's own text has none, nor have its comparisons.
        "ab",
        "[00, ff]",
        "2024-02-29",
        "86399999999",
        "2024-02-29T12:00:00.123456",
        "2024-02-29T10:00:00Z",
        "IntervalMonthDayNano { months: 1, days: 2, nanoseconds: 3000000000 }",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "{\"a\": [1, null]}",
        "{{1,2},{3,NULL}}",
        "glad",
        "10.0.0.1/8",
        "1.50",
        "[1,5)",
        "4294967295",
    ]);
    assert_eq!(rows[0], expected);
    assert_eq!(rows[1][0].as_deref(), Some("2"));
    assert!(rows[1][1..].iter().all(Option::is_none), "{:?}", rows[1]);

    // What Arrow has no place for is refused by name, or NULL where that is asked for; never something else.
    for (kind, value) in
        [("date", "infinity"), ("timestamptz", "-infinity"), ("numeric(5,2)", "NaN"), ("time", "24:00")]
    {
        admin.batch_execute(&format!("DROP TABLE IF EXISTS odd; CREATE TABLE odd (strange {kind}); INSERT INTO odd VALUES ('{value}')")).await.unwrap();
        let mut settings = server.settings("postgres");
        let refusing = open(settings.clone(), &here()).await.unwrap();
        let refused = read(refusing.as_ref(), Relation::new("public", "odd")).await.unwrap_err();
        assert!(refused.message.contains("\"strange\""), "{kind}: {refused}");
        settings.metadata.insert("unfit_values".into(), json!("null"));
        let lenient = open(settings, &here()).await.unwrap();
        assert_eq!(
            read(lenient.as_ref(), Relation::new("public", "odd")).await.unwrap(),
            [row(["NULL"])],
            "{kind}"
        );
        // Of what is NULL here and not there the server is not asked, or says what is said here.
        for negated in [false, true] {
            let is_null = Filter::IsNull { column: "strange".into(), negated };
            let relation = Relation::new("public", "odd");
            let (found, applied) = select(lenient.as_ref(), relation, &["strange"], is_null).await.unwrap();
            assert_eq!(found.len(), usize::from(!(negated && applied)), "{kind}: negated {negated}");
        }
    }
}

#[tokio::test]
async fn filters_and_limits_are_the_servers_work_where_they_mean_the_same() {
    let server = Postgres::start(&[]);
    let admin = server.admin("postgres").await;
    admin
        .batch_execute(
            "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE TABLE emp (id int, name text, free text COLLATE blind, salary numeric(8,2), rate float8, hired date, seen timestamptz);
             INSERT INTO emp VALUES (1, 'Anna', 'x', 100, 1, '2020-01-01', '2020-01-01 00:00+00'),
               (2, 'anna', 'X', 200.50, 'NaN', '2021-01-01', '2021-01-01 00:00+00'), (3, 'O''Brien', NULL, NULL, 3, NULL, NULL),
               (4, 'Zoë', 'y', 50, -0.0, '1999-12-31', '1999-12-31 23:59:59+00')",
        )
        .await
        .unwrap();
    let source = open(server.settings("postgres"), &here()).await.unwrap();
    let relation = || Relation::new("public", "emp");
    let ids = async |filter: Filter| select(source.as_ref(), relation(), &["id"], filter).await.unwrap();
    let list = |ids: &[&str]| ids.iter().map(|id| row([id])).collect::<Vec<_>>();
    let text = |text: &str| Literal::Utf8(text.to_owned());

    assert_eq!(ids(compare("id", Operator::GtEq, Literal::Int(3))).await, (list(&["3", "4"]), true));
    assert_eq!(ids(compare("name", Operator::Eq, text("O'Brien"))).await, (list(&["3"]), true));
    // By bytes, as here; the server's language would put "anna" before "Anna" and both before "Z".
    assert_eq!(ids(compare("name", Operator::Lt, text("a"))).await, (list(&["1", "3", "4"]), true));
    assert_eq!(
        ids(compare("salary", Operator::Lt, Literal::Decimal { unscaled: 10_001, scale: 2 })).await,
        (list(&["1", "4"]), true)
    );
    assert_eq!(ids(compare("hired", Operator::Lt, Literal::Date(0))).await, (list(&[]), true));
    assert_eq!(ids(compare("hired", Operator::Lt, Literal::Date(10_957))).await, (list(&["4"]), true));
    let midnight = Literal::Timestamp(1_577_836_800_000_000);
    assert_eq!(ids(compare("seen", Operator::Eq, midnight)).await, (list(&["1"]), true));
    let several =
        Filter::In { column: "id".into(), values: vec![Literal::Int(1), Literal::Int(4)], negated: true };
    assert_eq!(ids(Filter::Not(Box::new(several))).await, (list(&["1", "4"]), true));
    assert_eq!(ids(Filter::IsNull { column: "salary".into(), negated: false }).await, (list(&["3"]), true));

    assert_eq!(
        ids(Filter::IsNull { column: "hired".into(), negated: true }).await,
        (list(&["1", "2", "4"]), true)
    );

    // A collation that ignores case, and floats, for which NaN and -0 differ: left to the engine.
    assert!(!ids(compare("free", Operator::Eq, text("x"))).await.1);
    assert!(!ids(compare("rate", Operator::Gt, Literal::Int(1))).await.1);
    assert!(!ids(compare("absent", Operator::Gt, Literal::Int(1))).await.1);

    let scan = Scan {
        relation: relation(),
        projection: Some(vec!["name".into(), "id".into()]),
        filters: vec![compare("id", Operator::Gt, Literal::Int(1))],
        order: vec![],
        limit: Some(1),
    };
    let stream = source.scan(scan).await.unwrap();
    assert!(stream.limited);
    assert_eq!(rows(stream).await.unwrap(), [row(["anna", "2"])]);
    let last = "SELECT query FROM pg_stat_activity WHERE application_name = 'tidegate' ORDER BY query_start DESC LIMIT 1";
    let sent: String = admin.query_one(last, &[]).await.unwrap().get(0);
    assert_eq!(sent, "SELECT \"name\", \"id\" FROM \"public\".\"emp\" WHERE (\"id\" > $1::int8) LIMIT 1");

    // A limit above a filter that stays here is not applied there.
    let scan = Scan {
        relation: relation(),
        projection: Some(vec![]),
        filters: vec![compare("free", Operator::Eq, text("y"))],
        order: vec![],
        limit: Some(1),
    };
    let stream = source.scan(scan).await.unwrap();
    assert!(!stream.limited);
    assert_eq!(rows(stream).await.unwrap().len(), 4);

    // Rows without columns are counted, and not sent.
    let filters = vec![compare("id", Operator::Gt, Literal::Int(1))];
    for (limit, count, end) in [(None, 3, ""), (Some(2), 2, " LIMIT 2")] {
        let (projection, filters) = (Some(vec![]), filters.clone());
        let scan = Scan { projection, filters, limit, ..Scan::all(relation()) };
        assert_eq!(rows(source.scan(scan).await.unwrap()).await.unwrap(), vec![vec![]; count]);
        let sent: String = admin.query_one(last, &[]).await.unwrap().get(0);
        let inner = format!("SELECT 1 FROM \"public\".\"emp\" WHERE (\"id\" > $1::int8){end}");
        assert_eq!(sent, format!("SELECT count(*) FROM ({inner}) AS \"counted\""));
    }
}

#[tokio::test]
async fn the_first_rows_are_chosen_by_the_server_where_its_order_is_the_engines() {
    let server = Postgres::start(&[]);
    let admin = server.admin("postgres").await;
    admin
        .batch_execute(
            "CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE TYPE size AS ENUM ('small', 'large');
             CREATE TABLE emp (id int NOT NULL, name text, free text COLLATE blind, salary numeric(8,2), rate float8, hired date NOT NULL,
               is_new bool, size size NOT NULL, \"1\" timestamptz);
             INSERT INTO emp VALUES (1, 'anna', 'x', 100, 1, '2020-01-01', true, 'small', '2020-01-01 00:00+00'),
               (2, 'Zoë', 'X', 200.50, 'NaN', '2021-01-01', false, 'large', '2020-01-01 00:00+01'),
               (3, NULL, NULL, NULL, NULL, '1999-12-31', NULL, 'small', NULL),
               (4, 'Bea', 'y', 50, -0.0, '2030-01-01', true, 'large', '2020-01-02 00:00+00')",
        )
        .await
        .unwrap();
    let source = open(server.settings("postgres"), &here()).await.unwrap();
    let relation = || Relation::new("public", "emp");
    for (order, first) in [
        // By bytes: capitals first, whatever the language of the server.
        (&["name asc"][..], "4, 2"),
        (&["name asc nulls first"], "3, 4"),
        (&["name desc"], "1, 2"),
        (&["name desc nulls first"], "3, 1"),
        (&["salary desc"], "2, 1"),
        (&["salary desc nulls first"], "3, 2"),
        (&["hired desc"], "4, 2"),
        (&["hired asc nulls first"], "3, 1"),
        (&["is_new asc", "id desc"], "2, 4"),
        (&["is_new desc", "id desc"], "4, 1"),
        // By its name, and not by its place in the type.
        (&["size asc", "id asc"], "2, 4"),
        // No number of a column.
        (&["1 desc"], "4, 1"),
        // Where NaN and -0 differ, a collation ignores case, or there is no such column, all come.
        (&["rate desc"], "4 rows"),
        (&["free asc"], "4 rows"),
        (&["id asc", "rate asc"], "4 rows"),
        (&["absent asc"], "4 rows"),
    ] {
        assert_eq!(first_two(source.as_ref(), relation(), order, vec![]).await.unwrap(), first, "{order:?}");
    }
    // A condition comes before the choice, or the choice is not made.
    let some = |column: &str| Filter::IsNull { column: column.to_owned(), negated: true };
    let older = compare("hired", Operator::Lt, Literal::Date(18_262));
    let dear = compare("salary", Operator::Gt, Literal::Decimal { unscaled: 6_000, scale: 2 });
    let (order, filters) = (["salary desc", "id asc"], vec![some("salary"), dear]);
    assert_eq!(first_two(source.as_ref(), relation(), &order, filters).await.unwrap(), "2, 1");
    let last = "SELECT query FROM pg_stat_activity WHERE application_name = 'tidegate' ORDER BY query_start DESC LIMIT 1";
    let sent: String = admin.query_one(last, &[]).await.unwrap().get(0);
    // Of what is not NULL nothing is said, so that an index serves.
    assert_eq!(
        sent,
        "SELECT \"id\" FROM \"public\".\"emp\" WHERE (\"salary\" IS NOT NULL) AND (\"salary\" > $1::numeric) \
         ORDER BY \"emp\".\"salary\" DESC, \"emp\".\"id\" ASC LIMIT 2"
    );
    let found = first_two(source.as_ref(), relation(), &["name desc"], vec![older]).await.unwrap();
    assert_eq!(found, "3", "one was hired before");
    let scan = Scan {
        projection: Some(vec!["id".into()]),
        filters: vec![compare("free", Operator::Eq, Literal::Utf8("y".into()))],
        order: vec![Order { column: "id".into(), descending: false, nulls_first: false }],
        limit: Some(1),
        ..Scan::all(relation())
    };
    let stream = source.scan(scan).await.unwrap();
    assert!(!stream.limited);
    assert_eq!(rows(stream).await.unwrap().len(), 4);
}

#[tokio::test]
async fn a_moment_that_is_read_as_null_is_not_among_the_last() {
    let server = Postgres::start(&[]);
    let admin = server.admin("postgres").await;
    admin
        .batch_execute(
            "CREATE TABLE seen (id int, at timestamp, day date); INSERT INTO seen VALUES (1, '2024-01-01', 'infinity'),
               (2, '294276-12-31 23:59:59', '2024-01-01'), (3, 'infinity', '2024-01-02')",
        )
        .await
        .unwrap();
    let mut settings = server.settings("postgres");
    settings.metadata.insert("unfit_values".into(), json!("null"));
    let source = open(settings, &here()).await.unwrap();
    let relation = || Relation::new("public", "seen");
    for (order, first) in [(["at desc"], "3 rows"), (["day desc"], "3, 2"), (["day asc nulls first"], "1, 2")]
    {
        assert_eq!(first_two(source.as_ref(), relation(), &order, vec![]).await.unwrap(), first, "{order:?}");
    }
}

#[tokio::test]
async fn discovery_finds_what_may_be_read_with_keys_and_comments() {
    let server = Postgres::start(&[]);
    let admin = server.admin("postgres").await;
    admin
        .batch_execute(
            "CREATE SCHEMA \"sales; drop\"; CREATE TABLE region (id int PRIMARY KEY);
             CREATE TABLE \"sales; drop\".\"order\"\"s 🛒\" (\"\"\"; drop table x\" serial, \" \" text NOT NULL DEFAULT 'a', gone int,
               region int REFERENCES region (id), PRIMARY KEY (\"\"\"; drop table x\"));
             ALTER TABLE \"sales; drop\".\"order\"\"s 🛒\" DROP COLUMN gone;
             COMMENT ON TABLE region IS 'Where'; COMMENT ON COLUMN region.id IS 'Which';
             CREATE VIEW public.v AS SELECT id FROM region; CREATE MATERIALIZED VIEW mv AS SELECT 1 AS one;
             CREATE TABLE no_columns (); CREATE TABLE empty (a int);
             INSERT INTO region SELECT generate_series(1, 1000); ANALYZE region;
             CREATE TABLE secret (a int, b int); CREATE TABLE partly (shown int, hidden int); INSERT INTO partly VALUES (1, 2);
             CREATE ROLE reader LOGIN PASSWORD 'p@:/#% ''x'; GRANT SELECT ON region, v TO reader; GRANT SELECT (shown) ON partly TO reader;",
        )
        .await
        .unwrap();
    let source = open(server.settings("postgres"), &here()).await.unwrap();
    let found = source.discover(None).await.unwrap();
    let names: Vec<_> = found.schemas.iter().map(|schema| schema.name.as_str()).collect();
    assert_eq!(names, ["public", "sales; drop"]);
    let public = &found.schemas[0].tables;
    let kinds: Vec<_> = public.iter().map(|table| (table.name.as_str(), table.kind)).collect();
    let base = TableKind::BaseTable;
    assert_eq!(
        kinds,
        [
            ("empty", base),
            ("mv", TableKind::View),
            ("no_columns", base),
            ("partly", base),
            ("region", base),
            ("secret", base),
            ("v", TableKind::View)
        ]
    );
    let region = &public[4];
    assert_eq!((region.row_count, region.comment.as_deref()), (Some(1000), Some("Where")));
    assert!(region.columns[0].primary_key && !region.columns[0].nullable);
    assert_eq!(region.columns[0].comment.as_deref(), Some("Which"));
    let orders = &found.schemas[1].tables[0];
    assert_eq!(orders.name, "order\"s 🛒");
    let columns: Vec<_> =
        orders.columns.iter().map(|column| (column.name.as_str(), column.position)).collect();
    assert_eq!(columns, [("\"; drop table x", 1), (" ", 2), ("region", 3)]);
    assert_eq!(orders.columns[1].default.as_deref(), Some("'a'::text"));
    assert_eq!(orders.columns[2].foreign_key.as_ref().unwrap().table, "region");
    assert_eq!(source.discover(Some("public")).await.unwrap().schemas.len(), 1);
    assert!(source.discover(Some("absent")).await.unwrap().schemas.is_empty());
    // They are handed on one by one, for as long as they are taken.
    let mut few = Few::of(3);
    assert_eq!(source.discover_into(None, &mut few).await.unwrap_err().message, "enough");
    assert_eq!(few.tables, ["empty", "mv", "no_columns"]);
    let odd = Relation::new("sales; drop", "order\"s 🛒");
    assert!(read(source.as_ref(), odd).await.unwrap().is_empty());
    assert!(read(source.as_ref(), Relation::new("public", "no_columns")).await.is_err());

    // Somebody with few rights sees what they may read, and learns nothing of the rest.
    let mut settings = server.settings("unused");
    settings.credentials = Default::default();
    settings.connection_string = Some(ConnectionString::new(format!(
        "postgres://reader:p@:/#% 'x@127.0.0.1:{}/postgres",
        server.port
    )));
    settings.database_name = None;
    settings.host = None;
    settings.port = None;
    let source = open(settings, &here()).await.unwrap();
    let found = source.discover(None).await.unwrap();
    let tables: Vec<_> =
        found.schemas[0].tables.iter().map(|table| (table.name.as_str(), table.columns.len())).collect();
    assert_eq!(tables, [("partly", 1), ("region", 1), ("v", 1)]);
    assert_eq!(read(source.as_ref(), Relation::new("public", "partly")).await.unwrap(), [row(["1"])]);
    let refused = read(source.as_ref(), Relation::new("public", "secret")).await.unwrap_err();
    let absent = read(source.as_ref(), Relation::new("public", "absent")).await.unwrap_err();
    assert_eq!(refused.message.replace("secret", "absent"), absent.message);
}

/// Schemas and names of all relations.
async fn found(source: &dyn Source, schema: Option<&str>) -> Vec<String> {
    let found = source.discover(schema).await.unwrap();
    let mut names = Vec::new();
    for schema in &found.schemas {
        names.extend(schema.tables.iter().map(|table| format!("{}.{}", schema.name, table.name)));
    }
    names
}

// Who is under a policy about a table would read its rows under the names of its parts.
#[tokio::test]
async fn partitions_are_read_by_their_table() {
    let server = Postgres::start(&[]);
    let admin = server.admin("postgres").await;
    admin
        .batch_execute(
            "CREATE TABLE orders (id int, year int) PARTITION BY LIST (year); CREATE SCHEMA parts;
             CREATE TABLE parts.orders_2024 PARTITION OF orders FOR VALUES IN (2024) PARTITION BY RANGE (id);
             CREATE TABLE parts.orders_2024_a PARTITION OF parts.orders_2024 FOR VALUES FROM (0) TO (100);
             CREATE TABLE orders_2025 PARTITION OF orders FOR VALUES IN (2025);
             INSERT INTO orders VALUES (1, 2024), (2, 2025); CREATE TABLE parts.others (id int);
             CREATE ROLE reader LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA parts TO reader; GRANT SELECT ON orders_2025 TO reader;",
        )
        .await
        .unwrap();
    let source = open(server.settings("postgres"), &here()).await.unwrap();
    assert_eq!(found(source.as_ref(), None).await, ["parts.others", "public.orders"]);
    assert_eq!(found(source.as_ref(), Some("parts")).await, ["parts.others"]);
    let all = read(source.as_ref(), Relation::new("public", "orders")).await.unwrap();
    assert_eq!(all.len(), 2, "rows of all partitions");

    // Where the table is not to be read, a partition is all that there is.
    let mut settings = server.settings("postgres");
    (settings.credentials.username, settings.credentials.password) = (secret("reader"), secret("p"));
    let source = open(settings, &here()).await.unwrap();
    assert_eq!(found(source.as_ref(), None).await, ["public.orders_2025"]);
}

// TimescaleDB has the rows of a table in others that inherit from it, and compressed ones in others again, all in a schema of its own.
#[tokio::test]
async fn chunks_of_timescaledb_are_read_by_their_table() {
    let server = Postgres::start(&[]);
    let admin = server.admin("postgres").await;
    admin
        .batch_execute(
            "CREATE TABLE conditions (at date NOT NULL, degrees int); CREATE SCHEMA _timescaledb_internal;
             CREATE TABLE _timescaledb_internal._hyper_1_1_chunk (CHECK (at < '2026-01-01')) INHERITS (conditions);
             CREATE TABLE _timescaledb_internal.compress_hyper_2_2_chunk (degrees int, _ts_meta_count int);
             INSERT INTO conditions VALUES ('2026-06-01', 25);
             INSERT INTO _timescaledb_internal._hyper_1_1_chunk VALUES ('2025-06-01', 20);",
        )
        .await
        .unwrap();
    let source = open(server.settings("postgres"), &here()).await.unwrap();
    assert_eq!(found(source.as_ref(), None).await, ["public.conditions"]);
    assert_eq!(found(source.as_ref(), Some("_timescaledb_internal")).await, Vec::<String>::new());
    let all = read(source.as_ref(), Relation::new("public", "conditions")).await.unwrap();
    assert_eq!(all.len(), 2, "rows of the table's chunks, too");
}

#[tokio::test]
async fn a_test_query_cannot_write_and_is_bounded() {
    let server = Postgres::start(&[]);
    let admin = server.admin("postgres").await;
    admin
        .batch_execute(
            "CREATE TABLE t (a int); INSERT INTO t VALUES (1);
             CREATE FUNCTION sneaky() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (2) RETURNING a'",
        )
        .await
        .unwrap();
    let source = open(server.settings("postgres"), &here()).await.unwrap();
    let limit = Duration::from_secs(5);
    let tested = source.test(None, limit).await.unwrap();
    assert!(tested.version.unwrap().starts_with("PostgreSQL 1"));
    assert_eq!((tested.result.as_deref(), tested.tunnel), (Some("1"), false));
    let long = source.test(Some("SELECT repeat('x', 100000000)"), limit).await.unwrap();
    assert_eq!(long.result.unwrap().chars().count(), 200);
    assert!(source.test(Some("SHOW server_version"), limit).await.unwrap().result.is_some());
    assert_eq!(source.test(Some("SELECT a FROM t WHERE false"), limit).await.unwrap().result, None);
    for query in [
        "SELECT sneaky()",
        "SELECT 1; DELETE FROM t",
        "WITH d AS (DELETE FROM t RETURNING a) SELECT a FROM d",
        "DELETE FROM t",
        "SELECT a INTO u FROM t",
        "COMMIT",
        "SELECT pg_read_file('PG_VERSION')",
        "SELECT 1) AS x (y); DROP TABLE t; SELECT (1",
        "SELECT nonsense",
    ] {
        let refused = source.test(Some(query), limit).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Query, "{query}: {refused}");
    }
    let count: i64 = admin.query_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0);
    assert_eq!(count, 1, "a test query wrote");
    let slow = source
        .test(Some("SELECT count(*) FROM generate_series(1, 1000000000)"), Duration::from_secs(1))
        .await;
    assert_eq!(slow.unwrap_err().code, ErrorCode::Timeout);
    // The server does not go on with it for the rest of query_timeout.
    let active =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tidegate' AND state = 'active'";
    let began = Instant::now();
    while admin.query_one(active, &[]).await.unwrap().get::<_, i64>(0) > 0 {
        assert!(began.elapsed() < Duration::from_secs(45), "the test query goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn what_nobody_reads_any_more_is_cancelled_and_the_pool_recovers() {
    let server = Postgres::start(&[]);
    let admin = server.admin("postgres").await;
    admin
        .batch_execute(
            "CREATE VIEW endless AS SELECT i, repeat('x', 1000) AS x FROM (SELECT generate_series(1, 1000000000) AS i) AS streamed;
             CREATE VIEW slow AS SELECT pg_sleep(60)::text AS a; CREATE TABLE big AS SELECT repeat('é', 5000000) AS wide FROM generate_series(1, 3);
             CREATE VIEW huge AS SELECT repeat('x', 70000000) AS a",
        )
        .await
        .unwrap();
    let active = async || {
        let count =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tidegate' AND state = 'active'";
        admin.query_one(count, &[]).await.unwrap().get::<_, i64>(0)
    };
    let mut settings = server.settings("postgres");
    settings.pool_size = 1;
    settings.query_timeout = Duration::from_secs(3);
    let source = open(settings, &here()).await.unwrap();
    let mut stream = source.scan(Scan::all(Relation::new("public", "endless"))).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    assert_eq!(active().await, 1);
    assert_eq!(source.connections().active, 1);
    drop(stream);
    let began = Instant::now();
    while active().await > 0 {
        assert!(began.elapsed() < Duration::from_secs(45), "the query goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let began = Instant::now();
    let late = read(source.as_ref(), Relation::new("public", "slow")).await.unwrap_err();
    assert_eq!(late.code, ErrorCode::Timeout);
    assert!(began.elapsed() < Duration::from_secs(45));
    // The one place of the pool is free again; rows of 10 MB go through it.
    let wide = read(source.as_ref(), Relation::new("public", "big")).await.unwrap();
    assert_eq!(wide.iter().map(|row| row[0].as_ref().unwrap().len()).sum::<usize>(), 30_000_000);
    // What the driver would hold as a whole has an end, and is refused by what the server says of its length.
    let huge = read(source.as_ref(), Relation::new("public", "huge")).await.unwrap_err();
    assert!(huge.code == ErrorCode::Query && huge.message.contains("larger than"), "{huge}");
    // A connection that the server has closed is not used again.
    admin
        .batch_execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tidegate'",
        )
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(read(source.as_ref(), Relation::new("public", "big")).await.unwrap().len(), 3);
    source.close().await;
    assert!(source.discover(None).await.is_err());
}

#[tokio::test]
async fn wrong_credentials_and_addresses_have_their_codes_and_no_secret_is_told() {
    let server = Postgres::start(&[]);
    let check = async |change: &dyn Fn(&mut tidegate_connect::Settings), code: ErrorCode| {
        let mut settings = server.settings("postgres");
        settings.connection_timeout = Duration::from_secs(3);
        change(&mut settings);
        assert!(!format!("{settings:?}").contains("hunter2"));
        let source = open(settings, &here()).await.unwrap();
        let error = source.test(None, Duration::from_secs(3)).await.unwrap_err();
        assert_eq!(error.code, code, "{error} {}", error.detail);
        assert!(!format!("{error:?}").contains("hunter2"));
    };
    check(&|settings| settings.credentials.password = secret("hunter2"), ErrorCode::Authentication).await;
    check(&|settings| settings.credentials.password = None, ErrorCode::Authentication).await;
    check(&|settings| settings.credentials.username = secret("nobody"), ErrorCode::Authentication).await;
    let mut anonymous = server.settings("postgres");
    anonymous.credentials.username = None;
    let anonymous = open(anonymous, &here()).await.unwrap();
    let refused = anonymous.test(None, Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Authentication);
    assert!(refused.detail.contains("no PostgreSQL user name"), "whose name was sent? {}", refused.detail);
    check(&|settings| settings.database_name = Some("absent".into()), ErrorCode::Connection).await;
    // It was told to grant select.
    let admin = server.admin("postgres").await;
    admin.batch_execute("CREATE DATABASE shut").await.unwrap();
    admin
        .batch_execute(
            "CREATE ROLE outsider LOGIN PASSWORD 's3cret'; REVOKE CONNECT ON DATABASE shut FROM public",
        )
        .await
        .unwrap();
    let mut outsider = server.settings("shut");
    outsider.credentials.username = secret("outsider");
    outsider.credentials.password = secret("s3cret");
    let outside =
        open(outsider, &here()).await.unwrap().test(None, Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(outside.code, ErrorCode::Authentication, "{outside} {}", outside.detail);
    assert!(outside.message.ends_with("grant connect on database \"shut\" to it."), "{outside}");
    // It was said to have a wrong password.
    admin.batch_execute("CREATE ROLE kept_out NOLOGIN PASSWORD 's3cret'").await.unwrap();
    let mut kept_out = server.settings("postgres");
    kept_out.credentials.username = secret("kept_out");
    kept_out.credentials.password = secret("s3cret");
    let refused =
        open(kept_out, &here()).await.unwrap().test(None, Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Authentication, "{refused} {}", refused.detail);
    assert!(refused.message.contains("pg_hba.conf") && refused.message.contains("log in"), "{refused}");
    check(&|settings| settings.port = Some(crate::servers::free_port()), ErrorCode::Connection).await;
    check(&|settings| settings.host = Some("does-not-exist.invalid".into()), ErrorCode::Connection).await;
    check(
        &|settings| drop(settings.metadata.insert("ssl_mode".into(), json!("require"))),
        ErrorCode::Connection,
    )
    .await;
    let mut secure = server.settings("postgres");
    secure.metadata.insert("ssl_mode".into(), json!("verify-ca"));
    let refused = open(secure, &here()).await.unwrap().test(None, Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(refused.message, "The server does not offer TLS, and ssl_mode is verify-ca.");
    let inside = open(server.settings("postgres"), &Default::default()).await.unwrap();
    let refused = inside.test(None, Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Connection);
    assert!(refused.message.contains("network"), "{refused}");
}

#[tokio::test]
async fn tls_is_verified_as_asked_and_a_client_certificate_signs_in() {
    let certificates = Certificates::make();
    certificates.give_to("postgres");
    let server = Postgres::start(&[
        "ssl=on".to_owned(),
        format!("ssl_cert_file={}", certificates.path("server.pem")),
        format!("ssl_key_file={}", certificates.path("server.key")),
        format!("ssl_ca_file={}", certificates.path("ca.pem")),
    ]);
    let tested = async |metadata: serde_json::Value, host: &str, key: Option<String>| {
        let mut settings = server.settings("postgres");
        settings.host = Some(host.to_owned());
        settings.metadata = metadata.as_object().unwrap().clone();
        // Its place before there was `ssl_key`, and still one.
        settings.credentials.api_key = key.as_deref().and_then(secret);
        let source = open(settings, &here()).await?;
        let query = "SELECT concat(ssl, client_dn) FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        Ok::<_, tidegate_connect::SourceError>(
            source.test(Some(query), Duration::from_secs(5)).await?.result.unwrap(),
        )
    };
    let ca = certificates.pem("ca.pem");
    assert_eq!(tested(json!({}), "127.0.0.1", None).await.unwrap(), "t", "TLS is preferred");
    assert_eq!(tested(json!({ "ssl_mode": "disable" }), "127.0.0.1", None).await.unwrap(), "f");
    let full = |ca: &str| json!({ "ssl_mode": "verify-full", "ssl_ca": ca });
    assert_eq!(tested(full(&ca), "127.0.0.1", None).await.unwrap(), "t");
    assert_eq!(tested(full(&ca), "localhost", None).await.unwrap(), "t");
    let other = json!({ "ssl_mode": "verify-full", "ssl_ca": ca, "ssl_server_name": "other.example" });
    assert_eq!(tested(other, "127.0.0.1", None).await.unwrap_err().code, ErrorCode::Connection);
    let chain_only = json!({ "ssl_mode": "verify-ca", "ssl_ca": ca, "ssl_server_name": "other.example" });
    assert_eq!(tested(chain_only, "127.0.0.1", None).await.unwrap(), "t");
    let unknown = json!({ "ssl_mode": "verify-ca" });
    assert_eq!(tested(unknown, "127.0.0.1", None).await.unwrap_err().code, ErrorCode::Connection);
    let stranger = Certificates::make().pem("ca.pem");
    assert_eq!(tested(full(&stranger), "127.0.0.1", None).await.unwrap_err().code, ErrorCode::Connection);
    let mut client = full(&ca);
    client["ssl_cert"] = json!(certificates.pem("client.pem"));
    let key = Some(certificates.pem("client.key"));
    assert_eq!(tested(client.clone(), "127.0.0.1", key).await.unwrap(), "t/CN=tidegate");
    assert!(tested(client, "127.0.0.1", None).await.unwrap_err().message.contains("credentials.ssl_key"));
}

#[tokio::test]
async fn ten_thousand_tables_are_discovered_in_time() {
    let server = Postgres::start(&["max_locks_per_transaction=20000".to_owned()]);
    let admin = server.admin("postgres").await;
    admin
        .batch_execute(
            "DO $$ BEGIN FOR i IN 1..10000 LOOP
               EXECUTE format('CREATE TABLE t%s (id int, name text, at timestamptz, note varchar(100), n numeric(10,2))', i);
             END LOOP; END $$",
        )
        .await
        .unwrap();
    let source = open(server.settings("postgres"), &here()).await.unwrap();
    let began = Instant::now();
    let found = source.discover(None).await.unwrap();
    assert_eq!(found.schemas[0].tables.len(), 10_000);
    assert!(found.schemas[0].tables.iter().all(|table| table.columns.len() == 5));
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
}

#[tokio::test]
async fn rows_of_ten_megabytes_no_rows_and_names_of_any_kind_are_read() {
    let server = Postgres::start(&[]);
    let admin = server.admin("postgres").await;
    admin
        .batch_execute(
            "CREATE VIEW wide AS SELECT repeat('x', 10000000) AS x, i FROM generate_series(1, 20) AS i;
             CREATE TABLE none (\"\"\"; drop\" int, \"🛒\" text, \" \" bool)",
        )
        .await
        .unwrap();
    let source = open(server.settings("postgres"), &here()).await.unwrap();
    let mut stream = source.scan(Scan::all(Relation::new("public", "wide"))).await.unwrap();
    let mut lengths = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap();
        let column = batch.column(0).as_string::<i32>();
        lengths.extend((0..batch.num_rows()).map(|row| column.value_length(row)));
    }
    assert_eq!(lengths, [10_000_000; 20]);
    let none = Relation::new("public", "none");
    let schema = source.schema(&none).await.unwrap();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["\"; drop", "🛒", " "]);
    assert!(read(source.as_ref(), none).await.unwrap().is_empty());
    // What is larger than a row may be ends the read with a reason.
    admin.batch_execute("CREATE VIEW wider AS SELECT repeat('x', 70000000) AS x").await.unwrap();
    let refused = read(source.as_ref(), Relation::new("public", "wider")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Query, "{refused}");
    // The source goes on.
    assert_eq!(source.test(None, Duration::from_secs(5)).await.unwrap().result.as_deref(), Some("1"));
}

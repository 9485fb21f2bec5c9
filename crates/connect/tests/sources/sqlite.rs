//! SQLite files.

use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use sqlx::{AssertSqlSafe, Connection, Executor};
use tidegate_connect::{
    ErrorCode, FileContent, FileSource, Filter, Literal, Operator, Order, Relation, Scan, Settings,
    SourceType, open,
};

use crate::cells::{Few, first_two, read, row, rows, select};
use crate::servers::here;

async fn made(path: &Path, script: &str) -> Settings {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = sqlx::sqlite::SqliteConnection::connect_with(&options).await.unwrap();
    connection.execute(AssertSqlSafe(script.to_owned())).await.unwrap();
    connection.close().await.unwrap();
    settings(path)
}

fn settings(path: &Path) -> Settings {
    let mut settings = Settings::new(SourceType::Sqlite);
    settings.file =
        Some(FileSource { name: "shop.db".to_owned(), content: FileContent::Local(path.to_owned()) });
    settings.query_timeout = Duration::from_secs(5);
    settings
}

#[tokio::test]
async fn columns_are_what_is_in_them_and_not_what_they_are_declared() {
    let dir = tempfile::tempdir().unwrap();
    let settings = made(
        &dir.path().join("a"),
        "CREATE TABLE t (id INTEGER PRIMARY KEY, i INT, f REAL, n NUMERIC, big, s TEXT, b BLOB, mixed INT, void INT, \"\"\"; drop 🛒\" TEXT);
         INSERT INTO t VALUES (1, 9223372036854775807, 1.5, 1, 9007199254740993, 'a', X'00FF', 1, NULL, 'x'),
           (2, NULL, 2, 2.5, 0.5, 'it''s', X'', 'two', NULL, 'y'), (3, NULL, NULL, NULL, NULL, NULL, NULL, X'03', NULL, NULL);
         CREATE VIEW v AS SELECT id, s FROM t; CREATE TABLE child (t INT REFERENCES t (id));",
    )
    .await;
    let source = open(settings, &here()).await.unwrap();
    let all = read(source.as_ref(), Relation::new("main", "t")).await.unwrap();
    assert_eq!(
        all[0],
        row(["1", "9223372036854775807", "1.5", "1", "9007199254740993", "a", "[00, ff]", "1", "NULL", "x"])
    );
    assert_eq!(all[1], row(["2", "NULL", "2", "2.5", "0.5", "it's", "[]", "two", "NULL", "y"]));
    assert_eq!(all[2], row(["3", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "\\x03", "NULL", "NULL"]));
    assert_eq!(read(source.as_ref(), Relation::new("main", "v")).await.unwrap().len(), 3);
    let found = source.discover(None).await.unwrap();
    let names: Vec<_> = found.schemas[0].tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["child", "t", "v"]);
    assert_eq!(found.schemas[0].tables[0].columns[0].foreign_key.as_ref().unwrap().table, "t");
    assert!(found.schemas[0].tables[1].columns[0].primary_key);
    let tested = source.test(Some("SELECT count(*) FROM t"), Duration::from_secs(1)).await.unwrap();
    assert_eq!(tested.result.as_deref(), Some("3"));
    assert!(tested.version.unwrap().starts_with("SQLite 3."));
}

#[tokio::test]
async fn tables_are_handed_on_one_by_one_for_as_long_as_they_are_taken() {
    let dir = tempfile::tempdir().unwrap();
    let script = "CREATE TABLE a (x INT); CREATE TABLE b (x INT); CREATE VIEW c AS SELECT x FROM a;";
    let settings = made(&dir.path().join("a"), script).await;
    let source = open(settings, &here()).await.unwrap();
    let mut few = Few::of(2);
    let ended = source.discover_into(None, &mut few).await.unwrap_err();
    assert_eq!(ended.message, "enough");
    assert_eq!(few.tables, ["a", "b"]);
    let mut all = Few::of(4);
    source.discover_into(None, &mut all).await.unwrap();
    assert_eq!(all.tables, ["a", "b", "c"]);
}

#[tokio::test]
async fn filters_mean_what_they_mean_here() {
    let dir = tempfile::tempdir().unwrap();
    let settings = made(
        &dir.path().join("a"),
        "CREATE TABLE t (id INT, name TEXT COLLATE NOCASE, loose); INSERT INTO t VALUES (1, 'Anna', 1), (2, 'anna', '1'), (3, NULL, 2)",
    )
    .await;
    let source = open(settings, &here()).await.unwrap();
    let ids = async |column: &str, operator: Operator, value: Literal| {
        let filter = Filter::Compare { column: column.to_owned(), operator, value };
        select(source.as_ref(), Relation::new("main", "t"), &["id"], filter).await.unwrap()
    };
    let text = |text: &str| Literal::Utf8(text.to_owned());
    assert_eq!(ids("id", Operator::GtEq, Literal::Int(2)).await, (vec![row(["2"]), row(["3"])], true));
    assert_eq!(ids("name", Operator::Eq, text("anna")).await, (vec![row(["2"])], true));
    assert_eq!(ids("name", Operator::Lt, text("a")).await, (vec![row(["1"])], true));
    assert!(!ids("loose", Operator::Eq, text("1")).await.1, "integers and texts in one column");
    for (column, nulls) in [("name", vec![row(["3"])]), ("loose", vec![]), ("id", vec![])] {
        let is_null = Filter::IsNull { column: column.to_owned(), negated: false };
        let found = select(source.as_ref(), Relation::new("main", "t"), &["id"], is_null).await.unwrap();
        assert_eq!(found, (nulls, true), "{column}");
    }
    let scan = Scan { limit: Some(2), projection: Some(vec![]), ..Scan::all(Relation::new("main", "t")) };
    assert_eq!(rows(source.scan(scan).await.unwrap()).await.unwrap(), vec![vec![]; 2]);
}

#[tokio::test]
async fn the_first_rows_are_chosen_where_the_order_is_the_engines() {
    let dir = tempfile::tempdir().unwrap();
    let script = "CREATE TABLE t (id INT, name TEXT COLLATE NOCASE, loose, real REAL, \"1\" INT);
         INSERT INTO t VALUES (1, 'anna', 1, 0.5, 7), (2, 'Zoe', '1', -0.0, 8), (3, NULL, 2, 0.0, NULL), (4, 'Bea', 3, NULL, 9)";
    let source = open(made(&dir.path().join("a"), script).await, &here()).await.unwrap();
    let relation = || Relation::new("main", "t");
    for (order, first) in [
        // By bytes, whatever the column says.
        (&["name asc"][..], "4, 2"),
        (&["name asc nulls first"], "3, 4"),
        (&["name desc"], "1, 2"),
        (&["name desc nulls first"], "3, 1"),
        (&["1 desc", "id asc"], "4, 2"),
        (&["1 asc"], "1, 2"),
        // Integers and texts in one column; zeros with and without a sign.
        (&["loose asc"], "4 rows"),
        (&["real asc"], "4 rows"),
        (&["absent asc"], "4 rows"),
    ] {
        assert_eq!(first_two(source.as_ref(), relation(), order, vec![]).await.unwrap(), first, "{order:?}");
    }
    let above = Filter::Compare { column: "id".into(), operator: Operator::Gt, value: Literal::Int(1) };
    let found = first_two(source.as_ref(), relation(), &["name desc"], vec![above.clone()]).await.unwrap();
    assert_eq!(found, "2, 4");
    let loose =
        Filter::Compare { column: "loose".into(), operator: Operator::Eq, value: Literal::Utf8("1".into()) };
    let scan = Scan {
        filters: vec![above, loose],
        order: vec![Order { column: "id".into(), descending: true, nulls_first: false }],
        limit: Some(1),
        ..Scan::all(relation())
    };
    let stream = source.scan(scan).await.unwrap();
    assert_eq!((stream.filtered.as_slice(), stream.limited), (&[true, false][..], false));
    assert_eq!(rows(stream).await.unwrap().len(), 3);
}

#[tokio::test]
async fn rows_without_columns_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let script = "CREATE TABLE t (id INTEGER PRIMARY KEY);
         INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n";
    let source = open(made(&dir.path().join("a"), script).await, &here()).await.unwrap();
    let none = |filters: Vec<Filter>, limit: Option<usize>| Scan {
        projection: Some(vec![]),
        filters,
        limit,
        ..Scan::all(Relation::new("main", "t"))
    };
    let above =
        |id: i64| Filter::Compare { column: "id".into(), operator: Operator::Gt, value: Literal::Int(id) };
    for (scan, count) in [
        (none(vec![], None), 20_000),
        (none(vec![], Some(9_000)), 9_000),
        (none(vec![above(3_616)], None), 16_384),
        (none(vec![above(20_000)], None), 0),
        (none(vec![above(19_999)], Some(5)), 1),
    ] {
        let batches: Vec<_> = source.scan(scan).await.unwrap().collect().await;
        let sizes: Vec<usize> = batches.into_iter().map(|batch| batch.unwrap().num_rows()).collect();
        assert_eq!(sizes.iter().sum::<usize>(), count);
        assert!(sizes.iter().all(|size| (1..=8_192).contains(size)), "{sizes:?}");
    }
}

#[tokio::test]
async fn nothing_is_written_and_nothing_else_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    let settings_ = made(
        &path,
        "PRAGMA journal_mode = WAL; CREATE TABLE t (a INT); INSERT INTO t VALUES (1);
         CREATE VIEW endless AS WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS c FROM n",
    )
    .await;
    let before = std::fs::read(&path).unwrap();
    let source = open(settings_, &here()).await.unwrap();
    let limit = Duration::from_secs(2);
    for query in [
        "DELETE FROM t",
        "ATTACH DATABASE '/tmp/x' AS x",
        "PRAGMA query_only = OFF",
        "SELECT 1; DELETE FROM t",
        "SELECT load_extension('/tmp/x.so')",
        "SELECT readfile('/etc/passwd')",
        "VACUUM INTO '/tmp/x'",
    ] {
        assert_eq!(source.test(Some(query), limit).await.unwrap_err().code, ErrorCode::Query, "{query}");
    }
    let endless = source.test(Some("SELECT c FROM endless"), Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(endless.code, ErrorCode::Timeout);
    let endless = read(source.as_ref(), Relation::new("main", "endless")).await.unwrap_err();
    assert_eq!(endless.code, ErrorCode::Timeout);
    assert_eq!(read(source.as_ref(), Relation::new("main", "t")).await.unwrap(), [row(["1"])]);
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let beside: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["a"], "files appeared beside the database");

    for (name, content) in [
        ("text", &b"hello, I am no database"[..]),
        ("empty header", b"SQLite format 3\0"),
        ("cut", &before[..before.len() / 2]),
    ] {
        let path = dir.path().join("broken");
        std::fs::write(&path, content).unwrap();
        let source = open(settings(&path), &here()).await.unwrap();
        let read = read(source.as_ref(), Relation::new("main", "t")).await;
        assert_eq!(read.unwrap_err().code, ErrorCode::Query, "{name}");
    }
    let absent = open(settings(&dir.path().join("absent")), &here()).await.map(drop).unwrap_err();
    assert_eq!(absent.code, ErrorCode::FileNotFound);
}

// What a file computes is held here: a view of a few bytes could be all the memory there is.
#[tokio::test]
async fn values_are_no_longer_than_files_may_be() {
    let dir = tempfile::tempdir().unwrap();
    let script = "CREATE TABLE t (a); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT hex(zeroblob(400000000)) AS a FROM t";
    let source = open(made(&dir.path().join("bomb"), script).await, &here()).await.unwrap();
    let limit = Duration::from_secs(5);
    for query in ["SELECT length(zeroblob(500000000))", "SELECT length(hex(zeroblob(400000000)))"] {
        let refused = source.test(Some(query), limit).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Query, "{query}: {refused}");
    }
    let refused = read(source.as_ref(), Relation::new("main", "v")).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Query, "{refused}");
    assert_eq!(read(source.as_ref(), Relation::new("main", "t")).await.unwrap().len(), 1);
    // What a file can hold is read.
    let long = source.test(Some("SELECT length(zeroblob(100000000))"), limit).await.unwrap();
    assert_eq!(long.result.as_deref(), Some("100000000"));
}

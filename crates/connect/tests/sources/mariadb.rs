//! MariaDB itself. One server serves all of it: starting one takes seconds.

use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use futures_util::StreamExt;
use mysql_async::prelude::Queryable;
use serde_json::json;
use tidegate_connect::{
    ConnectionString, Credentials, ErrorCode, Filter, Literal, Operator, Refused, Relation, Scan, TableKind,
    open,
};

use crate::cells::{first_two, read, row, rows, select};
use crate::servers::{Certificates, Mariadb, here, secret};

fn compare(column: &str, operator: Operator, value: Literal) -> Filter {
    Filter::Compare { column: column.to_owned(), operator, value }
}

#[tokio::test]
async fn mariadb_is_tested_discovered_and_read() {
    let certificates = Certificates::make();
    certificates.give_to("mysql");
    let server = Mariadb::start(&[
        format!("--ssl-cert={}", certificates.path("server.pem")),
        format!("--ssl-key={}", certificates.path("server.key")),
        format!("--ssl-ca={}", certificates.path("ca.pem")),
        // Its own character set is Latin 1, whatever a client names in its handshake.
        "--character-set-server=latin1".to_owned(),
        "--skip-character-set-client-handshake".to_owned(),
    ]);
    let mut admin = server.admin().await;
    for statement in [
        "SET NAMES utf8mb4",
        "CREATE DATABASE shop CHARACTER SET utf8mb4",
        "CREATE DATABASE other",
        "CREATE USER reader IDENTIFIED BY 's3cret'",
        "GRANT SELECT, EXECUTE, CREATE VIEW, INSERT, DELETE ON shop.* TO reader",
        "GRANT PROCESS ON *.* TO reader",
    ] {
        admin.query_drop(statement).await.unwrap();
    }
    types(&server, &mut admin).await;
    filters(&server, &mut admin).await;
    first_rows(&server, &mut admin).await;
    discovery(&server, &mut admin).await;
    reads_only(&server, &mut admin).await;
    changed_type(&server, &mut admin).await;
    cancelling(&server, &mut admin).await;
    errors(&server).await;
    tls(&server, &certificates.pem("ca.pem")).await;
    client_certificates(&server, &mut admin, &certificates).await;
    urls(&server, &mut admin).await;
    extremes(&server, &mut admin).await;
}

async fn types(server: &Mariadb, admin: &mut mysql_async::Conn) {
    admin.query_drop("SET sql_mode = '', time_zone = '+02:00'").await.unwrap();
    for statement in [
        "CREATE TABLE shop.all_types (id int PRIMARY KEY, t tinyint, tu tinyint unsigned, b bigint, bu bigint unsigned, y year,
           f float, d double, de decimal(10,3), wide decimal(60,20), v varchar(20), e enum('a','é'), s set('x','y'), j json,
           bi varbinary(4), bits bit(12), da date, ti time(3), dt datetime(6), ts timestamp(6) NULL, g point, u uuid, lat varchar(5) CHARACTER SET latin1)",
        "INSERT INTO shop.all_types VALUES (1, -128, 255, -9223372036854775808, 18446744073709551615, 2024, 1.5, -0.1, -1234567.890,
           1234567890123456789012345678901234567890.00000000000000000001, 'it''s 🛒', 'é', 'x,y', '{\"a\": 1}', X'00FF', b'101010101010',
           '2024-02-29', '-838:59:59.999', '2024-02-29 12:00:00.123456', '2024-02-29 12:00:00.5', Point(1, 2),
           'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', 'é')",
        "INSERT INTO shop.all_types (id, ts) VALUES (2, NULL)",
        "CREATE TABLE shop.zeros (strange date)",
        "INSERT INTO shop.zeros VALUES ('0000-00-00'), ('2024-00-00')",
    ] {
        admin.query_drop(statement).await.unwrap();
    }
    let source = open(server.settings("shop"), &here()).await.unwrap();
    let rows = read(source.as_ref(), Relation::new("shop", "all_types")).await.unwrap();
    let expected = row([
        "1",
        "-128",
        "255",
        "-9223372036854775808",
        "18446744073709551615",
        "2024",
        "1.5",
        "-0.1",
        "-1234567.890",
        "1234567890123456789012345678901234567890.00000000000000000001",
        "it's 🛒",
        "é",
        "x,y",
        "{\"a\": 1}",
        "[00, ff]",
        "2730",
        "2024-02-29",
        "-838:59:59.999",
        "2024-02-29T12:00:00.123456",
        "2024-02-29T10:00:00.5Z",
        "POINT(1 2)",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "é",
    ]);
    assert_eq!(rows[0], expected);
    assert!(rows[1][1..].iter().all(Option::is_none), "{:?}", rows[1]);
    let refused = read(source.as_ref(), Relation::new("shop", "zeros")).await.unwrap_err();
    assert!(refused.message.contains("\"strange\""), "{refused}");
    let mut settings = server.settings("shop");
    settings.metadata.insert("unfit_values".into(), json!("null"));
    let lenient = open(settings, &here()).await.unwrap();
    assert_eq!(
        read(lenient.as_ref(), Relation::new("shop", "zeros")).await.unwrap(),
        [row(["NULL"]), row(["NULL"])]
    );
    // What is NULL here and not there is not asked there.
    for negated in [false, true] {
        let is_null = Filter::IsNull { column: "strange".into(), negated };
        let (_, applied) =
            select(lenient.as_ref(), Relation::new("shop", "zeros"), &["strange"], is_null).await.unwrap();
        assert!(!applied);
    }
    // Nor the other way round: the server says of a date of zeros that it is NULL, where the column cannot be.
    for statement in [
        "SET SESSION sql_mode = ''",
        "CREATE TABLE shop.dated (id int, d date NOT NULL, m datetime NOT NULL)",
        "INSERT INTO shop.dated VALUES (1, '0000-00-00', '0000-00-00'), (2, '2024-01-01', '2024-01-01')",
    ] {
        admin.query_drop(statement).await.unwrap();
    }
    for column in ["d", "m"] {
        let count = format!("SELECT count(*) FROM shop.dated WHERE {column} IS NULL");
        let there: Option<i64> = admin.query_first(count).await.unwrap();
        assert_eq!(there, Some(1), "what the server says");
        for negated in [false, true] {
            let is_null = Filter::IsNull { column: column.into(), negated };
            let (_, applied) =
                select(source.as_ref(), Relation::new("shop", "dated"), &["id"], is_null).await.unwrap();
            assert!(!applied, "{column}");
        }
    }
}

async fn filters(server: &Mariadb, admin: &mut mysql_async::Conn) {
    for statement in [
        "CREATE TABLE shop.emp (id int, name varchar(20), salary decimal(8,2), hired date, seen datetime(6), rate double)",
        "INSERT INTO shop.emp VALUES (1, 'Anna', 100, '2020-01-01', '2020-01-01', 1), (2, 'anna', 200.5, '2021-01-01', NULL, 2),
           (3, 'anna ', NULL, NULL, NULL, 3), (4, 'Zoë', 50, '1969-12-31', '1969-12-31 23:59:59.5', 4)",
    ] {
        admin.query_drop(statement).await.unwrap();
    }
    let source = open(server.settings("shop"), &here()).await.unwrap();
    let ids = async |filter: Filter| {
        select(source.as_ref(), Relation::new("shop", "emp"), &["id"], filter).await.unwrap()
    };
    let list = |ids: &[&str]| ids.iter().map(|id| row([id])).collect::<Vec<_>>();
    let text = |text: &str| Literal::Utf8(text.to_owned());
    assert_eq!(ids(compare("id", Operator::Gt, Literal::Int(2))).await, (list(&["3", "4"]), true));
    // The server's own collation takes all three for the same.
    assert_eq!(ids(compare("name", Operator::Eq, text("anna"))).await, (list(&["2"]), true));
    assert_eq!(ids(compare("name", Operator::Lt, text("a"))).await, (list(&["1", "4"]), true));
    assert_eq!(
        ids(compare("salary", Operator::LtEq, Literal::Decimal { unscaled: 10_000, scale: 2 })).await,
        (list(&["1", "4"]), true)
    );
    assert_eq!(ids(compare("hired", Operator::Lt, Literal::Date(0))).await, (list(&["4"]), true));
    assert_eq!(ids(compare("seen", Operator::Eq, Literal::Timestamp(-500_000))).await, (list(&["4"]), true));
    assert!(!ids(compare("rate", Operator::Gt, Literal::Int(1))).await.1);
    let is_null = |column: &str, negated: bool| Filter::IsNull { column: column.into(), negated };
    assert_eq!(ids(is_null("salary", false)).await, (list(&["3"]), true));
    assert_eq!(ids(is_null("rate", true)).await, (list(&["1", "2", "3", "4"]), true));
    let scan = Scan {
        relation: Relation::new("shop", "emp"),
        projection: Some(vec!["name".into(), "id".into()]),
        filters: vec![Filter::In {
            column: "id".into(),
            values: vec![Literal::Int(4), Literal::Int(9)],
            negated: false,
        }],
        order: vec![],
        limit: Some(5),
    };
    admin.query_drop("SET GLOBAL log_output = 'TABLE'").await.unwrap();
    admin.query_drop("SET GLOBAL general_log = 1").await.unwrap();
    let stream = source.scan(scan).await.unwrap();
    assert!(stream.limited);
    assert_eq!(rows(stream).await.unwrap(), [row(["Zoë", "4"])]);
    let logged = "SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE command_type = 'Execute' ORDER BY event_time DESC LIMIT 1";
    let sent: Option<String> = admin.query_first(logged).await.unwrap();
    assert_eq!(sent.unwrap(), "SELECT `name`, `id` FROM `shop`.`emp` WHERE (`id` IN (4, 9)) LIMIT 5");
    admin.query_drop("SET GLOBAL general_log = 0").await.unwrap();
}

async fn first_rows(server: &Mariadb, admin: &mut mysql_async::Conn) {
    for statement in [
        "CREATE TABLE shop.ranked (id int NOT NULL, name varchar(20), salary decimal(8,2), hired date NOT NULL, rate double, since year)",
        "INSERT INTO shop.ranked VALUES (1, 'Anna', 100, '2020-01-01', 1, 2001), (2, 'anna', 200.5, '2021-01-01', 2, 1999),
           (3, 'zoe', NULL, '1969-12-31', 3, NULL), (4, 'Zoë', 50, '2030-01-01', 4, 2010)",
    ] {
        admin.query_drop(statement).await.unwrap();
    }
    let source = open(server.settings("shop"), &here()).await.unwrap();
    let relation = || Relation::new("shop", "ranked");
    for (order, first) in [
        (&["salary asc"][..], "4, 1"),
        (&["salary asc nulls first"], "3, 4"),
        (&["salary desc"], "2, 1"),
        (&["salary desc nulls first"], "3, 2"),
        (&["hired asc", "id desc"], "3, 1"),
        (&["since desc"], "4, 1"),
        (&["since asc"], "2, 1"),
        // Its own collation, and of long texts the beginning alone.
        (&["name asc"], "4 rows"),
        (&["rate asc"], "4 rows"),
    ] {
        assert_eq!(first_two(source.as_ref(), relation(), order, vec![]).await.unwrap(), first, "{order:?}");
    }
    let some = Filter::IsNull { column: "salary".into(), negated: true };
    let found = first_two(source.as_ref(), relation(), &["salary asc"], vec![some.clone()]).await.unwrap();
    assert_eq!(found, "4, 1");
    // Rows without columns are counted.
    for (limit, count) in [(None, 3), (Some(2), 2)] {
        let (projection, filters) = (Some(vec![]), vec![some.clone()]);
        let scan = Scan { projection, filters, limit, ..Scan::all(relation()) };
        assert_eq!(rows(source.scan(scan).await.unwrap()).await.unwrap(), vec![vec![]; count]);
    }
}

async fn discovery(server: &Mariadb, admin: &mut mysql_async::Conn) {
    for statement in [
        "CREATE TABLE shop.region (id int PRIMARY KEY COMMENT 'Which') COMMENT 'Where'",
        "CREATE TABLE shop.`or``der 🛒`(`\"; drop` int AUTO_INCREMENT PRIMARY KEY, note varchar(10) NOT NULL DEFAULT 'a', region int, FOREIGN KEY (region) REFERENCES region (id))"
            .trim(),
        "CREATE VIEW shop.v AS SELECT id FROM shop.region",
        "CREATE TABLE other.hidden (a int)",
    ] {
        // The server's names have three bytes a character: the cart is not allowed in one.
        admin.query_drop(statement.replace('🛒', "é")).await.unwrap();
    }
    let source = open(server.settings("shop"), &here()).await.unwrap();
    let found = source.discover(None).await.unwrap();
    assert_eq!(found.schemas.len(), 1);
    let table = |name: &str| found.schemas[0].tables.iter().find(|table| table.name == name).unwrap();
    assert_eq!(table("v").kind, TableKind::View);
    let region = table("region");
    assert_eq!(region.comment.as_deref(), Some("Where"));
    assert_eq!(region.columns[0].comment.as_deref(), Some("Which"));
    assert!(region.columns[0].primary_key);
    let order = table("or`der é");
    assert_eq!(order.columns[0].name, "\"; drop");
    assert_eq!(order.columns[1].type_name, "varchar(10)");
    assert!(!order.columns[1].nullable);
    assert_eq!(order.columns[2].foreign_key.as_ref().unwrap().table, "region");
    assert!(read(source.as_ref(), Relation::new("shop", "or`der é")).await.unwrap().is_empty());
    assert!(source.discover(Some("other")).await.unwrap().schemas.is_empty());
    let places = source.places().await.unwrap();
    assert!(places.contains(&"shop".to_owned()) && !places.contains(&"other".to_owned()), "{places:?}");
    let refused = read(source.as_ref(), Relation::new("other", "hidden")).await.unwrap_err();
    assert!(refused.message.contains("does not exist or may not be read"), "{refused}");
}

async fn reads_only(server: &Mariadb, admin: &mut mysql_async::Conn) {
    admin.query_drop("CREATE TABLE shop.t (a int)").await.unwrap();
    admin
        .query_drop(
            "CREATE FUNCTION shop.sneaky() RETURNS int BEGIN INSERT INTO shop.t VALUES (1); RETURN 1; END",
        )
        .await
        .unwrap();
    let source = open(server.settings("shop"), &here()).await.unwrap();
    let limit = Duration::from_secs(5);
    let tested = source.test(None, limit).await.unwrap();
    assert!(tested.version.unwrap().starts_with("MariaDB 1"));
    assert_eq!(tested.result.as_deref(), Some("1"));
    let long = source.test(Some("SELECT REPEAT('x', 1000000)"), limit).await.unwrap();
    assert_eq!(long.result.unwrap().chars().count(), 200);
    assert!(source.test(Some("SELECT id FROM emp"), limit).await.unwrap().result.is_some());
    for query in [
        "SELECT sneaky()",
        "SELECT 1; SELECT 2",
        "DELETE FROM t",
        "SELECT LOAD_FILE('/etc/passwd')",
        "SELECT /*! 1 */",
        "SELECT 1 INTO OUTFILE '/tmp/x'",
        // Errors 1044 and 1049 say nothing of the source here.
        "SHOW EVENTS FROM other",
        "SHOW TABLES FROM absent",
    ] {
        let refused = source.test(Some(query), limit).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::Query, "{query}: {refused} {}", refused.detail);
    }
    let count: Option<i64> = admin.query_first("SELECT COUNT(*) FROM shop.t").await.unwrap();
    assert_eq!(count, Some(0), "a test query wrote");
}

/// A column has another type than it had when the relation was read first.
async fn changed_type(server: &Mariadb, admin: &mut mysql_async::Conn) {
    let source = open(server.settings("shop"), &here()).await.unwrap();
    let relation = || Relation::new("shop", "retyped");
    for statement in ["CREATE TABLE shop.retyped (a int)", "INSERT INTO shop.retyped VALUES (1)"] {
        admin.query_drop(statement).await.unwrap();
    }
    assert_eq!(read(source.as_ref(), relation()).await.unwrap(), [row(["1"])]);
    admin.query_drop("ALTER TABLE shop.retyped MODIFY a varchar(9)").await.unwrap();
    let refused = read(source.as_ref(), relation()).await.unwrap_err();
    assert_eq!(refused.refused, Some(Refused::Type), "{refused}");
    assert_eq!(read(source.as_ref(), relation()).await.unwrap(), [row(["1"])]);
}

async fn cancelling(server: &Mariadb, admin: &mut mysql_async::Conn) {
    admin.query_drop("CREATE VIEW shop.endless AS SELECT a.seq AS i, REPEAT('x', 1000) AS x FROM shop.seq_1_to_1000000 a, shop.seq_1_to_1000000 b").await.unwrap();
    admin.query_drop("CREATE VIEW shop.slow AS SELECT SLEEP(60) AS a").await.unwrap();
    let mut settings = server.settings("shop");
    settings.pool_size = 1;
    settings.query_timeout = Duration::from_secs(3);
    let source = open(settings, &here()).await.unwrap();
    let mut stream = source.scan(Scan::all(Relation::new("shop", "endless"))).await.unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    drop(stream);
    let began = Instant::now();
    let running = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'reader' AND command IN ('Query', 'Execute')";
    while admin.query_first::<i64, _>(running).await.unwrap() != Some(0) {
        assert!(began.elapsed() < Duration::from_secs(45), "the query goes on");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let late = read(source.as_ref(), Relation::new("shop", "slow")).await.unwrap_err();
    assert_eq!(late.code, ErrorCode::Timeout, "{late}");
    assert_eq!(read(source.as_ref(), Relation::new("shop", "emp")).await.unwrap().len(), 4);
    // A connection that the server has closed is not used again.
    let ids: Vec<u64> =
        admin.query("SELECT id FROM information_schema.processlist WHERE user = 'reader'").await.unwrap();
    for id in ids {
        let _ = admin.query_drop(format!("KILL {id}")).await;
    }
    assert_eq!(read(source.as_ref(), Relation::new("shop", "emp")).await.unwrap().len(), 4);
    source.close().await;
}

async fn errors(server: &Mariadb) {
    let check = async |change: &dyn Fn(&mut tidegate_connect::Settings), code: ErrorCode| {
        let mut settings = server.settings("shop");
        settings.connection_timeout = Duration::from_secs(3);
        change(&mut settings);
        let source = open(settings, &here()).await.unwrap();
        let error = source.test(None, Duration::from_secs(3)).await.unwrap_err();
        assert_eq!(error.code, code, "{error} {}", error.detail);
        assert!(!format!("{error:?}").contains("hunter2"));
    };
    check(&|settings| settings.credentials.password = secret("hunter2"), ErrorCode::Authentication).await;
    for name in ["other", "absent"] {
        let source = open(server.settings(name), &here()).await.unwrap();
        let refused = source.test(None, Duration::from_secs(5)).await.unwrap_err();
        let told = format!(
            "There is no database \"{name}\", or the user may not use it (error 1044): correct its name, or grant select on its tables to that user."
        );
        assert_eq!((refused.code, refused.message), (ErrorCode::Authentication, told), "{}", refused.detail);
    }
    check(&|settings| settings.port = Some(crate::servers::free_port()), ErrorCode::Connection).await;
    let inside = open(server.settings("shop"), &Default::default()).await.unwrap();
    assert_eq!(inside.test(None, Duration::from_secs(3)).await.unwrap_err().code, ErrorCode::Connection);
}

async fn tls(server: &Mariadb, ca: &str) {
    let cipher = async |metadata: serde_json::Value, host: &str| {
        let mut settings = server.settings("shop");
        settings.host = Some(host.to_owned());
        settings.metadata = metadata.as_object().unwrap().clone();
        let source = open(settings, &here()).await?;
        let query =
            "SELECT variable_value FROM information_schema.session_status WHERE variable_name = 'Ssl_cipher'";
        Ok::<_, tidegate_connect::SourceError>(
            source.test(Some(query), Duration::from_secs(5)).await?.result.unwrap_or_default(),
        )
    };
    assert_ne!(cipher(json!({}), "127.0.0.1").await.unwrap(), "", "TLS is preferred");
    assert_eq!(cipher(json!({ "ssl_mode": "disable" }), "127.0.0.1").await.unwrap(), "");
    let full = json!({ "ssl_mode": "verify-full", "ssl_ca": ca });
    assert_ne!(cipher(full.clone(), "127.0.0.1").await.unwrap(), "");
    assert_ne!(cipher(full, "localhost").await.unwrap(), "");
    let other = json!({ "ssl_mode": "verify-full", "ssl_ca": ca, "ssl_server_name": "other.example" });
    assert_eq!(cipher(other, "127.0.0.1").await.unwrap_err().code, ErrorCode::Connection);
    let unknown = json!({ "ssl_mode": "verify-full" });
    assert_eq!(cipher(unknown, "127.0.0.1").await.unwrap_err().code, ErrorCode::Connection);
    for mode in ["require", "verify-ca"] {
        let chain_only = json!({ "ssl_mode": mode, "ssl_ca": ca, "ssl_server_name": "other.example" });
        assert_ne!(cipher(chain_only, "127.0.0.1").await.unwrap(), "", "{mode} asks for no name");
    }
}

/// A user whose password holds what means something in a URL signs in by one.
async fn urls(server: &Mariadb, admin: &mut mysql_async::Conn) {
    for statement in ["CREATE USER odd IDENTIFIED BY 'hunter2@:/#% 7'", "GRANT SELECT ON shop.* TO odd"] {
        admin.query_drop(statement).await.unwrap();
    }
    for (password, code) in [
        ("hunter2@:/#% 7", None),
        ("hunter2%40%3A%2F%23%25%207", None),
        ("hunter2@:/#% ", Some(ErrorCode::Authentication)),
    ] {
        for scheme in ["mysql", "jdbc:mariadb"] {
            let mut settings = server.settings("unused");
            settings.credentials = Credentials::default();
            (settings.host, settings.port, settings.database_name) = (None, None, None);
            let url = format!("{scheme}://odd:{password}@127.0.0.1:{}/shop", server.port);
            settings.connection_string = Some(ConnectionString::new(url));
            let source = open(settings, &here()).await.unwrap();
            let tested = source.test(None, Duration::from_secs(5)).await.map(drop);
            assert!(!format!("{tested:?}").contains("hunter2"), "{tested:?}");
            assert_eq!(tested.err().map(|error| error.code), code, "{scheme} {password}");
        }
    }
}

/// A user who signs in with a certificate only.
async fn client_certificates(server: &Mariadb, admin: &mut mysql_async::Conn, certificates: &Certificates) {
    for statement in
        ["CREATE USER certified IDENTIFIED BY 's3cret' REQUIRE X509", "GRANT SELECT ON shop.* TO certified"]
    {
        admin.query_drop(statement).await.unwrap();
    }
    let stranger = Certificates::make();
    let tested = async |shown: Option<&Certificates>, key: Option<&str>| {
        let mut settings = server.settings("shop");
        settings.credentials.username = secret("certified");
        settings.metadata.insert("ssl_mode".into(), json!("verify-full"));
        settings.metadata.insert("ssl_ca".into(), json!(certificates.pem("ca.pem")));
        if let Some(shown) = shown {
            settings.metadata.insert("ssl_cert".into(), json!(shown.pem("client.pem")));
        }
        settings.credentials.ssl_key = key.and_then(secret);
        let source = open(settings, &here()).await?;
        source.test(None, Duration::from_secs(5)).await.map(drop)
    };
    let key = certificates.pem("client.key");
    tested(Some(certificates), Some(key.as_str())).await.unwrap();
    let without = tested(None, None).await.unwrap_err();
    assert_eq!(without.code, ErrorCode::Authentication, "{without} {}", without.detail);
    let foreign = tested(Some(&stranger), Some(stranger.pem("client.key").as_str())).await.unwrap_err();
    assert!(matches!(foreign.code, ErrorCode::Connection | ErrorCode::Authentication), "{foreign}");
    let keyless = tested(Some(certificates), None).await.unwrap_err();
    assert!(keyless.message.contains("credentials.ssl_key"), "{keyless}");
}

/// Rows of ten megabytes, none at all, and columns with names of any kind.
async fn extremes(server: &Mariadb, admin: &mut mysql_async::Conn) {
    for statement in [
        "CREATE VIEW shop.wide AS SELECT seq, REPEAT('x', 10000000) AS x FROM shop.seq_1_to_12",
        "CREATE TABLE shop.none (`\"; drop` int, `é` text)",
    ] {
        admin.query_drop(statement).await.unwrap();
    }
    let source = open(server.settings("shop"), &here()).await.unwrap();
    let mut stream = source.scan(Scan::all(Relation::new("shop", "wide"))).await.unwrap();
    let mut lengths = Vec::new();
    while let Some(batch) = stream.next().await {
        let batch = batch.unwrap();
        let column = batch.column(1).as_string::<i32>();
        lengths.extend((0..batch.num_rows()).map(|row| column.value_length(row)));
    }
    assert_eq!(lengths, [10_000_000; 12]);
    let schema = source.schema(&Relation::new("shop", "none")).await.unwrap();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["\"; drop", "é"]);
    assert!(read(source.as_ref(), Relation::new("shop", "none")).await.unwrap().is_empty());
}

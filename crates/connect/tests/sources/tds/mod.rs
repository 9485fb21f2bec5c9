//! SQL Server, against a stub after MS-TDS: prelogin, TLS inside packets, LOGIN7, batches, `sp_executesql`, attention.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::json;
use tidegate_connect::{ErrorCode, Filter, Literal, Operator, Relation, Scan, SourceType, open};

use crate::cells::{read, row, select};
use crate::servers::{Certificates, here, secret};
use crate::stubs;

mod stub;

use stub::{Manner, serve};
pub(crate) use stub::{enveloped, settled, without_tls};

/// A stub that does what it should.
pub(crate) async fn served() -> u16 {
    serve(Manner::default()).await.0
}

fn table() -> Relation {
    Relation::new("dbo", "t")
}

#[tokio::test]
async fn every_type_is_read_and_filters_are_seen_by_the_server() {
    let (port, seen) = serve(Manner::default()).await;
    let source = open(stubs::settings(SourceType::Sqlserver, port), &here()).await.unwrap();
    let tested = source.test(None, Duration::from_secs(5)).await.unwrap();
    assert_eq!(tested.version.as_deref(), Some("Microsoft SQL Server 16.0.1000"));
    assert_eq!(tested.result.as_deref(), Some("1"));
    assert!(seen.said("database shop"));
    let first = [
        "-5",
        "200",
        "true",
        "-12.34",
        "1970-01-02",
        "1970-01-01T00:00:01.5",
        "1970-01-01 00:00:00.0000001",
        "Zoë 🙂",
        "[de, ad]",
        "0.5",
    ];
    assert_eq!(read(source.as_ref(), table()).await.unwrap(), [row(first), row(["NULL"; 10])]);
    let equal =
        |column: &str, value| Filter::Compare { column: column.to_owned(), operator: Operator::Eq, value };
    let (found, applied) =
        select(source.as_ref(), table(), &["name"], equal("name", Literal::Utf8("O'Brien".to_owned())))
            .await
            .unwrap();
    assert_eq!((found, applied), (vec![row(["Zoë"])], true));
    assert!(seen.said(
        "SELECT CAST([name] AS nvarchar(max)) FROM [dbo].[t] WHERE (((CAST([name] AS nvarchar(max)) + N'|') COLLATE Latin1_General_BIN2) = (@p1 + N'|')) [\"O'Brien\"]"
    ));
    let schema = source.schema(&table()).await.unwrap();
    assert!(source.evaluates(&schema, &equal("id", Literal::Int(1))));
    assert!(!source.evaluates(&schema, &equal("ratio", Literal::Int(1))));
    assert!(!source.evaluates(&schema, &equal("amount", Literal::Decimal { unscaled: 1, scale: 3 })));
    let limited = Scan { projection: Some(vec!["name".to_owned()]), limit: Some(3), ..Scan::all(table()) };
    assert!(source.scan(limited).await.unwrap().limited);
    assert!(seen.said("SELECT TOP (3) CAST([name] AS nvarchar(max)) FROM"));
    let gone = read(source.as_ref(), Relation::new("dbo", "gone")).await.unwrap_err();
    assert_eq!(gone.code, ErrorCode::Query);
}

#[tokio::test]
async fn discovery_finds_keys_and_comments() {
    let (port, _) = serve(Manner::default()).await;
    let source = open(stubs::settings(SourceType::Sqlserver, port), &here()).await.unwrap();
    let found = source.discover(None).await.unwrap();
    let table = &found.schemas[0].tables[0];
    assert_eq!(
        (table.name.as_str(), table.row_count, table.comment.as_deref()),
        ("t", Some(2), Some("a table"))
    );
    assert!(table.columns[0].primary_key);
    assert_eq!(table.columns[1].foreign_key.as_ref().unwrap().table, "other");
    assert_eq!(table.columns[3].type_name, "decimal(10,2)");
    assert_eq!(table.columns[7].comment.as_deref(), Some("who"));
}

#[tokio::test]
async fn a_read_nobody_wants_is_stopped_at_the_server() {
    let (port, seen) = serve(Manner { endless: true, ..Manner::default() }).await;
    let source = open(stubs::settings(SourceType::Sqlserver, port), &here()).await.unwrap();
    let scan = Scan { projection: Some(vec!["id".to_owned()]), ..Scan::all(table()) };
    let mut stream = source.scan(scan).await.unwrap();
    assert!(stream.next().await.unwrap().unwrap().num_rows() > 0);
    drop(stream);
    assert!(seen.heard("attention").await);
}

#[tokio::test]
async fn errors_have_the_contracts_codes_and_no_secrets() {
    let (port, _) = serve(Manner::default()).await;
    let mut settings = stubs::settings(SourceType::Sqlserver, port);
    let source = open(settings.clone(), &here()).await.unwrap();
    let denied = source.test(Some("SELECT secret FROM denied"), Duration::from_secs(5)).await.unwrap_err();
    assert_eq!((denied.code, denied.detail.as_str()), (ErrorCode::Query, "*** may not"));
    let trick = source.test(Some("select 1 exec xp_cmdshell 'x'"), Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(trick.code, ErrorCode::Query);
    settings.credentials.password = secret("wrong");
    let source = open(settings, &here()).await.unwrap();
    let wrong = source.test(None, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(wrong.code, ErrorCode::Authentication);
    let (port, _) = serve(Manner { drops: true, ..Manner::default() }).await;
    let source = open(stubs::settings(SourceType::Sqlserver, port), &here()).await.unwrap();
    assert_eq!(read(source.as_ref(), table()).await.unwrap_err().code, ErrorCode::Connection);
}

#[tokio::test]
async fn a_connection_that_was_closed_is_opened_again() {
    let (port, seen) = serve(Manner { short: true, ..Manner::default() }).await;
    let source = open(stubs::settings(SourceType::Sqlserver, port), &here()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(read(source.as_ref(), table()).await.unwrap().len(), 2);
    }
    assert!(seen.opened() > 2);
}

#[tokio::test]
async fn a_server_leads_nobody_to_an_address_that_is_closed() {
    let (port, seen) = serve(Manner { routes: true, ..Manner::default() }).await;
    let source = open(stubs::settings(SourceType::Sqlserver, port), &here()).await.unwrap();
    let refused = source.test(None, Duration::from_secs(5)).await.unwrap_err();
    assert!(refused.code == ErrorCode::Connection && refused.message.contains("may not be in"), "{refused}");
    assert!(seen.said("database shop"));
}

#[tokio::test]
async fn tls_travels_inside_of_packets() {
    let certificates = Arc::new(Certificates::make());
    let (port, seen) = serve(Manner { tls: Some(Arc::clone(&certificates)), ..Manner::default() }).await;
    let mut settings = stubs::settings(SourceType::Sqlserver, port);
    let mut outcome = async |mode: &str, ca: Option<String>| {
        settings.metadata.insert("ssl_mode".to_owned(), json!(mode));
        settings.metadata.insert("ssl_ca".to_owned(), json!(ca));
        let source = open(settings.clone(), &here()).await.unwrap();
        source.test(None, Duration::from_secs(5)).await.map(|tested| tested.result.unwrap())
    };
    let own = Some(certificates.pem("ca.pem"));
    assert_eq!(outcome("verify-full", own).await.unwrap(), "1");
    assert_eq!(outcome("prefer", None).await.unwrap(), "1");
    let unknown = outcome("verify-full", Some(Certificates::make().pem("ca.pem"))).await.unwrap_err();
    assert_eq!(unknown.code, ErrorCode::Connection);
    assert_eq!(outcome("disable", None).await.unwrap_err().code, ErrorCode::Connection);
    assert!(seen.said("encryption 1") && seen.said("encryption 2"));
    // A server without TLS is asked again for none, unless TLS is asked for.
    let (port, seen) = serve(Manner::default()).await;
    settings.port = Some(port);
    let mut outcome = async |mode: &str| {
        settings.metadata.insert("ssl_mode".to_owned(), json!(mode));
        let source = open(settings.clone(), &here()).await.unwrap();
        source.test(None, Duration::from_secs(5)).await.map(|tested| tested.result.unwrap())
    };
    assert_eq!(outcome("prefer").await.unwrap(), "1");
    let refused = outcome("require").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Connection);
    assert_eq!(refused.message, "The server does not offer TLS, and ssl_mode is require.");
    assert!(seen.said("encryption 2"));
    // Nobody on the way gets a token by saying that there is none.
    let (port, seen) = serve(Manner::default()).await;
    settings.port = Some(port);
    settings.credentials.oauth_token = secret("hunter2");
    settings.metadata.insert("ssl_mode".to_owned(), json!("prefer"));
    let source = open(settings, &here()).await.unwrap();
    let refused = source.test(None, Duration::from_secs(5)).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Connection);
    assert!(refused.message.starts_with("The server does not offer TLS, without which a token"), "{refused}");
    assert!(!seen.said("encryption 2"), "asked again for none");
}

#[tokio::test]
async fn a_client_certificate_signs_in() {
    let certificates = Arc::new(Certificates::asking());
    let (port, _) = serve(Manner { tls: Some(Arc::clone(&certificates)), ..Manner::default() }).await;
    stubs::a_client_certificate_is_shown(SourceType::Sqlserver, port, &certificates).await;
}

#[tokio::test]
async fn a_url_with_a_password_of_any_characters_signs_in() {
    let (port, _) = serve(Manner::default()).await;
    stubs::a_url_says_it_all(SourceType::Sqlserver, "sqlserver", port).await;
}

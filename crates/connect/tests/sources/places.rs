//! What the settings name to be looked into, and is not there.

use std::time::Duration;

use tidegate_connect::{ErrorCode, SourceType, open};

use crate::servers::{Postgres, here};
use crate::stubs;

const TIME: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_schema_that_is_not_there_is_told_with_those_that_are() {
    let server = Postgres::start(&[]);
    let admin = server.admin("postgres").await;
    admin
        .batch_execute("CREATE SCHEMA sales; CREATE TABLE sales.orders (id int); CREATE SCHEMA bare")
        .await
        .unwrap();
    for name in ["sale", "Sales"] {
        let mut settings = server.settings("postgres");
        settings.schema_name = Some(name.to_owned());
        let source = open(settings, &here()).await.unwrap();
        let missing = source.test(None, TIME).await.unwrap_err();
        assert_eq!(missing.code, ErrorCode::Connection, "{missing:?}");
        let said = format!("There is no schema \"{name}\" that the user of the data source may use.");
        assert_eq!(missing.message, said);
        assert_eq!(missing.names[0], "sales", "{missing:?}");
        assert!(missing.names.contains(&"public".to_owned()), "{missing:?}");
        assert!(!missing.names.contains(&"pg_catalog".to_owned()), "{missing:?}");
        assert_eq!(source.discover(None).await.unwrap_err().message, said);
        // Another one may be asked for.
        assert_eq!(source.discover(Some("sales")).await.unwrap().schemas[0].tables[0].name, "orders");
    }
    // One without tables is one.
    let mut settings = server.settings("postgres");
    settings.schema_name = Some("bare".to_owned());
    let source = open(settings, &here()).await.unwrap();
    source.test(None, TIME).await.unwrap();
    assert!(source.discover(None).await.unwrap().schemas.is_empty());
    assert_eq!(source.places().await.unwrap(), ["bare", "public", "sales"]);
    let mut settings = server.settings("postgres");
    settings.database_name = Some("absent".to_owned());
    let absent = open(settings, &here()).await.unwrap().test(None, TIME).await.unwrap_err();
    assert_eq!(absent.message, "The database \"absent\" does not exist.");
}

#[tokio::test]
async fn a_keyspace_that_is_not_there_is_told_with_those_that_are() {
    let mut settings = stubs::settings(SourceType::Cassandra, crate::cassandra::served().await);
    settings.schema_name = Some("shops".to_owned());
    let source = open(settings, &here()).await.unwrap();
    let missing = source.test(None, TIME).await.unwrap_err();
    assert_eq!(missing.code, ErrorCode::Connection, "{missing:?}");
    assert_eq!(missing.message, "There is no keyspace \"shops\" that the user of the data source may use.");
    assert_eq!(missing.names[0], "shop");
    assert_eq!(source.discover(None).await.unwrap_err().message, missing.message);
}

//! Opening a source of any type.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::cassandra::Cassandra;
use crate::error::SourceError;
use crate::files::Files;
use crate::http::aws::athena::Athena;
use crate::http::aws::dynamodb::Dynamodb;
use crate::http::aws::kinesis::Kinesis;
use crate::http::bigquery::Bigquery;
use crate::http::clickhouse::Clickhouse;
use crate::http::couchbase::Couchbase;
use crate::http::databricks::Databricks;
use crate::http::db2::Db2;
use crate::http::elasticsearch::Elasticsearch;
use crate::http::graphql::Graphql;
use crate::http::neo4j::Neo4j;
use crate::http::oracle::Oracle;
use crate::http::pubsub::Pubsub;
use crate::http::rest::Rest;
use crate::http::snowflake::Snowflake;
use crate::http::sql::Sql;
use crate::kafka::Kafka;
use crate::lake::Lake;
use crate::mongodb::Mongodb;
use crate::mysql::Mysql;
use crate::network::NetworkPolicy;
use crate::postgres::Postgres;
use crate::redis::Redis;
use crate::registry::SourceType;
use crate::settings::Settings;
use crate::snapshot::Snapshots;
use crate::source::Source;
use crate::sqlite::Sqlite;
use crate::tds::SqlServer;
use crate::wire::server::Server;

/// A source on its way.
type Opening<'s> = BoxFuture<'s, Result<Arc<dyn Source>, SourceError>>;

/// Begins to open a source of one type.
type Opener = for<'s> fn(&'s Settings, &'s NetworkPolicy) -> Opening<'s>;

/// A function of its own for a type. A future of all types took room for each of them from the stack, half a megabyte in a build for tests,
/// below all that waits for the source.
macro_rules! opener {
    (|$settings:ident, $network:ident| $opened:expr) => {{
        fn opening<'s>($settings: &'s Settings, $network: &'s NetworkPolicy) -> Opening<'s> {
            Box::pin(async move { Ok(Arc::new($opened) as Arc<dyn Source>) })
        }
        opening
    }};
    (server $driver:ident) => {
        opener!(|settings, network| Server::new($driver::open(settings, network).await?))
    };
    (snapshots $fetcher:ident in $schema:literal) => {
        opener!(|settings, network| Snapshots::new(
            settings,
            $fetcher::open(settings, network).await?,
            $schema
        )?)
    };
    (warehouse $warehouse:ident) => {
        opener!(|settings, network| Sql::new(settings, $warehouse::open(settings, network).await?)?)
    };
}

/// Opens a source. Servers are not contacted yet, but for the tunnel; files are read once to learn their columns.
pub async fn open(settings: Settings, network: &NetworkPolicy) -> Result<Arc<dyn Source>, SourceError> {
    opener(settings.kind)(&settings, network).await
}

fn opener(kind: SourceType) -> Opener {
    match kind {
        SourceType::Postgresql | SourceType::Redshift | SourceType::Cockroachdb => opener!(server Postgres),
        SourceType::Mysql | SourceType::Mariadb => opener!(server Mysql),
        SourceType::Sqlserver | SourceType::Synapse => opener!(server SqlServer),
        SourceType::Mongodb => opener!(server Mongodb),
        SourceType::Cassandra => opener!(server Cassandra),
        SourceType::Kafka => opener!(server Kafka),
        SourceType::Redis => opener!(snapshots Redis in "db0"),
        SourceType::Elasticsearch => opener!(snapshots Elasticsearch in "main"),
        SourceType::Dynamodb => opener!(snapshots Dynamodb in "main"),
        SourceType::Kinesis => opener!(snapshots Kinesis in "main"),
        SourceType::Couchbase => opener!(snapshots Couchbase in "_default"),
        SourceType::Neo4j => opener!(snapshots Neo4j in "neo4j"),
        SourceType::RestApi => opener!(snapshots Rest in "main"),
        SourceType::Graphql => opener!(snapshots Graphql in "main"),
        SourceType::Pubsub => opener!(snapshots Pubsub in "main"),
        SourceType::Snowflake => opener!(warehouse Snowflake),
        SourceType::Bigquery => opener!(warehouse Bigquery),
        SourceType::Oracle => opener!(warehouse Oracle),
        SourceType::Db2 => opener!(warehouse Db2),
        SourceType::Clickhouse => opener!(warehouse Clickhouse),
        SourceType::Databricks => opener!(warehouse Databricks),
        SourceType::Athena => opener!(warehouse Athena),
        SourceType::S3 | SourceType::Gcs | SourceType::AzureBlob => {
            opener!(|settings, network| Lake::open(settings, network).await?)
        }
        SourceType::Sqlite => opener!(|settings, _network| Sqlite::open(settings).await?),
        SourceType::Csv | SourceType::Json | SourceType::Parquet | SourceType::Excel | SourceType::Xml => {
            opener!(|settings, _network| Files::open(settings).await?)
        }
    }
}

//! Opening a source of any type.

use std::sync::Arc;

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
use crate::snapshot::{Fetcher, Snapshots};
use crate::source::Source;
use crate::sqlite::Sqlite;
use crate::tds::SqlServer;
use crate::wire::server::Server;

/// Opens a source. Servers are not contacted yet, but for the tunnel; files are read once to learn their columns.
pub async fn open(settings: Settings, network: &NetworkPolicy) -> Result<Arc<dyn Source>, SourceError> {
    match settings.kind {
        SourceType::Postgresql | SourceType::Redshift | SourceType::Cockroachdb => {
            Ok(Arc::new(Server::new(Postgres::open(&settings, network).await?)))
        }
        SourceType::Mysql | SourceType::Mariadb => {
            Ok(Arc::new(Server::new(Mysql::open(&settings, network).await?)))
        }
        SourceType::Sqlserver | SourceType::Synapse => {
            Ok(Arc::new(Server::new(SqlServer::open(&settings, network).await?)))
        }
        SourceType::Mongodb => Ok(Arc::new(Server::new(Mongodb::open(&settings, network).await?))),
        SourceType::Cassandra => Ok(Arc::new(Server::new(Cassandra::open(&settings, network).await?))),
        SourceType::Kafka => Ok(Arc::new(Server::new(Kafka::open(&settings, network).await?))),
        SourceType::Redis => snapshots(&settings, Redis::open(&settings, network).await?, "db0"),
        SourceType::Elasticsearch => {
            snapshots(&settings, Elasticsearch::open(&settings, network).await?, "main")
        }
        SourceType::Dynamodb => snapshots(&settings, Dynamodb::open(&settings, network).await?, "main"),
        SourceType::Kinesis => snapshots(&settings, Kinesis::open(&settings, network).await?, "main"),
        SourceType::Couchbase => snapshots(&settings, Couchbase::open(&settings, network).await?, "_default"),
        SourceType::Neo4j => snapshots(&settings, Neo4j::open(&settings, network).await?, "neo4j"),
        SourceType::RestApi => snapshots(&settings, Rest::open(&settings, network).await?, "main"),
        SourceType::Graphql => snapshots(&settings, Graphql::open(&settings, network).await?, "main"),
        SourceType::Pubsub => snapshots(&settings, Pubsub::open(&settings, network).await?, "main"),
        SourceType::Snowflake => {
            Ok(Arc::new(Sql::new(&settings, Snowflake::open(&settings, network).await?)?))
        }
        SourceType::Bigquery => Ok(Arc::new(Sql::new(&settings, Bigquery::open(&settings, network).await?)?)),
        SourceType::Oracle => Ok(Arc::new(Sql::new(&settings, Oracle::open(&settings, network).await?)?)),
        SourceType::Db2 => Ok(Arc::new(Sql::new(&settings, Db2::open(&settings, network).await?)?)),
        SourceType::Clickhouse => {
            Ok(Arc::new(Sql::new(&settings, Clickhouse::open(&settings, network).await?)?))
        }
        SourceType::Databricks => {
            Ok(Arc::new(Sql::new(&settings, Databricks::open(&settings, network).await?)?))
        }
        SourceType::Athena => Ok(Arc::new(Sql::new(&settings, Athena::open(&settings, network).await?)?)),
        SourceType::S3 | SourceType::Gcs | SourceType::AzureBlob => {
            Ok(Arc::new(Lake::open(&settings, network).await?))
        }
        SourceType::Sqlite => Ok(Arc::new(Sqlite::open(&settings).await?)),
        SourceType::Csv | SourceType::Json | SourceType::Parquet | SourceType::Excel | SourceType::Xml => {
            Ok(Arc::new(Files::open(&settings).await?))
        }
    }
}

fn snapshots<F: Fetcher + 'static>(
    settings: &Settings,
    fetcher: F,
    schema: &str,
) -> Result<Arc<dyn Source>, SourceError> {
    Ok(Arc::new(Snapshots::new(settings, fetcher, schema)?))
}

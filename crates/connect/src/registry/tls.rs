//! How each type of source comes to TLS.

use super::{SourceType, TypeInfo};

/// How a driver comes to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsUse {
    /// The server says in its protocol whether it has TLS.
    Offered,
    /// From the first byte on, or never: the server does not say whether it has TLS.
    FromTheStart,
    /// The address says so, by `https://`.
    Https,
}

impl TypeInfo {
    /// How TLS begins; none for what is read from a file.
    pub fn tls(&self) -> Option<TlsUse> {
        use SourceType as T;
        match self.kind {
            T::Postgresql | T::Cockroachdb | T::Redshift | T::Mysql | T::Mariadb => Some(TlsUse::Offered),
            T::Sqlserver | T::Synapse => Some(TlsUse::Offered),
            T::Redis | T::Mongodb | T::Cassandra | T::Kafka => Some(TlsUse::FromTheStart),
            T::Clickhouse | T::Elasticsearch | T::Couchbase | T::Neo4j | T::Oracle | T::Db2 => {
                Some(TlsUse::Https)
            }
            T::Snowflake | T::Bigquery | T::Databricks | T::Athena | T::Dynamodb => Some(TlsUse::Https),
            T::Kinesis | T::Pubsub | T::S3 | T::Gcs | T::AzureBlob => Some(TlsUse::Https),
            T::RestApi | T::Graphql => Some(TlsUse::Https),
            T::Sqlite | T::Csv | T::Excel | T::Json | T::Parquet | T::Xml => None,
        }
    }

    /// `ssl_mode` where neither the metadata nor a connection string says anything about TLS.
    pub fn usual_ssl_mode(&self) -> Option<&'static str> {
        Some(match (self.tls()?, self.kind) {
            (TlsUse::Https, _) | (_, SourceType::Synapse) => "verify-full",
            (TlsUse::Offered, _) => "prefer",
            (TlsUse::FromTheStart, _) => "disable",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::types;

    #[test]
    fn what_crosses_a_network_has_options_of_tls_and_what_does_not_has_none() {
        for info in types() {
            let has_options = info.options().any(|name| name == "ssl_cert");
            assert_eq!(info.tls().is_some(), has_options, "{}", info.kind);
            assert_eq!(info.tls().is_none(), info.is_file, "{}", info.kind);
        }
    }
}

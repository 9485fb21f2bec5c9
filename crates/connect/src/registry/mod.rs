//! Every type of source there is: one row each, in [`table`].

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

mod options;
mod table;
mod tls;

pub use table::types;
pub use tls::TlsUse;

macro_rules! source_types {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// A type of source, by its name on the wire.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum SourceType {
            $(#[doc = concat!("`", $name, "`")] $variant),+
        }

        impl SourceType {
            /// All of them, in the contract's order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

source_types! {
    Postgresql = "postgresql", Mysql = "mysql", Mariadb = "mariadb", Sqlserver = "sqlserver", Oracle = "oracle",
    Sqlite = "sqlite", Db2 = "db2", Cockroachdb = "cockroachdb", Clickhouse = "clickhouse",
    Mongodb = "mongodb", Cassandra = "cassandra", Dynamodb = "dynamodb", Redis = "redis",
    Elasticsearch = "elasticsearch", Couchbase = "couchbase", Neo4j = "neo4j",
    Snowflake = "snowflake", Bigquery = "bigquery", Redshift = "redshift", Databricks = "databricks",
    Synapse = "synapse", Athena = "athena",
    Csv = "csv", Excel = "excel", Json = "json", Parquet = "parquet", Xml = "xml",
    S3 = "s3", Gcs = "gcs", AzureBlob = "azure_blob",
    Kafka = "kafka", Kinesis = "kinesis", Pubsub = "pubsub",
    RestApi = "rest_api", Graphql = "graphql",
}

impl fmt::Display for SourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A name that is no type, with the one that must have been meant, or three that are not far from it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is no type of data source; {}", crate::error::quoted(.name), advised(.nearest))]
pub struct UnknownType {
    /// The name, cut to 40 characters.
    pub name: String,
    pub nearest: Vec<&'static str>,
}

fn advised(nearest: &[&'static str]) -> String {
    match nearest {
        [meant] => format!("did you mean {meant}?"),
        several => format!("the nearest are: {}", several.join(", ")),
    }
}

/// What types are called elsewhere, in small letters and without what parts words. `mssql` is one letter away from `mysql`.
const ALSO: [(&str, SourceType); 39] = [
    ("alloydb", SourceType::Postgresql),
    ("neon", SourceType::Postgresql),
    ("pg", SourceType::Postgresql),
    ("psql", SourceType::Postgresql),
    ("supabase", SourceType::Postgresql),
    ("timescale", SourceType::Postgresql),
    ("timescaledb", SourceType::Postgresql),
    ("percona", SourceType::Mysql),
    ("tidb", SourceType::Mysql),
    ("azuresql", SourceType::Sqlserver),
    ("microsoftsqlserver", SourceType::Sqlserver),
    ("mssql", SourceType::Sqlserver),
    ("mssqlserver", SourceType::Sqlserver),
    ("documentdb", SourceType::Mongodb),
    ("scylla", SourceType::Cassandra),
    ("scylladb", SourceType::Cassandra),
    ("keydb", SourceType::Redis),
    ("valkey", SourceType::Redis),
    ("opensearch", SourceType::Elasticsearch),
    ("tab", SourceType::Csv),
    ("text", SourceType::Csv),
    ("tsv", SourceType::Csv),
    ("txt", SourceType::Csv),
    ("ods", SourceType::Excel),
    ("xls", SourceType::Excel),
    ("xlsb", SourceType::Excel),
    ("xlsm", SourceType::Excel),
    ("xlsx", SourceType::Excel),
    ("jsonl", SourceType::Json),
    ("ndjson", SourceType::Json),
    ("amazons3", SourceType::S3),
    ("minio", SourceType::S3),
    ("googlecloudstorage", SourceType::Gcs),
    ("adls", SourceType::AzureBlob),
    ("blob", SourceType::AzureBlob),
    ("api", SourceType::RestApi),
    ("http", SourceType::RestApi),
    ("https", SourceType::RestApi),
    ("rest", SourceType::RestApi),
];

/// From this likeness on, a name was meant.
const NEAR: f64 = 0.85;

impl FromStr for SourceType {
    type Err = UnknownType;

    fn from_str(name: &str) -> Result<Self, UnknownType> {
        if let Some(found) = Self::ALL.iter().find(|kind| kind.as_str() == name) {
            return Ok(*found);
        }
        // A mistyped name of any length costs no more than a long one.
        let short: String = name.chars().take(40).flat_map(char::to_lowercase).collect();
        let plain = short.replace(['-', '_', ' '], "");
        if let Some((_, kind)) = ALSO.iter().find(|(also, _)| *also == plain) {
            return Err(UnknownType { name: name.chars().take(40).collect(), nearest: vec![kind.as_str()] });
        }
        let mut scored: Vec<(f64, &'static str)> = Self::ALL
            .iter()
            .map(|kind| (strsim::jaro_winkler(&short, kind.as_str()), kind.as_str()))
            .collect();
        // One mistake makes a short name unlike itself: `cvs`.
        let mistaken = |name: &str| strsim::osa_distance(&short, name) <= 1;
        scored.sort_by(|a, b| {
            (mistaken(b.1), b.0).partial_cmp(&(mistaken(a.1), a.0)).unwrap_or(Ordering::Equal)
        });
        let is_near = scored.first().is_some_and(|(score, name)| *score >= NEAR || mistaken(name));
        let nearest = scored.into_iter().take(if is_near { 1 } else { 3 }).map(|(_, name)| name).collect();
        Err(UnknownType { name: name.chars().take(40).collect(), nearest })
    }
}

/// The contract's families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Sql,
    NoSql,
    Cloud,
    Files,
    Streaming,
    Api,
}

impl Family {
    /// As the documentation writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sql => "SQL",
            Self::NoSql => "NoSQL",
            Self::Cloud => "Cloud",
            Self::Files => "Files",
            Self::Streaming => "Streaming",
            Self::Api => "API",
        }
    }
}

/// How a driver was tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tested {
    /// Against the server itself, in the version named.
    RealServer(&'static str),
    /// Against files made by the tests and by others' programs.
    RealFiles,
    /// Against a program that imitates the server.
    Emulator(&'static str),
    /// Against answers written after the vendor's documentation.
    Stub,
    /// The protocol is that of another type, which was tested; the server itself was not.
    SameProtocol(&'static str),
    /// There is no driver.
    NoDriver,
}

/// One type of source.
#[derive(Clone, Debug)]
pub struct TypeInfo {
    pub kind: SourceType,
    pub family: Family,
    /// How people write it.
    pub title: &'static str,
    /// What speaks to it.
    pub driver: &'static str,
    /// Fields that must be there, as the contract names them; those below `credentials.` and `metadata.` with that prefix.
    pub required: &'static [&'static str],
    /// Whether a connection string takes the place of host and database.
    pub connection_string: bool,
    pub default_port: Option<u16>,
    /// What a test runs when it is given no query.
    pub probe: &'static str,
    /// Whether it reads one file of the storage (`file_path`).
    pub is_file: bool,
    pub evaluates: Evaluates,
    pub tested: Tested,
}

/// What the source evaluates itself, exactly as the engine would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluates {
    pub projection: bool,
    pub filters: bool,
    pub limit: bool,
}

impl TypeInfo {
    /// The row of a type.
    pub fn of(kind: SourceType) -> &'static TypeInfo {
        let row = types().iter().find(|row| row.kind == kind);
        // A test holds that every type has its row.
        row.unwrap_or(&table::ABSENT)
    }

    /// Whether there is a driver.
    pub fn is_supported(&self) -> bool {
        self.tested != Tested::NoDriver
    }

    /// Whether `schema_name` says anything to its driver.
    pub fn reads_schema_name(&self) -> bool {
        use SourceType as T;
        matches!(
            self.kind,
            T::Postgresql
                | T::Cockroachdb
                | T::Redshift
                | T::Sqlserver
                | T::Synapse
                | T::Oracle
                | T::Db2
                | T::Cassandra
                | T::Snowflake
                | T::Bigquery
        )
    }

    /// The required fields that are missing. `given` tells whether a field is there and not blank.
    pub fn missing(&self, given: impl Fn(&str) -> bool) -> Vec<&'static str> {
        let by_string = self.connection_string && given("connection_string");
        let address = ["host", "port", "database_name"];
        self.required
            .iter()
            .copied()
            .filter(|field| !(given(field) || by_string && address.contains(field)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_has_one_row_and_one_name() {
        assert_eq!(SourceType::ALL.len(), 35);
        assert_eq!(types().len(), 35);
        for kind in SourceType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(*kind));
            assert_eq!(TypeInfo::of(*kind).kind, *kind, "{kind} has no row");
        }
    }

    #[test]
    fn a_mistyped_name_finds_its_neighbours() {
        let nearest = |name: &str| name.parse::<SourceType>().unwrap_err().nearest;
        assert_eq!(nearest("postgres")[0], "postgresql");
        assert_eq!(nearest("PostgreSQL")[0], "postgresql");
        assert_eq!(nearest("mariabd")[0], "mariadb");
        assert_eq!(nearest("azureblob")[0], "azure_blob");
        assert_eq!(nearest("").len(), 3);
        assert_eq!(nearest(&"x".repeat(1_000_000)).len(), 3);
        let said = |name: &str| name.parse::<SourceType>().unwrap_err().to_string();
        assert_eq!(said("cvs"), "\"cvs\" is no type of data source; did you mean csv?");
        assert_eq!(said("postgres"), "\"postgres\" is no type of data source; did you mean postgresql?");
        for (name, kind) in [
            ("mssql", "sqlserver"),
            ("MS-SQL Server", "sqlserver"),
            ("psql", "postgresql"),
            ("XLSX", "excel"),
            ("tsv", "csv"),
            ("minio", "s3"),
            ("opensearch", "elasticsearch"),
            ("rest", "rest_api"),
        ] {
            assert_eq!(nearest(name), [kind], "{name}");
        }
        for (also, _) in ALSO {
            assert!(SourceType::ALL.iter().all(|kind| kind.as_str() != also), "{also} is a type");
        }
        assert!(said("spreadsheet").contains("the nearest are: "), "{}", said("spreadsheet"));
        assert!(said(&"x".repeat(1_000_000)).len() < 200);
    }

    #[test]
    fn a_required_schema_is_read() {
        for info in types() {
            assert!(!info.required.contains(&"schema_name") || info.reads_schema_name(), "{}", info.kind);
        }
        assert!(TypeInfo::of(SourceType::Postgresql).reads_schema_name());
        assert!(!TypeInfo::of(SourceType::Mysql).reads_schema_name());
    }

    #[test]
    fn missing_fields_are_named() {
        let postgres = TypeInfo::of(SourceType::Postgresql);
        assert_eq!(postgres.missing(|_| false), ["host", "database_name"]);
        assert!(postgres.missing(|field| field == "connection_string").is_empty());
        assert_eq!(
            TypeInfo::of(SourceType::Csv).missing(|field| field == "connection_string"),
            ["file_path"]
        );
    }
}

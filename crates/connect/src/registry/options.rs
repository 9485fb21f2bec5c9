//! The options that a type of source reads, and how a misspelt one is recognized.
//!
//! `metadata` is the client's too: what is no option is kept. But an option that is misspelt would be kept as well, and a source whose
//! `ssl_mod` is `require` would be read without TLS. So what is nearly an option is refused, and what looks as if it were about TLS.

use super::{Family, SourceType, TypeInfo};
use crate::address;

/// Options of TLS, of every type that is reached over a network.
const TLS: &[&str] = &["ssl_mode", "ssl_ca", "ssl_cert", "ssl_server_name"];
/// Options of files' formats.
const FORMATS: &[&str] = &["delimiter", "quote", "header", "encoding", "row_tag"];
/// What a connection string calls who signs in and where, besides its options.
const OF_STRINGS: &[&str] =
    &["user", "username", "password", "host", "hostname", "server", "port", "dbname", "database"];
/// Longest name that is compared, in bytes.
const LONGEST: usize = 40;
/// From this length on, a name may have two mistakes; of a shorter one, two make another word (`region`, `reason`).
const LONG: usize = 8;

/// Options of a lake: of the store, and of the formats of its files.
const LAKE: &[&str] = &[
    "prefix",
    "format",
    "table_name",
    "sample_files",
    "sheet",
    "region",
    "endpoint",
    "cache_seconds",
    "delimiter",
    "quote",
    "header",
    "encoding",
    "row_tag",
];
/// Options of the client-credentials grant, of what is asked with a token that is fetched.
const GRANT: &[&str] = &["token_url", "client_id", "client_auth", "scope", "audience"];
/// Options of a REST API.
const REST: &[&str] = &[
    "url",
    "method",
    "body",
    "rows_path",
    "table_name",
    "paging",
    "page_parameter",
    "first_page",
    "cursor_path",
    "api_key_header",
    "cache_seconds",
];
/// Options of GraphQL.
const GRAPHQL: &[&str] = &[
    "url",
    "query",
    "variables",
    "rows_path",
    "table_name",
    "page_info_path",
    "cursor_variable",
    "api_key_header",
    "cache_seconds",
];
/// Options of Kafka.
const KAFKA: &[&str] =
    &["value_format", "start_offset", "start_time", "end_offset", "end_time", "sasl_mechanism"];
/// Options of Pub/Sub.
const PUBSUB: &[&str] =
    &["project", "endpoint", "max_records", "max_seconds", "allow_dead_letter_policy", "cache_seconds"];

/// The options of `metadata` that a type reads, besides those of TLS, of values and of a single file.
fn own(kind: SourceType) -> &'static [&'static str] {
    use SourceType as T;
    match kind {
        T::Sqlserver | T::Synapse => &["fine_times"],
        T::Mongodb => &["auth_source", "sample_size"],
        T::Kafka => KAFKA,
        T::Snowflake => &["tls", "token_type", "account"],
        T::Bigquery => &["project", "location", "maximum_bytes_billed", "endpoint"],
        T::Pubsub => PUBSUB,
        T::Oracle => &["tls", "path"],
        T::Db2 => &["tls", "api", "db_host", "db_port", "db_tls", "deployment_id", "profile"],
        T::Clickhouse | T::Databricks => &["tls"],
        T::Couchbase | T::Neo4j => &["tls", "cache_seconds"],
        T::Elasticsearch => &["tls", "cache_seconds", "sample_size"],
        T::Redis => &["cache_seconds"],
        T::Dynamodb => &["region", "endpoint", "cache_seconds", "sample_size"],
        T::Kinesis => &["region", "endpoint", "max_records", "cache_seconds"],
        T::Athena => &["region", "endpoint", "workgroup", "output_location", "catalog"],
        T::RestApi => REST,
        T::Graphql => GRAPHQL,
        T::S3 | T::Gcs | T::AzureBlob => LAKE,
        T::Postgresql | T::Mysql | T::Mariadb | T::Cockroachdb | T::Redshift | T::Cassandra => &[],
        T::Sqlite | T::Csv | T::Excel | T::Json | T::Parquet | T::Xml => &[],
    }
}

/// The options of a connection string that a type reads, in small letters.
fn of_string(kind: SourceType) -> &'static [&'static str] {
    match kind {
        SourceType::Postgresql | SourceType::Cockroachdb | SourceType::Redshift => &["sslmode"],
        SourceType::Mysql | SourceType::Mariadb => &["ssl-mode", "sslmode"],
        SourceType::Sqlserver | SourceType::Synapse => {
            &["encrypt", "trustservercertificate", "applicationintent"]
        }
        SourceType::Mongodb => &["tls", "ssl", "authsource"],
        _ => &[],
    }
}

impl TypeInfo {
    /// The options of `metadata` that it reads.
    pub fn options(&self) -> impl Iterator<Item = &'static str> + use<> {
        let over_network: &[&str] = if self.is_file { &[] } else { TLS };
        let formats: &[&str] = if self.is_file && self.family == Family::Files { FORMATS } else { &[] };
        let grant: &[&str] = if self.takes_grant() { GRANT } else { &[] };
        let shared = ["unfit_values"].into_iter();
        shared.chain(over_network.iter().chain(formats).chain(own(self.kind)).chain(grant).copied())
    }

    /// Whether it signs in by a token that it fetches itself.
    fn takes_grant(&self) -> bool {
        matches!(self.kind, SourceType::RestApi | SourceType::Graphql)
    }

    /// What is wrong with the name of an option of `metadata`; `None` where it is one, or nothing like one.
    pub fn misspelt(&self, name: &str) -> Option<String> {
        // Metadata are in every answer, and in the clear.
        if self.takes_grant() && name.len() <= LONGEST && is_client_secret(name) {
            return Some(format!(
                "metadata.{name} would be seen by everybody; a client's secret is client_secret of the credentials"
            ));
        }
        let known: Vec<&str> = self.options().collect();
        let advice = self.judged(name, &known, !self.is_file)?;
        Some(format!("metadata.{name} is not known for {}; {advice}", self.kind))
    }

    /// What is wrong with an option of a connection string. A string that cannot be read is told when the source is opened.
    pub fn misspelt_in_string(&self, text: &str) -> Option<String> {
        let address = address::parse(text).ok()?;
        let known: Vec<&str> = of_string(self.kind).iter().chain(OF_STRINGS).copied().collect();
        address.options.keys().find_map(|name| {
            let advice = self.judged(name, &known, true)?;
            Some(format!(
                "the option {name} of the connection string is not known for {}; {advice}",
                self.kind
            ))
        })
    }

    /// What to do about a name that is not among those known; `None` where there is nothing.
    fn judged(&self, name: &str, known: &[&'static str], has_tls: bool) -> Option<String> {
        if known.contains(&name) || name.len() > LONGEST || !is_name(name) {
            return None;
        }
        if let Some(meant) = nearest(name, known) {
            return Some(format!("did you mean {meant}?"));
        }
        (has_tls && is_of_tls(name))
            .then(|| {
                "TLS is set by ssl_mode, ssl_ca, ssl_cert and ssl_server_name of metadata, and by the credential ssl_key"
                    .to_owned()
            })
    }
}

/// Whether a name is that of the secret of a client, in whatever letters.
fn is_client_secret(name: &str) -> bool {
    let letters = name.chars().filter(|c| !matches!(c, '_' | '-' | ' ' | '.'));
    letters.map(|c| c.to_ascii_lowercase()).eq("clientsecret".chars())
}

/// Other texts are repeated to nobody: of a connection string that was cut at the wrong place, they may be a part of a password.
fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | ' ' | '.'))
}

/// The known name that was meant: one of at most two mistakes away, in whatever letters.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let plain = |text: &str| text.to_ascii_lowercase().replace(['-', ' ', '.'], "_");
    let sent = plain(name);
    let alike = known.iter().filter(|one| one.len().abs_diff(sent.len()) <= 2);
    let scored = alike.map(|one| (strsim::osa_distance(&sent, &plain(one)), *one));
    let near = scored.filter(|(mistakes, one)| *mistakes <= if one.len() < LONG { 1 } else { 2 });
    near.min_by_key(|(mistakes, _)| *mistakes).map(|(_, one)| one)
}

/// Whether a name sounds as if it decided about encryption: `ssl`, `useSSL`, `tls_mode`, `sslrootcert`. `lossless` does not.
fn is_of_tls(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(['_', '-', ' ', '.']);
    let is_tls = |word: &str| ["ssl", "tls"].iter().any(|tls| word.starts_with(tls) || word.ends_with(tls));
    words.any(is_tls)
        || ["encrypt", "trustserver", "trust_server", "truststore"]
            .iter()
            .any(|begin| name.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: SourceType) -> &'static TypeInfo {
        TypeInfo::of(kind)
    }

    #[test]
    fn a_misspelt_option_is_told_and_notes_of_the_client_are_not() {
        let postgres = of(SourceType::Postgresql);
        assert_eq!(
            postgres.misspelt("ssl_mod").unwrap(),
            "metadata.ssl_mod is not known for postgresql; did you mean ssl_mode?"
        );
        for name in ["sslmode", "SSL_MODE", "ssl-mode", "ssl_mdoe", "ssl_moed", "ssl_cat", "unfit_value"] {
            assert!(postgres.misspelt(name).unwrap().contains("did you mean"), "{name}");
        }
        // What is about TLS and nothing that is read would be a source without.
        for name in
            ["ssl", "tls", "useSSL", "tls_enabled", "encryption", "trust_server_certificate", "ssl_key"]
        {
            assert!(postgres.misspelt(name).unwrap().contains("ssl_mode"), "{name}");
        }
        let long = "x".repeat(1_000_000);
        for name in [
            "ssl_mode",
            "ssl_ca",
            "team",
            "owner",
            "environment",
            "costs",
            "lossless",
            "trusted",
            "",
            "a\nssl",
            long.as_str(),
        ] {
            assert_eq!(postgres.misspelt(name), None, "{name:.20}");
        }
        assert!(of(SourceType::Csv).misspelt("delimeter").unwrap().ends_with("did you mean delimiter?"));
        assert!(of(SourceType::S3).misspelt("regoin").is_some());
        assert_eq!(of(SourceType::S3).misspelt("reason"), None);
        // A file crosses no network.
        assert_eq!(of(SourceType::Csv).misspelt("ssl"), None);
    }

    // It would be stored in the clear, and be in every answer.
    #[test]
    fn a_secret_among_the_metadata_is_told_where_it_belongs() {
        for kind in [SourceType::RestApi, SourceType::Graphql] {
            for name in ["client_secret", "clientSecret", "client-secret"] {
                assert!(of(kind).misspelt(name).unwrap().contains("credentials"), "{name}");
            }
            assert!(of(kind).misspelt("token_ulr").unwrap().ends_with("did you mean token_url?"));
            assert_eq!(of(kind).misspelt("client_id"), None);
        }
        assert_eq!(of(SourceType::Postgresql).misspelt("client_secret"), None);
    }

    #[test]
    fn options_of_connection_strings_are_judged_like_those_of_metadata() {
        let postgres = of(SourceType::Postgresql);
        for text in [
            "postgres://a:b@db.example/x?sslmod=require",
            "postgres://a:b@db.example/x?ssl_mode=require",
            "jdbc:postgresql://db.example/x?ssl=true",
            "host=db.example dbname=x sslmod=require",
            "hostt=db.example dbname=x",
            "Server=db.example;Database=x;Encryptt=true",
        ] {
            assert!(postgres.misspelt_in_string(text).is_some(), "{text}");
        }
        assert_eq!(
            postgres.misspelt_in_string("postgres://db.example/x?sslmod=require").unwrap(),
            "the option sslmod of the connection string is not known for postgresql; did you mean sslmode?"
        );
        let kept = "postgres://a:b@db.example/x?sslmode=require&application_name=x&connect_timeout=10";
        assert_eq!(postgres.misspelt_in_string(kept), None);
        let mongo = of(SourceType::Mongodb);
        assert_eq!(mongo.misspelt_in_string("mongodb://db.example/x?tls=true&replicaSet=a"), None);
        assert!(mongo.misspelt_in_string("mongodb://db.example/x?tlsCAFile=a").is_some());
        assert!(of(SourceType::Mysql).misspelt_in_string("jdbc:mysql://db.example/x?useSSL=true").is_some());
        let tds = of(SourceType::Sqlserver);
        assert_eq!(
            tds.misspelt_in_string("Server=db;Database=x;Encrypt=true;MultipleActiveResultSets=false"),
            None
        );
        assert!(tds.misspelt_in_string("Server=db;Database=x;Encript=true").is_some());
        // What cannot be read is told elsewhere, and nothing of it here.
        assert_eq!(postgres.misspelt_in_string("no string at all"), None);
    }

    #[test]
    fn what_a_type_requires_of_metadata_is_an_option_of_it() {
        for info in super::super::types() {
            let known: Vec<&str> = info.options().collect();
            for field in info.required.iter().filter_map(|field| field.strip_prefix("metadata.")) {
                assert!(known.contains(&field), "{}: {field}", info.kind);
            }
            for name in &known {
                assert_eq!(info.misspelt(name), None, "{}: {name}", info.kind);
            }
        }
    }
}

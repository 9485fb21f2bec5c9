//! A source in which nothing is found answers its tests all the same: what is said of it then.

use std::time::Duration;

use tidegate_connect::{SourceError, TypeInfo};
use tidegate_kernel::fault::Fault;
use tokio::time::timeout;

use super::repository::SchemaSummary;
use crate::life::testing::TestReport;
use crate::sources::DataSource;
use crate::{Catalog, CatalogTables};

/// How long a source is asked what else there is.
const LOOKING: Duration = Duration::from_secs(5);
/// Names that are told at most, and characters of each.
pub(super) const MOST_NAMES: usize = 10;
const LONGEST_NAME: usize = 80;

/// Whether no relation was found.
pub(crate) fn is_nothing(schemas: &[SchemaSummary]) -> bool {
    schemas.iter().all(|schema| schema.tables + schema.views == 0)
}

/// Which settings say where it was looked, and what else there is.
fn nothing_found(source: &DataSource, schema: Option<&str>, there: &[String]) -> String {
    let connection = &source.connection;
    let prefix = source.metadata.to_value().unwrap_or_default();
    let prefix = prefix.get("prefix").and_then(serde_json::Value::as_str);
    let named = [
        ("database_name", connection.database_name.as_deref()),
        ("schema_name", schema.or(connection.schema_name.as_deref())),
        ("metadata.prefix", prefix),
    ];
    let named: Vec<String> =
        named.into_iter().filter_map(|(field, name)| Some(format!("{field} \"{}\"", name?))).collect();
    let mut text = "No table or view was found that the user of the data source may read.".to_owned();
    if !named.is_empty() {
        text.push_str(&format!(" It was looked where the settings say: {}.", named.join(", ")));
    }
    text + &there_are(there)
}

/// That a source has a `schema_name` which its driver does not read.
fn unread_schema(source: &DataSource) -> Option<String> {
    let schema = source.connection.schema_name.as_deref().filter(|name| !name.is_empty())?;
    let kind = source.kind;
    (!TypeInfo::of(kind).reads_schema_name()).then(|| {
        format!("schema_name \"{schema}\" is not read: data sources of type {kind} have no such setting.")
    })
}

/// What there is, in a sentence.
fn there_are(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    format!(" There are: {}.", listed(names))
}

/// Some names, of many the first.
pub(super) fn listed(names: &[String]) -> String {
    let more = if names.len() > MOST_NAMES { " and more" } else { "" };
    let clean =
        |name: &String| -> String { name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect() };
    let names: Vec<String> = names.iter().take(MOST_NAMES).map(clean).collect();
    format!("{}{more}", names.join(", "))
}

impl Catalog {
    /// Says more of a test, to whom no policy hides names: which names there are where one was not found; where the source answers, that
    /// nothing was found, or that its `schema_name` is nothing to its driver.
    pub(crate) async fn say_more(&self, source: &DataSource, report: &mut TestReport) -> Result<(), Fault> {
        match &mut report.outcome {
            Err(SourceError { message, names, .. }) => {
                message.push_str(&there_are(names));
                return Ok(());
            }
            Ok(_) if source.schema_discovered_at.is_some() => {
                let known = self.kernel.store.read().await?.data_schemas().of(source.id, None).await?;
                if is_nothing(&known) {
                    report.warnings.push(nothing_found(source, None, &[]));
                }
            }
            Ok(_) => {}
        }
        report.warnings.extend(unread_schema(source));
        Ok(())
    }

    /// What is said of a discovery that found nothing. A source that was asked just now is asked what else there is, too.
    pub(crate) async fn said_of_nothing(
        &self,
        source: &DataSource,
        schema: Option<&str>,
        asks_again: bool,
    ) -> String {
        let places = async {
            let open = self.opened(source).await.ok()?;
            open.places().await.ok()
        };
        let there = if asks_again { timeout(LOOKING, places).await.ok().flatten() } else { None };
        nothing_found(source, schema, &there.unwrap_or_default())
    }
}

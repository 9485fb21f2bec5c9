//! PostgreSQL and what speaks its protocol.

use std::sync::Arc;
use std::time::Duration;

use arrow_schema::{Schema, SchemaRef};
use tokio::time::Instant;
use tokio_postgres::Client;

use crate::discovered::Discovered;
use crate::error::{SourceError, within};
use crate::filter::Filter;
use crate::gate;
use crate::network::NetworkPolicy;
use crate::network::dial::Dialer;
use crate::plans::Plans;
use crate::pool::{Place, Pool};
use crate::rows::Unfit;
use crate::settings::Settings;
use crate::source::{BatchStream, Connections, Relation, Scan, Source, Tested};

mod connect;
mod decode;
mod discover;
mod framed;
mod plan;
mod scan;

use connect::Connector;
use plan::Plan;

/// A database reached by PostgreSQL's protocol.
pub(crate) struct Postgres {
    connector: Arc<Connector>,
    pool: Pool<Client>,
    plans: Plans<Plan>,
    unfit: Unfit,
    query_timeout: Duration,
    connection_timeout: Duration,
    only_schema: Option<String>,
}

impl Postgres {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let unfit = Unfit::of(settings)?;
        let dialer = Dialer::open(settings, policy).await?;
        Ok(Self {
            connector: Arc::new(Connector::new(settings, dialer).await?),
            pool: Pool::new(settings.pool_size),
            plans: Plans::default(),
            unfit,
            query_timeout: settings.query_timeout,
            connection_timeout: settings.connection_timeout,
            only_schema: settings.schema_name.clone().filter(|name| !name.is_empty()),
        })
    }

    /// A connection of the pool, and the place it goes back to.
    async fn client(&self) -> Result<(Place<Client>, Client), SourceError> {
        let (place, idle) = self.pool.take(self.connection_timeout, |client| !client.is_closed()).await?;
        let client = match idle {
            Some(client) => client,
            None => self.connector.connect(self.connection_timeout).await?,
        };
        Ok((place, client))
    }

    async fn plan(&self, client: &Client, relation: &Relation) -> Result<Arc<Plan>, SourceError> {
        if let Some(plan) = self.plans.get(relation) {
            return Ok(plan);
        }
        let plan = Plan::look_up(&self.connector, client, relation, self.unfit).await?;
        Ok(self.plans.keep(relation, plan))
    }

    async fn run_test(
        &self,
        query: &str,
        limit: Duration,
    ) -> Result<(Option<String>, Option<String>), SourceError> {
        // A test's query may be slow, and its time is shorter than that of others.
        let client = self.connector.connect_for(limit, limit.min(self.query_timeout)).await?;
        let failed = |error: tokio_postgres::Error| self.connector.error(&error);
        let version: String =
            client.query_one("SELECT version()", &[]).await.map_err(failed)?.try_get(0).map_err(failed)?;
        let result = scan::first_value(&self.connector, &client, query).await?;
        Ok((Some(product(&version)), result))
    }
}

/// `PostgreSQL 15.4` out of what `version()` says.
fn product(version: &str) -> String {
    if let Some(at) = version.find("Redshift ") {
        return version.get(at..).unwrap_or_default().chars().take(60).collect();
    }
    let words = version.split_whitespace();
    let mut short = String::new();
    for word in words.take(6) {
        let number = word.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit());
        short.push_str(if short.is_empty() { "" } else { " " });
        short.push_str(word.trim_end_matches(','));
        if number {
            break;
        }
    }
    gate::bounded(&short)
}

#[async_trait::async_trait]
impl Source for Postgres {
    async fn test(&self, query: Option<&str>, timeout: Duration) -> Result<Tested, SourceError> {
        let query = gate::read_only(query.unwrap_or("SELECT 1"))?;
        let began = Instant::now();
        let (version, result) = within(timeout, "The test", self.run_test(query, timeout)).await?;
        Ok(Tested {
            version,
            result,
            tunnel: self.connector.dialer.tunnel().is_some(),
            elapsed: began.elapsed(),
        })
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Discovered, SourceError> {
        let schema = schema.or(self.only_schema.as_deref());
        let (place, client) = self.client().await?;
        let found =
            within(self.query_timeout, "Discovery", discover::discover(&self.connector, &client, schema))
                .await?;
        place.put(client);
        Ok(found)
    }

    async fn schema(&self, relation: &Relation) -> Result<SchemaRef, SourceError> {
        let (place, client) = self.client().await?;
        let plan = within(self.query_timeout, "Reading the columns", self.plan(&client, relation)).await?;
        place.put(client);
        Ok(SchemaRef::clone(&plan.schema))
    }

    fn evaluates(&self, schema: &Schema, filter: &Filter) -> bool {
        let plan = self.plans.find(|plan| *plan.schema == *schema);
        plan.is_some_and(|plan| plan.evaluates(filter))
    }

    async fn scan(&self, scan: Scan) -> Result<BatchStream, SourceError> {
        let (place, client) = self.client().await?;
        let plan =
            within(self.query_timeout, "Reading the columns", self.plan(&client, &scan.relation)).await?;
        let started = scan::start(scan::Start {
            connector: Arc::clone(&self.connector),
            plan,
            unfit: self.unfit,
            limit: self.query_timeout,
            place,
            client,
            scan: &scan,
        })
        .await;
        if started.is_err() {
            // The relation may have changed since.
            self.plans.forget(&scan.relation);
        }
        started
    }

    async fn close(&self) {
        self.pool.close();
        if let Some(tunnel) = self.connector.dialer.tunnel() {
            tunnel.close().await;
        }
    }

    fn connections(&self) -> Connections {
        self.pool.connections()
    }

    fn host_key(&self) -> Option<String> {
        self.connector.dialer.tunnel().map(|tunnel| tunnel.host_key().to_owned())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn versions_are_short() {
        let short = super::product;
        assert_eq!(short("PostgreSQL 15.4 (Debian 15.4-1) on x86_64, compiled by gcc"), "PostgreSQL 15.4");
        assert_eq!(short("CockroachDB CCL v23.1.11 (x86_64, built 2023)"), "CockroachDB CCL v23.1.11");
        assert_eq!(short("PostgreSQL 8.0.2 on i686, compiled, Redshift 1.0.62312"), "Redshift 1.0.62312");
    }
}

//! PostgreSQL and what speaks its protocol.

use std::time::Duration;

use arrow_schema::SchemaRef;
use tokio_postgres::Client;

use crate::discovered::{Discovered, Finds};
use crate::error::SourceError;
use crate::filter::Filter;
use crate::gate;
use crate::network::NetworkPolicy;
use crate::rows::Unfit;
use crate::settings::Settings;
use crate::source::{Order, Relation};
use crate::wire::Endpoint;
use crate::wire::server::{Driver, Out, Work};

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
    connector: Connector,
    unfit: Unfit,
    only_schema: Option<String>,
}

/// A connection that is signed in.
pub(crate) struct Conn {
    client: Client,
    /// Whether the server may still be at work for it.
    is_busy: bool,
}

impl Postgres {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        Ok(Self {
            unfit: Unfit::of(settings)?,
            connector: Connector::new(settings, policy).await?,
            only_schema: settings.schema_name.clone().filter(|name| !name.is_empty()),
        })
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
impl Driver for Postgres {
    type Conn = Conn;
    type Plan = Plan;

    fn endpoint(&self) -> &Endpoint {
        &self.connector.endpoint
    }

    fn check(&self, query: Option<&str>) -> Result<(), SourceError> {
        query.map_or(Ok(()), |query| gate::read_only(query).map(|_| ()))
    }

    async fn connect(&self, queries: Duration) -> Result<Conn, SourceError> {
        Ok(Conn { client: self.connector.connect(queries).await?, is_busy: false })
    }

    async fn is_alive(&self, conn: &mut Conn) -> bool {
        // What drives the connection has seen its end.
        !conn.client.is_closed()
    }

    async fn probe(
        &self,
        conn: &mut Conn,
        query: Option<&str>,
    ) -> Result<(Option<String>, Option<String>), SourceError> {
        let query = gate::read_only(query.unwrap_or("SELECT 1"))?;
        let failed = |error: tokio_postgres::Error| self.connector.error(&error);
        let version = conn.client.query_one("SELECT version()", &[]).await.map_err(failed)?;
        let version: String = version.try_get(0).map_err(failed)?;
        let result = scan::first_value(&self.connector, &conn.client, query).await?;
        Ok((Some(product(&version)), result))
    }

    fn named(&self) -> Option<(&'static str, &str)> {
        self.only_schema.as_deref().map(|name| ("schema", name))
    }

    async fn places(&self, conn: &mut Conn) -> Result<Vec<String>, SourceError> {
        discover::schemas(&self.connector, &conn.client, self.only_schema.as_deref()).await
    }

    async fn discover(&self, conn: &mut Conn, schema: Option<&str>) -> Result<Discovered, SourceError> {
        let mut found = Discovered::default();
        self.discover_into(conn, schema, &mut found).await?;
        Ok(found)
    }

    async fn discover_into(
        &self,
        conn: &mut Conn,
        schema: Option<&str>,
        finds: &mut dyn Finds,
    ) -> Result<(), SourceError> {
        let schema = schema.or(self.only_schema.as_deref());
        discover::discover(&self.connector, &conn.client, schema, finds).await
    }

    async fn plan(&self, conn: &mut Conn, relation: &Relation) -> Result<Plan, SourceError> {
        Plan::look_up(&self.connector, &conn.client, relation, self.unfit).await
    }

    fn schema<'p>(&self, plan: &'p Plan) -> &'p SchemaRef {
        &plan.schema
    }

    fn applies(&self, plan: &Plan, filters: &[Filter]) -> Vec<bool> {
        filters.iter().map(|filter| plan.evaluates(filter)).collect()
    }

    fn orders(&self, plan: &Plan, order: &[Order]) -> bool {
        plan.orders(order)
    }

    async fn read(&self, conn: &mut Conn, work: &Work<Plan>, out: &mut Out) -> Result<(), SourceError> {
        scan::read(&self.connector, conn, self.unfit, work, out).await
    }

    async fn abandon(&self, conn: Conn) {
        if conn.is_busy && !conn.client.is_closed() {
            self.connector.cancel(conn.client.cancel_token()).await;
        }
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

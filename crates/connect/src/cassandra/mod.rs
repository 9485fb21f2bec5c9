//! Cassandra: keyspaces are schemas. Conditions on the primary key are applied where CQL can apply them.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow_schema::SchemaRef;

use crate::discovered::{Column, Discovered, Schema, Table, TableKind};
use crate::error::{SourceError, quoted};
use crate::filter::Filter;
use crate::gate;
use crate::network::NetworkPolicy;
use crate::network::tls::{Tls, TlsMode};
use crate::rows::Unfit;
use crate::settings::Settings;
use crate::source::Relation;
use crate::wire::server::{Driver, MOST_PLACES, Out, Work};
use crate::wire::{Bytes, Endpoint, not_signed_in};

mod plan;
mod types;
mod wire;

use plan::{Found, Plan};
use types::Type;
use wire::Wire;

/// Rows in one answer.
const PAGE: i32 = 2_000;

/// A cluster, reached by one of its nodes.
pub(crate) struct Cassandra {
    endpoint: Endpoint,
    tls: Option<Tls>,
    keyspace: Option<String>,
    unfit: Unfit,
}

impl Cassandra {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let endpoint = Endpoint::open(settings, policy).await?;
        Ok(Self {
            tls: Tls::from_the_start(settings, &endpoint.host, TlsMode::Disable)?,
            keyspace: settings.schema_name.clone().or_else(|| endpoint.database.clone()),
            unfit: Unfit::of(settings)?,
            endpoint,
        })
    }

    fn keyspace<'a>(&'a self, given: Option<&'a str>) -> Result<&'a str, SourceError> {
        given.or(self.keyspace.as_deref()).ok_or_else(|| SourceError::connection("schema_name is missing."))
    }

    /// All rows of a query of the system's tables, as texts.
    async fn texts(
        &self,
        wire: &mut Wire,
        query: &str,
        values: &[Vec<u8>],
    ) -> Result<Vec<Vec<String>>, SourceError> {
        let mut all = Vec::new();
        let mut page: Option<Vec<u8>> = None;
        loop {
            let at = (PAGE, page.as_deref());
            let rows = wire.query(query, values, at, &self.endpoint.credentials).await?;
            for row in rows.rows() {
                let texts =
                    row?.into_iter().zip(&rows.columns).map(|(value, (_, kind))| match (kind, value) {
                        (Type::Int, Some(bytes)) => Bytes(bytes).i32_be().unwrap_or_default().to_string(),
                        (_, bytes) => String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned(),
                    });
                all.push(texts.collect());
            }
            page = rows.next;
            if page.is_none() {
                return Ok(all);
            }
        }
    }

    /// Columns of a keyspace, or of one of its tables.
    async fn columns(
        &self,
        wire: &mut Wire,
        keyspace: &str,
        table: Option<&str>,
    ) -> Result<Vec<Found>, SourceError> {
        let mut query = "SELECT table_name, column_name, kind, position, type FROM system_schema.columns WHERE keyspace_name = ?".to_owned();
        let mut values = vec![keyspace.as_bytes().to_vec()];
        if let Some(table) = table {
            query.push_str(" AND table_name = ?");
            values.push(table.as_bytes().to_vec());
        }
        let rows = self.texts(wire, &query, &values).await?;
        let found = rows.into_iter().filter_map(|row| {
            let [table, name, kind, position, type_name] = <[String; 5]>::try_from(row).ok()?;
            Some(Found { table, name, kind, position: position.parse().ok()?, type_name })
        });
        let mut found: Vec<Found> = found.collect();
        found.sort_by(|a, b| (a.rank(), a.position, &a.name).cmp(&(b.rank(), b.position, &b.name)));
        Ok(found)
    }

    async fn sign_in(&self, wire: &mut Wire) -> Result<(), SourceError> {
        let user = self.endpoint.username.as_deref();
        let password = self.endpoint.credentials.password.as_ref().map(|secret| secret.expose());
        let (Some(user), Some(password)) = (user, password) else { return Err(not_signed_in()) };
        let token = zeroize::Zeroizing::new(format!("\0{user}\0{password}").into_bytes());
        let mut body = zeroize::Zeroizing::new(Vec::new());
        body.extend(u32::try_from(token.len()).map_err(|_| wire::garbled())?.to_be_bytes());
        body.extend(token.iter());
        match wire.ask(wire::AUTH_RESPONSE, &body).await? {
            (wire::AUTH_SUCCESS, _) => Ok(()),
            (wire::AUTH_CHALLENGE, _) => Err(not_signed_in()),
            (wire::ERROR, body) => Err(wire::error(&body, &self.endpoint.credentials)),
            _ => Err(wire::garbled()),
        }
    }
}

#[async_trait::async_trait]
impl Driver for Cassandra {
    type Conn = Wire;
    type Plan = Plan;

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn connect(&self, _: Duration) -> Result<Wire, SourceError> {
        let endpoint = &self.endpoint;
        let mut wire = Wire(endpoint.stream(&endpoint.host, endpoint.port, self.tls.as_ref()).await?);
        let mut body = vec![0, 1];
        for text in ["CQL_VERSION", "3.0.0"] {
            body.extend(u16::try_from(text.len()).unwrap_or_default().to_be_bytes());
            body.extend(text.bytes());
        }
        match wire.ask(wire::STARTUP, &body).await? {
            (wire::READY, _) => {}
            (wire::AUTHENTICATE, _) => self.sign_in(&mut wire).await?,
            (wire::ERROR, body) => return Err(wire::error(&body, &endpoint.credentials)),
            _ => return Err(wire::garbled()),
        }
        Ok(wire)
    }

    async fn is_alive(&self, wire: &mut Wire) -> bool {
        matches!(wire.ask(wire::OPTIONS, &[]).await, Ok((wire::SUPPORTED, _)))
    }

    async fn probe(
        &self,
        wire: &mut Wire,
        query: Option<&str>,
    ) -> Result<(Option<String>, Option<String>), SourceError> {
        let own = "SELECT release_version FROM system.local";
        let query = gate::read_only(query.unwrap_or(own))?;
        if !query.get(..6).is_some_and(|word| word.eq_ignore_ascii_case("select")) {
            return Err(SourceError::query("A test query of Cassandra starts with SELECT."));
        }
        let about = self.texts(wire, own, &[]).await?;
        let version = about.first().and_then(|row| row.first()).map(|version| format!("Cassandra {version}"));
        let rows = wire.query(query, &[], (1, None), &self.endpoint.credentials).await?;
        let first = rows.rows().next().transpose()?;
        let shown = first.and_then(|row| row.first().copied().flatten()).zip(rows.columns.first());
        let result = shown.and_then(|(value, (_, kind))| match (kind, value) {
            (Type::Text | Type::Ascii, value) => Some(String::from_utf8_lossy(value).into_owned()),
            _ => {
                let mut text = String::new();
                types::json(&mut text, kind, value, 0)?;
                Some(text.trim_matches('"').to_owned())
            }
        });
        Ok((version, result))
    }

    fn named(&self) -> Option<(&'static str, &str)> {
        self.keyspace.as_deref().map(|name| ("keyspace", name))
    }

    async fn places(&self, wire: &mut Wire) -> Result<Vec<String>, SourceError> {
        let rows = self.texts(wire, "SELECT keyspace_name FROM system_schema.keyspaces", &[]).await?;
        let mut names: Vec<String> = rows.into_iter().flatten().collect();
        names.sort_by_key(|name| self.keyspace.as_ref() != Some(name));
        names.truncate(MOST_PLACES);
        Ok(names)
    }

    async fn discover(&self, wire: &mut Wire, schema: Option<&str>) -> Result<Discovered, SourceError> {
        let keyspace = self.keyspace(schema)?;
        let values = [keyspace.as_bytes().to_vec()];
        let mut tables: BTreeMap<String, Table> = BTreeMap::new();
        let queries = [
            (
                "SELECT table_name, comment FROM system_schema.tables WHERE keyspace_name = ?",
                TableKind::BaseTable,
            ),
            ("SELECT view_name, comment FROM system_schema.views WHERE keyspace_name = ?", TableKind::View),
        ];
        for (query, kind) in queries {
            for mut row in self.texts(wire, query, &values).await? {
                let comment = row.pop().filter(|comment| !comment.is_empty());
                let Some(name) = row.pop() else { continue };
                let table = Table { name: name.clone(), kind, row_count: None, comment, columns: Vec::new() };
                tables.insert(name, table);
            }
        }
        for found in self.columns(wire, keyspace, None).await? {
            let Some(columns) = tables.get_mut(&found.table).map(|table| &mut table.columns) else {
                continue;
            };
            let mut column = Column::plain(&found.name, &found.type_name, columns.len() + 1);
            column.primary_key = found.rank() < 2;
            column.nullable = found.rank() > 0;
            columns.push(column);
        }
        let tables: Vec<Table> = tables.into_values().filter(|table| !table.columns.is_empty()).collect();
        if tables.is_empty() {
            return Ok(Discovered::default());
        }
        Ok(Discovered { schemas: vec![Schema { name: keyspace.to_owned(), tables }] })
    }

    async fn plan(&self, wire: &mut Wire, relation: &Relation) -> Result<Plan, SourceError> {
        let keyspace = self.keyspace(relation.schema.as_deref())?;
        let found = self.columns(wire, keyspace, Some(&relation.table)).await?;
        if found.is_empty() {
            return Err(SourceError::no_relation(&relation.table));
        }
        Ok(Plan::of(found))
    }

    fn schema<'p>(&self, plan: &'p Plan) -> &'p SchemaRef {
        &plan.schema
    }

    fn applies(&self, plan: &Plan, filters: &[Filter]) -> Vec<bool> {
        plan.conditions(filters).applied
    }

    async fn read(&self, wire: &mut Wire, work: &Work<Plan>, out: &mut Out) -> Result<(), SourceError> {
        if work.limit == Some(0) {
            return Ok(());
        }
        let keyspace = self.keyspace(work.relation.schema.as_deref())?;
        let (query, values) = work.plan.query(keyspace, work);
        let mut left = work.limit.unwrap_or(usize::MAX);
        let mut page: Option<Vec<u8>> = None;
        loop {
            let at = (PAGE, page.as_deref());
            let rows = wire.query(&query, &values, at, &self.endpoint.credentials).await?;
            if rows.columns.len() != work.schema.fields().len().max(1) {
                return Err(wire::garbled());
            }
            for row in rows.rows().take(left) {
                for (index, ((name, kind), value)) in rows.columns.iter().zip(row?).enumerate() {
                    let Some(field) = work.schema.fields().get(index) else { continue };
                    if kind.data_type() != *field.data_type() {
                        return Err(SourceError::changed(format!(
                            "The column {} has changed.",
                            quoted(name)
                        )));
                    }
                    types::cell(name, kind, value, self.unfit, |cell| out.append(index, cell))?;
                }
                left -= 1;
                out.end_row().await?;
            }
            page = rows.next;
            if page.is_none() || left == 0 {
                return Ok(());
            }
        }
    }

    async fn abandon(&self, wire: Wire) {
        // The protocol has no word for it; a closed connection ends the reading of pages.
        drop(wire);
    }
}

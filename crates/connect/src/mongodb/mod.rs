//! MongoDB: databases are schemas, collections relations. Columns are learned from a sample; what a document has besides is in a column of
//! its own, so that nothing is lost.

use std::time::Duration;

use arrow_schema::SchemaRef;
use bson::raw::{RawBsonRef, RawDocument, RawDocumentBuf};
use bson::{Bson, Document, doc};

use crate::discovered::{Column, Discovered, Schema, Table, TableKind};
use crate::error::{ErrorCode, SourceError};
use crate::filter::Filter;
use crate::network::NetworkPolicy;
use crate::network::tls::{Tls, TlsMode};
use crate::rows::{Cell, Unfit};
use crate::settings::Settings;
use crate::source::Relation;
use crate::wire::Endpoint;
use crate::wire::scram::{Hash, Scram};
use crate::wire::server::{Driver, Out, Work};

mod columns;
mod filter;
mod wire;

use columns::{OTHER, Plan, Sample};
use wire::Wire;

/// Documents in one answer.
const BATCH: i32 = 1_000;
/// Collections that discovery looks into; of others it tells the name.
const LOOKED_INTO: usize = 200;
/// Collections listed at most.
const MOST: usize = 10_000;

/// A server.
pub(crate) struct Mongodb {
    endpoint: Endpoint,
    tls: Option<Tls>,
    database: String,
    auth_source: String,
    sample: i32,
    unfit: Unfit,
}

/// A connection that is signed in, and the cursor it reads.
pub(crate) struct Conn {
    wire: Wire,
    cursor: Option<(String, String, i64)>,
}

impl Mongodb {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let text = settings.connection_string.as_ref().map(|text| text.as_str().trim_start());
        if text.is_some_and(|text| text.starts_with("mongodb+srv:")) {
            return Err(SourceError::connection(
                "mongodb+srv:// is not looked up; name one server with mongodb://host:port/database?tls=true.",
            ));
        }
        let endpoint = Endpoint::open(settings, policy).await?;
        let option = |name: &str| endpoint.options.get(name).map(String::as_str);
        // Either of the two names; one that is switched on is asked for, whatever the other says.
        let names = (endpoint.switch("tls")?, endpoint.switch("ssl")?);
        let secure = names.0 == Some(true) || names.1 == Some(true);
        let default = if secure { TlsMode::VerifyFull } else { TlsMode::Disable };
        let tls = Tls::from_the_start(settings, &endpoint.host, default)?;
        let auth_source = settings.option("auth_source")?.or_else(|| option("authsource")).unwrap_or("admin");
        let sample = match settings.metadata.get("sample_size") {
            None => 1_000,
            Some(value) => value.as_u64().filter(|count| (1..=100_000).contains(count)).ok_or_else(|| {
                SourceError::connection("metadata.sample_size must be a whole number from 1 to 100000.")
            })?,
        };
        let database = endpoint.database.clone();
        Ok(Self {
            tls,
            database: database.ok_or_else(|| SourceError::connection("database_name is missing."))?,
            auth_source: auth_source.to_owned(),
            sample: i32::try_from(sample).unwrap_or(1_000),
            unfit: Unfit::of(settings)?,
            endpoint,
        })
    }

    async fn sign_in(&self, wire: &mut Wire) -> Result<(), SourceError> {
        let credentials = &self.endpoint.credentials;
        if let Some(token) = &credentials.oauth_token {
            let payload = doc! { "jwt": token.expose() }.to_vec().map_err(|_| wire::garbled())?;
            let start = doc! { "saslStart": 1, "mechanism": "MONGODB-OIDC", "payload": wire::binary(&payload), "$db": "$external" };
            return wire.call(&start, credentials).await.map(|_| ());
        }
        let (Some(user), Some(password)) = (&self.endpoint.username, &credentials.password) else {
            return Ok(());
        };
        let prepared = stringprep::saslprep(password.expose()).map_err(|_| {
            SourceError::new(ErrorCode::Authentication, "The password has characters that none may have.")
        })?;
        let mut scram = Scram::new(Hash::Sha256, user, &prepared)?;
        let start = doc! {
            "saslStart": 1, "mechanism": "SCRAM-SHA-256", "payload": wire::binary(scram.first().as_bytes()),
            "options": { "skipEmptyExchange": true }, "$db": &self.auth_source,
        };
        let answer = wire.call(&start, credentials).await?;
        let conversation = wire::number(&answer, "conversationId").ok_or_else(wire::garbled)?;
        let conversation = i32::try_from(conversation).map_err(|_| wire::garbled())?;
        let last = scram.last(payload(&answer)?)?;
        let go_on = |payload: &[u8]| {
            doc! { "saslContinue": 1, "conversationId": conversation, "payload": wire::binary(payload), "$db": &self.auth_source }
        };
        let mut answer = wire.call(&go_on(last.as_bytes()), credentials).await?;
        scram.verify(payload(&answer)?)?;
        // Servers that do not skip the empty exchange want it.
        for _ in 0..2 {
            if answer.get_bool("done").unwrap_or(false) {
                return Ok(());
            }
            answer = wire.call(&go_on(b""), credentials).await?;
        }
        if answer.get_bool("done").unwrap_or(false) { Ok(()) } else { Err(wire::garbled()) }
    }

    /// A command of a database, as it is sent.
    fn command(&self, mut command: Document, database: &str) -> Document {
        command.insert("$db", database);
        // A member of a set that is no primary answers only if it may.
        command.insert("$readPreference", doc! { "mode": "primaryPreferred" });
        command
    }

    fn millis(&self) -> i64 {
        i64::try_from(self.endpoint.query_timeout.as_millis()).unwrap_or(i64::MAX).max(1)
    }

    fn database<'a>(&'a self, relation: &'a Relation) -> &'a str {
        relation.schema.as_deref().unwrap_or(&self.database)
    }

    /// The first documents of a collection as columns.
    async fn sampled(
        &self,
        conn: &mut Conn,
        database: &str,
        collection: &str,
    ) -> Result<Sample, SourceError> {
        let find = doc! { "find": collection, "limit": self.sample, "batchSize": self.sample.min(BATCH), "maxTimeMS": self.millis() };
        let mut sample = Sample::default();
        self.documents(conn, find, database, |document| sample.add(document)).await?;
        Ok(sample)
    }

    /// Starts a command whose answer is a cursor.
    async fn first(&self, conn: &mut Conn, command: Document, database: &str) -> Result<Batch, SourceError> {
        let answer = conn.wire.call(&self.command(command, database), &self.endpoint.credentials).await?;
        Self::batch(conn, answer, "firstBatch", database)
    }

    /// The documents that follow; none at the end.
    async fn next(
        &self,
        conn: &mut Conn,
        batch: &Batch,
        database: &str,
    ) -> Result<Option<Batch>, SourceError> {
        if batch.cursor == 0 {
            return Ok(None);
        }
        let more = doc! { "getMore": batch.cursor, "collection": &batch.collection, "batchSize": BATCH };
        let answer = conn.wire.call(&self.command(more, database), &self.endpoint.credentials).await?;
        Self::batch(conn, answer, "nextBatch", database).map(Some)
    }

    fn batch(
        conn: &mut Conn,
        answer: RawDocumentBuf,
        key: &'static str,
        database: &str,
    ) -> Result<Batch, SourceError> {
        let (cursor, collection) = cursor(&answer)?;
        conn.cursor = (cursor != 0).then(|| (database.to_owned(), collection.clone(), cursor));
        Ok(Batch { answer, key, cursor, collection })
    }

    /// Gives every document of a cursor to a function.
    async fn documents(
        &self,
        conn: &mut Conn,
        command: Document,
        database: &str,
        mut each: impl FnMut(&RawDocument) -> Result<(), SourceError> + Send,
    ) -> Result<(), SourceError> {
        let mut batch = Some(self.first(conn, command, database).await?);
        while let Some(documents) = batch {
            for document in documents.documents()? {
                each(document?)?;
            }
            batch = self.next(conn, &documents, database).await?;
        }
        Ok(())
    }

    /// The command that reads what is wanted.
    fn find(&self, work: &Work<Plan>) -> Document {
        let mut find = doc! { "find": &work.relation.table, "batchSize": BATCH, "maxTimeMS": self.millis() };
        let conditions: Vec<Bson> =
            work.filters.iter().filter_map(|filter| filter::expression(&work.plan, filter)).collect();
        if !conditions.is_empty() {
            find.insert("filter", doc! { "$expr": { "$and": conditions } });
            // Whatever the collection's own collation says, equal is equal.
            find.insert("collation", doc! { "locale": "simple" });
        }
        let names = || work.schema.fields().iter().map(|field| field.name().as_str());
        if names().all(|name| name != OTHER && filter::is_plain(name)) {
            let mut projection = doc! { "_id": i32::from(names().any(|name| name == "_id")) };
            projection
                .extend(names().filter(|name| *name != "_id").map(|name| (name.to_owned(), Bson::Int32(1))));
            find.insert("projection", projection);
        }
        if let Some(limit) = work.limit.and_then(|limit| i64::try_from(limit).ok()) {
            find.insert("limit", limit);
        }
        find
    }
}

/// Documents that came at once.
struct Batch {
    answer: RawDocumentBuf,
    key: &'static str,
    cursor: i64,
    collection: String,
}

impl Batch {
    fn documents(&self) -> Result<impl Iterator<Item = Result<&RawDocument, SourceError>>, SourceError> {
        let cursor = self.answer.get_document("cursor").map_err(|_| wire::garbled())?;
        let documents = cursor.get_array(self.key).map_err(|_| wire::garbled())?;
        Ok(documents.into_iter().map(|document| match document {
            Ok(RawBsonRef::Document(document)) => Ok(document),
            _ => Err(wire::garbled()),
        }))
    }
}

fn payload(answer: &RawDocument) -> Result<&[u8], SourceError> {
    answer.get_binary("payload").map(|binary| binary.bytes).map_err(|_| wire::garbled())
}

/// Number and collection of the cursor of an answer.
fn cursor(answer: &RawDocumentBuf) -> Result<(i64, String), SourceError> {
    let cursor = answer.get_document("cursor").map_err(|_| wire::garbled())?;
    let id = wire::number(cursor, "id").ok_or_else(wire::garbled)?;
    let name =
        cursor.get_str("ns").ok().and_then(|name| name.split_once('.')).map(|(_, name)| name.to_owned());
    Ok((id, name.ok_or_else(wire::garbled)?))
}

/// A document as a row.
fn append(work: &Work<Plan>, document: &RawDocument, out: &mut Out) -> Result<(), SourceError> {
    let fields = work.schema.fields();
    let mut values: Vec<Option<RawBsonRef<'_>>> = vec![None; fields.len()];
    let mut others = String::new();
    let wants_others = fields.iter().any(|field| field.name() == OTHER);
    for element in document.iter() {
        let (name, value) = element.map_err(|_| wire::garbled())?;
        let known = work.plan.kinds.contains_key(name.as_str());
        let mut taken = false;
        for (field, slot) in fields.iter().zip(&mut values) {
            if known && field.name() == name.as_str() && slot.is_none() {
                *slot = Some(value);
                taken = true;
            }
        }
        if wants_others && !taken && !known {
            others.push(if others.is_empty() { '{' } else { ',' });
            crate::wire::json::string(&mut others, name.as_str());
            others.push(':');
            columns::json(&mut others, value, 0)?;
        }
    }
    for (index, (field, value)) in fields.iter().zip(values).enumerate() {
        match value {
            Some(value) => work.plan.cell(field.name(), value, |cell| out.append(index, cell))?,
            None if field.name() == OTHER && !others.is_empty() => {
                out.append(index, Cell::Text(&format!("{others}}}")))?;
            }
            None => out.append(index, Cell::Null)?,
        }
    }
    Ok(())
}

#[async_trait::async_trait]
impl Driver for Mongodb {
    type Conn = Conn;
    type Plan = Plan;

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    async fn connect(&self, _: Duration) -> Result<Conn, SourceError> {
        let endpoint = &self.endpoint;
        let mut wire = Wire::new(endpoint.stream(&endpoint.host, endpoint.port, self.tls.as_ref()).await?);
        let client = doc! { "driver": { "name": "tidegate", "version": env!("CARGO_PKG_VERSION") }, "os": { "type": "unknown" } };
        let answer = wire.ask(&doc! { "hello": 1, "client": client.clone(), "$db": "admin" }).await?;
        // Servers before 4.4 have another name for it.
        if wire::failure(&answer).is_some_and(|(code, _)| code == 59) {
            wire.call(&doc! { "isMaster": 1, "client": client, "$db": "admin" }, &endpoint.credentials)
                .await?;
        } else if let Some((code, text)) = wire::failure(&answer) {
            return Err(wire::explained(code, &text, &endpoint.credentials));
        }
        self.sign_in(&mut wire).await?;
        Ok(Conn { wire, cursor: None })
    }

    async fn is_alive(&self, conn: &mut Conn) -> bool {
        let ping = doc! { "ping": 1, "$db": &self.database };
        conn.wire.call(&ping, &self.endpoint.credentials).await.is_ok()
    }

    async fn probe(
        &self,
        conn: &mut Conn,
        query: Option<&str>,
    ) -> Result<(Option<String>, Option<String>), SourceError> {
        if query.is_some_and(|query| !query.eq_ignore_ascii_case("ping")) {
            return Err(SourceError::query("The only test query of MongoDB is ping."));
        }
        let credentials = &self.endpoint.credentials;
        conn.wire.call(&doc! { "ping": 1, "$db": &self.database }, credentials).await?;
        // Being signed in is not all: somebody without a user name may ping.
        let list = doc! { "listCollections": 1, "nameOnly": true, "authorizedCollections": true, "$db": &self.database };
        conn.wire.call(&list, credentials).await?;
        let about = conn.wire.call(&doc! { "buildInfo": 1, "$db": "admin" }, credentials).await?;
        let version = about.get_str("version").ok().map(|version| format!("MongoDB {version}"));
        Ok((version, Some("ok".to_owned())))
    }

    async fn discover(&self, conn: &mut Conn, schema: Option<&str>) -> Result<Discovered, SourceError> {
        let database = schema.unwrap_or(&self.database);
        let mut found: Vec<(String, bool)> = Vec::new();
        let list = doc! { "listCollections": 1, "authorizedCollections": true, "nameOnly": true };
        self.documents(conn, list, database, |document| {
            let name = document.get_str("name").map_err(|_| wire::garbled())?;
            if !name.starts_with("system.") && found.len() < MOST {
                found.push((name.to_owned(), document.get_str("type").is_ok_and(|kind| kind == "view")));
            }
            Ok(())
        })
        .await?;
        found.sort();
        let mut tables = Vec::new();
        for (at, (name, view)) in found.into_iter().enumerate() {
            let kind = if view { TableKind::View } else { TableKind::Collection };
            let mut table = Table { name, kind, row_count: None, comment: None, columns: Vec::new() };
            if at < LOOKED_INTO {
                let sample = self.sampled(conn, database, &table.name).await?;
                let fields = sample.fields.iter().map(|(name, kind)| (name.as_str(), kind.name()));
                let fields = fields.chain([(OTHER, "mixed")]).enumerate();
                table.columns = fields.map(|(at, (name, kind))| Column::plain(name, kind, at + 1)).collect();
                for column in &mut table.columns {
                    column.primary_key = column.name == "_id";
                    column.nullable = column.name != "_id";
                }
                if !view {
                    let count = self.command(doc! { "count": &table.name }, database);
                    let answer = conn.wire.ask(&count).await?;
                    table.row_count = wire::number(&answer, "n");
                }
            }
            tables.push(table);
        }
        if tables.is_empty() {
            return Ok(Discovered::default());
        }
        Ok(Discovered { schemas: vec![Schema { name: database.to_owned(), tables }] })
    }

    async fn plan(&self, conn: &mut Conn, relation: &Relation) -> Result<Plan, SourceError> {
        let database = self.database(relation);
        Ok(self.sampled(conn, database, &relation.table).await?.plan(self.unfit))
    }

    fn schema<'p>(&self, plan: &'p Plan) -> &'p SchemaRef {
        &plan.schema
    }

    fn applies(&self, plan: &Plan, filters: &[Filter]) -> Vec<bool> {
        filters.iter().map(|filter| filter::expression(plan, filter).is_some()).collect()
    }

    async fn read(&self, conn: &mut Conn, work: &Work<Plan>, out: &mut Out) -> Result<(), SourceError> {
        // No rows at all is not what a limit of zero means to the server.
        if work.limit == Some(0) {
            return Ok(());
        }
        let database = self.database(&work.relation);
        let mut batch = Some(self.first(conn, self.find(work), database).await?);
        while let Some(documents) = batch {
            for document in documents.documents()? {
                append(work, document?, out)?;
                out.end_row().await?;
            }
            batch = self.next(conn, &documents, database).await?;
        }
        Ok(())
    }

    async fn abandon(&self, conn: Conn) {
        let Conn { wire, cursor } = conn;
        // Whatever is being computed for a connection ends with it.
        drop(wire);
        let Some((database, collection, id)) = cursor else { return };
        let kill = self.command(doc! { "killCursors": collection, "cursors": [id] }, &database);
        let killed =
            async { self.connect(Duration::ZERO).await?.wire.call(&kill, &self.endpoint.credentials).await };
        if let Err(error) = killed.await {
            tracing::debug!(detail = error.detail, "a cursor of a data source could not be closed");
        }
    }
}

//! Elasticsearch and OpenSearch: indices are relations, documents rows. Pages go by the scroll API, which both have.

use serde_json::{Map, Value, json};
use url::Url;

use super::client::{self, Client, Request};
use super::{at_path, elements, json_body, text_at};
use crate::error::{ErrorCode, SourceError};
use crate::network::NetworkPolicy;
use crate::registry::TypeInfo;
use crate::settings::Settings;
use crate::snapshot::{Asked, Fetcher, Lines, Narrowed};

mod query;

use query::Fields;

/// Documents of a page.
const PAGE: usize = 1_000;

/// An Elasticsearch cluster.
pub(crate) struct Elasticsearch {
    client: Client,
    base: Url,
}

impl Elasticsearch {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let base = client::base(settings, TypeInfo::of(settings.kind).default_port.unwrap_or(9200))?;
        let mut credentials = settings.credentials.clone();
        let key = credentials.api_key.take();
        let mut headers = client::sign_in(&credentials, None)?;
        if let Some(key) = key {
            let mut value = hyper::header::HeaderValue::from_str(&format!("ApiKey {}", key.expose()))
                .map_err(|_| {
                    SourceError::new(
                        ErrorCode::Authentication,
                        "The API key has characters that HTTP does not allow.",
                    )
                })?;
            value.set_sensitive(true);
            headers.insert(hyper::header::AUTHORIZATION, value);
        }
        Ok(Self { client: Client::open(settings, policy, headers).await?, base })
    }

    async fn get(&self, parts: &[&str], query: &str) -> Result<String, SourceError> {
        let mut url = client::below(&self.base, parts)?;
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let answer = self.client.send(Request::get(url)).await?;
        Ok(json_body(&answer.body)?.to_owned())
    }
}

/// A name with a wildcard or a comma would be several indices.
fn is_index(table: &str) -> Result<(), SourceError> {
    if table.is_empty()
        || table.contains(['*', ',', '?', '<', '#', '/', '\\', ' '])
        || table.starts_with(['_', '-', '+'])
    {
        return Err(SourceError::query("The name is none of an index."));
    }
    Ok(())
}

impl Elasticsearch {
    /// Writes what a search finds, page by page.
    async fn read(
        &self,
        table: &str,
        mut ask: Value,
        wanted: usize,
        out: &mut Lines,
    ) -> Result<(), SourceError> {
        is_index(table)?;
        let mut url = client::below(&self.base, &[table, "_search"])?;
        url.set_query(Some("scroll=1m"));
        loop {
            let answer = self.client.send(Request::post(url, &ask)).await?;
            let body = json_body(&answer.body)?;
            let hits = elements(at_path(body, "hits.hits")?.ok_or_else(|| super::nothing_at("hits.hits"))?)?;
            for hit in &hits {
                out.write(&document(hit)?)?;
            }
            let Some(scroll) = text_at(body, "_scroll_id")? else { return Ok(()) };
            if hits.is_empty() || out.rows >= wanted {
                self.end(&scroll).await;
                return Ok(());
            }
            url = client::below(&self.base, &["_search", "scroll"])?;
            ask = json!({ "scroll": "1m", "scroll_id": scroll });
        }
    }

    /// The fields of an index; none where they are not told to whom may only read.
    async fn fields(&self, table: &str) -> Result<Option<Fields>, SourceError> {
        match self.get(&[table, "_mapping"], "").await {
            Ok(mapping) => Fields::of(&mapping),
            Err(error) if matches!(error.code, ErrorCode::Authentication | ErrorCode::Query) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Frees what the cluster keeps for a scroll; by itself it does so after a minute.
    async fn end(&self, scroll: &str) {
        let Ok(url) = client::below(&self.base, &["_search", "scroll"]) else { return };
        let mut request = Request::post(url, &json!({ "scroll_id": scroll }));
        request.method = hyper::Method::DELETE;
        if let Err(error) = self.client.send(request).await {
            tracing::debug!(detail = error.detail, "a scroll was not ended");
        }
    }
}

/// A document with its id before its members.
fn document(hit: &str) -> Result<String, SourceError> {
    let id = at_path(hit, "_id")?.unwrap_or("null");
    let source = at_path(hit, "_source")?.unwrap_or("{}").trim();
    let rest = source.strip_prefix('{').unwrap_or("}").trim_start();
    let comma = if rest.starts_with('}') { "" } else { ", " };
    Ok(format!("{{\"_id\": {id}{comma}{rest}"))
}

#[async_trait::async_trait]
impl Fetcher for Elasticsearch {
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
        if query.is_some() {
            return Err(SourceError::query("Elasticsearch is tested without a query."));
        }
        let body = self.get(&[], "").await?;
        let name = match text_at(&body, "version.distribution")? {
            Some(_) => "OpenSearch",
            None => "Elasticsearch",
        };
        let version = text_at(&body, "version.number")?.map(|number| format!("{name} {number}"));
        Ok((version, text_at(&body, "cluster_name")?))
    }

    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
        let body =
            self.get(&["_cat", "indices"], "format=json&h=index,docs.count&expand_wildcards=open").await?;
        let mut found = Vec::new();
        for index in elements(&body)? {
            let Some(name) = text_at(index, "index")?.filter(|name| !name.starts_with('.')) else { continue };
            // A name with a dot in it is one member here, no path.
            let members = super::tree(index.as_bytes())?;
            let count = members.get("docs.count").and_then(|count| count.as_str()?.parse().ok());
            found.push(("main".to_owned(), name, count));
        }
        found.sort();
        Ok(found)
    }

    async fn rows(&self, _: &str, table: &str, wanted: usize, out: &mut Lines) -> Result<(), SourceError> {
        self.read(table, json!({ "size": PAGE.min(wanted).max(1), "sort": ["_doc"] }), wanted, out).await
    }

    fn narrows(&self) -> bool {
        true
    }

    async fn narrowed(&self, asked: &Asked, out: &mut Lines) -> Result<Narrowed, SourceError> {
        is_index(&asked.table)?;
        let query = match asked.filters.is_empty() {
            true => None,
            false => self.fields(&asked.table).await?.and_then(|fields| query::query(asked, &fields)),
        };
        // All rows of an index that was read as a whole are better kept than read again for other columns.
        if asked.known.is_whole() && query.is_none() && asked.limit.is_none() {
            return Ok(Narrowed::No);
        }
        let members = query::members(asked);
        let narrowed = if members.is_some() { Narrowed::Rewritten } else { Narrowed::Yes };
        let wanted = asked.limit.unwrap_or(usize::MAX);
        let mut ask = Map::new();
        ask.insert("size".to_owned(), json!(PAGE.min(wanted).max(1)));
        ask.insert("sort".to_owned(), json!(["_doc"]));
        for (name, part) in [("query", query), ("_source", members)] {
            if let Some(part) = part {
                ask.insert(name.to_owned(), part);
            }
        }
        self.read(&asked.table, Value::Object(ask), wanted, out).await?;
        Ok(narrowed)
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

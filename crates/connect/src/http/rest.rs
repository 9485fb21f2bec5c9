//! REST APIs: one endpoint whose answers hold rows, page after page.

use hyper::Method;
use hyper::header::LINK;
use serde_json::{Map, Value};
use url::Url;

use super::client::{self, Request, Response};
use super::oauth::Api;
use super::shape::{deeper, json_of, rows_at};
use super::text_at;
use crate::error::{ErrorCode, SourceError, quoted};
use crate::gate;
use crate::network::NetworkPolicy;
use crate::settings::Settings;
use crate::snapshot::{Fetcher, Lines};

/// Pages of one relation at most.
const MOST_PAGES: usize = 10_000;

/// A REST API.
pub(crate) struct Rest {
    api: Api,
    url: Url,
    method: Method,
    body: Option<Value>,
    rows_path: String,
    paging: Paging,
    table: String,
}

/// How one page leads to the next.
#[derive(Clone, Debug, PartialEq)]
enum Paging {
    /// There is one.
    None,
    /// A parameter counts pages.
    Page { parameter: String, first: u64 },
    /// A parameter counts rows.
    Offset { parameter: String },
    /// The answer holds what the next request is to send.
    Cursor { parameter: String, path: String },
    /// The answer's `Link` header, or a URL at a path, names the next page.
    Link { path: Option<String> },
}

impl Paging {
    fn of(metadata: &Map<String, Value>) -> Result<Self, SourceError> {
        let text = |name: &str| metadata.get(name).and_then(Value::as_str).map(str::to_owned);
        let or = |name: &str, default: &str| text(name).unwrap_or_else(|| default.to_owned());
        match text("paging").as_deref() {
            None | Some("none") => Ok(Self::None),
            Some("page") => {
                let first = metadata.get("first_page").and_then(Value::as_u64).unwrap_or(1);
                Ok(Self::Page { parameter: or("page_parameter", "page"), first })
            }
            Some("offset") => Ok(Self::Offset { parameter: or("page_parameter", "offset") }),
            Some("cursor") => {
                let path = text("cursor_path").ok_or_else(|| {
                    SourceError::connection("metadata.cursor_path is missing for paging by cursor.")
                })?;
                Ok(Self::Cursor { parameter: or("page_parameter", "cursor"), path })
            }
            Some("link") => Ok(Self::Link { path: text("cursor_path") }),
            Some(other) => Err(SourceError::connection(format!(
                "metadata.paging is {}; it must be one of: none, page, offset, cursor, link.",
                quoted(other)
            ))),
        }
    }
}

impl Rest {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let text =
            settings.option("url")?.ok_or_else(|| SourceError::connection("metadata.url is missing."))?;
        let url = client::url(text)?;
        let method = match settings.choice("method", &["GET", "POST"])? {
            "POST" => Method::POST,
            _ => Method::GET,
        };
        let mut headers = hyper::HeaderMap::new();
        headers.insert(hyper::header::ACCEPT, hyper::header::HeaderValue::from_static("application/json"));
        let api = Api::open(settings, policy, &url, headers).await?;
        let last =
            url.path_segments().and_then(|mut parts| parts.rfind(|part| !part.is_empty())).unwrap_or("rows");
        let table = settings.option("table_name")?.unwrap_or(last).to_owned();
        Ok(Self {
            api,
            method,
            body: settings.metadata.get("body").cloned(),
            rows_path: settings.option("rows_path")?.unwrap_or_default().to_owned(),
            paging: Paging::of(&settings.metadata)?,
            table,
            url,
        })
    }

    async fn ask(&self, url: Url) -> Result<Response, SourceError> {
        let mut request = match &self.body {
            Some(body) => Request::post(url, body),
            None => Request::get(url),
        };
        request.method = self.method.clone();
        self.api.send(request).await
    }

    /// The URL of the page after one: `None` when there is none.
    fn next(
        &self,
        answer: &Response,
        body: &str,
        page: usize,
        rows: usize,
        total: usize,
    ) -> Result<Option<Url>, SourceError> {
        let with = |name: &str, value: &str| {
            let mut url = self.url.clone();
            let others: Vec<(String, String)> = url
                .query_pairs()
                .filter(|(key, _)| key != name)
                .map(|(key, value)| (key.into(), value.into()))
                .collect();
            url.query_pairs_mut().clear().extend_pairs(others).append_pair(name, value);
            url
        };
        let link = match &self.paging {
            Paging::None => return Ok(None),
            Paging::Page { parameter, first } => {
                return Ok((rows > 0).then(|| with(parameter, &(first + page as u64 + 1).to_string())));
            }
            Paging::Offset { parameter } => {
                return Ok((rows > 0).then(|| with(parameter, &total.to_string())));
            }
            Paging::Cursor { parameter, path } => {
                let cursor = text_at(body, path)?.filter(|cursor| !cursor.is_empty());
                return Ok(cursor.map(|cursor| with(parameter, &cursor)));
            }
            Paging::Link { path: Some(path) } => text_at(body, path)?.filter(|link| !link.is_empty()),
            Paging::Link { path: None } => {
                answer.headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok()).find_map(next_of)
            }
        };
        let Some(link) = link else { return Ok(None) };
        let next =
            self.url.join(&link).map_err(|_| SourceError::query("The link to the next page is no URL."))?;
        // The credentials are for this server.
        if next.origin() != self.url.origin() {
            return Err(SourceError::connection(
                "The link to the next page leads to another server, which is not followed.",
            ));
        }
        Ok(Some(next))
    }
}

/// The target of `rel="next"` in a Link header (RFC 8288).
fn next_of(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
        let next = parameters.split(';').any(|parameter| {
            let bare = parameter.trim().to_ascii_lowercase().replace('"', "");
            bare == "rel=next"
        });
        next.then(|| target.to_owned())
    })
}

#[async_trait::async_trait]
impl Fetcher for Rest {
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
        if query.is_some() {
            return Err(SourceError::new(ErrorCode::Query, "A REST API runs no query; test it without one."));
        }
        let answer = self.ask(self.url.clone()).await?;
        let body = json_of(&self.api, &answer).await?;
        let rows = rows_at(body, &self.rows_path)?.len();
        let server = answer.headers.get("server").and_then(|name| name.to_str().ok()).map(gate::bounded);
        let hint = deeper(body, &self.rows_path).map(|hint| format!("; {hint}")).unwrap_or_default();
        Ok((server, Some(format!("{rows} rows on the first page{hint}"))))
    }

    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
        Ok(vec![("main".to_owned(), self.table.clone(), None)])
    }

    async fn rows(&self, _: &str, table: &str, wanted: usize, out: &mut Lines) -> Result<(), SourceError> {
        if table != self.table {
            return Err(SourceError::changed(format!("There is no relation {}.", quoted(table))));
        }
        let mut url = Some(self.url.clone());
        for page in 0..MOST_PAGES {
            let Some(here) = url.take() else { return Ok(()) };
            let answer = self.ask(here.clone()).await?;
            let body = json_of(&self.api, &answer).await?;
            let rows = rows_at(body, &self.rows_path)?;
            for row in &rows {
                out.write(row)?;
            }
            if out.rows >= wanted {
                return Ok(());
            }
            url = self.next(&answer, body, page, rows.len(), out.rows)?;
            if url.as_ref() == Some(&here) {
                return Err(SourceError::query("The next page is the page itself."));
            }
        }
        Err(SourceError::query(format!("There are more than {MOST_PAGES} pages.")))
    }

    fn tunnel(&self) -> Option<&crate::ssh::Tunnel> {
        self.api.client.dialer.tunnel().map(AsRef::as_ref)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn link_headers_name_the_next_page() {
        let next = |header: &str| super::next_of(header);
        assert_eq!(
            next("<https://a/b?page=2>; rel=\"next\", <https://a/b?page=9>; rel=\"last\"").as_deref(),
            Some("https://a/b?page=2")
        );
        assert_eq!(next("</b?page=2>;rel=next").as_deref(), Some("/b?page=2"));
        assert_eq!(next("<https://a>; rel=\"prev\""), None);
        assert_eq!(next("nonsense"), None);
    }
}

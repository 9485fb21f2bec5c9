//! GraphQL: one query whose answer holds rows, with the cursor of Relay's connections where it has one.

use serde_json::{Map, Value, json};
use url::Url;

use super::client::{self, Request};
use super::oauth::Api;
use super::shape::{deeper, json_of, rows_at};
use super::{at_path, elements, text_at, tree};
use crate::error::{SourceError, quoted};
use crate::network::NetworkPolicy;
use crate::settings::Settings;
use crate::snapshot::{Fetcher, Lines};

/// Pages of one relation at most.
const MOST_PAGES: usize = 10_000;
/// Longest code of an error that is told, in bytes.
const LONGEST_CODE: usize = 64;

/// A GraphQL endpoint and the query asked of it.
pub(crate) struct Graphql {
    api: Api,
    url: Url,
    query: String,
    variables: Map<String, Value>,
    rows_path: String,
    /// The variable that takes the cursor, and where cursor and "there are more" stand.
    cursor: Option<(String, String)>,
    table: String,
}

impl Graphql {
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let missing = |name: &str| SourceError::connection(format!("metadata.{name} is missing."));
        let url = client::url(settings.option("url")?.ok_or_else(|| missing("url"))?)?;
        let query = settings.option("query")?.ok_or_else(|| missing("query"))?.to_owned();
        // Mutations write, and a subscription has no end.
        let operation = query.trim_start().trim_start_matches('\u{feff}');
        if !(operation.starts_with('{') || operation.starts_with("query")) || has_other_operation(&query) {
            return Err(SourceError::connection(
                "metadata.query must be one GraphQL query: it starts with query or {.",
            ));
        }
        let page_info = settings.option("page_info_path")?.map(str::to_owned);
        let variable = settings.option("cursor_variable")?.unwrap_or("after").to_owned();
        Ok(Self {
            api: Api::open(settings, policy, &url, hyper::HeaderMap::new()).await?,
            url,
            query,
            variables: settings
                .metadata
                .get("variables")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default(),
            rows_path: settings.option("rows_path")?.unwrap_or("data").to_owned(),
            cursor: page_info.map(|path| (variable, path)),
            table: settings.option("table_name")?.unwrap_or("rows").to_owned(),
        })
    }

    async fn ask(&self, query: &str, variables: &Map<String, Value>) -> Result<String, SourceError> {
        let body = json!({ "query": query, "variables": variables });
        let answer = self.api.send(Request::post(self.url.clone(), &body)).await?;
        let body = json_of(&self.api, &answer).await?;
        if let Some(errors) = at_path(body, "errors")?.filter(|errors| *errors != "null") {
            let all = elements(errors)?;
            let first = self.api.told(&about_first(&all)).await;
            let message = format!("The server answered with {} GraphQL errors.{first}", all.len());
            return Err(SourceError::refused(message).with_detail(self.api.told(errors).await));
        }
        Ok(body.to_owned())
    }
}

/// Where the first of these errors is, and its code: numbers and a word. Its text may quote values, and is for the log.
fn about_first(errors: &[&str]) -> String {
    let first = errors.first().and_then(|first| tree(first.as_bytes()).ok()).unwrap_or_default();
    let at = |name: &str| first.pointer(&format!("/locations/0/{name}")).and_then(Value::as_u64);
    let place = at("line").zip(at("column")).map(|(line, column)| format!("line {line}, column {column}"));
    let code = first.pointer("/extensions/code").and_then(Value::as_str);
    let is_word = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let code = code.filter(|code| (1..=LONGEST_CODE).contains(&code.len()) && code.bytes().all(is_word));
    let told: Vec<String> = place.into_iter().chain(code.map(|code| format!("code {code}"))).collect();
    if told.is_empty() { String::new() } else { format!(" The first: {}.", told.join(", ")) }
}

/// Whether a document defines a mutation or a subscription: outside of braces, strings and comments.
fn has_other_operation(document: &str) -> bool {
    let mut depth = 0_usize;
    let mut outside = String::new();
    let mut rest = document;
    while let Some(c) = rest.chars().next() {
        let after = rest.get(c.len_utf8()..).unwrap_or_default();
        rest = match c {
            // A quotation mark in a comment opens no string.
            '#' => after.find(['\n', '\r']).and_then(|end| after.get(end..)).unwrap_or_default(),
            '"' => match rest.strip_prefix("\"\"\"") {
                Some(block) => behind(block, "\"\"\"", "\\\"\"\""),
                None => behind(after, "\"", "\\\""),
            },
            _ => after,
        };
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '#' | '"' => outside.push(' '),
            _ if depth == 0 => outside.push(c),
            _ => {}
        }
    }
    outside.split(|c: char| !c.is_alphanumeric()).any(|word| matches!(word, "mutation" | "subscription"))
}

/// What follows the end of a string; nothing if it has none. A backslash before a backslash is none before the end.
fn behind<'a>(text: &'a str, end: &str, escaped: &str) -> &'a str {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix(end) {
            return after;
        }
        let other =
            rest.strip_prefix(escaped).or_else(|| rest.strip_prefix("\\\\").filter(|_| end.len() == 1));
        rest = other.unwrap_or_else(|| rest.get(c.len_utf8()..).unwrap_or_default());
    }
    rest
}

#[async_trait::async_trait]
impl Fetcher for Graphql {
    async fn probe(&self, query: Option<&str>) -> Result<(Option<String>, Option<String>), SourceError> {
        if query.is_some() {
            return Err(SourceError::query("A GraphQL source runs its own query only; test it without one."));
        }
        let body = self.ask("{ __typename }", &Map::new()).await?;
        let kind = text_at(&body, "data.__typename")?;
        // A discovery would find no columns, and say nothing of it.
        let body = self.ask(&self.query, &self.variables).await?;
        rows_at(&body, &self.rows_path)?;
        let told: Vec<String> = kind.into_iter().chain(deeper(&body, &self.rows_path)).collect();
        Ok((None, (!told.is_empty()).then(|| told.join("; "))))
    }

    async fn relations(&self) -> Result<Vec<(String, String, Option<i64>)>, SourceError> {
        Ok(vec![("main".to_owned(), self.table.clone(), None)])
    }

    async fn rows(&self, _: &str, table: &str, wanted: usize, out: &mut Lines) -> Result<(), SourceError> {
        if table != self.table {
            return Err(SourceError::changed(format!("There is no relation {}.", quoted(table))));
        }
        let mut variables = self.variables.clone();
        let mut last = None;
        for _ in 0..MOST_PAGES {
            let body = self.ask(&self.query, &variables).await?;
            for row in rows_at(&body, &self.rows_path)? {
                out.write(row)?;
            }
            let Some((variable, path)) = self.cursor.as_ref().filter(|_| out.rows < wanted) else {
                return Ok(());
            };
            let more = at_path(&body, &format!("{path}.hasNextPage"))? == Some("true");
            let cursor = text_at(&body, &format!("{path}.endCursor"))?;
            match cursor.filter(|_| more) {
                None => return Ok(()),
                cursor if cursor == last => {
                    return Err(SourceError::query("The next page is the page itself."));
                }
                Some(cursor) => {
                    variables.insert(variable.clone(), json!(cursor));
                    last = Some(cursor);
                }
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
    fn the_first_error_is_told_by_its_place_and_code() {
        let told = |error: &str| super::about_first(&[error, "{}"]);
        let both = r#"{"message": "x", "locations": [{"line": 1, "column": 9}], "extensions": {"code": "BAD_USER_INPUT"}}"#;
        assert_eq!(told(both), " The first: line 1, column 9, code BAD_USER_INPUT.");
        assert_eq!(told(r#"{"extensions": {"code": "no such user: ada"}}"#), "");
        assert_eq!((told("7"), super::about_first(&[])), (String::new(), String::new()));
    }

    #[test]
    fn mutations_are_found_wherever_they_stand() {
        let other = |text: &str| super::has_other_operation(text);
        assert!(other("query a { b } mutation c { d }"));
        assert!(other("{ a } subscription { b }"));
        assert!(!other("query mutations($a: String = \"mutation\") { mutation }"));
        // What is a string, and what only looks like one.
        assert!(other("query { a } # \"\nmutation c { d }"));
        assert!(other(r#"query { a(x: "\"") } mutation c { d }"#));
        assert!(other(r#"query { a(x: "\\") } mutation c { d }"#));
        assert!(other(r#"query { a(x: """ \""" " """) } mutation c { d }"#));
        assert!(!other("query { a } # mutation c { d }"));
        assert!(!other(r#"query q($a: String = """ } mutation """) { a }"#));
    }
}

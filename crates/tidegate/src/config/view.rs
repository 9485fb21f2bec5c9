//! The configuration in force, for an operator to read: defaults resolved, secrets hidden.

use axum::http::Uri;
use axum::http::uri::Parts;
use serde_json::{Value, json};
use tidegate_domain::text::merge;

use super::Config;
use tidegate_domain::secret::HIDDEN;

impl Config {
    /// Every value in force, as one JSON object.
    pub(crate) fn view(&self) -> Value {
        let mut view = self.written().unwrap_or_default();
        let pool = self.pool_size();
        let options = self.store_options();
        merge(
            &mut view,
            &json!({
                "database": options.url.to_string(),
                "database_connections": options.max_connections,
                "hash_pool": {"threads": pool.threads, "queue": pool.queue},
            }),
        );
        if let Ok(scheme) = self.password_hash.scheme() {
            merge(&mut view, &json!({"password_hash": scheme}));
        }
        if let Some(webhook) = &self.sms.webhook {
            merge(&mut view, &json!({"sms": {"webhook": {"url": host_of(&webhook.url)}}}));
        }
        view
    }

    /// Every value as it was read; secrets hidden.
    pub(super) fn written(&self) -> serde_json::Result<Value> {
        let mut written = serde_json::to_value(self)?;
        merge(&mut written, &self.contracts.written()?);
        Ok(written)
    }

    /// The same as lines: `http.deadline = 30`.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        flatten("", &self.view(), &mut lines);
        lines
    }
}

/// A web address without its path, which at hosted gateways is as good as a password.
fn host_of(url: &str) -> String {
    match url.parse::<Uri>().map(Uri::into_parts) {
        Ok(Parts { scheme: Some(scheme), authority: Some(authority), path_and_query, .. }) => {
            let path = path_and_query.filter(|path| path.as_str() != "/").map_or("", |_| HIDDEN);
            format!("{scheme}://{authority}/{path}")
        }
        _ => HIDDEN.to_owned(),
    }
}

fn flatten(key: &str, value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if key.is_empty() { "" } else { "." };
                flatten(&format!("{key}{dot}{name}"), value, lines);
            }
        }
        Value::Null => lines.push(format!("{key} = none")),
        value => lines.push(format!("{key} = {value}")),
    }
}

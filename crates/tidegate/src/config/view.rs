//! The configuration in force, for an operator to read: defaults resolved, secrets hidden.

use serde_json::{Value, json};
use tidegate_domain::text::merge;

use super::Config;
use super::text::HIDDEN;

impl Config {
    /// Every value in force, as one JSON object.
    pub(crate) fn view(&self) -> Value {
        let mut view = serde_json::to_value(self).unwrap_or_default();
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
        if self.mail.smtp.as_ref().is_some_and(|smtp| smtp.password.is_some()) {
            merge(&mut view, &json!({"mail": {"smtp": {"password": HIDDEN}}}));
        }
        view
    }

    /// The same as lines: `http.deadline = 30`.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        flatten("", &self.view(), &mut lines);
        lines
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

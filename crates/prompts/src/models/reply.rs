//! What a model wrote, read.

use serde::Deserialize;
use serde_json::Value;

use crate::executions::execution::{MAX_PARAMETERS, MAX_SQL};

/// Longest explanation that is kept, in characters.
pub(super) const MAX_EXPLANATION: usize = 2_000;

/// An answer of the schema.
#[derive(Debug, PartialEq)]
pub(super) enum Answer {
    /// SQL.
    Query { sql: String, parameters: Vec<Value>, explanation: Option<String>, confidence: f64 },
    /// It says that it cannot.
    Refused(String),
}

#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    sql: Option<String>,
    #[serde(default)]
    parameters: Option<Vec<Value>>,
    #[serde(default)]
    explanation: Option<String>,
    #[serde(default)]
    confidence: Option<f64>,
    #[serde(default)]
    refusal: Option<String>,
}

fn kept(text: &str) -> Option<String> {
    let kept: String = text.chars().filter(|c| *c != '\0').take(MAX_EXPLANATION).collect();
    Some(kept).filter(|text| !text.trim().is_empty())
}

/// The JSON within what some models put around it.
fn within(text: &str) -> &str {
    match (text.find('{'), text.rfind('}')) {
        (Some(first), Some(last)) => text.get(first..=last).unwrap_or(text),
        _ => text,
    }
}

/// Reads an answer; none where it is none.
pub(super) fn read(text: &str) -> Option<Answer> {
    let sent: Sent = serde_json::from_str(within(text)).ok()?;
    let sql = sent.sql.unwrap_or_default();
    if sql.trim().is_empty() {
        return sent.refusal.as_deref().and_then(kept).map(Answer::Refused);
    }
    let parameters = sent.parameters.unwrap_or_default();
    let is_scalar = |value: &Value| match value {
        Value::String(text) => !text.contains('\0'),
        Value::Array(_) | Value::Object(_) => false,
        _ => true,
    };
    if sql.len() > MAX_SQL
        || sql.contains('\0')
        || parameters.len() > MAX_PARAMETERS
        || !parameters.iter().all(is_scalar)
    {
        return None;
    }
    Some(Answer::Query {
        sql,
        parameters,
        explanation: sent.explanation.as_deref().and_then(kept),
        confidence: sent.confidence.filter(|number| number.is_finite()).unwrap_or(0.0).clamp(0.0, 1.0),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_are_read_also_in_what_models_put_around_them() {
        let text = "Here it is:\n```json\n{\"sql\": \"select $1\", \"parameters\": [5], \"confidence\": 7, \"refusal\": null}\n```";
        let expected = Answer::Query {
            sql: "select $1".to_owned(),
            parameters: vec![json!(5)],
            explanation: None,
            confidence: 1.0,
        };
        assert_eq!(read(text), Some(expected));
        let refused = r#"{"sql": "", "parameters": [], "explanation": "", "confidence": 0, "refusal": "no such table"}"#;
        assert_eq!(read(refused), Some(Answer::Refused("no such table".to_owned())));
    }

    #[test]
    fn what_is_no_answer_is_none() {
        let long = json!({ "sql": "x".repeat(MAX_SQL + 1) }).to_string();
        for odd in [
            "",
            "I cannot do that",
            "{}",
            "[]",
            "}{",
            r#"{"sql": 5}"#,
            r#"{"sql": "select 1", "parameters": [{"a": 1}]}"#,
            "{\"sql\": \"select \\u0000\"}",
            long.as_str(),
        ] {
            assert_eq!(read(odd), None, "{odd:.40}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_a_model_writes_is_a_panic(text in "\\PC{0,200}") {
            read(&text);
        }
    }
}

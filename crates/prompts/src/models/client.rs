//! One model, asked over HTTP.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_federation::{EndpointAnswer, JsonEndpoint};
use tokio::time::sleep;

use super::instruct::{Message, schema};
use crate::settings::ModelSettings;

/// First pause before a request is repeated; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause, whatever the provider asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A model.
pub(super) struct Model {
    pub(super) settings: ModelSettings,
    endpoint: JsonEndpoint,
}

/// What a model answered.
pub(super) struct Reply {
    /// Its text; none where it did something else.
    pub(super) text: Option<String>,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) request_id: Option<String>,
}

/// A model does not answer. Why is in the log.
#[derive(Debug)]
pub(super) struct Silent;

/// How many tokens a text has, at most: tokens of models have three bytes or more on average, and it is better to guess too many.
pub(super) fn tokens_of(text: &str) -> u64 {
    u64::try_from(text.len() / 3 + 1).unwrap_or(u64::MAX)
}

impl Model {
    pub(super) fn new(settings: ModelSettings) -> Result<Self, String> {
        let endpoint = JsonEndpoint::new(
            &settings.base_url,
            "chat/completions",
            settings.api_key.as_ref(),
            settings.api_key_file.as_ref(),
            settings.private_network,
            settings.timeout,
        )?;
        Ok(Self { settings, endpoint })
    }

    /// What so many tokens cost, in millionths of the currency of its prices.
    pub(super) fn price(&self, input_tokens: u64, output_tokens: u64) -> i64 {
        let micros = self.settings.input_price * input_tokens as f64
            + self.settings.output_price * output_tokens as f64;
        // Prices are per million tokens, so this is in millionths already. Rounded up: nothing is free that costs something.
        micros.ceil().clamp(0.0, 1e15) as i64
    }

    /// Asks it, again and again while its provider is overloaded.
    pub(super) async fn ask(&self, name: &str, messages: &[Message]) -> Result<Reply, Silent> {
        let body = self.body(messages);
        let mut pause = FIRST_PAUSE;
        for attempt in 0..=self.settings.retries {
            let wanted = match self.endpoint.post("a model", &body).await {
                Ok(answer) if answer.status == 200 => return Ok(read(answer, messages)),
                Ok(answer) if matches!(answer.status, 408 | 429 | 500..=599) => {
                    tracing::info!(model = name, status = answer.status, "a model cannot answer now");
                    answer.retry_after.map(Duration::from_secs)
                }
                Ok(answer) => {
                    // Its text may repeat the question, which is nobody's business here.
                    tracing::error!(model = name, status = answer.status, "a model refuses the request");
                    return Err(Silent);
                }
                Err(error) if error.is_temporary() => {
                    tracing::info!(model = name, %error, "a model does not answer");
                    None
                }
                Err(error) => {
                    tracing::error!(model = name, %error, "a model cannot be asked");
                    return Err(Silent);
                }
            };
            if attempt < self.settings.retries {
                sleep(wanted.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                pause *= 2;
            }
        }
        Err(Silent)
    }

    fn body(&self, messages: &[Message]) -> Value {
        let messages: Vec<Value> =
            messages.iter().map(|one| json!({ "role": one.role, "content": one.content })).collect();
        json!({
            "model": self.settings.model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": self.settings.max_output_tokens,
            "stream": false,
            "response_format": {
                "type": "json_schema",
                "json_schema": { "name": "query", "strict": true, "schema": schema() },
            },
        })
    }
}

/// What is in an answer, whatever it is.
fn read(answer: EndpointAnswer, messages: &[Message]) -> Reply {
    let body = answer.body.unwrap_or_default();
    let text = body.pointer("/choices/0/message/content").and_then(Value::as_str).map(str::to_owned);
    let refusal = body.pointer("/choices/0/message/refusal").and_then(Value::as_str);
    let count = |name: &str| body.pointer(&format!("/usage/{name}")).and_then(Value::as_u64);
    // What it does not count is guessed: that it costs nothing would be wrong.
    let sent = || messages.iter().map(|one| tokens_of(&one.content)).sum();
    let said = || text.as_deref().map_or(0, tokens_of);
    Reply {
        input_tokens: count("prompt_tokens").unwrap_or_else(sent),
        output_tokens: count("completion_tokens").unwrap_or_else(said),
        request_id: body
            .get("id")
            .and_then(Value::as_str)
            .map(|id| id.chars().filter(|c| !c.is_control()).take(100).collect())
            .or(answer.request_id),
        text: text
            .or_else(|| refusal.map(|_| json!({ "refusal": "The model refuses the question." }).to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(body: Value) -> Reply {
        let answer = EndpointAnswer { status: 200, retry_after: None, request_id: None, body: Some(body) };
        read(answer, &[Message { role: "user", content: "abcdef".to_owned() }])
    }

    #[test]
    fn answers_are_read_whatever_they_are() {
        let reply = answered(json!({
            "id": "r\u{0}1",
            "choices": [{ "message": { "content": "{}" } }],
            "usage": { "prompt_tokens": 10, "completion_tokens": 2 },
        }));
        assert_eq!((reply.text.as_deref(), reply.input_tokens, reply.output_tokens), (Some("{}"), 10, 2));
        assert_eq!(reply.request_id.as_deref(), Some("r1"));
        for odd in [
            json!(null),
            json!([1]),
            json!({ "choices": [] }),
            json!({ "choices": [{ "message": { "content": null, "tool_calls": [{ "function": { "name": "drop" } }] } }] }),
        ] {
            let reply = answered(odd);
            assert_eq!((reply.text, reply.input_tokens, reply.output_tokens), (None, 3, 0));
        }
    }

    #[test]
    fn prices_are_rounded_up() {
        let settings = ModelSettings {
            base_url: "https://models.example.com".to_owned(),
            input_price: 2.5,
            output_price: 10.0,
            ..ModelSettings::default()
        };
        let model = Model::new(settings).unwrap();
        assert_eq!(model.price(1_000_000, 1_000_000), 12_500_000);
        assert_eq!(model.price(1, 0), 3);
        assert_eq!(model.price(0, 0), 0);
    }
}

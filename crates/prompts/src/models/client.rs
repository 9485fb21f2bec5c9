//! One model, asked over HTTP.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_federation::{EndpointAnswer, EndpointReply, EventLimits, FederationError, JsonEndpoint};
use tokio::time::sleep;

use super::instruct::{Message, schema};
use super::stream::hear;
use crate::executions::live::Running;
use crate::settings::ModelSettings;

/// First pause before a request is repeated; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause, whatever the provider asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Bytes that a streamed answer has besides its tokens, and with each of them: a piece repeats what the whole answer is called.
const STREAM_BYTES: usize = 64 * 1024;
const TOKEN_BYTES: usize = 4 * 1024;

/// A model.
pub(super) struct Model {
    pub(super) settings: ModelSettings,
    endpoint: JsonEndpoint,
}

/// What a model answered.
pub(super) struct Reply {
    /// Its text; none where it did something else.
    pub(super) text: Option<String>,
    /// Those of requests that came to nothing before included.
    pub(super) tokens: Tokens,
    pub(super) request_id: Option<String>,
}

/// Tokens that were sent and answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) output: u64,
}

/// A model does not answer. Why is in the log; what it has cost in vain is here.
#[derive(Debug)]
pub(super) struct Silent(pub(super) Tokens);

/// What came of one request.
enum Once {
    Answered(Reply),
    /// It may be asked again, after so long where its provider says so.
    Later(Tokens, Option<Duration>),
    Never(Tokens),
}

/// How many tokens a text has, at most: tokens of models have three bytes or more on average, and it is better to guess too many.
pub(super) fn tokens_of(text: &str) -> u64 {
    u64::try_from(text.len() / 3 + 1).unwrap_or(u64::MAX)
}

impl Model {
    pub(super) fn new(settings: ModelSettings) -> Result<Self, String> {
        let endpoint = settings.endpoint()?;
        Ok(Self { settings, endpoint })
    }

    /// What so many tokens cost, in millionths of the currency of its prices.
    pub(super) fn price(&self, input_tokens: u64, output_tokens: u64) -> i64 {
        let micros = self.settings.input_price * input_tokens as f64
            + self.settings.output_price * output_tokens as f64;
        // Prices are per million tokens, so this is in millionths already. Rounded up: nothing is free that costs something.
        micros.ceil().clamp(0.0, 1e15) as i64
    }

    /// Asks it, again and again while its provider is overloaded. What it explains is told to those who follow the execution.
    pub(super) async fn ask(
        &self,
        name: &str,
        messages: &[Message],
        running: &Running,
    ) -> Result<Reply, Silent> {
        let body = self.body(messages);
        let mut pause = FIRST_PAUSE;
        let mut vain = Tokens::default();
        for attempt in 0..=self.settings.retries {
            running.drafts_anew();
            let wanted = match self.once(name, &body, messages, running).await {
                Once::Answered(reply) => return Ok(Reply { tokens: reply.tokens.plus(vain), ..reply }),
                Once::Never(tokens) => return Err(Silent(vain.plus(tokens))),
                Once::Later(tokens, wanted) => {
                    vain = vain.plus(tokens);
                    wanted
                }
            };
            if attempt < self.settings.retries {
                sleep(wanted.unwrap_or(pause).min(LONGEST_PAUSE)).await;
                pause *= 2;
            }
        }
        Err(Silent(vain))
    }

    /// Asks it once.
    async fn once(&self, name: &str, body: &Value, messages: &[Message], running: &Running) -> Once {
        let sent = if self.settings.stream {
            self.endpoint.stream("a model", body, self.limits()).await
        } else {
            self.endpoint.post("a model", body).await.map(EndpointReply::Whole)
        };
        match sent {
            Ok(EndpointReply::Events(events)) => match hear(*events, messages, running).await {
                Ok(reply) => Once::Answered(reply),
                Err(broken) => {
                    tracing::info!(model = name, why = %broken.why, "an answer of a model breaks off");
                    if broken.is_temporary {
                        Once::Later(broken.tokens, None)
                    } else {
                        Once::Never(broken.tokens)
                    }
                }
            },
            Ok(EndpointReply::Whole(answer)) => self.judged(name, answer, messages),
            Err(error) => unanswered(name, &error),
        }
    }

    /// What a status says.
    fn judged(&self, name: &str, answer: EndpointAnswer, messages: &[Message]) -> Once {
        match answer.status {
            200 => Once::Answered(read(answer, messages)),
            408 | 429 | 500..=599 => {
                tracing::info!(model = name, status = answer.status, "a model cannot answer now");
                Once::Later(Tokens::default(), answer.retry_after.map(Duration::from_secs))
            }
            status => {
                // Its text may repeat the question, which is nobody's business here.
                let (base_url, advice) = (self.settings.base_url.as_str(), advice(status));
                tracing::error!(model = name, status, base_url, advice, "a model refuses the request");
                Once::Never(Tokens::default())
            }
        }
    }

    /// How much of a streamed answer is waited for.
    fn limits(&self) -> EventLimits {
        let tokens = usize::try_from(self.settings.max_output_tokens).unwrap_or(usize::MAX);
        let bytes = tokens.saturating_mul(TOKEN_BYTES).saturating_add(STREAM_BYTES);
        EventLimits { silence: self.settings.idle_timeout, bytes }
    }

    fn body(&self, messages: &[Message]) -> Value {
        let messages: Vec<Value> =
            messages.iter().map(|one| json!({ "role": one.role, "content": one.content })).collect();
        let mut body = json!({
            "model": self.settings.model,
            "messages": messages,
            "temperature": 0,
            "max_tokens": self.settings.max_output_tokens,
            "stream": self.settings.stream,
            "response_format": {
                "type": "json_schema",
                "json_schema": { "name": "query", "strict": true, "schema": schema() },
            },
        });
        if let (true, Some(fields)) = (self.settings.stream, body.as_object_mut()) {
            fields.insert("stream_options".to_owned(), json!({ "include_usage": true }));
        }
        body
    }
}

impl Tokens {
    /// As they were counted. What was not is guessed: that it costs nothing would be wrong.
    pub(super) fn counted(
        input: Option<u64>,
        output: Option<u64>,
        messages: &[Message],
        text: Option<&str>,
    ) -> Self {
        let sent = || messages.iter().map(|one| tokens_of(&one.content)).sum();
        let said = || text.map_or(0, tokens_of);
        Self { input: input.unwrap_or_else(sent), output: output.unwrap_or_else(said) }
    }

    /// Both together.
    #[must_use]
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            input: self.input.saturating_add(other.input),
            output: self.output.saturating_add(other.output),
        }
    }
}

impl Reply {
    pub(super) fn new(text: Option<String>, has_refused: bool, tokens: Tokens, id: Option<String>) -> Self {
        let refusal = || json!({ "refusal": "The model refuses the question." }).to_string();
        // An empty text beside a refusal is none.
        let text = text.filter(|text| !(has_refused && text.is_empty()));
        Self {
            text: text.or_else(|| has_refused.then(refusal)),
            tokens,
            request_id: id.map(|id| id.chars().filter(|c| !c.is_control()).take(100).collect()),
        }
    }
}

/// What to look at where a provider refuses a request.
const fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => "correct api_key or api_key_file of [prompts.models.NAME]",
        402 => "its provider wants to be paid",
        404 | 405 => {
            "correct base_url of [prompts.models.NAME], which ends before /chat/completions, or model, which is what its provider calls it"
        }
        _ => {
            "its provider may know no response_format or stream: see stream of [prompts.models.NAME], or name another model"
        }
    }
}

/// Nothing was answered.
fn unanswered(name: &str, error: &FederationError) -> Once {
    if error.is_temporary() {
        tracing::info!(model = name, %error, "a model does not answer");
        return Once::Later(Tokens::default(), None);
    }
    tracing::error!(model = name, %error, "a model cannot be asked");
    Once::Never(Tokens::default())
}

/// What is in an answer, whatever it is.
fn read(answer: EndpointAnswer, messages: &[Message]) -> Reply {
    let body = answer.body.unwrap_or_default();
    let text = body.pointer("/choices/0/message/content").and_then(Value::as_str).map(str::to_owned);
    let has_refused = body.pointer("/choices/0/message/refusal").is_some_and(Value::is_string);
    let count = |name: &str| body.pointer(&format!("/usage/{name}")).and_then(Value::as_u64);
    let tokens =
        Tokens::counted(count("prompt_tokens"), count("completion_tokens"), messages, text.as_deref());
    let id = body.get("id").and_then(Value::as_str).map(str::to_owned).or(answer.request_id);
    Reply::new(text, has_refused, tokens, id)
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
        assert_eq!((reply.text.as_deref(), reply.tokens), (Some("{}"), Tokens { input: 10, output: 2 }));
        assert_eq!(reply.request_id.as_deref(), Some("r1"));
        for odd in [
            json!(null),
            json!([1]),
            json!({ "choices": [] }),
            json!({ "choices": [{ "message": { "content": null, "tool_calls": [{ "function": { "name": "drop" } }] } }] }),
        ] {
            let reply = answered(odd);
            assert_eq!((reply.text, reply.tokens), (None, Tokens { input: 3, output: 0 }));
        }
    }

    #[test]
    fn a_refusal_is_told_with_the_setting_to_look_at() {
        for (status, setting) in [(401, "api_key"), (403, "api_key"), (404, "base_url"), (400, "stream")] {
            assert!(advice(status).contains(setting), "{status}");
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

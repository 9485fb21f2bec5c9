//! An answer that comes in pieces, as the model writes it.

use serde_json::Value;
use tidegate_federation::ServerEvents;

use super::client::{Reply, Tokens};
use super::draft::Draft;
use super::instruct::Message;
use crate::executions::live::Running;

/// Longest answer, in bytes. Those of the schema have a few thousand.
const MAX_ANSWER: usize = 256 * 1024;

/// What has come of an answer.
#[derive(Debug, Default)]
pub(super) struct Heard {
    text: Option<String>,
    has_refused: bool,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    id: Option<String>,
    /// The model has said all that it says. Its use may still follow.
    is_whole: bool,
    is_over: bool,
}

/// An answer broke off.
#[derive(Debug)]
pub(super) struct Broken {
    /// Whether asking again may help.
    pub(super) is_temporary: bool,
    /// For the log: nothing that the model or its provider wrote.
    pub(super) why: String,
    /// What it has cost all the same.
    pub(super) tokens: Tokens,
}

impl Heard {
    /// Takes the data of an event in; answers what the model said in it.
    fn take(&mut self, data: &str) -> Result<String, &'static str> {
        if data.trim() == "[DONE]" {
            (self.is_whole, self.is_over) = (true, true);
            return Ok(String::new());
        }
        let piece: Value = serde_json::from_str(data).map_err(|_| "a piece is no JSON")?;
        if piece.get("error").is_some_and(|error| !error.is_null()) {
            return Err("the provider tells of an error midway");
        }
        let count = |name: &str| piece.pointer(&format!("/usage/{name}")).and_then(Value::as_u64);
        self.input_tokens = count("prompt_tokens").or(self.input_tokens);
        self.output_tokens = count("completion_tokens").or(self.output_tokens);
        if self.id.is_none() {
            self.id = piece.get("id").and_then(Value::as_str).map(str::to_owned);
        }
        let is_first = |choice: &&Value| choice.get("index").is_none_or(|index| index.as_u64() == Some(0));
        let choices = piece.get("choices").and_then(Value::as_array);
        let Some(choice) = choices.and_then(|all| all.iter().find(is_first)) else {
            return Ok(String::new());
        };
        self.is_whole |= choice.get("finish_reason").is_some_and(|reason| !reason.is_null());
        self.has_refused |= choice.pointer("/delta/refusal").is_some_and(Value::is_string);
        let Some(said) = choice.pointer("/delta/content").and_then(Value::as_str) else {
            return Ok(String::new());
        };
        let text = self.text.get_or_insert_default();
        if text.len() + said.len() > MAX_ANSWER {
            return Err("the answer is too long");
        }
        text.push_str(said);
        Ok(said.to_owned())
    }

    /// What it has cost: what was not counted is guessed.
    fn tokens(&self, messages: &[Message]) -> Tokens {
        Tokens::counted(self.input_tokens, self.output_tokens, messages, self.text.as_deref())
    }

    fn broken(&self, why: String, is_temporary: bool, messages: &[Message]) -> Broken {
        Broken { is_temporary, why, tokens: self.tokens(messages) }
    }
}

/// Reads an answer to its end, and tells what is explained in it meanwhile.
pub(super) async fn hear(
    mut events: ServerEvents,
    messages: &[Message],
    running: &Running,
) -> Result<Reply, Broken> {
    let (mut heard, mut draft) = (Heard::default(), Draft::default());
    while !heard.is_over {
        match events.next().await {
            Ok(Some(data)) => match heard.take(&data) {
                Ok(said) if draft.read(&said) => running.drafted(draft.shown()),
                Ok(_) => {}
                Err(why) => return Err(heard.broken(why.to_owned(), true, messages)),
            },
            // All was said: that the end is missing, or comes late, takes nothing away.
            Ok(None) | Err(_) if heard.is_whole => break,
            Ok(None) => return Err(heard.broken("the answer ends midway".to_owned(), true, messages)),
            Err(error) => return Err(heard.broken(error.to_string(), error.is_temporary(), messages)),
        }
    }
    let tokens = heard.tokens(messages);
    let id = heard.id.or_else(|| events.request_id().map(str::to_owned));
    Ok(Reply::new(heard.text, heard.has_refused, tokens, id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn piece(text: &str) -> String {
        json!({ "id": "c-1", "choices": [{ "index": 0, "delta": { "content": text }, "finish_reason": null }], "usage": null })
            .to_string()
    }

    #[test]
    fn pieces_come_to_an_answer_with_its_cost() {
        let mut heard = Heard::default();
        for (data, said) in [
            (
                json!({ "choices": [{ "index": 0, "delta": { "role": "assistant", "content": "" } }] })
                    .to_string(),
                "",
            ),
            (piece("{\"sql\""), "{\"sql\""),
            (json!({ "choices": [{ "index": 1, "delta": { "content": "another" } }] }).to_string(), ""),
            (piece(": 1}"), ": 1}"),
            (json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }).to_string(), ""),
            (
                json!({ "choices": [], "usage": { "prompt_tokens": 10, "completion_tokens": 2 } })
                    .to_string(),
                "",
            ),
            (" [DONE] ".to_owned(), ""),
        ] {
            assert!(!heard.is_over);
            assert_eq!(heard.take(&data), Ok(said.to_owned()), "{data}");
        }
        assert!(heard.is_whole && heard.is_over);
        assert_eq!((heard.text.as_deref(), heard.id.as_deref()), (Some("{\"sql\": 1}"), Some("c-1")));
        assert_eq!(heard.tokens(&[]), Tokens { input: 10, output: 2 });
    }

    #[test]
    fn what_is_not_counted_is_guessed() {
        let mut heard = Heard::default();
        heard.take(&piece("abcdef")).unwrap();
        let sent = [Message { role: "user", content: "abc".to_owned() }];
        assert_eq!(heard.tokens(&sent), Tokens { input: 2, output: 3 });
    }

    #[test]
    fn odd_pieces_say_nothing_and_broken_ones_end_it() {
        for odd in [
            "null",
            "[]",
            "5",
            "{}",
            r#"{"choices": "none"}"#,
            r#"{"choices": [{"delta": {"content": {"a": 1}}}]}"#,
            r#"{"choices": [{"delta": {"tool_calls": [{"function": {"name": "drop"}}]}}]}"#,
            r#"{"error": null}"#,
        ] {
            let mut heard = Heard::default();
            assert_eq!((heard.take(odd), heard.text), (Ok(String::new()), None), "{odd}");
        }
        for broken in ["", "{\"choices\": [{", r#"{"error": {"message": "planted"}}"#] {
            let why = Heard::default().take(broken).unwrap_err();
            assert!(!why.contains("planted"), "{why}");
        }
        let mut heard = Heard::default();
        let half = piece(&"x".repeat(MAX_ANSWER / 2 + 1));
        assert!(heard.take(&half).is_ok() && heard.take(&half).is_err());
    }
}

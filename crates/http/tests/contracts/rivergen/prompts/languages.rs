//! Questions in the language that the client prefers.

use axum::http::Method;
use serde_json::{Value, json};
use tidegate_testkit::{Engine, on_both_engines};

use super::script::request;
use super::times::Files;
use crate::rivergen::data_sources::wire::{ADA, owner};

const ORDERS: &str =
    "order_id,customer,placed_on,amount\n1,Ada,2025-11-20,10\n2,Ada,2025-12-01,20\n3,Bob,2025-12-31,30\n";

on_both_engines! {
    async fn a_question_is_read_in_the_language_that_the_client_prefers_and_in_english(engine: Engine) {
        let files = Files::new().await;
        let app = files.app(engine).await;
        let ada = owner(&app, ADA).await;
        let source = files.csv(&app, &ada, "orders", ORDERS).await;
        let ask = async |languages: &str, question: &str| -> Value {
            let body = json!({ "prompt_text": question, "selected_data_source_ids": [source] });
            let sent = request(&app, &ada, Method::POST, "prompts/execute").header("accept-language", languages);
            sent.json(&body).send().await.assert_status(200).field("data").clone()
        };
        // The month before January 2026.
        for (languages, question) in [
            ("sw-KE, en;q=0.5", "maagizo mangapi mwezi uliopita?"),
            ("sw-KE, en;q=0.5", "how many orders last month?"),
            ("de, sw;q=0.1", "maagizo mangapi mwezi uliopita?"),
            ("de", "how many orders last month?"),
            ("no language", "how many orders last month?"),
        ] {
            let data = ask(languages, question).await;
            assert_eq!(data["status"], "completed", "{languages}: {data}");
            assert_eq!(data["result_preview"], json!([{ "count": 2 }]), "{languages}: {data}");
        }
        let refused = ask("en, sw;q=0.5", "maagizo mangapi mwezi uliopita?").await;
        assert_eq!(refused["error_code"], "not_understood", "{refused}");
        assert_eq!(
            refused["ai_response_metadata"]["not_understood"],
            json!(["maagizo", "mangapi", "mwezi", "uliopita"])
        );
        let message = refused["error_message"].as_str().unwrap();
        let suggestions = refused["ai_response_metadata"]["suggestions"].as_array().unwrap();
        let example = suggestions.first().and_then(Value::as_str).unwrap();
        let told = format!(
            " Questions are read in English and, where Accept-Language prefers it, in Swahili. For example: \"{example}\"."
        );
        assert!(message.ends_with(&told), "{message}");
        for suggestion in suggestions {
            let data = ask("en", suggestion.as_str().unwrap()).await;
            assert_eq!(data["status"], "completed", "{suggestion}: {data}");
        }
    }
}

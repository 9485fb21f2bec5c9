//! `tidegate config`

use serde_json::json;

use crate::output::Answer;

/// Every key of the configuration, made of the types that it is read into.
const EXAMPLE: &str = include_str!("../../tidegate.example.toml");

/// A configuration file to start from. Whoever has the program alone has no other. It depends on no configuration, so none is read.
pub(super) fn run() -> Answer {
    Answer::new(EXAMPLE, json!({ "example": EXAMPLE }))
}

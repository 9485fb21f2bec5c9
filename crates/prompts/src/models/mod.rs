//! Models that write SQL: any endpoint that speaks the chat completions of OpenAI.
//!
//! A model is shown names and types of what the person may see, and the question; never a row. What it answers is text of a stranger:
//! SQL that passes the same gate as anybody's and runs with the rights of the person who asked. Whatever a question, a comment of a
//! column or the model itself says, nothing more can come of it than a query of that person.
//!
//! An answer is read as it is written. What it explains is told to those who follow the execution; its SQL is shown when the gate has
//! passed it, and never before. Since a model was shown no row, there is none in its words.

pub(crate) mod ask;
mod client;
mod draft;
mod instruct;
mod reply;
mod retrieval;
pub(crate) mod spend;
mod stream;

use std::collections::BTreeMap;

use crate::PromptSettings;
use client::Model;

/// The configured models.
pub(crate) struct Models(BTreeMap<String, Model>);

impl Models {
    /// Prepares clients; connects to nothing yet.
    pub(crate) fn new(settings: &PromptSettings) -> Result<Self, String> {
        settings.check()?;
        let model = |(name, settings): (&String, &crate::settings::ModelSettings)| {
            let model = Model::new(settings.clone()).map_err(|why| format!("models.{name}: {why}"))?;
            Ok((name.clone(), model))
        };
        settings.models.iter().map(model).collect::<Result<_, String>>().map(Self)
    }

    fn get(&self, name: &str) -> Option<&Model> {
        self.0.get(name)
    }
}

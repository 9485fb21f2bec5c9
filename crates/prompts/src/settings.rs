//! What an operator decides about questions and queries.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use tidegate_domain::time::seconds;
use tidegate_federation::{JsonEndpoint, SocialSecret};

/// Name of the built-in planner where a model can be chosen.
pub const BUILT_IN: &str = "builtin";

/// What is asked below `base_url`.
const COMPLETIONS: &str = "chat/completions";

/// Questions and queries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct PromptSettings {
    /// What answers a question that names no ai_model: "builtin", which needs no network, the name of one of the models, or a class of
    /// them.
    #[default(BUILT_IN.to_owned())]
    pub default_model: String,
    /// Models by names: each is an endpoint that speaks the chat completions of OpenAI.
    pub models: BTreeMap<String, ModelSettings>,
    /// What the models may cost an organization in a month of UTC, in the currency of their prices. 0 means no limit.
    pub monthly_spend_per_organization: f64,
    /// Seconds for which a request waits for its answer. What takes longer goes on, and is asked for again. Keep it below http.deadline.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(10))]
    pub answer_within: Duration,
    /// Longest time in seconds for one execution, models and data sources together.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(300))]
    pub longest: Duration,
    /// Executions and downloads that run at the same time on a node, of all organizations together.
    #[default(32)]
    pub at_once: usize,
    /// Executions of one organization that run at the same time, on all nodes together.
    #[default(16)]
    pub at_once_per_organization: u32,
    /// The same of one person.
    #[default(4)]
    pub at_once_per_person: u32,
    /// Seconds for which executions are kept. Their sums are kept for ever.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(90 * 24 * 3_600))]
    pub keep_executions: Duration,
    /// Seconds after which a deleted question or template is removed for good.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(30 * 24 * 3_600))]
    pub keep_deleted: Duration,
    /// Tokens of the description of tables that a model is shown at most: those that fit the question best.
    #[default(6_000)]
    pub schema_tokens: usize,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct ModelSettings {
    /// Where it is, up to "/chat/completions": "https://api.openai.com/v1".
    pub base_url: String,
    /// Its key. Models on this machine may need none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<SocialSecret>,
    /// A file with the key, instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// What its provider calls it.
    pub model: String,
    /// What it is for: fast, balanced, powerful or reasoning. Questions may name the class, and get the first of it.
    #[default(ModelClass::Balanced)]
    pub class: ModelClass,
    /// Models that are asked when this one does not answer, in their order.
    pub fallback: Vec<String>,
    /// Seconds for one request, with all of its answer.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(30))]
    pub timeout: Duration,
    /// Whether its answers are asked for as it writes them (stream, with stream_options.include_usage). Off for endpoints that refuse that.
    #[default(true)]
    pub stream: bool,
    /// Longest time in seconds between two pieces of a streamed answer.
    #[serde(with = "seconds")]
    #[schemars(with = "u64")]
    #[default(Duration::from_secs(15))]
    pub idle_timeout: Duration,
    /// How often a request is repeated when the provider is overloaded or fails (429 and 5xx).
    #[default(2)]
    pub retries: u32,
    /// Most tokens of an answer.
    #[default(1_024)]
    pub max_output_tokens: u32,
    /// Price of 1,000,000 tokens that are sent.
    pub input_price: f64,
    /// Price of 1,000,000 tokens that are answered.
    pub output_price: f64,
    /// Whether it may be in a network of your own. On this machine is always admitted, for "localhost" and 127.0.0.1.
    pub private_network: bool,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelClass {
    /// Cheap and quick.
    Fast,
    /// In between.
    Balanced,
    /// For hard questions.
    Powerful,
    /// Thinks before it answers.
    Reasoning,
}

impl ModelClass {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fast => "fast",
            Self::Balanced => "balanced",
            Self::Powerful => "powerful",
            Self::Reasoning => "reasoning",
        }
    }
}

impl ModelSettings {
    /// Where it is asked. Reads its key; connects to nothing yet.
    ///
    /// # Errors
    /// Which of its settings cannot be used, and why.
    pub(crate) fn endpoint(&self) -> Result<JsonEndpoint, String> {
        JsonEndpoint::new(
            &self.base_url,
            COMPLETIONS,
            self.api_key.as_ref(),
            self.api_key_file.as_ref(),
            self.private_network,
            self.timeout,
        )
    }
}

impl PromptSettings {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// Says which key it is, and why.
    pub fn check(&self) -> Result<(), String> {
        let durations = [("answer_within", self.answer_within), ("longest", self.longest)];
        if let Some((key, _)) = durations.into_iter().find(|(_, duration)| duration.is_zero()) {
            return Err(format!("{key} must be at least 1 second"));
        }
        if self.at_once == 0 || self.at_once_per_organization == 0 || self.at_once_per_person == 0 {
            return Err(
                "at_once, at_once_per_organization and at_once_per_person must be at least 1".to_owned()
            );
        }
        let is_price = |price: f64| price.is_finite() && price >= 0.0;
        if !is_price(self.monthly_spend_per_organization) {
            return Err("monthly_spend_per_organization must be 0 or more".to_owned());
        }
        for (name, model) in &self.models {
            self.check_model(name, model).map_err(|why| format!("models.{name}: {why}"))?;
            if !is_price(model.input_price) || !is_price(model.output_price) {
                return Err(format!("models.{name}: prices must be 0 or more"));
            }
        }
        if self.chain(&self.default_model).is_none() {
            return Err(
                "default_model must be \"builtin\", the name of a model, or a class that one has".to_owned()
            );
        }
        Ok(())
    }

    fn check_model(&self, name: &str, model: &ModelSettings) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 64 || !name.chars().all(is_name) {
            return Err("the name must be of letters, digits, '-', '_' and '.', at most 64".to_owned());
        }
        if name == BUILT_IN {
            return Err("the built-in planner has that name".to_owned());
        }
        if model.base_url.is_empty() || model.model.is_empty() {
            return Err("base_url and model are required".to_owned());
        }
        if model.base_url.contains(['?', '#']) {
            return Err(format!("base_url has no query and no fragment: /{COMPLETIONS} is added behind it"));
        }
        if model.base_url.trim_end_matches('/').ends_with(&format!("/{COMPLETIONS}")) {
            return Err(format!("base_url ends before /{COMPLETIONS}, which is added"));
        }
        if model.timeout.is_zero() || model.idle_timeout.is_zero() || model.max_output_tokens == 0 {
            return Err("timeout, idle_timeout and max_output_tokens must be at least 1".to_owned());
        }
        match model.fallback.iter().find(|other| !self.models.contains_key(*other)) {
            Some(unknown) => Err(format!("fallback: there is no model {unknown:?}")),
            None => model.endpoint().map(drop),
        }
    }

    /// The models that answer where `choice` is asked for, in their order, each once: empty for the built-in planner. None where it is
    /// neither a name nor a class.
    pub fn chain(&self, choice: &str) -> Option<Vec<String>> {
        if choice == BUILT_IN {
            return Some(Vec::new());
        }
        let of_class = |(_, model): &(&String, &ModelSettings)| model.class.as_str() == choice;
        let first = match self.models.get_key_value(choice) {
            Some((name, _)) => name,
            None => self.models.iter().find(of_class)?.0,
        };
        let mut chain = vec![first.clone()];
        let mut next = 0;
        while let Some(model) = chain.get(next).and_then(|name| self.models.get(name)) {
            let more: Vec<String> =
                model.fallback.iter().filter(|name| !chain.contains(name)).cloned().collect();
            chain.extend(more);
            next += 1;
        }
        Some(chain)
    }

    /// Which models answer questions that name none, and which are asked only where a question names them. None where there are no models.
    pub fn said_of_models(&self) -> Option<String> {
        let asked = self.chain(&self.default_model).unwrap_or_default();
        let others: Vec<&str> =
            self.models.keys().filter(|name| !asked.contains(name)).map(String::as_str).collect();
        let first = if asked.is_empty() { BUILT_IN.to_owned() } else { asked.join(", then ") };
        match others.as_slice() {
            [] if asked.is_empty() => None,
            [] => Some(first),
            others => Some(format!(
                "{first}; only where a question names it (ai_model): {}. prompts.default_model has a model asked by itself",
                others.join(", ")
            )),
        }
    }

    /// What can be asked for.
    pub fn choices(&self) -> Vec<String> {
        let mut choices = vec![BUILT_IN.to_owned()];
        choices.extend(self.models.keys().cloned());
        for model in self.models.values() {
            let class = model.class.as_str().to_owned();
            if !choices.contains(&class) {
                choices.push(class);
            }
        }
        choices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> PromptSettings {
        let model = |class, fallback: &[&str]| ModelSettings {
            base_url: "https://models.example.com/v1".to_owned(),
            model: "m".to_owned(),
            class,
            fallback: fallback.iter().map(|name| (*name).to_owned()).collect(),
            ..ModelSettings::default()
        };
        let models = BTreeMap::from([
            ("a".to_owned(), model(ModelClass::Fast, &["b"])),
            ("b".to_owned(), model(ModelClass::Powerful, &["c", "a"])),
            ("c".to_owned(), model(ModelClass::Powerful, &[])),
        ]);
        PromptSettings { models, ..PromptSettings::default() }
    }

    #[test]
    fn a_chain_follows_fallbacks_and_asks_each_model_once() {
        let settings = settings();
        assert_eq!(settings.check(), Ok(()));
        assert_eq!(settings.chain("builtin"), Some(Vec::new()));
        assert_eq!(settings.chain("a").unwrap(), ["a", "b", "c"]);
        assert_eq!(settings.chain("powerful").unwrap(), ["b", "c", "a"]);
        assert_eq!(settings.chain("gpt-4"), None);
        assert_eq!(settings.chain(""), None);
        assert_eq!(settings.choices(), ["builtin", "a", "b", "c", "fast", "powerful"]);
    }

    #[test]
    fn models_that_are_not_asked_by_themselves_are_told() {
        assert_eq!(PromptSettings::default().said_of_models(), None);
        let told = settings().said_of_models().unwrap();
        assert!(told.starts_with("builtin; only where a question names it (ai_model): a, b, c. "), "{told}");
        let asked = |choice: &str| PromptSettings { default_model: choice.to_owned(), ..settings() };
        assert_eq!(asked("a").said_of_models().unwrap(), "a, then b, then c");
        let told = asked("c").said_of_models().unwrap();
        assert!(told.starts_with("c; only where a question names it (ai_model): a, b. "), "{told}");
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_its_key() {
        let mut wrong = settings();
        wrong.models.get_mut("c").unwrap().fallback = vec!["z".to_owned()];
        assert!(wrong.check().unwrap_err().contains("models.c: fallback"));
        let wrong = PromptSettings { default_model: "gpt-4".to_owned(), ..settings() };
        assert!(wrong.check().unwrap_err().starts_with("default_model"));
        let mut wrong = settings();
        wrong.models.get_mut("a").unwrap().base_url =
            "https://models.example.com/v1/chat/completions/".to_owned();
        let told = wrong.check().unwrap_err();
        assert_eq!(told, "models.a: base_url ends before /chat/completions, which is added");
        for end in ["?api-version=1", "#v1", "/chat/completions?api-version=1"] {
            let mut wrong = settings();
            wrong.models.get_mut("a").unwrap().base_url.push_str(end);
            let told = wrong.check().unwrap_err();
            assert_eq!(
                told,
                "models.a: base_url has no query and no fragment: /chat/completions is added behind it"
            );
        }
        let wrong = PromptSettings { at_once: 0, ..settings() };
        assert!(wrong.check().unwrap_err().contains("at_once"));
        let mut wrong = settings();
        wrong.models.get_mut("a").unwrap().input_price = f64::NAN;
        assert!(wrong.check().unwrap_err().contains("prices"));
        let mut wrong = settings();
        wrong.models.get_mut("a").unwrap().api_key_file = Some("/nope".into());
        let told = wrong.check().unwrap_err();
        assert!(told.starts_with("models.a: api_key_file: /nope: No such file"), "{told}");
    }
}

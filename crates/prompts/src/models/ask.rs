//! A question is put to models: the first that answers, with at most two rounds in which it corrects itself.

use tidegate_kernel::Fault;

use super::client::{Model, Reply, Silent, Tokens, tokens_of};
use super::instruct::{Message, first, objection, unreadable};
use super::reply::{Answer, read};
use super::retrieval::retrieved;
use super::spend::month_of;
use crate::executions::execution::{AiMetadata, ExecutionError};
use crate::executions::live::Running;
use crate::executions::run::{NotMade, Task};
use crate::ports::{QueryFailure, QueryRequest, Relation};
use crate::{PromptTables, Prompts};

/// Rounds in which a model may correct itself.
const REPAIRS: usize = 2;

/// SQL that can be run.
pub(crate) struct Made {
    pub(crate) request: QueryRequest,
    pub(crate) model: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) metadata: Option<AiMetadata>,
}

impl Made {
    /// What a person wrote.
    pub(crate) const fn written(request: QueryRequest) -> Self {
        Self { request, model: None, request_id: None, metadata: None }
    }
}

/// A model did not answer, so that the next one is asked; or the question is lost.
enum Miss {
    Silent,
    Lost(NotMade),
}

/// One model, and a question.
struct Talk<'t> {
    name: &'t str,
    model: &'t Model,
    running: &'t Running,
    messages: Vec<Message>,
    tokens: u64,
    request_id: Option<String>,
}

impl Talk<'_> {
    fn metadata(&self, explanation: Option<String>, confidence: f64) -> AiMetadata {
        AiMetadata {
            model: self.name.to_owned(),
            confidence,
            tokens_used: self.tokens,
            explanation,
            not_understood: Vec::new(),
            suggestions: Vec::new(),
        }
    }

    fn lost(&self, error: ExecutionError) -> Miss {
        Miss::Lost((error, Some(Box::new(self.metadata(None, 0.0)))))
    }
}

impl Prompts {
    /// SQL for a question, checked: of the first model of the chain that answers.
    pub(crate) async fn ask_models(
        &self,
        running: &Running,
        task: &Task,
        question: &str,
        relations: &[Relation],
    ) -> Result<Made, NotMade> {
        let tables = retrieved(relations, question, self.settings.schema_tokens);
        let today = task.started_at.iso_seconds();
        let today = today.split('T').next().unwrap_or_default();
        for name in &task.chain {
            let Some(model) = self.models.get(name) else { continue };
            let messages = first(question, &tables, today);
            let talk = Talk { name, model, running, messages, tokens: 0, request_id: None };
            match self.talk(task, talk).await {
                Ok(made) => return Ok(made),
                Err(Miss::Silent) => {}
                Err(Miss::Lost(failed)) => return Err(failed),
            }
        }
        let error =
            ExecutionError::new("model_unavailable", "No model answers at the moment. Ask again later.");
        Err((error, None))
    }

    /// Asks one model until its SQL can be run.
    async fn talk(&self, task: &Task, mut talk: Talk<'_>) -> Result<Made, Miss> {
        let mut wrong = ExecutionError::new("model_refused", "The model did not answer with a query.");
        for _ in 0..=REPAIRS {
            let reply = self.paid(task, &mut talk).await?;
            let Some(text) = reply.text else {
                talk.messages.push(unreadable());
                continue;
            };
            match read(&text) {
                None => {
                    wrong = ExecutionError::new("model_refused", "The model did not answer with a query.");
                    talk.messages.push(Message { role: "assistant", content: text });
                    talk.messages.push(unreadable());
                }
                Some(Answer::Refused(why)) => {
                    let metadata = talk.metadata(Some(why), 0.0);
                    let error = ExecutionError::new(
                        "not_understood",
                        "The model cannot answer this from the tables.",
                    );
                    return Err(Miss::Lost((error, Some(Box::new(metadata)))));
                }
                Some(Answer::Query { sql, parameters, explanation, confidence }) => {
                    let request = task.request(sql, parameters);
                    let failure = match self.ports.queries.check(&request).await {
                        Ok(()) => {
                            return Ok(Made {
                                request,
                                model: Some(talk.name.to_owned()),
                                request_id: talk.request_id.clone(),
                                metadata: Some(talk.metadata(explanation, confidence)),
                            });
                        }
                        Err(failure) => failure,
                    };
                    wrong = self.correct(&mut talk, text, failure)?;
                }
            }
        }
        Err(talk.lost(wrong))
    }

    /// Has a model correct what it wrote, where that could help.
    fn correct(
        &self,
        talk: &mut Talk<'_>,
        text: String,
        failure: QueryFailure,
    ) -> Result<ExecutionError, Miss> {
        if !failure.code.is_about_the_text() {
            return Err(talk.lost(failure.into()));
        }
        talk.messages.push(Message { role: "assistant", content: text });
        talk.messages.push(objection(&failure));
        Ok(failure.into())
    }

    /// Asks a model once, within what the organization may spend: what it could cost is set aside before.
    async fn paid(&self, task: &Task, talk: &mut Talk<'_>) -> Result<Reply, Miss> {
        let sent: u64 = talk.messages.iter().map(|message| tokens_of(&message.content)).sum();
        let most = talk.model.price(sent, u64::from(talk.model.settings.max_output_tokens));
        let fault = |fault: Fault| {
            tracing::error!(error = %fault, "what a model costs cannot be written");
            Miss::Lost((ExecutionError::new("internal", "The model could not be asked."), None))
        };
        if !self.set_aside(task, most).await.map_err(fault)? {
            let text = "The organization has spent what it may on models this month.";
            return Err(talk.lost(ExecutionError::new("spend_limit", text)));
        }
        let reply = talk.model.ask(talk.name, &talk.messages, talk.running).await;
        let Tokens { input, output } = match &reply {
            Ok(reply) => reply.tokens,
            Err(Silent(tokens)) => *tokens,
        };
        // It may have cost more than was set aside. What was refused cost nothing; what broke off did.
        let cost = talk.model.price(input, output);
        self.settle(task, cost.saturating_sub(most), input, output).await.map_err(fault)?;
        talk.tokens = talk.tokens.saturating_add(input).saturating_add(output);
        match reply {
            Ok(reply) => {
                talk.request_id.clone_from(&reply.request_id);
                Ok(reply)
            }
            Err(Silent(_)) => Err(Miss::Silent),
        }
    }

    /// Sets aside what a request could cost. False when that is more than there is.
    async fn set_aside(&self, task: &Task, micros: i64) -> Result<bool, Fault> {
        let limit = self.settings.monthly_spend_per_organization;
        let (organization, month) = (task.person.organization, month_of(self.kernel.now()));
        let mut unit = self.kernel.store.begin().await?;
        let sum = unit.model_spend().add(organization, month, micros, 0, 0).await?;
        if limit > 0.0 && sum as f64 > limit * 1e6 {
            // Nothing is written: the unit is dropped.
            return Ok(false);
        }
        unit.commit().await?;
        Ok(true)
    }

    /// Corrects what was set aside by what it did cost.
    async fn settle(&self, task: &Task, micros: i64, input: u64, output: u64) -> Result<(), Fault> {
        let whole = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let (organization, month) = (task.person.organization, month_of(self.kernel.now()));
        let mut unit = self.kernel.store.begin().await?;
        unit.model_spend().add(organization, month, micros, whole(input), whole(output)).await?;
        Ok(unit.commit().await?)
    }
}

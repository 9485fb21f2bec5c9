//! The progress of an execution is followed as it changes, and what a model explains while it writes: on the node that runs it as it comes, on
//! others as that node writes it down, every two seconds (`lease_job.rs`).

use std::sync::Arc;
use std::time::Duration;

use tidegate_domain::Permission;
use tidegate_kernel::Actor;
use tidegate_kernel::fault::Outcome;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::execution::{Execution, PartStatus};
use super::live::Drafted;
use super::repository::Progress;
use crate::{PromptRefusal, Prompts};

/// How often an execution of another node is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often something is sent although nothing changed, so that proxies keep the connection.
const QUIET: Duration = Duration::from_secs(15);
/// Longest time that it is followed.
const LONGEST: Duration = Duration::from_secs(900);
/// Words of a model are gathered for so long: each event looks whether the session still is.
const PACE: Duration = Duration::from_millis(100);

/// What a follower is told.
#[derive(Debug)]
pub enum News {
    /// It is somewhere else now, or it is over.
    Changed(Box<Execution>),
    /// A model wrote more of its explanation.
    Said(Said),
    /// Nothing happened for a while.
    Quiet,
}

/// More of what a model explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The answer it belongs to, from 1: what was said in an earlier one is void.
    pub attempt: u32,
    /// What is new.
    pub text: String,
}

/// Follows an execution to its end.
pub struct Follower {
    prompts: Arc<Prompts>,
    actor: Actor,
    number: i64,
    told: Option<(i64, PartStatus, Option<PartStatus>)>,
    /// The answer that was told of last, and how many bytes of it.
    told_draft: (u32, usize),
    was_said: bool,
    /// Where it runs on this node.
    here: Option<Here>,
    begun: Instant,
    is_over: bool,
}

/// An execution of this node.
struct Here {
    progress: watch::Receiver<Option<Progress>>,
    draft: watch::Receiver<Drafted>,
}

impl Prompts {
    /// Begins to follow an execution of the caller's.
    ///
    /// Source: extension "prompts/executions/{execution_id}/events".
    ///
    /// # Errors
    /// [`PromptRefusal::ExecutionNotFound`].
    pub async fn follow_execution(
        self: &Arc<Self>,
        actor: &Actor,
        number: i64,
    ) -> Outcome<Follower, PromptRefusal> {
        actor.authorize(Permission::ReadPrompts)?;
        self.execution(actor, number).await?;
        let (prompts, actor) = (Arc::clone(self), actor.clone());
        let here = self.live.watch(number).zip(self.live.draft(number));
        Ok(Follower {
            prompts,
            actor,
            number,
            told: None,
            told_draft: (0, 0),
            was_said: false,
            here: here.map(|(progress, draft)| Here { progress, draft }),
            begun: Instant::now(),
            is_over: false,
        })
    }
}

/// What there is more of an answer than was told, and how many bytes are told then.
fn news(draft: &Drafted, told: (u32, usize)) -> Option<(u32, String, usize)> {
    let told = match told {
        (attempt, told) if attempt == draft.attempt => told,
        // What is written down may be of the answer before.
        (attempt, _) if attempt > draft.attempt => return None,
        _ => 0,
    };
    // Within one answer the text only grows.
    let text = draft.text.get(told..).filter(|text| !text.is_empty())?.to_owned();
    Some((draft.attempt, text, draft.text.len()))
}

impl Follower {
    /// What happens next; none after the end, and when the caller's session is over.
    pub async fn next(&mut self) -> Option<News> {
        let asked = Instant::now();
        if std::mem::take(&mut self.was_said) {
            sleep(PACE).await;
        }
        while !self.is_over && self.begun.elapsed() < LONGEST {
            // Before it is looked at: what changes from here on is waited for in vain by nobody.
            if let Some(here) = &mut self.here {
                here.progress.mark_unchanged();
                here.draft.mark_unchanged();
            }
            // With its session: one that ended sees no more.
            let execution = self.prompts.execution(&self.actor, self.number).await.ok()?;
            let at = (execution.progress, execution.ai_status, execution.query_status);
            self.is_over = execution.status.is_over();
            if self.is_over || self.told != Some(at) {
                self.told = Some(at);
                return Some(News::Changed(Box::new(execution)));
            }
            if let Some(said) = self.said(execution.draft.as_ref()) {
                self.was_said = true;
                return Some(News::Said(said));
            }
            if asked.elapsed() >= QUIET {
                return Some(News::Quiet);
            }
            self.wait().await;
        }
        None
    }

    /// What a model said since; `written` is what the store has of it.
    fn said(&mut self, written: Option<&Drafted>) -> Option<Said> {
        let (attempt, text, told) = match &self.here {
            Some(here) => news(&here.draft.borrow(), self.told_draft)?,
            None => news(written?, self.told_draft)?,
        };
        self.told_draft = (attempt, told);
        Some(Said { attempt, text })
    }

    /// Until something may have changed.
    async fn wait(&mut self) {
        let Some(here) = &mut self.here else { return sleep(LOOK).await };
        let is_gone = tokio::select! {
            changed = here.progress.changed() => changed.is_err(),
            changed = here.draft.changed() => changed.is_err(),
            () = sleep(LOOK) => false,
        };
        // It no longer runs here. Its end is in the store, or another node will find that it was lost.
        if is_gone {
            self.here = None;
        }
    }
}

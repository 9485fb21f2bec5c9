//! What somebody asked, the latest first; and how it is cleared.

use std::time::Duration;

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::{Permission, Timestamp};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::{Actor, Call};

use super::list::Order;
use super::prompt::{Prompt, PromptStatus};
use crate::executions::execution::words;
use crate::work::{Acting, Person};
use crate::{PromptRefusal, PromptTables, Prompts};

/// A day.
const DAY: u64 = 24 * 3_600;

words! {
    /// How far back.
    TimePeriod {
        /// A week.
        Last7Days = "last_7_days",
        /// A month.
        Last30Days = "last_30_days",
        /// A quarter.
        Last90Days = "last_90_days",
        /// From the beginning.
        All = "all",
    }
}

impl TimePeriod {
    /// Its beginning; none for the beginning of time.
    pub fn since(self, now: Timestamp) -> Option<Timestamp> {
        let days = match self {
            Self::Last7Days => 7,
            Self::Last30Days => 30,
            Self::Last90Days => 90,
            Self::All => return None,
        };
        Some(now.minus(Duration::from_secs(days * DAY)))
    }
}

words! {
    /// What a history is sorted by.
    HistorySorting {
        /// When it was asked last.
        Timestamp = "timestamp",
        /// What became of it.
        Status = "status",
        /// How long it took.
        ExecutionTime = "execution_time",
    }
}

/// How a history is sorted.
#[derive(Clone, Copy, Debug)]
pub struct HistoryOrder {
    /// By what.
    pub sorting: HistorySorting,
    /// In which direction.
    pub order: Order,
}

impl HistoryOrder {
    pub(super) const fn as_str(self) -> &'static str {
        self.sorting.as_str()
    }
}

/// Which part of a history is read.
#[derive(Clone, Debug)]
pub struct HistoryWanted {
    /// Of the workspace of that number.
    pub workspace: Option<i64>,
    /// In that state.
    pub status: Option<PromptStatus>,
    /// Of that data source.
    pub source: Option<i64>,
    /// How far back.
    pub period: TimePeriod,
    /// With that in their name or text.
    pub search: Option<String>,
    /// How they are sorted.
    pub sorting: HistoryOrder,
    /// From 1.
    pub page: i64,
    /// At most so many.
    pub page_size: i64,
}

/// The same, with a beginning.
pub(super) struct HistoryFilter {
    pub(super) workspace: Option<i64>,
    pub(super) status: Option<PromptStatus>,
    pub(super) source: Option<i64>,
    pub(super) since: Option<Timestamp>,
    pub(super) search: Option<String>,
    pub(super) sorting: HistoryOrder,
    pub(super) page: i64,
    pub(super) page_size: i64,
}

impl HistoryWanted {
    fn at(&self, now: Timestamp) -> HistoryFilter {
        HistoryFilter {
            workspace: self.workspace,
            status: self.status,
            source: self.source,
            since: self.period.since(now),
            search: self.search.clone(),
            sorting: self.sorting,
            page: self.page,
            page_size: self.page_size,
        }
    }
}

impl Prompts {
    /// A page of what the caller asked, one item for each saved question, and how many there are in all.
    ///
    /// Source: RiverGen "prompts/history".
    ///
    /// # Errors
    /// Only faults.
    pub async fn prompt_history(
        &self,
        actor: &Actor,
        wanted: &HistoryWanted,
    ) -> Result<(Vec<Prompt>, i64), Fault> {
        let (mut unit, grant) = self.read_as(actor, Permission::ReadPrompts).await?;
        let filter = wanted.at(self.kernel.now());
        Ok(unit.prompts().history(Person::of(grant), &filter).await?)
    }

    /// The same of another member, for administrators.
    ///
    /// # Errors
    /// [`PromptRefusal::MemberNotFound`].
    pub async fn prompt_history_of_member(
        &self,
        actor: &Actor,
        member: i64,
        wanted: &HistoryWanted,
    ) -> Outcome<(Vec<Prompt>, i64), PromptRefusal> {
        let (mut unit, grant) = self.read_as(actor, Permission::AdministerPrompts).await?;
        let organization = grant.organization();
        let Some(account) = unit.prompts().member(organization, member).await? else {
            return refuse(PromptRefusal::MemberNotFound);
        };
        let filter = wanted.at(self.kernel.now());
        Ok(unit.prompts().history(Person { organization, account }, &filter).await?)
    }

    /// Deletes the caller's saved questions, those that match; answers how many.
    ///
    /// Source: RiverGen "prompts/history/clear".
    ///
    /// # Errors
    /// Only faults.
    pub async fn clear_history(
        &self,
        call: &Call,
        actor: &Actor,
        workspace: Option<i64>,
        period: TimePeriod,
    ) -> Result<u64, Fault> {
        let work = self.begin_as(call, actor, Permission::ManagePrompts).await?;
        let person = work.person();
        work.clear(person, workspace, period).await
    }

    /// The same of another member, for administrators.
    ///
    /// # Errors
    /// [`PromptRefusal::MemberNotFound`].
    pub async fn clear_history_of_member(
        &self,
        call: &Call,
        actor: &Actor,
        member: i64,
        workspace: Option<i64>,
        period: TimePeriod,
    ) -> Outcome<u64, PromptRefusal> {
        let mut work = self.begin_as(call, actor, Permission::AdministerPrompts).await?;
        let organization = work.grant.organization();
        let Some(account) = work.unit.prompts().member(organization, member).await? else {
            return refuse(PromptRefusal::MemberNotFound);
        };
        Ok(work.clear(Person { organization, account }, workspace, period).await?)
    }
}

impl Acting<'_> {
    async fn clear(
        mut self,
        person: Person,
        workspace: Option<i64>,
        period: TimePeriod,
    ) -> Result<u64, Fault> {
        let (now, since) = (self.now, period.since(self.now));
        let purge_at = now.plus(self.app.settings.keep_deleted);
        let cleared = self.unit.prompts().clear(person, workspace, since, now, purge_at).await?;
        let subject = self.grant.subject();
        let metadata = json!({ "prompts": cleared, "of": person.account.to_string() });
        self.audit(Action::PromptHistoryCleared, subject, metadata).await?;
        self.commit().await?;
        Ok(cleared)
    }
}

//! The operator runs a query as a member, to see what the member sees.

use std::time::Duration;

use serde_json::{Value, json};
use tidegate_domain::Permission;
use tidegate_domain::audit::Action;
use tidegate_kernel::fault::{Fault, Outcome, Refused, refuse};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Call, Member, Reader};
use tokio::time::timeout;

use super::format::{ResultFormat, columns_of};
use super::result::{Download, RETRY_AFTER};
use crate::ports::{Purpose, QueryRequest, Remarks, ResultColumn};
use crate::work::Person;
use crate::{PromptRefusal, PromptTables, Prompts};

/// Longest time until what policies decided is written: a query that was given up may go on for as long as it does not yield.
const RECORDED_WITHIN: Duration = Duration::from_secs(10);
/// Most characters of a statement that the audit log keeps.
const AUDITED: usize = 4_000;

/// A query of the operator's.
#[derive(Clone, Debug)]
pub struct OperatorQuery {
    /// In whose place.
    pub member: Member,
    /// The number of a workspace; the member's default one when none is given.
    pub workspace: Option<i64>,
    /// Numbers of data sources.
    pub sources: Vec<i64>,
    /// One statement.
    pub sql: String,
    /// Values of its placeholders, in their order.
    pub parameters: Vec<Value>,
}

/// What a member sees.
pub struct OperatorAnswer {
    /// The columns.
    pub columns: Vec<ResultColumn>,
    /// The rows, as they come.
    pub rows: Download,
    /// Which policies changed them: all of it once [`Prompts::operator_queries_recorded`] came back after the rows were taken or dropped.
    pub remarks: Remarks,
}

impl Prompts {
    /// Runs a query as a member of an organization: on the same way as their own, under the policies that hold for them. It is in the
    /// audit log before a row is shown, and what policies decided is recorded; it is no execution of the member's, and counts against
    /// none of their limits.
    ///
    /// Source: `tidegate query`.
    ///
    /// # Errors
    /// [`PromptRefusal::WorkspaceNotFound`], [`PromptRefusal::Query`].
    pub async fn query_for_operator(
        &self,
        call: &Call,
        query: OperatorQuery,
        format: ResultFormat,
    ) -> Outcome<OperatorAnswer, PromptRefusal> {
        let OperatorQuery { member, workspace, sources, sql, parameters } = query;
        let mut unit = self.kernel.begin_for_call(call).await?;
        let person = Person { organization: member.organization, account: member.account };
        let sees_all = member.role.permissions().contains(Permission::AdministerDataSources);
        let found = unit.prompts().workspace(person, sees_all, workspace).await?;
        let Some((_, workspace)) = found else { return refuse(PromptRefusal::WorkspaceNotFound) };
        let subject =
            Subject { account: Some(member.account), organization: Some(member.organization), session: None };
        let asked: String = sql.chars().take(AUDITED).collect();
        let metadata = json!({ "data_sources": sources, "workspace": workspace, "sql": asked });
        let now = self.kernel.now();
        let mut work = tidegate_kernel::Work { kernel: &self.kernel, call, unit: &mut unit, now };
        work.audit(Action::DataQueriedAs, subject, metadata).await?;
        unit.commit().await?;
        let Some(place) = self.live.place() else {
            return Err(Fault::Busy { retry_after: RETRY_AFTER }.into());
        };
        let remarks = Remarks::default();
        let request = QueryRequest {
            purpose: Purpose::Operator(remarks.clone()),
            workspace: Some(workspace),
            reader: Reader::Member(member),
            sources,
            schemas: Vec::new(),
            sql,
            parameters,
        };
        let answer = self.ports.queries.run(request).await;
        let answer = answer.map_err(|failure| Refused::Rule(PromptRefusal::from(failure)))?;
        let columns = columns_of(&answer.schema);
        let rows = Download::new(format, answer, place, self.settings.longest)?;
        Ok(OperatorAnswer { columns, rows, remarks })
    }

    /// Waits until what policies decided of the operator's queries is written down, once their rows were taken or dropped. For a program
    /// that ends then.
    pub async fn operator_queries_recorded(&self) {
        if timeout(RECORDED_WITHIN, self.ports.queries.recorded()).await.is_err() {
            tracing::error!("what policies decided was not written in time");
        }
    }
}

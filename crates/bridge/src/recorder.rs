//! What policies decided of a query is written down.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::{Map, Value, json};
use tidegate_database::Unit;
use tidegate_domain::Timestamp;
use tidegate_engine::{Decision, Decisions, Pushed, RelationName};
use tidegate_kernel::{Fault, Member};
use tidegate_policies::Policies;
use tidegate_policies::evaluations::record::{Evaluated, Records};
use tidegate_policies::governed::governance::detail_of;
use tidegate_policies::governed::person::WHERE_ATTRIBUTES_COME_FROM;
use tidegate_policy::{Decision as Access, Reason};
use tidegate_prompts::ports::{self, QueryFailure, Remarks};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::remarks;

/// Longest value of an attribute that is told, in characters; of a longer one the beginning.
const LONGEST_VALUE: usize = 100;

/// What a query is known by whose decisions are recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recorded {
    /// The number of its execution; none where it is of none.
    pub(crate) execution: Option<i64>,
    /// The client's address.
    pub(crate) ip: Option<IpAddr>,
    /// What it was run for, where its person did not ask for its rows.
    pub(crate) purpose: Option<&'static str>,
}

/// How many recorders may have something to write.
#[derive(Clone)]
pub(crate) struct Unwritten(Arc<watch::Sender<usize>>);

impl Unwritten {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    /// One more, until what is answered is dropped.
    pub(crate) fn one(&self) -> Writing {
        self.0.send_modify(|count| *count = count.saturating_add(1));
        Writing(self.clone())
    }

    /// Waits until there is none.
    pub(crate) async fn none(&self) {
        // It fails where the sender is gone, which is held here.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}

/// What is counted.
pub(crate) struct Writing(Unwritten);

impl Drop for Writing {
    fn drop(&mut self) {
        let Self(Unwritten(count)) = self;
        count.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// What else is told in the record of what policies decided, which administrators read, and nobody else: what the query was run for, and
/// what was left to the source.
fn metadata(decision: &Decision, purpose: Option<&str>) -> Map<String, Value> {
    let readings = decision.pushed.iter().map(|pushed| {
        let Pushed { columns, filters, order, limit } = pushed;
        json!({ "columns": columns, "filters": filters, "order": order, "limit": limit })
    });
    let readings: Vec<Value> = readings.collect();
    let purpose = purpose.map(|purpose| ("purpose".to_owned(), Value::from(purpose)));
    purpose.into_iter().chain([("pushed_down".to_owned(), Value::from(readings))]).collect()
}

/// Whether a query got so far that it could have read a relation.
fn was_read(decision: &Decision) -> bool {
    decision.resolved.decision == Access::Allowed && !decision.refused
}

/// Writes what was decided down.
pub(crate) struct Recorder {
    policies: Arc<Policies>,
    who: Member,
    recorded: Recorded,
    /// Numbers of data sources by what they are called in the query.
    sources: HashMap<String, i64>,
    handle: Handle,
    writing: Arc<Writing>,
}

impl Recorder {
    /// For a person's query. `sources` are the numbers of data sources by what they are called in it.
    pub(crate) fn new(
        policies: &Arc<Policies>,
        who: Member,
        recorded: Recorded,
        sources: HashMap<String, i64>,
        writing: Writing,
    ) -> Self {
        let (policies, writing) = (Arc::clone(policies), Arc::new(writing));
        Self { policies, who, recorded, sources, handle: Handle::current(), writing }
    }

    /// What is to be written of what was decided; none where nothing was.
    fn records_of(&self, decisions: &[Decision]) -> Option<Records> {
        let Recorded { execution, ip, purpose } = self.recorded;
        let ip = ip.map(|ip| ip.to_string()).unwrap_or_default();
        let relation = |decision: &Decision| tidegate_policy::Relation {
            source: self.sources.get(&decision.relation.source).copied().unwrap_or_default(),
            schema: Some(decision.relation.schema.clone()).filter(|schema| schema != RelationName::NO_SCHEMA),
            table: decision.relation.table.clone(),
            columns: Vec::new(),
        };
        let relations: Vec<tidegate_policy::Relation> = decisions.iter().map(relation).collect();
        let evaluated: Vec<Evaluated<'_>> = decisions
            .iter()
            .zip(&relations)
            .map(|(decision, relation)| Evaluated {
                organization: self.who.organization,
                user: self.who.number,
                query: execution,
                relation,
                resolved: &decision.resolved,
                rows_returned: Some(decision.rows).filter(|_| was_read(decision)),
                is_refused: decision.refused,
                rows_filtered: None,
                ip: &ip,
                metadata: metadata(decision, purpose),
            })
            .collect();
        self.policies.records_of(&evaluated)
    }

    /// Writes them by themselves.
    fn write(&self, records: Records) {
        let (policies, writing) = (Arc::clone(&self.policies), Arc::clone(&self.writing));
        self.handle.spawn(async move {
            if let Err(error) = policies.write_records(records).await {
                tracing::error!(%error, "what policies decided cannot be written");
            }
            drop(writing);
        });
    }
}

impl Decisions for Recorder {
    fn keep(&self, decisions: Vec<Decision>) {
        if let Some(records) = self.records_of(&decisions) {
            self.write(records);
        }
    }
}

/// Keeps what is decided of an execution's query until the end of the execution takes it, to write it with that. What is decided later, and
/// what nobody takes, is written by itself.
pub(crate) struct Held {
    recorder: Arc<Recorder>,
    /// None once they were taken.
    decisions: Mutex<Option<Vec<Decision>>>,
}

impl Held {
    pub(crate) fn new(recorder: Recorder) -> Self {
        Self { recorder: Arc::new(recorder), decisions: Mutex::new(Some(Vec::new())) }
    }
}

impl Decisions for Held {
    fn keep(&self, decisions: Vec<Decision>) {
        let mut held = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = held.as_mut() {
            held.extend(decisions);
            return;
        }
        drop(held);
        self.recorder.keep(decisions);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let held = self.decisions.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.recorder.keep(held.take().unwrap_or_default());
    }
}

impl ports::Recorded for Held {
    fn take(&self) -> Option<Box<dyn ports::Records>> {
        let held = self.decisions.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let records = self.recorder.records_of(&held)?;
        Some(Box::new(Taken { recorder: Arc::clone(&self.recorder), records: Some(records) }))
    }
}

/// Records on their way into the unit that ends their execution.
struct Taken {
    recorder: Arc<Recorder>,
    /// None once they are written.
    records: Option<Records>,
}

#[async_trait]
impl ports::Records for Taken {
    fn is_one_statement(&self) -> bool {
        self.records.as_ref().is_none_or(Records::is_one_statement)
    }

    async fn put_off(&self, unit: &mut Unit) -> Result<(), Fault> {
        match &self.records {
            Some(records) => Ok(records.put_off(unit).await?),
            None => Ok(()),
        }
    }

    fn written(mut self: Box<Self>) {
        self.records = None;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(records) = self.records.take() {
            self.recorder.write(records);
        }
    }
}

/// Passes what is decided on, and tells the operator which policies deny what a query named, and which filter and mask what it read. Its
/// person is told nothing of that.
pub(crate) struct Told {
    keeper: Arc<dyn Decisions>,
    denials: Mutex<Vec<String>>,
    remarks: Remarks,
    began: Timestamp,
}

impl Told {
    /// Of a query that begins now. Remarks on what was read are left in `remarks`.
    pub(crate) fn new(keeper: Arc<dyn Decisions>, remarks: Remarks, began: Timestamp) -> Self {
        Self { keeper, denials: Mutex::default(), remarks, began }
    }

    /// A failure of the query, with what was denied so far.
    pub(crate) fn explain(&self, failure: QueryFailure) -> QueryFailure {
        let denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        let message = denials.iter().fold(failure.message, |text, denial| format!("{text} {denial}"));
        QueryFailure { message, ..failure }
    }
}

impl Decisions for Told {
    fn keep(&self, decisions: Vec<Decision>) {
        let mut denials = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        denials.extend(decisions.iter().filter_map(|decision| denial(decision, self.began)));
        drop(denials);
        self.remarks.add(decisions.iter().flat_map(remarks::of));
        self.keeper.keep(decisions);
    }
}

/// Which policy denies a relation, and why: in the words of the records.
fn denial(decision: &Decision, began: Timestamp) -> Option<String> {
    let Access::Denied(denial) = &decision.resolved.decision else { return None };
    let by = denial.policy.map(|policy| format!("policy {} denies", policy.id));
    let by = by.unwrap_or_else(|| "no policy allows".to_owned());
    let about = detail_of(&denial.reason, began).map(|detail| format!(" ({detail})")).unwrap_or_default();
    let told = format!("For this member {by} {}: {}{about}.", decision.relation, denial.reason.as_str());
    Some(match &denial.reason {
        Reason::MissingAttribute(_) => format!("{told} {WHERE_ATTRIBUTES_COME_FROM}"),
        Reason::UnfitAttribute(name, kind) => {
            let value = decision.resolved.attributes.get(name).map(|value| value.to_json().to_string());
            let value = value.unwrap_or_default();
            let value: String = value.chars().filter(|c| !c.is_control()).take(LONGEST_VALUE).collect();
            format!(
                "{told} Their {name} is {value}, and is compared with a column of type {kind}. {WHERE_ATTRIBUTES_COME_FROM}"
            )
        }
        _ => told,
    })
}

/// Keeps what is decided of several queries until the last of them is over, and then writes it down as of one.
pub(crate) struct Gathered {
    recorder: Recorder,
    decisions: Mutex<Vec<Decision>>,
}

impl Gathered {
    pub(crate) fn new(recorder: Recorder) -> Self {
        Self { recorder, decisions: Mutex::default() }
    }
}

impl Decisions for Gathered {
    fn keep(&self, decisions: Vec<Decision>) {
        let mut all = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        for next in decisions {
            if !all.iter_mut().any(|one| one.takes_in(&next)) {
                all.push(next);
            }
        }
    }
}

impl Drop for Gathered {
    fn drop(&mut self) {
        let all = self.decisions.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.recorder.keep(std::mem::take(all));
    }
}

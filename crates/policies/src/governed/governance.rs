//! What holds for one person: policies and attributes, as they were at one moment.

use std::sync::Arc;

use tidegate_crypto::MaskKey;
use tidegate_crypto::digest::ContentDigest;
use tidegate_domain::Timestamp;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_kernel::Fault;
use tidegate_policy::{Attribute, Reason, Relation, Request, Resolved, Subject, resolve};

use super::load::Active;
use super::person::Person;
use crate::Policies;
use crate::hooks::KnownRelation;
use crate::records::native::supposed;

/// Who asks, and where: numbers of a workspace, data sets and a saved query, as far as there are any.
#[derive(Clone, Debug)]
pub struct Asker {
    /// The account.
    pub account: AccountId,
    /// The organization whose data it is.
    pub organization: OrganizationId,
    /// The workspace in which the query runs. One that is not the person's counts as none.
    pub workspace: Option<i64>,
    /// Data sets that the query reads.
    pub datasets: Vec<i64>,
    /// The saved query that runs.
    pub query: Option<i64>,
}

/// What holds for one person. It does not change: whoever runs a query takes one for it, and another for the next query or page.
#[derive(Clone)]
pub struct Governance {
    subject: Subject,
    active: Arc<Active>,
    deny_by_default: bool,
    /// Present where a policy hashes.
    key: Option<MaskKey>,
}

impl Policies {
    /// What holds for a person now: the policies of the organization and the person's attributes, at most two seconds old, and at once as
    /// they were changed on this node. None where the account is disabled, or no member: then nothing may be read.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn governance(&self, asker: &Asker) -> Result<Option<Governance>, Fault> {
        let Some(person) = self.person(asker.account, asker.organization).await? else { return Ok(None) };
        let workspace = match asker.workspace {
            Some(number) => {
                self.own_workspace(asker.account, asker.organization, person.role, number).await?
            }
            None => None,
        };
        let mut subject = subject_of(&person, workspace);
        subject.datasets.clone_from(&asker.datasets);
        subject.query = asker.query;
        Ok(Some(self.governance_of(asker.organization, subject).await?))
    }

    /// What holds for whoever is described.
    pub(crate) async fn governance_of(
        &self,
        organization: OrganizationId,
        subject: Subject,
    ) -> Result<Governance, Fault> {
        let active = self.active_policies(organization).await?;
        let key = match active.hashes {
            true => Some(MaskKey::new(self.hash_key(organization).await?.as_ref())),
            false => None,
        };
        Ok(Governance { subject, active, deny_by_default: self.settings.deny_by_default, key })
    }
}

const fn millis(now: Timestamp) -> i64 {
    now.micros().div_euclid(1_000)
}

/// What a reason is about, with what the clocks of its windows show. For administrators.
pub fn detail_of(reason: &Reason, now: Timestamp) -> Option<String> {
    reason.detail(millis(now))
}

/// A person in a workspace.
fn subject_of(person: &Person, workspace: Option<i64>) -> Subject {
    let mut attributes = person.attributes.clone();
    let number = workspace.map(|number| Attribute::Number(number.to_string()));
    attributes.set_or_remove("workspace_id", number);
    Subject {
        user: Some(person.number),
        roles: vec![person.role.number()],
        workspace,
        attributes,
        ..Subject::default()
    }
}

impl Governance {
    /// What is left of a relation. `source_workspace` is the number of the workspace that its data source belongs to. The columns are
    /// those that the relation has when it is read.
    pub fn resolve(&self, relation: &Relation, source_workspace: Option<i64>, now: Timestamp) -> Resolved {
        let subject = Subject { source_workspace, ..self.subject.clone() };
        let request = Request {
            subject: &subject,
            relation,
            now_millis: millis(now),
            deny_by_default: self.deny_by_default,
        };
        resolve(&request, &self.active.policies)
    }

    /// The same of a relation that is known from its discovery alone: for names that are shown before anything is read.
    pub fn resolve_known(&self, known: &KnownRelation, now: Timestamp) -> Resolved {
        self.resolve(&supposed(known), Some(known.workspace), now)
    }

    /// What stands for all that decides what the person sees: it differs whenever an attribute or a policy does. None where that depends
    /// on the time.
    pub fn fingerprint(&self) -> Option<String> {
        let policies = self.active.digest()?;
        let all = format!("{:?} {policies} {}", self.subject, self.deny_by_default);
        Some(ContentDigest::of(all.as_bytes()))
    }

    /// The keyed hash of a value, for masks: HMAC-SHA-256 under the organization's key. All zeros where no policy hashes, so that none is
    /// asked for.
    pub fn hash(&self, value: &[u8]) -> [u8; 32] {
        self.key.as_ref().map_or([0; 32], |key| key.hash(value))
    }

    /// Whether policies may have a part in what is read of a data source: then nothing of it is given around the engine (its file, its raw
    /// answers to test queries).
    pub fn concerns_source(&self, source: i64, source_workspace: Option<i64>) -> bool {
        let subject = Subject { source_workspace, ..self.subject.clone() };
        let relation = Relation { source, schema: None, table: String::new(), columns: Vec::new() };
        self.deny_by_default || self.active.policies.iter().any(|policy| policy.applies(&subject, &relation))
    }

    /// Who it is for.
    pub fn subject(&self) -> &Subject {
        &self.subject
    }
}

/// Keys and attributes are nobody's to log.
impl std::fmt::Debug for Governance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Governance").field("user", &self.subject.user).finish_non_exhaustive()
    }
}

//! Approximate limits on all requests: counted in memory, shared between nodes once a second.
//!
//! A write per request would cost more than the request. So each node counts for itself, adds what it counted to the
//! store every second, and learns there what the others counted.

use tidegate_domain::Role;
use tidegate_domain::limit::{Limit, LimitStatus};

use crate::fault::Fault;
use crate::tables::limits::Attempts;
use crate::{Actor, Call, Kernel, KernelTables, limit_key, noted};

/// Whose requests those of an application are counted as.
fn application_of(actor: &Actor) -> Option<String> {
    let session = actor.grant().session();
    let application = session.application?;
    Some(match application.in_own_name {
        true => format!("application {}", application.id),
        false => format!("application {} account {}", application.id, session.account),
    })
}

impl Kernel {
    /// Counts a request without a valid access token. None when the contract has no such limit.
    pub fn meter_anonymous(&self, call: &Call) -> Option<LimitStatus> {
        let limit = call.profile.limits.anonymous_requests?;
        let (contract, now) = (call.profile.contract.as_str(), self.now());
        let mut narrowest = None;
        // Shown is the client's own status, unless a network around it is over its limit.
        for network in call.networks() {
            let caller = format!("{contract} ip {}", network.name);
            let status = self.meter.count(caller, limit.times(network.times), now);
            if status.exceeded {
                noted::limit(|| limit_key::of_contract(contract, "anonymous_requests"));
                return Some(status);
            }
            narrowest = narrowest.or(Some(status));
        }
        narrowest
    }

    /// Counts a request with one, for its organization where the contract has such a limit, else for its account; for both the application
    /// in whose hands it is and the account, where there is one. None when the contract has neither.
    pub fn meter_authenticated(&self, call: &Call, actor: &Actor) -> Option<LimitStatus> {
        let grant = actor.grant();
        let (limits, contract) = (&call.profile.limits, call.profile.contract.as_str());
        let limit = limits.requests_by_organization.or(limits.authenticated_requests);
        let (limit, caller) = match (limits.requests_by_organization, limits.authenticated_requests) {
            // Nor must applications keep it, or their users, from theirs: also not with tokens that allow nothing here.
            (Some(_), _) | (_, Some(_)) if grant.session().application.is_some() => {
                (limit?, format!("{contract} {}", application_of(actor)?))
            }
            // Tokens in the hands of end users must not keep the organization from its own.
            (Some(limit), _) if grant.role() == Role::Frontend => {
                (limit, format!("{contract} session {}", grant.session().id))
            }
            (Some(limit), _) => (limit, format!("{contract} organization {}", grant.organization())),
            (None, Some(limit)) => (limit, format!("{contract} account {}", grant.account())),
            (None, None) => return None,
        };
        let status = self.meter.count(caller, limit, self.now());
        if status.exceeded {
            let key = match limits.requests_by_organization {
                Some(_) => "requests_by_organization",
                None => "authenticated_requests",
            };
            noted::limit(|| limit_key::of_contract(contract, key));
        }
        Some(status)
    }

    /// Counts a request of `caller` against a limit of a feature's, which is configured by `key`.
    pub fn meter(&self, key: &str, caller: String, limit: Limit) -> LimitStatus {
        let status = self.meter.count(caller, limit, self.now());
        if status.exceeded {
            noted::limit(|| key.to_owned());
        }
        status
    }

    /// Counts something that a client causes, by every network it is counted by; answers the status of one that is over its limit. `what`
    /// names what is counted, `key` the configuration that bounds it.
    pub fn meter_networks(&self, key: &str, what: &str, call: &Call, limit: Limit) -> Option<LimitStatus> {
        let mut over = None;
        for network in call.networks() {
            let caller = format!("{what} ip {}", network.name);
            let status = self.meter(key, caller, limit.times(network.times));
            if status.exceeded {
                over = over.or(Some(status));
            }
        }
        over
    }

    /// Exchanges counts with the other nodes. Called every second by a worker.
    ///
    /// # Errors
    /// Those of the store; what was not exchanged is lost to the others, not to this node.
    pub async fn exchange_meters(&self) -> Result<(), Fault> {
        let now = self.now();
        // Short units: requests wait behind each of them on SQLite.
        for batch in self.meter.take_own(now).chunks(64) {
            let mut unit = self.store.begin().await?;
            let attempts: Vec<Attempts> = batch
                .iter()
                .map(|(caller, limit, own)| Attempts {
                    bucket: self.vault.mac("meter", caller.as_bytes()),
                    limit: *limit,
                    times: *own,
                })
                .collect();
            let statuses = unit.limits().count_all(&attempts, now).await?;
            for ((caller, limit, _), status) in batch.iter().zip(statuses) {
                let count = if status.exceeded {
                    i64::from(limit.attempts) + 1
                } else {
                    i64::from(limit.attempts - status.remaining)
                };
                self.meter.learn(caller, status, count);
            }
            unit.commit().await?;
        }
        Ok(())
    }
}

//! Open sources of a node. Each is of one version of its source: what changes how a source is reached makes another one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_connect::{Connections, DiskBudget, Source, SourceType};
use tidegate_domain::Timestamp;
use tidegate_domain::id::{DataSourceId, OrganizationId};

use crate::DataSettings;
use crate::sources::DataSource;

/// Organizations whose lookups are counted; then counting begins anew.
const MOST_COUNTED: usize = 10_000;
/// How long closing may take: a source that does not answer does not answer to that either.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Closes a source, for as long as that takes at most.
pub(crate) async fn close(source: &Arc<dyn Source>) {
    drop(tokio::time::timeout(CLOSE_WITHIN, source.close()).await);
}

/// Open sources.
pub(crate) struct Pools {
    state: Mutex<State>,
    /// Connections that an organization may hold.
    most: u32,
    /// Disk for temporary files of all, and bytes of it that those of an organization may have.
    disk: DiskBudget,
    most_disk: u64,
}

#[derive(Default)]
struct State {
    open: HashMap<DataSourceId, Open>,
    lookups: HashMap<OrganizationId, Lookups>,
    disks: HashMap<OrganizationId, DiskBudget>,
}

/// How often a source was found open, or was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lookups {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

struct Open {
    version: i64,
    organization: OrganizationId,
    kind: SourceType,
    tunnel: bool,
    /// Connections it may hold.
    size: u32,
    used_at: Timestamp,
    /// The last discovery that it was told of.
    discovered_at: Option<Timestamp>,
    source: Arc<dyn Source>,
}

/// What an organization has open here.
#[derive(Clone, Debug)]
pub(crate) struct OpenSource {
    pub(crate) kind: SourceType,
    pub(crate) tunnel: bool,
    pub(crate) connections: Connections,
}

/// Why a source is not kept open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

impl Pools {
    pub(crate) fn new(settings: &DataSettings) -> Self {
        Self {
            state: Mutex::default(),
            most: settings.connections_per_organization,
            disk: DiskBudget::of(settings.temporary_bytes),
            most_disk: settings.temporary_bytes_per_organization,
        }
    }

    /// Disk for the temporary files of an organization's sources.
    pub(crate) fn disk(&self, organization: OrganizationId) -> DiskBudget {
        let mut state = self.state();
        if state.disks.len() >= MOST_COUNTED {
            // Who has no file now may have another budget the next time.
            state.disks.retain(|_, disk| disk.taken() > 0);
        }
        let disk = state.disks.entry(organization).or_insert_with(|| self.disk.part(self.most_disk));
        disk.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most connections of an organization.
    pub(crate) const fn most(&self) -> u32 {
        self.most
    }

    /// The open source, if it is of the present version.
    pub(crate) fn find(&self, source: &DataSource, now: Timestamp) -> Option<Arc<dyn Source>> {
        let mut state = self.state();
        let found = state.open.get_mut(&source.id).filter(|open| open.version == source.version);
        let found = found.map(|open| {
            open.used_at = now;
            Arc::clone(&open.source)
        });
        if state.lookups.len() >= MOST_COUNTED {
            state.lookups.clear();
        }
        let lookups = state.lookups.entry(source.organization).or_default();
        if found.is_some() {
            lookups.hits += 1
        } else {
            lookups.misses += 1
        }
        found
    }

    /// Makes room for one more of an organization's: closes what it has used least lately. Those in use are left.
    pub(crate) fn make_room(&self, source: &DataSource) -> Result<Vec<Arc<dyn Source>>, TooMany> {
        let mut state = self.state();
        let mut closed: Vec<Arc<dyn Source>> = Vec::new();
        loop {
            let own = state
                .open
                .iter()
                .filter(|(id, open)| open.organization == source.organization && **id != source.id);
            let held: u32 = own.clone().map(|(_, open)| open.size).sum();
            if held.saturating_add(source.connection.pool_size) <= self.most || held == 0 {
                return Ok(closed);
            }
            let unused = own.filter(|(_, open)| Arc::strong_count(&open.source) == 1);
            let oldest = unused.min_by_key(|(_, open)| open.used_at.micros()).map(|(id, _)| *id);
            let Some(oldest) = oldest else { return Err(TooMany) };
            closed.extend(state.open.remove(&oldest).map(|open| open.source));
        }
    }

    /// Keeps a source open. Answers the one that is to be used, and one that is to be closed: another task may have been faster.
    pub(crate) fn keep(
        &self,
        source: &DataSource,
        opened: Arc<dyn Source>,
        now: Timestamp,
    ) -> (Arc<dyn Source>, Option<Arc<dyn Source>>) {
        let mut state = self.state();
        if let Some(there) = state.open.get(&source.id)
            && there.version >= source.version
        {
            if there.version == source.version {
                return (Arc::clone(&there.source), Some(opened));
            }
            // The source was changed meanwhile: this one serves its caller, and is not kept.
            return (opened, None);
        }
        let open = Open {
            version: source.version,
            organization: source.organization,
            kind: source.kind,
            tunnel: source.connection.use_ssh_tunnel,
            size: source.connection.pool_size,
            used_at: now,
            discovered_at: None,
            source: Arc::clone(&opened),
        };
        let replaced = state.open.insert(source.id, open);
        (opened, replaced.map(|open| open.source))
    }

    /// Has an open source look at its columns anew, once for each discovery, wherever that was made.
    pub(crate) fn discovered(&self, id: DataSourceId, at: Option<Timestamp>) {
        let mut state = self.state();
        let Some(open) = state.open.get_mut(&id).filter(|open| open.discovered_at < at) else { return };
        open.discovered_at = at;
        open.source.forget_columns();
    }

    /// Closes a source, whatever its version.
    pub(crate) async fn drop_source(&self, id: DataSourceId) {
        let removed = self.state().open.remove(&id);
        if let Some(open) = removed {
            close(&open.source).await;
        }
    }

    /// Takes out those that nobody has used for so long.
    pub(crate) fn take_idle(&self, now: Timestamp, idle: Duration) -> Vec<Arc<dyn Source>> {
        let mut state = self.state();
        let is_idle = |open: &Open| Arc::strong_count(&open.source) == 1 && now.since(open.used_at) >= idle;
        let ids: Vec<DataSourceId> =
            state.open.iter().filter(|(_, open)| is_idle(open)).map(|(id, _)| *id).collect();
        ids.iter().filter_map(|id| state.open.remove(id)).map(|open| open.source).collect()
    }

    /// Which are open, and of which version.
    pub(crate) fn versions(&self) -> Vec<(DataSourceId, i64)> {
        self.state().open.iter().map(|(id, open)| (*id, open.version)).collect()
    }

    /// What an organization has open.
    pub(crate) fn of(&self, organization: OrganizationId) -> (Vec<OpenSource>, Lookups) {
        let state = self.state();
        let own = state.open.values().filter(|open| open.organization == organization);
        let own = own.map(|open| OpenSource {
            kind: open.kind,
            tunnel: open.tunnel,
            connections: Connections { size: open.size, ..open.source.connections() },
        });
        (own.collect(), state.lookups.get(&organization).copied().unwrap_or_default())
    }
}

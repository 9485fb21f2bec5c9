//! What is no longer needed.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::maintenance::{AT_ONCE, Pruning};

use crate::CatalogTables;
use crate::schemas::discover::LIMIT;

/// Sources removed in one: each takes its checks along.
const SOURCES_AT_ONCE: i64 = 10;
/// How long a discovery's tables stay when another one took their place: they may be on their way to a client. Or they are of one that is
/// under way, beside which another one ended.
const KEEP_RETIRED: Duration = LIMIT.saturating_add(Duration::from_secs(300));
/// How long the tables of a discovery stay that nobody finished.
const KEEP_UNFINISHED: Duration = Duration::from_secs(3_600);
/// Results of tests that a source keeps at most, however often it is tested.
pub(crate) const MAX_CHECKS: i64 = 5_000;

pub(crate) const PRUNINGS: [Pruning; 3] = [
    Pruning {
        name: "tables of former discoveries",
        prune: |_, unit, now| {
            async move {
                let retired = now.minus(KEEP_RETIRED);
                let unfinished = now.minus(KEEP_UNFINISHED);
                Ok(unit.data_schemas().prune(retired, unfinished, AT_ONCE).await?)
            }
            .boxed()
        },
    },
    Pruning {
        name: "checks of data sources",
        prune: |_, unit, now| async move { Ok(unit.data_source_checks().prune(now, AT_ONCE).await?) }.boxed(),
    },
    Pruning {
        name: "deleted data sources",
        prune: |_, unit, now| {
            async move { Ok(unit.data_sources().prune(now, SOURCES_AT_ONCE).await?) }.boxed()
        },
    },
];

//! What is no longer needed.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::maintenance::{AT_ONCE, Pruning};

use crate::PolicyTables;

/// How long a deleted policy's row is kept: what it decided names it.
const KEEP_DELETED: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Policies removed in one: each takes its rules and assignments along.
const POLICIES_AT_ONCE: i64 = 20;

pub(crate) const PRUNINGS: [Pruning; 2] = [
    Pruning {
        name: "what policies decided",
        prune: |_, unit, now| async move { Ok(unit.policy_evaluations().prune(now, AT_ONCE).await?) }.boxed(),
    },
    Pruning {
        name: "deleted policies",
        prune: |_, unit, now| {
            async move { Ok(unit.policies().prune(now.minus(KEEP_DELETED), POLICIES_AT_ONCE).await?) }.boxed()
        },
    },
];

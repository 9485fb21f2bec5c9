//! What of accounts is no longer needed.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::maintenance::{AT_ONCE, Pruning};

use crate::IdentityTables;

/// How long a dead challenge can still say why it is refused.
const KEEP_CHALLENGES: Duration = Duration::from_secs(24 * 3_600);
/// How long what is in a deleted database stays: longer than any request that found it before takes.
const KEEP_DATABASES: Duration = Duration::from_secs(3_600);
/// How long, at least, the refresh tokens of a deleted account are still attributed to it.
const KEEP_NAMES: Duration = Duration::from_secs(90 * 24 * 3_600);

pub(crate) const PRUNINGS: [Pruning; 6] = [
    Pruning {
        name: "challenges",
        prune: |_, unit, now| {
            async move { Ok(unit.challenges().prune(now.minus(KEEP_CHALLENGES), AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "sign-ins sent to providers",
        prune: |_, unit, now| async move { Ok(unit.social_requests().prune(now, AT_ONCE).await?) }.boxed(),
    },
    Pruning {
        name: "second factors that were not verified",
        prune: |_, unit, now| async move { Ok(unit.factors().prune(now, AT_ONCE).await?) }.boxed(),
    },
    Pruning {
        name: "trusted devices",
        prune: |kernel, unit, now| {
            // Past its time, a token can still say so.
            let (before, trusted) =
                (now.minus(KEEP_CHALLENGES), now.minus(kernel.settings.trusted_device_age));
            async move { Ok(unit.trusted_devices().prune(before, trusted, AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "deleted databases",
        prune: |_, unit, now| {
            async move { Ok(unit.databases().purge(now.minus(KEEP_DATABASES), AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "names of deleted accounts",
        prune: |kernel, unit, now| {
            let refreshable = kernel.settings.contracts.iter().map(|profile| profile.refresh.lifetime).max();
            let before = now.minus(KEEP_NAMES.max(refreshable.unwrap_or_default()));
            async move { Ok(unit.accounts().forget_deleted(before, AT_ONCE).await?) }.boxed()
        },
    },
];

//! What is no longer needed.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::maintenance::{AT_ONCE, Pruning};

use crate::OauthTables;
use crate::claims::pairwise;
use crate::registration::unused;

/// How long after its time a code is kept: presented again, it ends what it opened.
const KEEP_CODES: Duration = Duration::from_secs(24 * 3_600);

pub(crate) const PRUNINGS: [Pruning; 8] = [
    Pruning {
        name: "authorization codes",
        prune: |_, unit, now| {
            async move { Ok(unit.codes().prune(now.minus(KEEP_CODES), AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "codes of devices",
        prune: |_, unit, now| {
            async move { Ok(unit.device_codes().prune(now.minus(KEEP_CODES), AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "consents to deleted applications",
        prune: |_, unit, _| async move { Ok(unit.consents().prune(AT_ONCE).await?) }.boxed(),
    },
    Pruning {
        name: "assertions of clients",
        prune: |_, unit, now| async move { Ok(unit.used_assertions().prune(now, AT_ONCE).await?) }.boxed(),
    },
    Pruning {
        name: "pushed authorization requests",
        prune: |_, unit, now| async move { Ok(unit.pushed_requests().prune(now, AT_ONCE).await?) }.boxed(),
    },
    Pruning {
        name: "initial access tokens",
        prune: |_, unit, now| {
            async move { Ok(unit.registration_tokens().prune(now, AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "applications that registered themselves and are not used",
        prune: |kernel, unit, now| unused::prune(kernel, unit, now).boxed(),
    },
    Pruning {
        name: "the seal of pairwise names",
        prune: |kernel, unit, _| pairwise::reseal(kernel, unit).boxed(),
    },
];

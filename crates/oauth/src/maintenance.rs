//! What is no longer needed.

use std::time::Duration;

use futures_util::FutureExt;
use tidegate_kernel::maintenance::{AT_ONCE, Pruning};

use crate::OauthTables;

/// How long after its time a code is kept: presented again, it ends what it opened.
const KEEP_CODES: Duration = Duration::from_secs(24 * 3_600);

pub(crate) const PRUNINGS: [Pruning; 2] = [
    Pruning {
        name: "authorization codes",
        prune: |_, unit, now| {
            async move { Ok(unit.codes().prune(now.minus(KEEP_CODES), AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "consents to deleted applications",
        prune: |_, unit, _| async move { Ok(unit.consents().prune(AT_ONCE).await?) }.boxed(),
    },
];

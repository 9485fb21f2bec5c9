//! What is no longer needed.

use futures_util::FutureExt;
use tidegate_kernel::maintenance::{AT_ONCE, Pruning};

use crate::PromptTables;

pub(crate) const PRUNINGS: [Pruning; 4] = [
    Pruning {
        name: "executions of prompts",
        prune: |_, unit, now| async move { Ok(unit.prompt_executions().prune(now, AT_ONCE).await?) }.boxed(),
    },
    Pruning {
        name: "downloads of results",
        prune: |_, unit, now| {
            async move { Ok(unit.prompt_executions().prune_downloads(now, AT_ONCE).await?) }.boxed()
        },
    },
    Pruning {
        name: "deleted prompts",
        prune: |_, unit, now| async move { Ok(unit.prompts().prune(now, AT_ONCE).await?) }.boxed(),
    },
    Pruning {
        name: "deleted prompt templates",
        prune: |_, unit, now| async move { Ok(unit.prompt_templates().prune(now, AT_ONCE).await?) }.boxed(),
    },
];

//! The feature.

use std::sync::Arc;

use tidegate_kernel::Kernel;

use crate::PromptSettings;
use crate::executions::live::Live;
use crate::executions::values::ValueCache;
use crate::models::Models;
use crate::ports::{Planner, Queries, Sources};

/// What the feature stands on.
#[derive(Clone)]
pub struct Ports {
    /// Data sources.
    pub sources: Arc<dyn Sources>,
    /// Runs queries.
    pub queries: Arc<dyn Queries>,
    /// The planner that needs no network.
    pub planner: Arc<dyn Planner>,
}

/// The use cases of Prompt Studio.
pub struct Prompts {
    pub(crate) kernel: Arc<Kernel>,
    pub(crate) settings: PromptSettings,
    pub(crate) ports: Ports,
    pub(crate) models: Models,
    /// Values that people saw lately.
    pub(crate) values: ValueCache,
    /// What runs on this node.
    pub(crate) live: Live,
}

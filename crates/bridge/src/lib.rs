//! What crosses between features that do not see one another: each declares a hook, and what implements it is here.
//!
//! Data sources are made of files that the storage keeps ([`stored_files`]), and the storage names the data source of a file
//! ([`name_sources`]). Policies are about tables that the catalog knows ([`known_relations`]).

mod described;
#[cfg(test)]
mod facts;
mod files;
mod glossary;
mod governed;
mod planner;
mod queries;
mod recorder;
mod references;
mod relations;
mod remarks;
mod side_doors;
mod simulations;
mod sources;
mod watched;

use std::sync::Arc;

use tidegate_catalog::Catalog;
use tidegate_catalog::hooks::SourceFiles;
use tidegate_catalog::{DataSettings, DefaultAccess};
use tidegate_engine::{Engine, Limits, Load, Options};
use tidegate_kernel::Kernel;
use tidegate_policies::hooks::SourceRelations;
use tidegate_policies::{Policies, PolicySettings};
use tidegate_prompts::prompts::Ports;
use tidegate_storage::Storage;

/// The files of the storage, for data sources.
pub fn stored_files(storage: &Arc<Storage>) -> Arc<dyn SourceFiles> {
    Arc::new(files::StoredFiles(Arc::clone(storage)))
}

/// Has the storage name data sources beside the files that they are made of.
pub fn name_sources(storage: &Storage) {
    storage.register_sources(Arc::new(sources::NamedSources));
}

/// What the catalog knows of data sources and their tables, for policies.
pub fn known_relations() -> Arc<dyn SourceRelations> {
    Arc::new(relations::CatalogRelations)
}

/// What an operator decided about policies, which is among the settings of data.
pub fn policy_settings(data: &DataSettings) -> PolicySettings {
    PolicySettings {
        deny_by_default: data.default_access == DefaultAccess::Deny,
        keep_evaluations: data.keep_evaluations,
    }
}

/// Has the catalog give nothing around policies: files, answers to test queries, numbers of rows.
pub fn govern_sources(kernel: &Arc<Kernel>, catalog: &Catalog, policies: &Arc<Policies>) {
    let (kernel, policies) = (Arc::clone(kernel), Arc::clone(policies));
    catalog.register_governance(Arc::new(side_doors::GovernedSources { kernel, policies }));
}

/// The engine of a server, with what one query may use. It does nothing until the first query comes. Clones are the same engine.
#[derive(Clone)]
pub struct QueryEngine {
    engine: Engine,
    limits: Limits,
}

impl QueryEngine {
    /// One that may use `options` for all queries together, and `limits` for each.
    pub fn new(options: Options, limits: Limits) -> Self {
        Self { engine: Engine::new(options), limits }
    }

    /// Makes the directory to which queries spill, and removes what a server left there that was killed.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn prepare_spilling(&self) -> std::io::Result<()> {
        self.engine.prepare_spilling()
    }

    /// What is running now.
    pub fn load(&self) -> Load {
        self.engine.load()
    }
}

/// Has simulations with SQL run by the engine.
pub fn simulate_queries(
    kernel: &Arc<Kernel>,
    catalog: &Arc<Catalog>,
    policies: &Policies,
    engine: &QueryEngine,
) {
    policies.register_queries(Arc::new(simulations::Simulations {
        engine: engine.engine.clone(),
        kernel: Arc::clone(kernel),
        catalog: Arc::downgrade(catalog),
        limits: engine.limits,
    }));
}

/// What Prompt Studio stands on: the catalog's data sources, queries that the engine governs, and the built-in planner.
pub fn prompt_ports(
    kernel: &Arc<Kernel>,
    catalog: &Arc<Catalog>,
    policies: &Arc<Policies>,
    engine: &QueryEngine,
) -> Ports {
    Ports {
        sources: Arc::new(queries::CatalogSources(Arc::clone(catalog))),
        queries: Arc::new(queries::GovernedQueries {
            engine: engine.engine.clone(),
            kernel: Arc::clone(kernel),
            catalog: Arc::clone(catalog),
            policies: Arc::clone(policies),
            limits: engine.limits,
            unwritten: recorder::Unwritten::new(),
        }),
        planner: Arc::new(planner::BuiltIn),
    }
}

//! Data sources: what an organization connects, how it is reached, whether it answers, and which tables it has.
//!
//! A source is described and its credentials are sealed ([`sources`]); jobs test it, discover its tables and watch it ([`life`]);
//! what was discovered is kept and read ([`schemas`]). The drivers are in `tidegate-connect`, which knows neither accounts nor the
//! store; files come through [`hooks::SourceFiles`].

pub mod catalog;
pub mod hooks;
pub mod life;
mod maintenance;
pub mod schemas;
pub mod settings;
pub mod sources;
mod start;
pub mod tables;
pub(crate) mod work;

pub use catalog::Catalog;
pub use settings::{DataSettings, DefaultAccess, QuerySettings};
pub use tables::{CatalogTables, MIGRATIONS};

//! Templates: questions or queries with parameters.

pub mod change;
pub mod execute;
pub mod find;
pub mod parameter;
pub(crate) mod render;
pub(crate) mod repository;
pub(crate) mod system;
pub mod template;

pub use parameter::{ParameterType, TemplateParameter};
pub use template::{NewTemplate, Template};

//! Values: Arrow's types as PostgreSQL's, in both of its formats, and values of parameters.

pub(crate) mod binary;
pub(crate) mod columns;
pub(crate) mod days;
pub(crate) mod oids;
pub(crate) mod parameters;

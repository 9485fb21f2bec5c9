//! Personal access tokens, and those that members make for their organization.

pub mod change;
pub mod create;
pub mod list;
pub mod revoke;

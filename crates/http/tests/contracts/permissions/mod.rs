//! Who may do what: each use case by role and contract, each route by the contract that issued the token, and nothing by
//! a session that has ended.

mod held;
mod powers;
mod reasons;
mod scopes;
pub(crate) mod use_cases;

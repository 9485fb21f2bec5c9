//! What policies let a person see of a relation: row filter, masks, limits, decision.
//!
//! Pure: no engine, no I/O, no clock, no randomness. [`resolve`] takes the person's attributes, the relation with its columns, and the
//! policies of the organization, and says which rows and columns are left and which policy said so. Whoever runs a query puts the
//! answer between the source and everything the person wrote. [`eval`] applies an answer to plain rows: it is what an engine is
//! compared with.

mod attributes;
mod condition;
mod display;
mod error;
pub mod eval;
mod expr;
mod limits;
mod mask;
mod number;
mod policy;
mod relation;
mod resolve;
mod resolved;
mod rule;
mod value;
mod window;

pub use attributes::{Attribute, Attributes, RESERVED};
pub use condition::{Condition, MAX_CONDITION};
pub use error::{ConditionError, RuleError};
pub use expr::{Comparison, Expr, Function};
pub use limits::{Limited, Limits};
pub use mask::{DateUnit, KeyedHash, Mask};
pub use policy::{Assignment, Policy, Subject};
pub use relation::{Column, Relation};
pub use resolve::{Request, resolve};
pub use resolved::{Applied, Decision, Denial, Effect, MaskedBy, PolicyRef, Reason, Resolved};
pub use rule::{AccessRule, FilterRule, LimitRule, MaskRule, PolicyType, Rule, RuleKind, RuleType};
pub use value::{ColumnType, Decimal, TimeUnit, Value};
pub use window::TimeWindow;

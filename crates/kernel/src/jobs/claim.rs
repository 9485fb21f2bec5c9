//! Who holds a row.

/// Which claim of a row this is. Each claim counts the row's `claims` up by one and holds it until `leased_until`. A worker
/// settles a row with the claim it got: when its lease ran out and another took the row, it changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim(pub i64);

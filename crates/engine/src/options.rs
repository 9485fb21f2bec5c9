//! What a server gives to queries, and what one query may use.

use std::path::PathBuf;
use std::time::Duration;

/// What the engine of a server may use.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that run queries; as many as there are processors if absent.
    pub threads: Option<usize>,
    /// Bytes of stack of each of them. Planning recurses.
    pub stack_bytes: usize,
    /// How much nicer than the others of the process each of them is: those go first when cores are scarce.
    pub niceness: i32,
    /// Bytes that all queries together may hold.
    pub memory_bytes: usize,
    /// Where queries spill to, in a directory of its own there; without it none does.
    pub spill_directory: Option<PathBuf>,
    /// Bytes that one query may spill.
    pub spill_bytes: u64,
    /// Bytes that all queries together may spill.
    pub spill_bytes_of_all: u64,
    /// Queries that run at once.
    pub concurrency: Concurrency,
    /// How big a query may be before it is planned.
    pub size: SizeLimits,
    /// Whether joins may know, to a power of two, how many rows a source has, hidden ones included.
    pub row_estimates: bool,
    /// Protections that a test takes away.
    #[cfg(test)]
    pub(crate) mutations: crate::mutation::Mutations,
    /// Where a test has joins from the start.
    #[cfg(test)]
    pub(crate) joins: crate::joins::Joins,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: None,
            stack_bytes: 32 << 20,
            niceness: 0,
            memory_bytes: 1 << 30,
            spill_directory: None,
            spill_bytes: 4 << 30,
            spill_bytes_of_all: 16 << 30,
            concurrency: Concurrency::default(),
            size: SizeLimits::default(),
            row_estimates: true,
            #[cfg(test)]
            mutations: crate::mutation::Mutations::default(),
            #[cfg(test)]
            joins: crate::joins::Joins::default(),
        }
    }
}

/// How many queries run at once. What finds no place waits within its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Concurrency {
    /// On this server.
    pub server: usize,
    /// Of one organization.
    pub organization: usize,
    /// Of one person.
    pub person: usize,
    /// Queries that wait on this server. The next is refused at once.
    pub waiting: usize,
    /// Queries of one person that wait.
    pub waiting_of_person: usize,
}

impl Default for Concurrency {
    fn default() -> Self {
        Self { server: 8, organization: 6, person: 3, waiting: 200, waiting_of_person: 20 }
    }
}

/// Sizes that are looked at before planning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeLimits {
    /// Bytes of text.
    pub bytes: usize,
    /// Words and signs.
    pub tokens: usize,
    /// Columns, arguments or values side by side.
    pub columns: usize,
    /// Values in one `IN` list.
    pub list: usize,
    /// `UNION`, `INTERSECT`, `EXCEPT`.
    pub sets: usize,
    /// Operators in one chain.
    pub chain: usize,
    /// Operators of chains within each other.
    pub depth: usize,
    /// Levels of parentheses.
    pub nesting: usize,
    /// Joins.
    pub joins: usize,
    /// Relations, common table expressions counted as often as they are used.
    pub relations: usize,
    /// Parts of the plan.
    pub plan_nodes: usize,
    /// Columns of any part of the plan.
    pub plan_columns: usize,
}

impl Default for SizeLimits {
    fn default() -> Self {
        Self {
            bytes: 256 << 10,
            tokens: 40_000,
            columns: 1_000,
            list: 2_000,
            sets: 50,
            chain: 500,
            depth: 1_000,
            nesting: 40,
            joins: 40,
            relations: 200,
            plan_nodes: 5_000,
            plan_columns: 5_000,
        }
    }
}

/// What one query may use. The smallest of this and of the policies' limits holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the request to the last row, waiting for a place included.
    pub time: Duration,
    /// Rows of the result. With more the query ends with `limit_rows`.
    pub rows: u64,
    /// Whether a result with more rows is cut there instead, and the answer says so.
    pub cut: bool,
    /// Bytes it may hold at once.
    pub memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { time: Duration::from_secs(60), rows: 1_000_000, cut: false, memory_bytes: 256 << 20 }
    }
}

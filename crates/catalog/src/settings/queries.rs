//! What queries may use of a node.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

/// Less than this is too little to sort a few thousand rows by spilling.
const LEAST_MEMORY: usize = 8 << 20;

/// Less than this holds no piece of rows.
const LEAST_DISK: u64 = 16 << 20;

/// What queries may use of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct QuerySettings {
    /// Threads that compute. Default: as many as there are processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 4)]
    pub threads: Option<usize>,
    /// Bytes of memory that all queries of a node may hold, beside what the server itself takes.
    #[default(1 << 30)]
    pub memory: usize,
    /// The same of one query. One that needs more uses the disk where it can, and else ends with limit_memory.
    #[default(256 << 20)]
    pub memory_per_query: usize,
    /// Directory on a disk, in which queries use one of their own, tidegate-spill: of mode 0700, and emptied when the server starts.
    /// Default: data_dir. What is written there are rows that a person may see, in files without a name, removed when the query or
    /// the process ends. Have it on an encrypted disk if your data has to be. Not in memory (tmpfs), and not in a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = &"/var/lib/tidegate")]
    pub spill_directory: Option<PathBuf>,
    /// Bytes of disk that all queries of a node may use there, for sorts, groups, windows and joins. 0: none uses the disk.
    #[default(16 << 30)]
    pub spill: u64,
    /// The same of one query; one that needs more ends with limit_memory. 0: none uses the disk.
    #[default(4 << 30)]
    pub spill_per_query: u64,
    /// Rows of one result. One with more ends with limit_rows.
    #[default(1_000_000)]
    pub rows: u64,
    /// Queries of one organization that run at the same time on a node. What finds no place waits within its time.
    #[default(6)]
    pub at_once_per_organization: usize,
    /// The same of one person.
    #[default(3)]
    pub at_once_per_person: usize,
    /// Queries that wait for a place on a node. The next is refused at once, with limit_concurrency.
    #[default(200)]
    pub waiting: usize,
    /// The same of one person.
    #[default(20)]
    pub waiting_per_person: usize,
}

impl QuerySettings {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// Says which key it is, and why.
    pub fn check(&self) -> Result<(), String> {
        let counts = [
            ("threads", self.threads.unwrap_or(1)),
            ("rows", usize::try_from(self.rows).unwrap_or(usize::MAX)),
            ("at_once_per_organization", self.at_once_per_organization),
            ("at_once_per_person", self.at_once_per_person),
        ];
        if let Some((key, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(format!("{key} must be at least 1"));
        }
        if self.memory_per_query < LEAST_MEMORY {
            return Err(format!("memory_per_query must be at least {LEAST_MEMORY}"));
        }
        for (key, part, whole_key, whole) in [
            ("memory_per_query", as_u64(self.memory_per_query), "memory", as_u64(self.memory)),
            ("spill_per_query", self.spill_per_query, "spill", self.spill),
            ("waiting_per_person", as_u64(self.waiting_per_person), "waiting", as_u64(self.waiting)),
            (
                "at_once_per_person",
                as_u64(self.at_once_per_person),
                "at_once_per_organization",
                as_u64(self.at_once_per_organization),
            ),
        ] {
            // Where none uses the disk, it does not matter how much one could.
            if part > whole && (whole_key, whole) != ("spill", 0) {
                return Err(format!("{key} must not be more than {whole_key}, which is {whole}"));
            }
        }
        match [("spill", self.spill), ("spill_per_query", self.spill_per_query)]
            .into_iter()
            .find(|(_, bytes)| (1..LEAST_DISK).contains(bytes))
        {
            Some((key, _)) => Err(format!("{key} must be 0, or at least {LEAST_DISK}")),
            None => Ok(()),
        }
    }
}

fn as_u64(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_no_sense_is_told_by_its_key() {
        let usual = QuerySettings::default;
        assert_eq!(usual().check(), Ok(()));
        assert_eq!(QuerySettings { spill: 0, ..usual() }.check(), Ok(()), "nothing uses the disk");
        for (wrong, said) in [
            (QuerySettings { threads: Some(0), ..usual() }, "threads must be at least 1"),
            (QuerySettings { rows: 0, ..usual() }, "rows must be at least 1"),
            (QuerySettings { at_once_per_person: 0, ..usual() }, "at_once_per_person must be at least 1"),
            (
                QuerySettings { memory_per_query: 1 << 20, ..usual() },
                "memory_per_query must be at least 8388608",
            ),
            (
                QuerySettings { memory: 64 << 20, ..usual() },
                "memory_per_query must not be more than memory, which is 67108864",
            ),
            (QuerySettings { spill: 1 << 30, ..usual() }, "spill_per_query must not be more than spill"),
            (
                QuerySettings { spill_per_query: 1_000, ..usual() },
                "spill_per_query must be 0, or at least 16777216",
            ),
            (QuerySettings { waiting: 10, ..usual() }, "waiting_per_person must not be more than waiting"),
            (
                QuerySettings { at_once_per_organization: 2, ..usual() },
                "at_once_per_person must not be more than at_once_per_organization",
            ),
        ] {
            let told = wrong.check().unwrap_err();
            assert!(told.starts_with(said), "{told}");
        }
    }
}

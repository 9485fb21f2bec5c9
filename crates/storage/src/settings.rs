//! What an operator decides about files.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

const MIB: u64 = 1024 * 1024;

/// How large files may be, and how much an organization may keep. In bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, SmartDefault)]
#[serde(deny_unknown_fields, default)]
pub struct StorageLimits {
    /// Largest file.
    #[default(100 * MIB)]
    pub file_bytes: u64,
    /// Most that all files of an organization may have together, unless its plan or `tidegate org storage` says otherwise.
    #[default(10 * 1024 * MIB)]
    pub organization_bytes: u64,
    /// The same by the name of the plan: { free = 10737418240 }.
    pub plans: BTreeMap<String, u64>,
}

impl StorageLimits {
    /// What an organization of that plan may keep.
    pub fn of_plan(&self, plan: &str) -> u64 {
        self.plans.get(plan).copied().unwrap_or(self.organization_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_that_is_not_listed_has_what_all_have() {
        let limits = StorageLimits { plans: [("free".to_owned(), 7)].into(), ..StorageLimits::default() };
        assert_eq!((limits.of_plan("free"), limits.of_plan("gold")), (7, 10_737_418_240));
    }
}

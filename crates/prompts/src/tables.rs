//! The feature's tables.

use tidegate_database::{Migration, Unit};

use crate::analytics::repository::Usage;
use crate::executions::repository::Executions;
use crate::models::spend::Spend;
use crate::records::repository::Records;
use crate::templates::repository::Templates;

/// The feature's part of the schema. Only ever appended to.
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 25, name: "prompts", text: include_str!("../migrations/0025_prompts.sql") },
    Migration { version: 26, name: "prompt sums", text: include_str!("../migrations/0026_prompt_sums.sql") },
    Migration {
        version: 28,
        name: "prompt sum checks",
        text: include_str!("../migrations/0028_prompt_sum_checks.sql"),
    },
];

/// The feature's repositories of a unit of work.
pub trait PromptTables {
    /// Saved questions.
    fn prompts(&mut self) -> Records<'_>;

    /// What became of questions and queries.
    fn prompt_executions(&mut self) -> Executions<'_>;

    /// Templates.
    fn prompt_templates(&mut self) -> Templates<'_>;

    /// Sums.
    fn prompt_usage(&mut self) -> Usage<'_>;

    /// What models cost.
    fn model_spend(&mut self) -> Spend<'_>;
}

impl PromptTables for Unit {
    fn prompts(&mut self) -> Records<'_> {
        Records(self)
    }

    fn prompt_executions(&mut self) -> Executions<'_> {
        Executions(self)
    }

    fn prompt_templates(&mut self) -> Templates<'_> {
        Templates(self)
    }

    fn prompt_usage(&mut self) -> Usage<'_> {
        Usage(self)
    }

    fn model_spend(&mut self) -> Spend<'_> {
        Spend(self)
    }
}

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
    Migration {
        version: 26,
        name: "prompt sums",
        // The order in which the end of an execution writes them. The migration itself takes the first last, and the next one it again.
        text: concat!(
            "-- first: prompt_executions, prompt_usage, prompt_source_usage, prompt_question_usage\n",
            include_str!("../migrations/0026_prompt_sums.sql")
        ),
    },
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

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    // A node of the version before has them in this order when an execution of it ends: see `Usage::add`. Two that wait for each other end
    // the upgrade, or the execution.
    #[test]
    fn an_upgrade_takes_tables_in_the_order_of_who_writes_them_meanwhile() {
        let sums = MIGRATIONS.iter().find(|migration| migration.version == 28).unwrap();
        let at = |text: &str| sums.text.find(text).unwrap();
        let executions = at("alter table prompt_executions");
        let (members, organizations) =
            (at("on prompt_question_usage ("), at("on prompt_organization_question_usage ("));
        assert!(executions < members && members < organizations, "{}", sums.text);
    }
}

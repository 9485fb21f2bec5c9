//! What is kept of an account goes with it, in the order in which rows are locked.
//!
//! No two units wait for each other, because each takes what it changes in this order: executions; the rows of `prompt_sum_checks`, by
//! organization; sums, table by table as [`Usage::add`] has them; saved questions; uses of templates. The end of an execution changes the sums
//! of one quarter of an hour and takes the organization's row of that quarter before all other rows of the organization. So whoever holds
//! that row waits at the others for nobody who waits for it; and of units that take many of these rows, one of an organization goes on at
//! a time, by its row of `prompt_sum_checks`.
//!
//! [`Usage::add`]: crate::analytics::repository::Usage::add

use tidegate_database::{Result, Unit, execute};
use tidegate_domain::Timestamp;
use tidegate_domain::id::AccountId;

use crate::PromptTables;
use crate::analytics::period::quarter_of;

/// The organizations that the account of `$1` owns.
macro_rules! owned {
    () => {
        "organization_id in (select organization_id from memberships where account_id = $1 and role = 'owner')"
    };
}

/// Deletes the rows of an account, and those of the organizations that it owns.
macro_rules! remove {
    ($unit:expr, $account:expr; $($table:literal),+) => {$(
        execute!(
            $unit,
            concat!("delete from ", $table, " where account_id = $1 or ", owned!()),
            $account.0,
        )?;
    )+};
}

/// Deletes the rows of the organizations that an account owns.
macro_rules! remove_owned {
    ($unit:expr, $account:expr; $($table:literal),+) => {$(
        execute!($unit, concat!("delete from ", $table, " where ", owned!()), $account.0)?;
    )+};
}

/// Removes all of an account, also from the sums of its organizations, and all of the organizations that it owns.
pub(crate) async fn remove_account(unit: &mut Unit, account: AccountId, now: Timestamp) -> Result<()> {
    // An execution that is ending has written its sums when this is done.
    remove!(unit, account; "prompt_executions", "prompt_downloads");
    lock(unit, account, now).await?;
    unit.prompt_usage().take_from_organizations(account).await?;
    remove!(unit, account; "prompt_usage", "prompt_source_usage", "prompt_question_usage");
    remove_owned!(
        unit, account;
        "prompt_organization_usage", "prompt_organization_source_usage", "prompt_organization_question_usage"
    );
    remove!(unit, account; "prompts");
    unit.prompt_templates().remove_of_account(account).await?;
    remove_owned!(unit, account; "prompt_template_usage", "model_spend", "prompt_sum_checks");
    Ok(())
}

/// Keeps others who take something from the sums of the same organizations waiting until the unit ends.
async fn lock(unit: &mut Unit, account: AccountId, now: Timestamp) -> Result<()> {
    execute!(
        unit,
        concat!(
            "insert into prompt_sum_checks (organization_id)
             select distinct organization_id from prompt_usage where account_id = $1 or ",
            owned!(),
            " order by organization_id
             on conflict (organization_id) do update set ends_at = prompt_sum_checks.ends_at"
        ),
        account.0,
    )?;
    // What began since the executions were removed adds to the sums of the account before those of its organization, so they are held
    // before them here, too. It began in this quarter of an hour, or the one before it by the clock of another node.
    execute!(
        unit,
        concat!(
            "update prompt_usage set executions = executions where quarter >= $2 and (account_id = $1 or ",
            owned!(),
            ")"
        ),
        account.0,
        quarter_of(now) - 1,
    )?;
    Ok(())
}

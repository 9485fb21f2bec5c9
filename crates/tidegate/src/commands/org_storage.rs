//! `tidegate org storage`

use serde_json::json;
use tidegate_kernel::Call;
use tidegate_storage::quota::usage::Usage;

use super::org::find;
use crate::cli::OrgStorage;
use crate::config::Config;
use crate::failure::Failure;
use crate::output::Answer;
use crate::wiring::{Opened, Purpose, open};

pub(super) async fn run(config: &Config, command: &OrgStorage) -> Result<Answer, Failure> {
    let opened = open(config, &Purpose::Existing).await?;
    let answer = storage(&opened, command).await;
    opened.close().await;
    answer
}

async fn storage(opened: &Opened, command: &OrgStorage) -> Result<Answer, Failure> {
    let organization = find(opened, command.organization).await?;
    let usage = if command.limit.is_some() || command.by_plan {
        let call = Call::from_cli(opened.kernel.settings().contracts.of_installation());
        opened.storage.set_storage_limit(&call, organization, command.limit).await?
    } else {
        opened.storage.usage_for_operator(organization).await?
    };
    let missing = || Failure::new("not_found", "there is no such organization; see `tidegate org list`");
    let usage @ Usage { limit, is_set, used, files } = usage.ok_or_else(missing)?;
    let why = if is_set { "set for it" } else { "by its plan" };
    let text = format!(
        "Organization {organization} keeps {used} bytes in {files} files, of {limit} bytes that it may ({why}). {} are left.",
        usage.available()
    );
    let json = json!({
        "organization_id": organization.0, "used_bytes": used, "files": files, "limit_bytes": limit, "limit_is_set": is_set,
        "available_bytes": usage.available(),
    });
    Ok(Answer::new(text, json))
}

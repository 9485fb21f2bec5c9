//! `tidegate source`

use clap::{Args, Subcommand};

use super::{OrganizationName, organization_name_or_id};

/// Data sources of organizations.
#[derive(Debug, Subcommand)]
pub(crate) enum Source {
    /// List data sources in the order they were created
    #[command(
        after_help = "Examples:\n  tidegate source list\n  tidegate source list --organization 17 --json"
    )]
    List(SourceList),
    /// Show a data source, without its credentials
    #[command(after_help = "Examples:\n  tidegate source show 4\n  tidegate source show sales")]
    Show(NamedSource),
    /// Test a data source and note the result; also says what the server does not tell its users
    #[command(after_help = "Examples:\n  tidegate source test 4\n  tidegate source test sales")]
    Test(NamedSource),
    /// Discover the tables of a data source
    #[command(after_help = "Examples:\n  tidegate source discover 4\n  tidegate source discover sales")]
    Discover(NamedSource),
    /// Pause a data source for maintenance: it is not checked by itself until it is resumed
    #[command(after_help = "Example:\n  tidegate source pause 4")]
    Pause(NamedSource),
    /// Resume a paused or inactive data source: it is tested, and checked again
    #[command(after_help = "Example:\n  tidegate source resume 4")]
    Resume(NamedSource),
    /// Restore a deleted data source that is still kept
    #[command(after_help = "Example:\n  tidegate source restore 4")]
    Restore(NumberedSource),
    /// Delete a data source; without --force it is kept for a while
    #[command(
        after_help = "Examples:\n  tidegate source delete 4 --yes\n  tidegate source delete 4 --force --yes"
    )]
    Delete(SourceDelete),
}

#[derive(Debug, Args)]
pub(crate) struct SourceList {
    /// Only those of this organization: its id or number, from `tidegate org list`
    #[arg(long, value_name = "ORGANIZATION", value_parser = organization_name_or_id)]
    pub(crate) organization: Option<OrganizationName>,
    /// Go on after the data source of this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(crate) after: i64,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct NamedSource {
    /// The data source's number, from `tidegate source list`, or its name there or in SQL
    #[arg(value_name = "SOURCE")]
    pub(crate) source: String,
}

#[derive(Debug, Args)]
pub(crate) struct NumberedSource {
    /// The data source's number, from `tidegate source list`
    #[arg(value_name = "NUMBER")]
    pub(crate) number: i64,
}

#[derive(Debug, Args)]
pub(crate) struct SourceDelete {
    /// The data source's number, from `tidegate source list`
    #[arg(value_name = "NUMBER")]
    pub(crate) number: i64,
    /// Remove it for good, with all that is known of it
    #[arg(long)]
    pub(crate) force: bool,
    /// Yes, delete it
    #[arg(long)]
    pub(crate) yes: bool,
}

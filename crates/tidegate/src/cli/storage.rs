//! `tidegate backup`, `restore` and `copy`

use std::path::PathBuf;

use clap::Args;
use tidegate_database::DatabaseUrl;

#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// File to write. FILE.key beside it gets the master key, FILE.files the uploaded files
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Leave the master key out, because it is kept elsewhere
    #[arg(long)]
    pub(crate) without_key: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// File that `tidegate backup` wrote; FILE.key and FILE.files are read too, if they are there
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CopyDatabase {
    /// Database to read [default: the configured one]
    #[arg(long, value_name = "URL", value_parser = database)]
    pub(crate) from: Option<DatabaseUrl>,
    /// Database to write: one without rows
    #[arg(long, value_name = "URL", value_parser = database)]
    pub(crate) to: DatabaseUrl,
}

/// Never repeats the address, which may hold a password.
fn database(text: &str) -> Result<DatabaseUrl, String> {
    text.parse().map_err(|error: tidegate_database::StoreError| error.to_string())
}

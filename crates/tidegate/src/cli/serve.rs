//! `tidegate serve`

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 takes a free port [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<String>,
    /// Development mode: keep mails and text messages readable in `tidegate outbox`, allow cookies over plain HTTP, raise
    /// limits by address and by login a hundredfold
    #[arg(long)]
    pub(crate) dev: bool,
    /// With --dev: keep the limits
    #[arg(long, requires = "dev")]
    pub(crate) limits: bool,
    #[command(flatten)]
    pub(crate) lifted: Lifted,
}

/// Which refusals of a start the operator has lifted.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Lifted {
    /// Begin a new installation also where the data directory has a master key or a backup of an earlier one, but its database is
    /// missing or empty
    #[arg(long)]
    pub(crate) new: bool,
    /// Serve a database also after `tidegate copy` has copied it to another one, and go on with it: what is written here is not there
    #[arg(long)]
    pub(crate) despite_copy: bool,
}

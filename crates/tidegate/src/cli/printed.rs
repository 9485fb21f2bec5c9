//! Commands that print what the program knows by itself.

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct Openapi {
    /// Print one contract only
    #[arg(long, alias = "dialect", value_name = "NAME", value_parser = contract_names())]
    pub(crate) contract: Option<String>,
}

fn contract_names() -> clap::builder::PossibleValuesParser {
    tidegate_http::contracts().iter().map(|contract| contract.id.as_str()).collect::<Vec<_>>().into()
}

//! `tidegate openapi`

use tidegate_domain::ContractId;

use crate::cli::Openapi;
use crate::failure::Failure;
use crate::output::Answer;

/// The API's description. It depends on no configuration, so none is read.
///
/// # Errors
/// When the document cannot be serialised.
pub(super) fn run(command: &Openapi) -> Result<Answer, Failure> {
    let id = command.contract.as_deref().and_then(|name| ContractId::parse(name).ok());
    let document = match id.and_then(tidegate_http::contract) {
        Some(contract) => serde_json::to_value(contract.openapi()),
        None => serde_json::to_value(tidegate_http::openapi()),
    };
    let failed = |error: serde_json::Error| Failure::internal(error.to_string());
    let document = document.map_err(failed)?;
    let text = serde_json::to_string_pretty(&document).map_err(failed)?;
    Ok(Answer::new(text, document))
}

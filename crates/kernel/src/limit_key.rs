//! By which configuration key a request was limited.

use tidegate_domain::ContractId;

/// The key of a limit of that name in the profile of a contract. The OAuth endpoints are no contract: theirs stand in `[oauth]`.
pub fn of_contract(contract: &str, name: &str) -> String {
    if contract == ContractId::OAUTH.as_str() {
        format!("{contract}.{name}")
    } else {
        format!("{contract}.limits.{name}")
    }
}

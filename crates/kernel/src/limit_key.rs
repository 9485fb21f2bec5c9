//! By which configuration key a request was limited: for the log, whichever error it became on its way.

use std::cell::RefCell;

use tidegate_domain::ContractId;

tokio::task_local! {
    static NOTED: RefCell<Option<String>>;
}

/// Does the work of a request; answers besides which limit it met last, by its configuration key.
pub async fn noting<F: Future>(request: F) -> (F::Output, Option<String>) {
    let noted = async {
        let output = request.await;
        (output, NOTED.with(|noted| noted.borrow_mut().take()))
    };
    NOTED.scope(RefCell::new(None), noted).await
}

/// The key of a limit of that name in the profile of a contract. The OAuth endpoints are no contract: theirs stand in `[oauth]`.
pub fn of_contract(contract: &str, name: &str) -> String {
    if contract == ContractId::OAUTH.as_str() {
        format!("{contract}.{name}")
    } else {
        format!("{contract}.limits.{name}")
    }
}

/// Notes that the request met the limit of that key.
pub(crate) fn note(key: impl FnOnce() -> String) {
    // Workers and commands note nothing.
    let _ = NOTED.try_with(|noted| *noted.borrow_mut() = Some(key()));
}

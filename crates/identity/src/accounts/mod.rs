//! Accounts: made, shown, changed and deleted.

pub(crate) mod add_email;
pub mod change_account;
pub mod claims_repository;
pub mod confirm_email_change;
pub mod create_account;
mod insert_identified;
pub(crate) mod invitation;
pub mod link_purpose;
pub mod list_accounts;
pub mod members_repository;
pub mod metadata;
pub mod overview;
mod password_schemes;
pub(crate) mod people;
pub(crate) mod proof;
pub mod repository;
pub mod request_email_change;
pub mod update_profile;

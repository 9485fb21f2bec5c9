//! Accounts, addresses, passwords.

mod addresses;
mod deletion;
mod identifiers;
mod passwords;
mod profiles;
mod programs;

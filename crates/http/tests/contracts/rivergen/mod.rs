//! RiverGen, account part.

mod account;
mod password;
mod sessions;
mod sign_in;
mod sign_up;

//! Riven: `/api/v1`, beside RiverGen.

mod account;
mod attacks;
mod broker;
mod email;
mod kyc;
mod limits;
mod login;
mod privacy;
mod profile;
mod receipts;
mod registration;
mod texting;
mod tokens;
mod uploads;
pub(crate) mod wire;

//! The Crossing Minds contract.

mod accounts;
mod attacks;
mod databases;
mod deletion;
mod elsewhere;
mod keys;
mod limits;
mod managing;
mod organization;
mod programs;
mod quotas;
mod refresh;
mod reset;
mod resolve;
mod sign_in;
mod verification;
mod wire;

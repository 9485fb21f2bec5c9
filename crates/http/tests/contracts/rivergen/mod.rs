//! RiverGen, account part.

mod account;
mod email_change;
mod factors;
mod idempotency;
mod limits;
mod misplaced;
mod password;
mod refresh;
mod resend;
mod reset;
mod sessions;
mod sign_in;
mod sign_up;
pub(crate) mod social;
mod tokens;
mod verification;
mod webauthn;
mod wire;

//! RiverGen, account part.

mod account;
mod data_sources;
mod email_change;
mod factors;
mod idempotency;
mod limits;
mod misplaced;
mod password;
mod policies;
mod prompts;
mod refresh;
mod resend;
mod reset;
mod sessions;
mod sign_in;
mod sign_up;
pub(crate) mod social;
mod storage;
mod tokens;
mod verification;
mod webauthn;
mod wire;

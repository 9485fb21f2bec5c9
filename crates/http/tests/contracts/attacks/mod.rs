//! What attackers did, told as they did it, and what comes of it.

mod claims;
mod unproven;

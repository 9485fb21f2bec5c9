//! OAuth 2 and OpenID Connect: applications, approval, tokens, and what is told of people.

mod applications;
mod attacks;
mod authorize;
mod browser;
mod browser_walk;
mod claims;
mod clients;
mod delegation;
mod discovery;
mod lifetimes;
mod malformed;
mod races;
mod refreshing;
mod revoking;
mod strangers;
mod wire;

pub(crate) use wire::{applications_of, misplaced, round_trip};

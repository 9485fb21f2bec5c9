//! OAuth 2 and OpenID Connect: applications, approval, tokens, and what is told of people.

mod applications;
mod assertions;
mod attacks;
mod authorize;
mod backchannel;
mod browser;
mod browser_walk;
mod claims;
mod clients;
mod delegation;
mod device_attacks;
mod device_walk;
mod devices;
mod discovery;
mod documents;
mod dpop;
mod exchanged;
mod hosted;
mod introspecting;
mod lifetimes;
mod logout;
mod malformed;
mod pairwise;
mod provider_of_another;
mod pushed;
mod races;
mod refreshing;
mod registering;
mod revoking;
mod rs256;
mod signing;
mod strangers;
mod suite;
mod wire;

pub(crate) use hosted::{Hosted, asked_for};
pub(crate) use wire::{applications_of, misplaced, round_trip};

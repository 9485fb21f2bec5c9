//! OAuth 2 and OpenID Connect: applications, approval, tokens, and what is told of people.

mod applications;
mod assertions;
mod attacks;
mod authorize;
mod backchannel;
mod browser;
mod browser_attacks;
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
mod kinds;
mod lifetimes;
mod logout;
mod malformed;
mod pairwise;
mod provider_of_another;
mod pushed;
mod races;
mod refreshing;
mod refused_credentials;
mod registering;
mod registering_choices;
mod remembered;
mod resources;
mod revoking;
mod rs256;
mod sign_up;
mod signing;
mod strangers;
mod suite;
mod wire;

pub(crate) use hosted::{Hosted, asked_for};
pub(crate) use kinds::Made;
pub(crate) use wire::{
    applications_of, authorize, described, exchange_request, form, misplaced, parameters, register,
    round_trip, sent_back, token_request,
};

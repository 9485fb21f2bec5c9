//! OAuth 2 and OpenID Connect: applications, approval, tokens, and what is told of people.

mod applications;
mod attacks;
mod authorize;
mod claims;
mod clients;
mod discovery;
mod lifetimes;
mod malformed;
mod races;
mod refreshing;
mod revoking;
mod wire;

//! Types, rules and state machines of Tidegate.
//!
//! Nothing here does I/O, reads a clock or draws a random number: those are arguments.
//!
//! Names that are stored or sent are written out in an `as_str`, and not derived from the variant (as `strum` does): who renames
//! a variant must not rename what rows and clients hold. The match is exhaustive, so none is forgotten.

pub mod access;
pub mod account;
pub mod audit;
pub mod birth;
pub mod brand;
pub mod browser;
pub mod certificate;
pub mod challenge;
pub mod contract;
pub mod custom_claim;
pub mod database;
pub mod document;
pub mod email;
pub mod entropy;
pub mod factor;
pub mod flexible_id;
pub mod id;
pub mod language;
pub mod limit;
pub mod listen;
pub mod logout;
pub mod oauth;
pub mod oauth_clients;
pub mod origin;
pub mod party_name;
pub mod password;
pub mod permission;
pub mod phone;
pub mod quota;
pub mod refresh;
pub mod role;
pub mod scope;
pub mod secret;
pub mod session;
pub mod text;
pub mod time;
pub mod typed;

pub use access::AccessClaims;
pub use birth::DateOfBirth;
pub use brand::{Brand, Colour};
pub use contract::{ContractId, ContractProfile, ContractProfiles};
pub use document::Document;
pub use email::EmailAddress;
pub use entropy::Entropy;
pub use language::{Catalogue, LanguageTag, Languages};
pub use oauth::{OauthRules, RedirectUri};
pub use oauth_clients::{RegistrationMode, RegistrationRules};
pub use origin::Origin;
pub use party_name::PartyName;
pub use password::{Password, PasswordRule};
pub use permission::{Permission, PermissionSet};
pub use phone::{PhoneNumber, PhoneRule};
pub use role::Role;
pub use scope::{Scope, Scopes};
pub use secret::Secret;
pub use time::{Clock, Timestamp};

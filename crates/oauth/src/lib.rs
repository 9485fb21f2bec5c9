//! OAuth 2 and OpenID Connect: applications, what people allow them, and the tokens they get.
//!
//! A person's approval becomes a code ([`authorize`]), the code a session of its own with its tokens ([`token`]). Such a session is
//! the account's like any other: it stands in its list, ends when it is ended there, and with the application.

pub mod applications;
pub mod authorize;
pub mod claims;
pub mod device;
mod hooks;
pub mod logout;
mod maintenance;
pub mod oauth;
pub mod registration;
mod start;
pub mod tables;
pub mod token;
pub(crate) mod work;

pub use oauth::Oauth;
pub use tables::{MIGRATIONS, OauthTables};

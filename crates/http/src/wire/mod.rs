//! Reading requests and writing errors: what every contract and page uses. It knows no contract.

pub(crate) mod accept;
pub(crate) mod admission;
pub(crate) mod bearer;
pub(crate) mod body;
pub(crate) mod boundary;
pub(crate) mod client;
pub(crate) mod contract;
pub(crate) mod cors;
pub(crate) mod encoded_file;
pub(crate) mod fields;
pub(crate) mod headers;
pub(crate) mod not_found;
pub(crate) mod openapi;
pub(crate) mod possession;
pub(crate) mod qr;
pub(crate) mod refusals;
pub(crate) mod refused_origins;
pub(crate) mod rejection;
pub(crate) mod safe;
pub(crate) mod shares;
pub(crate) mod social_cookie;
pub(crate) mod state;
pub(crate) mod telemetry;
pub(crate) mod typed;
pub(crate) mod unread;
pub(crate) mod upload;

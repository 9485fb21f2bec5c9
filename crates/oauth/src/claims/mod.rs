//! What an application is told of a person: ID tokens and the userinfo endpoint.

pub mod id_token;
pub mod userinfo;

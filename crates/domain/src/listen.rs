//! Addresses to listen on, as operators write them.

use std::net::SocketAddr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// An address and a port. `localhost` is what people type for 127.0.0.1.
///
/// # Errors
/// Says what is missing in the address, where that can be seen.
pub fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    let numeric =
        text.strip_prefix("localhost:").map_or_else(|| text.clone(), |port| format!("127.0.0.1:{port}"));
    numeric.parse().map_err(|_| {
        D::Error::custom(format!(
            "{text:?} is not an address and a port such as 127.0.0.1:8080, 0.0.0.0:8080 or [::]:8080{}",
            meant_address(&text)
        ))
    })
}

/// The same where nothing need be listened on.
///
/// # Errors
/// The same.
pub fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    address(deserializer).map(Some)
}

/// What is missing in an address, where that can be seen.
fn meant_address(text: &str) -> String {
    let (host, port) = text.rsplit_once(':').unwrap_or(("", text));
    match port.parse::<u16>() {
        Ok(port) if host.is_empty() => {
            format!(
                ": write 127.0.0.1:{port} for this machine alone, or 0.0.0.0:{port} for every address of it"
            )
        }
        Ok(_) if host.contains(|c: char| c.is_ascii_alphabetic()) && !host.contains(':') => {
            ": names are not looked up, so write the address of this machine, or 0.0.0.0 for every one"
                .to_owned()
        }
        Err(_) if !port.is_empty() && port.chars().all(|c| c.is_ascii_digit()) => {
            ": a port is from 1 to 65535, or 0 for a free one".to_owned()
        }
        _ => String::new(),
    }
}

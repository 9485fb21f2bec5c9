//! Networks as an operator writes them.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Reads a list of networks; an address alone is a network of one.
///
/// # Errors
/// Says which one is none, and how it is written.
pub fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let written = Vec::<String>::deserialize(deserializer)?;
    written.iter().map(|text| network(text).map_err(D::Error::custom)).collect()
}

fn network(text: &str) -> Result<IpNet, String> {
    if let Ok(network) = text.parse() {
        return Ok(network);
    }
    let Ok(address) = text.parse::<IpAddr>() else {
        return Err(format!("{text:?} is not an address or network such as 10.0.0.7 or 10.0.0.0/8"));
    };
    // Of an address that ends in zeros nobody knows whether it is a machine or the network that begins there.
    match beginning(address) {
        None => Ok(IpNet::from(address)),
        Some(length) => {
            let whole = IpNet::from(address);
            Err(format!("{text:?} has no prefix length: write \"{address}/{length}\" or \"{whole}\""))
        }
    }
}

/// The length of the prefix that an address looks like, in steps of its notation: 8 for 10.0.0.0. None for the address of a machine.
fn beginning(address: IpAddr) -> Option<usize> {
    match address {
        IpAddr::V4(v4) => {
            let octets = v4.octets();
            let zeros = octets.iter().rev().take_while(|octet| **octet == 0).count();
            (zeros > 0).then_some((octets.len() - zeros) * 8)
        }
        IpAddr::V6(v6) => {
            let segments = v6.segments();
            let zeros = segments.iter().rev().take_while(|segment| **segment == 0).count();
            (zeros > 0).then_some((segments.len() - zeros) * 16)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_alone_is_a_machine_unless_it_looks_like_a_network() {
        for (text, read) in [
            ("10.0.0.7", "10.0.0.7/32"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("::1", "::1/128"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("fd00::/8", "fd00::/8"),
        ] {
            assert_eq!(network(text).unwrap().to_string(), read);
        }
        for (text, said) in [
            ("10.0.0.0", r#""10.0.0.0" has no prefix length: write "10.0.0.0/8" or "10.0.0.0/32""#),
            (
                "192.168.7.0",
                r#""192.168.7.0" has no prefix length: write "192.168.7.0/24" or "192.168.7.0/32""#,
            ),
            ("0.0.0.0", r#""0.0.0.0" has no prefix length: write "0.0.0.0/0" or "0.0.0.0/32""#),
            ("fd00::", r#""fd00::" has no prefix length: write "fd00::/16" or "fd00::/128""#),
        ] {
            assert_eq!(network(text).unwrap_err(), said);
        }
        for text in ["", "db.example.com", "10.0.0.0/33", "10.0.0"] {
            assert!(network(text).unwrap_err().contains("is not an address or network"), "{text}");
        }
    }
}

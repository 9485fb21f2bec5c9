//! What the drivers of binary protocols have in common: reading bytes that cannot be trusted, the stream to the server, signing in by SCRAM,
//! and being a source.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::address;
use crate::error::SourceError;
use crate::network::NetworkPolicy;
use crate::network::dial::{Dialer, Wire};
use crate::network::tls::{self, Refusal, Tls};
use crate::registry::TypeInfo;
use crate::settings::{Credentials, Settings};

pub(crate) mod json;
pub(crate) mod number;
pub(crate) mod scram;
pub(crate) mod server;

/// Bytes of a peer. Every read says whether there were enough; none allocates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

macro_rules! numbers {
    ($($name:ident($kind:ty, $from:ident)),+ $(,)?) => {
        $(#[allow(dead_code, reason = "one protocol's order or width")]
        pub(crate) fn $name(&mut self) -> Option<$kind> {
            let (head, rest) = self.0.split_first_chunk()?;
            self.0 = rest;
            Some(<$kind>::$from(*head))
        })+
    };
}

impl<'a> Bytes<'a> {
    numbers! {
        u8(u8, from_be_bytes), i8(i8, from_be_bytes),
        u16_be(u16, from_be_bytes), i16_be(i16, from_be_bytes), i32_be(i32, from_be_bytes), u32_be(u32, from_be_bytes),
        i64_be(i64, from_be_bytes), f32_be(f32, from_be_bytes), f64_be(f64, from_be_bytes),
        u16_le(u16, from_le_bytes), i16_le(i16, from_le_bytes), i32_le(i32, from_le_bytes), u32_le(u32, from_le_bytes),
        i64_le(i64, from_le_bytes), u64_le(u64, from_le_bytes), f32_le(f32, from_le_bytes), f64_le(f64, from_le_bytes),
    }

    /// The next bytes.
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(head)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Where a server is and who signs in there, from the settings and the connection string.
pub(crate) struct Endpoint {
    pub(crate) dialer: Dialer,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: Option<String>,
    pub(crate) username: Option<String>,
    /// The password is that of the connection string where the credentials have none.
    pub(crate) credentials: Credentials,
    /// Of the connection string, in lower case.
    pub(crate) options: BTreeMap<String, String>,
    pub(crate) limit: Duration,
    pub(crate) query_timeout: Duration,
    pub(crate) pool_size: u32,
}

impl Endpoint {
    /// Reads the settings and opens the tunnel, if there is to be one.
    pub(crate) async fn open(settings: &Settings, policy: &NetworkPolicy) -> Result<Self, SourceError> {
        let text = settings.connection_string.as_ref();
        let address = text.map(|text| address::parse(text.as_str())).transpose()?.unwrap_or_default();
        let host = settings.host.clone().or(address.host);
        let host = host.ok_or_else(|| SourceError::connection("host is missing."))?;
        let mut credentials = settings.credentials.clone();
        credentials.password = credentials.password.or(address.password);
        let known = TypeInfo::of(settings.kind).default_port;
        Ok(Self {
            dialer: Dialer::open(settings, policy).await?,
            host,
            port: settings.port.or(address.port).or(known).unwrap_or_default(),
            database: settings.database_name.clone().or(address.database),
            username: credentials.username.as_ref().map(|name| name.expose().to_owned()).or(address.username),
            credentials,
            options: address.options,
            limit: settings.connection_timeout,
            query_timeout: settings.query_timeout,
            pool_size: settings.pool_size,
        })
    }

    /// A stream to a server of the source, inside TLS where that is given.
    pub(crate) async fn stream(
        &self,
        host: &str,
        port: u16,
        tls: Option<&Tls>,
    ) -> Result<Box<dyn Wire>, SourceError> {
        let stream = self.dialer.dial(host, port).await?;
        match tls {
            Some(tls) => tls.secure(stream).await,
            None => Ok(stream),
        }
    }

    /// An option of the connection string that is a switch. A word that is none must not be taken for "no": what it switches on may
    /// be TLS.
    pub(crate) fn switch(&self, name: &str) -> Result<Option<bool>, SourceError> {
        let Some(word) = self.options.get(name) else { return Ok(None) };
        match word.to_ascii_lowercase().as_str() {
            "true" | "yes" | "1" => Ok(Some(true)),
            "false" | "no" | "0" => Ok(Some(false)),
            _ => Err(SourceError::connection(format!(
                "The option {name} of the connection string must be true or false."
            ))),
        }
    }
}

/// A stream that failed.
pub(crate) fn broken(error: std::io::Error) -> SourceError {
    let refused = tls::refusal(&error).map(Refusal::message);
    SourceError::connection(refused.unwrap_or("The connection to the server failed or ended."))
        .with_detail(error)
}

/// The server refused who signs in.
pub(crate) fn not_signed_in() -> SourceError {
    SourceError::new(
        crate::error::ErrorCode::Authentication,
        "The server refused the user name or the password.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_end_where_the_bytes_do() {
        let mut bytes = Bytes(&[1, 2, 3]);
        assert_eq!(bytes.u16_be(), Some(0x0102));
        assert_eq!(bytes.u16_le(), None);
        assert_eq!(bytes.take(2), None);
        assert_eq!(bytes.take(1), Some(&[3][..]));
        assert!(bytes.is_empty());
    }
}

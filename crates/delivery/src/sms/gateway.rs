//! Requests to a provider over HTTP, and which of its errors may be logged.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, Url, redirect};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tidegate_domain::certificate::CertificateOf;

use super::config::{SmsConfigError, mistake};
use super::{OutgoingSms, SmsError};

/// More than any provider answers to one message.
const MAX_ANSWER: usize = 64 * 1024;
/// Characters of an answer that are kept.
const MAX_QUOTE: usize = 120;
const HIDDEN: &str = "***";

/// A provider's API.
pub(super) struct Gateway {
    name: &'static str,
    client: Client,
    timeout: Duration,
    certificate: Option<CertificateOf>,
}

/// What it answered.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// The names of the settings a gateway is made from.
pub(super) struct Settings {
    pub(super) timeout: &'static str,
    pub(super) ca_file: &'static str,
    /// The server's certificate, where it is the operator's.
    pub(super) certificate: Option<CertificateOf>,
}

impl Gateway {
    /// Prepares asking; connects to nothing yet.
    pub(super) fn new(
        name: &'static str,
        settings: &Settings,
        timeout_seconds: u64,
        ca_file: Option<&Path>,
    ) -> Result<Self, SmsConfigError> {
        if timeout_seconds == 0 {
            return Err(mistake(settings.timeout, "must be at least 1"));
        }
        let authorities = match ca_file {
            Some(path) => private_authorities(path)
                .map_err(|reason| mistake(settings.ca_file, format!("{}: {reason}", path.display())))?,
            // Those mail servers are trusted by: built in, as a container may have none.
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let unusable =
            |error: &dyn Error| mistake(settings.ca_file, format!("TLS cannot be set up: {}", chain(error)));
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?
            .with_root_certificates(authorities)
            .with_no_client_auth();
        let client = Client::builder()
            .tls_backend_preconfigured(tls)
            // Credentials and message go to the configured address only.
            .redirect(redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("Tidegate/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| unusable(&error))?;
        let timeout = Duration::from_secs(timeout_seconds);
        Ok(Self { name, client, timeout, certificate: settings.certificate })
    }

    pub(super) fn post(&self, url: &Url) -> RequestBuilder {
        self.client.post(url.clone()).timeout(self.timeout)
    }

    /// Sends `request` and reads the answer, whatever its status.
    pub(super) async fn ask(&self, request: RequestBuilder) -> Result<Answer, SmsError> {
        let mut response = request.send().await.map_err(|error| self.lost(error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(error))? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(self.unreadable(status));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }

    /// What an answer means that only its status explains.
    pub(super) fn refusal(&self, status: StatusCode, credentials: &str) -> SmsError {
        let name = self.name;
        match status.as_u16() {
            404 | 405 | 410 | 501 => SmsError::Configuration(format!(
                "{name} takes no messages at the address that it is asked at ({status}): check {credentials}"
            )),
            408 | 425 | 429 | 500.. => {
                SmsError::Temporary(format!("{name} is temporarily unavailable ({status})"))
            }
            401 | 403 => SmsError::Configuration(format!(
                "{name} does not accept the credentials ({status}): check {credentials}"
            )),
            _ => SmsError::Configuration(format!("{name} refuses the request ({status})")),
        }
    }

    /// An answer that is none of this provider's. It may be of something in between, so it proves nothing.
    pub(super) fn unreadable(&self, status: StatusCode) -> SmsError {
        SmsError::Temporary(format!("{} sent an invalid answer ({status})", self.name))
    }

    fn lost(&self, error: reqwest::Error) -> SmsError {
        let name = self.name;
        if error.is_timeout() {
            return SmsError::Temporary(format!("{name} did not answer within {} s", self.timeout.as_secs()));
        }
        // An address may hold a secret; what went wrong on the way there does not.
        let reason = chain(&error.without_url());
        if let Some(fault) = self.certificate.and_then(|certificate| certificate.fault(&reason)) {
            return SmsError::Temporary(format!(
                "the certificate of {name} {}: {}",
                fault.what, fault.advice
            ));
        }
        SmsError::Temporary(format!("{name} cannot be reached ({reason})"))
    }
}

/// `reply` on one line without anything that may be a code, a number, a key or of the message: no word with a
/// digit in it, no word of the message, and none of `secrets`.
pub(super) fn quoted(reply: &str, sms: &OutgoingSms, secrets: &[&str]) -> String {
    let words = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase).collect()
    };
    let said = words(sms.text.expose());
    let reply = secrets
        .iter()
        .filter(|secret| !secret.is_empty())
        .fold(reply.to_owned(), |reply, secret| reply.replace(secret, HIDDEN));
    let mut kept = String::new();
    for piece in reply.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let word = piece.trim_end_matches(|c: char| !c.is_alphanumeric());
        let is_hidden = word.chars().any(char::is_numeric) || said.contains(&word.to_lowercase());
        let shown = if is_hidden && !word.is_empty() { HIDDEN } else { word };
        // Whole words only: a part of one could be a word of the message.
        if kept.chars().count() + shown.chars().count() >= MAX_QUOTE {
            break;
        }
        kept.push_str(shown);
        kept.extend(
            piece
                .chars()
                .last()
                .filter(|c| !c.is_alphanumeric())
                .map(|c| if c.is_control() { ' ' } else { c }),
        );
    }
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What went wrong, and because of what.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn private_authorities(path: &Path) -> Result<RootCertStore, String> {
    let pem = std::fs::read(path).map_err(|error| error.to_string())?;
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        authorities.add(certificate).map_err(|error| error.to_string())?;
    }
    if authorities.is_empty() { Err("holds no PEM certificate".to_owned()) } else { Ok(authorities) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_domain::{PhoneNumber, Secret, Timestamp};

    use super::*;

    fn sms(text: &str) -> OutgoingSms {
        OutgoingSms {
            to: PhoneNumber::from_stored("+254712345678".to_owned()),
            idempotency_key: "1".to_owned(),
            text: Secret::new(text),
            date: Timestamp::default(),
        }
    }

    #[test]
    fn what_a_provider_quotes_does_not_reach_the_log() {
        let sms = sms("493027 is your Riven code.");
        let reply = "Cannot route\r\n'493027 is your Riven code.' to +254 712-345678 with atsk_hunter";
        assert_eq!(
            quoted(reply, &sms, &["atsk_hunter"]),
            "Cannot route '*** *** *** *** ***.' to +*** ***-*** with ***"
        );
    }

    proptest! {
        #[test]
        fn no_word_of_a_message_and_no_digit_is_ever_quoted(
            text in "[a-zA-Z0-9 .:é]{0,60}",
            around in "\\PC{0,40}",
        ) {
            let shown = quoted(&format!("{around} {text} {around}"), &sms(&text), &[]);
            prop_assert!(!shown.chars().any(char::is_numeric), "{}", shown);
            prop_assert!(shown.chars().count() <= MAX_QUOTE);
            let words = shown.split(|c: char| !c.is_alphanumeric());
            let said: Vec<String> = words.map(str::to_lowercase).collect();
            for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
                prop_assert!(!said.contains(&word.to_lowercase()), "{:?} is in {:?}", word, shown);
            }
        }
    }
}

//! A message on its way out, and its form on the wire.

use std::fmt;
use std::time::{Duration, SystemTime};

use lettre::address::Address;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message, MultiPart, SinglePart};
use tidegate_domain::{EmailAddress, Timestamp};

use crate::{Rendered, SendError};

/// Longest idempotency key: with the boundary's prefix it stays within the 70 characters of RFC 2046 section 5.1.1.
const MAX_KEY: usize = 64;
/// The last second of the year 9999, after which a date has no form (RFC 5322 section 3.3).
const LAST_SECOND: i64 = 253_402_300_799;

/// A rendered mail and who gets it.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingMail {
    /// The recipient's address.
    pub to: String,
    /// What stays the same however often this mail is tried: ASCII letters, digits, `-`, `_` and `.`, at most 64.
    /// It becomes the `Message-ID`, by which receivers drop repeats.
    pub idempotency_key: String,
    /// What it says.
    pub rendered: Rendered,
    /// When it was written: its `Date`, the same at every attempt.
    pub date: Timestamp,
}

impl fmt::Debug for OutgoingMail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingMail")
            .field("to", &self.to)
            .field("idempotency_key", &self.idempotency_key)
            .field("rendered", &self.rendered)
            .field("date", &self.date)
            .finish()
    }
}

/// Puts `mail` into MIME form: text and HTML alternatives, every byte a function of the arguments.
///
/// # Errors
/// [`SendError::Permanent`] when the recipient, key or subject cannot stand in a header. Nothing is repaired: a line
/// break here is an attack or a defect.
pub(crate) fn compose(from: &Mailbox, mail: &OutgoingMail) -> Result<Message, SendError> {
    let to = recipient(&mail.to)?;
    let key = &mail.idempotency_key;
    if key.is_empty() || key.len() > MAX_KEY || !key.bytes().all(is_key_byte) {
        return Err(SendError::Permanent("the idempotency key cannot be a Message-ID".to_owned()));
    }
    let rendered = &mail.rendered;
    if rendered.subject.chars().any(char::is_control) {
        return Err(SendError::Permanent(
            "the subject contains a line break or control character".to_owned(),
        ));
    }
    let alternatives = MultiPart::alternative()
        // Neither quoted-printable nor base64 can produce `=_`, and the key is unique.
        .boundary(format!("=_{key}"))
        .singlepart(SinglePart::plain(rendered.text.clone()))
        .singlepart(SinglePart::html(rendered.html.clone()));
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(rendered.subject.clone())
        .date(system_time(mail.date))
        .message_id(Some(format!("<{key}@{}>", from.email.domain())))
        // Keeps vacation responders quiet (RFC 3834 section 5).
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .multipart(alternatives)
        .map_err(|error| SendError::Permanent(format!("the message cannot be composed: {error}")))
}

fn recipient(to: &str) -> Result<Address, SendError> {
    let refused = || SendError::Permanent("the recipient is not a valid e-mail address".to_owned());
    let address = EmailAddress::parse(to).map_err(|_| refused())?;
    address.as_str().parse().map_err(|_| refused())
}

fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// The header type takes the system's time type, and panics outside 1970 to 9999.
fn system_time(instant: Timestamp) -> SystemTime {
    let seconds = u64::try_from(instant.seconds().clamp(0, LAST_SECOND)).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail() -> OutgoingMail {
        OutgoingMail {
            to: "ada@example.com".to_owned(),
            idempotency_key: "0190c7a2-0000-7000-8000-000000000001".to_owned(),
            rendered: Rendered {
                subject: "Willkommen in Zürich".to_owned(),
                text: "Grüße\n".to_owned(),
                html: "<p>Grüße</p>\n".to_owned(),
            },
            date: Timestamp::from_seconds(1_704_110_400),
        }
    }

    fn composed(mail: &OutgoingMail) -> Result<String, SendError> {
        let from = "Tidegate <no-reply@id.example.com>".parse().unwrap();
        compose(&from, mail).map(|message| String::from_utf8(message.formatted()).unwrap())
    }

    #[test]
    fn every_attempt_sends_the_same_bytes() {
        let lines = composed(&mail()).unwrap().replace('\r', "");
        insta::assert_snapshot!(lines);
        assert_eq!(composed(&mail()), composed(&mail()));
    }

    #[test]
    fn nothing_a_person_types_adds_a_header() {
        for to in
            ["ada@example.com\r\nBcc: eve@example.com", "Ada\r\nBcc: eve <ada@example.com>", "a@b.cd, e@f.gh"]
        {
            let mail = OutgoingMail { to: to.to_owned(), ..mail() };
            assert!(matches!(composed(&mail), Err(SendError::Permanent(_))), "{to:?}");
        }
        for key in ["", "a\r\nBcc: eve@example.com", "a>b", &"k".repeat(65)] {
            let mail = OutgoingMail { idempotency_key: key.to_owned(), ..mail() };
            assert!(matches!(composed(&mail), Err(SendError::Permanent(_))), "{key:?}");
        }
        let mut mail = mail();
        mail.rendered.subject = "Hello Ada\r\nBcc: eve@example.com".to_owned();
        assert!(matches!(composed(&mail), Err(SendError::Permanent(_))));
    }

    #[test]
    fn a_date_outside_the_calendar_is_no_panic() {
        for micros in [i64::MIN, -1, i64::MAX] {
            let mail = OutgoingMail { date: Timestamp::from_micros(micros), ..mail() };
            assert!(composed(&mail).is_ok());
        }
    }

    #[test]
    fn debug_output_hides_what_the_mail_says() {
        let shown = format!("{:?}", mail());
        assert!(
            shown.contains("ada@example.com") && !shown.contains("Gr") && !shown.contains("Willkommen"),
            "{shown}"
        );
    }
}

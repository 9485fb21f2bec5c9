//! Delivery receipts: a provider's report about a message.
//!
//! A receipt is read only after it is authenticated. Otherwise any caller could report a failed message as delivered, or a
//! delivered one as failed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use tidegate_crypto::SharedKey;
use url::form_urlencoded;

use super::config::{SmsConfig, SmsConfigError, path_secret};
use super::message_id;

/// Longest reason that is kept.
const MAX_REASON: usize = 60;

/// How far a message has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// On its way.
    Interim,
    /// On the recipient's phone.
    Delivered,
    /// It will not arrive.
    Failed,
}

/// What a provider reports about one message. Reports may come twice and in any order: an [`Interim`] one
/// says nothing after a final one.
///
/// [`Interim`]: DeliveryState::Interim
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReceipt {
    /// What the provider called it when it [took](super::Accepted::message_id) it.
    pub message_id: String,
    /// How far it has got.
    pub state: DeliveryState,
    /// Why it failed, in the provider's own code.
    pub reason: Option<String>,
}

/// Why a report is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Nothing proves that the provider sent it, or no proof is set up here.
    #[error("the receipt is not authenticated")]
    Unauthenticated,
    /// Not a report.
    #[error("not a delivery receipt")]
    Malformed,
}

/// How Africa's Talking, which signs nothing, shows that a report is its own.
#[derive(Clone, Copy)]
pub enum Proof<'a> {
    /// The last segment of the callback's path, percent-decoded.
    Path(&'a str),
    /// The `Authorization` header: Basic, with the secret as the password and any user name.
    Authorization(&'a str),
}

/// Reads the reports of all providers that are set up.
#[derive(Debug)]
pub struct Receipts {
    africas_talking: Option<SharedKey>,
    twilio: Option<TwilioProof>,
}

#[derive(Debug)]
struct TwilioProof {
    auth_token: SharedKey,
    url: String,
}

impl Receipts {
    /// Those of the providers that `config` sets up with a way to prove them.
    ///
    /// # Errors
    /// Names the setting that is wrong.
    pub fn new(config: &SmsConfig) -> Result<Self, SmsConfigError> {
        let secret = config.africas_talking.as_ref().and_then(|config| config.receipt_secret.as_ref());
        let secret =
            secret.map(|secret| path_secret("africas_talking.receipt_secret", secret)).transpose()?;
        let twilio = config.twilio.as_ref().and_then(|config| {
            let auth_token = SharedKey::new(config.auth_token.as_ref()?.0.clone());
            Some(TwilioProof { auth_token, url: config.status_callback.clone()? })
        });
        Ok(Self { africas_talking: secret.map(SharedKey::new), twilio })
    }

    /// Reads a report of Africa's Talking, a form: `id, status, phoneNumber, networkCode, failureReason?`.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn africas_talking(&self, proof: Proof<'_>, body: &[u8]) -> Result<DeliveryReceipt, ReceiptError> {
        let key = self.africas_talking.as_ref().ok_or(ReceiptError::Unauthenticated)?;
        let is_proven = match proof {
            Proof::Path(segment) => key.is(segment),
            Proof::Authorization(header) => password(header).is_some_and(|password| key.is(&password)),
        };
        if !is_proven {
            return Err(ReceiptError::Unauthenticated);
        }
        let form = Form::read(body);
        let state = match form.get("status") {
            Some("Success") => DeliveryState::Delivered,
            Some("Rejected" | "Failed") => DeliveryState::Failed,
            // Sent, Submitted, Buffered, and what they may add: nothing final is concluded from it.
            Some(_) => DeliveryState::Interim,
            None => return Err(ReceiptError::Malformed),
        };
        form.receipt("id", state, "failureReason")
    }

    /// Reads a status callback of Twilio's, a form: `MessageSid, MessageStatus, ErrorCode?` among others.
    /// `signature` is the `X-Twilio-Signature` header, checked against the configured URL: the one Twilio was
    /// configured, whatever a proxy in between has made of it.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn twilio(&self, signature: &str, body: &[u8]) -> Result<DeliveryReceipt, ReceiptError> {
        let TwilioProof { auth_token, url } = self.twilio.as_ref().ok_or(ReceiptError::Unauthenticated)?;
        let form = Form::read(body);
        // Twilio is inconsistent about whether a port belongs to the URL, and its libraries accept both.
        let is_proven = [Some(url.clone()), with_other_port(url)]
            .iter()
            .flatten()
            .any(|url| auth_token.made_twilio_signature(signature, url, &form.0));
        if !is_proven {
            return Err(ReceiptError::Unauthenticated);
        }
        let state = match form.get("MessageStatus") {
            Some("delivered" | "read") => DeliveryState::Delivered,
            Some("undelivered" | "failed" | "canceled") => DeliveryState::Failed,
            // accepted, scheduled, queued, sending, sent.
            Some(_) => DeliveryState::Interim,
            None => return Err(ReceiptError::Malformed),
        };
        form.receipt("MessageSid", state, "ErrorCode")
    }
}

/// A form's fields, as they came.
struct Form(Vec<(String, String)>);

impl Form {
    fn read(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn receipt(&self, id: &str, state: DeliveryState, reason: &str) -> Result<DeliveryReceipt, ReceiptError> {
        let message_id = self.get(id).and_then(message_id).ok_or(ReceiptError::Malformed)?;
        // Fit for a log: their reasons are codes, such as 30006 or UserInBlacklist.
        let is_code = |text: &&str| {
            (1..=MAX_REASON).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let reason = self.get(reason).filter(|_| state == DeliveryState::Failed).filter(is_code);
        Ok(DeliveryReceipt { message_id, state, reason: reason.map(str::to_owned) })
    }
}

/// The password of HTTP Basic authentication (RFC 7617).
fn password(header: &str) -> Option<String> {
    let (scheme, credentials) = header.split_once(' ')?;
    let decoded =
        STANDARD.decode(credentials.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

/// `url` without its port, or with the usual one if it has none.
fn with_other_port(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let (host, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let usual = if scheme == "https" { 443 } else { 80 };
    Some(match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{scheme}://{host}{path}")
        }
        _ => format!("{scheme}://{host}:{usual}{path}"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "c2VjcmV0LXJlY2VpcHRz";

    fn receipts() -> Receipts {
        let json = r#"{
            "africas_talking": {"username": "riven", "api_key": "k", "receipt_secret": "c2VjcmV0LXJlY2VpcHRz"},
            "twilio": {"account_sid": "AC1", "auth_token": "8f2e1c0d", "from": "+15005550006",
                       "status_callback": "https://id.example.com/callbacks/twilio?kind=sms"}
        }"#;
        Receipts::new(&serde_json::from_str(json).unwrap()).unwrap()
    }

    fn reported(body: &str) -> Result<DeliveryReceipt, ReceiptError> {
        receipts().africas_talking(Proof::Path(SECRET), body.as_bytes())
    }

    fn receipt(message_id: &str, state: DeliveryState, reason: Option<&str>) -> DeliveryReceipt {
        DeliveryReceipt { message_id: message_id.to_owned(), state, reason: reason.map(str::to_owned) }
    }

    #[test]
    fn reports_of_africas_talking_are_interim_or_final() {
        for status in ["Sent", "Submitted", "Buffered", "SomethingNew"] {
            let body = format!("id=ATXid_1&status={status}&phoneNumber=%2B254712345678&networkCode=63903");
            assert_eq!(reported(&body), Ok(receipt("ATXid_1", DeliveryState::Interim, None)), "{status}");
        }
        assert_eq!(
            reported("phoneNumber=%2B254712345678&id=ATXid_1&status=Success&networkCode=63907"),
            Ok(receipt("ATXid_1", DeliveryState::Delivered, None))
        );
        assert_eq!(
            reported("id=ATXid_1&status=Failed&failureReason=UserInBlacklist"),
            Ok(receipt("ATXid_1", DeliveryState::Failed, Some("UserInBlacklist")))
        );
        assert_eq!(
            reported("id=ATXid_1&status=Rejected&failureReason=said+%27493027%27"),
            Ok(receipt("ATXid_1", DeliveryState::Failed, None))
        );
        for body in [
            "",
            "id=ATXid_1",
            "status=Success",
            "id=&status=Success",
            "id=a+b&status=Success",
            "{}",
            "%ff=%00",
        ] {
            assert_eq!(reported(body), Err(ReceiptError::Malformed), "{body}");
        }
    }

    #[test]
    fn africas_talking_proves_itself_by_path_or_password() {
        let body = b"id=ATXid_1&status=Success";
        let judged = |proof: Proof<'_>| receipts().africas_talking(proof, body).map(|_| ());
        let basic = |credentials: &str| format!("Basic {}", STANDARD.encode(credentials));
        assert_eq!(judged(Proof::Path(SECRET)), Ok(()));
        assert_eq!(judged(Proof::Authorization(&basic(&format!("africastalking:{SECRET}")))), Ok(()));
        assert_eq!(
            judged(Proof::Authorization(&basic(&format!(":{SECRET}")).replace("Basic", "bAsIc"))),
            Ok(())
        );
        for wrong in [
            Proof::Path(""),
            Proof::Path("c2VjcmV0LXJlY2VpcHR"),
            Proof::Authorization(""),
            Proof::Authorization("Basic"),
            Proof::Authorization("Basic !"),
            Proof::Authorization(SECRET),
            Proof::Authorization(&format!("Bearer {}", STANDARD.encode(format!("a:{SECRET}")))),
            Proof::Authorization(&basic(SECRET)),
            Proof::Authorization(&basic(&format!("{SECRET}:"))),
            Proof::Authorization(&basic("a:b")),
        ] {
            assert_eq!(judged(wrong), Err(ReceiptError::Unauthenticated));
        }
    }

    #[test]
    fn who_has_set_up_no_proof_believes_nobody() {
        let json = r#"{
            "africas_talking": {"username": "riven", "api_key": "k"},
            "twilio": {"account_sid": "AC1", "auth_token": "t", "from": "+15005550006"}
        }"#;
        let receipts = Receipts::new(&serde_json::from_str(json).unwrap()).unwrap();
        assert_eq!(
            receipts.africas_talking(Proof::Path(""), b"id=1&status=Success"),
            Err(ReceiptError::Unauthenticated)
        );
        assert_eq!(
            receipts.twilio("", b"MessageSid=SM1&MessageStatus=sent"),
            Err(ReceiptError::Unauthenticated)
        );
    }

    /// The signatures below are Python's: base64 of hmac.digest(b"8f2e1c0d", url + sorted fields, "sha1").
    #[test]
    fn callbacks_of_twilio_are_interim_or_final() {
        for (body, signature, state, reason) in [
            (
                "SmsSid=SM1&MessageSid=SM1&MessageStatus=sent&To=%2B254712345678&From=%2B15005550006",
                "kM/9z8Ty7cYG3mw1LWBK44kKBbY=",
                DeliveryState::Interim,
                None,
            ),
            (
                "MessageSid=SM1&MessageStatus=delivered&To=%2B254712345678",
                "Oh5ug0PNkwQ/RUnVRxE/T3e+LH8=",
                DeliveryState::Delivered,
                None,
            ),
            (
                "MessageSid=SM1&MessageStatus=undelivered&ErrorCode=30006",
                "1lN+gworXHKeojBiPJgxhjDsVZE=",
                DeliveryState::Failed,
                Some("30006"),
            ),
            (
                "MessageSid=SM1&MessageStatus=failed&ErrorCode=&ErrorMessage=Grr%C3%BC%C3%9Fe+%26+more",
                "UCLhRnzyDSnMFhepY+FroavFfaY=",
                DeliveryState::Failed,
                None,
            ),
            (
                "MessageSid=SM1&MessageStatus=something_new&ErrorCode=30003",
                "FWZqIc57QcK8jZdCW1Gch6jRITM=",
                DeliveryState::Interim,
                None,
            ),
        ] {
            let read = receipts().twilio(signature, body.as_bytes());
            assert_eq!(read, Ok(receipt("SM1", state, reason)), "{body}");
        }
        for (body, signature) in [
            ("MessageSid=SM1", "3trQ1mVfk7cJdw4e26Yj8UhXuNE="),
            ("MessageStatus=sent", "8/dJTpYrVTKUUfXQL4dHXKq0t5s="),
            ("MessageSid=&MessageStatus=sent", "HWGUinFzgIT0qWN666xl8s/p+dg="),
            ("MessageSid=SM+1&MessageStatus=sent", "cTWeBmlbTSX10eQRMp4zTuW5tFM="),
            ("SMSSTATUS=x", "1nbLoFF5BVcWvG4cokatzOBJAIE="),
            ("", "zjZ45a5AMXk+FMd+OiTm5xZqABU="),
        ] {
            assert_eq!(receipts().twilio(signature, body.as_bytes()), Err(ReceiptError::Malformed), "{body}");
        }
    }

    #[test]
    fn twilio_proves_itself_by_a_signature_over_url_and_form() {
        let body = "MessageSid=SM1&MessageStatus=delivered&To=%2B254712345678";
        let judged = |signature: &str, body: &str| receipts().twilio(signature, body.as_bytes()).map(|_| ());
        let right = "Oh5ug0PNkwQ/RUnVRxE/T3e+LH8=";
        assert_eq!(judged(right, body), Ok(()));
        // Over the same URL with its port written out.
        assert_eq!(judged("L0mB2kcWgyjc4td7tkZQVmfP0Kk=", body), Ok(()));
        for (signature, body) in [
            (right, "MessageSid=SM1&MessageStatus=failed&To=%2B254712345678".to_owned()),
            (right, format!("{body}&Extra=")),
            (right, format!("{body}&MessageStatus=failed")),
            ("", body.to_owned()),
            // Another account's token; another URL.
            ("ZVjDKuIlaGNdPGXCT4pMBz02S7I=", body.to_owned()),
            ("c7VycdRCFKSxHMdM33Qce+iE5bI=", body.to_owned()),
        ] {
            assert_eq!(judged(signature, &body), Err(ReceiptError::Unauthenticated), "{body}");
        }
    }

    #[test]
    fn a_port_is_left_out_or_written() {
        for (url, other) in [
            ("https://a.example/b?c=d:1", "https://a.example:443/b?c=d:1"),
            ("http://a.example", "http://a.example:80"),
            ("https://a.example:8443/b", "https://a.example/b"),
            ("https://[::1]/b", "https://[::1]:443/b"),
            ("https://[::1]:8443/b", "https://[::1]/b"),
            ("https://a.example?b", "https://a.example:443?b"),
        ] {
            assert_eq!(with_other_port(url).as_deref(), Some(other));
        }
    }

    proptest! {
        #[test]
        fn any_report_is_read_or_refused_without_a_panic(
            body in prop::collection::vec(any::<u8>(), 0..200),
            header in "\\PC{0,60}",
        ) {
            let receipts = receipts();
            if let Ok(receipt) = receipts.africas_talking(Proof::Path(SECRET), &body) {
                prop_assert!(receipt.message_id.bytes().all(|byte| byte.is_ascii_graphic()));
            }
            for proof in [Proof::Path(&header), Proof::Authorization(&header)] {
                let read = receipts.africas_talking(proof, &body);
                prop_assert_eq!(read, Err(ReceiptError::Unauthenticated));
            }
            prop_assert_eq!(receipts.twilio(&header, &body), Err(ReceiptError::Unauthenticated));
        }

        #[test]
        fn a_report_is_read_whatever_else_is_in_it_and_in_whatever_order(
            id in "[!-~]{1,100}",
            extra in prop::collection::vec(("[a-zA-Z]{8,12}", "\\PC{0,20}"), 0..4),
            at in 0_usize..5,
        ) {
            let mut fields = extra;
            fields.retain(|(name, _)| name != "failureReason");
            fields.insert(at.min(fields.len()), ("status".to_owned(), "Failed".to_owned()));
            fields.insert(at.min(fields.len()), ("id".to_owned(), id.clone()));
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
            prop_assert_eq!(reported(&body), Ok(receipt(&id, DeliveryState::Failed, None)));
        }
    }
}

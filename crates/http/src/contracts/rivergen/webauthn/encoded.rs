//! Bytes in text: base64url without padding as browsers write it, and as other clients do.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::wire::fields::{Check, Field};

const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// The bytes that text stands for; none for what is no base64, is empty, or stands for more than `most` bytes.
fn bytes(text: &str, most: usize) -> Option<Vec<u8>> {
    // Four characters for three bytes.
    if text.len() > most.div_ceil(3) * 4 {
        return None;
    }
    let engine = if text.contains(['+', '/']) { &STANDARD } else { &URL_SAFE };
    let bytes = engine.decode(text).ok()?;
    (1..=most).contains(&bytes.len()).then_some(bytes)
}

/// Bytes that must be there.
pub(super) fn required(
    check: &mut Check,
    name: &'static str,
    field: Field<String>,
    most: usize,
) -> Option<Vec<u8>> {
    let text = check.required(name, field)?;
    match bytes(&text, most) {
        Some(bytes) => Some(bytes),
        None => check.violated(name, format!("must be base64url of 1 to {most} bytes")),
    }
}

/// Bytes that may be left out, be `null` or be empty.
pub(super) fn optional(
    check: &mut Check,
    name: &'static str,
    field: Field<String>,
    most: usize,
) -> Option<Vec<u8>> {
    let text = check.optional(name, field).filter(|text| !text.is_empty())?;
    match bytes(&text, most) {
        Some(bytes) => Some(bytes),
        None => check.violated(name, format!("must be base64url of at most {most} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_too_long_or_nothing_is_refused() {
        assert_eq!(bytes("", 10), None);
        assert_eq!(bytes("AAAA", 3), Some(vec![0; 3]));
        assert_eq!(bytes("AAAAAA", 3), None);
        assert_eq!(bytes("AA AA", 10), None);
        assert_eq!(bytes("-_+/", 10), None, "one alphabet or the other");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in any::<String>()) {
            if let Some(read) = bytes(&text, 64) {
                prop_assert!((1..=64).contains(&read.len()));
            }
        }

        #[test]
        fn bytes_are_read_in_every_spelling(sent in prop::collection::vec(any::<u8>(), 1..100)) {
            for engine in [
                general_purpose::URL_SAFE_NO_PAD,
                general_purpose::URL_SAFE,
                general_purpose::STANDARD_NO_PAD,
                general_purpose::STANDARD,
            ] {
                prop_assert_eq!(bytes(&engine.encode(&sent), 100), Some(sent.clone()));
            }
            prop_assert_eq!(bytes(&general_purpose::STANDARD.encode(&sent), sent.len() - 1), None);
        }
    }
}

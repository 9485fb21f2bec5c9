//! A file in base64, as the usual encoders write it.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// With or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A decoded file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct EncodedFile {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// The media type its `data:` URI names, without parameters.
    pub(crate) media_type: Option<String>,
}

impl EncodedFile {
    /// Reads base64 (RFC 4648 sections 4 and 5) with or without padding, broken into lines or not (RFC 2045 section 6.8, and
    /// Android's default), bare or as a `data:` URI (RFC 2397). None for anything else.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (media_type, encoded) = match data_uri(text) {
            Some(parts) => parts?,
            None => (None, text),
        };
        let symbol = |byte: u8| match byte {
            b'-' => b'+',
            b'_' => b'/',
            byte => byte,
        };
        let symbols: Vec<u8> = encoded.bytes().filter(|b| !b.is_ascii_whitespace()).map(symbol).collect();
        Some(Self { bytes: LENIENT.decode(symbols).ok()?, media_type })
    }
}

type Parts<'t> = (Option<String>, &'t str);

/// Media type and content of a `data:` URI; outer None when it is none, inner None when it is not in base64.
fn data_uri(text: &str) -> Option<Option<Parts<'_>>> {
    let scheme = text.get(..5).filter(|scheme| scheme.eq_ignore_ascii_case("data:"))?;
    let parts = text.get(scheme.len()..).and_then(|rest| rest.split_once(','));
    Some(parts.and_then(|(head, content)| {
        let mut fields = head.split(';').map(str::trim);
        let media_type = fields.next().filter(|name| !name.is_empty()).map(str::to_ascii_lowercase);
        fields.any(|field| field.eq_ignore_ascii_case("base64")).then_some((media_type, content))
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes(text: &str) -> Option<Vec<u8>> {
        EncodedFile::read(text).map(|file| file.bytes)
    }

    #[test]
    fn a_file_is_read_as_the_usual_encoders_write_it() {
        let file = [0xfb, 0xef, 0xbe, 0xff, 0x00];
        for text in [
            "++++/wA=",
            "++++\r\n/wA=\r\n",
            "++++\n/wA",
            " ++++ /wA= ",
            "----_wA",
            "data:application/octet-stream;base64,++++/wA=",
            "DATA:Image/PNG;charset=utf-8;BASE64,++++\n/wA=",
            "data:;base64,++++/wA=",
        ] {
            assert_eq!(bytes(text).as_deref(), Some(&file[..]), "{text:?}");
        }
        let named = EncodedFile::read("data:Image/PNG;name=a.png;base64,AAAA").unwrap();
        assert_eq!(named.media_type.as_deref(), Some("image/png"));
        for text in
            ["++++/wA=x", "a", "data:image/png,AAAA", "data:image/png;base64", "\u{e4}AAA", "<svg>", "AA=A"]
        {
            assert_eq!(bytes(text), None, "{text:?}");
        }
        assert_eq!(bytes(""), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(data:)?\\PC{0,20}(;base64)?,?[A-Za-z0-9+/=_ \n-]{0,30}") {
            drop(EncodedFile::read(&text));
        }
    }
}

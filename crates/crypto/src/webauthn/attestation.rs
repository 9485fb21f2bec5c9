//! What is read of an attestation object beside what the library keeps: the model of the authenticator.

use serde::Deserialize;
use uuid::Uuid;

use super::LONGEST_AUTHENTICATOR_DATA;

/// The attestation object (Web Authentication level 3, section 6.5.4).
#[derive(Deserialize)]
struct AttestationObject<'a> {
    #[serde(rename = "authData", borrow)]
    authenticator_data: &'a [u8],
}

/// Where the model stands in authenticator data with a credential: after the hash of the relying party, the flags and the counter.
const FLAGS: usize = 32;
const AAGUID: std::ops::Range<usize> = 37..53;
/// The flag of authenticator data that a credential follows.
const HAS_CREDENTIAL: u8 = 0b0100_0000;

/// The AAGUID that an attestation object names; none where it is malformed or holds no credential.
pub fn aaguid(attestation_object: &[u8]) -> Option<Uuid> {
    if attestation_object.len() > LONGEST_AUTHENTICATOR_DATA {
        return None;
    }
    let object: AttestationObject<'_> = serde_cbor_2::from_slice(attestation_object).ok()?;
    let flags = object.authenticator_data.get(FLAGS)?;
    if flags & HAS_CREDENTIAL == 0 {
        return None;
    }
    Uuid::from_slice(object.authenticator_data.get(AAGUID)?).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_cbor_2::Value;

    use super::*;

    fn object(authenticator_data: Vec<u8>) -> Vec<u8> {
        let text = |text: &str| Value::Text(text.to_owned());
        let object = BTreeMap::from([
            (text("fmt"), text("none")),
            (text("attStmt"), Value::Map(BTreeMap::new())),
            (text("authData"), Value::Bytes(authenticator_data)),
        ]);
        serde_cbor_2::to_vec(&Value::Map(object)).unwrap()
    }

    #[test]
    fn the_model_stands_after_the_counter() {
        let mut data = vec![0; 60];
        data[FLAGS] = HAS_CREDENTIAL;
        data[AAGUID].copy_from_slice(&[7; 16]);
        assert_eq!(aaguid(&object(data.clone())), Some(Uuid::from_bytes([7; 16])));
        data[FLAGS] = 0;
        assert_eq!(aaguid(&object(data)), None, "no credential follows");
    }

    #[test]
    fn what_is_cut_off_or_nested_deeply_names_no_model() {
        let mut data = vec![0; 60];
        data[FLAGS] = HAS_CREDENTIAL;
        let whole = object(data.clone());
        for length in 0..whole.len() {
            assert_eq!(aaguid(&whole[..length]), None, "{length} bytes");
        }
        for length in 0..AAGUID.end {
            assert_eq!(
                aaguid(&object(data[..length].to_vec())),
                None,
                "{length} bytes of authenticator data"
            );
        }
        // Arrays within arrays, 10,000 deep.
        assert_eq!(aaguid(&[0x81; 10_000]), None);
        assert_eq!(aaguid(&vec![0; LONGEST_AUTHENTICATOR_DATA + 1]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            let _ = aaguid(&bytes);
            let _ = aaguid(&object(bytes));
        }
    }
}

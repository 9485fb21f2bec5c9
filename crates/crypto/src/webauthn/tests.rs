//! Ceremonies with the software authenticator.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use super::software::{BACKED_UP, BACKUP_ELIGIBLE, SoftwareAuthenticator, USER_PRESENT, USER_VERIFIED};
use super::*;
use crate::testing::Seeded;

const ORIGIN: &str = "https://id.example.com";

fn relying_party(allowed: Vec<Uuid>) -> RelyingParty {
    let origins = [ORIGIN.to_owned(), "https://app.id.example.com".to_owned()];
    RelyingParty::new("id.example.com", "Example", &origins, false, allowed).unwrap()
}

fn authenticator() -> SoftwareAuthenticator {
    SoftwareAuthenticator::new(b"one passkey", ORIGIN)
}

fn challenge(seed: u64) -> PasskeyChallenge {
    PasskeyChallenge::generate(&Seeded::new(seed))
}

fn bytes(answer: &Value, name: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(answer["response"][name].as_str().unwrap()).unwrap()
}

fn register(authenticator: &mut SoftwareAuthenticator, challenge: &PasskeyChallenge) -> RegistrationResponse {
    let answer = authenticator.register(&json!({
        "challenge": challenge.base64().expose(),
        "rp": { "id": "id.example.com" },
        "user": { "id": "YWRh" },
    }));
    RegistrationResponse {
        credential_id: authenticator.credential_id.clone(),
        client_data: bytes(&answer, "clientDataJSON"),
        attestation_object: bytes(&answer, "attestationObject"),
        transports: Vec::new(),
    }
}

fn sign_in(authenticator: &mut SoftwareAuthenticator, challenge: &PasskeyChallenge) -> AssertionResponse {
    let answer =
        authenticator.sign_in(&json!({ "challenge": challenge.base64().expose(), "rpId": "id.example.com" }));
    AssertionResponse {
        credential_id: authenticator.credential_id.clone(),
        client_data: bytes(&answer, "clientDataJSON"),
        authenticator_data: bytes(&answer, "authenticatorData"),
        signature: bytes(&answer, "signature"),
        user_handle: authenticator.user_handle.clone(),
    }
}

fn stored(passkey: &RegisteredPasskey) -> StoredPasskey<'_> {
    StoredPasskey {
        credential: &passkey.credential,
        sign_count: passkey.sign_count,
        backup_eligible: passkey.backup_eligible,
        backed_up: passkey.backed_up,
    }
}

#[test]
fn a_passkey_is_registered_and_signs_in() {
    let (party, mut authenticator) = (relying_party(Vec::new()), authenticator());
    authenticator.aaguid = [9; 16];
    let passkey =
        party.verify_registration(&challenge(1), &register(&mut authenticator, &challenge(1))).unwrap();
    assert_eq!((passkey.sign_count, passkey.aaguid), (1, Uuid::from_bytes([9; 16])));
    assert!(!passkey.backup_eligible && !passkey.backed_up);
    // From a second origin, too.
    authenticator.origin = "https://app.id.example.com".to_owned();
    let verified = party
        .verify_assertion(&challenge(2), &sign_in(&mut authenticator, &challenge(2)), &stored(&passkey))
        .unwrap();
    assert_eq!(verified, VerifiedAssertion { sign_count: 2, backup_eligible: false, backed_up: false });
}

#[test]
fn a_registration_for_another_ceremony_is_refused() {
    type Wrong = fn(&mut SoftwareAuthenticator);
    let cases: [(Wrong, RegistrationRejected); 8] = [
        (|it| it.origin = "https://example.org".to_owned(), RegistrationRejected::ClientData),
        (|it| it.origin = "http://id.example.com".to_owned(), RegistrationRejected::ClientData),
        (|it| it.origin = "https://id.example.com:8443".to_owned(), RegistrationRejected::ClientData),
        (|it| it.client_data = json!({ "type": "webauthn.get" }), RegistrationRejected::ClientData),
        (|it| it.rp_id = Some("example.com".to_owned()), RegistrationRejected::Attestation),
        (|it| it.flags = USER_PRESENT, RegistrationRejected::Attestation),
        (|it| it.flags = USER_VERIFIED, RegistrationRejected::Attestation),
        (|it| it.flags |= BACKED_UP, RegistrationRejected::Attestation),
    ];
    for (number, (spoil, expected)) in cases.into_iter().enumerate() {
        let mut authenticator = authenticator();
        spoil(&mut authenticator);
        let response = register(&mut authenticator, &challenge(1));
        let refused = relying_party(Vec::new()).verify_registration(&challenge(1), &response).unwrap_err();
        assert_eq!(refused, expected, "case {number}");
    }
    let response = register(&mut authenticator(), &challenge(1));
    let refused = relying_party(Vec::new()).verify_registration(&challenge(2), &response).unwrap_err();
    assert_eq!(refused, RegistrationRejected::ClientData, "another challenge");
    let other = RegistrationResponse { credential_id: b"another".to_vec(), ..response };
    let refused = relying_party(Vec::new()).verify_registration(&challenge(1), &other).unwrap_err();
    assert_eq!(refused, RegistrationRejected::Attestation, "another credential");
}

#[test]
fn only_allowed_models_are_registered_where_there_is_a_list() {
    let party = relying_party(vec![Uuid::from_bytes([1; 16])]);
    let mut authenticator = authenticator();
    let refused = party.verify_registration(&challenge(1), &register(&mut authenticator, &challenge(1)));
    assert_eq!(refused.unwrap_err(), RegistrationRejected::Authenticator);
    authenticator.aaguid = [1; 16];
    party.verify_registration(&challenge(1), &register(&mut authenticator, &challenge(1))).unwrap();
}

#[test]
fn an_assertion_for_another_ceremony_is_refused() {
    type Wrong = fn(&mut SoftwareAuthenticator);
    let party = relying_party(Vec::new());
    let cases: [Wrong; 7] = [
        |it| it.origin = "https://example.org".to_owned(),
        |it| it.client_data = json!({ "type": "webauthn.create" }),
        |it| it.rp_id = Some("example.com".to_owned()),
        |it| it.flags = USER_PRESENT,
        |it| it.flags = USER_VERIFIED,
        |it| it.flags |= BACKED_UP,
        |it| it.client_data = json!({ "challenge": challenge(3).base64().expose() }),
    ];
    for (number, spoil) in cases.into_iter().enumerate() {
        let mut authenticator = authenticator();
        let passkey =
            party.verify_registration(&challenge(1), &register(&mut authenticator, &challenge(1))).unwrap();
        spoil(&mut authenticator);
        let response = sign_in(&mut authenticator, &challenge(2));
        let refused = party.verify_assertion(&challenge(2), &response, &stored(&passkey)).unwrap_err();
        assert_eq!(refused, AssertionRejected::Invalid, "case {number}");
    }
}

#[test]
fn a_counter_that_does_not_advance_is_refused_and_one_that_stays_zero_is_not() {
    let (party, mut authenticator) = (relying_party(Vec::new()), authenticator());
    authenticator.sign_count = 7;
    let passkey =
        party.verify_registration(&challenge(1), &register(&mut authenticator, &challenge(1))).unwrap();
    for count in [0, 6, 7] {
        authenticator.sign_count = count;
        let response = sign_in(&mut authenticator, &challenge(2));
        let refused = party.verify_assertion(&challenge(2), &response, &stored(&passkey)).unwrap_err();
        assert_eq!(refused, AssertionRejected::CounterWentBack, "{count}");
    }
    let mut none = self::authenticator();
    none.sign_count = 0;
    let passkey = party.verify_registration(&challenge(1), &register(&mut none, &challenge(1))).unwrap();
    let response = sign_in(&mut none, &challenge(2));
    assert_eq!(party.verify_assertion(&challenge(2), &response, &stored(&passkey)).unwrap().sign_count, 0);
}

#[test]
fn a_passkey_may_become_one_that_is_synchronized() {
    let (party, mut authenticator) = (relying_party(Vec::new()), authenticator());
    authenticator.flags |= BACKUP_ELIGIBLE;
    let passkey =
        party.verify_registration(&challenge(1), &register(&mut authenticator, &challenge(1))).unwrap();
    assert!(passkey.backup_eligible && !passkey.backed_up);
    authenticator.flags |= BACKED_UP;
    let response = sign_in(&mut authenticator, &challenge(2));
    let verified = party.verify_assertion(&challenge(2), &response, &stored(&passkey)).unwrap();
    assert!(verified.backup_eligible && verified.backed_up);
}

#[test]
fn an_attestation_object_that_is_cut_off_is_refused_at_every_length() {
    let (party, whole) = (relying_party(Vec::new()), register(&mut authenticator(), &challenge(1)));
    for length in 0..whole.attestation_object.len() {
        let attestation_object = whole.attestation_object[..length].to_vec();
        let cut = RegistrationResponse { attestation_object, ..whole.clone() };
        let refused = party.verify_registration(&challenge(1), &cut).unwrap_err();
        assert_eq!(refused, RegistrationRejected::Attestation, "{length} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changed_bytes_of_an_assertion_never_verify(place in any::<prop::sample::Index>(), bit in 0_u8..8, part in 0..3) {
        let (party, mut authenticator) = (relying_party(Vec::new()), authenticator());
        let passkey = party.verify_registration(&challenge(1), &register(&mut authenticator, &challenge(1))).unwrap();
        let mut response = sign_in(&mut authenticator, &challenge(2));
        let part = match part {
            0 => &mut response.authenticator_data,
            1 => &mut response.client_data,
            _ => &mut response.signature,
        };
        let place = place.index(part.len());
        part[place] ^= 1 << bit;
        prop_assert!(party.verify_assertion(&challenge(2), &response, &stored(&passkey)).is_err());
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (party, mut authenticator) = (relying_party(Vec::new()), authenticator());
        let whole = register(&mut authenticator, &challenge(1));
        let passkey = party.verify_registration(&challenge(1), &whole).unwrap();
        for response in [
            RegistrationResponse { attestation_object: bytes.clone(), ..whole.clone() },
            RegistrationResponse { client_data: bytes.clone(), ..whole.clone() },
            RegistrationResponse { attestation_object: [&whole.attestation_object[..whole.attestation_object.len() - 1], &bytes].concat(), ..whole.clone() },
        ] {
            let _ = party.verify_registration(&challenge(1), &response);
        }
        let whole = sign_in(&mut authenticator, &challenge(2));
        for response in [
            AssertionResponse { authenticator_data: bytes.clone(), ..whole.clone() },
            AssertionResponse { client_data: bytes.clone(), ..whole.clone() },
            AssertionResponse { signature: bytes.clone(), ..whole },
        ] {
            prop_assert!(party.verify_assertion(&challenge(2), &response, &stored(&passkey)).is_err());
        }
    }
}

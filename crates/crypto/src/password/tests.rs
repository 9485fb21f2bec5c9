use proptest::prelude::*;

use super::*;
use crate::testing::Seeded;

const FAST: PasswordScheme = PasswordScheme::Bcrypt { cost: 4 };
const FAST_ARGON2: PasswordScheme =
    PasswordScheme::Argon2id { memory_kib: 64, iterations: 1, parallelism: 1 };

fn hasher(scheme: PasswordScheme) -> PasswordHasher {
    PasswordHasher::new(scheme, None, Vec::new()).unwrap()
}

fn pepper(id: &str) -> Pepper {
    Pepper::new(id, format!("{id} and twice sixteen bytes of secret").as_bytes()).unwrap()
}

fn peppered(pepper: Pepper, old: Vec<Pepper>) -> PasswordHasher {
    PasswordHasher::new(FAST, Some(pepper), old).unwrap()
}

fn verify(hasher: &PasswordHasher, password: &str, stored: &str) -> Verification {
    hasher.verify(&Password::new(password), stored).unwrap()
}

fn hash(hasher: &PasswordHasher, password: &str) -> String {
    hasher.hash(&Password::new(password), &Seeded::new(2)).unwrap()
}

fn refusal(stored: &str) -> PasswordError {
    hasher(FAST).verify(&Password::new("x"), stored).unwrap_err()
}

#[test]
fn the_right_password_matches_and_another_does_not() {
    for scheme in [FAST, FAST_ARGON2] {
        let hasher = hasher(scheme);
        let stored = hash(&hasher, "correct horse");
        assert_eq!(verify(&hasher, "correct horse", &stored), Verification::Match);
        assert_eq!(verify(&hasher, "correct horsf", &stored), Verification::Mismatch);
        assert_eq!(verify(&hasher, "", &stored), Verification::Mismatch);
    }
}

#[test]
fn the_same_password_is_stored_differently_each_time() {
    let (hasher, entropy) = (hasher(FAST), Seeded::new(2));
    let password = Password::new("correct horse");
    assert_ne!(hasher.hash(&password, &entropy), hasher.hash(&password, &entropy));
}

#[test]
fn long_passwords_count_to_the_last_character() {
    for scheme in [FAST, FAST_ARGON2] {
        let hasher = hasher(scheme);
        let stored = hash(&hasher, &"x".repeat(200));
        assert_eq!(verify(&hasher, &"x".repeat(200), &stored), Verification::Match);
        assert_eq!(verify(&hasher, &"x".repeat(199), &stored), Verification::Mismatch);
        let last_differs = format!("{}y", "x".repeat(199));
        assert_eq!(verify(&hasher, &last_differs, &stored), Verification::Mismatch);
    }
}

#[test]
fn non_ascii_passwords_whose_first_72_bytes_agree_are_different_passwords() {
    let hasher = hasher(FAST);
    let start = "\u{5bc6}\u{7801}".repeat(12);
    assert_eq!(start.len(), 72);
    let stored = hash(&hasher, &format!("{start}\u{7532}"));
    assert_eq!(verify(&hasher, &format!("{start}\u{7532}"), &stored), Verification::Match);
    assert_eq!(verify(&hasher, &format!("{start}\u{4e59}"), &stored), Verification::Mismatch);
}

#[test]
fn a_password_is_the_same_from_every_keyboard() {
    let hasher = hasher(FAST);
    let stored = hash(&hasher, "Man\u{303}ana1234");
    for typed in ["Man\u{303}ana1234", "Ma\u{f1}ana1234", "\u{ff2d}a\u{f1}ana1234", "Ma\u{f1}ana1234\n"] {
        assert_eq!(verify(&hasher, typed, &stored), Verification::Match, "{typed:?}");
    }
    assert_eq!(verify(&hasher, "Manana1234", &stored), Verification::Mismatch);
}

#[test]
fn a_hash_from_before_passwords_were_prepared_verifies_and_asks_for_a_new_one() {
    let hasher = hasher(FAST);
    let before = |typed: &str| {
        let inner = FAST.hash(prehash(None, typed).as_bytes(), &Seeded::new(2)).unwrap();
        PasswordHasher::stored_form(None, &inner)
    };
    let imported = |typed: &str| FAST.hash(typed.as_bytes(), &Seeded::new(2)).unwrap();
    let (apart, composed, wide) = ("Man\u{303}ana1234", "Ma\u{f1}ana1234", "\u{ff2d}a\u{f1}ana1234");
    for stored in [before(apart), imported(apart)] {
        assert_eq!(verify(&hasher, apart, &stored), Verification::MatchOutdated);
        // Set on one keyboard and typed on another.
        assert_eq!(verify(&hasher, composed, &stored), Verification::MatchOutdated);
        assert_eq!(verify(&hasher, "Manana1234", &stored), Verification::Mismatch);
    }
    assert_eq!(verify(&hasher, wide, &before(wide)), Verification::MatchOutdated);
    assert_eq!(verify(&hasher, composed, &before(wide)), Verification::Mismatch);
    assert_eq!(verify(&hasher, apart, &before(composed)), Verification::Match);
}

#[test]
fn a_zero_byte_does_not_end_a_password() {
    let hasher = hasher(FAST);
    let stored = hash(&hasher, "correct\0horse");
    assert_eq!(verify(&hasher, "correct\0", &stored), Verification::Mismatch);
    assert_eq!(verify(&hasher, "correct\0horse", &stored), Verification::Match);
}

#[test]
fn our_stored_form_is_what_another_bcrypt_makes_of_the_documented_input() {
    // libxcrypt of base64(HMAC-SHA-384("tidegate password hash v1", "correct horse")).
    let stored = "tg1$-$2b$04$abcdefghijklmnopqrstuuBSroDuY.6LkhOuZ4rKXpbHENiiFA/P2";
    assert_eq!(verify(&hasher(FAST), "correct horse", stored), Verification::Match);
}

#[test]
fn a_raised_cost_or_a_new_scheme_asks_for_a_new_hash() {
    let stored = hash(&hasher(FAST), "correct horse");
    for configured in [PasswordScheme::Bcrypt { cost: 5 }, FAST_ARGON2] {
        let hasher = hasher(configured);
        assert_eq!(verify(&hasher, "correct horse", &stored), Verification::MatchOutdated);
        assert_eq!(verify(&hasher, "wrong", &stored), Verification::Mismatch);
    }
    let stored = hash(&hasher(FAST_ARGON2), "correct horse");
    let more_memory = PasswordScheme::Argon2id { memory_kib: 128, iterations: 1, parallelism: 1 };
    assert_eq!(verify(&hasher(more_memory), "correct horse", &stored), Verification::MatchOutdated);
}

#[test]
fn a_pepper_is_needed_and_can_be_changed() {
    let first = peppered(pepper("first"), Vec::new());
    let stored = hash(&first, "correct horse");
    assert!(stored.starts_with("tg1$first$2b$04$"));
    assert_eq!(verify(&first, "correct horse", &stored), Verification::Match);

    let second = peppered(pepper("second"), vec![pepper("first")]);
    assert_eq!(verify(&second, "correct horse", &stored), Verification::MatchOutdated);
    assert_eq!(verify(&second, "wrong", &stored), Verification::Mismatch);

    let forgotten = peppered(pepper("second"), Vec::new());
    assert_eq!(forgotten.check(&stored), Err(PasswordError::UnknownPepper { id: "first".into() }));
    assert_eq!(forgotten.missing_pepper(&stored), Some("first"));
    assert_eq!(second.missing_pepper("tg1$first$2b$04$53"), None);
    for without in ["tg1$-$2b$04$53", "$2b$04$53", "tg1$"] {
        assert_eq!(forgotten.missing_pepper(without), None, "{without}");
    }
}

#[test]
fn a_wrong_pepper_of_the_right_name_matches_nothing() {
    let stored = hash(&peppered(pepper("p"), Vec::new()), "correct horse");
    let impostor = Pepper::new("p", &[7; 32]).unwrap();
    assert_eq!(verify(&peppered(impostor, Vec::new()), "correct horse", &stored), Verification::Mismatch);
}

#[test]
fn adding_or_removing_the_pepper_keeps_everybody_signed_up() {
    let plain = hasher(FAST);
    let stored = hash(&plain, "correct horse");
    let peppered = peppered(pepper("p"), Vec::new());
    assert_eq!(verify(&peppered, "correct horse", &stored), Verification::MatchOutdated);

    let stored = hash(&peppered, "correct horse");
    let removed = PasswordHasher::new(FAST, None, vec![pepper("p")]).unwrap();
    assert_eq!(verify(&removed, "correct horse", &stored), Verification::MatchOutdated);
}

/// Hashes that other software made, with their passwords.
const IMPORTED: &[(&str, &str)] = &[
    // jBCrypt's test vectors.
    ("$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe", "a"),
    // libxcrypt.
    ("$2b$04$abcdefghijklmnopqrstuuMFdJu9yVgmagVAIC24fOZkaFqd3s9JC", "a"),
    ("$2y$04$abcdefghijklmnopqrstuuyx2n0Zzopyr9QuYTMCfOJJOj526QVoC", "p\u{e4}ssw\u{f6}rd"),
    // The reference implementation of Argon2, src/test.c; the last is of version 1.0.
    ("$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4", "password"),
    ("$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc", "password"),
    ("$argon2i$m=256,t=2,p=1$c29tZXNhbHQ$/U3YPXYsSb3q9XxHvc0MLxur+GP960kN9j7emXX8zwY", "password"),
    // RFC 7914 section 12.
    (
        "$scrypt$ln=10,r=8,p=16$TmFDbA$/bq+HJ00cgB4VucZDQHp/nxq18vII3gw53N2Y0s3MWIurzDZLiKjiG/xCSedmDDaxyevuUqD7m2D\
         YMvfoswGQA",
        "password",
    ),
    // passlib's documentation: rounds without a name, `.` for `+`.
    ("$pbkdf2-sha256$6400$.6UI/S.nXIk8jcbdHx3Fhg$98jZicV16ODfEsEZeYPGHU3kbrUrvUEXOPimVSQDD44", "password"),
    // The PHC form of the same function.
    (
        "$pbkdf2-sha256$i=4096,l=40$c2FsdFNBTFRzYWx0U0FMVHNhbHRTQUxUc2FsdFNBTFRzYWx0\
         $NIyJ28vTKy8y2BS4EW6EzysXNH68GAAYHE4qH7jdU+HGNVGMfaxH6Q",
        "passwordPASSWORDpassword",
    ),
    // Python's hashlib.
    (
        "$pbkdf2-sha512$1000$c2l4dGVlbiBieXRlIHNhbA\
         $09gW96xYocf0Z3zOEm72qfkAyCC9Fk6nEmWJHSd+a5mtbJkFHDh1b7Da9WIX6vSA5uGT/Y31iEpeqKBuRQhNEw",
        "p\u{e4}ssw\u{f6}rd",
    ),
];

#[test]
fn imported_hashes_of_other_software_verify_and_ask_for_a_new_hash() {
    let hasher = hasher(FAST);
    for (stored, password) in IMPORTED {
        assert_eq!(hasher.check(stored), Ok(()), "{stored}");
        assert_eq!(verify(&hasher, password, stored), Verification::MatchOutdated, "{stored}");
        assert_eq!(verify(&hasher, "another", stored), Verification::Mismatch, "{stored}");
    }
}

#[test]
fn an_imported_bcrypt_hash_of_a_long_password_verifies_as_it_did_where_it_came_from() {
    // libxcrypt, of 80 digits: bcrypt read the first 72.
    let stored = "$2b$04$abcdefghijklmnopqrstuum2G75IXDN/xsgbNa/hCiPSKyIHQd70S";
    let digits = "0123456789".repeat(8);
    let with = |at: usize| format!("{}x{}", &digits[..at], &digits[at + 1..]);
    let hasher = hasher(FAST);
    assert_eq!(verify(&hasher, &digits, stored), Verification::MatchOutdated);
    assert_eq!(verify(&hasher, &with(72), stored), Verification::MatchOutdated);
    assert_eq!(verify(&hasher, &with(71), stored), Verification::Mismatch);
}

#[test]
fn stray_bits_after_a_salt_do_not_lock_anybody_out() {
    // The salt's last character has four bits that bcrypt never reads; some writers left them set.
    let stray = "$2a$06$m0CrhHm10qJ3lXRY.5zDGP3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";
    assert_eq!(verify(&hasher(FAST), "a", stray), Verification::MatchOutdated);
}

#[test]
fn a_stolen_hash_of_ours_cannot_be_passed_off_as_imported() {
    // Somebody who can write to the database strips the first step off; the password then no longer matches.
    let hasher = hasher(FAST);
    let stored = hash(&hasher, "correct horse");
    let stripped = stored.strip_prefix("tg1$-").unwrap();
    assert_eq!(verify(&hasher, "correct horse", stripped), Verification::Mismatch);
}

#[test]
fn what_is_no_hash_is_refused_with_its_reason() {
    for unrecognised in [
        "",
        "hunter2",
        "$",
        "$1$salt$md5",
        "$2x$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe",
        "$argon2d$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$5$rounds=5000$salt$x",
        "tg1$-plain",
        "tg1$-$tg1$-$2b$04$abcdefghijklmnopqrstuuBSroDuY.6LkhOuZ4rKXpbHENiiFA/P2",
    ] {
        let reason = refusal(unrecognised);
        assert!(
            matches!(reason, PasswordError::Unrecognised | PasswordError::Malformed(_)),
            "{unrecognised}: {reason}"
        );
    }
    for malformed in [
        "tg1$",
        "$2b$04$short",
        "$2b$04$\u{e9}bcdefghijklmnopqrstuuMFdJu9yVgmagVAIC24fOZkaFqd3s9J",
        "$2b$xx$abcdefghijklmnopqrstuuMFdJu9yVgmagVAIC24fOZkaFqd3s9JC",
        "$argon2id$v=19$m=256,t=2$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1,keyid=x$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=18$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=2,p=1$c2FsdA$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$argon2id$v=19$m=256,t=0,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$pbkdf2-sha256$0$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$pbkdf2-sha256$i=1,l=31$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
        "$scrypt$ln=0,r=8,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4",
    ] {
        let reason = refusal(malformed);
        assert!(matches!(reason, PasswordError::Malformed(_)), "{malformed}: {reason}");
    }
}

#[test]
fn a_hash_without_output_does_not_match_every_password() {
    for empty in [
        "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$",
        "$scrypt$ln=4,r=8,p=1$c29tZXNhbHQ$",
        "$pbkdf2-sha256$1000$c29tZXNhbHQ$",
        "$pbkdf2-sha256$1000$c29tZXNhbHQ$AAAA",
    ] {
        assert!(matches!(refusal(empty), PasswordError::Malformed(_)), "{empty}");
    }
}

#[test]
fn a_hostile_import_cannot_make_one_sign_in_cost_gigabytes_or_hours() {
    let output = "c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
    for costly in [
        "$2b$31$abcdefghijklmnopqrstuuMFdJu9yVgmagVAIC24fOZkaFqd3s9JC".to_owned(),
        "$2b$4294967295$abcdefghijklmnopqrstuuMFdJu9yVgmagVAIC24fOZkaFqd3s9JC".to_owned(),
        format!("$argon2id$v=19$m=4294967295,t=1,p=1${output}"),
        format!("$argon2id$v=19$m=65536,t=4294967295,p=1${output}"),
        format!("$argon2id$v=19$m=65536,t=1,p=4294967295${output}"),
        format!("$scrypt$ln=31,r=8,p=1${output}"),
        format!("$scrypt$ln=32,r=4294967295,p=4294967295${output}"),
        format!("$scrypt$ln=1,r=4294967295,p=1${output}"),
        format!("$scrypt$ln=1,r=1,p=4294967295${output}"),
        format!("$pbkdf2-sha512$4294967295${output}"),
    ] {
        assert!(matches!(refusal(&costly), PasswordError::TooCostly(_)), "{costly}");
    }
}

#[test]
fn a_scheme_out_of_bounds_is_refused_at_the_start() {
    let refused = |scheme| PasswordHasher::new(scheme, None, Vec::new()).unwrap_err();
    let argon2 = |memory_kib, iterations, parallelism| PasswordScheme::Argon2id {
        memory_kib,
        iterations,
        parallelism,
    };
    for scheme in [
        PasswordScheme::Bcrypt { cost: 3 },
        PasswordScheme::Bcrypt { cost: 17 },
        argon2(7, 1, 1),
        argon2(64, 0, 1),
        argon2(64, 1, 0),
        argon2(1 << 20, 1, 1),
    ] {
        assert!(matches!(refused(scheme), SchemeError::OutOfBounds(_)));
    }
}

#[test]
fn a_pepper_must_be_long_and_simply_named() {
    assert_eq!(Pepper::new("p", &[7; 31]).unwrap_err(), SchemeError::PepperKey);
    for id in ["", "-", "a$b", "Upper", "seventeen_letters"] {
        assert_eq!(Pepper::new(id, &[7; 32]).unwrap_err(), SchemeError::PepperId);
    }
}

#[test]
fn the_scheme_is_one_line_of_configuration() {
    let read = |text| serde_json::from_str::<PasswordScheme>(text);
    assert_eq!(PasswordScheme::default(), PasswordScheme::Bcrypt { cost: 12 });
    assert_eq!(read(r#"{"scheme":"bcrypt"}"#).unwrap(), PasswordScheme::default());
    assert_eq!(
        read(r#"{"scheme":"argon2id"}"#).unwrap(),
        PasswordScheme::Argon2id { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    );
    assert!(read(r#"{"scheme":"bcrypt","rounds":12}"#).is_err());
    assert!(read(r#"{"scheme":"md5"}"#).is_err());
    assert!(
        [PasswordScheme::default(), read(r#"{"scheme":"argon2id"}"#).unwrap()]
            .iter()
            .all(|scheme| scheme.check().is_ok())
    );
}

#[test]
fn debug_output_and_errors_hide_peppers_and_hashes() {
    let hasher = peppered(pepper("p"), Vec::new());
    assert!(!format!("{hasher:?}").contains("twice sixteen"));
    assert!(!refusal("hunter2").to_string().contains("hunter2"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn every_password_matches_its_own_hash_and_no_other(password in ".*", other in ".*") {
        let hasher = hasher(FAST);
        let stored = hash(&hasher, &password);
        prop_assert_eq!(verify(&hasher, &password, &stored), Verification::Match);
        let expected = if other == password { Verification::Match } else { Verification::Mismatch };
        prop_assert_eq!(verify(&hasher, &other, &stored), expected);
    }

    #[test]
    fn a_damaged_hash_never_panics_and_never_matches(at in 0_usize..65, with in any::<char>()) {
        let hasher = hasher(FAST);
        let stored = hash(&hasher, "correct horse");
        let damaged: String = stored.chars().enumerate().map(|(i, c)| if i == at { with } else { c }).collect();
        let verdict = hasher.verify(&Password::new("another"), &damaged);
        prop_assert!(!matches!(verdict, Ok(Verification::Match | Verification::MatchOutdated)));
    }
}

proptest! {
    #[test]
    fn arbitrary_text_is_never_taken_for_a_hash(text in ".*", kind in 0_usize..6) {
        let prefix = ["", "$2b$04$", "$argon2id$v=19$", "$scrypt$", "$pbkdf2-sha256$", "tg1$-"][kind];
        let stored = format!("{prefix}{text}");
        prop_assert!(hasher(FAST).check(&stored).is_err());
    }
}

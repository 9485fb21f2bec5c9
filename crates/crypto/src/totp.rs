//! Time-based one-time passwords (RFC 6238): SHA-1, six digits, thirty seconds, as authenticator apps expect them.

use tidegate_domain::{Entropy, Secret, Timestamp};
use totp_rs::{Algorithm, Builder, Totp};
use zeroize::Zeroizing;

/// Bytes of a seed: as many as SHA-1 gives (RFC 4226 section 4, R6).
pub const SEED_BYTES: usize = 20;
/// Seconds of a time step.
const STEP: u64 = 30;
/// Time steps before and after the present one whose codes are accepted (RFC 6238 section 5.2).
const SKEW: u16 = 1;
/// Time steps before and after the present one in which a wrong code is looked for: ten minutes.
const FAR: i64 = 20;
/// Time steps of half an hour, by which zones differ.
const HALF_HOUR: i64 = 60;
/// Half hours that a wrong code is looked for around: as many as a clock in the wrong zone is away.
const ZONES: i64 = 28;
/// Half hours of a day, by which a clock is wrong that was set by hand to another date.
const DAY: i64 = 48;

/// The secret that an authenticator app and this installation share. Never printed.
pub struct TotpSeed(Zeroizing<[u8; SEED_BYTES]>);

/// Bytes that cannot be a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a TOTP seed has {SEED_BYTES} bytes")]
pub struct NotASeed;

impl std::fmt::Debug for TotpSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[seed]")
    }
}

impl TotpSeed {
    /// A new seed.
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = Zeroizing::new([0; SEED_BYTES]);
        entropy.fill(&mut *bytes);
        Self(bytes)
    }

    /// A seed as it was stored.
    ///
    /// # Errors
    /// [`NotASeed`] for bytes of another length.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotASeed> {
        bytes.try_into().map(|bytes| Self(Zeroizing::new(bytes))).map_err(|_| NotASeed)
    }

    /// The bytes, to be sealed.
    pub fn as_bytes(&self) -> &[u8; SEED_BYTES] {
        &self.0
    }

    /// The seed in base32 without padding, as people type it into an app.
    pub fn base32(&self) -> Secret {
        Secret::new(self.secret().to_base32())
    }

    /// The time step whose code this is: the present one, or one of its neighbours. None when the code is wrong. Whether the step was
    /// used before is the caller's to check.
    pub fn step_of(&self, code: &Secret, now: Timestamp) -> Option<i64> {
        let step = self.totp("", "").check(code.expose(), seconds(now))?;
        i64::try_from(step).ok()
    }

    /// By how many seconds the clock of the app is ahead of `now`, or behind it, where a wrong code is right for a time up to ten minutes away, or
    /// whole or half hours up to fourteen, or a day, as where a clock was set by hand in the wrong zone or to the wrong date. It is for the
    /// operator's log: such a code is never accepted. Every step is looked at, whichever it is, so that the time this takes tells nothing
    /// of the code.
    pub fn clock_offset(&self, code: &Secret, now: Timestamp) -> Option<i64> {
        let totp = self.totp("", "");
        let skew = i64::from(SKEW);
        let zones = (1..=ZONES).chain([DAY]);
        let zones = zones.flat_map(|zone| (-skew..=skew).map(move |beside| zone * HALF_HOUR + beside));
        let away = (skew + 1..=FAR).chain(zones).flat_map(|steps| [steps, -steps]);
        away.fold(None, |found, steps| {
            let seconds = steps.saturating_mul(i64::try_from(STEP).unwrap_or_default());
            let at = u64::try_from(now.seconds().saturating_add(seconds)).unwrap_or_default();
            let known = Zeroizing::new(totp.generate(at).to_string());
            let is_it = crate::same_bytes(known.as_bytes(), code.expose().as_bytes());
            found.or(is_it.then_some(seconds))
        })
    }

    /// The code of an instant.
    pub fn code_at(&self, now: Timestamp) -> Secret {
        Secret::new(self.totp("", "").generate(seconds(now)).to_string())
    }

    /// The `otpauth://` URI that an app reads from a QR code. None where the names cannot be part of one.
    pub fn provisioning_uri(&self, issuer: &str, account: &str) -> Option<Secret> {
        // A colon separates the two names.
        let plain = |name: &str| name.replace(':', " ");
        self.totp(&plain(issuer), &plain(account)).to_url().ok().map(Secret::new)
    }

    fn secret(&self) -> totp_rs::Secret {
        totp_rs::Secret::from(*self.0)
    }

    fn totp(&self, issuer: &str, account: &str) -> Totp {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(6)
            .with_skew(SKEW)
            .with_step_duration(STEP)
            .with_secret(self.secret())
            .with_account_name(account)
            .with_issuer((!issuer.is_empty()).then_some(issuer))
            .build_noncompliant()
    }
}

fn seconds(now: Timestamp) -> u64 {
    u64::try_from(now.seconds()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Seeded;

    /// RFC 6238 appendix B, SHA-1, the last six of the eight digits.
    #[test]
    fn codes_are_those_of_the_specification() {
        let seed = TotpSeed::from_bytes(b"12345678901234567890").unwrap();
        for (at, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(seed.code_at(Timestamp::from_seconds(at)).expose(), code);
            assert_eq!(seed.step_of(&Secret::new(code), Timestamp::from_seconds(at)), Some(at / 30));
        }
    }

    #[test]
    fn neighbours_of_the_present_step_are_accepted_and_no_others() {
        let seed = TotpSeed::generate(&Seeded::new(1));
        let now = Timestamp::from_seconds(1_767_603_600);
        for (away, accepted) in [(-2_i64, false), (-1, true), (0, true), (1, true), (2, false)] {
            let code = seed.code_at(Timestamp::from_seconds(now.seconds() + 30 * away));
            let step = seed.step_of(&code, now);
            assert_eq!(step, accepted.then_some(now.seconds() / 30 + away), "{away}");
        }
    }

    #[test]
    fn a_clock_that_is_wrong_is_told_by_how_much_and_no_code_is_accepted_for_it() {
        let seed = TotpSeed::generate(&Seeded::new(1));
        let now = Timestamp::from_seconds(1_767_603_600);
        let offset = |away: i64| {
            let code = seed.code_at(Timestamp::from_seconds(now.seconds() + away));
            (seed.clock_offset(&code, now), seed.step_of(&code, now).is_some())
        };
        for away in [60, -60, 300, -300, 600, -600] {
            assert_eq!(offset(away), (Some(away), false), "{away}");
        }
        // Of another zone, and the steps beside it.
        for away in
            [1_800, 3_600, -3_600, 3_630, 3_570, -7_200, -7_230, 19_800, 50_400, -50_400, 86_400, -86_430]
        {
            assert_eq!(offset(away), (Some(away), false), "{away}");
        }
        for away in [900, 3_660, -7_140, 52_200, -52_200] {
            assert_eq!(offset(away), (None, false), "{away}");
        }
        // Accepted as they are, and too far away.
        for (away, accepted) in [(0, true), (30, true), (-30, true), (630, false), (-630, false)] {
            assert_eq!(offset(away), (None, accepted), "{away}");
        }
        assert_eq!(seed.clock_offset(&Secret::new("12345"), now), None);
    }

    #[test]
    fn an_app_gets_the_issuer_the_account_and_the_seed() {
        let seed = TotpSeed::from_bytes(b"12345678901234567890").unwrap();
        assert_eq!(seed.base32().expose(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        let uri = seed.provisioning_uri("River: Gen", "ada@example.com").unwrap();
        assert!(uri.expose().starts_with("otpauth://totp/River%20%20Gen:ada"), "{}", uri.expose());
        assert!(uri.expose().contains("secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"), "{}", uri.expose());
        assert_eq!(format!("{seed:?}"), "[seed]");
    }

    proptest! {
        #[test]
        fn any_text_is_checked_without_a_panic(text in any::<String>(), at: i64) {
            let seed = TotpSeed::generate(&Seeded::new(2));
            let code = Secret::new(text);
            let _ = seed.step_of(&code, Timestamp::from_micros(at));
            let _ = seed.clock_offset(&code, Timestamp::from_micros(at));
        }
    }
}

//! What is computed for a name without a password: the same work as for names with one.
//!
//! After a change of scheme or cost, or after an import, passwords hashed in several ways are stored side by side, for
//! as long as their owners do not sign in. A decoy that always cost what the configured scheme costs would tell accounts
//! apart from unknown names by time. So each name without a password has the decoy of one of the schemes stored, chosen
//! by a keyed hash of the name, each scheme in the proportion in which it is stored.

use std::collections::BTreeMap;
use std::fmt;

use tidegate_domain::Password;
use tidegate_domain::account::AccountKind;

use super::function::{Digest, Function};
use super::stored::{Origin, StoredHash};
use super::{PasswordError, PasswordHasher, prehash};

/// What verifying a password against a stored hash costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    function: Function,
    salt_bytes: usize,
    output_bytes: usize,
    prehashed: bool,
}

/// How many passwords of accounts of a kind are stored in one scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemeCount {
    /// The kind of account.
    pub kind: AccountKind,
    /// A stored hash without its salt and output, up to the last `$`, then the number of characters of its output.
    pub scheme: String,
    /// How many.
    pub passwords: u64,
}

/// The decoys of people's names and of programs' names. Each kind has its own proportions: programs' passwords are seldom
/// hashed anew.
#[derive(Clone, Debug)]
pub struct Decoys {
    people: DecoyMix,
    programs: DecoyMix,
}

/// Decoys in the proportion of the stored schemes.
#[derive(Clone, Debug)]
struct DecoyMix {
    /// Each effort with the sum of its passwords and all before it.
    shares: Vec<(Effort, u64)>,
    /// Where nothing is stored.
    configured: Effort,
}

impl Effort {
    pub(super) fn new(function: Function, salt_bytes: usize, output_bytes: usize, prehashed: bool) -> Self {
        Self { function, salt_bytes, output_bytes, prehashed }
    }

    fn of(hash: &StoredHash<'_>) -> Self {
        let (salt_bytes, output_bytes) = hash.lengths();
        Self::new(hash.function, salt_bytes, output_bytes, matches!(hash.origin, Origin::Ours { .. }))
    }

    /// The effort of hashes of that scheme, as [`SchemeCount`] names it. None for what is no scheme known here.
    fn of_scheme(scheme: &str) -> Option<Self> {
        let (parameters, output) = scheme.rsplit_once('$')?;
        let output: usize = output.parse().ok().filter(|length| *length <= super::stored::MAX_TEXT)?;
        // bcrypt's salt and output are not set apart.
        let bcrypt = format!("{parameters}${}", ".".repeat(output));
        let phc = |output| format!("{parameters}${}${}", "A".repeat(22), "A".repeat(output));
        // Padding that a writer left at the end counts as output above.
        let texts = [bcrypt, phc(output), phc(output.saturating_sub(1)), phc(output.saturating_sub(2))];
        texts.iter().find_map(|text| StoredHash::parse(text).ok().map(|hash| Self::of(&hash)))
    }

    /// Does the work and forgets its outcome: as often as for a hash that `password` does not match.
    ///
    /// # Errors
    /// [`PasswordError::Failed`].
    pub(crate) fn spend(&self, password: &Password) -> Result<(), PasswordError> {
        let salt = vec![0; self.salt_bytes];
        let compute = |input: &[u8]| self.function.compute(input, &salt, self.output_bytes).map(drop);
        std::iter::once(password.expose()).chain(password.before()).try_for_each(|text| {
            if self.prehashed { compute(prehash(None, text).as_bytes()) } else { compute(text.as_bytes()) }
        })
    }
}

impl fmt::Display for Effort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.function {
            Function::Bcrypt { cost } => write!(out, "bcrypt cost={cost}"),
            Function::Argon2 { variant, memory_kib, iterations, parallelism, .. } => {
                write!(out, "{variant} m={memory_kib} t={iterations} p={parallelism}")
            }
            Function::Scrypt { log_n, r, p } => write!(out, "scrypt ln={log_n} r={r} p={p}"),
            Function::Pbkdf2 { digest: Digest::Sha256, rounds } => write!(out, "pbkdf2-sha256 i={rounds}"),
            Function::Pbkdf2 { digest: Digest::Sha512, rounds } => write!(out, "pbkdf2-sha512 i={rounds}"),
        }
    }
}

impl PasswordHasher {
    /// What [`PasswordHasher::verify`] will cost.
    ///
    /// # Errors
    /// The [`PasswordError`] that verifying would end with, without the work.
    pub fn effort(&self, stored: &str) -> Result<Effort, PasswordError> {
        let hash = StoredHash::parse(stored)?;
        if let Origin::Ours { pepper } = hash.origin {
            self.pepper_named(pepper)?;
        }
        Ok(Effort::of(&hash))
    }

    /// Decoys in the proportion of the schemes stored. What is no scheme known here has no share: a password stored so
    /// costs what a decoy costs.
    pub fn decoys(&self, stored: &[SchemeCount]) -> Decoys {
        let mix = |kind| {
            let of_kind = stored.iter().filter(|count| count.kind == kind);
            DecoyMix::new(self.scheme.effort(), of_kind)
        };
        Decoys { people: mix(AccountKind::Individual), programs: mix(AccountKind::Service) }
    }
}

impl Decoys {
    /// The decoy of a name without a password. `name` is a keyed hash of it.
    pub fn draw(&self, kind: AccountKind, name: &[u8; 32]) -> Effort {
        match kind {
            AccountKind::Individual => self.people.draw(name),
            AccountKind::Service => self.programs.draw(name),
        }
    }
}

impl DecoyMix {
    fn new<'c>(configured: Effort, stored: impl Iterator<Item = &'c SchemeCount>) -> Self {
        // Several schemes may be one effort: peppers, and the letters that bcrypt's versions have, cost nothing. The
        // configured one comes last: as more passwords move to it, a name's decoy moves to it or stays, as a password does.
        let mut efforts: BTreeMap<(bool, String), (Effort, u64)> = BTreeMap::new();
        for count in stored {
            if let Some(effort) = Effort::of_scheme(&count.scheme) {
                let place = (effort == configured, format!("{effort:?}"));
                let share = efforts.entry(place).or_insert((effort, 0));
                share.1 = share.1.saturating_add(count.passwords);
            }
        }
        let mut sum = 0_u64;
        let shares = efforts
            .into_values()
            .map(|(effort, passwords)| {
                sum = sum.saturating_add(passwords);
                (effort, sum)
            })
            .collect();
        Self { shares, configured }
    }

    fn draw(&self, name: &[u8; 32]) -> Effort {
        let [a, b, c, d, e, f, g, h, ..] = *name;
        let drawn = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
        let sum = self.shares.last().map_or(0, |(_, sum)| *sum);
        // The product's upper half: `drawn` scaled to below `sum`.
        let place = u64::try_from((u128::from(drawn) * u128::from(sum)) >> 64).unwrap_or(0);
        self.shares.iter().find(|(_, upper)| place < *upper).map_or(self.configured, |(effort, _)| *effort)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::password::{PasswordScheme, Pepper};
    use crate::testing::Seeded;

    const CONFIGURED: PasswordScheme =
        PasswordScheme::Argon2id { memory_kib: 64, iterations: 1, parallelism: 1 };

    fn hasher(scheme: PasswordScheme) -> PasswordHasher {
        let pepper = Pepper::new("p", &[7; 32]).unwrap();
        PasswordHasher::new(scheme, Some(pepper), Vec::new()).unwrap()
    }

    fn count(scheme: &str, passwords: u64) -> SchemeCount {
        SchemeCount { kind: AccountKind::Individual, scheme: scheme.to_owned(), passwords }
    }

    /// A name's keyed hash: spread evenly over a thousand numbers.
    fn name(number: u64) -> [u8; 32] {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&(u64::MAX / 1_000 * number + u64::MAX / 2_000).to_be_bytes());
        name
    }

    fn drawn(decoys: &Decoys) -> Vec<String> {
        (0..1_000).map(|number| decoys.draw(AccountKind::Individual, &name(number)).to_string()).collect()
    }

    fn shares(decoys: &Decoys) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        for effort in drawn(decoys) {
            *shares.entry(effort).or_default() += 1;
        }
        shares
    }

    #[test]
    fn unknown_names_cost_what_known_ones_cost_in_the_same_proportion() {
        let decoys = hasher(CONFIGURED).decoys(&[
            count("tg1$-$2b$11$53", 600),
            count("tg1$p$2b$12$53", 200),
            count("$2y$12$53", 100),
            count("tg1$p$argon2id$v=19$m=64,t=1,p=1$43", 100),
        ]);
        let expected = [("argon2id m=64 t=1 p=1", 100), ("bcrypt cost=11", 600), ("bcrypt cost=12", 300)];
        let expected = expected.map(|(effort, share)| (effort.to_owned(), share));
        // Imported bcrypt hashes and ours differ by an HMAC alone.
        assert_eq!(shares(&decoys), BTreeMap::from(expected));
    }

    #[test]
    fn where_nothing_is_stored_a_decoy_costs_what_a_new_hash_costs() {
        let decoys = hasher(CONFIGURED).decoys(&[]);
        assert_eq!(shares(&decoys), BTreeMap::from([("argon2id m=64 t=1 p=1".to_owned(), 1_000)]));
    }

    #[test]
    fn a_configured_scheme_that_no_password_has_yet_has_no_decoy() {
        let decoys = hasher(CONFIGURED).decoys(&[count("tg1$-$2b$11$53", 1)]);
        assert_eq!(shares(&decoys), BTreeMap::from([("bcrypt cost=11".to_owned(), 1_000)]));
    }

    #[test]
    fn as_passwords_move_to_the_configured_scheme_decoys_move_there_and_nowhere_else() {
        let hasher = hasher(CONFIGURED);
        let at = |moved: u64| {
            let mut counts = vec![count("tg1$-$2b$11$53", 1_000 - moved)];
            counts.extend((moved > 0).then(|| count("tg1$-$argon2id$v=19$m=64,t=1,p=1$43", moved)));
            drawn(&hasher.decoys(&counts))
        };
        let mut before = at(0);
        for moved in (0..=1_000).step_by(100) {
            let after = at(moved);
            let arrived = after.iter().filter(|effort| effort.starts_with("argon2id")).count();
            assert_eq!(arrived, usize::try_from(moved).unwrap());
            for (before, after) in before.iter().zip(&after) {
                assert!(before == after || after.starts_with("argon2id"), "{before} -> {after}");
            }
            before = after;
        }
    }

    #[test]
    fn people_and_programs_have_proportions_of_their_own() {
        let program = SchemeCount { kind: AccountKind::Service, ..count("tg1$-$2b$10$53", 1) };
        let decoys = hasher(CONFIGURED).decoys(&[count("tg1$-$2b$11$53", 1_000_000), program]);
        for number in 0..1_000 {
            let program = decoys.draw(AccountKind::Service, &name(number));
            assert_eq!(program.to_string(), "bcrypt cost=10");
            let person = decoys.draw(AccountKind::Individual, &name(number));
            assert_eq!(person.to_string(), "bcrypt cost=11");
        }
    }

    #[test]
    fn each_scheme_is_recognised_by_its_stored_name() {
        let base64 = "nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4";
        for (stored, scheme) in [
            (format!("$2a$10${}", ".".repeat(53)), "$2a$10$53"),
            (format!("tg1$-$2b$12${}", ".".repeat(53)), "tg1$-$2b$12$53"),
            (
                format!("$argon2id$v=19$m=64,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA${base64}"),
                "$argon2id$v=19$m=64,t=2,p=1$43",
            ),
            (format!("$argon2i$m=64,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA${base64}"), "$argon2i$m=64,t=2,p=1$43"),
            (format!("$scrypt$ln=4,r=8,p=1$AAAAAAAAAAAAAAAAAAAAAA${base64}"), "$scrypt$ln=4,r=8,p=1$43"),
            (format!("$pbkdf2-sha256$1000$AAAAAAAAAAAAAAAAAAAAAA${base64}"), "$pbkdf2-sha256$1000$43"),
            (
                format!("$pbkdf2-sha512$i=9,l=32$AAAAAAAAAAAAAAAAAAAAAA${base64}"),
                "$pbkdf2-sha512$i=9,l=32$43",
            ),
            (
                format!("$pbkdf2-sha512$i=9,l=32$AAAAAAAAAAAAAAAAAAAAAA${base64}="),
                "$pbkdf2-sha512$i=9,l=32$44",
            ),
        ] {
            let effort = hasher(CONFIGURED).effort(&stored).unwrap();
            assert_eq!(Effort::of_scheme(scheme), Some(effort), "{stored}");
            effort.spend(&Password::new("correct horse")).unwrap();
        }
        for unknown in ["", "53", "hash", "$2b$12$52", "$md5$43", "tg1$-$2b$31$53", "$2b$12$4294967295"] {
            assert_eq!(Effort::of_scheme(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_new_hash_is_verified_at_the_effort_of_its_decoy() {
        for scheme in [CONFIGURED, PasswordScheme::Bcrypt { cost: 4 }] {
            let hasher = hasher(scheme);
            let stored = hasher.hash(&Password::new("correct horse"), &Seeded::new(1)).unwrap();
            let decoy = hasher.decoys(&[]).draw(AccountKind::Individual, &[0; 32]);
            assert_eq!(hasher.effort(&stored), Ok(decoy));
        }
    }

    #[test]
    fn efforts_that_differ_are_told_apart() {
        let names = ["$2b$04$53", "$2b$05$53", "$argon2id$v=19$m=64,t=1,p=1$43", "$argon2i$m=64,t=1,p=1$43"];
        let told: BTreeSet<_> =
            names.iter().map(|scheme| Effort::of_scheme(scheme).unwrap().to_string()).collect();
        assert_eq!(told.len(), names.len());
    }
}

//! What the hash alone allows.

use std::time::{Duration, Instant};

use tidegate_crypto::{PasswordHasher, PasswordScheme, SystemEntropy};
use tidegate_domain::Password;

use crate::Result;
use crate::clients::PASSWORD;
use crate::machine::median;

/// The stored form of the password of all accounts.
pub(crate) fn stored_password(cost: u32) -> Result<String> {
    Ok(hasher(cost)?.hash(&Password::new(PASSWORD), &SystemEntropy)?)
}

/// How long one verification takes, nothing else going on.
pub(crate) fn one_verification(cost: u32) -> Result<Duration> {
    let hasher = hasher(cost)?;
    let stored = stored_password(cost)?;
    let mut times = Vec::new();
    for _ in 0..11 {
        let begun = Instant::now();
        hasher.verify(&Password::new(PASSWORD), &stored)?;
        times.push(begun.elapsed());
    }
    Ok(median(times))
}

fn hasher(cost: u32) -> Result<PasswordHasher> {
    Ok(PasswordHasher::new(PasswordScheme::Bcrypt { cost }, None, Vec::new())?)
}

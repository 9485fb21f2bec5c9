//! An authenticator app gets its seed.

use tidegate_crypto::TotpSeed;
use tidegate_crypto::totp::SEED_BYTES;
use tidegate_domain::factor::{
    FactorKind, RECOVERY_CODE_LENGTH, RECOVERY_CODES, RecoveryCode, SETUP_LIFETIME,
};
use tidegate_domain::id::FactorId;
use tidegate_domain::{Permission, Secret};
use tidegate_kernel::counted_factor::{CountedFactor, FactorUse};
use tidegate_kernel::fault::{Fault, Outcome, refuse};
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Actor, Call};
use zeroize::Zeroizing;

use crate::credentials::factors::repository::NewFactor;
use crate::credentials::recovery_code::spend::new_recovery_codes;
use crate::{Identity, IdentityTables};

/// Apps of one account.
const MOST_APPS: usize = 10;

/// What an app needs.
#[derive(Clone, Debug)]
pub struct TotpSetUp {
    /// The seed in base32, to be typed.
    pub seed: Secret,
    /// The same as an `otpauth://` URI, to be shown as a QR code.
    pub uri: Secret,
    /// What its owner calls the app.
    pub name: String,
    /// The backup codes that count from its verification on.
    pub recovery_codes: Vec<RecoveryCode>,
}

/// Why no app is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetUpTotpError {
    /// A verified app has that name.
    #[error("an authenticator app of this name is set up already")]
    NameTaken,
    /// It has as many as an account may have.
    #[error("the account has {MOST_APPS} authenticator apps already; remove one first")]
    TooMany,
}

/// What a seed and its backup codes are sealed for until the app is verified.
pub(super) fn set_up_context(id: FactorId) -> String {
    format!("totp set-up {id}")
}

impl Identity {
    /// Makes a seed and backup codes. Neither counts before the app has shown a code. Another set-up takes the place of one that is
    /// not verified.
    ///
    /// Source: RiverGen "mfa/totp/setup".
    ///
    /// # Errors
    /// [`SetUpTotpError`].
    pub async fn set_up_totp(
        &self,
        call: &Call,
        actor: &Actor,
        name: String,
    ) -> Outcome<TotpSetUp, SetUpTotpError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnFactors).await?;
        work.authorize_recent().await?;
        let account = work.grant.account();
        let apps = work.unit.factors().of_account(account).await?;
        let mut apps = apps.iter().filter(|factor| factor.kind == FactorKind::Totp);
        if apps.clone().any(|app| app.name == name) {
            return refuse(SetUpTotpError::NameTaken);
        }
        if apps.by_ref().count() >= MOST_APPS {
            return refuse(SetUpTotpError::TooMany);
        }
        let counted = Counted::Factor(CountedFactor::Sent(account, FactorUse::SetUp));
        if let Some(exceeded) = work.count(counted, call.profile.limits.second_factor_codes).await? {
            return Err(exceeded.into());
        }
        let entropy = self.kernel.entropy.as_ref();
        let seed = TotpSeed::generate(entropy);
        let recovery_codes = new_recovery_codes(entropy)?;
        let id = FactorId(entropy.uuid(work.now));
        let content = pack(&seed, &recovery_codes);
        let sealed = self.kernel.vault.seal(&set_up_context(id), &content, entropy)?;
        work.unit
            .factors()
            .insert(&NewFactor {
                id,
                account,
                kind: FactorKind::Totp,
                name: &name,
                sealed: Some(&sealed),
                created_at: work.now,
                expires_at: work.now.plus(SETUP_LIFETIME),
            })
            .await?;
        let session = work.grant.session();
        let shown = session.email.as_ref().map_or_else(|| session.display_name.clone(), ToString::to_string);
        let uri = seed
            .provisioning_uri(&self.kernel.settings.product, &shown)
            .ok_or_else(|| Fault::Internal("no otpauth URI can be made".to_owned()))?;
        work.commit().await?;
        Ok(TotpSetUp { seed: seed.base32(), uri, name, recovery_codes })
    }
}

/// The seed's bytes, then the characters of the codes.
fn pack(seed: &TotpSeed, codes: &[RecoveryCode]) -> Zeroizing<Vec<u8>> {
    let mut packed = Zeroizing::new(Vec::with_capacity(SEED_BYTES + RECOVERY_CODES * RECOVERY_CODE_LENGTH));
    packed.extend_from_slice(seed.as_bytes());
    for code in codes {
        packed.extend_from_slice(code.expose().as_bytes());
    }
    packed
}

/// What was packed. None for what no version has packed.
pub(super) fn unpack(packed: &[u8]) -> Option<(TotpSeed, Vec<RecoveryCode>)> {
    let (seed, codes) = packed.split_first_chunk::<SEED_BYTES>()?;
    let codes = codes
        .chunks(RECOVERY_CODE_LENGTH)
        .map(|code| RecoveryCode::parse(str::from_utf8(code).ok()?).ok())
        .collect::<Option<Vec<_>>>()?;
    Some((TotpSeed::from_bytes(seed).ok()?, codes))
}

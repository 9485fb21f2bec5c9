//! A second factor is shown: a code of an app, a code that was sent, or a backup code.

use serde_json::{Value, json};
use tidegate_crypto::TotpSeed;
use tidegate_domain::Secret;
use tidegate_domain::challenge::Challenge;
use tidegate_domain::factor::{FactorKind, RecoveryCode};
use tidegate_domain::id::{AccountId, FactorId};
use tidegate_kernel::fault::Fault;
use tidegate_kernel::noted::{self, CredentialFault};

use crate::IdentityTables;
use crate::credentials::factors::repository::Factor;
use crate::work::Work;

/// What is shown.
#[derive(Clone, Debug)]
pub enum Presented {
    /// Six digits.
    Code(Secret),
    /// A backup code.
    Recovery(RecoveryCode),
}

impl Presented {
    /// What tells one request from another: see [`tidegate_kernel::one_time`].
    pub(crate) fn proof(&self) -> Value {
        match self {
            Self::Code(code) => json!(["code", code.expose()]),
            Self::Recovery(code) => json!(["backup code", code.expose()]),
        }
    }
}

/// What was accepted.
#[derive(Clone, Debug)]
pub(crate) enum Accepted {
    /// A code of the app with that name, or one that was sent.
    Factor(FactorKind),
    /// A backup code; so many are left.
    Recovery { remaining: usize },
    /// A code that was mailed to the account's address, whatever its factors: the mailbox is in the caller's hands.
    Mailbox,
}

impl Accepted {
    /// What the sign-in history says.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Factor(kind) => kind.as_str(),
            Self::Recovery { .. } => "backup_code",
            Self::Mailbox => "mailed_code",
        }
    }
}

/// Why what is shown is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotAccepted {
    /// It is wrong.
    Wrong,
    /// It was right, and is used up: a code of an app that was shown before, or one of an earlier time step.
    UsedUp,
}

/// Notes that a code of an app is wrong, or by how many seconds the clock of that app is: [`TotpSeed::clock_offset`].
pub(crate) fn note_wrong_totp(offset: Option<i64>) {
    let why = match offset {
        None => "the code of the app is wrong".to_owned(),
        Some(seconds) => {
            let way = if seconds > 0 { "ahead" } else { "behind" };
            let away = seconds.unsigned_abs();
            format!(
                "right for a time {away} s {way}: the clock of the phone is wrong, or that of this server"
            )
        }
    };
    noted::refused(CredentialFault::SecondFactor(why));
}

/// What a verified seed is sealed for.
pub(crate) fn seed_context(id: FactorId) -> String {
    format!("totp seed {id}")
}

impl<G> Work<'_, G> {
    /// Judges what is shown, and uses it up. `kind` is the kind of code that is expected, `sent` the challenge that was sent. The caller holds the account's lock.
    pub(crate) async fn accept(
        &mut self,
        account: AccountId,
        presented: &Presented,
        kind: FactorKind,
        sent: Option<&Challenge>,
    ) -> Result<Result<Accepted, NotAccepted>, Fault> {
        let code = match presented {
            Presented::Recovery(code) => {
                let remaining = self.use_recovery_code(account, code).await?;
                if remaining.is_none() {
                    let why = "the backup code is none of the account's, or was used before";
                    noted::refused(CredentialFault::SecondFactor(why.to_owned()));
                }
                let accepted = remaining.map(|remaining| Accepted::Recovery { remaining });
                return Ok(accepted.ok_or(NotAccepted::Wrong));
            }
            Presented::Code(code) => code,
        };
        let factors = self.unit.factors().of_account(account).await?;
        let of_kind: Vec<Factor> = factors.into_iter().filter(|factor| factor.kind == kind).collect();
        let accepted = match kind {
            FactorKind::Totp => self.accept_totp(&of_kind, code).await?,
            FactorKind::EmailOtp | FactorKind::SmsOtp => {
                let is_right = sent.is_some_and(|challenge| self.is_code_of(challenge, code));
                match of_kind.first() {
                    Some(factor) if is_right => {
                        self.unit.factors().used(factor.id, self.now).await?;
                        Ok(())
                    }
                    _ => {
                        noted::refused(CredentialFault::OneTimeCode("wrong"));
                        Err(NotAccepted::Wrong)
                    }
                }
            }
        };
        Ok(accepted.map(|()| Accepted::Factor(kind)))
    }

    async fn accept_totp(
        &mut self,
        apps: &[Factor],
        code: &Secret,
    ) -> Result<Result<(), NotAccepted>, Fault> {
        let (mut verdict, mut offset) = (NotAccepted::Wrong, None);
        for app in apps {
            let sealed = app.sealed.as_deref().unwrap_or_default();
            let opened = self.app.kernel.vault.open(&seed_context(app.id), sealed)?;
            let seed = TotpSeed::from_bytes(&opened).map_err(|error| Fault::Internal(error.to_string()))?;
            let Some(step) = seed.step_of(code, self.now) else {
                offset = offset.or(seed.clock_offset(code, self.now));
                continue;
            };
            if self.unit.factors().use_step(app.id, step, self.now).await? {
                return Ok(Ok(()));
            }
            verdict = NotAccepted::UsedUp;
        }
        match verdict {
            NotAccepted::Wrong => note_wrong_totp(offset),
            NotAccepted::UsedUp => {
                noted::refused(CredentialFault::SecondFactor(
                    "the code of the app was used before".to_owned(),
                ));
            }
        }
        Ok(Err(verdict))
    }
}

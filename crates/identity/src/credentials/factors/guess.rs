//! How often a second factor may be tried.
//!
//! A few wrong codes in a row lock the next ones for a while, and an hour has a limit besides. Networks that the account has signed in
//! from are counted on their own: an attacker who knows the password must not lock the owner out.

use tidegate_domain::Permission;
use tidegate_domain::account::LoginName;
use tidegate_domain::id::AccountId;
use tidegate_domain::limit::Exceeded;
use tidegate_kernel::counted_factor::{CountedFactor, FactorUse};
use tidegate_kernel::fault::Fault;
use tidegate_kernel::lockout::InARow;
use tidegate_kernel::reserved::Reserved;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Actor, Call};

use crate::Identity;
use crate::work::Work;

/// What is counted of the caller's network before the unit that judges the code, or by how much that is too many.
pub(crate) type ReservedGuess = Result<Reserved, Exceeded>;

/// A try that has begun: it counts as a wrong one until it is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FactorGuess {
    account: AccountId,
    to: FactorUse,
    /// Whether the account has signed in from the caller's network, as far as the try has a name to look it up by.
    pub(crate) is_known: bool,
    /// Whether there are failures in a row to forget.
    has_failed: bool,
}

impl Identity {
    /// Counts a code of a second factor as the wrong one it may be, in the caller's network: in a unit of its own, so that nobody in a
    /// network waits for what another one's code leads to. [`Work::begin_guess`] counts the rest. No other unit may be open: on SQLite
    /// one at a time writes.
    pub(crate) async fn reserve_factor_guess(&self, call: &Call) -> Result<ReservedGuess, Fault> {
        let by_network = self.kernel.settings.failed_codes_by_network;
        self.kernel.reserve(call, Counted::FailedCodeByNetwork, by_network).await
    }

    /// The same for a signed-in caller, if they may do this.
    pub(crate) async fn reserve_factor_guess_as(
        &self,
        call: &Call,
        actor: &Actor,
        permission: Permission,
    ) -> Result<ReservedGuess, Fault> {
        actor.authorize(permission)?;
        self.reserve_factor_guess(call).await
    }
}

impl FactorGuess {
    fn in_a_row(&self) -> Counted<'static> {
        if self.is_known {
            Counted::Factor(CountedFactor::WrongInARowFromKnownNetwork(self.account, self.to))
        } else {
            Counted::Factor(CountedFactor::WrongInARow(self.account, self.to))
        }
    }

    fn in_an_hour(&self) -> Counted<'static> {
        if self.is_known {
            Counted::Factor(CountedFactor::WrongFromKnownNetwork(self.account))
        } else {
            Counted::FailedCodeByAccount(self.account)
        }
    }
}

impl<G> Work<'_, G> {
    /// Begins a try, or says how long to wait. The account is locked already: of many concurrent tries no more are judged than allowed,
    /// on all nodes together.
    pub(crate) async fn begin_guess(
        &mut self,
        account: AccountId,
        to: FactorUse,
        login: Option<&LoginName>,
        reserved: ReservedGuess,
    ) -> Result<Result<FactorGuess, Exceeded>, Fault> {
        let is_known = match login {
            Some(login) => self.kernel().is_known_network(login).await?,
            None => false,
        };
        let mut guess = FactorGuess { account, to, is_known, has_failed: false };
        let lock = self.call.profile.limits.wrong_second_factor;
        match self.kernel().failed_in_a_row(guess.in_a_row(), lock).await? {
            InARow::LockedOut(exceeded) => return Ok(Err(exceeded)),
            InARow::SomeFailures => guess.has_failed = true,
            InARow::NoFailure => {}
        }
        // Counted rather than read: codes that are sent again after they worked are counted here without the account's lock.
        let by_account = self.app.kernel.settings.failed_codes_by_account;
        if let Some(exceeded) = self.kernel().count(guess.in_an_hour(), by_account).await? {
            return Ok(Err(exceeded));
        }
        match reserved {
            Ok(reserved) => self.reserved = Some(reserved),
            Err(exceeded) => return Ok(Err(exceeded)),
        }
        Ok(Ok(guess))
    }

    /// The code was wrong: it stays counted.
    pub(crate) async fn wrong_guess(&mut self, guess: FactorGuess) -> Result<(), Fault> {
        if let Some(mut reserved) = self.reserved.take() {
            reserved.keep();
        }
        self.app.kernel.note_wrong_code();
        let lock = self.call.profile.limits.wrong_second_factor;
        self.kernel().count_failure(guess.in_a_row(), lock).await
    }

    /// It was right: nothing of it counts. What is reserved of the network is given back after the commit.
    pub(crate) async fn right_guess(&mut self, guess: FactorGuess) -> Result<(), Fault> {
        if self.app.kernel.settings.failed_codes_by_account.is_some() {
            self.kernel().refund(&[guess.in_an_hour()]).await?;
        }
        if guess.has_failed {
            self.kernel().forget_failures(guess.in_a_row()).await?;
        }
        Ok(())
    }
}

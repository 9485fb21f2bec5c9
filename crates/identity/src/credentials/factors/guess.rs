//! How often a second factor may be tried.
//!
//! A few wrong codes in a row lock the next ones for a while, and an hour has a limit besides. Networks that the account has signed in
//! from are counted on their own: an attacker who knows the password must not lock the owner out.

use tidegate_domain::account::LoginName;
use tidegate_domain::id::AccountId;
use tidegate_domain::limit::Exceeded;
use tidegate_kernel::counted_factor::{CountedFactor, FactorUse};
use tidegate_kernel::fault::Fault;
use tidegate_kernel::throttle::Counted;

use crate::work::Work;

/// A try that has begun: it counts as a wrong one until it is right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FactorGuess {
    account: AccountId,
    to: FactorUse,
    is_known: bool,
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
    ) -> Result<Result<FactorGuess, Exceeded>, Fault> {
        let is_known = match login {
            Some(login) => self.kernel().is_known_network(login).await?,
            None => false,
        };
        let guess = FactorGuess { account, to, is_known };
        let lock = self.call.profile.limits.wrong_second_factor;
        if let Some(exceeded) = self.kernel().locked_out(guess.in_a_row(), lock).await? {
            return Ok(Err(exceeded));
        }
        let settings = &self.app.kernel.settings;
        let hourly = [
            (guess.in_an_hour(), settings.failed_codes_by_account),
            (Counted::FailedCodeByNetwork, settings.failed_codes_by_network),
        ];
        let hourly: Vec<_> =
            hourly.into_iter().filter_map(|(counted, limit)| Some((counted, limit?))).collect();
        let exceeded = self.kernel().count_each(&hourly).await?;
        if let Some(exceeded) = exceeded.into_iter().flatten().next() {
            return Ok(Err(exceeded));
        }
        Ok(Ok(guess))
    }

    /// The code was wrong.
    pub(crate) async fn wrong_guess(&mut self, guess: FactorGuess) -> Result<(), Fault> {
        self.app.kernel.note_wrong_code();
        let lock = self.call.profile.limits.wrong_second_factor;
        self.kernel().count_failure(guess.in_a_row(), lock).await
    }

    /// It was right: nothing of it counts.
    pub(crate) async fn right_guess(&mut self, guess: FactorGuess) -> Result<(), Fault> {
        let settings = &self.app.kernel.settings;
        let of_account = settings.failed_codes_by_account.map(|_| guess.in_an_hour());
        let of_network = settings.failed_codes_by_network.map(|_| Counted::FailedCodeByNetwork);
        let counted: Vec<_> = of_account.into_iter().chain(of_network).collect();
        self.kernel().refund(&counted).await?;
        self.kernel().forget_failures(guess.in_a_row()).await
    }
}

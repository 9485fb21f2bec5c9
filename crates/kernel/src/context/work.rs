//! One request's unit of work. What use cases do in it is in `impl Work` blocks, each beside what it is about.

use tidegate_database::Unit;
use tidegate_domain::Timestamp;
use tidegate_domain::id::AccountId;

use crate::fault::Fault;
use crate::{Call, Kernel, KernelTables};

pub use crate::tables::audit::Subject;

/// A unit of work on behalf of a caller, lent by the feature whose use case it is.
pub struct Work<'w> {
    /// The kernel.
    pub kernel: &'w Kernel,
    /// Who is calling.
    pub call: &'w Call,
    /// The unit of work.
    pub unit: &'w mut Unit,
    /// When it began.
    pub now: Timestamp,
}

impl Kernel {
    /// Begins a unit of work on behalf of a caller: what features do for whatever a request changes.
    ///
    /// # Errors
    /// Those of the store; a defect where the call is one that [only looks](Call::looking).
    pub async fn begin_for_call(&self, call: &Call) -> Result<Unit, Fault> {
        call.ensure_may_act()?;
        Ok(self.store.begin().await?)
    }
}

impl Work<'_> {
    /// Waits for other units that change the account's password or answer its challenges, and keeps the next one
    /// waiting until this unit ends: what is opened while a password is replaced must not outlive it. To be taken before
    /// any other row of the account, so that no two wait for each other.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn lock(&mut self, account: AccountId) -> Result<(), Fault> {
        Ok(self.unit.account_cards().lock(account).await?)
    }
}

/// Makes the unit of work of a feature: `Work`, which carries the grant by which it acts, `Acting` for a signed-in caller's, and how they
/// begin. `begin` is for work of nobody who is signed in, `read` for looking.
///
/// A type of each feature's own, so that its use cases are written in `impl Work` beside what they are about.
#[macro_export]
macro_rules! feature_work {
    ($app:ident: $($kind:ident),*) => {
        /// A unit of work on behalf of a caller. One that acts for a signed-in caller carries the grant by which it acts.
        pub(crate) struct Work<'a, G = ()> {
            pub(crate) app: &'a $app,
            pub(crate) call: &'a $crate::Call,
            pub(crate) unit: ::tidegate_database::Unit,
            pub(crate) now: ::tidegate_domain::Timestamp,
            pub(crate) grant: G,
        }

        /// A unit of work of a signed-in caller, who has been found to be allowed it in the same unit.
        pub(crate) type Acting<'a> = Work<'a, $crate::Grant>;

        impl $app {
            /// Begins a unit of work of a signed-in caller, if they may do this now: see [`Kernel::grant_in`].
            ///
            /// [`Kernel::grant_in`]: tidegate_kernel::Kernel::grant_in
            pub(crate) async fn begin_as<'a>(
                &'a self,
                call: &'a $crate::Call,
                actor: &$crate::Actor,
                permission: ::tidegate_domain::Permission,
            ) -> Result<Acting<'a>, $crate::Fault> {
                let mut unit = self.kernel.begin_for_call(call).await?;
                let grant = self.kernel.grant_in(&mut unit, actor, permission).await?;
                Ok(Work { app: self, call, unit, now: self.kernel.now(), grant })
            }

            $($crate::feature_work!(@$kind);)*
        }

        impl<G> Work<'_, G> {
            /// The same work as the kernel sees it.
            pub(crate) fn kernel(&mut self) -> $crate::Work<'_> {
                $crate::Work { kernel: &self.app.kernel, call: self.call, unit: &mut self.unit, now: self.now }
            }

            pub(crate) async fn audit(
                &mut self,
                action: ::tidegate_domain::audit::Action,
                subject: impl Into<$crate::work::Subject>,
                metadata: ::serde_json::Value,
            ) -> Result<(), $crate::Fault> {
                self.kernel().audit(action, subject, metadata).await
            }

            /// Makes it all durable.
            pub(crate) async fn commit(self) -> Result<(), $crate::Fault> {
                Ok(self.unit.commit().await?)
            }
        }
    };
    (@begin) => {
        /// Begins a unit of work of nobody who is signed in: of an operator, a job, or a caller whom what they send proves.
        pub(crate) async fn begin<'a>(&'a self, call: &'a $crate::Call) -> Result<Work<'a>, $crate::Fault> {
            let unit = self.kernel.begin_for_call(call).await?;
            Ok(Work { app: self, call, unit, now: self.kernel.now(), grant: () })
        }
    };
    (@read) => {
        /// Begins to read for a signed-in caller, if they may; what is known of their session may be two seconds old.
        pub(crate) async fn read_as<'a>(
            &self,
            actor: &'a $crate::Actor,
            permission: ::tidegate_domain::Permission,
        ) -> Result<(::tidegate_database::Unit, &'a $crate::Grant), $crate::Fault> {
            let grant = actor.authorize(permission)?;
            self.kernel.ensure_session_current(grant).await?;
            Ok((self.kernel.store.read().await?, grant))
        }
    };
}

//! What must cross from one feature to others, which it does not see.

use std::future::ready;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};
use tidegate_database::Unit;
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::{EmailAddress, Scopes};

use crate::KernelTables;
use crate::context::work::Work;
use crate::fault::Fault;
use crate::node::counted_message::CountedMessage;

/// What a feature has learned of the person of an account.
#[derive(Clone, Copy, Debug)]
pub struct ContactDetails<'a> {
    /// An address that may be theirs; nothing proves it yet.
    pub email: &'a EmailAddress,
    /// First name, where it is known.
    pub first_name: Option<&'a str>,
    /// Last name, where it is known.
    pub last_name: Option<&'a str>,
}

/// Who made an application, for a mail about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplicationMaker {
    /// An organization: what strangers may read of it is not what its founder called it.
    Organization(OrganizationId),
    /// Itself: nobody answers for it, and this is the origin of its addresses.
    Itself(String),
}

/// An application that the owner of an account gave access.
#[derive(Clone, Copy, Debug)]
pub struct AllowedApplication<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Who made it.
    pub made_by: &'a ApplicationMaker,
    /// What it may do.
    pub scopes: &'a Scopes,
}

/// What was done with an application of an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApplicationNews {
    /// It was registered.
    Made,
    /// It was changed, or got another secret.
    Changed,
}

/// What a feature does when something happens to an account elsewhere: in the same unit of work, so that both happen or
/// neither. Each does nothing unless it is written.
///
/// Hooks are registered with [`crate::Kernel::register_hooks`]. They hold no kernel; it comes with the work.
pub trait AccountHooks: Send + Sync + 'static {
    /// The account is being deleted: what the feature keeps of it goes, too.
    fn account_deleted<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        let _ = (work, account);
        ready(Ok(())).boxed()
    }

    /// What may have been placed under the account's old password is being removed: what the feature keeps that gives access goes.
    fn footholds_removed<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        let _ = (work, account);
        ready(Ok(())).boxed()
    }

    /// An operator exports what is stored of the account: what the feature keeps of it, by the name of a field. Secrets that
    /// let anybody in are left out.
    fn account_exported<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<Option<(&'static str, Value)>, Fault>> {
        let _ = (work, account);
        ready(Ok(None)).boxed()
    }

    /// Whether the account has a second factor with the feature, which its owner must show before a session is opened. One
    /// feature that says so is enough.
    fn has_second_factor<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<bool, Fault>> {
        let _ = (work, account);
        ready(Ok(false)).boxed()
    }

    /// Whether the organization admits members without their second factor through contracts whose clients cannot ask for it.
    fn admits_without_second_factor<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        organization: OrganizationId,
    ) -> BoxFuture<'w, Result<bool, Fault>> {
        let _ = (work, organization);
        ready(Ok(false)).boxed()
    }

    /// Whether the organization refuses sessions that have not shown the account's second factor, and the account has one with the
    /// feature.
    fn refuses_without_second_factor<'w>(
        &'w self,
        unit: &'w mut Unit,
        account: AccountId,
        organization: OrganizationId,
    ) -> BoxFuture<'w, Result<bool, Fault>> {
        let _ = (unit, account, organization);
        ready(Ok(false)).boxed()
    }

    /// The account's owner, or whoever has their session, gave an application access that it did not have.
    fn application_allowed<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
        application: AllowedApplication<'w>,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        let _ = (work, account, application);
        ready(Ok(())).boxed()
    }

    /// An application of the organization, which acts for it, was made or changed.
    fn application_changed<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        organization: OrganizationId,
        name: &'w str,
        news: ApplicationNews,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        let _ = (work, organization, name, news);
        ready(Ok(())).boxed()
    }

    /// The address that the feature has of the person and that nothing shows to be theirs yet: it is offered to them when the holder of
    /// the account's phone has signed in with it. Not when that made the account, of which features know nothing yet.
    fn unproven_address<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
    ) -> BoxFuture<'w, Result<Option<EmailAddress>, Fault>> {
        let _ = (work, account);
        ready(Ok(None)).boxed()
    }

    /// A feature has learned who the person of the account is. `message` is for a mail to them: the feature that sends one takes it.
    fn contact_learned<'w>(
        &'w self,
        work: &'w mut Work<'_>,
        account: AccountId,
        details: ContactDetails<'w>,
        message: &'w mut Option<CountedMessage>,
    ) -> BoxFuture<'w, Result<(), Fault>> {
        let _ = (work, account, details, message);
        ready(Ok(())).boxed()
    }
}

impl Work<'_> {
    /// Tells every feature that the account is being deleted, and deletes the jobs about it.
    ///
    /// # Errors
    /// The first feature's that fails: nothing of the unit may be committed then.
    pub async fn account_deleted(&mut self, account: AccountId) -> Result<(), Fault> {
        self.unit.jobs().delete_of(account).await?;
        for hooks in self.kernel.hooks() {
            hooks.account_deleted(self, account).await?;
        }
        Ok(())
    }

    /// Tells every feature that what may have been placed under the account's old password goes.
    ///
    /// # Errors
    /// As [`Work::account_deleted`].
    pub async fn footholds_removed(&mut self, account: AccountId) -> Result<(), Fault> {
        for hooks in self.kernel.hooks() {
            hooks.footholds_removed(self, account).await?;
        }
        Ok(())
    }

    /// Asks every feature for what it keeps of the account.
    ///
    /// # Errors
    /// The first feature's that fails.
    pub async fn account_exported(&mut self, account: AccountId) -> Result<Map<String, Value>, Fault> {
        let mut all = Map::new();
        for hooks in self.kernel.hooks() {
            if let Some((name, value)) = hooks.account_exported(self, account).await? {
                all.insert(name.to_owned(), value);
            }
        }
        Ok(all)
    }

    /// Asks every feature whether the account has a second factor.
    ///
    /// # Errors
    /// The first feature's that fails: it is not known then, and nothing may be opened.
    pub(crate) async fn has_second_factor(&mut self, account: AccountId) -> Result<bool, Fault> {
        for hooks in self.kernel.hooks() {
            if hooks.has_second_factor(self, account).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Asks every feature whether the organization admits members without their second factor.
    ///
    /// # Errors
    /// The first feature's that fails: nothing may be opened then.
    pub(crate) async fn admits_without_second_factor(
        &mut self,
        organization: OrganizationId,
    ) -> Result<bool, Fault> {
        for hooks in self.kernel.hooks() {
            if hooks.admits_without_second_factor(self, organization).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Notifies every feature that an application was given access to the account.
    ///
    /// # Errors
    /// As [`Work::account_deleted`].
    pub async fn application_allowed(
        &mut self,
        account: AccountId,
        application: AllowedApplication<'_>,
    ) -> Result<(), Fault> {
        for hooks in self.kernel.hooks() {
            hooks.application_allowed(self, account, application).await?;
        }
        Ok(())
    }

    /// Notifies every feature that an application of the organization was made or changed.
    ///
    /// # Errors
    /// As [`Work::account_deleted`].
    pub async fn application_changed(
        &mut self,
        organization: OrganizationId,
        name: &str,
        news: ApplicationNews,
    ) -> Result<(), Fault> {
        for hooks in self.kernel.hooks() {
            hooks.application_changed(self, organization, name, news).await?;
        }
        Ok(())
    }

    /// Asks the features for an address of the person that is to be offered to them.
    ///
    /// # Errors
    /// The first feature's that fails.
    pub async fn unproven_address(&mut self, account: AccountId) -> Result<Option<EmailAddress>, Fault> {
        for hooks in self.kernel.hooks() {
            if let Some(email) = hooks.unproven_address(self, account).await? {
                return Ok(Some(email));
            }
        }
        Ok(None)
    }

    /// Notifies every feature of contact details of the account owner. `message` was counted before the unit, for a mail to them; none
    /// where no mail can be sent.
    ///
    /// # Errors
    /// As [`Work::account_deleted`].
    pub async fn contact_learned(
        &mut self,
        account: AccountId,
        details: ContactDetails<'_>,
        mut message: Option<CountedMessage>,
    ) -> Result<(), Fault> {
        for hooks in self.kernel.hooks() {
            hooks.contact_learned(self, account, details, &mut message).await?;
        }
        Ok(())
    }
}

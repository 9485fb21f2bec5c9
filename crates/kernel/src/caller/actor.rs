//! A caller with an accepted access token.

use tidegate_domain::account::AccountKind;
use tidegate_domain::contract::Unverified;
use tidegate_domain::{AccessClaims, ContractProfile, Permission};

use crate::caller::grant::Grant;
use crate::fault::Forbidden;
use crate::tables::sessions::SessionRecord;

/// A caller whose access token was accepted. Only a use case gets the grant, by asking for a permission.
#[derive(Clone, Debug)]
pub struct Actor {
    grant: Grant,
}

/// Why an actor is not admitted to a contract, whatever they ask for there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// A program's, on a contract that knows none.
    #[error("the contract has no programs")]
    Program,
    /// The contract asks for a verified e-mail address.
    #[error("the account's e-mail address is not verified")]
    EmailNotVerified,
}

impl Actor {
    pub(crate) const fn new(grant: Grant) -> Self {
        Self { grant }
    }

    /// The actor's grant, if it allows this. For what only reads, and for a cheap look before costly work: what is known of
    /// the session may be two seconds old. A use case that writes begins its unit of work with the permission.
    ///
    /// # Errors
    /// [`Forbidden`] when it does not.
    pub fn authorize(&self, permission: Permission) -> Result<&Grant, Forbidden> {
        self.grant.require(permission)?;
        Ok(&self.grant)
    }

    /// Refuses an actor whom the contract does not admit.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub fn admitted_to(&self, profile: &ContractProfile) -> Result<(), NotAdmitted> {
        let session = self.grant.session();
        if session.kind != AccountKind::Individual {
            return if profile.program_password.is_some() { Ok(()) } else { Err(NotAdmitted::Program) };
        }
        if profile.unverified == Unverified::Admitted || session.email_verified {
            Ok(())
        } else {
            Err(NotAdmitted::EmailNotVerified)
        }
    }

    /// What the token says: to be told, never to decide by. What the actor may do is what [`Self::authorize`] says.
    pub fn claims(&self) -> &AccessClaims {
        self.grant.claims()
    }

    /// The session of the token: likewise.
    pub fn session(&self) -> &SessionRecord {
        self.grant.session()
    }

    /// What the kernel itself may know of it.
    pub(crate) fn grant(&self) -> &Grant {
        &self.grant
    }
}

//! For whom rows of data sources are read.

use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::{Permission, Role};

use crate::caller::actor::Actor;
use crate::fault::Forbidden;

/// A member of an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account: AccountId,
    /// Its number.
    pub number: i64,
    /// The organization whose data it is.
    pub organization: OrganizationId,
    /// The member's role there.
    pub role: Role,
}

/// For whom rows are read.
#[derive(Clone, Debug)]
pub enum Reader {
    /// A signed-in caller, as far as their token allows it.
    Caller(Actor),
    /// A member in whose place the operator at the command line looks. No request makes one.
    Member(Member),
}

impl Reader {
    /// Whose data it is and who sees it, if they may do this.
    ///
    /// # Errors
    /// [`Forbidden`].
    pub fn authorize(&self, permission: Permission) -> Result<Member, Forbidden> {
        match self {
            Self::Caller(actor) => {
                let grant = actor.authorize(permission)?;
                Ok(Member {
                    account: grant.account(),
                    number: grant.session().account_number,
                    organization: grant.organization(),
                    role: grant.role(),
                })
            }
            Self::Member(member) if member.role.permissions().contains(permission) => Ok(*member),
            Self::Member(member) => Err(Forbidden::Role { role: member.role, permission }),
        }
    }
}

//! Rows that say who agreed to be managed, and which addresses are unproven.

use sqlx::types::Json;
use tidegate_database::{Result, Unit, execute, fetch_all, fetch_optional};
use tidegate_domain::id::{AccountId, OrganizationId};
use tidegate_domain::{Document, EmailAddress, PhoneNumber, Timestamp};
use tidegate_kernel::KernelTables;
use uuid::Uuid;

/// Claims of a unit of work.
pub struct Claims<'u>(pub(crate) &'u mut Unit);

/// The organization whose managers look after an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// Which.
    pub organization: OrganizationId,
    /// Whether the account's owner agreed, or the operator for them. False for an invitation.
    pub accepted: bool,
}

/// What an organization is called where its people are invited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrganizationLabel {
    /// Its name, where an operator chose it.
    pub name: Option<String>,
    /// The proven address of its owner.
    pub owner: Option<EmailAddress>,
}

impl std::fmt::Display for OrganizationLabel {
    /// A name that its owner chose is left out: an attacker could put text of their own into mails to other people.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.name, &self.owner) {
            (Some(name), Some(owner)) => write!(f, "{name} (owner: {owner})"),
            (Some(name), None) => f.write_str(name),
            (None, Some(owner)) => write!(f, "the organization of {owner}"),
            (None, None) => f.write_str("an organization"),
        }
    }
}

impl Claims<'_> {
    /// The organization an account is at home with. None for an account that is gone.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn home(&mut self, account: AccountId) -> Result<Option<Home>> {
        let row = fetch_optional!(
            self.0,
            (Uuid, Option<i64>),
            "select organization_id, accepted_at from memberships where account_id = $1 and is_home",
            account.0,
        )?;
        Ok(row.map(|(organization, accepted_at)| Home {
            organization: organization.into(),
            accepted: accepted_at.is_some(),
        }))
    }

    /// Notes that the account is managed by agreement where it is at home.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn accept(&mut self, account: AccountId, now: Timestamp) -> Result<()> {
        execute!(
            self.0,
            "update memberships set accepted_at = $2 where account_id = $1 and is_home and accepted_at is null",
            account.0,
            now.micros(),
        )?;
        self.0.touch_account(account);
        Ok(())
    }

    /// Removes the membership an account was invited to, and makes the organization it owns its home.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn withdraw_invitation(&mut self, account: AccountId) -> Result<()> {
        for statement in [
            "delete from membership_workspaces where membership_id in
                (select id from memberships where account_id = $1 and is_home and accepted_at is null)",
            "delete from memberships where account_id = $1 and is_home and accepted_at is null",
            "update memberships set is_home = true where account_id = $1 and role = 'owner' and not exists
                (select 1 from memberships m where m.account_id = $1 and m.is_home)",
        ] {
            execute!(self.0, statement, account.0)?;
        }
        self.0.touch_account(account);
        Ok(())
    }

    /// The account that exists only because a manager invited the address: no agreement, no proof.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn invited(&mut self, email: &EmailAddress) -> Result<Option<AccountId>> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select i.account_id from identifiers i
             join memberships m on m.account_id = i.account_id and m.is_home
             where i.kind = 'email' and i.value = $1 and i.verified_at is null and m.accepted_at is null",
            email.as_str(),
        )?;
        Ok(row.map(|(account,)| account.into()))
    }

    /// The account that has an address without having proven it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn unproven_owner(&mut self, email: &EmailAddress) -> Result<Option<AccountId>> {
        let row = fetch_optional!(
            self.0,
            (Uuid,),
            "select account_id from identifiers where kind = 'email' and value = $1 and verified_at is null",
            email.as_str(),
        )?;
        Ok(row.map(|(account,)| account.into()))
    }

    /// Takes an unproven address from an account; answers how many identifiers the account has left.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn release(&mut self, account: AccountId, email: &EmailAddress) -> Result<usize> {
        for statement in [
            "delete from identifiers
             where account_id = $1 and kind = 'email' and value = $2 and verified_at is null",
            "delete from challenges where account_id = $1 and address = $2",
        ] {
            execute!(self.0, statement, account.0, email.as_str())?;
        }
        let left =
            fetch_all!(self.0, (Uuid,), "select id from identifiers where account_id = $1", account.0,)?;
        self.0.touch_account(account);
        Ok(left.len())
    }

    /// Removes the account's password.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn drop_password(&mut self, account: AccountId) -> Result<()> {
        execute!(self.0, "delete from passwords where account_id = $1", account.0)?;
        Ok(())
    }

    /// Removes what an account says of its owner: names, picture, profile, documents, consent to terms. The organization it
    /// owns is called `name` from then on. Documents that are empty count as such, or whoever takes the account over would pay for those of
    /// a stranger.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn clear_descriptions(&mut self, account: AccountId, name: &str, now: Timestamp) -> Result<()> {
        let nothing = Document::default();
        execute!(
            self.0,
            "update accounts set display_name = '', first_name = '', last_name = '', profile_image_url = null,
                profile = $2, user_metadata = $2, metadata_bytes = $3, agreed_to_terms = false, terms_version = null,
                updated_at = $4
             where id = $1",
            account.0,
            Json(&nothing),
            crate::organizations::quotas_repository::bytes(&nothing),
            now.micros(),
        )?;
        execute!(
            self.0,
            "update organizations set name = $2, metadata = $3, metadata_bytes = $4, updated_at = $5 where id in
                (select organization_id from memberships where account_id = $1 and role = 'owner')",
            account.0,
            name,
            Json(&nothing),
            crate::organizations::quotas_repository::bytes(&nothing),
            now.micros(),
        )?;
        self.0.touch_account(account);
        Ok(())
    }

    /// The account's phones.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn phones(&mut self, account: AccountId) -> Result<Vec<PhoneNumber>> {
        let rows = fetch_all!(
            self.0,
            (String,),
            "select value from identifiers where account_id = $1 and kind = 'phone' order by created_at",
            account.0,
        )?;
        Ok(rows.into_iter().map(|(value,)| PhoneNumber::from_stored(value)).collect())
    }

    /// Removes the account's phones, and what was texted to them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_phones(&mut self, account: AccountId) -> Result<()> {
        for statement in [
            "delete from challenges where address in
                (select value from identifiers where account_id = $1 and kind = 'phone')",
            "delete from identifiers where account_id = $1 and kind = 'phone'",
        ] {
            execute!(self.0, statement, account.0)?;
        }
        self.0.touch_account(account);
        Ok(())
    }

    /// Removes the account's addresses and phones that were added at `since` or later, except `kept`, and what was sent to them.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn remove_identifiers_since(
        &mut self,
        account: AccountId,
        kept: &EmailAddress,
        since: Timestamp,
    ) -> Result<()> {
        for statement in [
            "delete from challenges where account_id = $1 and address in
                (select value from identifiers where account_id = $1 and value <> $2 and created_at >= $3)",
            "delete from identifiers where account_id = $1 and value <> $2 and created_at >= $3",
        ] {
            execute!(self.0, statement, account.0, kept.as_str(), since.micros())?;
        }
        self.0.touch_account(account);
        Ok(())
    }

    /// What an organization is called where its people are invited.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn label(&mut self, organization: OrganizationId) -> Result<OrganizationLabel> {
        let row = fetch_optional!(
            self.0,
            (String, Option<String>, Option<String>),
            "select o.name, m.source, i.value from organizations o
             left join memberships m on m.organization_id = o.id and m.role = 'owner'
             left join identifiers i on i.account_id = m.account_id and i.kind = 'email' and i.is_primary
                and i.verified_at is not null
             where o.id = $1",
            organization.0,
        )?;
        let (name, source, owner) = row.unwrap_or_default();
        let by_operator = source.as_deref() == Some("provisioned") && !name.is_empty();
        Ok(OrganizationLabel {
            name: by_operator.then_some(name),
            owner: owner.map(EmailAddress::from_stored),
        })
    }

    /// Lets an organization manage accounts with addresses of a domain. False when another one manages it.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn add_managed_domain(
        &mut self,
        organization: OrganizationId,
        domain: &str,
        now: Timestamp,
    ) -> Result<bool> {
        let added = execute!(
            self.0,
            "insert into managed_domains (domain, organization_id, created_at) values ($1, $2, $3)
             on conflict (domain) do nothing",
            domain,
            organization.0,
            now.micros(),
        )?;
        Ok(added == 1)
    }

    /// Whether an operator lets the organization manage accounts with addresses of that domain.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn manages_domain(&mut self, organization: OrganizationId, domain: &str) -> Result<bool> {
        let row = fetch_optional!(
            self.0,
            (String,),
            "select domain from managed_domains where organization_id = $1 and domain = $2",
            organization.0,
            domain,
        )?;
        Ok(row.is_some())
    }
}

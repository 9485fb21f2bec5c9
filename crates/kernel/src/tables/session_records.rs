//! What a request needs to know of its session.

use tidegate_database::{Result, StoreError, fetch_optional};
use tidegate_domain::account::AccountKind;
use tidegate_domain::id::{AccountId, ApplicationId, OrganizationId, SessionId};
use tidegate_domain::session::AmrSet;
use tidegate_domain::{ContractId, EmailAddress, PermissionSet, Role, Scopes, Timestamp};
use uuid::Uuid;

use super::role;
use super::sessions::{Sessions, scopes};

/// Everything a request needs to know about the session its token names, or about a personal access token: that stands for a session.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// Key.
    pub id: SessionId,
    /// Whose.
    pub account: AccountId,
    /// What its tokens call the account, where that is not its key.
    pub subject: Option<AccountId>,
    /// The account's number.
    pub account_number: i64,
    /// The account's name.
    pub display_name: String,
    /// Person or program.
    pub kind: AccountKind,
    /// Its primary address; none for a program.
    pub email: Option<EmailAddress>,
    /// Whether that address is known to be theirs.
    pub email_verified: bool,
    /// When the account was made.
    pub account_created_at: Timestamp,
    /// The organization signed in to.
    pub organization: OrganizationId,
    /// The role there now.
    pub role: Role,
    /// The contract that opened it.
    pub contract: ContractId,
    /// How its owner proved who they are.
    pub amr: AmrSet,
    /// When they last did.
    pub auth_time: Timestamp,
    /// When it was last known to be used.
    pub last_activity_at: Timestamp,
    /// Ends unless refreshed before.
    pub expires_at: Timestamp,
    /// Ended before its time, or the account was disabled.
    pub ended: bool,
    /// What its tokens may do at most.
    pub scopes: Scopes,
    /// Present where it is no session, but a personal access token.
    pub access_token: Option<AccessTokenUse>,
    /// Present where its tokens are in the hands of an application.
    pub application: Option<ApplicationUse>,
}

/// The application in whose hands tokens are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplicationUse {
    /// Key.
    pub id: ApplicationId,
    /// Whether it acts in its own name: then there is no account, and its key stands in for the account's.
    pub in_own_name: bool,
    /// The contract through which its owner gave it access: what it reaches is bounded by that. None in its own name.
    pub approved_contract: Option<ContractId>,
}

/// What is known of a personal access token besides what is known of a session.
#[derive(Clone, Copy, Debug)]
pub struct AccessTokenUse {
    /// It never allows more than this role.
    pub role: Role,
}

impl SessionRecord {
    /// What its tokens may do at most, whatever they say themselves.
    pub(crate) fn permissions(&self) -> PermissionSet {
        let by_scope = self.scopes.permissions();
        let granted =
            self.access_token.map_or(by_scope, |token| by_scope.intersection(token.role.permissions()));
        match self.application {
            Some(ApplicationUse { in_own_name: true, .. }) => {
                granted.intersection(PermissionSet::APPLICATION)
            }
            Some(_) | None => granted,
        }
    }
}

#[derive(sqlx::FromRow)]
struct RecordRow {
    id: Uuid,
    account_id: Uuid,
    number: i64,
    kind: String,
    display_name: String,
    value: Option<String>,
    verified_at: Option<i64>,
    created_at: i64,
    organization_id: Uuid,
    role: String,
    dialect: String,
    amr: String,
    auth_time: i64,
    last_activity_at: i64,
    expires_at: i64,
    revoked_at: Option<i64>,
    disabled_at: Option<i64>,
    scope: Option<String>,
    application_id: Option<Uuid>,
    application_status: Option<String>,
    approved_contract: Option<String>,
    subject_id: Option<Uuid>,
}

impl Sessions<'_> {
    /// The session of that key with all a request needs to know. None also when its owner has left the organization.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn record(&mut self, id: SessionId) -> Result<Option<SessionRecord>> {
        let row = fetch_optional!(
            self.0,
            RecordRow,
            "select s.id, s.account_id, a.number, a.kind, a.display_name, i.value, i.verified_at, a.created_at,
                s.organization_id, m.role, s.dialect, s.amr, coalesce(s.auth_time, s.created_at) as auth_time,
                s.last_activity_at, s.expires_at, s.revoked_at, a.disabled_at, s.scope, s.application_id,
                case when p.suspended_at is null then p.status end as application_status, s.approved_contract, s.subject_id
             from sessions s
             join accounts a on a.id = s.account_id
             left join identifiers i on i.account_id = a.id and i.kind = 'email' and i.is_primary
             join memberships m on m.account_id = a.id and m.organization_id = s.organization_id
             left join oauth_applications p on p.id = s.application_id and p.epoch = s.application_epoch
             where s.id = $1",
            id.0,
        )?;
        row.map(|row| {
            let approved = row.approved_contract.as_deref().map(ContractId::parse).transpose();
            let approved = approved.map_err(|_| StoreError::Unreadable("sessions.approved_contract"))?;
            let application = row.application_id.map(|id| match approved {
                None => Err(StoreError::Unreadable("sessions.approved_contract")),
                approved_contract => {
                    Ok(ApplicationUse { id: id.into(), in_own_name: false, approved_contract })
                }
            });
            Ok(SessionRecord {
                id: row.id.into(),
                account: row.account_id.into(),
                subject: row.subject_id.map(AccountId::from),
                account_number: row.number,
                display_name: row.display_name,
                kind: AccountKind::from_name(&row.kind).ok_or(StoreError::Unreadable("accounts.kind"))?,
                email: row.value.map(EmailAddress::from_stored),
                email_verified: row.verified_at.is_some(),
                account_created_at: Timestamp::from_micros(row.created_at),
                organization: row.organization_id.into(),
                role: role(&row.role)?,
                contract: ContractId::parse(&row.dialect)
                    .map_err(|_| StoreError::Unreadable("sessions.dialect"))?,
                amr: AmrSet::from_stored(&row.amr),
                auth_time: Timestamp::from_micros(row.auth_time),
                last_activity_at: Timestamp::from_micros(row.last_activity_at),
                expires_at: Timestamp::from_micros(row.expires_at),
                ended: row.revoked_at.is_some()
                    || row.disabled_at.is_some()
                    || (row.application_id.is_some() && row.application_status.as_deref() != Some("active")),
                scopes: scopes(row.scope.as_deref()),
                access_token: None,
                application: application.transpose()?,
            })
        })
        .transpose()
    }
}

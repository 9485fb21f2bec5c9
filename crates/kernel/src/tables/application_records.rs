//! Applications as the kernel sees them: as the bearers of tokens in their own name.

use tidegate_database::{Result, Unit, fetch_optional};
use tidegate_domain::account::AccountKind;
use tidegate_domain::id::{AccountId, SessionId};
use tidegate_domain::session::AmrSet;
use tidegate_domain::{ContractId, Role, Scopes, Timestamp};
use uuid::Uuid;

use super::sessions::{ApplicationUse, SessionRecord};

/// Applications of a unit of work.
pub struct ApplicationRecords<'u>(pub(crate) &'u mut Unit);

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    number: i64,
    organization_id: Uuid,
    name: String,
    scopes: String,
    status: String,
    created_at: i64,
    last_used_at: Option<i64>,
}

impl ApplicationRecords<'_> {
    /// The application whose own tokens are those of that epoch, as if it were a session. None when they have ended.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn record(&mut self, own_epoch: SessionId) -> Result<Option<SessionRecord>> {
        let row = fetch_optional!(
            self.0,
            Row,
            "select id, number, organization_id, name, scopes,
                case when suspended_at is null then status else 'suspended' end as status, created_at, last_used_at
             from oauth_applications where own_epoch = $1",
            own_epoch.0,
        )?;
        Ok(row.map(|row| SessionRecord {
            id: own_epoch,
            account: AccountId(row.id),
            subject: None,
            account_number: row.number,
            display_name: row.name,
            kind: AccountKind::Service,
            email: None,
            email_verified: false,
            account_created_at: Timestamp::from_micros(row.created_at),
            organization: row.organization_id.into(),
            role: Role::Viewer,
            contract: ContractId::OAUTH,
            amr: AmrSet::default(),
            auth_time: Timestamp::from_micros(0),
            last_activity_at: Timestamp::from_micros(row.last_used_at.unwrap_or_default()),
            expires_at: Timestamp::from_micros(i64::MAX),
            ended: row.status != "active",
            scopes: Scopes::from_stored(&row.scopes),
            access_token: None,
            application: Some(ApplicationUse {
                id: row.id.into(),
                in_own_name: true,
                approved_contract: None,
            }),
        }))
    }
}

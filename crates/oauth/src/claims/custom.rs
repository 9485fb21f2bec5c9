//! Claims of the installation's own.

use serde_json::{Map, Value, json};
use sqlx::types::Json;
use tidegate_database::{Result as Stored, Unit, fetch_optional};
use tidegate_domain::Scopes;
use tidegate_domain::custom_claim::{ClaimSource, CustomClaim};
use tidegate_domain::id::AccountId;
use tidegate_kernel::Fault;
use tidegate_kernel::tables::sessions::SessionRecord;

use crate::{Oauth, OauthTables};

/// Longest value that is told, in bytes of JSON.
const LONGEST: usize = 4 * 1024;

impl Oauth {
    /// What the operator has told of people with these scopes, besides what everybody tells. What is not known, or too long, is left out.
    pub(super) async fn custom_claims(
        &self,
        session: &SessionRecord,
        scopes: &Scopes,
    ) -> Result<Map<String, Value>, Fault> {
        let mut told = Map::new();
        let asked = |claim: &&CustomClaim| scopes.contains(&claim.scope);
        let mut metadata = None;
        for claim in self.rules().claims.iter().filter(asked) {
            let value = match &claim.from {
                ClaimSource::AccountNumber => Some(json!(session.account_number)),
                ClaimSource::CreatedAt => Some(json!(session.account_created_at.seconds())),
                ClaimSource::Role => Some(json!(session.role)),
                ClaimSource::OrganizationId => Some(json!(session.organization)),
                ClaimSource::OrganizationName => {
                    let mut unit = self.kernel.store.read().await?;
                    Some(json!(unit.applications().organization_name(session.organization).await?))
                }
                ClaimSource::Metadata(key) => {
                    if metadata.is_none() {
                        let mut unit = self.kernel.store.read().await?;
                        metadata = Some(metadata_of(&mut unit, session.account).await?);
                    }
                    metadata.as_ref().and_then(|found| found.get(key)).cloned()
                }
            };
            let is_short = |value: &Value| !value.is_null() && value.to_string().len() <= LONGEST;
            if let Some(value) = value.filter(is_short) {
                told.insert(claim.name.clone(), value);
            }
        }
        Ok(told)
    }
}

async fn metadata_of(unit: &mut Unit, account: AccountId) -> Stored<Value> {
    let row =
        fetch_optional!(unit, (Json<Value>,), "select user_metadata from accounts where id = $1", account.0)?;
    Ok(row.map(|(Json(value),)| value).unwrap_or_default())
}

//! The owner renames an access token, or gives it other scopes.

use serde_json::json;
use tidegate_delivery::Template;
use tidegate_domain::audit::Action;
use tidegate_domain::{Permission, Scopes};
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::tables::access_tokens::{AccessToken, AccessTokenChange};
use tidegate_kernel::{Actor, Call, KernelTables};

use crate::Identity;

/// Why a token stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessTokenError {
    /// No such token of theirs; another account's looks the same.
    #[error("the token does not exist")]
    NotFound,
}

impl Identity {
    /// Changes the actor's token of that number. Its text, its expiry, its role and its organization stay. Other scopes hold from
    /// the next request on. The owner is mailed where they allow more: then it is as good as another token.
    ///
    /// Source: RiverGen "auth/tokens/{token_id}".
    ///
    /// # Errors
    /// [`AccessTokenError`].
    pub async fn change_access_token(
        &self,
        call: &Call,
        actor: &Actor,
        number: i64,
        change: AccessTokenChange,
    ) -> Outcome<AccessToken, AccessTokenError> {
        let mut work = self.begin_as(call, actor, Permission::ManageOwnTokens).await?;
        // Other scopes are as good as another token.
        if change.scopes.is_some() {
            work.authorize_recent().await?;
        }
        let account = work.grant.account();
        let Some(token) = work.unit.access_tokens().numbered(account, number).await? else {
            return refuse(AccessTokenError::NotFound);
        };
        if !work.unit.access_tokens().change(token.id, &change).await? {
            return refuse(AccessTokenError::NotFound);
        }
        let metadata = json!({
            "token": number,
            "name": change.name,
            "scopes": change.scopes.as_ref().map(Scopes::to_string),
            "scopes_before": change.scopes.as_ref().map(|_| token.scopes.to_string()),
        });
        work.audit(Action::TokenUpdated, work.grant.subject(), metadata).await?;
        let grown = change
            .scopes
            .as_ref()
            .filter(|scopes| !token.scopes.permissions().contains_all(scopes.permissions()));
        if let Some(scopes) = grown {
            let name = change.name.as_deref().unwrap_or(&token.name);
            let values = json!({ "token": name, "scopes": scopes.to_string() });
            work.security_notice(account, Template::TokenMade, values).await?;
        }
        work.commit().await?;
        Ok(AccessToken {
            name: change.name.unwrap_or(token.name),
            scopes: change.scopes.unwrap_or(token.scopes),
            ..token
        })
    }
}

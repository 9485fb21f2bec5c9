//! Exports what is stored of an account, for its owner (GDPR articles 15 and 20).

use serde_json::{Map, Value, json};
use tidegate_domain::account::{Account, MemberOrganization};
use tidegate_domain::audit::Action;
use tidegate_domain::{Document, Timestamp};
use tidegate_kernel::KernelTables;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::tables::access_tokens::AccessToken;
use tidegate_kernel::tables::audit::SignInEvent;
use tidegate_kernel::tables::kept_sessions::KeptSession;
use tidegate_kernel::tables::outbox::Message;

use super::repository::Identifier;
use super::shown::shown;
use super::{AccountName, Operator, OperatorError};
use crate::{Identity, IdentityTables};

impl Identity {
    /// Everything stored of an account as one JSON object: the account, identifiers, memberships, access tokens, sessions that are open or ended, the
    /// messages that were sent to its identifiers, the audit events about it, and what other features keep. Password hashes, keys, tokens,
    /// and what messages say are left out.
    ///
    /// Source: `tidegate user export`.
    ///
    /// # Errors
    /// [`OperatorError`].
    pub async fn export_account(
        &self,
        operator: &Operator,
        name: &AccountName,
    ) -> Outcome<Map<String, Value>, OperatorError> {
        let mut work = self.begin_for(operator).await?;
        let id = work.lock_named(name).await?.id;
        let Some(account) = work.unit.accounts().find(id).await? else {
            return refuse(OperatorError::NotFound);
        };
        let names = work.unit.accounts().names(id).await?;
        let has_password = work.unit.installation().has_password(id).await?;
        let mut export = work.kernel().account_exported(id).await?;
        let mut add = |name: &str, value: Value| drop(export.insert(name.to_owned(), value));
        add("account", account_json(&account, names, has_password));
        let identifiers = work.unit.installation().identifiers(id).await?;
        let tokens = work.unit.access_tokens().of_account(id, 0, i64::MAX).await?;
        add("access_tokens", tokens.iter().map(token_json).collect());
        add("identifiers", identifiers.iter().map(identifier_json).collect());
        let organizations = work.unit.organizations().of_member(id).await?;
        add("organizations", organizations.iter().map(organization_json).collect());
        let sessions = work.unit.sessions().of_account(id).await?;
        add("sessions", sessions.iter().map(session_json).collect());
        let mut messages = Vec::new();
        for known in &identifiers {
            messages.extend(work.unit.outbox().to_recipient(&known.value).await?);
        }
        add("messages", messages.iter().map(message_json).collect());
        let events = work.unit.audit().of_account(id).await?;
        add("audit_events", events.iter().map(event_json).collect());
        work.audit(Action::AccountExported, id, json!({})).await?;
        work.commit().await?;
        Ok(export)
    }
}

fn account_json(account: &Account, (first_name, last_name): (String, String), has_password: bool) -> Value {
    json!({
        "id": account.id.0,
        "number": account.number,
        "display_name": account.display_name,
        "first_name": first_name,
        "last_name": last_name,
        "profile_image_url": account.profile_image_url,
        "profile": value(&account.profile),
        "user_metadata": value(&account.user_metadata),
        "has_password": has_password,
        "disabled_at": account.disabled_at.map(Timestamp::iso_seconds),
        "created_at": account.created_at.iso_seconds(),
        "updated_at": account.updated_at.iso_seconds(),
    })
}

fn identifier_json(known: &Identifier) -> Value {
    json!({
        "kind": known.kind,
        "value": known.shown(),
        "verified_at": known.verified_at.map(Timestamp::iso_seconds),
        "is_primary": known.is_primary,
        "created_at": known.created_at.iso_seconds(),
    })
}

fn organization_json(member: &MemberOrganization) -> Value {
    json!({
        "organization_id": member.id.0,
        "name": member.name,
        "role": member.role.as_str(),
        "joined_at": member.joined_at.iso_seconds(),
    })
}

fn session_json(kept: &KeptSession) -> Value {
    let session = &kept.session;
    json!({
        "number": session.number,
        "ip": session.ip,
        "user_agent": session.user_agent,
        "created_at": session.created_at.iso_seconds(),
        "last_activity_at": session.last_activity_at.iso_seconds(),
        "expires_at": session.expires_at.iso_seconds(),
        "ended_at": session.revoked_at.map(Timestamp::iso_seconds),
        "end_reason": kept.end_reason,
        "scopes": kept.scopes.names().collect::<Vec<_>>(),
        "client_id": kept.application,
    })
}

/// An access token, without its text, of which nothing is kept.
fn token_json(token: &AccessToken) -> Value {
    json!({
        "number": token.number,
        "name": token.name,
        "scopes": token.scopes.names().collect::<Vec<_>>(),
        "organization": token.organization_number,
        "created_at": token.created_at.iso_seconds(),
        "expires_at": token.expires_at.map(Timestamp::iso_seconds),
        "last_used_at": token.last_used_at.map(Timestamp::iso_seconds),
    })
}

/// A mail or text message, without what it says: codes and links let anybody in.
fn message_json(message: &Message) -> Value {
    json!({
        "channel": message.channel,
        "template": message.template,
        "recipient": shown(message.recipient.clone()),
        "state": message.state,
        "provider": message.provider,
        "receipt": message.receipt,
        "created_at": message.created_at().iso_seconds(),
        "settled_at": message.settled_at().map(Timestamp::iso_seconds),
    })
}

fn event_json(event: &SignInEvent) -> Value {
    json!({
        "at": event.at.iso_seconds(),
        "action": event.action,
        "ip": event.ip,
        "user_agent": event.user_agent,
        "metadata": event.metadata,
    })
}

/// A stored document as JSON; it was checked when it came.
fn value(document: &Document) -> Value {
    serde_json::from_str(document.as_str()).unwrap_or_default()
}

//! What caches hear of.

use tidegate_database::{Change, Topic};
use tidegate_domain::id::{AccessTokenId, AccountId, ApplicationId, OrganizationId, SessionId};

/// Sessions.
pub const SESSIONS: Topic = Topic('s');
/// Personal access tokens.
pub const ACCESS_TOKENS: Topic = Topic('t');
/// Accounts, and anything shown with them.
pub const ACCOUNTS: Topic = Topic('a');
/// Applications.
pub const APPLICATIONS: Topic = Topic('c');
/// Policies of an organization.
pub const POLICIES: Topic = Topic('p');
/// Data sources of an organization, and what was discovered of them.
pub const DATA_SOURCES: Topic = Topic('d');
/// A mail waits in the outbox.
pub const MAILS: Change = Change::Topic(Topic('o'));
/// A text message waits in the outbox.
pub const TEXTS: Change = Change::Topic(Topic('x'));
/// A job waits.
pub const JOBS: Change = Change::Topic(Topic('j'));
/// The signing keys changed.
pub const SIGNING_KEYS: Change = Change::Topic(Topic('k'));

/// A session ended or changed.
pub const fn session(id: SessionId) -> Change {
    Change::Row(SESSIONS, id.0)
}

/// A personal access token was changed or revoked.
pub const fn access_token(id: AccessTokenId) -> Change {
    Change::Row(ACCESS_TOKENS, id.0)
}

/// An account, or anything shown with it, changed.
pub const fn account(id: AccountId) -> Change {
    Change::Row(ACCOUNTS, id.0)
}

/// An application changed or was deleted.
pub const fn application(id: ApplicationId) -> Change {
    Change::Row(APPLICATIONS, id.0)
}

/// The policies of an organization changed.
pub const fn policies(organization: OrganizationId) -> Change {
    Change::Row(POLICIES, organization.0)
}

/// A data source of the organization was made, changed or deleted, or its tables were discovered.
pub const fn data_sources(organization: OrganizationId) -> Change {
    Change::Row(DATA_SOURCES, organization.0)
}

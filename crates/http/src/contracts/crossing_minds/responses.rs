//! Response bodies: section 6.

use serde::Serialize;
use serde_json::Value;
use tidegate_domain::database::{Database, Status};
use tidegate_domain::id::OrganizationId;
use tidegate_domain::{Document, Secret, Timestamp};
use tidegate_identity::accounts::list_accounts::{Member, Program, ServiceKey};
use tidegate_identity::databases::manage::DatabasePage;
use tidegate_identity::sessions::continue_session::Continued;
use tidegate_identity::sessions::resolve_session::ResolvedPage;
use tidegate_kernel::{Grant, SignedIn};
use utoipa::ToSchema;

use super::role_name;

/// Nothing to say.
#[derive(Serialize, ToSchema)]
pub(super) struct Empty {}

/// All members of the organization.
#[derive(Serialize, ToSchema)]
pub(super) struct AccountList {
    /// People, the owner included, in the order they came.
    individual_accounts: Vec<IndividualAccount>,
    /// Programs, in the order they came.
    service_accounts: Vec<ServiceAccount>,
    warnings: Vec<String>,
}

/// A person.
#[derive(Serialize, ToSchema)]
pub(super) struct IndividualAccount {
    id: String,
    first_name: String,
    last_name: String,
    email: String,
    /// `root`, `manager`, `backend`, `frontend` or `demo_viewer`.
    role: &'static str,
    /// Whether the address is known to be theirs.
    verified: bool,
    #[schema(value_type = Object)]
    metadata: Document,
}

impl From<Member> for IndividualAccount {
    fn from(member: Member) -> Self {
        Self {
            id: member.account.opaque(),
            first_name: member.first_name,
            last_name: member.last_name,
            email: member.login.to_string(),
            role: role_name(member.role),
            verified: member.verified,
            metadata: member.metadata,
        }
    }
}

/// A program.
#[derive(Serialize, ToSchema)]
pub(super) struct ServiceAccount {
    id: String,
    name: String,
    /// `manager`, `backend`, `frontend` or `demo_viewer`.
    role: &'static str,
    #[schema(value_type = Object)]
    metadata: Document,
    keys: Vec<ListedKey>,
}

impl ServiceAccount {
    pub(super) fn new(program: Program, now: Timestamp) -> Self {
        Self {
            id: program.member.account.opaque(),
            name: program.member.login.to_string(),
            role: role_name(program.member.role),
            metadata: program.member.metadata,
            keys: program.keys.into_iter().map(|key| ListedKey::new(key, now)).collect(),
        }
    }
}

/// A program's key, without its text.
#[derive(Serialize, ToSchema)]
struct ListedKey {
    id: String,
    /// Seconds since the epoch.
    created_timestamp: f64,
    /// Seconds since the epoch; `null` for one that does not expire.
    #[schema(required = true)]
    expiration_timestamp: Option<f64>,
    is_expired: bool,
    #[schema(value_type = Object)]
    metadata: Document,
}

impl ListedKey {
    fn new(key: ServiceKey, now: Timestamp) -> Self {
        Self {
            id: key.id.opaque(),
            created_timestamp: key.created_at.fractional_seconds(),
            expiration_timestamp: key.expires_at.map(Timestamp::fractional_seconds),
            is_expired: key.expires_at.is_some_and(|expiry| expiry <= now),
            metadata: key.metadata,
        }
    }
}

/// Made.
#[derive(Serialize, ToSchema)]
pub(super) struct Created {
    pub(super) id: String,
}

/// A program's new key.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedKey {
    id: String,
    /// Shown this once: sign in with it as the password.
    key: String,
    /// Seconds since the epoch.
    created_timestamp: f64,
    /// Seconds since the epoch; `null` for one that does not expire.
    #[schema(required = true)]
    expiration_timestamp: Option<f64>,
    #[schema(value_type = Object)]
    metadata: Document,
}

impl CreatedKey {
    pub(super) fn new(key: ServiceKey, text: &Secret) -> Self {
        Self {
            id: key.id.opaque(),
            key: text.expose().to_owned(),
            created_timestamp: key.created_at.fractional_seconds(),
            expiration_timestamp: key.expires_at.map(Timestamp::fractional_seconds),
            metadata: key.metadata,
        }
    }
}

/// An address is verified.
#[derive(Serialize, ToSchema)]
pub(super) struct Verified {
    pub(super) email: String,
    /// Always true.
    pub(super) verified: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) warnings: Vec<&'static str>,
}

/// Tokens, and what they are good for.
#[derive(Serialize, ToSchema)]
pub(super) struct Login {
    /// A JWT; opaque to clients.
    token: String,
    /// For `login/refresh-token/`; belongs in bodies, never in URLs.
    refresh_token: String,
    org_id: String,
    /// `root`, `manager`, `backend`, `frontend` or `demo_viewer`.
    role: &'static str,
    /// The database the token is bound to, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<LoginDatabase>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<&'static str>,
}

/// The database a token is bound to.
#[derive(Serialize, ToSchema)]
struct LoginDatabase {
    #[serde(flatten)]
    database: ListedDatabase,
    /// `pending` or `ready`.
    status: &'static str,
}

impl LoginDatabase {
    fn new(database: Database, now: Timestamp) -> Self {
        let status = database.status(now).as_str();
        Self { status, database: database.into() }
    }
}

impl Login {
    pub(super) fn signed_in(signed_in: SignedIn, now: Timestamp) -> Self {
        Self {
            token: signed_in.tokens.access_token.expose().to_owned(),
            refresh_token: signed_in.tokens.refresh_token.expose().to_owned(),
            org_id: signed_in.organization.opaque(),
            role: role_name(signed_in.role),
            database: signed_in.database.map(|database| LoginDatabase::new(database, now)),
            warnings: Vec::new(),
        }
    }

    pub(super) fn continued(continued: Continued, now: Timestamp) -> Self {
        Self {
            token: continued.tokens.access_token.expose().to_owned(),
            refresh_token: continued.tokens.refresh_token.expose().to_owned(),
            org_id: continued.organization.opaque(),
            role: role_name(continued.role),
            database: continued.database.map(|database| LoginDatabase::new(database, now)),
            warnings: Vec::new(),
        }
    }

    pub(super) fn with_warning(self, warning: &'static str) -> Self {
        Self { warnings: vec![warning], ..self }
    }
}

/// What a token says.
#[derive(Serialize, ToSchema)]
pub(super) struct TokenInfo {
    org_id: String,
    account: TokenAccount,
    /// The database it is bound to, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<TokenDatabase>,
    /// The end user it speaks for, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    frontend_user_id: Option<Value>,
    /// That user's anonymous session, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Value)]
    frontend_session_id: Option<Value>,
}

#[derive(Serialize, ToSchema)]
struct TokenAccount {
    id: String,
    /// `root`, `manager`, `backend`, `frontend` or `demo_viewer`.
    role: &'static str,
}

#[derive(Serialize, ToSchema)]
struct TokenDatabase {
    id: String,
    item_id_type: String,
    user_id_type: String,
    session_id_type: String,
}

impl TokenInfo {
    pub(super) fn new(grant: &Grant, database: Option<&Database>) -> Self {
        let claims = grant.claims();
        Self {
            org_id: organization(grant.organization()),
            account: TokenAccount { id: grant.account().opaque(), role: role_name(grant.session().role) },
            database: database.map(|database| TokenDatabase {
                id: database.id.opaque(),
                item_id_type: database.item_id_type.to_string(),
                user_id_type: database.user_id_type.to_string(),
                session_id_type: database.session_id_type.to_string(),
            }),
            frontend_user_id: database
                .and_then(|database| claims.fuid.as_ref().map(|id| database.user_id_type.emit(id))),
            frontend_session_id: database
                .and_then(|database| claims.fsid.as_ref().map(|id| database.session_id_type.emit(id))),
        }
    }
}

fn organization(id: OrganizationId) -> String {
    id.opaque()
}

/// A page of databases.
#[derive(Serialize, ToSchema)]
pub(super) struct DatabaseList {
    has_next: bool,
    /// Always the number after this page's.
    next_page: u32,
    databases: Vec<ListedDatabase>,
}

impl DatabaseList {
    pub(super) fn new(page: DatabasePage, number: u32) -> Self {
        Self {
            has_next: page.has_next,
            next_page: number.saturating_add(1),
            databases: page.databases.into_iter().map(ListedDatabase::from).collect(),
        }
    }
}

/// A database.
#[derive(Serialize, ToSchema)]
struct ListedDatabase {
    id: String,
    name: String,
    description: String,
    item_id_type: String,
    user_id_type: String,
    session_id_type: String,
}

impl From<Database> for ListedDatabase {
    fn from(database: Database) -> Self {
        Self {
            id: database.id.opaque(),
            name: database.name,
            description: database.description,
            item_id_type: database.item_id_type.to_string(),
            user_id_type: database.user_id_type.to_string(),
            session_id_type: database.session_id_type.to_string(),
        }
    }
}

/// The database of the token.
#[derive(Serialize, ToSchema)]
pub(super) struct CurrentDatabase {
    #[serde(flatten)]
    database: ListedDatabase,
    counters: Counters,
    #[schema(value_type = Object)]
    metadata: Document,
    /// `pending` or `ready`.
    status: &'static str,
}

/// How much is in it. Users, items and ratings are not kept here, so these are always 0.
#[derive(Serialize, ToSchema)]
struct Counters {
    rating: u64,
    user: u64,
    item: u64,
}

impl CurrentDatabase {
    pub(super) fn new(database: Database, metadata: Document, now: Timestamp) -> Self {
        Self {
            counters: Counters { rating: 0, user: 0, item: 0 },
            metadata,
            status: database.status(now).as_str(),
            database: database.into(),
        }
    }
}

/// The status of a database.
#[derive(Serialize, ToSchema)]
pub(super) struct DatabaseStatus {
    /// `pending` or `ready`.
    status: &'static str,
}

impl From<Status> for DatabaseStatus {
    fn from(status: Status) -> Self {
        Self { status: status.as_str() }
    }
}

/// An organization's free document.
#[derive(Serialize, ToSchema)]
pub(super) struct Organization {
    #[schema(value_type = Object)]
    pub(super) metadata: Document,
}

/// A page of resolved sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct ResolvedList {
    has_next: bool,
    /// Goes with the request for the next page.
    next_cursor: String,
    resolved_sessions: Vec<Resolved>,
}

/// An anonymous session that is a user's.
#[derive(Serialize, ToSchema)]
struct Resolved {
    /// Of the database's `session_id_type`.
    #[schema(value_type = Value)]
    session_id: Value,
    /// Of the database's `user_id_type`.
    #[schema(value_type = Value)]
    user_id: Value,
    /// Seconds since the epoch.
    timestamp: f64,
}

impl From<ResolvedPage> for ResolvedList {
    fn from(page: ResolvedPage) -> Self {
        let database = &page.database;
        let resolved = page.sessions.iter().map(|one| Resolved {
            session_id: database.session_id_type.emit(&one.session),
            user_id: database.user_id_type.emit(&one.user),
            timestamp: one.at.fractional_seconds(),
        });
        Self { has_next: page.has_next, resolved_sessions: resolved.collect(), next_cursor: page.cursor }
    }
}

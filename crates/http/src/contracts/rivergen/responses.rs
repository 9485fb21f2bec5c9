//! Response bodies.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use tidegate_domain::account::{Account, AccountEmail, MemberOrganization, Session, Workspace};
use tidegate_domain::{Document, EmailAddress};
use tidegate_identity::accounts::overview::Overview;
use tidegate_identity::sessions::list_sessions::SessionList;
use tidegate_identity::sign_in::sign_in_history::SignInHistory;
use tidegate_kernel::{SignedIn, TokenSet};
use utoipa::ToSchema;

use super::factors::MfaRequiredData;

/// The success envelope (section 1.2 of the contract).
#[derive(Serialize, ToSchema)]
pub(super) struct Envelope<T> {
    /// Always `true`.
    success: bool,
    /// The answer.
    data: T,
    /// For people; not to branch on.
    message: String,
}

/// An answer in its envelope.
pub(super) fn envelope<T: Serialize>(status: StatusCode, data: T, message: &str) -> Response {
    (status, Json(Envelope { success: true, data, message: message.to_owned() })).into_response()
}

/// An action done: `message` is repeated inside.
#[derive(Serialize, ToSchema)]
pub(super) struct Done {
    message: String,
}

impl Done {
    pub(super) fn respond(message: &str) -> Response {
        envelope(StatusCode::OK, Self { message: message.to_owned() }, message)
    }
}

/// A session ended.
#[derive(Serialize, ToSchema)]
pub(super) struct Revoked {
    /// Always `true`.
    pub(super) success: bool,
}

/// An account was made; its address is to be verified.
#[derive(Serialize, ToSchema)]
pub(super) struct SignUpData {
    pub(super) user_id: i64,
    pub(super) email: String,
    pub(super) display_name: Option<String>,
    /// Goes with the code from the mail; lives 10 minutes.
    pub(super) temporary_token: String,
    /// Always `true`.
    pub(super) email_verification_required: bool,
    pub(super) message: String,
}

/// A new temporary token.
#[derive(Serialize, ToSchema)]
pub(super) struct ResentData {
    /// Replaces the one sent.
    pub(super) temporary_token: String,
    pub(super) message: String,
}

/// A sign-in that must go on with the code that was mailed.
#[derive(Serialize, ToSchema)]
pub(super) struct VerificationRequiredData {
    /// Goes with the code from the mail; lives 10 minutes.
    pub(super) temporary_token: String,
    /// Always `true`.
    pub(super) email_verification_required: bool,
    pub(super) message: String,
}

/// A full sign-in, or what to do to get there: branch on `access_token`, `mfa_required` and `email_verification_required`.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum LoginData {
    /// They are in.
    Full(FullLoginData),
    /// The second factor is to be shown.
    MfaRequired(MfaRequiredData),
    /// A code was mailed.
    VerificationRequired(VerificationRequiredData),
}

/// Tokens and whose they are (section 1.9 of the contract).
#[derive(Serialize, ToSchema)]
pub(super) struct TokenSetData {
    access_token: String,
    refresh_token: String,
    /// Always `bearer`.
    token_type: &'static str,
    /// Seconds the access token lives.
    expires_in: i64,
    user_id: i64,
    email: String,
    is_verified: bool,
}

impl From<&SignedIn> for TokenSetData {
    fn from(signed_in: &SignedIn) -> Self {
        Self {
            access_token: signed_in.tokens.access_token.expose().to_owned(),
            refresh_token: signed_in.tokens.refresh_token.expose().to_owned(),
            token_type: "bearer",
            expires_in: signed_in.tokens.expires_in,
            user_id: signed_in.account.number,
            email: signed_in.login.to_string(),
            is_verified: signed_in.is_verified,
        }
    }
}

/// A full sign-in.
#[derive(Serialize, ToSchema)]
pub(super) struct FullLoginData {
    #[serde(flatten)]
    tokens: TokenSetData,
    display_name: Option<String>,
}

impl From<&SignedIn> for FullLoginData {
    fn from(signed_in: &SignedIn) -> Self {
        Self { tokens: signed_in.into(), display_name: name(&signed_in.account.display_name) }
    }
}

/// A verified address and the session that opened.
#[derive(Serialize, ToSchema)]
pub(super) struct VerifiedData {
    #[serde(flatten)]
    tokens: TokenSetData,
    message: String,
}

impl VerifiedData {
    pub(super) fn respond(signed_in: &SignedIn) -> Response {
        const MESSAGE: &str = "E-mail address verified.";
        envelope(StatusCode::OK, Self { tokens: signed_in.into(), message: MESSAGE.to_owned() }, MESSAGE)
    }
}

/// A refreshed session.
#[derive(Serialize, ToSchema)]
pub(super) struct RefreshedData {
    access_token: String,
    /// Replaces the one sent.
    refresh_token: String,
    /// Always `bearer`.
    token_type: &'static str,
    /// Seconds the access token lives.
    expires_in: i64,
}

impl From<TokenSet> for RefreshedData {
    fn from(tokens: TokenSet) -> Self {
        Self {
            access_token: tokens.access_token.expose().to_owned(),
            refresh_token: tokens.refresh_token.expose().to_owned(),
            token_type: "bearer",
            expires_in: tokens.expires_in,
        }
    }
}

/// Everything an account may know of itself.
#[derive(Serialize, ToSchema)]
pub(super) struct MeData {
    user: UserData,
    emails: Vec<EmailData>,
    /// The phones that can sign in to the account through other contracts, masked. Extension of the contract.
    phones: Vec<String>,
    organizations: Vec<OrganizationData>,
    workspaces: Vec<WorkspaceData>,
    security: SecurityData,
}

#[derive(Serialize, ToSchema)]
struct UserData {
    id: i64,
    display_name: Option<String>,
    primary_email: String,
    profile_image_url: Option<String>,
    created_at: String,
    updated_at: String,
    is_system_admin: bool,
    disabled_at: Option<String>,
    #[schema(value_type = Object)]
    profile: Document,
    #[schema(value_type = Object)]
    user_metadata: Document,
}

#[derive(Serialize, ToSchema)]
struct EmailData {
    email: String,
    verified: bool,
    is_primary: bool,
    created_at: String,
}

#[derive(Serialize, ToSchema)]
struct OrganizationData {
    id: i64,
    name: String,
    domain: String,
    plan: String,
    is_admin: bool,
    joined_at: String,
    source: String,
}

#[derive(Serialize, ToSchema)]
struct WorkspaceData {
    id: i64,
    name: String,
    slug: String,
    is_default: bool,
    created_at: String,
}

#[derive(Serialize, ToSchema)]
struct SecurityData {
    mfa_enabled: bool,
    mfa_methods: Vec<String>,
    social_accounts_count: i64,
    connected_providers: Vec<String>,
    total_login_attempts: i64,
    active_sessions: i64,
}

impl From<&Overview> for MeData {
    fn from(overview: &Overview) -> Self {
        let account = &overview.account;
        let primary = overview.emails.iter().find(|email| email.is_primary);
        Self {
            user: UserData {
                id: account.number,
                display_name: name(&account.display_name),
                primary_email: primary.map(|email| email.email.to_string()).unwrap_or_default(),
                profile_image_url: account.profile_image_url.clone(),
                created_at: account.created_at.iso_seconds(),
                updated_at: account.updated_at.iso_seconds(),
                is_system_admin: account.is_system_admin,
                disabled_at: account.disabled_at.map(|at| at.iso_seconds()),
                profile: account.profile.clone(),
                user_metadata: account.user_metadata.clone(),
            },
            emails: overview.emails.iter().map(EmailData::from).collect(),
            phones: overview.phones.iter().map(ToString::to_string).collect(),
            organizations: overview.organizations.iter().map(OrganizationData::from).collect(),
            workspaces: overview.workspaces.iter().map(WorkspaceData::from).collect(),
            security: SecurityData {
                mfa_enabled: !overview.factors.is_empty(),
                mfa_methods: overview.factors.iter().map(|kind| kind.as_str().to_owned()).collect(),
                social_accounts_count: overview.social.len().try_into().unwrap_or(i64::MAX),
                connected_providers: overview.social.clone(),
                total_login_attempts: overview.sign_ins,
                active_sessions: overview.active_sessions,
            },
        }
    }
}

impl From<&AccountEmail> for EmailData {
    fn from(email: &AccountEmail) -> Self {
        Self {
            email: email.email.to_string(),
            verified: email.verified_at.is_some(),
            is_primary: email.is_primary,
            created_at: email.created_at.iso_seconds(),
        }
    }
}

impl From<&MemberOrganization> for OrganizationData {
    fn from(organization: &MemberOrganization) -> Self {
        Self {
            id: organization.number,
            name: organization.name.clone(),
            domain: EmailAddress::shown_domain(&organization.domain),
            plan: organization.plan.clone(),
            is_admin: organization.role.is_admin(),
            joined_at: organization.joined_at.iso_seconds(),
            source: organization.source.clone(),
        }
    }
}

impl From<&Workspace> for WorkspaceData {
    fn from(workspace: &Workspace) -> Self {
        Self {
            id: workspace.number,
            name: workspace.name.clone(),
            slug: workspace.slug.clone(),
            is_default: workspace.is_default,
            created_at: workspace.created_at.iso_seconds(),
        }
    }
}

/// A changed profile.
#[derive(Serialize, ToSchema)]
pub(super) struct ProfileData {
    user_id: i64,
    display_name: Option<String>,
    profile_image_url: Option<String>,
    #[schema(value_type = Object)]
    profile: Document,
    updated_at: String,
}

impl From<Account> for ProfileData {
    fn from(account: Account) -> Self {
        Self {
            user_id: account.number,
            display_name: name(&account.display_name),
            profile_image_url: account.profile_image_url,
            profile: account.profile,
            updated_at: account.updated_at.iso_seconds(),
        }
    }
}

/// A code was sent to the new address.
#[derive(Serialize, ToSchema)]
pub(super) struct EmailChangeRequestedData {
    pub(super) message: String,
    pub(super) new_email: String,
}

/// The address was changed.
#[derive(Serialize, ToSchema)]
pub(super) struct EmailChangedData {
    pub(super) message: String,
    pub(super) old_email: String,
    pub(super) new_email: String,
}

/// A page of sign-ins.
#[derive(Serialize, ToSchema)]
pub(super) struct HistoryData {
    history: Vec<HistoryEntry>,
    total_count: i64,
    limit: i64,
    offset: i64,
}

#[derive(Serialize, ToSchema)]
struct HistoryEntry {
    id: i64,
    /// `auth.login.success` or `auth.login.failure`.
    action: String,
    ip_address: String,
    user_agent: String,
    created_at: String,
    /// `method` and `remember_me` of a success, `reason` of a failure.
    #[schema(value_type = Object)]
    metadata: Value,
}

impl HistoryData {
    pub(super) fn new(page: SignInHistory, limit: i64, offset: i64) -> Self {
        let history = page
            .events
            .into_iter()
            .map(|event| HistoryEntry {
                id: event.number,
                action: event.action,
                ip_address: event.ip,
                user_agent: event.user_agent,
                created_at: event.at.iso_seconds(),
                metadata: event.metadata,
            })
            .collect();
        Self { history, total_count: page.total, limit, offset }
    }
}

/// The caller's active sessions.
#[derive(Serialize, ToSchema)]
pub(super) struct SessionsData {
    sessions: Vec<SessionData>,
    /// Kept in all, ended and expired ones included.
    total_count: i64,
    active_count: usize,
}

#[derive(Serialize, ToSchema)]
struct SessionData {
    id: i64,
    user_id: i64,
    ip_address: String,
    user_agent: String,
    created_at: String,
    last_activity_at: String,
    expires_at: String,
    revoked_at: Option<String>,
    is_current: bool,
}

impl From<&SessionList> for SessionsData {
    fn from(list: &SessionList) -> Self {
        let render = |session: &Session| SessionData {
            id: session.number,
            user_id: list.account,
            ip_address: session.ip.clone(),
            user_agent: session.user_agent.clone(),
            created_at: session.created_at.iso_seconds(),
            last_activity_at: session.last_activity_at.iso_seconds(),
            expires_at: session.expires_at.iso_seconds(),
            revoked_at: session.revoked_at.map(|at| at.iso_seconds()),
            is_current: session.id == list.current,
        };
        Self {
            sessions: list.active.iter().map(render).collect(),
            total_count: list.total,
            active_count: list.active.len(),
        }
    }
}

/// A name that was not given is `null`.
pub(super) fn name(display_name: &str) -> Option<String> {
    (!display_name.is_empty()).then(|| display_name.to_owned())
}

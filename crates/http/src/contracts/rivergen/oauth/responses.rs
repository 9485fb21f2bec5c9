//! Response bodies.

use serde::Serialize;
use tidegate_crypto::PlainToken;
use tidegate_domain::{RedirectUri, Timestamp};
use tidegate_oauth::applications::Application;
use tidegate_oauth::applications::create::Registered;
use tidegate_oauth::applications::find::ApplicationList;
use tidegate_oauth::authorize::introduce::Introduction;
use utoipa::ToSchema;

/// An application.
#[derive(Serialize, ToSchema)]
pub(super) struct ApplicationData {
    id: i64,
    name: String,
    description: String,
    /// A UUID.
    client_id: String,
    grant_types: Vec<&'static str>,
    redirect_uris: Vec<String>,
    scopes: Vec<String>,
    /// Always `organization`.
    access_level: &'static str,
    /// `active` or `revoked`.
    status: &'static str,
    /// `none`, `client_secret_basic` or `client_secret_post`; also `client_secret_jwt` or `private_key_jwt`, where the operator chose that.
    token_endpoint_auth_method: &'static str,
    /// Where people may be sent after they signed out.
    post_logout_redirect_uris: Vec<String>,
    /// Where the application is told that a session has ended.
    backchannel_logout_uri: Option<String>,
    backchannel_logout_session_required: bool,
}

impl From<&Application> for ApplicationData {
    fn from(application: &Application) -> Self {
        Self {
            id: application.number,
            name: application.name.clone(),
            description: application.description.clone(),
            client_id: application.id.to_string(),
            grant_types: application.grant_types.iter().map(|one| one.as_str()).collect(),
            redirect_uris: application.redirect_uris.iter().map(RedirectUri::to_string).collect(),
            scopes: application.scopes.names().map(str::to_owned).collect(),
            access_level: application.access_level.as_str(),
            status: application.effective_status().as_str(),
            token_endpoint_auth_method: application.authentication.as_str(),
            post_logout_redirect_uris: application
                .logout
                .post_logout_redirect_uris
                .iter()
                .map(RedirectUri::to_string)
                .collect(),
            backchannel_logout_uri: application.logout.backchannel_uri.as_ref().map(ToString::to_string),
            backchannel_logout_session_required: application.logout.session_required,
        }
    }
}

/// An application with its times.
#[derive(Serialize, ToSchema)]
pub(super) struct ListedApplicationData {
    #[serde(flatten)]
    application: ApplicationData,
    created_at: String,
    /// Known to a minute or so; `null` if never.
    last_used_at: Option<String>,
}

impl From<&Application> for ListedApplicationData {
    fn from(application: &Application) -> Self {
        Self {
            application: application.into(),
            created_at: application.created_at.iso_seconds(),
            last_used_at: application.last_used_at.map(Timestamp::iso_seconds),
        }
    }
}

/// A new application. The secret is shown once.
#[derive(Serialize, ToSchema)]
pub(super) struct CreatedApplicationData {
    #[serde(flatten)]
    application: ApplicationData,
    created_at: String,
    /// `null` for a public client.
    client_secret: Option<String>,
    message: String,
}

impl CreatedApplicationData {
    pub(super) fn new(registered: &Registered, message: &str) -> Self {
        Self {
            application: (&registered.application).into(),
            created_at: registered.application.created_at.iso_seconds(),
            client_secret: registered.secret.as_ref().map(|secret| secret.expose().to_owned()),
            message: message.to_owned(),
        }
    }
}

/// A page of applications.
#[derive(Serialize, ToSchema)]
pub(super) struct ApplicationsData {
    applications: Vec<ListedApplicationData>,
    /// How many there are in all.
    total: i64,
    message: String,
}

impl ApplicationsData {
    pub(super) fn new(list: &ApplicationList, message: &str) -> Self {
        let applications = list.applications.iter().map(ListedApplicationData::from).collect();
        Self { applications, total: list.total, message: message.to_owned() }
    }
}

/// One application.
#[derive(Serialize, ToSchema)]
pub(super) struct OneApplicationData {
    #[serde(flatten)]
    application: ListedApplicationData,
    message: String,
}

impl OneApplicationData {
    pub(super) fn new(application: &Application, message: &str) -> Self {
        Self { application: application.into(), message: message.to_owned() }
    }
}

/// An application that was changed.
#[derive(Serialize, ToSchema)]
pub(super) struct ChangedApplicationData {
    #[serde(flatten)]
    application: ApplicationData,
    message: String,
}

impl ChangedApplicationData {
    pub(super) fn new(application: &Application, message: &str) -> Self {
        Self { application: application.into(), message: message.to_owned() }
    }
}

/// Another secret, shown once.
#[derive(Serialize, ToSchema)]
pub(super) struct SecretData {
    client_secret: String,
    message: String,
}

impl SecretData {
    pub(super) fn new(secret: &PlainToken, message: &str) -> Self {
        Self { client_secret: secret.expose().to_owned(), message: message.to_owned() }
    }
}

/// Who an application is.
#[derive(Serialize, ToSchema)]
pub(super) struct AppInfoData {
    app_name: String,
    description: String,
    /// All that it may ask for.
    scopes: Vec<String>,
    /// What it asks for.
    requested_scopes: Vec<String>,
    /// The name that an operator gave the organization; one that its founder chose is not told to strangers. Of an application that
    /// registered itself, the origin of its addresses: no organization answers for it.
    organization_name: String,
}

impl AppInfoData {
    /// `organization` is what anybody may read of it.
    pub(super) fn new(introduction: &Introduction, organization: String) -> Self {
        let application = &introduction.application;
        Self {
            app_name: application.name.clone(),
            description: application.description.clone(),
            scopes: application.scopes.names().map(str::to_owned).collect(),
            requested_scopes: introduction.requested.names().map(str::to_owned).collect(),
            organization_name: organization,
        }
    }
}

/// Where to send the browser.
#[derive(Serialize, ToSchema)]
pub(super) struct RedirectData {
    /// With the code, or with the error `access_denied`.
    pub(super) redirect_url: String,
}

//! `tidegate client`

use clap::{Args, Subcommand};
use tidegate_domain::id::ApplicationId;
use tidegate_domain::logout::{BackchannelUri, LogoutSettings};
use tidegate_domain::oauth::{ClientAuthentication, GrantType};
use tidegate_domain::{RedirectUri, Scopes};
use tidegate_oauth::applications::{RulesChange, SubjectType};
use uuid::Uuid;

use super::client_metadata::MetadataArgs;
use super::{OrganizationName, organization_name_or_id};

/// Applications that sign people in with OAuth 2 and OpenID Connect.
#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// List applications in the order they were created
    #[command(
        after_help = "Examples:\n  tidegate client list\n  tidegate client list --organization 17 --json"
    )]
    List(ClientList),
    /// Show an application
    #[command(after_help = "Example:\n  tidegate client show 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57")]
    Show(NamedClient),
    /// Register an application and print its secret, which is not shown again
    #[command(after_help = "Examples:\n  tidegate client create --organization 17 --name Shop \
        --redirect-uri https://shop.example.com/callback --scope \"openid email\"\n  \
        tidegate client create --organization 17 --name \"Shop for phones\" --public \
        --redirect-uri com.example.shop:/callback --scope openid\n  \
        tidegate client create --organization 17 --name Reports --grant client_credentials --scope data:read")]
    Create(ClientCreate),
    /// Set where people are sent after they signed out, and where an application is told of sessions that end: all of it anew
    #[command(after_help = "Example:\n  tidegate client logout 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57 \
        --post-logout-redirect-uri https://shop.example.com/signed-out \
        --backchannel-logout-uri https://shop.example.com/backchannel-logout")]
    Logout(ClientLogout),
    /// Change one: what is left out stays; another way to prove who it is ends its tokens
    #[command(
        after_help = "Examples:\n  tidegate client change 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57 --id-token-alg RS256\n  \
        tidegate client change 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57 --auth-method private_key_jwt --jwks keys.json"
    )]
    Change(ClientChange),
    /// Tokens by which applications register themselves, where that is configured
    #[command(subcommand, after_help = "Example:\n  tidegate client registration-token list")]
    RegistrationToken(RegistrationToken),
    /// Give an application another secret and print it; its tokens end
    #[command(after_help = "Example:\n  tidegate client rotate-secret 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57")]
    RotateSecret(NamedClient),
    /// Take an application out of use: its tokens end, and it gets no others until it is resumed here
    #[command(
        visible_alias = "revoke",
        after_help = "Example:\n  tidegate client suspend 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57"
    )]
    Suspend(NamedClient),
    /// Put an application back that was suspended; its tokens stay ended
    #[command(after_help = "Example:\n  tidegate client resume 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57")]
    Resume(NamedClient),
    /// Decide what holds for an application: proofs of possession, signed userinfo, exchanged tokens. Its tokens end where it may less than
    /// before
    #[command(
        after_help = "Examples:\n  tidegate client set 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57 --dpop-bound true\n  \
        tidegate client set 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57 --exchange-from https://orders.example.com \
        --exchange-to https://stock.example.com"
    )]
    Set(ClientSet),
    /// Delete an application with its tokens; this cannot be undone
    #[command(after_help = "Example:\n  tidegate client delete 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57 --yes")]
    Delete(ClientDelete),
}

#[derive(Debug, Args)]
pub(crate) struct ClientList {
    /// Only those of this organization: its id or number, from `tidegate org list`
    #[arg(long, value_name = "ORGANIZATION", value_parser = organization_name_or_id)]
    pub(crate) organization: Option<OrganizationName>,
    /// Leave out so many from the beginning of an organization's; without one, go on after the application of this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(crate) after: i64,
    /// At most so many
    #[arg(long, value_name = "COUNT", default_value_t = 50)]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct NamedClient {
    /// The application's client_id, from `tidegate client list`
    #[arg(value_name = "CLIENT_ID", value_parser = client_id)]
    pub(crate) client: ApplicationId,
}

#[derive(Debug, Args)]
pub(crate) struct ClientDelete {
    /// The application's client_id, from `tidegate client list`
    #[arg(value_name = "CLIENT_ID", value_parser = client_id)]
    pub(crate) client: ApplicationId,
    /// Yes, delete it
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ClientSet {
    /// The application's client_id, from `tidegate client list`
    #[arg(value_name = "CLIENT_ID", value_parser = client_id)]
    pub(crate) client: ApplicationId,
    /// Whether it gets tokens only with a proof of possession (DPoP, RFC 9449)
    #[arg(long, value_name = "true|false")]
    pub(crate) dpop_bound: Option<bool>,
    /// Whether the userinfo endpoint answers it with a signed token
    #[arg(long, value_name = "true|false")]
    pub(crate) userinfo_signed: Option<bool>,
    /// How people are named to it: public, by their keys, or pairwise, by names that other sectors do not know
    #[arg(long, value_name = "TYPE", value_parser = ["public", "pairwise"])]
    pub(crate) subject_type: Option<String>,
    /// The sector of pairwise names, a host; otherwise the one that its redirect URIs have in common
    #[arg(long, value_name = "HOST", requires = "subject_type")]
    pub(crate) sector: Option<String>,
    /// An API that it serves, whose tokens it may exchange (RFC 8693): this installation's URL or one of [oauth] resources; can be given
    /// more than once
    #[arg(long, value_name = "URL", conflicts_with = "no_exchange")]
    pub(crate) exchange_from: Vec<String>,
    /// An API that it may get tokens for then; can be given more than once
    #[arg(long, value_name = "URL", conflicts_with = "no_exchange")]
    pub(crate) exchange_to: Vec<String>,
    /// It may exchange no tokens
    #[arg(long)]
    pub(crate) no_exchange: bool,
}

impl ClientSet {
    /// What is to be changed.
    pub(crate) fn change(&self) -> RulesChange {
        let listed = |apis: &Vec<String>| (self.no_exchange || !apis.is_empty()).then(|| apis.clone());
        RulesChange {
            dpop_bound: self.dpop_bound,
            userinfo_signed: self.userinfo_signed,
            subject: self.subject_type.as_deref().map(|kind| match kind {
                "pairwise" => SubjectType::Pairwise(self.sector.clone()),
                _ => SubjectType::Public,
            }),
            exchange_from: listed(&self.exchange_from),
            exchange_to: listed(&self.exchange_to),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ClientCreate {
    /// Whose it is: the organization's id or number, from `tidegate org list`
    #[arg(long, value_name = "ORGANIZATION", value_parser = organization_name_or_id)]
    pub(crate) organization: OrganizationName,
    /// Its name, unique in the organization
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) name: String,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) description: String,
    /// Where people may be sent back to; can be given more than once
    #[arg(long = "redirect-uri", value_name = "URI", value_parser = redirect_uri)]
    pub(crate) redirect_uris: Vec<RedirectUri>,
    /// What it may ask for at most, separated by spaces
    #[arg(long, value_name = "SCOPES", value_parser = scopes)]
    pub(crate) scope: Scopes,
    /// A way to tokens: authorization_code, client_credentials or urn:ietf:params:oauth:grant-type:device_code; can be given more than
    /// once [default: authorization_code]
    #[arg(long = "grant", value_name = "GRANT", value_parser = grant)]
    pub(crate) grants: Vec<GrantType>,
    /// It runs on its users' devices: it has no secret, and uses PKCE
    #[arg(long, conflicts_with = "auth_method")]
    pub(crate) public: bool,
    #[command(flatten)]
    pub(crate) leaving: Leaving,
    #[command(flatten)]
    pub(crate) metadata: MetadataArgs,
}

/// How people leave an application.
#[derive(Debug, Args)]
pub(crate) struct Leaving {
    /// Where people may be sent after they signed out; can be given more than once
    #[arg(long = "post-logout-redirect-uri", value_name = "URI", value_parser = redirect_uri)]
    pub(crate) post_logout_redirect_uris: Vec<RedirectUri>,
    /// Where it is told that a session has ended
    #[arg(long, value_name = "URI", value_parser = backchannel_uri)]
    pub(crate) backchannel_logout_uri: Option<BackchannelUri>,
    /// It needs the session's name to be told
    #[arg(long)]
    pub(crate) backchannel_logout_session_required: bool,
}

impl Leaving {
    /// The same as settings.
    pub(crate) fn settings(self) -> LogoutSettings {
        LogoutSettings {
            post_logout_redirect_uris: self.post_logout_redirect_uris,
            backchannel_uri: self.backchannel_logout_uri,
            session_required: self.backchannel_logout_session_required,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct ClientLogout {
    /// The application's client_id, from `tidegate client list`
    #[arg(value_name = "CLIENT_ID", value_parser = client_id)]
    pub(crate) client: ApplicationId,
    #[command(flatten)]
    pub(crate) leaving: Leaving,
}

#[derive(Debug, Args)]
pub(crate) struct ClientChange {
    /// The application's client_id, from `tidegate client list`
    #[arg(value_name = "CLIENT_ID", value_parser = client_id)]
    pub(crate) client: ApplicationId,
    /// Its name, unique in the organization
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(crate) name: Option<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Where people may be sent back to; can be given more than once, and replaces those that there are
    #[arg(long = "redirect-uri", value_name = "URI", value_parser = redirect_uri)]
    pub(crate) redirect_uris: Vec<RedirectUri>,
    /// What it may ask for at most, separated by spaces
    #[arg(long, value_name = "SCOPES", value_parser = scopes)]
    pub(crate) scope: Option<Scopes>,
    /// A way to tokens; can be given more than once, and replaces those that there are
    #[arg(long = "grant", value_name = "GRANT", value_parser = grant)]
    pub(crate) grants: Vec<GrantType>,
    #[command(flatten)]
    pub(crate) metadata: MetadataArgs,
}

/// Initial access tokens, by which applications register themselves.
#[derive(Debug, Subcommand)]
pub(crate) enum RegistrationToken {
    /// Make one; it is shown once
    #[command(
        after_help = "Example:\n  tidegate client registration-token create --organization 17 --uses 5"
    )]
    Create(RegistrationTokenCreate),
    /// List those that can still be used
    #[command(after_help = "Example:\n  tidegate client registration-token list")]
    List,
    /// Remove one
    #[command(
        after_help = "Example:\n  tidegate client registration-token delete 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57"
    )]
    Delete(RegistrationTokenDelete),
}

#[derive(Debug, Args)]
pub(crate) struct RegistrationTokenCreate {
    /// Whose applications it registers: the organization's id or number, from `tidegate org list`
    #[arg(long, value_name = "ORGANIZATION", value_parser = organization_name_or_id)]
    pub(crate) organization: OrganizationName,
    /// How many applications
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) uses: u32,
    /// For how many days
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    pub(crate) days: u32,
}

#[derive(Debug, Args)]
pub(crate) struct RegistrationTokenDelete {
    /// Its id, from `tidegate client registration-token list`
    #[arg(value_name = "ID")]
    pub(crate) id: Uuid,
}

impl ClientCreate {
    /// The ways to tokens that it may use.
    pub(crate) fn grant_types(&self) -> Vec<GrantType> {
        if self.grants.is_empty() { vec![GrantType::AuthorizationCode] } else { self.grants.clone() }
    }

    /// How it proves who it is.
    pub(crate) fn authentication(&self) -> ClientAuthentication {
        if self.public { ClientAuthentication::None } else { self.metadata.auth_method.unwrap_or_default() }
    }
}

pub(super) fn client_id(text: &str) -> Result<ApplicationId, String> {
    Uuid::try_parse(text.trim()).map(ApplicationId).map_err(|_| {
        "a client_id looks like 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57; see `tidegate client list`".to_owned()
    })
}

fn name(text: &str) -> Result<String, String> {
    let name = tidegate_domain::text::line(text, tidegate_domain::oauth::MAX_APPLICATION_NAME);
    name.map_err(|error| error.to_string())
}

fn redirect_uri(text: &str) -> Result<RedirectUri, String> {
    RedirectUri::parse(text).map_err(|error| error.to_string())
}

fn backchannel_uri(text: &str) -> Result<BackchannelUri, String> {
    BackchannelUri::parse(text).map_err(|error| error.to_string())
}

fn scopes(text: &str) -> Result<Scopes, String> {
    Scopes::parse(text).map_err(|error| error.to_string())
}

fn grant(text: &str) -> Result<GrantType, String> {
    GrantType::from_name(text).ok_or_else(|| {
        let known =
            "must be authorization_code, client_credentials or urn:ietf:params:oauth:grant-type:device_code";
        match text {
            "refresh_token" => format!(
                "{known}; refresh tokens come with the tokens of a person, without a grant of their own"
            ),
            _ if text.contains([',', ' ']) => format!("{known}; several have a --grant each"),
            _ => known.to_owned(),
        }
    })
}

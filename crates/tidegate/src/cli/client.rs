//! `tidegate client`

use clap::{Args, Subcommand};
use tidegate_domain::id::ApplicationId;
use tidegate_domain::oauth::{ClientAuthentication, GrantType};
use tidegate_domain::{RedirectUri, Scopes};
use uuid::Uuid;

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
    /// A way to tokens: authorization_code or client_credentials; can be given more than once [default: authorization_code]
    #[arg(long = "grant", value_name = "GRANT", value_parser = grant)]
    pub(crate) grants: Vec<GrantType>,
    /// It runs on its users' devices: it has no secret, and uses PKCE
    #[arg(long)]
    pub(crate) public: bool,
}

impl ClientCreate {
    /// The ways to tokens that it may use.
    pub(crate) fn grant_types(&self) -> Vec<GrantType> {
        if self.grants.is_empty() { vec![GrantType::AuthorizationCode] } else { self.grants.clone() }
    }

    /// How it proves who it is.
    pub(crate) fn authentication(&self) -> ClientAuthentication {
        if self.public { ClientAuthentication::None } else { ClientAuthentication::default() }
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

fn scopes(text: &str) -> Result<Scopes, String> {
    Scopes::parse(text).map_err(|error| error.to_string())
}

fn grant(text: &str) -> Result<GrantType, String> {
    GrantType::from_name(text).ok_or_else(|| "is authorization_code or client_credentials".to_owned())
}

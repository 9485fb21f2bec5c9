//! What an application is.

use std::sync::Arc;

use tidegate_crypto::{SigningAlgorithm, TokenHash};
use tidegate_domain::id::{ApplicationId, OrganizationId};
use tidegate_domain::logout::LogoutSettings;
use tidegate_domain::oauth::{AccessLevel, ApplicationStatus, ClientAuthentication, GrantType};
use tidegate_domain::{PartyName, RedirectUri, Scopes, Timestamp};
use tidegate_federation::Publisher;
use tidegate_kernel::hooks::ApplicationMaker;
use url::Url;
use uuid::Uuid;

use super::metadata::{ClientMetadata, MetadataRule};
use super::rules::ApplicationRules;

/// An application: RFC 6749 and OpenID Connect call it a client.
#[derive(Clone, Debug)]
pub struct Application {
    /// Its `client_id`.
    pub id: ApplicationId,
    /// Its number.
    pub number: i64,
    /// Whose it is.
    pub organization: OrganizationId,
    /// Unique in its organization.
    pub name: String,
    /// For people.
    pub description: String,
    /// The ways to tokens that it may use.
    pub grant_types: Vec<GrantType>,
    /// Where people may be sent back to.
    pub redirect_uris: Vec<RedirectUri>,
    /// What it may ask for at most.
    pub scopes: Scopes,
    /// What it is for.
    pub access_level: AccessLevel,
    /// How it proves who it is.
    pub authentication: ClientAuthentication,
    /// How people leave it.
    pub logout: LogoutSettings,
    /// Whether it may be used, as its organization says.
    pub status: ApplicationStatus,
    /// Whether an operator took it out of use: then it may not be, whatever its organization says.
    pub is_suspended: bool,
    /// Registered.
    pub created_at: Timestamp,
    /// Known to a minute or so.
    pub last_used_at: Option<Timestamp>,
    /// What an operator decided for it.
    pub rules: ApplicationRules,
    pub(crate) epoch: Uuid,
    pub(crate) own_epoch: Uuid,
    pub(crate) secrets: Secrets,
    /// Its secret, sealed: of a client that signs with it.
    pub(crate) sealed_secret: Option<Vec<u8>>,
    /// What else is known of it.
    pub metadata: Arc<ClientMetadata>,
    /// The address of the document that describes it, which is its `client_id` then, and when that was last read.
    pub document: Option<(String, Timestamp)>,
    /// Of the token by which it manages its registration, if it registered itself.
    pub(crate) registration_hash: Option<TokenHash>,
}

/// Who made an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeBy<'a> {
    /// An organization, whose members answer for it.
    Organization(OrganizationId),
    /// Itself: all that is known of it is an address of its own, that of its document, or one to which its people are sent.
    Itself {
        /// That address.
        address: &'a str,
    },
}

impl MadeBy<'_> {
    /// The same for a mail about it.
    pub(crate) fn for_mail(self) -> ApplicationMaker {
        match self {
            Self::Organization(organization) => ApplicationMaker::Organization(organization),
            Self::Itself { address } => ApplicationMaker::Itself(origin(address)),
        }
    }
}

/// An address as people read it: an origin, or the scheme of a phone's application.
pub fn origin(uri: &str) -> String {
    match Url::parse(uri) {
        Ok(url) if url.origin().is_tuple() => url.origin().ascii_serialization(),
        Ok(url) => format!("{}:", url.scheme()),
        Err(_) => String::new(),
    }
}

/// The hashes of its secrets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Secrets {
    pub(crate) current: Option<TokenHash>,
    /// The one before it, and until when it is accepted.
    pub(crate) previous: Option<(TokenHash, Timestamp)>,
}

impl Secrets {
    /// Whether a secret of that hash is accepted.
    pub(crate) fn accept(&self, presented: &TokenHash, now: Timestamp) -> bool {
        let is_current = self.current.is_some_and(|hash| hash == *presented);
        let is_previous = self.previous.is_some_and(|(hash, until)| hash == *presented && now < until);
        is_current || is_previous
    }
}

impl Application {
    /// Whether it may be used.
    pub fn is_active(&self) -> bool {
        self.effective_status() == ApplicationStatus::Active
    }

    /// Its status as its organization sees it: one that an operator suspended is revoked.
    pub fn effective_status(&self) -> ApplicationStatus {
        if self.is_suspended { ApplicationStatus::Revoked } else { self.status }
    }

    /// What it calls itself in requests and is called in tokens: its key, or the address of the document that describes it.
    pub fn client_id(&self) -> String {
        self.party().into()
    }

    /// The same as tokens have it.
    pub(crate) fn party(&self) -> PartyName {
        match &self.document {
            Some((uri, _)) => PartyName::Document(uri.clone()),
            None => self.id.into(),
        }
    }

    /// Whether a token names it so. Tokens of versions before name one that a document describes by its key.
    pub(crate) fn is_called(&self, name: &PartyName) -> bool {
        *name == self.party() || *name == PartyName::from(self.id)
    }

    /// Whether it registered itself: nobody has looked at what it says of itself.
    pub const fn is_self_registered(&self) -> bool {
        self.registration_hash.is_some() || self.document.is_some()
    }

    /// Whose room what it publishes takes, and where that may be.
    pub(crate) const fn publisher(&self) -> Publisher {
        if self.is_self_registered() { Publisher::Stranger } else { Publisher::Known }
    }

    /// Who made it. What nobody has looked at is never named by the organization that it is kept with: that would be the operator's word
    /// for a stranger.
    pub fn made_by(&self) -> MadeBy<'_> {
        if !self.is_self_registered() {
            return MadeBy::Organization(self.organization);
        }
        let redirects = || self.redirect_uris.first().map(RedirectUri::as_str);
        let known = self.document.as_ref().map(|(uri, _)| uri.as_str()).or_else(redirects);
        MadeBy::Itself { address: known.unwrap_or_default() }
    }

    /// How its ID tokens are signed; none: as access tokens are.
    pub fn id_token_algorithm(&self) -> Option<SigningAlgorithm> {
        self.metadata.id_token_signed_response_alg
    }

    /// Whether it gets tokens only with a proof of possession, as it or an operator decided (RFC 9449 section 5.2).
    pub fn is_dpop_bound(&self) -> bool {
        self.rules.dpop_bound || self.metadata.dpop_bound_access_tokens
    }

    /// The sector whose names for people it is told (OpenID Connect Core section 8.1); none: it is told their keys. An operator's
    /// sector comes before its own.
    pub fn pairwise_sector(&self) -> Option<&str> {
        self.rules.pairwise_sector.as_deref().or(self.metadata.pairwise_sector.as_deref())
    }

    /// Whether what the userinfo endpoint tells it is signed, as it or an operator decided (OpenID Connect Core section 5.3.2).
    pub fn gets_userinfo_signed(&self) -> bool {
        self.rules.userinfo_signed || self.metadata.userinfo_signed_response_alg.is_some()
    }

    /// Whether it may do less than before with the tokens that it has, or its tokens name people in another way.
    pub(crate) fn narrows(&self, before: &Self) -> bool {
        self.pairwise_sector() != before.pairwise_sector()
            || (self.is_dpop_bound() && !before.is_dpop_bound())
    }

    /// Whether it has to use PKCE (RFC 9700 section 2.1.1).
    pub fn needs_pkce(&self) -> bool {
        self.authentication.is_public() || self.metadata.require_pkce
    }

    /// Whether it may use that way to tokens.
    pub fn may(&self, grant_type: GrantType) -> bool {
        self.grant_types.contains(&grant_type)
    }

    /// Whether people may be sent back there.
    pub fn redirects_to(&self, uri: &str) -> bool {
        self.redirect_uris.iter().any(|registered| registered.matches(uri))
    }
}

/// An application to be registered.
#[derive(Clone, Debug)]
pub struct NewApplication {
    /// Unique in its organization.
    pub name: String,
    /// For people.
    pub description: String,
    /// The ways to tokens that it may use.
    pub grant_types: Vec<GrantType>,
    /// Where people may be sent back to.
    pub redirect_uris: Vec<RedirectUri>,
    /// What it may ask for at most.
    pub scopes: Scopes,
    /// What it is for.
    pub access_level: AccessLevel,
    /// How it proves who it is.
    pub authentication: ClientAuthentication,
    /// How people leave it.
    pub logout: LogoutSettings,
    /// What else is known of it.
    pub metadata: ClientMetadata,
}

/// Why an application cannot be as it was described. Each text says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplicationRule {
    /// Nobody could be sent back.
    #[error(
        "the grant type authorization_code needs at least one redirect URI; client_credentials, for a program that acts for itself, \
         needs none"
    )]
    NoRedirectUri,
    /// It has no secret to prove itself with.
    #[error("a public client (token_endpoint_auth_method none) cannot use client_credentials")]
    PublicClientCredentials,
    /// RFC 8252: for applications on a person's device.
    #[error(
        "a redirect URI with a scheme of its own is for public clients (token_endpoint_auth_method none)"
    )]
    OwnScheme,
    /// What else is known of it cannot be so.
    #[error(transparent)]
    Metadata(#[from] MetadataRule),
}

impl ApplicationRule {
    /// The field at fault.
    pub const fn field(self) -> &'static str {
        match self {
            Self::NoRedirectUri | Self::OwnScheme => "redirect_uris",
            Self::PublicClientCredentials => "grant_types",
            Self::Metadata(rule) => rule.field(),
        }
    }

    pub(crate) fn check(
        grant_types: &[GrantType],
        redirect_uris: &[RedirectUri],
        authentication: ClientAuthentication,
    ) -> Result<(), Self> {
        if grant_types.contains(&GrantType::AuthorizationCode) && redirect_uris.is_empty() {
            return Err(Self::NoRedirectUri);
        }
        if authentication.is_public() {
            let own_name = grant_types.contains(&GrantType::ClientCredentials);
            return if own_name { Err(Self::PublicClientCredentials) } else { Ok(()) };
        }
        if redirect_uris.iter().any(RedirectUri::has_own_scheme) { Err(Self::OwnScheme) } else { Ok(()) }
    }
}

/// Why nothing was done with an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplicationError {
    /// The caller is signed in to another organization.
    #[error("you are not an admin of this organization")]
    OrganizationDenied,
    /// The organization has none of that number.
    #[error("the application does not exist in this organization")]
    NotFound,
    /// The organization has one of that name.
    #[error("the organization has an application of this name; choose another name")]
    NameTaken,
    /// It is public.
    #[error("a public client has no secret")]
    NoSecret,
    /// It cannot be so.
    #[error(transparent)]
    Rule(#[from] ApplicationRule),
}

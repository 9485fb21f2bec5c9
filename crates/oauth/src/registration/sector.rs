//! Sectors of applications that want names of people which others do not know (OpenID Connect Registration section 5).

use tidegate_domain::RedirectUri;
use tidegate_federation::Publisher;
use url::Url;

use super::described::SelfDescription;
use super::error::RegistrationError;
use crate::Oauth;
use crate::applications::NewApplication;
use crate::claims::pairwise::{is_sector, sector_of};

/// The member that names where the addresses of a sector are listed.
const SECTOR_IDENTIFIER_URI: &str = "sector_identifier_uri";

impl Oauth {
    /// The same application with its sector, where it wants pairwise names: the host of its `sector_identifier_uri`, which has to list all
    /// its redirect URIs, or the one that they have in common.
    ///
    /// Source: OpenID Connect Core section 8.1; OpenID Connect Registration section 5.
    ///
    /// # Errors
    /// [`RegistrationError::Metadata`].
    pub(super) async fn in_sector(
        &self,
        description: &SelfDescription,
        mut new: NewApplication,
    ) -> Result<NewApplication, RegistrationError> {
        let wrong = |why: &str| RegistrationError::field(SECTOR_IDENTIFIER_URI, why);
        let named = match &new.metadata.sector_identifier_uri {
            Some(uri) => Some(self.listed_sector(uri, &new.redirect_uris).await?),
            None => None,
        };
        if description.is_pairwise() {
            let sector = named.or_else(|| sector_of(&new.redirect_uris)).filter(|sector| is_sector(sector));
            let none = || wrong("is needed for pairwise names: the redirect URIs have no host in common");
            new.metadata.pairwise_sector = Some(sector.ok_or_else(none)?);
        }
        Ok(new)
    }

    /// The host of that address, if the addresses of the application are listed there.
    async fn listed_sector(
        &self,
        uri: &str,
        redirect_uris: &[RedirectUri],
    ) -> Result<String, RegistrationError> {
        let wrong = |why: &dyn std::fmt::Display| RegistrationError::field(SECTOR_IDENTIFIER_URI, why);
        let url = Url::parse(uri).ok().filter(|url| self.documents.admits(Publisher::Stranger, url));
        let Some(url) = url else {
            return Err(wrong(&"must be an https address on the internet"));
        };
        let read = self.documents.read(Publisher::Stranger, &url, self.kernel.now()).await;
        let document = read.map_err(|why| {
            // One text, whether a name is nowhere, leads inside or to nobody: the operator's log tells these apart.
            tracing::info!(%url, %why, "a sector identifier cannot be read");
            wrong(&"cannot be read: it must be a document on the internet, without redirects, of 32 KiB at most")
        })?;
        let listed: Vec<String> = serde_json::from_slice(&document.body)
            .map_err(|_| wrong(&"must lead to a JSON array of redirect URIs"))?;
        if !redirect_uris.iter().all(|uri| listed.iter().any(|one| one == uri.as_str())) {
            return Err(wrong(&"must lead to a list that has all redirect URIs of the application"));
        }
        Ok(url.host_str().unwrap_or_default().to_owned())
    }
}

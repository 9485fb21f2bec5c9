//! Applications whose `client_id` is the address of a document that describes them (draft-ietf-oauth-client-id-metadata-document).
//!
//! Nothing is registered beforehand: the document is read when a person comes by, and again when an hour has passed. What it says is kept
//! like a registration, so that sessions and consents have something to belong to.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tidegate_domain::Timestamp;
use tidegate_domain::limit::{Limit, LimitStatus};
use tidegate_domain::oauth::ClientAuthentication;
use tidegate_federation::Publisher;
use tidegate_kernel::Call;
use tidegate_kernel::fault::{Fault, Outcome, Refused};
use url::{Host, Url};

use super::described::{SelfDescription, kept};
use super::error::{RegistrationError, refused};
use crate::applications::create::Origin;
use crate::applications::operator::of_organization;
use crate::applications::{Application, NewApplication};
use crate::work::Work;
use crate::{Oauth, OauthTables};

/// Longest address of a document, in bytes.
const MAX_ADDRESS: usize = 1_024;
/// How long a document counts without being read again.
const FRESH: Duration = Duration::from_secs(3_600);
/// How long one counts that cannot be read again.
const STALE: Duration = Duration::from_secs(24 * 3_600);
/// Documents that are read for the first time, whoever names them.
const READ: Limit = Limit::new(240, 60);
/// The same from one network, and of one site: whoever comes by can name an address, and anybody can serve many.
const READ_BY_ONE: Limit = Limit::new(40, 60);
/// What names the limits on reading documents.
const READING: &str = "oauth.registration";

/// The address, if it is one of a document: with a path, without what two readers could understand differently (section 3). That it has to
/// be https, what is asked there says.
pub(crate) fn address(client_id: &str) -> Option<Url> {
    let rest = client_id.strip_prefix("https://").or_else(|| client_id.strip_prefix("http://"))?;
    let is_plain = client_id.len() <= MAX_ADDRESS
        && client_id.bytes().all(|byte| byte.is_ascii_graphic() && !b"\\\"<>#?@%".contains(&byte));
    let (_, path) = rest.split_once('/')?;
    let has_dots = path.split('/').any(|part| part == "." || part == "..");
    let url = Url::parse(client_id).ok()?;
    // Written as everybody writes it: it is compared character by character.
    (is_plain && !path.is_empty() && !has_dots && url.as_str() == client_id).then_some(url)
}

impl Oauth {
    /// The application that the document at that address describes. None where there is none, and where the operator does not allow it.
    pub(crate) async fn application_of_document(
        &self,
        call: &Call,
        client_id: &str,
    ) -> Result<Option<Application>, Fault> {
        if !self.rules().registration.client_id_documents {
            return Ok(None);
        }
        let Some(url) = address(client_id).filter(|url| self.documents.admits(Publisher::Stranger, url))
        else {
            return Ok(None);
        };
        let now = self.kernel.now();
        let known = self.kernel.store.read().await?.applications().of_document(client_id).await?;
        if known.as_ref().is_some_and(|known| is_read_since(known, now.minus(FRESH))) {
            return Ok(known);
        }
        match self.read_document(call, &url, known.as_ref(), now).await {
            Ok(application) => Ok(Some(application)),
            Err(Refused::Rule(why)) => {
                tracing::info!(client_id, %why, "the document of a client is not accepted");
                Ok(known.filter(|known| is_read_since(known, now.minus(STALE))))
            }
            // Strangers who name many addresses must not keep those out who are known.
            Err(Refused::Fault(Fault::RateLimited { status, retry_after })) => {
                let known = known.filter(|known| is_read_since(known, now.minus(STALE)));
                known.map(Some).ok_or(Fault::RateLimited { status, retry_after })
            }
            Err(Refused::Fault(fault)) => Err(fault),
        }
    }

    async fn read_document(
        &self,
        call: &Call,
        url: &Url,
        known: Option<&Application>,
        now: Timestamp,
    ) -> Outcome<Application, RegistrationError> {
        // It is compared character by character, and written as everybody writes it: see `address`.
        let client_id = url.as_str();
        if let Some(status) = self.meter_reading(call, url, known) {
            return Err(Refused::Fault(status.exceeded_at(now).into()));
        }
        let unread = |why: &dyn std::fmt::Display| RegistrationError::Metadata(why.to_string());
        let document = self
            .documents
            .read(Publisher::Stranger, url, now)
            .await
            .map_err(|why| Refused::Rule(unread(&why)))?;
        let members: Map<String, Value> = serde_json::from_slice(&document.body)
            .map_err(|_| Refused::Rule(unread(&"it is no JSON object")))?;
        let description = described(client_id, members).map_err(Refused::Rule)?;
        let mark = known.map_or_else(|| self.mark(), mark_of);
        let new = self.described(&description, &mark).map_err(Refused::Rule)?;
        let new = self.in_sector(&description, new).await.map_err(Refused::Rule)?;
        // Whoever comes by causes it, and is nobody yet.
        let call = Call::from_cli(self.kernel.settings.contracts.of_installation());
        let mut work = self.begin(&call).await?;
        let Some(known) = known else {
            let organization = work.organization_of_strangers().await?;
            // Of two who come by at once, one waits here, and finds what the other kept.
            work.unit.applications().lock(organization).await?;
            if let Some(kept) = work.unit.applications().of_document(client_id).await? {
                return Ok(kept);
            }
            let made = work.insert(organization, None, &new, &Origin::Document(client_id)).await;
            let application = made.map_err(refused)?.application;
            work.check_room(application.id, Some(&format!("site {}", site(url)))).await?;
            work.commit().await?;
            self.prepare_keys_of(&application).await?;
            return Ok(application);
        };
        let application = work.reread(known, new).await?;
        work.commit().await?;
        self.prepare_keys_of(&application).await?;
        Ok(application)
    }

    /// Counts that a document is read; the status of the limit that is used up. Nobody's documents keep those of others from being read:
    /// what is known already has a bucket of its site alone, and what is not one of its site and one of the network that asks besides.
    fn meter_reading(&self, call: &Call, url: &Url, known: Option<&Application>) -> Option<LimitStatus> {
        let count = |what: String, limit| {
            Some(self.kernel.meter(READING, what, limit)).filter(|status| status.exceeded)
        };
        let site = site(url);
        if known.is_some() {
            return count(format!("known documents of {site}"), READ_BY_ONE);
        }
        self.kernel
            .meter_networks(READING, "documents of clients", call, READ_BY_ONE)
            .or_else(|| count(format!("documents of {site}"), READ_BY_ONE))
            .or_else(|| count("documents of clients".to_owned(), READ))
    }
}

/// Whose host it is, roughly: its address, or the last two labels of its name, since who has a name has all below it. Where many share the
/// last two, they share a bucket.
fn site(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    if !matches!(url.host(), Some(Host::Domain(_))) {
        return host.to_owned();
    }
    let mut labels: Vec<&str> = host.rsplit('.').filter(|label| !label.is_empty()).take(2).collect();
    labels.reverse();
    labels.join(".")
}

impl Work<'_> {
    /// Notes that a document was read again, and what it says now.
    async fn reread(
        &mut self,
        known: &Application,
        new: NewApplication,
    ) -> Outcome<Application, RegistrationError> {
        let before = self.locked(known.id).await.map_err(refused)?;
        let after = Application {
            name: new.name,
            redirect_uris: new.redirect_uris,
            scopes: new.scopes,
            authentication: new.authentication,
            logout: new.logout,
            metadata: Arc::new(kept(&before, new.metadata)),
            ..before.clone()
        };
        self.unit.applications().document_read(before.id, self.now).await?;
        let is_same = after.name == before.name
            && after.redirect_uris == before.redirect_uris
            && after.scopes == before.scopes
            && after.authentication == before.authentication
            && after.logout == before.logout
            && after.metadata == before.metadata;
        if is_same {
            return Ok(before);
        }
        let changed = self.replace(&before, after, of_organization(&before)).await;
        Ok(changed.map_err(refused)?.application)
    }
}

/// What the document says, if it is one of that client (sections 4 and 4.1): it names its own address, and there is no secret that two
/// could share.
fn described(client_id: &str, mut members: Map<String, Value>) -> Result<SelfDescription, RegistrationError> {
    if members.get("client_id").and_then(Value::as_str) != Some(client_id) {
        return Err(RegistrationError::field("client_id", "must be the address of the document"));
    }
    if members.contains_key("client_secret") || members.contains_key("client_secret_expires_at") {
        return Err(RegistrationError::field("client_secret", "must not be in a document"));
    }
    const METHOD: &str = "token_endpoint_auth_method";
    let method = members.entry(METHOD).or_insert_with(|| json!("none"));
    let method = method.as_str().and_then(ClientAuthentication::from_name);
    if method.is_none_or(ClientAuthentication::has_secret) {
        return Err(RegistrationError::field(METHOD, "must be none or private_key_jwt"));
    }
    Ok(SelfDescription(members))
}

fn is_read_since(application: &Application, since: Timestamp) -> bool {
    application.document.as_ref().is_some_and(|(_, read_at)| *read_at > since)
}

/// What keeps the name of an application apart from others'.
pub(crate) fn mark_of(application: &Application) -> String {
    application.name.rsplit_once('[').map_or("", |(_, mark)| mark.trim_end_matches(']')).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_document_is_written_in_one_way() {
        for fine in ["https://app.example.com/oauth/client.json", "https://app.example.com:8443/c"] {
            assert!(address(fine).is_some(), "{fine}");
        }
        for wrong in [
            "https://app.example.com",
            "https://app.example.com/",
            "ftp://app.example.com/c",
            "https://APP.example.com/c",
            "https://app.example.com:443/c",
            "https://app.example.com/a/../c",
            "https://app.example.com/./c",
            "https://app.example.com/%2e%2e/c",
            "https://app.example.com/c?x=1",
            "https://app.example.com/c#x",
            "https://user@app.example.com/c",
            "https://app.example.com\\c/d",
            "https:///c",
            "5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57",
            "",
        ] {
            assert!(address(wrong).is_none(), "{wrong}");
        }
        assert!(address(&format!("https://a.example/{}", "x".repeat(MAX_ADDRESS))).is_none());
    }

    #[test]
    fn who_has_a_name_has_all_below_it() {
        for (url, named) in [
            ("https://a.b.example.com/c", "example.com"),
            ("https://example.com:8443/c", "example.com"),
            ("https://localhost/c", "localhost"),
            ("http://127.0.0.1:4000/c", "127.0.0.1"),
            ("http://[::1]/c", "[::1]"),
        ] {
            assert_eq!(site(&Url::parse(url).unwrap()), named, "{url}");
        }
    }

    #[test]
    fn a_document_is_its_own_and_has_no_secret() {
        let of = |value: Value| described("https://a.example/c", value.as_object().unwrap().clone());
        assert!(of(json!({ "client_id": "https://a.example/c" })).is_ok());
        for wrong in [
            json!({}),
            json!({ "client_id": "https://b.example/c" }),
            json!({ "client_id": "https://a.example/c", "client_secret": "x" }),
            json!({ "client_id": "https://a.example/c", "token_endpoint_auth_method": "client_secret_basic" }),
            json!({ "client_id": "https://a.example/c", "token_endpoint_auth_method": 1 }),
        ] {
            assert!(of(wrong.clone()).is_err(), "{wrong}");
        }
    }
}

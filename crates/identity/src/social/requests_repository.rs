//! Sign-ins that were sent to a provider, in the store.

use tidegate_database::{Result, Unit, execute, fetch_all, fetch_optional, prune};
use tidegate_domain::Timestamp;
use uuid::Uuid;

/// Requests of a unit of work.
pub struct SocialRequests<'u>(pub(crate) &'u mut Unit);

/// Requests with one state that are looked at: as many as a client that always sends the same one begins in a short while.
const MOST_ALIKE: i64 = 20;

/// A sign-in that was sent to a provider.
#[derive(Clone, Debug)]
pub struct SocialRequest {
    /// Key. Nonce and code verifier follow from it.
    pub id: Uuid,
    /// The provider.
    pub provider: String,
    /// SHA-256 of the cookie of the browser that began it.
    pub browser_hash: Vec<u8>,
    /// Whether it comes back to a hosted page.
    pub is_hosted: bool,
    /// Where the provider sends the person back.
    pub redirect_uri: String,
    /// Whether a code verifier goes with the code.
    pub uses_pkce: bool,
    /// S256 of the secret that the page which began it keeps.
    pub page_challenge: Option<String>,
}

/// One to be.
#[derive(Clone, Debug)]
pub struct NewSocialRequest<'a> {
    /// What is looked up later.
    pub request: &'a SocialRequest,
    /// SHA-256 of the state.
    pub state_hash: &'a [u8],
    /// SHA-256 of the nonce.
    pub nonce_hash: &'a [u8],
    /// What the page that began it wants back.
    pub carried: Option<&'a str>,
    /// Now.
    pub created_at: Timestamp,
    /// When it stops being accepted.
    pub expires_at: Timestamp,
}

#[derive(sqlx::FromRow)]
struct SocialRequestRow {
    id: Uuid,
    provider: String,
    browser_hash: Vec<u8>,
    is_hosted: bool,
    redirect_uri: String,
    uses_pkce: bool,
    page_challenge: Option<String>,
}

impl From<SocialRequestRow> for SocialRequest {
    fn from(row: SocialRequestRow) -> Self {
        Self {
            id: row.id,
            provider: row.provider,
            browser_hash: row.browser_hash,
            is_hosted: row.is_hosted,
            redirect_uri: row.redirect_uri,
            uses_pkce: row.uses_pkce,
            page_challenge: row.page_challenge,
        }
    }
}

impl SocialRequests<'_> {
    /// Adds a request.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn insert(&mut self, new: &NewSocialRequest<'_>) -> Result<()> {
        let request = new.request;
        execute!(
            self.0,
            "insert into social_requests (id, provider, state_hash, nonce_hash, browser_hash, is_hosted, redirect_uri,
                uses_pkce, page_challenge, created_at, expires_at, carried)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
            request.id,
            request.provider.as_str(),
            new.state_hash,
            new.nonce_hash,
            request.browser_hash.as_slice(),
            request.is_hosted,
            request.redirect_uri.as_str(),
            request.uses_pkce,
            request.page_challenge.as_deref(),
            new.created_at.micros(),
            new.expires_at.micros(),
            new.carried,
        )?;
        Ok(())
    }

    /// What the page wants back that began the open request with that state in that browser.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn carried(
        &mut self,
        provider: &str,
        hash: &[u8],
        browser_hash: &[u8],
        now: Timestamp,
    ) -> Result<Option<String>> {
        let row = fetch_optional!(
            self.0,
            (String,),
            "select carried from social_requests
             where state_hash = $2 and provider = $1 and browser_hash = $3 and is_hosted and carried is not null
                and consumed_at is null and expires_at > $4
             order by created_at desc, id desc limit 1",
            provider,
            hash,
            browser_hash,
            now.micros(),
        )?;
        Ok(row.map(|(carried,)| carried))
    }

    /// The open requests to a provider with that state: first those of the browser or page that brings it, then the newest. There is one,
    /// unless a client chooses its states badly; those of others must not push out one's own.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open_with_state(
        &mut self,
        provider: &str,
        hash: &[u8],
        (browser_hash, page_challenge): (&[u8], &str),
        now: Timestamp,
    ) -> Result<Vec<SocialRequest>> {
        let rows = fetch_all!(
            self.0,
            SocialRequestRow,
            "select id, provider, browser_hash, is_hosted, redirect_uri, uses_pkce, page_challenge from social_requests
             where state_hash = $2 and provider = $1 and consumed_at is null and expires_at > $3
             order by case when browser_hash = $5 or page_challenge = $6 then 0 else 1 end, created_at desc, id desc
             limit $4",
            provider,
            hash,
            now.micros(),
            MOST_ALIKE,
            browser_hash,
            page_challenge,
        )?;
        Ok(rows.into_iter().map(SocialRequest::from).collect())
    }

    /// Uses up a request; answers whether it was open.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn consume(&mut self, id: Uuid, now: Timestamp) -> Result<bool> {
        let consumed = execute!(
            self.0,
            "update social_requests set consumed_at = $2
             where id = $1 and consumed_at is null and expires_at > $2",
            id,
            now.micros(),
        )?;
        Ok(consumed == 1)
    }

    /// The open request to a provider with that nonce.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn open_with_nonce(
        &mut self,
        provider: &str,
        hash: &[u8],
        now: Timestamp,
    ) -> Result<Option<SocialRequest>> {
        let row = fetch_optional!(
            self.0,
            SocialRequestRow,
            "select id, provider, browser_hash, is_hosted, redirect_uri, uses_pkce, page_challenge from social_requests
             where provider = $1 and nonce_hash = $2 and consumed_at is null and expires_at > $3",
            provider,
            hash,
            now.micros(),
        )?;
        Ok(row.map(SocialRequest::from))
    }

    /// Removes requests that expired before `before`, at most `most`; answers how many.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn prune(&mut self, before: Timestamp, most: i64) -> Result<u64> {
        prune!(
            self.0,
            "social_requests",
            "id",
            "where expires_at < $1 order by expires_at limit $2",
            before.micros(),
            most,
        )
    }
}

//! Names of people that differ from application to application (OpenID Connect Core section 8.1).

use std::sync::Arc;

use tidegate_crypto::oauth::pairwise_subject;
use tidegate_database::{Result as Stored, Unit, execute, fetch_optional};
use tidegate_domain::id::AccountId;
use tidegate_domain::{RedirectUri, Timestamp};
use tidegate_kernel::{Fault, Kernel};

use crate::Oauth;
use crate::applications::Application;

/// What the key is sealed for.
const CONTEXT: &str = "pairwise subjects";
/// The one row.
const ROW: i64 = 1;

/// The key of pairwise names in the store.
struct PairwiseKeys<'u>(&'u mut Unit);

impl PairwiseKeys<'_> {
    async fn find(&mut self) -> Stored<Option<Vec<u8>>> {
        let row =
            fetch_optional!(self.0, (Vec<u8>,), "select sealed from oauth_pairwise_keys where id = $1", ROW)?;
        Ok(row.map(|(sealed,)| sealed))
    }

    /// Puts the same key, sealed anew, in the place of what was read.
    async fn replace(&mut self, before: &[u8], sealed: Vec<u8>) -> Stored<bool> {
        let changed = execute!(
            self.0,
            "update oauth_pairwise_keys set sealed = $3 where id = $1 and sealed = $2",
            ROW,
            before.to_vec(),
            sealed,
        )?;
        Ok(changed == 1)
    }

    /// Adds it, unless another node did.
    async fn insert(&mut self, sealed: Vec<u8>, now: Timestamp) -> Stored<()> {
        execute!(
            self.0,
            "insert into oauth_pairwise_keys (id, sealed, created_at) values ($1, $2, $3) on conflict do nothing",
            ROW,
            sealed,
            now.micros(),
        )?;
        Ok(())
    }
}

impl Oauth {
    /// What the application is to know the account by; none where that is its key.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn pairwise(
        &self,
        application: &Application,
        account: AccountId,
    ) -> Result<Option<AccountId>, Fault> {
        let Some(sector) = application.pairwise_sector() else { return Ok(None) };
        let key = self.pairwise_key().await?;
        let bytes = pairwise_subject(&key, sector, account.0.as_bytes());
        Ok(Some(AccountId(uuid::Builder::from_custom_bytes(bytes).into_uuid())))
    }

    /// The same as the text of a claim, in any case.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) async fn subject_of(
        &self,
        application: &Application,
        account: AccountId,
    ) -> Result<AccountId, Fault> {
        Ok(self.pairwise(application, account).await?.unwrap_or(account))
    }

    /// The key that names are made with, which never changes: made when it is first needed.
    async fn pairwise_key(&self) -> Result<Arc<Vec<u8>>, Fault> {
        if let Some(known) = self.pairwise_key.get() {
            return Ok(Arc::clone(known));
        }
        let mut unit = self.kernel.store.read().await?;
        let mut found = PairwiseKeys(&mut unit).find().await?;
        drop(unit);
        if found.is_none() {
            let entropy = self.kernel.entropy.as_ref();
            let fresh: [u8; 32] = entropy.bytes();
            let sealed = self.kernel.vault.seal(CONTEXT, &fresh, entropy)?;
            let mut unit = self.kernel.store.begin().await?;
            PairwiseKeys(&mut unit).insert(sealed, self.kernel.now()).await?;
            found = PairwiseKeys(&mut unit).find().await?;
            unit.commit().await?;
        }
        let sealed = found.ok_or_else(|| Fault::Internal("the key of pairwise names is gone".to_owned()))?;
        let key = Arc::new(self.kernel.vault.open(CONTEXT, &sealed)?.to_vec());
        Ok(Arc::clone(self.pairwise_key.get_or_init(|| key)))
    }
}

/// Seals the key under the master key in use, where it was sealed under an earlier one: that one can be retired then. Answers nothing removed.
///
/// Source: docs/configuration.md, `previous_master_keys`.
pub(crate) async fn reseal(kernel: &Kernel, unit: &mut Unit) -> Result<u64, Fault> {
    let Some(sealed) = PairwiseKeys(unit).find().await?.filter(|sealed| !kernel.vault.is_current(sealed))
    else {
        return Ok(0);
    };
    let key = kernel.vault.open(CONTEXT, &sealed)?;
    let anew = kernel.vault.seal(CONTEXT, &key, kernel.entropy.as_ref())?;
    if PairwiseKeys(unit).replace(&sealed, anew).await? {
        tracing::info!("the key of pairwise names is sealed under the master key in use");
    }
    Ok(0)
}

/// The host that addresses have in common, for the sector of their application.
pub(crate) fn sector_of(redirect_uris: &[RedirectUri]) -> Option<String> {
    let mut hosts = redirect_uris
        .iter()
        .map(|uri| url::Url::parse(uri.as_str()).ok().and_then(|url| url.host_str().map(str::to_owned)));
    let first = hosts.next()??;
    hosts.all(|host| host.as_ref() == Some(&first)).then_some(first)
}

/// A text as it is kept, if it has the form of a host.
pub(crate) fn is_sector(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(is_plain)
}

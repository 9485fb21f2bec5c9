//! Whether the installation is reached at another address than before: tokens, passkeys and links name it.

use crate::fault::Fault;
use crate::tables::installation_facts::PUBLIC_URL;
use crate::{Kernel, KernelTables};

impl Kernel {
    /// Remembers the installation's public URL; answers the one before, where a node was started with another one last. It is answered
    /// once for each change.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn note_public_url(&self) -> Result<Option<String>, Fault> {
        let mut unit = self.store.begin().await?;
        let now = self.now();
        let before = unit.installation_facts().exchange(PUBLIC_URL, &self.settings.public_url, now).await?;
        unit.commit().await?;
        Ok(before)
    }
}

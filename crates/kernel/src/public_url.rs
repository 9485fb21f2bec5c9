//! Whether the installation is reached at another address than before: tokens, passkeys and links name it.

use crate::fault::Fault;
use crate::{Kernel, KernelTables};

/// What the address is called among the installation's facts.
const NAME: &str = "public_url";

impl Kernel {
    /// Remembers the installation's public URL; answers the one before, where a node was started with another one last. It is answered
    /// once for each change.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn note_public_url(&self) -> Result<Option<String>, Fault> {
        let mut unit = self.store.begin().await?;
        let now = self.now();
        let before = unit.installation_facts().exchange(NAME, &self.settings.public_url, now).await?;
        unit.commit().await?;
        Ok(before)
    }
}

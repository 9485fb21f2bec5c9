//! One request's unit of work.

use tidegate_database::Unit;
use tidegate_kernel::{Fault, Grant};

use crate::files::folder::OwnFolder;
use crate::{Storage, StorageTables};

tidegate_kernel::feature_work!(Storage: begin, read);

/// The folder in which a caller's files are.
pub(crate) async fn own_folder(unit: &mut Unit, grant: &Grant) -> Result<OwnFolder, Fault> {
    let organization = unit.storage_usage().organization(grant.organization()).await?;
    let organization = organization.ok_or(Fault::SessionEnded)?;
    Ok(OwnFolder::new(organization.number, grant.session().account_number))
}

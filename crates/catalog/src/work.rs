//! One request's unit of work.

use crate::Catalog;
use crate::sources::access::Viewer;

tidegate_kernel::feature_work!(Catalog: begin, read);

impl Acting<'_> {
    /// Whose sources the caller sees.
    pub(crate) fn viewer(&self) -> Viewer {
        Viewer::of(&self.grant)
    }
}

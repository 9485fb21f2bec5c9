//! One request's unit of work.

use crate::Policies;

tidegate_kernel::feature_work!(Policies: read);

//! How large the form with a person's documents may be.

use crate::wire::multipart::FormLimits;

/// Largest body, in bytes.
pub(super) const MAX_BODY: usize = 15 * 1024 * 1024;
/// Largest part, in bytes.
pub(super) const MAX_PART: usize = 10 * 1024 * 1024;
/// Most parts.
pub(super) const MAX_PARTS: usize = 40;

/// All of them.
pub(super) const LIMITS: FormLimits =
    FormLimits { file: "document", body: MAX_BODY, part: MAX_PART, parts: MAX_PARTS };

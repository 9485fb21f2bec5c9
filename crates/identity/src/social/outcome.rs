//! How far a sign-in by a provider got.

use tidegate_kernel::issue::SignedIn;

use crate::sign_in::second_factor::FactorRequest;

/// The result of a sign-in by a provider.
#[derive(Clone, Debug)]
pub enum SocialOutcome {
    /// A session is open.
    SignedIn(Box<SocialSignedIn>),
    /// The account's second factor comes first.
    SecondFactorRequired(FactorRequest),
}

/// A session that was opened by a provider's word.
#[derive(Clone, Debug)]
pub struct SocialSignedIn {
    /// The session.
    pub signed_in: SignedIn,
    /// Whether the account was made just now.
    pub is_new: bool,
    /// The provider.
    pub provider: String,
}

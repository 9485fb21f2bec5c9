//! What is counted of second factors.

use tidegate_domain::id::AccountId;

/// What a second factor is shown for. Failures of one use do not lock another: who holds a stolen session must not keep the owner from
/// signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FactorUse {
    /// To sign in.
    SignIn,
    /// To connect a provider by which a person comes.
    Join,
    /// To be set up.
    SetUp,
    /// To prove anew who one is.
    StepUp,
}

impl FactorUse {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::Join => "join",
            Self::SetUp => "set-up",
            Self::StepUp => "step-up",
        }
    }
}

/// What is counted of an account's second factors, through all contracts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountedFactor {
    /// Wrong codes in a row, from networks that the account has not signed in from.
    WrongInARow(AccountId, FactorUse),
    /// The same from one network that it has signed in from.
    WrongInARowFromKnownNetwork(AccountId, FactorUse),
    /// Wrong codes from one network that it has signed in from. From others they count as any one-time code does.
    WrongFromKnownNetwork(AccountId),
    /// Factors set up and codes sent.
    Sent(AccountId, FactorUse),
}

impl CountedFactor {
    /// Whether each network is counted on its own.
    pub(crate) const fn is_by_network(self) -> bool {
        matches!(self, Self::WrongInARowFromKnownNetwork(..) | Self::WrongFromKnownNetwork(_))
    }

    /// The bucket's name, without the network.
    pub(crate) fn name(self) -> String {
        match self {
            Self::WrongInARow(account, to) => format!("wrong factor {} {account}", to.as_str()),
            Self::WrongInARowFromKnownNetwork(account, to) => {
                format!("wrong factor from known network {} {account}", to.as_str())
            }
            Self::WrongFromKnownNetwork(account) => format!("failed factor from known network {account}"),
            Self::Sent(account, to) => format!("factor codes {} {account}", to.as_str()),
        }
    }
}

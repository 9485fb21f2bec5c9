//! What holds for one application: decided by an operator, not by its organization.

/// What holds for one application.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationRules {
    /// Whether it gets tokens only with a proof of possession (RFC 9449 section 5.2, `dpop_bound_access_tokens`).
    pub dpop_bound: bool,
    /// Whether the userinfo endpoint answers it with a signed token (OpenID Connect Core section 5.3.2).
    pub userinfo_signed: bool,
    /// The sector whose names for people it is told (OpenID Connect Core section 8.1, `subject_type` pairwise); none: it is told their keys.
    pub pairwise_sector: Option<String>,
    /// APIs that it serves: it may exchange tokens that were issued for them (RFC 8693). Empty: none.
    pub exchange_from: Vec<String>,
    /// APIs that it may get tokens for then.
    pub exchange_to: Vec<String>,
}

/// What is to be changed of them; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct RulesChange {
    /// See [`ApplicationRules::dpop_bound`].
    pub dpop_bound: Option<bool>,
    /// See [`ApplicationRules::userinfo_signed`].
    pub userinfo_signed: Option<bool>,
    /// How people are named to it.
    pub subject: Option<SubjectType>,
    /// See [`ApplicationRules::exchange_from`].
    pub exchange_from: Option<Vec<String>>,
    /// See [`ApplicationRules::exchange_to`].
    pub exchange_to: Option<Vec<String>>,
}

/// How people are named to an application (OpenID Connect Core section 8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubjectType {
    /// By the keys of their accounts.
    Public,
    /// By names of a sector: of this one, or of the host that its redirect URIs have in common.
    Pairwise(Option<String>),
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RulesError {
    /// There is no such application.
    #[error("the application does not exist")]
    NotFound,
    /// No access token is made for that API.
    #[error("{0} is neither this installation nor one of [oauth] resources")]
    UnknownApi(String),
    /// Its redirect URIs have no host in common, or what was named has not the form of one.
    #[error(
        "name the sector: its redirect URIs have no host in common, or what was named is not the name of a host"
    )]
    NoSector,
    /// It proves nothing.
    #[error("a public client cannot exchange tokens: it has no secret to prove who it is")]
    PublicExchange,
}

#[derive(sqlx::FromRow)]
pub(super) struct RulesRow {
    dpop_bound: bool,
    userinfo_signed: bool,
    pairwise_sector: Option<String>,
    exchange_from: String,
    exchange_to: String,
}

impl From<RulesRow> for ApplicationRules {
    fn from(row: RulesRow) -> Self {
        let words = |text: &str| text.split_ascii_whitespace().map(str::to_owned).collect();
        Self {
            dpop_bound: row.dpop_bound,
            userinfo_signed: row.userinfo_signed,
            pairwise_sector: row.pairwise_sector,
            exchange_from: words(&row.exchange_from),
            exchange_to: words(&row.exchange_to),
        }
    }
}

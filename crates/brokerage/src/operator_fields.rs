//! Fields of an application in which a firm vouches for an applicant, or decides how their account trades.

/// The broker takes these under the operator's key. An applicant's are passed on only where the operator lists them in
/// `broker.forwarded_fields`.
pub const OPERATOR_FIELDS: [&str; 6] = [
    "authorized_individuals",
    "auto_approve",
    "entity_id",
    "instant",
    "sub_correspondent",
    "trading_configurations",
];

//! Request bodies: section 6. Here, what several of them share.

mod accounts;
mod databases;
mod login;

use tidegate_domain::account::{MAX_SERVICE_NAME, ServiceName};
use tidegate_domain::{Document, EmailAddress, Role, Timestamp};

use super::ROLES;
use crate::wire::fields::{Check, Field, ObjectText};
use crate::wire::openapi::shapes::{LINE, Shape, Shapes};

pub(super) use crate::wire::body::NoFields;
pub(super) use accounts::{
    ChangeIndividualBody, ChangeServiceBody, CreateIndividualBody, CreateServiceBody, CreateServiceKeyBody,
    EmailBody, ResetPasswordBody, SendResetMailBody, ServiceNameBody, VerifyBody,
};
pub(super) use databases::{
    ChangeDatabaseBody, ChangeOrganizationBody, CreateDatabaseBody, ListResolvedBody, ResolveSessionBody,
    page_of,
};
pub(super) use login::{LoginIndividualBody, LoginRootBody, LoginServiceBody, RefreshTokenBody};

/// Longest name of a database, in characters.
const MAX_DATABASE_NAME: usize = 128;
/// Instants the contract takes: seconds since the epoch.
const INSTANTS: std::ops::RangeInclusive<f64> = -1.5e11..=3.5e9;

/// A type of identifiers: [`IdType`](tidegate_domain::flexible_id::IdType).
const ID_TYPE: &str = "^(uuid|u?int(8|16|32|64)|(hex|urlsafe|bytes)([1-9]|[1-5][0-9]|6[0-4]))$";

/// What this contract's texts look like.
pub(super) fn shapes() -> Shapes {
    let given = ROLES.into_iter().filter(|(_, role)| *role != Role::Owner).map(|(name, _)| name);
    let role = Shape { format: "role", words: given.collect(), ..Shape::default() };
    let service_name = Shape {
        format: "service-name",
        min_length: Some(1),
        max_length: Some(MAX_SERVICE_NAME),
        pattern: Some(LINE.to_owned()),
        ..Shape::default()
    };
    let id_type = Shape { format: "id-type", pattern: Some(ID_TYPE.to_owned()), ..Shape::default() };
    Shapes { texts: vec![role, service_name, id_type], rules: Vec::new() }
}

fn email(check: &mut Check, field: Field<String>) -> Option<EmailAddress> {
    let text = check.required("email", field)?;
    check.parsed("email", EmailAddress::parse(&text))
}

fn service_name(check: &mut Check, field: Field<String>) -> Option<ServiceName> {
    let text = check.required("name", field)?;
    check.parsed("name", ServiceName::parse(&text))
}

fn metadata(check: &mut Check, field: Field<ObjectText>) -> Option<Document> {
    let metadata = check.optional("metadata", field)?;
    check.parsed("metadata", Document::parse(metadata.as_str()))
}

fn instant(check: &mut Check, name: &'static str, field: Field<f64>) -> Option<Timestamp> {
    match check.optional(name, field)? {
        seconds if INSTANTS.contains(&seconds) => Timestamp::from_fractional_seconds(seconds),
        _ => check.violated(name, "must be between -1.5e11 and 3.5e9"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidegate_domain::flexible_id::IdType;

    use super::*;
    use crate::wire::openapi::shapes::tests::texts_of;

    proptest! {
        #[test]
        fn a_text_of_the_pattern_of_types_is_one(text in texts_of(ID_TYPE)) {
            prop_assert_eq!(text.parse::<IdType>().unwrap().to_string(), text);
        }
    }
}

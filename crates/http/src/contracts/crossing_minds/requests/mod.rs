//! Request bodies: section 6. Here, what several of them share.

mod accounts;
mod databases;
mod login;

use serde::Deserialize;
use tidegate_domain::account::ServiceName;
use tidegate_domain::{Document, EmailAddress, Timestamp};

use crate::wire::fields::{Check, Field, ObjectText};

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

/// A body without fields.
#[derive(Deserialize)]
pub(super) struct NoFields {}

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

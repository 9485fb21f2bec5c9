//! What the contract answers.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};
use tidegate_brokerage::customer::BrokerageCustomer;
use tidegate_domain::{Secret, Timestamp};
use utoipa::ToSchema;
use uuid::Uuid;

/// How far east of UTC days begin: Africa/Nairobi, which knows no summer time.
const NAIROBI: Duration = Duration::from_secs(3 * 3_600);

/// Something done.
#[derive(Serialize, ToSchema)]
pub(super) struct Done {
    message: &'static str,
    /// Always `true`.
    status: bool,
}

impl Done {
    pub(super) const fn new(message: &'static str) -> Self {
        Self { message, status: true }
    }
}

/// Logged out.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedOut {
    pub(super) message: &'static str,
}

/// A token.
#[derive(Serialize, ToSchema)]
pub(super) struct Auth {
    /// Always `Bearer`.
    #[serde(rename = "type")]
    kind: &'static str,
    #[schema(example = "2|nHPWl71NgCm8E3S5f0dKqRb2ZyXtLw9UoVaJ4GiM742ff30a")]
    token: String,
}

impl From<&Secret> for Auth {
    fn from(token: &Secret) -> Self {
        Self { kind: "Bearer", token: token.expose().to_owned() }
    }
}

/// A phone, confirmed.
#[derive(Serialize, ToSchema)]
pub(super) struct Confirmed {
    pub(super) message: &'static str,
    pub(super) auth: Auth,
    /// Always `true`.
    pub(super) status: bool,
}

/// Logged in.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedIn {
    pub(super) user: User,
    pub(super) auth: Auth,
    /// Always `true`.
    pub(super) status: bool,
}

/// A brokerage account, opened.
#[derive(Serialize, ToSchema)]
pub(super) struct Created {
    pub(super) data: User,
    /// Always `true`.
    pub(super) status: bool,
}

/// Documents, accepted.
#[derive(Serialize, ToSchema)]
pub(super) struct Accepted {
    pub(super) data: User,
    pub(super) message: &'static str,
    /// Always `true`.
    pub(super) status: bool,
}

/// A brokerage account.
#[derive(Serialize, ToSchema)]
pub(super) struct Profile {
    /// As the broker reports it: `id`, `account_number`, `status`, `contact`, `identity`, and `cash`, `buying_power` and
    /// `equity`, which are null where there is no balance yet.
    #[schema(value_type = Object)]
    pub(super) data: Map<String, Value>,
    /// Only where the account is the embedded sandbox's, and so is none: `true`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) sandbox: bool,
    /// Always `true`.
    pub(super) status: bool,
}

/// The person.
#[derive(Serialize, ToSchema)]
pub(super) struct User {
    id: i64,
    #[schema(required = true)]
    phone: Option<String>,
    /// Always null: codes are not disclosed.
    #[schema(required = true)]
    otp_code: Option<String>,
    /// First and last name together.
    #[schema(required = true)]
    name: Option<String>,
    #[schema(required = true)]
    first_name: Option<String>,
    #[schema(required = true)]
    last_name: Option<String>,
    #[schema(required = true)]
    profile_photo: Option<String>,
    #[schema(required = true)]
    email: Option<String>,
    #[schema(required = true)]
    email_verified_at: Option<String>,
    /// Always null.
    #[schema(required = true)]
    other_phones: Option<String>,
    /// When the day of birth began in Nairobi, in UTC: on the day before.
    #[schema(required = true, example = "1979-12-31T21:00:00.000000Z")]
    dob: Option<String>,
    /// Always null: not asked for.
    #[schema(required = true)]
    gender: Option<String>,
    #[schema(required = true)]
    alpaca_account_id: Option<Uuid>,
    /// `new`, `pending`, `active`, `rejected`, `disabled` or `closed`.
    account_status: &'static str,
    created_at: String,
    updated_at: String,
}

impl From<BrokerageCustomer> for User {
    fn from(customer: BrokerageCustomer) -> Self {
        let known = |text: String| Some(text).filter(|text| !text.is_empty());
        let name = format!("{} {}", customer.first_name, customer.last_name);
        Self {
            id: customer.number,
            phone: customer.phone.map(|phone| phone.expose().to_owned()),
            otp_code: None,
            name: known(name.trim().to_owned()),
            first_name: known(customer.first_name),
            last_name: known(customer.last_name),
            profile_photo: customer.profile_image_url,
            email: customer.email.map(|email| email.to_string()),
            email_verified_at: customer.email_verified_at.map(to_the_second),
            other_phones: None,
            dob: customer.date_of_birth.map(|born| born.begins(NAIROBI).iso_micros()),
            gender: None,
            alpaca_account_id: customer.broker_account,
            account_status: customer.status.as_str(),
            created_at: to_the_second(customer.created_at),
            updated_at: to_the_second(customer.updated_at),
        }
    }
}

/// Six fraction digits, all of them zero.
fn to_the_second(at: Timestamp) -> String {
    Timestamp::from_seconds(at.seconds()).iso_micros()
}

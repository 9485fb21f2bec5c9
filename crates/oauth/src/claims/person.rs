//! What is told of a person.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidegate_database::Unit;
use tidegate_domain::Scopes;
use tidegate_domain::id::AccountId;
use tidegate_kernel::KernelTables;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::tables::account_cards::AccountCard;

/// What is told of a person (OpenID Connect Core sections 5.1 and 5.4): what the scopes name, as far as it is known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct UserInfo {
    /// The account.
    pub sub: String,
    /// `profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// `profile`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// `profile`: a web address. Pictures that are kept inside the profile are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// `profile`: seconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<i64>,
    /// `email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// `email`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email_verified: Option<bool>,
    /// `phone`: E.164.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// `phone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number_verified: Option<bool>,
    /// What the operator has told besides: see [`OauthRules::claims`].
    ///
    /// [`OauthRules::claims`]: tidegate_domain::OauthRules::claims
    #[serde(flatten)]
    pub custom: Map<String, Value>,
}

impl UserInfo {
    /// The same with claims that are told one by one.
    pub(crate) fn with(self, single: Map<String, Value>) -> Result<Self, Fault> {
        let Value::Object(mut all) = serde_json::to_value(&self)? else { return Ok(self) };
        all.extend(single);
        Ok(serde_json::from_value(Value::Object(all))?)
    }
}

/// What is told of a person, as far as the scopes name it.
pub(crate) const OF_PERSON: [&str; 9] = [
    "name",
    "given_name",
    "family_name",
    "picture",
    "updated_at",
    "email",
    "email_verified",
    "phone_number",
    "phone_number_verified",
];

/// What the scopes tell of a person, read from the store.
pub(crate) async fn told_of(
    unit: &mut Unit,
    account: AccountId,
    display_name: &str,
    scopes: &Scopes,
) -> Result<UserInfo, Fault> {
    let card = unit.account_cards().find(account).await?;
    let card = card.ok_or(Fault::SessionEnded)?;
    Ok(told_by(&card, account, display_name, scopes))
}

/// What the scopes tell of a person whose card this is.
pub(crate) fn told_by(
    card: &AccountCard,
    account: AccountId,
    display_name: &str,
    scopes: &Scopes,
) -> UserInfo {
    let mut told = UserInfo { sub: account.to_string(), ..UserInfo::default() };
    if scopes.contains("profile") {
        let known = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        told.name = known(display_name);
        told.given_name = known(&card.first_name);
        told.family_name = known(&card.last_name);
        told.picture = card.profile_image_url.clone().filter(|url| url.starts_with("http"));
        told.updated_at = Some(card.updated_at.seconds());
    }
    if scopes.contains("email")
        && let Some(email) = card.emails.iter().find(|email| email.is_primary)
    {
        told.email = Some(email.email.as_str().to_owned());
        told.email_verified = Some(email.verified_at.is_some());
    }
    if scopes.contains("phone")
        && let Some(phone) = &card.phone
    {
        told.phone_number = Some(phone.expose().to_owned());
        told.phone_number_verified = Some(true);
    }
    told
}

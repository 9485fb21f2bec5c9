//! An account of the sandbox: a plan of statuses over time. Pure; the time is an argument.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tidegate_domain::Timestamp;
use ulid::Ulid;
use uuid::Uuid;

use super::{SandboxConfig, written};
use crate::account::{Account, TradingAccount, drop_tax_numbers, email_key};
use crate::application::{Application, Document, DocumentContent};
use crate::error::{BrokerError, Refusal, TookEffect};
use crate::event::AccountEvent;
use crate::status::AccountStatus;

/// Separates the sandbox's ids from those of the keys they come from.
const ID_MASK: u128 = 0x5a4d_b0c8_0000_0000_0000_73b9_1d6e_0c25;
/// The broker's code for values it does not accept.
const INVALID: i64 = 42_210_000;
/// Longest base64 text of a document: of 10 MB.
const MAX_DOCUMENT: usize = (10 * 1024 * 1024usize).div_ceil(3) * 4;

/// From an instant on, the account has a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusChange {
    /// From when on.
    pub at: Timestamp,
    /// Which status.
    pub to: AccountStatus,
}

/// One account of the sandbox: serialise it to keep it. Holds no tax number and no document; `Debug` shows
/// its id alone.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct SandboxAccount {
    id: Uuid,
    email: String,
    revision: u64,
    /// In order of time; the first is the opening. Those to come are planned, not fixed.
    steps: Vec<StatusChange>,
    /// The status its applicant asked for in `/fixtures/...`.
    forced: bool,
    profile: Map<String, Value>,
}

impl fmt::Debug for SandboxAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxAccount").field("id", &self.id).finish_non_exhaustive()
    }
}

impl SandboxAccount {
    /// The id of the account that the opening `key` makes: the same for the same key, another for another.
    pub fn id_of(key: Uuid) -> Uuid {
        uuid::Builder::from_custom_bytes((key.as_u128() ^ ID_MASK).to_be_bytes()).into_uuid()
    }

    /// Plans the life of a new account.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] naming the field.
    pub fn open(
        key: Uuid,
        application: &Application,
        now: Timestamp,
        config: &SandboxConfig,
    ) -> Result<Self, BrokerError> {
        check(application)?;
        let forced = application.additional_information.as_deref().and_then(fixture);
        let lacks_documents = config.require_documents && application.documents.is_empty();
        let decided = now.plus(config.review);
        let mut steps = vec![StatusChange { at: now, to: AccountStatus::Submitted }];
        match &forced {
            Some(AccountStatus::Submitted) => {}
            Some(status) => steps.push(StatusChange { at: decided, to: status.clone() }),
            None if lacks_documents || application.disclosures.any() => {
                steps.push(StatusChange { at: decided, to: AccountStatus::ActionRequired });
            }
            None => approve(&mut steps, now, config),
        }
        let id = Self::id_of(key);
        let mut account = Self {
            id,
            email: email_key(&application.contact.email_address),
            revision: 1,
            steps,
            forced: forced.is_some(),
            profile: profile(id, application, now),
        };
        account.note(&application.documents, now);
        Ok(account)
    }

    /// Its id at the sandbox.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Its e-mail address as it is compared: trimmed, lower case. One account each.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// How often it was written, beginning with 1.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// When the last of its statuses begins, as far as they are planned.
    pub fn last_step_at(&self) -> Timestamp {
        self.steps.last().map(|step| step.at).unwrap_or_default()
    }

    /// Its status at `now`.
    pub fn status(&self, now: Timestamp) -> &AccountStatus {
        // The opening counts before its instant too: another node's clock may be behind.
        let past = self.steps.iter().rev().find(|step| step.at <= now).or(self.steps.first());
        past.map_or(&AccountStatus::Submitted, |step| &step.to)
    }

    /// The account as the broker reports it at `now`.
    ///
    /// # Errors
    /// [`BrokerError::Unreadable`] when the record was damaged where it was kept.
    pub fn account(&self, now: Timestamp) -> Result<Account, BrokerError> {
        let status = self.status(now);
        let mut profile = self.profile.clone();
        profile.insert("status".to_owned(), status.as_str().into());
        profile.insert("kyc_results".to_owned(), kyc_results(status));
        Account::read(Value::Object(profile)).ok_or(BrokerError::Unreadable { took_effect: TookEffect::No })
    }

    /// Its money at `now`: none.
    ///
    /// # Errors
    /// [`BrokerError::Unreadable`] when the record was damaged where it was kept.
    pub fn trading(&self, now: Timestamp) -> Result<TradingAccount, BrokerError> {
        let status = self.status(now);
        let zero = "0";
        TradingAccount::read(json!({
            "id": self.id, "account_number": self.profile.get("account_number"), "status": status,
            "currency": self.profile.get("currency"), "cash": zero, "buying_power": zero, "equity": zero,
            "last_equity": zero, "portfolio_value": zero, "cash_withdrawable": zero, "pending_transfer_in": zero,
            "trading_blocked": *status != AccountStatus::Active, "account_blocked": status.is_final(),
            "created_at": self.profile.get("created_at"),
        }))
        .ok_or(BrokerError::Unreadable { took_effect: TookEffect::No })
    }

    /// Takes documents. An account that waits for them, or is about to, is reviewed and approved.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] naming the document.
    pub fn upload(
        &mut self,
        documents: &[Document],
        now: Timestamp,
        config: &SandboxConfig,
    ) -> Result<(), BrokerError> {
        if documents.is_empty() {
            return Err(invalid("documents is required", documents));
        }
        check_documents(documents)?;
        match self.status(now) {
            AccountStatus::ActionRequired => {
                self.steps.retain(|step| step.at <= now);
                self.steps.push(StatusChange { at: now, to: AccountStatus::ApprovalPending });
                approve(&mut self.steps, now, config);
            }
            AccountStatus::Submitted if !self.forced && self.will_ask(now) => {
                self.steps.retain(|step| step.at <= now);
                approve(&mut self.steps, now, config);
            }
            _ => {}
        }
        self.note(documents, now);
        self.revision += 1;
        Ok(())
    }

    /// What happened to it until `now`, oldest first.
    pub fn events(&self, now: Timestamp) -> Vec<AccountEvent> {
        let before = std::iter::once(None).chain(self.steps.iter().map(|step| Some(&step.to)));
        let past = self.steps.iter().zip(before).enumerate().filter(|(_, (step, _))| step.at <= now);
        past.map(|(index, (step, from))| self.event(index, step, from)).collect()
    }

    fn event(&self, index: usize, step: &StatusChange, from: Option<&AccountStatus>) -> AccountEvent {
        let ulid = self.ulid(index, step.at);
        let details = json!({
            "account_id": self.id, "account_number": self.profile.get("account_number"), "at": written(step.at),
            "event_ulid": ulid, "status_from": from, "status_to": step.to, "kyc_results": kyc_results(&step.to),
        });
        AccountEvent {
            ulid: Some(ulid),
            number: None,
            account_id: self.id,
            at: Some(written(step.at)),
            from: from.cloned(),
            to: Some(step.to.clone()),
            kyc_results: details.get("kyc_results").and_then(crate::account::KycResults::read),
            reason: None,
            details: match details {
                Value::Object(details) => details,
                _ => Map::new(),
            },
        }
    }

    /// 48 bits of milliseconds, 16 of the step's index so that steps of one instant keep their order, 64 of
    /// the id.
    fn ulid(&self, index: usize, at: Timestamp) -> String {
        let index = u128::from(u16::try_from(index).unwrap_or(u16::MAX));
        // The end of an id made from a row key is the random part of it.
        let (_, end) = self.id.as_u64_pair();
        Ulid::from_parts(at.millis(), index << 64 | u128::from(end)).to_string()
    }

    fn will_ask(&self, now: Timestamp) -> bool {
        self.steps.iter().any(|step| step.at > now && step.to == AccountStatus::ActionRequired)
    }

    /// Writes down which documents there are; what they hold is forgotten.
    fn note(&mut self, documents: &[Document], now: Timestamp) {
        let kept = self.profile.entry("documents").or_insert_with(|| Value::Array(Vec::new()));
        let Value::Array(kept) = kept else { return };
        for document in documents {
            let number = kept.len() as u128 + 1;
            kept.push(json!({
                "id": Self::id_of(Uuid::from_u128(self.id.as_u128().wrapping_add(number))),
                "document_type": document.document_type,
                "document_sub_type": document.document_sub_type,
                "mime_type": document.mime_type,
                "created_at": written(now),
            }));
        }
    }
}

/// The instant in an event's name; none where there is none.
pub(super) fn instant_of(ulid: &str) -> Option<Timestamp> {
    let millis = i64::try_from(Ulid::from_string(ulid).ok()?.timestamp_ms()).ok()?;
    Some(Timestamp::from_micros(millis.saturating_mul(1_000)))
}

fn approve(steps: &mut Vec<StatusChange>, now: Timestamp, config: &SandboxConfig) {
    let decided = now.plus(config.review);
    steps.push(StatusChange { at: decided, to: AccountStatus::Approved });
    steps.push(StatusChange { at: decided.plus(config.activation), to: AccountStatus::Active });
}

/// The status asked for by `/fixtures/status=REJECTED/fixtures/`: those the vendor's sandbox knows.
fn fixture(text: &str) -> Option<AccountStatus> {
    let (_, rest) = text.split_once("/fixtures/status=")?;
    let (status, _) = rest.split_once("/fixtures/")?;
    let status = AccountStatus::from(status.trim());
    matches!(
        status,
        AccountStatus::Rejected
            | AccountStatus::Submitted
            | AccountStatus::ActionRequired
            | AccountStatus::ApprovalPending
            | AccountStatus::Approved
            | AccountStatus::Disabled
            | AccountStatus::AccountClosed
    )
    .then_some(status)
}

fn kyc_results(status: &AccountStatus) -> Value {
    let code = json!({"IDENTITY_VERIFICATION": {}});
    match status {
        AccountStatus::Submitted => Value::Null,
        AccountStatus::ActionRequired | AccountStatus::ApprovalPending => {
            json!({"accept": {}, "indeterminate": code, "reject": {}, "summary": "fail"})
        }
        AccountStatus::Rejected => {
            json!({"accept": {}, "indeterminate": {}, "reject": code, "summary": "fail"})
        }
        _ => json!({"accept": code, "indeterminate": {}, "reject": {}, "summary": "pass"}),
    }
}

/// A new account as the broker reports it, without its status.
fn profile(id: Uuid, application: &Application, now: Timestamp) -> Map<String, Value> {
    let mut profile = application.others.clone();
    let named = json!({
        "id": id,
        "account_number": (id.as_u128() % 900_000_000 + 100_000_000).to_string(),
        "crypto_status": AccountStatus::Inactive,
        "currency": application.others.get("currency").unwrap_or(&Value::from("USD")),
        "account_type": application.others.get("account_type").unwrap_or(&Value::from("trading")),
        "last_equity": "0",
        "created_at": written(now),
        "contact": application.contact.wire(),
        "identity": application.identity.wire(),
        "disclosures": application.disclosures.wire(),
        "agreements": application.agreements.iter().map(crate::Agreement::wire).collect::<Vec<_>>(),
        "documents": [],
        "trusted_contact": application.trusted_contact,
    });
    if let Value::Object(named) = named {
        profile.extend(named);
    }
    drop_tax_numbers(&mut profile);
    profile
}

/// What the broker wants of every application (contract "Riven", section 3, request), in its order.
fn check(application: &Application) -> Result<(), BrokerError> {
    let Application { contact, identity, agreements, documents, .. } = application;
    let is_email = contact.email_address.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && domain.contains('.') && !contact.email_address.contains(char::is_whitespace)
    });
    let is_phone = contact.phone_number.strip_prefix('+').is_some_and(|digits| {
        digits.len() >= 7 && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b' ' | b'-'))
    });
    let is_date = identity.date_of_birth.parse::<jiff::civil::Date>().is_ok();
    let country = &identity.country_of_tax_residence;
    let is_country = country.len() == 3 && country.bytes().all(|b| b.is_ascii_uppercase());
    let has_state = contact.state.as_deref().is_some_and(|state| !state.trim().is_empty());
    let needs_state = country == "USA" || contact.country.as_deref() == Some("USA");
    let is_blank = |text: &str| text.trim().is_empty();
    let mistakes = [
        (!is_email, "contact.email_address must be an e-mail address"),
        (!is_phone, "contact.phone_number must be a phone number with + and country code"),
        (contact.street_address.iter().all(|line| is_blank(line)), "contact.street_address is required"),
        (is_blank(&contact.city), "contact.city is required"),
        (needs_state && !has_state, "contact.state is required"),
        (is_blank(&identity.given_name), "identity.given_name is required"),
        (is_blank(&identity.family_name), "identity.family_name is required"),
        (!is_date, "identity.date_of_birth must be a date such as 1980-01-31"),
        (identity.tax_id.is_some() && identity.tax_id_type.is_none(), "identity.tax_id_type is required"),
        (!is_country, "identity.country_of_tax_residence must be a country of three letters"),
        (identity.funding_source.is_empty(), "identity.funding_source is required"),
        (agreements.is_empty(), "agreements.agreement is required"),
        (agreements.iter().any(|one| is_blank(&one.agreement)), "agreements.agreement is required"),
        (agreements.iter().any(|one| is_blank(&one.signed_at)), "agreements.signed_at is required"),
        (agreements.iter().any(|one| is_blank(&one.ip_address)), "agreements.ip_address is required"),
    ];
    match mistakes.into_iter().find(|(is_mistake, _)| *is_mistake) {
        Some((_, message)) => Err(invalid(message, documents)),
        None => check_documents(documents),
    }
}

fn check_documents(documents: &[Document]) -> Result<(), BrokerError> {
    for (index, document) in documents.iter().enumerate() {
        let (is_empty, is_long, is_form) = match &document.content {
            DocumentContent::File(base64) => {
                (base64.expose().is_empty(), base64.expose().len() > MAX_DOCUMENT, false)
            }
            DocumentContent::Form(fields) => (fields.is_empty(), false, true),
        };
        let is_type = matches!(
            (document.mime_type.as_str(), is_form),
            ("application/pdf" | "image/png" | "image/jpeg", false) | ("application/json", true)
        );
        let mistakes = [
            (document.document_type.trim().is_empty(), "document_type is required"),
            (is_empty, "content is required"),
            (is_long, "content is too large"),
            (!is_type, "mime_type is not supported"),
        ];
        if let Some((_, message)) = mistakes.into_iter().find(|(is_mistake, _)| *is_mistake) {
            return Err(invalid(&format!("documents[{index}].{message}"), documents));
        }
    }
    Ok(())
}

fn invalid(message: &str, documents: &[Document]) -> BrokerError {
    BrokerError::Invalid(Refusal::new(Some(INVALID), message, &Document::secrets(documents)))
}

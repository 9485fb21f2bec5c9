//! A person answers a device's request.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::{Permission, Scopes, Timestamp};
use tidegate_kernel::counted_client::CountedClient;
use tidegate_kernel::fault::{Outcome, refuse};
use tidegate_kernel::hooks::AllowedApplication;
use tidegate_kernel::throttle::Counted;
use tidegate_kernel::{Actor, Call, Fault};
use uuid::Uuid;

use super::device_codes_repository::{Answering, DeviceCode, DeviceStatus};
use super::user_code::UserCode;
use crate::applications::Application;
use crate::work::Acting;
use crate::{Oauth, OauthTables};

/// Stands for the contract through which access was given: what a device gets is not what the same application gets in a browser.
const DEVICE: &str = "device";

/// Why a person's answer is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Unknown, expired, answered, or of an application that is out of use: which of them is not told.
    #[error("the code is wrong or no longer valid")]
    WrongCode,
}

/// What a person is asked.
#[derive(Clone, Debug)]
pub struct DeviceQuestion {
    id: Uuid,
    /// As the device shows it.
    pub user_code: UserCode,
    /// Who asks.
    pub application: Application,
    /// What it asks for.
    pub scopes: Scopes,
    /// What the person allows: those, and by their addresses the APIs besides this installation that the access token is for.
    pub allowed: Scopes,
    /// The API that the access token is for, if not this installation.
    pub audience: Option<String>,
    /// The address from which it was asked.
    pub ip: String,
    /// When it was.
    pub asked_at: Timestamp,
}

impl DeviceQuestion {
    /// What tells it from other questions.
    pub fn key(&self) -> String {
        self.id.to_string()
    }
}

impl Oauth {
    /// What the device asks that shows the code which the actor typed.
    ///
    /// Every try is counted, by account, by network and of all people together, before the code is looked up; a right one is taken back.
    ///
    /// Source: RFC 8628 sections 3.3, 5.1 and 5.2.
    ///
    /// # Errors
    /// [`DeviceError`]; [`Fault::Forbidden`] for a session that gives nobody access.
    pub async fn find_device(
        &self,
        call: &Call,
        actor: &Actor,
        typed: &str,
    ) -> Outcome<DeviceQuestion, DeviceError> {
        let (unit, grant) = self.read_as(actor, Permission::AuthorizeApplications).await?;
        let account = grant.account();
        drop(unit);
        let Some(user_code) = UserCode::read(typed) else {
            return refuse(DeviceError::WrongCode);
        };
        let rules = self.rules();
        let counted = [
            CountedClient::UserCodesByAccount(account),
            CountedClient::UserCodesByNetwork,
            CountedClient::UserCodes,
        ];
        let limits = [rules.user_codes_by_account, rules.user_codes_by_network, rules.user_codes];
        let attempts: Vec<_> = counted.map(Counted::Client).into_iter().zip(limits).collect();
        self.kernel.throttle(call, &attempts).await?;
        let mut work = self.begin_as(call, actor, Permission::AuthorizeApplications).await?;
        let found = work.unit.device_codes().find_typed(&self.user_code_mac(&user_code)).await?;
        let Some(found) = found.filter(|found| is_open(found, work.now)) else {
            return refuse(DeviceError::WrongCode);
        };
        let application = work.unit.applications().find(found.application).await?;
        let Some(application) = application.filter(|now| is_still(now, &found)) else {
            return refuse(DeviceError::WrongCode);
        };
        work.kernel().refund(&counted.map(Counted::Client)).await?;
        work.commit().await?;
        let scopes = found.scopes.intersection(&application.scopes);
        Ok(DeviceQuestion {
            id: found.id,
            user_code,
            allowed: scopes.union(&self.apis_in(found.audience.as_deref())),
            scopes,
            application,
            audience: found.audience,
            ip: found.ip,
            asked_at: found.created_at,
        })
    }

    /// Gives the device's application access in the name of the actor. The owner is mailed, each time: a stranger may have sent them the
    /// code.
    ///
    /// Source: RFC 8628 sections 3.3 and 5.4.
    ///
    /// # Errors
    /// [`DeviceError`] when the request was answered meanwhile, or its application changed; [`Fault::StepUpRequired`] for a session that
    /// gives nobody access.
    pub async fn approve_device(
        &self,
        call: &Call,
        actor: &Actor,
        question: &DeviceQuestion,
    ) -> Outcome<(), DeviceError> {
        let mut work = self.begin_as(call, actor, Permission::AuthorizeApplications).await?;
        work.authorize_recent().await?;
        work.count_answer().await?;
        let Some(application) = work.application_of(question).await? else {
            return refuse(DeviceError::WrongCode);
        };
        if !work.decide(question, DeviceStatus::Approved).await? {
            return refuse(DeviceError::WrongCode);
        }
        let (account, now, scopes) = (work.grant.account(), work.now, &question.allowed);
        work.unit.consents().allow(account, application.id, DEVICE, scopes, now).await?;
        let metadata = json!({
            "client_id": application.id, "name": application.name, "scope": scopes.to_string(), "through": DEVICE,
            "device_ip": question.ip,
        });
        let subject = work.grant.subject();
        work.audit(Action::AccessGranted, subject, metadata).await?;
        let made_by = &application.made_by().for_mail();
        let allowed = AllowedApplication { name: &application.name, made_by, scopes };
        work.kernel().application_allowed(account, allowed).await?;
        Ok(work.commit().await?)
    }

    /// Refuses it: the device is told.
    ///
    /// # Errors
    /// As [`Oauth::approve_device`].
    pub async fn deny_device(
        &self,
        call: &Call,
        actor: &Actor,
        question: &DeviceQuestion,
    ) -> Outcome<(), DeviceError> {
        let mut work = self.begin_as(call, actor, Permission::AuthorizeApplications).await?;
        work.count_answer().await?;
        if !work.decide(question, DeviceStatus::Denied).await? {
            return refuse(DeviceError::WrongCode);
        }
        let metadata =
            json!({ "client_id": question.application.id, "through": DEVICE, "device_ip": question.ip });
        let subject = work.grant.subject();
        work.audit(Action::AccessDenied, subject, metadata).await?;
        Ok(work.commit().await?)
    }
}

impl Acting<'_> {
    async fn decide(&mut self, question: &DeviceQuestion, status: DeviceStatus) -> Result<bool, Fault> {
        let answering =
            Answering { account: self.grant.account(), session: self.grant.session().id, now: self.now };
        Ok(self.unit.device_codes().decide(question.id, status, answering).await?)
    }

    /// The application of a question, as it is now; none where it is no longer the one that asked, or may ask for less.
    async fn application_of(&mut self, question: &DeviceQuestion) -> Result<Option<Application>, Fault> {
        let then = &question.application;
        let now = self.unit.applications().find(then.id).await?;
        Ok(now.filter(|now| {
            let is_same = now.epoch == then.epoch && now.grant_types == then.grant_types;
            now.is_active() && is_same && now.scopes.contains_all(&question.scopes)
        }))
    }
}

fn is_open(found: &DeviceCode, now: Timestamp) -> bool {
    found.status == DeviceStatus::Pending && found.expires_at > now
}

/// Whether the application is still the one that asked.
pub(super) fn is_still(now: &Application, code: &DeviceCode) -> bool {
    now.is_active()
        && now.epoch == code.application_epoch
        && now.may(tidegate_domain::oauth::GrantType::DeviceCode)
}

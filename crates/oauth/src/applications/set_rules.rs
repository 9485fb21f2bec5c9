//! An operator decides what holds for one application.

use serde_json::json;
use tidegate_database::{Result as Stored, execute};
use tidegate_domain::audit::Action;
use tidegate_domain::id::ApplicationId;
use tidegate_kernel::fault::{Outcome, Refused, refuse};
use tidegate_kernel::{Call, changes};

use super::application::Application;
use super::operator::of_organization;
use super::repository::Applications;
use super::rules::{ApplicationRules, RulesChange, RulesError, SubjectType};
use crate::claims::pairwise::{is_sector, sector_of};
use crate::{Oauth, OauthTables};

impl Applications<'_> {
    async fn set_rules(&mut self, id: ApplicationId, rules: &ApplicationRules) -> Stored<()> {
        execute!(
            self.0,
            "update oauth_applications set dpop_bound = $2, userinfo_signed = $3, exchange_from = $4, exchange_to = $5,
                pairwise_sector = $6
             where id = $1",
            id.0,
            rules.dpop_bound,
            rules.userinfo_signed,
            rules.exchange_from.join(" "),
            rules.exchange_to.join(" "),
            rules.pairwise_sector.as_deref(),
        )?;
        self.0.note(changes::application(id));
        Ok(())
    }
}

impl Oauth {
    /// Changes what holds for an application. Its tokens end where it may do less than before.
    ///
    /// Source: `tidegate client set`.
    ///
    /// # Errors
    /// [`RulesError`].
    pub async fn set_application_rules(
        &self,
        call: &Call,
        id: ApplicationId,
        change: RulesChange,
    ) -> Outcome<Application, RulesError> {
        let mut work = self.begin(call).await?;
        let application = match work.locked(id).await {
            Ok(application) => application,
            Err(Refused::Rule(_)) => return refuse(RulesError::NotFound),
            Err(Refused::Fault(fault)) => return Err(fault.into()),
        };
        let before = application.rules.clone();
        let rules = ApplicationRules {
            dpop_bound: change.dpop_bound.unwrap_or(before.dpop_bound),
            userinfo_signed: change.userinfo_signed.unwrap_or(before.userinfo_signed),
            pairwise_sector: match change.subject {
                None => before.pairwise_sector.clone(),
                Some(SubjectType::Public) => None,
                Some(SubjectType::Pairwise(named)) => {
                    let sector = named
                        .or_else(|| sector_of(&application.redirect_uris))
                        .filter(|sector| is_sector(sector));
                    if sector.is_none() {
                        return refuse(RulesError::NoSector);
                    }
                    sector
                }
            },
            exchange_from: change.exchange_from.unwrap_or_else(|| before.exchange_from.clone()),
            exchange_to: change.exchange_to.unwrap_or_else(|| before.exchange_to.clone()),
        };
        let mut apis = rules.exchange_from.iter().chain(&rules.exchange_to);
        if let Some(unknown) = apis.find(|api| self.audience(Some((*api).clone())).is_err()) {
            return refuse(RulesError::UnknownApi(unknown.clone()));
        }
        if !rules.exchange_from.is_empty() && application.authentication.is_public() {
            return refuse(RulesError::PublicExchange);
        }
        work.unit.applications().set_rules(id, &rules).await?;
        let contains_all = |now: &[String], then: &[String]| then.iter().all(|one| now.contains(one));
        let after = Application { rules: rules.clone(), ..application.clone() };
        let may_less = after.narrows(&application)
            || !contains_all(&rules.exchange_from, &before.exchange_from)
            || !contains_all(&rules.exchange_to, &before.exchange_to);
        if may_less {
            work.end_tokens(&application).await?;
        }
        let metadata = json!({
            "client_id": id,
            "dpop_bound": rules.dpop_bound,
            "userinfo_signed": rules.userinfo_signed,
            "pairwise_sector": rules.pairwise_sector,
            "exchange_from": rules.exchange_from,
            "exchange_to": rules.exchange_to,
        });
        work.audit(Action::ApplicationUpdated, of_organization(&application), metadata).await?;
        work.commit().await?;
        Ok(after)
    }
}

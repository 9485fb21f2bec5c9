//! An application is changed.

use serde_json::{Map, Value, json};
use tidegate_domain::audit::Action;
use tidegate_domain::logout::LogoutChange;
use tidegate_domain::oauth::{AccessLevel, ApplicationStatus, GrantType};
use tidegate_domain::session::EndReason;
use tidegate_domain::{Permission, RedirectUri, Scopes};
use tidegate_kernel::fault::{Outcome, Refused, refuse};
use tidegate_kernel::hooks::ApplicationNews;
use tidegate_kernel::{Actor, Call};

use super::application::{Application, ApplicationError, ApplicationRule};
use crate::work::Work;
use crate::{Oauth, OauthTables};

/// What is to be changed of an application; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct ApplicationChange {
    /// Unique in its organization.
    pub name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// The ways to tokens that it may use.
    pub grant_types: Option<Vec<GrantType>>,
    /// Where people may be sent back to.
    pub redirect_uris: Option<Vec<RedirectUri>>,
    /// What it may ask for at most. Sessions that have more get no more of it when they are refreshed.
    pub scopes: Option<Scopes>,
    /// What it is for.
    pub access_level: Option<AccessLevel>,
    /// Whether it may be used.
    pub status: Option<ApplicationStatus>,
    /// How people leave it.
    pub logout: LogoutChange,
}

impl Oauth {
    /// Changes an application of the caller's organization. One that is revoked so loses its tokens; one that is enabled again does
    /// not get them back.
    ///
    /// Source: RiverGen "oauth-applications/{app_id}", update.
    ///
    /// # Errors
    /// [`ApplicationError`].
    pub async fn change_application(
        &self,
        call: &Call,
        actor: &Actor,
        organization: i64,
        number: i64,
        change: ApplicationChange,
    ) -> Outcome<Application, ApplicationError> {
        let mut work = self.begin_in(call, actor, organization, Permission::ManageApplications).await?;
        work.authorize_recent().await?;
        let before = work.application_to_change(number).await?;
        let after = changed(&before, change);
        ApplicationRule::check(&after.grant_types, &after.redirect_uris, after.authentication)
            .map_err(|rule| Refused::Rule(rule.into()))?;
        if work.unit.applications().is_taken(before.organization, &after.name, before.id).await? {
            return refuse(ApplicationError::NameTaken);
        }
        work.unit.applications().change(&after, work.now).await?;
        // Tokens of a way that it may no longer use must not go on either.
        let loses_grant = before.grant_types.iter().any(|grant| !after.may(*grant));
        if loses_grant || (before.is_active() && !after.is_active()) {
            work.end_tokens(&before).await?;
        }
        let subject = work.grant.subject();
        work.audit(Action::ApplicationUpdated, subject, difference(&before, &after)).await?;
        work.kernel().application_changed(after.organization, &after.name, ApplicationNews::Changed).await?;
        work.commit().await?;
        Ok(after)
    }
}

/// What was changed, for the audit log: where codes are sent to, and what can be asked for, before and after.
pub(super) fn difference(before: &Application, after: &Application) -> Value {
    let grants =
        |of: &Application| of.grant_types.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(" ");
    let fields = [
        ("name", before.name.clone(), after.name.clone()),
        ("description", before.description.clone(), after.description.clone()),
        ("grant_types", grants(before), grants(after)),
        ("redirect_uris", joined(&before.redirect_uris), joined(&after.redirect_uris)),
        ("scopes", before.scopes.to_string(), after.scopes.to_string()),
        ("access_level", before.access_level.as_str().to_owned(), after.access_level.as_str().to_owned()),
        ("status", before.status.as_str().to_owned(), after.status.as_str().to_owned()),
        ("post_logout_redirect_uris", left(before), left(after)),
        ("backchannel_logout_uri", told(before), told(after)),
        (
            "token_endpoint_auth_method",
            before.authentication.as_str().to_owned(),
            after.authentication.as_str().to_owned(),
        ),
        ("metadata", described(before), described(after)),
    ];
    let changed: Map<String, Value> = fields
        .into_iter()
        .filter(|(_, before, after)| before != after)
        .map(|(name, before, after)| (name.to_owned(), json!({ "from": before, "to": after })))
        .collect();
    json!({ "client_id": after.id, "name": after.name, "status": after.status.as_str(), "changed": changed })
}

fn left(application: &Application) -> String {
    joined(&application.logout.post_logout_redirect_uris)
}

fn told(application: &Application) -> String {
    application.logout.backchannel_uri.as_ref().map(ToString::to_string).unwrap_or_default()
}

/// What else is known of it, without its keys, of which there is their number of bytes.
fn described(application: &Application) -> String {
    let mut metadata = application.metadata.as_ref().clone();
    let keys = metadata.jwks.take().map(|jwks| jwks.to_string().len());
    let text = serde_json::to_string(&metadata).unwrap_or_default();
    keys.map_or(text.clone(), |bytes| format!("{text} jwks of {bytes} bytes"))
}

/// Redirect URIs as one text.
pub(super) fn joined(uris: &[RedirectUri]) -> String {
    uris.iter().map(RedirectUri::as_str).collect::<Vec<_>>().join(" ")
}

pub(super) fn changed(before: &Application, change: ApplicationChange) -> Application {
    let ApplicationChange {
        name,
        description,
        grant_types,
        redirect_uris,
        scopes,
        access_level,
        status,
        logout,
    } = change;
    let before = before.clone();
    Application {
        name: name.unwrap_or(before.name),
        description: description.unwrap_or(before.description),
        grant_types: grant_types.unwrap_or(before.grant_types),
        redirect_uris: redirect_uris.unwrap_or(before.redirect_uris),
        scopes: scopes.unwrap_or(before.scopes),
        access_level: access_level.unwrap_or(before.access_level),
        status: status.unwrap_or(before.status),
        logout: logout.of(before.logout),
        ..before
    }
}

impl<G> Work<'_, G> {
    /// Ends all tokens of an application, and its codes.
    ///
    /// What is under way meanwhile opens a session of the epoch that is over. The codes come first: a unit that exchanges one holds its
    /// row, and what it opened is seen afterwards.
    pub(super) async fn end_tokens(
        &mut self,
        application: &Application,
    ) -> Result<(), tidegate_kernel::Fault> {
        let epochs = (self.app.new_epoch(), self.app.new_epoch());
        self.unit.applications().renew_epochs(application, epochs).await?;
        end_sessions(&mut self.kernel(), application).await
    }
}

/// Ends the sessions of an application, and its codes.
pub(super) async fn end_sessions(
    work: &mut tidegate_kernel::Work<'_>,
    application: &Application,
) -> Result<(), tidegate_kernel::Fault> {
    use tidegate_kernel::KernelTables;
    let (reason, now) = (EndReason::ApplicationRevoked, work.now);
    work.unit.codes().delete_of_application(application.id).await?;
    work.unit.device_codes().delete_of_application(application.id).await?;
    work.unit.sessions().end_of_application(application.id, None, reason, now).await?;
    Ok(())
}

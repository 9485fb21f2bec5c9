//! Who signs in: the owner of a personal access token, by their e-mail address.

use serde_json::json;
use tidegate_domain::audit::Action;
use tidegate_domain::{EmailAddress, Permission, Secret};
use tidegate_kernel::authenticate::ACCESS_TOKEN_PREFIX;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::noted::{CredentialFault, refused};
use tidegate_kernel::work::Subject;
use tidegate_kernel::{Actor, AuthError, Call, Kernel, Work};

use super::server::Wire;
use crate::protocol::problem::Problem;

/// Signs in. Failures are counted by network, and before anything is looked at; not by address, because whoever tries must not keep its owner
/// out, and not where sign-ins with passwords are counted.
pub(super) async fn sign_in(
    wire: &Wire,
    call: &Call,
    user: &str,
    password: &Secret,
) -> Result<Actor, Problem> {
    let (kernel, network) = (&wire.kernel, call.widest_network().unwrap_or_default());
    if wire.failures.are_too_many(&network, kernel.now()) {
        return Err(Problem::fatal("53400", "Too many sign-ins failed; try again in a minute."));
    }
    let email = EmailAddress::parse(user).ok();
    let Some(actor) = token_owner(kernel, email.as_ref(), password).await? else {
        wire.failures.count(network, kernel.now());
        audit(kernel, call, None, Action::SignInFailed).await?;
        return Err(Problem::not_signed_in());
    };
    let account = actor.session().account.0.to_string();
    if wire.sign_ins.are_too_many(&account, kernel.now()) {
        let text = "The account signed in too often; keep connections, or try again in a minute.";
        return Err(Problem::fatal("53400", text));
    }
    wire.sign_ins.count(account, kernel.now());
    if actor.admitted_to(&call.profile).is_err() {
        return Err(Problem::fatal(
            "28000",
            "The account may not sign in: its e-mail address is not verified.",
        ));
    }
    if let Err(reason) = actor.authorize(Permission::QueryData) {
        return Err(Problem::fatal("42501", format!("The access token does not allow queries: {reason}.")));
    }
    audit(kernel, call, Some(&actor), Action::SignInSucceeded).await?;
    Ok(actor)
}

/// The owner of a token, if it is one and theirs.
async fn token_owner(
    kernel: &Kernel,
    email: Option<&EmailAddress>,
    password: &Secret,
) -> Result<Option<Actor>, Fault> {
    // Tokens of sessions are for requests: they are short-lived, and may be bound to a key that cannot be shown here.
    if !password.expose().starts_with(ACCESS_TOKEN_PREFIX) {
        refused(CredentialFault::Password("no personal access token (pat_...)"));
        return Ok(None);
    }
    let actor = match kernel.authenticate(password.expose()).await {
        Ok(actor) => actor,
        Err(AuthError::Invalid | AuthError::Expired) => return Ok(None),
        Err(AuthError::Fault(fault)) => return Err(fault),
    };
    let is_theirs = actor.session().email.as_ref().is_some_and(|own| Some(own) == email);
    if !is_theirs {
        refused(CredentialFault::Personal(
            "of another account than the one whose e-mail address is the user",
        ));
    }
    Ok(is_theirs.then_some(actor))
}

async fn audit(kernel: &Kernel, call: &Call, actor: Option<&Actor>, action: Action) -> Result<(), Fault> {
    let mut unit = kernel.begin_for_call(call).await?;
    let now = kernel.now();
    let subject = actor.map_or_else(Subject::default, |actor| {
        let session = actor.session();
        Subject { account: Some(session.account), organization: Some(session.organization), session: None }
    });
    let metadata = match actor {
        Some(_) => json!({ "method": "access_token", "protocol": "postgresql" }),
        None => json!({ "reason": "invalid_access_token", "protocol": "postgresql" }),
    };
    Work { kernel, call, unit: &mut unit, now }.audit(action, subject, metadata).await?;
    Ok(unit.commit().await?)
}

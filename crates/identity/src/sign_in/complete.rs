//! The one way to a session: whatever the account's owner showed, this decides what follows.

use serde_json::{Value, json};
use tidegate_domain::Role;
use tidegate_domain::Secret;
use tidegate_domain::account::Account;
use tidegate_domain::audit::Action;
use tidegate_domain::id::{OrganizationId, SessionId};
use tidegate_kernel::Fault;
use tidegate_kernel::admission::{Admission, Decision, Evidence, RefusedSignIn};
use tidegate_kernel::issue::{Bound, SignInTarget, SignedIn};
use tidegate_kernel::work::Subject;

use crate::IdentityTables;
use crate::sign_in::bind::{BindError, BindingRequest};
use crate::work::Work;

/// A sign-in that is to be completed.
#[derive(Debug)]
pub(crate) struct Completion<'a> {
    /// What it rests on.
    pub(crate) evidence: Evidence,
    /// Where an account lands that was made in this unit of work; looked up for others.
    pub(crate) target: Option<SignInTarget>,
    /// The number of the workspace to enter; none for wherever the account lands.
    pub(crate) workspace: Option<i64>,
    /// Whether only the owner of an organization is signed in.
    pub(crate) owner_only: bool,
    /// What to bind the tokens to.
    pub(crate) binding: Option<&'a BindingRequest>,
    /// What the sign-in history says of it. None where another event of the unit of work names the session.
    pub(crate) history: Option<Value>,
}

/// How far a sign-in got.
#[derive(Debug)]
pub(crate) enum Completed<S> {
    /// A session is open.
    SignedIn(S),
    /// The address must be verified first. Nothing was written.
    VerifyEmail,
    /// The client must ask for the account's second factor first. Nothing was written.
    SecondFactor,
    /// No session, now or after another step. Nothing was written.
    Refused(Refusal),
}

/// Why no session was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The account is disabled.
    Disabled,
    /// Only owners are signed in, and the account owns no organization.
    NotOwner,
    /// The account is no member of the workspace, or of any organization.
    WorkspaceDenied,
    /// The address is not verified, and the contract admits verified ones only.
    NotVerified,
    /// The account has a second factor, and the contract's clients cannot ask for it.
    SecondFactor,
    /// What to bind the tokens to does not exist.
    Binding(BindError),
}

/// What the history says of a sign-in that ended at the second factor.
pub(crate) const SECOND_FACTOR: &str = "second_factor_required";

impl<'a> Completion<'a> {
    /// A sign-in to wherever the account lands, bound to nothing.
    pub(crate) const fn to_home(evidence: Evidence, history: Option<Value>) -> Self {
        Self { evidence, target: None, workspace: None, owner_only: false, binding: None, history }
    }
}

/// What is needed to open a session.
struct Admitted {
    admission: Admission,
    sign_in_target: SignInTarget,
    bound: Option<Bound>,
}

impl Work<'_> {
    /// Opens a session with an access and a refresh token, or says why not.
    ///
    /// The caller has verified what it states as evidence in this unit of work.
    pub(crate) async fn complete_sign_in(
        &mut self,
        account: &Account,
        completion: Completion<'_>,
    ) -> Result<Completed<SignedIn>, Fault> {
        let history = completion.history.clone();
        let Admitted { admission, sign_in_target, bound } = match self.admit(account, completion).await? {
            Completed::SignedIn(admitted) => admitted,
            Completed::VerifyEmail => return Ok(Completed::VerifyEmail),
            Completed::SecondFactor => return Ok(Completed::SecondFactor),
            Completed::Refused(refusal) => return Ok(Completed::Refused(refusal)),
        };
        let signed_in = self.kernel().open_session(admission, sign_in_target, bound).await?;
        self.note_session(account, sign_in_target.organization, signed_in.session, history).await?;
        Ok(Completed::SignedIn(signed_in))
    }

    /// The same for a session whose one token is opaque.
    pub(crate) async fn complete_opaque_sign_in(
        &mut self,
        account: &Account,
        completion: Completion<'_>,
    ) -> Result<Completed<(SessionId, Secret)>, Fault> {
        let history = completion.history.clone();
        let Admitted { admission, sign_in_target, .. } = match self.admit(account, completion).await? {
            Completed::SignedIn(admitted) => admitted,
            Completed::VerifyEmail => return Ok(Completed::VerifyEmail),
            Completed::SecondFactor => return Ok(Completed::SecondFactor),
            Completed::Refused(refusal) => return Ok(Completed::Refused(refusal)),
        };
        let (session, token) = self.kernel().open_opaque_session(&admission, sign_in_target).await?;
        self.note_session(account, sign_in_target.organization, session, history).await?;
        Ok(Completed::SignedIn((session, token)))
    }

    async fn admit(
        &mut self,
        account: &Account,
        completion: Completion<'_>,
    ) -> Result<Completed<Admitted>, Fault> {
        let sign_in_target = match completion.target {
            Some(target) => Some(target),
            None => self.unit.organizations().sign_in_target(account.id, completion.workspace).await?,
        };
        if completion.owner_only
            && sign_in_target.is_none_or(|sign_in_target| sign_in_target.role != Role::Owner)
        {
            return Ok(Completed::Refused(Refusal::NotOwner));
        }
        let Some(sign_in_target) = sign_in_target else {
            return Ok(Completed::Refused(Refusal::WorkspaceDenied));
        };
        let admission = match self
            .kernel()
            .decide_sign_in(account, sign_in_target.organization, completion.evidence)
            .await?
        {
            Decision::Admitted(admission) => *admission,
            Decision::VerifyEmail => return Ok(Completed::VerifyEmail),
            Decision::AskSecondFactor => return Ok(Completed::SecondFactor),
            Decision::Refused(refused) => return Ok(Completed::Refused(refused.into())),
        };
        let bound = match completion.binding {
            Some(request) => self.bind(sign_in_target.organization, sign_in_target.role, request).await?,
            None => Ok(None),
        };
        Ok(match bound {
            Ok(bound) => Completed::SignedIn(Admitted { admission, sign_in_target, bound }),
            Err(error) => Completed::Refused(Refusal::Binding(error)),
        })
    }

    async fn note_session(
        &mut self,
        account: &Account,
        organization: OrganizationId,
        session: SessionId,
        history: Option<Value>,
    ) -> Result<(), Fault> {
        let Some(metadata) = history else {
            return Ok(());
        };
        let subject =
            Subject { account: Some(account.id), organization: Some(organization), session: Some(session) };
        self.audit(Action::SignInSucceeded, subject, metadata).await
    }

    /// Notifies the account owner that a sign-in ended at the second factor: the first one was correct.
    pub(crate) async fn note_second_factor(&mut self, account: &Account) -> Result<(), Fault> {
        self.audit(Action::SignInFailed, account.id, json!({ "reason": SECOND_FACTOR })).await
    }
}

impl From<RefusedSignIn> for Refusal {
    fn from(refused: RefusedSignIn) -> Self {
        match refused {
            RefusedSignIn::Disabled => Self::Disabled,
            RefusedSignIn::NotVerified => Self::NotVerified,
            RefusedSignIn::SecondFactor => Self::SecondFactor,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// Every production source of the workspace that contains `text`, from `crates` on.
    fn sources_with(text: &str) -> Vec<String> {
        let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut found = Vec::new();
        // The benchmark fills databases of its own.
        let mut folders: Vec<_> = fs::read_dir(crates)
            .unwrap()
            .map(|member| member.unwrap().path().join("src"))
            .filter(|folder| !folder.starts_with(crates.join("bench")))
            .collect();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if fs::read_to_string(&path).unwrap().contains(text) {
                    found.push(path.strip_prefix(crates).unwrap().to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn sessions_are_opened_in_one_place_only() {
        let here = "identity/src/sign_in/complete.rs";
        let issue = "kernel/src/issue.rs";
        // In two pieces, so that these lines are not found.
        for (call, places) in [
            ([".open_", "session("], &[here][..]),
            ([".open_opaque_", "session("], &[here]),
            ([".decide_", "sign_in("], &[here]),
            // Whoever completes a sign-in verified what it rests on: no recovery, no operator, no page.
            (
                [".complete_", "sign_in("],
                &[
                    "identity/src/sign_in/confirm_code.rs",
                    "identity/src/sign_in/hosted_sign_up.rs",
                    "identity/src/sign_in/login.rs",
                    "identity/src/sign_in/passkey_sign_in.rs",
                    "identity/src/sign_in/second_factor.rs",
                    "identity/src/sign_in/sign_up.rs",
                    "identity/src/social/open.rs",
                ],
            ),
            ([".complete_opaque_", "sign_in("], &["identity/src/sign_in/phone_sign_in.rs"]),
            (["&New", "Session {"], &["kernel/src/delegate.rs", issue]),
            (["into ", "sessions"], &["kernel/src/tables/new_sessions.rs"]),
            // Refreshing makes tokens of a session there is already.
            (
                [".token_", "set("],
                &[
                    "identity/src/sessions/continue_session.rs",
                    "kernel/src/delegate.rs",
                    issue,
                    "kernel/src/refresh.rs",
                ],
            ),
        ] {
            assert_eq!(sources_with(&call.concat()), places, "{}", call.concat());
        }
    }
}

//! Making people: every one gets an organization of their own.

use tidegate_domain::account::{Account, AccountKind, LoginName};
use tidegate_domain::id::AccountId;
use tidegate_domain::password::WeakPassword;
use tidegate_domain::{Document, EmailAddress, Password, Role, Timestamp};
use tidegate_kernel::Call;
use tidegate_kernel::fault::Fault;
use tidegate_kernel::issue::SignInTarget;

use crate::accounts::repository::{NewAccount, NewIdentifier};
use crate::organizations::repository::{NewMembership, NewOrganization, NewWorkspace, PersonalOrganization};
use crate::work::Work;
use crate::{Identity, IdentityTables};

/// A person to be made.
pub(crate) struct NewPerson<'a> {
    /// Their address or phone.
    pub(crate) login: &'a LoginName,
    pub(crate) verified_at: Option<Timestamp>,
    /// Name shown to people; empty when not given.
    pub(crate) display_name: &'a str,
    /// None for an account without a password yet.
    pub(crate) password_hash: Option<&'a str>,
    pub(crate) agreed_to_terms: bool,
    pub(crate) terms_version: Option<&'a str>,
    /// How they come: `signup`, `provisioned`, `managed`.
    pub(crate) source: &'a str,
    /// Whether their own organization is the one whose managers look after them: themselves.
    pub(crate) is_at_home: bool,
}

/// A new person and the organization they own.
pub(crate) struct Person {
    pub(crate) account: Account,
    pub(crate) sign_in_target: SignInTarget,
}

/// A person that an operator makes.
pub(crate) struct ProvisionedPerson<'a> {
    /// Taken as verified on the operator's word.
    pub(crate) email: EmailAddress,
    /// Name shown to people; empty when not given.
    pub(crate) display_name: &'a str,
    pub(crate) password: Password,
}

/// A unit of work that has made a person for an operator.
pub(crate) struct BegunPerson<'a> {
    pub(crate) work: Work<'a>,
    pub(crate) person: Person,
    /// The account that had the address without having proven it, and has lost it.
    pub(crate) evicted: Option<AccountId>,
}

/// Why an operator's person was not made.
pub(crate) enum NotProvisioned {
    EmailTaken,
    WeakPassword(WeakPassword),
}

impl Identity {
    /// Begins a unit of work in which an operator makes a person.
    pub(crate) async fn begin_provisioned<'a>(
        &'a self,
        call: &'a Call,
        new: ProvisionedPerson<'_>,
    ) -> Result<Result<BegunPerson<'a>, NotProvisioned>, Fault> {
        let ProvisionedPerson { email, display_name, password } = new;
        if let Err(weak) = call.profile.password.check(&password) {
            return Ok(Err(NotProvisioned::WeakPassword(weak)));
        }
        let hash = self.passwords.hash(self.requester(call, None), password).await?;
        let mut work = self.begin(call).await?;
        work.yield_invitation(&email).await?;
        // Verified on the operator's word, which an unproven claim yields to as to any proof.
        let evicted = work.evict_unproven(&email).await?;
        let login = LoginName::Email(email);
        let new = NewPerson {
            login: &login,
            verified_at: Some(work.now),
            display_name,
            password_hash: Some(&hash),
            agreed_to_terms: false,
            terms_version: None,
            source: "provisioned",
            is_at_home: true,
        };
        let person = work.create_person(&new).await?;
        Ok(person.map(|person| BegunPerson { work, person, evicted }).ok_or(NotProvisioned::EmailTaken))
    }
}

impl<G> Work<'_, G> {
    /// Makes a person: account, address, password, personal organization, default workspace, default roles, and the
    /// membership that owns them. None when the address is taken.
    pub(crate) async fn create_person(&mut self, new: &NewPerson<'_>) -> Result<Option<Person>, Fault> {
        let (now, entropy) = (self.now, self.app.kernel.entropy.as_ref());
        let id = AccountId(entropy.uuid(now));
        // A manager who makes an account does not choose its owner's language.
        let chosen = self.call.language(&self.app.kernel.settings.languages);
        let language = chosen.filter(|_| new.is_at_home);
        let account = NewAccount {
            id,
            kind: AccountKind::Individual,
            display_name: new.display_name,
            agreed_to_terms: new.agreed_to_terms,
            terms_version: new.terms_version,
            language: language.map(|tag| tag.as_str()),
            created_at: now,
        };
        let identifier = NewIdentifier {
            id: entropy.uuid(now).into(),
            account: id,
            login: new.login,
            verified_at: new.verified_at,
            is_primary: true,
            created_at: now,
        };
        let Some(number) = self.unit.accounts().insert_identified(&account, identifier).await? else {
            return Ok(None);
        };
        if let Some(hash) = new.password_hash {
            self.unit.accounts().set_password(id, hash, now).await?;
        }
        let sign_in_target = self.create_organization(id, new).await?;
        let account = Account {
            id,
            number,
            display_name: new.display_name.to_owned(),
            profile_image_url: None,
            profile: Document::default(),
            user_metadata: Document::default(),
            is_system_admin: false,
            disabled_at: None,
            created_at: now,
            updated_at: now,
        };
        Ok(Some(Person { account, sign_in_target }))
    }

    /// Makes a person's own organization (RiverGen section 2).
    async fn create_organization(
        &mut self,
        owner: AccountId,
        of: &NewPerson<'_>,
    ) -> Result<SignInTarget, Fault> {
        let (now, entropy) = (self.now, self.app.kernel.entropy.as_ref());
        let organization = entropy.uuid(now).into();
        let workspace = entropy.uuid(now).into();
        let email = of.login.email();
        let name = match (of.display_name, email) {
            ("", Some(email)) => email.local_part(),
            // A phone number is shown to its account owner only.
            ("", None) => "Personal",
            (name, _) => name,
        };
        let new = PersonalOrganization {
            organization: NewOrganization {
                id: organization,
                name,
                domain: email.map_or("", EmailAddress::domain),
                plan: "free",
                created_at: now,
            },
            workspace: NewWorkspace {
                id: workspace,
                organization,
                name: "Default Workspace",
                slug: "default-workspace",
                is_default: true,
                created_at: now,
            },
            roles: Role::LISTED.map(|(_, name)| (entropy.uuid(now), name)),
            owner: NewMembership {
                id: entropy.uuid(now).into(),
                account: owner,
                organization,
                role: Role::Owner,
                source: of.source,
                is_home: of.is_at_home,
                joined_at: now,
            },
        };
        self.unit.organizations().insert_personal(new).await?;
        Ok(SignInTarget { organization, workspace: Some(workspace), role: Role::Owner })
    }
}

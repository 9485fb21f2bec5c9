//! What is counted: the names of the buckets, and the configuration keys of their limits.

use tidegate_domain::account::LoginName;
use tidegate_domain::id::{AccountId, ChallengeId, OrganizationId};
use tidegate_domain::{EmailAddress, PhoneNumber};

use crate::counted_client::CountedClient;
use crate::counted_factor::CountedFactor;
use crate::limit_key;

/// What is counted: its name is part of the bucket.
#[derive(Clone, Copy, Debug)]
pub enum Counted<'a> {
    /// Sign-ups, by address.
    SignUpByIp,
    /// Sign-ins, by address.
    SignInByIp,
    /// Sign-ins, by address or name signed in with.
    SignInByLogin(&'a LoginName),
    /// Failed sign-ins, by network and name.
    FailedSignIn(&'a LoginName),
    /// Wrong passwords, by name, through all contracts, from networks the account has not signed in from.
    FailedPasswordByLogin(&'a LoginName),
    /// Wrong passwords, by name, from one network the account has signed in from.
    FailedPasswordFromKnownNetwork(&'a LoginName),
    /// Wrong codes, by network.
    FailedCodeByNetwork,
    /// Wrong codes, by account.
    FailedCodeByAccount(AccountId),
    /// Wrong codes of one challenge, by network.
    FailedCodeOfChallenge(ChallengeId),
    /// Wrong codes texted to a phone, from networks its account has not signed in from.
    FailedPhoneCode(&'a LoginName),
    /// Wrong codes texted to a phone, from one network its account has signed in from.
    FailedPhoneCodeFromKnownNetwork(&'a LoginName),
    /// What is counted of second factors.
    Factor(CountedFactor),
    /// Sign-ins with a passkey that are begun, by network.
    PasskeyChallengesByIp,
    /// Sign-ins by other identity providers that are begun, by network.
    SocialRequestsByIp,
    /// Sign-ins by other identity providers that come back, by network.
    SocialSignInByIp,
    /// Forgotten passwords, by address.
    ForgotPasswordByIp,
    /// Forgotten passwords, by e-mail address.
    ForgotPasswordByEmail(&'a EmailAddress),
    /// Codes sent again, by account.
    ResendByAccount(AccountId),
    /// Mails, by recipient.
    MailsByEmail(&'a EmailAddress),
    /// Notices of new programs and keys, by the account that is notified: separate from the mails its owner asks for.
    NoticesByAccount(AccountId),
    /// Changes of address, by account.
    EmailChangeByAccount(AccountId),
    /// Changes of address, by the new one.
    EmailChangeByEmail(&'a EmailAddress),
    /// Codes in a short while, by phone.
    CodesAtOnceByPhone(&'a PhoneNumber),
    /// Codes, by phone.
    CodesByPhone(&'a PhoneNumber),
    /// Codes, by address.
    CodesByIp,
    /// Codes to register, by the number's prefix.
    RegistrationsByPrefix(&'a PhoneNumber),
    /// Passwords set, by the account that sets them, through all contracts.
    PasswordsSetByAccount(AccountId),
    /// Passwords set, by the organization they are set in, through all contracts.
    PasswordsSetByOrganization(OrganizationId),
    /// Passwords set without a session, by network, through all contracts.
    PasswordsSetByNetwork,
    /// What is counted of applications.
    Client(CountedClient),
    /// Messages of all contracts and templates, by mailbox or phone.
    MessagesByRecipient(&'a str),
    /// Messages, by the network of the caller who caused them.
    MessagesByNetwork,
    /// Messages, by the account that caused them.
    MessagesByAccount(AccountId),
    /// Messages, by the organization of the account that caused them.
    MessagesByOrganization(OrganizationId),
}

/// Whose attempts are counted together.
pub(crate) enum Scope {
    /// All of them.
    All,
    /// Those of one client network; for IPv6, also of the wider ones around it.
    Network,
}

impl CountedFactor {
    const fn scope(self) -> Scope {
        if self.is_by_network() { Scope::Network } else { Scope::All }
    }
}

impl CountedClient {
    const fn scope(self) -> Scope {
        if self.is_by_network() { Scope::Network } else { Scope::All }
    }
}

impl Counted<'_> {
    /// Whose attempts are counted together, and the bucket's name; of a scope by network, without the network.
    pub(crate) fn name(self, contract: &str) -> (Scope, String) {
        use Scope::{All, Network};
        let of = |login: &LoginName| format!("{} {}", login.kind(), login.as_str());
        match self {
            Counted::SignUpByIp
            | Counted::SignInByIp
            | Counted::CodesByIp
            | Counted::ForgotPasswordByIp
            | Counted::PasskeyChallengesByIp
            | Counted::SocialRequestsByIp
            | Counted::SocialSignInByIp => (Network, format!("{contract} {} ip", self.by_network())),
            Counted::SignInByLogin(login) => (All, format!("{contract} sign-in {}", of(login))),
            Counted::FailedSignIn(login) => (Network, format!("{contract} failed sign-in {}", of(login))),
            Counted::FailedPasswordByLogin(login) => (All, format!("failed password {}", of(login))),
            Counted::FailedPasswordFromKnownNetwork(login) => {
                (Network, format!("failed password from known network {}", of(login)))
            }
            Counted::CodesAtOnceByPhone(phone) => {
                (All, format!("{contract} codes at once {}", phone.expose()))
            }
            Counted::CodesByPhone(phone) => (All, format!("{contract} codes {}", phone.expose())),
            Counted::RegistrationsByPrefix(phone) => {
                (All, format!("{contract} registrations {}", phone.prefix()))
            }
            Counted::FailedCodeByNetwork => (Network, "failed code ip".to_owned()),
            Counted::FailedCodeByAccount(account) => (All, format!("failed code {account}")),
            Counted::FailedCodeOfChallenge(challenge) => {
                (Network, format!("failed code of challenge {}", challenge.0))
            }
            Counted::FailedPhoneCode(login) => (All, format!("failed phone code {}", of(login))),
            Counted::FailedPhoneCodeFromKnownNetwork(login) => {
                (Network, format!("failed phone code from known network {}", of(login)))
            }
            Counted::Factor(counted) => (counted.scope(), counted.name()),
            Counted::ForgotPasswordByEmail(email) => {
                (All, format!("{contract} forgot-password email {}", email.mailbox()))
            }
            Counted::ResendByAccount(account) => (All, format!("{contract} resend {account}")),
            Counted::MailsByEmail(email) => (All, format!("{contract} mails {}", email.mailbox())),
            Counted::EmailChangeByEmail(email) => {
                (All, format!("{contract} email change to {}", email.mailbox()))
            }
            Counted::EmailChangeByAccount(account) => (All, format!("{contract} email change {account}")),
            Counted::PasswordsSetByAccount(account) => (All, format!("passwords set {account}")),
            Counted::PasswordsSetByOrganization(organization) => {
                (All, format!("passwords set organization {organization}"))
            }
            Counted::PasswordsSetByNetwork => (Network, "passwords set ip".to_owned()),
            Counted::NoticesByAccount(account) => (All, format!("{contract} notices {account}")),
            Counted::MessagesByRecipient(recipient) => (All, format!("messages {recipient}")),
            Counted::MessagesByNetwork => (Network, "messages ip".to_owned()),
            Counted::MessagesByAccount(account) => (All, format!("messages account {account}")),
            Counted::Client(counted) => (counted.scope(), counted.name()),
            Counted::MessagesByOrganization(organization) => {
                (All, format!("messages organization {organization}"))
            }
        }
    }
}

impl Counted<'_> {
    /// What one client network does under a contract, whoever the account is.
    const fn by_network(&self) -> &'static str {
        match self {
            Self::SignUpByIp => "sign-up",
            Self::CodesByIp => "codes",
            Self::ForgotPasswordByIp => "forgot-password",
            Self::PasskeyChallengesByIp => "passkey challenges",
            Self::SocialRequestsByIp => "social requests",
            Self::SocialSignInByIp => "social sign-in",
            _ => "sign-in",
        }
    }

    /// The configuration key of the limit on this, under a contract.
    pub fn limit_key(&self, contract: &str) -> String {
        let of_contract = |name: &str| limit_key::of_contract(contract, name);
        match self {
            Self::SignUpByIp => of_contract("sign_up_by_ip"),
            Self::SignInByIp => of_contract("sign_in_by_ip"),
            Self::SignInByLogin(_) => of_contract("sign_in_by_email"),
            Self::FailedSignIn(_) => of_contract("failed_sign_in"),
            Self::ForgotPasswordByIp => of_contract("forgot_password_by_ip"),
            Self::ForgotPasswordByEmail(_) | Self::EmailChangeByEmail(_) => {
                of_contract("forgot_password_by_email")
            }
            Self::ResendByAccount(_) | Self::EmailChangeByAccount(_) => of_contract("resend_by_account"),
            Self::MailsByEmail(_) | Self::NoticesByAccount(_) => of_contract("mails_by_email"),
            Self::FailedPasswordByLogin(_) | Self::FailedPasswordFromKnownNetwork(_) => {
                "failed_passwords_by_account".to_owned()
            }
            Self::FailedCodeByAccount(_)
            | Self::FailedPhoneCode(_)
            | Self::FailedPhoneCodeFromKnownNetwork(_) => "failed_codes_by_account".to_owned(),
            Self::FailedCodeByNetwork => "failed_codes_by_network".to_owned(),
            Self::FailedCodeOfChallenge(_) => "none: five wrong codes, which is not configurable".to_owned(),
            Self::Factor(CountedFactor::WrongInARow(..) | CountedFactor::WrongInARowFromKnownNetwork(..)) => {
                of_contract("wrong_second_factor")
            }
            Self::Factor(CountedFactor::WrongFromKnownNetwork(_)) => "failed_codes_by_account".to_owned(),
            Self::Factor(CountedFactor::Sent(..)) => of_contract("second_factor_codes"),
            Self::PasskeyChallengesByIp => of_contract("passkey_challenges_by_ip"),
            Self::SocialRequestsByIp => of_contract("social_requests_by_ip"),
            Self::SocialSignInByIp => of_contract("social_sign_in_by_ip"),
            Self::CodesAtOnceByPhone(_) => "phone.limits.by_phone_at_once".to_owned(),
            Self::CodesByPhone(_) => "phone.limits.by_phone".to_owned(),
            Self::CodesByIp => "phone.limits.by_ip".to_owned(),
            Self::RegistrationsByPrefix(_) => "phone.limits.by_prefix".to_owned(),
            Self::PasswordsSetByAccount(_) => "passwords_set_by_account".to_owned(),
            Self::PasswordsSetByOrganization(_) => "passwords_set_by_organization".to_owned(),
            Self::PasswordsSetByNetwork => "passwords_set_by_network".to_owned(),
            Self::Client(counted) => counted.limit_key().to_owned(),
            Self::MessagesByRecipient(_) => "messages.by_recipient".to_owned(),
            Self::MessagesByNetwork => "messages.by_network".to_owned(),
            Self::MessagesByAccount(_) => "messages.by_account".to_owned(),
            Self::MessagesByOrganization(_) => "messages.by_organization".to_owned(),
        }
    }
}

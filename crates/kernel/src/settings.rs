//! Settings of an installation.

use std::sync::Arc;
use std::time::Duration;

use tidegate_crypto::RelyingParty;
use tidegate_domain::audit::AuditRetention;
use tidegate_domain::browser::BrowserSettings;
use tidegate_domain::factor::FactorResets;
use tidegate_domain::limit::{Limit, MessageLimits};
use tidegate_domain::phone::TextLimits;
use tidegate_domain::quota::Quotas;
use tidegate_domain::{
    Brand, ContractId, ContractProfile, ContractProfiles, Languages, OauthRules, PhoneRule,
};

/// The settings of an installation.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where clients reach it; the tokens' issuer.
    pub public_url: String,
    /// What it is called on pages, in mails and in text messages.
    pub product: String,
    /// What it looks like to people.
    pub brand: Arc<Brand>,
    /// The languages people are written to in.
    pub languages: Arc<Languages>,
    /// Where people sign in: the application's own page. None where pages have no way back.
    pub sign_in_link: Option<String>,
    /// Link in verification mails; `{token}` is replaced.
    pub verify_email_link: String,
    /// Link in password-reset mails; `{token}` is replaced.
    pub reset_password_link: String,
    /// Link with which the previous mailbox takes a changed address back; `{token}` is replaced.
    pub restore_email_link: String,
    /// Link in security notices; `{token}` is replaced.
    pub secure_account_link: String,
    /// Link that calls off a reset of second factors; `{token}` is replaced.
    pub cancel_factor_reset_link: String,
    /// Link that confirms a reset of second factors; `{token}` is replaced.
    pub confirm_factor_reset_link: String,
    /// How resets of second factors take effect.
    pub factor_resets: FactorResets,
    /// How long a device is trusted.
    pub trusted_device_age: Duration,
    /// Where passkeys are registered and used.
    pub passkeys: PasskeySettings,
    /// Whether mails are sent, or kept to be read.
    pub mail: DeliveryMode,
    /// Whether text messages are sent, or kept to be read.
    pub sms: DeliveryMode,
    /// Which phone numbers get text messages.
    pub phones: PhoneRule,
    /// Their limits.
    pub texts: TextLimits,
    /// What differs between the contracts that are served.
    pub contracts: ContractProfiles,
    /// The rules under which browsers sign in at the hosted pages.
    pub browser: Arc<ContractProfile>,
    /// Whether people can make an account at a hosted page.
    pub sign_up_page: bool,
    /// Hosts, with their ports where they are not the scheme's, to which links in mails may lead beside this installation.
    pub redirect_hosts: Vec<String>,
    /// How long a new database is being prepared.
    pub database_preparation: Duration,
    /// Wrong passwords for one account, through all contracts and from all addresses together (OWASP ASVS 2.2.1). Networks
    /// the account has signed in from have the same limit each on their own.
    pub failed_passwords_by_account: Option<Limit>,
    /// Wrong one-time codes for one account, over all its challenges: a challenge's own five tries begin anew with every
    /// code that is sent.
    pub failed_codes_by_account: Option<Limit>,
    /// Passwords that one account sets: its own, and those of the people and programs it manages. Each costs a hash.
    pub passwords_set_by_account: Option<Limit>,
    /// Passwords that all accounts of one organization set.
    pub passwords_set_by_organization: Option<Limit>,
    /// Passwords set from one network without a session: by sign-ups and resets.
    pub passwords_set_by_network: Option<Limit>,
    /// Wrong one-time codes from one client network, for all accounts together.
    pub failed_codes_by_network: Option<Limit>,
    /// Mails and text messages, by recipient and by who causes them.
    pub messages: MessageLimits,
    /// How long audit events are kept.
    pub audit: AuditRetention,
    /// Requests of one account that have the broker work, which counts its calls.
    pub brokerage_by_account: Option<Limit>,
    /// Most an organization may keep.
    pub quotas: Quotas,
    /// Applications that sign people in. Set with [`Settings::set_oauth`].
    pub oauth: OauthSettings,
    /// Fields of an application for a brokerage account that are the operator's to fill in, and that applicants may.
    pub forwarded_broker_fields: Vec<String>,
    /// How long a signing key verifies after it was retired: the longest life of a token made with it.
    pub longest_access_token: Duration,
}

/// Applications that sign people in.
#[derive(Clone, Debug)]
pub struct OauthSettings {
    /// What the operator decides.
    pub rules: OauthRules,
    /// What follows from it for tokens and sessions.
    pub profile: Arc<ContractProfile>,
}

impl From<OauthRules> for OauthSettings {
    fn from(rules: OauthRules) -> Self {
        Self { profile: Arc::new(rules.profile()), rules }
    }
}

/// Where passkeys are registered and used.
#[derive(Clone, Debug)]
pub struct PasskeySettings {
    /// The relying party, or what an operator must do to get one.
    pub relying_party: Result<Arc<RelyingParty>, String>,
    /// Whether the beginning of a sign-in does not disclose which addresses have an account.
    pub conceal_accounts: bool,
}

impl PasskeySettings {
    /// The relying party of an installation reached at `public_url`.
    pub fn at(public_url: &str) -> Self {
        let relying_party = RelyingParty::at(public_url, PRODUCT);
        Self { relying_party: relying_party.map(Arc::new).map_err(Self::missing), conceal_accounts: false }
    }

    /// What an operator is told who has no relying party.
    pub fn missing(reason: impl std::fmt::Display) -> String {
        format!(
            "passkeys are not set up: {reason}; set public_url, or relying_party_id and origins in [passkeys]"
        )
    }
}

/// What an installation is called unless its operator says otherwise.
const PRODUCT: &str = "Tidegate";

/// What happens to mails, or to text messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryMode {
    /// Nothing can be sent; what needs a message is refused.
    Off,
    /// They are sent by a provider.
    Send,
    /// They stay readable in the outbox: `--dev`.
    Keep,
}

impl Settings {
    /// The defaults for an installation reached at `public_url`, whose mails and text messages go the same way, and which
    /// serves these contracts.
    pub fn new(public_url: &str, messages: DeliveryMode, contracts: ContractProfiles) -> Self {
        let public_url = public_url.trim_end_matches('/');
        Self {
            public_url: public_url.to_owned(),
            product: PRODUCT.to_owned(),
            brand: Arc::default(),
            languages: Arc::default(),
            sign_in_link: None,
            verify_email_link: format!("{public_url}/verify-email?token={{token}}"),
            reset_password_link: format!("{public_url}/reset-password?token={{token}}"),
            restore_email_link: format!("{public_url}/restore-email?token={{token}}"),
            secure_account_link: format!("{public_url}/secure-account?token={{token}}"),
            cancel_factor_reset_link: format!("{public_url}/cancel-factor-reset?token={{token}}"),
            confirm_factor_reset_link: format!("{public_url}/confirm-factor-reset?token={{token}}"),
            factor_resets: FactorResets::default(),
            trusted_device_age: Duration::from_secs(30 * 24 * 3_600),
            passkeys: PasskeySettings::at(public_url),
            mail: messages,
            sms: messages,
            phones: PhoneRule::default(),
            texts: TextLimits::default(),
            longest_access_token: Duration::ZERO,
            browser: Arc::new(BrowserSettings::default().profile(&contracts.of_installation())),
            sign_up_page: false,
            contracts,
            redirect_hosts: Vec::new(),
            database_preparation: Duration::ZERO,
            failed_passwords_by_account: Some(Limit::new(100, 3_600)),
            failed_codes_by_account: Some(Limit::new(20, 3_600)),
            passwords_set_by_account: Some(Limit::new(10, 60)),
            passwords_set_by_organization: Some(Limit::new(30, 60)),
            passwords_set_by_network: Some(Limit::new(30, 60)),
            failed_codes_by_network: Some(Limit::new(60, 3_600)),
            messages: MessageLimits::default(),
            audit: AuditRetention::default(),
            brokerage_by_account: Some(Limit::new(30, 60)),
            quotas: Quotas::default(),
            forwarded_broker_fields: Vec::new(),
            oauth: OauthRules::default().into(),
        }
        .with_oauth(OauthRules::default())
    }

    /// These settings with other rules for applications.
    #[must_use]
    pub fn with_oauth(mut self, rules: OauthRules) -> Self {
        self.set_oauth(rules);
        self
    }

    /// Sets the rules for applications, and all that follows from them.
    pub fn set_oauth(&mut self, rules: OauthRules) {
        let longest = rules.access_token_lifetime.max(rules.id_token_lifetime);
        self.longest_access_token = self.contracts.longest_signed_token().max(longest);
        self.oauth = rules.into();
    }

    /// The profile of a contract, of the OAuth endpoints, or of the hosted sign-in.
    pub fn profile(&self, contract: ContractId) -> &Arc<ContractProfile> {
        match contract {
            ContractId::OAUTH => &self.oauth.profile,
            ContractId::BROWSER => &self.browser,
            contract => self.contracts.of(contract),
        }
    }
}

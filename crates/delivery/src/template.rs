//! What mails and text messages say: texts built in, replaceable file by file by the operator.
//!
//! Each mail is three files, `<name>.subject.txt`, `<name>.txt` and `<name>.html`, in Jinja syntax, and each text message is
//! one, `<name>.txt`. A file of the same name in the operator's directory takes the built-in one's place.
//!
//! The built-in files hold no words of their own: `t("key")` takes them from the catalogue of the recipient's language, and
//! fills in the template's own values. `layout.html` and `parts.html` are what all mails look like.

mod engine;
mod error;
mod files;
mod samples;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

pub use error::TemplateError;
use files::{line_of, nearest, read};
use minijinja::Environment;
use minijinja::value::Serde;
use serde_json::{Value, json};
use tidegate_domain::{Brand, Languages, Secret};

use crate::sms::gsm;

/// The mails this program sends. Source: RiverGen contract section 1.12.
///
/// Every mail may use `product` (name of the installation, `Tidegate` unless given), `email` (the recipient), `language`,
/// `support` (may be empty) and `display_name` (may be empty). The built-in texts leave the name out of mails to unverified addresses:
/// otherwise an attacker who signs up with another person's address could put text into a mail to that person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Template {
    /// Verifies the address of a new account: `code`, `link`, `minutes`.
    SignUpCode,
    /// Lets the account owner set a new password: `link`, `minutes`.
    PasswordReset,
    /// Invites an address to an account that an organization manages, by a link to choose its first password: `link`,
    /// `minutes`, `organization`.
    Invitation,
    /// The same for an account that has a password, by a code: `code`, `link`, `minutes`, `organization`.
    InvitationCode,
    /// Reports that the password was changed: `when` (RFC 3339; `when|date` in words), `ip`, `phones` (those that can sign in, masked; may be empty), `passkeys` (how many can), `tokens` (how many access tokens were revoked).
    PasswordChanged,
    /// Verifies the new address of an account: `code`, `minutes`.
    EmailChangeCode,
    /// Reports to the current address that a change of it was requested: `old_email`, `when` (RFC 3339; `when|date` in words), `ip`.
    EmailChangeRequested,
    /// Reports that the address of the account was changed: `old_email`, `new_email`, `when` (RFC 3339; `when|date` in words).
    EmailChanged,
    /// Adds an e-mail address to an account that has a phone number only: `link`, `minutes`, `phones` (masked; may be empty).
    EmailAddition,
    /// Tells the owner of an organization that a program or one of its keys was made there: `made` (`program` or `key`),
    /// `program` (its name), `when` (RFC 3339; `when|date` in words), `ip`.
    CredentialMade,
    /// A code of a second factor: `code`, `minutes`.
    SecondFactorCode,
    /// Reports a sign-in from a new network, or a device that is trusted from now on: `device`, `days` (for how long it is trusted; 0 where it is
    /// not), `when` (ISO 8601), `ip`, `link` (ends all sessions and starts recovery).
    NewDevice,
    /// Reports that a second factor was added: `factor`, `when` (ISO 8601), `ip`, `link`.
    FactorAdded,
    /// Reports that second factors were removed: `factor`, `when` (ISO 8601), `ip`, `link`.
    FactorRemoved,
    /// Reports that a passkey was added: `passkey` (what its owner calls it), `when` (ISO 8601), `ip`, `link`.
    PasskeyAdded,
    /// Reports that a passkey was removed: `passkey` (its name), `when` (ISO 8601), `ip`, `link`.
    PasskeyRemoved,
    /// Reports that an access token was made: `token` (its name), `scopes`, `when` (ISO 8601), `ip`, `link`.
    TokenMade,
    /// Reports that an application was given access to the account: `application` (its name), `organization` (that it belongs to), `scopes`,
    /// `when` (ISO 8601), `ip`, `link`.
    ApplicationAllowed,
    /// Reports that an account at another identity provider signs in from now on: `provider`, `when` (ISO 8601), `ip`, `link`.
    ProviderConnected,
    /// Reports that codes by text message, the account's only second factor, can no longer be sent: `factor`, `remaining` (backup codes),
    /// `when` (ISO 8601), `ip`, `link`.
    FactorUnreachable,
    /// Reports that an administrator has the account's second factors reset: `factor`, `when` (ISO 8601), `at` (ISO 8601; when it takes
    /// effect), `link` (calls it off).
    FactorResetRequested,
    /// Asks the owner to confirm that an administrator resets the account's second factors: `factor`, `when` (ISO 8601), `at` (ISO 8601;
    /// until when the link works), `link`.
    FactorResetConfirmation,
    /// Reports that a backup code was used: `remaining`, `when` (ISO 8601), `ip`, `link`.
    RecoveryCodeUsed,
    /// Reports that few backup codes are left: `remaining`, `when` (ISO 8601), `ip`, `link`.
    RecoveryCodesLow,
    /// Verifies the address for which an account is to be made on the hosted page, where none is made before: `code`, `minutes`.
    HostedSignUpCode,
    /// The same mail where the address has an account already: its owner is told so. `link` (the hosted sign-in).
    AddressInUse,
}

/// The text messages this program sends. Source: Riven contract, section 1.
///
/// Every one may use `product`, as mails may. It is one line of at most 160 characters of the GSM alphabet: more is sent as
/// two messages, and paid for twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SmsTemplate {
    /// Verifies a phone number: `code`, `minutes`.
    Code,
}

/// A mail ready to be sent. It holds codes and links, so `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// One line, without control characters.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The same in HTML.
    pub html: String,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[mail]")
    }
}

/// The files of one mail: where they are overridden and what they say otherwise.
struct Files {
    subject: (&'static str, &'static str),
    text: (&'static str, &'static str),
    html: (&'static str, &'static str),
}

macro_rules! built_in {
    ($name:literal) => {
        Files {
            subject: (
                concat!($name, ".subject.txt"),
                include_str!(concat!("../templates/", $name, ".subject.txt")),
            ),
            text: (concat!($name, ".txt"), include_str!(concat!("../templates/", $name, ".txt"))),
            html: (concat!($name, ".html"), include_str!(concat!("../templates/", $name, ".html"))),
        }
    };
}

impl Files {
    const fn all(&self) -> [(&'static str, &'static str); 3] {
        [self.subject, self.text, self.html]
    }
}

impl Template {
    /// All of them.
    pub const ALL: [Self; 26] = [
        Self::SignUpCode,
        Self::PasswordReset,
        Self::Invitation,
        Self::InvitationCode,
        Self::PasswordChanged,
        Self::EmailChangeCode,
        Self::EmailChangeRequested,
        Self::EmailChanged,
        Self::EmailAddition,
        Self::CredentialMade,
        Self::SecondFactorCode,
        Self::NewDevice,
        Self::FactorAdded,
        Self::FactorRemoved,
        Self::PasskeyAdded,
        Self::PasskeyRemoved,
        Self::TokenMade,
        Self::ApplicationAllowed,
        Self::ProviderConnected,
        Self::FactorUnreachable,
        Self::FactorResetRequested,
        Self::FactorResetConfirmation,
        Self::RecoveryCodeUsed,
        Self::RecoveryCodesLow,
        Self::HostedSignUpCode,
        Self::AddressInUse,
    ];

    /// The name in file names and in the outbox.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignUpCode => "sign_up_code",
            Self::PasswordReset => "password_reset",
            Self::Invitation => "invitation",
            Self::InvitationCode => "invitation_code",
            Self::PasswordChanged => "password_changed",
            Self::EmailChangeCode => "email_change_code",
            Self::EmailChangeRequested => "email_change_requested",
            Self::EmailChanged => "email_changed",
            Self::EmailAddition => "email_addition",
            Self::CredentialMade => "credential_made",
            Self::SecondFactorCode => "second_factor_code",
            Self::NewDevice => "new_device",
            Self::FactorAdded => "factor_added",
            Self::FactorRemoved => "factor_removed",
            Self::PasskeyAdded => "passkey_added",
            Self::PasskeyRemoved => "passkey_removed",
            Self::TokenMade => "token_made",
            Self::ApplicationAllowed => "application_allowed",
            Self::ProviderConnected => "provider_connected",
            Self::FactorUnreachable => "factor_unreachable",
            Self::FactorResetRequested => "factor_reset_requested",
            Self::FactorResetConfirmation => "factor_reset_confirmation",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::RecoveryCodesLow => "recovery_codes_low",
            Self::HostedSignUpCode => "hosted_sign_up_code",
            Self::AddressInUse => "address_in_use",
        }
    }

    /// The template of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.as_str() == name)
    }

    /// Whether the recipient may be called by name. Not in mails to an address that is yet to be proven: `display_name` is empty
    /// there, whatever template an operator puts in place.
    pub const fn may_name_recipient(self) -> bool {
        match self {
            Self::PasswordReset | Self::PasswordChanged | Self::EmailChangeRequested | Self::EmailChanged => {
                true
            }
            Self::SignUpCode
            | Self::Invitation
            | Self::InvitationCode
            | Self::EmailChangeCode
            | Self::EmailAddition
            | Self::CredentialMade
            | Self::SecondFactorCode
            | Self::NewDevice
            | Self::FactorAdded
            | Self::FactorRemoved
            | Self::PasskeyAdded
            | Self::PasskeyRemoved
            | Self::TokenMade
            | Self::ApplicationAllowed
            | Self::ProviderConnected
            | Self::FactorUnreachable
            | Self::FactorResetRequested
            | Self::FactorResetConfirmation
            | Self::RecoveryCodeUsed
            | Self::RecoveryCodesLow
            | Self::HostedSignUpCode
            | Self::AddressInUse => false,
        }
    }

    const fn files(self) -> Files {
        match self {
            Self::SignUpCode => built_in!("sign_up_code"),
            Self::PasswordReset => built_in!("password_reset"),
            Self::Invitation => built_in!("invitation"),
            Self::InvitationCode => built_in!("invitation_code"),
            Self::PasswordChanged => built_in!("password_changed"),
            Self::EmailChangeCode => built_in!("email_change_code"),
            Self::EmailChangeRequested => built_in!("email_change_requested"),
            Self::EmailChanged => built_in!("email_changed"),
            Self::EmailAddition => built_in!("email_addition"),
            Self::CredentialMade => built_in!("credential_made"),
            Self::SecondFactorCode => built_in!("second_factor_code"),
            Self::NewDevice => built_in!("new_device"),
            Self::FactorAdded => built_in!("factor_added"),
            Self::FactorRemoved => built_in!("factor_removed"),
            Self::PasskeyAdded => built_in!("passkey_added"),
            Self::PasskeyRemoved => built_in!("passkey_removed"),
            Self::TokenMade => built_in!("token_made"),
            Self::ApplicationAllowed => built_in!("application_allowed"),
            Self::ProviderConnected => built_in!("provider_connected"),
            Self::FactorUnreachable => built_in!("factor_unreachable"),
            Self::FactorResetRequested => built_in!("factor_reset_requested"),
            Self::FactorResetConfirmation => built_in!("factor_reset_confirmation"),
            Self::RecoveryCodeUsed => built_in!("recovery_code_used"),
            Self::RecoveryCodesLow => built_in!("recovery_codes_low"),
            Self::HostedSignUpCode => built_in!("hosted_sign_up_code"),
            Self::AddressInUse => built_in!("address_in_use"),
        }
    }
}

impl SmsTemplate {
    /// All of them.
    pub const ALL: [Self; 1] = [Self::Code];

    /// The name in the outbox, and before `.txt` in file names.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "sms_code",
        }
    }

    /// The template of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|template| template.as_str() == name)
    }

    const fn file(self) -> (&'static str, &'static str) {
        match self {
            Self::Code => ("sms_code.txt", include_str!("../templates/sms_code.txt")),
        }
    }

    /// Every key the template may use, with a value as long as those it will get.
    fn sample(self) -> Value {
        match self {
            Self::Code => json!({"product": "Tidegate", "code": "49302718", "minutes": 10}),
        }
    }
}

/// The templates in force: every one is known to parse, and to render from a sample. Of those that are built in the tests know it, which
/// keeps the start short.
#[derive(Debug)]
pub struct Templates {
    environment: Environment<'static>,
}

impl Templates {
    /// Loads the built-in templates, and in place of some of them the files of `overrides`.
    ///
    /// # Errors
    /// [`TemplateError`] for the first file that is unreadable, unknown or mistaken; the program should not start.
    pub fn load(overrides: Option<&Path>) -> Result<Self, TemplateError> {
        Self::load_in(overrides, Arc::default(), &Brand::default())
    }

    /// The same in the languages and colours of an installation.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn load_in(
        overrides: Option<&Path>,
        languages: Arc<Languages>,
        brand: &Brand,
    ) -> Result<Self, TemplateError> {
        let are_texts_changed = languages.is_changed();
        let tags: Vec<String> = languages.all().map(|catalogue| catalogue.lang().to_owned()).collect();
        let mut replaced = match overrides {
            Some(directory) => read(directory)?,
            None => BTreeMap::new(),
        };
        let environment = engine::environment(languages, brand)
            .map_err(|error| Mistake::from(error).found_in("layout".to_owned()))?;
        let mut templates = Self { environment };
        let mut source = |(name, built_in): (&'static str, &'static str)| match replaced.remove(name) {
            Some((path, source)) => (path.display().to_string(), Cow::Owned(source)),
            None => (name.to_owned(), Cow::Borrowed(built_in)),
        };
        for template in Template::ALL {
            let samples_of = |name| tags.iter().map(move |tag| in_language(template.sample(name), tag));
            for part in template.files().all() {
                let (file, source) = source(part);
                let is_new = are_texts_changed || matches!(source, Cow::Owned(_));
                let names: &[&str] = if is_new { &["Ada Lovelace", ""] } else { &[] };
                let samples: Vec<Value> = names.iter().copied().flat_map(samples_of).collect();
                templates.add(part.0, source, &samples).map_err(|mistake| mistake.found_in(file))?;
            }
        }
        for template in SmsTemplate::ALL {
            let (file, source) = source(template.file());
            let samples: Vec<Value> = tags.iter().map(|tag| in_language(template.sample(), tag)).collect();
            let added = templates.add(template.file().0, source, &samples);
            let checked = added
                .and_then(|()| samples.iter().try_for_each(|sample| templates.check_sms(template, sample)));
            checked.map_err(|mistake| mistake.found_in(file))?;
        }
        Ok(templates)
    }

    /// Fills `template` in from the keys of `context`, an object.
    ///
    /// # Errors
    /// [`TemplateError::Broken`] when the context lacks a key the template uses. The text holds no value of it.
    pub fn render(&self, template: Template, context: &Value) -> Result<Rendered, TemplateError> {
        let files = template.files();
        Ok(Rendered {
            subject: one_line(&self.part(files.subject.0, context)?),
            text: self.part(files.text.0, context)?,
            html: self.part(files.html.0, context)?,
        })
    }

    /// Fills `template` in from the keys of `context`, an object.
    ///
    /// # Errors
    /// Those of [`render`](Self::render).
    pub fn render_sms(&self, template: SmsTemplate, context: &Value) -> Result<Secret, TemplateError> {
        self.part(template.file().0, context).map(|text| Secret::new(one_line(&text)))
    }

    fn part(&self, name: &str, context: &Value) -> Result<String, TemplateError> {
        self.fill(name, context).map_err(|error| TemplateError::Broken {
            file: name.to_owned(),
            line: error.line(),
            // Its detail could quote a value, and values are secrets here.
            reason: error.kind().to_string(),
        })
    }

    fn fill(&self, name: &str, context: &Value) -> Result<String, minijinja::Error> {
        self.environment.get_template(name)?.render(Serde(context))
    }

    fn add(
        &mut self,
        name: &'static str,
        source: Cow<'static, str>,
        samples: &[Value],
    ) -> Result<(), Mistake> {
        // All of them have the same keys.
        if let Some(sample) = samples.first() {
            self.find_unknown_keys(sample, name, &source)?;
        }
        self.environment.add_template_owned(name, source).map_err(Mistake::from)?;
        for sample in samples {
            if one_line(&self.fill(name, sample)?).is_empty() {
                return Err(Mistake::new("says nothing"));
            }
        }
        Ok(())
    }

    fn check_sms(&self, template: SmsTemplate, sample: &Value) -> Result<(), Mistake> {
        let text = one_line(&self.fill(template.file().0, sample)?);
        if !sample.get("code").and_then(Value::as_str).is_some_and(|code| text.contains(code)) {
            return Err(Mistake::new("does not contain `code`"));
        }
        match gsm::septets(&text) {
            Ok(taken) if taken <= gsm::ONE_MESSAGE => Ok(()),
            Ok(taken) => Err(Mistake::new(format!(
                "takes {taken} of the {} characters of one message",
                gsm::ONE_MESSAGE
            ))),
            Err(c) => Err(Mistake::new(format!("`{c}` is not in the alphabet of text messages (GSM 7 bit)"))),
        }
    }

    /// Strict rendering alone would miss a mistyped key in a branch that the samples do not take.
    fn find_unknown_keys(&self, sample: &Value, name: &str, source: &str) -> Result<(), Mistake> {
        let known: Vec<&str> =
            sample.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        let used = self.environment.template_from_named_str(name, source)?.undeclared_variables(false);
        let is_known =
            |key: &str| known.contains(&key) || self.environment.globals().any(|(global, _)| global == key);
        let Some(unknown) = used.iter().filter(|key| !is_known(key)).min() else {
            return Ok(());
        };
        let nearest = nearest(unknown, known.iter().copied()).unwrap_or_default();
        Err(Mistake {
            line: line_of(unknown, source),
            reason: format!(
                "`{unknown}` is not known; did you mean `{nearest}`? Known here: {}",
                known.join(", ")
            ),
        })
    }
}

/// A sample for a recipient who reads that language.
fn in_language(mut sample: Value, tag: &str) -> Value {
    tidegate_domain::text::merge(&mut sample, &json!({ "language": tag }));
    sample
}

/// What is wrong with a template's source, not knowing yet which file it came from.
struct Mistake {
    line: Option<usize>,
    reason: String,
}

impl Mistake {
    fn new(reason: impl Into<String>) -> Self {
        Self { line: None, reason: reason.into() }
    }

    fn found_in(self, file: String) -> TemplateError {
        TemplateError::Broken { file, line: self.line, reason: self.reason }
    }
}

impl From<minijinja::Error> for Mistake {
    fn from(error: minijinja::Error) -> Self {
        let kind = error.kind();
        Self {
            line: error.line(),
            reason: error.detail().map_or_else(|| kind.to_string(), |detail| format!("{kind}: {detail}")),
        }
    }
}

/// No text a person chose may begin another header (CWE-93).
fn one_line(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;

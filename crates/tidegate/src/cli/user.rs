//! `tidegate user`

use clap::{Args, Subcommand};
use tidegate_domain::EmailAddress;
use tidegate_domain::account::{LoginName, ServiceName};
use tidegate_domain::id::ApplicationId;
use tidegate_identity::operator::AccountName;
use uuid::Uuid;

use super::tokens::UserTokens;
use super::{OrganizationName, email, organization_name_or_id, recipient};

/// Accounts of people and programs.
#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// List accounts in the order they were created
    #[command(
        after_help = "Examples:\n  tidegate user list --search ada\n  tidegate user list --organization 17 --disabled --json"
    )]
    List(UserList),
    /// Show an account: identifiers, organizations, sessions and the last sign-ins
    #[command(
        after_help = "Examples:\n  tidegate user show ada@example.com\n  tidegate user show +254712345678\n  tidegate user show 42"
    )]
    Show(Named),
    /// Create an individual; the address counts as verified
    #[command(
        after_help = "Examples:\n  tidegate user create --email ada@example.com --name \"Ada Lovelace\"\n  \
        printf '%s' \"$PASSWORD\" | tidegate user create --email ada@example.com --password-stdin"
    )]
    Create(UserCreate),
    /// Keep an account out, end its sessions and revoke its access tokens at once
    #[command(after_help = "Example:\n  tidegate user disable ada@example.com")]
    Disable(Named),
    /// Let a disabled account sign in again
    #[command(after_help = "Example:\n  tidegate user enable ada@example.com")]
    Enable(Named),
    /// Let an account sign in again that wrong passwords or codes keep out
    #[command(
        after_help = "Limits by client network end by themselves; see docs/operations.md.\n\nExample:\n  \
        tidegate user unlock ada@example.com"
    )]
    Unlock(Named),
    /// Lift the block of an account at a provider, which the owner had said is not theirs
    #[command(
        after_help = "Its owner connects it again with a mailed code. What is blocked, the export shows.\n\nExample:\n  \
        tidegate user unblock-provider ada@example.com --provider google --subject 110169484474386276334"
    )]
    UnblockProvider(UnblockProvider),
    /// Delete an account, its sessions and the data kept with it; this cannot be undone
    #[command(after_help = "Example:\n  tidegate user delete ada@example.com --yes")]
    Delete(UserDelete),
    /// List an account's active sessions, or end them
    #[command(after_help = "Examples:\n  tidegate user sessions ada@example.com\n  \
        tidegate user sessions ada@example.com --end 17\n  tidegate user sessions ada@example.com --end-all")]
    Sessions(UserSessions),
    /// List an account's access tokens, or revoke them
    #[command(after_help = "Examples:\n  tidegate user tokens ada@example.com\n  \
        tidegate user tokens ada@example.com --revoke 17\n  tidegate user tokens ada@example.com --revoke-all")]
    Tokens(UserTokens),
    /// List the applications that have access to an account, or take it from one of them
    #[command(after_help = "Examples:\n  tidegate user consents ada@example.com\n  \
        tidegate user consents ada@example.com --revoke 5f0c9e2a-7b1d-4c3e-8f6a-2d9b0e1c4a57")]
    Consents(UserConsents),
    /// Print what is stored of an account as one JSON object, without passwords, keys and tokens
    #[command(after_help = "Example:\n  tidegate user export ada@example.com > ada.json")]
    Export(Named),
    /// Remove an e-mail address or phone number from an account, and end its sessions; with the primary address goes the password
    #[command(after_help = "Example:\n  tidegate user remove-identifier ada@example.com +254712345678")]
    RemoveIdentifier(RemoveIdentifier),
    /// Remove all second factors, backup codes and trusted devices of an account, sign it out, and mail its owner
    #[command(after_help = "Example:\n  tidegate user reset-mfa ada@example.com")]
    ResetMfa(ResetMfa),
}

#[derive(Debug, Args)]
pub(crate) struct UserConsents {
    #[command(flatten)]
    pub(crate) named: Named,
    /// Take its access from the application of this client_id: its sessions end, and it has to ask again
    #[arg(long, value_name = "CLIENT_ID", value_parser = super::client::client_id)]
    pub(crate) revoke: Option<ApplicationId>,
}

#[derive(Debug, Args)]
pub(crate) struct ResetMfa {
    /// The account's e-mail address
    #[arg(value_name = "ADDRESS", value_parser = email)]
    pub(crate) email: EmailAddress,
}

#[derive(Debug, Args)]
pub(crate) struct UserList {
    /// Only members of this organization: its id or number, from `tidegate org list`
    #[arg(long, value_name = "ORGANIZATION", value_parser = organization_name_or_id)]
    pub(crate) organization: Option<OrganizationName>,
    /// Only accounts with this text in an identifier or the name
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) search: String,
    /// Only disabled accounts
    #[arg(long)]
    pub(crate) disabled: bool,
    /// Go on after the account of this number
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    pub(crate) after: i64,
    /// Maximum number of accounts
    #[arg(long, value_name = "COUNT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) limit: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Named {
    /// The account: an e-mail address, a phone number with its country code, its id or number, or a program's name (program:NAME where that could be any of the others)
    #[arg(value_name = "ACCOUNT", value_parser = account)]
    pub(crate) account: AccountName,
}

#[derive(Debug, Args)]
pub(crate) struct UserCreate {
    /// The e-mail address
    #[arg(long, value_name = "ADDRESS", value_parser = email)]
    pub(crate) email: EmailAddress,
    /// The name shown to people
    #[arg(long, value_name = "NAME", value_parser = shown_name)]
    pub(crate) name: Option<String>,
    /// Read the password from standard input; without this flag one is generated and printed once
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UserDelete {
    #[command(flatten)]
    pub(crate) named: Named,
    /// Delete without asking; needed where standard input is no terminal
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UserSessions {
    #[command(flatten)]
    pub(crate) named: Named,
    /// End the session of this number
    #[arg(long, value_name = "NUMBER")]
    pub(crate) end: Option<i64>,
    /// End all active sessions
    #[arg(long, conflicts_with = "end")]
    pub(crate) end_all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct UnblockProvider {
    #[command(flatten)]
    pub(crate) named: Named,
    /// The provider's name in the configuration
    #[arg(long)]
    pub(crate) provider: String,
    /// What the provider calls the person
    #[arg(long)]
    pub(crate) subject: String,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveIdentifier {
    #[command(flatten)]
    pub(crate) named: Named,
    /// The e-mail address, or the phone number with its country code
    #[arg(value_name = "IDENTIFIER", value_parser = recipient)]
    pub(crate) identifier: LoginName,
    /// The identifier that signs in in its place, where several could
    #[arg(long, value_name = "IDENTIFIER", value_parser = recipient)]
    pub(crate) primary: Option<LoginName>,
}

/// How people name accounts: by what they sign in with, or by what other commands print.
pub(super) fn account(text: &str) -> Result<AccountName, String> {
    let text = text.trim();
    if let Some(name) = text.strip_prefix("program:") {
        let name = ServiceName::parse(name).map_err(|error| error.to_string())?;
        return Ok(AccountName::Login(LoginName::Service(name)));
    }
    if let Ok(id) = text.parse::<Uuid>() {
        return Ok(AccountName::Id(id.into()));
    }
    if let Ok(number) = text.parse::<i64>()
        && !text.starts_with('+')
    {
        return Ok(AccountName::Number(number));
    }
    if text.contains('@') || text.starts_with('+') {
        return recipient(text).map(AccountName::Login);
    }
    let name = ServiceName::parse(text).map_err(|error| error.to_string())?;
    Ok(AccountName::Login(LoginName::Service(name)))
}

fn shown_name(text: &str) -> Result<String, String> {
    tidegate_domain::text::line(text, 255).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_by_address_phone_name_id_or_number() {
        let id = Uuid::from_u128(7);
        assert_eq!(account(&id.to_string()), Ok(AccountName::Id(id.into())));
        assert_eq!(account(" 42 "), Ok(AccountName::Number(42)));
        assert!(matches!(account("Ada@Example.com"), Ok(AccountName::Login(LoginName::Email(_)))));
        assert!(matches!(account("+254 712 345 678"), Ok(AccountName::Login(LoginName::Phone(_)))));
        assert!(matches!(account("billing service"), Ok(AccountName::Login(LoginName::Service(_)))));
        assert!(matches!(account("program:17"), Ok(AccountName::Login(LoginName::Service(_)))));
        assert!(account("ada@").is_err());
    }
}

//! What somebody may have meant by an option or a command that is not there.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, CommandFactory};

use super::Cli;
use crate::config::is_misspelling;

/// Names of options in other programs, and the option here. Passwords are not among the options: other users see those.
const OPTIONS: &[(&[&str], &str)] = &[
    (&["port", "host", "bind", "addr", "address", "interface", "http-port", "p"], "listen"),
    (&["db", "database-url", "db-url", "dsn", "url", "sqlite", "postgres", "d"], "database"),
    (&["data", "datadir", "dir", "directory", "data-path", "home"], "data-dir"),
    (&["config-file", "configuration", "conf", "settings", "c", "f"], "config"),
    (&["format", "output", "o"], "json"),
    (&["development", "debug", "devel"], "dev"),
    (&["root-password", "root-pass"], "root-password-stdin"),
    (&["password", "pass"], "password-stdin"),
    (&["email", "phone", "recipient", "address", "for"], "to"),
    (&["owner", "owner-email", "email", "root"], "root-email"),
    (&["org", "org-id", "organisation"], "organization"),
    (&["force", "y", "f", "confirm"], "yes"),
    (&["dry-run", "n"], "check"),
    (&["init", "create", "initialize"], "new"),
    (&["count", "max", "n"], "limit"),
    (&["query", "filter", "name", "q"], "search"),
    (&["alg", "algo", "type"], "algorithm"),
    (&["api", "dialect"], "contract"),
    (&["everything", "verbose", "full"], "all"),
];

/// Names of commands in other programs, and the command here.
const COMMANDS: &[(&[&str], &str)] = &[
    (&["start", "run", "server", "up", "init", "setup", "install"], "serve"),
    (&["users", "account", "accounts", "identity"], "user"),
    (&["orgs", "organization", "organizations", "organisation", "tenant", "tenants"], "org"),
    (&["mail", "mails", "message", "messages", "sms"], "outbox"),
    (&["job", "queue", "worker"], "jobs"),
    (&["key", "jwks", "certs"], "keys"),
    (&["migration", "migrations", "upgrade", "db", "database"], "migrate"),
    (&["check", "validate", "status", "verify", "health"], "doctor"),
    (&["example", "configuration", "settings", "template"], "config"),
    (&["swagger", "docs", "api", "spec"], "openapi"),
    (&["add", "new"], "create"),
    (&["ls", "all", "search", "find"], "list"),
    (&["rm", "remove", "del"], "delete"),
    (&["get", "info", "view", "read", "cat"], "show"),
    (&["resend", "again", "requeue"], "retry"),
    (&["remove", "rm", "delete", "discard"], "drop"),
    (&["rotation", "roll", "renew"], "rotate"),
    (&["activate", "unblock"], "enable"),
    (&["deactivate", "block", "ban", "suspend", "lock"], "disable"),
    (&["disable", "deactivate", "block", "ban"], "suspend"),
    (&["disable", "deactivate", "suspend", "stop"], "pause"),
    (&["enable", "activate", "unblock"], "resume"),
    (&["register"], "create"),
    (&["update", "edit", "modify", "alter"], "change"),
    (&["reset-secret", "new-secret", "regenerate-secret", "secret"], "rotate-secret"),
    (&["reset-2fa", "remove-2fa", "reset-otp", "remove-mfa", "disable-mfa", "mfa"], "reset-mfa"),
    (&["logout", "sign-out", "revoke-sessions", "session"], "sessions"),
    (&["dump", "snapshot"], "backup"),
];

/// Commands that other programs have and there are not here: below which one, their names, and what does it instead.
const INSTEAD: &[(&str, &[&str], &str)] = &[
    (
        "user",
        &["set-password", "reset-password", "change-password", "password", "passwd"],
        "no command sets a password: the account's owner sets a new one with \"Forgot your password?\" on the sign-in page",
    ),
    (
        "user",
        &["verify", "verify-email", "confirm", "resend"],
        "an address is verified by the code that is mailed to it at the sign-in; `tidegate outbox list --to ADDRESS` says what \
         became of the mail",
    ),
    (
        "user",
        &["update", "edit", "change", "modify", "rename", "set-email", "change-email", "set-role", "role"],
        "no command changes an account: its owner does, and its organization decides its role",
    ),
    (
        "org",
        &["invite", "add-member", "add-user", "remove-member", "remove-user", "members", "roles", "set-role"],
        "an organization invites and removes people itself; `tidegate org show ORGANIZATION` lists them",
    ),
    (
        "tidegate",
        &["stop", "restart", "reload"],
        "a server stops where it was started: with Ctrl-C, SIGTERM or `systemctl restart tidegate`; it reads its configuration at the start",
    ),
];

/// Puts our own suggestion in place of the nearest name, however far that is.
pub(crate) fn correct(error: &mut clap::Error, arguments: impl IntoIterator<Item = OsString>) {
    let text = |error: &clap::Error, kind: ContextKind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let mut root = Cli::command();
    root.build();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let at = command_of(&root, &arguments);
    let tip = match error.kind() {
        ErrorKind::UnknownArgument => text(error, ContextKind::InvalidArg).and_then(|name| {
            tip_for_one_dash(&arguments, &at, &name).or_else(|| tip_for_option(&root, &at, &name))
        }),
        ErrorKind::InvalidSubcommand => {
            text(error, ContextKind::InvalidSubcommand).and_then(|name| tip_for_command(at.command, &name))
        }
        _ => return,
    };
    for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::Suggested] {
        error.remove(kind);
    }
    if let Some(tip) = tip {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]));
    }
}

/// The command that was typed.
struct Typed<'c> {
    command: &'c Command,
    path: String,
}

fn command_of<'c>(root: &'c Command, arguments: &[OsString]) -> Typed<'c> {
    let mut typed = Typed { command: root, path: root.get_name().to_owned() };
    for argument in arguments.iter().skip(1) {
        if let Some(command) = argument.to_str().and_then(|name| typed.command.find_subcommand(name)) {
            typed = Typed { path: format!("{} {}", typed.path, command.get_name()), command };
        }
    }
    typed
}

/// An option of several letters that was typed with one dash: it is read letter by letter, and only the first unknown one is told.
fn tip_for_one_dash(arguments: &[OsString], at: &Typed<'_>, told: &str) -> Option<String> {
    let letter = told.strip_prefix('-').filter(|letter| *letter != "-" && letter.chars().count() == 1)?;
    let mut typed = arguments.iter().filter_map(|argument| argument.to_str()?.strip_prefix('-'));
    let name = typed.find(|name| name.len() > letter.len() && name.starts_with(letter))?;
    meant(at.command, name).map(|usage| format!("did you mean `{usage}`?"))
}

fn tip_for_option(root: &Command, at: &Typed<'_>, argument: &str) -> Option<String> {
    let name = argument.trim_start_matches('-');
    if name == argument {
        return None;
    }
    let name = name.split('=').next().unwrap_or(name);
    if let Some(usage) = meant(at.command, name) {
        // The command has it: it was typed before the command.
        let is_known = at.command.get_arguments().any(|option| option.get_long() == Some(name));
        return Some(if is_known {
            format!("`{usage}` stands behind its command: `{} {usage}`", at.path)
        } else {
            format!("did you mean `{usage}`?")
        });
    }
    let (path, usage) = of_another(root, root.get_name(), name)?;
    Some(format!("`{usage}` is an option of `{path}`"))
}

/// An option of the command: misspelled, or by another name.
fn meant(command: &Command, name: &str) -> Option<String> {
    let options = || command.get_arguments().filter(|option| option.get_long().is_some());
    let by_name = |known: &str| options().find(|option| option.get_long() == Some(known));
    let synonyms = || OPTIONS.iter().filter(|(names, _)| names.contains(&name));
    let option =
        by_name(name).or_else(|| synonyms().find_map(|(_, known)| by_name(known))).or_else(|| {
            options().find(|option| option.get_long().is_some_and(|known| is_misspelling(name, known)))
        })?;
    let value = option.get_value_names().and_then(|names| names.first());
    let takes_value = option.get_action().takes_values();
    let long = option.get_long()?;
    Some(match value.filter(|_| takes_value) {
        Some(value) => format!("--{long} {value}"),
        None => format!("--{long}"),
    })
}

fn of_another(command: &Command, path: &str, name: &str) -> Option<(String, String)> {
    command.get_subcommands().find_map(|command| {
        let path = format!("{path} {}", command.get_name());
        match meant(command, name) {
            Some(usage) => Some((path, usage)),
            None => of_another(command, &path, name),
        }
    })
}

fn tip_for_command(at: &Command, name: &str) -> Option<String> {
    let known = |wanted: &str| at.get_subcommands().map(Command::get_name).find(|known| *known == wanted);
    let synonym =
        || COMMANDS.iter().filter(|(names, _)| names.contains(&name)).find_map(|(_, name)| known(name));
    let misspelled = || at.get_subcommands().map(Command::get_name).find(|known| is_misspelling(name, known));
    if name == "version" {
        return Some("did you mean `--version`?".to_owned());
    }
    let instead = || {
        let mut there = INSTEAD.iter().filter(|(below, ..)| *below == at.get_name());
        there.find(|(_, names, _)| names.contains(&name)).map(|(.., tip)| (*tip).to_owned())
    };
    let did_you_mean = |name: &str| format!("did you mean `{name}`?");
    synonym().map(did_you_mean).or_else(instead).or_else(|| misspelled().map(did_you_mean))
}

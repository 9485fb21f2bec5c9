//! How this program is called in the shell that it was started from: it need not be on the PATH.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use serde_json::Value;
use tidegate_database::DatabaseUrl;

use crate::cli::GlobalFlags;

/// The name that stands in texts for however the program is called.
const NAME: &str = "tidegate";

/// What to type to call it.
pub(crate) fn called() -> String {
    let first = std::env::args().next().unwrap_or_else(|| NAME.to_owned());
    // `cargo run` tells the program whose it is, as it does a build script.
    let by_cargo = std::env::var_os("CARGO").is_some()
        && std::env::var_os("CARGO_PKG_NAME").is_some_and(|package| package == NAME);
    if by_cargo { by_cargo_run().to_owned() } else { by_path(&first, std::env::var_os("PATH")) }
}

const fn by_cargo_run() -> &'static str {
    if cfg!(debug_assertions) { "cargo run --" } else { "cargo run --release --" }
}

/// Its name, where that is enough; else the path by which it was called.
fn by_path(first: &str, search: Option<OsString>) -> String {
    let is_this = |found: &Path| {
        let [found, called] = [found, Path::new(first)].map(fs::canonicalize);
        matches!((found, called), (Ok(found), Ok(called)) if found == called)
    };
    let first_found = search.and_then(|search| {
        std::env::split_paths(&search).map(|directory| directory.join(NAME)).find(|found| found.is_file())
    });
    match first_found {
        Some(found) if is_this(&found) => NAME.to_owned(),
        _ => shell_word(first),
    }
}

/// What every command that a text names has to be given to be about the same installation: the flags of this run.
static FLAGS: OnceLock<Vec<(&'static str, String)>> = OnceLock::new();

/// Remembers the flags of this run. The first call counts.
pub(crate) fn remember(global: &GlobalFlags) {
    let _ = FLAGS.set(flags(global));
}

fn flags_of_run() -> &'static [(&'static str, String)] {
    FLAGS.get().map_or(&[], Vec::as_slice)
}

/// The flags of a run that say which installation it is about. A password in the database's URL is not repeated.
fn flags(global: &GlobalFlags) -> Vec<(&'static str, String)> {
    let path = |path: &PathBuf| path.display().to_string();
    let database = global.database.as_deref().and_then(|url| url.parse::<DatabaseUrl>().ok());
    [
        ("--config", global.config.as_ref().map(path)),
        ("--data-dir", global.data_dir.as_ref().map(path)),
        ("--database", database.map(|url| url.to_string())),
    ]
    .into_iter()
    .filter_map(|(flag, value)| Some((flag, shell_word(&value?))))
    .collect()
}

/// A text in which each command stands as it can be run here: with the program as it was called, and the flags of this run.
/// Commands are what stands between backticks and begins with the program's name.
pub(crate) fn as_called(text: &str) -> String {
    rewritten(text, &called(), flags_of_run())
}

/// The same of a line of JSON: what is put in is escaped as a part of a JSON string.
pub(crate) fn as_called_in_json(line: &str) -> String {
    let escaped = |text: &str| {
        let quoted = Value::from(text).to_string();
        quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
    };
    let flags: Vec<_> = flags_of_run().iter().map(|(flag, value)| (*flag, escaped(value))).collect();
    rewritten(line, &escaped(&called()), &flags)
}

/// How a command begins in a text.
pub(crate) const COMMAND: &str = "`tidegate ";

fn rewritten(text: &str, program: &str, flags: &[(&'static str, String)]) -> String {
    let mut parts = text.split(COMMAND);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        whole += &format!("`{program} ");
        let Some((command, rest)) = part.split_once('`') else {
            whole += part;
            continue;
        };
        whole += command;
        for (flag, value) in flags {
            // What a copy reads is named already.
            let is_named = |word: &str| word == *flag || (word == "--from" && *flag == "--database");
            if !command.split(' ').any(is_named) {
                whole += &format!(" {flag} {value}");
            }
        }
        whole += &format!("`{rest}");
    }
    whole
}

/// What to do about files that another user owns, and this one (`us`) may not use. Who runs a command need not be who serves.
pub(crate) fn of_another_user(place: &Path, us: u32) -> String {
    let word = shell_word(&place.display().to_string());
    format!(
        "run this as the user that owns it, or, if the server is to run as this one, give it the files: `sudo chown -R {us} {word}`"
    )
}

/// A word for a shell, quoted where it has to be (POSIX, section 2.2.2).
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:@%+=,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_alone_does_where_the_path_leads_to_it() {
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("tidegate");
        fs::write(&program, "").unwrap();
        let called = program.to_str().unwrap();
        let search = |path: &Path| Some(path.as_os_str().to_owned());
        assert_eq!(by_path(called, search(directory.path())), "tidegate");
        assert_eq!(by_path(called, search(Path::new("/nowhere"))), called);
        assert_eq!(by_path(called, None), called);
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("tidegate"), "").unwrap();
        assert_eq!(by_path(called, search(other.path())), called, "another program has the name");
        assert_eq!(by_path("my tidegate", None), "'my tidegate'");
    }

    #[test]
    fn cargo_is_called_as_it_was() {
        let profile = if cfg!(debug_assertions) { "cargo run --" } else { "cargo run --release --" };
        assert_eq!(by_cargo_run(), profile);
    }

    #[test]
    fn every_command_in_a_text_carries_the_flags_of_the_run() {
        let global = GlobalFlags {
            config: Some("my id.toml".into()),
            data_dir: Some("/srv/id".into()),
            database: Some("postgres://tidegate:hunter2@db.internal/id".to_owned()),
            json: false,
        };
        let flags = flags(&global);
        let told = rewritten(
            "run `tidegate migrate`, then `tidegate serve --data-dir /other`; `ls`",
            "./tidegate",
            &flags,
        );
        assert_eq!(
            told,
            "run `./tidegate migrate --config 'my id.toml' --data-dir /srv/id --database postgres://tidegate@db.internal/id`, then \
             `./tidegate serve --data-dir /other --config 'my id.toml' --database postgres://tidegate@db.internal/id`; `ls`"
        );
        assert!(!told.contains("hunter2"), "{told}");
        let copy = rewritten("`tidegate copy --from sqlite:a.db --to ADDRESS`", "tidegate", &flags);
        assert_eq!(
            copy,
            "`tidegate copy --from sqlite:a.db --to ADDRESS --config 'my id.toml' --data-dir /srv/id`"
        );
        assert_eq!(rewritten("`tidegate doctor", "tidegate", &flags), "`tidegate doctor", "no command's end");
        assert_eq!(rewritten("`tidegate doctor`", "tidegate", &[]), "`tidegate doctor`");
    }
}

//! How this program is called in the shell that it was started from: it need not be on the PATH.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

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

/// A text in which commands stand as they can be run here.
pub(crate) fn as_called(text: &str) -> String {
    let command = called();
    if command == NAME { text.to_owned() } else { text.replace("`tidegate ", &format!("`{command} ")) }
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
}

//! Why templates cannot be used.

use std::path::PathBuf;

/// Why templates could not be loaded or rendered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The directory or a file in it cannot be read.
    #[error("{path}: {reason}", path = path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file that replaces nothing.
    #[error("{path} replaces no template; did you mean {nearest}?", path = path.display())]
    UnknownFile {
        /// The file.
        path: PathBuf,
        /// The known name most like it.
        nearest: &'static str,
    },
    /// A template that does not parse or render.
    #[error("{file}{at}: {reason}", at = line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Broken {
        /// The file.
        file: String,
        /// The line in it, counted from 1, where known.
        line: Option<usize>,
        /// What is wrong.
        reason: String,
    },
}

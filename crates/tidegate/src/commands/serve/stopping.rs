//! How a server is stopped, and the signal that does not stop it.

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

use crate::failure::Failure;

/// SIGTERM from a supervisor, SIGINT from a keyboard.
pub(super) struct StopSignals {
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl StopSignals {
    /// From now on these signals no longer kill the process.
    pub(super) fn install() -> Result<Self, Failure> {
        let failed = |error| Failure::internal(format!("signals cannot be handled: {error}"));
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    /// Waits for the next one.
    pub(super) async fn wait(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// From now on SIGHUP does not end the process. Log rotation and terminals send it; nothing is reopened, because the log
/// goes to standard error.
pub(super) fn ignore_hangups() -> Result<(), Failure> {
    let mut hangups = signal(SignalKind::hangup())
        .map_err(|error| Failure::internal(format!("signals cannot be handled: {error}")))?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            tracing::info!("SIGHUP: nothing to reload; the log goes to standard error");
        }
    });
    Ok(())
}

/// From now on a file that grows beyond the limit of this process (`ulimit -f`) is an error of the write, which is told, and not the
/// end of the process without a word.
pub(in crate::commands) fn survive_large_files() -> Result<(), Failure> {
    let mut exceeded = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))
        .map_err(|error| Failure::internal(format!("signals cannot be handled: {error}")))?;
    tokio::spawn(async move { while exceeded.recv().await.is_some() {} });
    Ok(())
}

/// A second signal: open transactions are rolled back at the next start, as after a power failure.
#[expect(clippy::disallowed_methods, reason = "an operator who asks twice wants it gone now")]
pub(super) fn exit_at_once() {
    std::process::exit(1);
}

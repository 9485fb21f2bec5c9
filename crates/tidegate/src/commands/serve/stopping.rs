//! How a server is stopped.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// SIGTERM from a supervisor, SIGINT from a keyboard.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
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

/// A second signal: open transactions are rolled back at the next start, as after a power failure.
#[expect(clippy::disallowed_methods, reason = "an operator who asks twice wants it gone now")]
pub(super) fn exit_at_once() {
    std::process::exit(1);
}

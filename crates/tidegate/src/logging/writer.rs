//! Writes log lines beside the program's work: what cannot be written, or not fast enough, is dropped and counted. A log
//! that fails never decides about a request, a start or a stop.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::program::{COMMAND, as_called, as_called_in_json};

/// Lines that may wait to be written.
const QUEUE: usize = 4_096;
/// How long the program waits at its end for the lines that are left.
const LAST_LINES: Duration = Duration::from_secs(1);

static DROPPED: AtomicU64 = AtomicU64::new(0);
static WRITER: OnceLock<LogWriter> = OnceLock::new();

enum Message {
    Line(Vec<u8>),
    /// Asks for an answer once everything before it is written.
    Flush(SyncSender<()>),
}

/// Hands lines to the thread that writes them.
#[derive(Clone)]
pub(super) struct LogWriter {
    queue: SyncSender<Message>,
}

impl LogWriter {
    /// The writer to standard error. Its thread is started at the first call.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub(super) fn start() -> io::Result<Self> {
        if let Some(writer) = WRITER.get() {
            return Ok(writer.clone());
        }
        let writer = Self::to(io::stderr(), QUEUE)?;
        Ok(WRITER.get_or_init(|| writer).clone())
    }

    fn to(output: impl Write + Send + 'static, queue: usize) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(queue);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || write_all(&receiver, output))?;
        Ok(Self { queue: sender })
    }

    fn line(&self, line: &[u8]) {
        if self.queue.try_send(Message::Line(line.to_vec())).is_err() {
            count_dropped();
        }
    }

    fn flush(&self, patience: Duration) {
        let (done, is_done) = sync_channel(1);
        if self.queue.try_send(Message::Flush(done)).is_ok() {
            // Whether or not it was done in time, the program goes on.
            let _ = is_done.recv_timeout(patience);
        }
    }
}

/// Writes a line beside the program's work if logging has begun; says whether it has.
pub(crate) fn write_line(line: &str) -> bool {
    match WRITER.get() {
        Some(writer) => {
            writer.line(format!("{line}\n").as_bytes());
            true
        }
        None => false,
    }
}

/// Waits a moment for what is yet to be written.
pub(crate) fn flush() {
    if let Some(writer) = WRITER.get() {
        writer.flush(LAST_LINES);
    }
}

/// Shows in the metrics how many lines were dropped so far.
pub(crate) fn measure_dropped_lines() {
    metrics::counter!("tidegate_log_lines_dropped_total", "reason" => "writer")
        .absolute(DROPPED.load(Ordering::Relaxed));
}

fn count_dropped() {
    DROPPED.fetch_add(1, Ordering::Relaxed);
}

/// One event is one write. Commands in it are written as they can be run here.
impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) if text.contains(COMMAND) && text.starts_with('{') => {
                self.line(as_called_in_json(text).as_bytes());
            }
            Ok(text) if text.contains(COMMAND) => self.line(as_called(text).as_bytes()),
            _ => self.line(line),
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogWriter {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The thread's work, until nothing can send any more.
fn write_all(queue: &Receiver<Message>, mut output: impl Write) {
    let mut told = 0;
    let mut was_written = true;
    loop {
        let message = match queue.try_recv() {
            Ok(message) => message,
            Err(TryRecvError::Disconnected) => return,
            Err(TryRecvError::Empty) => {
                let dropped = DROPPED.load(Ordering::Relaxed);
                if was_written && dropped > told {
                    tracing::warn!(
                        lines = dropped - told,
                        "log lines were dropped: they could not be written"
                    );
                    told = dropped;
                }
                let Ok(message) = queue.recv() else { return };
                message
            }
        };
        match message {
            Message::Line(line) => {
                was_written = output.write_all(&line).and_then(|()| output.flush()).is_ok();
                if !was_written {
                    count_dropped();
                }
            }
            Message::Flush(done) => {
                let _ = done.try_send(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// An output that keeps what was written, and fails on request.
    #[derive(Clone, Default)]
    struct Output(Arc<Mutex<(Vec<u8>, bool)>>);

    impl Write for Output {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut output = self.0.lock().unwrap();
            if output.1 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            output.0.extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn lines_are_written_in_order_and_a_flush_waits_for_them() {
        let output = Output::default();
        let writer = LogWriter::to(output.clone(), 16).unwrap();
        for line in ["one\n", "two\n"] {
            writer.line(line.as_bytes());
        }
        writer.flush(LONG);
        assert_eq!(output.0.lock().unwrap().0, b"one\ntwo\n");
    }

    #[test]
    fn what_cannot_be_written_is_dropped_and_counted_and_the_next_line_is_tried() {
        let output = Output::default();
        output.0.lock().unwrap().1 = true;
        let writer = LogWriter::to(output.clone(), 16).unwrap();
        let before = DROPPED.load(Ordering::Relaxed);
        writer.line(b"lost\n");
        writer.flush(LONG);
        assert!(DROPPED.load(Ordering::Relaxed) > before);
        output.0.lock().unwrap().1 = false;
        writer.line(b"kept\n");
        writer.flush(LONG);
        assert_eq!(output.0.lock().unwrap().0, b"kept\n");
    }

    #[test]
    fn while_the_reader_is_slow_lines_are_dropped_and_nothing_waits() {
        let output = Output::default();
        let slow = output.0.lock().unwrap();
        let writer = LogWriter::to(output.clone(), 2).unwrap();
        let before = DROPPED.load(Ordering::Relaxed);
        for _ in 0..100 {
            writer.line(b"line\n");
        }
        assert!(DROPPED.load(Ordering::Relaxed) >= before + 97);
        drop(slow);
    }
}

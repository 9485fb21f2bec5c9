//! A way to the test's PostgreSQL server on which a story decides when answers arrive, and whether.

use std::net::Ipv4Addr;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};

use crate::rivergen::data_sources::wire::{Server, server};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Everything arrives.
    Open,
    /// What the server answers waits.
    Held,
    /// Connections end, and no other one is made.
    Cut,
}

pub(super) struct Line {
    port: u16,
    state: watch::Sender<State>,
    /// One for each answer that began to wait.
    waiting: Arc<Semaphore>,
}

impl Line {
    /// To the server of `far`.
    pub(super) async fn to(far: &Server) -> Self {
        let (state, seen) = watch::channel(State::Open);
        let waiting = Arc::new(Semaphore::new(0));
        let (port, signal) = (far.port(), Arc::clone(&waiting));
        let port = server(move |near| carry(near, port, seen.clone(), Arc::clone(&signal))).await;
        Self { port, state, waiting }
    }

    /// A body that makes a data source at this end of it.
    pub(super) fn body(&self, far: &Server) -> Value {
        far.body_with(json!({ "host": "127.0.0.1", "port": self.port, "connection_timeout": 60 }))
    }

    pub(super) fn hold(&self) {
        self.state.send_replace(State::Held);
    }

    /// Until an answer of the server waits.
    pub(super) async fn waits(&self) {
        self.waiting.acquire().await.unwrap().forget();
    }

    pub(super) fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Lets go on what waits, and others come.
    pub(super) fn open(&self) {
        self.state.send_replace(State::Open);
    }
}

/// Carries what both ends say, until one of them has said all.
async fn carry(mut near: TcpStream, far: u16, mut state: watch::Receiver<State>, waiting: Arc<Semaphore>) {
    if *state.borrow_and_update() == State::Cut {
        return;
    }
    let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, far)).await else { return };
    let (mut asked, mut answered) = ([0; 8_192], [0; 8_192]);
    loop {
        tokio::select! {
            changed = state.changed() => {
                if changed.is_err() || *state.borrow() == State::Cut {
                    return;
                }
            }
            count = near.read(&mut asked) => match count {
                Ok(count @ 1..) => {
                    if far.write_all(&asked[..count]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
            count = far.read(&mut answered) => {
                let Ok(count @ 1..) = count else { return };
                if *state.borrow_and_update() == State::Held {
                    waiting.add_permits(1);
                }
                while *state.borrow_and_update() == State::Held {
                    if state.changed().await.is_err() {
                        return;
                    }
                }
                // What is borrowed of the state is not held while the bytes are sent.
                let is_cut = *state.borrow() == State::Cut;
                if is_cut || near.write_all(&answered[..count]).await.is_err() {
                    return;
                }
            }
        }
    }
}

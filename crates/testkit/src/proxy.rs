//! A network between agent and server that a test can break.

use anyhow::Result;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to a port of this machine.
pub struct Proxy {
    port: u16,
    state: Arc<watch::Sender<State>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    /// Connections of an older generation are reset.
    generation: u64,
    passes: bool,
}

impl Proxy {
    /// Listens on a port of its own and forwards to `port`.
    pub async fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let own = listener.local_addr()?.port();
        let state = Arc::new(watch::Sender::new(State { generation: 0, passes: true }));
        let states = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((accepted, _)) = listener.accept().await {
                tokio::spawn(forward(accepted, port, states.subscribe()));
            }
        });
        Ok(Self { port: own, state })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Resets every connection; new ones pass.
    pub fn reset(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }

    /// Resets every connection; new ones are reset at once.
    pub fn cut(&self) {
        self.state.send_modify(|state| *state = State { generation: state.generation + 1, passes: false });
    }

    /// Ends a cut.
    pub fn mend(&self) {
        self.state.send_modify(|state| state.passes = true);
    }
}

async fn forward(mut accepted: TcpStream, port: u16, mut states: watch::Receiver<State>) {
    // Closing with this set sends a reset instead of an orderly end.
    let _ = accepted.set_zero_linger();
    let begun = *states.borrow_and_update();
    if !begun.passes {
        return;
    }
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let _ = server.set_zero_linger();
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut accepted, &mut server) => {}
        _ = states.wait_for(|state| state.generation != begun.generation) => {}
    }
}

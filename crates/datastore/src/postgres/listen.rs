//! Hearing what other servers tell: a connection of its own that listens, and opens again when it is lost.

use super::{PostgresConnector, connecting};
use crate::sql::fault::DatabaseError;
use std::future::poll_fn;
use std::time::Duration;
use tokio::sync::watch;
use tokio_postgres::AsyncMessage;

const LISTEN: &str = "LISTEN finial_changes";
/// The wait before a lost connection is opened again, doubled each time up to the longest.
const SHORTEST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Starts to listen, until nobody has the receiver any more.
pub(super) fn listen(connector: PostgresConnector) -> watch::Receiver<u64> {
    let (sender, receiver) = watch::channel(0);
    tokio::spawn(async move {
        tokio::select! {
            () = follow(&connector, &sender) => {}
            () = sender.closed() => {}
        }
    });
    receiver
}

async fn follow(connector: &PostgresConnector, sender: &watch::Sender<u64>) {
    let mut wait = SHORTEST_WAIT;
    loop {
        match hear(connector, sender, &mut wait).await {
            Ok(()) => tracing::debug!("The connection that hears of changes was closed"),
            Err(error) => tracing::debug!(error = error.text, "Not hearing of changes now"),
        }
        tokio::time::sleep(wait).await;
        wait = LONGEST_WAIT.min(wait * 2);
    }
}

/// Listens on one connection until it is lost.
async fn hear(
    connector: &PostgresConnector,
    sender: &watch::Sender<u64>,
    wait: &mut Duration,
) -> Result<(), DatabaseError> {
    let (client, mut connection) =
        connector.config.connect(connector.tls.clone()).await.map_err(connecting)?;
    let mut listening = std::pin::pin!(client.batch_execute(LISTEN));
    let mut is_listening = false;
    loop {
        tokio::select! {
            outcome = &mut listening, if !is_listening => {
                outcome.map_err(connecting)?;
                is_listening = true;
                *wait = SHORTEST_WAIT;
                // Whatever was told meanwhile was not heard.
                sender.send_modify(|changes| *changes += 1);
            }
            message = poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(AsyncMessage::Notification(_))) => sender.send_modify(|changes| *changes += 1),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(connecting(error)),
                None => return Ok(()),
            },
        }
    }
}

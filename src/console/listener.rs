//! Accepts clients of the console, a few at a time.

use super::session::serve;
use super::{Console, variables};
use crate::frontend::client::Client;
use crate::frontend::handshake::{Rejected, Welcome, handshake};
use crate::frontend::listener::{ACCEPT_PAUSE, Listener};
use crate::net::packets::PacketStream;
use crate::net::shutter::Shutter;
use crate::net::stream::Socket;
use crate::protocol::auth::Scramble;
use crate::protocol::capability::Capabilities;
use crate::protocol::errno;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Accepts until `stop`, which ends those who are there as well.
pub async fn listen(listener: Listener, console: Arc<Console>, (shutter, stop): (Shutter, CancellationToken)) {
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            // Closed, somebody else accepts there.
            accepted = shutter.pass(|opening| listener.accept(opening)) => accepted,
        };
        match accepted {
            Ok((socket, host)) => {
                let (console, stop) = (console.clone(), stop.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = welcome(socket, host, console) => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a client of the console");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn welcome(socket: Socket, host: String, console: Arc<Console>) {
    let packets = PacketStream::plain(socket);
    let Ok(place) = console.logins.try_acquire() else {
        let _gone = Client::new(packets).send_error(&errno::too_many_connections()).await;
        return;
    };
    let greeting = Welcome {
        version: variables::VERSION.to_owned(),
        collation: 45,
        extras: Capabilities::empty(),
        scramble: Scramble::CachingSha2,
    };
    let (id, entrance) = (console.next_id(), console.control.entrance());
    let login = handshake(&entrance.door, &greeting, packets, id, &host);
    let login = tokio::time::timeout(entrance.login_timeout, login).await;
    drop(place);
    match login {
        Ok(Ok(client)) => serve(console.clone(), client, id, host).await,
        Ok(Err(Rejected::Told(error))) => {
            tracing::info!(host, error = error.message.as_str(), "login at the console refused");
        }
        Ok(Err(Rejected::Read(_))) => {}
        Err(_) => tracing::debug!(host, "login at the console took too long"),
    }
}

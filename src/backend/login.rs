//! Dialling a server: socket, TLS, login.
//!
//! No password leaves before the server is verified (or the plaintext was asked for by name), and
//! a clear-text password never leaves outside TLS or a unix socket.

pub use super::account::Account;
use super::conversation::Conversation;
use super::server::Server;
use crate::consistency::gtid::Family;
use crate::net::packets::{PacketStream, ReadError};
use crate::net::stream::HeldBack;
use crate::net::tls::{self, Connector};
use crate::protocol::auth::Plugin;
use crate::protocol::capability::Capabilities;
use crate::protocol::command::Command;
use crate::protocol::handshake::{Greeting, Login, encode_tls_request};
use crate::protocol::packet::frame;
use crate::protocol::response::{ERR, ServerError};
use crate::protocol::wire::{Malformed, Put};
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Largest packet a server may send while it does not know us yet.
pub(super) const LOGIN_PACKET_LIMIT: usize = 64 * 1024;
/// Largest packet we announce to accept; servers only compare it with nothing, drivers send 1 GiB.
pub const MAX_PACKET: u32 = 1 << 30;
/// `utf8mb4_general_ci`: known to every server of both families.
const COLLATION: u16 = 45;

/// Why no connection could be opened.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The network said no.
    #[error("{0}")]
    Connect(io::Error),
    /// No answer in time.
    #[error("no answer within {0:?} while {1}")]
    TimedOut(Duration, &'static str),
    /// TLS failed.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// TLS was wanted and the server has none.
    #[error(
        "the server does not offer TLS; enable it there, or set tls.mode = \"off\" if the network in between is private"
    )]
    NoTls,
    /// The server refused us.
    #[error("{0}")]
    Refused(ServerError),
    /// The stream broke.
    #[error("connection lost during login: {0}")]
    Read(#[from] ReadError),
    /// The server talks nonsense.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// An authentication plugin we do not speak.
    #[error(
        "user '{user}' is authenticated by '{plugin}', which Landbridge does not speak; use caching_sha2_password, or ed25519 on MariaDB"
    )]
    Plugin {
        /// User.
        user: String,
        /// Plugin.
        plugin: String,
    },
    /// The password would travel unprotected.
    #[error("the server asks for the clear-text password over an unencrypted connection; configure tls for it")]
    WouldLeak,
}

impl DialError {
    /// The server's own error, if it answered with one.
    pub fn server_error(&self) -> Option<&ServerError> {
        match self {
            Self::Refused(error) => Some(error),
            _ => None,
        }
    }
}

/// A logged-in connection and what was learned on the way.
#[derive(Debug)]
pub struct LoggedIn {
    /// The connection.
    pub packets: PacketStream,
    /// Capabilities in force.
    pub caps: Capabilities,
    /// The server's greeting.
    pub greeting: Greeting,
    /// The address it was found at, if it has one.
    pub peer: Option<SocketAddr>,
    /// Time to open the TCP connection: one round trip.
    pub connect_time: Duration,
    /// Time until it had greeted and TLS was there.
    pub greet_time: Duration,
    /// Time to prove the password.
    pub login_time: Duration,
    /// The state of accounts before the login.
    pub accounts: u64,
    /// The state of what it keeps to its end.
    pub generation: u64,
}

/// What every backend connection asks for, if offered.
const WANTED: Capabilities = Capabilities::LONG_PASSWORD
    .union(Capabilities::LONG_FLAG)
    .union(Capabilities::LOCAL_FILES)
    .union(Capabilities::PROTOCOL_41)
    .union(Capabilities::TRANSACTIONS)
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::MULTI_RESULTS)
    .union(Capabilities::PS_MULTI_RESULTS)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::PLUGIN_AUTH_LENENC)
    .union(Capabilities::CONNECT_ATTRS)
    .union(Capabilities::SESSION_TRACK)
    .union(Capabilities::DEPRECATE_EOF)
    .union(Capabilities::QUERY_ATTRIBUTES)
    .union(Capabilities::MARIADB);

/// Opens a connection to `server` as `account`; `extra` are flags fixed at login.
///
/// # Errors
/// See [`DialError`]; each says what to do.
pub async fn dial(
    server: &Server,
    account: &Account,
    extra: Capabilities,
    timeout: Duration,
) -> Result<LoggedIn, DialError> {
    let deadline = tokio::time::Instant::now() + timeout;
    let started = Instant::now();
    let (socket, peer) = tokio::time::timeout_at(deadline, server.names.connect())
        .await
        .map_err(|_| DialError::TimedOut(timeout, "connecting"))?
        .map_err(DialError::Connect)?;
    let connect_time = started.elapsed();
    let login = log_in(server, account, extra, PacketStream::plain(socket), connect_time);
    let login = tokio::time::timeout_at(deadline, login).await;
    Ok(LoggedIn { peer, ..login.map_err(|_| DialError::TimedOut(timeout, "logging in"))?? })
}

async fn log_in(
    server: &Server,
    account: &Account,
    extra: Capabilities,
    packets: PacketStream,
    connect_time: Duration,
) -> Result<LoggedIn, DialError> {
    let (accounts, generation) = (server.accounts(), server.generation());
    let started = Instant::now();
    let Greeted { mut packets, greeting, seq, asked } = match (&server.tls, server.early_tls.offer()) {
        (Some(connector), Some(offer)) => greet_early(server, connector, offer & (WANTED | extra), packets).await?,
        (connector, _) => greet(connector.as_ref(), extra, packets).await?,
    };
    let greet_time = started.elapsed();
    let mut caps = asked & greeting.capabilities;
    caps.set(Capabilities::SSL, server.tls.is_some());
    let mut conversation = Conversation::new(account, greeted_with(&greeting), &greeting.nonce, packets.stream());
    let login = Login {
        capabilities: caps,
        max_packet: MAX_PACKET,
        collation: COLLATION,
        user: account.user.clone().into_bytes(),
        auth: conversation.opening()?,
        schema: None,
        plugin: caps.contains(Capabilities::PLUGIN_AUTH).then(|| conversation.plugin().name().into()),
        attributes: account.introductions.encode(),
        zstd_level: None,
    };
    let mut payload = Vec::new();
    login.encode(&mut payload);
    frame(packets.output(), seq, &payload);
    packets.flush().await.map_err(ReadError::Io)?;
    conversation.carry_on(&mut packets, seq + 1).await?;
    if server.tls.is_some() {
        server.early_tls.remember(greeting.capabilities);
    }
    let login_time = started.elapsed().saturating_sub(greet_time);
    let peer = None;
    Ok(LoggedIn { packets, caps, greeting, peer, connect_time, greet_time, login_time, accounts, generation })
}

/// A server that has greeted, behind TLS if that is wanted.
struct Greeted {
    packets: PacketStream,
    greeting: Greeting,
    /// Sequence id of the login packet.
    seq: u8,
    /// What is asked for. Where TLS was asked for first, that has said so already: servers look there, not at the login.
    asked: Capabilities,
}

/// Waits for the greeting, then asks for TLS.
async fn greet(
    connector: Option<&Connector>,
    extra: Capabilities,
    mut packets: PacketStream,
) -> Result<Greeted, DialError> {
    let first = packets.read_packet(0, LOGIN_PACKET_LIMIT).await?;
    let greeting = greeting(&first.payload)?;
    let asked = (WANTED | extra) & greeting.capabilities;
    let Some(connector) = connector else { return Ok(Greeted { packets, greeting, seq: 1, asked }) };
    if !greeting.capabilities.contains(Capabilities::SSL) {
        return Err(DialError::NoTls);
    }
    ask_for_tls(&mut packets, asked);
    let transport = packets.into_transport().map_err(DialError::Connect)?;
    let stream = connector.connect(transport).await.map_err(|e| DialError::Tls(tls::explain(&e)))?;
    Ok(Greeted { packets: PacketStream::new(stream), greeting, seq: 2, asked })
}

/// Asks for TLS while the greeting is still on its way: it was the same the last time.
async fn greet_early(
    server: &Server,
    connector: &Connector,
    asked: Capabilities,
    mut packets: PacketStream,
) -> Result<Greeted, DialError> {
    ask_for_tls(&mut packets, asked);
    let held_back = HeldBack::default();
    let transport = packets.into_transport().map_err(DialError::Connect)?.holding_back(held_back.clone());
    let connected = connector.connect(transport).await;
    let greeting = held_back.take().map(|payload| greeting(&payload));
    match (connected, greeting) {
        (Ok(stream), Some(greeting)) => {
            let greeting = greeting?;
            // One bit tells the families apart, and what others mean.
            if asked.symmetric_difference(greeting.capabilities).contains(Capabilities::LONG_PASSWORD) {
                server.early_tls.remember(greeting.capabilities);
                return Err(Malformed("greeting: of another kind of server than before").into());
            }
            Ok(Greeted { packets: PacketStream::new(stream), greeting, seq: 2, asked })
        }
        // It greeted with an error: that is what matters.
        (Err(_), Some(Err(refused))) => Err(refused),
        // Perhaps it, or something in front of it, wants to be waited for.
        (Err(error), _) => {
            server.early_tls.never();
            Err(DialError::Tls(tls::explain(&error)))
        }
        (Ok(_), None) => Err(Malformed("greeting").into()),
    }
}

fn greeting(payload: &[u8]) -> Result<Greeting, DialError> {
    if payload.first() == Some(&ERR) {
        return Err(DialError::Refused(ServerError::decode(payload)?));
    }
    Ok(Greeting::decode(payload)?)
}

fn ask_for_tls(packets: &mut PacketStream, caps: Capabilities) {
    let mut request = Vec::new();
    encode_tls_request(&mut request, caps | Capabilities::SSL, MAX_PACKET, COLLATION);
    frame(packets.output(), 1, &request);
}

/// Logs in again on a connection: `COM_CHANGE_USER` to the same account, without a schema.
///
/// # Errors
/// As a login; the connection is of no use then.
pub async fn change_user(
    packets: &mut PacketStream,
    account: &Account,
    family: Family,
    caps: Capabilities,
    nonce: &[u8],
) -> Result<(), DialError> {
    let plugin = if family == Family::MariaDb { Plugin::Native } else { Plugin::CachingSha2 };
    let mut conversation = Conversation::new(account, plugin, nonce, packets.stream());
    let proof = conversation.opening()?;
    let mut body = vec![Command::ChangeUser.byte()];
    body.put_nul_bytes(account.user.as_bytes());
    body.push(u8::try_from(proof.len()).unwrap_or(0));
    body.put(&proof);
    body.put_nul_bytes(b"");
    body.put_u16(COLLATION);
    body.put_nul_bytes(plugin.name().as_bytes());
    if caps.contains(Capabilities::CONNECT_ATTRS) {
        body.put_lenenc_bytes(&account.introductions.encode());
    }
    frame(packets.output(), 0, &body);
    packets.flush().await.map_err(ReadError::Io)?;
    conversation.carry_on(packets, 1).await
}

/// The plugin a login begins with: the one the server prefers, as long as its challenge is a scramble.
fn greeted_with(greeting: &Greeting) -> Plugin {
    match Plugin::from_name(greeting.plugin.as_bytes()) {
        Some(Plugin::Ed25519 | Plugin::Parsec) | None => Plugin::Native,
        Some(plugin) => plugin,
    }
}

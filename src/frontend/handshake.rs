//! From an accepted socket to an [`Authenticated`] client, which only this file can make.

use super::client::Client;
use super::proof::{Proof, prove};
use super::users::Users;
use crate::backend::attributes::{Attributes, pairs};
use crate::backend::login::Account;
use crate::backend::server::family;
use crate::consistency::gtid::Family;
use crate::net::packets::{Packet, PacketStream, ReadError};
use crate::net::tls::Acceptor;
use crate::protocol::auth::{Scramble, challenge};
use crate::protocol::capability::{Capabilities, Status};
use crate::protocol::compression::Algorithm;
use crate::protocol::errno;
use crate::protocol::handshake::{Greeting, Login, LoginOrTls, NONCE_LEN, Nonce};
use crate::protocol::response::ServerError;
use std::io;
use std::sync::Arc;

/// What clients are offered, whatever the servers are.
const OFFERED: Capabilities = Capabilities::LONG_PASSWORD
    .union(Capabilities::FOUND_ROWS)
    .union(Capabilities::LONG_FLAG)
    .union(Capabilities::CONNECT_WITH_DB)
    .union(Capabilities::NO_SCHEMA)
    .union(Capabilities::COMPRESS)
    .union(Capabilities::ODBC)
    .union(Capabilities::LOCAL_FILES)
    .union(Capabilities::IGNORE_SPACE)
    .union(Capabilities::PROTOCOL_41)
    .union(Capabilities::INTERACTIVE)
    .union(Capabilities::IGNORE_SIGPIPE)
    .union(Capabilities::TRANSACTIONS)
    .union(Capabilities::RESERVED)
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::MULTI_STATEMENTS)
    .union(Capabilities::MULTI_RESULTS)
    .union(Capabilities::PS_MULTI_RESULTS)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::CONNECT_ATTRS)
    .union(Capabilities::PLUGIN_AUTH_LENENC)
    .union(Capabilities::SESSION_TRACK)
    .union(Capabilities::DEPRECATE_EOF);

/// How clients are greeted.
#[derive(Debug, Clone)]
pub struct Welcome {
    /// Server version to announce.
    pub version: String,
    /// Default collation to announce.
    pub collation: u8,
    /// What only some servers offer.
    pub extras: Capabilities,
    /// Default authentication plugin.
    pub scramble: Scramble,
}

/// What every handshake needs to know.
#[derive(Debug)]
pub struct Door {
    /// Who may come in.
    pub users: Users,
    /// TLS for clients.
    pub tls: Option<Arc<Acceptor>>,
    /// Whether clients on TCP must use TLS.
    pub require_tls: bool,
    /// Largest packet before login.
    pub packet_limit: usize,
}

/// A client whose password was right.
#[derive(Debug)]
pub struct Authenticated {
    client: Client,
    account: Arc<Account>,
    nonce: Nonce,
    schema: Option<Vec<u8>>,
    collation: u16,
}

/// Why a client did not come in.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// It was told this.
    #[error("{0}")]
    Told(ServerError),
    /// It left or broke the protocol.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<io::Error> for Rejected {
    fn from(error: io::Error) -> Self {
        Self::Read(error.into())
    }
}

impl Authenticated {
    /// The client, its account, and what it asked for at login.
    pub fn into_parts(self) -> (Client, Arc<Account>, Nonce, Option<Vec<u8>>, u16) {
        (self.client, self.account, self.nonce, self.schema, self.collation)
    }
}

/// Greets, upgrades to TLS, checks the password.
///
/// # Errors
/// The client has been told why, where that was possible.
pub async fn handshake(
    door: &Door,
    welcome: &Welcome,
    packets: PacketStream,
    id: u32,
    host: &str,
) -> Result<Authenticated, Rejected> {
    let nonce = random_nonce()?;
    let mut client = greet(door, welcome, packets, id, nonce).await?;
    match log_in(door, welcome, client, nonce, host).await {
        Ok(authenticated) => Ok(authenticated),
        Err((told, Some(returned))) => {
            client = returned;
            if let Rejected::Told(error) = &told {
                // It may have gone already; it is being turned away anyhow.
                let _gone = client.send_error(error).await;
            }
            Err(told)
        }
        Err((rejected, None)) => Err(rejected),
    }
}

fn random_nonce() -> io::Result<Nonce> {
    let mut random = [0; NONCE_LEN];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(challenge(random))
}

async fn greet(
    door: &Door,
    welcome: &Welcome,
    packets: PacketStream,
    id: u32,
    nonce: Nonce,
) -> Result<Client, Rejected> {
    let mut capabilities = OFFERED;
    capabilities.set(Capabilities::SSL, door.tls.is_some());
    capabilities |= welcome.extras;
    // MariaDB shows by its absence that there are capabilities of its own.
    capabilities.set(Capabilities::LONG_PASSWORD, family(&welcome.version) == Family::MySql);
    let greeting = Greeting {
        version: welcome.version.clone(),
        thread_id: id,
        nonce,
        capabilities,
        collation: welcome.collation,
        status: Status::AUTOCOMMIT,
        plugin: welcome.scramble.plugin().name().into(),
    };
    let mut client = Client::new(packets);
    let mut payload = Vec::new();
    greeting.encode(&mut payload);
    client.push(&payload);
    client.packets.flush().await?;
    Ok(client)
}

type Failed = (Rejected, Option<Client>);

async fn log_in(
    door: &Door,
    welcome: &Welcome,
    client: Client,
    nonce: Nonce,
    host: &str,
) -> Result<Authenticated, Failed> {
    let (mut client, login) = read_login(door, client).await?;
    client.caps = login.capabilities & (OFFERED | welcome.extras | Capabilities::SSL);
    client.compression = match login.zstd_level {
        _ if client.caps.contains(Capabilities::COMPRESS) => Some(Algorithm::Zlib),
        Some(level) if client.caps.contains(Capabilities::ZSTD_COMPRESSION) => {
            Some(Algorithm::Zstd(level.clamp(1, 22)))
        }
        _ => None,
    };
    // MariaDB's library for C replaces an error of its own numbers by "malformed packet".
    client.hides_its_errors = attribute(&login.attributes, b"_client_name") == Some(b"libmariadb");
    client.key = attribute(&login.attributes, b"landbridge_key").filter(|key| !key.is_empty()).map(Box::from);
    client.says = Attributes::of_client(&login.attributes);
    let proof = Proof::from(&login);
    match prove(door, welcome.scramble, &mut client, &nonce, proof, host).await {
        Ok(account) => Ok(Authenticated { client, account, nonce, schema: login.schema, collation: login.collation }),
        Err(rejected) => Err((rejected, Some(client))),
    }
}

/// The value of a connection attribute.
fn attribute<'a>(attributes: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    pairs(attributes).find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// Reads the login packet, through TLS if the client asks for it.
async fn read_login(door: &Door, client: Client) -> Result<(Client, Login), Failed> {
    let (client, first) = read(door, client).await?;
    let (client, first) = match (Login::decode(&first.payload), &door.tls) {
        (Ok(LoginOrTls::Tls(_)), Some(acceptor)) => {
            let transport = client.packets.into_transport().map_err(|e| (e.into(), None))?;
            let stream = acceptor.accept(transport).await.map_err(|e| (e.into(), None))?;
            let mut client = Client::new(PacketStream::new(stream));
            client.seq = first.seq.wrapping_add(1);
            read(door, client).await?
        }
        (Ok(_), _) if door.require_tls && !client.packets.stream().is_private() => {
            return Err((Rejected::Told(errno::tls_required()), Some(client)));
        }
        _ => (client, first),
    };
    match Login::decode(&first.payload) {
        Ok(LoginOrTls::Login(login)) => Ok((client, login)),
        _ => Err((Rejected::Told(errno::bad_handshake()), Some(client))),
    }
}

async fn read(door: &Door, mut client: Client) -> Result<(Client, Packet), Failed> {
    match client.packets.read_packet(client.seq, door.packet_limit).await {
        Ok(packet) => {
            client.seq = packet.seq.wrapping_add(1);
            Ok((client, packet))
        }
        Err(error @ ReadError::Io(_)) => Err((error.into(), None)),
        Err(ReadError::OutOfOrder { .. }) => Err((Rejected::Told(errno::out_of_order()), Some(client))),
        Err(ReadError::TooLarge { .. } | ReadError::Exhausted(_)) => {
            Err((Rejected::Told(errno::packet_too_large()), Some(client)))
        }
    }
}

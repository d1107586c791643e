//! A client of the simulation: does what comes to its mind, and knows what it must get.

use super::proxy::{Proxy, USERS};
use super::random::Random;
use super::tag::{State, Tag};
use super::world::World;
use landbridge::net::packets::{PacketStream, ReadError};
use landbridge::net::stream::Socket;
use landbridge::protocol::capability::{Capabilities, Status};
use landbridge::protocol::command::Command;
use landbridge::protocol::exchange::{Exchange, Expect, Role, decode_end};
use landbridge::protocol::handshake::{Greeting, Login};
use landbridge::protocol::packet::frame_parts;
use landbridge::protocol::response::{OkPacket, ServerError};
use landbridge::protocol::resultset::text_row;
use landbridge::protocol::wire::Reader;
use std::sync::Arc;
use std::time::Duration;

/// Nothing may take longer, whatever servers do: checkouts, dials, confirmations and retries have deadlines.
const PATIENCE: Duration = Duration::from_secs(180);

/// What every client here can do.
const CAPS: Capabilities = Capabilities::LONG_PASSWORD
    .union(Capabilities::PROTOCOL_41)
    .union(Capabilities::TRANSACTIONS)
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::MULTI_RESULTS)
    .union(Capabilities::PS_MULTI_RESULTS)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::CONNECT_WITH_DB);

/// The connection is over.
#[derive(Debug)]
pub struct Over;

/// One answer, taken apart.
#[derive(Debug, Default)]
pub struct Got {
    /// The error, if it failed.
    pub error: Option<ServerError>,
    /// The first values of its rows.
    pub values: Vec<String>,
    /// `AUTO_INCREMENT` of its OK.
    pub insert_id: u64,
    /// The status it ended with.
    pub status: Status,
    /// The head of the answer to a preparation.
    pub prepared: Option<u32>,
}

/// A client with a connection.
pub struct Client {
    /// The world it is in.
    pub world: Arc<World>,
    /// For what it does.
    pub random: Random,
    /// Who it is.
    pub id: u64,
    /// Its user.
    pub user: &'static str,
    /// What it was told of its session.
    pub state: State,
    /// Its open transaction, or 0.
    pub transaction: u64,
    /// What it wrote in it.
    pub pending: Vec<u64>,
    /// `LAST_INSERT_ID()`, if it is certain.
    pub insert_id: Option<u64>,
    /// Its prepared statements: the id, whether it writes.
    pub prepared: Vec<(u32, bool)>,
    /// Whether it may send several statements at once.
    pub multi_statements: bool,
    caps: Capabilities,
    packets: PacketStream,
}

impl Client {
    /// Connects and logs in.
    pub async fn connect(proxy: &Proxy, world: &Arc<World>, id: u64, mut random: Random) -> Result<Self, Over> {
        let user = random.pick(&USERS);
        let schema = random.pick(&["", "s1", "s2"]);
        let packets = PacketStream::plain(Socket::Simulated(Box::new(proxy.connect(&mut random))));
        let optional = [Capabilities::DEPRECATE_EOF, Capabilities::SESSION_TRACK, Capabilities::MULTI_STATEMENTS];
        let mut caps = CAPS;
        optional.iter().for_each(|one| caps.set(*one, random.per_mille(600)));
        let mut client = Self {
            world: world.clone(),
            random,
            id,
            user,
            state: State::fresh(schema),
            transaction: 0,
            pending: Vec::new(),
            insert_id: Some(0),
            prepared: Vec::new(),
            multi_statements: caps.contains(Capabilities::MULTI_STATEMENTS),
            caps,
            packets,
        };
        client.log_in(schema).await?;
        Ok(client)
    }

    async fn log_in(&mut self, schema: &str) -> Result<(), Over> {
        let first = self.read(0).await?;
        let Ok(greeting) = Greeting::decode(&first) else { return Err(Over) };
        self.caps &= greeting.capabilities;
        self.world.facts().threads.push(greeting.thread_id);
        let login = Login {
            capabilities: self.caps,
            max_packet: 1 << 24,
            collation: 45,
            user: self.user.into(),
            auth: Vec::new(),
            schema: Some(schema.into()),
            plugin: Some(greeting.plugin.into_bytes()),
            attributes: Vec::new(),
            zstd_level: None,
        };
        let mut payload = Vec::new();
        login.encode(&mut payload);
        frame_parts(self.packets.output(), 1, &[&payload]);
        self.packets.flush().await.map_err(|_| Over)?;
        match self.answer(Expect::Ok, 2).await?.error {
            None => Ok(()),
            Some(_) => Err(Over),
        }
    }

    async fn read(&mut self, seq: u8) -> Result<Vec<u8>, Over> {
        match tokio::time::timeout(PATIENCE, self.packets.read_packet(seq, 1 << 24)).await {
            Ok(Ok(packet)) => Ok(packet.payload.to_vec()),
            Ok(Err(ReadError::Io(_))) => Err(Over),
            // Whoever is turned away is told so out of turn.
            Ok(Err(ReadError::OutOfOrder { got: 1, .. })) => Err(Over),
            Ok(Err(error)) => {
                self.world.violated(format!("client {}: {error}", self.id));
                Err(Over)
            }
            Err(_) => {
                self.world.violated(format!("client {} waits for an answer and gets none", self.id));
                Err(Over)
            }
        }
    }

    /// Notes what must not have been.
    pub fn violated(&self, what: &str) {
        self.world.violated(format!("client {}: {what}", self.id));
    }

    /// Sends bytes that are no packets.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Over> {
        self.packets.output().extend_from_slice(bytes);
        self.packets.flush().await.map_err(|_| Over)
    }

    /// Puts a command into the next write.
    pub fn push(&mut self, command: Command, body: &[u8]) {
        frame_parts(self.packets.output(), 0, &[&[command.byte()], body]);
    }

    /// Sends what was pushed.
    pub async fn flush(&mut self) -> Result<(), Over> {
        self.packets.flush().await.map_err(|_| Over)
    }

    /// Sends a command and reads its whole answer.
    pub async fn ask(&mut self, command: Command, body: &[u8], expect: Expect) -> Result<Got, Over> {
        let shown = String::from_utf8_lossy(&body[..body.len().min(300)]).into_owned();
        self.world.tell(format!("client {}: {command:?} {}", self.id, shown.escape_default()));
        self.push(command, body);
        self.flush().await?;
        self.answer(expect, 1).await
    }

    /// Sends text and reads its whole answer.
    pub async fn query(&mut self, text: &str) -> Result<Got, Over> {
        self.ask(Command::Query, text.as_bytes(), Expect::Results).await
    }

    /// Reads one whole answer: well-formed for what this client can do, and numbered.
    pub async fn answer(&mut self, expect: Expect, first: u8) -> Result<Got, Over> {
        let mut exchange = Exchange::new(expect, self.caps);
        let (mut got, mut seq) = (Got::default(), first);
        loop {
            let payload = self.read(seq).await?;
            seq = seq.wrapping_add(1);
            let Ok(step) = exchange.packet(payload.len(), &payload) else {
                self.violated(&format!("an answer that is none: {}", payload.escape_ascii()));
                return Err(Over);
            };
            match step.role {
                Role::Ok => {
                    if let Ok(ok) = OkPacket::decode(&payload, self.caps) {
                        got.status = ok.status;
                        got.insert_id = ok.last_insert_id;
                    }
                }
                Role::RowsEnd => {
                    if let Ok(end) = decode_end(&payload, self.caps) {
                        got.status = end.status;
                    }
                }
                Role::Err => got.error = ServerError::decode(&payload).ok(),
                Role::Row => got.values.push(first_value(&payload)),
                Role::PrepareOk => {
                    let mut reader = Reader::new(&payload[1..], "preparation");
                    got.prepared = reader.u32().ok();
                }
                // Nobody asked for one.
                Role::LocalInfile => {
                    self.violated("a server asks it for a file");
                    return Err(Over);
                }
                _ => {}
            }
            if step.end {
                let told = got.error.as_ref().map_or_else(|| format!("{:?}", got.values), ToString::to_string);
                self.world.tell(format!("client {} gets {told} {:?}", self.id, got.status));
                return Ok(got);
            }
        }
    }

    /// The tag of its next statement.
    pub fn tag(&mut self) -> Tag {
        let mut facts = self.world.facts();
        let number = facts.next_statement();
        let must_see = facts.seen.get(self.user).copied().unwrap_or(0);
        drop(facts);
        let (client, transaction) = (self.id, self.transaction);
        Tag { client, number, transaction, must_see, state: self.state.to_string() }
    }
}

/// The first value of a row, in either protocol: all here are short texts.
fn first_value(payload: &[u8]) -> String {
    let binary = payload.first() == Some(&0) && payload.len() > 2;
    if binary {
        return Reader::new(&payload[2..], "row").lenenc_bytes().map(text).unwrap_or_default();
    }
    text_row(payload).ok().and_then(|row| row.into_iter().next().flatten()).unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

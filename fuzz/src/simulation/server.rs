//! A server of the simulation: greets, lets everybody in, answers; and fails as it is told to.

use super::nonsense::{garble, split};
use super::random::Random;
use super::statements::{Answer, Conn};
use super::tag::Tag;
use super::wire::{self, End};
use super::world::{Order, World};
use bytes::Bytes;
use landbridge::net::packets::PacketStream;
use landbridge::net::simulated::{Dialling, Duplex, Peer};
use landbridge::net::stream::Socket;
use landbridge::protocol::capability::{Capabilities, Status};
use landbridge::protocol::command::Command;
use landbridge::protocol::handshake::{Greeting, Login, LoginOrTls};
use landbridge::protocol::packet::frame;
use landbridge::protocol::parameters::{Execution, Types};
use landbridge::protocol::response::{OK, OkPacket, ServerError};
use landbridge::protocol::resultset::{Column, ColumnType, Protocol, encode};
use landbridge::protocol::track::Changes;
use landbridge::protocol::wire::Put;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a server of the simulation can do.
const OFFERED: Capabilities = Capabilities::LONG_PASSWORD
    .union(Capabilities::FOUND_ROWS)
    .union(Capabilities::LONG_FLAG)
    .union(Capabilities::CONNECT_WITH_DB)
    .union(Capabilities::LOCAL_FILES)
    .union(Capabilities::PROTOCOL_41)
    .union(Capabilities::TRANSACTIONS)
    .union(Capabilities::SECURE_CONNECTION)
    .union(Capabilities::MULTI_STATEMENTS)
    .union(Capabilities::MULTI_RESULTS)
    .union(Capabilities::PS_MULTI_RESULTS)
    .union(Capabilities::PLUGIN_AUTH)
    .union(Capabilities::SESSION_TRACK);

/// Longer than any run.
const FOREVER: Duration = Duration::from_secs(1 << 20);

/// Where a server is.
#[derive(Debug)]
pub struct Place {
    /// The world it is in.
    pub world: Arc<World>,
    /// Which server.
    pub server: usize,
    /// What it offers besides.
    pub extras: Capabilities,
    /// For what its connections do.
    pub random: Mutex<Random>,
}

impl Peer for Place {
    fn dial(&self) -> Dialling {
        let mut random = self.random.lock().expect("no panic while it is held").fork();
        let (world, server, extras) = (self.world.clone(), self.server, self.extras);
        Box::pin(async move {
            if random.per_mille(world.faults.dials / 2) {
                tokio::time::sleep(Duration::from_millis(random.below(4000))).await;
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let (near, far) = wire::pair(Some(random.fork()));
            let mut facts = world.facts();
            let machine = &mut facts.machines[server];
            if !machine.up {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            machine.last_thread += 1;
            let thread = machine.last_thread;
            machine.connections.insert(thread, far.cord());
            drop(facts);
            tokio::spawn(async move {
                let mut serving = Serving {
                    caps: OFFERED | extras,
                    failed: false,
                    must_fail: false,
                    conn: Conn::new(server, thread),
                    world: world.clone(),
                    random,
                };
                // Whatever ends it, the connection is over.
                let _over = serving.serve(far).await;
                world.facts().machines[server].connections.remove(&thread);
            });
            let near: Box<dyn Duplex> = Box::new(near);
            Ok(near)
        })
    }
}

/// A connection at work.
struct Serving {
    world: Arc<World>,
    conn: Conn,
    caps: Capabilities,
    /// Whether the last statement failed.
    failed: bool,
    /// Whether the next one does.
    must_fail: bool,
    random: Random,
}

/// What becomes of an answer.
enum Fate {
    Whole,
    /// Only so many of its bytes are sent.
    Cut(usize),
}

impl Serving {
    async fn serve(&mut self, end: End) -> io::Result<()> {
        let cord = end.cord();
        let mut packets = PacketStream::plain(Socket::Simulated(Box::new(end)));
        self.log_in(&mut packets).await?;
        let mut patience = FOREVER;
        loop {
            let next = tokio::time::timeout(patience, packets.read_packet(0, 1 << 24)).await?;
            let packet = next.map_err(io::Error::other)?;
            let faults = self.world.faults;
            let payload = &packet.payload[..];
            if self.random.per_mille(faults.stalls) {
                self.fault("is slow");
                tokio::time::sleep(Duration::from_millis(self.random.below(15_000))).await;
                if cord.is_cut() {
                    return Ok(());
                }
            }
            let cut = self.random.per_mille(faults.cuts);
            if cut && self.random.per_mille(300) {
                self.fault("hangs up before it runs");
                return Ok(());
            }
            let order = self.world.facts().ordered(&String::from_utf8_lossy(payload));
            match order {
                None => {}
                Some(Order::Fail) => self.must_fail = true,
                Some(Order::HangUp) => return Ok(()),
                Some(Order::Silence) => {
                    // Nor is anything else that comes here.
                    while packets.read_packet(0, 1 << 24).await.is_ok() {}
                    return Ok(());
                }
            }
            let Some(mut answer) = self.command(payload).await else { return Ok(()) };
            if self.random.per_mille(faults.nonsense) {
                self.fault("talks nonsense");
                garble(&mut answer, &mut self.random);
                // Whoever waits for the rest of an answer waits as long as for any statement.
                patience = Duration::from_secs(20);
            }
            let fate = if cut { Fate::Cut(self.random.below(answer.len() as u64) as usize) } else { Fate::Whole };
            if let Fate::Cut(at) = fate {
                self.fault("hangs up in the answer");
                answer.truncate(at);
            }
            packets.output().extend_from_slice(&answer);
            packets.flush().await?;
            if cut {
                return Ok(());
            }
        }
    }

    fn fault(&self, what: &str) {
        let mut facts = self.world.facts();
        facts.faults += 1;
        let told = format!("server {}/{} {what}", self.conn.server, self.conn.thread);
        facts.story.push(told);
    }

    async fn log_in(&mut self, packets: &mut PacketStream) -> io::Result<()> {
        let mut payload = Vec::new();
        if self.random.per_mille(self.world.faults.dials / 2) {
            self.fault("is full");
            ServerError::new(1040, b"08004", "Too many connections").encode(&mut payload);
            frame(packets.output(), 0, &payload);
            packets.flush().await?;
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let greeting = Greeting {
            version: "8.4.0".into(),
            thread_id: self.conn.thread,
            nonce: [7; 20],
            capabilities: self.caps,
            collation: 255,
            status: Status::AUTOCOMMIT,
            plugin: "mysql_native_password".into(),
        };
        greeting.encode(&mut payload);
        frame(packets.output(), 0, &payload);
        packets.flush().await?;
        let login = packets.read_packet(1, 1 << 16).await.map_err(io::Error::other)?;
        let Ok(LoginOrTls::Login(login)) = Login::decode(&login.payload) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        self.caps = login.capabilities & self.caps;
        frame(packets.output(), 2, &self.ok(0, &[], Status::empty()));
        packets.flush().await
    }

    fn ok(&self, insert_id: u64, changes: &[u8], more: Status) -> Vec<u8> {
        let mut payload = Vec::new();
        let mut status = self.conn.status() | more;
        status.set(Status::SESSION_STATE_CHANGED, !changes.is_empty());
        let affected_rows = u64::from(insert_id > 0);
        let changes = Changes::new(changes);
        let ok = OkPacket { affected_rows, last_insert_id: insert_id, status, changes, ..OkPacket::default() };
        ok.encode(&mut payload, OK, self.caps);
        payload
    }

    /// The whole answer to a command, framed; `None` ends the connection.
    async fn command(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let (byte, body) = payload.split_first()?;
        let text = || String::from_utf8_lossy(body).into_owned();
        match Command::from_byte(*byte) {
            Command::Quit => return None,
            Command::Query => return Some(self.query(&text()).await),
            Command::InitDb => {
                let answer = self.conn.choose(&text());
                self.push(&mut out, 1, answer, Protocol::Text, false);
            }
            Command::StmtPrepare => self.prepare(&text(), &mut out),
            Command::StmtExecute => self.execute(body, &mut out),
            Command::StmtClose => {
                let id = body.try_into().map(u32::from_le_bytes).ok()?;
                self.conn.prepared.remove(&id);
            }
            Command::StmtSendLongData => {}
            Command::SetOption => {
                self.conn.multi_statements = body.first() == Some(&0);
                let mut end = Vec::new();
                OkPacket { status: self.conn.status(), ..OkPacket::default() }.encode_end_of_rows(&mut end, self.caps);
                frame(&mut out, 1, &end);
            }
            Command::ResetConnection => {
                self.conn.reset();
                frame(&mut out, 1, &self.ok(0, &[], Status::empty()));
            }
            Command::ChangeUser => {
                let last_prepared = self.conn.last_prepared;
                self.conn = Conn { last_prepared, ..Conn::new(self.conn.server, self.conn.thread) };
                frame(&mut out, 1, &self.ok(0, &[], Status::empty()));
            }
            Command::Statistics => drop(frame(&mut out, 1, b"Uptime: 1")),
            Command::Ping | Command::StmtReset | Command::ProcessKill | Command::Debug => {
                frame(&mut out, 1, &self.ok(0, &[], Status::empty()));
            }
            _ => {
                self.push(&mut out, 1, Answer::error(1047, "Unknown command"), Protocol::Text, false);
            }
        }
        Some(out)
    }

    async fn query(&mut self, text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(wanted) = text.strip_prefix("SELECT WAIT_FOR_EXECUTED_GTID_SET(") {
            let answer = self.wait(wanted).await;
            self.push(&mut out, 1, answer, Protocol::Text, false);
            return out;
        }
        let statements: Vec<&str> = text.split(';').filter(|statement| !statement.trim().is_empty()).collect();
        if statements.len() > 1 && !self.conn.multi_statements {
            self.push(&mut out, 1, Answer::error(1064, "You have an error"), Protocol::Text, false);
            return out;
        }
        let mut seq = 1;
        for (at, statement) in statements.iter().enumerate() {
            let answer = self.run(statement);
            let failed = matches!(answer, Answer::Err(_));
            self.failed = failed;
            seq = self.push(&mut out, seq, answer, Protocol::Text, at + 1 < statements.len());
            if failed {
                break;
            }
        }
        out
    }

    fn run(&mut self, sql: &str) -> Answer {
        let world = self.world.clone();
        let mut facts = world.facts();
        facts.story.push(format!("    on {}/{}: {sql}", self.conn.server, self.conn.thread));
        if std::mem::take(&mut self.must_fail) || self.random.per_mille(world.faults.errors) {
            facts.faults += 1;
            // What Landbridge asks on its own account locks nothing.
            let locks = self.conn.transaction.is_some() && Tag::find(sql).is_some();
            let deadlock = locks && self.random.per_mille(500);
            if deadlock {
                self.conn.transaction = None;
            }
            facts.story.push(format!("    fails, deadlock: {deadlock}"));
            return Answer::error(if deadlock { 1213 } else { 1146 }, "it fails");
        }
        self.conn.run(&mut facts, sql)
    }

    /// Waits until this server has executed what is wanted: `'set', seconds), ..`.
    async fn wait(&mut self, wanted: &str) -> Answer {
        let number = |text: &str| text.rsplit([':', '-']).next().and_then(|last| last.parse::<u64>().ok());
        let wanted_number = wanted.split('\'').nth(1).and_then(number).unwrap_or(u64::MAX);
        let seconds = wanted.split([',', ')']).nth(1).and_then(|text| text.trim().parse().ok()).unwrap_or(0.0);
        let server = self.conn.server;
        let there = async {
            loop {
                let progress = self.world.progress.notified();
                if self.world.facts().machines[server].executed >= wanted_number {
                    return;
                }
                progress.await;
            }
        };
        let late = tokio::time::timeout(Duration::from_secs_f64(seconds), there).await.is_err();
        let executed = self.world.facts().executed(server);
        let row = vec![Some(u8::from(late).to_string()), Some(String::new()), Some(executed)];
        Answer::Rows(vec!["w", "o", "e"], vec![row])
    }

    fn prepare(&mut self, text: &str, out: &mut Vec<u8>) {
        self.conn.last_prepared += 1;
        let id = self.conn.last_prepared;
        let schema = &self.conn.state.schema;
        // Behind a prelude that failed it is prepared in vain: nobody can know its number.
        let is_sure = self.world.is_honest() && !self.failed;
        if is_sure && meant_for(text).is_some_and(|meant| meant != schema) {
            self.world.violated(format!("prepared in schema '{schema}' on {}: {text}", self.conn.server));
        }
        self.conn.prepared.insert(id, (text.into(), self.conn.state.schema.clone()));
        let selects = text.starts_with("SELECT");
        let mut payload = vec![0];
        payload.put_u32(id);
        payload.put_u16(u16::from(selects));
        payload.put_u16(1);
        payload.put(&[0, 0, 0]);
        let mut seq = frame(out, 1, &payload);
        for _ in 0..=u8::from(selects) {
            // The definition of a column, out of a result set that has one.
            let mut set = Vec::new();
            let columns = [Column { name: b"n", kind: ColumnType::TEXT }];
            encode(&mut set, self.caps, &OkPacket::default(), &columns, &[], Protocol::Text);
            seq = frame(out, seq, split(&set)[1]);
            if !self.caps.contains(Capabilities::DEPRECATE_EOF) {
                seq = frame(out, seq, &[0xFE, 0, 0, 2, 0]);
            }
        }
    }

    fn execute(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let id = body.first_chunk().map_or(0, |id| u32::from_le_bytes(*id));
        let Some((text, schema)) = self.conn.prepared.get(&id).cloned() else {
            self.push(out, 1, Answer::error(1243, "Unknown prepared statement handler"), Protocol::Binary, false);
            return;
        };
        let decoded = Execution::decode(&Bytes::copy_from_slice(&body[4..]), 1, self.caps, &Types::default());
        let tag = decoded.ok().and_then(|_| Tag::find(&String::from_utf8_lossy(body)));
        let tag = tag.map(|tag| tag.to_string()).unwrap_or_default();
        if self.world.is_honest() && meant_for(&text).is_some_and(|meant| meant != schema) {
            self.world.violated(format!("executed as prepared in '{schema}': {text}"));
        }
        let answer = self.run(&text.replacen("/*", &format!("/*{tag} "), 1));
        self.push(out, 1, answer, Protocol::Binary, false);
    }

    /// Frames an answer; the next packet's number.
    fn push(&mut self, out: &mut Vec<u8>, mut seq: u8, answer: Answer, protocol: Protocol, more: bool) -> u8 {
        let more = if more { Status::MORE_RESULTS } else { Status::empty() };
        match answer {
            Answer::Ok { insert_id, changes } => frame(out, seq, &self.ok(insert_id, &changes, more)),
            Answer::Err(error) => {
                let mut payload = Vec::new();
                error.encode(&mut payload);
                frame(out, seq, &payload)
            }
            Answer::Rows(names, rows) => {
                let column = |name: &&'static str| Column { name: name.as_bytes(), kind: ColumnType::TEXT };
                let columns: Vec<Column<'_>> = names.iter().map(column).collect();
                let bytes = |value: &Option<String>| value.clone().map(String::into_bytes);
                let rows: Vec<Vec<_>> = rows.iter().map(|row| row.iter().map(bytes).collect()).collect();
                let end = OkPacket { status: self.conn.status() | more, ..OkPacket::default() };
                let mut set = Vec::new();
                encode(&mut set, self.caps, &end, &columns, &rows, protocol);
                for payload in split(&set) {
                    seq = frame(out, seq, payload);
                }
                seq
            }
        }
    }
}

/// The schema that a client was in when it prepared this. What could be prepared in none is meant for each: a real
/// server refuses names that need one.
fn meant_for(text: &str) -> Option<&str> {
    text.split("/* in ").nth(1)?.split(' ').next().filter(|schema| !schema.is_empty())
}

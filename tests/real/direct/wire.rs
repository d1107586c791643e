//! A client that keeps every packet: what a direct connection and Landbridge send, byte for byte.

use bytes::{Buf, BytesMut};
use landbridge::protocol::auth::Plugin;
use landbridge::protocol::capability::Capabilities;
use landbridge::protocol::compression::{Algorithm, Compression};
use landbridge::protocol::exchange::{Exchange, Expect, Role};
use landbridge::protocol::handshake::{Greeting, Login};
use landbridge::protocol::packet::{HEADER_LEN, Header, MAX_PAYLOAD, frame};
use landbridge::protocol::response::OK;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longer than anything here takes, shorter than anybody's patience.
const SOON: Duration = Duration::from_secs(20);

/// One packet of an answer, as it was framed.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Packet {
    pub(super) seq: u8,
    pub(super) role: Option<Role>,
    pub(super) payload: Vec<u8>,
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = &self.payload[..self.payload.len().min(300)];
        let role = self.role.map_or_else(|| "end".into(), |role| format!("{role:?}"));
        write!(f, "#{} {role} {} B \"{}\"", self.seq, self.payload.len(), shown.escape_ascii())
    }
}

/// A connection, logged in.
pub(super) struct Wire {
    stream: TcpStream,
    pub(super) caps: Capabilities,
    /// Received and not consumed, behind compression.
    plain: BytesMut,
    /// Received and still compressed.
    raw: BytesMut,
    compressed: Option<(Algorithm, Compression)>,
}

/// Who logs in.
#[derive(Clone, Copy)]
pub(super) struct Who<'a> {
    pub(super) user: &'a str,
    pub(super) password: &'a str,
    pub(super) schema: Option<&'a str>,
    pub(super) collation: u16,
}

impl Wire {
    /// Logs in with exactly these capabilities, as far as they are offered.
    pub(super) async fn log_in(port: u16, wanted: Capabilities, who: Who<'_>) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("somebody listens");
        stream.set_nodelay(true).expect("an option");
        let (plain, raw) = (BytesMut::new(), BytesMut::new());
        let mut wire = Self { stream, caps: wanted, plain, raw, compressed: None };
        let (_, greeting) = wire.physical().await.expect("a greeting");
        let greeting = Greeting::decode(&greeting).expect("a greeting");
        // MariaDB shows by its absence that it has extensions of its own.
        let missing = wanted - greeting.capabilities - Capabilities::LONG_PASSWORD;
        assert!(missing.is_empty(), "not offered: {missing:?}");
        let plugin = Plugin::from_name(greeting.plugin.as_bytes()).expect("a plugin we know");
        let scramble = plugin.scramble().expect("a plugin that scrambles");
        let login = Login {
            capabilities: wanted,
            max_packet: 1 << 30,
            collation: who.collation,
            user: who.user.into(),
            auth: scramble.proof(who.password.as_bytes(), &greeting.nonce),
            schema: who.schema.filter(|_| wanted.contains(Capabilities::CONNECT_WITH_DB)).map(Into::into),
            plugin: wanted.contains(Capabilities::PLUGIN_AUTH).then(|| plugin.name().into()),
            attributes: Vec::new(),
            zstd_level: wanted.contains(Capabilities::ZSTD_COMPRESSION).then_some(3),
        };
        let (mut payload, mut out) = (Vec::new(), Vec::new());
        login.encode(&mut payload);
        frame(&mut out, 1, &payload);
        wire.stream.write_all(&out).await.expect("sent");
        let answer = wire.until_logged_in().await;
        assert_eq!(answer.first(), Some(&OK), "login: {}", answer.escape_ascii());
        wire.compressed = match wanted {
            _ if wanted.contains(Capabilities::COMPRESS) => Some(Algorithm::Zlib),
            _ if wanted.contains(Capabilities::ZSTD_COMPRESSION) => Some(Algorithm::Zstd(3)),
            _ => None,
        }
        .map(|algorithm| (algorithm, Compression::new(algorithm)));
        wire
    }

    async fn until_logged_in(&mut self) -> Vec<u8> {
        loop {
            let (_, payload) = self.physical().await.expect("an answer to the login");
            // `caching_sha2_password` says first that the proof was right.
            if payload != [1, 3] {
                return payload;
            }
        }
    }

    /// Sends a command without waiting for its answer.
    pub(super) async fn send(&mut self, command: &[u8]) {
        let mut out = Vec::new();
        frame(&mut out, 0, command);
        if let Some((algorithm, compression)) = &mut self.compressed {
            // Each command numbers its envelopes from the beginning.
            *compression = Compression::new(*algorithm);
        }
        // Whether the other side still listens, the answer will show.
        let _gone = self.write(&out).await;
    }

    /// Sends a command; every packet of its answer, to the end or to the end of the connection.
    pub(super) async fn ask(&mut self, command: &[u8], expect: Expect, file: &[u8]) -> Vec<Packet> {
        self.send(command).await;
        match tokio::time::timeout(SOON, self.answer(expect, file)).await {
            Ok(packets) => packets,
            Err(_) => {
                let _gone = self.stream.shutdown().await;
                vec![Packet { seq: 0, role: None, payload: b"silence".to_vec() }]
            }
        }
    }

    async fn answer(&mut self, expect: Expect, file: &[u8]) -> Vec<Packet> {
        let mut exchange = Exchange::new(expect, self.caps);
        let mut packets = Vec::new();
        loop {
            let Some((seq, first_len, payload)) = self.logical().await else {
                packets.push(Packet { seq: 0, role: None, payload: b"closed".to_vec() });
                return packets;
            };
            let Ok(step) = exchange.packet(first_len, &payload) else {
                // Nobody knows where it ends.
                let _gone = self.stream.shutdown().await;
                packets.push(Packet { seq, role: None, payload: [b"malformed: ", &payload[..]].concat() });
                return packets;
            };
            packets.push(Packet { seq, role: Some(step.role), payload });
            if step.role == Role::LocalInfile {
                let mut out = Vec::new();
                let next =
                    if file.is_empty() { seq.wrapping_add(1) } else { frame(&mut out, seq.wrapping_add(1), file) };
                frame(&mut out, next, &[]);
                self.write(&out).await.expect("sent");
                exchange.infile_sent();
            }
            if step.end {
                return packets;
            }
        }
    }

    /// A packet joined over its physical parts: its last number, the length of its first part.
    async fn logical(&mut self) -> Option<(u8, usize, Vec<u8>)> {
        let (mut seq, mut payload) = self.physical().await?;
        let first_len = payload.len();
        let mut last = first_len;
        while last == MAX_PAYLOAD {
            let (next, part) = self.physical().await?;
            (seq, last) = (next, part.len());
            payload.extend(part);
        }
        Some((seq, first_len, payload))
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.compressed {
            None => self.stream.write_all(bytes).await,
            Some((_, compression)) => {
                let mut out = Vec::new();
                compression.wrap(bytes, &mut out);
                self.stream.write_all(&out).await
            }
        }
    }

    async fn physical(&mut self) -> Option<(u8, Vec<u8>)> {
        self.fill(HEADER_LEN).await?;
        let header = Header::peek(&self.plain)?;
        self.fill(HEADER_LEN + header.len).await?;
        self.plain.advance(HEADER_LEN);
        Some((header.seq, self.plain.split_to(header.len).to_vec()))
    }

    /// Waits until there are so many bytes; `None` if the stream ends before.
    async fn fill(&mut self, bytes: usize) -> Option<()> {
        while self.plain.len() < bytes {
            let Some((_, compression)) = &mut self.compressed else {
                self.stream.read_buf(&mut self.plain).await.ok().filter(|n| *n > 0)?;
                continue;
            };
            let before = self.plain.len();
            compression.unwrap(&mut self.raw, &mut self.plain).expect("what a server compresses");
            if self.plain.len() == before {
                self.stream.read_buf(&mut self.raw).await.ok().filter(|n| *n > 0)?;
            }
        }
        Some(())
    }
}

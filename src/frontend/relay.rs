//! Moves one response from a server to a client, packet by packet, with bounded buffers.
//!
//! Headers are read, rows are not. Packets are renumbered for the client, and what ends results is
//! rewritten for its capabilities. While the server is silent the client is watched, so that a
//! statement whose client has gone can be ended.

use super::client::Client;
use super::summary::Summary;
use super::translate::{Hold, Progress, Side, Translator};
use crate::backend::conn::{Busy, Lost};
use crate::net::packets::{PacketStream, ReadError};
use crate::protocol::command::Command;
use crate::protocol::errno;
use crate::protocol::exchange::Expect;
use crate::protocol::packet::{HEADER_LEN, Header, frame};
use crate::protocol::response::ServerError;
use crate::protocol::track::Reports;
use crate::protocol::wire::Malformed;
use bytes::Buf;
use std::hash::RandomState;
use std::io;
use std::time::Duration;

/// At most this much of the client's next command is read while it waits for an answer, or for its turn.
pub(super) const READ_AHEAD: usize = 64 * 1024;

/// Why a response could not be brought to its end.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// The server went away or talked nonsense.
    #[error("{0}")]
    Server(#[from] Lost),
    /// The client went away.
    #[error("the client left: {0}")]
    Client(io::Error),
}

/// What of the response is special.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about a response")]
pub struct Expected {
    /// Results of our own statements ahead of the client's, to be kept from it.
    pub skip: usize,
    /// The id the client shall know a prepared statement by.
    pub statement_id: Option<u32>,
    /// Whether the client sent `LOAD DATA LOCAL` and may be asked for a file.
    pub local_infile: bool,
    /// Whether the client's command may hold several statements.
    pub several: bool,
    /// Whether the client asked for a cursor, so that its rows may stay on the server.
    pub cursor: bool,
    /// Reports that the client has chosen itself, of which it is to see all.
    pub reports: Reports,
    /// Whether the command holds several statements and nothing was sent behind it. A server that
    /// kills one statement of several may promise more results and send none: after a silence it is
    /// asked something, to see whether it is still at work.
    pub may_go_silent: bool,
    /// Whether the client is told of a result only if it has rows; without, the answer is `untold`.
    pub only_with_rows: bool,
    /// Whether another connection can do the same, so that the word of a server that stops is no answer.
    pub elsewhere: bool,
    /// Whether another server may know better than one that answers with an error, unless somebody has ended the
    /// statement: without, the answer is `untold`.
    pub no_errors: bool,
}

/// So long a server may be silent in the middle of several statements before it is asked something.
const SILENCE: Duration = Duration::from_secs(1);

/// Relays the response to the command under way and tells what it said; with a key also what its rows were.
///
/// # Errors
/// Either end went away. The connection must not be used again then.
pub async fn relay(
    busy: &mut Busy,
    client: &mut Client,
    expected: Expected,
    sums: Option<&RandomState>,
) -> Result<Summary, RelayError> {
    let mut translator = Translator::new(side(busy), client.caps, expected, client.seq, sums);
    let begun_at = client.packets.output().len();
    let mut patience = expected.may_go_silent.then_some(SILENCE);
    while let Some((packets, exchange)) = busy.parts() {
        let input = packets.input();
        let progress = translator.advance(input, exchange, client.packets.output()).map_err(Lost::from)?;
        match progress {
            Progress::Over { consumed } => {
                input.advance(consumed);
                busy.exchange_over();
                break;
            }
            Progress::Verbatim { consumed, len } => {
                input.advance(consumed);
                let rows = input.split_to(len);
                client.answered = true;
                client.packets.write_through(&rows).await.map_err(RelayError::Client)?;
            }
            Progress::More { consumed } => {
                input.advance(consumed);
                if translator.hold() == Hold::Released && !client.packets.output().is_empty() {
                    client.answered = true;
                    client.packets.flush().await.map_err(RelayError::Client)?;
                    // Where an envelope begins with a result, servers number its packets like envelopes, and
                    // there are drivers that insist on it.
                    if let Some(seq) = client.packets.next_envelope().filter(|_| exchange.at_a_result()) {
                        translator.continue_at(seq, translator.server_seq());
                    }
                }
                if wait(packets, &mut client.packets, patience).await? == Heard::Nothing {
                    // Its answer comes behind the one that is due, or shows that none will come. Unlike a
                    // ping it leaves what the session may ask of its last statement as it is.
                    busy.command(Expect::Text, &[&[Command::Statistics.byte()]]);
                    busy.flush().await?;
                    patience = None;
                }
            }
            Progress::LocalInfile { consumed } => {
                input.advance(consumed);
                patience = None;
                if expected.local_infile {
                    // From here on its file comes: what is left of it must never be read as commands.
                    client.answered = true;
                    client.packets.flush().await.map_err(RelayError::Client)?;
                    let (client_seq, server_seq) = pass_file(&mut client.packets, packets, &translator).await?;
                    translator.continue_at(client_seq, server_seq);
                } else if expected.several {
                    // A file without a line would be loaded well, and what stands behind it would run. Only the end
                    // of the connection keeps it from that, as an error would have done.
                    return Err(lost(io::ErrorKind::PermissionDenied.into()));
                } else {
                    let server_seq = frame(packets.output(), translator.server_seq(), &[]);
                    translator.continue_at(translator.client_seq(), server_seq);
                    packets.flush().await.map_err(lost)?;
                }
                exchange.infile_sent();
            }
        }
    }
    if translator.hold() == Hold::Empty {
        client.packets.output().truncate(begun_at);
        let mut summary = translator.into_summary();
        busy.set_status(summary.status);
        summary.untold = true;
        return Ok(summary);
    }
    let seq = translator.client_seq();
    let mut summary = translator.into_summary();
    if expected.elsewhere && !client.answered && summary.error.as_deref().is_some_and(errno::is_about_server) {
        return Err(lost(io::ErrorKind::ConnectionAborted.into()));
    }
    let is_for_others = |error: &ServerError| !errno::is_interrupted(error);
    if expected.no_errors && !client.answered && summary.error.as_deref().is_some_and(is_for_others) {
        client.packets.output().truncate(begun_at);
        busy.set_status(summary.status);
        summary.untold = true;
        return Ok(summary);
    }
    client.seq = seq;
    summary.unsent = !client.answered;
    client.answered |= !client.packets.output().is_empty();
    busy.set_status(summary.status);
    Ok(summary)
}

/// Takes in the response to the command under way, for nobody but us: what it said, and what its rows were.
///
/// # Errors
/// The server went away or talked nonsense. The connection must not be used again then.
pub async fn sum_up(busy: &mut Busy, sums: &RandomState) -> Result<Summary, Lost> {
    let caps = busy.caps();
    let mut translator = Translator::new(side(busy), caps, Expected::default(), 1, Some(sums));
    let mut nobody = Vec::new();
    while let Some((packets, exchange)) = busy.parts() {
        let input = packets.input();
        let progress = translator.advance(input, exchange, &mut nobody)?;
        nobody.clear();
        match progress {
            Progress::Over { consumed } => {
                input.advance(consumed);
                busy.exchange_over();
                break;
            }
            Progress::Verbatim { consumed, len } => input.advance(consumed + len),
            Progress::More { consumed } => {
                input.advance(consumed);
                packets.fill().await.map_err(Lost::after_send)?;
            }
            Progress::LocalInfile { .. } => return Err(Malformed("answer: a file was asked for").into()),
        }
    }
    let summary = translator.into_summary();
    busy.set_status(summary.status);
    Ok(summary)
}

fn side(busy: &mut Busy) -> Side {
    let first_seq = busy.first_seq();
    Side { caps: busy.caps(), family: busy.family(), status: busy.status(), first_seq }
}

fn lost(error: io::Error) -> RelayError {
    RelayError::Server(Lost { sent: true, source: ReadError::Io(error) })
}

/// What a wait ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    /// The server said something.
    Something,
    /// It has been silent for as long as one cared to wait.
    Nothing,
}

/// Waits for more from the server; ends early if the client leaves, or patience.
async fn wait(
    server: &mut PacketStream,
    client: &mut PacketStream,
    patience: Option<Duration>,
) -> Result<Heard, RelayError> {
    loop {
        let watch_client = client.received() < READ_AHEAD;
        tokio::select! {
            biased;
            read = server.fill() => return read.map(|_| Heard::Something).map_err(lost),
            read = client.watch(), if watch_client => { read.map_err(RelayError::Client)?; }
            () = elapsed(patience), if patience.is_some() => return Ok(Heard::Nothing),
        }
    }
}

async fn elapsed(patience: Option<Duration>) {
    if let Some(patience) = patience {
        tokio::time::sleep(patience).await;
    }
}

/// Waits for something of the client, which the server waits for, too.
async fn soon(client: &mut PacketStream) -> Result<(), RelayError> {
    while client.input().is_empty() {
        client.fill_soon().await.map_err(RelayError::Client)?;
    }
    Ok(())
}

/// Passes the client's file on to the server, up to and including the empty packet that ends it.
/// Returns the sequence ids of the next packet: for the client, and from the server.
async fn pass_file(
    client: &mut PacketStream,
    server: &mut PacketStream,
    translator: &Translator,
) -> Result<(u8, u8), RelayError> {
    let mut seq = translator.server_seq();
    let mut goes_on = false;
    loop {
        soon(client).await?;
        let header = client.peek_header().await.map_err(RelayError::Client)?;
        client.input().advance(HEADER_LEN);
        server.output().extend_from_slice(&Header { len: header.len, seq }.encode());
        seq = seq.wrapping_add(1);
        let mut left = header.len;
        while left > 0 {
            soon(client).await?;
            let n = left.min(client.input().len());
            let piece = client.input().split_to(n);
            left -= n;
            server.write_through(&piece).await.map_err(lost)?;
        }
        server.flush().await.map_err(lost)?;
        // Behind a packet of the greatest length an empty one is its end, and not the file's.
        if header.len == 0 && !goes_on {
            return Ok((header.seq.wrapping_add(1), seq));
        }
        goes_on = header.is_continued();
    }
}

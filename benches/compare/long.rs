//! Long results and long statements, by a client that looks at nothing but the length of packets.

use super::load::{Outcome, app};
use super::ways::Way;
use anyhow::{Context, Result, bail};
use bytes::Buf;
use landbridge::backend::conn::{Busy, Ready};
use landbridge::backend::login;
use landbridge::protocol::capability::Capabilities;
use landbridge::protocol::command::Command;
use landbridge::protocol::exchange::Expect;
use landbridge::protocol::packet::{HEADER_LEN, Header, MAX_PAYLOAD};
use std::time::{Duration, Instant};

/// What is long.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Long {
    /// The result: a million rows of a thousand bytes, which no server has to look for.
    Result,
    /// One value of 18 MB, which is two packets.
    Value,
    /// A statement of 18 MB, which is two packets.
    Statement,
}

impl Long {
    fn question(self) -> String {
        match self {
            Self::Result => {
                "SELECT REPEAT('landbridge', 100) FROM app.sbtest1 a JOIN app.sbtest2 b LIMIT 1000000".into()
            }
            Self::Value => "SELECT REPEAT('landbridge', 1800000)".into(),
            Self::Statement => format!("SELECT LENGTH('{}')", "landbridge".repeat(1_800_000)),
        }
    }

    /// How many bytes each at least has.
    fn bytes(self) -> usize {
        if matches!(self, Self::Result) { 1_000_000_000 } else { 18_000_000 }
    }
}

/// Asks again and again for so long, and counts megabytes of both directions.
pub(crate) async fn run(long: Long, duration: Duration, way: &Way) -> Result<Outcome> {
    let (question, account) = (long.question(), app());
    let login = login::dial(&way.server, &account, Capabilities::empty(), Duration::from_secs(30)).await?;
    let mut conn = Ready::new(login, way.server.clone(), account);
    let (started, mut bytes, mut times) = (Instant::now(), 0.0, Vec::new());
    while started.elapsed() < duration {
        let began = Instant::now();
        let mut busy = conn.begin();
        busy.command(Expect::Results, &[&[Command::Query.byte()], question.as_bytes()]);
        busy.flush().await?;
        let moved = question.len() + pass(&mut busy).await?;
        if moved < long.bytes() {
            bail!("{long:?}: {moved} bytes");
        }
        busy.exchange_over();
        conn = busy.finish().context("the response is over")?;
        bytes += f64::from(u32::try_from(moved)?);
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let megabytes = bytes / 1e6;
    conn.close().await;
    Outcome::of(megabytes, megabytes / started.elapsed().as_secs_f64(), times)
}

/// Reads a response to its end; how many bytes it had.
async fn pass(busy: &mut Busy) -> Result<usize> {
    let (packets, exchange) = busy.parts().context("a response is due")?;
    // Of the packet that is being read: what is left of it, and whether the next one goes on with its row.
    let (mut bytes, mut left, mut goes_on) = (0, 0, false);
    loop {
        let input = packets.input();
        let passed = left.min(input.len());
        input.advance(passed);
        left -= passed;
        match Header::peek(input) {
            Some(header) if left == 0 && input.len() > HEADER_LEN => {
                let is_row = goes_on || exchange.in_rows() && exchange.is_row(header.len, input[HEADER_LEN]);
                goes_on = is_row && header.len == MAX_PAYLOAD;
                if !is_row && input.len() < HEADER_LEN + header.len {
                    packets.fill().await?;
                    continue;
                }
                bytes += HEADER_LEN + header.len;
                left = HEADER_LEN + header.len;
                if !is_row && exchange.packet(header.len, &input[HEADER_LEN..left])?.end {
                    input.advance(left);
                    return Ok(bytes);
                }
            }
            _ => drop(packets.fill().await?),
        }
    }
}

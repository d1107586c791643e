//! What the bytes that are here already tell of the end.

use super::Translator;
use crate::protocol::capability::Status;
use crate::protocol::exchange::{Exchange, decode_end};
use crate::protocol::packet::{HEADER_LEN, Header};
use crate::protocol::response::EOF;

impl Translator {
    /// Where the end of the rows is here already, the EOF ahead of them tells what it tells, as a
    /// server's own would.
    pub(super) fn foreseen(&self, mut rest: &[u8], exchange: &Exchange) -> Option<Status> {
        loop {
            let header = Header::peek(rest).filter(|header| !header.is_continued())?;
            let payload = rest.get(HEADER_LEN..HEADER_LEN + header.len)?;
            if !exchange.is_row(header.len, *payload.first()?) {
                let end = decode_end(payload, self.server_caps).ok().filter(|_| payload[0] == EOF)?;
                return Some(end.status - Status::LAST_ROW_SENT);
            }
            rest = &rest[HEADER_LEN + header.len..];
        }
    }
}

//! Where a translation stands, and whom it is for.

use crate::consistency::gtid::Family;
use crate::protocol::capability::{Capabilities, Status};

/// How far a call to [`Translator::advance`](super::Translator::advance) came.
#[derive(Debug, PartialEq, Eq)]
pub enum Progress {
    /// More bytes are needed; this many are done with.
    More {
        /// Bytes of input done with.
        consumed: usize,
    },
    /// Behind what is done with, this many bytes are for the client as they are (behind what is in
    /// the output).
    Verbatim {
        /// Bytes of input done with.
        consumed: usize,
        /// Bytes to send.
        len: usize,
    },
    /// The server waits for a file; the request is in the output.
    LocalInfile {
        /// Bytes of input done with.
        consumed: usize,
    },
    /// The response is over.
    Over {
        /// Bytes of input done with.
        consumed: usize,
    },
}

/// The server's side of a response.
#[derive(Debug, Clone, Copy)]
pub struct Side {
    /// Capabilities of the connection.
    pub caps: Capabilities,
    /// The server's family.
    pub family: Family,
    /// Status before the response.
    pub status: Status,
    /// The number of its first packet.
    pub first_seq: u8,
}

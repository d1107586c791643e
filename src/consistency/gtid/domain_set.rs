//! MariaDB GTID positions: `domain-server-sequence,...`.
//!
//! Format: MariaDB Knowledge Base, "Global Transaction ID" <https://mariadb.com/kb/en/gtid/>;
//! waiting: <https://mariadb.com/kb/en/master_gtid_wait/>.
//!
//! A position is not a list of transactions but the last one of each replication domain. Within a
//! domain transactions are ordered by sequence number, across servers: a server that takes over
//! goes on from the highest number it has seen, and `gtid_strict_mode` refuses anything out of
//! order. So "has executed" means "has reached that sequence number", whichever server wrote it,
//! which is what `MASTER_GTID_WAIT` waits for as well. Where two servers write to the same domain
//! at the same time without `gtid_strict_mode`, no position can tell what was executed.
//!
//! `MASTER_GTID_WAIT` looks at `gtid_slave_pos` alone: a server that wrote a transaction itself
//! waits for it in vain (MariaDB 10.11), although its `gtid_binlog_pos` contains it.
//!
//! Invariant: positions are in ascending order of domain, each domain appears once and no sequence
//! number is zero.

use std::fmt;

use super::parse::{Cursor, GtidError, Malformed};

/// The last position in each replication domain.
///
/// Equality includes the server ids, which say who wrote the last transaction and which no
/// comparison of positions uses: two sets may contain each other and differ in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainSet {
    positions: Vec<Position>,
}

impl DomainSet {
    /// Reads `@@gtid_slave_pos`, `@@gtid_binlog_pos`, `@@gtid_current_pos`, `@@gtid_binlog_state`,
    /// `@@last_gtid`, or what `SHOW ALL SLAVES STATUS` prints.
    ///
    /// `@@gtid_binlog_state` prints an element for each server that ever wrote to a domain; the
    /// highest sequence number stands for the domain. An element with sequence number 0 is
    /// accepted, as in the server, and says nothing. White space may stand around elements; a
    /// comma without an element beside it is an error.
    ///
    /// # Errors
    ///
    /// When the text is not such a list.
    pub fn parse(text: &str) -> Result<Self, GtidError> {
        let mut cursor = Cursor::new(text);
        let mut positions = Vec::new();
        cursor.skip_space();
        if cursor.at_end() {
            return Ok(Self::default());
        }
        loop {
            let position = Position::parse(&mut cursor)?;
            if positions.is_empty() {
                // One domain is the rule: do not let the first push reserve room for four.
                positions.reserve_exact(1);
            }
            positions.push(position);
            cursor.skip_space();
            if cursor.at_end() {
                return Ok(Self::new(positions));
            }
            if !cursor.eat(b',') {
                return Err(cursor.error(Malformed::Separator));
            }
            cursor.skip_space();
        }
    }

    /// True if no domain has a position.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// True if this position is at or behind that of `other` in every domain of `other`.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.positions.iter().all(|wanted| {
            let own = self.positions.binary_search_by_key(&wanted.domain, |own| own.domain);
            own.ok().and_then(|at| self.positions.get(at)).is_some_and(|own| own.sequence >= wanted.sequence)
        })
    }

    /// Moves each domain to the later position of the two.
    pub fn union(&mut self, other: &Self) {
        let mut unknown = Vec::new();
        for added in &other.positions {
            let own = self.positions.binary_search_by_key(&added.domain, |own| own.domain);
            match own.ok().and_then(|at| self.positions.get_mut(at)) {
                Some(own) => *own = own.later(*added),
                None => unknown.push(*added),
            }
        }
        if !unknown.is_empty() {
            self.positions.append(&mut unknown);
            // Two sorted runs, which this sort merges in linear time.
            self.positions.sort_by_key(|position| position.domain);
        }
    }

    pub(super) fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// Takes positions in any order, several of a domain or not.
    pub(super) fn new(mut positions: Vec<Position>) -> Self {
        positions.retain(|position| position.sequence > 0);
        positions.sort_by_key(|position| position.domain);
        positions.dedup_by(|next, kept| {
            let same = next.domain == kept.domain;
            if same {
                *kept = kept.later(*next);
            }
            same
        });
        Self { positions }
    }
}

impl fmt::Display for DomainSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for Position { domain, server, sequence } in &self.positions {
            write!(f, "{separator}{domain}-{server}-{sequence}")?;
            separator = ",";
        }
        Ok(())
    }
}

/// The last transaction of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) domain: u32,
    pub(super) server: u32,
    pub(super) sequence: u64,
}

impl Position {
    fn parse(cursor: &mut Cursor<'_>) -> Result<Self, GtidError> {
        let domain = parse_id(cursor)?;
        let server = parse_id(cursor)?;
        let sequence = cursor.number(u64::MAX)?;
        Ok(Self { domain, server, sequence })
    }

    /// The later of two positions in the same domain. Among equals the higher server id wins, so
    /// that the order in which sets are united does not show.
    fn later(self, other: Self) -> Self {
        if (other.sequence, other.server) > (self.sequence, self.server) { other } else { self }
    }
}

/// Reads a domain or server id and the hyphen behind it.
fn parse_id(cursor: &mut Cursor<'_>) -> Result<u32, GtidError> {
    let too_large = cursor.error(Malformed::Range);
    let id = cursor.number(u32::MAX.into())?;
    if !cursor.eat(b'-') {
        return Err(cursor.error(Malformed::Separator));
    }
    u32::try_from(id).map_err(|_| too_large)
}

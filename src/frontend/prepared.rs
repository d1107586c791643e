//! Prepared statements as a client sees them: its ids, its parameters.
//!
//! The handles servers give belong to backend connections (see
//! [`Statements`](crate::backend::statements::Statements)); here is what it takes to run a statement
//! on whichever connection serves next.

use super::job::Wishes;
use super::remembered::Remembered;
use crate::consistency::touched::Touch;
use crate::net::budget::Budget;
use crate::protocol::capability::Capabilities;
use crate::protocol::parameters::{self, Types};
use crate::protocol::wire::{Malformed, Reader};
use crate::route::Need;
use crate::sql::{self, Mode, Traits};
use crate::state::SessionState;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The bit of a bulk execution's flags that says that types follow.
const SEND_TYPES: u16 = 128;

/// What was prepared: the same for every execution.
#[derive(Debug)]
pub struct Prepared {
    /// Its text.
    pub text: Arc<[u8]>,
    /// The session's state when it was prepared: what the text means.
    pub prepared_in: Arc<SessionState>,
    /// How the bytes of the text were to be read then.
    pub mode: Mode,
    fingerprint: OnceLock<u64>,
}

impl Prepared {
    /// A text that was prepared so.
    pub fn new(text: Arc<[u8]>, prepared_in: Arc<SessionState>, mode: Mode) -> Self {
        Self { text, prepared_in, mode, fingerprint: OnceLock::new() }
    }

    /// What it shares with statements that are alike.
    pub fn fingerprint(&self) -> u64 {
        *self.fingerprint.get_or_init(|| sql::fingerprint(&self.text, self.mode))
    }

    /// Whether that has been worked out, so that it costs nothing.
    pub fn has_fingerprint(&self) -> bool {
        self.fingerprint.get().is_some()
    }
}

/// One prepared statement of a client.
#[derive(Debug, Clone)]
pub struct PreparedStatement {
    /// What it says.
    pub says: Arc<Prepared>,
    /// Where it may run.
    pub need: Need,
    /// What else is known of it.
    pub traits: Traits,
    /// Parameters.
    pub params: u16,
    /// How many bytes were [taken](PreparedStatements::make_room) for it.
    pub room: usize,
    /// Whether executing it is the same as sending its text.
    pub as_text: bool,
    /// Whether it asks for what the statement before it left.
    pub asks: bool,
    /// What a hint in it asks for.
    pub wishes: Wishes,
    /// What it touches, where tables are told apart.
    pub touch: Touch,
    /// Types bound by the last execution.
    types: Types,
    /// Data sent ahead of the execution: whole `COM_STMT_SEND_LONG_DATA` bodies behind the id.
    long_data: Vec<Vec<u8>>,
    long_data_bytes: usize,
    /// Whether some of it found no room, so that the statement cannot be executed.
    long_data_lost: bool,
}

impl PreparedStatement {
    /// A statement just prepared.
    pub fn new(says: Prepared, need: Need, traits: Traits, params: u16) -> Self {
        Self {
            says: Arc::new(says),
            need,
            traits,
            params,
            room: 0,
            as_text: false,
            asks: false,
            wishes: Wishes::default(),
            touch: Touch::Anything,
            types: Types::default(),
            long_data: Vec::new(),
            long_data_bytes: 0,
            long_data_lost: false,
        }
    }

    /// Takes the long data for an execution, and its bytes; `None` if some of it was lost.
    pub fn take_long_data(&mut self) -> (Option<Vec<Vec<u8>>>, usize) {
        let lost = std::mem::take(&mut self.long_data_lost);
        let data = std::mem::take(&mut self.long_data);
        ((!lost).then_some(data), std::mem::take(&mut self.long_data_bytes))
    }

    /// The execution `body` (what follows the command byte and the statement id) of a client with these
    /// capabilities, its types spelled out, since the connection that serves it may never have heard them.
    ///
    /// # Errors
    /// The body is too short for its parameters.
    pub fn complete(&mut self, body: &Bytes, caps: Capabilities) -> Result<parameters::Execution, Malformed> {
        let mut execution = parameters::Execution::decode(body, self.params, caps, &self.types)?;
        match &execution.bound {
            Some(types) => self.types = types.kept(),
            // The server may know others: whoever executed it last has bound those.
            None => execution.bind(&self.types, !self.long_data.is_empty())?,
        }
        Ok(execution)
    }

    /// The same for MariaDB's execution in bulk.
    /// <https://mariadb.com/docs/server/reference/clientserver-protocol/3-binary-protocol-prepared-statements/com_stmt_bulk_execute>
    ///
    /// # Errors
    /// The body is too short for its types.
    pub fn complete_bulk(&mut self, body: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut r = Reader::new(body, "execution in bulk");
        let flags = r.u16()?;
        if flags & SEND_TYPES != 0 {
            self.types = Types::of_plain(r.take(2 * usize::from(self.params))?);
        }
        let flags = match (self.types.is_empty(), self.params) {
            (false, _) => flags | SEND_TYPES,
            (true, 0) => flags,
            (true, _) => return Err(Malformed("types of parameters")),
        };
        Ok([&flags.to_le_bytes()[..], self.types.plain(), r.rest()].concat())
    }
}

/// The id by which clients of MariaDB may mean the statement that they prepared last.
pub const JUST_PREPARED: u32 = u32::MAX;

/// The state that a statement was prepared in counts if it is larger than this: most are small, and shared by many.
const LARGE_STATE: usize = 1024;

/// All prepared statements of one client.
#[derive(Debug, Default)]
pub struct PreparedStatements {
    by_id: BTreeMap<u32, PreparedStatement>,
    last: u32,
    /// Whether what was prepared last failed, and is not there to be executed.
    last_failed: bool,
    remembered: Remembered,
}

impl PreparedStatements {
    /// Takes memory for another statement of this text, prepared in this state, if there is any: so many bytes.
    pub fn make_room(&mut self, text: &[u8], state: &SessionState, memory: &Budget) -> Option<usize> {
        let state = Some(state.size()).filter(|size| *size > LARGE_STATE).unwrap_or_default();
        let bytes = size_of::<PreparedStatement>() + size_of::<Prepared>() + text.len() + state;
        self.remembered.add(bytes, memory).then_some(bytes)
    }

    /// Gives back what [`Self::make_room`] took for a statement that could not be prepared.
    pub fn keep_no_room(&mut self, bytes: usize) {
        self.remembered.remove(bytes);
    }

    /// Keeps a piece of long data until the execution, at most `limit` bytes in all. What finds no room is dropped, and
    /// what was there before; the execution will tell.
    pub fn add_long_data(&mut self, id: u32, body: &[u8], limit: usize, memory: &Budget) {
        let Some(statement) = self.by_id.get_mut(&id) else { return };
        let bytes = body.len() + size_of::<Vec<u8>>();
        let fits = !statement.long_data_lost
            && statement.long_data_bytes.saturating_add(bytes) <= limit
            && self.remembered.add(bytes, memory);
        if fits {
            statement.long_data_bytes += bytes;
            statement.long_data.push(body.to_vec());
        } else {
            let (_, dropped) = statement.take_long_data();
            statement.long_data_lost = true;
            self.remembered.remove(dropped);
        }
    }

    /// Forgets long data: `COM_STMT_RESET`. False if there is no such statement.
    pub fn reset(&mut self, id: u32) -> bool {
        let Some(statement) = self.by_id.get_mut(&id) else { return false };
        let (_, dropped) = statement.take_long_data();
        self.remembered.remove(dropped);
        true
    }

    /// Notes that long data was taken and is gone.
    pub fn long_data_is_gone(&mut self, bytes: usize) {
        self.remembered.remove(bytes);
    }

    /// The id the next statement will have.
    pub fn next_id(&self) -> u32 {
        self.last.wrapping_add(1)
    }

    /// Adds a statement under [`Self::next_id`], for which there is [room](Self::make_room).
    pub fn insert(&mut self, statement: PreparedStatement) {
        self.last = self.next_id();
        self.last_failed = false;
        self.by_id.insert(self.last, statement);
    }

    /// A statement by id.
    pub fn find(&mut self, id: u32) -> Option<&mut PreparedStatement> {
        self.by_id.get_mut(&id)
    }

    /// Notes that a statement is about to be prepared: until it is [there](Self::insert), it has failed.
    pub fn begin(&mut self) {
        self.last_failed = true;
    }

    /// The id that a client of MariaDB means by [`JUST_PREPARED`], which it may say before it knows whether there is one.
    pub fn just_prepared(&self) -> u32 {
        if self.last_failed { JUST_PREPARED } else { self.last }
    }

    /// Removes a statement.
    pub fn remove(&mut self, id: u32) {
        if let Some(statement) = self.by_id.remove(&id) {
            self.remembered.remove(statement.room);
            self.remembered.remove(statement.long_data_bytes);
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Removes all, going on counting as servers do.
    pub fn clear(&mut self) {
        self.by_id.clear();
        self.remembered = Remembered::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::Reason;
    use std::time::Duration;

    fn statement(params: u16) -> PreparedStatement {
        let says = Prepared::new(b"?"[..].into(), Arc::default(), Mode::default());
        PreparedStatement::new(says, Need::Primary(Reason::Pinned), Traits::NONE, params)
    }

    #[test]
    fn types_are_remembered_between_executions() {
        let mut s = statement(2);
        let caps = Capabilities::empty();
        let first = &Bytes::from_static(b"\0\x01\0\0\0\x00\x01\x08\x00\xfd\x00VALUES");
        assert_eq!(s.complete(first, caps).map(|e| e.encode(2, caps)), Ok(first.to_vec()));
        let again = &Bytes::from_static(b"\0\x01\0\0\0\x00\x00VALUES");
        assert_eq!(s.complete(again, caps).map(|e| e.encode(2, caps)), Ok(first.to_vec()));
        // Whoever executed it last where it runs may have bound others.
        assert!(statement(2).complete(again, caps).is_err());
        let nulls = &Bytes::from_static(b"\0\x01\0\0\0\x03\x00");
        assert_eq!(statement(2).complete(nulls, caps).map(|e| e.encode(2, caps)), Ok(nulls.to_vec()));
        let mut with_data = statement(2);
        with_data.long_data.push(b"\0\0abc".to_vec());
        assert!(with_data.complete(nulls, caps).is_err());
    }

    #[test]
    fn types_of_attributes_are_left_out_with_them() {
        let mut s = statement(1);
        let caps = Capabilities::QUERY_ATTRIBUTES;
        let first = &Bytes::from_static(b"\x08\x01\0\0\0\x02\x00\x01\xfd\0\0\xfd\0\x03who\x01a\x01b");
        assert_eq!(s.complete(first, caps).map(|e| e.encode(1, caps)), Ok(first.to_vec()));
        let again = &Bytes::from_static(b"\0\x01\0\0\0\x01\x00\x00\x01c");
        let bound = b"\x08\x01\0\0\0\x01\x00\x01\xfd\0\0\x01c".to_vec();
        assert_eq!(s.complete(again, caps).map(|e| e.encode(1, caps)), Ok(bound));
        let more = &Bytes::from_static(b"\x08\x01\0\0\0\x03\x00\x00\x01c\x01d\x01e");
        assert!(s.complete(more, caps).is_err(), "more than was ever said");
    }

    #[test]
    fn long_data_is_bounded() {
        let memory = Budget::new(1 << 20, Duration::ZERO);
        let mut all = PreparedStatements::default();
        all.insert(statement(1));
        all.add_long_data(1, b"\0\0abc", 40, &memory);
        let taken = all.find(1).map(PreparedStatement::take_long_data);
        assert_eq!(taken, Some((Some(vec![b"\0\0abc".to_vec()]), 5 + size_of::<Vec<u8>>())));
        for piece in [&b"\0\0abc"[..], b"\0\0defghi", b"\0\0j"] {
            all.add_long_data(1, piece, 40, &memory);
        }
        assert_eq!(all.find(1).map(PreparedStatement::take_long_data), Some((None, 0)), "not half of it");
        all.add_long_data(1, &vec![0; 2 << 20], 4 << 20, &memory);
        assert_eq!(memory.free(), 0, "one may have all");
        all.add_long_data(1, &vec![0; 1 << 20], 4 << 20, &memory);
        assert!(all.reset(1) && memory.free() == 1 << 20);
        all.add_long_data(1, &vec![0; 1 << 19], 4 << 20, &memory);
        all.remove(1);
        assert_eq!(memory.free(), 1 << 20);
    }

    #[test]
    fn ids_count_on() {
        let mut all = PreparedStatements::default();
        all.insert(statement(0));
        assert!(all.find(1).is_some() && all.just_prepared() == 1);
        all.begin();
        assert_eq!(all.just_prepared(), JUST_PREPARED, "not the one before");
        all.clear();
        assert_eq!((all.next_id(), all.len()), (2, 0));
    }
}

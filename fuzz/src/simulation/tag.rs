//! What every statement says of itself: whose it is, and in which state it must run.

use std::fmt;

/// What of a session decides what its statements mean, or belongs to one connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The default schema; empty: none.
    pub schema: String,
    /// `@a`
    pub a: String,
    /// `time_zone`
    pub zone: String,
    /// `group_concat_max_len`
    pub length: String,
    /// `autocommit`
    pub autocommit: bool,
    /// Whether there is a temporary table.
    pub temporary: bool,
    /// Whether tables are locked.
    pub locked: bool,
    /// Whether a named lock is held.
    pub named: bool,
}

impl State {
    /// As after a login, in this schema.
    pub fn fresh(schema: &str) -> Self {
        Self {
            schema: schema.into(),
            a: "NULL".into(),
            zone: "SYSTEM".into(),
            length: "1024".into(),
            autocommit: true,
            temporary: false,
            locked: false,
            named: false,
        }
    }

    /// Whether it holds what only one connection has.
    pub fn is_bound(&self) -> bool {
        self.temporary || self.locked || self.named
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { schema, a, zone, length, autocommit, temporary, locked, named } = self;
        write!(f, "schema={schema} a={a} zone={zone} length={length} autocommit={autocommit} ")?;
        write!(f, "temporary={temporary} locked={locked} named={named}")
    }
}

/// The tag of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// The client.
    pub client: u64,
    /// The statement, counted over all clients.
    pub number: u64,
    /// The transaction it belongs to; 0 is none.
    pub transaction: u64,
    /// The last transaction whose effects it must see.
    pub must_see: u64,
    /// The state the client was told about, as text.
    pub state: String,
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, number, transaction, must_see, state } = self;
        write!(f, "~{client}|{number}|{transaction}|{must_see}|{state}~")
    }
}

impl Tag {
    /// The tag in a text, if there is one.
    pub fn find(text: &str) -> Option<Self> {
        let inner = text.split('~').nth(1)?;
        let mut parts = inner.splitn(5, '|');
        let mut number = || parts.next()?.parse().ok();
        let (client, statement, transaction, must_see) = (number()?, number()?, number()?, number()?);
        Some(Self { client, number: statement, transaction, must_see, state: parts.next()?.into() })
    }
}

//! The answer of [`classify`](super::classify).

use std::borrow::Cow;

use super::{Access, Assignment, Hint, Traits};

/// What of the session changes how bytes are read.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "four independent session facts")]
pub struct Mode {
    /// `sql_mode` has `ANSI_QUOTES`: `"x"` is an identifier.
    pub ansi_quotes: bool,
    /// `sql_mode` has `NO_BACKSLASH_ESCAPES`: `\` in a string is an ordinary byte.
    pub no_backslash_escapes: bool,
    /// The client character set may hold 0x5C or a quote as the second byte of a character (gbk,
    /// big5, sjis, cp932, gb18030): with any byte >= 0x80 the text is [`Why::Unknown`].
    pub ambiguous_charset: bool,
    /// The server is MariaDB; decides which names are built-in functions.
    pub mariadb: bool,
}

/// One classified text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// What it is.
    pub kind: Kind<'a>,
    /// What else is known of it.
    pub traits: Traits,
    /// The same of the first of several statements alone.
    pub first: Traits,
    /// What a leading comment asks for, or the tags at the end.
    pub hint: Hint<'a>,
    /// How many statements the text holds. `CREATE PROCEDURE` and the like are `Multi` when their
    /// body has a `;`: the text cannot tell a body from a second statement.
    pub parts: Parts,
    /// Where its `;` are: what may stand in front of it as `USE x; SET ..; `.
    pub semicolons: Semicolons,
}

/// Where a text has `;` before the optional trailing `;`s and white space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semicolons {
    /// Nowhere: whatever the character set and `sql_mode`, it is one statement.
    None,
    /// Only inside strings, quoted names and comments: in this [`Mode`] it is one statement.
    InTokens,
    /// Between statements or parts of a body, or nobody knows.
    Between,
}

impl Semicolons {
    /// Whether statements may be put in front of the text without changing what it does, for a client
    /// that may or may not send several statements and whose character set is known or not.
    #[must_use]
    pub fn allow_prefix(self, several_statements: bool, knows_charset: impl FnOnce() -> bool) -> bool {
        match self {
            Self::None => true,
            Self::InTokens => several_statements || knows_charset(),
            Self::Between => several_statements,
        }
    }

    /// Whether the text could be several statements to somebody who reads it differently.
    #[must_use]
    pub fn may_separate(self) -> bool {
        self != Self::None
    }
}

impl Statement<'_> {
    /// The answer when the bytes cannot be read.
    pub(super) fn unknown(semicolons: Semicolons) -> Self {
        Self {
            kind: Kind::Write(Why::Unknown),
            traits: Traits::OPAQUE,
            first: Traits::OPAQUE,
            hint: Hint::default(),
            parts: if semicolons == Semicolons::None { Parts::Single } else { Parts::Multi },
            semicolons,
        }
    }

    /// True for a read that any fresh enough server may answer, as far as the text tells.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self.kind, Kind::Read)
    }
}

/// How many statements a text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// None: white space, comments and `;` only.
    Empty,
    /// One; a trailing `;`, white space and comments do not count.
    Single,
    /// More than one.
    Multi,
}

/// What a statement is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind<'a> {
    /// Changes nothing; any server that is fresh enough may answer, subject to the traits.
    Read,
    /// Must run on the primary.
    Write(Why),
    /// `BEGIN`, `START TRANSACTION`.
    Begin(Begin),
    /// `COMMIT`.
    Commit(Completion),
    /// `ROLLBACK` of the whole transaction.
    Rollback(Completion),
    /// `SAVEPOINT x`, `ROLLBACK TO x`, `RELEASE SAVEPOINT x`.
    Savepoint,
    /// One `SET` statement, in order of its assignments.
    Set(Vec<Assignment<'a>>),
    /// `USE schema`; the name is unquoted.
    Use(Cow<'a, [u8]>),
    /// Only white space and comments: the server answers `ER_EMPTY_QUERY`.
    Empty,
}

/// How a transaction begins.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Begin {
    /// `READ ONLY` or `READ WRITE`, if said.
    pub access: Option<Access>,
    /// `WITH CONSISTENT SNAPSHOT`: may not be deferred.
    pub consistent_snapshot: bool,
}

/// `COMMIT`/`ROLLBACK` options; `None` leaves it to `@@completion_type`.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq)]
pub struct Completion {
    /// `AND [NO] CHAIN`.
    pub chain: Option<bool>,
    /// `[NO] RELEASE`.
    pub release: Option<bool>,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// Why a statement must run on the primary. A metric label and a word in `explain`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Why { $($(#[$doc])* $name,)* }
        impl Why {
            /// All reasons, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// The reason in `snake_case`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

reasons! {
    /// `GRANT`, `KILL`, `FLUSH`, `RESET`, replication control, table maintenance.
    Admin = "admin",
    /// `CALL`.
    Call = "call",
    /// `CREATE`, `ALTER`, `DROP`, `RENAME`, `TRUNCATE`.
    Ddl = "ddl",
    /// `DELETE`.
    Delete = "delete",
    /// `GET DIAGNOSTICS`, `SIGNAL`, `RESIGNAL`.
    Diagnostics = "diagnostics",
    /// `DO`.
    Do = "do",
    /// `HANDLER`.
    Handler = "handler",
    /// `INSERT`, `REPLACE`: may set `LAST_INSERT_ID()`.
    Insert = "insert",
    /// `SELECT .. INTO OUTFILE|DUMPFILE`.
    IntoFile = "into_file",
    /// `SELECT .. INTO @x`.
    IntoVariable = "into_variable",
    /// `LOAD DATA`, `LOAD XML`.
    LoadData = "load_data",
    /// `LOCK`/`UNLOCK`, `FLUSH TABLES WITH READ LOCK`, `BACKUP`.
    Lock = "lock",
    /// `FOR UPDATE`, `FOR SHARE`, `LOCK IN SHARE MODE`.
    LockingRead = "locking_read",
    /// Several statements, not all of them reads.
    Multi = "multi",
    /// The answer depends on which server gives it.
    ServerLocal = "server_local",
    /// A built-in function with an effect (`GET_LOCK`, `NEXTVAL`, `LAST_INSERT_ID(expr)`, ..).
    SideEffectFunction = "side_effect_function",
    /// SQL-level `PREPARE`, `EXECUTE`, `DEALLOCATE`.
    SqlPrepare = "sql_prepare",
    /// Not understood.
    Unknown = "unknown",
    /// `UPDATE`.
    Update = "update",
    /// A call of something that is not a known built-in function.
    UserFunction = "user_function",
    /// `:=` in an expression.
    UserVariable = "user_variable",
    /// `XA`.
    Xa = "xa",
}

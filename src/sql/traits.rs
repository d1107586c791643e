//! The set of side facts about a statement that pins, prelude and consistency ask for.

use std::ops::{BitOr, BitOrAssign};

/// A set of facts, the union over all statements of the text and all code in comments.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Traits(u64);

macro_rules! traits {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "bit numbers only")]
        enum Bit { $($name,)* }
        impl Traits {
            $($(#[$doc])* pub const $name: Self = Self(1 << Bit::$name as u32);)*
            /// Every trait with its name, in declaration order.
            pub const ALL: &'static [(&'static str, Self)] = &[$((stringify!($name), Self::$name),)*];
        }
    };
}

traits! {
    /// `LOAD DATA LOCAL`: the server will ask this client for a file.
    LOCAL_INFILE,
    /// The server may ask for one: `INFILE` occurs where the text cannot be read, or does not say what runs.
    MAY_ASK_FOR_FILE,
    /// `CREATE TEMPORARY TABLE`.
    CREATES_TEMP_TABLE,
    /// `DROP [TEMPORARY] TABLE`: a temporary table may be gone afterwards.
    DROPS_TEMP_TABLE,
    /// `LOCK TABLES`, `FLUSH .. WITH READ LOCK`.
    LOCKS_TABLES,
    /// `UNLOCK TABLES`.
    UNLOCKS_TABLES,
    /// `LOCK INSTANCE`, `BACKUP STAGE`/`LOCK`.
    LOCKS_INSTANCE,
    /// `GET_LOCK()`.
    NAMED_LOCK,
    /// `RELEASE_LOCK()`.
    RELEASES_NAMED_LOCK,
    /// `RELEASE_ALL_LOCKS()`.
    RELEASES_ALL_NAMED_LOCKS,
    /// `:=`, `INTO @x`, `SET @x`.
    ASSIGNS_USER_VARIABLE,
    /// `@x` occurs; it may also be assigned (`CALL p(@x)`).
    READS_USER_VARIABLE,
    /// `PREPARE s FROM ..`.
    SQL_PREPARE,
    /// `DEALLOCATE PREPARE s`, `DROP PREPARE s`.
    SQL_DEALLOCATE,
    /// `EXECUTE s`, `EXECUTE IMMEDIATE ..`.
    SQL_EXECUTE,
    /// `HANDLER t OPEN`.
    HANDLER_OPEN,
    /// `HANDLER t CLOSE`.
    HANDLER_CLOSE,
    /// Any `XA` statement.
    XA,
    /// `SQL_CALC_FOUND_ROWS`.
    CALC_FOUND_ROWS,
    /// `OFFSET`, `LIMIT a, b`, `UNION`, `VALUES`, `INSERT .. SELECT`: `FOUND_ROWS()` may be another number
    /// than that of the rows sent.
    SKIPS_ROWS,
    /// `LAST_INSERT_ID()`, `@@identity`, `@@last_insert_id`.
    USES_LAST_INSERT_ID,
    /// May change what `LAST_INSERT_ID()` answers.
    SETS_LAST_INSERT_ID,
    /// `ROW_COUNT()`.
    USES_ROW_COUNT,
    /// `FOUND_ROWS()`.
    USES_FOUND_ROWS,
    /// Asks for the diagnostics or profile of earlier statements of the same connection.
    USES_DIAGNOSTICS,
    /// `NEXTVAL()` and its other forms, in the text.
    DRAWS_FROM_SEQUENCE,
    /// `LASTVAL()` and its other forms: what was drawn from a sequence on the same connection.
    USES_LAST_DRAW,
    /// `@@last_gtid` and its kind: what earlier statements left on the same connection.
    USES_LAST_OF_CONNECTION,
    /// `CONNECTION_ID()`, `@@pseudo_thread_id`.
    USES_CONNECTION_ID,
    /// `@@x` or `SHOW VARIABLES`.
    READS_SYSTEM_VARIABLE,
    /// `@@landbridge_..` is read; in a `SET`, also assigned.
    READS_LANDBRIDGE_VARIABLE,
    /// `GRANT`, `CREATE USER`, `FLUSH PRIVILEGES` and their kind.
    CHANGES_ACCOUNTS,
    /// `ALTER DATABASE`: connections have read the schema's character set, and keep it.
    ALTERS_SCHEMA,
    /// Ends an open transaction first.
    IMPLICIT_COMMIT,
    /// The answer is about the server it runs on, not about the data.
    SERVER_LOCAL,
    /// MariaDB `SET STATEMENT .. FOR ..`.
    SET_STATEMENT,
    /// Two runs may answer differently (`RAND()`, `UUID()`, `NOW()`, ..); not exhaustive.
    NON_DETERMINISTIC,
    /// Produces a result set.
    SELECTS,
    /// Names no table: neither begins a transaction nor sees what one has done.
    TABLE_FREE,
    /// A `SET` or `USE` inside a multi-statement: session state changes in ways not listed.
    CHANGES_SESSION,
    /// A `SET` inside a multi-statement whose effect no session tracker tells.
    SETS_UNTRACKED,
    /// `BEGIN`, `COMMIT`, `ROLLBACK` or `SAVEPOINT` inside a multi-statement.
    CONTROLS_TRANSACTION,
    /// Calls something that is not a known built-in: its body may do anything to the session.
    CALLS_STORED_CODE,
    /// Calls a function that is declared to only read: of what, the text does not tell.
    CALLS_READ_FUNCTION,
    /// Contains a comment that only some server versions execute.
    EXECUTABLE_COMMENT,
    /// `@@in_transaction`: a deferred BEGIN would falsify the answer.
    READS_TRANSACTION_STATE,
    /// `CREATE`/`ALTER`/`DROP` of a stored program: `;` inside belongs to its body.
    STORED_PROGRAM,
}

impl Traits {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// Of what cannot be read: it may do anything to its connection.
    pub const OPAQUE: Self = Self::CALLS_STORED_CODE.or(Self::SETS_LAST_INSERT_ID);
    /// A server may ask the client for a file, and take for that whatever it is sent then.
    pub const ASKS_FOR_FILE: Self = Self::LOCAL_INFILE.or(Self::MAY_ASK_FOR_FILE);

    /// Both sets, in constants.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if every trait of `other` is present.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True if at least one trait of `other` is present.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True if nothing is set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The traits of `self` that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The names of the traits present, for logs and `explain`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().filter(move |(_, bit)| self.contains(*bit)).map(|(name, _)| *name)
    }
}

impl BitOr for Traits {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Traits {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl std::fmt::Debug for Traits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

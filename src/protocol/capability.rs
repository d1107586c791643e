//! Capability and status flags.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/group__group__cs__capabilities__flags.html>

use bitflags::bitflags;

bitflags! {
    /// What the two ends of a connection agreed to understand.
    ///
    /// The upper half are MariaDB's own, which travel apart, and only where `LONG_PASSWORD` is absent.
    /// <https://mariadb.com/docs/server/reference/clientserver-protocol/1-connecting/connection>
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Capabilities: u64 {
        /// Also MariaDB's `CLIENT_MYSQL`: when absent, the upper half counts.
        const LONG_PASSWORD = 1;
        /// Affected rows count matched rows. Cannot be changed after login.
        const FOUND_ROWS = 1 << 1;
        /// Longer column flags.
        const LONG_FLAG = 1 << 2;
        /// The login names a schema.
        const CONNECT_WITH_DB = 1 << 3;
        /// No `schema.table.column`.
        const NO_SCHEMA = 1 << 4;
        /// zlib compression.
        const COMPRESS = 1 << 5;
        /// Nothing any more.
        const ODBC = 1 << 6;
        /// `LOAD DATA LOCAL` may ask the client for a file.
        const LOCAL_FILES = 1 << 7;
        /// Spaces allowed before `(` in function calls. Cannot be changed after login.
        const IGNORE_SPACE = 1 << 8;
        /// The protocol of version 4.1 and later.
        const PROTOCOL_41 = 1 << 9;
        /// `interactive_timeout` instead of `wait_timeout`.
        const INTERACTIVE = 1 << 10;
        /// TLS.
        const SSL = 1 << 11;
        /// Nothing on the wire.
        const IGNORE_SIGPIPE = 1 << 12;
        /// Status flags tell of transactions.
        const TRANSACTIONS = 1 << 13;
        /// Nothing any more.
        const RESERVED = 1 << 14;
        /// Authentication of version 4.1 and later.
        const SECURE_CONNECTION = 1 << 15;
        /// Several statements in one command.
        const MULTI_STATEMENTS = 1 << 16;
        /// Several results for one command.
        const MULTI_RESULTS = 1 << 17;
        /// Several results for one prepared statement.
        const PS_MULTI_RESULTS = 1 << 18;
        /// Authentication plugins.
        const PLUGIN_AUTH = 1 << 19;
        /// Connection attributes.
        const CONNECT_ATTRS = 1 << 20;
        /// Proofs longer than 255 bytes.
        const PLUGIN_AUTH_LENENC = 1 << 21;
        /// Expired passwords can be handled.
        const EXPIRED_PASSWORDS = 1 << 22;
        /// OK packets tell of session changes.
        const SESSION_TRACK = 1 << 23;
        /// OK packets in the place of EOF packets.
        const DEPRECATE_EOF = 1 << 24;
        /// Column definitions may be left out.
        const OPTIONAL_RESULTSET_METADATA = 1 << 25;
        /// zstd compression.
        const ZSTD_COMPRESSION = 1 << 26;
        /// Attributes of queries.
        const QUERY_ATTRIBUTES = 1 << 27;
        /// Several authentications in a row.
        const MULTI_FACTOR = 1 << 28;
        /// For later.
        const EXTENSION = 1 << 29;
        /// A client's own affair.
        const VERIFY_SERVER_CERT = 1 << 30;
        /// A client's own affair.
        const REMEMBER_OPTIONS = 1 << 31;
        /// MariaDB: several rows of parameters for one prepared statement.
        const BULK = 1 << 34;
        /// MariaDB: column definitions name extended types and formats.
        const EXTENDED_METADATA = 1 << 35;
        /// MariaDB: column definitions may be left out that the client has seen.
        const CACHE_METADATA = 1 << 36;
        /// MariaDB: what each row of parameters did.
        const BULK_UNIT_RESULTS = 1 << 37;
    }
}

bitflags! {
    /// Server status sent with every OK and EOF.
    /// <https://dev.mysql.com/doc/dev/mysql-server/latest/mysql__com_8h.html>
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Status: u16 {
        /// A transaction is open.
        const IN_TRANS = 1;
        /// Statements commit by themselves.
        const AUTOCOMMIT = 1 << 1;
        /// Another result follows.
        const MORE_RESULTS = 1 << 3;
        /// A query found no good index.
        const NO_GOOD_INDEX = 1 << 4;
        /// A query used no index.
        const NO_INDEX = 1 << 5;
        /// Rows wait to be fetched.
        const CURSOR_EXISTS = 1 << 6;
        /// There are no more rows to fetch.
        const LAST_ROW_SENT = 1 << 7;
        /// A schema was dropped.
        const DB_DROPPED = 1 << 8;
        /// `sql_mode` has it.
        const NO_BACKSLASH_ESCAPES = 1 << 9;
        /// A prepared statement's columns changed.
        const METADATA_CHANGED = 1 << 10;
        /// The query was slow.
        const SLOW = 1 << 11;
        /// The answer carries OUT parameters of a procedure.
        const PS_OUT_PARAMS = 1 << 12;
        /// The open transaction is read-only.
        const IN_TRANS_READONLY = 1 << 13;
        /// Session changes are in this packet.
        const SESSION_STATE_CHANGED = 1 << 14;
        /// `sql_mode` has it.
        const ANSI_QUOTES = 1 << 15;
    }
}

impl Capabilities {
    /// MariaDB's own that Landbridge passes on.
    pub const MARIADB: Self = Self::BULK.union(Self::EXTENDED_METADATA).union(Self::BULK_UNIT_RESULTS);

    /// From the two halves of a greeting or login.
    pub fn from_halves(common: u32, mariadb: u32) -> Self {
        let common = Self::from_bits_retain(common.into());
        if common.contains(Self::LONG_PASSWORD) {
            return common;
        }
        common | Self::from_bits_retain(u64::from(mariadb) << 32)
    }

    /// The half that MySQL knows, and MariaDB's own.
    pub fn halves(self) -> (u32, u32) {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        let mariadb = if self.contains(Self::LONG_PASSWORD) { 0 } else { half(self.bits() >> 32) };
        (half(self.bits()), mariadb)
    }
}

impl Status {
    /// What is true of a session between its statements, whatever the last one was.
    pub const OF_SESSION: Self = Self::IN_TRANS
        .union(Self::AUTOCOMMIT)
        .union(Self::NO_BACKSLASH_ESCAPES)
        .union(Self::IN_TRANS_READONLY)
        .union(Self::ANSI_QUOTES);
}

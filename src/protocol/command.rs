//! Commands a client sends: the first byte of the first packet.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_command_phase.html>

/// A command byte, named where Landbridge knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Ends the connection.
    Quit,
    /// Changes the default schema.
    InitDb,
    /// Text of one or more statements.
    Query,
    /// Columns of a table (deprecated, still used by old clients).
    FieldList,
    /// A line of statistics; the answer is a bare string.
    Statistics,
    /// Asks for the server to log its state.
    Debug,
    /// Ends another session.
    ProcessKill,
    /// Is the server alive?
    Ping,
    /// Logs in again as another user.
    ChangeUser,
    /// The binary log from a position.
    BinlogDump,
    /// The binary log from a set of GTIDs.
    BinlogDumpGtid,
    /// Prepares a statement.
    StmtPrepare,
    /// Runs a prepared statement.
    StmtExecute,
    /// A piece of one parameter; no answer.
    StmtSendLongData,
    /// Closes a prepared statement; no answer.
    StmtClose,
    /// Clears long data and closes the cursor.
    StmtReset,
    /// Multi-statements on or off.
    SetOption,
    /// Rows of a cursor.
    StmtFetch,
    /// MariaDB: runs a prepared statement for several rows of parameters.
    StmtBulkExecute,
    /// Session back to its beginning.
    ResetConnection,
    /// Anything else: passed through on a pinned connection.
    Other(u8),
}

impl Command {
    /// The command of a byte.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0x01 => Self::Quit,
            0x02 => Self::InitDb,
            0x03 => Self::Query,
            0x04 => Self::FieldList,
            0x09 => Self::Statistics,
            0x0C => Self::ProcessKill,
            0x0D => Self::Debug,
            0x0E => Self::Ping,
            0x11 => Self::ChangeUser,
            0x12 => Self::BinlogDump,
            0x1E => Self::BinlogDumpGtid,
            0x16 => Self::StmtPrepare,
            0x17 => Self::StmtExecute,
            0x18 => Self::StmtSendLongData,
            0x19 => Self::StmtClose,
            0x1A => Self::StmtReset,
            0x1B => Self::SetOption,
            0x1C => Self::StmtFetch,
            0xFA => Self::StmtBulkExecute,
            0x1F => Self::ResetConnection,
            other => Self::Other(other),
        }
    }

    /// The byte of a command.
    pub const fn byte(self) -> u8 {
        match self {
            Self::Quit => 0x01,
            Self::InitDb => 0x02,
            Self::Query => 0x03,
            Self::FieldList => 0x04,
            Self::Statistics => 0x09,
            Self::ProcessKill => 0x0C,
            Self::Debug => 0x0D,
            Self::Ping => 0x0E,
            Self::ChangeUser => 0x11,
            Self::BinlogDump => 0x12,
            Self::BinlogDumpGtid => 0x1E,
            Self::StmtPrepare => 0x16,
            Self::StmtExecute => 0x17,
            Self::StmtSendLongData => 0x18,
            Self::StmtClose => 0x19,
            Self::StmtReset => 0x1A,
            Self::SetOption => 0x1B,
            Self::StmtFetch => 0x1C,
            Self::StmtBulkExecute => 0xFA,
            Self::ResetConnection => 0x1F,
            Self::Other(byte) => byte,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Command;

    #[test]
    fn bytes_round_trip() {
        for byte in 0..=255 {
            assert_eq!(Command::from_byte(byte).byte(), byte);
        }
    }
}

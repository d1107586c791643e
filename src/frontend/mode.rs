//! How the bytes of a session's statements are to be read.

use super::session::Session;
use crate::consistency::gtid::Family;
use crate::sql::Mode;
use crate::state::SessionState;
use std::sync::Arc;

impl Session {
    /// How statement bytes are to be read; worked out anew only when the session's state changed.
    pub(super) fn mode(&mut self) -> Mode {
        if let Some((state, mode)) = &self.read_as
            && Arc::ptr_eq(state, &self.state)
        {
            return *mode;
        }
        let default = self.shared.sql_mode();
        let mode = self.mode_of(&self.state, default.as_deref().unwrap_or(""));
        self.read_as = default.map(|_known| (self.state.clone(), mode));
        mode
    }

    /// How they were to be read in another state of the session.
    pub(super) fn mode_in(&self, state: &SessionState) -> Mode {
        self.mode_of(state, self.shared.sql_mode().as_deref().unwrap_or(""))
    }

    fn mode_of(&self, state: &SessionState, default: &str) -> Mode {
        let family = self.shared.family();
        let sql_mode = match state.get(b"sql_mode") {
            Some(text) if !text.eq_ignore_ascii_case(b"default") => text.to_ascii_uppercase(),
            _ => default.to_ascii_uppercase().into_bytes(),
        };
        let has = |word: &str| memchr::memmem::find(&sql_mode, word.as_bytes()).is_some();
        let charset = state.client_charset();
        let is_charset = |name: &&str| memchr::memmem::find(&charset, name.as_bytes()).is_some();
        Mode {
            // ANSI and the modes named after other products include ANSI_QUOTES.
            ansi_quotes: ["ANSI", "DB2", "MAXDB", "MSSQL", "ORACLE", "POSTGRESQL"].into_iter().any(has),
            no_backslash_escapes: has("NO_BACKSLASH_ESCAPES"),
            ambiguous_charset: ["gbk", "gb18030", "big5", "sjis", "cp932"].iter().any(is_charset),
            mariadb: family == Family::MariaDb,
        }
    }

    /// Whether the session has said itself in which character set it speaks.
    pub(super) fn knows_charset(&self) -> bool {
        let said = self.state.client_charset();
        !said.trim_ascii().is_empty() && memchr::memmem::find(&said, b"default").is_none()
    }
}

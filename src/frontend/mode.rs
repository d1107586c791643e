//! How the bytes of a session's statements are to be read.

use super::session::Session;
use crate::consistency::gtid::Family;
use crate::sql::Mode;
use crate::state::SessionState;
use std::sync::Arc;

/// What turns on `ANSI_QUOTES`, wherever an expression mentions it: that itself, and the modes named after other products.
const ANSI: [&str; 6] = ["ANSI", "DB2", "MAXDB", "MSSQL", "ORACLE", "POSTGRESQL"];
const NO_BACKSLASH: &str = "NO_BACKSLASH_ESCAPES";

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

    fn mode_of(&self, state: &SessionState, default: &str) -> Mode {
        let is_chosen = |text: &&[u8]| !text.eq_ignore_ascii_case(b"default");
        let (ansi_quotes, no_backslash_escapes) = match state.get(b"sql_mode").filter(is_chosen) {
            Some(text) => {
                let text = text.to_ascii_uppercase();
                let has = |word: &&str| memchr::memmem::find(&text, word.as_bytes()).is_some();
                (ANSI.iter().any(has), has(&NO_BACKSLASH))
            }
            None => {
                let is = |word: &str, of: &str| word.eq_ignore_ascii_case(of);
                let is_ansi = |word: &str| ANSI.iter().any(|ansi| is(word, ansi)) || is(word, "ANSI_QUOTES");
                (default.split(',').any(is_ansi), default.split(',').any(|word| is(word, NO_BACKSLASH)))
            }
        };
        Mode {
            ansi_quotes,
            no_backslash_escapes,
            ambiguous_charset: mentions_ambiguous(&state.client_charset()),
            mariadb: self.shared.family() == Family::MariaDb,
        }
    }

    /// Whether the session has said itself in which character set it speaks.
    pub(super) fn knows_charset(&self) -> bool {
        let said = self.state.client_charset();
        !said.trim_ascii().is_empty() && memchr::memmem::find(&said, b"default").is_none()
    }
}

/// Whether a character set is named whose characters may end in the byte of a quote or a backslash.
fn mentions_ambiguous(charset: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] = [b"gbk", b"gb18030", b"big5", b"sjis", b"cp932"];
    // By far the most frequent, and each new connection asks.
    let is_harmless = |word: &[u8]| word.is_empty() || word.starts_with(b"utf8") || word == b"collate";
    !charset.split(u8::is_ascii_whitespace).all(is_harmless)
        && NAMES.iter().any(|name| memchr::memmem::find(charset, name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn character_sets_that_hide_quotes() {
        for (said, is) in [
            ("utf8mb4", false),
            ("utf8mb4 collate utf8mb4_bin ", false),
            ("latin1", false),
            ("utf8mb4 gbk", true),
            ("gbk", true),
            ("'cp932'", true),
            ("utf8mb4 collate @x 'sjis'", true),
            ("", false),
        ] {
            assert_eq!(mentions_ambiguous(said.as_bytes()), is, "{said}");
        }
    }
}

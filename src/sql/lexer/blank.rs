//! What stands between tokens: white space, comments, and the borders of executable comments.

use memchr::{memchr2, memmem};

use super::{Lexer, is_digit, is_space};

impl Lexer<'_> {
    /// Skips white space and comments, enters and leaves executable ones; false if broken.
    pub(super) fn skip_blank(&mut self) -> bool {
        while let Some(byte) = self.peek(0) {
            match byte {
                _ if is_space(byte) => self.pos += 1,
                b'#' => {
                    if !self.line_comment(1) {
                        return false;
                    }
                }
                b'-' if self.peek(1) == Some(b'-') => match self.peek(2) {
                    None => self.pos += 2,
                    Some(next) if is_space(next) || (1..32).contains(&next) => {
                        if !self.line_comment(2) {
                            return false;
                        }
                    }
                    // Control and white space by some character sets only.
                    Some(0 | 127..) => return false,
                    Some(_) => return true,
                },
                b'/' if self.peek(1) == Some(b'*') => {
                    if !self.block_comment() {
                        return false;
                    }
                }
                b'*' if self.in_executable && self.peek(1) == Some(b'/') => {
                    self.in_executable = false;
                    self.pos += 2;
                }
                _ => return true,
            }
        }
        true
    }

    fn line_comment(&mut self, marker: usize) -> bool {
        let rest = self.rest();
        let end = match memchr2(b'\n', 0, rest) {
            // The server goes on after the NUL as if the line had ended.
            Some(at) if rest.get(at) == Some(&0) => return false,
            Some(at) => at,
            None => rest.len(),
        };
        if self.in_executable && memmem::find(rest.get(..end).unwrap_or_default(), b"*/").is_some() {
            return false; // does the marker end the comment around it? Not worth knowing.
        }
        if self.before_first {
            self.hint.absorb(rest.get(marker..end).unwrap_or_default());
        }
        self.pos += end;
        true
    }

    fn block_comment(&mut self) -> bool {
        let body = self.src.get(self.pos + 2..).unwrap_or_default();
        let executable = match body {
            [b'!', ..] => Some(1),
            [b'M', b'!', ..] => Some(2),
            [b'/', ..] => return false, // `/*/`: open or closed, depending on the reader
            [b'+', ..] if !ends_outside_quotes(body) => return false,
            _ => None,
        };
        if let Some(marker) = executable {
            return self.executable_comment(marker);
        }
        let Some(end) = memmem::find(body, b"*/") else { return false };
        if self.before_first {
            self.hint.absorb(body.get(..end).unwrap_or_default());
        }
        self.comment = (self.pos + 2, self.pos + 2 + end);
        self.pos += 2 + end + 2;
        true
    }

    fn executable_comment(&mut self, marker: usize) -> bool {
        if self.in_executable {
            return false;
        }
        let body = self.src.get(self.pos + 2 + marker..).unwrap_or_default();
        let digits = body.iter().take(6).take_while(|b| is_digit(**b)).count();
        // Old servers take the sixth digit for code: it must at least stand alone.
        if digits == 6 && !body.get(6).is_some_and(|b| is_space(*b)) {
            return false;
        }
        let version = if digits < 5 { 0 } else { digits };
        // Every supported server executes `/*!` up to version 5.6; above, or with six digits, or
        // for one family only, it depends.
        let certain =
            marker == 1 && (version == 0 || (version == 5 && body.get(..5).is_some_and(|v| v < &b"50700"[..])));
        if !certain {
            self.uncertain = self.uncertain.saturating_add(1);
        }
        if certain || !self.skip_uncertain {
            self.pos += 2 + marker + version;
            self.in_executable = true;
            return true;
        }
        let Some(end) = memmem::find(body, b"*/") else { return false };
        // Servers skip one level of nested comments here, some versions none.
        if body.get(..end).is_some_and(|skipped| memmem::find(skipped, b"/*").is_some()) {
            return false;
        }
        self.pos += 2 + marker + end + 2;
        true
    }
}

/// MySQL reads optimizer hints with a lexer that knows quotes: a `*/` inside of them does not end
/// the comment there, while other servers stop at the first one. True if both stop alike.
fn ends_outside_quotes(body: &[u8]) -> bool {
    let end = memmem::find(body, b"*/").unwrap_or(body.len());
    let mut open = None;
    for &byte in body.iter().take(end) {
        match (open, byte) {
            (_, b'\\') => return false,
            (None, b'\'' | b'"' | b'`') => open = Some(byte),
            (Some(quote), _) if quote == byte => open = None,
            _ => {}
        }
    }
    open.is_none()
}

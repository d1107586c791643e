//! The terminal: taken for a while, and given back as it was, however that ends.

use super::line::Line;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use std::io::{IsTerminal, Read, Write, stdin, stdout};
use tokio::sync::mpsc;

/// Another screen, no cursor, nothing wrapped.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// A terminal in use, until it is dropped.
#[derive(Debug)]
pub(super) struct Terminal {
    /// How it was, if keys can be read from it.
    before: Option<Termios>,
    in_colour: bool,
}

impl Terminal {
    /// Takes it: what is typed comes at once, and is not shown.
    pub(super) fn take(in_colour: bool) -> std::io::Result<Self> {
        let before = stdin().is_terminal().then(|| tcgetattr(stdin())).transpose()?;
        let terminal = Self { before, in_colour };
        if let Some(before) = &terminal.before {
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        }
        let mut out = stdout().lock();
        out.write_all(ENTER.as_bytes())?;
        out.flush()?;
        Ok(terminal)
    }

    /// Shows these lines and nothing else.
    pub(super) fn show(&self, lines: &[Line], width: usize) -> std::io::Result<()> {
        let mut text = "\x1b[H".to_owned();
        for (place, line) in lines.iter().enumerate() {
            text.push_str(if place > 0 { "\r\n" } else { "" });
            text.push_str(&line.print(width, self.in_colour));
            text.push_str("\x1b[K");
        }
        text.push_str("\x1b[J");
        let mut out = stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Nobody is left to be told that it failed.
        if let Some(before) = &self.before {
            let _gone = tcsetattr(stdin(), OptionalActions::Now, before);
        }
        let _gone = stdout().lock().write_all(LEAVE.as_bytes());
        let _gone = stdout().lock().flush();
    }
}

/// Columns and lines, if it tells.
pub(super) fn size() -> Option<(usize, usize)> {
    let size = tcgetwinsize(stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((usize::from(size.ws_col), usize::from(size.ws_row)))
}

/// The keys, as bytes; none if what there is to read from is no terminal.
pub(super) fn keys() -> mpsc::Receiver<u8> {
    let (sender, keys) = mpsc::channel(16);
    if stdin().is_terminal() {
        // It reads until the process ends: a read of a terminal cannot be given up.
        std::thread::spawn(move || {
            for byte in stdin().lock().bytes() {
                let Ok(byte) = byte else { return };
                if sender.blocking_send(byte).is_err() {
                    return;
                }
            }
        });
    }
    keys
}

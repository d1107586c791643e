//! One function per decoder: bytes in, and what must hold for any bytes. A panic is a finding.

mod answers;
mod packets;
pub mod simulation;
mod text;

pub use answers::{exchange, response, rows, translate};
pub use packets::{auth_switch, change_user, compression, execute, framing, greeting, login};
pub use text::{config, executed, gtid, sql, state, token};

use landbridge::protocol::capability::Capabilities;

/// A body.
pub type Target = fn(&[u8]);

/// All bodies by name; each has seeds in `corpus/` and a libFuzzer program in `fuzz_targets/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("framing", framing),
    ("greeting", greeting),
    ("login", login),
    ("auth_switch", auth_switch),
    ("change_user", change_user),
    ("response", response),
    ("exchange", exchange),
    ("translate", translate),
    ("rows", rows),
    ("sql", sql),
    ("state", state),
    ("gtid", gtid),
    ("execute", execute),
    ("config", config),
    ("compression", compression),
    ("token", token),
    ("executed", executed),
];

/// Takes parameters off the front of an input; zeros when it is used up.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, n: usize) -> &'a [u8] {
        let (head, rest) = self.0.split_at(n.min(self.0.len()));
        self.0 = rest;
        head
    }

    fn u8(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or(0)
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes([self.u8(), self.u8(), self.u8(), self.u8()])
    }

    /// A piece with its length in front.
    fn piece(&mut self) -> &'a [u8] {
        let n = usize::from(self.u8());
        self.take(n)
    }

    fn caps(&mut self) -> Capabilities {
        Capabilities::from_halves(self.u32(), self.u32())
    }
}

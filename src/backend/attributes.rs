//! Connection attributes: what our connections say of themselves when they log in.
//!
//! A connection serves many clients and is often there before them, so that it cannot say what holds for one of them
//! alone. It says what all clients have in common that its account has at the time: with one program behind an account that is
//! the program's own name, library and platform.

use crate::protocol::wire::{Put, Reader};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What holds for one process, or for the way to Landbridge, and not for a program.
const NOT_PASSED_ON: [&[u8]; 7] =
    [b"_pid", b"_thread", b"_connection_id", b"_server_host", b"_source_host", b"landbridge_key", b"proxied_by"];
/// Of a client's attributes so many bytes are kept; servers keep 512 by default.
const MOST_BYTES: usize = 400;
/// With so many programs behind an account they are taken to have nothing in common.
const MOST_PROGRAMS: usize = 32;

/// Name and value.
type Attribute = (Box<[u8]>, Box<[u8]>);

/// Names and values as a login has them, up to what cannot be read.
pub fn pairs(encoded: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut reader = Reader::new(encoded, "connection attributes");
    std::iter::from_fn(move || Some((reader.lenenc_bytes().ok()?, reader.lenenc_bytes().ok()?)))
}

/// What a client said of itself, as far as it may be passed on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Attributes(Vec<Attribute>);

impl Attributes {
    /// Reads them from a login. What cannot be read, or would be too long, is left out.
    pub fn of_client(encoded: &[u8]) -> Arc<Self> {
        let (mut kept, mut size) = (Vec::new(), 0);
        for (name, value) in pairs(encoded) {
            let is_text = std::str::from_utf8(name).is_ok() && std::str::from_utf8(value).is_ok();
            // Each has its two lengths.
            let larger = size + name.len() + value.len() + 2;
            if is_text && !name.is_empty() && !NOT_PASSED_ON.contains(&name) && larger <= MOST_BYTES {
                size = larger;
                kept.push((name.into(), value.into()));
            }
        }
        Arc::new(Self(kept))
    }
}

/// What the clients of an account say that are connected now.
#[derive(Debug, Default)]
pub struct Introductions(Mutex<Vec<Weak<Attributes>>>);

impl Introductions {
    /// A client is there for as long as it holds what is returned. One that says nothing does not count.
    #[must_use = "a client counts for as long as it holds this"]
    pub fn join(&self, said: Arc<Attributes>) -> Arc<Attributes> {
        if said.0.is_empty() {
            return said;
        }
        let mut programs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = programs.iter().filter_map(Weak::upgrade).find(|known| *known == said) {
            return same;
        }
        programs.retain(|known| known.strong_count() > 0);
        if programs.len() < MOST_PROGRAMS {
            programs.push(Arc::downgrade(&said));
        }
        said
    }

    /// The attributes of a connection that is opened now, encoded without their total length.
    pub fn encode(&self) -> Vec<u8> {
        let common = self.common();
        let own_name = [(&b"program_name"[..], &b"landbridge"[..])];
        let pid = std::process::id().to_string();
        let own = [
            (&b"proxied_by"[..], concat!("landbridge ", env!("CARGO_PKG_VERSION")).as_bytes()),
            (b"_pid", pid.as_bytes()),
        ];
        let has_name = common.iter().any(|(name, _)| **name == *b"program_name");
        let clients = common.iter().map(|(name, value)| (&**name, &**value));
        let mut out = Vec::new();
        for (name, value) in own.into_iter().chain(own_name.into_iter().filter(|_| !has_name)).chain(clients) {
            out.put_lenenc_bytes(name);
            out.put_lenenc_bytes(value);
        }
        out
    }

    fn common(&self) -> Vec<Attribute> {
        let programs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let living: Vec<_> = programs.iter().filter_map(Weak::upgrade).collect();
        match &living[..] {
            [first, others @ ..] if living.len() < MOST_PROGRAMS => {
                first.0.iter().filter(|pair| others.iter().all(|other| other.0.contains(pair))).cloned().collect()
            }
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(pairs: &[(&str, &str)]) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value) in pairs {
            out.put_lenenc_bytes(name.as_bytes());
            out.put_lenenc_bytes(value.as_bytes());
        }
        out
    }

    /// What a server is told beside what Landbridge says of itself.
    fn told(introductions: &Introductions) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let encoded = introductions.encode();
        let all = super::pairs(&encoded).map(|(name, value)| (text(name), text(value)));
        all.filter(|(name, _)| !["proxied_by", "_pid"].contains(&name.as_str())).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    }

    #[test]
    fn what_all_clients_have_in_common_is_passed_on() {
        let introductions = Introductions::default();
        assert_eq!(told(&introductions), pairs(&[("program_name", "landbridge")]));
        let shop = encoded(&[("_pid", "7"), ("program_name", "shop"), ("_client_name", "mysqlnd")]);
        let first = introductions.join(Attributes::of_client(&shop));
        let second = introductions.join(Attributes::of_client(&shop));
        assert!(Arc::ptr_eq(&first, &second), "kept once");
        assert_eq!(told(&introductions), pairs(&[("program_name", "shop"), ("_client_name", "mysqlnd")]));

        let silent = introductions.join(Attributes::of_client(b""));
        assert_eq!(told(&introductions).len(), 2, "who says nothing does not count");

        let worker = encoded(&[("_client_name", "mysqlnd"), ("program_name", "worker")]);
        let third = introductions.join(Attributes::of_client(&worker));
        assert_eq!(told(&introductions), pairs(&[("program_name", "landbridge"), ("_client_name", "mysqlnd")]));
        drop((first, second, silent));
        assert_eq!(told(&introductions), pairs(&[("_client_name", "mysqlnd"), ("program_name", "worker")]));
        drop(third);
        assert_eq!(told(&introductions), pairs(&[("program_name", "landbridge")]));
    }

    #[test]
    fn what_is_too_much_is_left_out() {
        let long = "x".repeat(MOST_BYTES);
        let said = Attributes::of_client(&encoded(&[("long", &long), ("short", "y")]));
        assert_eq!(said.0, [(b"short"[..].into(), b"y"[..].into())]);
        let many = Attributes::of_client(&encoded(&vec![("a", ""); 1000]));
        assert!(many.0.len() * 3 <= MOST_BYTES && *Attributes::of_client(&[0; 1000]) == Attributes::default());
        assert_eq!(*Attributes::of_client(b"\x04name\xfe"), Attributes::default(), "cut off");
        assert_eq!(*Attributes::of_client(&[1, b'a', 1, 0xFF]), Attributes::default(), "not text");

        let introductions = Introductions::default();
        let programs: Vec<_> = (0..MOST_PROGRAMS)
            .map(|n| introductions.join(Attributes::of_client(&encoded(&[("os", "Linux"), ("n", &n.to_string())]))))
            .collect();
        assert_eq!(told(&introductions), pairs(&[("program_name", "landbridge")]), "too many");
        drop(programs);
        let _one = introductions.join(Attributes::of_client(&encoded(&[("os", "Linux")])));
        assert_eq!(told(&introductions), pairs(&[("program_name", "landbridge"), ("os", "Linux")]));
    }
}

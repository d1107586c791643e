//! Password proofs: what a client computes, and how one is checked without keeping more than needed.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html>

use super::handshake::NONCE_LEN;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Authentication plugins Landbridge speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    /// `caching_sha2_password`, the default of MySQL 8 and later.
    CachingSha2,
    /// `mysql_native_password`, the default of MariaDB.
    Native,
    /// `sha256_password`: the password itself, inside TLS or a unix socket, or else encrypted with RSA.
    Sha256,
    /// `mysql_clear_password`, only ever inside TLS or a unix socket.
    Clear,
    /// MariaDB's `client_ed25519`.
    Ed25519,
    /// MariaDB's `parsec`.
    Parsec,
}

impl Plugin {
    /// The plugin's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::CachingSha2 => "caching_sha2_password",
            Self::Native => "mysql_native_password",
            Self::Sha256 => "sha256_password",
            Self::Clear => "mysql_clear_password",
            Self::Ed25519 => "client_ed25519",
            Self::Parsec => "parsec",
        }
    }

    /// The plugin of a name.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        const ALL: [Plugin; 6] =
            [Plugin::CachingSha2, Plugin::Native, Plugin::Sha256, Plugin::Clear, Plugin::Ed25519, Plugin::Parsec];
        ALL.into_iter().find(|p| p.name().as_bytes() == name)
    }

    /// How it scrambles a password, if that is what it does.
    pub fn scramble(self) -> Option<Scramble> {
        match self {
            Self::CachingSha2 => Some(Scramble::CachingSha2),
            Self::Native => Some(Scramble::Native),
            Self::Sha256 | Self::Clear | Self::Ed25519 | Self::Parsec => None,
        }
    }
}

/// The plugins by which both sides prove that they know a password without showing it: what
/// clients may offer, and what a login begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scramble {
    /// `caching_sha2_password`
    CachingSha2,
    /// `mysql_native_password`
    Native,
}

impl Scramble {
    /// The plugin.
    pub fn plugin(self) -> Plugin {
        match self {
            Self::CachingSha2 => Plugin::CachingSha2,
            Self::Native => Plugin::Native,
        }
    }

    /// The proof of `password` for `nonce`; empty for an empty password.
    pub fn proof(self, password: &[u8], nonce: &[u8]) -> Vec<u8> {
        match self {
            _ if password.is_empty() => Vec::new(),
            Self::CachingSha2 => caching_sha2_proof(password, nonce).to_vec(),
            Self::Native => native_proof(password, nonce).to_vec(),
        }
    }

    /// Whether `proof` is the right one, without telling by its timing where it differs.
    pub fn verify(self, password: &[u8], nonce: &[u8], proof: &[u8]) -> bool {
        is_same(&self.proof(password, nonce), proof)
    }
}

/// Whether two secrets are the same, without telling by its timing where they differ.
pub fn is_same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
}

/// `SHA256(password) XOR SHA256(SHA256(SHA256(password)) + nonce)`
fn caching_sha2_proof(password: &[u8], nonce: &[u8]) -> [u8; 32] {
    let stage1: [u8; 32] = Sha256::digest(password).into();
    let stage2 = Sha256::digest(stage1);
    let mask = Sha256::new().chain_update(stage2).chain_update(nonce).finalize();
    xor(stage1, &mask)
}

/// `SHA1(password) XOR SHA1(nonce + SHA1(SHA1(password)))`
fn native_proof(password: &[u8], nonce: &[u8]) -> [u8; NONCE_LEN] {
    let stage1: [u8; NONCE_LEN] = Sha1::digest(password).into();
    let stage2 = Sha1::digest(stage1);
    let mask = Sha1::new().chain_update(nonce).chain_update(stage2).finalize();
    xor(stage1, &mask)
}

fn xor<const N: usize>(mut a: [u8; N], b: &[u8]) -> [u8; N] {
    for (a, b) in a.iter_mut().zip(b) {
        *a ^= b;
    }
    a
}

/// The password as it is encrypted with an RSA key: with its NUL, XOR the repeated nonce.
pub fn obfuscate_for_rsa(password: &[u8], nonce: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(password.iter().chain([&0]).zip(nonce.iter().cycle()).map(|(p, n)| p ^ n).collect())
}

/// What [`obfuscate_for_rsa`] was given; nothing if the NUL is not where it ends.
pub fn clarify_from_rsa(obfuscated: &[u8], nonce: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut password: Zeroizing<Vec<u8>> =
        Zeroizing::new(obfuscated.iter().zip(nonce.iter().cycle()).map(|(p, n)| p ^ n).collect());
    (password.pop() == Some(0)).then_some(password)
}

/// A random challenge: printable, never NUL, as servers make them.
pub fn challenge(random: [u8; NONCE_LEN]) -> [u8; NONCE_LEN] {
    random.map(|b| b % 94 + 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &[u8] = b"abcdefghijklmnopqrst";

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"))
    }

    #[test]
    fn proofs_have_the_form_servers_check() {
        // A server keeps SHA1(SHA1(p)) and undoes the XOR; do the same here.
        let proof = native_proof(b"secret", NONCE);
        let stage2 = Sha1::digest(Sha1::digest(b"secret"));
        let mask = Sha1::new().chain_update(NONCE).chain_update(stage2).finalize();
        assert_eq!(hex(&Sha1::digest(xor(proof, &mask))), hex(&stage2));

        let proof = caching_sha2_proof(b"secret", NONCE);
        let stage2 = Sha256::digest(Sha256::digest(b"secret"));
        let mask = Sha256::new().chain_update(stage2).chain_update(NONCE).finalize();
        assert_eq!(hex(&Sha256::digest(xor(proof, &mask))), hex(&stage2));
    }

    /// The example of the unit tests of the Rust driver: an independent implementation.
    #[test]
    fn proofs_are_those_of_others() {
        let (password, nonce) = (b"G!ider27", b"NR3HP:qIYa_9=db?Sd{`");
        assert_eq!(hex(&native_proof(password, nonce)), "09cff8855e9e705340ff2270d8fb9fadba906b70");
        assert_eq!(
            hex(&caching_sha2_proof(password, nonce)),
            "4f97bbfd202401c42a69deaae53bda077ed7578563c1a80eb816c82119b68d2e"
        );
    }

    #[test]
    fn verification() {
        for scramble in [Scramble::CachingSha2, Scramble::Native] {
            let proof = scramble.proof(b"secret", NONCE);
            assert!(scramble.verify(b"secret", NONCE, &proof));
            assert!(!scramble.verify(b"other", NONCE, &proof));
            assert!(!scramble.verify(b"secret", NONCE, b""));
            assert!(scramble.verify(b"", NONCE, b""));
            assert!(!scramble.verify(b"", NONCE, b"x"));
        }
    }

    #[test]
    fn names() {
        for plugin in
            [Plugin::CachingSha2, Plugin::Native, Plugin::Sha256, Plugin::Clear, Plugin::Ed25519, Plugin::Parsec]
        {
            assert_eq!(Plugin::from_name(plugin.name().as_bytes()), Some(plugin));
        }
        assert_eq!(Plugin::from_name(b"dialog"), None);
    }

    #[test]
    fn what_was_obfuscated_can_be_read() {
        let long = [b'x'; 50];
        for password in [&b""[..], b"secret", &long] {
            let obfuscated = obfuscate_for_rsa(password, NONCE);
            assert_eq!(obfuscated.len(), password.len() + 1);
            assert_eq!(clarify_from_rsa(&obfuscated, NONCE).as_deref().map(Vec::as_slice), Some(password));
        }
        assert_eq!(clarify_from_rsa(b"", NONCE), None);
        assert_eq!(clarify_from_rsa(b"secret", NONCE), None);
    }

    #[test]
    fn challenges_are_printable() {
        let all = (0..=255u8).collect::<Vec<_>>();
        for chunk in all.chunks_exact(NONCE_LEN) {
            let nonce = challenge(chunk.try_into().expect("20 bytes"));
            assert!(nonce.iter().all(u8::is_ascii_graphic));
        }
    }
}

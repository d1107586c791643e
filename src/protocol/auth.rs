//! Password proofs: what a client computes, and how one is checked without keeping more than needed.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_caching_sha2_authentication_exchanges.html>

use super::handshake::NONCE_LEN;
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Authentication plugins Landbridge speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plugin {
    /// `caching_sha2_password`, the default of MySQL 8 and later.
    CachingSha2,
    /// `mysql_native_password`, the default of MariaDB.
    Native,
    /// `mysql_clear_password`, only ever inside TLS or a unix socket.
    Clear,
}

impl Plugin {
    /// The plugin's name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::CachingSha2 => "caching_sha2_password",
            Self::Native => "mysql_native_password",
            Self::Clear => "mysql_clear_password",
        }
    }

    /// The plugin of a name.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        [Self::CachingSha2, Self::Native, Self::Clear].into_iter().find(|p| p.name().as_bytes() == name)
    }

    /// The proof of `password` for `nonce`; empty for an empty password.
    pub fn proof(self, password: &[u8], nonce: &[u8]) -> Vec<u8> {
        match self {
            Self::Clear => [password, b"\0"].concat(),
            _ if password.is_empty() => Vec::new(),
            Self::CachingSha2 => caching_sha2_proof(password, nonce).to_vec(),
            Self::Native => native_proof(password, nonce).to_vec(),
        }
    }

    /// Whether `proof` is the right one, without telling by its timing where it differs.
    pub fn verify(self, password: &[u8], nonce: &[u8], proof: &[u8]) -> bool {
        let want = self.proof(password, nonce);
        want.len() == proof.len() && want.iter().zip(proof).fold(0, |diff, (a, b)| diff | (a ^ b)) == 0
    }
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

/// The password as it is encrypted with a server's RSA key: with its NUL, XOR the repeated nonce.
pub fn obfuscate_for_rsa(password: &[u8], nonce: &[u8]) -> Vec<u8> {
    password.iter().chain([&0]).zip(nonce.iter().cycle()).map(|(p, n)| p ^ n).collect()
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

    #[test]
    fn verification() {
        for plugin in [Plugin::CachingSha2, Plugin::Native, Plugin::Clear] {
            let proof = plugin.proof(b"secret", NONCE);
            assert!(plugin.verify(b"secret", NONCE, &proof));
            assert!(!plugin.verify(b"other", NONCE, &proof));
            assert!(!plugin.verify(b"secret", NONCE, b""));
            assert_eq!(Plugin::from_name(plugin.name().as_bytes()), Some(plugin));
        }
        assert!(Plugin::Native.verify(b"", NONCE, b""));
        assert!(!Plugin::Native.verify(b"", NONCE, b"x"));
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

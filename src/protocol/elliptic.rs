//! MariaDB's authentication by signatures: `client_ed25519` and `parsec`.
//!
//! Both sign with Ed25519, and both keep only a public key on the server. `client_ed25519` takes
//! SHA-512 of the password for the expanded secret key, which is not what other libraries do with a
//! seed; `parsec` derives an ordinary seed, with the account's salt, and lets the client add a
//! challenge of its own.
//! <https://mariadb.com/docs/server/reference/plugins/authentication-plugins/authentication-plugin-parsec>

use super::wire::Malformed;
use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA512};
use aws_lc_rs::signature::Ed25519KeyPair;
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use sha2::{Digest, Sha512};
use std::num::NonZeroU32;
use zeroize::Zeroizing;

/// Length of the challenges of both plugins.
pub const CHALLENGE_LEN: usize = 32;
/// The derivation that `parsec` knows: PBKDF2.
const PBKDF2: u8 = b'P';
/// Iterations are this many, doubled as often as the salt says.
const FEWEST_ITERATIONS: u32 = 1024;
/// More doublings than this (a quarter of a million iterations) nobody asks for in good faith.
const MOST_DOUBLINGS: u8 = 8;

/// The answer of `client_ed25519`: the challenge, signed.
pub fn ed25519(password: &[u8], challenge: &[u8]) -> Vec<u8> {
    let secret: Zeroizing<[u8; 64]> = Zeroizing::new(Sha512::digest(password).into());
    let secret = ExpandedSecretKey::from_bytes(&secret);
    // The key of this very secret: with any other the signature would give the secret away.
    let public = VerifyingKey::from(&secret);
    raw_sign::<Sha512>(&secret, challenge, &public).to_bytes().to_vec()
}

/// The answer of `parsec`: our challenge, and the signature of the server's and ours.
///
/// `salt` is what the server sent when it was asked for it: how the key is derived, and the
/// account's salt.
///
/// # Errors
/// A derivation that is not known, or a challenge of another length.
pub fn parsec(password: &[u8], challenge: &[u8], salt: &[u8], own: [u8; CHALLENGE_LEN]) -> Result<Vec<u8>, Malformed> {
    let key = parsec_key(password, salt)?;
    if challenge.len() != CHALLENGE_LEN {
        return Err(Malformed("parsec challenge"));
    }
    let signature = key.sign(&[challenge, &own].concat());
    Ok([&own, signature.as_ref()].concat())
}

fn parsec_key(password: &[u8], salt: &[u8]) -> Result<Ed25519KeyPair, Malformed> {
    let bad = Malformed("parsec salt");
    let (iterations, salt) = match salt {
        [PBKDF2, doublings @ 0..=MOST_DOUBLINGS, salt @ ..] => (FEWEST_ITERATIONS << doublings, salt),
        _ => return Err(bad),
    };
    let iterations = NonZeroU32::new(iterations).ok_or(bad)?;
    let mut seed = Zeroizing::new([0; 32]);
    pbkdf2::derive(PBKDF2_HMAC_SHA512, iterations, salt, password, &mut *seed);
    Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| bad)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::signature::{ED25519, KeyPair, UnparsedPublicKey};

    const CHALLENGE: [u8; CHALLENGE_LEN] = *b"abcdefghijklmnopqrstuvwxyz012345";

    /// Base64 without padding, as servers keep keys.
    fn base64(text: &str) -> Vec<u8> {
        let padding = "=".repeat((4 - text.len() % 4) % 4);
        let pem = format!("-----BEGIN KEY-----\n{text}{padding}\n-----END KEY-----\n");
        pem::parse(pem).expect("base64").into_contents()
    }

    /// What a server keeps for `secret`: the example of MariaDB's manual.
    #[test]
    fn ed25519_signs_for_the_key_a_server_keeps() {
        let kept = base64("ZIgUREUg5PVgQ6LskhXmO+eZLS0nC8be6HPjYWR4YJY");
        let key = UnparsedPublicKey::new(&ED25519, kept);
        key.verify(&CHALLENGE, &ed25519(b"secret", &CHALLENGE)).expect("signed with the account's key");
        key.verify(&CHALLENGE, &ed25519(b"Secret", &CHALLENGE)).expect_err("another password");
    }

    /// What a server keeps for `MyPassword123!`: the example of the release notes of MariaDB 11.6,
    /// `P0:lhXyNv1cIxpB8EnTxR7ON7S7:1l3rWRW1/jw45yrvYXB8eh02wzk7lcJcz4CMcWw2b+8`.
    #[test]
    fn parsec_signs_for_the_key_a_server_keeps() {
        let salt = [b"P\0".to_vec(), base64("lhXyNv1cIxpB8EnTxR7ON7S7")].concat();
        let kept = base64("1l3rWRW1/jw45yrvYXB8eh02wzk7lcJcz4CMcWw2b+8");
        let key = parsec_key(b"MyPassword123!", &salt).expect("key");
        assert_eq!(key.public_key().as_ref(), kept);

        let own = [7; CHALLENGE_LEN];
        let answer = parsec(b"MyPassword123!", &CHALLENGE, &salt, own).expect("answer");
        let (sent, signature) = answer.split_at(CHALLENGE_LEN);
        assert_eq!(sent, own);
        let signed = [CHALLENGE, own].concat();
        UnparsedPublicKey::new(&ED25519, kept).verify(&signed, signature).expect("both challenges are signed");
    }

    #[test]
    fn parsec_refuses_what_it_does_not_know() {
        let own = [7; CHALLENGE_LEN];
        for salt in [&b""[..], b"P", b"A\0salt", b"P\x09salt", b"P\xFFsalt"] {
            assert!(parsec(b"p", &CHALLENGE, salt, own).is_err(), "{salt:?}");
        }
        assert!(parsec(b"p", &CHALLENGE[1..], b"P\0salt", own).is_err());
        assert!(parsec(b"p", &CHALLENGE, b"P\x01salt", own).is_ok());
    }
}

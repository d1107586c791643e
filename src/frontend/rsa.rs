//! The RSA key with which clients without TLS encrypt their password.
//!
//! It is made when the first of them asks, lives as long as the process, and protects against those
//! who listen, not against those who stand in between: `[listen] tls` does.

use crate::protocol::auth::clarify_from_rsa;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::{KeySize, OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use pem::{EncodeConfig, LineEnding, Pem};
use std::fmt::{self, Debug, Formatter};
use std::io;
use zeroize::Zeroizing;

/// A key pair.
pub(super) struct RsaKey {
    private: OaepPrivateDecryptingKey,
    /// The public key in PEM, as clients are sent it.
    public: String,
}

impl Debug for RsaKey {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("RsaKey")
    }
}

impl RsaKey {
    /// Makes a new one, which takes a fraction of a second.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(super) fn generate() -> io::Result<Self> {
        let failed = |Unspecified| io::Error::other("cannot make an RSA key");
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).map_err(failed)?;
        let der: PublicKeyX509Der<'_> = private.public_key().as_der().map_err(failed)?;
        let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
        let public = pem::encode_config(&Pem::new("PUBLIC KEY", der.as_ref()), lines);
        Ok(Self { private: OaepPrivateDecryptingKey::new(private).map_err(failed)?, public })
    }

    /// The public key in PEM.
    pub(super) fn public(&self) -> &str {
        &self.public
    }

    /// The password in what a client sent after this challenge.
    pub(super) fn open(&self, sealed: &[u8], nonce: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut space = Zeroizing::new(vec![0; self.private.min_output_size()]);
        let opened = self.private.decrypt(&OAEP_SHA1_MGF1SHA1, sealed, &mut space, None).ok()?;
        clarify_from_rsa(opened, nonce)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::auth::obfuscate_for_rsa;
    use aws_lc_rs::rsa::{OaepPublicEncryptingKey, PublicEncryptingKey};

    #[test]
    fn opens_what_was_sealed_for_it() {
        const NONCE: &[u8] = b"abcdefghijklmnopqrst";
        let key = RsaKey::generate().expect("key");
        assert!(key.public().starts_with("-----BEGIN PUBLIC KEY-----\n") && !key.public().contains('\r'));
        let public = pem::parse(key.public()).expect("PEM").into_contents();
        let public = OaepPublicEncryptingKey::new(PublicEncryptingKey::from_der(&public).expect("DER")).expect("key");
        let mut sealed = vec![0; public.ciphertext_size()];
        let plain = obfuscate_for_rsa(b"secret", NONCE);
        let sealed = public.encrypt(&OAEP_SHA1_MGF1SHA1, &plain, &mut sealed, None).expect("encrypts");
        assert_eq!(key.open(sealed, NONCE).as_deref().map(Vec::as_slice), Some(&b"secret"[..]));
        assert!(key.open(sealed, b"another challenge...").is_none());
        assert!(key.open(b"secret\0", NONCE).is_none());
    }
}

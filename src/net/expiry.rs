//! When certificates expire, for those who must renew them in time.

use rustls::pki_types::CertificateDer;
use std::sync::atomic::{AtomicI64, Ordering};

/// When the certificate expires that was last seen, in seconds since 1970.
#[derive(Debug)]
pub struct Expiry(AtomicI64);

/// Nobody's certificate expires then.
const UNKNOWN: i64 = i64::MIN;

impl Default for Expiry {
    fn default() -> Self {
        Self(AtomicI64::new(UNKNOWN))
    }
}

impl Expiry {
    /// That of the first certificate of a chain, if there is one that can be read.
    pub fn of(chain: &[CertificateDer<'_>]) -> Self {
        let expiry = Self::default();
        expiry.see(chain);
        expiry
    }

    /// The certificate is this now; one that cannot be read changes nothing.
    pub fn see(&self, chain: &[CertificateDer<'_>]) {
        let read = chain.first().and_then(|first| x509_parser::parse_x509_certificate(first).ok());
        if let Some((_, certificate)) = read {
            self.0.store(certificate.validity().not_after.timestamp(), Ordering::Relaxed);
        }
    }

    /// The same as another one.
    pub fn be(&self, other: &Self) {
        self.0.store(other.0.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// When it expires, if one was seen.
    pub fn at(&self) -> Option<i64> {
        Some(self.0.load(Ordering::Relaxed)).filter(|at| *at != UNKNOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_certificate() {
        assert_eq!(Expiry::of(&[]).at(), None);
        let mut params = rcgen::CertificateParams::new(vec!["localhost".into()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(2030, 1, 2);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("signed");
        let expiry = Expiry::of(&[certificate.der().clone()]);
        assert_eq!(expiry.at(), Some(1_893_542_400));
        expiry.see(&[CertificateDer::from(vec![1, 2, 3])]);
        assert_eq!(expiry.at(), Some(1_893_542_400));
    }
}

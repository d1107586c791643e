//! Certificates for the laboratory: an authority of our own, and what it signs.
//!
//! [`CertFiles`] is the usual set (authority, server, client) as PEM files in a directory. The bad ones
//! are made from the same parts: an [`Authority`] nobody was told about, a server identity with
//! another's name, one that has expired.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use crate::lab::error::{Error, Result};

/// The names a server on this machine is reached by.
const LOCAL_NAMES: [&str; 2] = ["localhost", "127.0.0.1"];

/// A certificate authority that lives as long as the test.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority with a key of its own. Two authorities of the same name do not trust each
    /// other's certificates, which is what a test of a wrong CA needs.
    ///
    /// # Errors
    ///
    /// [`Error::Certificate`] if no key can be made.
    pub fn new(common_name: &str) -> Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { issuer })
    }

    /// The authority's own certificate.
    #[must_use]
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A server reached as `localhost`, `127.0.0.1` or any of `extra_names` (names or addresses).
    ///
    /// # Errors
    ///
    /// [`Error::Certificate`] if a name cannot stand in a certificate.
    pub fn server(&self, extra_names: &[&str]) -> Result<Identity> {
        self.sign(server_params(&[&LOCAL_NAMES[..], extra_names].concat())?)
    }

    /// A server of exactly these names and not of this machine: the wrong name for whoever dials
    /// `localhost`.
    ///
    /// # Errors
    ///
    /// [`Error::Certificate`] if a name cannot stand in a certificate.
    pub fn server_named_only(&self, names: &[&str]) -> Result<Identity> {
        self.sign(server_params(names)?)
    }

    /// A server of this machine whose certificate ended years ago.
    ///
    /// # Errors
    ///
    /// [`Error::Certificate`] if no key can be made.
    pub fn expired_server(&self) -> Result<Identity> {
        let mut params = server_params(&LOCAL_NAMES)?;
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
        self.sign(params)
    }

    /// A client of this name.
    ///
    /// # Errors
    ///
    /// [`Error::Certificate`] if no key can be made.
    pub fn client(&self, common_name: &str) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Result<Identity> {
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let cert = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { cert_pem: cert.pem(), key_pem: key.serialize_pem() })
    }
}

fn server_params(names: &[&str]) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "landbridge lab server");
    // Replication partners present it too, so it serves both ends.
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName((*name).try_into()?),
        });
    }
    Ok(params)
}

/// A certificate and its private key.
pub struct Identity {
    /// The certificate.
    pub cert_pem: String,
    /// The private key, PKCS #8.
    pub key_pem: String,
}

impl Identity {
    /// Writes `<stem>.pem` and `<stem>-key.pem` into `dir`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if a file cannot be written.
    pub fn write(&self, dir: &Path, stem: &str) -> Result<IdentityFiles> {
        Ok(IdentityFiles {
            cert: write(dir, &format!("{stem}.pem"), &self.cert_pem)?,
            key: write(dir, &format!("{stem}-key.pem"), &self.key_pem)?,
        })
    }
}

/// Where an [`Identity`] was written to.
#[derive(Clone, Debug)]
pub struct IdentityFiles {
    /// The certificate, PEM.
    pub cert: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// The usual set of files: what a server needs for TLS and what a client needs to trust it.
#[derive(Clone, Debug)]
pub struct CertFiles {
    /// The authority's certificate.
    pub ca: PathBuf,
    /// The server's identity.
    pub server: IdentityFiles,
    /// A client's identity, from the same authority.
    pub client: IdentityFiles,
}

impl CertFiles {
    /// Makes an authority with a server and a client identity, and writes `ca.pem`, `server.pem`,
    /// `server-key.pem`, `client.pem` and `client-key.pem` into `dir`.
    ///
    /// # Errors
    ///
    /// [`Error::Certificate`] for a name that cannot stand in a certificate, [`Error::Io`] if a file
    /// cannot be written.
    pub fn generate(dir: &Path, extra_names: &[&str]) -> Result<Self> {
        let authority = Authority::new("landbridge lab CA")?;
        Self::issue(&authority, &authority.server(extra_names)?, dir)
    }

    /// The same set with a server identity of the caller's choice, such as an expired one.
    ///
    /// # Errors
    ///
    /// As [`CertFiles::generate`].
    pub fn issue(authority: &Authority, server: &Identity, dir: &Path) -> Result<Self> {
        Ok(Self {
            ca: write(dir, "ca.pem", &authority.pem())?,
            server: server.write(dir, "server")?,
            client: authority.client("landbridge lab client")?.write(dir, "client")?,
        })
    }
}

fn write(dir: &Path, name: &str, pem: &str) -> Result<PathBuf> {
    let path = dir.join(name);
    fs::write(&path, pem).map_err(|error| Error::io(path.display().to_string(), error))?;
    Ok(path)
}

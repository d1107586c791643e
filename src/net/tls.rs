//! TLS towards servers (verified unless told otherwise) and towards clients.
//!
//! Servers differ in what they present: MySQL's generated certificates have no names in them
//! (`verify-ca` fits), old MariaDB recipes make X.509 v1 leaves that no modern library accepts as
//! such (`pin` fits). Nothing here ever falls back to plaintext.

use super::expiry::Expiry;
use super::stream::{Stream, Transport};
use arc_swap::ArcSwap;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

/// How a server proves that it is itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verify {
    /// Certificate signed by a trusted authority and made for the server's name.
    Full,
    /// Certificate signed by a trusted authority, whatever its name.
    Ca,
    /// Exactly this key (SHA-256 of its `SubjectPublicKeyInfo` in DER form), in any certificate.
    Pin([u8; 32]),
}

/// What is needed to speak TLS with one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerTls {
    /// How to verify it.
    pub verify: Verify,
    /// Trusted authorities; the system's when absent.
    pub ca: Option<PathBuf>,
    /// Certificate chain and key to show to the server.
    pub client_cert: Option<(PathBuf, PathBuf)>,
    /// Name to expect instead of the address's host.
    pub server_name: Option<String>,
}

/// A TLS setting cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or holds nothing usable.
    #[error("cannot use {}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The library rejects the combination.
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
    /// The verifier cannot be made.
    #[error("{0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
    /// Neither name nor address.
    #[error("'{0}' is not a name a certificate can hold; set tls.server_name")]
    Name(String),
    /// No certificate could be generated.
    #[error("cannot make a certificate for clients: {0}")]
    Generate(String),
}

impl TlsError {
    /// The same, with the names of the files where they do not belong together.
    fn about_pair(self, cert: &Path, key: &Path) -> Self {
        match self {
            Self::Rustls(rustls::Error::InconsistentKeys(_)) => Self::File {
                path: key.to_owned(),
                why: format!("it is not the key of {}; write the pair that belongs together", cert.display()),
            },
            other => other,
        }
    }
}

/// Makes TLS connections to one server; shared so that sessions are resumed. Certificates can be renewed while it is
/// in use.
pub struct Connector {
    config: ArcSwap<ClientConfig>,
    name: ServerName<'static>,
    /// Of the certificate that it shows.
    own_expiry: Expiry,
    /// Of the one that the server showed last.
    peer_expiry: Expiry,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connector").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Connector {
    /// Reads certificates and builds the configuration for a server at `host`.
    ///
    /// # Errors
    /// Unreadable or empty files, impossible names.
    pub fn new(settings: &ServerTls, host: &str) -> Result<Self, TlsError> {
        let provider = Arc::new(provider());
        let roots = Arc::new(roots(settings.ca.as_deref())?);
        let verifier: Arc<dyn ServerCertVerifier> = match &settings.verify {
            Verify::Full => WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()?,
            Verify::Ca => Arc::new(CaVerifier { roots, provider: provider.clone() }),
            Verify::Pin(digest) => Arc::new(PinVerifier { digest: *digest, provider: provider.clone() }),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let own_expiry = Expiry::default();
        let config = match &settings.client_cert {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let certs = read_certs(cert)?;
                own_expiry.see(&certs);
                let config = builder.with_client_auth_cert(certs, read_key(key)?);
                config.map_err(|error| TlsError::from(error).about_pair(cert, key))?
            }
        };
        let host = settings.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| TlsError::Name(host.into()))?;
        Ok(Self { config: ArcSwap::from_pointee(config), name, own_expiry, peer_expiry: Expiry::default() })
    }

    /// From now on connections are made as by `fresh`, which is for the same server with other certificates.
    pub fn renew(&self, fresh: &Self) {
        self.config.store(fresh.config.load_full());
        self.own_expiry.be(&fresh.own_expiry);
    }

    /// When the certificate expires that it shows, and the one that the server showed last.
    pub fn expiries(&self) -> (Option<i64>, Option<i64>) {
        (self.own_expiry.at(), self.peer_expiry.at())
    }

    /// Performs the handshake.
    ///
    /// # Errors
    /// Whatever breaks it; [`explain`] words it for a person.
    pub async fn connect(&self, transport: Transport) -> io::Result<Stream> {
        let connector = TlsConnector::from(self.config.load_full());
        let tls = connector.connect(self.name.clone(), transport).await?;
        self.peer_expiry.see(tls.get_ref().1.peer_certificates().unwrap_or_default());
        Ok(Stream::Tls(Box::new(TlsStream::Client(tls))))
    }
}

/// Says what is wrong with a TLS handshake and what to do about it.
pub fn explain(error: &io::Error) -> String {
    let Some(tls) = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>()) else {
        return error.to_string();
    };
    let fix = match tls {
        // A wrong authority of the right name shows as a bad signature.
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            "the certificate is signed by another authority; set tls.ca to the file with the authority that signed it"
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {
            "the certificate is for another name; set tls.server_name to a name in it, or tls.mode = \"verify-ca\" \
             if it holds no name (MySQL's generated ones do not)"
        }
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the certificate has expired; renew it on the server"
        }
        rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure) => {
            "the server's key is not the pinned one; update tls.pin if the server got a new key"
        }
        rustls::Error::InvalidCertificate(_) => {
            "the certificate cannot be verified; tls.mode = \"pin\" accepts exactly one certificate of any form"
        }
        _ => return tls.to_string(),
    };
    format!("{tls}: {fix}")
}

/// The cryptography in use, its key shares ordered so that neither MySQL (NIST curves only) nor
/// MariaDB answers with a `HelloRetryRequest`, which would cost a round trip on every connection.
fn provider() -> CryptoProvider {
    use aws_lc_rs::kx_group::{SECP256R1, SECP256R1MLKEM768, SECP384R1, X25519};
    CryptoProvider { kx_groups: vec![SECP256R1MLKEM768, SECP256R1, X25519, SECP384R1], ..aws_lc_rs::default_provider() }
}

fn file_error(path: &Path, why: &dyn std::fmt::Display) -> TlsError {
    TlsError::File { path: path.to_owned(), why: why.to_string() }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            for cert in read_certs(path)? {
                roots.add(cert)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}

fn read_certs(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certs = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| file_error(path, &e))?;
    if certs.is_empty() { Err(file_error(path, &"no certificate in it")) } else { Ok(certs) }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|e| file_error(path, &e))
}

/// Verifies the chain but not the name.
#[derive(Debug)]
struct CaVerifier {
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for CaVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Accepts exactly one key, whatever the certificate's version and names.
#[derive(Debug)]
struct PinVerifier {
    digest: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for PinVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if Sha256::digest(public_key(end_entity)?)[..] == self.digest {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        // Over the bare key, since the certificate may be of a version webpki refuses to parse.
        let key = SubjectPublicKeyInfoDer::from(public_key(cert)?);
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature_with_raw_key(message, &key, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A certificate's `SubjectPublicKeyInfo`, in DER form.
fn public_key<'a>(cert: &'a CertificateDer<'_>) -> Result<&'a [u8], rustls::Error> {
    let (_, parsed) =
        x509_parser::parse_x509_certificate(cert).map_err(|_| rustls::Error::from(CertificateError::BadEncoding))?;
    Ok(parsed.tbs_certificate.subject_pki.raw)
}

/// Accepts TLS from clients.
pub struct Acceptor {
    config: ArcSwap<ServerConfig>,
    expiry: Expiry,
}

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Acceptor")
    }
}

impl Acceptor {
    /// Uses the certificate and key in these files.
    ///
    /// # Errors
    /// Unreadable files, or a key that does not fit the certificate.
    pub fn from_files(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        Self::new(read_certs(cert)?, read_key(key)?).map_err(|error| error.about_pair(cert, key))
    }

    /// Generates a certificate that lives as long as the process.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn generated(names: Vec<String>) -> Result<Self, TlsError> {
        let made = rcgen::generate_simple_self_signed(names).map_err(|e| TlsError::Generate(e.to_string()))?;
        let key =
            PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(|e| TlsError::Generate(e.to_owned()))?;
        Self::new(vec![made.cert.der().clone()], key)
    }

    fn new(certs: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, TlsError> {
        let expiry = Expiry::of(&certs);
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(certs, key)?;
        Ok(Self { config: ArcSwap::from_pointee(config), expiry })
    }

    /// From now on clients are shown the certificate of `fresh`.
    pub fn renew(&self, fresh: &Self) {
        self.config.store(fresh.config.load_full());
        self.expiry.be(&fresh.expiry);
    }

    /// When the certificate expires that clients are shown.
    pub fn expiry(&self) -> Option<i64> {
        self.expiry.at()
    }

    /// Performs the handshake.
    ///
    /// # Errors
    /// Whatever breaks it.
    pub async fn accept(&self, transport: Transport) -> io::Result<Stream> {
        let tls = TlsAcceptor::from(self.config.load_full()).accept(transport).await?;
        Ok(Stream::Tls(Box::new(TlsStream::Server(tls))))
    }
}

//! Proving to a server who we are: from the login packet, or `COM_CHANGE_USER`, to its OK.
//!
//! The password itself leaves only inside TLS or a unix socket, or encrypted with the server's RSA key.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html>

use super::account::Account;
use super::login::{DialError, LOGIN_PACKET_LIMIT};
use crate::net::packets::{PacketStream, ReadError};
use crate::net::stream::Stream;
use crate::protocol::auth::{Plugin, Scramble, obfuscate_for_rsa};
use crate::protocol::elliptic;
use crate::protocol::handshake::{AUTH_MORE, AUTH_SWITCH, AuthSwitch};
use crate::protocol::packet::frame;
use crate::protocol::response::{ERR, OK, ServerError};
use crate::protocol::wire::Malformed;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

/// `caching_sha2_password`: the fast path succeeded.
const FAST_AUTH_OK: u8 = 3;
/// `caching_sha2_password`: the server wants the password itself.
const FULL_AUTH: u8 = 4;
/// `caching_sha2_password`: asks for the server's RSA key.
const CACHING_SHA2_KEY: u8 = 2;
/// `sha256_password`: asks for the same.
const SHA256_KEY: u8 = 1;
/// `parsec`: the account's salt, which begins with the name of its derivation.
const PARSEC_SALT: u8 = b'P';

/// How far a login has come.
#[derive(Debug)]
pub(super) struct Conversation<'a> {
    account: &'a Account,
    plugin: Plugin,
    challenge: Vec<u8>,
    way: Way,
}

/// Who can listen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Nobody: it is encrypted.
    Tls,
    /// Nobody: it never leaves the machine.
    Socket,
    /// Whoever is in between.
    Open,
}

impl From<&Stream> for Way {
    fn from(stream: &Stream) -> Self {
        match stream {
            stream if stream.is_tls() => Self::Tls,
            stream if stream.is_private() => Self::Socket,
            _ => Self::Open,
        }
    }
}

impl<'a> Conversation<'a> {
    /// Begins with a plugin and the challenge of the greeting.
    pub(super) fn new(account: &'a Account, plugin: Plugin, challenge: &[u8], stream: &Stream) -> Self {
        Self { account, plugin, challenge: challenge.to_vec(), way: stream.into() }
    }

    /// The plugin spoken now.
    pub(super) fn plugin(&self) -> Plugin {
        self.plugin
    }

    /// The first answer to the challenge.
    ///
    /// # Errors
    /// The plugin would show the password to whoever listens.
    pub(super) fn opening(&self) -> Result<Vec<u8>, DialError> {
        let password = self.password();
        Ok(match self.plugin {
            Plugin::CachingSha2 => Scramble::CachingSha2.proof(password, &self.challenge),
            Plugin::Native => Scramble::Native.proof(password, &self.challenge),
            Plugin::Clear if self.way == Way::Open => return Err(DialError::WouldLeak),
            Plugin::Clear => with_nul(password),
            // To this plugin a unix socket is as open as any other way.
            Plugin::Sha256 if self.way == Way::Tls => with_nul(password),
            Plugin::Sha256 if password.is_empty() => vec![0],
            Plugin::Sha256 => vec![SHA256_KEY],
            Plugin::Ed25519 => elliptic::ed25519(password, &self.challenge),
            // Nothing can be said before the account's salt is known.
            Plugin::Parsec => Vec::new(),
        })
    }

    /// Answers the server until it says OK; `seq` is the number of its next packet.
    ///
    /// # Errors
    /// The server refuses the account, or asks for what we cannot or will not give.
    pub(super) async fn carry_on(&mut self, packets: &mut PacketStream, mut seq: u8) -> Result<(), DialError> {
        loop {
            let packet = packets.read_packet(seq, LOGIN_PACKET_LIMIT).await?;
            seq = packet.seq.wrapping_add(1);
            match self.hear(&packet.payload)? {
                Said::Welcome => return Ok(()),
                Said::Wait => {}
                Said::Answer(answer) => {
                    frame(packets.output(), seq, &answer);
                    seq = seq.wrapping_add(1);
                    packets.flush().await.map_err(ReadError::Io)?;
                }
            }
        }
    }

    fn hear(&mut self, payload: &[u8]) -> Result<Said, DialError> {
        match payload {
            [OK, ..] => Ok(Said::Welcome),
            [ERR, ..] => Err(DialError::Refused(ServerError::decode(payload)?)),
            [AUTH_SWITCH, ..] => {
                let switch = AuthSwitch::decode(payload)?;
                self.plugin = Plugin::from_name(switch.plugin.as_bytes()).ok_or_else(|| DialError::Plugin {
                    user: self.account.user.clone(),
                    plugin: switch.plugin.clone(),
                })?;
                self.challenge = switch.data;
                self.opening().map(Said::Answer)
            }
            [AUTH_MORE, more @ ..] => self.more(more),
            // Data of a plugin is marked only where it could be mistaken for something else.
            [PARSEC_SALT, ..] => self.more(payload),
            _ => Err(Malformed("authentication response").into()),
        }
    }

    /// What comes after the first answer, by plugin.
    fn more(&self, data: &[u8]) -> Result<Said, DialError> {
        let password = self.password();
        Ok(match (self.plugin, data) {
            (Plugin::CachingSha2, [FAST_AUTH_OK]) => Said::Wait,
            (Plugin::CachingSha2, [FULL_AUTH]) if self.way == Way::Open => Said::Answer(vec![CACHING_SHA2_KEY]),
            (Plugin::CachingSha2, [FULL_AUTH]) => Said::Answer(with_nul(password)),
            (Plugin::CachingSha2 | Plugin::Sha256, [_, ..]) => Said::Answer(encrypt(data, password, &self.challenge)?),
            (Plugin::Parsec, [PARSEC_SALT, ..]) => {
                Said::Answer(elliptic::parsec(password, &self.challenge, data, own_challenge()?)?)
            }
            _ => return Err(Malformed("authentication data").into()),
        })
    }

    fn password(&self) -> &'a [u8] {
        self.account.password.expose().as_bytes()
    }
}

/// What a packet of the server calls for.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// The login is over.
    Welcome,
    /// More will come.
    Wait,
    /// The server waits for this.
    Answer(Vec<u8>),
}

fn with_nul(password: &[u8]) -> Vec<u8> {
    [password, b"\0"].concat()
}

fn own_challenge() -> Result<[u8; elliptic::CHALLENGE_LEN], DialError> {
    let mut random = [0; elliptic::CHALLENGE_LEN];
    let no_random = |_| DialError::Connect(std::io::Error::other("no random numbers"));
    aws_lc_rs::rand::fill(&mut random).map_err(no_random)?;
    Ok(random)
}

/// The password encrypted with the server's RSA key, given in PEM.
fn encrypt(pem: &[u8], password: &[u8], challenge: &[u8]) -> Result<Vec<u8>, Malformed> {
    let bad = |_| Malformed("server RSA key");
    let key = SubjectPublicKeyInfoDer::from_pem_slice(pem).map_err(|_| Malformed("server RSA key"))?;
    let key = PublicEncryptingKey::from_der(&key).map_err(|_| Malformed("server RSA key"))?;
    let key = OaepPublicEncryptingKey::new(key).map_err(bad)?;
    let mut sealed = vec![0; key.ciphertext_size()];
    let plain = obfuscate_for_rsa(password, challenge);
    Ok(key.encrypt(&OAEP_SHA1_MGF1SHA1, &plain, &mut sealed, None).map_err(bad)?.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{KeySize, OaepPrivateDecryptingKey, PrivateDecryptingKey};

    const CHALLENGE: &[u8] = b"abcdefghijklmnopqrst";

    fn account(password: &str) -> Account {
        Account::listed("app".into(), Secret::new(password.into()))
    }

    fn with(account: &Account, plugin: Plugin, way: Way) -> Conversation<'_> {
        Conversation { account, plugin, challenge: CHALLENGE.to_vec(), way }
    }

    fn switch(plugin: &str, data: &[u8]) -> Vec<u8> {
        let mut packet = Vec::new();
        AuthSwitch { plugin: plugin.into(), data: data.to_vec() }.encode(&mut packet);
        packet
    }

    fn answer(said: Result<Said, DialError>) -> Vec<u8> {
        match said.expect("an answer") {
            Said::Answer(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_password_in_the_clear_stays_in_private() {
        let account = account("secret");
        for (way, sha256) in [(Way::Tls, &b"secret\0"[..]), (Way::Socket, &[SHA256_KEY])] {
            let mut private = with(&account, Plugin::Native, way);
            assert_eq!(answer(private.hear(&switch("mysql_clear_password", b""))), b"secret\0");
            assert_eq!(answer(private.hear(&switch("sha256_password", CHALLENGE))), sha256);
        }
        let mut public = with(&account, Plugin::Native, Way::Open);
        assert!(matches!(public.hear(&switch("mysql_clear_password", b"")), Err(DialError::WouldLeak)));
        assert!(matches!(with(&account, Plugin::Clear, Way::Open).opening(), Err(DialError::WouldLeak)));
    }

    /// Each of the two plugins has its own word for "your key, please".
    #[test]
    fn in_public_the_password_is_encrypted() {
        let private_key = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("key");
        let der = AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(&private_key.public_key()).expect("DER");
        let key = pem::encode(&pem::Pem::new("PUBLIC KEY", der.as_ref()));
        let private_key = OaepPrivateDecryptingKey::new(private_key).expect("key");
        let account = account("secret");
        for (name, word) in [("caching_sha2_password", CACHING_SHA2_KEY), ("sha256_password", SHA256_KEY)] {
            let mut conversation = with(&account, Plugin::Native, Way::Open);
            let mut asks = answer(conversation.hear(&switch(name, CHALLENGE)));
            if name == "caching_sha2_password" {
                assert_eq!(conversation.hear(&[AUTH_MORE, FAST_AUTH_OK]).expect("fast"), Said::Wait);
                asks = answer(conversation.hear(&[AUTH_MORE, FULL_AUTH]));
            }
            assert_eq!(asks, [word], "{name}");
            let sealed = answer(conversation.hear(&[&[AUTH_MORE], key.as_bytes()].concat()));
            let mut opened = vec![0; 256];
            let opened = private_key.decrypt(&OAEP_SHA1_MGF1SHA1, &sealed, &mut opened, None).expect("decrypts");
            assert_eq!(opened, obfuscate_for_rsa(b"secret", CHALLENGE).as_slice());
        }
    }

    #[test]
    fn no_password_is_said_in_each_plugins_way() {
        let account = account("");
        for (plugin, way, opening) in [
            (Plugin::Native, Way::Open, &b""[..]),
            (Plugin::CachingSha2, Way::Open, b""),
            (Plugin::Sha256, Way::Open, b"\0"),
            (Plugin::Sha256, Way::Tls, b"\0"),
            (Plugin::Clear, Way::Tls, b"\0"),
            (Plugin::Parsec, Way::Tls, b""),
        ] {
            assert_eq!(with(&account, plugin, way).opening().expect("opening"), opening, "{plugin:?}");
        }
        assert_eq!(with(&account, Plugin::Ed25519, Way::Open).opening().expect("opening").len(), 64);
    }

    /// Nothing is said until the salt has come, which comes without the mark of more data.
    #[test]
    fn parsec_asks_for_the_salt() {
        let account = account("secret");
        let mut conversation = with(&account, Plugin::Native, Way::Open);
        assert_eq!(answer(conversation.hear(&switch("parsec", &[9; 32]))), b"");
        for salt in [&b"P\0salt"[..], b"\x01P\0salt"] {
            assert_eq!(answer(conversation.hear(salt)).len(), 96);
        }
        assert!(conversation.hear(b"P").is_err());
        assert!(with(&account, Plugin::Native, Way::Open).hear(b"P\0salt").is_err(), "only where it was asked for");
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let account = account("secret");
        let mut conversation = with(&account, Plugin::Native, Way::Tls);
        let unknown = conversation.hear(&switch("dialog", b"Password: "));
        assert!(matches!(unknown, Err(DialError::Plugin { plugin, .. }) if plugin == "dialog"));
        for packet in [&b""[..], b"\x01", b"\x01\x04", b"\x02"] {
            assert!(conversation.hear(packet).is_err(), "{packet:?}");
        }
        assert!(with(&account, Plugin::CachingSha2, Way::Open).hear(b"\x01no key").is_err());
    }
}

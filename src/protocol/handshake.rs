//! The connection phase: greeting, TLS request, login, authentication switches.
//! <https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html>

use super::capability::{Capabilities, Status};
use super::wire::{Malformed, Put, Reader};

/// Length of the random challenge, without its trailing NUL.
pub const NONCE_LEN: usize = 20;

/// A challenge for one authentication.
pub type Nonce = [u8; NONCE_LEN];

/// First byte of an authentication switch request.
pub const AUTH_SWITCH: u8 = 0xFE;
/// First byte of additional authentication data.
pub const AUTH_MORE: u8 = 0x01;

/// The server's greeting, protocol version 10.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Version text; MariaDB's starts with `5.5.5-` for old clients' sake.
    pub version: String,
    /// Connection id.
    pub thread_id: u32,
    /// Challenge.
    pub nonce: Nonce,
    /// What the server offers.
    pub capabilities: Capabilities,
    /// Default collation (its low byte).
    pub collation: u8,
    /// Status.
    pub status: Status,
    /// Default authentication plugin.
    pub plugin: String,
}

impl Greeting {
    /// Decodes the payload of the first packet of a server.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(payload, "server greeting");
        if r.u8()? != 10 {
            return Err(r.malformed());
        }
        let version = String::from_utf8_lossy(r.nul_bytes()?).into_owned();
        let thread_id = r.u32()?;
        let mut nonce = [0; NONCE_LEN];
        let (first, second) = nonce.split_at_mut(8);
        first.copy_from_slice(r.take(8)?);
        r.u8()?;
        let low = r.u16()?;
        let collation = r.u8()?;
        let status = Status::from_bits_retain(r.u16()?);
        let high = r.u16()?;
        r.u8()?;
        r.take(6)?;
        let capabilities = Capabilities::from_halves(u32::from(low) | (u32::from(high) << 16), r.u32()?);
        second.copy_from_slice(r.take(12)?);
        let _nul = r.nul_or_rest();
        let plugin = String::from_utf8_lossy(r.nul_or_rest()).into_owned();
        Ok(Self { version, thread_id, nonce, capabilities, collation, status, plugin })
    }

    /// Encodes the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let (common, mariadb) = self.capabilities.halves();
        let caps = common.to_le_bytes();
        out.push(10);
        out.put_nul_bytes(self.version.as_bytes());
        out.put_u32(self.thread_id);
        out.put(&self.nonce[..8]);
        out.push(0);
        out.put(&caps[..2]);
        out.push(self.collation);
        out.put_u16(self.status.bits());
        out.put(&caps[2..]);
        out.push(21);
        out.put(&[0; 6]);
        out.put_u32(mariadb);
        out.put(&self.nonce[8..]);
        out.push(0);
        out.put_nul_bytes(self.plugin.as_bytes());
    }
}

/// What a client says to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Capabilities it wants.
    pub capabilities: Capabilities,
    /// Largest packet it accepts.
    pub max_packet: u32,
    /// Collation id for the session's character set.
    pub collation: u16,
    /// User name.
    pub user: Vec<u8>,
    /// Answer to the challenge.
    pub auth: Vec<u8>,
    /// Default schema, if one is asked for.
    pub schema: Option<Vec<u8>>,
    /// Authentication plugin the answer is for.
    pub plugin: Option<Vec<u8>>,
    /// Connection attributes, still encoded (without their total length).
    pub attributes: Vec<u8>,
    /// Level of zstd compression, where that was agreed on.
    pub zstd_level: Option<u8>,
}

impl Login {
    /// Decodes the payload of a login packet, or `None` inside `Ok` for a TLS request.
    pub fn decode(payload: &[u8]) -> Result<LoginOrTls, Malformed> {
        let mut r = Reader::new(payload, "login packet");
        let common = r.u32()?;
        let capabilities = Capabilities::from_bits_retain(common.into());
        if !capabilities.contains(Capabilities::PROTOCOL_41) {
            return Err(Malformed("login packet (protocol 4.1 is required)"));
        }
        let max_packet = r.u32()?;
        // MySQL reads one byte here; later clients use the filler byte behind it as the high byte.
        let collation = r.u16()?;
        r.take(18)?;
        let capabilities = Capabilities::from_halves(common, r.u32()?);
        if r.is_empty() && capabilities.contains(Capabilities::SSL) {
            return Ok(LoginOrTls::Tls(capabilities));
        }
        let user = r.nul_bytes()?.to_vec();
        let auth = if capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
            r.lenenc_bytes()?
        } else if capabilities.contains(Capabilities::SECURE_CONNECTION) {
            let n = r.u8()?;
            r.take(usize::from(n))?
        } else {
            r.nul_or_rest()
        };
        let auth = auth.to_vec();
        let with_schema = capabilities.contains(Capabilities::CONNECT_WITH_DB) && !r.is_empty();
        let schema = with_schema.then(|| r.nul_or_rest().to_vec()).filter(|s| !s.is_empty());
        let with_plugin = capabilities.contains(Capabilities::PLUGIN_AUTH) && !r.is_empty();
        let plugin = with_plugin.then(|| r.nul_or_rest().to_vec());
        let with_attributes = capabilities.contains(Capabilities::CONNECT_ATTRS) && !r.is_empty();
        let attributes = if with_attributes { r.lenenc_bytes()?.to_vec() } else { Vec::new() };
        let with_level = capabilities.contains(Capabilities::ZSTD_COMPRESSION) && !r.is_empty();
        let zstd_level = if with_level { Some(r.u8()?) } else { None };
        Ok(LoginOrTls::Login(Self {
            capabilities,
            max_packet,
            collation,
            user,
            auth,
            schema,
            plugin,
            attributes,
            zstd_level,
        }))
    }

    /// Encodes the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_prefix(out, self.capabilities, self.max_packet, self.collation);
        out.put_nul_bytes(&self.user);
        if self.capabilities.contains(Capabilities::PLUGIN_AUTH_LENENC) {
            out.put_lenenc_bytes(&self.auth);
        } else {
            out.push(u8::try_from(self.auth.len()).unwrap_or(0));
            out.put(&self.auth);
        }
        if let Some(schema) = &self.schema {
            out.put_nul_bytes(schema);
        }
        if let Some(plugin) = &self.plugin {
            out.put_nul_bytes(plugin);
        }
        if self.capabilities.contains(Capabilities::CONNECT_ATTRS) {
            out.put_lenenc_bytes(&self.attributes);
        }
        if let Some(level) = self.zstd_level {
            out.push(level);
        }
    }
}

/// The first packet of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LoginOrTls {
    /// It logs in.
    Login(Login),
    /// It wants TLS first.
    Tls(Capabilities),
}

/// Encodes the payload of a TLS request (the beginning of a login packet).
pub fn encode_tls_request(out: &mut Vec<u8>, caps: Capabilities, max_packet: u32, collation: u16) {
    encode_prefix(out, caps | Capabilities::SSL, max_packet, collation);
}

fn encode_prefix(out: &mut Vec<u8>, caps: Capabilities, max_packet: u32, collation: u16) {
    let (common, mariadb) = caps.halves();
    out.put_u32(common);
    out.put_u32(max_packet);
    out.put_u16(collation);
    out.put(&[0; 18]);
    out.put_u32(mariadb);
}

/// A request to authenticate with another plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSwitch {
    /// Plugin to use.
    pub plugin: String,
    /// Its challenge.
    pub data: Vec<u8>,
}

impl AuthSwitch {
    /// Decodes the payload.
    pub fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let mut r = Reader::new(payload, "authentication switch");
        r.u8()?;
        if r.is_empty() {
            return Ok(Self { plugin: "mysql_old_password".into(), data: Vec::new() });
        }
        let plugin = String::from_utf8_lossy(r.nul_bytes()?).into_owned();
        // Scrambles come with a NUL behind them; the last byte of other challenges may well be 0.
        let mut data = r.rest().to_vec();
        if data.len() == NONCE_LEN + 1 && data.last() == Some(&0) {
            data.pop();
        }
        Ok(Self { plugin, data })
    }

    /// Encodes the payload.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(AUTH_SWITCH);
        out.put_nul_bytes(self.plugin.as_bytes());
        out.put(&self.data);
        if self.data.len() == NONCE_LEN {
            out.push(0);
        }
    }
}

/// `COM_CHANGE_USER`, after its command byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeUser {
    /// User name.
    pub user: Vec<u8>,
    /// Answer to the challenge of the connection's login.
    pub auth: Vec<u8>,
    /// New default schema.
    pub schema: Option<Vec<u8>>,
    /// Collation id.
    pub collation: Option<u16>,
    /// Authentication plugin the answer is for.
    pub plugin: Option<Vec<u8>>,
    /// Connection attributes, still encoded (without their total length).
    pub attributes: Vec<u8>,
}

impl ChangeUser {
    /// Decodes the body of a client that logged in with `caps`.
    pub fn decode(body: &[u8], caps: Capabilities) -> Result<Self, Malformed> {
        let mut r = Reader::new(body, "change user");
        let user = r.nul_bytes()?.to_vec();
        let auth = if caps.contains(Capabilities::SECURE_CONNECTION) {
            let n = r.u8()?;
            r.take(usize::from(n))?
        } else {
            r.nul_bytes()?
        };
        let auth = auth.to_vec();
        let schema = Some(r.nul_or_rest().to_vec()).filter(|s| !s.is_empty());
        let collation = if r.is_empty() { None } else { Some(r.u16()?) };
        let with_plugin = caps.contains(Capabilities::PLUGIN_AUTH) && !r.is_empty();
        let plugin = with_plugin.then(|| r.nul_or_rest().to_vec());
        let with_attributes = caps.contains(Capabilities::CONNECT_ATTRS) && !r.is_empty();
        let attributes = if with_attributes { r.lenenc_bytes()?.to_vec() } else { Vec::new() };
        Ok(Self { user, auth, schema, collation, plugin, attributes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn greeting() -> Greeting {
        Greeting {
            version: "9.7.0".into(),
            thread_id: 42,
            nonce: *b"abcdefghijklmnopqrst",
            capabilities: Capabilities::PROTOCOL_41 | Capabilities::PLUGIN_AUTH,
            collation: 255,
            status: Status::AUTOCOMMIT,
            plugin: "caching_sha2_password".into(),
        }
    }

    #[test]
    fn greeting_round_trips() {
        let mut out = Vec::new();
        greeting().encode(&mut out);
        assert_eq!(Greeting::decode(&out), Ok(greeting()));
    }

    #[test]
    fn login_round_trips() {
        let login = Login {
            capabilities: Capabilities::PROTOCOL_41
                | Capabilities::SECURE_CONNECTION
                | Capabilities::CONNECT_WITH_DB
                | Capabilities::PLUGIN_AUTH
                | Capabilities::CONNECT_ATTRS,
            max_packet: 1 << 24,
            collation: 45,
            user: b"app".to_vec(),
            auth: vec![1; 32],
            schema: Some(b"shop".to_vec()),
            plugin: Some(b"caching_sha2_password".to_vec()),
            attributes: b"\x04_pid\x011".to_vec(),
            zstd_level: None,
        };
        let mut out = Vec::new();
        login.encode(&mut out);
        assert_eq!(Login::decode(&out), Ok(LoginOrTls::Login(login)));
    }

    #[test]
    fn tls_request_is_recognised() {
        let mut out = Vec::new();
        encode_tls_request(&mut out, Capabilities::PROTOCOL_41, 1 << 24, 45);
        assert_eq!(out.len(), 32);
        assert!(matches!(Login::decode(&out), Ok(LoginOrTls::Tls(_))));
    }

    #[test]
    fn auth_switch_round_trips() {
        let switch = AuthSwitch { plugin: "mysql_native_password".into(), data: b"abcdefghijklmnopqrst".to_vec() };
        let mut out = Vec::new();
        switch.encode(&mut out);
        assert_eq!(AuthSwitch::decode(&out), Ok(switch));
    }

    /// A challenge of random bytes keeps its last one, whatever it is.
    #[test]
    fn challenges_are_not_shortened() {
        let packet = [&[AUTH_SWITCH], &b"client_ed25519\0"[..], &[0; 32]].concat();
        assert_eq!(AuthSwitch::decode(&packet).map(|switch| switch.data), Ok(vec![0; 32]));
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes: Vec<u8>, caps: u32) {
            let _any = Greeting::decode(&bytes);
            let _any = Login::decode(&bytes);
            let _any = AuthSwitch::decode(&bytes);
            let _any = ChangeUser::decode(&bytes, Capabilities::from_halves(caps, 0));
            let mut login = (caps | Capabilities::PROTOCOL_41.halves().0).to_le_bytes().to_vec();
            login.extend([0; 28]);
            login.extend(&bytes);
            let _any = Login::decode(&login);
        }
    }
}

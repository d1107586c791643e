//! Whether a client is who it says: at its login, and at `COM_CHANGE_USER`.
//!
//! Listed users prove that they know the password of the file; whose proof is wrong may show it instead,
//! where the plugin goes on like that. Others, where the file allows it, show their password to
//! [`Passthrough`] once and prove from then on that they know it. A password is read only from TLS, a
//! unix socket, or what was encrypted with our RSA key.

use super::client::Client;
use super::handshake::{Door, Rejected};
use super::passthrough::Passthrough;
use crate::backend::login::Account;
use crate::protocol::auth::{Plugin, Scramble};
use crate::protocol::capability::Capabilities;
use crate::protocol::errno;
use crate::protocol::handshake::{AUTH_MORE, AuthSwitch, ChangeUser, Login, Nonce};
use std::sync::Arc;
use zeroize::Zeroizing;

/// `caching_sha2_password`: the proof was right.
const FAST_AUTH_OK: [u8; 2] = [AUTH_MORE, 3];
/// `caching_sha2_password`: the password itself is needed.
const FULL_AUTH: [u8; 2] = [AUTH_MORE, 4];
/// `caching_sha2_password`: the client asks for our RSA key.
const REQUEST_PUBLIC_KEY: [u8; 1] = [2];

/// What a client offers to prove who it is.
#[derive(Debug)]
pub struct Proof {
    user: Vec<u8>,
    plugin: Option<Vec<u8>>,
    auth: Zeroizing<Vec<u8>>,
}

impl From<&ChangeUser> for Proof {
    fn from(change: &ChangeUser) -> Self {
        let auth = change.auth.clone().into();
        Self { user: change.user.clone(), plugin: change.plugin.clone(), auth }
    }
}

impl From<&Login> for Proof {
    fn from(login: &Login) -> Self {
        let auth = login.auth.clone().into();
        Self { user: login.user.clone(), plugin: login.plugin.clone(), auth }
    }
}

/// Checks a proof, switching the client to a plugin both know if need be; `greeted` is the one it was
/// greeted with. The final OK is left to the caller.
///
/// # Errors
/// The proof is wrong, or the client left.
pub async fn prove(
    door: &Door,
    greeted: Scramble,
    client: &mut Client,
    nonce: &Nonce,
    proof: Proof,
    host: &str,
) -> Result<Arc<Account>, Rejected> {
    let Proof { user, plugin, auth } = proof;
    let user = String::from_utf8_lossy(&user).into_owned();
    let mut proving = Proving { door, greeted, client, nonce, user, host };
    match (door.users.find(&proving.user), &door.users.passthrough) {
        (None, Some(passthrough)) => {
            let shown = proving.shown(plugin.as_deref(), auth, Some(Scramble::CachingSha2)).await?;
            proving.on_a_servers_word(passthrough, shown).await
        }
        (account, _) => {
            let mut shown = proving.shown(plugin.as_deref(), auth, None).await?;
            if shown.is_caching_sha2() && !account.is_some_and(|account| shown.fits(account, nonce)) {
                // As servers do: there are drivers whose proof is never right, and which never noticed.
                shown = Shown::Password(proving.password().await?);
            }
            let fits = account.filter(|account| shown.fits(account, nonce));
            let account = fits.ok_or_else(|| proving.denied(!shown.is_empty()))?;
            proving.is_right(&shown);
            Ok(account.clone())
        }
    }
}

/// What a client has shown of its password.
#[derive(Debug)]
enum Shown {
    /// That it knows it; nothing if it has none.
    Scrambled(Scramble, Zeroizing<Vec<u8>>),
    /// The password.
    Password(Zeroizing<Vec<u8>>),
}

impl Shown {
    /// A client without a password says so with nothing, or with a NUL.
    fn scrambled(scramble: Scramble, auth: Zeroizing<Vec<u8>>) -> Self {
        Self::Scrambled(scramble, if **auth == [0] { Zeroizing::default() } else { auth })
    }

    fn fits(&self, account: &Account, nonce: &Nonce) -> bool {
        match self {
            Self::Scrambled(scramble, auth) => scramble.verify(account.password.expose().as_bytes(), nonce, auth),
            Self::Password(password) => account.has_password(password),
        }
    }

    /// A proof by `caching_sha2_password`, which goes on with the password itself where it is wrong.
    fn is_caching_sha2(&self) -> bool {
        matches!(self, Self::Scrambled(Scramble::CachingSha2, auth) if !auth.is_empty())
    }

    fn is_empty(&self) -> bool {
        let (Self::Scrambled(_, bytes) | Self::Password(bytes)) = self;
        bytes.is_empty()
    }
}

/// A client that is proving who it is.
struct Proving<'a> {
    door: &'a Door,
    /// The plugin that the greeting's challenge was for.
    greeted: Scramble,
    client: &'a mut Client,
    nonce: &'a Nonce,
    user: String,
    host: &'a str,
}

impl Proving<'_> {
    /// What the client offers, or what it answers when it is switched: to `best`, or else to its own plugin, or
    /// else to the one it was greeted with.
    async fn shown(
        &mut self,
        plugin: Option<&[u8]>,
        auth: Zeroizing<Vec<u8>>,
        best: Option<Scramble>,
    ) -> Result<Shown, Rejected> {
        let stream = self.client.packets.stream();
        let (is_private, is_tls) = (stream.is_private(), stream.is_tls());
        let own = match plugin.map_or(Some(Plugin::Native), Plugin::from_name) {
            Some(Plugin::Clear) if is_private && !auth.is_empty() => return Ok(Shown::Password(without_nul(auth))),
            // On a unix socket its client asks for a key, as on any other way without TLS.
            Some(Plugin::Sha256) if is_tls && !auth.is_empty() => return Ok(Shown::Password(without_nul(auth))),
            // Clear text is never asked for, and others cannot be checked.
            other => other.and_then(Plugin::scramble),
        };
        // Who was greeted with the challenge of another plugin has had nothing to answer yet.
        let waits = auth.is_empty() && plugin.is_some() && own != Some(self.greeted);
        match own {
            Some(scramble) if !waits => Ok(Shown::scrambled(scramble, auth)),
            _ => self.switch(best.or(own).unwrap_or(self.greeted)).await,
        }
    }

    /// Lets in whom a server knows.
    async fn on_a_servers_word(&mut self, passthrough: &Passthrough, shown: Shown) -> Result<Arc<Account>, Rejected> {
        if let Some(known) = passthrough.known(&self.user, |account| shown.fits(account, self.nonce))
            && passthrough.is_still_welcome(&known).await
        {
            self.is_right(&shown);
            return Ok(known.account.clone());
        }
        let password = match shown {
            Shown::Password(password) => password,
            Shown::Scrambled(_, nothing) if nothing.is_empty() => nothing,
            Shown::Scrambled(Scramble::CachingSha2, _) => self.password().await?,
            Shown::Scrambled(Scramble::Native, _) => match self.switch(Scramble::CachingSha2).await? {
                nothing if nothing.is_empty() => Zeroizing::default(),
                _ => self.password().await?,
            },
        };
        let Ok(text) = std::str::from_utf8(&password) else { return Err(self.denied(true)) };
        let verified = passthrough.verify(&self.user, text).await;
        verified.map_err(|error| Rejected::Told(errno::as_told_to(error, &self.user, self.host)))
    }

    /// Asks for the password itself, in the middle of `caching_sha2_password`.
    async fn password(&mut self) -> Result<Zeroizing<Vec<u8>>, Rejected> {
        let answer = self.ask(&FULL_AUTH).await?;
        if self.client.packets.stream().is_private() {
            return Ok(without_nul(answer));
        }
        let key = self.door.users.key().await?;
        let sealed = if *answer == REQUEST_PUBLIC_KEY {
            self.ask(&[&[AUTH_MORE], key.public().as_bytes()].concat()).await?
        } else {
            // It has asked before, on another connection.
            answer
        };
        key.open(&sealed, self.nonce).ok_or_else(|| self.denied(true))
    }

    async fn switch(&mut self, scramble: Scramble) -> Result<Shown, Rejected> {
        if !self.client.caps.contains(Capabilities::PLUGIN_AUTH) {
            return Err(Rejected::Told(errno::old_client()));
        }
        let mut payload = Vec::new();
        AuthSwitch { plugin: scramble.plugin().name().into(), data: self.nonce.to_vec() }.encode(&mut payload);
        let auth = self.ask(&payload).await?;
        Ok(Shown::scrambled(scramble, auth))
    }

    /// Sends a packet and reads the answer.
    async fn ask(&mut self, payload: &[u8]) -> Result<Zeroizing<Vec<u8>>, Rejected> {
        self.client.push(payload);
        self.client.packets.flush().await?;
        let packet = self.client.packets.read_packet(self.client.seq, self.door.packet_limit).await?;
        self.client.seq = packet.seq.wrapping_add(1);
        Ok(packet.payload.to_vec().into())
    }

    /// Tells the client that what it showed was right, where its plugin waits for that.
    fn is_right(&mut self, shown: &Shown) {
        if shown.is_caching_sha2() {
            self.client.push(&FAST_AUTH_OK);
        }
    }

    fn denied(&self, using_password: bool) -> Rejected {
        Rejected::Told(errno::access_denied(&self.user, self.host, using_password))
    }
}

/// A password as text that a NUL ends.
fn without_nul(mut password: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    password.pop_if(|last| *last == 0);
    password
}

//! Certificates that change on disk: looked at from time to time, used from the next connection on.

use super::running::{Running, State};
use super::translate;
use crate::config::{Certificate, ClientTls, ServerTls, Settings, TlsIdentity, Trust};
use crate::net::tls::{Acceptor, Connector};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Looks from time to time, until `stop`.
pub(super) async fn follow(running: Arc<Running>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let looks = async {
        loop {
            ticks.tick().await;
            look(&running).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = looks => {}
    }
}

/// Looks once.
pub(super) async fn look(running: &Arc<Running>) {
    let (settings, before) = {
        let state = running.state.lock().await;
        (state.settings.clone(), state.seen.clone())
    };
    // Files may be on a disk that is slow, or gone for good: nobody else waits for them meanwhile.
    let known = before.clone();
    let read = tokio::task::spawn_blocking(move || (read_changed(&settings, &known), settings)).await;
    let Ok(((seen, changes), settings)) = read else { return };
    let mut state = running.state.lock().await;
    if state.seen != before || state.settings != settings {
        // Somebody else has read them meanwhile. What is newer than that is seen next time.
        return;
    }
    state.seen = seen;
    for (owner, change) in changes {
        let applied = change.map(|fresh| apply(running, &state, &owner, &fresh));
        running.note_certificates(&owner.name(), applied.is_ok());
        let result = if applied.is_ok() { "applied" } else { "refused" };
        running.metrics().config.certificates.with_label_values(&[result]).inc();
        match applied {
            Ok(()) => tracing::info!(whose = %owner.name(), "certificates have changed, new connections use them"),
            Err(error) => {
                let error = format!("{error:#}");
                tracing::warn!(whose = %owner.name(), error, "certificates have changed and cannot be used; the old ones stay");
            }
        }
    }
}

/// Whose certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// What clients are shown.
    Listener,
    /// What a server of this name is verified by, and shown.
    Server(String),
}

impl Owner {
    fn name(&self) -> String {
        match self {
            Self::Listener => "[listen]".into(),
            Self::Server(name) => format!("server '{name}'"),
        }
    }
}

/// What is in a file, told apart from all else; `None` if it cannot be read. Keys of one kind have one length, and
/// clocks of file systems are coarse: only the content tells.
type Stamp = Option<[u8; 32]>;

/// The files of somebody as they were last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    owner: Owner,
    files: Vec<(PathBuf, Stamp)>,
}

/// What is made of all of them, for new settings.
pub(super) struct Files {
    pub(super) seen: Vec<Seen>,
    /// Of each server of the file, in its order.
    pub(super) connectors: Vec<Option<Connector>>,
    /// What clients are shown, and whether they must ask for it.
    pub(super) acceptor: (Option<Acceptor>, bool),
}

impl Files {
    fn read(settings: &Settings) -> Result<Self> {
        // Before they are read: what changes meanwhile is read again.
        let seen = look_at(settings);
        let connectors = settings.servers.iter().map(translate::connector).collect::<Result<_>>()?;
        let acceptor = translate::acceptor(&settings.listen.tls).context("[listen] tls_cert, tls_key")?;
        Ok(Self { seen, connectors, acceptor })
    }

    /// Reads them where nobody waits for them.
    pub(super) async fn read_aside(settings: Settings) -> Result<(Settings, Self)> {
        tokio::task::spawn_blocking(move || Self::read(&settings).map(|files| (settings, files))).await?
    }
}

/// What was made of changed files.
enum Fresh {
    Acceptor(Acceptor),
    Connector(Connector),
}

type Changes = Vec<(Owner, Result<Fresh>)>;

/// Reads what looks otherwise than when it was last seen. What was not seen before counts as read already.
fn read_changed(settings: &Settings, seen: &[Seen]) -> (Vec<Seen>, Changes) {
    let now = look_at(settings);
    let is_changed = |now: &&Seen| {
        let before = seen.iter().find(|before| before.owner == now.owner);
        before.is_some_and(|before| before != *now)
    };
    let changes = now.iter().filter(is_changed).map(|seen| (seen.owner.clone(), read(settings, &seen.owner)));
    let changes = changes.collect();
    (now, changes)
}

/// How the files of these settings look now.
pub(super) fn look_at(settings: &Settings) -> Vec<Seen> {
    let stamp = |path: &Path| {
        let content = fs::read(path).map(Zeroizing::new);
        (path.to_owned(), content.ok().map(|content| Sha256::digest(&content[..]).into()))
    };
    let seen = |owner, files: Vec<&Path>| Seen { owner, files: files.into_iter().map(stamp).collect() };
    let listener = match &settings.listen.tls {
        ClientTls::Optional(Certificate::Files(files)) | ClientTls::Required(Certificate::Files(files)) => {
            Some(seen(Owner::Listener, of_identity(files).into()))
        }
        ClientTls::Off | ClientTls::Optional(_) | ClientTls::Required(_) => None,
    };
    let servers = settings.servers.iter().filter_map(|server| {
        let ServerTls::On { trust, identity, .. } = &server.tls else { return None };
        let ca = match trust {
            Trust::VerifyFull { ca } | Trust::VerifyCa { ca } => ca.as_deref(),
            Trust::Pin(_) => None,
        };
        let identity = identity.iter().flat_map(of_identity);
        Some(seen(Owner::Server(server.name.clone()), ca.into_iter().chain(identity).collect()))
    });
    listener.into_iter().chain(servers).collect()
}

fn of_identity(identity: &TlsIdentity) -> [&Path; 2] {
    [&identity.cert, &identity.key]
}

fn read(settings: &Settings, owner: &Owner) -> Result<Fresh> {
    match owner {
        Owner::Listener => {
            let (acceptor, _) = translate::acceptor(&settings.listen.tls)?;
            acceptor.map(Fresh::Acceptor).context("[listen] tls is off")
        }
        Owner::Server(name) => {
            let planned = settings.servers.iter().find(|server| server.name == *name);
            let connector = planned.map(translate::connector).transpose()?.flatten();
            connector.map(Fresh::Connector).context("its tls is off")
        }
    }
}

fn apply(running: &Running, state: &State, owner: &Owner, fresh: &Fresh) {
    match (owner, fresh) {
        (Owner::Listener, Fresh::Acceptor(fresh)) => {
            if let Some(tls) = &running.shared.door.load().tls {
                tls.renew(fresh);
            }
        }
        (Owner::Server(name), Fresh::Connector(fresh)) => {
            let server = state.servers.iter().find(|server| server.name == *name);
            if let Some(tls) = server.and_then(|server| server.tls.as_ref()) {
                tls.renew(fresh);
            }
        }
        _ => {}
    }
}

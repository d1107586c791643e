//! Before what a statement is explained: the file's servers as they would be if all were well, its rules, who speaks.

use super::{Begun, Wish};
use crate::app;
use crate::config::{self, Role as Configured, Settings};
use crate::consistency::gtid::{Family, GtidSet};
use crate::frontend::circumstances::{Circumstances, is_about_server};
use crate::frontend::optimistic::is_to_be_tried;
use crate::frontend::shared::{ScopeKind, SessionSettings};
use crate::sql::{Statement, Transactions};
use crate::topology::{Health, Lag, Role, ServerId, ServerView, Snapshot};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// What has been executed everywhere, and on the primary besides.
const SEEN: (&str, &str) = ("0-1-1", "0-1-2");
/// Round trips, as they might be: in this region, and beyond the ocean.
const NEAR: Duration = Duration::from_millis(1);
const FAR: Duration = Duration::from_millis(100);

/// All that an answer depends on, besides the statement.
#[derive(Debug)]
pub(super) struct Scene {
    /// What sessions are told of the file; `None`: there is no file.
    pub(super) settings: Option<SessionSettings>,
    /// The servers.
    pub(super) snapshot: Snapshot,
    /// Who speaks; `None`: nobody said, and the file lists several.
    pub(super) user: Option<String>,
    /// The session's schema.
    pub(super) schema: Option<String>,
}

impl Scene {
    /// The one of the file, if it is there.
    ///
    /// # Errors
    /// What is wrong with it, or with the wish.
    pub(super) fn of(wish: &Wish, file: &Path, is_asked_for: bool) -> Result<Self, String> {
        if !is_asked_for && !file.exists() {
            return Ok(Self::without_file(wish));
        }
        let settings = config::load_without_secrets(file, &|name| std::env::var(name).ok());
        let settings = settings.map_err(|faults| faults.to_string())?;
        Self::with(wish, &settings)
    }

    /// A primary far away and a replica nearby.
    pub(super) fn without_file(wish: &Wish) -> Self {
        let servers = vec![
            server(0, "primary", Role::Primary, false, FAR, 1),
            server(1, "replica", Role::Replica, true, NEAR, 1),
        ];
        let (user, schema) = (wish.user.clone(), wish.schema.clone());
        Self { settings: None, snapshot: Snapshot::of(servers), user, schema }
    }

    /// Whether a transaction with this statement, which has begun so, reads on a replica until it writes.
    pub(super) fn is_optimistic(&self, statement: &Statement<'_>, begun: Begun) -> bool {
        let (user, schema) = (self.user(), self.schema.as_deref().map(str::as_bytes));
        let hint = statement.hint.transactions;
        let wish = || match &self.settings {
            Some(settings) => settings.transactions_for(hint, user, schema),
            None => hint.unwrap_or(Transactions::Primary),
        };
        is_to_be_tried(begun == Begun::ReadOnly, hint, wish) && !self.keeps_connections()
    }

    /// Whether sessions of this user keep one connection for their whole lives.
    pub(super) fn keeps_connections(&self) -> bool {
        self.settings.as_ref().is_some_and(|settings| settings.session_mode.is_for(self.user()))
    }

    /// Whether unqualified names are those of the server itself.
    pub(super) fn is_about_server(&self) -> bool {
        self.schema.as_deref().is_some_and(|schema| is_about_server(schema.as_bytes()))
    }

    /// What of the session decides where its statements go.
    pub(super) fn circumstances(&self, in_transaction: bool) -> Circumstances {
        let (session_mode, about_server) = (self.keeps_connections(), self.is_about_server());
        Circumstances { in_transaction, session_mode, about_server }
    }

    /// Who speaks, as far as anybody said.
    pub(super) fn user(&self) -> &str {
        self.user.as_deref().unwrap_or_default()
    }

    /// What these settings say.
    ///
    /// # Errors
    /// There is no such user.
    pub(super) fn with(wish: &Wish, settings: &Settings) -> Result<Self, String> {
        let names: Vec<&str> = settings.users.iter().map(|user| user.name.as_str()).collect();
        let user = match (&wish.user, &names[..]) {
            (Some(user), _) if !settings.is_passthrough() && !names.contains(&user.as_str()) => {
                return Err(format!("the file lists no user '{user}', only {}", names.join(", ")));
            }
            (Some(user), _) => Some(user.clone()),
            (None, [only]) if !settings.is_passthrough() => Some((*only).to_owned()),
            (None, _) => None,
        };
        let snapshot = Snapshot::of(views(settings));
        Ok(Self { settings: Some(app::session_settings(settings)), snapshot, user, schema: wish.schema.clone() })
    }

    /// Who sees what whom wrote; without a file as by default.
    pub(super) fn scope(&self) -> ScopeKind {
        self.settings.as_ref().map_or(ScopeKind::User, |settings| settings.scope)
    }

    /// What a user has written that no replica has yet.
    pub(super) fn written() -> Option<GtidSet> {
        GtidSet::parse(Family::MariaDb, SEEN.1).ok()
    }
}

/// The servers of the file. Which `auto` is the primary nobody has asked: the first, if none is said to be.
fn views(settings: &Settings) -> Vec<ServerView> {
    let said = settings.servers.iter().position(|server| server.role == Configured::Primary);
    let primary = said.or_else(|| settings.servers.iter().position(|server| server.role == Configured::Auto));
    let view = |(at, planned): (usize, &config::Server)| {
        let role = if Some(at) == primary { Role::Primary } else { Role::Replica };
        let local = app::plan(planned, settings).local;
        let is_unsaid = settings.region.is_none() || planned.region.is_none();
        let rtt = if local || (is_unsaid && role == Role::Replica) { NEAR } else { FAR };
        server(u16::try_from(at).unwrap_or(u16::MAX), &planned.name, role, local, rtt, planned.weight)
    };
    settings.servers.iter().enumerate().map(view).collect()
}

fn server(id: u16, name: &str, role: Role, local: bool, rtt: Duration, weight: u32) -> ServerView {
    let seen = if role == Role::Primary { SEEN.1 } else { SEEN.0 };
    ServerView {
        id: ServerId(id),
        name: name.into(),
        local,
        role,
        health: Health::Up,
        lag: Lag::Behind(Duration::ZERO),
        held_lag: Some(Duration::ZERO),
        max_lag: Duration::from_secs(10),
        weight,
        is_rival: false,
        is_doubtful: false,
        rtt: Some(rtt),
        family: Some(Family::MariaDb),
        executed: GtidSet::parse(Family::MariaDb, seen).ok().map(Arc::new),
    }
}

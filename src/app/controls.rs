//! What stands behind the console: who may come in, and what is done for those who may do all.

use super::App;
use super::running::{Request, Running};
use crate::backend::login::Account;
use crate::config::{self, ListenAddress, LogLevel, Settings};
use crate::console::control::{Action, Control, Done, Entrance, Refusal, Setting};
use crate::console::{self, Console};
use crate::frontend::handshake::Door;
use crate::frontend::listener::Listener;
use crate::frontend::succession::Wish;
use crate::frontend::users::Users;
use crate::net::listening::{Passed, Place};
use anyhow::Result;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// So long a statement waits that comes while an operator has paused.
const PATIENCE: Duration = Duration::from_secs(300);
/// So long processes that linger may take to do what is wanted of them.
const ELDERS_WITHIN: Duration = Duration::from_secs(5);
/// The least that is a whole file: what it leaves out has its default.
const LEAST: &str =
    "[[server]]\nname = \"s\"\naddress = \"s\"\nrole = \"primary\"\n[[user]]\nname = \"u\"\npassword = \"p\"\n";

/// Opens the console, where the file has one; its TCP address.
///
/// # Errors
/// The address cannot be bound.
pub(super) fn open(app: &mut App, settings: &Settings, passed: &mut Passed) -> Result<Option<SocketAddr>> {
    let place = match &settings.listen.admin {
        None => return Ok(None),
        Some(ListenAddress::Tcp(address)) => Place::Tcp(*address),
        Some(ListenAddress::Unix(path)) => Place::Unix(path.clone(), settings.listen.unix_mode),
    };
    let socket = app.doors.add(&place, "admin", passed)?;
    let (bound, listener) = (socket.tcp(), Listener::on(socket)?);
    let control = Arc::new(Controls(app.running.clone()));
    let console = Console::new(app.shared.clone(), app.metrics.clone(), control);
    let until = (app.doors.shutter().clone(), app.stop.clone());
    app.tasks.spawn(console::listen(listener, Arc::new(console), until));
    Ok(bound)
}

/// The way into the console: it has the same TLS as that of clients, and the users of the file may look.
fn entrance(settings: &Settings, clients: &Door) -> Entrance {
    let listed = settings.users.iter().map(|user| (&user.name, &user.password));
    let admin = settings.admin.account.as_ref().map(|(name, password)| (name, password));
    let account = |(name, password): (&String, &config::Secret)| Account::listed(name.clone(), password.clone());
    let door = Door {
        users: Users::new(listed.chain(admin).map(account).map(Arc::new), None),
        tls: clients.tls.clone(),
        require_tls: clients.require_tls,
        packet_limit: clients.packet_limit,
    };
    let admin = admin.map(|(name, _)| name.clone());
    Entrance { door, admin, login_timeout: settings.limits.login_timeout }
}

/// What the console shows of the configuration in use, and who may come in by it.
#[derive(Debug)]
pub(super) struct View {
    entrance: Arc<Entrance>,
    settings: Vec<Setting>,
    regions: HashMap<String, String>,
}

impl View {
    /// `clients`: their way in.
    pub(super) fn of(settings: &Settings, clients: &Door) -> Self {
        let least = config::parse(LEAST, "", Path::new("/"), &|_| None);
        let defaults: HashMap<String, String> =
            least.map(|least| config::list(&least).into_iter().collect()).unwrap_or_default();
        let is_default =
            |key: &str, value: &str| defaults.get(&as_of_the_least(key)).is_some_and(|default| default == value);
        let setting = |(key, value): config::Listed| {
            let is_default = is_default(&key, &value);
            Setting { key, value, is_default }
        };
        let region = |server: &config::Server| Some((server.name.clone(), server.region.clone()?));
        Self {
            entrance: Arc::new(entrance(settings, clients)),
            settings: config::list(settings).into_iter().map(setting).collect(),
            regions: settings.servers.iter().filter_map(region).collect(),
        }
    }
}

/// What concerns the whole process.
#[derive(Debug)]
struct Controls(Arc<Running>);

/// The same key of the one server or user of the least file.
fn as_of_the_least(key: &str) -> String {
    match (key.split_once('.'), key.rsplit_once('.')) {
        (Some(("server", _)), Some((_, last))) => format!("server.s.{last}"),
        (Some(("user", _)), Some((_, last))) => format!("user.u.{last}"),
        _ => key.to_owned(),
    }
}

/// Who is asked serves the clients that it has, and no others.
fn elsewhere() -> Refusal {
    Refusal::Failed("another process has taken over; connect again and ask that".into())
}

impl Controls {
    /// Here, and at processes that linger since a take-over: how many connections are still in use at all of them. Who
    /// holds one may finish: until this is 0, something is under way.
    async fn pause(&self) -> Result<u64, Refusal> {
        let shared = &self.0.shared;
        let held_before = shared.gate.is_paused();
        shared.gate.pause(PATIENCE);
        match shared.succession.order(Wish::Pause(PATIENCE), ELDERS_WITHIN).await {
            Ok(_) if shared.succession.is_lingering() => {
                let _told_below = self.resume().await;
                Err(elsewhere())
            }
            Ok(others) => Ok((shared.under_way() + others) as u64),
            Err(deaf) if held_before => Err(Refusal::Failed(format!(
                "{deaf}: the pause goes on elsewhere; end it with SIGTERM, or repeat this"
            ))),
            Err(deaf) => {
                // Half a pause is none: whoever relies on it would lose what still comes.
                let now =
                    if self.resume().await.is_ok() { "nothing is paused" } else { "it may still be paused there" };
                Err(Refusal::Failed(format!("{deaf}: {now}; end it with SIGTERM, or repeat this")))
            }
        }
    }

    /// Lets all go on: how many statements have waited.
    async fn resume(&self) -> Result<u64, Refusal> {
        let shared = &self.0.shared;
        let waiting = shared.resume().await;
        match shared.succession.order(Wish::Resume, ELDERS_WITHIN).await {
            Ok(others) => Ok((waiting + others) as u64),
            Err(deaf) => Err(Refusal::Failed(format!("{deaf}: its clients may still wait; repeat this"))),
        }
    }

    async fn act(&self, action: Action) -> Result<u64, Refusal> {
        let shared = &self.0.shared;
        match action {
            Action::Pause(Some(_)) | Action::Resume(Some(_)) => {
                Err(Refusal::Failed("servers cannot be paused by themselves; leave the name out".into()))
            }
            Action::Pause(None) | Action::Resume(None) if shared.succession.is_lingering() => Err(elsewhere()),
            Action::Pause(None) => self.pause().await,
            Action::Resume(None) => self.resume().await,
            Action::Reload => {
                let (answer, answered) = oneshot::channel();
                if !self.0.request(Request::Reload(answer)).await {
                    return Err(Refusal::NotAvailable);
                }
                answered.await.unwrap_or_else(|_| Err("Landbridge is ending".into())).map_err(Refusal::Failed)
            }
            Action::Drain | Action::Shutdown => {
                let clients = shared.registry.len() as u64;
                if self.0.request(Request::Drain).await { Ok(clients) } else { Err(Refusal::NotAvailable) }
            }
            Action::LogLevel(level) => {
                let known = LogLevel::WORDS.iter().find(|(word, _)| word.eq_ignore_ascii_case(&level));
                let Some((_, level)) = known else {
                    let words: Vec<&str> = LogLevel::WORDS.iter().map(|(word, _)| *word).collect();
                    return Err(Refusal::Failed(format!("the levels are {}", words.join(", "))));
                };
                if self.0.set_log_level(*level) {
                    return Ok(0);
                }
                Err(Refusal::Failed("LANDBRIDGE_LOG says what is logged; start without it".into()))
            }
        }
    }
}

impl Control for Controls {
    fn perform(&self, action: Action) -> Done<'_> {
        Box::pin(self.act(action))
    }

    fn entrance(&self) -> Arc<Entrance> {
        self.0.view.load().entrance.clone()
    }

    fn settings(&self) -> Vec<Setting> {
        self.0.view.load().settings.clone()
    }

    fn region(&self, server: &str) -> Option<String> {
        self.0.view.load().regions.get(server).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_told_from_what_is_written() {
        let text = format!("{LEAST}max = 8\n[pool]\nmin_warm = 2\n[admin]\nuser = 'boss'\npassword = 'hidden'\n");
        let settings = config::parse(&text, "", Path::new("/"), &|_| None).unwrap_or_else(|faults| panic!("{faults}"));
        let door = Door { users: Users::default(), tls: None, require_tls: false, packet_limit: 1 };
        let view = View::of(&settings, &door);
        let find =
            |key: &str| view.settings.iter().find(|setting| setting.key == key).map(|s| (&*s.value, s.is_default));
        assert_eq!(find("pool.max"), Some(("64", true)));
        assert_eq!(find("pool.min_warm"), Some(("2", false)));
        assert_eq!(find("user.u.max"), Some(("8", false)));
        assert_eq!(find("server.s.weight"), Some(("1", true)));
        assert_eq!(find("admin.user"), Some(("boss", false)));
        assert!(!format!("{view:?}").contains("hidden"));
    }
}

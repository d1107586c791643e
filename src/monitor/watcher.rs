//! The task of one server: when to ask what.

use super::MonitorSettings;
use super::Planned;
use super::calls::Calls;
use super::heartbeat::Heartbeat;
use super::log::LogWatch;
use super::probe::{About, After, Control, Failure};
use super::publish::Board;
use super::report::Replication;
use super::table::Probed;
use crate::backend::login::{Account, DialError};
use crate::backend::server::Server;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// A server that refuses our login is asked ever more rarely, up to this many intervals.
const PATIENCE: u32 = 8;
/// Errors that concern the monitor's account, not the server: access denied (in its three forms), locked. Others may
/// still be served.
const ACCOUNT_ERRORS: [u16; 4] = [1044, 1045, 1698, 3118];
/// There is no connection left, of all or for the user: those that are open still serve.
const FULL_ERRORS: [u16; 3] = [1040, 1203, 1226];
/// Whatever is suspected, a server is not probed sooner after the last time than this, or a quarter of an interval.
const NOT_SO_SOON: Duration = Duration::from_secs(1);
/// A probe in between may be under way for one part in so many of the time.
const IDLE_SHARE: u32 = 10;
/// A deadline that passed so many times too late was not kept by this process.
const LATE: f32 = 1.5;
/// While clients write, a replica is asked so often.
const AFTER_NEWS: Duration = Duration::from_millis(10);

/// Watches one server.
#[derive(Debug)]
pub(super) struct Watcher {
    server: Arc<Server>,
    planned: Planned,
    account: Arc<Account>,
    settings: MonitorSettings,
    board: Arc<Board>,
    calls: Calls,
    /// Tells that clients wrote something.
    news: watch::Receiver<()>,
    /// Tells that all must be asked at once.
    doubts: watch::Receiver<Option<std::time::Instant>>,
    control: Option<Control>,
    /// A question how its replication is that it does not answer.
    unanswered: Option<AbortOnDropHandle<()>>,
    /// How many probes in a row it has not answered that, and all else.
    silent: u32,
    log: LogWatch,
    /// When the next full probe is due.
    full_due: Instant,
    /// Logins refused in a row.
    refusals: u32,
    /// Whether the last probe found it there.
    is_there: bool,
    /// Whether its last failure was put down to this process.
    excused: bool,
    /// That the heartbeat cannot be read was told.
    told_hidden: bool,
}

impl Watcher {
    /// A watcher that has not begun.
    pub(super) fn new(
        server: Arc<Server>,
        planned: Planned,
        account: Arc<Account>,
        settings: MonitorSettings,
        board: Arc<Board>,
        (calls, news, doubts): (Calls, watch::Receiver<()>, watch::Receiver<Option<std::time::Instant>>),
    ) -> Self {
        let full_due = Instant::now();
        Self {
            server,
            planned,
            account,
            settings,
            board,
            calls,
            news,
            doubts,
            control: None,
            unanswered: None,
            silent: 0,
            log: LogWatch::default(),
            full_due,
            refusals: 0,
            is_there: true,
            excused: false,
            told_hidden: false,
        }
    }

    /// Watches until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            never = self.watch() => match never {},
        }
        // A probe under way is gone, and its connection with it.
        if let Some(control) = self.control.take() {
            control.close().await;
        }
    }

    async fn watch(&mut self) -> Infallible {
        loop {
            let started = Instant::now();
            let again = match self.control.take() {
                Some(control) if started < self.full_due => self.glance(control).await,
                control => self.probe(control).await,
            };
            self.rest(started, again).await;
        }
    }

    /// Waits until something is due, or somebody calls.
    async fn rest(&mut self, started: Instant, again: Option<Pause>) {
        let due = again.map_or(self.full_due, |pause| self.full_due.min(started + pause.usual));
        let news = async {
            match again {
                Some(pause) if self.news.changed().await.is_ok() => sleep_until(started + pause.after_news).await,
                _ => std::future::pending().await,
            }
        };
        let suspected = async {
            self.server.reach.suspected().await;
            sleep_until(started + NOT_SO_SOON.min(self.settings.interval / 4)).await;
        };
        tokio::select! {
            () = sleep_until(due) => {}
            () = news => {}
            () = suspected => self.full_due = Instant::now(),
            Ok(()) = self.doubts.changed() => self.full_due = Instant::now(),
            () = self.calls.asked(self.server.id) => {
                // Replicas tell what is asked for in either kind of probe.
                if again.is_none() {
                    self.full_due = Instant::now();
                }
            }
        }
    }

    /// A full probe. Returns after what time from its start to ask for GTIDs alone.
    async fn probe(&mut self, control: Option<Control>) -> Option<Pause> {
        self.full_due = Instant::now() + self.settings.interval;
        let control = self.follow_name(control).await;
        let (was_open, started) = (control.is_some(), Instant::now());
        let probed = match control {
            Some(control) => control.probe(self.about(), self.settings.timeout).await,
            None => self.open_and_probe().await,
        };
        match probed {
            Ok((after, mut probed)) => {
                self.refusals = 0;
                self.found();
                match after {
                    After::Ready(control) => self.control = Some(control),
                    After::Waits(unanswered) => self.unanswered = Some(unanswered),
                }
                self.look_for_space(&mut probed);
                self.tell_hidden(&probed.report.heartbeat);
                if self.planned == Planned::Primary && probed.report.variables.read_only {
                    self.server.names.hurry();
                }
                let rtt = probed.answered.saturating_duration_since(probed.asked);
                self.board.probed(self.server.id, probed).then(|| self.pause(rtt))
            }
            Err(failure) => {
                // What nobody can see any more is not to be told.
                self.server.space.replication_lacks(&self.server.name, None);
                self.failed(&failure, was_open, started);
                None
            }
        }
    }

    /// Once the server's name stands for another address, asks there, unless nobody is there.
    async fn follow_name(&self, control: Option<Control>) -> Option<Control> {
        let old = control?;
        if !old.has_moved() {
            return Some(old);
        }
        match Control::open(&self.server, &self.account, self.settings.timeout).await {
            Ok(new) => {
                tracing::info!(server = self.server.name, "the name stands for another address: going there");
                // What the one had, the other may lack.
                self.server.moved();
                self.board.lost(self.server.id);
                old.close().await;
                Some(new)
            }
            Err(error) => {
                tracing::warn!(server = self.server.name, %error, "the name stands for an address where nobody answers");
                Some(old)
            }
        }
    }

    /// Whether a question how its replication is waits for its answer.
    fn waits_for_status(&self) -> bool {
        self.unanswered.as_ref().is_some_and(|asked| !asked.is_finished())
    }

    /// Notes by what it shows that its disks are full, or not.
    fn look_for_space(&mut self, probed: &mut Probed) {
        let mut lack = probed.report.replication.lack();
        self.silent = if self.waits_for_status() { self.silent.saturating_add(1) } else { 0 };
        if self.silent > 0 {
            probed.report.replication = Replication::Silent;
            // Once it may only have been slow: that it answers all else again shows that the line is alive.
            lack = probed.report.replication.lack().filter(|_| self.silent > 1);
        }
        self.server.space.replication_lacks(&self.server.name, lack);
        self.log.look(&self.server, &self.account, self.settings.timeout);
    }

    fn about(&self) -> About<'_> {
        let replication = self.planned.asks_replication() && !self.waits_for_status();
        About { replication, heartbeat: self.settings.heartbeat.as_ref() }
    }

    /// Tells once that the heartbeat cannot be read.
    fn tell_hidden(&mut self, heartbeat: &Heartbeat) {
        let Heartbeat::Hidden(why) = heartbeat else { return };
        if let Some(table) = self.settings.heartbeat.as_ref().filter(|_| !self.told_hidden) {
            let (server, grant) = (&self.server.name, table.grant(&self.account.user));
            tracing::warn!(server, %table, why, grant, "the heartbeat cannot be read: lag is measured without it");
        }
        self.told_hidden = true;
    }

    async fn open_and_probe(&self) -> Result<(After, Probed), Failure> {
        let timeout = self.settings.timeout;
        let started = Instant::now();
        let control = Control::open(&self.server, &self.account, timeout).await?;
        // Dial and probe together are one probe, with one deadline.
        let left = timeout.saturating_sub(started.elapsed());
        match control.probe(self.about(), left).await {
            Err(Failure::Silent(_)) => Err(Failure::Silent(timeout)),
            probed => probed,
        }
    }

    /// Asks for GTIDs alone. Returns after what time from its start to do so again.
    async fn glance(&mut self, control: Control) -> Option<Pause> {
        let started = Instant::now();
        match control.applied(self.settings.timeout).await {
            Ok((control, applied, [asked, answered])) => {
                self.control = Some(control);
                let is_tracked = self.board.applied(self.server.id, asked.into_std(), answered.into_std(), applied);
                is_tracked.then(|| self.pause(answered.duration_since(asked)))
            }
            Err(failure) => {
                self.failed(&failure, true, started);
                None
            }
        }
    }

    /// The server is there. Before others hear of it, so that who waits for it does not hear of its absence any more.
    fn found(&mut self) {
        if !self.is_there {
            self.is_there = true;
            self.server.reach.is_back();
        }
    }

    fn failed(&mut self, failure: &Failure, was_open: bool, started: Instant) {
        if self.is_excused(failure, started) {
            tracing::warn!(
                server = self.server.name,
                "a probe timed out late, as if this process had hardly run: asking again"
            );
            self.full_due = Instant::now();
            self.board.lost(self.server.id);
            return;
        }
        let name = &self.server.name;
        // An open connection may break for reasons of its own. Dialling anew will tell.
        if was_open && matches!(failure, Failure::Lost(_)) {
            tracing::debug!(server = name, error = %failure, "lost the control connection");
            self.full_due = Instant::now();
            self.board.lost(self.server.id);
            return;
        }
        tracing::debug!(server = name, error = %failure, "a probe failed");
        if let Failure::Dial(DialError::Refused(error)) = failure {
            let (is_account, is_full) = (ACCOUNT_ERRORS.contains(&error.code), FULL_ERRORS.contains(&error.code));
            self.refusals = self.refusals.saturating_add(1);
            if is_account {
                // Not so often that the account is locked for it.
                self.full_due = Instant::now() + self.settings.interval * patience(self.refusals);
            }
            if is_account || is_full {
                if self.refusals == 1 {
                    let user = &self.account.user;
                    tracing::error!(server = name, user, %error, "the monitor is refused: role, lag and GTIDs stay unknown");
                }
                self.found();
                self.board.refused(self.server.id);
                return;
            }
        }
        self.is_there = false;
        self.board.failed(self.server.id, &failure.to_string().into());
    }

    /// Whether the deadline of a probe passed so late that this process cannot have run most of the time (too little
    /// processor time, a machine that slept): what it did not hear says nothing of the server. Once in a row; who is
    /// always late must judge all the same.
    fn is_excused(&mut self, failure: &Failure, started: Instant) -> bool {
        let timed_out = matches!(failure, Failure::Silent(_) | Failure::Dial(DialError::TimedOut(..)));
        let is_late = timed_out && started.elapsed() > self.settings.timeout.mul_f32(LATE);
        self.excused = is_late && !self.excused;
        self.excused
    }

    /// How long to wait between questions for GTIDs: a far server is not asked all the time.
    fn pause(&self, rtt: Duration) -> Pause {
        let least = rtt * IDLE_SHARE;
        let usual = self.settings.replica_interval.max(least);
        Pause { usual, after_news: usual.min(AFTER_NEWS.max(least)) }
    }
}

/// How long to wait between two questions for GTIDs.
#[derive(Debug, Clone, Copy)]
struct Pause {
    /// Where nobody here wrote anything.
    usual: Duration,
    /// Where somebody did: the sooner it is known that the replica has it, the fewer reads must wait.
    after_news: Duration,
}

/// After so many refusals, how many intervals to wait.
fn patience(refusals: u32) -> u32 {
    1_u32.checked_shl(refusals.saturating_sub(1)).unwrap_or(PATIENCE).min(PATIENCE)
}

#[cfg(test)]
mod tests {
    use super::patience;

    #[test]
    fn refused_logins_are_tried_ever_more_rarely() {
        assert_eq!([0, 1, 2, 3, 4, 5, 33, u32::MAX].map(patience), [1, 1, 2, 4, 8, 8, 8, 8]);
    }
}

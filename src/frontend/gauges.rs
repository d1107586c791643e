//! What is not counted while clients are served, but asked when somebody looks: pools, what sessions hold, certificates.

use super::holds::Holds;
use super::shared::Shared;
use crate::backend::server::Server;
use crate::metrics::Metrics;
use crate::pool::Counts;
use prometheus::IntGauge;
use std::sync::Arc;

impl Shared {
    /// Has the metrics show how things are now: for [`Metrics::look`], which lets in one at a time.
    pub fn publish(&self, metrics: &Metrics) {
        self.publish_pools(metrics);
        self.publish_sessions(metrics);
        self.publish_certificates(metrics);
        self.publish_space(metrics);
        metrics.session.paused.set(self.gate.is_paused().into());
    }

    fn publish_pools(&self, metrics: &Metrics) {
        let server = &metrics.server;
        server.connections.reset();
        server.warm_target.reset();
        server.limit.reset();
        for pool in self.pools.all() {
            let counts = pool.counts();
            if pool.server().is_retired() && counts == Counts::default() {
                continue;
            }
            let name = &*pool.server().name;
            for (state, n) in [
                ("idle", counts.idle),
                ("leased", counts.leased),
                ("dialing", counts.dialing),
                ("resetting", counts.resetting),
                ("waiting", counts.waiting),
            ] {
                add(&server.connections.with_label_values(&[name, state]), n);
            }
            let (target, limit) = pool.bounds();
            add(&server.warm_target.with_label_values(&[name]), target);
            add(&server.limit.with_label_values(&[name]), limit);
        }
    }

    fn publish_sessions(&self, metrics: &Metrics) {
        let (sessions, pinned) = (&metrics.session.sessions, &metrics.session.pinned);
        sessions.reset();
        pinned.reset();
        // They are there also when nobody is.
        let [nothing, begun, transaction, held] =
            ["nothing", "begun", "transaction", "pinned"].map(|state| sessions.with_label_values(&[state]));
        for holds in self.registry.holds() {
            match holds {
                Holds::Nothing => nothing.inc(),
                Holds::Begun => begun.inc(),
                Holds::Optimistic(_) | Holds::Transaction(_) => transaction.inc(),
                Holds::Pinned(_, reasons) => {
                    held.inc();
                    for reason in reasons {
                        pinned.with_label_values(&[reason.as_str()]).inc();
                    }
                }
            }
        }
    }

    fn publish_space(&self, metrics: &Metrics) {
        let gauge = &metrics.server.disk_full;
        gauge.reset();
        for server in self.pools.servers().in_use() {
            gauge.with_label_values(&[&server.name]).set(server.space.lack().is_some().into());
        }
    }

    /// Servers that show that a disk of theirs is full, and by what.
    pub fn lacks_of_space(&self) -> Vec<(String, String)> {
        let lack = |server: &Arc<Server>| Some((server.name.clone(), server.space.lack()?.to_string()));
        self.pools.servers().in_use().iter().filter_map(lack).collect()
    }

    fn publish_certificates(&self, metrics: &Metrics) {
        let gauge = &metrics.server.certificates;
        gauge.reset();
        for (shown, at) in self.certificates() {
            let labels = match &shown {
                Shown::ToClients => ["listen", ""],
                Shown::To(server) => ["client", server],
                Shown::By(server) => ["server", server],
            };
            gauge.with_label_values(&labels).set(at);
        }
    }

    /// The certificates in use that were seen, and when each expires, in seconds since 1970.
    pub fn certificates(&self) -> Vec<(Shown, i64)> {
        let listen = self.door.load().tls.as_ref().and_then(|tls| tls.expiry());
        let mut found: Vec<(Shown, i64)> = listen.map(|at| (Shown::ToClients, at)).into_iter().collect();
        for server in self.pools.servers().all().iter().filter(|server| !server.is_retired()) {
            if let Some(tls) = &server.tls {
                let (own, peer) = tls.expiries();
                found.extend(own.map(|at| (Shown::To(server.name.as_str().into()), at)));
                found.extend(peer.map(|at| (Shown::By(server.name.as_str().into()), at)));
            }
        }
        found
    }
}

/// Which certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shown {
    /// The one that clients are shown.
    ToClients,
    /// The one that the server of this name is shown.
    To(Box<str>),
    /// The one that the server of this name shows.
    By(Box<str>),
}

fn add(gauge: &IntGauge, n: usize) {
    gauge.add(i64::try_from(n).unwrap_or(i64::MAX));
}

//! What is not counted while clients are served, but asked when somebody looks: pools, what sessions hold, certificates.

use super::registry::Holds;
use super::shared::Shared;
use crate::metrics::Metrics;
use crate::pool::Counts;
use prometheus::IntGauge;

impl Shared {
    /// Has the metrics show how things are now.
    pub fn publish(&self, metrics: &Metrics) {
        self.publish_pools(metrics);
        self.publish_sessions(metrics);
        self.publish_certificates(metrics);
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
                Holds::Transaction(_) => transaction.inc(),
                Holds::Pinned(_, reasons) => {
                    held.inc();
                    for reason in reasons {
                        pinned.with_label_values(&[reason.as_str()]).inc();
                    }
                }
            }
        }
    }

    fn publish_certificates(&self, metrics: &Metrics) {
        let gauge = &metrics.server.certificates;
        gauge.reset();
        let show = |kind, server, at: Option<i64>| {
            if let Some(at) = at {
                gauge.with_label_values(&[kind, server]).set(at);
            }
        };
        show("listen", "", self.door.load().tls.as_ref().and_then(|tls| tls.expiry()));
        for server in self.pools.servers().all().iter().filter(|server| !server.is_retired()) {
            if let Some(tls) = &server.tls {
                let (own, peer) = tls.expiries();
                show("client", &*server.name, own);
                show("server", &*server.name, peer);
            }
        }
    }
}

fn add(gauge: &IntGauge, n: usize) {
    gauge.add(i64::try_from(n).unwrap_or(i64::MAX));
}

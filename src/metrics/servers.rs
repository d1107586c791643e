//! What is known of servers, and of connections to them.

use super::catalogue::{Catalogue, Made};
use prometheus::{GaugeVec, IntGauge, IntGaugeVec};

/// What is shown of servers.
#[derive(Debug, Clone)]
pub struct ServerMetrics {
    /// 1 when the server answers.
    pub up: IntGaugeVec,
    /// Lag in seconds; absent while it is not known.
    pub lag_seconds: GaugeVec,
    /// 1 while the lag of a replica is known.
    pub replication_running: IntGaugeVec,
    /// Round-trip time in seconds.
    pub rtt_seconds: GaugeVec,
    /// Servers besides the primary that take writes.
    pub rival_primaries: IntGauge,
    /// 1 when the server that the file calls the primary refuses writes.
    pub primary_read_only: IntGauge,
    /// 1 when a server shows that a disk of it is full. Set when somebody looks, as all below.
    pub disk_full: IntGaugeVec,
    /// Connections by pool state.
    pub connections: IntGaugeVec,
    /// Connections that pools keep open.
    pub warm_target: IntGaugeVec,
    /// Connections that pools may open.
    pub limit: IntGaugeVec,
    /// 1 when every pool is warm.
    pub ready: IntGauge,
    /// When certificates expire, by whose they are.
    pub certificates: IntGaugeVec,
}

impl ServerMetrics {
    pub(super) fn new(c: &mut Catalogue) -> Made<Self> {
        let by = &["server"];
        Ok(Self {
            up: c.gauges("landbridge_server_up", "1 when the server answers", &["server", "role"])?,
            lag_seconds: c.measures(
                "landbridge_replica_lag_seconds",
                "How far a replica is behind; absent while that is not known",
                by,
            )?,
            replication_running: c.gauges(
                "landbridge_replication_running",
                "1 while a replica's lag is known, 0 when replication is stopped or may not be asked for",
                by,
            )?,
            rtt_seconds: c.measures("landbridge_server_rtt_seconds", "Round-trip time to the server", by)?,
            rival_primaries: c.gauge(
                "landbridge_rival_primaries",
                "Servers besides the primary that take writes: somebody must make them read-only",
            )?,
            primary_read_only: c
                .gauge("landbridge_primary_read_only", "1 when the server with role = primary refuses writes")?,
            disk_full: c.gauges(
                "landbridge_server_disk_full",
                "1 when a server shows that it has no space left on a disk: somebody must free some",
                by,
            )?,
            connections: c.gauges(
                "landbridge_pool_connections",
                "Backend connections by state",
                &["server", "state"],
            )?,
            warm_target: c.gauges(
                "landbridge_pool_warm_target",
                "Backend connections that are kept open, whether or not anybody needs them",
                by,
            )?,
            limit: c.gauges("landbridge_pool_limit", "Backend connections that may be open", by)?,
            ready: c
                .gauge("landbridge_ready", "1 when /readyz says so: every pool of every server that answers is warm")?,
            certificates: c.gauges(
                "landbridge_certificate_expiry_timestamp_seconds",
                "When a certificate expires, in seconds since 1970",
                &["kind", "server"],
            )?,
        })
    }
}

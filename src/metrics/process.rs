//! What is known of the process and its configuration.

use super::catalogue::{Catalogue, Made};
use prometheus::{IntCounterVec, IntGaugeVec};

/// What is known of the configuration.
#[derive(Debug, Clone)]
pub struct ConfigMetrics {
    info: IntGaugeVec,
    /// Reloads by result: `applied`, `unchanged` or `refused`.
    pub reloads: IntCounterVec,
    /// Looks at certificates that have changed on disk, by result: `applied` or `refused`.
    pub certificates: IntCounterVec,
}

impl ConfigMetrics {
    pub(super) fn new(c: &mut Catalogue) -> Made<Self> {
        let build = c.gauges("landbridge_build_info", "The program that runs", &["version", "os", "arch"])?;
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        build.with_label_values(&[env!("CARGO_PKG_VERSION"), os, arch]).set(1);
        let metrics = Self {
            info: c.gauges("landbridge_config_info", "The configuration in use", &["fingerprint", "version"])?,
            reloads: c.counters(
                "landbridge_config_reloads_total",
                "Reloads of the configuration, by result",
                &["result"],
            )?,
            certificates: c.counters(
                "landbridge_certificate_changes_total",
                "Certificates that changed on disk, by result",
                &["result"],
            )?,
        };
        for result in ["applied", "unchanged", "refused"] {
            metrics.reloads.with_label_values(&[result]);
        }
        for result in ["applied", "refused"] {
            metrics.certificates.with_label_values(&[result]);
        }
        Ok(metrics)
    }

    /// This is the configuration in use.
    pub fn is(&self, fingerprint: &str) {
        self.info.reset();
        self.info.with_label_values(&[fingerprint, env!("CARGO_PKG_VERSION")]).set(1);
    }
}

//! What the program uses: one small struct per subsystem, nothing left to interpret.
//!
//! A subsystem takes its own struct, never the whole [`Settings`]. Where a duration is an
//! `Option`, `None` is the file's `"0s"`: the thing is switched off.

mod admin;
mod listen;
mod process;
mod rule;
mod server;
mod traffic;

use super::fault::Fault;

pub use self::admin::Admin;
pub use self::listen::{Certificate, ClientTls, Listen, StatusPage};
pub use self::process::{Log, LogFormat, LogLevel, Monitor, Shutdown};
pub use self::rule::{OnEmpty, ReadFrom, Rule, RuleTable};
pub use self::server::{Role, Server, ServerTls, TlsIdentity, Trust};
pub use self::traffic::{
    Auth, Consistency, Limits, Pipelining, Pool, PoolMode, PrimaryDown, ReadWait, Route, Scope, Transactions, User,
    UserPool,
};

/// Everything `proxy.toml` says, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where this sidecar runs; servers of the same region are near.
    pub region: Option<String>,
    /// Where clients, the console and HTTP come in.
    pub listen: Listen,
    /// The servers, in the order of the file; at least one.
    pub servers: Vec<Server>,
    /// Who may log in.
    pub auth: Auth,
    /// The accounts clients log in with, in the order of the file; at least one, unless `auth` lets
    /// others in.
    pub users: Vec<User>,
    /// The probes.
    pub monitor: Monitor,
    /// What all pools share.
    pub pool: Pool,
    /// What a read must have seen.
    pub consistency: Consistency,
    /// Which server a statement goes to.
    pub route: Route,
    /// What happens to which reads and transactions, in the order of the file.
    pub rules: Vec<Rule>,
    /// Bounds on what clients may take.
    pub limits: Limits,
    /// The log.
    pub log: Log,
    /// The end.
    pub shutdown: Shutdown,
    /// The console's account, and what is remembered for it.
    pub admin: Admin,
    /// What is allowed but deserves a look, in the order of the lines; to be logged at the start.
    pub warnings: Vec<Fault>,
    /// Whether optimistic transactions are verified. Not in the file, and always true but for the test that must find
    /// fault with those that are not.
    #[doc(hidden)]
    pub verify_transactions: bool,
}

impl Settings {
    /// Whether users may log in that the file does not list.
    #[must_use]
    pub fn is_passthrough(&self) -> bool {
        matches!(self.auth, Auth::Passthrough { .. })
    }

    /// 16 hexadecimal digits that are equal when two sidecars run with equal settings.
    ///
    /// Secrets do not count, and neither does `region`: one file with `${REGION}` gives the same
    /// fingerprint in every region. Stable across runs and hosts of one version; a version that
    /// adds a setting changes it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        // No `..`: a new field has to decide whether it counts.
        let Self {
            region: _,
            listen,
            servers,
            auth,
            users,
            monitor,
            pool,
            consistency,
            route,
            rules,
            limits,
            log,
            shutdown,
            admin,
            warnings: _,
            verify_transactions: _,
        } = self;
        // `Debug` of a `Secret` is the same for all of them.
        let text = format!(
            "{listen:?}{servers:?}{auth:?}{users:?}{monitor:?}{pool:?}{consistency:?}{route:?}{rules:?}\
             {limits:?}{log:?}{shutdown:?}{admin:?}"
        );
        format!("{:016x}", fnv1a(text.as_bytes()))
    }
}

/// FNV-1a of 64 bits: tells settings apart, resists no one who wants a collision.
/// <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::fnv1a;

    #[test]
    fn published_hashes() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }
}

//! A server as configured, and what was learned about it when connections opened.

use crate::consistency::gtid::Family;
use crate::net::socket::Address;
use crate::net::tls::Connector;
use crate::topology::ServerId;
use arc_swap::ArcSwapOption;
use std::collections::HashMap;
use std::sync::Arc;

/// One configured server.
#[derive(Debug)]
pub struct Server {
    /// Its place in the configuration.
    pub id: ServerId,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// How to speak TLS with it; `None` is plaintext, asked for by name.
    pub tls: Option<Connector>,
    facts: ArcSwapOption<Facts>,
}

/// What only the server itself knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Version as in its greeting.
    pub version: String,
    /// Default collation id (low byte, as in the greeting).
    pub collation: u8,
    /// Character sets by collation id, with the collation's name.
    pub collations: Arc<HashMap<u16, Collation>>,
    /// The `sql_mode` of a session that sets none.
    pub sql_mode: String,
    /// Whether it executes several commands sent in one write.
    pub pipelining: bool,
}

/// A collation and its character set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collation {
    /// Name of the character set.
    pub charset: String,
    /// Name of the collation.
    pub name: String,
}

impl Server {
    /// A server nothing is known of yet.
    pub fn new(id: ServerId, name: String, address: Address, tls: Option<Connector>) -> Self {
        Self { id, name, address, tls, facts: ArcSwapOption::empty() }
    }

    /// What was learned, once a connection has been opened.
    pub fn facts(&self) -> Option<Arc<Facts>> {
        self.facts.load_full()
    }

    /// Remembers what a connection learned.
    pub fn learn(&self, facts: Facts) {
        self.facts.store(Some(Arc::new(facts)));
    }

    /// How people should see it: name and address.
    pub fn label(&self) -> String {
        format!("{} ({})", self.name, self.address)
    }
}

/// The family a version text tells of.
pub fn family(version: &str) -> Family {
    if version.contains("MariaDB") { Family::MariaDb } else { Family::MySql }
}

/// What every backend connection must have set so that the server reports what we rely on.
///
/// `*` makes the server the second witness of every session variable that changes.
pub fn tracking_sql(family: Family) -> &'static [u8] {
    match family {
        Family::MySql => {
            b"SET @@SESSION.session_track_gtids='OWN_GTID',@@SESSION.session_track_system_variables='*',\
              @@SESSION.session_track_state_change='ON'"
        }
        Family::MariaDb => b"SET @@SESSION.session_track_system_variables='*',@@SESSION.session_track_state_change=ON",
    }
}

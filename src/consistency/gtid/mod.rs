//! GTID sets: which transactions a server has executed, and which ones a session must see.
//!
//! Text in, algebra, canonical text out; nothing here waits, asks a server or knows a clock.
//!
//! * A value is always canonical: two sets with the same transactions are equal and print alike.
//! * No text makes anything panic: a token may come from an application's cookie. Parsing takes
//!   `O(n log n)` time and `O(n)` memory at worst; the caller bounds `n`.
//! * MySQL and MariaDB sets share the questions asked of them and nothing else. A set of one family
//!   says nothing about a server of the other.
//!
//! Formats: MySQL manual, "GTID Format and Storage"
//! <https://dev.mysql.com/doc/refman/9.7/en/replication-gtids-concepts.html>; MariaDB Knowledge
//! Base, "Global Transaction ID" <https://mariadb.com/kb/en/gtid/>.

mod bytes;
mod domain_set;
mod interval_set;
mod parse;
mod uuid_set;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::fmt;

pub use domain_set::DomainSet;
pub use parse::{GtidError, Malformed};
pub use uuid_set::UuidSet;

/// The GTID family of a server: the two are not compatible in form or in meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// `uuid:number`, kept as sets of intervals.
    MySql,
    /// `domain-server-sequence`, kept as the last position in each domain.
    MariaDb,
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MySql => "MySQL",
            Self::MariaDb => "MariaDB",
        })
    }
}

/// A set of executed transactions as a server prints it.
///
/// `Display` writes the canonical form on one line, without spaces, as the same server accepts it
/// in `WAIT_FOR_EXECUTED_GTID_SET` or `MASTER_GTID_WAIT`. It consists of `[0-9a-z_:,-]` only, so it
/// needs no escaping inside an SQL string. The empty set prints as the empty string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GtidSet {
    /// A MySQL server's set, such as `@@gtid_executed`.
    MySql(UuidSet),
    /// A MariaDB server's position, such as `@@gtid_slave_pos`.
    MariaDb(DomainSet),
}

impl GtidSet {
    /// The set without transactions. Allocates nothing.
    #[must_use]
    pub fn empty(family: Family) -> Self {
        match family {
            Family::MySql => Self::MySql(UuidSet::default()),
            Family::MariaDb => Self::MariaDb(DomainSet::default()),
        }
    }

    /// Reads every form a server of `family` prints: system variables, the GTIDs reported in OK
    /// packets, and single GTIDs.
    ///
    /// See [`UuidSet::parse`] and [`DomainSet::parse`] for what is accepted beyond that.
    ///
    /// # Errors
    ///
    /// When the text is not a GTID set of that family.
    pub fn parse(family: Family, text: &str) -> Result<Self, GtidError> {
        match family {
            Family::MySql => UuidSet::parse(text).map(Self::MySql),
            Family::MariaDb => DomainSet::parse(text).map(Self::MariaDb),
        }
    }

    /// The family of servers this set speaks about.
    #[must_use]
    pub fn family(&self) -> Family {
        match self {
            Self::MySql(_) => Family::MySql,
            Self::MariaDb(_) => Family::MariaDb,
        }
    }

    /// Of how many intervals, or positions, it consists.
    #[must_use]
    pub fn parts(&self) -> usize {
        match self {
            Self::MySql(set) => set.sources().map(|(_, numbers)| numbers.iter().count()).sum(),
            Self::MariaDb(set) => set.positions().len(),
        }
    }

    /// True if no transaction is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match self {
            Self::MySql(set) => set.is_empty(),
            Self::MariaDb(set) => set.is_empty(),
        }
    }

    /// True if a server that has executed `self` has executed all of `other`.
    ///
    /// Everything contains the empty set; nothing else is contained across families. The cost is
    /// that of a binary search for each interval or domain of `other`, however large `self` is.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::MySql(own), Self::MySql(other)) => own.contains(other),
            (Self::MariaDb(own), Self::MariaDb(other)) => own.contains(other),
            (Self::MySql(_), Self::MariaDb(_)) | (Self::MariaDb(_), Self::MySql(_)) => other.is_empty(),
        }
    }

    /// Adds the transactions of `other` to this set.
    ///
    /// # Errors
    ///
    /// When `other` is a non-empty set of the other family; `self` is then unchanged. An empty
    /// `self` keeps its family too: a token never changes what kind of server it speaks about.
    pub fn union(&mut self, other: &Self) -> Result<(), FamilyMismatch> {
        match (&mut *self, other) {
            (Self::MySql(own), Self::MySql(other)) => own.union(other),
            (Self::MariaDb(own), Self::MariaDb(other)) => own.union(other),
            (Self::MySql(_), Self::MariaDb(_)) | (Self::MariaDb(_), Self::MySql(_)) => {
                if !other.is_empty() {
                    return Err(FamilyMismatch { own: self.family(), other: other.family() });
                }
            }
        }
        Ok(())
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MySql(set) => set.fmt(f),
            Self::MariaDb(set) => set.fmt(f),
        }
    }
}

/// Two GTID sets of different families cannot be united.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FamilyMismatch {
    /// The family of the set that was to grow.
    pub own: Family,
    /// The family of the set that was to be added.
    pub other: Family,
}

impl fmt::Display for FamilyMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot add a {} GTID set to a {} one", self.other, self.own)
    }
}

impl std::error::Error for FamilyMismatch {}
